"""Nobody waits without a timer: one row per conversation that is not the bot's, and the rules it asks.

`follow` is called by `ownership.change` in the same transaction. A timer says when to look next; what to
do then is `decide`, a pure function of the situation, so that a lost look costs time and nothing else.
The gateway runs the looks. This module knows no channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.database import metadata
from bot.handoff.hours import Hours
from bot.settings import HandoffSettings

timers = Table(
    "handoff_timers",
    metadata,
    Column("conversation", String(64), primary_key=True),
    Column("token", Integer, nullable=False),  # the fencing token it was set under
    Column("due", BigInteger, nullable=False),  # ms
    Index("ix_handoff_timers_due", "due"),
)

LEASE = 30_000  # ms; a look that dies in the middle is repeated after that
AGAIN = 60_000  # ms; the longest time between two looks, because shoppers write in between

Step = Literal[
    "acknowledge", "notice", "promise", "raise", "broken", "requeue", "close", "ask_rating", "none"
]


@dataclass(frozen=True)
class Timer:
    conversation: str
    token: int
    due: int


@dataclass(frozen=True)
class Situation:
    """All that the rules look at. Times in ms; 0 is never."""

    owner: str
    token: int
    since: int  # the owner has it
    shopper_at: int = 0  # the shopper's last message
    unanswered_at: int = 0  # the first of the shopper's messages after the person's last one
    person_at: int = 0  # the person's last message
    acknowledged: bool = False  # told that he waits, in this stretch of waiting
    noticed: bool = False
    promised_at: int | None = None
    promise: str | None = None  # open, kept, broken
    raised: bool = False  # at the top of the queue already
    rating_asked: bool = False
    served: bool = False  # a person wrote in this case


def decide(
    now: int, situation: Situation, settings: HandoffSettings, hours: Hours
) -> tuple[Step, int | None]:
    """What to do now, and when to look again (ms; None: never, the timer ends).

    After any other step than "none" the caller looks again at once.
    """
    if situation.owner == "pending":
        return _waiting(now, situation, settings, hours)
    if situation.owner == "person":
        return _served(now, situation, settings)
    if situation.owner == "closed" and settings.rating and situation.served and not situation.rating_asked:
        return "ask_rating", None
    return "none", None


def _waiting(
    now: int, situation: Situation, settings: HandoffSettings, hours: Hours
) -> tuple[Step, int | None]:
    if not situation.acknowledged:
        return "acknowledge", now
    if situation.promise == "open" and situation.promised_at is not None:
        if now >= situation.promised_at:
            return "broken", now
        opening = hours.next_opening(now)
        if not situation.raised and opening is not None and opening <= now:
            return "raise", now
        next_one = situation.promised_at if situation.raised or opening is None else opening
        return "none", min(max(next_one, now + 1), now + 60 * AGAIN)
    if situation.promise is None and not hours.is_open(now) and hours.next_opening(now) is not None:
        return "promise", now
    notice_at = situation.since + settings.notice_after * 1000
    if not situation.noticed and situation.promise is None and now >= notice_at:
        return "notice", now
    return "none", min(max(notice_at, now + 1), now + AGAIN) if not situation.noticed else now + AGAIN


def _served(now: int, situation: Situation, settings: HandoffSettings) -> tuple[Step, int | None]:
    if situation.unanswered_at or situation.person_at < situation.since:
        # Taking over counts as a sign of life; further messages of the shopper do not start the clock anew.
        limit = max(situation.since, situation.unanswered_at) + settings.person_idle * 1000
        if now >= limit:
            return "requeue", now
    else:
        limit = max(situation.person_at, situation.shopper_at) + settings.shopper_idle * 1000
        if now >= limit:
            return "close", now
    return "none", min(max(limit, now + 1), now + AGAIN)


async def follow(connection: AsyncConnection, conversation: str, token: int, owner: str, at: int) -> None:
    """Set the timer that the new owner needs: a first look at once, or none when the bot has it again."""
    if owner == "bot":
        await connection.execute(timers.delete().where(timers.c.conversation == conversation))
        return
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    await connection.execute(
        insert(timers)
        .values(conversation=conversation, token=token, due=at)
        .on_conflict_do_update(index_elements=["conversation"], set_={"token": token, "due": at})
    )


async def due(connection: AsyncConnection, now: int, limit: int = 200) -> Sequence[Timer]:
    """The timers whose time has come, oldest first."""
    query = select(timers).where(timers.c.due <= now).order_by(timers.c.due).limit(limit)
    return [Timer(**row._mapping) for row in (await connection.execute(query)).all()]


async def take(connection: AsyncConnection, timer: Timer, now: int) -> bool:
    """Win the right to look (several gateways run); what dies in the middle comes back after `LEASE`."""
    won = await connection.execute(
        timers.update().where(_same(timer), timers.c.due == timer.due).values(due=now + LEASE)
    )
    return bool(won.rowcount == 1)


async def set_next(connection: AsyncConnection, timer: Timer, at: int | None) -> None:
    """Look again at `at` (ms), or never (None). Does nothing when the owner has changed since."""
    if at is None:
        await connection.execute(timers.delete().where(_same(timer)))
        return
    await connection.execute(timers.update().where(_same(timer)).values(due=at))


def _same(timer: Timer) -> object:
    return (timers.c.conversation == timer.conversation) & (timers.c.token == timer.token)
