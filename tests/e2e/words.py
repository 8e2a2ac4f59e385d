"""What shoppers say in the end-to-end tests, in both languages, and how to reach a plan."""

from __future__ import annotations

from bot.orders.shop.samples import Sample
from tests.e2e.assistant import Said, Shopper

LANGUAGES = ("zh", "en")

WISHES = {
    "order_status": {"zh": "帮我查一下订单 {number} 到哪了", "en": "Where is my order {number}?"},
    "refund": {"zh": "订单 {number} 我要退款", "en": "I want a refund for order {number}"},
    "return_goods": {"zh": "订单 {number} 我要退货", "en": "I want to return order {number}"},
    "exchange": {"zh": "订单 {number} 我要换货", "en": "I want to exchange order {number}"},
    "cancel_order": {"zh": "取消订单 {number}", "en": "Please cancel order {number}"},
    "modify_address": {
        "zh": "订单 {number} 改一下收货地址",
        "en": "I want to change the address of order {number}",
    },
    "withdraw_request": {
        "zh": "订单 {number} 撤销退货申请",
        "en": "I want to withdraw my return request for order {number}",
    },
    "price_protection": {
        "zh": "订单 {number} 申请价保",
        "en": "The price dropped, I want the difference back for order {number}",
    },
}
REASONS = {
    "changed_mind": {"zh": "不想要了", "en": "I changed my mind"},
    "quality_fault": {"zh": "质量有问题", "en": "it is faulty"},
    "damaged": {"zh": "收到的时候就坏了", "en": "it arrived damaged"},
    "wrong_size": {"zh": "尺码不合适", "en": "wrong size"},
}
YES = {"zh": "确认", "en": "yes"}
NO = {"zh": "不用了", "en": "no"}
NO_PHOTO = {"zh": "没有照片", "en": "no photo"}
PERSON = {"zh": "转人工", "en": "I want to talk to a human"}
ADDRESS = {
    "zh": "浙江省杭州市西湖区文三路 100 号 2 幢 301",
    "en": "500 Howard Street, San Francisco, California 94105",
}


def wish(topic: str, sample: Sample, language: str) -> str:
    return WISHES[topic][language].format(number=sample.number)


def tail(sample: Sample, language: str) -> str:
    """What the buyer answers to the question for a proof."""
    return f"手机尾号{sample.phone_tail}" if language == "zh" else f"phone ends in {sample.phone_tail}"


async def ask_for(shopper: Shopper, topic: str, sample: Sample, *more: str) -> Said:
    """Say the wish with the order's number, prove it, and say `more`; returns the last replies."""
    language = shopper.language
    return await shopper.say(wish(topic, sample, language), tail(sample, language), *more)


def is_plan(said: Said) -> bool:
    return "plan" in said.cards
