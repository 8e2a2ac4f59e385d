"""Walks the queue: runs the hand-off timers of `bot.handoff.timers` and says what shoppers must be told.

Every step is taken under the fencing token it was decided under, and every message has a key, so that a step
that is repeated after a crash changes nothing. Several gateways may walk at the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.database import now_ms
from bot.exceptions import KefuError, OwnershipLost
from bot.handoff import cases, ownership, packet, promises, timers
from bot.handoff.cases import Case
from bot.handoff.hours import Hours
from bot.handoff.ownership import Ownership
from bot.handoff.priority import URGENT, priority_of
from bot.handoff.timers import Situation, Timer, decide
from bot.identity import links
from bot.message import Button, Handoff, Inbound, Reply
from bot.sentiment import read_sentiment
from bot.settings import Settings
from channels.channel import Conversation
from channels.desk.words import clock_time, join, position, sentence
from channels.gateway import Gateway
from channels.owners import change_owner
from channels.payloads import BACK
from channels.tables import audit, conversations, events
from channels.texts import language_of, say

logger = logging.getLogger(__name__)

_DAY = 24 * 3600 * 1000
_UNDER_WAY = ("requested", "approved", "in_transit", "received")  # states of an after-sales request
_STEPS = 6  # steps one look may take, one after the other

_THANKS = re.compile(
    r"^(?:好的?|嗯+|行|收到|知道了|明白了?|ok(?:ay)?|多?谢+(?:谢|啦|了)*(?:您|你)?|感谢|再见|拜拜|没事了|不用了"
    r"|thanks?(?: you)?(?: (?:so|very) much| a lot)?|thx|bye|got it|great|perfect|cheers)"
    r"(?:[啊呀哦哈了啦,，。.!！~～ 😊👍🙏❤️]|谢谢|再见|thanks?(?: you)?|bye)*$",
    re.I,
)
_SCORE = re.compile(
    r"^\s*([1-5１-５]|[一二三四五](?=\s*[分星]))\s*(?:分|星|points?|stars?|/\s*5)?\s*(?:[,，。.;；:：!！、\n]\s*(.{0,1000}))?$",
    re.I | re.S,
)
_DIGITS = {"一": 1, "二": 2, "三": 3, "四": 4, "五": 5}


def read_rating(text: str) -> tuple[int, str] | None:
    """(score, comment) of an answer like ``5``, ``4分，挺快的`` or ``2, too slow``; "2 mugs" is none."""
    match = _SCORE.match(text)
    if match is None:
        return None
    digit = match[1]
    return _DIGITS.get(digit) or int(digit), (match[2] or "").strip()


class Rounds:
    """The hand-off's own voice and clockwork, installed into a gateway."""

    def __init__(
        self,
        gateway: Gateway,
        settings: Settings,
        *,
        now: Callable[[], int] = now_ms,
        on_duty: Callable[[str], bool] = lambda agent: False,
    ) -> None:
        """`on_duty` says whether a person has the desk open; `now` gives ms."""
        self.gateway = gateway
        self.store = gateway.store
        self.settings = settings.handoff
        self.hours = Hours.from_settings(settings.handoff.hours, settings.timezone)
        self._now = now
        self._on_duty = on_duty
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        gateway.on_pending = self.on_pending
        gateway.intercept = self.intercept
        gateway.metadata = self.metadata
        gateway.reopen = self.reopen
        gateway.on_rating.append(self.on_rating)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._walk())

    async def stop(self) -> None:
        self._stopping.set()
        if self._task is not None:
            _, running = await asyncio.wait((self._task,), timeout=5)
            for task in running:
                task.cancel()

    async def _walk(self) -> None:
        while not self._stopping.is_set():
            try:
                await self.look()
            except Exception:  # the outermost door of this task; the next walk tries again
                logger.exception("desk.rounds_failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self.settings.tick)

    async def look(self) -> int:
        """Look at every conversation whose time has come; how many there were."""
        async with self.store.read() as connection:
            found = await timers.due(connection, self._now())
        for timer in found:
            async with self.store.write() as connection:
                mine = await timers.take(connection, timer, self._now())
            if not mine:
                continue
            try:
                await self._look_at(timer)
            except OwnershipLost:
                continue  # it changed hands: the new owner's timer is set already
            except KefuError as exc:
                logger.error("desk.look_failed conversation=%s reason=%s", timer.conversation, exc)
        return len(found)

    # looking

    async def _look_at(self, timer: Timer) -> None:
        known = await self.store.conversation(timer.conversation)
        if known is None:
            async with self.store.write() as connection:
                await timers.set_next(connection, timer, None)
            return
        for _ in range(_STEPS):
            async with self.store.read() as connection:
                owner, case, situation = await self.situation(connection, known)
            if owner.token != timer.token:
                return
            step, again = decide(self._now(), situation, self.settings, self.hours)
            if step != "none" and case is not None:
                await self._take(step, known, owner, case)
            if step in ("requeue", "close"):
                return
            if step == "none" or again is None:
                async with self.store.write() as connection:
                    await timers.set_next(connection, timer, again)
                return

    async def situation(
        self, connection: AsyncConnection, known: Conversation
    ) -> tuple[Ownership, Case | None, Situation]:
        """All that the rules look at, read on one connection."""
        owner = await ownership.get(connection, known.id)
        case = await cases.open_case(connection, known.id)
        if case is None and owner.owner == "closed":
            case = await cases.last_case(connection, known.id)
        since = case.opened_at if case is not None else owner.since
        messages = (events.c.conversation == known.id) & (events.c.kind == "message") & (events.c.at >= since)
        query = (
            select(events.c.author, func.max(events.c.at).label("at"), func.max(events.c.seq).label("seq"))
            .where(messages)
            .group_by(events.c.author)
        )
        latest = {row.author: row for row in (await connection.execute(query)).all()}
        shopper, person = latest.get("shopper"), latest.get("person")
        query = select(func.min(events.c.at)).where(
            messages, events.c.author == "shopper", events.c.seq > (person.seq if person else 0)
        )
        unanswered_at = (await connection.execute(query)).scalar() or 0
        rated = case is not None and await self._rating_asked(connection, known.id, case)
        return (
            owner,
            case,
            Situation(
                owner=owner.owner,
                token=owner.token,
                since=owner.since,
                shopper_at=shopper.at if shopper else 0,
                unanswered_at=unanswered_at,
                person_at=person.at if person else 0,
                acknowledged=case is not None and case.acknowledged == owner.token,
                noticed=case is not None and case.noticed == owner.token,
                promised_at=case.promised_at if case else None,
                promise=case.promise if case else None,
                raised=case is not None and case.priority >= URGENT,
                rating_asked=rated,
                served=person is not None,
            ),
        )

    async def _rating_asked(self, connection: AsyncConnection, conversation: str, case: Case) -> bool:
        query = select(events.c.body).where(
            events.c.conversation == conversation, events.c.kind == "rating_request"
        )
        return any(row.body.get("case") == case.id for row in (await connection.execute(query)).all())

    # steps

    async def _take(self, step: timers.Step, known: Conversation, owner: Ownership, case: Case) -> None:
        logger.info("desk.step conversation=%s step=%s token=%d", known.id, step, owner.token)
        if step in ("acknowledge", "promise", "notice"):
            await self._tell(step, known, owner, case)
        elif step == "raise":
            await self._update(owner, case, priority=URGENT)
            self.gateway.wake.wake(known.id)
        elif step == "broken":
            text = sentence("broken", known.language)
            await self.gateway.say_as_system(known.id, Reply(text=text), key=f"broken:{case.id}", under=owner)
            await self._update(owner, case, promise="broken", priority=URGENT)
        elif step == "requeue":
            await self._move(step, known, owner, "pending", "person_idle")
        elif step == "close":
            await self._move(step, known, owner, "closed", "shopper_idle")
        elif step == "ask_rating":
            await self.ask_rating(known, owner, case)

    async def _tell(self, step: str, known: Conversation, owner: Ownership, case: Case) -> None:
        async with self.store.read() as connection:
            reply, promised_at = await self._waiting_reply(connection, known, owner, case, step)
        await self.gateway.say_as_system(known.id, reply, key=f"{step}:{known.id}:{owner.token}", under=owner)
        values: dict[str, Any] = {"noticed" if step == "notice" else "acknowledged": owner.token}
        if promised_at is not None:
            values |= {"promised_at": promised_at, "promise": "open"}
        if not case.packet:
            async with self.store.read() as connection:
                values["packet"] = await self._packet(connection, known, Handoff(reason=case.reason or ""))
        await self._update(owner, case, **values)

    async def _update(self, owner: Ownership, case: Case, **values: Any) -> None:
        async with self.store.write() as connection:
            await ownership.hold(connection, owner.conversation, owner.token, owner.owner)
            await cases.update(connection, case.id, **values)

    async def _move(
        self, step: str, known: Conversation, owner: Ownership, to: ownership.Owner, reason: str
    ) -> None:
        """Hand over because somebody is idle, unless he wrote at this very moment."""
        async with self.store.write() as connection:
            await self.store.lock(connection, known.id)
            current, _, situation = await self.situation(connection, known)
            still, again = decide(self._now(), situation, self.settings, self.hours)
            if current.token != owner.token or still != step:
                await timers.set_next(
                    connection, Timer(known.id, current.token, 0), again if again else self._now()
                )
                return
            await change_owner(self.store, connection, known.id, current, to, reason=reason)
        self.gateway.wake.wake(known.id)

    async def ask_rating(self, known: Conversation, owner: Ownership, case: Case) -> None:
        """Ask once how it was: a frame in the web chat, a sentence elsewhere.

        Raises:
            OwnershipLost: the shopper has written again; whoever waits or is served is not asked.
        """
        web = known.channel == "web"

        async def request(connection: AsyncConnection, conversation: str) -> None:
            await self.store.add_event(
                connection, conversation, "rating_request", "system", {"case": case.id, "agent": case.agent},
                audience="shopper" if web else "desk",
            )  # fmt: skip

        if not web:
            reply = Reply(text=say("farewell", known.language))
            await self.gateway.say_as_system(
                known.id, reply, key=f"rating:{case.id}", under=owner, along=request
            )
            return
        async with self.store.write() as connection:
            await self.store.lock(connection, known.id)
            await ownership.hold(connection, known.id, owner.token, owner.owner)
            if await self._rating_asked(connection, known.id, case):
                return
            await request(connection, known.id)
        self.gateway.wake.wake(known.id)

    # what a waiting shopper is told

    async def _waiting_reply(
        self, connection: AsyncConnection, known: Conversation, owner: Ownership, case: Case, step: str
    ) -> tuple[Reply, int | None]:
        """The words, and by when an answer is promised (ms) outside the hours."""
        language = known.language
        now = self._now()
        back = (Button(title=sentence("back", language), payload=BACK),)
        if case.promise is None and not self.hours.is_open(now):
            opening = self.hours.next_opening(now)
            asked = packet.Packet.model_validate(case.packet or {}).missing
            collect = sentence(
                {"order": "ask_order", "photo": "ask_photo"}.get(asked or "", "ask_more"), language
            )
            if opening is None:
                return Reply(
                    text=join(language, sentence("closed_long", language), collect), buttons=back
                ), None
            promised = opening + self.settings.promise_within * 1000
            zone = self.hours.zone
            closed = sentence(
                "closed_now",
                language,
                opening=clock_time(opening, language, zone),
                promised=clock_time(promised, language, zone),
            )
            return Reply(text=join(language, closed, collect), buttons=back), promised
        ahead = await cases.ahead_of(connection, case)
        where = position(ahead, await cases.usual_wait(connection, now - _DAY), language)
        if step == "notice":
            return Reply(text=sentence("notice", language, position=where), buttons=back), None
        if owner.reason == "person_idle":
            return Reply(text=sentence("requeued", language, position=where)), None
        if owner.reason == "passed_on":
            return Reply(text=sentence("passed_on", language, position=where)), None
        return Reply(text=join(language, where, sentence("keep", language)), buttons=back), None

    async def on_pending(
        self, connection: AsyncConnection, known: Conversation, handoff: Handoff, owner: Ownership
    ) -> tuple[dict[str, Any], Reply | None]:
        """The gateway's hook, in the transaction of the hand-over: the packet, and the one acknowledgement."""
        case = await cases.open_case(connection, known.id)
        assert case is not None, "ownership.change opens a case with every hand-over"
        built = await self._packet(connection, known, handoff)
        values: dict[str, Any] = {
            "packet": built,
            "goal": handoff.goal,
            "priority": max(
                case.priority, priority_of(handoff.reason, built.get("sentiment"), built.get("urgency", 0))
            ),
        }
        await cases.update(connection, case.id, **values)
        case = await cases.open_case(connection, known.id)
        assert case is not None, "it was there a moment ago"
        reply, promised_at = await self._waiting_reply(connection, known, owner, case, "acknowledge")
        values = {"acknowledged": owner.token}
        if promised_at is not None:
            values |= {"promised_at": promised_at, "promise": "open"}
        if case.wanted is None:
            before = await self._lately(connection, known.id)
            values["wanted"] = before.agent if before is not None else None
        await cases.update(connection, case.id, **values)
        return built, reply

    async def _lately(self, connection: AsyncConnection, conversation: str) -> Case | None:
        """The case a person ended with this shopper, on any linked channel, not longer ago than `reopen_within`."""
        before = await cases.ended_last(connection, await links.linked(connection, conversation))
        if before is None or self._now() - (before.ended_at or 0) > self.settings.reopen_within * 1000:
            return None
        return before

    async def _packet(
        self, connection: AsyncConnection, known: Conversation, handoff: Handoff
    ) -> dict[str, Any]:
        """The packet as JSON, read in the caller's transaction."""
        query = (
            select(events)
            .where(events.c.conversation == known.id, events.c.kind == "message")
            .order_by(events.c.seq.desc())
            .limit(40)
        )
        lines = list(reversed((await connection.execute(query)).all()))
        said = [str(line.body.get("text") or "") for line in lines if line.author == "shopper"]
        moods = [read_sentiment(text) for text in said[-5:]]
        feelings = [one.feeling for one in moods]
        media = [
            str(one["media_id"])
            for line in lines
            if line.author == "shopper"
            for one in line.body.get("media") or ()
            if one.get("media_id")
        ]
        languages = [language_of(text) for text in said[-3:]]
        everywhere = await links.linked(connection, known.id)
        told = await promises.told_in(connection, everywhere)
        earlier = await cases.last_case(connection, known.id)
        current = await cases.open_case(connection, known.id)
        if earlier is not None and current is not None and earlier.id == current.id:
            earlier = await _case_before(connection, current)
        built = packet.build(
            {"tried": await _tried(connection, known.id), **handoff.packet},
            reason=handoff.reason,
            goal=handoff.goal,
            who={"channel": known.channel, "account": known.account, "customer": known.customer,
                 **({"proof": "channel_account", "level": 1} if known.customer else {})},
            language=next((one for one in reversed(languages) if one), known.language),
            sentiment=next((one for one in ("angry", "worried") if one in feelings), None),
            urgency=max((one.urgency for one in moods), default=0),
            media=media,
            turns=[
                {"author": line.author, "text": line.body.get("text") or "", "at": line.at}
                for line in lines[-packet.TURNS :]
            ],
            earlier=earlier.note if earlier is not None else None,
            promises=[promises.as_facts(one) for one in told],
            elsewhere=await _elsewhere(connection, everywhere[1:]),
        )  # fmt: skip
        return built.model_dump(mode="json", exclude_none=True)

    # after the case

    async def metadata(self, conversation: str, message: str) -> dict[str, Any]:
        """What the person noted, here or on a linked channel, while it counts."""
        async with self.store.write() as connection:
            everywhere = await links.linked(connection, conversation)
            note = await cases.note_for(connection, everywhere, message, self._now())
        return {"note": note} if note else {}

    async def reopen(
        self, known: Conversation, owner: Ownership, inbound: Inbound
    ) -> tuple[ownership.Owner, str | None, str]:
        """Writing again soon after the end goes to the same person; mere thanks go to the bot."""
        async with self.store.read() as connection:
            case = await self._lately(connection, known.id)
        if case is None or case.agent is None or _THANKS.match(inbound.text.strip()):
            return "bot", None, "shopper_wrote"
        if self._on_duty(case.agent):
            return "person", case.agent, "reopened"
        return "pending", None, "reopened"

    async def intercept(self, known: Conversation, inbound: Inbound, seq: int) -> Reply | None:
        """The number that answers "1 to 5?", when it is the first thing said after the question."""
        rating = read_rating(inbound.text)
        if rating is None or inbound.payload is not None:
            return None
        score, comment = rating
        async with self.store.write() as connection:
            await self.store.lock(connection, known.id)
            query = (
                select(events)
                .where(
                    events.c.conversation == known.id,
                    events.c.seq < seq,
                    (events.c.kind.in_(("rating", "rating_request")))
                    | ((events.c.kind == "message") & (events.c.author.in_(("shopper", "bot")))),
                )
                .order_by(events.c.seq.desc())
                .limit(1)
            )
            before = (await connection.execute(query)).first()
            if before is None or before.kind != "rating_request" or self._now() - before.at > 2 * _DAY:
                return None
            body = {"of": before.seq, "score": score, "comment": comment, "case": before.body.get("case")}
            query = select(events).where(
                events.c.conversation == known.id, events.c.kind == "rating", events.c.seq > before.seq
            )
            answered = [
                row for row in (await connection.execute(query)).all() if row.body.get("of") == before.seq
            ]
            if not answered:
                await self.store.add_event(
                    connection, known.id, "rating", "shopper", body,
                    audience="shopper" if known.channel == "web" else "desk",
                )  # fmt: skip
        for hook in [] if answered else self.gateway.on_rating:
            await hook(known.id, body)
        return Reply(text=sentence("rated" if score >= 3 else "rated_low", known.language))

    async def on_rating(self, conversation: str, body: dict[str, Any]) -> None:
        """Write a rating into its case, whichever way it came."""
        async with self.store.write() as connection:
            query = select(events.c.body).where(
                events.c.conversation == conversation, events.c.seq == body["of"]
            )
            asked = (await connection.execute(query)).scalar() or {}
            case = asked.get("case")
            if case:
                await cases.update(
                    connection, case, rating=body["score"], rating_comment=body.get("comment") or None
                )


async def _case_before(connection: AsyncConnection, case: Case) -> Case | None:
    query = (
        select(cases.cases)
        .where(cases.cases.c.conversation == case.conversation, cases.cases.c.id != case.id)
        .order_by(cases.cases.c.opened_at.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).first()
    return Case(**row._mapping) if row else None


async def _elsewhere(connection: AsyncConnection, others: Sequence[str]) -> list[dict[str, Any]]:
    """The last case of each linked conversation, and how that one stands."""
    found: list[dict[str, Any]] = []
    proofs = await links.proofs_of(connection, others)
    for other in others:
        channel = (
            await connection.execute(select(conversations.c.channel).where(conversations.c.id == other))
        ).scalar()
        owner = await ownership.get(connection, other)
        case = await cases.last_case(connection, other)
        facts: dict[str, Any] = {
            "conversation": other, "channel": channel or "", "owner": owner.owner, "proof": proofs.get(other),
        }  # fmt: skip
        if case is not None:
            order = case.packet.get("order") or {}
            facts |= {
                "goal": case.goal, "reason": case.reason, "opened_at": case.opened_at, "ended_at": case.ended_at,
                "outcome": case.outcome, "agent": case.agent, "note": case.note,
                "order_number": order.get("number") or case.packet.get("order_number"),
                "requests": [one for one in order.get("requests") or () if one.get("status") in _UNDER_WAY],
            }  # fmt: skip
        found.append(facts)
    return found


async def _tried(connection: AsyncConnection, conversation: str) -> Sequence[str]:
    """What the bot decided so far, from the audit trail: short codes, oldest first."""
    query = (
        select(audit.c.explain, audit.c.receipts, audit.c.outcome)
        .where(audit.c.conversation == conversation)
        .order_by(audit.c.at.desc())
        .limit(12)
    )
    found: list[str] = []
    for row in reversed((await connection.execute(query)).all()):
        explain = row.explain or {}
        if explain.get("operation"):
            clause = f" ({explain['clause']})" if explain.get("clause") else ""
            found.append(f"{explain['operation']}: {explain.get('outcome', '')}{clause}")
        elif isinstance(explain.get("answer"), dict):
            found.append(f"answer: {explain['answer'].get('decision', '')}")
        found += [f"receipt {receipt}" for receipt in row.receipts or ()]
        if row.outcome not in ("sent", ""):
            found.append(str(row.outcome))
    return list(dict.fromkeys(found))
