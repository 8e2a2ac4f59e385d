"""What the notes of the demo shop's well-known orders promise is what its policy decides."""

from __future__ import annotations

from datetime import date, datetime, time

import pytest

from bot.orders.models import Operation, Order, OrderState
from bot.orders.shop.catalogue import price_in
from bot.orders.shop.data import ZONE, generate
from bot.orders.shop.operations import OPEN_STATUS
from bot.orders.shop.samples import SAMPLES, sample
from bot.policy import Policy, Reason

TODAY = date.today()
NOW = datetime.combine(TODAY, time(12), ZONE)
POLICY = Policy.load()
SHOP = generate(TODAY)
ORDERS = {order.number: order for order in SHOP.orders}

FAULT, DAMAGED = Reason.QUALITY_FAULT, Reason.DAMAGED
# name, operation, reason, outcome, clause
NOTES = [
    ("refund_paid", Operation.REFUND, None, "allowed", "refund_before_dispatch"),
    ("refund_paid_en", Operation.REFUND, None, "allowed", "refund_before_dispatch"),
    ("refund_split", Operation.REFUND, None, "allowed", "refund_before_dispatch"),
    ("refund_fresh_damaged", Operation.REFUND, DAMAGED, "allowed", "perishable_fault"),
    ("refund_large", Operation.REFUND, None, "person", "amount_limit"),
    ("refund_download", Operation.REFUND, None, "refused", "download"),
    ("refund_unpaid", Operation.REFUND, None, "refused", "nothing_paid"),
    ("refund_done", Operation.REFUND, None, "refused", "nothing_open"),
    ("return_day3", Operation.RETURN, None, "allowed", "no_reason"),
    ("return_day3_en", Operation.RETURN, None, "allowed", "no_reason"),
    ("return_day7", Operation.RETURN, None, "allowed", "no_reason"),
    ("return_day8", Operation.RETURN, None, "refused", "no_reason_too_late"),
    ("return_day8", Operation.RETURN, FAULT, "allowed", "fault"),
    ("return_day16", Operation.RETURN, FAULT, "person", "warranty"),
    ("return_made_to_order", Operation.RETURN, None, "refused", "made_to_order"),
    ("return_fresh", Operation.RETURN, None, "refused", "perishable"),
    ("return_hygiene", Operation.RETURN, None, "person", "ask_opened"),
    ("return_under_way", Operation.WITHDRAW_REQUEST, None, "allowed", "request_open"),
    ("refund_under_way", Operation.WITHDRAW_REQUEST, None, "refused", "money_on_its_way"),
    ("exchange_size", Operation.EXCHANGE, None, "allowed", "no_reason"),
    ("exchange_late", Operation.EXCHANGE, None, "refused", "no_reason_too_late"),
    ("exchange_under_way", Operation.WITHDRAW_REQUEST, None, "allowed", "request_open"),
    ("cancel_paid", Operation.CANCEL, None, "allowed", "cancel_paid"),
    ("cancel_unpaid", Operation.CANCEL, None, "allowed", "cancel_unpaid"),
    ("cancel_packed", Operation.CANCEL, None, "person", "already_packed"),
    ("cancel_shipped", Operation.CANCEL, None, "refused", "cancel_shipped"),
    ("address_paid", Operation.CHANGE_ADDRESS, None, "allowed", "change_before_packing"),
    ("address_packed", Operation.CHANGE_ADDRESS, None, "person", "already_packed"),
    ("address_shipped", Operation.CHANGE_ADDRESS, None, "refused", "change_too_late"),
    ("invoice_delivered", Operation.SEND_INVOICE, None, "allowed", "invoice"),
    ("invoice_unpaid", Operation.SEND_INVOICE, None, "refused", "invoice_unpaid"),
    ("price_drop", Operation.PRICE_PROTECTION, None, "allowed", "price_protection"),
    ("price_drop_en", Operation.PRICE_PROTECTION, None, "allowed", "price_protection"),
    ("price_no_drop", Operation.PRICE_PROTECTION, None, "refused", "price_not_lower"),
    ("price_drop_late", Operation.PRICE_PROTECTION, None, "refused", "price_protection_too_late"),
    ("items_paid", Operation.CHANGE_ITEMS, None, "allowed", "change_before_packing"),
]  # fmt: skip


def prices(order: Order):
    """Today's price of every variant, in the order's currency."""
    currency = order.total.currency
    return {
        variant.id: variant.price.model_copy(
            update={"amount": price_in(variant.price.amount, currency), "currency": currency}
        )
        for offer in SHOP.offers
        for variant in offer.product.variants
    }


@pytest.mark.parametrize(
    ("name", "operation", "reason", "outcome", "clause"), NOTES, ids=lambda one: str(one)
)
def test_a_well_known_order_shows_what_its_note_says(name, operation, reason, outcome, clause):
    order = ORDERS[sample(name).number]
    decision = POLICY.decide(operation, order, reason=reason, at=NOW, current_prices=prices(order))

    assert (outcome, clause) == (decision.outcome, decision.clause)


def test_a_refund_paid_two_ways_goes_back_two_ways():
    order = ORDERS[sample("refund_split").number]
    decision = POLICY.decide(Operation.REFUND, order, at=NOW)

    assert ["gift_card"] == [part.method for part in decision.destination][:1]
    assert 2 == len(decision.destination)


@pytest.mark.parametrize(
    "order", [one for one in ORDERS.values() if one.requests], ids=lambda one: one.number
)
def test_the_policy_lets_withdraw_exactly_what_the_shop_lets_withdraw(order):
    for request in order.requests:
        decision = POLICY.decide(Operation.WITHDRAW_REQUEST, order, request_id=request.id, at=NOW)
        shop_lets = request.status in OPEN_STATUS and request.operation in (
            Operation.RETURN,
            Operation.EXCHANGE,
        )

        assert shop_lets == decision.allowed


def test_every_state_has_a_well_known_order():
    assert set(OrderState) == {one.state for one in SAMPLES}
