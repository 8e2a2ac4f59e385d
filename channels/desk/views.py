"""The desk over HTTP: the live queue, one conversation and all that is done with it.

Every change names the fencing token it was decided under, so that of two people one wins and the other is told.
Nothing is changed by GET; every other request carries the session's CSRF token. Each transcript that is opened is
logged. What the people and shoppers wrote goes out as JSON only; the page builds its own nodes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiohttp import web

from bot.database import now_ms
from bot.exceptions import DeskError, MediaRefused, OwnershipLost
from bot.handoff import labels
from bot.handoff.ownership import Ownership
from bot.identity import IdentityGuard
from bot.orders.client import OrderClient
from bot.orders.models import Operation, RequestLine
from bot.policy import Policy, Reason
from bot.settings import Settings
from channels.desk import pages
from channels.desk.acts import Acts
from channels.desk.board import Board, read_rows
from channels.desk.door import Door
from channels.desk.forms import answer, body_of, number_of, text_of
from channels.desk.judged import draft_of, judge
from channels.desk.live import Live
from channels.desk.oidc import Oidc
from channels.desk.plans import DeskPlans, Proposal
from channels.desk.report import report_page
from channels.desk.rounds import Rounds
from channels.desk.staff import Person, Staff
from channels.desk.transcripts import Transcripts
from channels.gateway import Gateway
from channels.linking import Linking
from channels.media import MediaStore
from channels.tokens import Tokens

MAX_TEXT = 4000  # characters
MAX_NOTE = 2000


class Desk:
    """All of it, added to the gateway's application by `install`."""

    def __init__(
        self,
        gateway: Gateway,
        settings: Settings,
        media: MediaStore,
        tokens: Tokens,
        staff: Staff,
        *,
        client: OrderClient,
        oidc: Oidc | None = None,
    ) -> None:
        self.gateway = gateway
        self.store = gateway.store
        self.settings = settings
        self.media = media
        self.staff = staff
        self.canned = pages.load_canned(settings.desk.canned or Path(__file__).parent / "canned.yml")
        self.door = Door(settings, tokens, staff, oidc=oidc, about=self._about)
        self.board = Board(gateway)
        self.live = Live(self.door, self.board, gateway.wake)
        self.rounds = Rounds(gateway, settings, on_duty=self.live.on_duty)
        self.acts = Acts(gateway, self.rounds.hours)
        self.plans = DeskPlans(
            gateway, self.acts, settings, client=client, policy=Policy.load(settings.policy.path),
            guard=IdentityGuard(self.store.engine, client, settings.identity),
        )  # fmt: skip
        self.transcripts = Transcripts(self.store, settings, tokens, self.acts, self.plans)

    def routes(self, app: web.Application) -> None:
        add = app.router.add_route
        pages.routes(app)
        self.door.routes(app)
        self.live.routes(app)
        for method, path, handler in (
            ("GET", "/me", self._me),
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
            add(method, f"/desk/api{path}", self.door.signed(handler))
        add("GET", "/desk/report", self.door.signed(report_page(self.store.engine)))

    async def start(self) -> None:
        await self.board.start()
        await self.rounds.start()

    async def stop(self) -> None:
        await self.rounds.stop()
        await self.board.stop()

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
        return answer(self._about(person))

    async def _queue(self, request: web.Request, person: Person) -> web.Response:
        people = [
            {"name": name, "role": role, "present": self.live.on_duty(name)}
            for name, role in await self.staff.people()
        ]
        now = now_ms()
        return answer(
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
            ids = await self.transcripts.find(words)
            await self.staff.log(person.name, None, "search")
        else:
            ids = await self.transcripts.recent(view)
        async with self.store.read() as connection:
            rows = await read_rows(connection, ids) if ids else []
        place = {conversation: n for n, conversation in enumerate(ids)}
        return answer({"rows": sorted(rows, key=lambda row: place[row["id"]])})

    async def _open(self, request: web.Request, person: Person) -> web.Response:
        conversation = request.match_info["id"]
        after = number_of(request.query.get("after"))
        if not after:
            await self.staff.log(person.name, conversation, "read")
        return answer(await self.transcripts.whole(conversation, after))

    async def _earlier(self, request: web.Request, person: Person) -> web.Response:
        conversation, before = request.match_info["id"], number_of(request.match_info["seq"])
        return answer(await self.transcripts.before(conversation, before))

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
        body = await body_of(request)
        current = await self._current(request, body)
        if current.owner == "person" and current.agent != person.name and not person.leads:
            raise DeskError(f"{current.agent} has it; a lead may take it over", code="role", status=403)
        return await self._answer(await self.acts.claim(current, person.name))

    async def _transfer(self, request: web.Request, person: Person) -> web.Response:
        """To another person, or (agent null) to whoever is free. A lead also assigns what waits."""
        body = await body_of(request)
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
        body = await body_of(request)
        current = await self._mine(request, person, body)
        note, promise = text_of(body, "note", MAX_NOTE), body.get("promise_until")
        until = int(promise) if isinstance(promise, int | float) and promise > 0 else None
        changed = await self.acts.release(
            current, person.name, note=note, tell=bool(body.get("tell")), until=until
        )
        return await self._answer(changed)

    async def _close(self, request: web.Request, person: Person) -> web.Response:
        current = await self._mine(request, person, await body_of(request))
        return await self._answer(await self.acts.close(current))

    async def _answer(self, changed: Ownership) -> web.Response:
        return answer(await self.transcripts.whole(changed.conversation))

    async def _reply(self, request: web.Request, person: Person) -> web.Response:
        """Say something to the shopper. `key` makes a repeated click harmless; `draft` names the draft it was."""
        body = await body_of(request)
        current = await self._mine(request, person, body)
        text, key = text_of(body, "text", MAX_TEXT), text_of(body, "key", 64)
        if not text or not key:
            raise DeskError("A reply has a text and a key", code="empty")
        seq = await self.acts.reply(current, person.name, key=key, text=text)
        draft = body.get("draft")
        if isinstance(draft, str) and draft:
            original = await draft_of(self.store, current.conversation, draft)
            verdict: labels.Verdict = "sent" if text.strip() == original["text"].strip() else "edited"
            await judge(self.store, current.conversation, draft, original, verdict, person.name, text)
        return answer({"seq": seq, "budget": await self.acts.budget(current.conversation)})

    async def _picture(self, request: web.Request, person: Person) -> web.Response:
        """Send a picture or a recording: the body is the file; token and key are in the query."""
        current = await self._mine(request, person, {"token": number_of(request.query.get("token"))})
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
        return answer({"seq": seq, "budget": await self.acts.budget(current.conversation)})

    async def _draft(self, request: web.Request, person: Person) -> web.Response:
        """Throw a draft of the bot away."""
        body = await body_of(request)
        conversation, draft = request.match_info["id"], text_of(body, "draft", 64)
        original = await draft_of(self.store, conversation, draft)
        await judge(self.store, conversation, draft, original, "discarded", person.name, None)
        return answer({})

    async def _note(self, request: web.Request, person: Person) -> web.Response:
        body = await body_of(request)
        text = text_of(body, "text", MAX_NOTE)
        if not text:
            raise DeskError("A note has a text", code="empty")
        conversation = request.match_info["id"]
        if await self.store.conversation(conversation) is None:
            raise LookupError(f"There is no conversation {conversation}")
        seq = await self.gateway.write_event(
            conversation, "note", "person", {"text": text, "agent": person.name}
        )
        return answer({"seq": seq})

    async def _order(self, request: web.Request, person: Person) -> web.Response:
        """The order as the shop has it now, for the person who has the conversation."""
        token = number_of(request.query.get("token"))
        current = await self._mine(request, person, {"token": token})
        number = request.query.get("number", "").strip()[:64]
        if not number:
            raise DeskError("Which order?", code="empty")
        return answer(await self.plans.order(current.conversation, number))

    async def _prove(self, request: web.Request, person: Person) -> web.Response:
        body = await body_of(request)
        current = await self._mine(request, person, body)
        number, kind, value = (text_of(body, name, 200) for name in ("order", "kind", "value"))
        if not number or not value:
            raise DeskError("A proof has an order and a value", code="empty")
        await self.plans.prove(current.conversation, person, number, kind, value)
        return answer({})

    async def _propose(self, request: web.Request, person: Person) -> web.Response:
        body = await body_of(request)
        current = await self._mine(request, person, body)
        told = await self.plans.propose(current, person, _proposal(body))
        return answer({**told, **await self.transcripts.whole(current.conversation)})

    async def _approve(self, request: web.Request, person: Person) -> web.Response:
        conversation = request.match_info["id"]
        await self.plans.approve(conversation, person, request.match_info["plan"])
        return answer(await self.transcripts.whole(conversation))

    async def _turn_down(self, request: web.Request, person: Person) -> web.Response:
        conversation = request.match_info["id"]
        await self.plans.turn_down(conversation, person, request.match_info["plan"])
        return answer(await self.transcripts.whole(conversation))

    async def _judge_answer(self, request: web.Request, person: Person) -> web.Response:
        """Mark an answer that the bot sent as right or wrong: line `seq`, `verdict`."""
        body = await body_of(request)
        conversation, seq = request.match_info["id"], number_of(str(body.get("seq", "")))
        verdict = body.get("verdict")
        if verdict not in ("right", "wrong"):
            raise DeskError("An answer is right or wrong", code="bad_body")
        draft = f"reply:{seq}"
        await judge(
            self.store,
            conversation,
            draft,
            await draft_of(self.store, conversation, draft),
            verdict,
            person.name,
            None,
        )
        return answer({})

    async def _unlink(self, request: web.Request, person: Person) -> web.Response:
        """Take a conversation out of those that count as one shopper's. Linking takes proof, and is not done here."""
        conversation = request.match_info["id"]
        if await self.store.conversation(conversation) is None:
            raise LookupError(f"There is no conversation {conversation}")
        others = await Linking(self.gateway, self.settings).unlink(conversation, by=person.name)
        await self.staff.log(person.name, conversation, "unlink")
        return answer({"unlinked": list(others)})


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
