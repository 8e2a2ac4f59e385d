"""Models, proper names and occasions: which a question speaks of, and whether a section is about them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from bot.generator.values import normalise
from bot.knowledge.articles import Chunk

_NAMED = re.compile(
    r"\b(?=[A-Za-z0-9-]*\d)(?=[A-Za-z0-9-]*[A-Za-z])[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\b|(?<![.!?] )(?<!^)\b[A-Z][a-zA-Z]{2,}\b"
)
# Not names: 1st, 5th, 15k, 20km, 2x, 500ml, 10pm.
_COUNT = re.compile(
    r"\d+(?:st|nd|rd|th|k|km|kgs?|g|mg|cm|mm|m|ml|l|oz|lbs?|inch|in|ft|mph|kmh|h|hrs?|mins?|s|sec|d|days?|wks?|x|am|pm|pcs?|v|w|mah|gb|tb|mb|usd|rmb|p|px|[kmg]?hz|k?wh|kw|ah|fps|rpm|dpi|psi|db|lm|hp)",
    re.I,
)
_HAN_QUESTION_LATIN = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,}")
_MODEL = re.compile(r"(?<![a-z0-9-])(?=[a-z0-9-]*\d)(?=[a-z0-9-]*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*")
_RUN = re.compile(r"[a-z]+|\d+")
# Days and seasons for which a shop has rules of their own, in both languages: what holds in one holds in no other.
_OCCASIONS = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        r"春节|过年|除夕|大年(?:初|三十)|年初[一二三四五六七]|(?:chinese|lunar) new year|spring festival",
        r"元旦|new year['’]?s (?:day|eve)",
        r"五一|劳动节|\bmay day\b|\blabou?r day\b",
        r"国庆|十一(?:长假|黄金周|期间|放假)|national day",
        r"端午|dragon boat",
        r"中秋|mid-?autumn",
        r"清明",
        r"圣诞|christmas|\bxmas\b",
        r"双十一|双11",
        r"双十二|双12",
        r"六一八|\b618\b",
        r"black friday|黑五",
        r"\beaster\b|复活节",
        r"thanksgiving|感恩节",
        r"情人节|七夕|valentine",
        r"母亲节|mother['’]?s day",
        r"父亲节|father['’]?s day",
        r"夏[天季日]|三伏|\bsummer\b",
        r"冬[天季日]|\bwinter\b",
    )
)


def named_things(question: str) -> list[str]:
    """Model numbers and proper names in a question: what an answer must be about."""
    folded = normalise(question)
    if re.search(r"[\u4e00-\u9fff]", folded):
        return [m[0].lower() for m in _HAN_QUESTION_LATIN.finditer(folded)]
    return [m[0].lower() for m in _NAMED.finditer(folded) if not _COUNT.fullmatch(m[0])]


def models_named(text: str) -> list[str]:
    """Names with a digit in them: model numbers, in the order of the text."""
    return [name for name in named_things(text) if any(c.isdigit() for c in name)]


def stands_in(name: str, text: str) -> bool:
    """Whether a model number stands in a text as a whole: "X1" does not in "X10". Gaps and hyphens do not count: "S3 Pro", "s3pro"."""
    runs = _RUN.findall(name)
    spelt = runs[0]
    for before, after in pairwise(runs):  # where letters meet digits the gap may be left out
        spelt += (r"[\s-]" if before.isdigit() is after.isdigit() else r"[\s-]?") + after
    return re.search(rf"(?<![a-z0-9]){spelt}(?![a-z0-9])", text) is not None


def about_other_models(question: str, said: Chunk, known: Callable[[str], bool]) -> bool:
    """Whether a question names a model that a section is not about.

    It is about those it names. One that names none and belongs to no product holds for all that are `known` to the shop: what it
    costs to send a scooter, whichever it is.
    """
    body = body_of(said)
    missing = [name for name in models_named(question) if not stands_in(name, body)]
    if not missing or said.products or _names_a_model(body):
        return bool(missing)
    return not all(map(known, missing))


def about_other_occasions(question: str, said: Sequence[Chunk]) -> bool:
    """Whether a question is about a holiday or a season, and the sections are about others: "are you closed on May Day" is not
    answered by when the shop is closed over the Spring Festival. Sections that name none hold all year."""
    asked = _occasions(question)
    told = _occasions(" ".join(map(body_of, said)))
    return bool(asked and told) and not asked & told


def _occasions(text: str) -> set[int]:
    return {n for n, pattern in enumerate(_OCCASIONS) if pattern.search(text)}


def body_of(chunk: Chunk) -> str:
    """Headings and text as models are looked for in: folded, in lower case."""
    return normalise(" ".join((*chunk.heading_path, chunk.text))).lower()


def _names_a_model(body: str) -> bool:
    return any(not _COUNT.fullmatch(m[0]) for m in _MODEL.finditer(body))
