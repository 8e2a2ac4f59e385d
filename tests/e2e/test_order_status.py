"""Asking where an order is, to the shop's database and back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.orders.shop.samples import sample
from tests.e2e.assistant import Shop
from tests.e2e.conftest import NewShopper
from tests.e2e.words import LANGUAGES, ask_for, tail

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("language", LANGUAGES)]


async def test_a_guest_proves_the_order_and_sees_it(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("status_shipped")
    said = await ask_for(await new_shopper(language), "order_status", order)

    assert "order" in said.cards
    assert order.number in said.text
    assert {"zh": "蓝牙音箱", "en": "Bluetooth speaker"}[language] in said.text
    await shop.assert_untouched()


async def test_a_number_in_another_shape_is_the_same_order(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("status_paid")
    full_width = order.number.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    wish = {
        "zh": f"你好呀，麻烦看下单号＃{full_width}怎么还没动静",
        "en": f"hi there, what's up with #{order.number[:6]} {order.number[6:]}, has it shipped yet",
    }[language]
    said = await (await new_shopper(language)).say(wish, tail(order, language))

    assert "order" in said.cards
    assert order.number in said.text


async def test_a_signed_in_customer_asks_for_the_last_order_without_any_proof(
    shop: Shop, new_shopper: NewShopper, customers: Iterator[str], language: str
) -> None:
    customer = next(customers)
    orders = [one for one in (await shop.state())["orders"].values() if one["customer_id"] == customer]
    newest = max(orders, key=lambda one: one["created_at"])
    shopper = await new_shopper(language, customer=customer)
    said = await shopper.say({"zh": "我最后一个订单到哪了", "en": "where is my last order"}[language])

    assert newest["number"] in said.text


async def test_of_several_orders_one_is_chosen_by_typing_its_place(
    shop: Shop, new_shopper: NewShopper, customers: Iterator[str], language: str
) -> None:
    shopper = await new_shopper(language, customer=next(customers))
    asked = await shopper.say({"zh": "查一下我的订单", "en": "check my order status"}[language])
    assert len(asked.buttons) >= 2

    said = await shopper.say({"zh": "第二个", "en": "the second one"}[language])

    assert "order" in said.cards
    await shop.assert_untouched()


async def test_of_several_orders_one_is_chosen_by_a_button(
    shop: Shop, new_shopper: NewShopper, customers: Iterator[str], language: str
) -> None:
    shopper = await new_shopper(language, customer=next(customers))
    asked = await shopper.say({"zh": "查一下我的订单", "en": "check my order status"}[language])
    said = await shopper.press(asked.buttons[0])

    assert "order" in said.cards


async def test_a_stuck_parcel_is_told_as_it_is(shop: Shop, new_shopper: NewShopper, language: str) -> None:
    said = await ask_for(await new_shopper(language), "order_status", sample("status_stuck"))

    assert {"zh": "异常", "en": "delayed"}[language] in said.text.casefold()


async def test_how_a_refund_stands(shop: Shop, new_shopper: NewShopper, language: str) -> None:
    order = sample("refund_under_way")
    wish = {
        "zh": f"订单{order.number}退款到账了吗",
        "en": f"what is the status of my refund for order {order.number}",
    }
    said = await (await new_shopper(language)).say(wish[language], tail(order, language))

    assert order.number in said.text
    assert {"zh": "退款", "en": "refund"}[language] in said.text.casefold()
    await shop.assert_untouched()
