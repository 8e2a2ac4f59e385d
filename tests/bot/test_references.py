"""Which one is meant, in both languages; and None where nobody could say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.references import means_all, means_newest, read_choice, read_choices, read_count, read_positions

SHIRTS = ["亚麻衬衫（白色，M 码）", "亚麻衬衫（蓝色，M 码）", "跑步鞋（黑色，42）"]
ENGLISH = ["Linen shirt (White, M)", "Linen shirt (Blue, M)", "Running shoes (Black, 42)"]


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("第二件", [1]),
        ("第2个", [1]),
        ("the third one", [2]),
        ("2nd", [1]),
        ("2", [1]),
        ("２", [1]),
        ("最后一件", [2]),
        ("the last one", [2]),
        ("1和3", [0, 2]),
        ("1, 3", [0, 2]),
        ("第一件和第三件", [0, 2]),
        ("number two", [1]),
        ("7", []),
        ("第九件", []),
        ("hello", []),
    ],
)
def test_positions(text: str, positions: list[int]) -> None:
    assert positions == read_positions(text, 3)


@pytest.mark.parametrize(
    ("text", "choice"),
    [("蓝色的那件", 1), ("跑步鞋", 2), ("白色", 0), ("衬衫", None), ("全部", None), ("随便", None)],
)
def test_a_title_is_meant_when_its_words_are_its_own(text: str, choice: int | None) -> None:
    assert choice == read_choice(text, SHIRTS)


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("all of them", [0, 1, 2]),
        ("everything except the second", [0, 2]),
        ("the blue one", [1]),
        ("the shoes and the first", [0]),
        ("whatever", None),
    ],
)
def test_several_at_once(text: str, choices: list[int] | None) -> None:
    assert choices == read_choices(text, ENGLISH)


def test_all_but_one_in_chinese() -> None:
    assert [0, 2] == read_choices("除了第二件全部退", SHIRTS)


def test_both_means_two_of_two_only() -> None:
    assert [0, 1] == read_choices("both", ENGLISH[:2])
    assert read_choices("both", ENGLISH) is None


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("只退一件", 1),
        ("两件", 2),
        ("2 of them", 2),
        ("just 3", 3),
        ("第二件", None),
        ("3 个月", None),
        ("订单 12345678", None),
    ],
)
def test_counts(text: str, count: int | None) -> None:
    assert count == read_count(text)


def test_a_bare_number_counts_only_where_it_was_asked_for() -> None:
    assert read_count("2") is None
    assert 2 == read_count("2", bare=True)
    assert 2 == read_count("两", bare=True)


def test_the_newest_order_and_all() -> None:
    assert means_newest("最近那单") and means_newest("my last order") and not means_newest("第一单")
    assert means_all("全部") and means_all("the whole order") and not means_all("第一件")


@given(st.text(max_size=300), st.integers(0, 12))
def test_no_text_leads_outside_the_list(text: str, count: int) -> None:
    titles = [f"item {chr(97 + place)}" for place in range(count)]

    assert all(0 <= place < count for place in read_positions(text, count))
    assert all(0 <= place < count for place in read_choices(text, titles) or ())
