"""Models and proper names: which a question speaks of, and whether a section is about them."""

from __future__ import annotations

import re
from collections.abc import Sequence
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


def about_other_models(question: str, said: Chunk, chunks: Sequence[Chunk]) -> bool:
    """Whether a question names a model that a section is not about.

    It is about those it names. One that names none and belongs to no product holds for all that the shop speaks of anywhere: what
    it costs to send a scooter, whichever it is.
    """
    body = _body(said)
    missing = [name for name in models_named(question) if not stands_in(name, body)]
    if not missing or said.products or _names_a_model(body):
        return bool(missing)
    return not all(any(stands_in(name, _body(one)) for one in chunks) for name in missing)


def _body(chunk: Chunk) -> str:
    return normalise(" ".join((*chunk.heading_path, chunk.text))).lower()


def _names_a_model(body: str) -> bool:
    return any(not _COUNT.fullmatch(m[0]) for m in _MODEL.finditer(body))
