"""Values in a text: amounts, dates, spans of time, percentages, numbers, codes, phones, addresses.

A value is what a shop can be held to. `find_values` reads them out of Chinese and English text and
normalises them, so that "七天", "７天", "seven days" and "one week" are the same value, while
"3 days" and "3 working days" are not. What stands around a value (its unit, "at least", the other end of
its range) is read as well. It reads what shoppers type, on the event loop: every pattern is bounded, so that the time
grows with the length of the text and no more. This module knows no evidence and no decision.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import NamedTuple

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

# A run of digits or numerals that is longer is no value: nobody means it, and an unbounded pattern costs time.
_HAN = "零〇一二两三四五六七八九十百千万半"
_ZH_NUM = f"(?<![{_HAN}])[{_HAN}]{{1,16}}(?![{_HAN}])"
_EN_WORDS = ENGLISH | {"thousand": 1000}
_EN_WORD = "(?:" + "|".join(sorted(_EN_WORDS, key=len, reverse=True)) + ")"
_EN_NUM = rf"\b{_EN_WORD}(?:(?:[- ]|(?<=hundred) and |(?<=thousand) and ){_EN_WORD}){{0,6}}\b"
_DIGITS = r"(?<!\d)\d{1,15}(?:,\d{3}){0,5}(?!\d)(?:\.\d{1,15}(?!\d))?"
_TIMES = {"百": 1e2, "千": 1e3, "万": 1e4, "百万": 1e6, "千万": 1e7, "亿": 1e8}
# "2千元" and "1.5万", but not "2千克", "5百分" or "7万一"
_NUM = rf"(?:{_DIGITS}(?:[百千](?![克米瓦卡伏安赫帕焦兆分])万?|万(?![一能])|亿)?)"
_ANY = f"(?:{_NUM}|{_ZH_NUM}|{_EN_NUM})"
_RANGE = r"\s*(?:-|~|–|—|至|到|to)\s*"

# (name, pattern of the unit, kind, factor): minutes for exact spans, working days and months on their own,
# because a month is no fixed number of days and a working day is no day.
_SPANS: tuple[tuple[str, str, str, float], ...] = (
    ("working", r"个?\s*工作日|个?\s*营业日|(?:business|working|work)[ -]days?", "working_days", 1),
    ("hour", r"个半?\s*小时|\s*小时|个半?\s*钟头|\s*钟头|hours?|hrs?|h\b", "minutes", 60),
    ("minute", r"分钟|minutes?|mins?\b", "minutes", 1),
    (
        "day",
        r"(?:个|整)?\s*自然日|(?:calendar |natural )?days?|天|日(?!元|本|期|常|前|起|后|用|内瓦)|日(?=内|之内|起算)",
        "minutes",
        1440,
    ),
    ("week", r"个?\s*星期|周(?![年末边到岁])|weeks?", "minutes", 10080),
    ("month", r"个半?月|个月|months?", "months", 1),
    ("year", r"周年|年(?![级轻货糕])|years?|yrs?\b", "months", 12),
)
_CURRENCY = {
    "¥": "CNY", "￥": "CNY", "元": "CNY", "块": "CNY", "块钱": "CNY", "圆": "CNY", "人民币": "CNY", "rmb": "CNY", "cny": "CNY",
    "yuan": "CNY", "$": "USD", "us$": "USD", "usd": "USD", "美元": "USD", "dollar": "USD", "dollars": "USD", "€": "EUR",
    "eur": "EUR", "euro": "EUR", "euros": "EUR", "欧元": "EUR", "£": "GBP", "gbp": "GBP", "pound": "GBP", "pounds": "GBP",
    "英镑": "GBP", "hk$": "HKD", "hkd": "HKD", "港元": "HKD", "日元": "JPY", "jpy": "JPY",
}  # fmt: skip
_BEFORE = r"(?:HK\$|US\$|[¥￥$€£]|(?:RMB|CNY|USD|EUR|GBP|HKD|JPY)\s?)"
_AFTER = r"(?:块钱|人民币|美元|欧元|英镑|港元|日元|[元块圆](?!件|头|素|旦|形)|(?:yuan|RMB|CNY|USD|EUR|GBP|HKD|dollars?|euros?|pounds?)\b)"

# A mark before a Chinese character was a full-width one, and ends the address.
_OF_URL = r"""(?:(?![:?][^\x00-\x7f])[^\s<>"',，。；;!、）)\]】》])"""
_URL = re.compile(
    rf"(?:https?://|www\.){_OF_URL}+"
    r"|(?<![a-z0-9])[a-z0-9][a-z0-9-]{0,62}(?:\.[a-z0-9-]{1,63}){0,8}\.(?:com|cn|net|org|io|shop|store|top|xyz|info|example|test)"
    rf"(?:/{_OF_URL}*)?",
    re.I,
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(
    r"(?<![A-Za-z0-9-])(?:\+\d{1,3}[- ]?)?(?:1[3-9]\d{9}|(?:400|800)[- ]?\d{3,4}[- ]?\d{3,4}|0\d{2,3}[- ]\d{7,8}|\(?\d{3}\)?[- ]\d{3}[- ]\d{4}|\d{3}[- ]\d{4}[- ]\d{4})(?![A-Za-z0-9-])"
)
_TIME = re.compile(
    r"(?<!\d)(?P<h>\d{1,2})[:：](?P<m>\d{2})\s*(?P<ap>[ap]\.?m\.?)?"
    r"|(?<!\d)(?P<h2>\d{1,2})\s*(?P<ap2>[ap]\.?m\b\.?)"
    rf"|(?P<part>凌晨|早上|上午|中午|下午|晚上|晚)(?P<h3>\d{{1,2}}|{_ZH_NUM})\s*[点时](?P<half>半)?"
    r"|(?:(?<!\d)(?P<h4>\d{1,2})|(?<![一二三四五六七八九十])(?P<h5>[一二三四五六七八九十]{1,4}))\s*点(?:钟|(?P<half2>半)|整)?(?!击|数|评|赞|儿|开)"
    r"|\b(?P<word>noon|midnight)\b",
    re.I,
)
_DATE = re.compile(
    r"(?<!\d)(?P<y>\d{4})\s*[-/.年]\s*(?P<mo>\d{1,2})\s*[-/.月]\s*(?P<d>\d{1,2})\s*[日号]?"
    r"|(?P<mo2>(?<!\d)\d{1,2}|[一二三四五六七八九十]{1,2})\s*月\s*(?P<d2>\d{1,2}|[一二三四五六七八九十]{1,3})\s*[日号]"
    r"|\b(?P<mn>" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?\s+(?P<d3>\d{1,2})(?:st|nd|rd|th)?(?:,?\s+(?P<y3>\d{4}))?\b(?!\s*(?:%|days?|hours?))"
    r"|\b(?P<d4>\d{1,2})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<mn4>" + "|".join(sorted((m for m in _MONTHS if m not in ("may", "mar", "sep")), key=len, reverse=True)) + r"|may)\b\.?(?:,?\s+(?P<y4>\d{4}))?",
    re.I,
)  # fmt: skip
_PERCENT = re.compile(
    rf"(?P<n>{_NUM})\s*(?:%|percent\b|per cent\b)|百分之(?P<zh>{_NUM}|{_ZH_NUM})|(?P<en>{_EN_NUM})\s+percent\b",
    re.I,
)
_DISCOUNT = re.compile(rf"(?P<n>{_NUM}|[一二三四五六七八九]{{1,2}})\s*折")
_MONEY_RANGE = re.compile(rf"(?P<a>{_NUM}){_RANGE}(?P<b>{_NUM})\s*(?P<u>{_AFTER})", re.I)
_MONEY = re.compile(rf"{_BEFORE}\s*(?P<n>{_NUM})|(?P<n2>{_ANY})\s*(?P<u>{_AFTER})", re.I)
_MONEY_SIGN = re.compile(_BEFORE, re.I)
_UNIT_OF_SPAN = "(?:" + "|".join(f"(?P<{name}>{pattern})" for name, pattern, *_ in _SPANS) + ")"
_SPAN = re.compile(
    rf"(?P<a>{_ANY})(?:{_RANGE}(?P<b>{_ANY}))?(?P<more>\s+and\s+a\s+half)?\s*-?\s*(?:full |整)?{_UNIT_OF_SPAN}(?P<half>半(?!价|数))?",
    re.I,
)
_KINDS_OF_SPAN = {name: (kind, factor) for name, _, kind, factor in _SPANS}
# "a week", but neither "once a week" nor "7 days a week": those say how often
_A_SPAN = re.compile(
    r"\b(?:(?P<half>half(?:\s+an?\s+|-))|an?\s+(?:full\s+|whole\s+|calendar\s+|natural\s+)?)"
    r"(?P<u>(?P<working>(?:business|working|work)[ -]day)|(?P<hour>hour)|(?P<minute>minute)|(?P<day>day)|(?P<week>week)|(?P<month>month)|(?P<year>year))\b"
    r"(?!-)(?P<more>\s+and\s+a\s+half\b)?",
    re.I,
)
_HOW_OFTEN = re.compile(r"(?:once|twice|times?|hours?|days?|minutes?|open|per|many|\d)\s+$", re.I)
# The day itself, the one after it, and all that come. "第二天" stays a span of two days, marked `ordinal`: others compare what is read.
_DAY = re.compile(
    r"(?P<same>当天|当日|今天(?!天气)|今日|\bsame[ -](?:business |working )?day\b|\btoday\b)"
    r"|(?P<next>次日|翌日|隔天|隔日|明天|明日|\b(?:next|following)[ -]day\b|\btomorrow\b)"
    r"|(?P<next_working>下一?个?工作日|次工作日|\b(?:next|following) (?:business|working) day\b)"
    r"|(?P<forever>终身|终生|永久|永远|无限期|\blifetime\b|\bforever\b|\bpermanent(?:ly)?\b)",
    re.I,
)
_WEEKDAYS = {"一": 1, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "日": 7, "天": 7}
_WEEK_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_OF_WEEK = r"(?:[一二三四五六](?!次|回|个|件)|[日天](?!均|气))"
_WEEKDAY = re.compile(
    rf"(?:周|星期|礼拜)(?P<a>{_OF_WEEK})(?:{_RANGE}(?P<to>(?:周|星期|礼拜)?(?P<b>{_OF_WEEK}))|[、和及](?P<c>{_OF_WEEK})(?!期))?"
    r"|(?P<weekend>周末|双休日|\bweekends?\b)|(?P<workdays>\bweekdays?\b|工作日)"
    rf"|\b(?P<name>{'|'.join(_WEEK_NAMES)})s?\b"
    r"|\b(?P<short>(?-i:Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun))\b",
    re.I,
)
_TO = re.compile(r"\s*(?:-|~|至|到|to|through|thru|till|until)\s*-?", re.I)
_CODE = re.compile(
    r"(?<![A-Za-z0-9_-])(?=[A-Z0-9-]*\d)(?=[A-Z0-9-]*[A-Z])[A-Z0-9]+(?:-[A-Z0-9]+)*(?![A-Za-z0-9_-])|(?<![A-Za-z0-9_.,-])\d{8,40}(?![A-Za-z0-9_-]|[.,]\d)",
    re.I,
)
_COUNT = re.compile(
    rf"(?P<n>{_NUM}|{_ZH_NUM})\s*(?P<u>件|个|张|次|份|瓶|盒|双|套|台|片|袋|层|格|倍|级|克|千克|公斤|斤|毫升|升|米|厘米|毫米|瓦|伏|度|分|项|种|位|人|岁|码)"
    rf"|(?P<zh>{_ZH_NUM})\s*(?P<u2>公里|千米|英寸|英尺|公分|毫安|款|笔|箱|包|条|支|只|本|部|辆|把|颗|粒|桶|罐|期|吨|成(?=新|以))?"
    rf"|(?P<bare>{_NUM})|(?P<en>{_EN_NUM}|\btwice\b)",
    re.I,
)
_ITEM = re.compile(r"(?m)^\s*(?:\d{1,2}[.、)）](?!\d)|[（(]\d{1,2}[)）]|[一二三四五六七八九十]+、)\s*|[①-⑳]")
# Numerals that are words: "一个", "万一", "千万"
_SOFT = {"一", "半", "两", "千", "百", "万", "千万", "百万", "万万", "一一", "零", "十分", "万一", "百分", "one"}  # fmt: skip
_READS_AS_NUMBER = re.compile(r"[一二两三四五六七八九]零?[十百千万]|十[一二三四五六七八九]")

# Units of plain numbers: two that are known and unlike make two values of one number.
_UNITS = {
    alias: unit
    for unit, aliases in {
        "kg": "公斤 千克 kg kgs kilo kilos kilogram kilograms",
        "jin": "斤",
        "g": "克 g gram grams",
        "mg": "毫克 mg",
        "t": "吨 ton tons tonne tonnes",
        "lb": "磅 lb lbs",
        "oz": "盎司 oz ounce ounces",
        "l": "升 l litre litres liter liters",
        "ml": "毫升 ml millilitre millilitres milliliter milliliters",
        "m": "米 m metre metres meter meters",
        "cm": "厘米 公分 cm centimetre centimetres centimeter centimeters",
        "mm": "毫米 mm millimetre millimetres millimeter millimeters",
        "km": "公里 千米 km kilometre kilometres kilometer kilometers",
        "ft": "英尺 ft foot feet",
        "in": "英寸 inch inches",
        "mile": "英里 mile miles",
        "w": "瓦 w watt watts",
        "kw": "千瓦 kw",
        "v": "伏 v volt volts",
        "mah": "毫安 毫安时 mah",
        "mb": "mb",
        "gb": "gb",
        "tb": "tb",
        "°c": "度 °c 摄氏度 celsius degrees",
        "°f": "华氏度 °f fahrenheit",
        "piece": "件 piece pieces pcs item items",
        "time": "次",
        "fold": "倍",
        "person": "人 位 person people persons",
        "bottle": "瓶 bottle bottles",
        "box": "盒 box boxes",
        "pair": "双 pair pairs",
        "set": "套 set sets",
        "bag": "袋 包 bag bags",
        "crate": "箱",
        **{word: word for word in "张份台片层格级分项种岁码款笔条支只本部辆把颗粒桶罐期"},
    }.items()
    for alias in aliases.split()
}
_UNIT_AFTER = re.compile(
    r"\s?(?:(?P<han>" + "|".join(sorted((u for u in _UNITS if ord(u[0]) > 0x2E80), key=len, reverse=True))
    + r")|(?P<latin>" + "|".join(sorted((u for u in _UNITS if ord(u[0]) <= 0x2E80), key=len, reverse=True))
    + r")(?![A-Za-z0-9]))",
    re.I,
)  # fmt: skip
_DECIMAL_WITH_UNIT = re.compile(
    rf"(?P<n>(?<![\d.A-Za-z])\d{{1,15}}\.\d{{1,15}})(?={'|'.join(sorted((u for u in _UNITS if u.isascii()), key=len, reverse=True))}(?![A-Za-z0-9]))",
    re.I,
)

# Which way a limit goes, from the words right before and right after the value.
_LIMIT_BEFORE = re.compile(
    r"(?:(?P<not>[不未没勿](?:有|得|可以|可|能|会|要|应|宜|允许)?|无法)?(?:(?P<more>超过|超出|超|多于|大于|高于|晚于|迟于|长于|满|逾)|(?P<less>少于|低于|小于|短于|早于|不足|不到))了?"
    r"|(?P<least>至少|最少|最低|起码|最短|下限)|(?P<most>最多|至多|最长|最大|最高|最迟|最晚|顶多|上限|限时?)"
    r"|\b(?P<en_not>not?|never|not to|cannot|can't|mustn't|doesn't|don't)?\s*(?:\bbe\s+)?\b(?:(?P<en_more>more than|over|above|exceed(?:s|ing)?|later than|longer than|greater than|older than|beyond)|(?P<en_less>less than|fewer than|under|below|earlier than|shorter than|sooner than))"
    r"|\b(?P<en_least>at least|minimum(?: of)?|min\.?|after)|\b(?P<en_most>within|at most|up to|maximum(?: of)?|max\.?))"
    r"[是为可达约大:]{0,2}(?:\s*(?:the (?:first|next|following|last)|about|around|another|a total of|an?|or equal to))?\s*$",
    re.I,
)
_LIMIT_AFTER = re.compile(
    r"\s*(?:[(][^()]{0,4}[)])?\s*(?:(?P<max>以内|之内|内(?![存衣裤置胆部])|以下|之下|封顶|为限|or (?:less|fewer|under|below|sooner)\b|max(?:imum)?\b|at most\b)"
    r"|(?P<min>[及或]?以上|之上|起(?!诉|来|飞)|以外|之外|开外|以后|之后|后|or (?:more|above|over|longer|later|higher)\b|and (?:above|over|up)\b|plus\b|\+|minimum\b|at least\b))",
    re.I,
)
_POINT_BEFORE = re.compile(
    r"(?:(?P<max>\b(?:before|by|until|till|no later than)|截止至?|截至|不晚于|不迟于|最迟|最晚)|(?P<min>\b(?:after|since|from|starting|no earlier than)|不早于|最早))(?:\s+(?:on|the|at))?\s*$",
    re.I,
)
_POINT_AFTER = re.compile(
    r"\s*(?:(?P<max>[之以]?前|截止)|(?P<min>[之以]?后|起|开始|onwards?\b|or later\b))", re.I
)
_QUANTITIES = frozenset({"percent", "discount", "minutes", "working_days", "months", "number"})
_POINTS = frozenset({"date", "time"})
_UP_TO = re.compile(rf"{_RANGE}-?(?:[¥$€£]\s?)?(?:\d|[一二两三四五六七八九十百半]|{_EN_WORD}\b)", re.I)
_RANGE_LETTERS = frozenset("-~–—至到tT")
# What _LIMIT_BEFORE and _POINT_BEFORE end with, and what _LIMIT_AFTER begins with.
_LIMIT_ENDS = frozenset("过出超于满逾了少低码短限到足多长大高迟晚早是为可达约时止至截")
_LIMIT_LETTERS = frozenset("(以之内下封为或及上起开后oOmMaApP+")
_PER = re.compile(r"\s*(?:/|每|一|\bper\b|\ba\b)\s*", re.I)
_WRITTEN = re.compile(r"(\d{1,30}(?:\.\d{1,15})?)([百千万亿]{0,2})")
_LONG_SPACE = re.compile(r"\s{4,}")


@dataclass(frozen=True)
class Value:
    """One value. `kind` and `key` are what is compared; `text` and `start` say where it stood.

    The rest is what stood around it, "" and False where nothing did; bot/generator/checks.py compares it.
    """

    kind: str  # money:CNY, percent, minutes, working_days, months, day, weekday, date, time, url, email, phone, code, number
    key: str
    text: str
    start: int
    end: int
    unit: str = ""  # of a number, or what a price is for: kg, m, piece
    bound: str = ""  # "max" for "within 3 days", "min" for "3 days or more"
    low: bool = False  # the lower end of a range
    other_end: str = ""  # key of the other end of its range
    negative: bool = False  # below zero
    ordinal: bool = False  # "第3天" is no 3 days

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
    """A number however it is written: "1,299.00", "1.5万", "十五", "twenty-one". None when it is too long to be meant."""
    cleaned = text.strip().lower().replace(",", "")
    digits = _WRITTEN.fullmatch(cleaned)
    if digits:
        return float(digits[1]) * _TIMES.get(digits[2], 1.0)
    words = [w for w in re.split(r"[- ]", cleaned) if w != "and"]
    if words and all(w in _EN_WORDS for w in words):
        total = part = 0
        for w in words:
            if w == "hundred":
                part = max(part, 1) * 100
            elif w == "thousand":
                total, part = total + max(part, 1) * 1000, 0
            else:
                part += _EN_WORDS[w]
        return float(total + part)
    return chinese_number(cleaned)


def _show(n: float) -> str:
    return f"{n:.4f}".rstrip("0").rstrip(".")


def quantity(code: str) -> tuple[str, str] | None:
    """A code that is a number with its unit, "25KG": both; None for other codes."""
    found = re.fullmatch(r"(\d{1,15})([A-Za-z]{1,4})", code)
    unit = _UNITS.get(found[2].lower()) if found else None
    return (_show(float(found[1])), unit) if found and unit else None


class _Found(NamedTuple):
    """What was read before it is known what stands around it."""

    start: int
    end: int
    kind: str
    key: str
    unit: str


class _Reader:
    """Reads kinds in order of how specific they are; a stretch once read is not read again."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.taken = bytearray(len(text) + 1)
        self.found: list[_Found] = []

    def free(self, start: int, end: int) -> bool:
        return end > start and self.taken.find(1, start, end) < 0

    def take(self, kind: str, key: str, start: int, end: int, unit: str = "") -> None:
        self.found.append(_Found(start, end, kind, key, unit))
        self.skip(start, end)

    def skip(self, start: int, end: int) -> None:
        self.taken[start:end] = b"\1" * (end - start)

    def unit_after(self, end: int) -> str:
        """One name for all spellings of the unit that stands right behind a number; "" where none does."""
        following = self.text[end : end + 2].lstrip()[:1]
        if not following.isalpha() and following != "°":
            return ""
        found = _UNIT_AFTER.match(self.text, end)
        return _UNITS[(found["han"] or found["latin"]).lower()] if found else ""

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
            if g["word"]:
                self.take("time", "12:00" if g["word"].lower() == "noon" else "00:00", *m.span())
                continue
            hour = number(g["h"] or g["h2"] or g["h3"] or g["h4"] or g["h5"] or "")
            if hour is None or hour > 24:
                continue
            minute = int(g["m"] or (30 if g["half"] or g["half2"] else 0))
            half_of_day = (g["ap"] or g["ap2"] or "").lower()[:1]
            if half_of_day == "p" or g["part"] in ("下午", "晚上", "晚"):
                hour += 12 if hour < 12 else 0
            if hour == 12 and (half_of_day == "a" or g["part"] in ("凌晨", "晚上", "晚")):
                hour = 0  # 12 am is midnight, 12 pm is noon
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
        for m in _MONEY_RANGE.finditer(self.text):
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
        for m in _SPAN.finditer(self.text):
            name = m.lastgroup if m.lastgroup != "half" else next(n for n in _KINDS_OF_SPAN if m[n])
            assert name is not None, "a span has a unit"
            kind, factor = _KINDS_OF_SPAN[name]
            start, last = m.start(), "a"
            if m["b"]:
                last = "b"
                a, b = number(m["a"]), number(m["b"])
                if a is not None and b is not None and self.free(*m.span()):
                    self.take(kind, _show(a * factor), m.start("a"), m.end("a"))
                    start = m.start("b")
                    self.take(
                        kind, _show((b + (0.5 if m["more"] or m["half"] else 0)) * factor), start, m.end()
                    )
                    continue
                start = m.start("b")  # what looked like the lower end is none
            n, unit = number(m[last]), m[name].lower()
            if n is None or m[last] in ("百", "千", "万", "百万", "千万") or not self.free(start, m.end()):
                continue
            if unit.startswith("年") and n >= 1900:  # "2026年" is a date, not a span
                self.take("date", f"{int(n)}", start, m.end())
                continue
            if m["half"] or m["more"] or unit.startswith("个半"):
                n += 0.5
            self.take(kind, _show(n * factor), start, m.end())
        for m in _A_SPAN.finditer(self.text):
            if self.free(*m.span()) and not _HOW_OFTEN.search(self.text[max(0, m.start() - 10) : m.start()]):
                kind, factor = next(_KINDS_OF_SPAN[n] for n in _KINDS_OF_SPAN if m[n])
                n = 0.5 if m["half"] else 1.5 if m["more"] else 1.0
                self.take(kind, _show(n * factor), *m.span())

    def days(self) -> None:
        """Spans and days without a number: for ever, the same day, the next one, and those of the week."""
        for m in _DAY.finditer(self.text):
            if self.free(*m.span()):
                self.take("day", str(m.lastgroup), *m.span())
        for m in _WEEKDAY.finditer(self.text):
            if not self.free(*m.span()):
                continue
            if m["weekend"] or m["workdays"]:
                self.take("weekday", "6-7" if m["weekend"] else "1-5", *m.span())
            elif m["name"]:
                self.take("weekday", str(_WEEK_NAMES.index(m["name"].lower()) + 1), *m.span())
            elif m["short"]:
                day = next(
                    n for n, name in enumerate(_WEEK_NAMES, 1) if name.startswith(m["short"][:3].lower())
                )
                if day < 6 or self._among_weekdays(m):  # "Sun" shines and "Sat" sat
                    self.take("weekday", str(day), *m.span())
            else:
                self.take("weekday", str(_WEEKDAYS[m["a"]]), m.start(), m.end("a"))
                for name, start in (("b", "to"), ("c", "c")):
                    if m[name]:
                        self.take("weekday", str(_WEEKDAYS[m[name]]), m.start(start), m.end(name))

    def _among_weekdays(self, m: re.Match[str]) -> bool:
        before, after = self.text[max(0, m.start() - 5) : m.start()], self.text[m.end() : m.end() + 5]
        return bool(re.search(r"(?:-|to|and|&|,|/)\s?$", before) or re.match(r"\s?(?:-|to|and|&|/|:)", after))

    def decimals(self) -> None:
        """ "1.5kg" before "5kg" is read as a code."""
        for m in _DECIMAL_WITH_UNIT.finditer(self.text):
            n = number(m["n"])
            if n is not None and self.free(*m.span()):
                self.take("number", _show(n), *m.span(), self.unit_after(m.end()))

    def counts(self) -> None:
        for m in _COUNT.finditer(self.text):
            raw = m["n"] or m["zh"] or m["bare"] or m["en"]
            if not raw or not self.free(*m.span()) or self._is_word(m, raw):
                continue
            twice = raw.lower() == "twice"
            n = 2.0 if twice else number(raw)
            if n is None or (m["en"] and n < 2):
                continue
            named = m["u"] or m["u2"]
            unit = _UNITS.get(named, "") if named else "time" if twice else self.unit_after(m.end())
            self.take("number", _show(n), *m.span(), unit)

    def _is_word(self, m: re.Match[str], raw: str) -> bool:
        """Whether numerals are words here: "一个", "十分", "万一", "千万", "第一次"."""
        if raw[0] not in _HAN:
            return self.text[m.start() - 1 : m.start()] == "第" and raw not in "0123456789"
        unit = m["u"] or m["u2"] or ""
        before = self.text[max(0, m.start() - 1) : m.start()]
        if before and before in "第几数":
            return True
        if raw == "十":
            return unit in ("", "分")
        if raw == "两":
            return unit == ""
        if not unit or (m["zh"] and unit == "包" and raw == "三"):  # "三包" is a law
            return not _READS_AS_NUMBER.search(raw)
        return raw in _SOFT or bool(re.fullmatch("[百千万半]+", raw))


def _limit(text: str, start: int, end: int, kind: str) -> str:
    """ "min" or "max" when the words right before or after a value say which way it goes.

    A text may hold a thousand values, so a look at one character comes before each search.
    """
    before, after = text[max(0, start - 28) : start], text[end : end + 20].lstrip()
    last = before.rstrip(" :")[-1:]
    spoken = last in _LIMIT_ENDS or (last.isascii() and last.isalpha())
    if kind in _POINTS:
        found = (_POINT_BEFORE.search(before) if spoken else None) or _POINT_AFTER.match(after)
        return str(found.lastgroup) if found else ""
    limit = _LIMIT_BEFORE.search(before) if spoken else None
    if limit is None:
        found = _LIMIT_AFTER.match(after) if after[:1] in _LIMIT_LETTERS else None
        return str(found.lastgroup) if found else ""
    if limit["least"] or limit["en_least"]:
        return "min"
    if limit["most"] or limit["en_most"]:
        return "max"
    more, denied = limit["more"] or limit["en_more"], limit["not"] or limit["en_not"]
    return "min" if bool(more) != bool(denied) else "max"


def _surrounded(text: str, found: list[_Found]) -> list[Value]:
    """Values with what stands around each: its limit, its sign, the other end of its range."""
    limits: list[str] = []
    measured = []
    mates: dict[int, int] = {}
    for n, v in enumerate(found):
        measured.append(v.kind in _QUANTITIES or v.kind.startswith("money"))
        limits.append(_limit(text, v.start, v.end, v.kind) if measured[n] or v.kind in _POINTS else "")
        near = (
            n and n - 1 not in mates and found[n - 1].kind == v.kind and 0 < v.start - found[n - 1].end < 16
        )
        if near and _TO.fullmatch(text, found[n - 1].end, v.start):
            mates[n], mates[n - 1] = n - 1, n
    out = []
    for n, v in enumerate(found):
        mate = mates.get(n)
        low = mate is not None and mate > n
        if not low and measured[n] and text[v.end : v.end + 3].lstrip()[:1] in _RANGE_LETTERS:
            low = bool(_UP_TO.match(text, v.end))
        before = text[max(0, v.start - 8) : v.start]
        upper = mate is not None and mate < n and not before.endswith(("~-", "至-", "到-", "--"))
        value = Value(
            v.kind,
            v.key,
            text[v.start : v.end].strip(),
            v.start,
            v.end,
            v.unit or (_unit_of_price(text, v.end) if v.kind.startswith("money") else ""),
            bound=limits[n] or (limits[mate] if mate is not None and measured[n] else ""),
            low=low,
            other_end="" if mate is None else found[mate].key,
            negative=v.kind == "number" and not upper and _is_negative(before, v.unit),
            ordinal=before.endswith("第"),
        )
        out.append(value)
    return out


def _unit_of_price(text: str, end: int) -> str:
    """ "kg" of "5元/公斤"."""
    per = _PER.match(text, end)
    found = _UNIT_AFTER.match(text, per.end()) if per else None
    return _UNITS[(found["han"] or found["latin"]).lower()] if found else ""


def _is_negative(before: str, unit: str) -> bool:
    if before.endswith("-"):
        said = before[-2:-1]
        return said in ("", " ", "\n", "(", ":", ",", "~") or (
            unit == "°c" and said not in "度cCfF0123456789"
        )
    return before.rstrip().lower().endswith(("零下", "负", "minus"))


def _shortened(text: str) -> tuple[str, list[int] | None]:
    """The text with long gaps cut to three characters, and where each of its characters stood; None: unchanged."""
    gaps = [m.span() for m in _LONG_SPACE.finditer(text)]
    if not gaps:
        return text, None
    parts: list[str] = []
    places: list[int] = []
    at = 0
    for start, end in gaps:
        parts += [text[at:start], "\n  " if "\n" in text[start:end] else "   "]
        places += [*range(at, start), *range(start, start + 3)]
        at = end
    return "".join([*parts, text[at:]]), [*places, *range(at, len(text))]


def find_values(text: str) -> list[Value]:
    """Every value in `text`, in the order it stands there. Positions refer to `normalise(text)`."""
    folded = normalise(text)
    short, places = _shortened(folded)
    reader = _Reader(short)
    for m in _ITEM.finditer(short):  # "1." at the start of a line numbers a step
        reader.skip(*m.span())
    reader.plain(_EMAIL, "email")
    reader.plain(_URL, "url")
    reader.dates()
    reader.plain(_PHONE, "phone")
    reader.times()
    reader.percents()
    reader.money()
    reader.spans()
    reader.days()
    reader.decimals()
    reader.plain(_CODE, "code")
    reader.counts()
    values = _surrounded(short, sorted(reader.found))
    if places is None:
        return values
    return [replace(v, start=places[v.start], end=places[v.end - 1] + 1) for v in values]
