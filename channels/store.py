"""The gateway's memory: conversations, their event log, inbox, outbox, buttons and audit.

Written so that a kill between any two statements loses and repeats nothing: what belongs together is
one transaction, and every transaction begins with a write (SQLite then takes its write lock before
anything is read; PostgreSQL locks the conversation's row, so that events are numbered in order).
This module knows no platform and no Rasa.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.database import insert_once, now_ms
from bot.message import Inbound
from bot.sqlite import at_once
from channels.channel import Conversation, Delivery, OutboxMessage, ShownButton
from channels.tables import audit, buttons, conversations, events, inbox, outbox


@dataclass(frozen=True)
class Received:
    """What became of an inbound message."""

    message_id: str
    conversation: str
    seq: int
    duplicate: bool


@dataclass(frozen=True)
class Waiting:
    """An inbound message that still wants its turn."""

    id: str
    position: int
    conversation: str
    body: dict[str, Any]
    seq: int
    state: str
    attempts: int
    next_at: int
    failed_at: int | None
    passive_until: int
    error: str | None = None


@dataclass(frozen=True)
class Event:
    """One line of a conversation. `seq` rises without repeating; gaps are possible."""

    conversation: str
    seq: int
    kind: str
    author: str
    audience: str
    body: dict[str, Any]
    at: int


@dataclass(frozen=True)
class Draft:
    """A message about to be stored: its event body and the payloads behind its buttons."""

    id: str
    ordinal: int
    author: str
    body: dict[str, Any]
    payloads: tuple[tuple[str, str, str], ...] = ()  # (token, title, payload)


# How long a claim (state passive or sending) holds, ms. Far longer than any way out takes: a claim that is
# older belongs to a gateway that died.
CLAIM_LIFE = 60_000
_CLAIMED = ("passive", "sending")


def new_id() -> str:
    """128 random bits, safe in addresses and on a command line (`kefu release ID`)."""
    return secrets.token_hex(16)


class _Turnstile:
    """Lets one through at a time: the urgent first, each kind in the order it came."""

    def __init__(self) -> None:
        self._taken = False
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def passed(self, *, urgent: bool) -> AsyncIterator[None]:
        if self._taken:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            (self._urgent if urgent else self._others).append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._next()  # it was our turn already: pass it on
                raise
        self._taken = True
        try:
            yield
        finally:
            self._next()

    def _next(self) -> None:
        for queue in (self._urgent, self._others):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)  # `_taken` stays set: nobody slips in between
                    return
        self._taken = False


class Store:
    """Transactions over the tables above."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.embedded = engine.dialect.name == "sqlite"
        self._turnstile = _Turnstile()

    @asynccontextmanager
    async def write(self, *, urgent: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction. On SQLite one at a time: queueing here is quicker than its busy timeout.

        `urgent` goes before the others: what a platform has taken already must be written down before a kill
        can make it go out again.
        """
        if self.embedded:
            async with self._turnstile.passed(urgent=urgent), self.engine.begin() as connection:
                at_once(connection)
                yield connection
        else:
            async with self.engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def read(self, *, much: bool = False) -> AsyncIterator[AsyncConnection]:
        """Look things up; `much` when that may go over whole tables, so that nobody has to wait for it."""
        async with self.engine.connect() as connection:
            if self.embedded and not much:
                at_once(connection)
            yield connection

    # conversations

    async def open_conversation(
        self,
        connection: AsyncConnection,
        channel: str,
        account: str,
        shopper: str,
        *,
        locale: str | None = None,
        guess: str | None = None,
        customer: str | None = None,
    ) -> Conversation:
        """The shopper's conversation at this door, made when there is none. Locks its row.

        `guess` is its language as long as none is known; `locale` is it from now on.
        """
        now = now_ms()
        await connection.execute(
            insert_once(conversations, "channel", "account", "shopper"), {
                "id": new_id(), "channel": channel, "account": account, "shopper": shopper,
                "customer": customer, "locale": locale or guess, "seq": 0, "read_seq": 0, "reachable": True, "apologised": False,
                "turn_lease_until": 0, "delivery_lease_until": 0,
                "created_at": now, "active_at": now,
            }
        )  # fmt: skip
        mine = and_(
            conversations.c.channel == channel,
            conversations.c.account == account,
            conversations.c.shopper == shopper,
        )
        changes: dict[str, Any] = {"active_at": now, "reachable": True}
        if locale:
            changes["locale"] = locale
        elif guess:
            changes["locale"] = func.coalesce(conversations.c.locale, guess)
        if customer:
            changes["customer"] = customer
        await connection.execute(conversations.update().where(mine).values(**changes))
        return _conversation((await connection.execute(select(conversations).where(mine))).one())

    async def conversation(self, conversation: str) -> Conversation | None:
        async with self.read() as connection:
            row = (
                await connection.execute(select(conversations).where(conversations.c.id == conversation))
            ).first()
        return _conversation(row) if row else None

    async def find_conversation(self, channel: str, account: str, shopper: str) -> Conversation | None:
        async with self.read() as connection:
            row = (
                await connection.execute(
                    select(conversations).where(
                        conversations.c.channel == channel,
                        conversations.c.account == account,
                        conversations.c.shopper == shopper,
                    )
                )
            ).first()
        return _conversation(row) if row else None

    async def adopt(
        self, channel: str, account: str, guest: str, known: str, customer: str
    ) -> Conversation | None:
        """Give a guest's conversation to the customer he turned out to be, unless that one has his own.

        Returns the conversation that changed hands, or None when nothing did.
        """
        async with self.write() as connection:
            mine = and_(
                conversations.c.channel == channel,
                conversations.c.account == account,
                conversations.c.shopper == guest,
            )
            await connection.execute(conversations.update().where(mine).values(active_at=now_ms()))
            taken = await connection.execute(
                select(conversations.c.id).where(
                    conversations.c.channel == channel,
                    conversations.c.account == account,
                    conversations.c.shopper == known,
                )
            )
            if taken.first() is not None:
                return None
            await connection.execute(
                conversations.update().where(mine).values(shopper=known, customer=customer)
            )
            row = (
                await connection.execute(
                    select(conversations).where(
                        conversations.c.channel == channel,
                        conversations.c.account == account,
                        conversations.c.shopper == known,
                    )
                )
            ).first()
            return _conversation(row) if row else None

    async def lock(self, connection: AsyncConnection, conversation: str) -> None:
        """Lock the conversation's row to the end of this transaction; comes before everything else in it."""
        await connection.execute(
            conversations.update().where(conversations.c.id == conversation).values(seq=conversations.c.seq)
        )

    async def bump(self, connection: AsyncConnection, conversation: str) -> int:
        """Take the next sequence number. Locks the conversation."""
        mine = conversations.c.id == conversation
        await connection.execute(conversations.update().where(mine).values(seq=conversations.c.seq + 1))
        return int((await connection.execute(select(conversations.c.seq).where(mine))).scalar_one())

    async def mark_read(self, conversation: str, seq: int) -> None:
        """The shopper has seen everything up to `seq`; never goes back."""
        async with self.write() as connection:
            await connection.execute(
                conversations.update()
                .where(
                    conversations.c.id == conversation,
                    conversations.c.read_seq < seq,
                    conversations.c.seq >= seq,
                )
                .values(read_seq=seq)
            )

    async def set_reachable(self, conversation: str, reachable: bool) -> None:
        async with self.write() as connection:
            await connection.execute(
                conversations.update().where(conversations.c.id == conversation).values(reachable=reachable)
            )

    async def set_locale(self, conversation: str, locale: str) -> None:
        async with self.write() as connection:
            await connection.execute(
                conversations.update().where(conversations.c.id == conversation).values(locale=locale)
            )

    async def lease(self, lane: str, conversation: str, gateway: str, seconds: float) -> bool:
        """Take or renew the right to work on a conversation's lane ("turn" or "delivery").

        Embedded there is one gateway only, so the answer is always yes.
        """
        if self.embedded:
            return True
        holder, until = conversations.c[f"{lane}_lease"], conversations.c[f"{lane}_lease_until"]
        now = now_ms()
        async with self.write() as connection:
            result = await connection.execute(
                conversations.update()
                .where(conversations.c.id == conversation, or_(holder == gateway, until < now))
                .values({holder: gateway, until: now + int(seconds * 1000)})
            )
        return bool(result.rowcount == 1)

    async def release_lease(self, lane: str, conversation: str, gateway: str) -> None:
        if self.embedded:
            return
        holder, until = conversations.c[f"{lane}_lease"], conversations.c[f"{lane}_lease_until"]
        async with self.write() as connection:
            await connection.execute(
                conversations.update()
                .where(conversations.c.id == conversation, holder == gateway)
                .values({holder: None, until: 0})
            )

    # events

    async def add_event(
        self,
        connection: AsyncConnection,
        conversation: str,
        kind: str,
        author: str,
        body: dict[str, Any],
        *,
        audience: str = "shopper",
        seq: int | None = None,
    ) -> int:
        """Write the next line of a conversation and return its number."""
        if seq is None:
            seq = await self.bump(connection, conversation)
        await connection.execute(
            events.insert(), {
                "conversation": conversation, "seq": seq, "kind": kind, "author": author,
                "audience": audience, "body": body, "at": now_ms(),
            }
        )  # fmt: skip
        return seq

    async def events_after(
        self, conversation: str, seq: int, *, limit: int = 200, desk: bool = False
    ) -> list[Event]:
        """The lines after `seq`, oldest first; those for the desk only when `desk`."""
        query = (
            select(events)
            .where(events.c.conversation == conversation, events.c.seq > seq)
            .order_by(events.c.seq)
            .limit(limit)
        )
        if not desk:
            query = query.where(events.c.audience == "shopper")
        async with self.read() as connection:
            rows = (await connection.execute(query)).all()
        return [Event(**row._mapping) for row in rows]

    async def events_before(self, conversation: str, seq: int, limit: int) -> list[Event]:
        """The `limit` lines before `seq` that the shopper may see, oldest first."""
        query = (
            select(events)
            .where(events.c.conversation == conversation, events.c.seq < seq, events.c.audience == "shopper")
            .order_by(events.c.seq.desc())
            .limit(limit)
        )
        async with self.read() as connection:
            rows = (await connection.execute(query)).all()
        return [Event(**row._mapping) for row in reversed(rows)]

    async def first_of_last(self, conversation: str, count: int) -> int:
        """The number before the last `count` lines: where a page without history begins."""
        query = (
            select(events.c.seq)
            .where(events.c.conversation == conversation, events.c.audience == "shopper")
            .order_by(events.c.seq.desc())
            .offset(count)
            .limit(1)
        )
        async with self.read() as connection:
            return int((await connection.execute(query)).scalar() or 0)

    async def sequences(self, ids: Iterable[str]) -> dict[str, int]:
        """The last sequence number of each of these conversations."""
        query = select(conversations.c.id, conversations.c.seq).where(conversations.c.id.in_(list(ids)))
        async with self.read() as connection:
            return {row.id: row.seq for row in (await connection.execute(query)).all()}

    # inbox

    async def received(self, connection: AsyncConnection, inbound: Inbound) -> Received | None:
        """What became of this message when it came before; None when it did not."""
        query = select(inbox.c.id, inbox.c.conversation, inbox.c.seq).where(
            inbox.c.channel == inbound.channel,
            inbox.c.account == inbound.account,
            inbox.c.dedup_key == inbound.dedup_key,
        )
        row = (await connection.execute(query)).first()
        return Received(row.id, row.conversation, row.seq or 0, True) if row else None

    async def next_waiting(self, conversation: str, limit: int = 1) -> list[Waiting]:
        """The oldest messages of a conversation that are not done."""
        query = (
            select(inbox)
            .where(inbox.c.conversation == conversation, inbox.c.state.in_(("new", "running")))
            .order_by(inbox.c.position)
            .limit(limit)
        )
        async with self.read() as connection:
            return [_waiting(row) for row in (await connection.execute(query)).all()]

    async def start_turn(self, message_id: str) -> None:
        """Written before Rasa is asked, so that a later gateway knows the turn may have run."""
        async with self.write() as connection:
            await connection.execute(
                inbox.update()
                .where(inbox.c.id == message_id)
                .values(state="running", attempts=inbox.c.attempts + 1)
            )

    async def finish(self, connection: AsyncConnection, message_id: str, outcome: str) -> None:
        await connection.execute(
            inbox.update()
            .where(inbox.c.id == message_id, inbox.c.state != "done")
            .values(state="done", outcome=outcome, done_at=now_ms())
        )

    async def postpone(
        self, message_id: str, next_at: int, failed_at: int, error: str, attempts: int
    ) -> None:
        async with self.write() as connection:
            await connection.execute(
                inbox.update()
                .where(inbox.c.id == message_id)
                .values(next_at=next_at, failed_at=failed_at, error=error[:2000], attempts=attempts)
            )

    async def attach(self, waiting: Waiting, body: dict[str, Any], media: Sequence[dict[str, Any]]) -> None:
        """The message's files are here: write them into the message and into its line."""
        async with self.write() as connection:
            await self.lock(connection, waiting.conversation)
            await connection.execute(inbox.update().where(inbox.c.id == waiting.id).values(body=body))
            line = and_(events.c.conversation == waiting.conversation, events.c.seq == waiting.seq)
            row = (await connection.execute(select(events.c.body).where(line))).first()
            if row is not None:
                shown = {**row.body, "media": list(media)}
                await connection.execute(events.update().where(line).values(body=shown))

    async def park(self, connection: AsyncConnection, message_id: str, error: str) -> None:
        await connection.execute(
            inbox.update().where(inbox.c.id == message_id).values(state="parked", error=error[:2000])
        )

    async def parked(self, limit: int = 100) -> list[Waiting]:
        """Messages that failed for good, oldest first."""
        query = select(inbox).where(inbox.c.state == "parked").order_by(inbox.c.position).limit(limit)
        async with self.read() as connection:
            return [_waiting(row) for row in (await connection.execute(query)).all()]

    async def replay(self, message_id: str) -> bool:
        """Give a parked message another try. False when there is no such parked message."""
        async with self.write() as connection:
            result = await connection.execute(
                inbox.update()
                .where(inbox.c.id == message_id, inbox.c.state == "parked")
                .values(state="running", attempts=1, next_at=0, failed_at=None, error=None)
            )
        return bool(result.rowcount == 1)

    async def inbox_state(self, message_id: str) -> str | None:
        async with self.read() as connection:
            state: str | None = (
                await connection.execute(select(inbox.c.state).where(inbox.c.id == message_id))
            ).scalar()
        return state

    async def backlog(self) -> int:
        """Messages that still want their turn, over all conversations."""
        query = select(func.count()).select_from(inbox).where(inbox.c.state.in_(("new", "running")))
        async with self.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def due(self, limit: int = 500) -> tuple[set[str], set[str]]:
        """Conversations with something to process, and with something to deliver, now."""
        now = now_ms()
        turns = (
            select(inbox.c.conversation)
            .where(inbox.c.state.in_(("new", "running")), inbox.c.next_at <= now)
            .distinct()
            .limit(limit)
        )
        deliveries = (
            select(outbox.c.conversation)
            .where(outbox.c.state == "pending", outbox.c.next_at <= now)
            .distinct()
            .limit(limit)
        )
        async with self.read() as connection:
            return (
                set((await connection.execute(turns)).scalars()),
                set((await connection.execute(deliveries)).scalars()),
            )

    # outbox

    async def add_message(
        self,
        connection: AsyncConnection,
        conversation: Conversation,
        draft: Draft,
        *,
        inbound: str | None = None,
        next_at: int = 0,
    ) -> int | None:
        """Store one message: outbox, event log and buttons. None when it is stored already."""
        inserted = await connection.execute(
            insert_once(outbox, "inbound", "ordinal"), {
                "id": draft.id, "conversation": conversation.id, "channel": conversation.channel, "inbound": inbound,
                "ordinal": draft.ordinal, "seq": 0, "author": draft.author, "body": draft.body, "state": "pending",
                "attempts": 0, "next_at": next_at, "created_at": now_ms(),
            }
        )  # fmt: skip
        if inserted.rowcount == 0:
            return None
        seq = await self.add_event(connection, conversation.id, "message", draft.author, draft.body)
        await connection.execute(outbox.update().where(outbox.c.id == draft.id).values(seq=seq))
        if draft.payloads:
            await connection.execute(
                buttons.insert(),
                [
                    {
                        "token": token, "conversation": conversation.id, "seq": seq,
                        "ordinal": n, "title": title, "payload": payload,
                    }
                    for n, (token, title, payload) in enumerate(draft.payloads, 1)
                ],
            )  # fmt: skip
        return seq

    async def next_deliveries(self, conversation: str, batch: int) -> tuple[list[OutboxMessage], int]:
        """The oldest undelivered messages, all of one turn, and when they are due (ms).

        None while an older one is claimed: nothing may overtake it.
        """
        query = (
            select(outbox)
            .where(outbox.c.conversation == conversation, outbox.c.state.in_(("pending", *_CLAIMED)))
            .order_by(outbox.c.position)
            .limit(batch)
        )
        async with self.read() as connection:
            rows = (await connection.execute(query)).all()
        if not rows or rows[0].state in _CLAIMED:
            return [], 0
        head = rows[0]
        same = [
            row
            for n, row in enumerate(rows)
            if n == 0 or (head.inbound and row.inbound == head.inbound and row.state == "pending")
        ]
        return [_outbox_message(row) for row in same], head.next_at

    async def undelivered(self, conversation: str) -> bool:
        """Whether anything waits for the shopper or is on its way."""
        query = select(outbox.c.id).where(
            outbox.c.conversation == conversation, outbox.c.state.in_(("pending", *_CLAIMED))
        )
        async with self.read() as connection:
            return (await connection.execute(query.limit(1))).first() is not None

    async def messages_of(self, inbound: str) -> list[OutboxMessage]:
        """Every message stored as an answer to this inbound one."""
        query = select(outbox).where(outbox.c.inbound == inbound).order_by(outbox.c.position)
        async with self.read() as connection:
            return [_outbox_message(row) for row in (await connection.execute(query)).all()]

    async def take_pending(self, inbound: str) -> list[OutboxMessage]:
        """Claim the answers that nobody has tried to deliver yet, and what waits before them; for a platform's
        passive reply."""
        mine = select(outbox.c.conversation, func.max(outbox.c.position).label("last")).where(
            outbox.c.inbound == inbound, outbox.c.state == "pending", outbox.c.attempts == 0
        )
        async with self.read() as connection:
            row = (await connection.execute(mine.group_by(outbox.c.conversation))).first()
        if row is None:
            return []
        return await self._take(
            and_(
                outbox.c.conversation == row.conversation,
                outbox.c.position <= row.last,
                outbox.c.state == "pending",
            )
        )

    async def take_waiting(self, conversation: str) -> list[OutboxMessage]:
        """Claim all that waits for the shopper, of this turn and earlier ones; for a platform that can
        only answer passively."""
        return await self._take(
            and_(outbox.c.conversation == conversation, outbox.c.state.in_(("pending", "held")))
        )

    async def claim(self, messages: Sequence[OutboxMessage]) -> list[OutboxMessage]:
        """Those of the messages that are still to be delivered, claimed for the way out the channel has itself."""
        ids = [message.id for message in messages]
        return await self._take(and_(outbox.c.id.in_(ids), outbox.c.state == "pending"), "sending")

    async def _take(self, which: Any, state: str = "passive") -> list[OutboxMessage]:
        """Only one of several callers gets a message."""
        async with self.write() as connection:
            query = select(outbox).where(which).order_by(outbox.c.position)
            rows = (await connection.execute(query if self.embedded else query.with_for_update())).all()
            await connection.execute(
                outbox.update()
                .where(outbox.c.id.in_([row.id for row in rows]))
                .values(state=state, next_at=now_ms() + CLAIM_LIFE)
            )
            return [_outbox_message(row) for row in rows]

    async def settle(
        self, messages: Sequence[OutboxMessage], delivery: Delivery, *, next_at: int = 0, failed: bool = False
    ) -> None:
        """Write down what became of these messages."""
        state = {"retry": "failed" if failed else "pending"}.get(delivery.status, delivery.status)
        values: dict[str, Any] = {
            "state": state,
            "attempts": outbox.c.attempts + 1,
            "next_at": next_at,
            "error": (delivery.reason or "")[:2000] or None,
        }
        if state not in ("pending", "held"):
            values["done_at"] = now_ms()
        if delivery.platform_id:
            values["platform_id"] = delivery.platform_id
        async with self.write(urgent=True) as connection:
            await connection.execute(
                outbox.update().where(outbox.c.id.in_([message.id for message in messages])).values(**values)
            )

    async def fail_delivered(self, channel: str, platform_id: str) -> None:
        """The platform says afterwards that a message did not arrive."""
        async with self.write() as connection:
            await connection.execute(
                outbox.update()
                .where(outbox.c.channel == channel, outbox.c.platform_id == platform_id)
                .values(state="failed", error="the platform reports that it did not arrive")
            )

    async def unhold(self, connection: AsyncConnection, conversation: str) -> bool:
        """The shopper wrote: what had to wait for that may go out. False when nothing had to."""
        result = await connection.execute(
            outbox.update()
            .where(outbox.c.conversation == conversation, outbox.c.state == "held")
            .values(state="pending", attempts=0, next_at=0)
        )
        return bool(result.rowcount)

    async def give_back_claims(self, *, at_start: bool = False) -> None:
        """What a gateway claimed and died with goes out normally. Embedded, nobody else can hold a claim at start."""
        abandoned = outbox.c.state.in_(_CLAIMED)
        if not (at_start and self.embedded):
            abandoned = and_(abandoned, outbox.c.next_at <= now_ms())
            async with self.read() as connection:
                if (await connection.execute(select(outbox.c.id).where(abandoned).limit(1))).first() is None:
                    return
        async with self.write() as connection:
            await connection.execute(outbox.update().where(abandoned).values(state="pending", next_at=0))

    # buttons

    async def button(self, conversation: str, token: str) -> tuple[str, str] | None:
        """(title, payload) behind a token that was issued in this conversation."""
        query = select(buttons).where(buttons.c.token == token, buttons.c.conversation == conversation)
        async with self.read() as connection:
            row = (await connection.execute(query)).first()
        return (row.title, row.payload) if row else None

    async def buttons_before(self, conversation: str, seq: int) -> list[tuple[str, str]]:
        """(title, payload) of the buttons the shopper saw last before line `seq`.

        Those of the bot's last turn only: an older choice is off the table.
        """
        async with self.read() as connection:
            shopper_line = (
                await connection.execute(
                    select(func.max(events.c.seq)).where(
                        events.c.conversation == conversation,
                        events.c.seq < seq,
                        events.c.author == "shopper",
                    )
                )
            ).scalar() or 0
            rows = (
                await connection.execute(
                    select(buttons)
                    .where(
                        buttons.c.conversation == conversation,
                        buttons.c.seq < seq,
                        buttons.c.seq > shopper_line,
                    )
                    .order_by(buttons.c.seq, buttons.c.ordinal)
                )
            ).all()
        return [(row.title, row.payload) for row in rows]

    # audit

    async def add_audit(
        self,
        connection: AsyncConnection,
        reply: str,
        conversation: str,
        inbound: str | None,
        outcome: str,
        explain: dict[str, Any],
        receipts: Sequence[str],
    ) -> None:
        """Why this reply was given (or withheld), in the words of the components that made it."""
        score = explain.get("score", explain.get("confidence"))
        await connection.execute(
            insert_once(audit, "reply"), {
                "reply": reply, "conversation": conversation, "inbound": inbound, "outcome": outcome,
                "intent": str(explain["intent"])[:128] if explain.get("intent") else None,
                "score": float(score) if isinstance(score, int | float) else None,
                "reasons": explain.get("reasons") or [], "versions": explain.get("versions") or {},
                "receipts": list(receipts), "explain": explain, "at": now_ms(),
            }
        )  # fmt: skip

    async def ping(self) -> None:
        """Raises when the database does not answer."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))


def _conversation(row: Any) -> Conversation:
    return Conversation(
        row.id, row.channel, row.account, row.shopper, row.customer, row.locale,
        row.seq, row.read_seq, row.reachable, row.active_at,
    )  # fmt: skip


def _waiting(row: Any) -> Waiting:
    return Waiting(
        row.id, row.position, row.conversation, row.body, row.seq or 0, row.state, row.attempts,
        row.next_at, row.failed_at, row.passive_until, row.error,
    )  # fmt: skip


def _outbox_message(row: Any) -> OutboxMessage:
    body = row.body
    return OutboxMessage(
        id=row.id,
        conversation=row.conversation,
        seq=row.seq,
        author=row.author,
        text=body.get("text", ""),
        buttons=tuple(ShownButton(b["title"], b["token"]) for b in body.get("buttons", ())),
        card=body.get("card"),
        image=body.get("image"),
        citations=tuple((title, address) for title, address in body.get("citations", ())),
        media=tuple(body.get("media", ())),
        language=body.get("language"),
        agent=body.get("agent"),
        inbound=row.inbound,
        attempts=row.attempts,
        created_at=row.created_at,
        body=body,
    )
