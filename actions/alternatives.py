"""What else can be done with an order: offered only when the policy would let it through.

For a refusal that names another way, for the buttons under an order, and for the choice among several orders.
It knows the policy and the names of wishes; it knows no conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from actions.names import wish_button
from actions.replies import button
from bot.message import Button, Language
from bot.orders.models import Operation, Order, OrderState, RequestLine
from bot.policy import Decision, Policy, Reason
from bot.policy.policy import LINE_OPERATIONS, PENDING

INTENTS: dict[Operation, str] = {
    Operation.CANCEL: "cancel_order",
    Operation.CHANGE_ADDRESS: "modify_address",
    Operation.CHANGE_ITEMS: "modify_order",
    Operation.REFUND: "refund_request",
    Operation.RETURN: "return_request",
    Operation.EXCHANGE: "exchange_request",
    Operation.WITHDRAW_REQUEST: "withdraw_request",
}
# What is looked at when an operation is refused, in the order it is offered.
INSTEAD: dict[Operation, tuple[Operation, ...]] = {
    Operation.CANCEL: (Operation.WITHDRAW_REQUEST, Operation.RETURN),
    Operation.CHANGE_ITEMS: (Operation.EXCHANGE,),
    Operation.REFUND: (Operation.CANCEL, Operation.RETURN, Operation.WITHDRAW_REQUEST),
    Operation.RETURN: (Operation.CANCEL, Operation.WITHDRAW_REQUEST),
    Operation.EXCHANGE: (
        Operation.CHANGE_ITEMS,
        Operation.CANCEL,
        Operation.RETURN,
        Operation.WITHDRAW_REQUEST,
    ),
}
# A fault opens what a change of mind does not, so an order is looked at with both.
REASONS = (None, Reason.QUALITY_FAULT)
TRACK = {"zh": "查物流", "en": "Track it"}


def passes(decision: Decision) -> bool:
    """Allowed, or allowed once a fact is known that would be asked for."""
    return decision.allowed or bool(decision.asks)


def instead_of(
    policy: Policy,
    operation: Operation,
    order: Order,
    *,
    lines: Sequence[RequestLine] = (),
    reason: Reason | None,
    at: datetime,
    language: Language,
) -> list[Button]:
    """Buttons of other ways, after `operation` was refused for these items and this reason."""
    found = []
    for other in INSTEAD.get(operation, ()):
        asked = lines if other in LINE_OPERATIONS and operation in LINE_OPERATIONS else ()
        if other is Operation.WITHDRAW_REQUEST and not any(one.status in PENDING for one in order.requests):
            continue
        if passes(policy.decide(other, order, lines=asked, reason=reason, at=at)):
            found.append(wish_button(INTENTS[other], language))
    if order.state is OrderState.SHIPPED and operation is not Operation.SEND_INVOICE:
        found.append(button(TRACK[language], "delivery"))
    return found


def fitness(policy: Policy, operation: Operation, order: Order, at: datetime) -> int | None:
    """How well an order suits an operation: 0 it can be done, 1 a person may do it, None it is refused.

    An order of several items suits when one of them does.
    """
    per_line = operation in LINE_OPERATIONS
    choices: list[tuple[RequestLine, ...]] = [()]
    if per_line:
        choices = [
            (RequestLine(line_id=line.id, quantity=line.quantity_open),)
            for line in order.lines
            if line.quantity_open
        ]
    best: int | None = None
    for lines in choices:
        for reason in REASONS if per_line else (None,):
            decision = policy.decide(operation, order, lines=lines, reason=reason, at=at)
            if passes(decision):
                return 0
            if decision.outcome == "person":
                best = 1
    return best
