"""Whose data: from what somebody writes on the command line to conversations, and to the words to search for.

A shopper is named by the id of a conversation, by his id on the platform, or by the shop's customer id. Nothing is
ever matched by name. This module reads; it changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import MetaData, Table, inspect, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.exceptions import RecordMissing
from bot.identity.guard import grants
from bot.identity.links import linked
from bot.privacy.masking import find_personal
from bot.records import conversations, events, inbox, row_dict

# Rows here are kept on erasure: they say who looked, not what was said.
KEPT = frozenset({"desk_access"})


@dataclass(frozen=True)
class Subject:
    """One shopper's traces, read before anything is erased."""

    asked: str
    conversations: tuple[dict[str, Any], ...]
    media: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    values: tuple[str, ...] = field(default=(), repr=False)  # phones, e-mails, ... that the shopper wrote

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(one["id"] for one in self.conversations)


async def find_subject(connection: AsyncConnection, asked: str) -> Subject:
    """Read whose data `asked` means.

    Raises:
        RecordMissing: no conversation, shopper or customer has this id.
    """
    query = select(conversations.c.id).where(
        or_(conversations.c.id == asked, conversations.c.shopper == asked, conversations.c.customer == asked)
    )
    named = (await connection.execute(query)).scalars().all()
    # What is proven to be the same shopper's is his as well, whichever door it came through.
    everywhere = {one for name in named for one in await linked(connection, name)}
    query = select(conversations).where(conversations.c.id.in_(everywhere))
    found = [
        row_dict(row) for row in (await connection.execute(query.order_by(conversations.c.created_at))).all()
    ]
    if not found:
        raise RecordMissing(
            f"Nobody is on record as {asked!r}: give the id of a conversation, the shopper's id on the platform, "
            "or the shop's customer id as the channel proves it (for example site:cus_0001)"
        )
    ids = [one["id"] for one in found]
    media: set[str] = set()
    names: set[str] = set()
    texts: list[str] = []
    for table in (events, inbox):
        for row in (
            await connection.execute(select(table.c.body).where(table.c.conversation.in_(ids)))
        ).all():
            body = row.body or {}
            texts += _strings(body)
            for one in (*(body.get("media") or ()), *(body.get("attachments") or ())):
                if isinstance(one, dict) and one.get("media_id"):
                    media.add(str(one["media_id"]))
    query = select(grants.c.customer_name).where(grants.c.conversation.in_(ids))
    names |= {row.customer_name for row in (await connection.execute(query)).all() if row.customer_name}
    values = {text[one.start : one.end] for text in texts for one in find_personal(text, names)}
    return Subject(asked, tuple(found), tuple(sorted(media)), tuple(sorted(names)), tuple(sorted(values)))


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for one in value.values() for text in _strings(one)]
    if isinstance(value, list):
        return [text for one in value for text in _strings(one)]
    return []


async def tables_about(connection: AsyncConnection) -> list[tuple[Table, str]]:
    """(table, column that names the conversation) of every table there is, whoever made it; Rasa's too.

    Read from the database itself, so that a table somebody adds later is not forgotten.
    """

    def read(sync: Any) -> list[tuple[Table, str]]:
        found = []
        for name in sorted(inspect(sync).get_table_names()):
            columns = {column["name"] for column in inspect(sync).get_columns(name)}
            if name in KEPT:
                continue
            if name == "conversations":
                column = "id"
            elif name == "events" and "sender_id" in columns:  # Rasa's tracker store
                column = "sender_id"
            elif "conversation" in columns:
                column = "conversation"
            else:
                continue
            found.append((Table(name, MetaData(), autoload_with=sync), column))
            if name == "identity_links":  # names two conversations
                found.append((found[-1][0], "other"))
        return found

    result: list[tuple[Table, str]] = await connection.run_sync(read)
    return result


def plain(value: Any) -> Any:
    """What JSON can hold."""
    try:
        json.dumps(value)
    except TypeError:
        return str(value)
    return value


def needles(subject: Subject) -> Sequence[str]:
    """The words whose absence proves an erasure: ids of the shopper and what he wrote of himself."""
    ids = {one["shopper"] for one in subject.conversations} | set(subject.ids)
    ids |= {one["customer"] for one in subject.conversations if one["customer"]}
    values = {value for value in subject.values if len(value) >= 6}
    return sorted(value for value in ids | values if value and len(value) >= 3)
