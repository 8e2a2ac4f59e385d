"""Several wishes in one message: none is lost, and they are carried out in the order they were said."""

from __future__ import annotations

from bot.orders.shop.samples import sample


async def test_a_cancellation_and_a_question_for_another_order(world, shopper):
    first, second = sample("cancel_paid_en"), sample("exchange_late")  # both of C1006
    talk = shopper("cancel_paid_en")
    text = f"cancel {first.number} and where is {second.number}?"
    await talk.say(
        text,
        "cancel_order",
        wishes=[
            ("cancel_order", f"cancel {first.number}"),
            ("order_status", f"and where is {second.number}?"),
        ],
    )
    assert "first cancel an order, then check an order" in talk.said[0].text
    assert first.number in talk.text and second.number not in talk.text
    await talk.press("Confirm")

    [receipt] = await world.receipts()
    assert ("cancel", first.number) == (receipt["operation"], receipt["order"])
    assert second.number in talk.said[-1].text and talk.loop is None


async def test_the_second_wish_takes_the_order_of_the_first(world, shopper):
    order = sample("return_day3")
    talk = shopper()
    text = f"退掉{order.number}第二件，尾号{order.phone_tail}，另外开个人发票，发到a@example.com"
    await talk.say(
        text,
        "return_request",
        wishes=[("return_request", "退掉"), ("invoice", "另外开个人发票，发到a@example.com")],
    )
    assert "先退货，再开发票" in talk.text
    await talk.press("不想要了")
    await talk.press("确认")
    assert "开发票" in talk.text and "a@example.com" in talk.text, "the invoice's plan follows the receipt"
    await talk.press("确认")

    assert ["return", "send_invoice"] == [one["operation"] for one in await world.receipts()]
    [request] = (await world.order("return_day3"))["requests"]
    assert ["L2"] == [line["line_id"] for line in request["lines"]]


async def test_the_same_wish_for_two_orders(world, shopper):
    first, second = sample("refund_paid"), sample("cancel_unpaid")  # both of C1001
    talk = shopper("refund_paid")
    text = f"取消{first.number}，再取消{second.number}"
    await talk.say(
        text,
        "cancel_order",
        wishes=[("cancel_order", f"取消{first.number}"), ("cancel_order", f"再取消{second.number}")],
    )
    await talk.press("确认")
    assert second.number in talk.said[-1].text
    await talk.press("确认")

    assert [first.number, second.number] == [one["order"] for one in await world.receipts()]


async def test_a_wish_behind_an_answer_waits_for_its_turn(world, shopper):
    order = sample("return_day7")
    talk = shopper("return_day7")
    await talk.say(f"我要退货 {order.number}", "return_request")
    await talk.say(
        "不想要了，另外查一下物流",
        "delivery",
        entities={"reason": "changed_mind"},
        wishes=[("delivery", "另外查一下物流")],
    )
    assert "先退货，再查物流" in talk.text and ["确认", "取消"] == talk.buttons[-2:]
    await talk.press("确认")

    assert 1 == len(await world.receipts())
    assert "已签收" in talk.said[-1].text


async def test_a_yes_with_a_further_wish_is_no_plain_yes(world, shopper):
    order = sample("cancel_paid")
    talk = shopper("cancel_paid")
    await talk.say(f"取消 {order.number}", "cancel_order")
    await talk.say("确认，另外开个发票", "invoice", wishes=[("invoice", "另外开个发票")])
    assert [] == await world.receipts(), "the plan is shown again"
    assert "先取消订单，再开发票" in talk.text
    await talk.say("确认", "affirm")

    [receipt] = await world.receipts()
    assert "cancel" == receipt["operation"]


async def test_who_stops_is_offered_what_was_not_begun(world, shopper):
    order = sample("cancel_paid")
    talk = shopper("cancel_paid")
    await talk.say(
        f"取消{order.number}，另外开发票",
        "cancel_order",
        wishes=[("cancel_order", "取消"), ("invoice", "另外开发票")],
    )
    await talk.say("没事了", "stop")

    assert ["开发票"] == talk.buttons and talk.loop is None
    assert [] == await world.receipts()


async def test_a_refusal_goes_on_with_the_second_wish(world, shopper):
    order = sample("cancel_shipped")
    talk = shopper("cancel_shipped")
    await talk.say(
        f"取消{order.number}，顺便查下物流",
        "cancel_order",
        wishes=[("cancel_order", "取消"), ("delivery", "顺便查下物流")],
    )

    assert "没办法办理" in talk.text and "运输" in talk.said[-1].text and talk.loop is None


async def test_a_person_is_told_of_the_second_wish(world, shopper):
    order = sample("cancel_packed")
    talk = shopper("cancel_packed")
    await talk.say(
        f"取消{order.number}，另外发票开了吗",
        "cancel_order",
        wishes=[("cancel_order", "取消"), ("invoice", "另外发票开了吗")],
    )

    assert ["另外发票开了吗"] == talk.handoff["packet"]["also"] and talk.loop is None


async def test_a_write_put_aside_is_offered_again(world, shopper):
    order = sample("return_day7")
    talk = shopper("return_day7")
    await talk.say(f"我要退货 {order.number}", "return_request")
    await talk.say("先帮我开个人发票，发到a@example.com", "invoice")
    await talk.press("确认")
    assert "退货" in talk.said[-1].text and "退货" in talk.buttons
    await talk.press("退货")

    assert order.number not in talk.text and "原因" in talk.text, "the order is still known"


async def test_a_write_given_up_is_not_offered_again(world, shopper):
    order = sample("return_day7")
    talk = shopper("return_day7")
    await talk.say(f"我要退货 {order.number}", "return_request")
    await talk.say("不退了，帮我开个人发票吧，发到a@example.com", "invoice")
    await talk.press("确认")

    assert "退货" not in talk.buttons


async def test_a_question_beside_a_wish_is_answered_first(world, shopper):
    order = sample("return_day7")
    talk = shopper("return_day7")
    await talk.say(
        f"我要退货{order.number}，七天怎么算？",
        "return_request",
        wishes=[("return_request", "我要退货"), ("policy_question", "七天怎么算？")],
    )

    assert "[article]" == talk.said[0].text


async def test_never_mind_is_no_reason(world, shopper):
    order = sample("return_day7")
    talk = shopper("return_day7")
    await talk.say(f"I want to return {order.number}", "return_request")
    await talk.say("never mind", "stop")

    assert talk.loop is None and [] == talk.buttons
