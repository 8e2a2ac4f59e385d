"""The demo shop's page: orders to try, with what their shoppers know, and a way into the chat.

It shows proof material on purpose, of people who do not exist. It signs the links of "chat as this
customer" as a real site would.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import urlencode

import jinja2
import jwt

from bot.orders.models import Money, Order
from bot.orders.shop.data import ZONE
from bot.orders.shop.samples import BY_NAME
from bot.settings import Settings

Lang = Literal["zh", "en"]

SITE = "demo"
IDENTITY_LIFE = timedelta(hours=1)

TOPICS: dict[str, dict[Lang, str]] = {
    "order_status": {"zh": "查订单、查物流", "en": "Where is my order?"},
    "refund": {"zh": "退款", "en": "Refunds"},
    "return_goods": {"zh": "退货", "en": "Returns"},
    "exchange": {"zh": "换货", "en": "Exchanges"},
    "cancel_order": {"zh": "取消订单", "en": "Cancel an order"},
    "modify_address": {"zh": "改地址", "en": "Change the address"},
    "invoice": {"zh": "发票", "en": "Invoices"},
    "price_protection": {"zh": "价格保护", "en": "Price protection"},
    "change_items": {"zh": "改规格", "en": "Change options"},
}
STATES: dict[str, dict[Lang, str]] = {
    "unpaid": {"zh": "待付款", "en": "Unpaid"},
    "paid": {"zh": "已付款", "en": "Paid"},
    "packed": {"zh": "已打包", "en": "Packed"},
    "shipped": {"zh": "已发货", "en": "On its way"},
    "delivered": {"zh": "已签收", "en": "Delivered"},
    "cancelled": {"zh": "已取消", "en": "Cancelled"},
}
SYMBOLS = {"CNY": "¥", "USD": "$", "EUR": "€"}


def identity_token(
    site: str, secret: str, customer_id: str, name: str, *, now: datetime, life: timedelta = IDENTITY_LIFE
) -> str:
    """What a site gives its signed-in customer's chat: a JWT (HS256) the gateway verifies."""
    claims = {"sub": customer_id, "name": name, "aud": site, "iat": now, "exp": now + life}
    return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": site})


def chat_url(settings: Settings, customer_id: str | None = None, name: str = "", *, now: datetime) -> str:
    """The chat's address, as this customer when one is given."""
    base = (settings.gateway.public_url or settings.gateway.url).rstrip("/")
    query = {"site": SITE}
    site = settings.sites.get(SITE)
    if customer_id is not None and site is not None:
        query["identity"] = identity_token(SITE, site.secret, customer_id, name, now=now)
    return f"{base}/?{urlencode(query)}"


def language(asked: str | None, accepted: str) -> Lang:
    """What the visitor asked for, else the first of Chinese and English the browser names."""
    if asked in ("zh", "en"):
        return "zh" if asked == "zh" else "en"
    for tag in re.findall(r"[a-zA-Z]{2,3}", accepted):
        if tag.lower() in ("zh", "en"):
            return "zh" if tag.lower() == "zh" else "en"
    return "zh"


def page_template(name: str) -> jinja2.Template:
    """A page of the demo shop, which escapes what is filled in."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(files("bot.orders.shop").joinpath(name).read_text("utf-8"))


def render(
    samples: list[tuple[Order, dict[str, str]]], lang: Lang, settings: Settings, *, now: datetime
) -> str:
    """The page as HTML."""
    template = page_template("page.html")
    cards: dict[str, list[dict[str, Any]]] = {topic: [] for topic in TOPICS}
    for order, knows in samples:
        sample = BY_NAME[knows["sample"]]
        cards[sample.topic].append(
            {
                "number": order.number,
                "state": order.state.value,
                "state_text": STATES[order.state.value][lang],
                "when": _when(order, now, lang),
                "shows": sample.shows[0 if lang == "zh" else 1],
                "lines": [
                    {
                        "title": line.title[lang],
                        "options": " · ".join(value[lang] for value in line.options.values()),
                        "quantity": line.quantity,
                        "price": _price(line.unit_price),
                    }
                    for line in order.lines
                ],
                "total": _price(order.total),
                "knows": knows,
                "chat": chat_url(settings, order.customer_id, knows["name"], now=now),
            }
        )
    return template.render(
        lang=lang,
        topics=[(TOPICS[topic][lang], topic, entries) for topic, entries in cards.items() if entries],
        chat=chat_url(settings, now=now),
    )


def _price(money: Money) -> str:
    return f"{SYMBOLS.get(money.currency, money.currency + ' ')}{money.amount / 100:,.2f}"


def _when(order: Order, now: datetime, lang: Lang) -> str:
    moment = order.delivered_at or order.cancelled_at or order.created_at
    days = (now.astimezone(ZONE).date() - moment.astimezone(ZONE).date()).days
    if days <= 0:
        return "今天" if lang == "zh" else "today"
    if days == 1:
        return "昨天" if lang == "zh" else "yesterday"
    return f"{days} 天前" if lang == "zh" else f"{days} days ago"
