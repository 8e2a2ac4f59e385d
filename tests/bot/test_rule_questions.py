"""Which messages ask for a rule before they wish for anything."""

from __future__ import annotations

import pytest

from bot.rule_questions import asks_rule


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("拆封了还能退吗", "return_request"),
        ("吊牌剪掉了可以退货么", "return_request"),
        ("退货要自己寄回去吗", "return_request"),
        ("買錯尺碼能換嗎", "exchange_request"),
        ("付款之后还能取消订单吗", "cancel_order"),
        ("发票可以开公司名字的吗", "invoice"),
        ("我想知道内衣能不能退", "return_request"),
        ("退款一般几天到账", "refund_status"),
        ("can I send it back without the original box", "return_request"),
        ("Hi, can underwear be returned?", "return_request"),
        ("is there a restocking fee", "return_request"),
        ("can I change the address once it's on its way", "modify_address"),
        ("how long after delivery can I claim the price difference", "price_protection"),
    ],
)
def test_a_case_in_a_question_asks_for_its_rule(text: str, intent: str) -> None:
    assert asks_rule(text, intent)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("我要退货", "return_request"),
        ("可以退货吗", "return_request"),
        ("能给我退款吗？", "refund_request"),
        ("怎么申请退货", "return_request"),
        ("拆封了，我要退货", "return_request"),
        ("帮我把杯子退了可以吗", "return_request"),
        ("地址填错了帮我改一下", "modify_address"),
        ("can I return this?", "return_request"),
        ("how do I get a refund", "refund_request"),
        ("I'd like to return my kettle, ok?", "return_request"),
        ("can you cancel the order I placed yesterday", "cancel_order"),
        ("", "return_request"),
        ("？？？", "return_request"),
        ("快递什么时候能到上海", "delivery"),  # no rule says where a parcel is
        ("where is my parcel right now", "order_status"),
        ("拆封了还能用吗", "product_question"),  # the articles' already
    ],
)
def test_a_wish_is_carried_out_without_a_lecture(text: str, intent: str) -> None:
    assert not asks_rule(text, intent)
