"""Refunds: allowed, refused with the clause, or given to a person; the shop's books tell."""

from __future__ import annotations

import pytest

from bot.orders.shop.samples import sample
from tests.e2e.assistant import Shop
from tests.e2e.conftest import NewShopper
from tests.e2e.words import LANGUAGES, NO, NO_PHOTO, REASONS, YES, ask_for, is_plan

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("language", LANGUAGES)]


async def test_an_order_not_sent_yet_is_refunded_once_and_the_receipt_is_shown(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("refund_paid")
    shopper = await new_shopper(language)
    plan = await ask_for(shopper, "refund", order, REASONS["changed_mind"][language])
    assert is_plan(plan)
    await shop.assert_untouched()

    done = await shopper.say(YES[language])

    receipt = await shop.assert_one("refund", order.number)
    assert [receipt["id"]] == done.receipts
    assert "receipt" in done.cards
    paid = (await shop.order(order.number))["total"]
    assert paid == receipt["amount"]


async def test_a_refund_that_is_declined_is_not_made(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    shopper = await new_shopper(language)
    plan = await ask_for(shopper, "refund", sample("refund_paid"), REASONS["changed_mind"][language])
    assert is_plan(plan)
    said = await shopper.say(NO[language])

    assert [] == said.receipts
    await shop.assert_untouched()


async def test_money_goes_back_the_ways_it_came(shop: Shop, new_shopper: NewShopper, language: str) -> None:
    order = sample("refund_split")
    paid = (await shop.order(order.number))["total"]["amount"]
    shopper = await new_shopper(language)
    plan = await ask_for(shopper, "refund", order, REASONS["changed_mind"][language])
    assert {"zh": "礼品卡", "en": "gift card"}[language] in plan.text.casefold()

    await shopper.say(YES[language])

    receipt = await shop.assert_one("refund", order.number, amount=paid)
    assert {30000, paid - 30000} == {part["amount"]["amount"] for part in receipt["details"]["split"]}


async def test_one_of_two_items_is_refunded(shop: Shop, new_shopper: NewShopper, language: str) -> None:
    order = sample("refund_paid_en")
    shopper = await new_shopper(language)
    said = await ask_for(shopper, "refund", order)
    said = await shopper.say({"zh": "第二件", "en": "the second one"}[language])
    if not is_plan(said):
        said = await shopper.say(REASONS["changed_mind"][language])
    assert is_plan(said)

    await shopper.say(YES[language])

    receipt = await shop.assert_one("refund", order.number)
    lines = (await shop.order(order.number))["lines"]
    assert [1, 0] == [line["quantity_open"] for line in lines]
    assert receipt["amount"]["amount"] < (await shop.order(order.number))["total"]["amount"]


@pytest.mark.parametrize("name", ["refund_unpaid", "refund_download", "refund_done"])
async def test_what_cannot_be_refunded_is_refused_with_its_clause(
    shop: Shop, new_shopper: NewShopper, language: str, name: str
) -> None:
    shopper = await new_shopper(language)
    said = await ask_for(shopper, "refund", sample(name))
    if said.buttons and "refused" not in said.text and len(said.buttons) > 2:
        said = await shopper.say(REASONS["changed_mind"][language])

    assert not is_plan(said)
    assert [] == said.receipts
    assert CLAUSES[name][language] in said.text
    await shop.assert_untouched()


CLAUSES = {
    "refund_unpaid": {"zh": "还没有付款", "en": "has not been paid"},
    "refund_download": {"zh": "数字商品", "en": "igital"},
    "refund_done": {"zh": "退", "en": "return"},
}


async def test_a_large_amount_is_for_a_person_and_nothing_is_written(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    shopper = await new_shopper(language)
    said = await ask_for(shopper, "refund", sample("refund_large"), REASONS["changed_mind"][language])

    assert "pending" == said.owner
    assert not is_plan(said)
    await shop.assert_untouched()


async def test_fresh_goods_that_arrive_damaged_are_refunded_without_sending_them_back(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("refund_fresh_damaged")
    shopper = await new_shopper(language)
    said = await ask_for(shopper, "refund", order, REASONS["damaged"][language])
    if not is_plan(said):
        said = await shopper.say(NO_PHOTO[language])
    assert is_plan(said)
    await shopper.say(YES[language])

    await shop.assert_one("refund", order.number)
