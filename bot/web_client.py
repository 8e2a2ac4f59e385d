"""A client of the web chat (docs/web-chat.md): what `kefu chat`, `kefu bench` and the tests speak with.

It knows the protocol between page and gateway, nothing behind it: as any other page it gets texts,
buttons with opaque tokens, and cards.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from bot.exceptions import ChannelError

# A turn's replies are stored together and sent one right after the other.
QUIET = 0.15  # seconds of silence after which a turn's replies are taken to be complete
IDENTITY_LIFE = 3600  # seconds


@dataclass(frozen=True)
class Button:
    title: str
    token: str


@dataclass(frozen=True)
class WebReply:
    """One line of the conversation that is not the shopper's."""

    seq: int
    author: str
    text: str = ""
    buttons: tuple[Button, ...] = ()
    card: dict[str, Any] | None = None
    image: str | None = None
    citations: tuple[tuple[str, str], ...] = ()
    receipts: tuple[str, ...] = ()
    language: str | None = None
    owner: str = "bot"  # of the conversation, after this turn

    def as_dict(self) -> dict[str, Any]:
        """For scripts: everything but the buttons' tokens."""
        return {
            "seq": self.seq,
            "author": self.author,
            "text": self.text,
            "buttons": [button.title for button in self.buttons],
            "card": self.card,
            "image": self.image,
            "citations": [list(citation) for citation in self.citations],
            "receipts": list(self.receipts),
            "language": self.language,
            "owner": self.owner,
        }


def sign_identity(customer: str, site: str, secret: str) -> str:
    """The token with which a shop vouches for a signed-in customer; good for an hour."""
    import jwt

    now = int(time.time())
    claims = {"sub": customer, "aud": site, "iat": now, "exp": now + IDENTITY_LIFE - 60}
    return str(jwt.encode(claims, secret, algorithm="HS256"))


class WebClient:
    """One shopper's page. Use as `async with WebClient(url) as shopper: await shopper.say("hello")`.

    Args:
        url: the gateway, for example ``http://127.0.0.1:8080``.
        token: of an earlier visit; None begins as somebody new.
        identity: signed by the shop for a signed-in customer (`sign_identity`).
        timeout: seconds to wait for the replies to a message.
    """

    def __init__(
        self,
        url: str,
        *,
        site: str = "demo",
        token: str | None = None,
        identity: str | None = None,
        locale: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        self.url = url.rstrip("/")
        self.site = site
        self.token = token
        self.owner = "bot"
        self.conversation = ""
        self.signed_in = False
        self.buttons: tuple[Button, ...] = ()  # of the last reply that had some
        self.seq = 0  # of the last line seen
        self.timings: list[float] = []  # seconds from sending to the first reply, per answered message
        self._identity = identity
        self._locale = locale
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._lines: asyncio.Queue[WebReply | ChannelError] = asyncio.Queue()
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Open the socket, or open it again from the last line seen.

        Raises:
            ChannelError: nobody listens there, or the gateway does not let us in.
        """
        await self._hang_up()
        self._forget_old_end()
        if self._session is None:
            self._session = aiohttp.ClientSession()
        try:
            self._socket = await self._session.ws_connect(
                f"{self.url}/web/socket?site={quote(self.site)}",
                headers={"Origin": self.url},
                heartbeat=25,
                timeout=aiohttp.ClientWSTimeout(ws_close=3),
            )
        except aiohttp.WSServerHandshakeError as exc:
            await self.close()
            raise ChannelError(
                f"The gateway at {self.url} refused the chat (HTTP {exc.status}). "
                f"Remedy: add {self.url} to the origins of site {self.site!r}, or correct --site."
            ) from exc
        except (aiohttp.ClientError, OSError) as exc:
            await self.close()
            raise ChannelError(
                f"Nobody answers at {self.url}. Remedy: start everything with `kefu up`."
            ) from exc
        hello: dict[str, Any] = {"type": "hello"}
        if self.token:
            hello["token"] = self.token
        if self._identity:
            hello["identity"] = self._identity
        if self._locale:
            hello["locale"] = self._locale
        if self.conversation:
            hello |= {"conversation": self.conversation, "last_seq": self.seq}
        await self._socket.send_json(hello)
        welcome = await self._first_frame(self._socket)
        self.token = welcome["token"]
        self.conversation = welcome["conversation"]
        self.owner = welcome["owner"]
        self.signed_in = bool(welcome.get("signed_in"))
        # History of an earlier visit is not an answer to what is said now.
        self.seq = self.seq or int(welcome["seq"])
        self._reader = asyncio.create_task(self._read(self._socket))

    def _forget_old_end(self) -> None:
        """That the last connection ended is no news on the next one; replies that came before it still are."""
        waiting = [self._lines.get_nowait() for _ in range(self._lines.qsize())]
        for line in waiting:
            if not isinstance(line, ChannelError):
                self._lines.put_nowait(line)

    async def _first_frame(self, socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
        try:
            frame: dict[str, Any] = await socket.receive_json(timeout=10)
        except (TypeError, ValueError, TimeoutError) as exc:
            await self.close()
            raise ChannelError(f"The gateway at {self.url} closed the chat before it began.") from exc
        if frame.get("type") != "welcome":
            await self.close()
            raise ChannelError(
                f"The gateway at {self.url} did not accept us ({frame.get('code', 'unknown')}). "
                "Remedy: start a new conversation, or sign the identity with the site's secret."
            )
        return frame

    async def close(self) -> None:
        await self._hang_up()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _hang_up(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
            self._reader = None
        if self._socket is not None:
            await self._socket.close()
            self._socket = None

    # --- what comes in -----------------------------------------------------------------------

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            frame: dict[str, Any] = json.loads(message.data)
            if frame.get("type") in ("ack", "error"):
                waiting = self._answers.pop(str(frame.get("client_id")), None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(frame)
                elif frame["type"] == "error":
                    self._lines.put_nowait(ChannelError(f"The gateway says {frame.get('code')}: {frame}"))
            elif frame.get("type") == "event":
                self._event(frame)
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(self._gone())
        self._lines.put_nowait(self._gone())

    def _gone(self) -> ChannelError:
        return ChannelError(f"The gateway at {self.url} closed the connection. Remedy: connect again.")

    def _event(self, frame: dict[str, Any]) -> None:
        if frame["seq"] <= self.seq:
            return
        self.seq = frame["seq"]
        if frame["kind"] == "owner":
            self.owner = frame["owner"]
        elif frame["kind"] == "message" and frame["author"] != "shopper":
            buttons = tuple(Button(one["title"], one["token"]) for one in frame.get("buttons") or ())
            if buttons:
                self.buttons = buttons
            self._lines.put_nowait(
                WebReply(
                    seq=frame["seq"],
                    author=frame["author"],
                    text=frame.get("text", ""),
                    buttons=buttons,
                    card=frame.get("card"),
                    image=frame.get("image"),
                    citations=tuple((one[0], one[1]) for one in frame.get("citations") or ()),
                    receipts=tuple(frame.get("receipts") or ()),
                    language=frame.get("language"),
                    owner=self.owner,
                )
            )

    async def listen(self) -> AsyncIterator[WebReply]:
        """Every reply as it comes, until the connection ends.

        Raises:
            ChannelError: the connection ended.
        """
        while True:
            line = await self._lines.get()
            if isinstance(line, ChannelError):
                raise line
            yield line

    # --- what goes out -----------------------------------------------------------------------

    async def send(self, text: str, *, client_id: str | None = None) -> int:
        """Send a message and return its sequence number once the gateway has stored it."""
        return await self._send({"type": "message", "text": text}, client_id)

    async def send_file(self, data: bytes, text: str = "", *, client_id: str | None = None) -> int:
        """Upload a picture or another file and send it, with words if there are any.

        Raises:
            ChannelError: the gateway does not take the file.
        """
        if self._session is None:
            raise self._gone()
        query, headers = f"?site={quote(self.site)}", {"Origin": self.url}
        hello = {"token": self.token, "identity": self._identity}
        async with self._session.post(
            f"{self.url}/web/session{query}", json=hello, headers=headers
        ) as response:
            session = (await response.json())["session"]
        headers["Authorization"] = f"Bearer {session}"
        async with self._session.post(
            f"{self.url}/web/upload{query}", data=data, headers=headers
        ) as response:
            found = await response.json()
        if "slip" not in found:
            raise ChannelError(f"The gateway refused a file: {found.get('code')}, {found.get('message')}")
        return await self._send({"type": "message", "text": text, "media": [found["slip"]]}, client_id)

    async def send_press(self, button: Button | str | int, *, client_id: str | None = None) -> int:
        """Press a button of the last reply that had some: itself, its title, or its number from 1."""
        return await self._send({"type": "press", "token": self.find_button(button).token}, client_id)

    def find_button(self, button: Button | str | int) -> Button:
        if isinstance(button, Button):
            return button
        if isinstance(button, int) and 1 <= button <= len(self.buttons):
            return self.buttons[button - 1]
        for one in self.buttons:
            if one.title == button:
                return one
        raise ChannelError(f"There is no button {button!r}; there are {[one.title for one in self.buttons]}.")

    async def _send(self, frame: dict[str, Any], client_id: str | None) -> int:
        if self._socket is None:
            raise self._gone()
        client_id = client_id or secrets.token_hex(12)
        if self._locale:
            frame = {**frame, "locale": self._locale}
        while True:
            answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
            self._answers[client_id] = answer
            await self._socket.send_json({**frame, "client_id": client_id})
            try:
                found = await asyncio.wait_for(answer, self._timeout)
            except TimeoutError as exc:
                raise ChannelError(
                    f"The gateway at {self.url} did not store a message within {self._timeout:g} s."
                ) from exc
            if found["type"] == "ack":
                return int(found["seq"])
            if found.get("code") != "rate":
                raise ChannelError(
                    f"The gateway refused a message: {found.get('code')}, {found.get('message')}"
                )
            await asyncio.sleep(float(found.get("retry_after") or 1))

    async def say(self, text: str) -> list[WebReply]:
        """Send a message and wait for the replies to it; none when a person owns the conversation."""
        started = time.perf_counter()
        return await self.replies(await self.send(text), started)

    async def press(self, button: Button | str | int) -> list[WebReply]:
        """Press a button and wait for the replies."""
        started = time.perf_counter()
        return await self.replies(await self.send_press(button), started)

    async def replies(self, after: int, started: float | None = None) -> list[WebReply]:
        """The replies of the turn that answers line `after`.

        Raises:
            ChannelError: none came in time, although the bot owns the conversation.
        """
        found: list[WebReply] = []
        deadline = time.perf_counter() + (self._timeout if self.owner == "bot" else 1.0)
        while True:
            patience = QUIET if found else deadline - time.perf_counter()
            try:
                line = await asyncio.wait_for(self._lines.get(), patience)
            except TimeoutError as exc:
                if found or self.owner != "bot":
                    return [_with_owner(reply, self.owner) for reply in found]
                raise ChannelError(f"No reply within {self._timeout:g} s.") from exc
            if isinstance(line, ChannelError):
                raise line
            if line.seq > after:
                if not found and started is not None:
                    self.timings.append(time.perf_counter() - started)
                found.append(line)

    async def waiting(self, timeout: float) -> list[WebReply]:
        """What has come in without being asked for, within `timeout` seconds.

        Raises:
            ChannelError: the connection ended.
        """
        found: list[WebReply] = []
        deadline = time.perf_counter() + timeout
        while True:
            try:
                line = await asyncio.wait_for(self._lines.get(), max(0.0, deadline - time.perf_counter()))
            except TimeoutError:
                return [_with_owner(reply, self.owner) for reply in found]
            if isinstance(line, ChannelError):
                raise line
            found.append(line)


def _with_owner(reply: WebReply, owner: str) -> WebReply:
    # The change of owner is the line after the reply that announces it.
    return WebReply(**{**reply.__dict__, "owner": owner})
