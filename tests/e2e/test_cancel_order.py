"""Cancelling and changing the address, before and after the parcel has left."""

from __future__ import annotations

import pytest

from bot.orders.shop.samples import sample
from tests.e2e.assistant import Shop
from tests.e2e.conftest import NewShopper
from tests.e2e.words import ADDRESS, LANGUAGES, YES, ask_for, is_plan

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("language", LANGUAGES)]


@pytest.mark.parametrize("name", ["cancel_paid", "cancel_unpaid"])
async def test_an_order_that_has_not_left_is_cancelled(
    shop: Shop, new_shopper: NewShopper, language: str, name: str
) -> None:
    order = sample(name)
    shopper = await new_shopper(language)
    said = await ask_for(shopper, "cancel_order", order)
    assert is_plan(said)
    done = await shopper.say(YES[language])

    receipt = await shop.assert_one("cancel", order.number)
    assert [receipt["id"]] == done.receipts
    assert "cancelled" == (await shop.order(order.number))["state"]


async def test_an_order_on_its_way_is_not_cancelled_and_the_clause_is_told(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    said = await ask_for(await new_shopper(language), "cancel_order", sample("cancel_shipped"))

    assert not is_plan(said)
    assert {"zh": "已经发货", "en": "has been shipped"}[language] in said.text
    await shop.assert_untouched()


async def test_a_packed_order_is_for_a_person(shop: Shop, new_shopper: NewShopper, language: str) -> None:
    said = await ask_for(await new_shopper(language), "cancel_order", sample("cancel_packed"))

    assert "pending" == said.owner
    await shop.assert_untouched()


async def test_the_address_of_an_order_that_has_not_left_is_changed(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample({"zh": "address_paid", "en": "address_paid_en"}[language])
    shopper = await new_shopper(language)
    before = (await shop.order(order.number))["address"]
    said = await ask_for(shopper, "modify_address", order, ADDRESS[language])
    assert is_plan(said)
    await shopper.say(YES[language])

    await shop.assert_one("change_address", order.number)
    address = (await shop.order(order.number))["address"]
    assert {"zh": "杭州市", "en": "San Francisco"}[language] == address["city"]
    assert {"zh": "文三路", "en": "500 Howard Street"}[language] in address["street"]
    assert (before["name"], before["phone"]) == (address["name"], address["phone"])


async def test_the_address_of_a_parcel_on_its_way_is_not_changed(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    said = await ask_for(await new_shopper(language), "modify_address", sample("address_shipped"))

    assert not is_plan(said)
    assert {"zh": "已经发货", "en": "has been shipped"}[language] in said.text
    await shop.assert_untouched()
