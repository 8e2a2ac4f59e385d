"""Several wishes in one message: "退掉第二件，另外发票开了吗？", "cancel this one and where is that one?".

A message is cut at its signs and connecting words, and each part is read alone by the same model that reads
the whole. A part is a wish only when it clearly is one: what is denied ("不要换货"), conditional ("不行就退") or
told of the past ("我昨天申请了退货") is none, and neither is a second way to say the same ("取消订单，钱退给我").
This module knows no framework; what to do with the wishes is the dialogue's affair.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bot.context import FLOWS, QUESTIONS, TOPICS
from bot.normalise import visible

LONGEST = 500  # characters; who writes more tells a story, and nobody lists wishes in it
MOST = 8  # parts
CLEAR = 0.7  # of a part read alone
LIKELY = 0.45  # of a part beside one that says itself that it comes on top
# Different fates of the same goods: two of them in one message are one wish, unless each has goods of its own.
FATES = frozenset(
    {"cancel_order", "refund_request", "refund_status", "return_request", "exchange_request", "modify_order"}
    | {"withdraw_request"}
)
LOOKS = frozenset({"order_status", "delivery"})
ENDS = frozenset({"cancel_order", "refund_request", "return_request"})
SWAPS = frozenset({"exchange_request", "modify_order"})

Rank = Callable[[str], Sequence[tuple[str, float]]]
Span = tuple[int, int]

_ADD_ZH = r"另外|还有(?!没)|顺便|顺带|对了|同时|以及|并且|然后(?!呢)|再(?=帮|给|把|查|看|问|开|改|退|换|取消)|还(?=想问|要问|想查)"
_ADD_EN = (
    r"\b(?:and also|also|and then|and|plus|by the way|btw|besides|additionally|in addition|another thing)\b"
)
_CUT = re.compile(
    rf"[。；;！!？?\n]+|[,，](?!\d)|(?<!\d)\.(?!\d)(?=\s|$)|\.(?=\s+[A-Z])|(?={_ADD_ZH})|(?={_ADD_EN})", re.I
)
_ADDS = re.compile(rf"^\s*(?:{_ADD_ZH}|{_ADD_EN})[\s,，:：]*", re.I)
_WEAKLY = re.compile(r"^\s*(?:and|以及|并且|然后)", re.I)
_NO_WISH = re.compile(
    r"不(?:想|要|用|需要|必)(?=退|换|取消|改|开|查|撤)|不是|别|先不|如果|要是|假如|万一|的话|除非|不(?:行|能|可以)(?:换|退|的)?就|还是(?!想|要|给|帮)|或者"
    r"|\b(?:don'?t|do not|not|never|no longer|if|unless|otherwise|or|instead of)\b",
    re.I,
)
_PAST = re.compile(
    r"已经|昨天|前天|上周|上次|之前|刚才|刚刚|早就|申请过|申请了|(?:退|换|取消|改|开)(?:过|了)(?!吗|么|没|吧)"
    r"|\b(?:already|yesterday|last week|earlier)\b|\bi(?:'ve| have)? (?:returned|cancel+ed|exchanged|asked|requested|sent)\b",
    re.I,
)
_QUESTION = re.compile(r"[?？]|[吗么没]\s*$|没有\s*$")
_ASKS = re.compile(
    r"[?？]|吗|呢|么|没有?$|怎么|多久|多少|什么|哪|几天|查|看看|看下|看一下|问|告诉|进度|\b(?:how|what|when|where|who|which|why|does|can|is|are|check|track|tell|know|look|status)\b",
    re.I,
)
_OTHER_GOODS = re.compile(
    r"另一|另外(?:一|那)|其他|别的|第[一二三四五六七八九十\d]|\b(?:other|another|first|second|third|fourth|item \d)\b",
    re.I,
)
_NUMBER = re.compile(r"#?\s*(?<![A-Za-z0-9])[A-Za-z]{0,4}-?\d[\d-]{6,}\d")
_WORDS = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class Wish:
    """One wish of a message, with the stretch of the text that speaks of it."""

    intent: str
    confidence: float
    start: int
    end: int
    text: str
    added: bool = False  # introduced as something more: "另外", "also"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_wishes(text: str, spans: Sequence[Span], rank: Rank) -> list[Wish]:
    """The wishes of a message in the order they are said; fewer than two parts have none to tell apart.

    Args:
        spans: stretches that are one thing and are not cut: addresses, numbers, e-mails.
        rank: intents of a text with their probabilities, the likeliest first.
    """
    parts = _parts(text, spans) if len(text) <= LONGEST else []
    if not 2 <= len(parts) <= MOST:
        return []
    read = [(start, end, _read(text[start:end], rank)) for start, end in parts]
    goods = [_OTHER_GOODS.search(text[start:end]) is not None for start, end in parts]
    told_apart = sum(goods) > 1 or any(
        wish is not None and wish[2] and wish[1] >= CLEAR and not _WEAKLY.match(text[start:end])
        for start, end, wish in read
    )
    least = LIKELY if told_apart else CLEAR
    found: list[tuple[str, float, int, bool]] = []
    for start, end, wish in read:
        if wish is None or wish[1] < least:
            continue
        intent, confidence, added = wish
        if not any(_same(intent, text[start:end], other, text[at:start]) for other, _, at, _ in found):
            found.append((intent, confidence, start, added))
    wishes = []
    for place, (intent, confidence, start, added) in enumerate(found):
        end = found[place + 1][2] if place + 1 < len(found) else len(text)
        wishes.append(Wish(intent, round(confidence, 4), start, end, text[start:end].strip(), added))
    return wishes


def _parts(text: str, spans: Sequence[Span]) -> list[Span]:
    cuts = [0]
    for match in _CUT.finditer(text):
        at = match.end()
        if 0 < at < len(text) and not any(start < at < end for start, end in spans):
            cuts.append(at)
    parts = list(zip(cuts, [*cuts[1:], len(text)], strict=True))
    return [(start, end) for start, end in parts if _WORDS.search(text[start:end])]


def _read(part: str, rank: Rank) -> tuple[str, float, bool] | None:
    adds = _ADDS.match(part)
    said = part[adds.end() :] if adds else part
    said = visible(said).strip(" ,，;；.。\n")
    if not said or _NO_WISH.search(said) or (_PAST.search(said) and not _QUESTION.search(said)):
        return None
    # To some sentences a number tells the model nothing: "where is my order" says more than "where is 8123".
    named = _NUMBER.sub(" 订单 " if re.search(r"[\u3400-\u9fff]", said) else " my order ", said)
    rankings = [rank(form) for form in dict.fromkeys((said, named))]
    ranking = max(rankings, key=lambda one: (one[0][0] in FLOWS | QUESTIONS, one[0][1]))
    intent = ranking[0][0]
    # Unsure whether it is a return or a cancellation is sure that it is a wish.
    topic = TOPICS.get(intent, intent)
    alike = ENDS if intent in ENDS else {name for name, _ in ranking if TOPICS.get(name, name) == topic}
    confidence = sum(chance for name, chance in ranking if name in alike)
    if intent in LOOKS | QUESTIONS and not _ASKS.search(said):
        return None  # "鞋子还没收到" beside a wish is its reason
    return (intent, confidence, adds is not None) if intent in FLOWS | QUESTIONS else None


def _same(intent: str, part: str, other: str, before: str) -> bool:
    """Whether a part says again what an earlier one said."""
    if intent in QUESTIONS and other in QUESTIONS:
        return True  # one answer to the message
    if not (TOPICS.get(intent) == TOPICS.get(other, other) or (intent in FATES and other in FATES)):
        return False
    mine, theirs = _NUMBER.findall(part), _NUMBER.findall(before)
    if (mine and theirs and mine[0] not in theirs) or _OTHER_GOODS.search(part):
        return False
    swapped = (intent in SWAPS) != (other in SWAPS)  # "return the jacket and exchange the shoes"
    return not (swapped and _ADDS.match(part))


def apart(one: str, other: str) -> bool:
    """Whether two intents are different things to do: an invoice is, a refund in place of a return is not."""
    return TOPICS.get(one) != TOPICS.get(other) and not (one in FATES and other in FATES)
