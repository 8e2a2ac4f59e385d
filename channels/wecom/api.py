"""WeCom's REST calls, with the token that all gateways share. Numbers and rules: docs/wecom.md."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
from sqlalchemy import select

from bot.database import now_ms
from bot.exceptions import ChannelError
from bot.settings import WecomSettings
from channels.gateway import Gateway
from channels.wechat.api import BAD_TOKEN, tokens


class WecomError(ChannelError):
    """The platform refused (`code` is its errcode), or could not be reached (None). Holds no secret."""

    def __init__(self, code: int | None, message: str) -> None:
        super().__init__(f"WeCom {code if code is not None else 'unreachable'}: {message}")
        self.code = code


class WecomApi:
    """The platform's REST calls of one configured enterprise."""

    def __init__(self, gateway: Gateway, name: str, settings: WecomSettings) -> None:
        self._engine = gateway.store.engine
        self._settings = settings
        self._key = f"wecom:{settings.corpid}:{name}"[:64]
        self._lock = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """One POST; once more with a fresh token when the platform says that it is bad.

        Raises:
            WecomError: refused, or not reached.
        """
        token = await self._token()
        try:
            return await self._post(path, token, body)
        except WecomError as exc:
            if exc.code not in BAD_TOKEN:
                raise
        return await self._post(path, await self._token(stale=token), body)

    async def download(self, media_id: str, limit: int) -> bytes:
        """A shopper's file.

        Raises:
            WecomError: gone, larger than `limit` bytes, or not reached.
        """
        query = {"access_token": await self._token(), "media_id": media_id}
        try:
            async with self._http().get(self._url("media/get"), params=query) as response:
                data = await response.content.read(limit + 1)
                if response.content_type == "application/json":
                    raise WecomError(40007, "no such media")
        except (TimeoutError, aiohttp.ClientError) as exc:
            raise WecomError(None, type(exc).__name__) from None
        if len(data) > limit:
            raise WecomError(45001, "media is too large")
        return data

    async def upload(self, kind: str, name: str, content: bytes, content_type: str) -> str:
        """Keep a file with the platform for three days; its name there.

        Raises:
            WecomError: refused, or not reached.
        """
        token = await self._token()
        try:
            return await self._upload(token, kind, name, content, content_type)
        except WecomError as exc:
            if exc.code not in BAD_TOKEN:
                raise
        return await self._upload(await self._token(stale=token), kind, name, content, content_type)

    async def _upload(self, token: str, kind: str, name: str, content: bytes, content_type: str) -> str:
        form = aiohttp.FormData()
        form.add_field("media", content, filename=name, content_type=content_type)
        query = {"access_token": token, "type": kind}
        return str(
            (await self._answer(self._http().post(self._url("media/upload"), params=query, data=form)))[
                "media_id"
            ]
        )

    def _url(self, path: str) -> str:
        return f"{self._settings.base_url.rstrip('/')}/cgi-bin/{path}"

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._settings.timeout))
        return self._session

    async def check(self) -> None:
        """Ask for a token, whatever token there is: says whether secret and address are right now.

        Raises:
            WecomError: they are not, or the platform is not reached.
        """
        await self._token(ask=True)

    async def _token(self, *, stale: str | None = None, ask: bool = False) -> str:
        async with self._lock:
            async with self._engine.connect() as connection:
                row = (
                    await connection.execute(
                        select(tokens.c.token).where(
                            tokens.c.appid == self._key, tokens.c.until > now_ms() + 60_000
                        )
                    )
                ).first()
            if row and row.token != stale and not ask:
                return str(row.token)
            query = {"corpid": self._settings.corpid, "corpsecret": self._settings.secret}
            found = await self._answer(self._http().get(self._url("gettoken"), params=query))
            life = int(found.get("expires_in", 7200)) * 1000
            async with self._engine.begin() as connection:
                await connection.execute(tokens.delete().where(tokens.c.appid == self._key))
                await connection.execute(
                    tokens.insert().values(
                        appid=self._key, token=found["access_token"], until=now_ms() + life
                    )
                )
            return str(found["access_token"])

    async def _post(self, path: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
        # the platform refuses \\uXXXX, which aiohttp's own json= would write
        data = json.dumps(body, ensure_ascii=False).encode()
        return await self._answer(
            self._http().post(self._url(path), params={"access_token": token}, data=data)
        )

    async def _answer(self, request: Any) -> dict[str, Any]:
        try:
            async with request as response:
                found = json.loads(await response.read())
        except (TimeoutError, aiohttp.ClientError) as exc:
            raise WecomError(None, type(exc).__name__) from None  # its text holds the address
        except ValueError:
            raise WecomError(None, "an answer that is no JSON") from None
        if not isinstance(found, dict):
            raise WecomError(None, "an answer that is no JSON object")
        if found.get("errcode"):
            raise WecomError(int(found["errcode"]), str(found.get("errmsg", "refused"))[:200])
        return found
