"""Another option before the order is packed."""

from __future__ import annotations

from bot.orders.shop.samples import sample


async def test_another_option_of_an_unsent_order(world, shopper):
    order = sample("items_paid")
    talk = await shopper().say(f"改一下颜色 {order.number} {order.phone_tail}", "modify_order")
    assert "都有货" in talk.text
    await talk.press(next(title for title in talk.buttons if "+" not in title))
    assert "→" in talk.text
    await talk.press("确认")

    [receipt] = await world.receipts()
    assert "change_items" == receipt["operation"] and [receipt["id"]] == talk.receipts


async def test_a_delivered_order_is_exchanged_instead(world, shopper):
    order = sample("exchange_size")
    talk = await shopper().say(f"change the size {order.number} {order.phone_tail}", "modify_order")

    assert "isn't possible" in talk.text and "Exchange an item" in talk.buttons


async def test_of_two_items_the_first_is_changed_and_then_the_second(world, shopper):
    [bought] = (await world.order("items_paid"))["lines"]
    await world.change(
        "items_paid", lines=[bought, {**bought, "id": "L9", "title": {"zh": "另一件", "en": "Another"}}]
    )
    order = sample("items_paid")
    talk = await shopper().say(f"两件都改一下颜色 {order.number} {order.phone_tail}", "modify_order")
    assert 1 == talk.text.count("一件一件") and "都有货" in talk.text
    await talk.press(next(title for title in talk.buttons if "+" not in title))
    await talk.press("确认")

    assert 1 == len(talk.receipts) and "一件一件" not in talk.text and "另一件" in talk.text
