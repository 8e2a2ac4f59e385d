"""What a shopper types to prove who they are, brought into the form the shop compares.

A phone counts by its last four digits, an e-mail without regard to case, a postcode without spaces. This module
only reads; it knows no order and does not say whether a proof is right.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date

from bot.entities import read_entities
from bot.orders.models import ProofKind

EMAIL = re.compile(r"[a-z0-9][a-z0-9._%+'-]*@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)+", re.IGNORECASE)
# Digits as people group them: 138 1234 5678, +86-138-1234-5678, (020) 7946 0958
DIGITS = re.compile(r"(?<![\w])\+?\(?\d(?:[\s().-]?\d)*(?![\w])", re.ASCII)
POSTCODES = (
    re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b", re.IGNORECASE),  # United Kingdom
    re.compile(r"\b[A-Z]\d[A-Z][ -]?\d[A-Z]\d\b", re.IGNORECASE),  # Canada
    re.compile(r"\b\d{4} ?[A-Z]{2}\b", re.IGNORECASE),  # Netherlands
    re.compile(r"\b\d{5}-\d{4}\b"),  # United States, long form
)
POSTCODE_WORDS = re.compile(
    r"邮编|郵編|邮政编码|郵政編碼|郵遞區號|post\s*code|postal\s*code|\bzip(?:\s*code)?\b", re.IGNORECASE
)
PHONE_WORDS = re.compile(
    r"手机|手機|电话|電話|尾号|尾號|后四位|後四位|末四位|phone|mobile|cell|last\s+(?:four|4)|ends?\s+(?:in|with)|ending",
    re.IGNORECASE,
)
# Words for nothing but a proof: a shopper may also have bought a phone.
PROOF_WORDS = re.compile(
    r"尾号|尾號|(?:后|後|末|最后)四位|邮编|郵編|邮政编码|郵政編碼|郵遞區號|post\s*code|postal\s*code|\bzip(?:\s*code)?\b"
    r"|\blast\s+(?:four|4)\b(?!\s+(?:orders?|days?|weeks?|months?|items?))|\bends?\s+(?:in|with)\b|\bending\b",
    re.IGNORECASE,
)
# A phone's number behind its word; "手机1299元" and "my phone 2024 model" are goods.
PHONE_SAID = re.compile(
    r"(?:手机|手機|电话|電話|联系方式|\b(?:phone|mobile|cell|tel)\b)(?:\s*(?:号码?|號碼?|里|上|是|为|為|\b(?:numbers?|no|is|was)\b|[.:#]))*\s*"
    r"(?=\+?\(?\d)(?![\d.,]+\s*(?:的|元|块|年|万|款|版|型|系列|[件台部个买拍卖]|(?:rmb|usd|eur|gbp|dollars?|bucks|euros?|pounds?|models?|version|edition)\b))",
    re.IGNORECASE,
)
# A Chinese mobile number, or one with its country, can be nothing else.
WHOLE_PHONE = re.compile(
    r"(?<![\d.])(?:\+?86[\s-]?)?1[3-9]\d[\s-]?\d{4}[\s-]?\d{4}(?!\d)|(?<!\w)\+\d[\d\s().-]{7,18}\d(?!\w)",
    re.ASCII,
)
# The last digits of something else, and numbers that say their own unit.
NO_PROOF = re.compile(
    r"(?:(?:银行|信用|储蓄|会员|礼品)?卡|订单号?|(?:运|快递|物流)?单号?)(?:的|号)?(?:尾号|[后末]四位)(?:是|为|[::\s])*\d+"
    r"|\b(?:card|visa|mastercard|amex|tracking|parcel)\b[^.,;\d\n\x00]{0,24}?\b(?:end(?:s|ing)?|last (?:four|4))\b[^.,;\d\n\x00]{0,20}\d+"
    r"|(?:税号|识别号|信用代码|\b(?:tax|vat)(?: (?:number|id|no\.?))?)(?:是|为|is|[::\s])*[A-Za-z0-9-]*\d[A-Za-z0-9-]*"
    r"|(?<!\d)(?:19|20)\d\d\s*[年款版]|(?<![\d.])\d+\.\d{1,2}(?![\d.])|(?<!\d)\d+\s*(?:毫升|千?克|公斤|厘米|毫米|毫安|[瓦寸码]|号[楼院])"
    r"|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?,?\s+(?:19|20)\d\d\b",
    re.IGNORECASE,
)
NUMBER_HERE = "\x00"  # stands where the order's number was
# What says nothing beside a bare number.
FILLER = re.compile(
    r"我的?|这是|就是|是|订单号?码?|单号|查(?:一下)?|谢谢|您好|你好|麻烦|请|给你?|喏|吧|的|了"
    r"|\b(?:my|the|is|it'?s|its|this|here|and|order|number|please|pls|thanks|thank you|hi|hello|sure|ok)\b|[#::.~]",
    re.IGNORECASE,
)
# In Chinese a space ends a clause, but not before what the number counts.
CLAUSES = re.compile(
    rf"[,，。;；!！?？、\n{NUMBER_HERE}]+|\s+(?=[\u3400-\u9fff])(?!\s*[的元块年左多件双个台款号])|\s+(?=(?:i|i'?m|please|can|could|and)\b)",
    re.IGNORECASE,
)
BARE_PROOF = re.compile(rf"[\d\s().+-]+|(?:{'|'.join(shape.pattern for shape in POSTCODES)})", re.IGNORECASE)
BESIDE = 16  # characters between a word and its number
TAIL = 4
PHONE_DIGITS = range(7, 16)  # E.164 allows fifteen
POSTCODE_DIGITS = (5, 6)


def read_proof(text: str) -> tuple[ProofKind, str] | None:
    """The proof in what a shopper typed, or None when there is none.

    "尾号５６７８" is the phone tail 5678, "+86 138-1234-5678" as well; "Wang@Example.com" is an e-mail;
    "sw1a 1aa" is the postcode SW1A1AA. Of a bare number, four digits are a phone tail, five or six a postcode.
    """
    text = unicodedata.normalize("NFKC", text)
    if email := EMAIL.search(text):
        return ProofKind.EMAIL, email.group().casefold()
    wants_postcode = POSTCODE_WORDS.search(text) is not None
    wants_phone = PHONE_WORDS.search(text) is not None
    if wants_postcode or not wants_phone:
        for shape in POSTCODES:
            if found := shape.search(text):
                return ProofKind.POSTCODE, normalize_postcode(found.group())
    numbers = _numbers(text)
    if wants_postcode and not wants_phone:
        fitting = [number for number in numbers if 3 <= len(number) <= 10]
        return (ProofKind.POSTCODE, fitting[-1]) if fitting else None
    tails = [number for number in numbers if len(number) == TAIL]
    phones = [number for number in numbers if len(number) in PHONE_DIGITS]
    if tails:
        return ProofKind.PHONE_TAIL, tails[-1]
    if not wants_phone:
        postcodes = [number for number in numbers if len(number) in POSTCODE_DIGITS]
        if postcodes and not phones:
            return ProofKind.POSTCODE, postcodes[-1]
    if phones:
        return ProofKind.PHONE_TAIL, phones[-1][-TAIL:]
    if wants_phone and numbers and len(numbers[-1]) >= TAIL:
        return ProofKind.PHONE_TAIL, numbers[-1][-TAIL:]
    return None


def offered_proof(text: str) -> tuple[ProofKind, str] | None:
    """The proof in a message that was not asked for one: with doubt there is none, a wrong try counts.

    `text` holds `NUMBER_HERE` where the order's number stood. An e-mail, a whole phone and a number beside its word
    are proofs; a bare number is one when the message says nothing else, or alone in a clause beside the order's number.
    """
    text = unicodedata.normalize("NFKC", text)
    proof = read_proof(text)
    if proof is None or proof[0] is ProofKind.EMAIL:
        return proof
    if PROOF_WORDS.search(text) or PHONE_SAID.search(text):
        worded = _numbers(text, beside=True)
        if worded or (proof[0] is ProofKind.POSTCODE and POSTCODE_WORDS.search(text)):
            return proof
    if phone := WHOLE_PHONE.search(text):
        return ProofKind.PHONE_TAIL, normalize_proof(ProofKind.PHONE_TAIL, phone[0])
    clauses = [clause for one in CLAUSES.split(text) if (clause := FILLER.sub(" ", one).strip(" ()"))]
    bare = [clause for clause in clauses if BARE_PROOF.fullmatch(clause) and read_proof(clause)]
    if bare and (len(clauses) == 1 or NUMBER_HERE in text):
        return read_proof(bare[-1])
    return None


def without_figures(text: str, today: date) -> str:
    """The text without prices, days, quantities, tracking numbers and the last digits of other things."""
    text = unicodedata.normalize("NFKC", text)
    for one in reversed(read_entities(text, today)):
        if one.kind in ("money", "date", "quantity", "tracking_number"):
            text = f"{text[: one.start]} {text[one.end :]}"
    return NO_PROOF.sub(" ", text)


def normalize_proof(kind: ProofKind, value: str) -> str:
    """One proof in the form the shop compares; also for values that did not come from free text."""
    value = unicodedata.normalize("NFKC", value).strip()
    if kind is ProofKind.PHONE_TAIL:
        return "".join(char for char in value if char in "0123456789")[-TAIL:]
    if kind is ProofKind.EMAIL:
        return value.casefold()
    if kind is ProofKind.POSTCODE:
        return normalize_postcode(value)
    return value


def normalize_postcode(value: str) -> str:
    """Upper case, without spaces and hyphens."""
    return re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", value)).upper()


def _separate(text: str) -> str:
    """Put white space between Chinese and digits: to `\\b` and `\\w` they are one word."""
    return re.sub(r"(?<=[\u3400-\u9fff])(?=[\d+(])|(?<=\d)(?=[\u3400-\u9fff])", " ", text)


def _numbers(text: str, *, beside: bool = False) -> list[str]:
    """The digits of the numbers in a text. Those that stand with a word for a proof come before all others."""
    text = _separate(text)
    found = list(DIGITS.finditer(text))
    for words in (PROOF_WORDS, PHONE_WORDS, POSTCODE_WORDS):
        named = []
        for word in words.finditer(text):
            after = [one for one in found if one.start() >= word.end()][:1]
            before = [one for one in found if one.end() <= word.start()][-1:]
            for gap, near in (*((text[word.end() : one.start()], one) for one in after),
                              *((text[one.end() : word.start()], one) for one in before)):  # fmt: skip
                if len(gap) <= BESIDE and not re.search(rf"[,，。;；\n{NUMBER_HERE}]", gap):
                    named.append(near)
                    break
        if named:
            found = [one for one in found if one in named]
            return [re.sub(r"\D", "", one.group()) for one in found]
    return [] if beside else [re.sub(r"\D", "", one.group()) for one in found]
