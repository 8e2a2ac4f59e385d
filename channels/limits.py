"""How much one shopper, or one network address, may send; counted in the database, so for all gateways together.

Each limit is the generic cell rate algorithm (ITU-T I.371): one number per key, the time at which the key would
be back to its full allowance, moved by one statement. So two gateways that count at the same moment count right,
and nothing has to be swept up in time. This module knows no platform.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Index, String, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.database import insert_or, metadata, now_ms
from bot.exceptions import TooMany
from bot.settings import GatewaySettings

rate_limits = Table(
    "rate_limits",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("full_at", BigInteger, nullable=False),  # ms: when the whole allowance is there again
    Index("ix_rate_limits_full_at", "full_at"),
)


_TAKE = insert_or(
    rate_limits,
    '("key") DO UPDATE SET full_at = '
    "CASE WHEN rate_limits.full_at > :at THEN rate_limits.full_at ELSE :at END + :each "
    "WHERE rate_limits.full_at <= :fits",
    "at", "each", "fits",
)  # fmt: skip


@dataclass(frozen=True)
class Limit:
    """`count` at once; each comes back after `seconds / count`. A `count` of 0 lets nothing through."""

    name: str
    count: int
    seconds: float

    async def take(self, connection: AsyncConnection, key: str, *, now: int | None = None) -> None:
        """Count one more for this key, in the caller's transaction. `now` in ms.

        Raises:
            TooMany: it does not fit; `retry_after` (seconds) is when the next one will. Nothing was counted.
        """
        if self.count <= 0:
            raise TooMany(f"No {self.name} are taken", retry_after=self.seconds)
        at = now_ms() if now is None else now
        each = max(1, round(self.seconds * 1000 / self.count))  # ms
        # Hashed: who wrote, and from which address, is nobody's to read here, nor left after an erasure.
        name = f"{self.name}:{hashlib.sha256(key.encode()).hexdigest()[:32]}"
        row = {"key": name, "full_at": at + each}
        numbers = {"at": at, "each": each, "fits": at + each * (self.count - 1)}
        counted = await connection.execute(_TAKE, {**row, **numbers})
        if counted.rowcount == 1:
            return
        query = select(rate_limits.c.full_at).where(rate_limits.c.key == name)
        full = (await connection.execute(query)).scalar_one()
        wait = (full - each * (self.count - 1) - at) / 1000
        raise TooMany(
            f"More than {self.count} {self.name} in {self.seconds:g} s", retry_after=round(max(wait, 0.01), 2)
        )


class MessageLimits:
    """What a shopper's message has to fit into."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._burst = Limit(
            "burst", settings.messages_burst, settings.messages_burst / settings.messages_per_second
        )
        self._messages = Limit("messages", settings.messages_per_10_minutes, 600)
        self._source = Limit("source", settings.source_per_10_minutes, 600)

    async def take(self, connection: AsyncConnection, conversation: str, source: str | None) -> None:
        """Raises:
        TooMany: the shopper or the network address sent too much.
        """
        await self._burst.take(connection, conversation)
        await self._messages.take(connection, conversation)
        if source is not None:
            await self._source.take(connection, source)


async def forget_full(connection: AsyncConnection, *, now: int | None = None) -> int:
    """Remove the rows that say nothing any more; how many there were."""
    at = now_ms() if now is None else now
    return int((await connection.execute(rate_limits.delete().where(rate_limits.c.full_at <= at))).rowcount)
