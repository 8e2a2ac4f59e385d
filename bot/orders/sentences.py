"""An order in three sentences, each standing alone: what a free question about it is answered from.

The flows show whole cards; these are for "which colour did I buy?" and "did I pay with WeChat?". The address and
phone are left out: the last digits of the phone are a proof, and the flows show the address masked. Knows no generator.
"""

from __future__ import annotations

from collections.abc import Iterator

from bot.formats import format_count, format_date, format_datetime, format_money, join_words
from bot.message import Language
from bot.orders.models import Order, OrderLine, OrderState
from bot.orders.wording import STATES, in_language, method_name

OPTIONS: dict[str, dict[Language, str]] = {
    "color": {"zh": "颜色", "en": "colour"},
    "size": {"zh": "尺码", "en": "size"},
    "storage": {"zh": "存储容量", "en": "storage"},
    "capacity": {"zh": "容量", "en": "capacity"},
}  # of other options only the value is said: their names are codes of the shop


def order_sentences(order: Order, language: Language) -> Iterator[tuple[str, str]]:
    """What was bought, how it was paid and how it travels: pairs of a name and a sentence.

    Three sentences and no more: what stands side by side in one cannot be mistaken for the other.
    """
    yield "items", _items(order, language)
    yield "payment", _payment(order, language)
    yield "delivery", _delivery(order, language)


def _items(order: Order, language: Language) -> str:
    lines = [_line(line, language) for line in order.lines]
    if language == "zh":
        return f"您在订单 {order.number} 里买了：{'；'.join(lines)}。"
    return f"In order {order.number} you bought {'; '.join(lines)}."


def _line(line: OrderLine, language: Language) -> str:
    title, price = in_language(line.title, language), format_money(line.unit_price, language)
    count = format_count(line.quantity, language)
    chosen = []
    for name, value in line.options.items():
        label, text = OPTIONS.get(name, {}).get(language), in_language(value, language)
        if text:
            chosen.append((f"{label}：{text}" if language == "zh" else f"{label}: {text}") if label else text)
    if language == "zh":
        options = f"（{'，'.join(chosen)}）" if chosen else ""
        return f"{title}{options} {count}，单价 {price}"
    options = f" ({', '.join(chosen)})" if chosen else ""
    return f"{title}{options}, {count} at {price} each"


def _payment(order: Order, language: Language) -> str:
    zh, number = language == "zh", order.number
    placed = format_date(order.created_at, language)
    total, shipping = format_money(order.total, language), format_money(order.shipping, language)
    methods = join_words([method_name(p.method, p.hint, language) for p in order.payments], language)
    if order.state is OrderState.UNPAID:
        return (
            f"订单 {number} 于 {placed} 下单，应付 {total}（其中运费 {shipping}），还没有付款。"
            if zh
            else f"You placed order {number} on {placed}; {total} is still to be paid, {shipping} of it for shipping."
        )
    if order.state is OrderState.CANCELLED and not order.payments:
        return (
            f"订单 {number} 于 {placed} 下单，已经取消，没有付过款。"
            if zh
            else f"You placed order {number} on {placed}; it was cancelled and nothing was paid."
        )
    refunded = format_money(order.refunded, language) if order.refunded.amount else ""
    if zh:
        said = f"订单 {number} 于 {placed} 下单，{f'用{methods}付款，' if methods else ''}一共付了 {total}，其中运费 {shipping}"
        return said + (f"；已登记退款 {refunded}，到账时间看支付渠道。" if refunded else "。")
    said = f"You placed order {number} on {placed} and paid {total} in total, {shipping} of it for shipping"
    said += f", with {methods}" if methods else ""
    # Booked is not arrived: the shop counts a refund from the moment it is decided.
    return said + (
        f"; a refund of {refunded} is booked, and the bank may take some days to show it."
        if refunded
        else "."
    )


def _delivery(order: Order, language: Language) -> str:
    zh, state = language == "zh", STATES[order.state][language]
    said = f"订单 {order.number} 的状态：{state}" if zh else f"The status of order {order.number} is: {state}"
    for parcel in order.fulfilments:
        left = format_datetime(parcel.shipped_at, language)
        said += (
            f"；包裹由快递公司 {parcel.carrier} 承运，运单号 {parcel.tracking_number}，{left} 发出"
            if zh
            else f"; the parcel went with the courier {parcel.carrier}, tracking number {parcel.tracking_number}, sent {left}"
        )
        if parcel.delivered_at:
            day = format_date(parcel.delivered_at, language)
            said += f"，{day} 送达签收" if zh else f", delivered on {day}"
        elif parcel.expected_at and not order.delivered_at:
            day = format_date(parcel.expected_at, language)
            said += f"，预计 {day} 送达" if zh else f", expected on {day}"
    if order.delivered_at and not any(parcel.delivered_at for parcel in order.fulfilments):
        day = format_date(order.delivered_at, language)
        said += f"；{day} 送达签收" if zh else f"; delivered on {day}"
    return said + ("。" if zh else ".")
