"""Personal data inside texts: found, and replaced by what it was: `[phone]`, `[email]`, `[name]`.

Every recogniser reads the same original text; where two claims overlap the longer one wins, then the more exact
kind, so that the result does not depend on the order in which they are asked. Masking twice changes nothing. What
has a check digit is checked (Chinese identity number, bank card, IBAN), phones are validated by Google's
`phonenumbers`: an order number is not a phone. Names are masked where they are known or introduced ("收货人：…",
"Mrs. …"); this module has no model of names, and of streets only their usual forms in Chinese, English and German.
It knows no table and no program.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import phonenumbers
from structlog.types import EventDict, WrappedLogger

Kind = Literal["id_card", "iban", "card", "email", "phone", "ssn", "ip", "account", "address", "name"]
# Of two claims of the same length the one that stands earlier here wins.
ORDER: tuple[Kind, ...] = (
    "id_card", "iban", "card", "email", "ssn", "ip", "phone", "account", "address", "name",
)  # fmt: skip

Span = tuple[int, int]


@dataclass(frozen=True)
class Found:
    """A piece of personal data: text[start:end]."""

    kind: Kind
    start: int
    end: int


def find_personal(text: str, names: Iterable[str] = ()) -> list[Found]:
    """Every piece of personal data, from left to right, without overlaps. `names` are those known to occur."""
    folded = _fold(text)
    claims = [Found(kind, *span) for kind, find in _RECOGNISERS for span in find(folded)]
    claims += [Found("name", *span) for span in _known_names(folded, names)]
    claims.sort(key=lambda one: (one.start - one.end, ORDER.index(one.kind), one.start))
    kept: list[Found] = []
    for claim in claims:
        if claim.end > claim.start and all(
            claim.end <= other.start or claim.start >= other.end for other in kept
        ):
            kept.append(claim)
    return sorted(kept, key=lambda one: one.start)


def mask_text(text: str, names: Iterable[str] = ()) -> str:
    """The text with personal data replaced by its kind in brackets."""
    parts: list[str] = []
    place = 0
    for found in find_personal(text, names):
        parts += [text[place : found.start], f"[{found.kind}]"]
        place = found.end
    return "".join(parts) + text[place:] if parts else text


def mask_value(value: Any, names: Iterable[str] = ()) -> Any:
    """A copy in which every string, at any depth, is masked. Keys stay."""
    if isinstance(value, str):
        return mask_text(value, names)
    if isinstance(value, dict):
        return {key: mask_value(one, names) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return type(value)(mask_value(one, names) for one in value)
    return value


# Fields of a log record that never hold a shopper's words and that machines compare.
_PLAIN = frozenset({"timestamp", "level", "program", "conversation", "message_id", "logger", "_record"})


def mask_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """For `bot.log.configure(mask=...)`: masks every text of a record."""
    for key, value in event.items():
        if key not in _PLAIN:
            event[key] = mask_value(value)
    return event


def _fold(text: str) -> str:
    """Full-width digits and letters as ASCII ones, place by place: spans stay those of the original."""
    if text.isascii():
        return text
    folded = (unicodedata.normalize("NFKC", char) for char in text)
    return "".join(new if len(new) == 1 else old for new, old in zip(folded, text, strict=True))


# --- numbers with a check -------------------------------------------------------------------------

_ID_CARD = re.compile(
    r"(?<![\dA-Za-z])[1-9]\d{5}[ -]?(?:18|19|20)\d{2}[ -]?\d{2}[ -]?\d{2}[ -]?\d{3}[\dXx](?![\dA-Za-z])"
)
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def valid_id_card(number: str) -> bool:
    """Whether these 18 characters are a Chinese identity number: a real day and the check digit of GB 11643."""
    if not re.fullmatch(r"\d{17}[\dXx]", number):
        return False
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    rest = sum(int(digit) * weight for digit, weight in zip(number, _ID_WEIGHTS, strict=False)) % 11
    return "10X98765432"[rest] == number[17].upper()


def _id_cards(text: str) -> Iterator[Span]:
    for match in _ID_CARD.finditer(text):
        if valid_id_card(re.sub(r"[ -]", "", match[0])):
            yield match.span()


_CARD = re.compile(r"(?<![\dA-Za-z])(?<!\d[.,-])[2-6](?:[ -]?\d){11,18}(?![\dA-Za-z])(?![.,-]\d)")


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, the check of payment cards."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _cards(text: str) -> Iterator[Span]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if luhn(digits) and len(set(digits)) > 1:
            yield match.span()


_IBAN = re.compile(
    r"(?<![\dA-Za-z])[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,4})?(?![\dA-Za-z])"
)


def valid_iban(number: str) -> bool:
    """ISO 13616: country, check digits, remainder 1 of 97."""
    compact = number.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", compact):
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def _ibans(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        end = match.end()
        # A word may follow the last group: shorten until the remainder fits.
        while end - match.start() >= 15:
            if valid_iban(text[match.start() : end]) and (end == len(text) or not text[end].isalnum()):
                yield match.start(), end
                break
            end -= 1


_SSN = re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
_IP = re.compile(
    r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)|(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){3,7}[0-9A-Fa-f]{0,4}(?![\w:])"
)


def _ips(text: str) -> Iterator[Span]:
    """Addresses on the internet; those of this machine or network are nobody's."""
    for match in _IP.finditer(text):
        try:
            address = ipaddress.ip_address(match[0])
        except ValueError:
            continue
        if address.is_global:
            yield match.span()


# --- phones, e-mail, accounts ---------------------------------------------------------------------

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[^\W_](?:[\w-]{0,61}[^\W_])?(?:\.[^\W_](?:[\w-]{0,61}[^\W_])?)+",
    re.ASCII,
)
_PHONE_WORDS = re.compile(
    r"(?:电话|手机|座机|号码|联系方式|拨打|致电|tel|phone|mobile|cell|fax|call|whatsapp|text me|reach me)[^\d+(,;.!?、。，；\]\n订]{0,24}$",
    re.I,
)
_NUMBERISH = re.compile(
    r"(?<![\w.,:$#-])(?:\+|00)?\(?\d(?:[ \t().\-/]{0,2}\d){6,16}(?![\w]|[.-]\d)", re.ASCII
)
_CN_MOBILE = re.compile(r"(?<!\d)(?:(?:\+|00)?86[ -]?)?1[3-9]\d(?:[ -]?\d{4}){2}(?!\d)")
_DATE_LIKE = re.compile(r"(?<!\d)(?:19|20)\d{2}[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01])(?!\d)")
_DOTTED = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")  # a network address; `_ips` knows which of them matter
# Whose national formats are tried on a number without a country code.
_REGIONS = ("CN", "US", "GB", "DE", "FR", "JP", "AU", "SG", "HK", "TW", "ES", "IT", "NL", "CA", "IE", "NZ")


def _phones(text: str) -> Iterator[Span]:
    for match in _CN_MOBILE.finditer(text):
        yield match.span()
    for match in _NUMBERISH.finditer(text):
        written = match[0]
        told = _PHONE_WORDS.search(text[: match.start()]) is not None
        grouped = re.search(r"\d[ ().\-/]+\d", written) is not None
        if _DOTTED.fullmatch(written) or (_DATE_LIKE.search(written) and not told):
            continue
        international = written.startswith(("+", "00"))
        if international:
            number = "+" + written.lstrip("+0") if written.startswith("00") else written
            if _possible(number, None):
                yield match.span()
        elif (told or grouped) and any(_valid(written, region) for region in _REGIONS):
            # Bare digits are a phone only where a word says so: most of them are order numbers.
            yield match.span()


def _possible(number: str, region: str | None) -> bool:
    try:
        return bool(phonenumbers.is_possible_number(phonenumbers.parse(number, region)))
    except phonenumbers.NumberParseException:
        return False


def _valid(number: str, region: str) -> bool:
    try:
        return bool(phonenumbers.is_valid_number_for_region(phonenumbers.parse(number, region), region))
    except phonenumbers.NumberParseException:
        return False


_ACCOUNT = re.compile(
    r"(?:微信号?|wechat(?: id)?|weixin|\bqq号?|telegram|whatsapp|支付宝(?:账号)?|alipay(?: id)?)\s*(?:是|为|is|:)\s*@?([A-Za-z0-9_-]{5,32})(?![\w@.-])",
    re.I,
)


def _accounts(text: str) -> Iterator[Span]:
    for match in _ACCOUNT.finditer(text):
        yield match.span(1)


# --- addresses ------------------------------------------------------------------------------------

_HAN = r"[\u3400-\u9fff]"
_PLACE = rf"(?:(?![到在是于的了我您你请改寄给把至为家内]){_HAN})"  # no word of the sentence around it
_REGION = (
    r"(?:(?:北京|上海|天津|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海"
    r"|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门)(?:省|市|(?:壮族|回族|维吾尔)?自治区|特别行政区)?\s*)?"
    rf"(?:{_PLACE}{{2,7}}?(?:市|自治州|地区|盟)\s*)?(?:{_PLACE}{{1,6}}?(?:新区|区|县|旗|市)\s*)?(?:{_PLACE}{{1,6}}?(?:镇|乡|街道)\s*)?"
)
_NUMBER = r"[0-9A-Za-z一二三四五六七八九十百]{1,6}(?:[-–][0-9A-Za-z]{1,6}){0,3}"
_UNIT = r"(?:号楼|号(?!线)院?|弄|栋|幢|座|单元|楼|层|室|户)"
_ZH_ADDRESS = re.compile(
    rf"{_REGION}{_PLACE}{{1,10}}?(?:大道|胡同|路|街|道|巷|弄|里|村|小区|花园|家园|公寓|大厦|广场|苑|园|城|府|庄)"
    rf"(?:[东南西北中][路街段]?)?{_PLACE}{{0,8}}?[ ]?{_PLACE}{{0,3}}\s?{_NUMBER}\s*{_UNIT}"
    rf"(?:[\s,]?{_PLACE}{{0,12}}?\s*{_NUMBER}\s*{_UNIT})*(?:\s?\d{{1,5}}(?![\d年月日天元块件个]))?"
)
_STREETS = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Way|Court|Ct|Boulevard|Blvd|Place|Pl|Square|Sq|Terrace|Ter|Close|Crescent"
    r"|Cres|Gardens|Park|Row|Hill|Quay|Highway|Hwy|Parkway|Pkwy|Circle|Cir|Trail|Trl|Mews|Walk|Grove|Rue|Via|Calle|Plaza|Allee)"
)
_FLAT = r"(?:(?:Apt|Apartment|Suite|Ste|Unit|Flat|Room|Rm|Floor|Fl)\.?\s*#?\s*[0-9A-Z]{1,6}\b|#\s*\d{1,5}\b)"
_TOWN = r"(?:[,\n]\s*[A-Z][\w.' -]{1,40}?)?(?:[,\n ]+\s*[A-Z]{2,3}\b)?(?:[,\n ]+\s*(?:\d{4,5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})\b)?"
_EN_ADDRESS = re.compile(
    rf"\b\d{{1,6}}[A-Za-z]?(?:[ -]\d{{1,4}}[A-Za-z]?)?,?[ ](?:[A-Z0-9][\w.'’-]*[ ]){{1,4}}?{_STREETS}\b\.?(?:[ ][NSEW]{{1,2}}\b)?(?:[, \n]+{_FLAT})?{_TOWN}"
)
_DE_ADDRESS = re.compile(
    r"\b[A-ZÄÖÜ][\wäöüß.-]*(?:[ -][A-ZÄÖÜ][\wäöüß.-]*)?(?:[Ss]tra(?:ß|ss)e|[Ss]tr\.|[Ww]eg|[Pp]latz|[Aa]llee|[Gg]asse|[Rr]ing|[Uu]fer)\s+\d{1,4}\s?[a-z]?\b"
    r"(?:,?\s+\d{5}\s+[A-ZÄÖÜ][\wäöüß-]+)?"
)
_FLAT_ALONE = re.compile(rf"\b{_FLAT}")
_BOX = re.compile(r"\bP\.?\s?O\.?\s?Box\s+\d{1,8}\b", re.I)
_POSTCODE = re.compile(
    r"\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b|\b[A-Z]\d[A-Z] \d[A-Z]\d\b|\b\d{5}-\d{4}\b"
    r"|(?<=\b[A-Z]{2} )\d{5}\b|(?i:(?:邮编|邮政编码|post\s?code|postal code|zip(?: code)?)\s*(?:是|为|is|:)?\s*)[A-Z0-9]{3,4}[ -]?[A-Z0-9]{2,4}\b"
)
# "my address is ..." up to the end of the sentence, when a number stands in it.
_TOLD_ADDRESS = re.compile(
    r"\b(?:address(?: of [^,.?!\n]{1,40})?(?: (?:is|to)|:)|(?:live|living|lives|located|based|staying) (?:at|on)|(?:ship|send|deliver|mail)(?:ped|ed)? (?:it |this |that |them )?to|(?:moved?|moving) to)"
    r"\s*((?=[^?!]{0,80}\d)[^?!\n]{0,80}?(?:\n[^?!\n]{1,40}){0,4}?)(?=[?!]|\.(?:\s|$)|\n\n|$| (?:instead|please|and|but|because|as|by|before|from|with|since)\b)",
    re.I,
)


def _addresses(text: str) -> Iterator[Span]:
    for pattern in (_ZH_ADDRESS, _EN_ADDRESS, _DE_ADDRESS, _FLAT_ALONE, _BOX, _POSTCODE):
        for match in pattern.finditer(text):
            yield match.span()
    for match in _TOLD_ADDRESS.finditer(text):
        start, end = match.span(1)
        stripped = text[start:end].rstrip(" ,.\n")
        # "moved to 2 items" is no address: letters that begin like a name, and a number.
        if re.search(r"\d", stripped) and re.search(r"[A-Z][a-zà-ÿ]", stripped):
            yield start, start + len(stripped)


# --- names ----------------------------------------------------------------------------------------

_ZH_NAME = re.compile(
    rf"(?:收货人|收件人|寄件人|姓名|联系人|开户人|持卡人|我叫|名字(?:是|叫))\s*(?:是|为|叫|:)?\s*({_HAN}{{2,4}}(?:·{_HAN}{{1,8}})?)(?=[\s,。;、:\dA-Za-z(]|的?电话|手机|地址|$)"
)
_WORD = r"[A-ZÀ-ÖØ-Þ][\w'’-]*"
_EN_NAME = re.compile(
    rf"(?:\b(?:[Mm]y name(?:'s| is)|[Nn]ame\s*:|[Rr]ecipient\s*:|[Aa]ttn\.?:?|[Cc]ardholder\s*:?|[Dd]ear|[Tt]his is)\s+"
    rf"(?:(?:Mr|Mrs|Ms|Miss|Dr|Prof)\b\.?\s+)?|\b(?:Mr|Mrs|Ms|Miss|Dr|Prof)\b\.?\s+)((?:{_WORD})(?:\s(?:(?:van|von|de|der|den|la|le|bin|al|[A-Z]\.?)\s)*{_WORD}){{0,3}})"
)
_NO_NAME = frozenset(
    {
        "Sir",
        "Madam",
        "Team",
        "Customer",
        "Support",
        "Kefu",
        "Service",
        "Shop",
        "All",
        "I",
        "The",
        "My",
        "Not",
        "What",
        "Seller",
    }
)


def _told_names(text: str) -> Iterator[Span]:
    for match in _ZH_NAME.finditer(text):
        yield match.span(1)
    for match in _EN_NAME.finditer(text):
        if match[1].split()[0] not in _NO_NAME:
            yield match.span(1)


def _known_names(text: str, names: Iterable[str]) -> Iterator[Span]:
    for name in {_fold(one).strip() for one in names}:
        if len(name) < 2:
            continue
        edge = r"(?<!\w){}(?!\w)" if name.isascii() or not re.search(_HAN, name) else "{}"
        for match in re.finditer(edge.format(re.escape(name)), text, re.I):
            yield match.span()


def _pattern(pattern: re.Pattern[str]) -> Callable[[str], Iterator[Span]]:
    return lambda text: (match.span() for match in pattern.finditer(text))


_RECOGNISERS: Sequence[tuple[Kind, Callable[[str], Iterator[Span]]]] = (
    ("id_card", _id_cards),
    ("iban", _ibans),
    ("card", _cards),
    ("email", _pattern(_EMAIL)),
    ("phone", _phones),
    ("ssn", _pattern(_SSN)),
    ("ip", _ips),
    ("account", _accounts),
    ("address", _addresses),
    ("name", _told_names),
)
