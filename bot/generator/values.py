"""Values in a text: amounts, dates, spans of time, percentages, numbers, codes, phones, addresses.

A value is what a shop can be held to. `find_values` reads them out of Chinese and English text and
normalises them, so that "七天", "７天", "seven days" and "one week" are the same value, while
"3 days" and "3 working days" are not. This module knows no evidence and no decision.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from bot.numerals import CHINESE, ENGLISH, read_number

_MONTHS = {
    name: n + 1
    for n, names in enumerate(
        [
            "january jan",
            "february feb",
            "march mar",
            "april apr",
            "may",
            "june jun",
            "july jul",
            "august aug",
            "september sep sept",
            "october oct",
            "november nov",
            "december dec",
        ]
    )
    for name in names.split()
}

_ZH_NUM = "[零〇一二两三四五六七八九十百千万半]+"
_EN_NUM = "(?:" + "|".join(sorted(ENGLISH, key=len, reverse=True)) + ")"
_NUM = r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_ANY = f"(?:{_NUM}|{_ZH_NUM}|\\b{_EN_NUM}(?:[- ]{_EN_NUM})?\\b)"
_RANGE = r"\s*(?:-|~|–|—|至|到|to)\s*"

# (pattern of the unit, kind, factor): minutes for exact spans, working days and months on their own,
# because a month is no fixed number of days and a working day is no day.
_SPANS: tuple[tuple[str, str, float], ...] = (
    (r"个?\s*工作日|个?\s*营业日|(?:business|working|work)[ -]days?", "working_days", 1),
    (r"个?\s*小时|个?\s*钟头|hours?|hrs?|h\b", "minutes", 60),
    (r"分钟|minutes?|mins?\b", "minutes", 1),
    (
        r"(?:个|整)?\s*自然日|(?:calendar |natural )?days?|天|日(?!元|本|期|常|前|起|后|用|内瓦)|日(?=内|之内|起算)",
        "minutes",
        1440,
    ),
    (r"个?\s*星期|周(?![年末边到岁])|weeks?", "minutes", 10080),
    (r"个半?月|个月|months?", "months", 1),
    (r"周年|年(?![级轻货糕])|years?|yrs?\b", "months", 12),
)
_CURRENCY = {
    "¥": "CNY", "￥": "CNY", "元": "CNY", "块": "CNY", "块钱": "CNY", "圆": "CNY", "人民币": "CNY", "rmb": "CNY", "cny": "CNY",
    "yuan": "CNY", "$": "USD", "us$": "USD", "usd": "USD", "美元": "USD", "dollar": "USD", "dollars": "USD", "€": "EUR",
    "eur": "EUR", "euro": "EUR", "euros": "EUR", "欧元": "EUR", "£": "GBP", "gbp": "GBP", "pound": "GBP", "pounds": "GBP",
    "英镑": "GBP", "hk$": "HKD", "hkd": "HKD", "港元": "HKD", "日元": "JPY", "jpy": "JPY",
}  # fmt: skip
_BEFORE = r"(?:HK\$|US\$|[¥￥$€£]|(?:RMB|CNY|USD|EUR|GBP|HKD|JPY)\s?)"
_AFTER = r"(?:块钱|人民币|美元|欧元|英镑|港元|日元|[元块圆](?!件|头|素|旦|形)|(?:yuan|RMB|CNY|USD|EUR|GBP|HKD|dollars?|euros?|pounds?)\b)"

_URL = re.compile(
    r"(?:https?://|www\.)[^\s<>\"'，。；、）)\]】》]+|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|cn|net|org|io|shop|store|top|xyz|info|example|test)(?:/[^\s<>\"'，。；、）)\]】》]*)?",
    re.I,
)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(
    r"(?<![A-Za-z0-9-])(?:\+\d{1,3}[- ]?)?(?:1[3-9]\d{9}|(?:400|800)[- ]?\d{3,4}[- ]?\d{3,4}|0\d{2,3}[- ]\d{7,8}|\(?\d{3}\)?[- ]\d{3}[- ]\d{4}|\d{3}[- ]\d{4}[- ]\d{4})(?![A-Za-z0-9-])"
)
_TIME = re.compile(
    r"(?P<h>\d{1,2})[:：](?P<m>\d{2})\s*(?P<ap>[ap]\.?m\.?)?"
    r"|(?P<h2>\d{1,2})\s*(?P<ap2>[ap]\.?m\b\.?)"
    rf"|(?P<part>凌晨|早上|上午|中午|下午|晚上|晚)(?P<h3>\d{{1,2}}|{_ZH_NUM})\s*[点时](?P<half>半)?"
    rf"|(?P<h4>\d{{1,2}}|[一二三四五六七八九十]+)\s*点(?:钟|(?P<half2>半)|整)?(?!击|数|评|赞|儿|开)",
    re.I,
)
_DATE = re.compile(
    r"(?P<y>\d{4})\s*[-/.年]\s*(?P<mo>\d{1,2})\s*[-/.月]\s*(?P<d>\d{1,2})\s*[日号]?"
    r"|(?P<mo2>\d{1,2}|[一二三四五六七八九十]{1,2})\s*月\s*(?P<d2>\d{1,2}|[一二三四五六七八九十]{1,3})\s*[日号]"
    r"|\b(?P<mn>" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?\s+(?P<d3>\d{1,2})(?:st|nd|rd|th)?(?:,?\s+(?P<y3>\d{4}))?\b(?!\s*(?:%|days?|hours?))"
    r"|\b(?P<d4>\d{1,2})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<mn4>" + "|".join(sorted((m for m in _MONTHS if m not in ("may", "mar", "sep")), key=len, reverse=True)) + r"|may)\b\.?(?:,?\s+(?P<y4>\d{4}))?",
    re.I,
)  # fmt: skip
_PERCENT = re.compile(
    rf"(?P<n>{_NUM})\s*(?:%|percent\b|per cent\b)|百分之(?P<zh>{_NUM}|{_ZH_NUM})|\b(?P<en>{_EN_NUM})\s+percent\b",
    re.I,
)
_DISCOUNT = re.compile(rf"(?P<n>{_NUM}|[一二三四五六七八九]{{1,2}})\s*折")
_MONEY = re.compile(
    rf"{_BEFORE}\s*(?P<n>{_NUM})|(?P<n2>{_NUM}|{_ZH_NUM}|\b{_EN_NUM})\s*(?P<u>{_AFTER})", re.I
)
_MONEY_SIGN = re.compile(_BEFORE, re.I)
_CODE = re.compile(
    r"(?<![A-Za-z0-9_-])(?=[A-Z0-9-]*\d)(?=[A-Z0-9-]*[A-Z])[A-Z0-9]+(?:-[A-Z0-9]+)*(?![A-Za-z0-9_-])|(?<![A-Za-z0-9_.,-])\d{8,}(?![A-Za-z0-9_-]|[.,]\d)",
    re.I,
)
_COUNT = re.compile(
    rf"(?P<n>{_NUM}|{_ZH_NUM})\s*(?P<u>件|个|张|次|份|瓶|盒|双|套|台|片|袋|层|格|倍|级|克|千克|公斤|斤|毫升|升|米|厘米|毫米|瓦|伏|度|分|项|种|位|人|岁|码)|(?P<bare>{_NUM})",
    re.I,
)
_ITEM = re.compile(r"(?m)^\s*(?:\d{1,2}[.、)）](?!\d)|[（(]\d{1,2}[)）]|[一二三四五六七八九十]+、)\s*|[①-⑳]")
_SOFT = {
    "一",
    "半",
    "两",
    "千",
    "百",
    "万",
    "千万",
    "百万",
    "万万",
    "一一",
    "零",
    "十分",
    "万一",
    "百分",
    "one",
}


@dataclass(frozen=True)
class Value:
    """One value. `kind` and `key` are what is compared; `text` and `start` say where it stood."""

    kind: (
        str  # money:CNY, percent, minutes, working_days, months, date, time, url, email, phone, code, number
    )
    key: str
    text: str
    start: int
    end: int

    @property
    def identity(self) -> tuple[str, str]:
        return self.kind, self.key


def normalise(text: str) -> str:
    """Full-width to half-width (NFKC), typographic dashes to "-". Length may change."""
    folded = unicodedata.normalize("NFKC", text)
    return folded.replace("－", "-").replace("–", "-").replace("—", "-").replace("−", "-")


def chinese_number(text: str) -> float | None:
    """ "十五" -> 15, "一百二十" -> 120, "两万" -> 20000, "二〇二六" -> 2026. None when it is no number."""
    whole, half = (text[:-1], 0.5) if text.endswith("半") else (text, 0.0)
    if not whole:
        return half or None
    found = read_number(whole) if re.fullmatch(CHINESE, whole) else None
    return None if found is None else found + half


def number(text: str) -> float | None:
    """A number however it is written: "1,299.00", "十五", "twenty-one"."""
    cleaned = text.strip().lower().replace(",", "")
    try:
        return float(cleaned)
    except ValueError:
        pass
    words = re.split(r"[- ]", cleaned)
    if all(w in ENGLISH for w in words):
        total = 0
        for w in words:
            total = max(total, 1) * 100 if w == "hundred" else total + ENGLISH[w]
        return float(total)
    return chinese_number(cleaned)


def _show(n: float) -> str:
    return f"{n:.4f}".rstrip("0").rstrip(".")


class _Reader:
    """Reads kinds in order of how specific they are; a stretch once read is not read again."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.taken = [False] * (len(text) + 1)
        self.values: list[Value] = []

    def free(self, start: int, end: int) -> bool:
        return end > start and not any(self.taken[start:end])

    def take(self, kind: str, key: str, start: int, end: int) -> None:
        self.values.append(Value(kind, key, self.text[start:end].strip(), start, end))
        for i in range(start, end):
            self.taken[i] = True

    def skip(self, start: int, end: int) -> None:
        for i in range(start, end):
            self.taken[i] = True

    def plain(self, pattern: re.Pattern[str], kind: str) -> None:
        for m in pattern.finditer(self.text):
            if not self.free(*m.span()):
                continue
            key = m[0].lower().rstrip(".,;:!?/")
            if kind == "phone":
                key = re.sub(r"\D", "", key)
            elif kind == "url":
                key = re.sub(r"^(?:https?://)?(?:www\.)?", "", key)
            elif kind == "code":
                key = key.upper()
            self.take(kind, key, *m.span())

    def dates(self) -> None:
        for m in _DATE.finditer(self.text):
            if not self.free(*m.span()):
                continue
            g = m.groupdict()
            year = g["y"] or g["y3"] or g["y4"] or ""
            name = g["mn"] or g["mn4"]
            month = _MONTHS[name.lower()] if name else number(g["mo"] or g["mo2"] or "")
            day = number(g["d"] or g["d2"] or g["d3"] or g["d4"] or "")
            if month and day and 1 <= month <= 12 and 1 <= day <= 31:
                self.take("date", f"{year}-{int(month):02d}-{int(day):02d}", *m.span())

    def times(self) -> None:
        for m in _TIME.finditer(self.text):
            if not self.free(*m.span()):
                continue
            g = m.groupdict()
            hour = number(g["h"] or g["h2"] or g["h3"] or g["h4"] or "")
            if hour is None or hour > 24:
                continue
            minute = int(g["m"] or (30 if g["half"] or g["half2"] else 0))
            late = (g["ap"] or g["ap2"] or "").lower().startswith("p") or g["part"] in ("下午", "晚上", "晚")
            if late and hour < 12:
                hour += 12
            self.take("time", f"{int(hour):02d}:{minute:02d}", *m.span())

    def percents(self) -> None:
        for m in _PERCENT.finditer(self.text):
            n = number(m["n"] or m["zh"] or m["en"])
            if n is not None and self.free(*m.span()):
                self.take("percent", _show(n), *m.span())
        for m in _DISCOUNT.finditer(self.text):
            if self.free(*m.span()):
                raw = m["n"]
                n = number(raw)
                if n is not None:  # "8.5折" and "八五折" are both 85 % of the price
                    self.take("discount", _show(n * 10 if n < 10 else n), *m.span())

    def money(self) -> None:
        pair = re.compile(rf"(?P<a>{_NUM}){_RANGE}(?P<b>{_NUM})\s*(?P<u>{_AFTER})", re.I)
        for m in pair.finditer(self.text):
            if self.free(*m.span()):
                unit = "money:" + _CURRENCY.get(m["u"].lower(), "CNY")
                self.take(unit, _show(number(m["a"]) or 0), m.start("a"), m.end("a"))
                self.take(unit, _show(number(m["b"]) or 0), m.start("b"), m.end())
        for m in _MONEY.finditer(self.text):
            if not self.free(*m.span()):
                continue
            raw = m["n"] or m["n2"]
            n = number(raw)
            if n is None or (raw in _SOFT and raw != "两" and m["u"] == "块"):
                continue  # "一块" also means "together"
            sign = _MONEY_SIGN.match(m[0])
            name = (sign[0] if sign else m["u"]).strip().lower()
            self.take("money:" + _CURRENCY.get(name, "CNY"), _show(n), *m.span())

    def spans(self) -> None:
        for pattern, kind, factor in _SPANS:
            pair = re.compile(rf"(?P<a>{_ANY}){_RANGE}(?P<b>{_ANY})\s*-?\s*(?:{pattern})", re.I)
            for m in pair.finditer(self.text):
                a, b = number(m["a"]), number(m["b"])
                if a is None or b is None or not self.free(*m.span()):
                    continue
                self.take(kind, _show(a * factor), m.start("a"), m.end("a"))
                self.take(kind, _show(b * factor), m.start("b"), m.end())
            single = re.compile(
                rf"(?P<n>{_ANY})\s*-?\s*(?:full |整)?(?P<u>{pattern})(?P<half>半(?!价|数))?", re.I
            )
            for m in single.finditer(self.text):
                n = number(m["n"])
                if n is None or not self.free(*m.span()):
                    continue
                if m["n"] in ("百", "千", "万", "百万", "千万"):
                    continue
                if m["u"].startswith("年") and n >= 1900:  # "2026年" is a date, not a span
                    self.take("date", f"{int(n)}", *m.span())
                    continue
                if m["half"] or m["u"] == "个半月":
                    n += 0.5
                self.take(kind, _show(n * factor), *m.span())

    def counts(self) -> None:
        for m in _COUNT.finditer(self.text):
            raw = m["n"] or m["bare"]
            if not raw or not self.free(*m.span()):
                continue
            if raw in _SOFT or re.fullmatch("[百千万十半一]+", raw):
                continue  # "一个", "万一", "千万" are words, not counts
            if self.text[m.start() - 1 : m.start()] == "第" and raw not in "0123456789":
                continue
            n = number(raw)
            if n is not None:
                self.take("number", _show(n), *m.span())


def find_values(text: str) -> list[Value]:
    """Every value in `text`, in the order it stands there. Positions refer to `normalise(text)`."""
    folded = normalise(text)
    reader = _Reader(folded)
    for m in _ITEM.finditer(folded):  # "1." at the start of a line numbers a step
        reader.skip(*m.span())
    reader.plain(_EMAIL, "email")
    reader.plain(_URL, "url")
    reader.dates()
    reader.plain(_PHONE, "phone")
    reader.times()
    reader.percents()
    reader.money()
    reader.spans()
    reader.plain(_CODE, "code")
    reader.counts()
    return sorted(reader.values, key=lambda v: v.start)
