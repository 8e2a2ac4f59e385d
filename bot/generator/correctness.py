"""When an answer counts as right: it holds one of the gold strings, or says the same value.

Both sides are normalised first: full-width to half-width, lower case, Chinese numerals to digits, spaces
and punctuation dropped. A gold value ("七天") is also met by an equal one ("7 days", "one week").
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.generator.values import chinese_number, find_values, normalise

_NUMERAL = re.compile(
    r"[零〇一二两三四五六七八九十百千万]+(?=个|天|日|元|块|折|年|月|小时|分|件|次|人|周|期|%|秒|倍|张|楼|号|点)"
)


def squeeze(text: str) -> str:
    """What is compared: no case, no width, no spaces, no punctuation, digits for numerals."""
    folded = normalise(text).lower()
    folded = _NUMERAL.sub(lambda m: f"{chinese_number(m[0]) or 0:g}", folded)
    folded = re.sub(r"(?<=\d),(?=\d{3})", "", folded)
    return re.sub(r"[^\w%$€£¥.]+|(?<!\d)\.|\.(?!\d)", "", folded)


def holds_gold(answer: str, gold: Sequence[str]) -> bool:
    """Whether the answer holds any gold string. An empty list of gold strings is never met."""
    said = squeeze(answer)
    values = {v.identity for v in find_values(answer)}
    for one in gold:
        wanted = squeeze(one)
        if not wanted:
            continue
        if re.fullmatch(r"[\d.]+", wanted):  # "7" is not met by "17"
            if re.search(rf"(?<![\d.]){re.escape(wanted)}(?![\d]|\.\d)", said):
                return True
        elif wanted in said and (not wanted[0].isdigit() or re.search(rf"(?<!\d){re.escape(wanted)}", said)):
            return True
        mine = find_values(one)
        rest = re.sub(r"[\W_]+", "", "".join(_outside(one)))
        if mine and len(rest) <= 3 and all(v.identity in values for v in mine):
            return True
    return False


def _outside(text: str) -> list[str]:
    """What of a text is no value."""
    folded, at, out = normalise(text), 0, []
    for v in find_values(folded):
        out.append(folded[at : v.start])
        at = v.end
    return [*out, folded[at:]]
