"""What the bot said or would have said, as people at the desk judge it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.handoff import cases, labels
from channels.desk.forms import number_of
from channels.store import Store
from channels.tables import audit, events, outbox


async def draft_of(store: Store, conversation: str, draft: str) -> dict[str, Any]:
    """What the bot would have said: ``case:<id>`` is the draft of a packet, ``line:<seq>`` a late reply,
    ``reply:<seq>`` one that was sent.

    Raises:
        LookupError: there is none of that name.
    """
    kind, _, name = draft.partition(":")
    async with store.read() as connection:
        if kind == "reply":
            return await _sent_answer(connection, conversation, number_of(name))
        if kind == "line":
            query = select(events).where(
                events.c.conversation == conversation,
                events.c.seq == number_of(name),
                events.c.kind == "suggestion",
            )
            row = (await connection.execute(query)).first()
            if row is not None:
                asked = select(events.c.body).where(
                    events.c.conversation == conversation,
                    events.c.seq < row.seq,
                    events.c.kind == "message",
                    events.c.author == "shopper",
                )
                said = (await connection.execute(asked.order_by(events.c.seq.desc()).limit(1))).scalar() or {}
                return {"text": str(row.body.get("text") or ""), "score": None,
                        "question": said.get("text") or "", "language": row.body.get("language")}  # fmt: skip
        elif kind == "case":
            found = select(cases.cases.c.packet).where(
                cases.cases.c.id == name, cases.cases.c.conversation == conversation
            )
            packet = (await connection.execute(found)).scalar() or {}
            if packet.get("draft"):
                return {"text": packet["draft"]["text"], "score": packet["draft"].get("score"),
                        "question": packet.get("question") or "", "language": packet.get("language")}  # fmt: skip
    raise LookupError(f"There is no draft {draft} in {conversation}")


async def judge(
    store: Store, conversation: str, draft: str, original: dict[str, Any], verdict: labels.Verdict,
    agent: str, final: str | None,
) -> None:  # fmt: skip
    """Keep what a person made of it: a label."""
    async with store.write() as connection:
        await labels.write(
            connection, conversation=conversation, draft=draft, verdict=verdict, agent=agent,
            final=final, **original,
        )  # fmt: skip


async def _sent_answer(connection: AsyncConnection, conversation: str, seq: int) -> dict[str, Any]:
    """A line the bot sent, with the question before it and its score, as `labels.write` wants it."""
    here = (events.c.conversation == conversation) & (events.c.kind == "message")
    said = (
        await connection.execute(
            select(events.c.body).where(here, events.c.seq == seq, events.c.author == "bot")
        )
    ).scalar()
    if said is None:
        raise LookupError(f"Line {seq} of {conversation} is no answer of the bot")
    before = select(events.c.body).where(here, events.c.seq < seq, events.c.author == "shopper")
    asked = (await connection.execute(before.order_by(events.c.seq.desc()).limit(1))).scalar() or {}
    why = (
        await connection.execute(
            select(audit.c.explain)
            .join(outbox, outbox.c.id == audit.c.reply)
            .where(outbox.c.conversation == conversation, outbox.c.seq == seq)
        )
    ).scalar() or {}
    return {
        "text": str(said.get("text") or ""),
        "score": (why.get("answer") or {}).get("p_correct"),
        "question": str(asked.get("text") or ""),
        "language": said.get("language"),
    }
