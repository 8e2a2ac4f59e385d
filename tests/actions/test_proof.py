"""A guest's proof among years and prices: a wrong try counts, so only what looks like a proof is tried."""

from __future__ import annotations

import pytest

from bot.orders.shop.samples import sample
from tests.actions import conftest


@pytest.fixture
def tries(monkeypatch) -> list[str]:
    """What was tried as a proof."""
    tried: list[str] = []
    prove = conftest.IdentityGuard.prove

    async def noted(self, conversation, source, number, kind, value):
        tried.append(value)
        return await prove(self, conversation, source, number, kind, value)

    monkeypatch.setattr(conftest.IdentityGuard, "prove", noted)
    return tried


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("我要退订单{}，2026年9月1日买的", "那双1299元的鞋"),
        ("退货 {}，花了12999元", "2026-09-12 收到"),
        ("I want to return order {}, bought in 2026", "I paid $1299"),
    ],
)
async def test_a_year_and_a_price_are_not_tried(world, shopper, tries, text, more):
    order = sample("return_day3")
    talk = await shopper().say(text.format(order.number), "return_request")
    await talk.say(more)
    assert [] == tries
    await talk.say(order.phone_tail)

    assert [order.phone_tail] == tries


@pytest.mark.parametrize(
    "text",
    [
        "退货 {} {}",
        "退货 {}，花了1299，手机尾号{}",
        "return {} {}",
        "I paid $1299 for {}, phone ends in {}, return it",
    ],
)
async def test_a_proof_beside_the_number_is_tried_at_once(world, shopper, tries, text):
    order = sample("return_day3")
    await shopper().say(text.format(order.number, order.phone_tail), "return_request")

    assert [order.phone_tail] == tries


async def test_the_new_phone_of_a_recipient_is_not_tried(world, shopper, tries):
    order = sample("address_paid")
    talk = await shopper().say(f"订单{order.number}收货电话改成13900001111", "modify_address")
    assert [] == tries
    await talk.say(order.phone_tail)

    assert [order.phone_tail] == tries and "13900001111" in talk.text
