"""A plan is done once, only as consented to, and what the policy reckons is what the shop does."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.exceptions import ConsentError, OutcomeUnknown, ReceiptMismatch, StaleOrder
from bot.orders.client import OrderClient
from bot.orders.models import Grant, Money, Operation, Order, OrderState, ProofKind, Receipt, RequestLine
from bot.orders.plans import LIFE, Plan, execute, idempotency_key, make_plan
from bot.orders.shop.samples import SAMPLES
from bot.policy import Policy, Reason
from tests.bot.orders.conftest import Opened, ShopUnderTest

NOW = datetime.now(UTC)
POLICY = Policy.load(timezone=ZoneInfo("Asia/Shanghai"))
PAID = next(one.name for one in SAMPLES if one.state is OrderState.PAID and one.topic == "cancel_order")


def cancel_plan(order: Order, *, conversation: str = "web:1", now: datetime = NOW) -> Plan:
    decision = POLICY.decide(Operation.CANCEL, order, at=now)
    assert decision.amount is not None
    return make_plan(
        Operation.CANCEL,
        order,
        decision,
        conversation=conversation,
        body={"amount": decision.amount.model_dump()},
        now=now,
    )


async def test_yes_to_the_plan_cancels_once_and_a_second_yes_gets_the_same_receipt(
    client: OrderClient, shop: ShopUnderTest, opened: Opened
) -> None:
    order, grant = await opened(PAID)
    plan = cancel_plan(order)

    first = await execute(plan, plan.hash, client=client, grant=grant, now=NOW)
    second = await execute(plan, plan.hash, client=client, grant=grant, now=NOW)
    late = await execute(plan, plan.hash, client=client, grant=grant, now=NOW + timedelta(days=1))

    assert first == second == late
    assert plan.amount == first.amount
    assert 1 == len((await shop.state())["writes"])


async def test_two_yeses_at_once_write_once(client: OrderClient, shop: ShopUnderTest, opened: Opened) -> None:
    order, grant = await opened(PAID)
    plan = cancel_plan(order)

    receipts = await asyncio.gather(
        *(execute(plan, plan.hash, client=client, grant=grant, now=NOW) for _ in range(5))
    )

    assert 1 == len({receipt.id for receipt in receipts})
    assert 1 == len((await shop.state())["writes"])


async def test_yes_to_another_plan_does_nothing(
    client: OrderClient, shop: ShopUnderTest, opened: Opened
) -> None:
    order, grant = await opened(PAID)
    plan = cancel_plan(order)
    other = plan.model_copy(update={"amount": Money(amount=1, currency="CNY")})

    with pytest.raises(ConsentError):
        await execute(plan, other.hash, client=client, grant=grant, now=NOW)
    assert not (await shop.state())["writes"]


async def test_yes_after_fifteen_minutes_does_nothing(
    client: OrderClient, shop: ShopUnderTest, opened: Opened
) -> None:
    order, grant = await opened(PAID)
    plan = cancel_plan(order)

    with pytest.raises(ConsentError, match="expired"):
        await execute(plan, plan.hash, client=client, grant=grant, now=NOW + LIFE)
    assert not (await shop.state())["writes"]


async def test_order_that_changed_between_plan_and_yes_is_left_alone(
    client: OrderClient, shop: ShopUnderTest, opened: Opened
) -> None:
    order, grant = await opened(PAID)
    plan = cancel_plan(order)
    other = cancel_plan(order, conversation="web:2")
    await execute(other, other.hash, client=client, grant=grant, now=NOW)

    with pytest.raises(StaleOrder):
        await execute(plan, plan.hash, client=client, grant=grant, now=NOW)
    assert 1 == len((await shop.state())["writes"])


async def test_answer_lost_after_the_commit_is_found_again(
    client: OrderClient, shop: ShopUnderTest, opened: Opened
) -> None:
    order, grant = await opened(PAID)
    plan = cancel_plan(order)
    await shop.fault("cancel", "cut_after_commit")

    receipt = await execute(plan, plan.hash, client=client, grant=grant, now=NOW)

    assert idempotency_key(plan) == receipt.key
    assert 1 == len((await shop.state())["writes"])


class OddShop:
    """Answers a write with whatever receipt it is told to."""

    def __init__(self, order: Order, receipt: Receipt | None, *, unknown: bool = False) -> None:
        self.order, self.answer, self.unknown = order, receipt, unknown

    async def receipt(self, key: str) -> Receipt | None:
        return None

    async def get_order(self, number: str, grant: Grant) -> Order:
        return self.order

    async def write(self, *_: Any, **__: Any) -> Receipt:
        if self.answer is None:
            raise OutcomeUnknown("no answer")
        return self.answer


@pytest.mark.parametrize(
    "change",
    [
        {"amount": Money(amount=1, currency="CNY")},
        {"amount": None},
        {"operation": Operation.REFUND},
        {"order": "other"},
        {"key": "other-key"},
    ],
)
async def test_receipt_that_says_something_else_is_not_believed(
    opened: Opened, change: dict[str, Any]
) -> None:
    order, grant = await opened(PAID)
    plan = cancel_plan(order)
    receipt = Receipt(
        id="R",
        operation=plan.operation,
        order=plan.order_number,
        key=idempotency_key(plan),
        at=NOW,
        version=2,
        amount=plan.amount,
    )

    good = await execute(plan, plan.hash, client=OddShop(order, receipt), grant=grant, now=NOW)
    assert receipt == good
    with pytest.raises(ReceiptMismatch):
        await execute(
            plan, plan.hash, client=OddShop(order, receipt.model_copy(update=change)), grant=grant, now=NOW
        )


async def test_unknown_outcome_is_never_turned_into_a_success(opened: Opened) -> None:
    order, grant = await opened(PAID)
    plan = cancel_plan(order)

    with pytest.raises(OutcomeUnknown):
        await execute(plan, plan.hash, client=OddShop(order, None), grant=grant, now=NOW)


async def test_refused_decision_makes_no_plan(opened: Opened) -> None:
    name = next(one.name for one in SAMPLES if one.state is OrderState.DELIVERED)
    order, _ = await opened(name)
    decision = POLICY.decide(Operation.CANCEL, order, at=NOW)

    with pytest.raises(AssertionError, match="did not allow"):
        make_plan(Operation.CANCEL, order, decision, conversation="c", body={}, now=NOW)


# -- the hash ----------------------------------------------------------------------------------------

BASE = Plan(
    operation=Operation.RETURN,
    order_number="A1",
    order_version=3,
    lines=(RequestLine(line_id="L1", quantity=1),),
    amount=Money(amount=100, currency="CNY"),
    freight="buyer",
    due_at=datetime(2026, 11, 29, tzinfo=UTC),
    working_days=5,
    body={"lines": [{"line_id": "L1", "quantity": 1}], "reason": "尺码"},
    clause="no_reason",
    policy_version="2026-07",
    conversation="web:1",
    created_at=NOW,
    expires_at=NOW + LIFE,
)


@pytest.mark.parametrize(
    "change",
    [
        {"operation": Operation.EXCHANGE},
        {"order_number": "A2"},
        {"order_version": 4},
        {"lines": (RequestLine(line_id="L1", quantity=2),)},
        {"amount": Money(amount=101, currency="CNY")},
        {"amount": Money(amount=100, currency="USD")},
        {"amount": None},
        {"freight": "shop"},
        {"due_at": datetime(2026, 11, 30, tzinfo=UTC)},
        {"working_days": 6},
        {"body": {"lines": [{"line_id": "L1", "quantity": 2}], "reason": "尺码"}},
        {"clause": "fault"},
        {"policy_version": "2025-01"},
        {"conversation": "web:2"},
    ],
)
def test_any_change_of_what_is_consented_to_is_another_plan(change: dict[str, Any]) -> None:
    other = BASE.model_copy(update=change)

    assert BASE.hash != other.hash
    assert idempotency_key(BASE) != idempotency_key(other)


def test_plan_shown_again_later_is_the_same_consent() -> None:
    again = BASE.model_copy(update={"created_at": NOW + LIFE, "expires_at": NOW + 2 * LIFE})

    assert BASE.hash == again.hash


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )
)
def test_plan_keeps_its_hash_through_a_slot(value: object) -> None:
    plan = BASE.model_copy(update={"body": {"reason": value}})

    assert plan.hash == Plan.model_validate(plan.model_dump(mode="json")).hash
    assert plan.hash == Plan.model_validate_json(plan.model_dump_json()).hash


# -- policy and shop ---------------------------------------------------------------------------------


async def prices_of(client: OrderClient, order: Order) -> dict[str, Money]:
    found: dict[str, Money] = {}
    for product_id in {line.product_id for line in order.lines}:
        product = await client.get_product(product_id)
        found |= {variant.id: variant.price for variant in product.variants}
    return found


async def body_of(
    client: OrderClient, operation: Operation, order: Order
) -> tuple[dict[str, Any], list[RequestLine]]:
    lines = [
        RequestLine(line_id=one.id, quantity=one.quantity_open) for one in order.lines if one.quantity_open
    ]
    if operation is Operation.EXCHANGE:
        wanted = []
        for one in order.lines:
            variants = (await client.get_product(one.product_id)).variants
            other = next(
                (v for v in variants if v.id != one.variant_id and v.stock >= one.quantity_open), None
            )
            if other is not None and one.quantity_open:
                wanted.append(RequestLine(line_id=one.id, quantity=one.quantity_open, variant_id=other.id))
        return {"lines": [one.model_dump() for one in wanted]}, wanted
    if operation in (Operation.REFUND, Operation.RETURN):
        return {"lines": [one.model_dump(exclude={"variant_id"}) for one in lines]}, lines
    return {}, []


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (Operation.CANCEL, None),
        (Operation.REFUND, None),
        (Operation.REFUND, Reason.MISSING_ITEM),
        (Operation.RETURN, None),
        (Operation.RETURN, Reason.QUALITY_FAULT),
        (Operation.EXCHANGE, Reason.WRONG_SIZE),
        (Operation.PRICE_PROTECTION, None),
    ],
)
async def test_what_the_policy_allows_the_shop_does_for_the_same_amount(
    client: OrderClient, operation: Operation, reason: Reason | None
) -> None:
    """Over all well-known orders: `execute` raises when operation, order or amount differ."""
    allowed = 0
    for known in SAMPLES:
        grant = await client.prove(ProofKind.EMAIL, known.email, order_number=known.number)
        order = await client.get_order(known.number, grant)
        if order.total.currency == "CNY":
            prices = await prices_of(client, order)
        else:
            continue  # the products' prices come in the shop's own currency
        body, lines = await body_of(client, operation, order)
        if operation is Operation.EXCHANGE and not lines:
            continue
        decision = POLICY.decide(
            operation,
            order,
            lines=lines,
            reason=reason,
            opened=False,
            at=datetime.now(UTC),
            current_prices=prices,
        )
        if not decision.allowed:
            continue
        if operation is Operation.PRICE_PROTECTION:
            body = {"lines": [{"line_id": one.line_id} for one in decision.lines]}
        if decision.amount is not None and operation is not Operation.EXCHANGE:
            body["amount"] = decision.amount.model_dump()
        plan = make_plan(
            operation, order, decision, conversation="c", body=body, lines=lines, now=datetime.now(UTC)
        )
        receipt = await execute(plan, plan.hash, client=client, grant=grant, now=datetime.now(UTC))

        split = receipt.details.get("split") or []
        told = [(part.method, part.amount.amount) for part in plan.destination]
        if operation is not Operation.EXCHANGE:
            assert told == [(part["method"], part["amount"]["amount"]) for part in split], known.name
        allowed += 1
    assert allowed, "no well-known order allows this, so nothing was tested"
