"""Where is it: proof first, then the order; choices, references, lock-out."""

from __future__ import annotations

import pytest

from bot.orders.shop.samples import SAMPLES, sample


async def test_a_parcel_is_found_with_number_and_phone_tail(world, shopper):
    order = sample("status_shipped")
    talk = await shopper().say("我的快递到哪了", "delivery")
    await talk.say(f"#{order.number}")
    assert order.number not in talk.text
    await talk.say(f"尾号 {order.phone_tail}")

    assert order.number in talk.text and "运输中" in talk.text
    assert talk.said[-1].kefu["card"]["kind"] == "order"
    assert talk.loop is None and order.number == talk.slots["order_number"]


async def test_a_customer_of_the_channel_is_asked_nothing_when_there_is_one_order_meant(world, shopper):
    talk = await shopper(of="status_shipped").say("最近的订单到哪了", "order_status")

    assert talk.loop is None and "订单 8" in talk.text


async def test_several_orders_make_a_short_choice_that_also_works_typed(world, shopper):
    talk = await shopper(of="status_shipped").say("Where is my order?", "order_status")
    assert "Which order" in talk.text and 2 <= len(talk.buttons) <= 5
    second = talk.said[-1].buttons[1]["payload"]
    await talk.say("the second one", "inform")

    assert talk.loop is None and talk.slots["order_number"] in second


async def test_the_proof_may_come_before_the_number(world, shopper):
    order = sample("status_paid")
    talk = await shopper().say(f"查订单，手机尾号{order.phone_tail}", "order_status")
    await talk.say(order.number)

    assert order.number in talk.text and talk.loop is None


async def test_somebody_elses_number_and_a_number_that_does_not_exist_sound_the_same(world, shopper):
    real, wrong = sample("status_shipped"), "81234567890123456"
    answers = []
    for conversation, number in (("a", real.number), ("b", wrong)):
        talk = await shopper(conversation=conversation).say(f"查订单 {number}", "order_status")
        first = talk.text
        await talk.say("0000")
        answers.append((first, talk.text))

    assert answers[0] == answers[1] and "没有对上" in answers[0][1]


async def test_an_order_of_somebody_else_needs_its_own_proof_even_for_a_known_customer(world, shopper):
    other = sample("status_out_for_delivery")
    talk = await shopper(of="status_shipped").say(f"查一下 {other.number}", "order_status")
    assert "后四位" in talk.text
    await talk.say(other.email)

    assert other.number in talk.text


async def test_wrong_proofs_end_with_a_person(world, shopper):
    order = sample("status_shipped")
    talk = await shopper().say(f"查订单 {order.number}", "order_status")
    for tail in ("0001", "0002", "0003", "0004", "0005"):
        if talk.handoff is None:
            await talk.say(tail)

    assert "locked_out" == talk.handoff["reason"] and talk.loop is None
    assert order.number not in talk.text


async def test_a_shop_that_is_away_is_said_honestly_and_a_person_goes_on(world, shopper):
    await world.fault("get_order", "error_5xx", times=10)
    order = sample("status_shipped")
    talk = await shopper().say(f"查订单 {order.number} 尾号{order.phone_tail}", "order_status")

    assert "tool_failure" == talk.handoff["reason"]


async def test_another_order_can_be_asked_for_with_a_button(world, shopper):
    talk = await shopper(of="status_shipped").say("最近的订单", "order_status")
    await talk.press("其他订单")

    assert "哪一个订单" in talk.text


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_every_well_known_order_can_be_shown_without_claiming_anything(world, shopper, language):
    """The dialogue of the tests refuses what the gateway would: a claim without a receipt."""
    for order in SAMPLES:
        words = "查订单" if language == "zh" else "check order"
        talk = shopper(conversation=f"{language} {order.name}")
        await talk.say(f"{words} {order.number} {order.phone_tail}", "order_status")
        assert order.number in talk.text, order.name
        await talk.say("售后进度怎么样" if language == "zh" else "how is my request", "refund_status")
        assert order.number in talk.text, order.name


async def test_a_parcel_said_to_have_arrived_and_not_received_is_not_just_shown_again(world, shopper):
    order = sample("return_day7")
    talk = await shopper(of="return_day7").say(f"显示签收了但我没收到 {order.number}", "delivery")

    assert "驿站" in talk.text and "人工客服" in talk.buttons
    await talk.say(f"it says delivered but i didn't get it {order.number}", "delivery")
    assert "neighbours" in talk.text and "Talk to a person" in talk.buttons


async def test_a_stuck_parcel_offers_a_person(world, shopper):
    order = sample("status_stuck")
    talk = await shopper(of="status_stuck").say(f"{order.number} 到哪了", "delivery")

    assert "人工客服" in talk.buttons and "驿站" not in talk.text
