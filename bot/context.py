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

from bot.addresses import read_address
from bot.normalise import ORDER_TOKEN, normalise, visible

ANSWERING = frozenset({"inform", "context_only"})
FALLBACK = "nlu_fallback"
THREATENED = "complaint"  # whose action hands a threat over
# Intents that start something about an order, and the topic that carries it out; wrongly started, they cost the
# shopper a turn or worse.
TOPICS = {
    "order_status": "order_status",
    "delivery": "order_status",
    "cancel_order": "cancel_order",
    "modify_address": "modify_address",
    "modify_order": "modify_order",
    "refund_request": "refund",
    "refund_status": "refund_status",
    "withdraw_request": "withdraw_request",
    "return_request": "return_goods",
    "exchange_request": "exchange",
    "invoice": "invoice",
    "price_protection": "price_protection",
}
FLOWS = frozenset(TOPICS)
QUESTIONS = frozenset(
    {"policy_question", "shipping_question", "product_question", "promotion", "payment_issue", "account"}
)
# What the articles are searched for, whichever of these it is.
LOOKED_UP = QUESTIONS | {"fault"}
LOOKING = frozenset({"order_status", "delivery", "refund_status"})

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

# Said of a parcel that is still to go somewhere, beside a whole address.
_MOVES = re.compile(
    r"搬(?:家|走|了|到)|地址(?:变|换|改|错|写错|填错|不对)|新(?:的)?(?:收货)?地址|(?:改|换)(?:个|下|一下)?(?:收货)?地址"
    r"|(?:请|麻烦|帮我?|给我|帮忙|改|换|重新|要)[^,，。?？]{0,14}?(?:寄|送|发|邮|配送|改|换)(?:到|往|去|至|成|为)"
    r"|\b(?:moved|moving|relocated|new (?:delivery |shipping )?address|change (?:the|my) (?:delivery |shipping )?address)\b"
    r"|\b(?:please|can you|could you|kindly|instead)\b[^.?!]{0,60}?\b(?:send|ship|deliver|redirect|forward|reroute)\b[^.?!]{0,60}?\bto\b"
    r"|^(?:send|ship|deliver|redirect|forward|reroute)\b[^.?!]{0,60}?\bto\b",
    re.I,
)
_PLACE = re.compile(r"退货(?:的)?地址|寄回|寄到哪|\breturn(?:s|ing)? (?:it|them|address|to)\b", re.I)

_FAREWELL = re.compile(
    r"(?:ok(?:ay)?,? )?(?:bye(?: ?bye)?|goodbye|see (?:you|ya)|cya)|拜拜?(?:了|啦)?|再见(?:了|啦)?|回见", re.I
)
_MEANS_WHAT = re.compile(
    r"(?:什么|啥)意思|指的?是(?:什么|啥)|怎么理解|\bwhat (?:does|do|is) .{0,40}\bmean\b|\bmeaning of\b", re.I
)
# In the middle of something, a question about cost or time is no new wish for the same.
_ASKS_RULE = re.compile(
    r"(?:运费|邮费|快递费|手续费|费用)[^,，。]{0,8}(?:谁|吗|多少|怎么|要不要|[?？])|谁(?:出|付|承担|负责)|(?:会|要)(?:不会|不要)?(?:扣|收)(?:钱|费)"
    r"|(?:多久|几天|多长时间|什么时候)[^,，。]{0,6}(?:到账|退|办好|处理|有效)|\bwho pays\b|\bhow (?:long|much)\b|\b(?:is|are) (?:it|there|shipping|return) (?:free|a fee|any fees)\b"
    r"|\bdo i (?:have to|need to) pay\b",
    re.I,
)
# A request is taken back, not an order or a contract: "withdraw from the contract and get a refund" and "取消订单退货" ask
# for something. After an order only "订单的退货" or "订单退货申请" is a request.
_CASE = r"(?:退货退款|仅退款|退货|换货|退换货|退款|价保|售后|维修)"
_DEAL = r"(?:订单|单子|交易|合同|协议|购买)"
_UP_TO = (
    rf"(?:(?!{_DEAL}|[并再]|然后|之后|给我)[^,，。;；!！?？]"
    rf"|{_DEAL}(?:号码?|编号|{ORDER_TOKEN}|[\s:：])*(?:的|(?=申请的|{_CASE}(?:的)?(?:申请|请求))))"
)
_TAKES_BACK = re.compile(
    rf"(?<!订单)(?<!单子)(?:撤销|撤回|撤掉){_UP_TO}{{0,24}}?(?:申请|{_CASE})|(?:订单|单子)(?:撤销|撤回|撤掉)[^,，。;；]{{0,12}}?{_CASE}(?:的)?申请"
    rf"|(?:申请|退货|换货|退款|价保|售后)(?:(?!{_DEAL})[^,，。;；]){{0,8}}(?:撤销|撤回|撤掉|撤了)(?!(?:我的?|这个|那个|该|此|了)*{_DEAL}(?!的))"
    rf"|取消(?:掉|一下|了|我的?|这个|那个|刚才|之前|的|(?:{_DEAL}|{ORDER_TOKEN})(?:号|{ORDER_TOKEN}|\s)*(?:的|(?={_CASE}(?:的)?申请))|\s)*?(?:的)?"
    rf"(?:退货|换货|售后|退款(?=申请))(?!退款(?!的?申请))(?:申请)?"
    r"|\bwithdraw(?:ing)?\s+(?:from\s+)?(?:(?!(?:and|or|to|so|because|then|from|order|purchase|contract|sale|agreement|deal|money|cash|item|goods)\b)[\w№'-]+\s+){0,5}?"
    rf"(?:order(?:'s)?\s+(?:{ORDER_TOKEN}(?:'s)?\s+)?(?=\w+\s+(?:request|claim|application)))?"
    r"(?:(?:return|exchange)s?\b(?! (?:the|my|it|them|this|goods|items?)\b)|refund\b(?! (?:money|amount|balance|credit|me)\b|(?: request)? (?:to|into|onto) )|(?:request|claim|application)s?\b)"
    r"|\bcancel (?:(?:my|the|this|that|a) )?(?:(?:return|exchange|refund)(?: request)?|(?:after-sales )?(?:request|claim))\b(?! (?:my|the|it|me)\b)",
    re.I,
)


@dataclass(frozen=True)
class Gate:
    """Below `least`, or with the runner-up within `gap`, a message counts as not understood.

    All intents that the same follows count together.
    """

    least: float = 0.40
    gap: float = 0.06
    hanging: float = 0.25  # chance of hanging on context from which a flow is not started without asking
    looked_up: float = 0.60  # chance of the questions to the articles together above which they are looked up


def is_bare(text: str) -> bool:
    """Whether a message is an answer to something and nothing else."""
    form = re.sub(r"[\s,，。.!！?？~、:：;；]+", " ", normalise(text)).strip()
    return not form or not re.search(r"\w|№", form) or _BARE.fullmatch(form) is not None


def in_context(
    text: str,
    ranking: Sequence[tuple[str, float]],
    question: str | None,
    gate: Gate = Gate(),
    wishes: Sequence[tuple[str, float]] = (),
) -> list[tuple[str, float]]:
    """The ranking of intents, seen beside the question that stands (`question`, or None).

    The answer begins with what to act on; the rest keeps its order. Confidences are the classifier's.
    `wishes` are those of the message's parts (`bot.wishes`), in the order they were said.
    """
    ranking = list(ranking)
    if not ranking:
        return [(FALLBACK, 0.0)]
    if _FAREWELL.fullmatch(normalise(text).strip(" .。!！~")):
        return _first("bye", ranking, 0.95)
    if gives_new_address(text):
        return _first("modify_address", ranking, 0.9)
    if ranking[0][0] in FLOWS and _MEANS_WHAT.search(normalise(text)):
        return _first("policy_question", ranking, 0.8)
    if question is not None and ranking[0][0] in FLOWS - LOOKING and _ASKS_RULE.search(normalise(text)):
        return _first("policy_question", ranking, 0.8)
    if takes_back(text):
        return _first("withdraw_request", ranking, 0.9)
    if question is None:
        ranking = _led(ranking, wishes)
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
    # Two intents that are followed by the same are no rivals: nobody is asked which of them was meant.
    alike = {name: chance for name, chance in ranking if _followed_by(name) == _followed_by(top)}
    likely = sum(alike.values())
    if top in LOOKED_UP and likely <= gate.looked_up:
        likely = sure  # a little of each is none of them
    rival = next((chance for name, chance in ranking if name not in ANSWERING and name not in alike), 0.0)
    if likely < gate.least or likely - rival < gate.gap:
        return [(FALLBACK, sure), *ranking]
    return ranking


def _followed_by(intent: str) -> str:
    return TOPICS.get(intent, "answer" if intent in LOOKED_UP else intent)


def gives_new_address(text: str) -> bool:
    """Whether a message says where else to deliver: "I moved, please send it to 12 Oak Lane, ..."."""
    text = visible(text)
    return _MOVES.search(text) is not None and _PLACE.search(text) is None and read_address(text) is not None


def takes_back(text: str) -> bool:
    """Whether a request under way is to be withdrawn: "撤销退货申请", "cancel my return"; the order is not meant."""
    return _TAKES_BACK.search(normalise(text)) is not None


def _led(ranking: list[tuple[str, float]], wishes: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Several wishes begin with the one said first; a single one said clearly outweighs what stands around it."""
    if not wishes or ranking[0][0] in ("human_agent", "complaint"):
        return ranking
    name, sure = wishes[0]
    blurred = ranking[0][0] in FLOWS | ANSWERING | {"deny"} and ranking[0][1] + 0.2 < sure
    if len(wishes) > 1 or (blurred and sure >= 0.9 and name in FLOWS):
        return _first(name, ranking, min(max(sure, ranking[0][1]) + 0.1, 0.99))
    return ranking


def _first(name: str, ranking: list[tuple[str, float]], confidence: float) -> list[tuple[str, float]]:
    return [(name, round(confidence, 4)), *(one for one in ranking if one[0] != name)]
