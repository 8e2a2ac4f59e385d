"""What a shopper may want, as a button or a sentence says it."""

from __future__ import annotations

from actions.replies import button
from bot.context import TOPICS
from bot.message import Button, Language

NAMES: dict[str, tuple[str, str]] = {
    "order_status": ("查订单", "Check an order"),
    "delivery": ("查物流", "Track a parcel"),
    "cancel_order": ("取消订单", "Cancel an order"),
    "modify_address": ("修改收货地址", "Change the address"),
    "modify_order": ("修改商品规格", "Change an item's option"),
    "refund_request": ("申请退款", "Get a refund"),
    "refund_status": ("查售后进度", "Check a request"),
    "withdraw_request": ("撤销售后申请", "Withdraw a request"),
    "return_request": ("退货", "Return an item"),
    "exchange_request": ("换货", "Exchange an item"),
    "price_protection": ("申请价保", "Price protection"),
    "invoice": ("开发票", "Get an invoice"),
}

PERSON = {"zh": "人工客服", "en": "Talk to a person"}


def name_of(intent: str, language: Language) -> str:
    """The wish as the title of a button."""
    return NAMES[intent][0 if language == "zh" else 1]


def phrase_of(intent: str, language: Language) -> str:
    """The wish inside a sentence: ``退货``, ``return an item``."""
    name = name_of(intent, language)
    return name if language == "zh" else name[0].lower() + name[1:]


def wish_button(intent: str, language: Language) -> Button:
    return button(name_of(intent, language), intent)


def person_button(language: Language) -> Button:
    return button(PERSON[language], "human_agent")


def intent_of(topic: str) -> str:
    """The intent that begins a topic."""
    return next(intent for intent, found in TOPICS.items() if found == topic)
