"""Who may see and change which order: proofs, limits on wrong ones, lock-out.

The shop checks a proof; this guard decides whether it may be asked at all, and remembers what it granted. Wrong
tries count per conversation, per order and per source, whether the order exists or not, and every refusal is the
same `ProofRejected`: nothing here lets anybody tell a wrong proof from a wrong order number. Only the count of the
conversation itself ends in `IdentityLocked`, and then a person goes on.
Grant tokens live in the table `identity_grants` and nowhere else. This module knows no dialogue.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    String,
    Table,
    and_,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.database import metadata, now_ms
from bot.exceptions import IdentityLocked, OrderRefused, ProofExpired, ProofRejected, ShopUnavailable
from bot.identity.levels import ProofLevel
from bot.identity.proofs import normalize_proof
from bot.orders.models import Grant, ProofKind
from bot.privacy.cipher import SealedText
from bot.settings import IdentitySettings

attempts = Table(
    "identity_attempts",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("conversation", String(200), nullable=True),  # null once the conversation is forgotten
    Column("order_hash", String(64), nullable=False),
    Column("source", String(200), nullable=True),
    # wrong (also: not answered yet, so that a crash cannot give free tries), blocked, right
    Column("outcome", String(10), nullable=False),
    Index("ix_identity_attempts_conversation", "conversation"),
    Index("ix_identity_attempts_order_hash", "order_hash", "at"),
    Index("ix_identity_attempts_source", "source", "at"),
)

locks = Table(
    "identity_locks",
    metadata,
    Column("conversation", String(200), primary_key=True),
    Column("at", BigInteger, nullable=False),
)

grants = Table(
    "identity_grants",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("conversation", String(200), nullable=False),
    Column("order_number", String(64), nullable=True),  # null: all orders of the customer
    Column("token", SealedText, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("customer_id", String(200), nullable=False),
    Column("customer_name", SealedText, nullable=False),
    Column("proven_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_identity_grants_conversation", "conversation"),
)

# One sentence for every refusal, whatever its cause.
NEUTRAL = "The proof does not open this order, or there is no such order"


class Prover(Protocol):
    """What the guard needs of `bot.orders.client.OrderClient`."""

    async def prove(self, kind: ProofKind, value: str, *, order_number: str | None = None) -> Grant: ...


class IdentityGuard:
    """Proofs of one shop's shoppers.

    `clock` gives milliseconds since 1970-01-01 UTC.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        client: Prover,
        limits: IdentitySettings,
        *,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._engine = engine
        self._client = client
        self._limits = limits
        self._clock = clock

    async def prove(
        self, conversation: str, source: str | None, order_number: str, kind: ProofKind, value: str
    ) -> Grant:
        """Try a proof for one order and remember the grant.

        Raises:
            ProofRejected: wrong proof, no such order, or too many tries for this order or source: same answer.
            IdentityLocked: too many wrong tries in this conversation; this one may have been the last.
            ShopUnavailable: the shop did not answer; the try does not count.
        """
        if await self.locked(conversation):
            raise IdentityLocked("Too many wrong proofs in this conversation; a person has to go on")
        number = normalize_order_number(order_number)
        # 1) Count first, ask later: a try that is cut off in the middle counts as wrong.
        attempt = await self._record(conversation, source, number)
        if await self._over_limits(attempt, conversation, source, number):
            await self._mark(attempt, "blocked")
            await self._refuse(conversation)
        # 2) Ask the shop.
        try:
            grant = await self._client.prove(kind, normalize_proof(kind, value), order_number=number)
        except (ProofRejected, ProofExpired, OrderRefused):
            # A shop that calls a malformed number or proof something else must not be heard saying so.
            await self._refuse(conversation)
            raise AssertionError("unreachable: _refuse always raises") from None
        except ShopUnavailable:
            await self._forget_attempt(attempt)
            raise
        # 3) Trust the grant only for the order it was asked for.
        granted = order_key(grant.order_number or "")
        if granted != order_key(number) or to_ms(grant.expires_at) <= self._clock():
            await self._refuse(conversation)
        await self._mark(attempt, "right")
        await self._keep(conversation, grant)
        return grant

    async def prove_account(self, conversation: str, account: str) -> Grant:
        """Get a grant for a channel account that the gateway has proven, for example ``site:cus_0001``.

        Raises:
            ProofRejected: the shop knows no customer with this account.
            ShopUnavailable: the shop did not answer.
        """
        grant = await self._client.prove(ProofKind.CHANNEL_ACCOUNT, account)
        if grant.kind is not ProofKind.CHANNEL_ACCOUNT or to_ms(grant.expires_at) <= self._clock():
            raise ProofRejected(NEUTRAL)
        await self._keep(conversation, grant)
        return grant

    async def grant_for(self, conversation: str, order_number: str | None, level: ProofLevel) -> Grant | None:
        """The newest grant good for an order (None: for all of a customer's orders) at a level, if any.

        Nothing is needed, so nothing is returned, at PUBLIC.
        """
        if level is ProofLevel.PUBLIC:
            return None
        now = self._clock()
        wanted = grants.c.order_number.is_(None)
        if order_number is not None:
            wanted = or_(wanted, func.upper(grants.c.order_number) == order_key(order_number))
        query = (
            select(grants)
            .where(grants.c.conversation == conversation, wanted, grants.c.expires_at > now)
            .order_by(grants.c.proven_at.desc(), grants.c.id.desc())
            .limit(1)
        )
        if level is ProofLevel.WRITE:
            query = query.where(grants.c.proven_at > now - self._limits.fresh * 1000)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            return None
        return Grant(
            token=row["token"],
            kind=ProofKind(row["kind"]),
            customer_id=row["customer_id"],
            customer_name=row["customer_name"],
            order_number=row["order_number"],
            proven_at=from_ms(row["proven_at"]),
            expires_at=from_ms(row["expires_at"]),
        )

    async def locked(self, conversation: str) -> bool:
        """Whether only a person can go on in this conversation."""
        since = self._clock() - self._limits.lock * 1000
        query = select(locks.c.at).where(locks.c.conversation == conversation, locks.c.at > since)
        async with self._engine.connect() as connection:
            return (await connection.execute(query)).first() is not None

    async def drop_grants(self, conversation: str, order_number: str | None = None) -> None:
        """Throw away grants the shop no longer takes: those for one order and for all orders, or all there are."""
        query = delete(grants).where(grants.c.conversation == conversation)
        if order_number is not None:
            same = func.upper(grants.c.order_number) == order_key(order_number)
            query = query.where(or_(same, grants.c.order_number.is_(None)))
        async with self._engine.begin() as connection:
            await connection.execute(query)

    async def forget(self, conversation: str) -> None:
        """Drop grants and lock-out of a conversation, after a person took care or on erasure.

        Tries keep counting for their order and source, without the conversation's name.
        """
        async with self._engine.begin() as connection:
            await connection.execute(delete(grants).where(grants.c.conversation == conversation))
            await connection.execute(delete(locks).where(locks.c.conversation == conversation))
            await connection.execute(
                update(attempts).where(attempts.c.conversation == conversation).values(conversation=None)
            )

    async def purge(self) -> int:
        """Delete grants, tries and lock-outs that no longer matter; returns how many rows went."""
        now = self._clock()
        gone = 0
        async with self._engine.begin() as connection:
            for query in (
                delete(grants).where(grants.c.expires_at <= now),
                delete(attempts).where(attempts.c.at <= now - self._limits.window * 1000),
                delete(locks).where(locks.c.at <= now - self._limits.lock * 1000),
            ):
                gone += (await connection.execute(query)).rowcount
        return gone

    # -- counting ----------------------------------------------------------------------------------

    async def _record(self, conversation: str, source: str | None, number: str) -> int:
        async with self._engine.begin() as connection:
            result = await connection.execute(
                attempts.insert().values(
                    at=self._clock(),
                    conversation=conversation,
                    order_hash=order_hash(number),
                    source=source,
                    outcome="wrong",
                )
            )
            return int(result.inserted_primary_key[0])

    async def _over_limits(self, attempt: int, conversation: str, source: str | None, number: str) -> bool:
        """Whether earlier tries already used up what this conversation, order or source may have.

        Counted in a transaction of its own after the try was committed: of two at once, each sees the other, so
        together they never get more than the limit.
        """
        async with self._engine.connect() as connection:
            for column, value, limit in (
                (attempts.c.conversation, conversation, self._limits.attempts_per_conversation),
                (attempts.c.order_hash, order_hash(number), self._limits.attempts_per_order),
                (attempts.c.source, source, self._limits.attempts_per_source),
            ):
                if value is not None and await self._wrong(connection, column, value, attempt) >= limit:
                    return True
        return False

    async def _wrong(
        self, connection: AsyncConnection, column: Column, value: str, without: int | None = None
    ) -> int:
        # A blocked try was never put to the shop. For order and source it does not count, or anybody could keep an
        # order shut for ever; for the conversation it does, so that guessing ends with a person.
        counted = ("wrong", "blocked") if column is attempts.c.conversation else ("wrong",)
        conditions = [
            column == value,
            attempts.c.at > self._clock() - self._limits.window * 1000,
            attempts.c.outcome.in_(counted),
        ]
        if without is not None:
            conditions.append(attempts.c.id != without)
        query = select(func.count()).select_from(attempts).where(and_(*conditions))
        return int((await connection.execute(query)).scalar_one())

    async def _refuse(self, conversation: str) -> None:
        """The neutral refusal, or the lock-out when this try was the conversation's last.

        Raises:
            ProofRejected, IdentityLocked: always one of them.
        """
        async with self._engine.begin() as connection:
            wrong = await self._wrong(connection, attempts.c.conversation, conversation)
            last = wrong >= self._limits.attempts_per_conversation
            if last:
                await connection.execute(delete(locks).where(locks.c.conversation == conversation))
                await connection.execute(locks.insert().values(conversation=conversation, at=self._clock()))
        if last:
            raise IdentityLocked("Too many wrong proofs in this conversation; a person has to go on")
        raise ProofRejected(NEUTRAL)

    async def _mark(self, attempt: int, outcome: str) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(update(attempts).where(attempts.c.id == attempt).values(outcome=outcome))

    async def _forget_attempt(self, attempt: int) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(delete(attempts).where(attempts.c.id == attempt))

    async def _keep(self, conversation: str, grant: Grant) -> None:
        """Keep a grant; it replaces an earlier one for the same order."""
        same = (
            grants.c.order_number.is_(None)
            if grant.order_number is None
            else grants.c.order_number == grant.order_number
        )
        async with self._engine.begin() as connection:
            await connection.execute(delete(grants).where(grants.c.conversation == conversation, same))
            await connection.execute(
                grants.insert().values(
                    conversation=conversation,
                    order_number=grant.order_number,
                    token=grant.token,
                    kind=grant.kind.value,
                    customer_id=grant.customer_id,
                    customer_name=grant.customer_name,
                    proven_at=to_ms(grant.proven_at),
                    expires_at=to_ms(grant.expires_at),
                )
            )


def normalize_order_number(number: str) -> str:
    """The number as a shop writes it: half-width, without spaces and a leading #."""
    return "".join(unicodedata.normalize("NFKC", number).split()).lstrip("#")


def order_key(number: str) -> str:
    """The number as two ways of typing it are compared: upper and lower case are the same order."""
    return normalize_order_number(number).upper()


def order_hash(number: str) -> str:
    """What stands for an order in the table of tries."""
    return hashlib.sha256(f"order:{order_key(number)}".encode()).hexdigest()


def to_ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def from_ms(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
