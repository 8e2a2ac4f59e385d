"""The desk over HTTP: pages, sign-in, the live queue, one conversation and all that is done with it.

Every change names the fencing token it was decided under, so that of two people one wins and the other is told.
Nothing is changed by GET; every other request carries the session's CSRF token. Each transcript that is opened is
logged. What the people and shoppers wrote goes out as JSON only; the page builds its own nodes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast, get_args
from urllib.parse import quote, urlsplit

import yaml
from aiohttp import WSMsgType, web
from sqlalchemy import String, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.database import now_ms
from bot.exceptions import DeskError, MediaRefused, OwnershipLost, SettingsError, TooMany
from bot.handoff import cases, labels, ownership
from bot.handoff.ownership import Ownership
from bot.handoff.words import TABLES
from bot.message import Language
from bot.orders.models import Operation, RequestLine
from bot.policy import Reason
from bot.settings import Settings
from channels.desk.acts import Acts
from channels.desk.board import Board, read_rows
from channels.desk.oidc import Oidc
from channels.desk.plans import DeskPlans, Proposal
from channels.desk.report import report_page
from channels.desk.rounds import Rounds
from channels.desk.staff import Person, Staff
from channels.gateway import Gateway
from channels.linking import Linking
from channels.media import MediaStore
from channels.tables import audit, conversations, events, outbox
from channels.tokens import Tokens

logger = logging.getLogger(__name__)

STATIC = Path(__file__).resolve().parent.parent / "static" / "desk"
COOKIE = "kefu_desk"
OIDC_COOKIE = "kefu_desk_oidc"
OIDC_BACK = "/desk/oidc/callback"
MAX_TEXT = 4000  # characters
MAX_NOTE = 2000
_LINES = 200  # of a transcript at once

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Signed = Callable[[web.Request, Person], Awaitable[web.StreamResponse]]


class Desk:
    """All of it, added to the gateway's application by `install`."""

    def __init__(
        self, gateway: Gateway, settings: Settings, media: MediaStore, tokens: Tokens, staff: Staff
    ) -> None:
        self.gateway = gateway
        self.store = gateway.store
        self.settings = settings
        self.media = media
        self.tokens = tokens
        self.staff = staff
        self.board = Board(gateway)
        self.rounds = Rounds(gateway, settings, on_duty=self.on_duty)
        self.acts = Acts(gateway, self.rounds.hours)
        self.oidc: Oidc | None = None  # set by `channels.desk.app.install`, like the plans
        self.plans: DeskPlans | None = None  # set by `channels.desk.app.install`
        self._present: dict[str, int] = {}  # open desks by person
        self._sockets: set[web.WebSocketResponse] = set()
        self.canned = load_canned(settings.desk.canned or Path(__file__).parent / "canned.yml")

    def on_duty(self, agent: str) -> bool:
        """Whether this person has a desk open here."""
        return self._present.get(agent, 0) > 0

    def routes(self, app: web.Application) -> None:
        add = app.router.add_route
        add("GET", "/desk", self._page)
        add("GET", "/desk/", self._page)
        for name, kind in (
            ("desk.js", "text/javascript"),
            ("desk.css", "text/css"),
            ("icon.svg", "image/svg+xml"),
        ):
            add("GET", f"/desk/{name}", _asset(name, kind))
        add("GET", "/desk/words.js", _asset("words.js", "text/javascript", more=_tables()))
        add("POST", "/desk/api/sign-in", self._guard(self._sign_in))
        add("GET", "/desk/api/door", self._guard(self._door))
        add("GET", "/desk/oidc/start", self._oidc_start)
        add("GET", OIDC_BACK, self._oidc_back)
        for method, path, handler in (
            ("GET", "/me", self._me),
            ("POST", "/sign-out", self._sign_out),
            ("POST", "/password", self._password),
            ("GET", "/queue", self._queue),
            ("GET", "/conversations", self._list),
            ("GET", "/conversations/{id}", self._open),
            ("GET", "/conversations/{id}/before/{seq}", self._earlier),
            ("POST", "/conversations/{id}/claim", self._claim),
            ("POST", "/conversations/{id}/transfer", self._transfer),
            ("POST", "/conversations/{id}/release", self._release),
            ("POST", "/conversations/{id}/close", self._close),
            ("POST", "/conversations/{id}/reply", self._reply),
            ("POST", "/conversations/{id}/picture", self._picture),
            ("POST", "/conversations/{id}/draft", self._draft),
            ("POST", "/conversations/{id}/note", self._note),
            ("POST", "/conversations/{id}/unlink", self._unlink),
            ("POST", "/conversations/{id}/judge", self._judge_answer),
            ("GET", "/conversations/{id}/order", self._order),
            ("POST", "/conversations/{id}/prove", self._prove),
            ("POST", "/conversations/{id}/plans", self._propose),
            ("POST", "/conversations/{id}/plans/{plan}/approve", self._approve),
            ("POST", "/conversations/{id}/plans/{plan}/turn-down", self._turn_down),
        ):
            add(method, f"/desk/api{path}", self._guard(self._signed(handler)))
        add("GET", "/desk/report", self._guard(self._signed(report_page(self.store.engine))))
        add("GET", "/desk/socket", self._socket)
        app.on_shutdown.append(self._on_shutdown)

    async def start(self) -> None:
        await self.board.start()
        await self.rounds.start()

    async def stop(self) -> None:
        await self.rounds.stop()
        await self.board.stop()

    async def _on_shutdown(self, _: web.Application) -> None:
        await asyncio.gather(
            *(socket.close(code=1001, message=b"restart") for socket in list(self._sockets)),
            return_exceptions=True,
        )

    # who may

    def _guard(self, handler: Handler) -> Handler:
        """Our own errors become JSON with a code the page has words for."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except DeskError as exc:
                return _json({"error": exc.code, "message": str(exc)}, exc.status)
            except TooMany as exc:
                retry = {"Retry-After": str(int(exc.retry_after) + 1)}
                return _json({"error": "too_many", "retry_after": exc.retry_after}, 429, retry)
            except OwnershipLost as exc:
                return _json({"error": "taken", "message": str(exc)}, 409)
            except MediaRefused as exc:
                return _json({"error": exc.code, "message": str(exc)}, 415)
            except LookupError as exc:
                return _json({"error": "unknown", "message": str(exc)}, 404)

        return guarded

    def _signed(self, handler: Signed) -> Handler:
        async def signed(request: web.Request) -> web.StreamResponse:
            person = await self.staff.who(request.cookies.get(COOKIE))
            if person is None:
                raise DeskError("Sign in first", code="signed_out", status=401)
            if request.method != "GET":
                self._same_site(request)
                if request.headers.get("X-CSRF") != person.csrf:
                    raise DeskError("The page is out of date: load it again", code="csrf", status=403)
            return await handler(request, person)

        return signed

    def _same_site(self, request: web.Request) -> None:
        """A browser says which page asks. Another site's page is refused, cookie or not."""
        origin = request.headers.get("Origin")
        if origin is None:
            return  # no browser: it has no cookie to abuse but its own
        public = self.settings.gateway.public_url
        if urlsplit(origin).netloc != request.host and origin != (public or "").rstrip("/"):
            raise DeskError("This request comes from another site", code="origin", status=403)

    def _secure(self, request: web.Request) -> bool:
        if (self.settings.gateway.public_url or "").startswith("https://") or request.secure:
            return True
        return bool(self.settings.gateway.proxies) and request.headers.get("X-Forwarded-Proto") == "https"

    def _source(self, request: web.Request) -> str:
        address = request.remote or ""
        forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
        if self.settings.gateway.proxies and forwarded[0]:
            address = forwarded[-min(self.settings.gateway.proxies, len(forwarded))]
        return self.tokens.source(address)

    async def _sign_in(self, request: web.Request) -> web.Response:
        self._same_site(request)
        if not self.settings.desk.passwords:
            raise DeskError("Passwords are switched off here", code="no_passwords", status=403)
        body = await _body(request)
        name, password = _text(body, "name", 64), _text(body, "password", 1000)
        cookie, person = await self.staff.sign_in(name, password, self._source(request))
        response = _json(self._about(person))
        self._give_cookie(request, response, cookie)
        return response

    def _give_cookie(self, request: web.Request, response: web.Response, cookie: str) -> None:
        response.set_cookie(
            COOKIE, cookie, httponly=True, samesite="Strict", secure=self._secure(request), path="/desk",
            max_age=self.settings.desk.session_hours * 3600,
        )  # fmt: skip

    async def _door(self, _: web.Request) -> web.Response:
        """Which ways of signing in there are."""
        return _json({"passwords": self.settings.desk.passwords, "oidc": self.oidc is not None})

    async def _oidc_start(self, request: web.Request) -> web.Response:
        """To the provider. What comes back is only taken from the browser that left."""
        if self.oidc is None:
            raise web.HTTPNotFound
        try:
            await self.staff.count_try(self._source(request))
            url, kept = await self.oidc.start()
        except (DeskError, TooMany) as exc:
            return _to_door(exc)
        response = web.Response(status=302, headers={"Location": url, "Cache-Control": "no-store"})
        # Lax: the way back is a link from another site.
        response.set_cookie(
            OIDC_COOKIE, kept, httponly=True, samesite="Lax", secure=self._secure(request), path="/desk/oidc",
            max_age=600,
        )  # fmt: skip
        return response

    async def _oidc_back(self, request: web.Request) -> web.Response:
        if self.oidc is None:
            raise web.HTTPNotFound
        try:
            who = await self.oidc.finish(request.query, request.cookies.get(OIDC_COOKIE, ""))
            cookie, _ = await self.staff.enter(who.subject, who.name, who.role)
        except DeskError as exc:
            logger.warning("desk.oidc_refused reason=%s", exc)
            response = _to_door(exc)
        else:
            response = web.Response(status=302, headers={"Location": "/desk", "Cache-Control": "no-store"})
            self._give_cookie(request, response, cookie)
        response.del_cookie(OIDC_COOKIE, path="/desk/oidc")
        return response

    async def _sign_out(self, request: web.Request, person: Person) -> web.Response:
        await self.staff.sign_out(request.cookies[COOKIE])
        response = _json({})
        response.del_cookie(COOKIE, path="/desk")
        return response

    async def _password(self, request: web.Request, person: Person) -> web.Response:
        body = await _body(request)
        await self.staff.sign_in(person.name, _text(body, "old", 1000), self._source(request))
        await self.staff.add(person.name, person.role, _text(body, "new", 1000))
        return _json({})

    def _about(self, person: Person) -> dict[str, Any]:
        return {
            "name": person.name,
            "role": person.role,
            "csrf": person.csrf,
            "language": self.settings.language,
            "timezone": self.rounds.hours.zone.key,
            "canned": self.canned,
        }

    async def _me(self, request: web.Request, person: Person) -> web.Response:
        return _json(self._about(person))

    # lists

    async def _queue(self, request: web.Request, person: Person) -> web.Response:
        people = [
            {"name": name, "role": role, "present": self.on_duty(name)}
            for name, role in await self.staff.people()
        ]
        now = now_ms()
        return _json(
            {
                "rows": await self.board.read(),
                "people": people,
                "now": now,
                "open": self.rounds.hours.is_open(now),
                "opens_at": self.rounds.hours.next_opening(now),
            }
        )

    async def _list(self, request: web.Request, person: Person) -> web.Response:
        """Conversations that are not waiting: with the bot, ended, or found by words."""
        view, words = request.query.get("view", "bot"), request.query.get("q", "").strip()[:100]
        if words:
            ids = await self._find(words)
            await self.staff.log(person.name, None, "search")
        else:
            ids = await self._recent(view)
        async with self.store.read() as connection:
            rows = await read_rows(connection, ids) if ids else []
        place = {conversation: n for n, conversation in enumerate(ids)}
        return _json({"rows": sorted(rows, key=lambda row: place[row["id"]])})

    async def _recent(self, view: str) -> list[str]:
        if view == "ended":
            query = (
                select(cases.cases.c.conversation)
                .where(cases.cases.c.ended_at.is_not(None))
                .order_by(cases.cases.c.ended_at.desc())
            )
        else:
            query = (
                select(conversations.c.id)
                .outerjoin(ownership.ownership, ownership.ownership.c.conversation == conversations.c.id)
                .where(
                    (ownership.ownership.c.owner.is_(None)) | (ownership.ownership.c.owner == "bot"),
                    conversations.c.seq > 0,
                )
                .order_by(conversations.c.active_at.desc())
            )
        async with self.store.read(much=True) as connection:
            return list(dict.fromkeys((await connection.execute(query.limit(100))).scalars()))[:60]

    async def _find(self, words: str) -> list[str]:
        """By conversation, customer, order number, or what was written. Newest first."""
        # JSON columns hold letters outside ASCII escaped, so the words are sought the way they are kept.
        written = json.dumps(words)[1:-1]
        found: list[str] = []
        async with self.store.read(much=True) as connection:
            for query in (
                select(conversations.c.id)
                .where(
                    (conversations.c.id == words) | conversations.c.customer.contains(words, autoescape=True)
                )
                .order_by(conversations.c.active_at.desc()),
                select(cases.cases.c.conversation)
                .where(sql_cast(cases.cases.c.packet, String).contains(written, autoescape=True))
                .order_by(cases.cases.c.opened_at.desc()),
                select(events.c.conversation)
                .where(
                    events.c.kind.in_(("message", "note")),
                    sql_cast(events.c.body, String).contains(written, autoescape=True),
                )
                .order_by(events.c.at.desc()),
            ):
                found += (await connection.execute(query.limit(200))).scalars().all()
        return list(dict.fromkeys(found))[:60]

    # one conversation

    async def _open(self, request: web.Request, person: Person) -> web.Response:
        conversation = request.match_info["id"]
        after = _number(request.query.get("after"))
        if not after:
            await self.staff.log(person.name, conversation, "read")
        return _json(await self._whole(conversation, after))

    async def _whole(self, conversation: str, after: int = 0) -> dict[str, Any]:
        """The row, the lines after `after`, the packet, the channel's budget, the judged drafts."""
        async with self.store.read() as connection:
            rows = await read_rows(connection, [conversation])
            if not rows:
                raise LookupError(f"There is no conversation {conversation}")
            case = await cases.last_case(connection, conversation)
            judged = await labels.judged(connection, conversation)
            history = (
                await connection.execute(
                    select(cases.cases)
                    .where(cases.cases.c.conversation == conversation)
                    .order_by(cases.cases.c.opened_at.desc())
                    .limit(10)
                )
            ).all()
        row = rows[0]
        first = after or max(0, row["seq"] - _LINES)
        return {
            "row": row,
            "lines": await self._lines(conversation, first, row["seq"]),
            "from": first,
            "packet": case.packet if case is not None else {},
            "evidence": [
                {"id": media_id, "url": self._link(media_id)}
                for media_id in ((case.packet or {}).get("media") or () if case is not None else ())
            ],
            "case": case.id if case is not None else None,
            "judged": judged,
            "budget": await self.acts.budget(conversation),
            "plans": await self.plans.of(conversation, self.settings.language) if self.plans else [],
            "history": [
                {name: one._mapping[name] for name in
                 ("opened_at", "ended_at", "reason", "outcome", "agent", "rating", "rating_comment", "note")}
                for one in history
            ],
            "now": now_ms(),
        }  # fmt: skip

    async def _earlier(self, request: web.Request, person: Person) -> web.Response:
        conversation, before = request.match_info["id"], _number(request.match_info["seq"])
        first = max(0, before - 1 - _LINES)
        return _json({"lines": await self._lines(conversation, first, before - 1), "from": first})

    async def _lines(self, conversation: str, after: int, until: int) -> list[dict[str, Any]]:
        """Lines of the log with everything the desk may know: reasons, receipts, what became of a delivery."""
        found = await self.store.events_after(conversation, after, limit=_LINES + 50, desk=True)
        query = (
            select(outbox.c.seq, outbox.c.state, outbox.c.error, audit.c.explain, audit.c.receipts,
                   audit.c.intent, audit.c.score)
            .outerjoin(audit, audit.c.reply == outbox.c.id)
            .where(outbox.c.conversation == conversation, outbox.c.seq > after)
        )  # fmt: skip
        async with self.store.read() as connection:
            sent = {row.seq: row for row in (await connection.execute(query)).all()}
        lines = []
        for event in found:
            body = dict(event.body)
            if event.kind == "handoff":
                body.pop("packet", None)  # shown beside the transcript
            if body.get("media"):
                body["media"] = [{**item, "url": self._link(item["media_id"])} for item in body["media"]]
            line = {
                "seq": event.seq, "kind": event.kind, "author": event.author, "at": event.at,
                "desk": event.audience == "desk", "body": body,
            }  # fmt: skip
            row = sent.get(event.seq)
            if row is not None:
                line["delivery"] = row.state
                if row.error:
                    line["delivery_error"] = row.error
                explain = dict(row.explain or {})
                if row.intent:
                    explain |= {"intent": row.intent, "score": row.score}
                if row.receipts:
                    explain["receipts"] = row.receipts
                if explain:
                    line["explain"] = explain
            lines.append(line)
        return lines

    def _link(self, media_id: str) -> str:
        return f"/media/{media_id}?{self.tokens.sign_link(media_id, self.settings.media.link_life)}"

    # taking and giving

    async def _current(self, request: web.Request, body: dict[str, Any]) -> Ownership:
        """The ownership as the page saw it.

        Raises:
            OwnershipLost: it has changed since.
        """
        conversation = request.match_info["id"]
        if await self.store.conversation(conversation) is None:
            raise LookupError(f"There is no conversation {conversation}")
        current = await self.gateway.owner(conversation)
        if current.token != body.get("token"):
            raise OwnershipLost(
                f"{conversation} changed hands: {current.owner} {current.agent or ''} has it now"
            )
        return current

    async def _mine(self, request: web.Request, person: Person, body: dict[str, Any]) -> Ownership:
        """The same, when it is this person's.

        Raises:
            DeskError: it is somebody else's.
        """
        current = await self._current(request, body)
        if current.owner != "person" or current.agent != person.name:
            raise DeskError("Take the conversation first", code="not_yours", status=409)
        return current

    async def _claim(self, request: web.Request, person: Person) -> web.Response:
        """Take it: from the queue, from the bot, after the end; from another person only as a lead."""
        body = await _body(request)
        current = await self._current(request, body)
        if current.owner == "person" and current.agent != person.name and not person.leads:
            raise DeskError(f"{current.agent} has it; a lead may take it over", code="role", status=403)
        return await self._answer(await self.acts.claim(current, person.name))

    async def _transfer(self, request: web.Request, person: Person) -> web.Response:
        """To another person, or (agent null) to whoever is free. A lead also assigns what waits."""
        body = await _body(request)
        current = await self._current(request, body)
        mine = current.owner == "person" and current.agent == person.name
        if not mine and not person.leads:
            raise DeskError("Only a lead assigns what is not his own", code="role", status=403)
        to = body.get("agent")
        if to is not None and to not in [name for name, _ in await self.staff.people()]:
            raise DeskError(f"There is nobody called {to!r} at the desk", code="agent")
        return await self._answer(await self.acts.pass_on(current, to))

    async def _release(self, request: web.Request, person: Person) -> web.Response:
        """Back to the bot, with a note for it; `tell` says that the shopper hears the note too, once."""
        body = await _body(request)
        current = await self._mine(request, person, body)
        note, promise = _text(body, "note", MAX_NOTE), body.get("promise_until")
        until = int(promise) if isinstance(promise, int | float) and promise > 0 else None
        changed = await self.acts.release(
            current, person.name, note=note, tell=bool(body.get("tell")), until=until
        )
        return await self._answer(changed)

    async def _close(self, request: web.Request, person: Person) -> web.Response:
        current = await self._mine(request, person, await _body(request))
        return await self._answer(await self.acts.close(current))

    async def _answer(self, changed: Ownership) -> web.Response:
        return _json(await self._whole(changed.conversation))

    # speaking

    async def _reply(self, request: web.Request, person: Person) -> web.Response:
        """Say something to the shopper. `key` makes a repeated click harmless; `draft` names the draft it was."""
        body = await _body(request)
        current = await self._mine(request, person, body)
        text, key = _text(body, "text", MAX_TEXT), _text(body, "key", 64)
        if not text or not key:
            raise DeskError("A reply has a text and a key", code="empty")
        seq = await self.acts.reply(current, person.name, key=key, text=text)
        draft = body.get("draft")
        if isinstance(draft, str) and draft:
            original = await self._draft_of(current.conversation, draft)
            verdict: labels.Verdict = "sent" if text.strip() == original["text"].strip() else "edited"
            await self._judge(current.conversation, draft, original, verdict, person, text)
        return _json({"seq": seq, "budget": await self.acts.budget(current.conversation)})

    async def _picture(self, request: web.Request, person: Person) -> web.Response:
        """Send a picture or a recording: the body is the file; token and key are in the query."""
        current = await self._mine(request, person, {"token": _number(request.query.get("token"))})
        key = request.query.get("key", "")[:64]
        if not key:
            raise DeskError("A picture needs a key", code="empty")
        data = bytearray()
        async for chunk in request.content.iter_chunked(64 * 1024):
            data += chunk
            if len(data) > self.media.max_bytes:
                raise MediaRefused(f"The file has more than {self.media.max_bytes} bytes", code="too_big")
        attachment = await self.media.put(bytes(data), kinds=("image", "voice"))
        seq = await self.acts.reply(current, person.name, key=key, media=[attachment.model_dump()])
        return _json({"seq": seq, "budget": await self.acts.budget(current.conversation)})

    async def _draft(self, request: web.Request, person: Person) -> web.Response:
        """Throw a draft of the bot away."""
        body = await _body(request)
        conversation, draft = request.match_info["id"], _text(body, "draft", 64)
        original = await self._draft_of(conversation, draft)
        await self._judge(conversation, draft, original, "discarded", person, None)
        return _json({})

    async def _draft_of(self, conversation: str, draft: str) -> dict[str, Any]:
        """What the bot would have said: ``case:<id>`` is the draft of a packet, ``line:<seq>`` a late reply."""
        kind, _, name = draft.partition(":")
        async with self.store.read() as connection:
            if kind == "reply":
                return await _sent_answer(connection, conversation, _number(name))
            if kind == "line":
                query = select(events).where(
                    events.c.conversation == conversation,
                    events.c.seq == _number(name),
                    events.c.kind == "suggestion",
                )
                row = (await connection.execute(query)).first()
                if row is not None:
                    asked = select(events.c.body).where(
                        events.c.conversation == conversation,
                        events.c.seq < row.seq,
                        events.c.kind == "message",
                        events.c.author == "shopper",
                    )
                    said = (
                        await connection.execute(asked.order_by(events.c.seq.desc()).limit(1))
                    ).scalar() or {}
                    return {"text": str(row.body.get("text") or ""), "score": None,
                            "question": said.get("text") or "", "language": row.body.get("language")}  # fmt: skip
            elif kind == "case":
                found = select(cases.cases.c.packet).where(
                    cases.cases.c.id == name, cases.cases.c.conversation == conversation
                )
                packet = (await connection.execute(found)).scalar() or {}
                if packet.get("draft"):
                    return {"text": packet["draft"]["text"], "score": packet["draft"].get("score"),
                            "question": packet.get("question") or "", "language": packet.get("language")}  # fmt: skip
        raise LookupError(f"There is no draft {draft} in {conversation}")

    async def _judge(
        self, conversation: str, draft: str, original: dict[str, Any], verdict: labels.Verdict,
        person: Person, final: str | None,
    ) -> None:  # fmt: skip
        async with self.store.write() as connection:
            await labels.write(
                connection, conversation=conversation, draft=draft, verdict=verdict, agent=person.name,
                final=final, **original,
            )  # fmt: skip

    async def _note(self, request: web.Request, person: Person) -> web.Response:
        body = await _body(request)
        text = _text(body, "text", MAX_NOTE)
        if not text:
            raise DeskError("A note has a text", code="empty")
        conversation = request.match_info["id"]
        if await self.store.conversation(conversation) is None:
            raise LookupError(f"There is no conversation {conversation}")
        seq = await self.gateway.write_event(
            conversation, "note", "person", {"text": text, "agent": person.name}
        )
        return _json({"seq": seq})

    # running an operation

    def _shop(self) -> DeskPlans:
        assert self.plans is not None, "install makes them"
        return self.plans

    async def _order(self, request: web.Request, person: Person) -> web.Response:
        """The order as the shop has it now, for the person who has the conversation."""
        token = _number(request.query.get("token"))
        current = await self._mine(request, person, {"token": token})
        number = request.query.get("number", "").strip()[:64]
        if not number:
            raise DeskError("Which order?", code="empty")
        return _json(await self._shop().order(current.conversation, number))

    async def _prove(self, request: web.Request, person: Person) -> web.Response:
        body = await _body(request)
        current = await self._mine(request, person, body)
        number, kind, value = (_text(body, name, 200) for name in ("order", "kind", "value"))
        if not number or not value:
            raise DeskError("A proof has an order and a value", code="empty")
        await self._shop().prove(current.conversation, person, number, kind, value)
        return _json({})

    async def _propose(self, request: web.Request, person: Person) -> web.Response:
        body = await _body(request)
        current = await self._mine(request, person, body)
        told = await self._shop().propose(current, person, _proposal(body))
        return _json({**told, **await self._whole(current.conversation)})

    async def _approve(self, request: web.Request, person: Person) -> web.Response:
        conversation = request.match_info["id"]
        await self._shop().approve(conversation, person, request.match_info["plan"])
        return _json(await self._whole(conversation))

    async def _turn_down(self, request: web.Request, person: Person) -> web.Response:
        conversation = request.match_info["id"]
        await self._shop().turn_down(conversation, person, request.match_info["plan"])
        return _json(await self._whole(conversation))

    async def _judge_answer(self, request: web.Request, person: Person) -> web.Response:
        """Mark an answer that the bot sent as right or wrong: line `seq`, `verdict`."""
        body = await _body(request)
        conversation, seq = request.match_info["id"], _number(str(body.get("seq", "")))
        verdict = body.get("verdict")
        if verdict not in ("right", "wrong"):
            raise DeskError("An answer is right or wrong", code="bad_body")
        draft = f"reply:{seq}"
        await self._judge(
            conversation, draft, await self._draft_of(conversation, draft), verdict, person, None
        )
        return _json({})

    async def _unlink(self, request: web.Request, person: Person) -> web.Response:
        """Take a conversation out of those that count as one shopper's. Linking takes proof, and is not done here."""
        conversation = request.match_info["id"]
        if await self.store.conversation(conversation) is None:
            raise LookupError(f"There is no conversation {conversation}")
        others = await Linking(self.gateway, self.settings).unlink(conversation, by=person.name)
        await self.staff.log(person.name, conversation, "unlink")
        return _json({"unlinked": list(others)})

    # live

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        """The queue's changes, and "look" whenever the conversation in view has something new."""
        try:
            self._same_site(request)
        except DeskError:
            return _json({"error": "origin"}, 403)
        cookie = request.cookies.get(COOKIE)
        person = await self.staff.who(cookie)
        if person is None:
            return _json({"error": "signed_out"}, 401)
        socket = web.WebSocketResponse(heartbeat=25.0, max_msg_size=4096)
        await socket.prepare(request)
        self._sockets.add(socket)
        one_at_a_time = asyncio.Lock()

        async def send(frame: dict[str, Any]) -> None:
            if not socket.closed:
                async with one_at_a_time:
                    await socket.send_str(json.dumps(frame, ensure_ascii=False, separators=(",", ":")))

        stop_board = self.board.listen(send)
        stop_view: Callable[[], None] = lambda: None  # noqa: E731 - replaced when a conversation comes into view
        self._present[person.name] = self._present.get(person.name, 0) + 1
        await self._people(request.app)
        looks: set[asyncio.Task[None]] = set()
        try:
            await send({"type": "hello", "now": now_ms()})
            await self.board.refresh()
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    continue
                if await self.staff.who(cookie) is None:
                    await socket.close(code=4401, message=b"signed out")
                    break
                try:
                    frame = json.loads(message.data)
                    view = frame.get("view")
                except (ValueError, AttributeError, RecursionError):
                    continue
                stop_view()
                stop_view = lambda: None  # noqa: E731
                if isinstance(view, str):

                    def look(conversation: str, signal: dict[str, Any]) -> None:
                        task = asyncio.ensure_future(_quietly(send({"type": "look", "id": conversation})))
                        looks.add(task)
                        task.add_done_callback(looks.discard)

                    stop_view = self.gateway.wake.listen(view, look)
        finally:
            stop_view()
            stop_board()
            self._sockets.discard(socket)
            self._present[person.name] -= 1
            if not self._present[person.name]:
                del self._present[person.name]
            await self._people(request.app)
        return socket

    async def _people(self, _: web.Application) -> None:
        """Tell every desk who is there."""
        frame = json.dumps({"type": "people", "present": sorted(self._present)}, ensure_ascii=False)
        for socket in list(self._sockets):
            with contextlib.suppress(ConnectionError, RuntimeError):
                await socket.send_str(frame)

    # pages

    async def _page(self, request: web.Request) -> web.Response:
        host = request.host
        sockets = f"ws://{host} wss://{host}" if all(c.isalnum() or c in ".:-[]" for c in host) else ""
        return web.Response(
            text=(STATIC / "index.html").read_text(encoding="utf-8"),
            content_type="text/html",
            headers={
                "Content-Security-Policy": (
                    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
                    f"connect-src 'self' {sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
                ),
                "X-Frame-Options": "DENY",
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "no-referrer",
                "Cache-Control": "no-cache",
            },
        )


def _proposal(body: dict[str, Any]) -> Proposal:
    """What the page asks for. Raises: DeskError."""
    try:
        reason, opened = body.get("reason") or None, body.get("opened")
        return Proposal(
            operation=Operation(body["operation"]),
            order_number=str(body["order"])[:64],
            lines=tuple(RequestLine.model_validate(line) for line in body.get("lines") or ()),
            reason=Reason(reason) if reason is not None else None,
            opened=opened if isinstance(opened, bool) else None,
            request_id=str(body["request"])[:64] if body.get("request") else None,
            address=str(body.get("address") or "")[:500],
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise DeskError("operation, order, lines, reason, opened, request, address", code="bad_body") from exc


def _to_door(exc: DeskError | TooMany) -> web.Response:
    code = exc.code if isinstance(exc, DeskError) else "too_many"
    return web.Response(
        status=302, headers={"Location": f"/desk?error={quote(code)}", "Cache-Control": "no-store"}
    )


async def _sent_answer(connection: AsyncConnection, conversation: str, seq: int) -> dict[str, Any]:
    """A line the bot sent, with the question before it and its score, as `labels.write` wants it."""
    here = (events.c.conversation == conversation) & (events.c.kind == "message")
    said = (
        await connection.execute(
            select(events.c.body).where(here, events.c.seq == seq, events.c.author == "bot")
        )
    ).scalar()
    if said is None:
        raise LookupError(f"Line {seq} of {conversation} is no answer of the bot")
    before = select(events.c.body).where(here, events.c.seq < seq, events.c.author == "shopper")
    asked = (await connection.execute(before.order_by(events.c.seq.desc()).limit(1))).scalar() or {}
    why = (
        await connection.execute(
            select(audit.c.explain)
            .join(outbox, outbox.c.id == audit.c.reply)
            .where(outbox.c.conversation == conversation, outbox.c.seq == seq)
        )
    ).scalar() or {}
    return {
        "text": str(said.get("text") or ""),
        "score": (why.get("answer") or {}).get("p_correct"),
        "question": str(asked.get("text") or ""),
        "language": said.get("language"),
    }


async def _quietly(sending: Awaitable[None]) -> None:
    with contextlib.suppress(ConnectionError):
        await sending


def load_canned(path: Path) -> list[dict[str, Any]]:
    """Canned replies: a list of {key, title: {zh, en}, text: {zh, en}}.

    Raises:
        SettingsError: the file is missing or not of this form.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [
            {
                "key": str(one["key"]),
                **{
                    part: {"zh": str(one[part]["zh"]), "en": str(one[part]["en"])}
                    for part in ("title", "text")
                },
            }
            for one in content
        ]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as exc:
        raise SettingsError(
            f"{path}: canned replies are a list of {{key, title: {{zh, en}}, text: {{zh, en}}}}: {exc}"
        ) from exc


def _tables() -> str:
    """The hand-over's codes in words, as the page's script keeps them."""
    told = {
        language: {
            name: {code: one[language] for code, one in table.items()} for name, table in TABLES.items()
        }
        for language in get_args(Language)
    }
    tables = json.dumps(told, ensure_ascii=False)
    return f"for (const [language, tables] of Object.entries({tables})) Object.assign(DESK_WORDS[language], tables);\n"


def _asset(name: str, kind: str, *, more: str = "") -> Handler:
    async def asset(_: web.Request) -> web.StreamResponse:
        return web.Response(
            text=(STATIC / name).read_text(encoding="utf-8") + more,
            content_type=kind,
            charset="utf-8",
            headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"},
        )

    return asset


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except (ValueError, RecursionError, UnicodeDecodeError) as exc:
        raise DeskError("The body must be a JSON object", code="bad_body") from exc
    if not isinstance(body, dict):
        raise DeskError("The body must be a JSON object", code="bad_body")
    return cast(dict[str, Any], body)


def _text(body: dict[str, Any], name: str, limit: int) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise DeskError(f"{name} must be a text", code="bad_body")
    if len(value) > limit:
        raise DeskError(f"{name} has more than {limit} characters", code="too_long")
    return value if name in ("password", "old", "new") else value.strip()


def _number(text: Any) -> int:
    return (
        int(text) if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 10 else 0
    )


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(
        body, status=status, headers={"Cache-Control": "no-store", **(headers or {})},
        dumps=lambda value: json.dumps(value, ensure_ascii=False),
    )  # fmt: skip
