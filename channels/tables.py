"""The gateway's tables: conversations, their event log, inbox, outbox, buttons and audit.

What may happen to a row, and in which order, is `channels.store`'s.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from bot.database import metadata
from bot.privacy.cipher import SealedJSON, SealedText

_Position = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only on INTEGER

conversations = Table(
    "conversations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("channel", String(32), nullable=False),
    Column("account", String(128), nullable=False),
    Column("shopper", String(255), nullable=False),
    Column("customer", String(255)),
    Column("locale", String(16)),
    Column("seq", Integer, nullable=False, default=0),
    Column("read_seq", Integer, nullable=False, default=0),
    Column("reachable", Boolean, nullable=False, default=True),
    Column("apologised", Boolean, nullable=False, default=False),  # in the outage that is going on
    # Which gateway works on it, with several gateways on PostgreSQL; until when (ms)
    Column("turn_lease", String(64)),
    Column("turn_lease_until", BigInteger, nullable=False, default=0),
    Column("delivery_lease", String(64)),
    Column("delivery_lease_until", BigInteger, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False),
    Column("active_at", BigInteger, nullable=False),
    UniqueConstraint("channel", "account", "shopper"),
    Index("ix_conversations_active_at", "active_at"),
)

events = Table(
    "conversation_events",  # Rasa's tracker store, in the same database, has a table "events"
    metadata,
    Column("conversation", String(64), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),  # message, owner, rating, handoff, suggestion, note
    Column("author", String(16), nullable=False),  # shopper, bot, person, system
    Column("audience", String(8), nullable=False),  # shopper: everybody; desk: persons only
    Column("body", SealedJSON, nullable=False),
    Column("at", BigInteger, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("conversation", String(64), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("account", String(128), nullable=False),
    Column("dedup_key", String(255), nullable=False),
    Column("body", SealedJSON, nullable=False),  # bot.message.Inbound
    Column("raw", SealedText),  # what the platform sent, when the channel keeps it
    Column("seq", Integer),
    Column("state", String(16), nullable=False),  # new, running, done, parked
    Column("outcome", String(32)),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", BigInteger, nullable=False, default=0),
    Column("failed_at", BigInteger),  # first failure
    Column("error", Text),
    Column("passive_until", BigInteger, nullable=False, default=0),
    Column("received_at", BigInteger, nullable=False),
    Column("done_at", BigInteger),
    UniqueConstraint("channel", "account", "dedup_key"),
    Index("ix_inbox_conversation_state", "conversation", "state"),
    Index("ix_inbox_state_next_at", "state", "next_at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("conversation", String(64), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("inbound", String(64)),
    Column("ordinal", Integer, nullable=False, default=0),
    Column("seq", Integer, nullable=False),
    Column("author", String(16), nullable=False),
    Column("body", SealedJSON, nullable=False),
    # pending, held, delivered, unknown, failed; for a moment claimed by one of two ways out: passive, sending
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", BigInteger, nullable=False, default=0),
    Column("error", Text),
    Column("platform_id", String(255)),
    Column("created_at", BigInteger, nullable=False),
    Column("done_at", BigInteger),
    UniqueConstraint("inbound", "ordinal"),
    Index("ix_outbox_conversation_state", "conversation", "state"),
    Index("ix_outbox_state_next_at", "state", "next_at"),
)

buttons = Table(
    "buttons",
    metadata,
    Column("token", String(32), primary_key=True),
    Column("conversation", String(64), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("title", SealedText, nullable=False),
    Column("payload", SealedText, nullable=False),
    Index("ix_buttons_conversation_seq", "conversation", "seq"),
)

audit = Table(
    "audit",
    metadata,
    Column("reply", String(64), primary_key=True),  # outbox id, or the id a withheld reply would have had
    Column("conversation", String(64), nullable=False, index=True),
    Column("inbound", String(64)),
    Column("outcome", String(32), nullable=False),  # sent, overtaken, claim_withheld
    Column("intent", String(128)),
    Column("score", Float),
    Column("reasons", JSON, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("receipts", JSON, nullable=False),
    Column("explain", SealedJSON, nullable=False),
    Column("at", BigInteger, nullable=False),
)
