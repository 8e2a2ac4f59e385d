"""The live queue: one row per open case, and who must be told when a row changes.

Rows are read in a handful of queries, however many conversations are open; what changed since the last look is
sent to every open desk. This module knows no HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.handoff.cases import cases
from bot.handoff.ownership import ownership
from channels.gateway import Gateway
from channels.tables import conversations, events

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

SETTLE = 0.15  # seconds; what changes together is sent together
RELOAD = 5.0  # seconds; finds what sibling gateways wrote
MAX_ROWS = 500
_EXCERPT = 90  # characters


class Board:
    """Keeps rows and listeners. `start` when the gateway runs."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._store = gateway.store
        self.rows: dict[str, Row] = {}
        self._listeners: set[Send] = set()
        self._look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stop_listening: Callable[[], None] | None = None

    async def start(self) -> None:
        self._stop_listening = self._gateway.wake.listen("*", self._on_wake)
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        if self._stop_listening is not None:
            self._stop_listening()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _on_wake(self, _conversation: str, _signal: dict[str, Any]) -> None:
        self._look.set()

    def listen(self, send: Send) -> Callable[[], None]:
        """Send every change of the queue; returns how to stop."""
        self._listeners.add(send)
        return lambda: self._listeners.discard(send)

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), RELOAD)
                await asyncio.sleep(SETTLE)
            self._look.clear()
            if not self._listeners:
                continue
            try:
                await asyncio.shield(self.refresh())
            except Exception:  # the outermost door of this task; the next look tries again
                logger.exception("desk.board_failed")

    async def refresh(self) -> None:
        """Read the queue and tell the listeners what is new."""
        fresh = {row["id"]: row for row in await self.read()}
        changed = [row for key, row in fresh.items() if self.rows.get(key) != row]
        gone = [key for key in self.rows if key not in fresh]
        self.rows = fresh
        if changed or gone:
            frame = {"type": "queue", "rows": changed, "gone": gone}
            for send in list(self._listeners):
                with contextlib.suppress(ConnectionError):
                    await send(frame)

    async def read(self, ids: Sequence[str] | None = None) -> list[Row]:
        """The rows of all open cases, or of these conversations whatever their state."""
        async with self._store.read(much=True) as connection:
            return await read_rows(connection, ids)


async def read_rows(connection: AsyncConnection, ids: Sequence[str] | None = None) -> list[Row]:
    """One row per conversation: with an open case, or of `ids`."""
    other = cases.alias("other")
    latest = (
        select(func.max(other.c.opened_at))
        .where(other.c.conversation == conversations.c.id)
        .correlate(conversations)
        .scalar_subquery()
    )
    query = (
        select(conversations, ownership.c.owner, ownership.c.token, ownership.c.agent, ownership.c.since)
        .add_columns(*[cases.c[name].label(f"case_{name}") for name in _CASE])
        .select_from(
            conversations.outerjoin(ownership, ownership.c.conversation == conversations.c.id).outerjoin(
                cases,
                and_(
                    cases.c.conversation == conversations.c.id,
                    cases.c.ended_at.is_(None) if ids is None else cases.c.opened_at == latest,
                ),
            )
        )
    )
    if ids is None:
        query = query.where(cases.c.id.is_not(None)).order_by(cases.c.opened_at).limit(MAX_ROWS)
    else:
        query = query.where(conversations.c.id.in_(list(ids)))
    found = (await connection.execute(query)).mappings().all()
    known = [row["id"] for row in found]
    last = await _last_messages(connection, known)
    return [_row(row, last.get(row["id"], {})) for row in found]


async def _last_messages(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Per conversation: author -> its last message."""
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(ids), 400):
        some = list(ids[start : start + 400])
        newest = (
            select(events.c.conversation, events.c.author, func.max(events.c.seq).label("seq"))
            .where(events.c.conversation.in_(some), events.c.kind == "message")
            .group_by(events.c.conversation, events.c.author)
            .subquery()
        )
        query = select(events).join(
            newest, and_(events.c.conversation == newest.c.conversation, events.c.seq == newest.c.seq)
        )
        for row in (await connection.execute(query)).all():
            found.setdefault(row.conversation, {})[row.author] = row
    return found


_CASE = (
    "id", "reason", "goal", "priority", "packet", "opened_at", "waiting_since", "wanted", "claimed_at",
    "promised_at", "promise", "ended_at", "outcome", "rating", "rating_comment",
)  # fmt: skip


def _row(row: Any, last: dict[str, Any]) -> Row:
    packet = row["case_packet"] or {}
    who = packet.get("who") or {}
    # What the desk's own clockwork said (positions, apologies) is of no interest in a list.
    spoken = [event for author, event in last.items() if author != "system"] or list(last.values())
    newest = max(spoken, key=lambda event: event.seq) if spoken else None
    shopper, person = last.get("shopper"), last.get("person")
    unanswered = shopper is not None and (person is None or shopper.seq > person.seq)
    if unanswered and row["owner"] in ("pending", "person"):
        newest = shopper
    excerpt = ""
    if newest is not None:
        excerpt = str(newest.body.get("text") or "")[:_EXCERPT].replace("\n", " ")
    return {
        "id": row["id"],
        "channel": row["channel"],
        "account": row["account"],
        "name": who.get("name") or row["customer"] or None,
        "short": row["id"].replace("-", "").replace("_", "")[:4].upper(),
        "proof": who.get("proof"),
        "locale": row["locale"],
        "language": packet.get("language") or row["locale"],
        "sentiment": packet.get("sentiment"),
        "owner": row["owner"] or "bot",
        "token": row["token"] or 0,
        "agent": row["agent"],
        "since": row["since"] or row["created_at"],
        "reason": row["case_reason"],
        "goal": row["case_goal"],
        "order": (packet.get("order") or {}).get("number") or packet.get("order_number"),
        "priority": row["case_priority"] or 0,
        "opened_at": row["case_opened_at"],
        "waiting_since": row["case_waiting_since"],
        "claimed_at": row["case_claimed_at"],
        "wanted": row["case_wanted"],
        "promised_at": row["case_promised_at"],
        "promise": row["case_promise"],
        "ended_at": row["case_ended_at"],
        "outcome": row["case_outcome"],
        "rating": row["case_rating"],
        "seq": row["seq"],
        "last": excerpt,
        "media": bool(newest is not None and newest.body.get("media")),
        "last_author": newest.author if newest is not None else None,
        "last_at": newest.at if newest is not None else row["active_at"],
        "unanswered_since": shopper.at if unanswered and shopper is not None else None,
    }
