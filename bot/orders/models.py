"""What the order API speaks of. The shapes of `openapi.yaml`, nothing more.

Money is integer minor units with a currency. Times are timezone-aware. These models know no HTTP
and no policy; a field the shop does not send is an error here, not a guess later.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    # A shop may send more than the contract says; what we do not know we do not use.
    model_config = ConfigDict(extra="ignore", frozen=True)


class Money(Model):
    amount: int = Field(description="minor units, e.g. fen or cents")
    currency: str = Field(min_length=3, max_length=3, description="ISO 4217")


class OrderState(StrEnum):
    UNPAID = "unpaid"
    PAID = "paid"
    PACKED = "packed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class Operation(StrEnum):
    """Every write of the order API."""

    CANCEL = "cancel"
    CHANGE_ADDRESS = "change_address"
    CHANGE_ITEMS = "change_items"
    REFUND = "refund"
    RETURN = "return"
    EXCHANGE = "exchange"
    UPDATE_REQUEST = "update_request"
    WITHDRAW_REQUEST = "withdraw_request"
    SEND_INVOICE = "send_invoice"
    PRICE_PROTECTION = "price_protection"


class Address(Model):
    name: str
    phone: str
    country: str = Field(min_length=2, max_length=2, description="ISO 3166-1")
    province: str = ""
    city: str = ""
    district: str = ""
    street: str
    postcode: str = ""


class TrackingEvent(Model):
    at: datetime
    status: str  # picked_up, in_transit, out_for_delivery, delivered, exception
    place: str = ""
    text: dict[str, str] = Field(default_factory=dict)  # by language, zh and en


class Fulfilment(Model):
    id: str
    carrier: str
    tracking_number: str
    shipped_at: datetime
    expected_at: datetime | None = None
    delivered_at: datetime | None = None
    lines: tuple[str, ...] = ()  # order line ids
    events: tuple[TrackingEvent, ...] = ()  # newest last


class Payment(Model):
    id: str
    method: Literal["wechat_pay", "alipay", "card", "paypal", "gift_card"]
    amount: Money
    refunded: Money | None = None  # what has gone back to it so far
    hint: str = ""  # e.g. "**** 4242", safe to show to the proven customer


class OrderLine(Model):
    id: str
    product_id: str
    variant_id: str
    title: dict[str, str]  # by language, zh and en
    options: dict[str, dict[str, str]] = Field(default_factory=dict)  # name -> value by language
    category: str  # a category of the policy: apparel, electronics, fresh, hygiene, ...
    tags: tuple[str, ...] = ()  # made_to_order, perishable, hygiene, download, ...
    quantity: int = Field(ge=1)
    quantity_open: int = Field(ge=0, description="neither returned, refunded nor in a request")
    unit_price: Money  # what was paid for one
    opened: bool | None = None


class Request(Model):
    """An after-sales request: a refund, return, exchange or price-protection claim."""

    id: str
    operation: Operation
    status: str  # requested, approved, in_transit, received, completed, refused, withdrawn
    lines: tuple[RequestLine, ...] = ()
    reason: str = ""
    amount: Money | None = None
    destination: str | None = None  # where the money goes, safe to show
    created_at: datetime
    due_at: datetime | None = None
    instructions: dict[str, str] = Field(default_factory=dict)  # by language


class RequestLine(Model):
    line_id: str
    quantity: int = Field(ge=1)
    variant_id: str | None = None  # the wanted variant of an exchange


class Invoice(Model):
    id: str
    kind: Literal["personal", "company"]
    title: str
    tax_number: str = ""
    email: str = ""
    sent_at: datetime | None = None


class Order(Model):
    number: str
    version: int
    customer_id: str
    state: OrderState
    created_at: datetime
    paid_at: datetime | None = None
    delivered_at: datetime | None = None
    cancelled_at: datetime | None = None
    lines: tuple[OrderLine, ...]
    address: Address
    total: Money
    shipping: Money
    payments: tuple[Payment, ...] = ()
    refunded: Money
    fulfilments: tuple[Fulfilment, ...] = ()
    requests: tuple[Request, ...] = ()
    invoice: Invoice | None = None
    note: str = ""


class OrderSummary(Model):
    """A line of "find orders of a proven customer"."""

    number: str
    version: int
    state: OrderState
    created_at: datetime
    total: Money
    title: dict[str, str]  # first item, by language
    count: int  # items


class Variant(Model):
    id: str
    product_id: str
    options: dict[str, dict[str, str]]
    price: Money
    stock: int = Field(ge=0)


class Product(Model):
    id: str
    title: dict[str, str]
    description: dict[str, str] = Field(default_factory=dict)
    category: str
    tags: tuple[str, ...] = ()
    variants: tuple[Variant, ...]


class ProofKind(StrEnum):
    PHONE_TAIL = "phone_tail"  # the last four digits of the phone on the order
    EMAIL = "email"
    POSTCODE = "postcode"
    CHANNEL_ACCOUNT = "channel_account"  # e.g. wechat:openid, telegram:id, site:customer id


class Grant(Model):
    """What the shop hands out for a good proof. Opaque, short-lived, sent back with every call."""

    token: str
    kind: ProofKind
    customer_id: str
    customer_name: str = ""
    order_number: str | None  # None: all orders of the customer (channel account)
    proven_at: datetime
    expires_at: datetime


class Receipt(Model):
    """Proof that a write happened. The same idempotency key always returns the same receipt."""

    id: str
    operation: Operation
    order: str
    key: str
    at: datetime
    version: int  # of the order, after the write
    amount: Money | None = None
    destination: str | None = None
    request_id: str | None = None
    due_at: datetime | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class Outcome(Model):
    """What became of a write, read under its idempotency key.

    awaiting_goods  nothing to do before the goods have come back
    open            it is the shop's turn: money or goods are still to be sent
    done            the money has arrived, or the new goods are on their way
    refused         the shop will not do it
    withdrawn       it is not wanted any more
    """

    state: Literal["awaiting_goods", "open", "done", "refused", "withdrawn"]
    since: datetime | None = None  # since when it stands like this, where the shop knows


Request.model_rebuild()
