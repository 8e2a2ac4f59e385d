"""The same product in another option: stock, difference, sold out."""

from __future__ import annotations

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


async def test_a_dearer_option_is_exchanged_and_the_receipt_names_the_difference(world, shopper):
    talk = await begin(shopper(), "exchange_price_difference")
    await talk.press(next(title for title in talk.buttons if "+¥" in title))
    await talk.press("确认")

    assert talk.handoff is None and 1 == len(talk.receipts)
    assert "需补差价 ¥100.00" in talk.text
    [request] = (await world.order("exchange_price_difference"))["requests"]
    assert "exchange" == request["operation"]


async def test_what_has_not_been_sent_is_changed_rather_than_exchanged(world, shopper):
    talk = await begin(shopper(), "items_paid")

    assert ["修改商品规格", "取消订单", "人工客服"] == talk.buttons
