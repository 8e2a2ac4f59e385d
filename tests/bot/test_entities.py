"""Hard cases and properties of what a message names."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.entities import READ, read_entities

TODAY = date(2026, 11, 22)  # a Sunday


def found(text, kind):
    return [one.value for one in read_entities(text, TODAY) if one.kind == kind]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("我的订单号是81234567890123456", "81234567890123456"),
        ("订单８１２３ ４５６７ ８９０１ ２３４５６ 到哪了", "81234567890123456"),
        ("#10482 where is it", "10482"),
        ("order SO-20261103-7 please", "SO-20261103-7"),
        ("my order number is 8812 3456 7890 1234", "8812345678901234"),
        ("帮我查88123456", "88123456"),
        ("订单号：ＳＯ－８８１２３４", "SO-881234"),
        ("81234567890123456呢", "81234567890123456"),
        ("8123\u200b4567890123456", "81234567890123456"),
    ],
)
def test_order_numbers_come_in_many_shapes(text, number):
    """Plain, with #, spaces, full-width digits, letters, invisible characters, inside a sentence."""
    assert found(text, "order_number") == [number]


@pytest.mark.parametrize(
    "text", ["13800138000", "退50元", "2026-11-03", "123", "第3件", "我在12楼3单元", "li12345678@example.com"]
)
def test_other_numbers_are_no_order_numbers(text):
    """A phone, money, a day, a bare short number, an ordinal, a floor, an e-mail address."""
    assert found(text, "order_number") == []


@pytest.mark.parametrize(
    ("text", "phone"),
    [
        ("手机13800138000", "+8613800138000"),
        ("电话 138-0013-8000", "+8613800138000"),
        ("call me at 415-555-2671", "+14155552671"),
        ("+44 7911 123456", "+447911123456"),
        ("尾号8000", "8000"),
        ("phone ends in 8888", "8888"),
    ],
)
def test_phones_in_both_worlds(text, phone):
    assert found(text, "phone") == [phone]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("li@Example.com", "email", "li@example.com"),
        ("SF1234567890123 到哪了", "tracking_number", "SF1234567890123"),
        ("运单号 772012345678", "tracking_number", "772012345678"),
        ("退两件", "quantity", 2),
        ("要2件", "quantity", 2),
        ("return two items", "quantity", 2),
        ("十二件", "quantity", 12),
        ("第二件", "item_ref", 2),
        ("the second one", "item_ref", 2),
        ("the last one", "item_ref", -1),
        ("全部退", "item_ref", "all"),
        ("¥35.5退了吗", "money", {"amount": 3550, "currency": "CNY"}),
        ("一百二十块", "money", {"amount": 12000, "currency": "CNY"}),
        ("$1,299.00", "money", {"amount": 129900, "currency": "USD"}),
        ("my zip is 94105", "postcode", "94105"),
        ("改到上海市浦东新区世纪大道100号3栋502", "address", "上海市浦东新区世纪大道100号3栋502"),
        ("ship it to 12 Park Road, London SW1A 1AA", "address", "12 Park Road, London SW1A 1AA"),
        ("收到就坏了", "reason", "damaged"),
        ("鞋子太小了", "reason", "wrong_size"),
        ("not what i ordered", "reason", "wrong_item"),
        ("买错了", "reason", "changed_mind"),
        ("it never arrived", "reason", "not_received"),
    ],
)
def test_hard_cases(text, kind, value):
    """One thing, one value, in both languages."""
    assert found(text, kind) == [value]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("上周五买的", "2026-11-13"),
        ("last Friday", "2026-11-20"),
        ("前天", "2026-11-20"),
        ("双十一买的", "2026-11-11"),
        ("11月3号", "2026-11-03"),
        ("Nov 3rd", "2026-11-03"),
        ("12月30日下的单", "2026-12-30"),
        ("三天前", "2026-11-19"),
        ("three days ago", "2026-11-19"),
        ("圣诞买的", "2026-12-25"),
        ("国庆买的", "2026-10-01"),
    ],
)
def test_days_are_counted_from_today(text, day):
    """Relative days, weekdays, feasts, dates without a year."""
    assert found(text, "date") == [day]


@pytest.mark.parametrize(
    "text", ["没坏", "质量没有问题", "给我一个说法", "15天内可以退吗", "我有两个问题", "等了两个礼拜", ""]
)
def test_nothing_is_read_into_words(text):
    """A denial is no reason, a manner of speaking no quantity, a period no date."""
    assert [one for one in read_entities(text, TODAY) if one.kind in ("reason", "quantity", "date")] == []


@given(st.text(max_size=200))
def test_findings_stand_where_they_say(text):
    """For any text, each finding's span cuts out exactly what it says it read."""
    for one in read_entities(text, TODAY):
        assert text[one.start : one.end] == one.text
        assert one.text


@given(
    st.integers(min_value=10**16, max_value=10**17 - 1),
    st.sampled_from(["{}", "订单{}", "order {}", "我的单号是{}，谢谢"]),
)
def test_seventeen_digits_are_read_whole(number, frame):
    """The demo shop's numbers survive any sentence."""
    assert found(frame.format(number), "order_number") == [str(number)]


def test_a_very_long_text_is_read_at_its_beginning():
    """Only the first characters are looked at, so that a pasted document costs no time."""
    entities = read_entities("订单88123456，" + "很长的话 9 " * 20_000, TODAY)

    assert entities[0].value == "88123456"
    assert all(one.end <= READ for one in entities)


@pytest.mark.parametrize("text", ["取消订单86182527979571055 7315", "cancel #86182527979571055 7315"])
def test_four_digits_behind_a_whole_number_are_not_part_of_it(text):
    """They are the phone's; a number in short groups is still one."""
    numbers = [one.value for one in read_entities(text, date(2026, 11, 22)) if one.kind == "order_number"]
    grouped = read_entities("订单 8618 2527 9795 71055", date(2026, 11, 22))

    assert ["86182527979571055"] == numbers
    assert ["86182527979571055"] == [one.value for one in grouped if one.kind == "order_number"]
