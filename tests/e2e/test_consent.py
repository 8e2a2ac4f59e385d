"""A yes is bound to one plan: said twice, said late, said to another order than was shown."""

from __future__ import annotations

import pytest

from bot.orders.shop.samples import sample
from tests.e2e.assistant import Assistant, Shop, Shopper
from tests.e2e.conftest import NewShopper
from tests.e2e.words import LANGUAGES, REASONS, YES, ask_for, is_plan, tail

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("language", LANGUAGES)]

EXPIRY = 15 * 60 + 5  # seconds


async def refund_plan(shopper: Shopper, name: str = "refund_paid") -> None:
    said = await ask_for(shopper, "refund", sample(name), REASONS["changed_mind"][shopper.language])
    assert is_plan(said)


async def test_two_yeses_at_once_are_one_refund(shop: Shop, new_shopper: NewShopper, language: str) -> None:
    shopper = await new_shopper(language)
    await refund_plan(shopper)
    said = await shopper.say_at_once(YES[language], YES[language])

    receipt = await shop.assert_one("refund", sample("refund_paid").number)
    assert {receipt["id"]} == set(said.receipts)


async def test_a_second_yes_later_is_no_second_cancellation(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("cancel_paid")
    shopper = await new_shopper(language)
    assert is_plan(await ask_for(shopper, "cancel_order", order))
    await shopper.say(YES[language], YES[language])

    await shop.assert_one("cancel", order.number)


async def test_pressing_the_same_button_twice_is_one_refund(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    shopper = await new_shopper(language)
    await refund_plan(shopper)
    button = shopper.client.buttons[0]
    await shopper.client.send_press(button)
    await shopper.client.send_press(button)
    await shopper.client.waiting(4)

    await shop.assert_one("refund", sample("refund_paid").number)


async def test_a_yes_after_the_plan_expired_writes_nothing_and_a_new_plan_is_shown(
    assistant: Assistant, shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("refund_paid")
    shopper = await new_shopper(language)
    await refund_plan(shopper)
    assistant.move_clock(EXPIRY)
    await shop.clock(EXPIRY)
    said = await shopper.say(YES[language])
    await shop.assert_untouched()
    if not is_plan(said):  # the proof is as old as the plan
        said = await shopper.say(tail(order, language))
    assert is_plan(said)
    await shop.assert_untouched()
    await shopper.say(YES[language])

    await shop.assert_one("refund", order.number)


async def test_a_change_of_the_order_voids_the_plan(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("cancel_paid")
    shopper = await new_shopper(language)
    assert is_plan(await ask_for(shopper, "cancel_order", order))
    await shop.change(order.number)  # only its version
    said = await shopper.say(YES[language])
    await shop.assert_untouched()
    assert is_plan(said)
    await shopper.say(YES[language])

    await shop.assert_one("cancel", order.number)


async def test_an_order_that_was_sent_meanwhile_is_not_cancelled(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("cancel_paid")
    shopper = await new_shopper(language)
    assert is_plan(await ask_for(shopper, "cancel_order", order))
    await shop.change(order.number, state="shipped")
    said = await shopper.say(YES[language])

    assert not is_plan(said)
    assert [] == said.receipts
    await shop.assert_untouched()


@pytest.mark.parametrize(
    "unclear",
    [
        {"zh": "好的，可是多久能到账？", "en": "ok but how long does it take?"},
        {"zh": "可以吗", "en": "is that ok?"},
        {"zh": "先不要吧，好的", "en": "yes, no, wait"},
    ],
)
async def test_an_unclear_sentence_is_never_a_yes(
    shop: Shop, new_shopper: NewShopper, language: str, unclear: dict[str, str]
) -> None:
    shopper = await new_shopper(language)
    await refund_plan(shopper)
    said = await shopper.say(unclear[language])

    assert [] == said.receipts
    await shop.assert_untouched()


async def test_the_button_of_an_earlier_plan_does_nothing(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    shopper = await new_shopper(language)
    await refund_plan(shopper)
    old = shopper.client.buttons[0]
    said = await shopper.say(REASONS["quality_fault"][language])  # another reason: another plan
    if not is_plan(said):
        said = await shopper.say({"zh": "没有照片", "en": "no photo"}[language])
    await shopper.client.press(old)
    changes = await shop.changes()
    if changes.writes:  # the same plan shown again keeps its button; another plan must not be executed by it
        assert 1 == len(changes.writes)
        pytest.fail("the button of a plan that was replaced wrote to the shop")
    await shop.assert_untouched()


async def test_a_yes_without_any_plan_does_nothing(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    said = await (await new_shopper(language)).say(YES[language])

    assert [] == said.receipts
    await shop.assert_untouched()
