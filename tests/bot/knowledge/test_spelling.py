"""What a shopper types in pinyin is spelt as the shop's articles spell it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.knowledge.articles import Chunk
from bot.knowledge.spelling import Spelling

TEXT = "退款五天到。退款到了会通知您，退款原路退回。Tuihuo牌耳机也能退。过几天到，看几天能审完，几天都行。"
CHUNK = Chunk("a/zh#1", "a", "zh", ("退款几天到",), "退款几天到", TEXT, (), None, None, None, Path("a.md"), 1)


@pytest.mark.parametrize(
    ("question", "spelt"),
    [
        ("tuikuan 几天到", "退款几天到"),
        ("tui kuan ji tian dao", "退款几天到"),
        ("iPhone能退吗", None),
        ("退款几天到", None),
        ("Tuihuo能退吗", None),  # a name that the articles write so
    ],
)
def test_pinyin_is_spelt_in_characters_and_nothing_else_is(question: str, spelt: str | None) -> None:
    spelling = Spelling([CHUNK])

    assert spelling.has_pinyin(question) is (spelt is not None)
    if spelt is not None:
        assert spelt == spelling.in_characters(question)
