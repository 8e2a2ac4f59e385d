"""Cancelling: from the first sentence to the shop's books."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.orders.shop.samples import sample


async def test_a_paid_order_is_cancelled_after_proof_and_a_yes(world, shopper):
    order = sample("cancel_paid")
    talk = shopper()
    await talk.say("我要取消订单", "cancel_order")
    assert "订单号" in talk.text
    await talk.say(order.number)
    assert "后四位" in talk.text and order.number not in talk.text
    await talk.say(order.phone_tail)
    assert talk.buttons == ["确认", "取消"]
    assert [] == await world.receipts()
    await talk.press("确认")

    assert "cancelled" == (await world.order("cancel_paid"))["state"]
    [receipt] = await world.receipts()
    assert [receipt["id"]] == talk.receipts and receipt["id"] in talk.text
    assert talk.loop is None and talk.slots["tasks"] is None


async def test_everything_in_one_english_message_goes_straight_to_the_plan(world, shopper):
    order = sample("cancel_paid_en")
    talk = await shopper().say(
        f"Please cancel order {order.number}, my e-mail is {order.email}", "cancel_order"
    )
    assert "Shall I go ahead?" in talk.text and ["Confirm", "Cancel"] == talk.buttons
    await talk.say("yes please", "affirm")

    assert "cancelled" == (await world.order("cancel_paid_en"))["state"]


async def test_a_double_yes_cancels_once_and_names_the_receipt_again(world, shopper):
    order = sample("cancel_paid")
    talk = await shopper().say(f"取消订单 {order.number}，尾号 {order.phone_tail}", "cancel_order")
    payload = talk.said[-1].buttons[0]["payload"]
    await talk.send(payload)
    [first] = talk.receipts
    await talk.send(payload)

    assert [first] == talk.receipts and "没有重复办理" in talk.text
    assert 1 == len(await world.receipts())


async def test_a_no_leaves_the_order_alone(world, shopper):
    order = sample("cancel_paid")
    talk = await shopper().say(f"取消订单 {order.number}，尾号 {order.phone_tail}", "cancel_order")
    await talk.say("不用了", "deny")

    assert "paid" == (await world.order("cancel_paid"))["state"]
    assert [] == await world.receipts() and talk.loop is None


@pytest.mark.parametrize("text", ["不要了", "我不要了", "不想要了", "I don't want it", "I changed my mind"])
async def test_whether_the_goods_or_the_plan_is_not_wanted_is_asked(world, shopper, text):
    order = sample("cancel_paid")
    talk = await shopper().say(f"取消订单 {order.number}，尾号 {order.phone_tail}", "cancel_order")
    await talk.say(text, "deny", entities={"reason": "changed_mind"})
    assert "cancel_order_form" == talk.loop and [] == await world.receipts()
    await talk.say("确认", "affirm")

    assert 1 == len(await world.receipts())


@pytest.mark.parametrize("text", ["不要取消", "不用了", "先不要", "no, don't cancel it", "算了"])
async def test_a_no_to_cancelling_is_a_no(world, shopper, text):
    order = sample("cancel_paid")
    talk = await shopper().say(f"取消订单 {order.number}，尾号 {order.phone_tail}", "cancel_order")
    await talk.say(text, "deny", entities={"reason": "changed_mind"} if "不要" in text else {})

    assert talk.loop is None and [] == await world.receipts()


async def test_a_yes_after_fifteen_minutes_gets_a_new_plan(world, shopper):
    order = sample("cancel_paid")
    talk = await shopper().say(f"取消订单 {order.number}，尾号 {order.phone_tail}", "cancel_order")
    world.ahead = timedelta(minutes=16)
    await talk.say("确认", "affirm")
    assert "失效" in talk.text and [] == await world.receipts()
    await talk.say("确认", "affirm")

    assert 1 == len(await world.receipts())


async def test_an_order_that_changed_between_plan_and_yes_is_shown_again(world, shopper):
    order = sample("cancel_paid")
    talk = await shopper().say(f"取消订单 {order.number}，尾号 {order.phone_tail}", "cancel_order")
    await world.change("cancel_paid")
    await talk.say("确认", "affirm")
    assert "变化" in talk.text and [] == await world.receipts()
    await talk.press("确认")

    assert 1 == len(await world.receipts())


async def test_an_unclear_answer_is_no_consent(world, shopper):
    order = sample("cancel_paid")
    talk = await shopper().say(f"取消订单 {order.number}，尾号 {order.phone_tail}", "cancel_order")
    await talk.say("好是好，不过能不能晚点", "affirm")
    assert "确认" in talk.text and [] == await world.receipts()
    await talk.say("嗯……再想想吧", "context_only")

    assert "two_failures" == talk.handoff["reason"]
    assert [] == await world.receipts()


async def test_a_shipped_order_is_refused_with_its_clause(world, shopper):
    order = sample("cancel_shipped")
    talk = await shopper().say(f"取消 {order.number} 尾号{order.phone_tail}", "cancel_order")

    assert "没办法办理" in talk.text and "查物流" in talk.buttons
    assert talk.said[-1].kefu["explain"]["outcome"] == "refused"
    assert "shipped" == (await world.order("cancel_shipped"))["state"]


async def test_a_shop_that_loses_the_answer_after_writing_is_read_back(world, shopper):
    order = sample("cancel_paid")
    talk = await shopper().say(f"取消订单 {order.number}，尾号 {order.phone_tail}", "cancel_order")
    await world.fault("cancel", "cut_after_commit", times=5)
    await talk.press("确认")

    assert 1 == len(await world.receipts()) and 1 == len(talk.receipts)
