"""Every code a desk can meet has words in both languages, and all desks have the same ones."""

from __future__ import annotations

from bot.context import TOPICS
from bot.handoff.priority import _BY_REASON
from bot.handoff.words import GOALS, REASONS, TABLES, word


def test_every_reason_and_every_topic_has_words_in_both_languages() -> None:
    assert set(_BY_REASON) <= set(REASONS) and set(TOPICS.values()) | {"answer"} <= set(GOALS)
    assert all(
        {"zh", "en"} == set(words) and all(words.values())
        for table in TABLES.values()
        for words in table.values()
    )


def test_a_code_without_words_stands_for_itself() -> None:
    assert "new reason" == word(REASONS, "new_reason", "zh") and "" == word(REASONS, None, "en")
