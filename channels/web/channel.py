"""The web chat's side of the gateway: WebSocket, event stream with POST, files.

The protocol is written down in docs/web-chat.md. The event log is the delivery: a connection knows the
last line it has, gets every later one, and a client that lost its connection asks from where it was.
Live and after a reconnect are therefore the same code.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Sequence
from typing import Any

from aiohttp import ClientConnectionResetError, WSMsgType, web

from bot.exceptions import ChannelError, TokenRejected, TooMany
from bot.message import Attachment
from bot.settings import Settings
from channels import pages
from channels.channel import Capabilities, Conversation, Delivery, OutboxMessage
from channels.gateway import Gateway
from channels.media import MediaStore
from channels.tokens import Tokens
from channels.web.access import CHANNEL, Access
from channels.web.connection import Close, Connection, Connections, Send
from channels.web.files import Files
from channels.web.frames import HISTORY, Frames
from channels.web.replies import answer, body_of, cors, error, refuse

logger = logging.getLogger(__name__)

TROUBLE, AUTH, RATE = 1011, 4401, 4429  # close codes
MAX_FRAME = 64 * 1024  # bytes
RING = 300  # a client further behind than this starts afresh
_MAX_OFFENCES = 20  # refused frames on one connection before it is closed


class WebChannel:
    """`channels.channel.Channel` for the web chat."""

    name = CHANNEL
    capabilities = Capabilities(buttons=True, cards=True, typing=True)

    def __init__(
        self,
        gateway: Gateway,
        settings: Settings,
        tokens: Tokens,
        media: MediaStore,
        *,
        heartbeat: float = 25.0,
    ) -> None:
        self.gateway = gateway
        self.settings = settings
        self.tokens = tokens
        self.media = media
        self.access = Access(gateway, settings, tokens)
        self.frames = Frames(gateway, tokens, settings.media.link_life)
        self.files = Files(gateway, settings, tokens, media, self.access)
        self.connections = Connections(gateway.wake)
        self._heartbeat = heartbeat
        self._used_tickets: dict[str, float] = {}
        self._stopping = asyncio.Event()

    def routes(self, app: web.Application) -> None:
        pages.routes(app, self.settings)
        app.router.add_get("/web/socket", self._socket)
        app.router.add_post("/web/session", self._session)
        app.router.add_get("/web/stream", self._stream)
        app.router.add_post("/web/send", self._send)
        app.router.add_post("/web/upload", self.files.upload)
        for path in ("/web/session", "/web/send", "/web/upload", "/web/stream"):
            app.router.add_route("OPTIONS", path, self._preflight)
        app.router.add_get("/media/{media_id}", self.files.show)
        app.on_shutdown.append(self._on_shutdown)

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        self._stopping.set()

    async def deliver(self, conversation: Conversation, messages: Sequence[OutboxMessage]) -> Delivery:
        """The event log has it already; open pages are told to look."""
        self.gateway.wake.wake(conversation.id)
        return Delivery()

    async def typing(self, conversation: Conversation, on: bool) -> None:
        self.gateway.wake.wake(conversation.id, typing=on)

    async def fetch(self, conversation: Conversation, file: str) -> Attachment:
        raise ChannelError("A page uploads its files before it speaks of them")

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        site = request.query.get("site", "")
        if not self.access.origin_allowed(request, site):
            return refuse(403, "origin", "This page is not on the site's list of origins")
        socket = web.WebSocketResponse(heartbeat=self._heartbeat, max_msg_size=MAX_FRAME)
        await socket.prepare(request)

        async def send(frame: dict[str, Any]) -> None:
            await socket.send_str(json.dumps(frame, ensure_ascii=False, separators=(",", ":")))

        verdict: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

        async def close(code: int, reason: str) -> None:
            if not verdict.done():
                verdict.set_result((code, reason))

        # Nobody may be reading when the socket is closed, or aiohttp drops it without a handshake.
        talk = asyncio.create_task(self._talk(request, site, socket, send, close))
        try:
            await asyncio.wait((talk, verdict), return_when=asyncio.FIRST_COMPLETED)
        finally:
            talk.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await talk
        if verdict.done():
            code, reason = verdict.result()
            await socket.close(code=code, message=reason.encode()[:120])
        return socket

    async def _talk(
        self,
        request: web.Request,
        site: str,
        socket: web.WebSocketResponse,
        send: Send,
        close: Close,
    ) -> None:
        """From hello to the end of a connection."""
        try:
            hello = await asyncio.wait_for(_hello(socket), 10)
        except TimeoutError:
            hello = None
        if hello is None:
            await close(AUTH, "hello expected")
            return
        try:
            visitor, token, conversation = await self.access.authenticate(hello, site)
        except TokenRejected as exc:
            code = "identity" if hello.get("identity") else "token"
            logger.info("web.token_rejected site=%s reason=%s", site, exc)
            await send({"type": "error", "code": code, "message": "Not accepted"})
            await close(AUTH, code)
            return
        connection = Connection(visitor, conversation.id, self.access.source(request), send, close)
        try:
            async with self.connections.counted(connection):
                await self._welcome(connection, conversation, token, hello)
                pump = asyncio.create_task(self._pump(connection))
                try:
                    await self._read(socket, connection)
                finally:
                    await _end(connection, pump)
        except TooMany:
            await close(RATE, "too many connections")
        except ConnectionError:
            pass  # the page went away while something was being sent

    async def _read(self, socket: web.WebSocketResponse, connection: Connection) -> None:
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            for told in await self.frames.act(connection, message.data):
                await connection.send(told)
            if connection.offences >= _MAX_OFFENCES:
                await connection.close(RATE, "too many frames")
                return

    async def _welcome(
        self, connection: Connection, conversation: Conversation, token: str, hello: dict[str, Any]
    ) -> None:
        """Say who we talk to and from which line on the events come."""
        last = hello.get("last_seq")
        same = hello.get("conversation") in (None, conversation.id)
        fresh = (
            not isinstance(last, int) or not same or last > conversation.seq or conversation.seq - last > RING
        )
        start = await self.gateway.store.first_of_last(conversation.id, HISTORY) if fresh else int(last or 0)
        connection.sent_seq = max(0, start)
        owner = await self.gateway.owner(conversation.id)
        await connection.send(
            {
                "type": "welcome",
                "token": token,
                "session": self.tokens.ticket(connection.visitor, "session", 3600),
                "conversation": conversation.id,
                "fresh": fresh,
                "from_seq": connection.sent_seq,
                "seq": conversation.seq,
                "read_seq": conversation.read_seq,
                "owner": owner.owner,
                "agent": owner.agent,
                "name": connection.visitor.name,
                "signed_in": connection.visitor.customer is not None,
                "max_text": 2000,
                "max_upload": self.media.max_bytes,
            }
        )
        connection.look.set()

    async def _pump(self, connection: Connection) -> None:
        """Send what is new until the connection ends. A page that can be told nothing more has to come again."""
        try:
            await self._send_lines(connection)
        except ClientConnectionResetError:
            pass  # the page went away while something was being sent
        except Exception as exc:  # the outermost door of this task; left open, the page would be deaf
            logger.warning("web.pump_failed conversation=%s reason=%r", connection.conversation, exc)
            await connection.close(TROUBLE, "trouble")

    async def _send_lines(self, connection: Connection) -> None:
        """Send every later line, whenever there is one; end with the identity."""
        while True:
            expires = connection.visitor.expires
            try:
                await asyncio.wait_for(
                    connection.look.wait(), None if expires is None else max(0.0, expires - time.time())
                )
            except TimeoutError:
                await connection.send(
                    {"type": "error", "code": "identity_expired", "message": "Sign in again"}
                )
                await connection.close(AUTH, "identity_expired")
                return
            if connection.gone:
                return
            connection.look.clear()
            signals, connection.signals = connection.signals, []
            for signal in signals:
                if signal.get("left") == connection.visitor.shopper:  # signed in on another page
                    await connection.close(AUTH, "moved")
                    return
            while True:
                lines = await self.gateway.store.events_after(connection.conversation, connection.sent_seq)
                for line in lines:
                    await connection.send(self.frames.event(line))
                    connection.sent_seq = line.seq
                if len(lines) < 200:
                    break
            typing = [signal["typing"] for signal in signals if "typing" in signal]
            if typing:
                await connection.send({"type": "typing", "on": bool(typing[-1])})

    async def _session(self, request: web.Request) -> web.Response:
        """`hello` as POST: who you are, and a ticket for the stream."""
        body, site = await self._post(request)
        try:
            visitor, token, conversation = await self.access.authenticate(body, site)
        except TokenRejected as exc:
            logger.info("web.token_rejected site=%s reason=%s", site, exc)
            code = "identity" if body.get("identity") else "token"
            return answer(request, error(code, "Not accepted"), 401)
        told: list[dict[str, Any]] = []

        async def keep(frame: dict[str, Any]) -> None:
            told.append(frame)

        connection = Connection(visitor, conversation.id, "", keep, _no_close)
        await self._welcome(connection, conversation, token, body)
        return answer(
            request,
            {**told[0], "ticket": self.tokens.ticket(visitor, "stream", 60)},
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        site = request.query.get("site", "")
        if not self.access.origin_allowed(request, site):
            return refuse(403, "origin", "This page is not on the site's list of origins")
        ticket = request.query.get("ticket", "")
        try:
            visitor = self.tokens.from_ticket(ticket, "stream")
        except (TokenRejected, ValueError):
            return answer(request, error("ticket", "Ask for another ticket"), 401)
        if visitor.site != site or ticket in self._used_tickets:
            return answer(request, error("ticket", "Ask for another ticket"), 401)
        now = time.time()
        self._used_tickets = {used: at for used, at in self._used_tickets.items() if at > now - 120}
        self._used_tickets[ticket] = now
        conversation = await self.gateway.store.find_conversation(self.name, site, visitor.shopper)
        if conversation is None:
            return answer(request, error("ticket", "Ask for another ticket"), 401)
        last = request.headers.get("Last-Event-ID") or request.query.get("last_seq") or "0"
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
                **cors(request),
            }
        )
        await response.prepare(request)
        gone = asyncio.Event()

        async def send(frame: dict[str, Any]) -> None:
            line = f"id: {frame['seq']}\n" if frame["type"] == "event" else ""
            data = json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
            await response.write(f"{line}data: {data}\n\n".encode())

        async def close(code: int, reason: str) -> None:
            gone.set()
            with contextlib.suppress(ConnectionError):
                await send({"type": "close", "code": code, "reason": reason})

        connection = Connection(visitor, conversation.id, self.access.source(request), send, close)
        connection.sent_seq = int(last) if last.isdecimal() else 0
        try:
            async with self.connections.counted(connection):
                await response.write(b"retry: 2000\n\n")
                connection.look.set()
                pump = asyncio.create_task(self._pump(connection))
                try:
                    while not (gone.is_set() or self._stopping.is_set() or pump.done()):
                        with contextlib.suppress(asyncio.TimeoutError):
                            await asyncio.wait_for(gone.wait(), min(15.0, self._heartbeat))
                            break
                        await response.write(b": still here\n\n")
                finally:
                    await _end(connection, pump)
        except TooMany:
            with contextlib.suppress(ConnectionError):
                await send({"type": "close", "code": RATE, "reason": "too many connections"})
        except ConnectionError:
            pass  # the page went away
        return response

    async def _send(self, request: web.Request) -> web.Response:
        """One frame by POST; the answer is the frames the socket would have sent."""
        body, site = await self._post(request)
        known = await self.access.by_session(request, site)
        if known is None:
            return answer(request, error("session", "Open a new session"), 401)
        visitor, conversation = known
        connection = Connection(visitor, conversation.id, self.access.source(request), _no_send, _no_close)
        answers = await self.frames.act(connection, json.dumps(body.get("frame")))
        rate = next((one for one in answers if one.get("code") == "rate"), None)
        headers = {"Retry-After": str(int(rate["retry_after"]) + 1)} if rate else {}
        return answer(request, {"frames": answers}, 429 if rate else 200, headers)

    async def _post(self, request: web.Request) -> tuple[dict[str, Any], str]:
        site = request.query.get("site", "")
        if not self.access.origin_allowed(request, site):
            raise web.HTTPForbidden(text='{"error":"origin"}', content_type="application/json")
        raw = await body_of(request, MAX_FRAME)
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise web.HTTPBadRequest(
                text='{"error":"bad_frame"}', content_type="application/json", headers=cors(request)
            )
        return body, site

    async def _preflight(self, request: web.Request) -> web.Response:
        if not self.access.origin_allowed(request, request.query.get("site", "")):
            return refuse(403, "origin", "This page is not on the site's list of origins")
        return web.Response(
            status=204,
            headers={
                **cors(request),
                "Access-Control-Allow-Methods": "GET, POST",
                "Access-Control-Allow-Headers": "Authorization, Content-Type, Last-Event-ID",
                "Access-Control-Max-Age": "600",
            },
        )

    async def _on_shutdown(self, _: web.Application) -> None:
        self._stopping.set()
        await self.connections.close(1001, "restart")


async def _hello(socket: web.WebSocketResponse) -> dict[str, Any] | None:
    message = await socket.receive()
    if message.type is not WSMsgType.TEXT:
        return None
    try:
        frame = json.loads(message.data)
    except (ValueError, RecursionError):
        return None
    return frame if isinstance(frame, dict) and frame.get("type") == "hello" else None


async def _end(connection: Connection, pump: asyncio.Task[None]) -> None:
    """Let the pump end between two lines: a query that is cut off leaves a broken database connection."""
    connection.gone = True
    connection.look.set()
    _, running = await asyncio.wait((pump,), timeout=2)
    if running:
        pump.cancel()
    with contextlib.suppress(asyncio.CancelledError, ConnectionError):
        await pump


async def _no_send(frame: dict[str, Any]) -> None:
    return None


async def _no_close(code: int, reason: str) -> None:
    return None
