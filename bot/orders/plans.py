"""A plan is exactly what the shopper says yes to; executing it writes once and returns the shop's receipt.

The yes is bound to `Plan.hash`: change an item, the amount, the address or let the order's version move, and it is
a different plan. The key of the write comes from conversation and hash, so a second yes finds the first receipt.
This module knows no policy and no dialogue; what a plan says comes from a `Decision` and the caller's body.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.exceptions import ConsentError, ReceiptMismatch, StaleOrder
from bot.orders.models import Grant, Money, Operation, Order, Receipt, RequestLine

LIFE = timedelta(minutes=15)


class PlanDestination(BaseModel):
    """A payment the money goes back to, and how much of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    payment_id: str
    method: str
    hint: str = ""
    amount: Money


class DecisionLike(Protocol):
    """What a plan needs of `bot.policy.Decision`; orders do not import the policy."""

    @property
    def operation(self) -> Operation: ...
    @property
    def outcome(self) -> str: ...
    @property
    def clause(self) -> str: ...
    @property
    def policy_version(self) -> str: ...
    @property
    def freight(self) -> Literal["shop", "buyer"] | None: ...
    @property
    def amount(self) -> Money | None: ...
    @property
    def destination(self) -> Sequence[Any]: ...
    @property
    def due_at(self) -> datetime | None: ...
    @property
    def working_days(self) -> int | None: ...


class Client(Protocol):
    """What executing a plan needs of `bot.orders.client.OrderClient`."""

    async def get_order(self, number: str, grant: Grant) -> Order: ...

    async def write(
        self,
        operation: Operation,
        order_number: str,
        body: dict[str, Any],
        *,
        key: str,
        version: int,
        grant: Grant,
    ) -> Receipt: ...

    async def receipt(self, key: str) -> Receipt | None: ...


class Plan(BaseModel):
    """What will be done, to what, for how much, where the money goes and until when.

    `body` is sent to the order API as it stands. `amount` is what goes back to the shopper; negative in an
    exchange for something dearer. A plan travels through slots as JSON: `model_dump(mode="json")` and
    `model_validate` give the same hash.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    operation: Operation
    order_number: str
    order_version: int
    lines: tuple[RequestLine, ...] = ()
    amount: Money | None = None
    destination: tuple[PlanDestination, ...] = ()
    freight: Literal["shop", "buyer"] | None = None
    due_at: datetime | None = None
    working_days: int | None = None
    body: dict[str, Any] = Field(default_factory=dict)
    clause: str
    policy_version: str
    conversation: str
    created_at: datetime
    expires_at: datetime

    @property
    def hash(self) -> str:
        """SHA-256 over the canonical JSON of all the shopper consents to.

        When the plan was made and when it expires are not part of it: the same plan shown twice is one consent and
        one write.
        """
        consented = self.model_dump(mode="json", exclude={"created_at", "expires_at"})
        canonical = json.dumps(consented, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def expired(self, now: datetime) -> bool:
        return now >= self.expires_at


def make_plan(
    operation: Operation,
    order: Order,
    decision: DecisionLike,
    *,
    conversation: str,
    body: Mapping[str, Any],
    lines: Sequence[RequestLine] = (),
    now: datetime,
    by_person: bool = False,
) -> Plan:
    """Put on the table what the policy allowed. It can be consented to for 15 minutes.

    `by_person`: somebody at the desk may also plan what the policy leaves to a person; never what it refuses.
    """
    allowed = ("allowed", "person") if by_person else ("allowed",)
    assert decision.outcome in allowed, f"the policy did not allow {operation.value}, so there is no plan"
    assert decision.operation is operation, "the decision is about another operation"
    assert now.tzinfo is not None, "make_plan() needs a time with a time zone"
    return Plan(
        operation=operation,
        order_number=order.number,
        order_version=order.version,
        lines=tuple(lines),
        amount=decision.amount,
        destination=tuple(
            PlanDestination(
                payment_id=part.payment_id, method=part.method, hint=part.hint, amount=part.amount
            )
            for part in decision.destination
        ),
        freight=decision.freight,
        due_at=decision.due_at,
        working_days=decision.working_days,
        body=dict(body),
        clause=decision.clause,
        policy_version=decision.policy_version,
        conversation=conversation,
        created_at=now,
        expires_at=now + LIFE,
    )


def idempotency_key(plan: Plan) -> str:
    """The key under which this plan is written: one per conversation and plan, whatever happens on the way."""
    material = f"{len(plan.conversation)}:{plan.conversation}:{plan.hash}"
    return "kefu-" + hashlib.sha256(material.encode()).hexdigest()


async def execute(plan: Plan, consent_hash: str, *, client: Client, grant: Grant, now: datetime) -> Receipt:
    """Do what was consented to, once, and return the shop's receipt.

    A plan that was already executed returns its receipt again, also after it has expired.

    Raises:
        ConsentError: the yes was to another plan, or came too late.
        StaleOrder: the order changed since the plan was made; make a new plan.
        ReceiptMismatch: the shop's receipt is not for what was consented to.
        OrderError: what `OrderClient.write` raises.
    """
    if consent_hash != plan.hash:
        raise ConsentError("The yes is bound to another plan; show this one and ask again")
    key = idempotency_key(plan)
    earlier = await client.receipt(key)
    if earlier is not None:
        return _checked(earlier, plan, key)
    if plan.expired(now):
        raise ConsentError("The plan expired before the yes; make a new one and ask again")
    try:
        order = await client.get_order(plan.order_number, grant)
        if order.version != plan.order_version:
            raise StaleOrder("The order changed since the plan was made; make a new plan")
        receipt = await client.write(
            plan.operation, plan.order_number, plan.body, key=key, version=plan.order_version, grant=grant
        )
    except StaleOrder:
        # Two yeses at once: the other one may have written between our look and our write.
        written = await client.receipt(key)
        if written is None:
            raise
        receipt = written
    return _checked(receipt, plan, key)


def _checked(receipt: Receipt, plan: Plan, key: str) -> Receipt:
    """A receipt counts only when it says what the plan says."""
    for name, found, wanted in (
        ("key", receipt.key, key),
        ("operation", receipt.operation, plan.operation),
        ("order", receipt.order, plan.order_number),
        ("amount", _worth(settled_amount(receipt)), _worth(plan.amount)),
    ):
        if found != wanted:
            raise ReceiptMismatch(
                f"Receipt {receipt.id} differs from its plan in {name}; a person has to look at the order"
            )
    return receipt


def settled_amount(receipt: Receipt) -> Money | None:
    """What goes back to the shopper by a receipt; negative when the shopper adds.

    An exchange moves no money when it is written. Its receipt says in ``details.difference`` what the new goods
    cost more.
    """
    difference = receipt.details.get("difference")
    if receipt.operation is not Operation.EXCHANGE or receipt.amount is not None or difference is None:
        return receipt.amount
    try:
        costs = Money.model_validate(difference)
    except ValidationError as exc:
        raise ReceiptMismatch(f"Receipt {receipt.id} has a difference that is no money") from exc
    return Money(amount=-costs.amount, currency=costs.currency)


def _worth(money: Money | None) -> tuple[int, str] | None:
    """No money and none of it are the same."""
    return None if money is None or money.amount == 0 else (money.amount, money.currency)
