"""Values are read whatever script and width they are written in, and unlike values stay unlike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.generator.correctness import holds_gold
from bot.generator.values import chinese_number, find_values, number


def identities(text: str) -> set[tuple[str, str]]:
    return {v.identity for v in find_values(text)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("七天", "７天"),
        ("7 days", "one week"),
        ("48小时", "2天"),
        ("3-5个工作日", "three to five business days"),
        ("¥1,299.00", "1299元"),
        ("20%", "百分之二十"),
        ("八五折", "8.5折"),
        ("两年", "24 months"),
        ("2026年11月22日", "Nov 22, 2026"),
        ("下午6点半", "18:30"),
        ("400-820-8820", "４００ ８２０ ８８２０"),
        ("https://www.shop.com/help。", "shop.com/help"),
        ("可拨打400-820-3377联系我们", "call 400-820-3377"),
        ("单号SF1234567890请查收", "SF1234567890"),
    ],
)
def test_the_same_value_written_differently_is_the_same(one: str, other: str) -> None:
    assert identities(one) == identities(other) != set()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3天", "3个工作日"),
        ("10元", "$10"),
        ("7天", "17天"),
        ("12个月", "12天"),
        ("8折", "8%"),
        ("6点", "6天"),
    ],
)
def test_unlike_values_stay_unlike(one: str, other: str) -> None:
    assert not identities(one) & identities(other)


@pytest.mark.parametrize(
    "text", ["万一有问题一个也可以", "一起买", "第一次来", "千万别拆", "1. 先断电", "每日营业"]
)
def test_words_that_only_look_like_numbers_are_none(text: str) -> None:
    assert set() == identities(text)


@given(st.integers(min_value=0, max_value=99_999))
def test_chinese_numerals_are_read_back(n: int) -> None:
    """What Chinese writes for a number is read as that number."""
    assert n == chinese_number(in_chinese(n))


@given(
    st.integers(min_value=1, max_value=9_999), st.sampled_from(["天", "元", "%", "小时", "个工作日", "个月"])
)
def test_every_number_with_a_unit_is_found(n: int, unit: str) -> None:
    assert [v for v in find_values(f"需要{n}{unit}。") if v.kind != "number"]


def in_chinese(n: int) -> str:
    if n == 0:
        return "零"
    digits, out, zero = "零一二三四五六七八九", "", False
    for unit, size in (("万", 10_000), ("千", 1000), ("百", 100), ("十", 10), ("", 1)):
        d, n = divmod(n, size)
        if d:
            out += ("零" if zero and out else "") + digits[d] + unit
            zero = False
        elif out:
            zero = True
    return out


def test_numbers_in_words() -> None:
    assert 21 == number("twenty-one")
    assert number("hello") is None


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("签收后七天内可退", ["7天"], True),
        ("within one week", ["7 days"], True),
        ("17天内", ["7天"], False),
        ("3-5 个工作日到账", ["3到5个工作日"], True),
        ("满９９元包邮", ["99元"], True),
        ("we ship by SF Express.", ["sf express"], True),
        ("不支持", ["支持货到付款"], False),
        ("anything", [], False),
    ],
)
def test_when_an_answer_is_right(answer: str, gold: list[str], right: bool) -> None:
    assert right is holds_gold(answer, gold)
