"""The writes of the demo shop as rules on one order: what a state allows, what money goes back.

Pure but for the stock it moves. The shop refuses what its own books forbid; time windows and excluded
goods are the policy's, on Kefu's side. No HTTP and no database here.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from bot.orders.models import (
    Address,
    Invoice,
    Money,
    Operation,
    Order,
    OrderLine,
    OrderState,
    Payment,
    Request,
    RequestLine,
    Variant,
)
from bot.orders.shop.bodies import (
    AddressBody,
    Body,
    CancelBody,
    ChangeAddressBody,
    ChangeItemsBody,
    ExchangeBody,
    InvoiceBody,
    LineBody,
    MoneyBody,
    PriceProtectionBody,
    RefundBody,
    ReturnBody,
    UpdateRequestBody,
    WithdrawRequestBody,
)
from bot.orders.shop.catalogue import price_in
from bot.orders.shop.problems import Problem

UNSHIPPED = (OrderState.UNPAID, OrderState.PAID, OrderState.PACKED)
MONEY_BACK = timedelta(days=3)  # how long a bank takes
SEND_BACK = timedelta(days=7)  # how long a shopper has
OPEN_STATUS = ("requested", "approved")  # a request that can still be changed or withdrawn
PENDING_STATUS = (*OPEN_STATUS, "in_transit", "received")  # money not yet back

RETURN_INSTRUCTIONS = {
    "zh": "请在 7 天内寄回：上海市嘉定区翔江公路 3333 号 退货组。包裹内附上订单号。",
    "en": "Please send it within 7 days to: Returns, 3333 Xiangjiang Road, Jiading, Shanghai. "
    "Put the order number in the parcel.",
}


class Stock(Protocol):
    """The shop's shelf, inside the running transaction."""

    def variant(self, variant_id: str) -> Variant | None: ...

    def move(self, variant_id: str, by: int) -> None: ...


@dataclass(frozen=True)
class Done:
    """The order after the write, and what the receipt says."""

    order: Order
    amount: Money | None = None
    destination: str | None = None
    request_id: str | None = None
    due_at: datetime | None = None
    details: dict[str, Any] = field(default_factory=dict)


def perform(
    operation: Operation,
    order: Order,
    body: Body,
    *,
    stock: Stock,
    now: datetime,
    request_id: str | None = None,
) -> Done:
    """Do `operation`. The version is the caller's to raise.

    Raises:
        Problem: the shop refuses; nothing is changed but perhaps stock, so roll back.
    """
    match body:
        case CancelBody():
            return cancel(order, body, stock, now)
        case ChangeAddressBody():
            return change_address(order, body)
        case ChangeItemsBody():
            return change_items(order, body, stock, now)
        case RefundBody():
            return refund(order, body, stock, now)
        case ReturnBody():
            return return_goods(order, body, now)
        case ExchangeBody():
            return exchange(order, body, stock, now)
        case InvoiceBody():
            return send_invoice(order, body, now)
        case PriceProtectionBody():
            return price_protection(order, body, stock, now)
        case UpdateRequestBody() | WithdrawRequestBody():
            request = next((request for request in order.requests if request.id == request_id), None)
            if request is None:
                raise Problem("request_not_found")
            if isinstance(body, UpdateRequestBody):
                return update_request(order, request, body)
            return withdraw_request(order, request, stock)
    raise AssertionError(f"{operation} has no rule")


def cancel(order: Order, body: CancelBody, stock: Stock, now: datetime) -> Done:
    """Before shipping: everything paid goes back, goods return to the shelf."""
    if order.state not in UNSHIPPED:
        raise Problem("wrong_state")
    amount = paid(order) - order.refunded.amount
    _expect(body.amount, {amount}, order)
    payments, split = pay_back(order, amount)
    for line in order.lines:
        stock.move(line.variant_id, line.quantity_open)
    requests = tuple(
        request.model_copy(update={"status": "withdrawn"}) if request.status in PENDING_STATUS else request
        for request in order.requests
    )
    cancelled = order.model_copy(
        update={
            "state": OrderState.CANCELLED,
            "cancelled_at": now,
            "lines": tuple(line.model_copy(update={"quantity_open": 0}) for line in order.lines),
            "payments": payments,
            "refunded": _money(order, order.refunded.amount + amount),
            "requests": requests,
        }
    )
    return _with_money(cancelled, amount, split, now)


def change_address(order: Order, body: ChangeAddressBody) -> Done:
    """Before shipping."""
    if order.state not in UNSHIPPED:
        raise Problem("wrong_state")
    address = _merged(order.address, body.address)
    if address == order.address:
        raise Problem("nothing_to_change")
    return Done(order.model_copy(update={"address": address}))


def change_items(order: Order, body: ChangeItemsBody, stock: Stock, now: datetime) -> Done:
    """Before packing: another variant or quantity of a line. What becomes cheaper goes back."""
    if order.state not in (OrderState.UNPAID, OrderState.PAID):
        raise Problem("wrong_state")
    wanted = _by_line(order, body.lines)
    lines, before, after = [], 0, 0
    for line in order.lines:
        change = wanted.get(line.id)
        if change is None:
            lines.append(line)
            continue
        if line.quantity_open < line.quantity:
            raise Problem("wrong_state")  # part of the line is already in a request
        variant = _variant(stock, change.variant_id, line)
        same = variant.id == line.variant_id
        needed = change.quantity - (line.quantity if same else 0)
        if needed > variant.stock:
            raise Problem("out_of_stock")
        price = (
            line.unit_price if same else _money(order, price_in(variant.price.amount, order.total.currency))
        )
        stock.move(line.variant_id, line.quantity)
        stock.move(variant.id, -change.quantity)
        before += line.unit_price.amount * line.quantity
        after += price.amount * change.quantity
        lines.append(
            line.model_copy(
                update={
                    "variant_id": variant.id,
                    "options": variant.options,
                    "quantity": change.quantity,
                    "quantity_open": change.quantity,
                    "unit_price": price,
                }
            )
        )
    if tuple(lines) == order.lines:
        raise Problem("nothing_to_change")
    if order.state is OrderState.UNPAID:
        return Done(
            order.model_copy(
                update={"lines": tuple(lines), "total": _money(order, order.total.amount + after - before)}
            )
        )
    if after > before:
        raise Problem("payment_required")
    payments, split = pay_back(order, before - after)
    changed = order.model_copy(
        update={
            "lines": tuple(lines),
            "payments": payments,
            "refunded": _money(order, order.refunded.amount + before - after),
        }
    )
    return _with_money(changed, before - after, split, now)


def refund(order: Order, body: RefundBody, stock: Stock, now: datetime) -> Done:
    """Money back without sending goods back. An unshipped order with nothing left is cancelled."""
    if order.state in (OrderState.UNPAID, OrderState.CANCELLED):
        raise Problem("wrong_state")
    lines = _take(order, body.lines)
    unshipped = order.state in UNSHIPPED
    amount = _amount(order, body.lines, lines, body.amount, shipping_too=unshipped)
    payments, split = pay_back(order, amount, destination=body.destination)
    request = Request(
        id=_request_id(),
        operation=Operation.REFUND,
        status="approved",
        lines=_request_lines(body.lines),
        reason=body.reason,
        amount=_money(order, amount),
        destination=_destination(split),
        created_at=now,
        due_at=now + MONEY_BACK,
    )
    update: dict[str, Any] = {
        "lines": lines,
        "payments": payments,
        "refunded": _money(order, order.refunded.amount + amount),
        "requests": (*order.requests, request),
    }
    if unshipped:
        for wanted in body.lines:
            stock.move(_line(order, wanted.line_id).variant_id, wanted.quantity)
        if _nothing_open(lines):
            update |= {"state": OrderState.CANCELLED, "cancelled_at": now}
    return _with_money(order.model_copy(update=update), amount, split, now, request_id=request.id)


def return_goods(order: Order, body: ReturnBody, now: datetime) -> Done:
    """Goods come back first; the amount is what is refunded when they have arrived."""
    if order.state is not OrderState.DELIVERED:
        raise Problem("wrong_state")
    lines = _take(order, body.lines)
    amount = _amount(order, body.lines, lines, body.amount)
    _, split = pay_back(order, amount, destination=body.destination)
    request = Request(
        id=_request_id(),
        operation=Operation.RETURN,
        status="approved",
        lines=_request_lines(body.lines),
        reason=body.reason,
        amount=_money(order, amount),
        destination=_destination(split),
        created_at=now,
        due_at=now + SEND_BACK,
        instructions=RETURN_INSTRUCTIONS,
    )
    after = order.model_copy(update={"lines": lines, "requests": (*order.requests, request)})
    return Done(
        after,
        amount=request.amount,
        destination=request.destination,
        request_id=request.id,
        due_at=request.due_at,
        details={"split": split, "instructions": RETURN_INSTRUCTIONS, "evidence": list(body.evidence)},
    )


def exchange(order: Order, body: ExchangeBody, stock: Stock, now: datetime) -> Done:
    """Same product, another variant. The wanted goods are set aside at once.

    The difference is between today's prices of both variants: positive is to be paid by the shopper
    when the parcel is handed over, negative goes back once the old goods have arrived.
    """
    if order.state is not OrderState.DELIVERED:
        raise Problem("wrong_state")
    lines = _take(order, body.lines)
    difference = 0
    for wanted in body.lines:
        line = _line(order, wanted.line_id)
        variant = _variant(stock, wanted.variant_id, line)
        if variant.stock < wanted.quantity:
            raise Problem("out_of_stock")
        old = stock.variant(line.variant_id)
        currency = order.total.currency
        old_price = price_in(old.price.amount, currency) if old else line.unit_price.amount
        difference += (price_in(variant.price.amount, currency) - old_price) * wanted.quantity
        stock.move(variant.id, -wanted.quantity)
    request = Request(
        id=_request_id(),
        operation=Operation.EXCHANGE,
        status="approved",
        lines=tuple(
            RequestLine(line_id=line.line_id, quantity=line.quantity, variant_id=line.variant_id)
            for line in body.lines
        ),
        reason=body.reason,
        created_at=now,
        due_at=now + SEND_BACK,
        instructions=RETURN_INSTRUCTIONS,
    )
    after = order.model_copy(update={"lines": lines, "requests": (*order.requests, request)})
    return Done(
        after,
        request_id=request.id,
        due_at=request.due_at,
        details={
            "difference": _money(order, difference).model_dump(),
            "instructions": RETURN_INSTRUCTIONS,
            "evidence": list(body.evidence),
        },
    )


def update_request(order: Order, request: Request, body: UpdateRequestBody) -> Done:
    """Change items, reason or evidence of a return that has not been sent yet; of an exchange, no items."""
    if request.status not in OPEN_STATUS or request.operation not in (Operation.RETURN, Operation.EXCHANGE):
        raise Problem("wrong_state")
    update: dict[str, Any] = {}
    lines = order.lines
    if body.lines is not None:
        if request.operation is Operation.EXCHANGE:
            raise Problem("wrong_state")  # withdraw it and ask anew: the set-aside goods are others
        opened = order.model_copy(update={"lines": _give_back(order, request)})
        lines = _take(opened, body.lines)
        update["lines"] = _request_lines(body.lines)
        update["amount"] = _money(order, _items_amount(order, body.lines))
    if body.reason is not None:
        update["reason"] = body.reason
    changed = request.model_copy(update=update)
    after = order.model_copy(update={"lines": lines, "requests": _replaced(order, changed)})
    return Done(
        after,
        amount=changed.amount,
        destination=changed.destination,
        request_id=request.id,
        due_at=changed.due_at,
        details={"evidence": list(body.evidence or ())},
    )


def withdraw_request(order: Order, request: Request, stock: Stock) -> Done:
    """Take back a return or exchange whose goods have not been sent. Money that went back stays back."""
    if request.status not in OPEN_STATUS or request.operation not in (Operation.RETURN, Operation.EXCHANGE):
        raise Problem("wrong_state")
    for line in request.lines:
        if line.variant_id is not None:
            stock.move(line.variant_id, line.quantity)
    withdrawn = request.model_copy(update={"status": "withdrawn"})
    after = order.model_copy(
        update={"lines": _give_back(order, request), "requests": _replaced(order, withdrawn)}
    )
    return Done(after, request_id=request.id)


def send_invoice(order: Order, body: InvoiceBody, now: datetime) -> Done:
    """Issue the invoice, or send it again; new particulars replace the old ones."""
    if order.state in (OrderState.UNPAID, OrderState.CANCELLED):
        raise Problem("wrong_state")
    invoice = Invoice(
        id=order.invoice.id if order.invoice else f"INV{secrets.randbelow(10**8):08d}",
        kind=body.kind,
        title=body.title,
        tax_number=body.tax_number,
        email=body.email,
        sent_at=now,
    )
    after = order.model_copy(update={"invoice": invoice})
    return Done(after, details={"invoice_id": invoice.id, "resent": order.invoice is not None})


def price_protection(order: Order, body: PriceProtectionBody, stock: Stock, now: datetime) -> Done:
    """Pay back what an item has become cheaper by. From then on the lower price is what was paid."""
    if order.state in (OrderState.UNPAID, OrderState.CANCELLED):
        raise Problem("wrong_state")
    amount = 0
    lines = {line.id: line for line in order.lines}
    claimed: list[RequestLine] = []
    for wanted in body.lines:
        line = _line(order, wanted.line_id)
        if line.id in {taken.line_id for taken in claimed}:
            raise Problem("invalid", fields=("lines",))
        if line.quantity_open == 0 or wanted.quantity not in (None, line.quantity_open):
            raise Problem("nothing_open")
        variant = stock.variant(line.variant_id)
        now_costs = (
            price_in(variant.price.amount, order.total.currency) if variant else line.unit_price.amount
        )
        if now_costs >= line.unit_price.amount:
            raise Problem("no_price_drop")
        amount += (line.unit_price.amount - now_costs) * line.quantity_open
        lines[line.id] = line.model_copy(update={"unit_price": _money(order, now_costs)})
        claimed.append(RequestLine(line_id=line.id, quantity=line.quantity_open))
    _expect(body.amount, {amount}, order)
    payments, split = pay_back(order, amount)
    request = Request(
        id=_request_id(),
        operation=Operation.PRICE_PROTECTION,
        status="approved",
        lines=tuple(claimed),
        amount=_money(order, amount),
        destination=_destination(split),
        created_at=now,
        due_at=now + MONEY_BACK,
    )
    after = order.model_copy(
        update={
            "lines": tuple(lines[line.id] for line in order.lines),
            "payments": payments,
            "refunded": _money(order, order.refunded.amount + amount),
            "requests": (*order.requests, request),
        }
    )
    return _with_money(after, amount, split, now, request_id=request.id)


# Money


def paid(order: Order) -> int:
    """What was paid, in minor units."""
    return sum(payment.amount.amount for payment in order.payments)


def pending(order: Order) -> int:
    """What goes back once returned goods have arrived, in minor units."""
    return sum(
        request.amount.amount
        for request in order.requests
        if request.operation is Operation.RETURN and request.status in PENDING_STATUS and request.amount
    )


def pay_back(
    order: Order, amount: int, *, destination: str = "original"
) -> tuple[tuple[Payment, ...], list[dict[str, Any]]]:
    """Payments after `amount` (minor units) has gone back, and who gets what.

    Gift cards first, as shops do, then the other payments in the order they were made; to a gift
    card only, when the shopper wants that.

    Raises:
        Problem: ``amount_mismatch``, more than is left.
    """
    if amount > paid(order) - order.refunded.amount - pending(order):
        raise Problem("amount_mismatch")
    if destination == "gift_card":
        split = [{"method": "gift_card", "hint": "", "amount": _money(order, amount).model_dump()}]
        return order.payments, split if amount else []
    split = []
    after = {payment.id: payment for payment in order.payments}
    for payment in sorted(order.payments, key=lambda payment: payment.method != "gift_card"):
        gone = payment.refunded.amount if payment.refunded else 0
        share = min(amount, payment.amount.amount - gone)
        if share <= 0:
            continue
        amount -= share
        after[payment.id] = payment.model_copy(update={"refunded": _money(order, gone + share)})
        split.append(
            {
                "method": payment.method,
                "hint": payment.hint,
                "amount": _money(order, share).model_dump(),
            }
        )
    if amount:
        raise Problem("amount_mismatch")
    return tuple(after[payment.id] for payment in order.payments), split


def _amount(
    order: Order,
    wanted: Sequence[LineBody],
    lines: tuple[OrderLine, ...],
    expected: MoneyBody | None,
    *,
    shipping_too: bool = False,
) -> int:
    """Items at what was paid for them; the shipping fee may come on top when nothing stays.

    It does when the order was not shipped, and when the caller's policy says so by its `expected`.
    """
    items = _items_amount(order, wanted)
    whole = items + order.shipping.amount if _all_gone(order, lines) else items
    if expected is None:
        return whole if shipping_too else items
    _expect(expected, {items, whole}, order)
    return expected.amount


def _items_amount(order: Order, wanted: Iterable[LineBody]) -> int:
    return sum(_line(order, line.line_id).unit_price.amount * line.quantity for line in wanted)


def _all_gone(order: Order, lines: tuple[OrderLine, ...]) -> bool:
    # The fee goes back once: with the request that takes the last of the order.
    exchanged = any(
        request.operation is Operation.EXCHANGE and request.status not in ("withdrawn", "refused")
        for request in order.requests
    )
    return _nothing_open(lines) and not exchanged


def _nothing_open(lines: tuple[OrderLine, ...]) -> bool:
    return all(line.quantity_open == 0 for line in lines)


def _expect(expected: MoneyBody | None, right: set[int], order: Order) -> None:
    if expected is None:
        return
    if expected.currency != order.total.currency or expected.amount not in right:
        raise Problem("amount_mismatch")


def _money(order: Order, amount: int) -> Money:
    return Money(amount=amount, currency=order.total.currency)


def _destination(split: list[dict[str, Any]]) -> str | None:
    """Payments in words a proven shopper may see, such as ``gift_card **** 8812 + wechat_pay``."""
    return " + ".join(f"{part['method']} {part['hint']}".strip() for part in split) or None


def _with_money(
    order: Order, amount: int, split: list[dict[str, Any]], now: datetime, *, request_id: str | None = None
) -> Done:
    if not amount:
        return Done(order, request_id=request_id)
    return Done(
        order,
        amount=_money(order, amount),
        destination=_destination(split),
        request_id=request_id,
        due_at=now + MONEY_BACK,
        details={"split": split},
    )


# Lines


def _line(order: Order, line_id: str) -> OrderLine:
    for line in order.lines:
        if line.id == line_id:
            return line
    raise Problem("unknown_line")


def _by_line(order: Order, wanted: Sequence[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in wanted:
        _line(order, entry.line_id)
        if entry.line_id in found:
            raise Problem("invalid", fields=("lines",))
        found[entry.line_id] = entry
    return found


def _take(order: Order, wanted: Sequence[LineBody]) -> tuple[OrderLine, ...]:
    """The lines with what is wanted no longer open."""
    entries = _by_line(order, wanted)
    lines = []
    for line in order.lines:
        quantity = entries[line.id].quantity if line.id in entries else 0
        if quantity > line.quantity_open:
            raise Problem("nothing_open")
        lines.append(line.model_copy(update={"quantity_open": line.quantity_open - quantity}))
    return tuple(lines)


def _give_back(order: Order, request: Request) -> tuple[OrderLine, ...]:
    quantities = {line.line_id: line.quantity for line in request.lines}
    return tuple(
        line.model_copy(update={"quantity_open": line.quantity_open + quantities.get(line.id, 0)})
        for line in order.lines
    )


def _request_lines(lines: Sequence[LineBody]) -> tuple[RequestLine, ...]:
    return tuple(RequestLine(line_id=line.line_id, quantity=line.quantity) for line in lines)


def _replaced(order: Order, changed: Request) -> tuple[Request, ...]:
    return tuple(changed if request.id == changed.id else request for request in order.requests)


def _variant(stock: Stock, variant_id: str, line: OrderLine) -> Variant:
    variant = stock.variant(variant_id)
    if variant is None or variant.product_id != line.product_id:
        raise Problem("unknown_variant")
    return variant


def _request_id() -> str:
    return f"RQ{secrets.randbelow(10**10):010d}"


# Address


def _merged(old: Address, new: AddressBody) -> Address:
    update = {
        name: value
        for name, value in new.model_dump(exclude_none=True).items()
        # Masked values come back from a client that only changed the street.
        if "*" not in value and not (name in ("name", "phone", "street", "country") and not value.strip())
    }
    if update.get("postcode") == "":
        del update["postcode"]
    merged = old.model_copy(update=update)
    moved = (old.country, old.province, old.city, old.district) != (
        merged.country,
        merged.province,
        merged.city,
        merged.district,
    )
    if moved and "postcode" not in update:
        # The old postcode would send the parcel to the old town.
        merged = merged.model_copy(update={"postcode": ""})
    return merged
