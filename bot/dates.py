"""Days that shoppers name: "上周五", "last Friday", "双十一", "11月3号", "Nov 3rd", "2026-11-03".

After-sales talk looks back: a day without a year is the last one that has been, unless the words say
"next". Month names and foreign orders of day and month are dateparser's work; the rest is arithmetic.
This module knows no clock: the day it is comes in as an argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from bot.numerals import CHINESE, read_number

_WEEKDAYS_ZH = {"一": 0, "二": 1, "三": 2, "四": 3, "五": 4, "六": 5, "日": 6, "天": 6, "末": 5}
_WEEKDAYS_EN = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_BACK_ZH = {"大前天": -3, "前天": -2, "昨天": -1, "昨日": -1, "昨晚": -1, "今天": 0, "今日": 0, "今早": 0, "今晚": 0, "今儿": 0,
            "明天": 1, "明日": 1, "明早": 1, "明晚": 1, "大后天": 3, "后天": 2}  # fmt: skip
_BACK_EN = {"the day before yesterday": -2, "day before yesterday": -2, "yesterday": -1, "last night": -1, "today": 0,
            "tonight": 0, "this morning": 0, "tomorrow": 1, "day after tomorrow": 2}  # fmt: skip
# Shopping days: (month, day), the last one that has been.
_FEASTS = {"双十一": (11, 11), "双11": (11, 11), "双十二": (12, 12), "双12": (12, 12), "618": (6, 18), "六一八": (6, 18),
           "国庆": (10, 1), "十一假": (10, 1), "元旦": (1, 1), "五一": (5, 1), "六一": (6, 1), "圣诞": (12, 25),
           "christmas day": (12, 25), "christmas": (12, 25), "new year's day": (1, 1), "singles' day": (11, 11),
           "singles day": (11, 11), "double 11": (11, 11), "halloween": (10, 31)}  # fmt: skip
_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]*"
_N = rf"(?:\d{{1,3}}|{CHINESE})"

_ISO = re.compile(r"(?<!\d)(20\d\d)\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*[日号]?(?!\d)")
_MONTH_DAY = re.compile(
    rf"(?<!\d)(\d{{1,2}}|[一二三四五六七八九十]{{1,2}})\s*月\s*(\d{{1,2}}|{CHINESE})\s*[日号]?"
)
_DAY = re.compile(
    r"(上个?月|这个?月|本月|下个?月)?(?<![\d.])(\d{1,2}|[一二三]?十?[一二三四五六七八九十])\s*[号日](?!线|楼|店|机|码|仓|门|院)"
)
_WEEK_ZH = re.compile(r"(上上|上|这|本|下下|下)?个?(?:周|星期|礼拜)([一二三四五六日天末])")
_WEEK_EN = re.compile(
    rf"\b(?:(last|this|next|on|past|coming|this past)\s+)?({'|'.join(_WEEKDAYS_EN)})(?:day|s|sday|nesday|rsday|urday|r|rs)?\b",
    re.I,
)
_AGO_ZH = re.compile(rf"({_N}|几)\s*(天|日|个?星期|周|个?月)(之?前|以前|后|之后)")
_AGO_EN = re.compile(
    r"\b(a|an|one|two|three|four|five|six|seven|eight|nine|ten|\d{1,3}|a couple of|a few)\s+(day|week|month)s?\s+(ago|from now|later)\b",
    re.I,
)
_LAST_EN = re.compile(r"\b(last|next)\s+(week|month|weekend)\b", re.I)
_LAST_ZH = re.compile(r"(上|下)个?(周|星期|月)(?![一二三四五六日天末\d])")
_NAMED_EN = re.compile(
    rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+({_MONTH})|({_MONTH})\s+(\d{{1,2}})(?:st|nd|rd|th)?)\b(?:,?\s+(20\d\d))?",
    re.I,
)
_SLASHED = re.compile(r"(?<![\d/])(\d{1,2})[/](\d{1,2})(?:[/](20\d\d|\d\d))?(?![\d/])")
_WORDS = re.compile("|".join(sorted(map(re.escape, [*_BACK_ZH]), key=len, reverse=True)))
_WORDS_EN = re.compile(
    r"\b(?:" + "|".join(sorted(map(re.escape, _BACK_EN), key=len, reverse=True)) + r")\b", re.I
)
_FEAST = re.compile(
    r"(?<!\d)(?:" + "|".join(sorted(map(re.escape, _FEASTS), key=len, reverse=True)) + r")(?!\d)", re.I
)


@dataclass(frozen=True)
class Day:
    start: int
    end: int
    day: date


def find_days(text: str, today: date) -> list[Day]:
    """Every day named in `text`, in order; of overlapping readings the longest."""
    found = sorted(_readings(text, today), key=lambda one: (one.start, -one.end))
    kept: list[Day] = []
    for one in found:
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
        elif one.end - one.start > kept[-1].end - kept[-1].start:
            kept[-1] = one
    return kept


def _readings(text: str, today: date) -> Iterator[Day]:
    for match in _ISO.finditer(text):
        if day := _safe(int(match[1]), int(match[2]), int(match[3])):
            yield Day(*match.span(), day)
    for match in _MONTH_DAY.finditer(text):
        month, number = read_number(match[1]), read_number(match[2])
        if month and number and (day := _past(today, month, number)):
            yield Day(*match.span(), day)
    for match in _NAMED_EN.finditer(text):
        if day := _parsed(match[0], today.isoformat()):
            yield Day(*match.span(), day if match[5] or day <= today else day.replace(year=day.year - 1))
    for match in _SLASHED.finditer(text):
        year = int(match[3]) + (2000 if len(match[3]) == 2 else 0) if match[3] else None
        first, second = int(match[1]), int(match[2])
        month, number = (first, second) if first <= 12 else (second, first)
        slashed = _safe(year, month, number) if year else _past(today, month, number)
        if slashed:
            yield Day(*match.span(), slashed)
    for match in _DAY.finditer(text):
        number = read_number(match[2])
        if number and 1 <= number <= 31 and (day := _of_month(today, number, match[1] or "")):
            yield Day(*match.span(), day)
    for match in _WEEK_ZH.finditer(text):
        weeks = {"上上": -2, "上": -1, "下": 1, "下下": 2}.get(match[1] or "", 0)
        day = today - timedelta(days=today.weekday()) + timedelta(days=_WEEKDAYS_ZH[match[2]], weeks=weeks)
        yield Day(*match.span(), day)
    for match in _WEEK_EN.finditer(text):
        yield Day(
            *match.span(), _weekday(today, _WEEKDAYS_EN.index(match[2].lower()[:3]), (match[1] or "").lower())
        )
    for match in _AGO_ZH.finditer(text):
        count = 3 if match[1] == "几" else read_number(match[1])
        if count is not None:
            yield Day(*match.span(), _moved(today, count, match[2], back="前" in match[3]))
    for match in _AGO_EN.finditer(text):
        count = {"a couple of": 2, "a few": 3}.get(match[1].lower()) or read_number(match[1])
        if count is not None:
            yield Day(*match.span(), _moved(today, count, match[2].lower(), back=match[3].lower() == "ago"))
    for match in (*_LAST_EN.finditer(text), *_LAST_ZH.finditer(text)):
        back = match[1].lower() in ("last", "上")
        yield Day(*match.span(), _moved(today, 1, match[2].lower(), back=back))
    for match in _WORDS.finditer(text):
        yield Day(*match.span(), today + timedelta(days=_BACK_ZH[match[0]]))
    for match in _WORDS_EN.finditer(text):
        yield Day(*match.span(), today + timedelta(days=_BACK_EN[match[0].lower()]))
    for match in _FEAST.finditer(text):
        if day := _past(today, *_FEASTS[match[0].lower()]):
            yield Day(*match.span(), day)


def _safe(year: int, month: int, number: int) -> date | None:
    try:
        return date(year, month, number)
    except ValueError:
        return None


def _past(today: date, month: int, number: int) -> date | None:
    """That day of the year, this year or, when it is more than two months ahead, last year."""
    day = _safe(today.year, month, number)
    if day is not None and day > today + timedelta(days=62):
        return _safe(today.year - 1, month, number)
    return day


def _of_month(today: date, number: int, which: str) -> date | None:
    year, month = today.year, today.month
    if which.startswith("上") or (not which and number > today.day + 10):
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    elif which.startswith("下"):
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return _safe(year, month, number)


def _weekday(today: date, weekday: int, which: str) -> date:
    ahead = (weekday - today.weekday()) % 7
    if which in ("next", "coming", "this"):
        return today + timedelta(days=ahead or 7 * (which != "this"))
    if which == "on":
        return today + timedelta(days=ahead)
    return today - timedelta(days=(7 - ahead) % 7 or 7)


def _moved(today: date, count: int, unit: str, *, back: bool) -> date:
    days = (
        30 if "月" in unit or unit == "month" else 7 if unit.startswith("week") or unit[-1] in "周期" else 1
    )
    days *= min(count, 400)
    return today - timedelta(days=days) if back else today + timedelta(days=days)


@lru_cache(maxsize=256)
def _parsed(text: str, today: str) -> date | None:
    from datetime import datetime

    import dateparser

    settings: dict[str, Any] = {"RELATIVE_BASE": datetime.fromisoformat(today), "PREFER_DATES_FROM": "past"}
    found = dateparser.parse(text, languages=["en"], settings=settings)
    return found.date() if found else None
