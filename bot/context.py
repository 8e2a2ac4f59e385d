"""What a message means beside the question that stands, and what it may mean when none stands.

"123", "第二个", "顺丰", "嗯 对" or "不要了" answer a question; without one they are not guessed. And a score
that is too low, or too close to the next one, is not an understanding: it becomes `nlu_fallback`, and
the two likeliest intents stay in the ranking, so that Kefu can ask which of them was meant.
This module knows the names of the intents that hang on context; it knows no framework.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bot.normalise import ORDER_TOKEN, normalise

ANSWERING = frozenset({"inform", "context_only"})
CONVERSING = frozenset(
    {"affirm", "deny", "inform", "correct", "stop", "context_only", "greet", "thanks", "bye"}
)
FALLBACK = "nlu_fallback"
THREATENED = "complaint"  # whose action hands a threat over
# Intents that start something about an order; wrongly started, they cost the shopper a turn or worse.
FLOWS = frozenset(
    {
        "order_status",
        "delivery",
        "cancel_order",
        "modify_address",
        "modify_order",
        "refund_request",
        "refund_status",
        "withdraw_request",
        "return_request",
        "exchange_request",
        "invoice",
        "price_protection",
    }
)

# Bare answers: a number, an ordinal, a courier, a way to pay, a size, a colour, a place, a day, "this one".
_BARE = re.compile(
    rf"(?:(?:就|是|要|选|那|用|发|走|我要|我选|应该是|好像是)?(?:"
    rf"{ORDER_TOKEN}|5|第?[一二三四五两\d]+[个件双条单台套]?|这个|那个|全部|都要|左边|右边|上面|下面|前者|后者|随便|都行|都可以"
    r"|顺丰|圆通|中通|韵达|申通|邮政|京东|极兔|德邦|ems|微信|支付宝|银行卡|信用卡|花呗|白条|余额|货到付款"
    r"|[黑白红蓝灰粉绿黄紫]色?|大码|小码|[smlx]{1,4}码?|今天|明天|后天|上午|下午|晚上|周[一二三四五六日末]|家里|公司"
    r")的?(?:吧|呢|啊|呀|哦|支付)?)"
    r"|(?:the )?(?:first|second|third|last|other|blue|black|red|white|green|small|large|medium|big) ?(?:one)?"
    r"|this one|that one|both|all(?: of them)?|either|any|visa|paypal|mastercard|cash|ups|fedex|dhl|today|tomorrow|[a-z]|[smlx]{1,3}",
    re.I,
)
_DROPPED = re.compile(
    r"(?:我)?(?:都|就)?(?:不要|不用|不需要|不想要|不买|不退|不换|不取消|不改)了?(?:吧|啊|谢谢)?|算了(?:吧)?|i don'?t want (?:it|that|this)",
    re.I,
)


@dataclass(frozen=True)
class Gate:
    """Below `least`, or with the runner-up within `gap`, a message counts as not understood."""

    least: float = 0.40
    gap: float = 0.06
    hanging: float = 0.25  # chance of hanging on context from which a flow is not started without asking


def is_bare(text: str) -> bool:
    """Whether a message is an answer to something and nothing else."""
    form = re.sub(r"[\s,，。.!！?？~、:：;；]+", " ", normalise(text)).strip()
    return not form or not re.search(r"\w|№", form) or _BARE.fullmatch(form) is not None


def in_context(
    text: str, ranking: Sequence[tuple[str, float]], question: str | None, gate: Gate = Gate()
) -> list[tuple[str, float]]:
    """The ranking of intents, seen beside the question that stands (`question`, or None).

    The answer begins with what to act on; the rest keeps its order. Confidences are the classifier's.
    """
    ranking = list(ranking)
    if not ranking:
        return [(FALLBACK, 0.0)]
    top, sure = ranking[0]
    if question is not None:
        if _DROPPED.fullmatch(normalise(text)):
            return _first("deny", ranking, 0.9)
        if is_bare(text) or top in ANSWERING:
            return _first("inform", ranking, max(sure, 0.8) if is_bare(text) else sure)
        if (
            sure < gate.least and len(text) <= 40
        ):  # more likely an answer in the shopper's own words than a new wish
            return _first("inform", ranking, sure)
    else:
        if is_bare(text):
            return _first("context_only", ranking, 0.9)
        if top in ("inform", "correct") and ORDER_TOKEN not in normalise(text):
            return _first("context_only", ranking, sure)
        hanging = sum(chance for name, chance in ranking if name in ANSWERING)
        if top in FLOWS and hanging >= gate.hanging:
            return [(FALLBACK, sure), *ranking]
    rival = next((chance for name, chance in ranking[1:] if name not in ANSWERING), 0.0)
    if sure < gate.least or sure - rival < gate.gap:
        return [(FALLBACK, sure), *ranking]
    return ranking


def _first(name: str, ranking: list[tuple[str, float]], confidence: float) -> list[tuple[str, float]]:
    return [(name, round(confidence, 4)), *(one for one in ranking if one[0] != name)]
