"""What a person did with a draft of the bot (sent it, edited it, threw it away), or thought of an answer it sent.

Labels for calibration. A draft that was sent as it stood was right; one that was edited or discarded was not, in that
person's eyes. An answer that the bot sent alone is marked right or wrong.
This module knows no desk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from sqlalchemy import BigInteger, Column, Float, Integer, String, Table, UniqueConstraint, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.database import metadata, now_ms
from bot.handoff.cases import cases
from bot.privacy.cipher import SealedText
from bot.records import audit, outbox

Verdict = Literal["sent", "edited", "discarded", "right", "wrong"]

labels = Table(
    "handoff_labels",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("conversation", String(64), nullable=False),
    Column("draft", String(64), nullable=False),  # case:<id>, line:<seq> of a late reply, reply:<seq> sent
    Column("question", SealedText, nullable=False),
    Column("text", SealedText, nullable=False),  # what the bot would have said
    Column("score", Float),  # its estimated chance to be right
    Column("language", String(8)),
    Column("verdict", String(16), nullable=False),
    Column("final", SealedText),  # what was sent instead
    Column("agent", String(128), nullable=False),
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("conversation", "draft"),
)


async def write(
    connection: AsyncConnection,
    *,
    conversation: str,
    draft: str,
    question: str,
    text: str,
    score: float | None,
    language: str | None,
    verdict: Verdict,
    agent: str,
    final: str | None = None,
) -> bool:
    """Keep a verdict; the first one on a draft counts. False when there was one already.

    Raises:
        ValueError: there is no such verdict.
    """
    if verdict not in get_args(Verdict):
        raise ValueError(f"No verdict {verdict!r}: one of {', '.join(get_args(Verdict))}")
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    done = await connection.execute(
        insert(labels)
        .values(
            conversation=conversation, draft=draft, question=question, text=text, score=score,
            language=language, verdict=verdict, final=final, agent=agent, at=now_ms(),
        )
        .on_conflict_do_nothing(index_elements=["conversation", "draft"])
    )  # fmt: skip
    return bool(done.rowcount == 1)


async def judged(connection: AsyncConnection, conversation: str) -> dict[str, str]:
    """draft -> verdict, of one conversation."""
    query = select(labels.c.draft, labels.c.verdict).where(labels.c.conversation == conversation)
    return {row.draft: row.verdict for row in (await connection.execute(query)).all()}


@dataclass(frozen=True)
class Judged:
    """A person's word on one answer, beside what the bot had decided about it."""

    conversation: str
    at: str  # when the bot made the answer, ISO 8601
    p: float  # its estimated chance to be right
    wrong: bool
    risk: str
    alone: bool  # the shopper got it from the bot alone
    versions: Mapping[str, str]  # what made it: model, prompt, articles, policy


async def for_calibration(connection: AsyncConnection) -> list[Judged]:
    """Every judged answer whose decision is still in the audit trail, oldest first.

    A late reply (``line:``) is left out: nobody decided to hand it over, a person was quicker.
    """
    found = []
    for row in (await connection.execute(select(labels).order_by(labels.c.id))).all():
        kind, _, name = row.draft.partition(":")
        decided = select(audit.c.explain, audit.c.versions, audit.c.at).where(
            audit.c.conversation == row.conversation
        )
        if kind == "reply" and name.isdecimal():
            decided = decided.join(outbox, outbox.c.id == audit.c.reply).where(outbox.c.seq == int(name))
        elif kind == "case":
            opened = select(cases.c.opened_at).where(cases.c.id == name).scalar_subquery()
            decided = decided.where(audit.c.at <= opened).order_by(audit.c.at.desc())
        else:
            continue
        for why in (await connection.execute(decided)).all():
            answer = (why.explain or {}).get("answer") or {}
            if "p_correct" not in answer:
                continue
            made = datetime.fromtimestamp(why.at / 1000, UTC).isoformat(timespec="milliseconds")
            versions = {
                part.removeprefix("answer."): value
                for part, value in (why.versions or {}).items()
                if part.startswith("answer.")
            }
            found.append(
                Judged(row.conversation, made, float(answer["p_correct"]), row.verdict not in ("sent", "right"),
                       str(answer.get("risk_class") or "product"), kind == "reply", versions)
            )  # fmt: skip
            break
    return sorted(found, key=lambda one: (one.at, one.conversation))
