"""The demo shop's data: 200 customers, their 600 orders in every state, relative to a day.

The same seed and day give the same data, to the last digit. Every moment lies before the morning of that
day, so nothing has happened in the future. It knows no database.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Any

from bot.orders.models import (
    Fulfilment,
    Invoice,
    Money,
    Operation,
    Order,
    OrderLine,
    OrderState,
    Payment,
    Request,
    RequestLine,
    TrackingEvent,
)
from bot.orders.shop.catalogue import Offer, price_in, shelf
from bot.orders.shop.operations import MONEY_BACK, RETURN_INSTRUCTIONS, SEND_BACK, pay_back
from bot.orders.shop.people import Customer, customers
from bot.orders.shop.samples import SAMPLES, order_number

SEED = 20260
ORDERS = 600
# The shop's clock: eight hours east, all year (China has no summer time).
ZONE = timezone(timedelta(hours=8))

CARRIERS = {
    "顺丰速运 SF Express": "SF",
    "京东物流 JD Logistics": "JD",
    "中通快递 ZTO Express": "ZT",
    "DHL Express": "DH",
    "UPS": "UP",
}

EVENT_TEXT = {
    "picked_up": ("快递员已揽收", "The courier has picked up the parcel"),
    "in_transit": ("到达{place}转运中心", "Arrived at the {place} sorting centre"),
    "out_for_delivery": ("快递员正在派送，请保持电话畅通", "Out for delivery today"),
    "delivered": ("已签收", "Delivered and signed for"),
    "exception": ("运输异常：包裹滞留，正在核实", "Delayed: the parcel is held up and being looked into"),
}

# What becomes of the orders that are not well-known, and how many of a hundred.
FATES: tuple[tuple[str, int], ...] = (
    ("unpaid", 7),
    ("paid", 13),
    ("packed", 8),
    ("shipped", 18),
    ("delivered", 34),
    ("cancelled", 7),
    ("partly_returned", 4),
    ("refunded", 4),
    ("exchange_approved", 3),
    ("return_approved", 2),
)
PAST = ("partly_returned", "refunded", "exchange_approved", "return_approved", "refund_approved", "invoiced")


@dataclass(frozen=True)
class Shop:
    customers: list[Customer]
    offers: list[Offer]
    orders: list[Order]


@lru_cache(maxsize=2)
def generate(today: date, *, seed: int = SEED, count: int = ORDERS) -> Shop:
    """All of the demo shop as it stands on the morning of `today`. Shared: do not change it."""
    rng = random.Random(seed)
    offers = shelf(rng)
    people = customers(rng)
    clerk = _Clerk(today, rng, offers)
    by_id = {customer.id: customer for customer in people}
    orders = []
    for sample in SAMPLES:
        orders.append(
            clerk.order(
                sample.number,
                by_id[sample.customer_id],
                sample.basket,
                sample.state,
                sample.days,
                gift_card=sample.gift_card,
                past=sample.past,
                parcel=sample.parcel,
            )
        )
    # C1005 keeps the two well-known orders only: a shopper with one parcel under way is a case of its own.
    others = [customer for customer in people if customer.id != "C1005"]
    fates = [fate for fate, weight in FATES for _ in range(weight)]
    for index in range(count - len(orders)):
        orders.append(clerk.any_order(order_number(f"{seed}/{index}"), rng.choice(others), rng.choice(fates)))
    return Shop(people, offers, orders)


class _Clerk:
    """Writes orders up as the shop would have over the last weeks."""

    def __init__(self, today: date, rng: random.Random, offers: list[Offer]) -> None:
        self._morning = datetime.combine(today, time(), ZONE)
        self._rng = rng
        self._offers = {offer.product.id: offer for offer in offers}
        self._product_ids = sorted(self._offers)

    def any_order(self, number: str, customer: Customer, fate: str) -> Order:
        rng = self._rng
        basket = {}
        for _ in range(rng.choices((1, 2, 3, 4), (55, 28, 12, 5))[0]):
            offer = self._offers[rng.choice(self._product_ids)]
            basket[rng.choice(offer.product.variants).id] = rng.choices((1, 2, 3), (80, 15, 5))[0]
        state, days = OrderState.DELIVERED, rng.randint(1, 40)
        if fate in ("unpaid", "paid", "packed", "shipped", "cancelled"):
            state = OrderState(fate)
            days = {"unpaid": 0, "paid": rng.randint(0, 2), "packed": rng.randint(1, 3)}.get(
                fate, rng.randint(1, 7)
            )
        past = fate if fate in PAST else ""
        if state is OrderState.DELIVERED and not past and rng.random() < 0.15:
            past = "invoiced"
        return self.order(
            number,
            customer,
            tuple(basket.items()),
            state,
            days,
            gift_card=rng.choice((0, 0, 0, 0, 0, 0, 5000, 10000)),
            past=past,
            parcel=rng.choices(("picked_up", "in_transit", "out_for_delivery", "exception"), (2, 5, 2, 1))[0],
        )

    def order(
        self,
        number: str,
        customer: Customer,
        basket: tuple[tuple[str, int], ...],
        state: OrderState,
        days: int,
        *,
        gift_card: int = 0,
        past: str = "",
        parcel: str = "in_transit",
    ) -> Order:
        """An order that reached `state` `days` days ago (an unpaid one was placed then)."""
        reached = self._moment(days)
        travel = self._rng.randint(2, 4)
        delivered: datetime | None = None
        shipped: datetime | None = None
        match state:
            case OrderState.DELIVERED:
                delivered, shipped = reached, reached - timedelta(days=travel)
                packed = shipped - timedelta(hours=6)
            case OrderState.SHIPPED:
                shipped, packed = reached, reached - timedelta(hours=6)
            case _:
                packed = reached
        created = packed - timedelta(hours=self._rng.randint(5, 20)) if packed is not reached else reached
        lines = tuple(
            self._line(place, variant_id, quantity, created, customer.currency)
            for place, (variant_id, quantity) in enumerate(basket, start=1)
        )
        goods = sum(line.unit_price.amount * line.quantity for line in lines)
        shipping = (
            0
            if goods >= price_in(9900, customer.currency) or _download(lines)
            else price_in(800, customer.currency)
        )
        total = Money(amount=goods + shipping, currency=customer.currency)
        is_paid = state not in (OrderState.UNPAID, OrderState.CANCELLED) or (
            state is OrderState.CANCELLED and self._rng.random() < 0.5
        )
        order = Order(
            number=number,
            version=1,
            customer_id=customer.id,
            state=state,
            created_at=created,
            paid_at=created + timedelta(minutes=2) if is_paid else None,
            delivered_at=delivered,
            lines=lines,
            address=customer.address,
            total=total,
            shipping=Money(amount=shipping, currency=customer.currency),
            payments=self._payments(total, gift_card) if is_paid else (),
            refunded=Money(amount=0, currency=customer.currency),
            fulfilments=self._parcel(customer, lines, shipped, delivered, parcel) if shipped else (),
        )
        if state is OrderState.CANCELLED:
            order = self._cancelled(order, reached)
        return self._happened(order, past)

    def _moment(self, days: int) -> datetime:
        """A moment of the day `days` ago; today's are in the small hours of the morning."""
        if days == 0:
            return self._morning - timedelta(minutes=self._rng.randint(20, 600))
        minutes = self._rng.randint(9 * 60, 20 * 60)
        return self._morning - timedelta(days=days) + timedelta(minutes=minutes)

    def _line(self, place: int, variant_id: str, quantity: int, bought: datetime, currency: str) -> OrderLine:
        offer = self._offers[variant_id.rsplit("-", 1)[0]]
        product = offer.product
        variant = next(variant for variant in product.variants if variant.id == variant_id)
        return OrderLine(
            id=f"L{place}",
            product_id=product.id,
            variant_id=variant.id,
            title=product.title,
            options=variant.options,
            category=product.category,
            tags=product.tags,
            quantity=quantity,
            quantity_open=quantity,
            # Prices fell this morning: everything bought so far cost what it cost before.
            unit_price=Money(amount=price_in(offer.before[variant_id], currency), currency=currency),
        )

    def _payments(self, total: Money, gift_card: int) -> tuple[Payment, ...]:
        rng = self._rng
        methods: tuple[Any, ...] = ("wechat_pay", "alipay") if total.currency == "CNY" else ("card", "paypal")
        method = rng.choice(methods)
        hint = f"**** {rng.randrange(10000):04d}" if method == "card" else ""
        card = min(price_in(gift_card, total.currency) if gift_card else 0, total.amount)
        payments = []
        if card:
            payments.append(
                Payment(
                    id="PAY1",
                    method="gift_card",
                    amount=Money(amount=card, currency=total.currency),
                    hint=f"**** {rng.randrange(10000):04d}",
                )
            )
        if total.amount > card:
            payments.append(
                Payment(
                    id=f"PAY{len(payments) + 1}",
                    method=method,
                    amount=Money(amount=total.amount - card, currency=total.currency),
                    hint=hint,
                )
            )
        return tuple(payments)

    def _parcel(
        self,
        customer: Customer,
        lines: tuple[OrderLine, ...],
        shipped: datetime,
        delivered: datetime | None,
        reached: str,
    ) -> tuple[Fulfilment, ...]:
        if _download(lines):
            return ()
        rng = self._rng
        home = customer.address.country == "CN"
        carrier = rng.choice(list(CARRIERS)[:3] if home else list(CARRIERS)[3:])
        way = ("上海", "Shanghai"), (customer.address.city.removesuffix("市"), customer.address.city)
        steps: list[tuple[str, tuple[str, str]]] = [("picked_up", way[0]), ("in_transit", way[0])]
        if delivered or reached == "out_for_delivery":
            steps += [("in_transit", way[1]), ("out_for_delivery", way[1])]
        elif reached == "exception":
            steps += [("exception", way[0])]
        elif reached == "picked_up":
            steps = steps[:1]
        if delivered:
            steps.append(("delivered", way[1]))
        # Spread over what has passed; a held-up parcel was last heard of soon after it left.
        heard = self._morning - timedelta(minutes=5)
        end = delivered or (min(shipped + timedelta(days=1), heard) if reached == "exception" else heard)
        span = (end - shipped) / max(1, len(steps) - 1)
        events = tuple(
            TrackingEvent(
                at=(shipped + span * place).replace(microsecond=0),
                status=status,
                place=where[0] if home else where[1],
                text={
                    "zh": EVENT_TEXT[status][0].format(place=where[0]),
                    "en": EVENT_TEXT[status][1].format(place=where[1].removesuffix("市")),
                },
            )
            for place, (status, where) in enumerate(steps)
        )
        return (
            Fulfilment(
                id="F1",
                carrier=carrier,
                tracking_number=f"{CARRIERS[carrier]}{rng.randrange(10**12):012d}",
                shipped_at=shipped,
                expected_at=shipped + timedelta(days=4 if home else 8),
                delivered_at=delivered,
                lines=tuple(line.id for line in lines),
                events=events,
            ),
        )

    def _cancelled(self, order: Order, at: datetime) -> Order:
        whole = sum(payment.amount.amount for payment in order.payments)
        payments, _ = pay_back(order, whole)
        return order.model_copy(
            update={
                "version": 2,
                "cancelled_at": at + timedelta(hours=1),
                "payments": payments,
                "refunded": Money(amount=whole, currency=order.total.currency),
                "lines": tuple(line.model_copy(update={"quantity_open": 0}) for line in order.lines),
            }
        )

    def _happened(self, order: Order, past: str) -> Order:
        """What has become of a delivered order since."""
        if not past or order.delivered_at is None:
            return order
        if past == "invoiced":
            invoice = Invoice(
                id=f"INV{self._rng.randrange(10**8):08d}",
                kind="personal",
                title=order.address.name,
                email="i***@example.com",
                sent_at=order.delivered_at + timedelta(hours=5),
            )
            return order.model_copy(update={"version": 2, "invoice": invoice})
        at = min(order.delivered_at + timedelta(days=1), self._morning - timedelta(hours=2))
        everything = past in ("refunded", "refund_approved")
        taken = order.lines if everything else order.lines[:1]
        quantities = {line.id: line.quantity if everything else 1 for line in taken}
        amount = sum(line.unit_price.amount * quantities[line.id] for line in taken)
        exchanged = past == "exchange_approved"
        money_back = past in ("refunded", "refund_approved", "partly_returned")
        payments, split = pay_back(order, 0 if exchanged else amount)
        operation = {
            "refunded": Operation.REFUND,
            "refund_approved": Operation.REFUND,
            "exchange_approved": Operation.EXCHANGE,
        }.get(past, Operation.RETURN)
        done = past in ("refunded", "partly_returned")
        request = Request(
            id=f"RQ{self._rng.randrange(10**10):010d}",
            operation=operation,
            status="completed" if done else "approved",
            lines=tuple(
                RequestLine(
                    line_id=line.id,
                    quantity=quantities[line.id],
                    variant_id=self._other_variant(line) if exchanged else None,
                )
                for line in taken
            ),
            reason={"exchange_approved": "wrong_size", "refunded": "damaged"}.get(past, "changed_mind"),
            amount=None if exchanged else Money(amount=amount, currency=order.total.currency),
            destination=None
            if exchanged
            else " + ".join(f"{part['method']} {part['hint']}".strip() for part in split) or None,
            created_at=at,
            due_at=at + (MONEY_BACK if operation is Operation.REFUND else SEND_BACK),
            instructions={} if operation is Operation.REFUND else RETURN_INSTRUCTIONS,
        )
        return order.model_copy(
            update={
                "version": 3 if done else 2,
                "lines": tuple(
                    line.model_copy(update={"quantity_open": line.quantity - quantities.get(line.id, 0)})
                    for line in order.lines
                ),
                "payments": payments if money_back else order.payments,
                "refunded": Money(amount=amount if money_back else 0, currency=order.total.currency),
                "requests": (request,),
            }
        )

    def _other_variant(self, line: OrderLine) -> str:
        variants = self._offers[line.product_id].product.variants
        others = [variant.id for variant in variants if variant.id != line.variant_id]
        return self._rng.choice(others) if others else line.variant_id


def _download(lines: tuple[OrderLine, ...]) -> bool:
    return all("download" in line.tags for line in lines)
