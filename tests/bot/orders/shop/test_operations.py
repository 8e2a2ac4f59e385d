"""The shop's writes as a machine of states: whatever is asked in whatever order, the books balance."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bot.orders.models import Operation, Order, OrderState
from bot.orders.shop import bodies
from bot.orders.shop.data import generate
from bot.orders.shop.operations import paid, pending, perform
from bot.orders.shop.problems import Problem

DAY = date(2026, 3, 3)
SHOP = generate(DAY)
NOW = datetime(2026, 3, 3, 10, tzinfo=UTC)
LINES = st.sampled_from(["L1", "L1", "L1", "L2", "L3", "L9"])


class Shelf:
    """Stock in a dictionary; like the database it refuses to go below nothing."""

    def __init__(self) -> None:
        self.variants = {v.id: v for offer in SHOP.offers for v in offer.product.variants}

    def variant(self, variant_id):
        return self.variants.get(variant_id)

    def move(self, variant_id, by):
        variant = self.variants[variant_id]
        if variant.stock + by < 0:
            raise Problem("out_of_stock")
        self.variants[variant_id] = variant.model_copy(update={"stock": variant.stock + by})

    def total(self):
        return sum(variant.stock for variant in self.variants.values())


def lines(data):
    ids = data.draw(st.lists(LINES, min_size=1, max_size=3, unique=True))
    return tuple(bodies.LineBody(line_id=one, quantity=data.draw(st.integers(1, 3))) for one in ids)


class Books(RuleBasedStateMachine):
    """One order, every operation in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.shelf = Shelf()
        self.order: Order | None = None
        self.receipts: list = []

    @precondition(lambda self: self.order is None)
    @rule(index=st.integers(0, len(SHOP.orders) - 1))
    def take_an_order(self, index):
        self.order = self.first = SHOP.orders[index]
        self.goods = self.shelf.total() + self._outside()

    def _outside(self):
        """What is bought or set aside and has left the shelf."""
        if self.order.state is OrderState.CANCELLED:
            return 0
        kept = sum(line.quantity for line in self.order.lines)
        if self.order.state in (OrderState.UNPAID, OrderState.PAID, OrderState.PACKED):
            kept = sum(line.quantity_open for line in self.order.lines)
        reserved = sum(
            line.quantity
            for request in self.order.requests
            if request.operation is Operation.EXCHANGE and request.status == "approved"
            for line in request.lines
        )
        return kept + reserved

    def attempt(self, operation, body, request_id=None):
        before, stock = self.order, dict(self.shelf.variants)
        try:
            done = perform(operation, before, body, stock=self.shelf, now=NOW, request_id=request_id)
        except Problem:
            self.shelf.variants = stock  # the transaction is rolled back
            return None
        self.order = done.order
        paid_out = done.order.refunded.amount - before.refunded.amount
        if operation in (
            Operation.CANCEL,
            Operation.REFUND,
            Operation.CHANGE_ITEMS,
            Operation.PRICE_PROTECTION,
        ):
            assert paid_out == (done.amount.amount if done.amount else 0)
            if done.amount:
                split = [part["amount"]["amount"] for part in done.details["split"]]
                assert done.amount.amount == sum(split) and min(split) > 0
        else:
            assert 0 == paid_out
        return done

    @precondition(lambda self: self.order is not None)
    @rule(data=st.data(), destination=st.sampled_from(["original", "gift_card"]))
    def refund(self, data, destination):
        body = bodies.RefundBody(lines=lines(data), reason="damaged", destination=destination)
        done = self.attempt(Operation.REFUND, body)
        if done is not None:
            assert self.order.requests[-1].id == done.request_id

    @precondition(lambda self: self.order is not None)
    @rule(data=st.data())
    def return_goods(self, data):
        self.attempt(Operation.RETURN, bodies.ReturnBody(lines=lines(data)))

    @precondition(lambda self: self.order is not None)
    @rule(data=st.data())
    def exchange(self, data):
        wanted = []
        for line in lines(data):
            place = data.draw(st.integers(1, 5))
            product = next((one.product_id for one in self.order.lines if one.id == line.line_id), "P1001")
            wanted.append(bodies.VariantLineBody(**line.model_dump(), variant_id=f"{product}-{place:02d}"))
        self.attempt(Operation.EXCHANGE, bodies.ExchangeBody(lines=tuple(wanted)))

    @precondition(lambda self: self.order is not None)
    @rule(data=st.data())
    def change_items(self, data):
        line = data.draw(st.sampled_from(self.order.lines))
        wanted = bodies.VariantLineBody(
            line_id=line.id,
            quantity=data.draw(st.integers(1, 3)),
            variant_id=f"{line.product_id}-{data.draw(st.integers(1, 4)):02d}",
        )
        self.attempt(Operation.CHANGE_ITEMS, bodies.ChangeItemsBody(lines=(wanted,)))

    @precondition(lambda self: self.order is not None)
    @rule(data=st.data())
    def protect_the_price(self, data):
        wanted = tuple(bodies.ProtectedLineBody(line_id=line.line_id) for line in lines(data))
        self.attempt(Operation.PRICE_PROTECTION, bodies.PriceProtectionBody(lines=wanted))

    @precondition(lambda self: self.order is not None and self.order.requests)
    @rule(data=st.data())
    def withdraw(self, data):
        request = data.draw(st.sampled_from(self.order.requests))
        self.attempt(Operation.WITHDRAW_REQUEST, bodies.WithdrawRequestBody(), request.id)

    @precondition(lambda self: self.order is not None and self.order.requests)
    @rule(data=st.data())
    def update(self, data):
        request = data.draw(st.sampled_from(self.order.requests))
        self.attempt(Operation.UPDATE_REQUEST, bodies.UpdateRequestBody(lines=lines(data)), request.id)

    @precondition(lambda self: self.order is not None)
    @rule()
    def cancel(self):
        if self.attempt(Operation.CANCEL, bodies.CancelBody()) is not None:
            assert OrderState.CANCELLED is self.order.state
            assert paid(self.order) == self.order.refunded.amount

    @invariant()
    def never_more_goes_back_than_was_paid(self):
        if self.order is not None:
            assert 0 <= self.order.refunded.amount + pending(self.order) <= paid(self.order)

    @invariant()
    def no_payment_gives_back_more_than_it_was(self):
        for payment in self.order.payments if self.order else ():
            assert (payment.refunded.amount if payment.refunded else 0) <= payment.amount.amount

    @invariant()
    def what_is_open_lies_between_nothing_and_everything(self):
        for line in self.order.lines if self.order else ():
            assert 0 <= line.quantity_open <= line.quantity

    @invariant()
    def no_goods_appear_or_vanish(self):
        if self.order is not None:
            assert self.goods == self.shelf.total() + self._outside()

    @invariant()
    def the_order_is_still_one_of_the_contract(self):
        if self.order is not None:
            assert self.order == Order.model_validate_json(self.order.model_dump_json())


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)


def order_in(state, **wanted):
    return next(
        order
        for order in SHOP.orders
        if order.state is state and all(getattr(order, name) == value for name, value in wanted.items())
    )


FORBIDDEN = [
    (Operation.CANCEL, bodies.CancelBody(), (OrderState.SHIPPED, OrderState.DELIVERED, OrderState.CANCELLED)),
    (
        Operation.CHANGE_ADDRESS,
        bodies.ChangeAddressBody(address=bodies.AddressBody(street="别处 1 号")),
        (OrderState.SHIPPED, OrderState.DELIVERED, OrderState.CANCELLED),
    ),
    (
        Operation.CHANGE_ITEMS,
        bodies.ChangeItemsBody(
            lines=(bodies.VariantLineBody(line_id="L1", quantity=1, variant_id="P1001-01"),)
        ),
        (OrderState.PACKED, OrderState.SHIPPED, OrderState.DELIVERED, OrderState.CANCELLED),
    ),
    (
        Operation.REFUND,
        bodies.RefundBody(lines=(bodies.LineBody(line_id="L1", quantity=1),)),
        (OrderState.UNPAID, OrderState.CANCELLED),
    ),
    (
        Operation.RETURN,
        bodies.ReturnBody(lines=(bodies.LineBody(line_id="L1", quantity=1),)),
        (OrderState.UNPAID, OrderState.PAID, OrderState.PACKED, OrderState.SHIPPED, OrderState.CANCELLED),
    ),
    (
        Operation.SEND_INVOICE,
        bodies.InvoiceBody(kind="personal", title="李娜", email="a@example.com"),
        (OrderState.UNPAID, OrderState.CANCELLED),
    ),
]


@pytest.mark.parametrize(
    ("operation", "body", "state"),
    [(operation, body, state) for operation, body, states in FORBIDDEN for state in states],
)
def test_what_a_state_forbids_is_refused(operation, body, state):
    with pytest.raises(Problem) as caught:
        perform(operation, order_in(state), body, stock=Shelf(), now=NOW)

    assert "wrong_state" == caught.value.code


def test_a_refund_goes_to_the_gift_card_first():
    order = next(
        order
        for order in SHOP.orders
        if len(order.payments) == 2
        and order.state is OrderState.DELIVERED
        and not order.requests
        and order.payments[0].amount.amount < order.lines[0].unit_price.amount
    )
    body = bodies.RefundBody(lines=(bodies.LineBody(line_id="L1", quantity=1),))

    done = perform(Operation.REFUND, order, body, stock=Shelf(), now=NOW)

    first, second = done.details["split"]
    assert "gift_card" == first["method"]
    assert order.payments[0].amount.amount == first["amount"]["amount"]
    assert order.lines[0].unit_price.amount == first["amount"]["amount"] + second["amount"]["amount"]
    assert f"gift_card {order.payments[0].hint} + " in done.destination + " + "


def test_shipping_goes_back_only_when_nothing_stays():
    order = next(
        order
        for order in SHOP.orders
        if order.state is OrderState.PAID and order.shipping.amount and order.lines[0].quantity == 1
    )
    everything = tuple(bodies.LineBody(line_id=line.id, quantity=line.quantity) for line in order.lines)

    whole = perform(Operation.REFUND, order, bodies.RefundBody(lines=everything), stock=Shelf(), now=NOW)

    assert order.total == whole.amount
    assert OrderState.CANCELLED is whole.order.state


@pytest.mark.parametrize(("amount", "currency"), [(1, "CNY"), (10**9, "CNY"), (None, "JPY")])
def test_an_amount_that_is_not_the_shops_is_refused(amount, currency):
    order = order_in(OrderState.PAID, shipping=SHOP.orders[0].shipping)
    right = order.lines[0].unit_price.amount
    body = bodies.RefundBody(
        lines=(bodies.LineBody(line_id="L1", quantity=1),),
        amount=bodies.MoneyBody(amount=amount or right, currency=currency),
    )

    with pytest.raises(Problem) as caught:
        perform(Operation.REFUND, order, body, stock=Shelf(), now=NOW)

    assert "amount_mismatch" == caught.value.code


def test_a_masked_phone_sent_back_does_not_become_the_phone():
    order = order_in(OrderState.PAID)
    address = bodies.AddressBody(street="新街 9 号", phone="138******46", postcode="")

    done = perform(
        Operation.CHANGE_ADDRESS,
        order,
        bodies.ChangeAddressBody(address=address),
        stock=Shelf(),
        now=NOW,
    )

    assert ("新街 9 号", order.address.phone) == (done.order.address.street, done.order.address.phone)
    assert order.address.postcode == done.order.address.postcode


def test_a_new_town_drops_the_old_postcode():
    order = order_in(OrderState.PAID)
    body = bodies.ChangeAddressBody(address=bodies.AddressBody(city="拉萨市"))

    done = perform(Operation.CHANGE_ADDRESS, order, body, stock=Shelf(), now=NOW)

    assert "" == done.order.address.postcode
