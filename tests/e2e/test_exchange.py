"""Exchanges: the same product in another option, the stock and the difference in price."""

from __future__ import annotations

import pytest

from bot.orders.shop.samples import sample
from tests.e2e.assistant import Said, Shop, Shopper
from tests.e2e.conftest import NewShopper
from tests.e2e.words import LANGUAGES, REASONS, YES, ask_for, is_plan

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("language", LANGUAGES)]


async def to_plan(shopper: Shopper, said: Said) -> Said:
    """Take the first option and give a reason, in whichever order they are asked."""
    for _ in range(3):
        if is_plan(said):
            break
        reasons = {"zh": "尺码", "en": "size"}[shopper.language]
        if any(reasons in title for title in said.buttons) and len(said.buttons) > 5:
            said = await shopper.say(REASONS["wrong_size"][shopper.language])
        else:
            said = await shopper.press(said.buttons[0])
    return said


@pytest.mark.parametrize("name", ["exchange_size", "exchange_size_en"])
async def test_another_size_in_stock(shop: Shop, new_shopper: NewShopper, language: str, name: str) -> None:
    order = sample(name)
    shopper = await new_shopper(language)
    said = await to_plan(shopper, await ask_for(shopper, "exchange", order))
    assert is_plan(said)
    done = await shopper.say(YES[language])

    receipt = await shop.assert_one("exchange", order.number)
    assert [receipt["id"]] == done.receipts
    (request,) = (await shop.order(order.number))["requests"]
    wanted = request["lines"][0]["variant_id"]
    assert wanted != order.basket[0][0]
    assert wanted.rsplit("-", 1)[0] == order.basket[0][0].rsplit("-", 1)[0]


async def test_when_nothing_else_is_in_stock_it_is_said_and_nothing_written(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    said = await ask_for(await new_shopper(language), "exchange", sample("exchange_out_of_stock"))

    assert not is_plan(said)
    assert {"zh": "货", "en": "stock"}[language] in said.text
    await shop.assert_untouched()


async def test_an_option_that_sells_out_between_plan_and_yes_is_not_promised(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("exchange_size")
    shopper = await new_shopper(language)
    said = await to_plan(shopper, await ask_for(shopper, "exchange", order))
    assert is_plan(said)
    product = order.basket[0][0].rsplit("-", 1)[0]
    for variant in (await shop.state())["stock"]:
        if variant.rsplit("-", 1)[0] == product:
            await shop.stock(variant, 0)
    said = await shopper.say(YES[language])

    assert [] == said.receipts
    await shop.assert_untouched()


async def test_a_dearer_option_shows_the_difference_before_the_yes(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("exchange_price_difference")
    shopper = await new_shopper(language)
    said = await to_plan(shopper, await ask_for(shopper, "exchange", order))
    assert is_plan(said)
    assert {"zh": "差价", "en": "difference"}[language] in said.text
    await shopper.say(YES[language])

    await shop.assert_one("exchange", order.number)


async def test_too_late_for_an_exchange(shop: Shop, new_shopper: NewShopper, language: str) -> None:
    shopper = await new_shopper(language)
    said = await ask_for(shopper, "exchange", sample("exchange_late"))

    assert not is_plan(said)
    assert {"zh": "天", "en": "days"}[language] in said.text
    await shop.assert_untouched()
