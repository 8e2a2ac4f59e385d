"""How long what is kept: `kefu privacy purge`, and once a day by the gateway.

Every field has its own time (settings: privacy.retention, days, 0 for ever). Conversations that a person has, or
that wait for one, are never touched. This module knows no platform.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import String, cast, func, inspect, null, or_, select, text
from sqlalchemy import column as sql_column
from sqlalchemy import table as sql_table
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.clock import now_ms
from bot.handoff.cases import cases
from bot.handoff.labels import labels
from bot.handoff.ownership import ownership
from bot.handoff.promises import promises
from bot.identity.guard import IdentityGuard
from bot.identity.links import links
from bot.orders.models import Grant, ProofKind
from bot.privacy.files import MediaFiles, log_files
from bot.records import access_log, audit, buttons, conversations, events, inbox, outbox
from bot.settings import Settings

_DAY = 24 * 3600 * 1000  # ms
# Of the desk (`channels.desk.plans`), which is not imported here. Its `plan` holds whole new addresses.
_plans: Any = sql_table(
    "desk_plans", sql_column("conversation"), sql_column("created_at"), sql_column("decided_at")
)


class _Unasked:
    """The guard's purge asks no shop."""

    async def prove(self, kind: ProofKind, value: str, *, order_number: str | None = None) -> Grant:
        raise AssertionError("a purge proves nothing")


async def purge(engine: AsyncEngine, settings: Settings, *, now: int | None = None) -> dict[str, int]:
    """Remove what is older than its time; how much of each field went. `now` in ms.

    A table that this database does not have yet is passed over.
    """
    now = now or now_ms()
    keep = settings.privacy.retention

    def before(days: int) -> int | None:
        return now - days * _DAY if days else None

    gone: dict[str, int] = {}
    async with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            await connection.execute(text("PRAGMA secure_delete=ON"))
        there = set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
        if (cutoff := before(keep.raw)) is not None:
            gone["raw"] = await _raw(connection, cutoff, there)
        if (cutoff := before(keep.messages)) is not None:
            gone["messages"] = await _messages(connection, cutoff, there)
        if (cutoff := before(keep.tracker)) is not None and "events" in there:
            gone["tracker"] = await _tracker(connection, cutoff)
        if (cutoff := before(keep.packets)) is not None:
            gone["packets"] = await _packets(connection, cutoff, there)
        if (cutoff := before(keep.audit)) is not None:
            gone["audit"] = (await connection.execute(audit.delete().where(audit.c.at < cutoff))).rowcount
        if (cutoff := before(keep.access)) is not None and "desk_access" in there:
            gone["access"] = (
                await connection.execute(access_log.delete().where(access_log.c.at < cutoff))
            ).rowcount
    gone["identity"] = await IdentityGuard(engine, _Unasked(), settings.identity, clock=lambda: now).purge()
    if (cutoff := before(keep.media)) is not None:
        media = MediaFiles(settings)
        gone["media"] = await media.delete(await media.older_than(cutoff / 1000))
    if (cutoff := before(keep.logs)) is not None:
        old = [path for path in log_files(settings.data_path("log")) if path.stat().st_mtime < cutoff / 1000]
        for path in old:
            path.unlink(missing_ok=True)
        gone["logs"] = len(old)
    return gone


async def _raw(connection: AsyncConnection, cutoff: int, there: set[str]) -> int:
    result = await connection.execute(
        inbox.update()
        .where(inbox.c.raw.is_not(None), inbox.c.received_at < cutoff, inbox.c.state == "done")
        .values(raw=None)
    )
    count: int = result.rowcount
    if "telegram_albums" in there:
        albums = sql_table("telegram_albums", sql_column("at"))
        count += (await connection.execute(albums.delete().where(albums.c.at < cutoff))).rowcount
    return count


async def _messages(connection: AsyncConnection, cutoff: int, there: set[str]) -> int:
    """Whole conversations whose last word is older; the audit trail stays, under an id nobody can resolve."""
    held = _held()
    old = (
        (
            await connection.execute(
                select(conversations.c.id).where(
                    conversations.c.active_at < cutoff, conversations.c.id.not_in(held)
                )
            )
        )
        .scalars()
        .all()
    )
    count = 0
    for start in range(0, len(old), 500):
        ids = list(old[start : start + 500])
        for table in (events, inbox, outbox, buttons):
            count += (await connection.execute(table.delete().where(table.c.conversation.in_(ids)))).rowcount
        if "identity_links" in there:
            mine = links.c.conversation.in_(ids) | links.c.other.in_(ids)
            await connection.execute(links.delete().where(mine))
        await connection.execute(conversations.delete().where(conversations.c.id.in_(ids)))
    if "desk_plans" in there:
        # Also those whose conversation went before plans went with it: nobody could ask for their erasure.
        orphans = _plans.c.conversation.not_in(select(conversations.c.id))
        count += (await connection.execute(_plans.delete().where(orphans))).rowcount
    return count


def _held() -> Any:
    """Conversations that a person has, or that wait for one."""
    return select(ownership.c.conversation).where(ownership.c.owner.in_(("pending", "person")))


async def _tracker(connection: AsyncConnection, cutoff: int) -> int:
    """Rasa's events of dialogues that ended before; a dialogue goes whole, or Rasa could not replay it."""
    tracker: Any = sql_table("events", sql_column("sender_id"), sql_column("timestamp"))
    alive = select(tracker.c.sender_id).where(tracker.c.timestamp >= cutoff / 1000)
    result = await connection.execute(tracker.delete().where(tracker.c.sender_id.not_in(alive)))
    return int(result.rowcount)


async def _packets(connection: AsyncConnection, cutoff: int, there: set[str]) -> int:
    count = 0
    if "handoff_cases" in there:
        full = func.length(cast(cases.c.packet, String)) > 2  # more than {}
        old = (cases.c.ended_at < cutoff) & or_(
            full, cases.c.note_turn.is_not(None), cases.c.rating_comment.is_not(None)
        )
        result = await connection.execute(
            cases.update().where(old).values(packet={}, note=null(), note_turn=None, rating_comment=None)
        )
        count += result.rowcount
    if "promises" in there:
        count += (await connection.execute(promises.delete().where(promises.c.settled_at < cutoff))).rowcount
    if "handoff_labels" in there:
        count += (await connection.execute(labels.delete().where(labels.c.at < cutoff))).rowcount
    if "desk_plans" in there:
        # One that nobody decided has been dead since minutes after it was made.
        dead = func.coalesce(_plans.c.decided_at, _plans.c.created_at) < cutoff
        unheld = _plans.c.conversation.not_in(_held())
        count += (await connection.execute(_plans.delete().where(dead, unheld))).rowcount
    return count
