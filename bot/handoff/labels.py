"""What a person did with a draft of the bot (sent it, edited it, threw it away), or thought of an answer it sent.

Labels for calibration. A draft that was sent as it stood was right; one that was edited or discarded was not, in that
person's eyes. An answer that the bot sent alone is marked right or wrong.
This module knows no desk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal, get_args

from sqlalchemy import BigInteger, Column, Float, Integer, String, Table, UniqueConstraint, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.database import metadata, now_ms
from bot.privacy.cipher import SealedText

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


async def rows(connection: AsyncConnection) -> AsyncIterator[dict[str, Any]]:
    """Every label, oldest first, as calibration wants it: question, text, score, language, wrong (0 or 1)."""
    for row in (await connection.execute(select(labels).order_by(labels.c.id))).all():
        yield {
            "question": row.question,
            "text": row.text,
            "score": row.score,
            "language": row.language,
            "wrong": 0 if row.verdict in ("sent", "right") else 1,
        }
