"""The gateway's tables as those see them who may not import the gateway: `kefu explain`, `kefu report`, privacy.

Columns are named, not declared: `channels.store` owns the tables, and a test compares the two. Bodies are read
through the same types, so that what is encrypted at rest is readable here as well.
This module knows no platform.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Float, Integer, MetaData, String, Table, Text

from bot.privacy.cipher import SealedJSON, SealedText

# A MetaData of their own: nobody makes these tables from here.
_seen = MetaData()

conversations = Table(
    "conversations", _seen, Column("id", String, primary_key=True), Column("channel", String), Column("account", String),
    Column("shopper", String), Column("customer", String), Column("locale", String), Column("created_at", BigInteger),
    Column("active_at", BigInteger),
)  # fmt: skip
events = Table(
    "conversation_events", _seen, Column("conversation", String, primary_key=True),
    Column("seq", Integer, primary_key=True), Column("kind", String), Column("author", String),
    Column("audience", String), Column("body", SealedJSON), Column("at", BigInteger),
)  # fmt: skip
inbox = Table(
    "inbox", _seen, Column("position", BigInteger, primary_key=True), Column("id", String), Column("conversation", String),
    Column("channel", String), Column("account", String), Column("dedup_key", String), Column("body", SealedJSON),
    Column("raw", SealedText), Column("seq", Integer), Column("state", String), Column("outcome", String),
    Column("attempts", Integer), Column("error", Text), Column("received_at", BigInteger), Column("done_at", BigInteger),
)  # fmt: skip
outbox = Table(
    "outbox", _seen, Column("position", BigInteger, primary_key=True), Column("id", String), Column("conversation", String),
    Column("channel", String), Column("inbound", String), Column("ordinal", Integer), Column("seq", Integer),
    Column("author", String), Column("body", SealedJSON), Column("state", String), Column("error", Text),
    Column("platform_id", String), Column("created_at", BigInteger), Column("done_at", BigInteger),
)  # fmt: skip
buttons = Table(
    "buttons", _seen, Column("token", String, primary_key=True), Column("conversation", String), Column("seq", Integer),
    Column("title", SealedText), Column("payload", SealedText),
)  # fmt: skip
audit = Table(
    "audit", _seen, Column("reply", String, primary_key=True), Column("conversation", String), Column("inbound", String),
    Column("outcome", String), Column("intent", String), Column("score", Float), Column("reasons", JSON),
    Column("versions", JSON), Column("receipts", JSON), Column("explain", SealedJSON), Column("at", BigInteger),
)  # fmt: skip
access_log = Table(
    "desk_access", _seen, Column("name", String), Column("conversation", String), Column("act", String),
    Column("at", BigInteger),
)  # fmt: skip

TABLES: dict[str, Table] = dict(_seen.tables)


def row_dict(row: Any) -> dict[str, Any]:
    """A row as a plain dictionary."""
    return dict(row._mapping)
