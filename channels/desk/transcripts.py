"""Conversations as the desk reads them: which there are, and one of them with its reasons and receipts."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import String, select
from sqlalchemy import cast as sql_cast

from bot.database import now_ms
from bot.handoff import cases, labels, ownership
from bot.settings import Settings
from channels.desk.acts import Acts
from channels.desk.board import read_rows
from channels.desk.plans import DeskPlans
from channels.store import Store
from channels.tables import audit, conversations, events, outbox
from channels.tokens import Tokens

_LINES = 200  # of a transcript at once


class Transcripts:
    """Reads; changes nothing."""

    def __init__(
        self, store: Store, settings: Settings, tokens: Tokens, acts: Acts, plans: DeskPlans
    ) -> None:
        self.store = store
        self.settings = settings
        self.tokens = tokens
        self.acts = acts
        self.plans = plans

    async def recent(self, view: str) -> list[str]:
        """Ids of conversations that ended lately ("ended"), or of those that the bot has."""
        if view == "ended":
            query = (
                select(cases.cases.c.conversation)
                .where(cases.cases.c.ended_at.is_not(None))
                .order_by(cases.cases.c.ended_at.desc())
            )
        else:
            query = (
                select(conversations.c.id)
                .outerjoin(ownership.ownership, ownership.ownership.c.conversation == conversations.c.id)
                .where(
                    (ownership.ownership.c.owner.is_(None)) | (ownership.ownership.c.owner == "bot"),
                    conversations.c.seq > 0,
                )
                .order_by(conversations.c.active_at.desc())
            )
        async with self.store.read(much=True) as connection:
            return list(dict.fromkeys((await connection.execute(query.limit(100))).scalars()))[:60]

    async def find(self, words: str) -> list[str]:
        """By conversation, customer, order number, or what was written. Newest first."""
        # JSON columns hold letters outside ASCII escaped, so the words are sought the way they are kept.
        written = json.dumps(words)[1:-1]
        found: list[str] = []
        async with self.store.read(much=True) as connection:
            for query in (
                select(conversations.c.id)
                .where(
                    (conversations.c.id == words) | conversations.c.customer.contains(words, autoescape=True)
                )
                .order_by(conversations.c.active_at.desc()),
                select(cases.cases.c.conversation)
                .where(sql_cast(cases.cases.c.packet, String).contains(written, autoescape=True))
                .order_by(cases.cases.c.opened_at.desc()),
                select(events.c.conversation)
                .where(
                    events.c.kind.in_(("message", "note")),
                    sql_cast(events.c.body, String).contains(written, autoescape=True),
                )
                .order_by(events.c.at.desc()),
            ):
                found += (await connection.execute(query.limit(200))).scalars().all()
        return list(dict.fromkeys(found))[:60]

    async def whole(self, conversation: str, after: int = 0) -> dict[str, Any]:
        """The row, the lines after `after`, the packet, the channel's budget, the judged drafts."""
        async with self.store.read() as connection:
            rows = await read_rows(connection, [conversation])
            if not rows:
                raise LookupError(f"There is no conversation {conversation}")
            case = await cases.last_case(connection, conversation)
            judged = await labels.judged(connection, conversation)
            history = (
                await connection.execute(
                    select(cases.cases)
                    .where(cases.cases.c.conversation == conversation)
                    .order_by(cases.cases.c.opened_at.desc())
                    .limit(10)
                )
            ).all()
        row = rows[0]
        first = after or max(0, row["seq"] - _LINES)
        return {
            "row": row,
            "lines": await self._lines(conversation, first, row["seq"]),
            "from": first,
            "packet": case.packet if case is not None else {},
            "evidence": [
                {"id": media_id, "url": self._link(media_id)}
                for media_id in ((case.packet or {}).get("media") or () if case is not None else ())
            ],
            "case": case.id if case is not None else None,
            "judged": judged,
            "budget": await self.acts.budget(conversation),
            "plans": await self.plans.of(conversation, self.settings.language),
            "history": [
                {name: one._mapping[name] for name in
                 ("opened_at", "ended_at", "reason", "outcome", "agent", "rating", "rating_comment", "note")}
                for one in history
            ],
            "now": now_ms(),
        }  # fmt: skip

    async def before(self, conversation: str, seq: int) -> dict[str, Any]:
        """The lines before line `seq`, as many as a page shows at once."""
        first = max(0, seq - 1 - _LINES)
        return {"lines": await self._lines(conversation, first, seq - 1), "from": first}

    async def _lines(self, conversation: str, after: int, until: int) -> list[dict[str, Any]]:
        """Lines of the log with everything the desk may know: reasons, receipts, what became of a delivery."""
        found = await self.store.events_after(conversation, after, limit=_LINES + 50, desk=True)
        query = (
            select(outbox.c.seq, outbox.c.state, outbox.c.error, audit.c.explain, audit.c.receipts,
                   audit.c.intent, audit.c.score)
            .outerjoin(audit, audit.c.reply == outbox.c.id)
            .where(outbox.c.conversation == conversation, outbox.c.seq > after)
        )  # fmt: skip
        async with self.store.read() as connection:
            sent = {row.seq: row for row in (await connection.execute(query)).all()}
        lines = []
        for event in found:
            body = dict(event.body)
            if event.kind == "handoff":
                body.pop("packet", None)  # shown beside the transcript
            if body.get("media"):
                body["media"] = [{**item, "url": self._link(item["media_id"])} for item in body["media"]]
            line = {
                "seq": event.seq, "kind": event.kind, "author": event.author, "at": event.at,
                "desk": event.audience == "desk", "body": body,
            }  # fmt: skip
            row = sent.get(event.seq)
            if row is not None:
                line["delivery"] = row.state
                if row.error:
                    line["delivery_error"] = row.error
                explain = dict(row.explain or {})
                if row.intent:
                    explain |= {"intent": row.intent, "score": row.score}
                if row.receipts:
                    explain["receipts"] = row.receipts
                if explain:
                    line["explain"] = explain
            lines.append(line)
        return lines

    def _link(self, media_id: str) -> str:
        return f"/media/{media_id}?{self.tokens.sign_link(media_id, self.settings.media.link_life)}"
