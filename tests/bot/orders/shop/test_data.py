"""The demo data: enough of everything, the same every time, nothing from the future."""

import re
from collections import Counter
from datetime import date, datetime, timedelta

import pytest

from bot.orders.models import Operation, OrderState
from bot.orders.shop.catalogue import CATEGORIES, ITEMS, TAGS
from bot.orders.shop.data import ZONE, generate
from bot.orders.shop.operations import paid, pending
from bot.orders.shop.samples import SAMPLES, order_number, sample
from bot.settings import PROJECT_ROOT

TODAY = date(2026, 11, 22)
SHOP = generate(TODAY)


def test_the_same_day_gives_the_same_data_and_another_day_moves_it():
    again = generate.__wrapped__(TODAY)
    later = generate.__wrapped__(TODAY + timedelta(days=9))

    assert SHOP == again
    assert [order.number for order in SHOP.orders] == [order.number for order in later.orders]
    assert {timedelta(days=9)} == {
        after.created_at - before.created_at for before, after in zip(SHOP.orders, later.orders, strict=True)
    }


def test_there_is_enough_of_everything():
    states = Counter(order.state for order in SHOP.orders)
    requests = {(request.operation, request.status) for order in SHOP.orders for request in order.requests}

    assert len(SHOP.offers) >= 60
    assert 200 == len(SHOP.customers)
    assert 600 == len(SHOP.orders) == len({order.number for order in SHOP.orders})
    assert set(OrderState) == set(states) and min(states.values()) >= 20
    assert {
        (Operation.RETURN, "completed"),
        (Operation.RETURN, "approved"),
        (Operation.REFUND, "completed"),
        (Operation.REFUND, "approved"),
        (Operation.EXCHANGE, "approved"),
    } <= requests
    assert {"CNY", "USD", "EUR"} == {order.total.currency for order in SHOP.orders}
    assert any(len(order.payments) > 1 for order in SHOP.orders)
    assert any(len(order.lines) > 2 for order in SHOP.orders)
    delivered = {
        (TODAY - order.delivered_at.astimezone(ZONE).date()).days
        for order in SHOP.orders
        if order.delivered_at
    }
    assert set(range(1, 41)) == delivered


def test_the_catalogue_speaks_the_policys_words_and_some_prices_fell():
    assert set(CATEGORIES) == {item.category for item in ITEMS}
    assert set(TAGS) == {tag for item in ITEMS for tag in item.tags}
    dropped = [
        offer
        for offer in SHOP.offers
        if any(offer.before[variant.id] > variant.price.amount for variant in offer.product.variants)
    ]
    assert len(dropped) >= 4
    for offer in SHOP.offers:
        assert offer.product.title["zh"] and offer.product.title["en"]
        for variant in offer.product.variants:
            assert all({"zh", "en"} == set(value) for value in variant.options.values())


def test_nothing_has_happened_in_the_future_and_everything_in_order():
    morning = datetime.combine(TODAY, datetime.min.time(), ZONE)
    for order in SHOP.orders:
        moments = [order.created_at, order.paid_at]
        for parcel in order.fulfilments:
            moments += [parcel.shipped_at, *(event.at for event in parcel.events)]
            assert all({"zh", "en"} == set(event.text) for event in parcel.events)
        moments += [order.delivered_at, order.cancelled_at]
        known = [moment for moment in moments if moment is not None]
        assert sorted(known) == known, order.number
        assert known[-1] < morning + timedelta(hours=1)


def test_the_books_of_every_order_balance():
    for order in SHOP.orders:
        goods = sum(line.unit_price.amount * line.quantity for line in order.lines)
        assert order.total.amount == goods + order.shipping.amount
        assert paid(order) in (0, order.total.amount)
        assert order.refunded.amount + pending(order) <= paid(order)
        assert (order.paid_at is not None) == bool(order.payments)
        assert order.refunded.amount == sum(
            payment.refunded.amount for payment in order.payments if payment.refunded
        )


def test_order_numbers_have_one_shape():
    for order in SHOP.orders:
        assert re.fullmatch(r"8[0-9]{16}", order.number)
    assert order_number("a") != order_number("b")


@pytest.mark.parametrize("known", SAMPLES, ids=lambda known: known.name)
def test_a_well_known_order_is_as_it_says(known):
    order = next(order for order in SHOP.orders if order.number == known.number)

    assert (known.customer_id, known.state) == (order.customer_id, order.state)
    assert known.basket == tuple((line.variant_id, line.quantity) for line in order.lines)
    if known.state is OrderState.DELIVERED:
        assert known.days == (TODAY - order.delivered_at.astimezone(ZONE).date()).days
    assert re.fullmatch(r"[0-9]{4}", known.phone_tail)


def test_well_known_numbers_never_change():
    """Demos, transcripts and tests quote them."""
    assert ("81762229598565996", "2046") == (
        sample("status_shipped").number,
        sample("status_shipped").phone_tail,
    )
    assert "88301040345062376" == sample("refund_split").number
    assert len(SAMPLES) == len({known.number for known in SAMPLES}) >= 24


def test_what_cannot_be_had_is_out_of_stock():
    variants = {v.id: v for offer in SHOP.offers for v in offer.product.variants}
    bought = sample("exchange_out_of_stock").basket[0][0]
    siblings = [
        v for v in variants.values() if v.product_id == variants[bought].product_id and v.id != bought
    ]

    assert siblings and all(v.stock == 0 for v in siblings)
    assert all(variants[f"P1002-0{place}"].stock for place in (2, 3, 4))  # exchange_size has a choice


def test_the_documentation_lists_the_well_known_orders():
    text = (PROJECT_ROOT / "docs" / "order-api.md").read_text("utf-8")

    assert [] == [
        known.name
        for known in SAMPLES
        if f"| `{known.name}` | `{known.number}` | {known.customer_id} |" not in text
    ]
