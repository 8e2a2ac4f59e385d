"""What a shopper types to prove who they are, brought into the form the shop compares.

A phone counts by its last four digits, an e-mail without regard to case, a postcode without spaces. This module
only reads; it knows no order and does not say whether a proof is right.
"""

from __future__ import annotations

import re
import unicodedata

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
    numbers = [re.sub(r"\D", "", found.group()) for found in DIGITS.finditer(_separate(text))]
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
