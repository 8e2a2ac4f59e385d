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


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("不是第一件，是第二件", [1]),
        ("不是第一件是第二件", [1]),
        ("第二件，不是第一件", [1]),
        ("不要第一件，要第二件", [1]),
        ("不退第一件，退第二件", [1]),
        ("第一件不退，退第二件", [1]),
        ("第一件留着，退第二件", [1]),
        ("不是要退第一件，是第二件", [1]),
        ("不是第一件也不是第二件，是第三件", [2]),
        ("不是白色的，是蓝色的", [1]),
        ("白色不退，退跑步鞋", [2]),
        ("不是全部，只退第二件", [1]),
        ("不是第一件，是全部", [0, 1, 2]),
        ("全部退，不要第二件", [0, 2]),
        ("不要第二件，其他全部退", [0, 2]),
        ("不是第一件", None),
        ("除了第一件", None),
        # No denial of what is named.
        ("不只是第一件，第二件也要退", [0, 1]),
        ("除了第一件，第二件也退", [0, 1]),
        ("第一件坏了，第二件也坏了", [0, 1]),
        ("是不是第二件", [1]),
        ("第一件不要了", [0]),
        ("第二件不是很好", [1]),
    ],
)
def test_what_is_denied_is_not_meant_in_chinese(text: str, choices: list[int] | None) -> None:
    assert choices == read_choices(text, SHIRTS)


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("not the first one, the second one", [1]),
        ("the second one, not the first", [1]),
        ("not the first one but the second", [1]),
        ("don't return the first one, return the second one", [1]),
        ("keep the first one and return the second one", [1]),
        ("the second instead of the first", [1]),
        ("not the shoes, the blue one", [1]),
        ("it isn't the first one, it's the third one", [2]),
        ("not all of them, just the second", [1]),
        ("all but the second one", [0, 2]),
        ("all of them, not the second", [0, 2]),
        ("not the first one, all of them", [0, 1, 2]),
        ("not the first one", None),
        ("not only the first one, the second one too", [0, 1]),
        ("not just the first one, all of them", [0, 1, 2]),
        ("the first one isn't working", [0]),
        ("no, the second one", [1]),
    ],
)
def test_what_is_denied_is_not_meant_in_english(text: str, choices: list[int] | None) -> None:
    assert choices == read_choices(text, ENGLISH)


def test_a_word_of_letters_and_characters_names_a_title() -> None:
    titles = ["棉质T恤（白色，M 码）", "运动裤（黑色，L 码）"]

    assert [0] == read_choices("不是运动裤，是T恤", titles)
    assert [1] == read_choices("不是T恤，是运动裤", titles)
    assert 1 == read_choice("不要T恤，要运动裤", titles)


def test_an_option_that_is_a_denial_itself_is_still_chosen_by_its_words() -> None:
    assert 0 == read_choice("不要了", ["不想要了", "质量问题"])
    assert 0 == read_choice("不是质量问题，是不想要了", ["不想要了", "质量问题"])
    assert 0 == read_choice("Not opened", ["Not opened", "Opened"])


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("退十二件", 12),
        ("二十件", 20),
        ("退一百二十件", 120),
        ("三十二双", 32),
        ("twelve items", 12),
        ("我买了三件，退一件", 1),
        ("我买了三件退一件", 1),
        ("一共买了五件，想退两件", 2),
        ("收到两件，退一件", 1),
        ("留两件退一件", 1),
        ("退两件，留一件", 2),
        ("买的两件都退", 2),
        ("退两件，不对，退一件", 1),
        ("不是两件，是一件", 1),
        ("退两盒月饼", 2),
        ("I bought 3 items and want to return 1", 1),
        ("I ordered 3 and want to return 2 of them", 2),
        ("I have 3 items, only return one please", 1),
        ("not 2 items, 1 item", 1),
    ],
)
def test_of_several_counts_the_one_that_goes(text: str, count: int) -> None:
    assert count == read_count(text)
    assert count == read_count(text, bare=True)


@pytest.mark.parametrize(
    "text",
    [
        "等一下，我还有一个问题",
        "我还有两个想问的",
        "给我一个说法",
        "两个礼拜",
        "等了两个多月",
        "两个半小时",
        "打了三个电话",
        "两个客服都不理我",
        "换了三个地址",
        "我买了三件",
        "I bought two items",
        "一件都没收到",
        "一件都不退",
        "两三件",
        "第十二件",
        "最后一件",
        "另一件",
        "退一件白的，再退两件黑的",
        "only 3 days left",
        "just one question",
        "refund 50 dollars",
        "return the second one",
    ],
)
def test_other_numbers_are_no_count(text: str) -> None:
    assert read_count(text) is None
    assert read_count(text, bare=True) is None


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("十二", 12),
        ("二十", 20),
        ("twelve", 12),
        ("2件吧", 2),
        ("只要一件", 1),
        ("就这一件", 1),
        ("2 please", 2),
        ("a pair", None),
        ("12345", None),
    ],
)
def test_bare_counts(text: str, count: int | None) -> None:
    assert count == read_count(text, bare=True)


@pytest.mark.parametrize(
    ("text", "newest"),
    [
        ("最近买的", True),
        ("上一单", True),
        ("上个订单", True),
        ("最近那单还没收到", True),
        ("my last order hasn't arrived", True),
        ("我要退上个月买的那双鞋", False),
        ("上个星期买的", False),
        ("上个礼拜的那单", False),
        ("上一个客服说可以退", False),
        ("最后一个问题", False),
        ("早上一个订单", False),
        ("最近收到的", False),
        ("最近刚收到的那个", False),
        ("the most recent one I received", False),
    ],
)
def test_the_newest_is_what_was_ordered_last(text: str, newest: bool) -> None:
    assert newest is means_newest(text)


def test_the_newest_order_and_all() -> None:
    assert means_newest("最近那单") and means_newest("my last order") and not means_newest("第一单")
    assert means_all("全部") and means_all("the whole order") and not means_all("第一件")


@given(st.text(max_size=300), st.integers(0, 12))
def test_no_text_leads_outside_the_list(text: str, count: int) -> None:
    titles = [f"item {chr(97 + place)}" for place in range(count)]

    assert all(0 <= place < count for place in read_positions(text, count))
    assert all(0 <= place < count for place in read_choices(text, titles) or ())
