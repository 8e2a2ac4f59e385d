"""One shopper, several channels: conversations that are proven to be the same person's.

A link is an edge between two conversations, with its proof, and can be ended; what is linked is whatever live edges
connect. Never by a name, an address or a guess. Proofs:

identity_token  one browser showed the gateway's visitor token and the shop's signed identity, or the shop's signature
                names the same customer at two of its sites
binding_code    a code given out in one conversation was brought to the other (typed, or as the scene of a QR code) within
                ten minutes, and the shopper said yes there
verified_order  the same customer's order was proven at write level here and at read level there, and the shopper said yes

This module knows no channel and no dialogue.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Literal

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.database import metadata
from bot.identity.guard import grants

Proof = Literal["identity_token", "binding_code", "verified_order"]

links = Table(
    "identity_links",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("conversation", String(64), nullable=False),
    Column("other", String(64), nullable=False),
    Column("proof", String(24), nullable=False),
    Column("at", BigInteger, nullable=False),  # ms
    Column("ended_at", BigInteger),  # ms; null: it holds
    Column("ended_by", String(128)),  # shopper, or the person at the desk
    Index("ix_identity_links_conversation", "conversation"),
    Index("ix_identity_links_other", "other"),
)

codes = Table(
    "identity_codes",
    metadata,
    Column("code_hash", String(64), primary_key=True),
    Column("conversation", String(64), nullable=False),
    Column("expires_at", BigInteger, nullable=False),  # ms
)

CODE_LIFE = 600_000  # ms
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that is taken for another
_CODE_LENGTH = 8  # 40 bits, for ten minutes


async def linked(connection: AsyncConnection, conversation: str) -> tuple[str, ...]:
    """All conversations of the same shopper, this one first."""
    found, fresh = [conversation], [conversation]
    while fresh:
        near = or_(links.c.conversation.in_(fresh), links.c.other.in_(fresh))
        query = select(links.c.conversation, links.c.other).where(near, links.c.ended_at.is_(None))
        rows = (await connection.execute(query.order_by(links.c.id))).all()
        fresh = [one for one in dict.fromkeys(end for row in rows for end in row) if one not in found]
        found += fresh
    return tuple(found)


async def link(connection: AsyncConnection, conversation: str, other: str, proof: Proof, *, at: int) -> bool:
    """Write down that both are the same shopper's; False when that is known already. `at` in ms."""
    if conversation == other or other in await linked(connection, conversation):
        return False
    await connection.execute(
        links.insert().values(conversation=conversation, other=other, proof=proof, at=at)
    )
    return True


async def ever_linked(connection: AsyncConnection, conversation: str, other: str) -> bool:
    """Whether there is, or was, a link between exactly these two: one that was ended is not made by itself again."""
    pair = or_(
        and_(links.c.conversation == conversation, links.c.other == other),
        and_(links.c.conversation == other, links.c.other == conversation),
    )
    return (await connection.execute(select(links.c.id).where(pair).limit(1))).first() is not None


async def unlink(connection: AsyncConnection, conversation: str, *, by: str, at: int) -> tuple[str, ...]:
    """Take a conversation out of its links; the conversations it was linked with directly. `at` in ms."""
    mine = or_(links.c.conversation == conversation, links.c.other == conversation)
    live = and_(mine, links.c.ended_at.is_(None))
    rows = (await connection.execute(select(links.c.conversation, links.c.other).where(live))).all()
    await connection.execute(links.update().where(live).values(ended_at=at, ended_by=by))
    return tuple(dict.fromkeys(end for row in rows for end in row if end != conversation))


async def proofs_of(connection: AsyncConnection, conversations: Sequence[str]) -> dict[str, str]:
    """By what each of these was linked first, of the links that hold."""
    near = or_(links.c.conversation.in_(conversations), links.c.other.in_(conversations))
    query = select(links).where(near, links.c.ended_at.is_(None)).order_by(links.c.id.desc())
    found: dict[str, str] = {}
    for row in (await connection.execute(query)).all():
        found |= {row.conversation: row.proof, row.other: row.proof}
    return found


async def new_code(connection: AsyncConnection, conversation: str, *, at: int) -> str:
    """A code that proves, for ten minutes and once, that who shows it was in this conversation."""
    await connection.execute(
        codes.delete().where(or_(codes.c.conversation == conversation, codes.c.expires_at <= at))
    )
    code = "".join(secrets.choice(_LETTERS) for _ in range(_CODE_LENGTH))
    await connection.execute(
        codes.insert().values(code_hash=_hash(code), conversation=conversation, expires_at=at + CODE_LIFE)
    )
    return code


async def conversation_of(connection: AsyncConnection, code: str, *, at: int) -> str | None:
    """Where a code was given out; None when it was not, is too old or was used."""
    query = select(codes.c.conversation).where(codes.c.code_hash == _hash(code), codes.c.expires_at > at)
    found: str | None = (await connection.execute(query)).scalar()
    return found


async def use_code(connection: AsyncConnection, code: str, *, at: int) -> str | None:
    """The same, and the code is used up."""
    found = await conversation_of(connection, code, at=at)
    gone = await connection.execute(codes.delete().where(codes.c.code_hash == _hash(code)))
    return found if gone.rowcount == 1 else None


async def same_customer(connection: AsyncConnection, conversation: str, *, now: int, fresh: int) -> list[str]:
    """Conversations in which an order of the same customer is proven, when one was proven here for writing.

    `now` in ms, `fresh` in seconds (`identity.fresh`).
    """
    mine = select(grants.c.customer_id).where(
        grants.c.conversation == conversation,
        grants.c.expires_at > now,
        grants.c.proven_at > now - fresh * 1000,
    )
    query = select(grants.c.conversation).where(
        grants.c.customer_id.in_(mine), grants.c.conversation != conversation, grants.c.expires_at > now
    )
    already = await linked(connection, conversation)
    found = (await connection.execute(query.order_by(grants.c.proven_at.desc()))).scalars()
    return [one for one in dict.fromkeys(found) if one not in already]


def _hash(code: str) -> str:
    return hashlib.sha256(code.strip().upper().encode()).hexdigest()
