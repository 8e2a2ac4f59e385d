"""A small WeCom: rings, gives its log page by page, keeps an owner per conversation, as documented (docs/wecom.md)."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

CORP, KFID = "ww0123456789abcdef", "wkA"
_ids = itertools.count(1)


@dataclass
class FakeWecom:
    """Messages wait in a log per account; what the shopper reads is in `shown`, named once by msgid."""

    log: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    page: int = 1000
    shown: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    on_event: list[dict[str, Any]] = field(default_factory=list)
    states: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    trans: list[dict[str, Any]] = field(default_factory=list)
    refuse_trans: bool = False
    pulls: list[dict[str, Any]] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    named: set[str] = field(default_factory=set)
    sends: int = 0
    busy: list[int] = field(default_factory=list)  # numbers of the sends that are refused with -1
    fail_sync: int = 0
    lose_answers: int = 0
    tokens: int = 0
    refuse_token: int = 0  # errcode
    files: dict[str, bytes] = field(default_factory=dict)
    refuse_upload: int = 0  # errcode
    codes: dict[str, float] = field(default_factory=dict)  # of events: good for 20 seconds, once
    too_late: bool = False  # the codes of events have run out

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/cgi-bin/gettoken", self.gettoken)
        app.router.add_get("/cgi-bin/media/get", self.media)
        app.router.add_post("/cgi-bin/media/upload", self.upload)
        app.router.add_post("/cgi-bin/kf/account/list", self.accounts)
        app.router.add_post("/cgi-bin/kf/add_contact_way", self.contact_way)
        app.router.add_post("/cgi-bin/kf/sync_msg", self.sync)
        app.router.add_post("/cgi-bin/kf/send_msg", self.send)
        app.router.add_post("/cgi-bin/kf/send_msg_on_event", self.send_on_event)
        app.router.add_post("/cgi-bin/kf/service_state/get", self.state)
        app.router.add_post("/cgi-bin/kf/service_state/trans", self.change_state)
        return app

    async def gettoken(self, request: web.Request) -> web.Response:
        self.tokens += 1
        if self.refuse_token:
            return web.json_response({"errcode": self.refuse_token, "errmsg": "refused"})
        return web.json_response({"errcode": 0, "access_token": "t1", "expires_in": 7200})

    async def sync(self, request: web.Request) -> web.Response:
        assert request.query["access_token"] == "t1"
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        body = await request.json()
        self.pulls.append(body)
        await asyncio.sleep(0.02)
        self.running -= 1
        if self.fail_sync:
            self.fail_sync -= 1
            return web.json_response({"errcode": -1, "errmsg": "busy"})
        log = self.log[body["open_kfid"]]
        start = int(body.get("cursor") or 0)
        found = log[start : start + self.page]
        return web.json_response(
            {"errcode": 0, "next_cursor": str(start + len(found)), "has_more": int(start + len(found) < len(log)),
             "msg_list": found}
        )  # fmt: skip

    async def send(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        shopper = body["touser"]
        self.sends += 1
        if self.sends in self.busy:
            return web.json_response({"errcode": -1, "errmsg": "busy"})
        assert len(body["msgid"]) <= 32 and body["msgid"].isalnum()
        if body["msgtype"] == "text":
            assert len(body["text"]["content"].encode()) <= 2048
            said = body["text"]["content"]
        else:
            assert body[body["msgtype"]]["media_id"] in self.files, "the platform knows no such file"
            said = f"<{body['msgtype']}>"
        if self.states[shopper] not in (0, 1):
            return web.json_response({"errcode": 95018, "errmsg": "session state forbids"})
        if body["msgid"] not in self.named:
            self.named.add(body["msgid"])
            self.shown[shopper].append(said)
        if self.lose_answers:
            self.lose_answers -= 1
            raise web.HTTPBadGateway()
        return web.json_response({"errcode": 0, "msgid": body["msgid"]})

    async def accounts(self, request: web.Request) -> web.Response:
        return web.json_response({"errcode": 0, "account_list": [{"open_kfid": KFID, "name": "shop"}]})

    async def contact_way(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert body["open_kfid"] == KFID and len(body["scene"]) <= 32
        return web.json_response(
            {"errcode": 0, "url": f"https://work.weixin.qq.com/kfid/kfc123?enc_scene=ENC{body['scene']}"}
        )

    async def media(self, request: web.Request) -> web.Response:
        data = self.files.get(request.query["media_id"])
        if data is None:
            return web.json_response({"errcode": 40007, "errmsg": "invalid media_id"})
        return web.Response(body=data, content_type="application/octet-stream")

    async def upload(self, request: web.Request) -> web.Response:
        assert request.query["access_token"] == "t1"
        file: Any = (await request.post())["media"]
        content, ending = file.file.read(), file.filename.rpartition(".")[2]
        if ending not in {"image": ("jpg", "png"), "voice": ("amr",)}[request.query["type"]]:
            return web.json_response({"errcode": 40005, "errmsg": "invalid file type"})
        if self.refuse_upload or len(content) > 2_000_000:
            return web.json_response({"errcode": self.refuse_upload or 40006, "errmsg": "refused"})
        name = f"up-{len(self.files)}"
        self.files[name] = content
        return web.json_response({"errcode": 0, "type": request.query["type"], "media_id": name})

    async def send_on_event(self, request: web.Request) -> web.Response:
        body = await request.json()
        if self.too_late or time.monotonic() - self.codes.pop(body["code"], 0.0) > 20:
            return web.json_response({"errcode": 95008, "errmsg": "code expired"})
        self.on_event.append(body)
        return web.json_response({"errcode": 0})

    async def state(self, request: web.Request) -> web.Response:
        shopper = (await request.json())["external_userid"]
        return web.json_response({"errcode": 0, "service_state": self.states[shopper]})

    async def change_state(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.trans.append(body)
        if self.refuse_trans:
            return web.json_response({"errcode": 95014, "errmsg": "nobody on duty"})
        allowed = {0: {1, 2, 3}, 1: {2, 3}, 2: {3}, 3: {3, 4}, 4: set()}
        now = self.states[body["external_userid"]]
        if body["service_state"] not in allowed[now]:
            return web.json_response({"errcode": 95016, "errmsg": "not allowed"})
        self.states[body["external_userid"]] = body["service_state"]
        return web.json_response({"errcode": 0, "msg_code": "CODE"})

    def write(self, text: str, shopper: str = "wmAnna", *, at: float | None = None, kfid: str = KFID) -> str:
        msgid = f"m{next(_ids)}"
        if self.states[shopper] == 4:
            self.states[shopper] = 0  # whoever writes after the end begins anew
        self.log[kfid].append(
            {"msgid": msgid, "open_kfid": kfid, "external_userid": shopper, "origin": 3, "msgtype": "text",
             "send_time": int(at or time.time()), "text": {"content": text}}
        )  # fmt: skip
        return msgid

    def event(self, kind: str, shopper: str = "wmAnna", **fields: Any) -> None:
        for name in ("welcome_code", "msg_code"):
            if name in fields:
                self.codes[fields[name]] = time.monotonic()
        self.log[KFID].append(
            {"msgid": f"e{next(_ids)}", "origin": 4, "msgtype": "event", "send_time": int(time.time()),
             "event": {"event_type": kind, "open_kfid": KFID, "external_userid": shopper, **fields}}
        )  # fmt: skip
