"""How many messages WeChat still lets us send to a shopper, and until when.

Since 2023-06-12: 5 within 48 hours of a message; 3 within a minute of a menu click, a follow or a scan.
Windows do not add up; each new trigger renews its own. A passive reply costs nothing.
The ledger is kept in the database, because the desk shows it and a restart must not forget it.
This module knows no HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import BigInteger, Column, Integer, String, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.database import metadata, now_ms

Trigger = Literal["message", "event"]

RULES: dict[Trigger, tuple[int, int]] = {
    "message": (5, 48 * 3600 * 1000),  # messages, ms
    "event": (3, 60 * 1000),
}

allowances = Table(
    "wechat_allowances",
    metadata,
    Column("conversation", String(64), primary_key=True),
    Column("cause", String(16), primary_key=True),  # message, event
    Column("remaining", Integer, nullable=False),
    Column("until", BigInteger, nullable=False),  # ms
)


@dataclass(frozen=True)
class Allowance:
    """What is left now. `until` is when the window ends (ms), 0 without one."""

    remaining: int
    until: int


async def renew(
    connection: AsyncConnection, conversation: str, trigger: Trigger, *, now: int | None = None
) -> None:
    """The shopper did something: the window of that kind begins anew, full."""
    count, length = RULES[trigger]
    at = now_ms() if now is None else now
    await connection.execute(
        allowances.delete().where(allowances.c.conversation == conversation, allowances.c.cause == trigger)
    )
    await connection.execute(
        allowances.insert().values(
            conversation=conversation, cause=trigger, remaining=count, until=at + length
        )
    )


async def left(connection: AsyncConnection, conversation: str, *, now: int | None = None) -> Allowance:
    """The better of the open windows."""
    at = now_ms() if now is None else now
    rows = (
        await connection.execute(
            select(allowances.c.remaining, allowances.c.until).where(
                allowances.c.conversation == conversation, allowances.c.until > at
            )
        )
    ).all()
    if not rows:
        return Allowance(0, 0)
    best = max(rows, key=lambda row: (row.remaining, row.until))
    return Allowance(best.remaining, best.until)


async def spend(connection: AsyncConnection, conversation: str, count: int = 1) -> None:
    """Write down that messages were sent. Every open window pays, because the platform does not say which."""
    await connection.execute(
        allowances.update()
        .where(allowances.c.conversation == conversation, allowances.c.remaining > 0)
        .values(remaining=func.max(0, allowances.c.remaining - count))
        if connection.dialect.name == "sqlite"
        else allowances.update()
        .where(allowances.c.conversation == conversation, allowances.c.remaining > 0)
        .values(remaining=func.greatest(0, allowances.c.remaining - count))
    )


async def exhaust(connection: AsyncConnection, conversation: str) -> None:
    """The platform said that nothing is left (45015, 45047): believe it."""
    await connection.execute(
        allowances.update().where(allowances.c.conversation == conversation).values(remaining=0)
    )
