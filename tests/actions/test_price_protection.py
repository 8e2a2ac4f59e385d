"""The price fell after the purchase."""

from __future__ import annotations

from bot.orders.shop.samples import sample


async def begin(talk, name, text="申请价保"):
    order = sample(name)
    return await talk.say(f"{text} {order.number} {order.phone_tail}", "price_protection")


async def test_the_difference_comes_back_after_a_yes(world, shopper):
    talk = await begin(shopper(), "price_drop")
    assert "退款金额" in talk.text
    await talk.press("确认")

    [receipt] = await world.receipts()
    assert "price_protection" == receipt["operation"] and receipt["amount"]["amount"] > 0
    assert [receipt["id"]] == talk.receipts


async def test_in_the_orders_own_currency(world, shopper):
    talk = await begin(shopper(), "price_drop_en", "price match please, order")
    await talk.press("Confirm")

    [receipt] = await world.receipts()
    assert (await world.order("price_drop_en"))["total"]["currency"] == receipt["amount"]["currency"]


async def test_without_a_drop_there_is_nothing_to_pay_back(world, shopper):
    talk = await begin(shopper(), "price_no_drop")

    assert "没办法办理" in talk.text and talk.said[-1].kefu["explain"]["clause"]
    assert [] == await world.receipts()


async def test_an_excluded_item_that_became_cheaper_too_is_left_out_of_the_plan(world, shopper):
    [bought] = (await world.order("price_drop"))["lines"]
    fresh = {**bought, "id": "L9", "tags": ["perishable"], "title": {"zh": "车厘子", "en": "Cherries"}}
    await world.change("price_drop", lines=[bought, fresh])
    talk = await begin(shopper(), "price_drop")
    assert "退款金额" in talk.text and bought["title"]["zh"] in talk.text and "车厘子" not in talk.text
    await talk.press("确认")

    [receipt] = await world.receipts()
    assert [receipt["id"]] == talk.receipts
