"""A case: one stretch of a conversation in which a person is wanted, from the hand-over to the end.

It begins when a conversation leaves the bot and ends when it goes back or is closed. `follow` is called by
`ownership.change` in the same transaction, so that no conversation can be pending or with a person
without a case. First-response, waiting and handling times are read from here.
This module knows no channel and no desk.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    String,
    Table,
    and_,
    func,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.database import metadata
from bot.handoff.priority import URGENT, priority_of
from bot.privacy.cipher import SealedJSON, SealedText

cases = Table(
    "handoff_cases",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("conversation", String(64), nullable=False),
    Column("reason", String(64)),
    Column("goal", String(64)),
    Column("priority", Integer, nullable=False, default=0),  # higher first
    Column("packet", SealedJSON, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("waiting_since", BigInteger),  # ms; null while a person has it
    Column("agent", String(128)),  # who has it, or had it last
    Column("wanted", String(128)),  # a person it should go to, when he is on duty
    Column("claimed_at", BigInteger),
    Column("answered_at", BigInteger),  # the person's first message
    Column("acknowledged", Integer),  # the fencing token under which the shopper was told that he waits
    Column("noticed", Integer),  # the same of the one waiting message that may follow
    Column("promised_at", BigInteger),  # told to the shopper outside business hours: answered by then
    Column("promise", String(16)),  # open, kept, broken, void
    Column("ended_at", BigInteger),
    Column("outcome", String(16)),  # returned, closed
    Column("ended_reason", String(64)),
    Column("note", SealedJSON),  # what the person did and promised, for the bot
    Column("note_turn", String(64)),  # the message whose turn was told of the note
    Column("rating", Integer),
    Column("rating_comment", SealedText),
    Index("ix_handoff_cases_conversation", "conversation", "opened_at"),
    Index("ix_handoff_cases_ended_at", "ended_at"),
)


@dataclass(frozen=True)
class Case:
    """One row. Times in ms."""

    id: str
    conversation: str
    reason: str | None
    goal: str | None
    priority: int
    opened_at: int
    waiting_since: int | None
    packet: dict[str, Any] = field(default_factory=dict)
    agent: str | None = None
    wanted: str | None = None
    claimed_at: int | None = None
    answered_at: int | None = None
    acknowledged: int | None = None
    noticed: int | None = None
    promised_at: int | None = None
    promise: str | None = None
    ended_at: int | None = None
    outcome: str | None = None
    ended_reason: str | None = None
    note: dict[str, Any] | None = None
    note_turn: str | None = None
    rating: int | None = None
    rating_comment: str | None = None


async def follow(
    connection: AsyncConnection,
    conversation: str,
    owner: str,
    *,
    agent: str | None,
    reason: str | None,
    at: int,
) -> None:
    """Open, move or end the case as the conversation's new owner demands. `at` in ms."""
    case = await open_case(connection, conversation)
    if owner in ("pending", "person") and case is None:
        before = await last_case(connection, conversation) if reason == "reopened" else None
        await connection.execute(
            cases.insert().values(
                id=secrets.token_urlsafe(12), conversation=conversation, reason=reason, packet={},
                priority=priority_of(reason), opened_at=at,
                waiting_since=at if owner == "pending" else None,
                agent=agent, claimed_at=at if owner == "person" else None,
                wanted=before.agent if before is not None and owner == "pending" else None,
            )
        )  # fmt: skip
        return
    if case is None:
        return
    values: dict[str, Any]
    if owner == "pending":
        # Who was left waiting once does not wait at the end of the queue again.
        values = {"waiting_since": at, "priority": max(case.priority, URGENT)}
    elif owner == "person":
        values = {"waiting_since": None, "agent": agent, "wanted": None, "claimed_at": case.claimed_at or at}
    else:
        values = {
            "waiting_since": None,
            "ended_at": at,
            "outcome": "returned" if owner == "bot" else "closed",
            "ended_reason": reason,
        }
        if case.promise == "open":  # nobody wrote: the shopper went back to the bot, or was let down
            values["promise"] = "void" if reason == "shopper_back" else "broken"
    await connection.execute(cases.update().where(cases.c.id == case.id).values(**values))


async def open_case(connection: AsyncConnection, conversation: str) -> Case | None:
    """The case that is going on, if there is one."""
    query = (
        select(cases)
        .where(cases.c.conversation == conversation, cases.c.ended_at.is_(None))
        .order_by(cases.c.opened_at.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).first()
    return Case(**row._mapping) if row else None


async def last_case(connection: AsyncConnection, conversation: str) -> Case | None:
    """The case that began last, whether it is over or not."""
    query = select(cases).where(cases.c.conversation == conversation)
    query = query.order_by(cases.c.opened_at.desc(), cases.c.ended_at.desc()).limit(1)
    row = (await connection.execute(query)).first()
    return Case(**row._mapping) if row else None


async def all_open(connection: AsyncConnection, limit: int = 1000) -> list[Case]:
    """Every open case, the most urgent first."""
    query = select(cases).where(cases.c.ended_at.is_(None)).order_by(*_ORDER).limit(limit)
    return [Case(**row._mapping) for row in (await connection.execute(query)).all()]


async def update(connection: AsyncConnection, case: str, **values: Any) -> None:
    await connection.execute(cases.update().where(cases.c.id == case).values(**values))


async def answered(connection: AsyncConnection, conversation: str, at: int) -> None:
    """A person wrote to the shopper, at `at` (ms): the first time answers the case and settles what was promised."""
    case = await open_case(connection, conversation)
    if case is None:
        return
    values: dict[str, Any] = {} if case.answered_at is not None else {"answered_at": at}
    if case.promise == "open":
        values["promise"] = "kept" if at <= (case.promised_at or 0) else "broken"
    if values:
        await update(connection, case.id, **values)


async def ahead_of(connection: AsyncConnection, case: Case) -> int:
    """How many waiting conversations come before this one."""
    since = case.waiting_since or case.opened_at
    query = (
        select(func.count())
        .select_from(cases)
        .where(
            cases.c.ended_at.is_(None),
            cases.c.waiting_since.is_not(None),
            cases.c.id != case.id,
            or_(
                cases.c.priority > case.priority,
                and_(cases.c.priority == case.priority, cases.c.waiting_since < since),
            ),
        )
    )
    return int((await connection.execute(query)).scalar_one())


async def usual_wait(connection: AsyncConnection, since: int, *, least: int = 5) -> int | None:
    """The median wait (ms) of the cases claimed since `since` (ms); None when there were too few to tell."""
    query = (
        select(cases.c.claimed_at - cases.c.opened_at)
        .where(cases.c.claimed_at > since, cases.c.opened_at > since, cases.c.reason != "taken")
        .order_by(cases.c.claimed_at.desc())
        .limit(50)
    )
    waits = sorted((await connection.execute(query)).scalars())
    return int(waits[len(waits) // 2]) if len(waits) >= least else None


NOTE_LIFE = 7 * 24 * 3600 * 1000  # ms a note counts, longer when what it promises is later


async def note_for(
    connection: AsyncConnection, conversations: Sequence[str], message: str, now: int
) -> dict[str, Any] | None:
    """What the last person left for the bot, in any of one shopper's conversations, while it counts. `now` in ms.

    `new` is true in the first turn after him, named by its message, and in that turn's repetitions.
    """
    query = select(cases).where(cases.c.conversation.in_(conversations)).order_by(cases.c.opened_at.desc())
    row = (await connection.execute(query.limit(1))).first()
    case = Case(**row._mapping) if row else None
    if case is None or case.ended_at is None or not case.note:
        return None
    if now > max(case.ended_at, case.note.get("promise_until") or 0) + NOTE_LIFE:
        return None
    if case.note_turn is None:
        await update(connection, case.id, note_turn=message)
    order = (case.packet.get("order") or {}).get("number") or case.packet.get("order_number")
    about = {"goal": case.goal, "order": order}
    return {**case.note, **about, "new": case.note_turn in (None, message)}


async def ended_last(connection: AsyncConnection, conversations: Sequence[str]) -> Case | None:
    """The case a person ended last in any of these conversations."""
    query = select(cases).where(
        cases.c.conversation.in_(conversations), cases.c.ended_at.is_not(None), cases.c.agent.is_not(None)
    )
    row = (await connection.execute(query.order_by(cases.c.ended_at.desc()).limit(1))).first()
    return Case(**row._mapping) if row else None


async def latest_of(connection: AsyncConnection, conversations: Sequence[str], limit: int = 10) -> list[Case]:
    """The cases of these conversations, newest first."""
    query = select(cases).where(cases.c.conversation.in_(conversations))
    query = query.order_by(cases.c.opened_at.desc()).limit(limit)
    return [Case(**row._mapping) for row in (await connection.execute(query)).all()]


_ORDER = (cases.c.priority.desc(), cases.c.waiting_since.is_(None), cases.c.waiting_since, cases.c.opened_at)
