"""What the policy answers: allowed, refused with a clause, or a matter for a person.

This module knows no rule; `bot.policy.policy` makes these.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bot.orders.models import Money, Operation

Outcome = Literal["allowed", "refused", "person"]
Freight = Literal["shop", "buyer"]
Ask = Literal["opened", "prices"]

RANK: dict[Outcome, int] = {"refused": 0, "person": 1, "allowed": 2}


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Destination(Part):
    """Where a part of the money goes back to: always a payment of this order."""

    payment_id: str
    method: str  # wechat_pay, alipay, card, paypal, gift_card
    hint: str = ""  # e.g. "**** 4242", safe to show
    amount: Money


class LineDecision(Part):
    """The decision on one order line; the decision on the whole is the strictest of these."""

    line_id: str
    quantity: int
    outcome: Outcome
    clause: str
    explanation: dict[str, str]  # by language, zh and en
    freight: Freight | None = None
    amount: Money | None = None  # for this line, before the order's own ceiling
    until: datetime | None = None  # end of the window that was open
    asks: tuple[Ask, ...] = ()


class Decision(Part):
    """One answer to "may this be done to this order now?".

    `amount` is what goes back to the shopper (for an exchange with known prices it may be negative: what
    the shopper adds). `due_at` is the deadline told to the shopper: by when the money has been sent or the
    parcel must be handed in. `asks` names facts that were not given and would settle the matter.
    """

    operation: Operation
    outcome: Outcome
    clause: str
    policy_version: str
    explanation: dict[str, str]  # by language, zh and en
    freight: Freight | None = None
    amount: Money | None = None
    destination: tuple[Destination, ...] = ()
    due_at: datetime | None = None
    working_days: int | None = (
        None  # within which money is sent, once the shop has the goods where it needs them
    )
    until: datetime | None = None  # last moment at which this would still be allowed
    lines: tuple[LineDecision, ...] = ()
    asks: tuple[Ask, ...] = ()

    @property
    def allowed(self) -> bool:
        return self.outcome == "allowed"
