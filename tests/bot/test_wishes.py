"""Several wishes of one message, told apart by a model that is replaced here by a table of words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.wishes import read_wishes

WORDS = [
    ("invoice", "发票|invoice"),
    ("exchange_request", "换|exchange"),
    ("order_status", "到哪|where"),
    ("return_request", "退货|退掉|return"),
    ("refund_request", "退款|钱退|refund"),
    ("cancel_order", "取消|cancel"),
    ("modify_address", "地址|address"),
    ("policy_question", "几天|how long"),
]


def rank(text: str) -> list[tuple[str, float]]:
    found = [name for name, words in WORDS if re.search(words, text, re.I)]
    return [(found[0], 0.95) if found else ("context_only", 0.6), ("inform", 0.02)]


def intents(text: str) -> list[str]:
    return [wish.intent for wish in read_wishes(text, [], rank)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("退掉82825068409731750第二件,另外发票开了吗？", ["return_request", "invoice"]),
        ("cancel 87470852120242022 and where is 87246846121432061?", ["cancel_order", "order_status"]),
        ("我想换个大一码，顺便改下地址", ["exchange_request", "modify_address"]),
        ("Return the jacket, and exchange the shoes for size 42", ["return_request", "exchange_request"]),
        ("第一件退货，第二件换成L码", ["return_request", "exchange_request"]),
        ("取消81146420526351696，再取消88301040345062376", ["cancel_order", "cancel_order"]),
        ("我要退货。七天是哪几天？", ["return_request", "policy_question"]),
    ],
)
def test_wishes_are_told_apart_in_the_order_they_are_said(text, wanted):
    assert wanted == intents(text)


@pytest.mark.parametrize(
    "text",
    [
        "订单取消，钱退给我",
        "I want to cancel my order and get a refund",
        "我不想换货了，想退货",
        "我要退货，不行就换货",
        "return it, or exchange it if you can't",
        "我昨天申请了换货，现在想退货",
        "我要退货，鞋子太小了",
        "I returned the shoes already, now I need the refund",
    ],
)
def test_the_same_said_twice_a_condition_a_denial_and_the_past_are_no_second_wish(text):
    assert len(intents(text)) <= 1


def test_a_remark_on_where_the_parcel_is_not_is_a_reason_and_no_wish():
    assert ["refund_request"] == intents("my parcel went nowhere, refund me")


def test_each_wish_keeps_its_own_stretch_of_the_text():
    text = "退掉81146420526351696第二件，太大了，另外开发票，发到a@b.cn"
    first, second = read_wishes(text, [(text.index("a@"), len(text))], rank)

    assert ("退掉81146420526351696第二件，太大了，", "另外开发票，发到a@b.cn") == (first.text, second.text)
    assert (second.added, first.added) == (True, False)


def test_what_is_one_thing_is_not_cut():
    text = "please return it to 5 Mill Lane, Bath, and refund me"
    (wish,) = read_wishes(text, [(text.index("5"), text.index("Bath") + 4)], rank)

    assert "return_request" == wish.intent


@given(st.text(max_size=300))
def test_any_text_has_parts_that_follow_each_other(text):
    wishes = read_wishes(text, [], rank)

    assert all(0 <= wish.start < wish.end <= len(text) for wish in wishes)
    assert [wish.start for wish in wishes] == sorted(wish.start for wish in wishes)


def test_a_long_story_has_no_list_of_wishes():
    assert [] == intents("我要退货。" * 300)
