"""What a message names: order and tracking numbers, phone, e-mail, items, counts, money, days, addresses, reasons.

Rules, because these things have shapes: a number that is one character off is another order. Each
finding keeps where it stands in the text as it was typed. A stretch of text is one thing only, and the
surest reading has it. Phone numbers are phonenumbers' work. This module knows no order and no intent.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from bot.addresses import read_address
from bot.dates import find_days
from bot.numerals import CHINESE, NOT_GOODS, NUMBER, WORD, read_number

READ = 2000  # characters that are looked at
SPAN = tuple[int, int]

_EMAIL = re.compile(r"[a-z0-9][a-z0-9._%+-]{0,63}@(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}", re.I)
_URL = re.compile(r"https?://\S+|www\.\S+", re.I)
_ORDER_CUE = (
    r"(?:订单(?:编)?号?码?|定单号?|訂單(?:編)?號?|(?<!运)(?<!快递)(?<!物流)单号"
    r"|\border(?:\s*(?:number|num|no\.?|nr|id|ref(?:erence)?|#))?|\bpurchase(?:\s+(?:number|no\.?|id))?|\bpo\b)"
)
_IS = r"\s*(?:is|was|of|it's|是|为|為|叫|:|：|=|#|№|\s)*\s*"
_TOKEN = r"(?:[a-z]{1,6}[\s_-]?)?\d(?:[\s_-]?\d){3,27}(?:-[a-z0-9]{1,4})?"
_CUED_ORDER = re.compile(rf"{_ORDER_CUE}{_IS}({_TOKEN})", re.I)
_HASH_ORDER = re.compile(r"(?<![\w&])[#＃]\s?((?:[a-z]{1,4}-?)?\d{3,24}(?:[ -]\d{3,20})*)(?!\w)", re.I)
_LETTERED_ORDER = re.compile(
    r"(?<![a-z0-9])((?:so|po|or|no|dd|ord|order|k|a|e|w|t|jd|tb)-?\d[\d-]{4,26}\d)(?![a-z0-9])", re.I
)
_BARE_ORDER = re.compile(
    r"(?<![a-zA-Z0-9_.@+])(\d{12,24}|\d{4}(?:[ -]\d{4}){2,4}(?:[ -]?\d{1,4})?|\d{8,10})(?![a-zA-Z0-9_@]|\.\d|\s*[元块])"
)
_TRACKING_CUE = re.compile(
    r"(?:运单|快递单|物流单|快递|物流|运单号|tracking(?:\s*(?:number|no\.?|id|code))?|waybill|awb)(?:号码?|编号)?"
    rf"{_IS}((?:[a-z]{{1,4}})?\d[\da-z]{{7,24}})(?![\da-z])",
    re.I,
)
_TRACKING = re.compile(
    r"(?<![a-z0-9])((?:SF|JDV?[A-Z]?|ZT[O]?|YT[O]?|ST[O]?|YD|JT|EMS|DH|UP|ZJS|BEST)\d{10,15}|1Z[0-9A-Z]{16}|[A-Z]{2}\d{9}(?:CN|US|GB|HK|DE|SG))"
    r"(?![a-z0-9])",
    re.I,
)
_POSTCODE = re.compile(
    r"(?:邮编|邮政编码|郵編|postcode|post code|zip(?: ?code)?|pin ?code)"
    + _IS
    + r"(\d{4,6}(?:-\d{4})?|[a-z]{1,2}\d[a-z\d]? ?\d[a-z]{2})\b",
    re.I,
)
_TAIL = re.compile(
    r"(?:尾号|后四位|末四位|尾數|last (?:four|4)(?: digits)?|ending(?: in| with)?|ends (?:in|with))(?:是|are|is|of|phone|my|:|：|\s)*(\d{4})(?!\d)", re.I
)  # fmt: skip
_CURRENCIES = {"¥": "CNY", "￥": "CNY", "元": "CNY", "块": "CNY", "块钱": "CNY", "rmb": "CNY", "cny": "CNY", "人民币": "CNY", "元钱": "CNY",
               "yuan": "CNY", "$": "USD", "usd": "USD", "美元": "USD", "美金": "USD", "dollar": "USD", "bucks": "USD", "€": "EUR", "eur": "EUR",
               "euro": "EUR", "欧元": "EUR", "£": "GBP", "gbp": "GBP", "pound": "GBP", "quid": "GBP", "英镑": "GBP", "hk$": "HKD", "港币": "HKD",
               "港元": "HKD"}  # fmt: skip
_MONEY = re.compile(
    r"(?P<sign>hk\$|[¥$€£])\s*(?P<amount>\d[\d,]*(?:\.\d{1,2})?)"
    r"|(?<![\d.])(?P<amount2>\d[\d,]*(?:\.\d{1,2})?)\s*(?P<unit>元钱|块钱|人民币|美元|美金|欧元|英镑|港币|港元|元(?!素|旦|宝)|块(?!儿|头)"
    r"|(?:rmb|cny|yuan|usd|dollars?|bucks|eur|euros?|gbp|pounds?|quid)\b)"
    rf"|(?P<amount3>{CHINESE})(?P<unit3>块钱|元钱|元(?!素|旦|宝)|块(?!儿|头))",
    re.I,
)
_COUNTERS = "件个双条箱台套瓶本份只盒包支张把块袋罐桶组副顶床部"
_QUANTITY = re.compile(
    rf"(?<![第\d.一二三四五六七八九十百月年№])(?P<zh>\d{{1,3}}|{CHINESE})\s*(?P<counter>[{_COUNTERS}])(?!{NOT_GOODS})"
    rf"|\b(?P<en>\d{{1,3}}|{WORD})\s*(?:x\s+|pieces?|pcs|items?|units?|pairs?|boxes|bottles|packs?|sets?|of (?:them|these|those|it))\b"
    r"|\b(?:qty|quantity|x)\s*[:=]?\s*(?P<qty>\d{1,3})\b",
    re.I,
)
_WHOLE = re.compile(
    r"全部|全都|所有(?:的)?|整单|\ball of (?:them|it)\b|\bthe whole order\b|\beverything\b|\bboth(?: of them)?\b|两件都|都退",
    re.I,
)
_ORDINAL = re.compile(
    rf"第\s*(?P<zh>{NUMBER})\s*(?P<counter>[{_COUNTERS}笔单项样款种]|(?=$|[\s,，。吧的]))"
    r"|\b(?:the )?(?P<en>first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|\d{1,2}(?:st|nd|rd|th))(?: (?:one|item|order|product|pair|thing))\b"
    r"|^\s*(?:the )?(?P<bare>first|second|third|fourth|fifth)\s*(?:please|pls)?\W*$"
    rf"|\b(?:number|item|option)\s+(?P<no>\d{{1,2}}|{WORD})\b"
    r"|(?P<last>最后(?:面)?(?:的)?(?:那)?一?[个件单双]|\bthe last (?:one|item|order))",
    re.I,
)
_ORDINAL_WORDS = {
    word: at
    for at, word in enumerate(
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"], 1
    )
}

# Why somebody wants his money back, as bot/policy/reasons.py calls it. The first that is said counts.
REASONS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("not_received", re.compile(r"没收到(?:货|东西|包裹|快递)?|未收到|没有收到|快递丢|丢件|包裹丢|\b(?:never (?:arrived|came|got it|received)|(?:didn'?t|did not|not|haven'?t) (?:arrive|receive|received|been delivered)|lost in (?:the )?(?:post|mail|transit)|package (?:is|was) lost)\b", re.I)),
    ("missing_item", re.compile(r"少(?:发|了|寄)|漏(?:发|了|寄)|缺(?:了|少)?(?:件|配件|零件|一)|没有?配件|\b(?:missing (?:part|piece|item|screw|cable|charger|accessor)\w*|(?:part|item|piece)s? (?:is|are|was|were) missing|only (?:got|received) (?:one|1|half))\b", re.I)),
    ("wrong_item", re.compile(r"发错|寄错|送错(?!地)|给错|货不对板|不是我(?:买|订|拍|要)的|\b(?:wrong (?:item|product|colou?r|one|model|thing|order)|(?:sent|got|received|delivered) (?:me )?(?:the |a )?wrong|not what i (?:ordered|bought)|something (?:else|different))\b", re.I)),
    ("damaged", re.compile(r"碎了|摔坏|压坏|破损|破了|裂(?:了|开|痕)|变形|(?:收到|打开|拆开|送来|到手)(?:就|的时候|时|后)?(?:是)?(?:坏|烂|破|碎)的?|包装(?:破|烂|坏|湿)|磕|\b(?:damaged|cracked|smashed|crushed|shattered|dented|torn|arrived broken|broken (?:on arrival|when))\b", re.I)),
    ("quality_fault", re.compile(r"质量(?:问题|太?差|不好|不行|有问题)|坏(?:了|掉|的)|不(?:亮|转|工作|制冷|加热|出水|通电)|没反应|漏水|漏电|开不了机|充不(?:进|了)电|开胶|脱线|掉色|起球|故障|有毛病|失灵|\b(?:broken|defect\w*|faulty|(?:not|doesn'?t|does not|stopped|won'?t) (?:work|working|turn on|charge|start)|poor quality|bad quality|fell apart|malfunction\w*)\b", re.I)),
    ("not_as_described", re.compile(r"(?:跟|和|与)(?:图片|描述|照片|页面|介绍)(?:不|不太)?(?:一样|符|相符)|色差|描述不符|与描述|虚假宣传|\b(?:not as (?:described|advertised|pictured|shown)|(?:looks?|is) different (?:from|than|to)|misleading|nothing like the (?:photo|picture))\b", re.I)),
    ("wrong_size", re.compile(r"(?:太|偏|有点|买|码|尺寸|尺码|号)(?:大|小|长|短|紧|松|肥|瘦)了?|尺[码寸](?:不(?:合适|对)|大|小)|不合(?:身|脚|适)|穿不(?:下|上|了|进)|大了|小了|\b(?:(?:does|did)n'?t fit|not fit|too (?:big|small|large|tight|loose|long|short)|wrong size|size (?:is )?(?:wrong|off))\b", re.I)),
    ("late", re.compile(r"太慢|等(?:太久|不及|不了)|(?:一直|还)?(?:没|不)发货|迟(?:到|迟)|超时|来不及|\b(?:too (?:late|slow)|(?:very|so) late|taking too long|took too long|delayed|not shipped)\b", re.I)),
    ("changed_mind", re.compile(r"(?:不想|不)(?:要|买|喜欢|需要)了?|买(?:多|重|错)了?|拍(?:错|重|多)了?|后悔|七天无理由|7天无理由|用不(?:着|上)|\b(?:changed my mind|(?:don'?t|do not|no longer) (?:want|need|like)|by (?:mistake|accident)|ordered (?:twice|too many)|bought (?:twice|two by)|not needed)\b", re.I)),
)  # fmt: skip
_NOT_A_REASON = re.compile(r"(?:没|没有|不是|不会)(?:坏|质量问题|破损|发错)")
_ADDRESS_CUE = re.compile(
    r"(?:收货)?地址(?:是|为|改(?:成|为|到)|换成|:|：)*|(?:送|寄|发|改|换)(?:到|成|去|往)"
    r"|\b(?:(?:new |my |delivery |shipping )*address(?: is| to|:)*|(?:ship|send|deliver|redirect)(?: it| this| them| my \w+)? to)\s*",
    re.I,
)
_ADDRESS_ZH = re.compile(
    r"(?:[\u3400-\u9fff]{2,8}(?:省|自治区))?(?:[\u3400-\u9fff]{2,8}(?:市|州|盟))?(?:[\u3400-\u9fff]{1,8}(?:新区|区|县|旗|镇))?"
    r"[\u3400-\u9fff\d·-]{1,14}(?:大道|路|街道?|巷|弄|胡同|村|小区|花园|苑|庄|广场|大厦|园区|公寓)[\u3400-\u9fffa-z\d号栋幢座楼室单元层#\- ]{0,40}",
    re.I,
)
_ADDRESS_EN = re.compile(
    r"\b(?:(?:flat|apt|apartment|unit|suite|room)\s*#?\w{1,5},?\s+)?\d{1,5}[a-z]?(?:[-/]\d{1,4})?,?\s+(?:[A-Za-z][\w'.-]*\s+){1,4}"
    r"(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|way|court|ct|boulevard|blvd|place|pl|square|sq|terrace|close|crescent|parkway|highway)\b\.?"
    r"(?:,?\s*(?:flat|apt|apartment|unit|suite|#)\s*\w{1,5})?(?:,\s*[A-Za-z][a-z.'-]*\b(?:\s[A-Za-z][a-z.'-]+\b){0,2}){0,3}(?:,?\s+(?:\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}))?",
    re.I,
)


@dataclass(frozen=True)
class Entity:
    """One thing named: its kind, its value in the form the rest of Kefu uses, and where it stands."""

    kind: str
    value: Any
    start: int
    end: int
    text: str


class _Text:
    """The text in compatibility form, with the way back to the characters that were typed."""

    def __init__(self, typed: str) -> None:
        self.typed = typed[:READ]
        forms = [unicodedata.normalize("NFKC", char) for char in self.typed]
        # a zero-width character between digits would cut a number in two
        forms = ["" if unicodedata.category(char) in ("Cf", "Mn", "Cc") and char not in "\n\t" else form
                 for char, form in zip(self.typed, forms, strict=True)]  # fmt: skip
        self.shown = "".join(forms)
        self._back = [at for at, form in enumerate(forms) for _ in form]

    def entity(self, kind: str, value: Any, span: SPAN) -> Entity:
        start = self._back[span[0]]
        end = self._back[span[1] - 1] + 1
        return Entity(kind, value, start, end, self.typed[start:end])


def read_entities(text: str, today: date) -> list[Entity]:
    """Everything named in `text`, in the order it stands there. `today` anchors "昨天" and "last Friday"."""
    read = _Text(text)
    taken: list[SPAN] = [match.span() for match in _URL.finditer(read.shown)]
    found: list[Entity] = []
    for kind, value, span in _candidates(read.shown, today):
        shared = kind in ("reason", "item_ref")  # "最后一件坏了" names both
        if span[0] >= span[1] or (
            not shared and any(span[0] < end and start < span[1] for start, end in taken)
        ):
            continue
        if not shared:
            taken.append(span)
        found.append(read.entity(kind, value, span))
    return sorted(found, key=lambda one: (one.start, one.end))


def _candidates(text: str, today: date) -> Iterator[tuple[str, Any, SPAN]]:
    """Readings, the surest first."""
    for match in _EMAIL.finditer(text):
        yield "email", match[0].lower(), match.span()
    for match in _TAIL.finditer(text):
        yield "phone", match[1], match.span(1)
    for match in _POSTCODE.finditer(text):
        yield "postcode", match[1].upper(), match.span(1)
    for match in _CUED_ORDER.finditer(text):
        if not _is_money(text, match.end(1)):
            digits = _one_number(match[1])
            yield "order_number", _joined(digits), (match.start(1), match.start(1) + len(digits))
    for match in _TRACKING.finditer(text):
        yield "tracking_number", match[1].upper(), match.span(1)
    for match in _TRACKING_CUE.finditer(text):
        yield "tracking_number", match[1].upper(), match.span(1)
    for match in _HASH_ORDER.finditer(text):
        digits = _one_number(match[1])
        yield "order_number", _joined(digits), (match.start(), match.start(1) + len(digits))
    for address, span in _addresses(text):
        yield "address", address, span
    yield from _phones(text)
    for match in _MONEY.finditer(text):
        if money := _money(match):
            yield "money", money, match.span()
    for day in find_days(text, today):
        yield "date", day.day.isoformat(), (day.start, day.end)
    for pattern in (_LETTERED_ORDER, _BARE_ORDER):
        for match in pattern.finditer(text):
            yield "order_number", _joined(match[1]), match.span(1)
    for match in _ORDINAL.finditer(text):
        if (number := _ordinal(match)) is not None:
            yield "item_ref", number, match.span()
    for match in _WHOLE.finditer(text):
        yield "item_ref", "all", match.span()
        break
    for match in _QUANTITY.finditer(text):
        number = read_number(match["zh"] or match["en"] or match["qty"])
        said_in_passing = match["counter"] == "个" and number == 1 and len(text) >= 6  # "给我一个说法"
        if number and number < 1000 and not said_in_passing:
            yield "quantity", number, match.span()
    reason = _reason(text)
    if reason:
        yield reason


def _reason(text: str) -> tuple[str, Any, SPAN] | None:
    spans = [match.span() for match in _NOT_A_REASON.finditer(text)]
    for code, pattern in REASONS:
        for match in pattern.finditer(text):
            if not any(start <= match.start() < end for start, end in spans):
                return "reason", code, match.span()
    return None


def _one_number(token: str) -> str:
    """The token up to the space behind a long run of digits: in "8618…1055 7315" the four are the phone's."""
    match = re.match(r".*?\d{10,}(?=\s)", token)
    return match[0] if match else token


def _joined(number: str) -> str:
    """An order number as a shop writes it: capitals, no spaces; hyphens between digit groups of four go."""
    number = re.sub(r"[\s_]+", "", number).upper()
    return number.replace("-", "") if re.fullmatch(r"\d{4}(?:-\d{4})+(?:-?\d{1,4})?", number) else number


def _is_money(text: str, at: int) -> bool:
    return re.match(r"\s*(?:元|块|rmb|usd|dollars?|eur)", text[at:], re.I) is not None


def _ordinal(match: re.Match[str]) -> int | None:
    if match["last"]:
        return -1
    word = match["en"] or match["bare"]
    if word:
        return _ORDINAL_WORDS.get(word.lower()) or read_number(re.sub(r"\D", "", word))
    number = read_number(match["zh"] or match["no"])
    return number if number and number <= 50 else None


def _money(match: re.Match[str]) -> dict[str, Any] | None:
    amount = match["amount"] or match["amount2"]
    sign = (match["sign"] or match["unit"] or match["unit3"]).lower()
    currency = _CURRENCIES.get(sign) or _CURRENCIES.get(sign.rstrip("s"))
    if currency is None:
        return None
    if amount:
        whole, _, cents = amount.replace(",", "").partition(".")
        return {"amount": int(whole) * 100 + int(cents.ljust(2, "0") or 0), "currency": currency}
    number = read_number(match["amount3"])
    return {"amount": number * 100, "currency": currency} if number else None


def _phones(text: str) -> Iterator[tuple[str, Any, SPAN]]:
    if not re.search(r"\d(?:[\s().-]*\d){6}", text):
        return
    import phonenumbers

    chinese = re.search(r"[\u3400-\u9fff]", text) is not None
    for region in ("CN",) if chinese or re.search(r"(?<!\d)1[3-9]\d{9}(?!\d)", text) else ("US", "GB", "CN"):
        matcher = phonenumbers.PhoneNumberMatcher(
            text, region, leniency=phonenumbers.Leniency.VALID, max_tries=40
        )
        for match in matcher:
            digits = re.sub(r"\D", "", match.raw_string)
            written = "+" in match.raw_string or re.search(r"[\s().-]", match.raw_string.strip()) is not None
            mobile = re.fullmatch(r"1[3-9]\d{9}", digits) is not None
            said = re.search(r"电话|手机|号码|联系|phone|mobile|call|tel|cell", text, re.I) is not None
            if mobile or written or said:
                yield "phone", phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164), (match.start, match.end)  # fmt: skip


def _addresses(text: str) -> Iterator[tuple[str, SPAN]]:
    for match in _ADDRESS_EN.finditer(text):
        yield match[0].strip(" ,."), match.span()
    for match in _ADDRESS_ZH.finditer(text):
        start = match.start()
        for cue in _ADDRESS_CUE.finditer(text, match.start(), match.end()):
            start = cue.end()
        place = text[start : match.end()].strip()
        if (
            re.search(r"\d|[一二三四五六七八九十]+[号栋幢座楼室单元]", place)
            and re.search(r"[号栋幢座楼室]|\d$", place)
            and read_address(place)
        ):
            yield place, (start, start + len(text[start : match.end()].rstrip()))
