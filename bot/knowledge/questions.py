"""Lines of question files: what every evaluation reads of them in the same way."""

from __future__ import annotations

from typing import Any

from bot.jsonl import text_of, texts_of
from bot.knowledge.tokens import language_of


def question_fields(raw: Any, number: int) -> dict[str, Any]:
    """`id`, `language`, `question`, `answerable`, `gold` and `evidence` of a line.

    People leave out what they take for granted: without a language it is that of the question ("zh-CN" is zh), without an id the
    line's number, and without `answerable` a question is answerable when something says what would be right.

    Raises:
        KeyError, TypeError, ValueError: the line is none; says why.
    """
    if not isinstance(raw, dict):
        raise TypeError("one JSON object a line is wanted")
    question = text_of(raw, "question")
    gold, evidence = texts_of(raw.get("gold")), texts_of(raw.get("evidence"))
    named = raw.get("language")
    language = language_of(question) if named is None else str(named).strip().lower()[:2]
    if language not in ("zh", "en"):
        raise ValueError(f"language is {named!r}, zh or en is wanted")
    answerable = raw.get("answerable")
    if answerable is not None and not isinstance(answerable, bool):
        raise TypeError("answerable must be true or false")
    return {
        "id": str(number if raw.get("id") is None else raw["id"]),
        "language": language,
        "question": question,
        "answerable": bool(gold or evidence) if answerable is None else answerable,
        "gold": gold,
        "evidence": evidence,
    }
