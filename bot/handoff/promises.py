"""Deadlines told to shoppers: one row each, looked at until they are kept or broken.

A row is made from what produced the sentence: the order API's receipt with the plan consented to, or the time a
person set when giving a conversation back. Never from words. That a person answers by a time outside the hours is
the case's own promise (`bot.handoff.cases`, columns promised_at and promise).
What became of it is the shop's to say (`bot.orders.client.OrderClient.outcome`); `decide` draws the conclusion and
is a pure function, so that a look that dies is repeated. The gateway looks. This module knows no channel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any, Literal

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, String, Table, UniqueConstraint, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.database import metadata
from bot.message import Promised
from bot.orders.models import Operation, Outcome, Receipt
from bot.orders.plans import Plan, settled_amount
from bot.policy.rules import Calendar
from bot.policy.working_days import add_working_days
from bot.privacy.cipher import SealedText

State = Literal["open", "kept", "late", "broken", "void", "unchecked"]

promises = Table(
    "promises",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("conversation", String(64), nullable=False),
    Column("source", String(160), nullable=False),  # what produced the sentence: receipt:<id>, note:<case>
    Column("kind", String(32), nullable=False),
    Column("order_number", String(64)),
    Column("receipt", String(128)),
    Column("key", SealedText),  # under which the shop tells what became of it
    Column("amount", JSON),
    Column("agent", String(128)),  # the person who promised
    Column("told_at", BigInteger, nullable=False),  # ms, like all of these
    Column("due_at", BigInteger),  # null: it runs from the day the goods arrive
    Column("working_days", Integer),  # after that day
    Column("state", String(16), nullable=False),
    Column("next_at", BigInteger),  # when to look next; null: settled
    Column("silent_since", BigInteger),  # since when the shop has not said what became of it
    Column("settled_at", BigInteger),
    UniqueConstraint("conversation", "source"),
    Index("ix_promises_next_at", "next_at"),
)

LEASE = 60_000  # ms; a look that dies in the middle is repeated after that
_FIRST = 3_600_000  # ms; the first look
_AGAIN = 600_000  # ms; the shop did not answer: asked again after that
_PATIENCE = 24 * 3600 * 1000  # ms; a shop silent for so long after the day is a matter for a person
_FORGOTTEN = 90 * 24 * 3600 * 1000  # ms; goods that never came back end what was promised for them
_DAYTIME = (time(8), time(21))  # nobody is woken by good or bad news

# Money that a receipt says is on its way; of goods that first come back it is `refund_after_return`.
_MONEY = frozenset({Operation.CANCEL, Operation.REFUND, Operation.CHANGE_ITEMS, Operation.PRICE_PROTECTION})
_AFTER_ARRIVAL: dict[Operation, Literal["refund_after_return", "exchange"]] = {
    Operation.RETURN: "refund_after_return",
    Operation.EXCHANGE: "exchange",
}


@dataclass(frozen=True)
class Promise:
    """One row. Times in ms."""

    id: str
    conversation: str
    source: str
    kind: str
    order_number: str | None
    receipt: str | None
    key: str | None
    amount: dict[str, Any] | None
    agent: str | None
    told_at: int
    due_at: int | None
    working_days: int | None
    state: str
    next_at: int | None
    silent_since: int | None
    settled_at: int | None


def from_receipt(receipt: Receipt, plan: Plan) -> tuple[Promised, ...]:
    """The deadlines that `render_receipt` and the plan it belongs to told the shopper."""
    amount = settled_amount(receipt)
    worth = amount.model_dump() if amount is not None and amount.amount > 0 else None
    after = _AFTER_ARRIVAL.get(receipt.operation)
    if after is not None and plan.working_days is not None:
        return (
            Promised(
                kind=after, order=receipt.order, receipt=receipt.id, key=receipt.key,
                working_days=plan.working_days, amount=worth,
            ),
        )  # fmt: skip
    if receipt.operation in _MONEY and worth is not None and receipt.due_at is not None:
        due = int(receipt.due_at.timestamp() * 1000)
        return (
            Promised(
                kind="refund",
                order=receipt.order,
                receipt=receipt.id,
                key=receipt.key,
                due_at=due,
                amount=worth,
            ),
        )
    return ()


async def make(
    connection: AsyncConnection, conversation: str, promised: Iterable[Promised], *, at: int
) -> None:
    """Write down what a reply promised, in the transaction that stores the reply. `at` in ms."""
    for one in promised:
        await _insert(
            connection, conversation, source=f"receipt:{one.receipt}", kind=one.kind, order_number=one.order,
            receipt=one.receipt, key=one.key, amount=one.amount, told_at=at, due_at=one.due_at,
            working_days=one.working_days, next_at=min(at + _FIRST, one.due_at or at + _FIRST),
        )  # fmt: skip


async def make_follow_up(
    connection: AsyncConnection, conversation: str, case: str, *, agent: str, due_at: int, at: int
) -> None:
    """A person gave the conversation back and said by when he follows up. Times in ms."""
    await _insert(
        connection, conversation, source=f"note:{case}", kind="follow_up", agent=agent, told_at=at,
        due_at=due_at, next_at=due_at,
    )  # fmt: skip


async def _insert(connection: AsyncConnection, conversation: str, *, source: str, **values: Any) -> None:
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    name = hashlib.sha256(f"{conversation}\n{source}".encode()).hexdigest()[:32]
    await connection.execute(
        insert(promises)
        .values(id=name, conversation=conversation, source=source, state="open", **values)
        .on_conflict_do_nothing(index_elements=["conversation", "source"])
    )


async def due(connection: AsyncConnection, now: int, limit: int = 100) -> list[Promise]:
    """Those to be looked at now (ms), longest waiting first."""
    query = select(promises).where(promises.c.next_at <= now).order_by(promises.c.next_at).limit(limit)
    return [Promise(**row._mapping) for row in (await connection.execute(query)).all()]


async def take(connection: AsyncConnection, promise: Promise, now: int) -> bool:
    """Win the right to look (several gateways run); a look that dies comes back after `LEASE`."""
    won = await connection.execute(
        promises.update()
        .where(promises.c.id == promise.id, promises.c.next_at == promise.next_at)
        .values(next_at=now + LEASE)
    )
    return bool(won.rowcount == 1)


async def put_off(connection: AsyncConnection, promise: Promise, at: int) -> None:
    """Look again at `at` (ms)."""
    await connection.execute(promises.update().where(promises.c.id == promise.id).values(next_at=at))


async def save(connection: AsyncConnection, promise: Promise) -> None:
    """Keep what a look concluded."""
    await connection.execute(
        promises.update()
        .where(promises.c.id == promise.id)
        .values(
            state=promise.state, due_at=promise.due_at, next_at=promise.next_at,
            silent_since=promise.silent_since, settled_at=promise.settled_at,
        )
    )  # fmt: skip


async def told_in(
    connection: AsyncConnection, conversations: Sequence[str], limit: int = 20
) -> list[Promise]:
    """What these conversations were promised, newest first."""
    query = select(promises).where(promises.c.conversation.in_(conversations))
    query = query.order_by(promises.c.told_at.desc()).limit(limit)
    return [Promise(**row._mapping) for row in (await connection.execute(query)).all()]


def as_facts(promise: Promise) -> dict[str, Any]:
    """A promise as the desk shows it. Times in ms."""
    names = (
        "kind", "order_number", "receipt", "amount", "agent", "told_at", "due_at", "working_days", "state", "settled_at",
    )  # fmt: skip
    return {name: getattr(promise, name) for name in names if getattr(promise, name) is not None}


def decide(
    now: int,
    promise: Promise,
    outcome: Outcome | None,
    *,
    calendar: Calendar,
    zone: tzinfo,
    every: int,
) -> Promise:
    """The row after a look at the shop's answer (None: the shop said nothing). `now` and `every` in ms.

    Working days are counted on the policy's calendar, which also counted those of the plan.
    """
    if outcome is None:
        return _silence(now, promise, zone)
    promise = replace(promise, silent_since=None)
    if outcome.state == "withdrawn":
        return _settled(promise, "void", now)
    if outcome.state == "refused":
        return _settled(promise, "broken", now)
    since = int(outcome.since.timestamp() * 1000) if outcome.since is not None else now
    if outcome.state == "done":
        late = promise.due_at is not None and since > promise.due_at and outcome.since is not None
        return _settled(promise, "late" if late else "kept", now)
    if outcome.state == "awaiting_goods":
        if now - promise.told_at >= _FORGOTTEN:
            return _settled(promise, "void", now)
        return replace(promise, next_at=daytime(now + every, zone))
    if promise.due_at is None:
        arrived = datetime.fromtimestamp(since / 1000, UTC)
        due_at = add_working_days(arrived, promise.working_days or 0, calendar, zone)
        promise = replace(promise, due_at=int(due_at.timestamp() * 1000))
    assert promise.due_at is not None, "it was set above"
    if now > promise.due_at:
        return _settled(promise, "broken", now)
    return replace(promise, next_at=daytime(min(now + every, promise.due_at + 1000), zone))


def followed_up(now: int, promise: Promise, person_at: int | None) -> Promise:
    """The row of a person's own word: kept when he wrote (`person_at`, ms) after giving it and in time."""
    if person_at is not None and promise.due_at is not None:
        return _settled(promise, "kept" if person_at <= promise.due_at else "late", now)
    return _settled(promise, "broken", now)


def daytime(at: int, zone: tzinfo) -> int:
    """`at` (ms), or eight in the morning when that is at night."""
    local = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone)
    if _DAYTIME[0] <= local.time() < _DAYTIME[1]:
        return at
    day = local.date() if local.time() < _DAYTIME[0] else local.date() + timedelta(days=1)
    return int(datetime.combine(day, _DAYTIME[0], tzinfo=zone).timestamp() * 1000)


def _silence(now: int, promise: Promise, zone: tzinfo) -> Promise:
    since = promise.silent_since or now
    overdue = promise.due_at is not None and now > promise.due_at
    if overdue and now - since >= _PATIENCE:
        return _settled(replace(promise, silent_since=since), "unchecked", now)
    return replace(promise, silent_since=since, next_at=daytime(now + _AGAIN, zone))


def _settled(promise: Promise, state: State, now: int) -> Promise:
    return replace(promise, state=state, next_at=None, settled_at=now)
