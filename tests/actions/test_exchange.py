"""The same product in another option: stock, difference, sold out."""

from __future__ import annotations

import pytest

from bot.orders.shop.samples import sample


async def begin(talk, name, text="我要换货"):
    order = sample(name)
    return await talk.say(f"{text} {order.number} {order.phone_tail}", "exchange_request")


async def test_another_size_is_chosen_from_what_is_in_stock(world, shopper):
    talk = await begin(shopper(), "exchange_size")
    assert "都有货" in talk.text and talk.buttons
    title = talk.buttons[0]
    await talk.say(title)
    assert ["确认", "取消"] == talk.buttons and "→" in talk.text
    await talk.press("确认")

    [request] = (await world.order("exchange_size"))["requests"]
    assert "exchange" == request["operation"] and request["lines"][0]["variant_id"]
    assert 1 == len(talk.receipts)


async def test_a_larger_one_shows_the_difference(world, shopper):
    talk = await begin(shopper(), "exchange_price_difference")
    dearer = next(title for title in talk.buttons if "+¥" in title)
    await talk.press(dearer)

    assert "补差价 ¥" in talk.text


async def test_a_product_without_stock_offers_other_ways(world, shopper):
    talk = await begin(shopper(), "exchange_out_of_stock")

    assert "没有货" in talk.text and {"退货", "人工客服"} <= set(talk.buttons)
    assert talk.loop is None and [] == await world.receipts()


async def test_an_option_that_sells_out_before_the_yes_is_offered_no_more(world, shopper):
    talk = await begin(shopper(), "exchange_size_en", "I want to exchange my shoes, order")
    gone = talk.said[-1].buttons[0]
    variant = gone["payload"].split('"')[3]
    await talk.press(gone["title"])
    await world.stock(variant, 0)
    await talk.say("yes", "affirm")

    assert "sold out" in talk.text and gone["title"] not in talk.buttons
    assert [] == await world.receipts() and "exchange_form" == talk.loop


async def test_too_late_is_refused_before_any_option_is_asked_for(world, shopper):
    talk = await begin(shopper(), "exchange_late")

    assert "没办法办理" in talk.text and "都有货" not in talk.text


async def test_another_option_may_be_wanted_after_all(world, shopper):
    talk = await begin(shopper(), "exchange_size")
    first, second = talk.said[-1].buttons[0], talk.said[-1].buttons[1]
    await talk.press(first["title"])
    await talk.say(f"还是要{second['title']}吧", "correct")

    assert f"→ {second['title'].split('（')[0]}" in talk.text
    await talk.press("确认")
    [request] = (await world.order("exchange_size"))["requests"]
    assert request["lines"][0]["variant_id"] in second["payload"]


async def test_another_size_over_the_plan_asks_which(world, shopper):
    talk = await begin(shopper(), "exchange_size")
    await talk.press(talk.said[-1].buttons[0]["title"])
    await talk.say("等等，我想换另一个尺码", "correct")

    assert "确认" not in talk.buttons and "都有货" in talk.text
    assert [] == await world.receipts()


async def test_a_dearer_option_is_exchanged_and_the_receipt_names_the_difference(world, shopper):
    talk = await begin(shopper(), "exchange_price_difference")
    await talk.press(next(title for title in talk.buttons if "+¥" in title))
    await talk.press("确认")

    assert talk.handoff is None and 1 == len(talk.receipts)
    assert "需补差价 ¥100.00" in talk.text
    [request] = (await world.order("exchange_price_difference"))["requests"]
    assert "exchange" == request["operation"]


async def test_a_no_over_the_plan_is_a_no(world, shopper):
    talk = await begin(shopper(), "exchange_size")
    await talk.say(talk.buttons[0])
    await talk.say("不要了", "deny", entities={"reason": "changed_mind"})

    assert talk.loop is None and [] == await world.receipts()


async def test_what_has_not_been_sent_is_changed_rather_than_exchanged(world, shopper):
    talk = await begin(shopper(), "items_paid")

    assert ["修改商品规格", "取消订单", "人工客服"] == talk.buttons


async def test_of_two_items_the_first_is_exchanged_and_then_the_second(world, shopper):
    talk = await begin(shopper(), "return_day3", "两件商品都换小一码")
    assert 1 == talk.text.count("一件一件") and "→" in talk.text
    first = talk.text
    await talk.press("确认")
    assert 1 == len(talk.receipts) and "一件一件" not in talk.text
    assert ["确认", "取消"] == talk.buttons and "→" in talk.text and talk.text != first
    await talk.press("确认")

    requests = (await world.order("return_day3"))["requests"]
    assert ["exchange", "exchange"] == [one["operation"] for one in requests]
    assert 2 == len({one["lines"][0]["line_id"] for one in requests}) and talk.loop is None


async def test_it_is_said_once_that_items_go_one_by_one(world, shopper):
    talk = await begin(shopper(), "return_day3", "全部都换")
    assert "一件一件" in talk.text and talk.loop == "exchange_form"
    await talk.say("嗯嗯")
    assert "一件一件" not in talk.text
    await talk.press(talk.buttons[0])
    await talk.press("取消")

    assert "一件一件" not in talk.text and talk.loop == "exchange_form", (
        "the second item follows when the first is declined"
    )


async def test_all_by_button_goes_one_by_one(world, shopper):
    talk = await begin(shopper(), "return_day3")
    await talk.press("全部")
    assert "一件一件" in talk.text
    await talk.press(talk.buttons[0])
    await talk.press("确认")

    assert 1 == len(talk.receipts) and talk.loop == "exchange_form"


async def test_the_item_that_is_chosen_instead_is_not_asked_for_twice(world, shopper):
    talk = await begin(shopper(), "return_day3", "全部都换")
    await talk.say("不对，只换第二件", "correct")
    await talk.press(talk.buttons[0])
    await talk.press("确认")

    assert 1 == len(talk.receipts) and talk.loop is None


async def test_the_first_item_is_not_the_first_option(world, shopper):
    talk = await begin(shopper("return_day3"), "return_day3")
    await talk.say("第一件")
    await talk.say("1件")
    assert "确认" not in talk.buttons and 1 < len(talk.buttons), "which option is asked"


async def test_one_more_item_waits_for_its_turn(world, shopper):
    talk = await begin(shopper("return_day3"), "return_day3")
    await talk.say("第一件")
    await talk.say("1件")
    await talk.say("第二件也换小一码")
    assert "一件一件" in talk.text and "确认" not in talk.buttons, "which size of the first is asked still"
    await talk.press(talk.buttons[0])
    await talk.press("确认")
    assert 1 == len(talk.receipts) and talk.loop == "exchange_form"
    await talk.press(talk.buttons[0])
    await talk.press("确认")

    requests = (await world.order("return_day3"))["requests"]
    assert ["L1", "L2"] == [one["lines"][0]["line_id"] for one in requests]


async def test_another_order_takes_the_waiting_items_back(world, shopper):
    talk = await begin(shopper("return_day3"), "return_day3", "全部都换")
    await talk.say(f"不是这个订单，是{sample('exchange_size').number}", "correct")
    await talk.press(talk.buttons[0])
    await talk.press("确认")

    assert 1 == len(talk.receipts) and talk.loop is None


@pytest.mark.parametrize(("answer", "gone_on"), [("没有拆封", True), ("已经拆封", False)])
async def test_hygiene_goods_are_asked_about_before_the_option(world, shopper, answer, gone_on):
    talk = await begin(shopper(), "return_hygiene")
    assert ["没有拆封", "已经拆封"] == talk.buttons and talk.handoff is None
    await talk.press(answer)
    if not gone_on:
        assert "没办法办理" in talk.text and [] == await world.receipts()
        return
    assert "都有货" in talk.text
    await talk.press(talk.buttons[0])
    await talk.press("确认")

    assert 1 == len(talk.receipts) and talk.handoff is None


async def test_faulty_hygiene_goods_are_not_asked_about(world, shopper):
    order = sample("return_hygiene")
    talk = await shopper().say(
        f"泳衣坏了要换货 {order.number} {order.phone_tail}",
        "exchange_request",
        entities={"reason": "quality_fault"},
    )

    assert "拆封" not in talk.text and talk.handoff is None


async def test_opened_is_said_in_words(world, shopper):
    talk = await begin(shopper(), "return_hygiene", "I want to exchange order")
    await talk.say("No, still sealed")

    assert talk.buttons and "opened" not in talk.text
    assert talk.handoff is None and talk.loop == "exchange_form"
