"""Which of several: orders that suit come first, and "the other one" is the other one."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.orders.shop.samples import sample


async def test_for_a_return_only_orders_that_can_go_back_are_offered(world, shopper):
    talk = await shopper("return_day3").say("我要退货", "return_request")

    assert "目前可以办理的" in talk.text and "其他订单" == talk.buttons[-1]
    assert all("已签收" in title for title in talk.buttons[:-1])


async def test_another_order_shows_the_rest_and_a_choice_there_is_refused_with_its_clause(world, shopper):
    talk = await shopper("return_day3").say("我要退货", "return_request")
    offered = talk.buttons[:-1]
    await talk.press("其他订单")
    assert not set(offered) & set(talk.buttons)
    await talk.press(next(title for title in talk.buttons if "已付款" in title))
    await talk.press("不想要了")

    assert "没办法办理" in talk.text


async def test_when_no_order_suits_it_is_said(world, shopper):
    talk = shopper("price_no_drop")  # C1007
    state = await world.state()
    for number, order in state["orders"].items():
        if order["customer_id"] == sample("price_no_drop").customer_id:
            await world.session.post(f"{world.url}/_orders/{number}", json={"state": "delivered"})
    await talk.say("取消订单", "cancel_order")

    assert "不符合办理条件" in talk.text and 5 == len(talk.buttons)


async def test_of_two_orders_the_other_one_is_taken(world, shopper):
    talk = await shopper("cancel_paid").say("取消订单", "cancel_order")
    first, *_ = [one for one in talk.buttons if one != "其他订单"]
    await talk.press(first)
    await talk.say("不是这个，另一个", "correct")

    # More than two: the choice comes again without the one that was turned down.
    assert first not in talk.buttons and talk.buttons


async def test_the_other_item_in_english(world, shopper):
    order = sample("return_day3_en")
    talk = shopper("return_day3_en")
    await talk.say(f"I want to return {order.number}", "return_request")
    await talk.say("the first one")
    assert "why" in talk.text
    await talk.say("no, the other one", "context_only")
    assert "Plush bear" in talk.text and "How many" in talk.text
    await talk.say("1")
    await talk.press("Changed my mind")
    await talk.press("Confirm")

    [request] = (await world.order("return_day3_en"))["requests"]
    assert ["L2"] == [line["line_id"] for line in request["lines"]]


async def test_the_other_item_over_the_plan_in_chinese(world, shopper):
    order = sample("return_day3")
    talk = shopper("return_day3")
    await talk.say(f"我要退货 {order.number}", "return_request")
    await talk.say("第二件")
    await talk.press("不想要了")
    old = talk.said[-1].buttons[0]["payload"]
    await talk.say("不是这件，是另一件", "correct")
    await talk.say("1")
    await talk.send(old)
    assert [] == await world.receipts()
    await talk.say("确认", "affirm")

    [request] = (await world.order("return_day3"))["requests"]
    assert ["L1"] == [line["line_id"] for line in request["lines"]]


async def test_the_request_that_can_be_withdrawn_is_the_one_that_is_meant(world, shopper):
    order = await world.order("return_under_way")
    paid = {
        "id": "RQ1",
        "operation": "price_protection",
        "status": "approved",
        "amount": {"amount": 100, "currency": "CNY"},
        "created_at": datetime.now(UTC).isoformat(),
        "lines": [],
    }
    await world.change("return_under_way", requests=[*order["requests"], paid])
    talk = shopper("return_under_way")
    await talk.say(f"撤销申请 {order['number']}", "withdraw_request")
    assert ["确认", "取消"] == talk.buttons
    await talk.press("确认")

    [receipt] = await world.receipts()
    assert order["requests"][0]["id"] == receipt["request_id"]


async def test_money_that_has_been_sent_cannot_be_withdrawn(world, shopper):
    order = sample("refund_under_way")
    talk = shopper("refund_under_way")
    await talk.say(f"撤销退款申请 {order.number}", "withdraw_request")

    assert "不能再修改或撤销" in talk.text and [] == await world.receipts()


async def test_an_item_is_corrected_while_the_reason_is_asked_for(world, shopper):
    order = sample("refund_paid_en")
    talk = shopper("refund_paid_en")
    await talk.say(f"I want a refund {order.number}", "refund_request")
    await talk.say("the first one")
    await talk.say("actually no, the second one", "correct")
    assert "why" in talk.text, "the position is no reason"
    await talk.press("Changed my mind")

    assert "Yoga mat" in talk.text and "shoes" not in talk.text


async def test_opened_and_not_used_is_opened(world, shopper):
    order = sample("return_hygiene")
    talk = shopper("return_hygiene")
    await talk.say(f"我要退货 {order.number}", "return_request")
    await talk.press("不想要了")
    await talk.say("拆了，但是没用过")

    assert "没办法办理" in talk.text


async def test_only_the_phone_of_an_address_changes(world, shopper):
    order = sample("address_paid")
    talk = shopper("address_paid")
    await talk.say(f"订单 {order.number} 收货电话改成13800001111", "modify_address")
    assert "13800001111" in talk.text
    await talk.press("确认")

    after = (await world.order("address_paid"))["address"]
    assert "13800001111" == after["phone"] and order.customer.address.street == after["street"]


async def test_an_order_from_earlier_is_named_before_anything_is_asked_about_it(world, shopper):
    order = sample("return_day7")
    talk = shopper("return_day7")
    await talk.say(f"查订单 {order.number}", "order_status")
    await talk.say("谢谢", "thanks")
    await talk.say("我要退货", "return_request")

    assert order.number in talk.said[0].text and "原因" in talk.said[-1].text


async def test_an_order_from_earlier_that_does_not_suit_makes_room_for_those_that_do(world, shopper):
    order = sample("status_shipped")
    talk = shopper("status_shipped")
    await talk.say(f"查订单 {order.number}", "order_status")
    await talk.say("谢谢", "thanks")
    await talk.say("我要退货", "return_request")

    assert "目前可以办理的" in talk.text


async def test_a_yes_takes_the_only_order_that_is_offered(world, shopper):
    talk = await shopper("exchange_under_way").say("撤销换货申请", "withdraw_request")
    assert 2 == len(talk.buttons)
    await talk.say("好的", "affirm")

    assert sample("exchange_under_way").number in talk.text
