"""What an operation sends to the order API: one function per shape of `openapi.yaml`. Knows no dialogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.orders.models import Money, RequestLine


def expected(amount: Money | None) -> dict[str, Any]:
    """The amount of the plan for a body: a shop that computes another one has to refuse."""
    if amount is None or amount.amount <= 0:
        return {}
    return {"amount": {"amount": amount.amount, "currency": amount.currency}}


def line_bodies(lines: Sequence[RequestLine]) -> list[dict[str, Any]]:
    return [line.model_dump(mode="json", exclude_none=True) for line in lines]


def cancel_body(reason: str | None, amount: Money | None) -> dict[str, Any]:
    return {"reason": reason or "", **expected(amount)}


def refund_body(lines: Sequence[RequestLine], reason: str | None, amount: Money | None) -> dict[str, Any]:
    return {"lines": line_bodies(lines), "reason": reason or "", **expected(amount)}


def return_body(
    lines: Sequence[RequestLine],
    reason: str | None,
    amount: Money | None,
    *,
    opened: bool | None = None,
    evidence: Sequence[str] = (),
) -> dict[str, Any]:
    """`opened` is what the shopper says of the items, `evidence` are ids of pictures."""
    return {
        "lines": line_bodies(lines),
        "reason": reason or "",
        **({"opened": opened} if opened is not None else {}),
        **({"evidence": list(evidence)} if evidence else {}),
        **expected(amount),
    }


def withdraw_body(request_id: str) -> dict[str, Any]:
    return {"request_id": request_id}
