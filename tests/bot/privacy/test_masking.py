"""Personal data is found by its form and its check digits; what only looks like it stays."""

from __future__ import annotations

import io
import itertools
import json
import logging
import random

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.log import configure
from bot.privacy import masking
from bot.privacy.masking import (
    find_personal,
    luhn,
    mask_event,
    mask_text,
    mask_value,
    valid_iban,
    valid_id_card,
)
from bot.settings import LogSettings


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("我的手机是138 1234 5678", "我的手机是[phone]"),
        ("电话１３８１２３４５６７８谢谢", "电话[phone]谢谢"),
        ("+86-138-1234-5678", "[phone]"),
        ("call me at (212) 555-0123 or +44 20 7946 0958", "call me at [phone] or [phone]"),
        ("write to anna.smith+shop@example.co.uk, please", "write to [email], please"),
        ("邮箱wang@example.com。", "邮箱[email]。"),
        ("身份证11010519491231002X", "身份证[id_card]"),
        ("卡号6222 0200 0000 0000 000", "卡号[card]"),
        ("card 4111-1111-1111-1111!", "card [card]!"),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN [iban] please"),
        ("ssn 460-89-9847", "ssn [ssn]"),
        ("from 8.8.8.8 again", "from [ip] again"),
        ("退到支付宝账号：abc_12345", "退到支付宝账号：[account]"),
        ("寄到上海市浦东新区世纪大道100号20层2001室，谢谢", "寄到[address]，谢谢"),
        ("我住在朝阳区建国路88号院3号楼1201", "我住在[address]"),
        ("ship to 12 Baker Street, Flat 3, London NW1 6XE", "ship to [address]"),
        ("Hauptstraße 12, 10115 Berlin", "[address]"),
        ("收货人：王小明，尽快", "收货人：[name]，尽快"),
        ("My name is Anna van der Berg.", "My name is [name]."),
    ],
)
def test_what_is_personal_is_replaced_by_its_kind(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "订单号 2025112200017 什么时候到",
        "order 20251122001712 total ￥1,299.00 on 2026-11-22 10:22:33",
        "110105194912310021 has a wrong check digit",
        "4111111111111112 fails Luhn",
        "DE89370400440532013001 is no IBAN",
        "满100减20，3号发货",
        "version 1.2.3 at 127.0.0.1:8080 and 192.168.1.7",
        "2小时内送到上海路3号线地铁站",
        "I moved to 2 items, lane 5",
        "@anna said 5 of 7",
        "Dear Customer, this is your order",
    ],
)
def test_what_only_looks_personal_stays(text: str) -> None:
    assert mask_text(text) == text


def test_known_names_are_masked_wherever_they_stand_but_not_inside_words() -> None:
    assert mask_text("ANNA SMITH and Annabel, 王小明您好", ["Anna Smith", "Anna", "王小明"]) == (
        "[name] and Annabel, [name]您好"
    )


def test_the_result_does_not_depend_on_the_order_of_the_recognisers(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "收货人：王小明，电话13812345678，身份证11010519491231002X，卡4111 1111 1111 1111，12 Baker Street, London NW1 6XE, a@b.cn"
    expected = mask_text(text)
    shuffled = list(masking._RECOGNISERS)
    for seed in range(20):
        random.Random(seed).shuffle(shuffled)
        monkeypatch.setattr(masking, "_RECOGNISERS", tuple(shuffled))
        assert mask_text(text) == expected


@given(st.text(alphabet="0123456789+-() .,:@abXx张市区路号 \nStreet京", max_size=80))
@settings(max_examples=300, deadline=None)
def test_spans_lie_inside_and_apart_and_masking_twice_changes_nothing_more(text: str) -> None:
    found = find_personal(text)
    assert all(0 <= one.start < one.end <= len(text) for one in found)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    for one in found:
        assert text[one.start : one.end] not in mask_text(text) or text.count(text[one.start : one.end]) > 1


@given(st.integers(0, 10**16 - 1))
@settings(deadline=None)
def test_every_number_has_exactly_one_luhn_digit(number: int) -> None:
    assert sum(luhn(f"{number}{digit}") for digit in range(10)) == 1


@given(st.dates(min_value=__import__("datetime").date(1900, 1, 1)), st.integers(0, 999))
def test_every_identity_number_has_exactly_one_check_digit(born: object, order: int) -> None:
    body = f"110105{born:%Y%m%d}{order:03}"
    assert sum(valid_id_card(body + digit) for digit in "0123456789X") == 1


def test_an_identity_number_needs_a_real_day() -> None:
    body = "11010519490231" + "002"
    assert not any(valid_id_card(body + digit) for digit in "0123456789X")
    assert valid_iban("GB29 NWBK 6016 1331 9268 19") and not valid_iban("GB29 NWBK 6016 1331 9268 18")


def test_values_are_masked_at_any_depth_and_keys_stay() -> None:
    value = {"phone": ["13812345678", {"x": ("a@b.cn", 5, None)}]}

    assert mask_value(value) == {"phone": ["[phone]", {"x": ("[email]", 5, None)}]}


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_log_line_holds_personal_data_not_even_a_traceback(form: str) -> None:
    out = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure("test", LogSettings(format=form), mask=mask_event, stream=out)
        structlog.get_logger().info("turn of 13812345678 failed", reason="mail a@b.cn", conversation="c-1")
        try:
            raise ValueError("no address 12 Baker Street, London")
        except ValueError:
            structlog.get_logger().exception("failed")
            logging.getLogger("library").exception("also 4111111111111111")
    finally:
        root.handlers[:], root.level = before
        structlog.reset_defaults()
    text = out.getvalue()

    assert "ValueError" in text and "c-1" in text and "[phone]" in text
    for secret in ("13812345678", "a@b.cn", "Baker", "4111111111111111"):
        assert secret not in text
    if form == "json":
        assert all(json.loads(line) for line in text.splitlines())


def test_a_long_text_does_not_hold_the_program_up() -> None:
    """No recogniser looks further than its own form reaches."""
    import time

    for piece in ("市区路", "1 2 ", "Dr A ", "address is 1 Ab ", "GB12 ABCD "):
        began = time.process_time()
        mask_text(piece * (2000 // len(piece)))
        assert time.process_time() - began < 5  # seconds; minutes would be a runaway pattern
