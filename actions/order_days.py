"""When the order that is meant was placed, in the shopper's words: "昨天买的", "the one from last month"."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from actions.topic import Talk
from bot.formats import shop_timezone
from bot.references import fold

PLACED = re.compile(
    r"买|拍下|拍的|下单|下的|订(?!单)|付的?款|\b(?:bought|ordered|placed|purchased|paid)\b", re.I
)
NOT_RECEIVED = re.compile(
    r"(?:没有?|未|不曾)(?:能|有)?(?:收到|签收|到货|送[到来达]|拿到|到)|(?:\bnot|n't|\bnever)(?: yet| been)* (?:received?|arrived?|delivered|come|got|get)",
    re.I,
)
RECEIVED = re.compile(
    r"收到|收的|签收|到货|到手|送[到来达]|寄[到来]|派送|妥投|拿到|取[到件的]|到[了的]|\b(?:received|arrived|delivered|got|came)\b",
    re.I,
)
VERBS = ((True, PLACED), (False, RECEIVED))
DAYS = (
    (r"大前天", 3),
    (r"(?<!大)前天|day before yesterday", 2),
    (r"昨[天日晚]|(?<!before )\byesterday", 1),
    (r"今[天早晚]|\btoday", 0),
)
# Today is mostly when something is wanted, and not when the order was placed.
TODAYS = re.compile(
    r"今[天早晚](?:的|那|[^,，。退换要]{0,3}(?:买|拍|下单|订))|\b(?:bought|ordered|placed)\b[^,.]{0,20}\btoday\b|\btoday'?s\b"
)
PERIODS = re.compile(
    r"(上上|上|这|本)个?(月|周|星期|礼拜)(?!饼|\s*[一二三四五六日天末\d])|\b(last|this) (month|week)\b", re.I
)


def read_day(talk: Talk) -> date | None:
    """The day of the order that is spoken of: "昨天那个", or what the date entity says; not when it arrived."""
    text = fold(talk.turn.text)
    today = talk.services.now().astimezone(shop_timezone()).date()
    for pattern, back in DAYS:
        for match in re.finditer(pattern, text):
            if when_placed(text, *match.span()) and (back or TODAYS.search(text)):
                return today - timedelta(days=back)
    for one in talk.turn.entities:
        if one.get("entity") != "date" or not isinstance(one.get("value"), str):
            continue
        said = fold(str(one.get("text") or talk.turn.text[one.get("start", 0) : one.get("end", 0)]))
        at = text.find(said) if said else -1
        if (
            said and (PERIODS.search(said) or any(re.search(pattern, said) for pattern, _ in DAYS))
        ) or not when_placed(text, max(at, 0), at + len(said) if at >= 0 else 0):
            continue  # read above, or a week or a month, or the day on which it came
        try:
            return datetime.fromisoformat(one["value"]).date()
        except ValueError:
            continue
    return None


def read_period(talk: Talk) -> tuple[date, date] | None:
    """The first and the last day of the week or month in which the order was placed: "上个月买的"."""
    text = fold(talk.turn.text)
    match = PERIODS.search(text)
    if match is None or not when_placed(text, *match.span()):
        return None
    # "这周能退吗", "I asked last week" say nothing of when it was ordered.
    named = re.match(r"\s*(?:的|那|'s\b)", text[match.end() :]) or re.search(
        r"\b(?:from|of)\s*$", text[: match.start()]
    )
    if not (PLACED.search(text) or named or len(text) <= len(match[0]) + 2):
        return None
    today = talk.services.now().astimezone(shop_timezone()).date()
    back = {"上上": 2, "上": 1, "last": 1}.get(match[1] or match[3], 0)
    if (match[2] or match[4]) in ("月", "month"):
        months = today.year * 12 + today.month - 1 - back
        first = date(months // 12, months % 12 + 1, 1)
        after = date((months + 1) // 12, (months + 1) % 12 + 1, 1)
        return first, after - timedelta(days=1)
    monday = today - timedelta(days=today.weekday() + 7 * back)
    return monday, monday + timedelta(days=6)


def when_placed(text: str, start: int, end: int) -> bool:
    """Whether the day that stands there is when the order was placed, and not when the goods came.

    A Chinese verb follows its day and an English one goes before; "昨天买的还没收到" says nothing of a day it came.
    """
    text = NOT_RECEIVED.sub(lambda match: " " * len(match[0]), text)
    before = re.split(r"[,，.。;；!！?？]", text[:start])[-1]
    after = re.split(r"[,，.。;；!！?？]", text[end:])[0]
    if re.match(r"\s*[的那]{0,2}[一个]?(?:单|订单|笔)|'?s order", after):
        return True
    verbs_before = [(found.start(), placed) for placed, verb in VERBS for found in verb.finditer(before)]
    verbs_after = [(found.start(), placed) for placed, verb in VERBS for found in verb.finditer(after)]
    if verbs_before and (not verbs_after or (start < end and text[start:end].isascii())):
        return max(verbs_before)[1]
    return min(verbs_after)[1] if verbs_after else True
