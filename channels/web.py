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
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientConnectionResetError, WSMsgType, web

from bot.database import now_ms
from bot.exceptions import ChannelError, MediaRefused, StorageUnavailable, TokenRejected, TooMany
from bot.message import Attachment, Inbound
from bot.settings import Settings
from channels import pages
from channels.channel import Capabilities, Conversation, Delivery, OutboxMessage
from channels.gateway import Gateway
from channels.limits import Limit
from channels.linking import link_by_identity, someone_elses
from channels.media import KINDS, MediaStore
from channels.store import Event
from channels.tables import events
from channels.tokens import Tokens, Visitor

logger = logging.getLogger(__name__)

TROUBLE, AUTH, REPLACED, RATE = 1011, 4401, 4408, 4429  # close codes
MAX_FRAME = 64 * 1024  # bytes
HISTORY = 50  # lines a fresh page starts with
RING = 300  # a client further behind than this starts afresh
MAX_CONNECTIONS = 8  # per shopper; the oldest gives way
MAX_CONNECTIONS_SOURCE = 200
_MAX_OFFENCES = 20  # refused frames on one connection before it is closed

Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(eq=False)
class Connection:
    """One page at the other end, whichever transport."""

    visitor: Visitor
    conversation: str
    source: str
    send: Send
    close: Callable[[int, str], Awaitable[None]]
    sent_seq: int = 0
    offences: int = 0
    gone: bool = False
    look: asyncio.Event = field(default_factory=asyncio.Event)
    signals: list[dict[str, Any]] = field(default_factory=list)

    def on_wake(self, _conversation: str, signal: dict[str, Any]) -> None:
        if signal:
            self.signals.append(signal)
        self.look.set()


class WebChannel:
    """`channels.channel.Channel` for the web chat."""

    name = "web"
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
        self._heartbeat = heartbeat
        self._connections: dict[str, list[Connection]] = {}  # by site and shopper, oldest first
        self._sources: dict[str, int] = {}
        self._used_tickets: dict[str, float] = {}
        self._stopping = asyncio.Event()
        self._uploads = Limit("uploads", settings.gateway.uploads_per_day, 86_400)

    # Channel

    def routes(self, app: web.Application) -> None:
        pages.routes(app, self.settings)
        app.router.add_get("/web/socket", self._socket)
        app.router.add_post("/web/session", self._session)
        app.router.add_get("/web/stream", self._stream)
        app.router.add_post("/web/send", self._send)
        app.router.add_post("/web/upload", self._upload)
        for path in ("/web/session", "/web/send", "/web/upload", "/web/stream"):
            app.router.add_route("OPTIONS", path, self._preflight)
        app.router.add_get("/media/{media_id}", self._file)
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

    # who may speak

    def _origin_allowed(self, request: web.Request, site: str) -> bool:
        """A browser says where the page came from; a page of another origin needs the site's leave."""
        origin = request.headers.get("Origin")
        if origin is None and request.headers.get("Sec-Fetch-Site") == "same-origin":
            # A GET within one origin has no Origin; this header no script can set says that it is one.
            origin = f"{request.scheme}://{request.host}"
        settings = self.settings.sites.get(site)
        if settings is None or not origin:
            return False
        return origin in settings.origins or self._own_origin(request, origin)

    def _own_origin(self, request: web.Request, origin: str) -> bool:
        public = self.settings.gateway.public_url
        if public and urlsplit(origin).netloc == urlsplit(public).netloc:
            return True  # behind a proxy the scheme seen here is not the one outside
        # Only loopback names: a foreign name that resolves here (DNS rebinding) is not ours.
        host = urlsplit(origin).hostname or ""
        return host in ("127.0.0.1", "localhost", "::1") and urlsplit(origin).netloc == request.host

    def _source(self, request: web.Request) -> str:
        """The network address, hashed; behind trusted proxies the one they saw."""
        address = request.remote or ""
        forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
        if self.settings.gateway.proxies and forwarded[0]:
            address = forwarded[-min(self.settings.gateway.proxies, len(forwarded))]
        return self.tokens.source(address)

    async def _authenticate(self, hello: dict[str, Any], site: str) -> tuple[Visitor, str, Conversation]:
        """(who, visitor token, conversation). The token is a new one when none is given.

        A guest who signs in takes his conversation along, unless the customer has one already or it is linked with
        another customer's.

        Raises:
            TokenRejected: a token is given and is not good.
        """
        token = hello.get("token")
        if token is not None and not isinstance(token, str):
            raise TokenRejected("token must be a string")
        if token:
            guest = self.tokens.visitor(token, site)
        else:
            token, guest = self.tokens.new_visitor(site)
        visitor, before = guest, None
        identity = hello.get("identity")
        if identity:
            visitor = self.tokens.identity(str(identity), site)
            customer = visitor.customer or ""
            before = await self.gateway.store.find_conversation(self.name, site, guest.shopper)
            if before is None or not await someone_elses(self.gateway, before.id, customer):
                known = await self.gateway.store.adopt(
                    self.name, site, guest.shopper, visitor.shopper, customer
                )
                if known is not None:
                    self.gateway.wake.wake(known.id, left=guest.shopper)
                    before = None  # it came along
        locale = hello.get("locale")
        async with self.gateway.store.write() as connection:
            conversation = await self.gateway.store.open_conversation(
                connection, self.name, site, visitor.shopper,
                locale=str(locale)[:16] if locale else None, customer=visitor.customer,
            )  # fmt: skip
        if visitor.customer is not None:
            await link_by_identity(self.gateway, conversation, before)
        return visitor, token, conversation

    # WebSocket

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        site = request.query.get("site", "")
        if not self._origin_allowed(request, site):
            return _refuse(403, "origin", "This page is not on the site's list of origins")
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
        close: Callable[[int, str], Awaitable[None]],
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
            visitor, token, conversation = await self._authenticate(hello, site)
        except TokenRejected as exc:
            code = "identity" if hello.get("identity") else "token"
            logger.info("web.token_rejected site=%s reason=%s", site, exc)
            await send({"type": "error", "code": code, "message": "Not accepted"})
            await close(AUTH, code)
            return
        connection = Connection(visitor, conversation.id, self._source(request), send, close)
        try:
            async with self._connected(connection):
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
            for answer in await self._frame(connection, message.data):
                await connection.send(answer)
            if connection.offences >= _MAX_OFFENCES:
                await connection.close(RATE, "too many frames")
                return

    @contextlib.asynccontextmanager
    async def _connected(self, connection: Connection) -> Any:
        """Count the connection in and out; the shopper's oldest gives way to his newest."""
        if self._sources.get(connection.source, 0) >= MAX_CONNECTIONS_SOURCE:
            raise TooMany("Too many connections from one address", retry_after=30)
        key = f"{connection.visitor.site}|{connection.visitor.shopper}"
        mine = self._connections.setdefault(key, [])
        while len(mine) >= MAX_CONNECTIONS:
            oldest = mine.pop(0)
            asyncio.ensure_future(oldest.close(REPLACED, "opened elsewhere"))  # noqa: RUF006 - ends by itself
        mine.append(connection)
        self._sources[connection.source] = self._sources.get(connection.source, 0) + 1
        stop = self.gateway.wake.listen(connection.conversation, connection.on_wake)
        try:
            yield
        finally:
            stop()
            if connection in mine:
                mine.remove(connection)
            if not mine and self._connections.get(key) is mine:
                del self._connections[key]
            self._sources[connection.source] -= 1
            if not self._sources[connection.source]:
                del self._sources[connection.source]

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
                    await connection.send(self._event_frame(line))
                    connection.sent_seq = line.seq
                if len(lines) < 200:
                    break
            typing = [signal["typing"] for signal in signals if "typing" in signal]
            if typing:
                await connection.send({"type": "typing", "on": bool(typing[-1])})

    def _event_frame(self, line: Event) -> dict[str, Any]:
        """A line of the conversation as the page gets it; files get a link that expires."""
        body = dict(line.body)
        if body.get("media"):
            life = self.settings.media.link_life
            body["media"] = [
                {**item, "url": f"/media/{item['media_id']}?{self.tokens.sign_link(item['media_id'], life)}"}
                for item in body["media"]
            ]
        return {
            **body, "type": "event", "seq": line.seq, "kind": line.kind, "author": line.author, "at": line.at,
        }  # fmt: skip

    # frames

    async def _frame(self, connection: Connection, raw: str) -> list[dict[str, Any]]:
        """Act on one frame from a page and return what to answer. Unknown kinds are ignored."""
        expires = connection.visitor.expires
        if expires is not None and expires < time.time():
            return [_error("identity_expired", "Sign in again")]
        try:
            frame = json.loads(raw)
        except (ValueError, RecursionError):
            connection.offences += 1
            return [_error("bad_frame", "A frame is a JSON object")]
        if not isinstance(frame, dict):
            connection.offences += 1
            return [_error("bad_frame", "A frame is a JSON object")]
        handler = {
            "message": self._on_message,
            "press": self._on_press,
            "seen": self._on_seen,
            "history": self._on_history,
            "rating": self._on_rating,
            "ping": self._on_ping,
        }.get(str(frame.get("type")))
        if handler is None:
            return []
        try:
            return await handler(connection, frame)
        except TooMany as exc:
            connection.offences += 1
            return [
                {**_error("rate", "Too many messages"), "retry_after": exc.retry_after,
                 "client_id": frame.get("client_id")}
            ]  # fmt: skip
        except _BadFrame as exc:
            connection.offences += 1
            return [{**_error("bad_frame", str(exc)), "client_id": frame.get("client_id")}]

    async def _on_ping(self, connection: Connection, frame: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"type": "pong"}]

    async def _on_seen(self, connection: Connection, frame: dict[str, Any]) -> list[dict[str, Any]]:
        seq = frame.get("seq")
        if isinstance(seq, int) and 0 < seq < 2**31:
            await self.gateway.store.mark_read(connection.conversation, seq)
        return []

    async def _on_history(self, connection: Connection, frame: dict[str, Any]) -> list[dict[str, Any]]:
        before = frame.get("before")
        if not isinstance(before, int) or not 0 < before < 2**31:
            raise _BadFrame("before must be a sequence number")
        lines = await self.gateway.store.events_before(connection.conversation, before, HISTORY)
        return [
            {
                "type": "history",
                "before": before,
                "events": [self._event_frame(line) for line in lines],
                "more": len(lines) == HISTORY,
            }
        ]

    async def _on_message(self, connection: Connection, frame: dict[str, Any]) -> list[dict[str, Any]]:
        text = frame.get("text", "")
        if not isinstance(text, str):
            raise _BadFrame("text must be a string")
        attachments = await self._attachments(connection, frame.get("media") or [])
        if not text.strip() and not attachments:
            raise _BadFrame("A message has text or a file")
        return await self._accept(connection, frame, text=text, attachments=attachments)

    async def _on_press(self, connection: Connection, frame: dict[str, Any]) -> list[dict[str, Any]]:
        """A button: only the token comes back, the payload was never sent out."""
        pressed = await self.gateway.press(connection.conversation, str(frame.get("token", "")))
        if pressed is None:
            return [{**_error("button", "No such button"), "client_id": frame.get("client_id")}]
        title, payload = pressed
        return await self._accept(connection, frame, text=title, payload=payload)

    async def _accept(
        self,
        connection: Connection,
        frame: dict[str, Any],
        *,
        text: str,
        payload: str | None = None,
        attachments: tuple[Attachment, ...] = (),
    ) -> list[dict[str, Any]]:
        client_id = frame.get("client_id")
        if not isinstance(client_id, str) or not 8 <= len(client_id) <= 64 or not _plain(client_id):
            raise _BadFrame("client_id must be 8 to 64 letters, digits, - or _")
        visitor = connection.visitor
        received = await self.gateway.receive(
            Inbound(
                channel=self.name,
                account=visitor.site,
                shopper=visitor.shopper,
                # Bound to the conversation: nobody can block another's id by guessing it.
                dedup_key=f"{connection.conversation}:{client_id}",
                text=text,
                payload=payload,
                attachments=attachments,
                locale=str(frame["locale"])[:16] if frame.get("locale") else None,
                source=connection.source,
                customer=visitor.customer,
                at=now_ms(),
            ),
            refuse=True,
        )
        return [
            {
                "type": "ack",
                "client_id": client_id,
                "seq": received.seq,
                "id": received.message_id,
                "duplicate": received.duplicate,
            }
        ]

    async def _attachments(self, connection: Connection, media: Any) -> tuple[Attachment, ...]:
        """Files uploaded before, by the signed slip the upload was answered with."""
        if not isinstance(media, list) or len(media) > 5:
            raise _BadFrame("media must be a list of at most 5 slips")
        try:
            return tuple(
                Attachment.model_validate(self.tokens.open_slip(str(slip), connection.conversation))
                for slip in media
            )
        except (TokenRejected, ValueError) as exc:
            raise _BadFrame("A file does not belong to this conversation") from exc

    async def _on_rating(self, connection: Connection, frame: dict[str, Any]) -> list[dict[str, Any]]:
        """The answer to a `rating_request` line; once per request."""
        of, score, comment = frame.get("of"), frame.get("score"), frame.get("comment", "")
        if not isinstance(of, int) or not isinstance(score, int) or not 1 <= score <= 5:
            raise _BadFrame("of must be a sequence number and score 1 to 5")
        if not isinstance(comment, str) or len(comment) > 1000:
            raise _BadFrame("comment must be a string of at most 1000 characters")
        store = self.gateway.store
        body = {"of": of, "score": score, "comment": comment}
        async with store.write() as connection_:
            await store.lock(connection_, connection.conversation)
            mine = (
                await connection_.execute(
                    events.select().where(
                        events.c.conversation == connection.conversation,
                        events.c.kind.in_(("rating", "rating_request")),
                        events.c.seq >= of,
                    )
                )
            ).all()
            asked = any(row.seq == of and row.kind == "rating_request" for row in mine)
            answered = any(row.kind == "rating" and row.body.get("of") == of for row in mine)
            if asked and not answered:
                await store.add_event(connection_, connection.conversation, "rating", "shopper", body)
        if not asked:
            raise _BadFrame("Nobody asked for this rating")
        self.gateway.wake.wake(connection.conversation)
        if not answered:
            for hook in self.gateway.on_rating:
                await hook(connection.conversation, body)
        return [{"type": "ack", "client_id": frame.get("client_id"), "duplicate": answered}]

    # event stream and POST, for networks that let no WebSocket through

    async def _session(self, request: web.Request) -> web.Response:
        """`hello` as POST: who you are, and a ticket for the stream."""
        body, site = await self._post(request)
        try:
            visitor, token, conversation = await self._authenticate(body, site)
        except TokenRejected as exc:
            logger.info("web.token_rejected site=%s reason=%s", site, exc)
            code = "identity" if body.get("identity") else "token"
            return self._json(request, _error(code, "Not accepted"), 401)
        answer: list[dict[str, Any]] = []

        async def keep(frame: dict[str, Any]) -> None:
            answer.append(frame)

        connection = Connection(visitor, conversation.id, "", keep, _no_close)
        await self._welcome(connection, conversation, token, body)
        return self._json(
            request,
            {**answer[0], "ticket": self.tokens.ticket(visitor, "stream", 60)},
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        site = request.query.get("site", "")
        if not self._origin_allowed(request, site):
            return _refuse(403, "origin", "This page is not on the site's list of origins")
        ticket = request.query.get("ticket", "")
        try:
            visitor = self.tokens.from_ticket(ticket, "stream")
        except (TokenRejected, ValueError):
            return self._json(request, _error("ticket", "Ask for another ticket"), 401)
        if visitor.site != site or ticket in self._used_tickets:
            return self._json(request, _error("ticket", "Ask for another ticket"), 401)
        now = time.time()
        self._used_tickets = {used: at for used, at in self._used_tickets.items() if at > now - 120}
        self._used_tickets[ticket] = now
        conversation = await self.gateway.store.find_conversation(self.name, site, visitor.shopper)
        if conversation is None:
            return self._json(request, _error("ticket", "Ask for another ticket"), 401)
        last = request.headers.get("Last-Event-ID") or request.query.get("last_seq") or "0"
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
                **self._cors(request),
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

        connection = Connection(visitor, conversation.id, self._source(request), send, close)
        connection.sent_seq = int(last) if last.isdecimal() else 0
        try:
            async with self._connected(connection):
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
        connection = await self._by_session(request, site)
        if connection is None:
            return self._json(request, _error("session", "Open a new session"), 401)
        answers = await self._frame(connection, json.dumps(body.get("frame")))
        rate = next((answer for answer in answers if answer.get("code") == "rate"), None)
        headers = {"Retry-After": str(int(rate["retry_after"]) + 1)} if rate else {}
        return self._json(request, {"frames": answers}, 429 if rate else 200, headers)

    async def _by_session(self, request: web.Request, site: str) -> Connection | None:
        scheme, _, session = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            visitor = self.tokens.from_ticket(session, "session")
        except (TokenRejected, ValueError):
            return None
        if visitor.site != site or (visitor.expires is not None and visitor.expires < time.time()):
            return None
        conversation = await self.gateway.store.find_conversation(self.name, site, visitor.shopper)
        if conversation is None:
            return None
        return Connection(visitor, conversation.id, self._source(request), _no_send, _no_close)

    async def _upload(self, request: web.Request) -> web.Response:
        """Take one file. Authorization as for `/web/send`."""
        site = request.query.get("site", "")
        if not self._origin_allowed(request, site):
            return _refuse(403, "origin", "This page is not on the site's list of origins")
        connection = await self._by_session(request, site)
        if connection is None:
            return self._json(request, _error("session", "Open a new session"), 401)
        try:
            async with self.gateway.store.write() as counting:
                await self._uploads.take(counting, connection.conversation)
            data = await _body(request, self.media.max_bytes)
            attachment = await self.media.put(data, kinds=KINDS)
        except TooMany as exc:
            retry = {"Retry-After": str(int(exc.retry_after) + 1)}
            return self._json(request, _error("rate", "Too many files"), 429, retry)
        except StorageUnavailable as exc:
            logger.error("web.upload_failed reason=%s", exc)
            return self._json(request, _error("storage", "Files cannot be kept right now"), 503)
        except MediaRefused as exc:
            return self._json(request, _error(exc.code, str(exc)), 413 if exc.code == "too_big" else 415)
        slip = self.tokens.slip(attachment.model_dump(), connection.conversation)
        link = self.tokens.sign_link(attachment.media_id, self.settings.media.link_life)
        return self._json(
            request,
            {"slip": slip, **attachment.model_dump(), "url": f"/media/{attachment.media_id}?{link}"},
        )

    async def _file(self, request: web.Request) -> web.Response:
        media_id = request.match_info["media_id"]
        try:
            self.tokens.check_link(media_id, request.query.get("until", ""), request.query.get("sign", ""))
        except (TokenRejected, ValueError):
            return web.Response(status=403, text="This link is not valid any more.")
        try:
            found = await self.media.get(media_id)
        except StorageUnavailable as exc:
            logger.error("web.file_not_read reason=%s", exc)
            return web.Response(status=503, text="Files cannot be read right now.")
        if found is None:
            return web.Response(status=404, text="There is no such file.")
        data, content_type = found
        disposition = "inline" if content_type.startswith("image/") else "attachment"
        return web.Response(
            body=data,
            content_type=content_type,
            headers={
                "Content-Disposition": f'{disposition}; filename="{media_id}"',
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "default-src 'none'; sandbox",
                "Cross-Origin-Resource-Policy": "cross-origin",
                "Cache-Control": "private, max-age=600",
            },
        )

    # helpers of the above

    async def _post(self, request: web.Request) -> tuple[dict[str, Any], str]:
        site = request.query.get("site", "")
        if not self._origin_allowed(request, site):
            raise web.HTTPForbidden(text='{"error":"origin"}', content_type="application/json")
        raw = await _body(request, MAX_FRAME)
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise web.HTTPBadRequest(
                text='{"error":"bad_frame"}', content_type="application/json", headers=self._cors(request)
            )
        return body, site

    def _cors(self, request: web.Request) -> dict[str, str]:
        origin = request.headers.get("Origin", "")
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}

    def _json(
        self,
        request: web.Request,
        body: dict[str, Any],
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> web.Response:
        return web.json_response(
            body,
            status=status,
            headers={**self._cors(request), "Cache-Control": "no-store", **(headers or {})},
            dumps=lambda value: json.dumps(value, ensure_ascii=False),
        )

    async def _preflight(self, request: web.Request) -> web.Response:
        if not self._origin_allowed(request, request.query.get("site", "")):
            return _refuse(403, "origin", "This page is not on the site's list of origins")
        return web.Response(
            status=204,
            headers={
                **self._cors(request),
                "Access-Control-Allow-Methods": "GET, POST",
                "Access-Control-Allow-Headers": "Authorization, Content-Type, Last-Event-ID",
                "Access-Control-Max-Age": "600",
            },
        )

    async def _on_shutdown(self, _: web.Application) -> None:
        self._stopping.set()
        open_ones = [connection for mine in self._connections.values() for connection in mine]
        await asyncio.gather(
            *(connection.close(1001, "restart") for connection in open_ones), return_exceptions=True
        )


class _BadFrame(ValueError):
    """A frame that does not fit; the message goes back to the client's author."""


async def _hello(socket: web.WebSocketResponse) -> dict[str, Any] | None:
    message = await socket.receive()
    if message.type is not WSMsgType.TEXT:
        return None
    try:
        frame = json.loads(message.data)
    except (ValueError, RecursionError):
        return None
    return frame if isinstance(frame, dict) and frame.get("type") == "hello" else None


async def _body(request: web.Request, limit: int) -> bytes:
    """The request's body.

    Raises:
        MediaRefused: it has more than `limit` bytes.
    """
    if request.content_length is not None and request.content_length > limit:
        raise MediaRefused(f"The body has more than {limit} bytes", code="too_big")
    data = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        data += chunk
        if len(data) > limit:
            raise MediaRefused(f"The body has more than {limit} bytes", code="too_big")
    return bytes(data)


async def _end(connection: Connection, pump: asyncio.Task[None]) -> None:
    """Let the pump end between two lines: a query that is cut off leaves a broken database connection."""
    connection.gone = True
    connection.look.set()
    _, running = await asyncio.wait((pump,), timeout=2)
    if running:
        pump.cancel()
    with contextlib.suppress(asyncio.CancelledError, ConnectionError):
        await pump


def _plain(text: str) -> bool:
    return text.isascii() and all(c.isalnum() or c in "-_" for c in text)


def _error(code: str, message: str) -> dict[str, Any]:
    return {"type": "error", "code": code, "message": message}


def _refuse(status: int, code: str, message: str) -> web.Response:
    return web.json_response(_error(code, message), status=status, headers={"Vary": "Origin"})


async def _no_send(frame: dict[str, Any]) -> None:
    return None


async def _no_close(code: int, reason: str) -> None:
    return None
