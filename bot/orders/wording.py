"""Orders, plans and receipts in words, Chinese and English.

A success is worded from its receipt and from nothing else: what the shop did not confirm is not said.
Amounts and dates go through `bot.formats`; addresses and phones are masked. This module knows no policy
and no channel.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from pydantic import ValidationError

from bot.formats import (
    format_count,
    format_date,
    format_datetime,
    format_days,
    format_money,
    join_words,
    mask_address,
)
from bot.message import Card, Language
from bot.orders.models import (
    Address,
    Fulfilment,
    Money,
    Operation,
    Order,
    OrderLine,
    OrderState,
    Receipt,
    Request,
    RequestLine,
)
from bot.orders.plans import Plan, settled_amount


class Words(NamedTuple):
    """The text of a reply and the card that goes with it."""

    text: str
    card: Card


OPERATIONS: dict[Operation, dict[Language, str]] = {
    Operation.CANCEL: {"zh": "取消订单", "en": "Cancel order"},
    Operation.CHANGE_ADDRESS: {"zh": "修改收货地址", "en": "Change delivery address"},
    Operation.CHANGE_ITEMS: {"zh": "修改商品", "en": "Change items"},
    Operation.REFUND: {"zh": "退款", "en": "Refund"},
    Operation.RETURN: {"zh": "退货", "en": "Return"},
    Operation.EXCHANGE: {"zh": "换货", "en": "Exchange"},
    Operation.UPDATE_REQUEST: {"zh": "修改售后申请", "en": "Change request"},
    Operation.WITHDRAW_REQUEST: {"zh": "撤销售后申请", "en": "Withdraw request"},
    Operation.SEND_INVOICE: {"zh": "发送发票", "en": "Send invoice"},
    Operation.PRICE_PROTECTION: {"zh": "价格保护", "en": "Price protection"},
}

STATES: dict[OrderState, dict[Language, str]] = {
    OrderState.UNPAID: {"zh": "待付款", "en": "awaiting payment"},
    OrderState.PAID: {"zh": "已付款，待发货", "en": "paid, not shipped yet"},
    OrderState.PACKED: {"zh": "已打包，即将发出", "en": "packed, about to ship"},
    OrderState.SHIPPED: {"zh": "运输中", "en": "on its way"},
    OrderState.DELIVERED: {"zh": "已签收", "en": "delivered"},
    OrderState.CANCELLED: {"zh": "已取消", "en": "cancelled"},
}

PAYMENT_METHODS: dict[str, dict[Language, str]] = {
    "wechat_pay": {"zh": "微信支付", "en": "WeChat Pay"},
    "alipay": {"zh": "支付宝", "en": "Alipay"},
    "card": {"zh": "银行卡", "en": "card"},
    "paypal": {"zh": "PayPal", "en": "PayPal"},
    "gift_card": {"zh": "礼品卡", "en": "gift card"},
}

REQUEST_STATES: dict[str, dict[Language, str]] = {
    "requested": {"zh": "已提交，等待审核", "en": "submitted, waiting for approval"},
    "approved": {"zh": "已通过", "en": "approved"},
    "in_transit": {"zh": "商品寄回途中", "en": "items on their way back"},
    "received": {"zh": "已收到退件，验收中", "en": "items received, being checked"},
    "completed": {"zh": "已完成", "en": "completed"},
    "refused": {"zh": "未通过", "en": "refused"},
    "withdrawn": {"zh": "已撤销", "en": "withdrawn"},
}

TRACKING: dict[str, dict[Language, str]] = {
    "picked_up": {"zh": "快递已揽收", "en": "Picked up by the carrier"},
    "in_transit": {"zh": "运输中", "en": "In transit"},
    "out_for_delivery": {"zh": "派送中", "en": "Out for delivery"},
    "delivered": {"zh": "已签收", "en": "Delivered"},
    "exception": {"zh": "物流异常", "en": "Delivery problem"},
}

LABELS: dict[str, dict[Language, str]] = {
    "order": {"zh": "订单", "en": "Order"},
    "state": {"zh": "状态", "en": "Status"},
    "items": {"zh": "商品", "en": "Items"},
    "amount": {"zh": "退款金额", "en": "Refund"},
    "extra": {"zh": "需补差价", "en": "You pay"},
    "total": {"zh": "订单金额", "en": "Total"},
    "refunded": {"zh": "已退金额", "en": "Refunded"},
    "destination": {"zh": "退回到", "en": "Goes back to"},
    "due": {"zh": "最晚", "en": "No later than"},
    "send_back": {"zh": "请在此日期前寄出", "en": "Send the items by"},
    "after_arrival": {"zh": "收到退件后", "en": "After the items arrive"},
    "freight": {"zh": "寄回运费", "en": "Return freight"},
    "address": {"zh": "新地址", "en": "New address"},
    "deliver_to": {"zh": "收货地址", "en": "Delivery address"},
    "receipt": {"zh": "凭证号", "en": "Receipt"},
    "at": {"zh": "办理时间", "en": "Done at"},
    "request": {"zh": "申请", "en": "Request"},
    "carrier": {"zh": "快递", "en": "Carrier"},
    "tracking": {"zh": "运单号", "en": "Tracking number"},
    "latest": {"zh": "最新动态", "en": "Latest"},
    "expected": {"zh": "预计送达", "en": "Expected"},
    "delivered": {"zh": "签收时间", "en": "Delivered"},
    "ordered": {"zh": "下单时间", "en": "Ordered"},
}

FREIGHT: dict[str, dict[Language, str]] = {
    "shop": {"zh": "商家承担", "en": "paid by the shop"},
    "buyer": {"zh": "买家承担", "en": "paid by you"},
}

SENDS_BACK = frozenset({Operation.RETURN, Operation.EXCHANGE})

DONE: dict[Operation, dict[Language, str]] = {
    Operation.CANCEL: {"zh": "订单 {order} 已取消。", "en": "Order {order} has been cancelled."},
    Operation.CHANGE_ADDRESS: {
        "zh": "订单 {order} 的收货地址已修改。",
        "en": "The delivery address of order {order} has been changed.",
    },
    Operation.CHANGE_ITEMS: {
        "zh": "订单 {order} 的商品已修改。",
        "en": "The items of order {order} have been changed.",
    },
    Operation.REFUND: {
        "zh": "订单 {order} 的退款申请已提交。",
        "en": "The refund for order {order} has been submitted.",
    },
    Operation.RETURN: {
        "zh": "订单 {order} 的退货申请已提交。",
        "en": "The return for order {order} has been registered.",
    },
    Operation.EXCHANGE: {
        "zh": "订单 {order} 的换货申请已提交。",
        "en": "The exchange for order {order} has been registered.",
    },
    Operation.UPDATE_REQUEST: {
        "zh": "订单 {order} 的售后申请已修改。",
        "en": "The request for order {order} has been changed.",
    },
    Operation.WITHDRAW_REQUEST: {
        "zh": "订单 {order} 的售后申请已撤销。",
        "en": "The request for order {order} has been withdrawn.",
    },
    Operation.SEND_INVOICE: {
        "zh": "订单 {order} 的发票已发送。",
        "en": "The invoice for order {order} has been sent.",
    },
    Operation.PRICE_PROTECTION: {
        "zh": "订单 {order} 的价保申请已提交。",
        "en": "The price-protection claim for order {order} has been submitted.",
    },
}


def label(name: str, language: Language) -> str:
    return LABELS[name][language]


def title_of(line: OrderLine, language: Language) -> str:
    """The item's name with its options: ``棉质T恤（白色，M）``."""
    title = in_language(line.title, language) or line.variant_id
    options = [in_language(value, language) for value in line.options.values()]
    options = [option for option in options if option]
    if not options:
        return title
    return f"{title}（{'，'.join(options)}）" if language == "zh" else f"{title} ({', '.join(options)})"


def in_language(texts: dict[str, str], language: Language) -> str:
    """The text in a language, else in any the shop has."""
    return texts.get(language) or next((text for text in texts.values() if text), "")


def method_name(method: str, hint: str, language: Language) -> str:
    """``银行卡（**** 4242）``, ``WeChat Pay``."""
    name = PAYMENT_METHODS.get(method, {}).get(language, method)
    if not hint:
        return name
    return f"{name}（{hint}）" if language == "zh" else f"{name} ({hint})"


def render_plan(plan: Plan, order: Order, language: Language, *, note: str = "") -> Words:
    """What the shopper is asked to say yes to: order, items, amount, destination, deadline.

    `note` says what no row of the plan says, with the card and without it.
    """
    rows = [
        (label("order", language), plan.order_number),
        *_item_rows(plan.lines, order, language),
        *_address_rows(plan, order, language),
        *_money_rows(plan, language),
    ]
    if plan.freight is not None:
        rows.append((label("freight", language), FREIGHT[plan.freight][language]))
    rows += _deadline_rows(plan.operation, plan.due_at, plan.working_days, language)
    name = OPERATIONS[plan.operation][language]
    if language == "zh":
        first, question = f"请核对：{name}", "确认办理吗？（15 分钟内有效）"
        lead = f"请核对下面的方案，{question}"
        lines = [first, *(f"· {key}：{value}" for key, value in rows), question]
    else:
        first, question = f"Please check: {name}", "Shall I go ahead? (valid for 15 minutes)"
        lead = f"Please check what I would do. {question}"
        lines = [first, *(f"· {key}: {value}" for key, value in rows), question]
    if note:
        lines, lead = [note, *lines], f"{note}\n{lead}"
    return Words("\n".join(lines), Card(kind="plan", title=name, lead=lead, rows=tuple(rows)))


def render_receipt(receipt: Receipt, plan: Plan | None, language: Language) -> Words:
    """What happened, from the receipt alone; the plan only adds who pays for sending back."""
    rows = [(label("order", language), receipt.order)]
    sentences = [DONE[receipt.operation][language].format(order=receipt.order)]
    settled = settled_amount(receipt)
    if settled is not None and settled.amount > 0:
        amount = format_money(settled, language)
        destination = receipt_destination(receipt, language)
        rows.append((label("amount", language), amount))
        sentences.append(_money_sentence(receipt, amount, destination, language))
        if destination:
            rows.append((label("destination", language), destination))
    elif settled is not None and settled.amount < 0:
        extra = format_money(Money(amount=-settled.amount, currency=settled.currency), language)
        rows.append((label("extra", language), extra))
        sentences.append(
            f"需补差价 {extra}。" if language == "zh" else f"The difference of {extra} is yours to pay."
        )
    freight = plan.freight if plan is not None else None
    if receipt.operation in SENDS_BACK or receipt.operation is Operation.UPDATE_REQUEST:
        if receipt.due_at is not None:
            by = format_date(receipt.due_at, language)
            rows.append((label("send_back", language), by))
            sentences.append(
                f"请在 {by} 前寄出商品。" if language == "zh" else f"Please send the items by {by}."
            )
        if freight is not None:
            rows.append((label("freight", language), FREIGHT[freight][language]))
    elif receipt.due_at is not None:
        rows.append((label("due", language), format_date(receipt.due_at, language)))
    if receipt.request_id:
        rows.append((label("request", language), receipt.request_id))
    rows.append((label("at", language), format_datetime(receipt.at, language)))
    rows.append((label("receipt", language), receipt.id))
    sentences.append(f"凭证号：{receipt.id}" if language == "zh" else f"Receipt: {receipt.id}")
    title = OPERATIONS[receipt.operation][language]
    text = ("" if language == "zh" else " ").join(sentences)
    return Words(text, Card(kind="receipt", title=title, rows=tuple(rows)))


def render_order(order: Order, language: Language) -> Words:
    """Where an order stands: state, parcels, requests."""
    state = STATES[order.state][language]
    count = sum(line.quantity for line in order.lines)
    rows = [
        (label("order", language), order.number),
        (label("state", language), state),
        (label("ordered", language), format_datetime(order.created_at, language)),
    ]
    rows += [
        (label("items", language), f"{title_of(line, language)} × {line.quantity}")
        for line in order.lines[:5]
    ]
    if len(order.lines) > 5:
        rows.append((label("items", language), "…"))
    rows.append((label("total", language), format_money(order.total, language)))
    if order.refunded.amount > 0:
        rows.append((label("refunded", language), format_money(order.refunded, language)))
    rows.append((label("deliver_to", language), mask_address(order.address, language)))
    if language == "zh":
        sentences = [f"订单 {order.number}（共 {format_count(count, language)}）目前：{state}。"]
    else:
        sentences = [f"Order {order.number} ({format_count(count, language)}) is {state}."]
    parcels = order.fulfilments
    for number, parcel in enumerate(parcels, 1):
        prefix = ""
        if len(parcels) > 1:
            prefix = f"包裹 {number}：" if language == "zh" else f"Parcel {number}: "
        sentences.append(prefix + parcel_sentence(parcel, language))
        rows.append((label("carrier", language), f"{parcel.carrier} {parcel.tracking_number}"))
    for request in order.requests:
        sentences.append(request_sentence(request, language))
        rows.append((OPERATIONS[request.operation][language], _request_state(request, language)))
    text = "\n".join(sentences)
    return Words(text, Card(kind="order", title=label("order", language), rows=tuple(rows)))


def parcel_sentence(parcel: Fulfilment, language: Language) -> str:
    """One parcel: carrier, number, last event, expected day."""
    carrier = f"{parcel.carrier} {parcel.tracking_number}"
    if parcel.delivered_at is not None:
        when = format_datetime(parcel.delivered_at, language)
        if language == "zh":
            return f"{carrier}，{when} 已签收。"
        return f"{carrier}, delivered {when}."
    parts: list[str] = []
    if parcel.events:
        event = max(parcel.events, key=lambda one: one.at)
        what = in_language(event.text, language) or TRACKING.get(event.status, {}).get(language, event.status)
        place = f"{event.place} " if event.place and event.place not in what else ""
        when = format_datetime(event.at, language)
        parts.append(f"{when} {place}{what}" if language == "zh" else f"{when}: {place}{what}")
    else:
        when = format_datetime(parcel.shipped_at, language)
        parts.append(f"{when} 已发出" if language == "zh" else f"shipped {when}")
    if parcel.expected_at is not None:
        day = format_date(parcel.expected_at, language)
        parts.append(f"预计 {day} 送达" if language == "zh" else f"expected {day}")
    if language == "zh":
        return f"{carrier}，{'，'.join(part.rstrip('。') for part in parts)}。"
    return f"{carrier}, {', '.join(part.rstrip('.') for part in parts)}."


def request_sentence(request: Request, language: Language) -> str:
    """One after-sales request: what, how far, how much."""
    name = OPERATIONS[request.operation][language]
    state = _request_state(request, language)
    amount = ""
    if request.amount is not None and request.amount.amount > 0:
        amount = format_money(request.amount, language)
    if language == "zh":
        return f"{name}申请{f'（{amount}）' if amount else ''}：{state}。"
    return f"{name} request{f' ({amount})' if amount else ''}: {state}."


def describe_address(address: Address, language: Language) -> str:
    """An address the shopper has just typed, in full: it is theirs to check."""
    street = address.street
    if language == "zh":
        city = address.city if address.city != address.province else ""
        place = f"{address.province}{city}{address.district}{street}"
        return " ".join(part for part in (address.name, address.phone, place, address.postcode) if part)
    parts = [address.name, address.phone, street, address.district, address.city, address.province]
    return ", ".join(part for part in [*parts, address.postcode, address.country] if part)


def _request_state(request: Request, language: Language) -> str:
    return REQUEST_STATES.get(request.status, {}).get(language, request.status)


def _item_rows(lines: tuple[RequestLine, ...], order: Order, language: Language) -> list[tuple[str, str]]:
    by_id = {line.id: line for line in order.lines}
    rows = []
    for one in lines:
        line = by_id.get(one.line_id)
        name = title_of(line, language) if line is not None else one.line_id
        rows.append((label("items", language), f"{name} × {one.quantity}"))
    return rows


def _address_rows(plan: Plan, order: Order, language: Language) -> list[tuple[str, str]]:
    """The whole new address: what the body leaves out stays as it was, masked as the shop sent it."""
    address = plan.body.get("address")
    if plan.operation is not Operation.CHANGE_ADDRESS or not isinstance(address, dict):
        return []
    told = {key: value for key, value in address.items() if value is not None}
    new = Address.model_validate({**order.address.model_dump(), **told})
    return [(label("address", language), describe_address(new, language))]


def _money_rows(plan: Plan, language: Language) -> list[tuple[str, str]]:
    if plan.amount is None or plan.amount.amount == 0:
        return []
    if plan.amount.amount < 0:
        extra = Money(amount=-plan.amount.amount, currency=plan.amount.currency)
        return [(label("extra", language), format_money(extra, language))]
    rows = [(label("amount", language), format_money(plan.amount, language))]
    for part in plan.destination:
        where = method_name(part.method, part.hint, language)
        if len(plan.destination) > 1:
            where = f"{where} {format_money(part.amount, language)}"
        rows.append((label("destination", language), where))
    return rows


def _deadline_rows(
    operation: Operation, due_at: datetime | None, working_days: int | None, language: Language
) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if due_at is not None:
        name = "send_back" if operation in SENDS_BACK else "due"
        rows.append((label(name, language), format_date(due_at, language)))
    if operation in SENDS_BACK and working_days is not None:
        days = format_days(working_days, language, working=True)
        what = {
            Operation.RETURN: {"zh": f"{days}内退款", "en": f"refund within {days}"},
            Operation.EXCHANGE: {"zh": f"{days}内寄出新商品", "en": f"replacement sent within {days}"},
        }[operation][language]
        rows.append((label("after_arrival", language), what))
    return rows


def receipt_destination(receipt: Receipt, language: Language) -> str:
    """Where the money goes, by the receipt: each payment in the shopper's language, with its part."""
    split = receipt.details.get("split")
    if isinstance(split, list) and split:
        try:
            parts = [
                (part["method"], part.get("hint", ""), Money.model_validate(part["amount"])) for part in split
            ]
        except (KeyError, TypeError, AttributeError, ValidationError):
            parts = []  # another shop's idea of a split: its own words below will do
        if len(parts) == 1:
            return method_name(parts[0][0], parts[0][1], language)
        if parts:
            named = [
                f"{method_name(method, hint, language)} {format_money(money, language)}"
                for method, hint, money in parts
            ]
            return join_words(named, language)
    words = [
        PAYMENT_METHODS.get(word, {}).get(language, word) for word in (receipt.destination or "").split()
    ]
    return " ".join(words)


def _money_sentence(receipt: Receipt, amount: str, destination: str, language: Language) -> str:
    """How much goes where and by when, as far as the receipt says."""
    to_zh = f"退回到{destination}" if destination else "原路退回"
    to_en = f"to {destination}" if destination else "to the original payment"
    if receipt.operation in (Operation.RETURN, Operation.UPDATE_REQUEST, Operation.EXCHANGE):
        if language == "zh":
            return f"商品验收后，{amount} {to_zh}。"
        return f"Once the items have been checked, {amount} goes back {to_en}."
    if receipt.due_at is not None:
        by = format_date(receipt.due_at, language)
        if language == "zh":
            return f"{amount} {to_zh}，最晚 {by}。"
        return f"{amount} goes back {to_en} by {by}."
    return f"{amount} {to_zh}。" if language == "zh" else f"{amount} goes back {to_en}."
