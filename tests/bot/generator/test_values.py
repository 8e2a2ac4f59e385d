"""Values are read whatever script and width they are written in, and unlike values stay unlike."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.generator.correctness import holds_gold
from bot.generator.values import chinese_number, find_values, normalise, number


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
        ("a week", "7 days"),
        ("within a year", "12 months"),
        ("half an hour", "30 minutes"),
        ("a year and a half", "18 months"),
        ("one hundred and twenty days", "120 days"),
        ("two thousand five hundred dollars", "$2500"),
        ("三个半小时", "3.5 hours"),
        ("上限2千元", "2000元"),
        ("1.5万元", "15000 yuan"),
        ("两件", "2件"),
        ("十倍", "10倍"),
        ("满三百减三十", "满300减30"),
        ("次日", "tomorrow"),
        ("周一至周五", "Monday to Friday"),
        ("周一到五", "Mon-Fri"),
        ("周末", "weekends"),
        ("终身保修", "lifetime warranty"),
        ("周六、日", "Saturday and Sunday"),
        ("12 am", "凌晨12点"),
        ("noon", "12 pm"),
        ("晚上12点", "midnight"),
        ("2千克", "2克"),  # one number: the unit is told apart by `Value.unit`
        ("请到shop.com看", "shop.com"),
        ("见https://shop.com/help，7天", "shop.com/help 7天"),
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
        ("2千元", "2万元"),
        ("当天", "次日"),
        ("12 am", "12 pm"),
        ("周五", "周日"),
        ("weekdays", "weekends"),
        ("1.5kg", "2.5kg"),
    ],
)
def test_unlike_values_stay_unlike(one: str, other: str) -> None:
    assert not identities(one) & identities(other)


@pytest.mark.parametrize(
    "text",
    [
        "万一有问题一个也可以",
        "一起买",
        "第一次来",
        "千万别拆",
        "1. 先断电",
        "每日营业",
        "十分抱歉",
        "零件齐全",
        "几十个",
        "国家三包",
        "每周一次",
        "Sun protection",
        "once a day",
    ],
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
        # a number is not met by one that begins or ends like it, nor by the same of something else
        ("运费12.5元", ["5元"], False),
        ("within 1.5 hours", ["5 hours"], False),
        ("it costs $49.99", ["$49"], False),
        ("¥10,000", ["¥10"], False),
        ("12 pieces", ["12 kg"], False),
        ("最多3次", ["3件"], False),
        ("IPX75", ["IPX7"], False),
        # however it is written
        ("it costs $49.90", ["49.9"], True),
        ("押金180.00元", ["180"], True),
        ("重12公斤", ["12kg"], True),
        # words, not parts of them, and not what is denied
        ("it is unavailable", ["available"], False),
        ("nothing comes with it", ["no"], False),
        ("不可以退", ["可以"], False),
        ("除非可以退", ["可以"], True),
        ("with boxes", ["with box"], True),
        # over several cells of a table, between which a quotation has the columns' names
        ("UF-1，级: L1，换: 6个月", ["UF-1 | L1 | 6个月"], True),
        ("UF-1，级: L2，换: 36个月", ["UF-1 | L1 | 6个月"], False),
        ("T3 Mini，换: 6个月", ["T3 Mini | - | 6个月"], True),
        ("T3 Mini", ["- | -"], False),
    ],
)
def test_when_an_answer_is_right(answer: str, gold: list[str], right: bool) -> None:
    assert right is holds_gold(answer, gold)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("2公斤", "kg"),
        ("2 kg", "kg"),
        ("2斤", "jin"),
        ("1.5米", "m"),
        ("1.5m", "m"),
        ("1.5厘米", "cm"),
        ("2 feet", "ft"),
        ("20度", "°c"),
        ("20 °C", "°c"),
        ("2 nice things", ""),
        ("5元/公斤", "kg"),
        ("$5 per item", "piece"),
    ],
)
def test_units_of_plain_numbers(text: str, unit: str) -> None:
    assert [unit] == [v.unit for v in find_values(text)]


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("7天内", "max"),
        ("within the first 7 days", "max"),
        ("不超过7天", "max"),
        ("不得超过7天", "max"),
        ("no more than 7 days", "max"),
        ("must not exceed 7 days", "max"),
        ("不满99元", "max"),
        ("18:00前", "max"),
        ("before 18:00", "max"),
        ("超过7天", "min"),
        ("满99元", "min"),
        ("99元以上", "min"),
        ("99元起", "min"),
        ("不少于7天", "min"),
        ("at least 7 days", "min"),
        ("$99 or more", "min"),
        ("no less than 7 days", "min"),
        ("11月11日后", "min"),
        ("内存8条", ""),
        ("7天无理由", ""),
        ("7 days", ""),
    ],
)
def test_which_way_a_limit_goes(text: str, bound: str) -> None:
    assert [bound] == [v.bound for v in find_values(text)]


@pytest.mark.parametrize(
    "text", ["3-5天", "3 to 5 working days", "10-20元", "$10-$20", "$10-20", "3天到5天", "3-5件"]
)
def test_the_lower_end_of_a_range_is_marked(text: str) -> None:
    low, high = find_values(text)

    assert low.low and not high.low


def test_the_ends_of_a_range_know_each_other() -> None:
    low, high = find_values("营业时间9:00-18:00")

    assert ("18:00", "09:00") == (low.other_end, high.other_end)


@pytest.mark.parametrize("text", ["-20度", "零下20度", "可在-20度使用", "at -20 degrees", "minus 20 degrees"])
def test_below_zero(text: str) -> None:
    assert [True] == [v.negative for v in find_values(text)]


@pytest.mark.parametrize("text", ["10度-20度", "3-5个", "第20次", "A-20"])
def test_a_dash_is_not_always_a_minus(text: str) -> None:
    assert not any(v.negative for v in find_values(text))


@pytest.mark.parametrize(
    "text",
    [
        "保修" + "1" * 310 + "年",
        "9" * 1000,
        "一" * 1000 + "天",
        "¥" + "1" * 400,
        "1" * 310 + "%",
        "1" * 310 + "点",
        "一十百千" * 250 + "元",
    ],
)
def test_a_run_of_digits_that_nobody_means_is_no_value(text: str) -> None:
    assert [] == find_values(text)


@settings(deadline=None)
@given(st.text("0123456789一二三十百千 -至to.,年天元%", max_size=2000))
def test_whatever_is_typed_is_read_in_order_and_in_place(text: str) -> None:
    _assert_in_place(text)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "1" * 40,
                "一" * 30,
                " " * 50,
                "\n" * 9,
                "3天",
                "至",
                "to",
                "-",
                "a week",
                "周一",
                "¥",
                "2千",
                "½",
                "x.com",
                "第",
                "not",
            ]
        ),
        max_size=60,
    )
)
def test_whatever_is_pasted_is_read_in_order_and_in_place(parts: list[str]) -> None:
    _assert_in_place("".join(parts))


def _assert_in_place(text: str) -> None:
    folded, at = normalise(text), 0
    for value in find_values(text):
        assert at <= value.start < value.end <= len(folded)
        assert value.text.split() == folded[value.start : value.end].split()
        at = value.end


def test_long_gaps_change_no_value_and_no_place() -> None:
    text = "退货期限" + " " * 900 + "7天，\n\n\n\n\n\n换货" + "\u3000" * 40 + "15 天"

    assert [("minutes", "10080"), ("minutes", "21600")] == [v.identity for v in find_values(text)]
    _assert_in_place(text)
