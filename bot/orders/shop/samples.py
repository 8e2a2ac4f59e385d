"""The well-known orders of the demo shop: fixed numbers for demos and tests.

Each shows one case of a topic, happy or refused. Numbers and customers never change; dates are relative
to the day the data was made. `docs/order-api.md` lists them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from bot.orders.models import OrderState
from bot.orders.shop.people import FIXED, Customer

# (variant, quantity)
Basket = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Sample:
    """One well-known order. `days` counts back from today: delivered, shipped, or ordered so long ago."""

    name: str
    customer_id: str
    state: OrderState
    days: int
    basket: Basket
    shows: tuple[str, str]  # zh, en: what one can try with it
    topic: str
    gift_card: int = 0  # fen paid by gift card
    past: str = ""  # what has happened to it: see `data._happened`
    parcel: str = "in_transit"  # how far a shipped parcel is

    @property
    def number(self) -> str:
        return order_number(self.name)

    @property
    def customer(self) -> Customer:
        return next(customer for customer in FIXED if customer.id == self.customer_id)

    @property
    def phone_tail(self) -> str:
        return self.customer.phone.replace(" ", "")[-4:]

    @property
    def email(self) -> str:
        return self.customer.email

    @property
    def postcode(self) -> str:
        return self.customer.address.postcode


def order_number(seed: str) -> str:
    """Seventeen digits, the first an 8: the one shape of this shop's order numbers.

    Not taken for a phone (11 digits), an identity card (18) or, its Luhn sum never being right, a bank card.
    """
    text = f"order {seed}"
    while True:
        digest = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        number = f"8{digest % 10**16:016d}"
        if _luhn_sum(number) % 10:
            return number
        text += "'"


def _luhn_sum(digits: str) -> int:
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled)


def sample(name: str) -> Sample:
    """The well-known order of that name; KeyError when there is none."""
    return BY_NAME[name]


U, P, K, S, D, X = (
    OrderState.UNPAID,
    OrderState.PAID,
    OrderState.PACKED,
    OrderState.SHIPPED,
    OrderState.DELIVERED,
    OrderState.CANCELLED,
)

SAMPLES: tuple[Sample, ...] = (
    # order_status
    Sample("status_shipped", "C1001", S, 2, (("P2008-01", 1), ("P4101-01", 2)), ("包裹在路上，查物流", "Parcel on its way, ask where it is"), "order_status"),
    Sample("status_out_for_delivery", "C1002", S, 3, (("P2002-02", 1),), ("今天派送", "Out for delivery today"), "order_status", parcel="out_for_delivery"),
    Sample("status_stuck", "C1003", S, 9, (("P6003-01", 1),), ("物流异常，多日不动", "Parcel stuck for days"), "order_status", parcel="exception"),
    Sample("status_paid", "C1004", P, 1, (("P6005-02", 2),), ("已付款，待发货", "Paid, not sent yet"), "order_status"),
    Sample("status_unpaid", "C1007", U, 0, (("P2101-01", 1),), ("还没付款", "Not paid yet"), "order_status"),
    Sample("status_cancelled", "C1006", X, 5, (("P7001-01", 1),), ("已取消", "Cancelled"), "order_status"),
    Sample("status_only_order", "C1005", S, 1, (("P3101-01", 1),), ("这位顾客只有这一个在途订单", "This customer's only parcel under way"), "order_status"),
    # refund
    Sample("refund_paid", "C1001", P, 1, (("P6002-01", 1),), ("未发货，可退款", "Not sent yet, can be refunded"), "refund"),
    Sample("refund_split", "C1007", P, 1, (("P2106-01", 1),), ("礼品卡付了一部分，退款分两路", "Partly paid by gift card, the refund is split"), "refund", gift_card=30000),
    Sample("refund_paid_en", "C1002", P, 2, (("P1101-04", 1), ("P7101-01", 1)), ("未发货，两件商品", "Not sent yet, two items"), "refund"),
    Sample("refund_fresh_damaged", "C1003", D, 1, (("P4001-01", 1),), ("生鲜昨天签收，坏果可退款", "Fresh goods delivered yesterday, damaged"), "refund"),
    Sample("refund_large", "C1008", P, 1, (("P2003-02", 1),), ("金额大，需要人工", "A large amount, a person decides"), "refund"),
    Sample("refund_download", "C1004", D, 2, (("P5101-01", 1),), ("下载商品不支持退款", "A download, not refundable"), "refund"),
    Sample("refund_unpaid", "C1003", U, 0, (("P6006-01", 1),), ("没付款，无款可退", "Unpaid, nothing to refund"), "refund"),
    Sample("refund_done", "C1007", D, 12, (("P2006-01", 1),), ("已经退过款", "Already refunded"), "refund", past="refunded"),
    Sample("refund_under_way", "C1006", D, 6, (("P5003-02", 1),), ("退款进行中，查进度", "Refund under way, ask how it goes"), "refund", past="refund_approved"),
    # return_goods
    Sample("return_day3", "C1001", D, 3, (("P1001-02", 2), ("P1005-03", 1)), ("签收 3 天，可退货", "Delivered 3 days ago, can go back"), "return_goods"),
    Sample("return_day3_en", "C1002", D, 3, (("P1006-02", 1), ("P7002-01", 2)), ("签收 3 天（英文顾客）", "Delivered 3 days ago"), "return_goods"),
    Sample("return_day7", "C1003", D, 7, (("P1102-04", 1),), ("七天无理由的最后一天", "The last day of seven"), "return_goods"),
    Sample("return_day8", "C1001", D, 8, (("P1003-06", 1),), ("过了七天，只能因质量退", "Past seven days: only for a fault"), "return_goods"),
    Sample("return_day16", "C1004", D, 16, (("P2007-01", 1),), ("过了十五天", "Past fifteen days"), "return_goods"),
    Sample("return_made_to_order", "C1007", D, 2, (("P8001-01", 1),), ("定制商品", "Made to order"), "return_goods"),
    Sample("return_fresh", "C1005", D, 1, (("P4003-01", 2),), ("生鲜不支持七天无理由", "Fresh goods, no change of mind"), "return_goods"),
    Sample("return_hygiene", "C1006", D, 4, (("P3104-03", 1),), ("卫生用品，要问是否拆封", "Hygiene goods: opened or not?"), "return_goods"),
    Sample("return_partly", "C1003", D, 5, (("P1104-03", 2), ("P1008-01", 1)), ("已经退过一件", "One item has gone back already"), "return_goods", past="partly_returned"),
    Sample("return_under_way", "C1001", D, 5, (("P6004-01", 1),), ("退货进行中，可撤销", "Return under way, can be withdrawn"), "return_goods", past="return_approved"),
    # exchange
    Sample("exchange_size", "C1001", D, 4, (("P1002-01", 1),), ("换尺码，有货", "Another size, in stock"), "exchange"),
    Sample("exchange_size_en", "C1002", D, 4, (("P1101-03", 1),), ("换鞋码（英文顾客）", "Another shoe size, in stock"), "exchange"),
    Sample("exchange_out_of_stock", "C1003", D, 3, (("P1009-02", 1),), ("想换的尺码没货", "The other sizes are sold out"), "exchange"),
    Sample("exchange_price_difference", "C1007", D, 2, (("P2103-01", 1),), ("换大容量，有差价", "A larger one costs more"), "exchange"),
    Sample("exchange_late", "C1006", D, 20, (("P1005-02", 1),), ("过了期限", "Too late"), "exchange"),
    Sample("exchange_under_way", "C1004", D, 6, (("P1101-10", 1),), ("换货进行中", "Exchange under way"), "exchange", past="exchange_approved"),
    # cancel_order
    Sample("cancel_paid", "C1003", P, 1, (("P7003-01", 1),), ("已付款，可取消", "Paid, can be cancelled"), "cancel_order"),
    Sample("cancel_paid_en", "C1006", P, 1, (("P2101-02", 1),), ("已付款，可取消（英文顾客）", "Paid, can be cancelled"), "cancel_order"),
    Sample("cancel_unpaid", "C1001", U, 0, (("P4102-01", 1),), ("未付款，可取消", "Unpaid, can be cancelled"), "cancel_order"),
    Sample("cancel_packed", "C1004", K, 1, (("P5002-01", 1), ("P5004-01", 1)), ("已打包", "Packed already"), "cancel_order"),
    Sample("cancel_shipped", "C1007", S, 2, (("P7103-01", 1),), ("已发货，不能取消", "Sent already, too late to cancel"), "cancel_order"),
    # modify_address
    Sample("address_paid", "C1007", P, 1, (("P6001-01", 1),), ("未发货，可改地址", "Not sent yet, address can change"), "modify_address"),
    Sample("address_paid_en", "C1002", P, 1, (("P6007-01", 2),), ("未发货，可改地址（英文顾客）", "Not sent yet, address can change"), "modify_address"),
    Sample("address_packed", "C1003", K, 1, (("P2009-01", 1),), ("已打包，改地址", "Packed, change the address"), "modify_address"),
    Sample("address_shipped", "C1006", S, 1, (("P1004-02", 1),), ("已发货，不能改地址", "Sent already, too late to change it"), "modify_address"),
    # invoice
    Sample("invoice_delivered", "C1008", D, 10, (("P2005-01", 1),), ("开发票", "Needs an invoice"), "invoice"),
    Sample("invoice_sent", "C1003", D, 15, (("P2104-01", 1),), ("发票重发", "Invoice once more"), "invoice", past="invoiced"),
    Sample("invoice_unpaid", "C1008", U, 0, (("P6004-01", 1),), ("没付款，不能开票", "Unpaid, no invoice"), "invoice"),
    # price_protection
    Sample("price_drop", "C1001", D, 2, (("P2001-01", 1),), ("买后降价，可价保", "The price fell after the purchase"), "price_protection"),
    Sample("price_drop_en", "C1006", P, 2, (("P2001-02", 1),), ("买后降价（英文顾客）", "The price fell after the purchase"), "price_protection"),
    Sample("price_no_drop", "C1007", D, 3, (("P7102-01", 1),), ("没有降价", "The price has not fallen"), "price_protection"),
    Sample("price_drop_late", "C1003", D, 40, (("P2102-01", 1),), ("降价但过了价保期", "The price fell, but too late"), "price_protection"),
    # change_items
    Sample("items_paid", "C1008", P, 1, (("P1001-05", 1),), ("未发货，可换规格", "Not sent yet, options can change"), "change_items"),
)  # fmt: skip

BY_NAME = {entry.name: entry for entry in SAMPLES}
