"""Money back: plan, receipt, refusals, the limit above which a person decides, progress, withdrawal."""

from __future__ import annotations

from bot.orders.shop.samples import sample


async def begin(talk, name, intent="refund_request", text="我要退款"):
    order = sample(name)
    return await talk.say(f"{text} {order.number} {order.phone_tail}", intent)


async def test_an_unsent_order_is_refunded_with_a_reason_and_a_yes(world, shopper):
    talk = await begin(shopper(), "refund_paid")
    assert "原因" in talk.text
    await talk.press("不想要了")
    assert "退款金额" in talk.text and [] == await world.receipts()
    await talk.press("确认")

    order = await world.order("refund_paid")
    [receipt] = await world.receipts()
    assert order["refunded"]["amount"] == receipt["amount"]["amount"] > 0
    assert [receipt["id"]] == talk.receipts


async def test_a_split_refund_names_both_destinations(world, shopper):
    talk = await begin(shopper(), "refund_split", "cancel_order", "取消订单")

    assert "礼品卡" in talk.text and "¥300.00" in talk.text


async def test_a_large_refund_goes_to_a_person(world, shopper):
    talk = await begin(shopper(), "refund_large")
    await talk.press("不想要了")

    assert "policy" == talk.handoff["reason"] and "refund" == talk.handoff["goal"]
    assert [] == await world.receipts()


async def test_a_download_is_refused_with_its_clause_explained(world, shopper):
    talk = await begin(shopper(), "refund_download", text="Refund please, order")
    await talk.press("Changed my mind")

    assert "isn't possible" in talk.text and talk.said[-1].kefu["explain"]["clause"]
    assert ["Talk to a person"] == talk.buttons, "a return would be refused as well"
    assert talk.loop is None


async def test_a_reason_in_own_words_is_taken(world, shopper):
    talk = await begin(shopper(), "refund_paid")
    await talk.say("家里人又买了一个一样的", "nlu_fallback", confidence=0.3)

    assert "退款金额" in talk.text


async def test_progress_of_a_request_is_told(world, shopper):
    talk = await begin(shopper(), "refund_under_way", "refund_status", "退款到哪了")

    assert "退款申请" in talk.text and talk.loop is None


async def test_an_order_without_requests_says_so(world, shopper):
    talk = await begin(shopper(), "status_paid", "refund_status", "where is my refund for")

    assert "no after-sales requests" in talk.text


async def test_a_return_under_way_is_withdrawn(world, shopper):
    talk = await begin(shopper(), "return_under_way", "withdraw_request", "撤销退货申请")
    assert "撤销售后申请" in talk.text
    await talk.say("确认", "affirm")

    [receipt] = await world.receipts()
    assert "withdraw_request" == receipt["operation"]
    assert "withdrawn" == (await world.order("return_under_way"))["requests"][-1]["status"]


async def test_a_write_whose_fate_is_unknown_is_never_called_done(world, shopper):
    talk = await begin(shopper(), "refund_paid")
    await talk.press("不想要了")
    await world.fault("refund", "latency_after_commit", times=5, delay=1.5)
    await world.fault("receipt", "error_5xx", times=9)
    await talk.press("确认")

    assert talk.handoff["reason"] in ("outcome_unknown", "tool_failure") and [] == talk.receipts


async def test_the_money_of_a_cancelled_order_is_told_although_there_is_no_request(world, shopper):
    order = sample("cancel_paid")
    talk = await shopper(of="cancel_paid").say(f"取消 {order.number}", "cancel_order")
    await talk.press("确认")
    await talk.say(f"{order.number} 退款到账了吗", "refund_status")

    assert "¥259.00" in talk.text and "没有售后申请" not in talk.text


async def test_an_unpaid_order_can_be_cancelled_instead(world, shopper):
    talk = await shopper(of="refund_unpaid").say(
        f"退款 {sample('refund_unpaid').number} 不想要了",
        "refund_request",
        entities={"reason": "changed_mind"},
    )

    assert "取消订单" in talk.buttons
