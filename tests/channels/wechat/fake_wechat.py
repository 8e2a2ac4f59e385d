"""A small WeChat: pushes signed and sealed letters, keeps the quota, answers the API as documented.

It counts what shoppers were shown, so that a test believes the platform and not Kefu. Rules with
sources are in docs/wechat.md.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import struct
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

APPID, SECRET, TOKEN = "wx0123456789abcdef", "s3cret-never-logged", "gateway-token"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
OLD_KEY = "GFEDCBA9876543210zyxwvutsrqponmlkjihgfedcba"


def sign(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


def seal(text: str, key: str = KEY, appid: str = APPID, prefix: bytes | None = None) -> str:
    """Tencent's AES, written independently of wechatpy."""
    secret = base64.b64decode(key + "=")
    body = text.encode()
    plain = (prefix or os.urandom(16)) + struct.pack(">I", len(body)) + body + appid.encode()
    pad = 32 - len(plain) % 32
    plain += bytes([pad]) * pad
    encryptor = Cipher(algorithms.AES(secret), modes.CBC(secret[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


def unseal(encrypted: str, key: str = KEY, appid: str = APPID) -> str:
    secret = base64.b64decode(key + "=")
    decryptor = Cipher(algorithms.AES(secret), modes.CBC(secret[:16])).decryptor()
    plain = decryptor.update(base64.b64decode(encrypted)) + decryptor.finalize()
    plain = plain[: -plain[-1]]
    size = struct.unpack(">I", plain[16:20])[0]
    assert plain[20 + size :].decode() == appid, "sealed for another account"
    return plain[20 : 20 + size].decode()


def letter(openid: str, kind: str = "text", *, msg_id: str | None = "1", **fields: str) -> str:
    parts = {
        "ToUserName": "gh_shop",
        "FromUserName": openid,
        "CreateTime": fields.pop("CreateTime", str(int(time.time()))),
        "MsgType": kind,
        **fields,
    }
    if msg_id is not None:
        parts["MsgId"] = msg_id
    return (
        "<xml>" + "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in parts.items()) + "</xml>"
    )


def sealed_query(encrypted: str, *, token: str = TOKEN, timestamp: str | None = None) -> dict[str, str]:
    stamp, nonce = timestamp or str(int(time.time())), os.urandom(4).hex()
    return {
        "signature": sign(token, stamp, nonce),
        "timestamp": stamp,
        "nonce": nonce,
        "openid": "o",
        "encrypt_type": "aes",
        "msg_signature": sign(token, stamp, nonce, encrypted),
    }


def wrap(encrypted: str) -> str:
    return (
        f"<xml><ToUserName><![CDATA[gh_shop]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    )


def read_passive(body: str, key: str = KEY) -> dict[str, str] | None:
    """What the platform shows of a passive answer; None for `success`. Raises on a malformed one."""
    if body in ("success", ""):
        return None
    outer = {child.tag: child.text or "" for child in ElementTree.fromstring(body)}
    expected = sign(TOKEN, outer["TimeStamp"], outer["Nonce"], outer["Encrypt"])
    assert outer["MsgSignature"] == expected, "the platform would refuse this signature"
    inner = ElementTree.fromstring(unseal(outer["Encrypt"], key))
    return {child.tag: child.text or "" for child in inner}


@dataclass
class FakeWechat:
    """`shown[openid]` is what a shopper has read, in order, passive and by API."""

    base_url: str = ""  # of the gateway's account, set by the test
    shown: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    sends: list[dict[str, Any]] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    errors: list[int] = field(default_factory=list)  # errcodes for the next sends
    always: int | None = None  # errcode for every send
    late: float = 0.0  # seconds the answer to the next send takes, which is shown at once
    refuse_token: int = 0  # errcode of the token service
    hang: float = 0.0  # seconds the token service takes
    token: int = 0
    media: dict[str, bytes] = field(default_factory=dict)
    uploaded: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # kind -> names
    refuse_upload: int = 0  # errcode
    codes: dict[str, tuple[str, float]] = field(default_factory=dict)  # ticket -> (scene, until)
    quota: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    typed: list[dict[str, Any]] = field(default_factory=list)
    pushed: set[str] = field(default_factory=set)  # a push that is repeated renews no allowance

    def app(self) -> web.Application:
        app = web.Application(client_max_size=20 * 1024 * 1024)
        app.router.add_post("/cgi-bin/stable_token", self.stable_token)
        app.router.add_post("/cgi-bin/message/custom/send", self.send)
        app.router.add_post("/cgi-bin/message/custom/typing", self.typing)
        app.router.add_get("/cgi-bin/media/get", self.get_media)
        app.router.add_post("/cgi-bin/media/upload", self.upload)
        app.router.add_post("/cgi-bin/qrcode/create", self.create_qr)
        return app

    async def stable_token(self, request: web.Request) -> web.Response:
        self.calls["token"] += 1
        await asyncio.sleep(self.hang)
        body = await request.json()
        if self.refuse_token:
            return web.json_response({"errcode": self.refuse_token, "errmsg": "refused, hint: [x]"})
        if body.get("secret") != SECRET:
            return web.json_response({"errcode": 40125, "errmsg": "invalid appsecret"})
        assert body["force_refresh"] is False
        self.token = self.token or 1
        return web.json_response({"access_token": f"token-{self.token}", "expires_in": 7200})

    def _bad(self, request: web.Request) -> web.Response | None:
        if request.query.get("access_token") != f"token-{self.token}":
            return web.json_response({"errcode": 40001, "errmsg": "invalid credential"})
        return None

    async def send(self, request: web.Request) -> web.Response:
        self.calls["send"] += 1
        if (bad := self._bad(request)) is not None:
            return bad
        raw = await request.read()
        assert b"\\u" not in raw, "code 40033: escapes are refused"
        body = json.loads(raw)
        code = self.always if self.always is not None else self.errors.pop(0) if self.errors else 0
        openid = body["touser"]
        if not code:
            text = body.get("text", {}).get("content", "")
            if len(text.encode()) > 2048:
                code = 45002
            elif self.quota[openid] <= 0:
                code = 45047
            elif body["msgtype"] in ("image", "voice") and (
                body[body["msgtype"]]["media_id"] not in self.uploaded[body["msgtype"]]
            ):
                code = 40007
        if code:
            return web.json_response({"errcode": code, "errmsg": "refused"})
        self.quota[openid] -= 1
        self.sends.append(body)
        self.shown[openid].append(body["text"]["content"] if body["msgtype"] == "text" else body["msgtype"])
        late, self.late = self.late, 0.0
        await asyncio.sleep(late)
        return web.json_response({"errcode": 0, "errmsg": "ok"})

    async def typing(self, request: web.Request) -> web.Response:
        self.typed.append(json.loads(await request.read()))
        return web.json_response({"errcode": 45081, "errmsg": "already typing"})

    async def get_media(self, request: web.Request) -> web.Response:
        if (bad := self._bad(request)) is not None:
            return bad
        data = self.media.get(request.query["media_id"])
        if data is None:
            return web.json_response({"errcode": 40007, "errmsg": "invalid media_id"})
        return web.Response(body=data, content_type="image/jpeg")

    async def upload(self, request: web.Request) -> web.Response:
        if (bad := self._bad(request)) is not None:
            return bad
        form, kind = await request.post(), request.query["type"]
        file: Any = form["media"]
        content, ending = file.file.read(), file.filename.rpartition(".")[2]
        code = self.refuse_upload
        if ending not in {"image": ("jpg", "png", "gif"), "voice": ("amr", "mp3")}[kind]:
            code = 40005
        elif len(content) > 2_000_000:
            code = 45001
        if code:
            return web.json_response({"errcode": code, "errmsg": "refused"})
        name = f"up-{len(self.media)}"
        self.media[name] = content
        self.uploaded[kind].append(name)
        return web.json_response({"type": kind, "media_id": name, "created_at": int(time.time())})

    async def create_qr(self, request: web.Request) -> web.Response:
        if (bad := self._bad(request)) is not None:
            return bad
        body = json.loads(await request.read())
        scene = body["action_info"]["scene"]["scene_str"]
        if body["action_name"] != "QR_STR_SCENE" or not 1 <= len(scene) <= 64:
            return web.json_response({"errcode": 40053, "errmsg": "invalid action info"})
        if not 0 < body["expire_seconds"] <= 2_592_000:
            return web.json_response({"errcode": 40052, "errmsg": "invalid expire seconds"})
        ticket = f"ticket-{len(self.codes)}"
        self.codes[ticket] = (scene, time.time() + body["expire_seconds"])
        return web.json_response(
            {"ticket": ticket, "expire_seconds": body["expire_seconds"], "url": "http://weixin.qq.com/q/x"}
        )

    async def scan(
        self, session: aiohttp.ClientSession, openid: str, address: str, *, follows: bool
    ) -> tuple[int, str]:
        """A shopper holds the phone over the picture at `address`; who did not follow the account does so now."""
        return await self.push(session, self.scanned(openid, address, follows=follows))

    def scanned(self, openid: str, address: str, *, follows: bool) -> str:
        """The push that tells of it."""
        ticket = address.rpartition("?ticket=")[2]
        scene, until = self.codes[ticket]
        assert time.time() < until, "the picture shows nothing any more"
        event, key = ("SCAN", scene) if follows else ("subscribe", f"qrscene_{scene}")
        return letter(openid, "event", msg_id=None, Event=event, EventKey=key, Ticket=ticket)

    async def push(
        self, session: aiohttp.ClientSession, xml: str, *, key: str = KEY, query: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """One try of one push, sealed. What the shopper would read is kept."""
        encrypted = seal(xml, key)
        fields = {child.tag: child.text or "" for child in ElementTree.fromstring(xml)}
        openid, name = fields["FromUserName"], fields.get("MsgId") or xml
        if f"{openid}:{name}" not in self.pushed:
            self.pushed.add(f"{openid}:{name}")
            self.quota[openid] = 5 if fields["MsgType"] != "event" else 3
        async with session.post(
            self.base_url, params=query or sealed_query(encrypted), data=wrap(encrypted).encode()
        ) as response:
            status, body = response.status, await response.text()
        if status == 200:
            passive = read_passive(body, key)
            if passive is not None:
                assert passive["ToUserName"] == openid, "answered somebody else"
                self.shown[openid].append(passive.get("Content", passive["MsgType"]))
        return status, body
