"""Money, dates, counts and masked data as a reader of either language expects them."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import formats
from bot.orders.models import Address, Money

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("amount", "currency", "zh", "en"),
    [
        (12990, "CNY", "¥129.90", "CN¥129.90"),
        (123456700, "CNY", "¥1,234,567.00", "CN¥1,234,567.00"),
        (0, "CNY", "¥0.00", "CN¥0.00"),
        (1299, "USD", "US$12.99", "$12.99"),
        (1299, "EUR", "€12.99", "€12.99"),
        (1299, "JPY", "JP¥1,299", "¥1,299"),  # the yen has no smaller unit
        (12345, "KWD", "KWD12.345", "KWD12.345"),  # the dinar has a thousand
        (-500, "CNY", "-¥5.00", "-CN¥5.00"),
    ],
)
def test_money_is_written_with_the_digits_of_its_currency(
    amount: int, currency: str, zh: str, en: str
) -> None:
    money = Money(amount=amount, currency=currency)

    assert (zh, en) == (formats.format_money(money, "zh"), formats.format_money(money, "en"))


def test_dates_are_those_of_the_shops_clock() -> None:
    late = datetime(2026, 11, 22, 16, 5, tzinfo=UTC)  # past midnight in Shanghai

    assert "2026年11月23日" == formats.format_date(late, "zh", SHANGHAI)
    assert "November 23, 2026" == formats.format_date(late, "en", SHANGHAI)
    assert "11月23日 00:05" == formats.format_datetime(late, "zh", SHANGHAI)
    assert "Nov 23, 00:05" == formats.format_datetime(late, "en", SHANGHAI)
    assert "2026年11月22日" == formats.format_date(date(2026, 11, 22), "zh")


def test_counts_agree_with_their_nouns() -> None:
    assert ("1 件", "1 item", "1,200 items") == (
        formats.format_count(1, "zh"),
        formats.format_count(1, "en"),
        formats.format_count(1200, "en"),
    )
    assert ("3 个工作日", "1 day") == (
        formats.format_days(3, "zh", working=True),
        formats.format_days(1, "en"),
    )
    assert ("甲、乙和丙", "A and B", "A") == (
        formats.join_words(["甲", "乙", "丙"], "zh"),
        formats.join_words(["A", "B"], "en"),
        formats.join_words(["A"], "en"),
    )


@given(st.from_regex(r"\+?[0-9 -]{8,18}", fullmatch=True))
def test_masked_phone_never_shows_the_tail_that_proves_an_order(phone: str) -> None:
    digits = "".join(char for char in phone if char.isdigit())
    masked = formats.mask_phone(phone)

    assert "****" in masked
    assert len(digits) < 4 or not masked.endswith(digits[-4:])


def test_masking_keeps_what_a_shopper_recognises() -> None:
    assert "138****78" == formats.mask_phone("138 1234 5678")
    assert "138******78" == formats.mask_phone("138******78")
    assert "****" == formats.mask_phone("12345")
    assert "w***@example.com" == formats.mask_email("wang@example.com")
    assert "***" == formats.mask_email("wang")
    assert "王**" == formats.mask_name("王小芳")
    assert "A*** S***" == formats.mask_name("Ann Smith")


def test_masked_address_stops_at_the_district() -> None:
    address = Address(
        name="王芳",
        phone="13812345678",
        country="CN",
        province="上海市",
        city="上海市",
        district="静安区",
        street="南京西路1266号恒隆广场",
        postcode="200040",
    )

    assert "王* 138****78 上海市静安区南京西***" == formats.mask_address(address, "zh")
    for language in ("zh", "en"):
        masked = formats.mask_address(address, language)
        assert "1266" not in masked and "200040" not in masked and "5678" not in masked
