"""What became of a write of the demo shop. Its bank takes a day; its people move requests along by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.orders.models import Operation, Order, Outcome, Receipt

BANK = timedelta(days=1)
_MONEY = (Operation.CANCEL, Operation.REFUND, Operation.CHANGE_ITEMS, Operation.PRICE_PROTECTION)


def outcome_of(receipt: Receipt, order: Order, now: datetime) -> Outcome:
    """How what `receipt` confirms stands at `now`, by the order as it is."""
    request = next((one for one in order.requests if one.id == receipt.request_id), None)
    if request is not None and request.status in ("refused", "withdrawn"):
        return Outcome(state="refused" if request.status == "refused" else "withdrawn")
    if receipt.operation in _MONEY:
        worth = receipt.amount.amount if receipt.amount else 0
        arrived = receipt.at + BANK
        if worth and (order.refunded.amount < worth or now < arrived):
            return Outcome(state="open", since=receipt.at)
        return Outcome(state="done", since=arrived if worth else receipt.at)
    if request is None or request.status == "completed":
        return Outcome(state="done")
    return Outcome(state="open" if request.status == "received" else "awaiting_goods")
