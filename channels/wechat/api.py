"""WeChat's REST interface: wechatpy's client, guarded, and off the event loop.

The guards answer what was found wrong with wechatpy 1.8.18: its retry on a bad token has no end, its
token request no timeout and no lock, its errors carry the secret in an address, an answer that is no JSON
comes back as an object of another kind. Tokens come from `stable_token` alone, live in the database so that
all processes use the same one, and are fetched once however many wait.
This module knows no conversation.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import requests
from sqlalchemy import BigInteger, Column, String, Table, Text, select
from sqlalchemy.ext.asyncio import AsyncEngine
from wechatpy import WeChatClient
from wechatpy.exceptions import WeChatClientException

from bot.database import metadata, now_ms
from bot.exceptions import ChannelError

logger = logging.getLogger(__name__)
T = TypeVar("T")

BAD_TOKEN = frozenset({40001, 40014, 42001})
CONFIGURATION = frozenset({40013, 40125, 40164, 61004, 40243, 89503})
WINDOW_CLOSED = frozenset({45015, 45047})
NOT_ALLOWED = frozenset({48001, 50002})
UNREACHABLE = frozenset({40003, 43004})
TYPING = frozenset({45072, 45080, 45081})
FILE_REFUSED = frozenset({40004, 40005, 40006, 40007, 40009, 40010, 45001, 45007})  # kind, size or length
BUSY = frozenset({-1, 45009, 45011})

REMEDIES = {
    40013: "the appid is wrong",
    40125: "the secret is wrong: reset it in the platform's console and set it again",
    40164: "this machine's address is not on the platform's IP allow-list: add it",
    61004: "this machine's address is not on the platform's IP allow-list: add it",
    40243: "the secret is frozen: unfreeze it in the platform's console",
    89503: "an administrator of the account must confirm this machine's address",
    48001: "the account may not use the customer-service API: set passive_only",
    50002: "the account is restricted by the platform",
}

tokens = Table(
    "wechat_tokens",
    metadata,
    Column("appid", String(64), primary_key=True),
    Column("token", Text, nullable=False),
    Column("until", BigInteger, nullable=False),  # ms
)


class ApiError(ChannelError):
    """The platform refused. `code` is its errcode; None when it could not be reached at all.

    `unanswered`: the message left, and no answer came in time; the shopper may have it.
    Holds no address, token or secret, whatever the library's own error held.
    """

    def __init__(self, code: int | None, message: str, *, unanswered: bool = False) -> None:
        remedy = f" ({REMEDIES[code]})" if code in REMEDIES else ""
        super().__init__(f"WeChat {code if code is not None else 'unreachable'}: {message}{remedy}")
        self.code = code
        self.unanswered = unanswered


class GuardedClient(WeChatClient):
    """wechatpy's client with the token handed in from outside and no retry of its own."""

    def __init__(self, appid: str, secret: str, base_url: str, timeout: float) -> None:
        self.API_BASE_URL = base_url.rstrip("/") + "/cgi-bin/"
        super().__init__(appid, secret, timeout=timeout, auto_retry=False)
        # its DEBUG lines hold addresses, and the addresses hold the token
        logging.getLogger("urllib3").setLevel(logging.WARNING)
        self._http.trust_env = False  # a proxy variable meant for others must not see the secret
        self._current = threading.local()

    @property
    def access_token(self) -> str:
        token: str = self._current.token
        return token

    def fetch_access_token(self) -> None:
        raise AssertionError("tokens come from the token store")

    def with_token(self, token: str, call: Callable[[GuardedClient], T]) -> T:
        self._current.token = token
        try:
            return call(self)
        finally:
            self._current.token = ""

    def stable_token(self) -> tuple[str, int]:
        """(token, seconds it lives)."""
        answer = self._http.post(
            self.API_BASE_URL + "stable_token",
            json={
                "grant_type": "client_credential",
                "appid": self.appid,
                "secret": self.secret,
                "force_refresh": False,
            },
            timeout=self.timeout,
        )
        answer.raise_for_status()
        found = answer.json()
        if found.get("errcode"):
            raise WeChatClientException(int(found["errcode"]), found.get("errmsg"))
        return found["access_token"], int(found.get("expires_in", 7200))


class OfficialAccountApi:
    """The calls the channel makes, each with a timeout, each refused with an `ApiError`."""

    def __init__(
        self,
        engine: AsyncEngine,
        appid: str,
        secret: str,
        *,
        base_url: str = "https://api.weixin.qq.com",
        timeout: float = 5.0,
    ) -> None:
        self._engine = engine
        self._client = GuardedClient(appid, secret, base_url, timeout)
        self._appid = appid
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="wechat")
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def token(self, *, stale: str | None = None, ask: bool = False) -> str:
        """The token in force, fetched when there is none, when it is `stale`, or (`ask`) in any case.

        Raises:
            ApiError: the platform gives none.
        """
        found = None if ask else await self._stored()
        if found and found != stale:
            return found
        async with self._lock:
            found = None if ask else await self._stored()
            if found and found != stale:
                return found
            token, life = await self._run(self._client.stable_token)
            async with self._engine.begin() as connection:
                await connection.execute(tokens.delete().where(tokens.c.appid == self._appid))
                await connection.execute(
                    tokens.insert().values(appid=self._appid, token=token, until=now_ms() + life * 1000)
                )
            return token

    async def _stored(self) -> str | None:
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(
                    select(tokens.c.token).where(
                        # a minute early, so that none runs out on its way
                        tokens.c.appid == self._appid,
                        tokens.c.until > now_ms() + 60_000,
                    )
                )
            ).first()
        return row.token if row else None

    async def call(self, request: Callable[[GuardedClient], T], *, sends: bool = False) -> T:
        """One call (`sends`: of a message); with a fresh token once more when the platform says the token is bad.

        Raises:
            ApiError: refused, or not reached. After a second "bad token" it is raised, not repeated:
                a forced refresh would take the token from whoever else uses the account.
        """
        token = await self.token()
        try:
            return await self._run(lambda: self._client.with_token(token, request), sends=sends)
        except ApiError as exc:
            if exc.code not in BAD_TOKEN:
                raise
        token = await self.token(stale=token)
        return await self._run(lambda: self._client.with_token(token, request), sends=sends)

    async def _run(self, work: Callable[[], T], *, sends: bool = False) -> T:
        """In the pool, because the library blocks; its errors stripped of addresses."""
        loop = asyncio.get_running_loop()
        code: int | None
        unanswered = False
        try:
            return await loop.run_in_executor(self._pool, work)
        except WeChatClientException as exc:
            code, message = exc.errcode, str(exc.errmsg or "no answer in the platform's form")
        except requests.Timeout as exc:
            code, message = None, "no answer in time"
            unanswered = sends and isinstance(exc, requests.ReadTimeout)
        except requests.RequestException as exc:
            code, message = None, type(exc).__name__
        except (ValueError, KeyError, AttributeError, TypeError):
            code, message = None, "an answer that is not the platform's JSON"
        raise ApiError(code, message, unanswered=unanswered)

    async def send_text(self, openid: str, text: str) -> None:
        await self.call(lambda client: client.message.send_text(openid, text), sends=True)

    async def send_menu(self, openid: str, head: str, items: list[dict[str, str]], tail: str = "") -> None:
        data = {
            "touser": openid,
            "msgtype": "msgmenu",
            "msgmenu": {"head_content": head, "list": items, "tail_content": tail},
        }
        await self.call(lambda client: client.post("message/custom/send", data=data))

    async def send_file(self, openid: str, kind: str, name: str, content: bytes, content_type: str) -> None:
        """Upload (temporary, three days) and send an image or a voice; again when the platform has lost it."""

        async def work() -> None:
            media = await self.call(lambda client: client.media.upload(kind, (name, content, content_type)))

            def send(client: GuardedClient) -> Any:
                how = client.message.send_voice if kind == "voice" else client.message.send_image
                return how(openid, media["media_id"])

            await self.call(send, sends=True)

        try:
            await work()
        except ApiError as exc:
            if exc.code != 40007:
                raise
            await work()

    async def typing(self, openid: str, on: bool) -> None:
        data = {"touser": openid, "command": "Typing" if on else "CancelTyping"}
        await self.call(lambda client: client.post("message/custom/typing", data=data))

    async def download(self, media_id: str, limit: int) -> bytes:
        """A shopper's picture or voice.

        Raises:
            ApiError: gone, too large (more than `limit` bytes), or refused.
        """

        def work(client: GuardedClient) -> bytes:
            answer = client.get(
                "media/get", params={"media_id": media_id, "access_token": client.access_token}
            )
            if isinstance(answer, dict):
                raise WeChatClientException(int(answer.get("errcode", 40007)), "no such media")
            if len(answer.content) > limit:
                raise WeChatClientException(45001, "media is too large")
            return bytes(answer.content)

        return await self.call(work)

    async def make_qr(self, scene: str, seconds: int = 2_592_000) -> str:
        """Address of a QR picture that brings `scene` (1-64 characters) back on follow or scan."""
        data = {
            "expire_seconds": seconds,
            "action_name": "QR_STR_SCENE",
            "action_info": {"scene": {"scene_str": scene}},
        }
        answer = await self.call(lambda client: client.post("qrcode/create", data=data))
        return "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=" + str(answer["ticket"])
