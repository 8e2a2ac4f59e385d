"""Nobody learns anything about an order without proof, and guessing ends with a person."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.orders.shop.samples import sample
from tests.e2e.assistant import Shop, Shopper
from tests.e2e.conftest import NewShopper
from tests.e2e.words import LANGUAGES, ask_for, tail, wish

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("language", LANGUAGES)]


def says_nothing_of(shopper: Shopper, *secrets: str) -> None:
    """Nothing the assistant said holds one of these."""
    said = "\n".join(line for line in shopper.transcript if not line.startswith(">"))
    for secret in secrets:
        assert secret not in said


async def test_six_wrong_phone_tails_end_with_a_person(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample({"zh": "refund_large", "en": "price_drop_en"}[language])
    shopper = await new_shopper(language)
    said = await shopper.say(wish("order_status", order, language))
    for number in range(6):
        assert "order" not in said.cards
        if said.owner != "bot":
            break
        said = await shopper.say(f"{int(order.phone_tail) + 1 + number:04d}"[-4:])

    assert "pending" == shopper.client.owner
    # The right one is of no use any more.
    after = await shopper.say(order.phone_tail)
    assert [] == after.replies
    await shop.assert_untouched()


async def test_a_wrong_proof_and_an_order_that_does_not_exist_get_the_same_answer(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("invoice_delivered")
    real, invented = await new_shopper(language), await new_shopper(language)
    wrong = {"zh": "手机尾号0000", "en": "phone ends in 0000"}[language]
    first = await real.say(wish("order_status", order, language))
    first_invented = await invented.say(
        wish("order_status", order, language).replace(order.number, "81234567890123456")
    )
    assert first.text == first_invented.text
    second = await real.say(wrong)
    second_invented = await invented.say(wrong)

    assert second.text == second_invented.text
    assert second.buttons == second_invented.buttons
    says_nothing_of(real, "P2005", "发票", "已签收", "delivered")


async def test_a_signed_in_customer_does_not_see_somebody_elses_order(
    shop: Shop, new_shopper: NewShopper, customers: Iterator[str], language: str
) -> None:
    order = sample("refund_paid_en")  # of C1002
    shopper = await new_shopper(language, customer=next(customers))
    said = await shopper.say(wish("refund", order, language))

    assert "order" not in said.cards
    assert "plan" not in said.cards
    # A phone of somebody else again opens nothing.
    said = await shopper.say(sample("cancel_paid").phone_tail)
    assert [] == said.cards
    await shop.assert_untouched()


async def test_what_was_proven_in_one_conversation_is_not_known_in_another(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("status_paid")
    first = await new_shopper(language)
    said = await ask_for(first, "order_status", order)
    assert "order" in said.cards
    second = await new_shopper(language)
    said = await second.say(wish("order_status", order, language))

    assert [] == said.cards


async def test_email_and_postcode_prove_as_well(shop: Shop, new_shopper: NewShopper, language: str) -> None:
    order = sample("status_out_for_delivery")
    by_email, by_postcode = await new_shopper(language), await new_shopper(language)
    said = await by_email.say(wish("order_status", order, language), order.email)
    assert "order" in said.cards
    said = await by_postcode.say(
        wish("order_status", order, language),
        {"zh": f"邮编 {order.postcode}", "en": f"postcode {order.postcode}"}[language],
    )

    assert "order" in said.cards


async def test_number_and_proof_in_one_message_are_enough(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("status_paid")
    text = f"{wish('order_status', order, language)} {tail(order, language)}"
    said = await (await new_shopper(language)).say(text)

    assert "order" in said.cards
