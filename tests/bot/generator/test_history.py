"""How a question goes on from what was said before."""

from __future__ import annotations

import pytest

from bot.generator.history import Turn, readings_of


@pytest.mark.parametrize(
    ("question", "before", "readings"),
    [
        ("那电池呢？", Turn("手表防水吗"), ("手表防水吗 那电池呢？",)),
        ("电池呢", Turn("手表防水吗"), ("手表防水吗 电池呢",)),
        ("what about the strap", Turn("is it waterproof"), ("is it waterproof what about the strap",)),
        ("保修多久", Turn("退货期限"), ("保修多久", "退货期限 保修多久")),
        ("耳机充不进电怎么处理", Turn("手表防水吗"), ("耳机充不进电怎么处理",)),
        (
            "耳机充不进电应该怎么处理呢",
            Turn("手表防水吗"),
            ("耳机充不进电应该怎么处理呢", "手表防水吗 耳机充不进电应该怎么处理呢"),
        ),
        ("那电池呢？", Turn("手机尾号 2046", "好的", asked=False), ("那电池呢？",)),
        ("退货期限", None, ("退货期限",)),
    ],
)
def test_a_short_question_may_go_on_from_the_one_before_it(
    question: str, before: Turn | None, readings: tuple[str, ...]
) -> None:
    assert readings == readings_of(question, [before] if before else [])
