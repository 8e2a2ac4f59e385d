"""Who owns a conversation: the bot, nobody yet (pending), a person, or nobody any more (closed).

One owner at a time. Every change is a compare-and-set on the fencing token, which only ever rises:
whoever acts on a conversation shows the token under which he began, and loses when it has moved on.
The same transaction opens or ends the case and sets the timer, so that nobody waits unnoticed.
This module knows no channel and no desk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import BigInteger, Column, Integer, String, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.database import insert_once, metadata, now_ms
from bot.exceptions import OwnershipLost
from bot.handoff import cases, timers

Owner = Literal["bot", "pending", "person", "closed"]

# Who may follow whom. A change to the same owner is a transfer between persons.
ALLOWED: dict[Owner, frozenset[Owner]] = {
    "bot": frozenset({"pending", "person", "closed"}),
    "pending": frozenset({"person", "bot", "closed"}),
    "person": frozenset({"person", "pending", "bot", "closed"}),
    "closed": frozenset({"bot", "pending", "person"}),
}

ownership = Table(
    "ownership",
    metadata,
    Column("conversation", String(64), primary_key=True),
    Column("owner", String(16), nullable=False),
    Column("token", Integer, nullable=False),
    Column("agent", String(128)),  # the person's name at the desk, when owner is person
    Column("reason", String(64)),  # why it changed hands, a code
    Column("since", BigInteger, nullable=False),  # ms
)


@dataclass(frozen=True)
class Ownership:
    """One row: who owns the conversation, under which token, since when (ms)."""

    conversation: str
    owner: Owner
    token: int
    agent: str | None = None
    reason: str | None = None
    since: int = 0

    @property
    def bot_may_speak(self) -> bool:
        return self.owner == "bot"


async def get(connection: AsyncConnection, conversation: str) -> Ownership:
    """The owner. A conversation nobody has touched belongs to the bot under token 0."""
    row = (
        await connection.execute(select(ownership).where(ownership.c.conversation == conversation))
    ).first()
    if row is None:
        return Ownership(conversation, "bot", 0)
    return Ownership(row.conversation, row.owner, row.token, row.agent, row.reason, row.since)


async def change(
    connection: AsyncConnection,
    current: Ownership,
    owner: Owner,
    *,
    agent: str | None = None,
    reason: str | None = None,
) -> Ownership:
    """Hand the conversation over, if it is still as `current` says.

    Raises:
        OwnershipLost: somebody else changed it since `current` was read.
        ValueError: no such owner, or that owner cannot follow this one.
    """
    if owner not in get_args(Owner):
        raise ValueError(f"No owner {owner!r}: one of {', '.join(get_args(Owner))}")
    if owner not in ALLOWED[current.owner]:
        raise ValueError(f"A conversation cannot go from {current.owner} to {owner}")
    await _make_row(connection, current.conversation)
    now = now_ms()
    result = await connection.execute(
        ownership.update()
        .where(ownership.c.conversation == current.conversation, ownership.c.token == current.token)
        .values(owner=owner, token=current.token + 1, agent=agent, reason=reason, since=now)
    )
    if result.rowcount != 1:
        raise OwnershipLost(
            f"Conversation {current.conversation} is not under token {current.token} any more: read it again"
        )
    await cases.follow(connection, current.conversation, owner, agent=agent, reason=reason, at=now)
    await timers.follow(connection, current.conversation, current.token + 1, owner, now)
    return await get(connection, current.conversation)


async def hold(connection: AsyncConnection, conversation: str, token: int, owner: Owner = "bot") -> None:
    """Lock the row to the end of this transaction, if `owner` still holds it under `token`.

    What is written in the same transaction is therefore written by the owner or not at all.

    Raises:
        OwnershipLost: somebody else owns it now.
    """
    await _make_row(connection, conversation)
    result = await connection.execute(
        ownership.update()
        .where(
            ownership.c.conversation == conversation,
            ownership.c.token == token,
            ownership.c.owner == owner,
        )
        .values(token=token)
    )
    if result.rowcount != 1:
        raise OwnershipLost(f"{owner} does not own conversation {conversation} under token {token} any more")


async def _make_row(connection: AsyncConnection, conversation: str) -> None:
    """A write comes first, so that SQLite takes its write lock before anything is read."""
    row = {"conversation": conversation, "owner": "bot", "token": 0, "since": now_ms()}
    await connection.execute(insert_once(ownership, "conversation"), row)
