"""A refusal can be asked about, and offers only what would not be refused as well."""

from __future__ import annotations

import pytest

from bot.orders.shop.samples import sample


async def refused(talk, name, intent, text, reason=None):
    order = sample(name)
    await talk.say(f"{text} {order.number} {order.phone_tail}", intent)
    if reason:
        await talk.press(reason)
    return talk


@pytest.mark.parametrize(
    ("question", "intent"),
    [
        ("为什么不能退", "return_request"),
        ("为什么", "context_only"),
        ("凭什么不给退？", "complaint"),
        ("是哪条规定？", "policy_question"),
    ],
)
async def test_why_not_is_answered_with_the_clause_and_nothing_begins_anew(world, shopper, question, intent):
    talk = await refused(shopper(), "return_day8", "return_request", "我要退货", "不想要了")
    assert "7 天" in talk.text
    await talk.say(question, intent)

    assert "售后规则" in talk.text and "7 天" in talk.text and "质量问题" in talk.text
    assert talk.loop is None and "人工客服" in talk.buttons
    assert "原因呢" not in talk.text


async def test_why_not_in_english(world, shopper):
    talk = await refused(shopper(), "cancel_shipped", "cancel_order", "cancel order")
    await talk.say("why can't I cancel it?", "cancel_order")

    assert "policy" in talk.text and "shipped" in talk.text and talk.loop is None
    assert "Track it" in talk.buttons


async def test_a_fault_after_a_refusal_is_judged_anew(world, shopper):
    talk = await refused(shopper(), "return_day8", "return_request", "我要退货", "不想要了")
    await talk.say("那质量问题呢", "product_question", entities={"reason": "quality_fault"})
    assert "照片" in talk.text
    await talk.press("没有照片")

    assert ["确认", "取消"] == talk.buttons


async def test_why_about_something_else_is_not_taken_for_the_refusal(world, shopper):
    talk = await refused(shopper(), "return_day8", "return_request", "我要退货", "不想要了")
    await talk.say("为什么不能开发票", "invoice")

    assert "售后规则" not in talk.text and "invoice_form" == talk.loop


async def test_why_without_a_refusal_is_not_explained_by_one(world, shopper):
    talk = await shopper().say("为什么不能退", "policy_question")

    assert "[article]" == talk.text


async def test_a_long_forgotten_refusal_is_not_what_why_asks_for(world, shopper):
    talk = await refused(shopper(), "return_day8", "return_request", "我要退货", "不想要了")
    await talk.say("谢谢", "thanks")
    await talk.say("为什么", "context_only")

    assert "售后规则" not in talk.text


@pytest.mark.parametrize(
    ("name", "intent", "reason", "offered"),
    [
        ("refund_download", "refund_request", "不想要了", []),
        ("exchange_late", "exchange_request", None, []),
        ("return_day8", "refund_request", "不想要了", []),
        ("return_day8", "refund_request", "质量问题", ["退货"]),
        ("exchange_size", "refund_request", "不想要了", ["退货"]),
        ("exchange_size", "cancel_order", None, ["退货"]),
        ("return_under_way", "cancel_order", None, ["撤销售后申请"]),
        ("return_under_way", "return_request", None, ["撤销售后申请"]),
        ("refund_under_way", "return_request", None, []),
        ("refund_unpaid", "refund_request", "不想要了", ["取消订单"]),
        ("cancel_paid", "return_request", "不想要了", ["取消订单"]),
        ("items_paid", "exchange_request", None, ["修改商品规格", "取消订单"]),
        ("cancel_shipped", "cancel_order", None, ["查物流"]),
    ],
)
async def test_a_refusal_offers_only_what_the_policy_allows(world, shopper, name, intent, reason, offered):
    talk = await refused(shopper(), name, intent, "这个订单", reason)

    assert "没办法办理" in talk.text
    assert [*offered, "人工客服"] == talk.buttons


async def test_the_buttons_under_an_order_are_those_the_policy_leaves_open(world, shopper):
    fresh, late = shopper(), shopper(conversation="c2")
    for talk, name in ((fresh, "return_day3"), (late, "exchange_late")):
        order = sample(name)
        await talk.say(f"查订单 {order.number} {order.phone_tail}", "order_status")

    assert ["退货", "换货"] == fresh.buttons and [] == late.buttons
