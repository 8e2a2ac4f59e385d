"""When an answer counts as right: it holds one of the gold strings, or says the same value.

Both sides are normalised first: full-width to half-width, lower case, Chinese numerals to digits, spaces
and punctuation dropped. A gold value ("七天") is also met by an equal one ("7 days", "one week"), and a bare number by
the same number of anything ("180.00元" for "180"). What only begins or ends like the gold is not it: 12.5元 is not
5元, "unavailable" is not "available", 不可以 is not 可以.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from bot.generator.values import Value, chinese_number, find_values, normalise, quantity

_NUMERAL = re.compile(
    r"[零〇一二两三四五六七八九十百千万]+(?=个|天|日|元|块|折|年|月|小时|分|件|次|人|周|期|%|秒|倍|张|楼|号|点)"
)
_DROPPED = r"(?:[^\w%$€£¥.]|(?<!\d)\.|\.(?!\d))"  # one sign that is not compared
_DROP = re.compile(f"{_DROPPED}+")
_LETTER = "a-zà-ɏ"  # of a script that puts blanks between words
_NO_DIGITS_BEFORE, _NO_DIGITS_BEHIND = r"(?<!\d)(?<!\d\.)", r"(?!\d|\.\d)"
# A dash is a minus here; in "3-20" and "A-20" it is none.
_NO_MINUS = r"(?<![\s(:,~]-)(?<!^-)(?<!零下)(?<!负)(?<!minus )"
_NO_DENIAL = r"(?<![不未没无])(?<![^除]非)(?<!^非)"  # 除非 denies nothing
_NUMBER = r"(?:0|[1-9]\d*)(?:\.\d+)?"  # "007" is a code
# A number by itself: no part of a code, a date, a time of day, a phone number or a range.
_FREE_NUMBER = re.compile(
    rf"(?<![{_LETTER}])(?<!\d[-:/~]){_NO_DIGITS_BEFORE}{_NO_MINUS}{_NUMBER}(?!\d|[-.:/~]\d)"
)
_SHORT = re.compile(rf"(?:^|\d)[{_LETTER}]{{1,3}}$")  # "no", "5 m"

_Meaning = tuple[str, str, str, bool]  # kind, key, unit of a number or "", below zero


def holds_gold(answer: str, gold: Sequence[str]) -> bool:
    """Whether the answer holds any gold string, cell by cell (`cells`). An empty list of gold strings is never met."""
    return any(all(_holds(answer, cell) for cell in cells(one)) for one in gold)


def cells(gold: str) -> list[str]:
    """The parts of a gold string that goes over several cells of a table ("UF-1 | 6个月"), without those that hold nothing to
    compare ("-"): what quotes the row may have the columns' names between them. Of any other gold string, the string itself."""
    return [cell for cell in gold.split(" | ") if _squeezed(cell)] or [gold]


def _holds(answer: str, gold: str) -> bool:
    wanted = _squeezed(gold)
    if not wanted:
        return False
    bare = _folded(gold).strip(" .,;:!()。")
    if re.fullmatch(_NUMBER, bare):
        return _shortest(bare) in _numbers(answer)
    # To look for a string is faster than for a pattern, and most texts hold most golds in no way.
    if wanted in _squeezed(answer) and _pattern(gold).search(_folded(answer)):
        return True
    mine = _values_alone(gold)
    return bool(mine) and all(any(_same(one, other) for other in _meanings(answer)) for one in mine)


@lru_cache(maxsize=4096)  # every gold of a shop is looked for in many of its texts
def _folded(text: str) -> str:
    """No case, no width, digits for numerals, no comma for thousands. Blanks and marks still stand."""
    folded = normalise(text).lower()
    folded = _NUMERAL.sub(lambda m: f"{chinese_number(m[0]) or 0:g}", folded)
    return re.sub(r"(?<=\d),(?=\d{3})", "", folded)


@lru_cache(maxsize=4096)
def _squeezed(text: str) -> str:
    return _DROP.sub("", _folded(text))


@lru_cache(maxsize=4096)
def _pattern(gold: str) -> re.Pattern[str]:
    """The gold, whatever spaces and punctuation stand in it, where it is no part of another word or number."""
    folded, kept = _folded(gold), _squeezed(gold)
    signed = any(negative for *_, negative in _meanings(gold))
    parts = [_head(kept, signed)]
    before, at = "", 0
    for sign in kept:
        found = folded.index(sign, at)
        parts += [_gap(before, folded[at:found], sign, signed), re.escape(sign)]
        before, at = sign, found + 1
    return re.compile("".join([*parts, _tail(kept)]))


def _head(kept: str, signed: bool) -> str:
    """What may not stand before the gold."""
    first = kept[0]
    if first.isdigit():
        return _NO_DIGITS_BEFORE + ("" if signed else _NO_MINUS)
    if re.match(f"[{_LETTER}]", first):
        return f"(?<![{_LETTER}])"
    return "" if first in "不未没无非" else _NO_DENIAL


def _gap(before: str, between: str, sign: str, signed: bool) -> str:
    """What may stand between two signs of the gold: whatever is dropped, but "3-5" is not 35 and "-5" is not 5."""
    if signed and sign.isdigit() and between.endswith("-") and not re.match("[a-z0-9]", before):
        return f"{_DROPPED}*-" if before else "-"
    if not before or "." in (before, sign):
        return ""
    if before.isdigit() and sign.isdigit():
        return f"{_DROPPED}+" if between.strip() else " ?"
    return f"{_DROPPED}*"


def _tail(kept: str) -> str:
    """What may not stand behind the gold: "no" is not in "nothing", but "box" in "with a box" may go on as "boxes"."""
    if kept[-1].isdigit():
        return _NO_DIGITS_BEHIND
    return f"(?![{_LETTER}])" if _SHORT.search(kept) else ""


@lru_cache(maxsize=4096)
def _numbers(text: str) -> frozenset[str]:
    """Every number that stands by itself, and those of amounts and counts however they are written."""
    free = {_shortest(m[0]) for m in _FREE_NUMBER.finditer(_folded(text))}
    return frozenset(
        free | {k for kind, k, _, low in _meanings(text) if not low and kind.startswith(("number", "money"))}
    )


def _shortest(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number


@lru_cache(maxsize=4096)
def _meanings(text: str) -> tuple[_Meaning, ...]:
    return tuple(map(_meaning, find_values(text)))


def _meaning(value: Value) -> _Meaning:
    """What is compared of a value. "12kg" is read as a code and is the number 12 with its unit."""
    found = quantity(value.key) if value.kind == "code" else None
    if found:
        return ("number", *found, False)
    return (value.kind, value.key, value.unit if value.kind == "number" else "", value.negative)


def _same(one: _Meaning, other: _Meaning) -> bool:
    """Whether two values are one. A unit that is not known may be the other's."""
    units = {one[2], other[2]} - {""}
    return one[:2] == other[:2] and one[3] == other[3] and len(units) < 2


@lru_cache(maxsize=4096)
def _values_alone(gold: str) -> tuple[_Meaning, ...]:
    """The values of a gold that is little else; none where its words count as well."""
    folded, at, rest = normalise(gold), 0, ""
    for value in find_values(folded):
        rest += folded[at : value.start]
        at = value.end
    rest = re.sub(r"[\W_]+", "", rest + folded[at:])
    return _meanings(gold) if len(rest) <= 3 else ()
