"""Which one is meant: "第二件", "the last one", "1 and 3", "全部", a number, or some words of a title.

Pure functions over a short list of things that were just shown. They know no order and no conversation,
and answer None rather than guess.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

DIGITS = {char: number for number, char in enumerate("零一二三四五六七八九十")} | {"两": 2, "俩": 2}
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
CARDINALS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

ALL = re.compile(
    r"全部|全都|所有|都要|都退|都换|一起退|一起换|整单|整个订单|每一?件|通通|统统"
    r"|\b(?:all(?: of (?:them|it))?|every(?:thing| item)?|the (?:whole|entire) (?:order|lot|thing)|each of them)\b",
    re.I,
)
BOTH = re.compile(r"两[件个样]?都|俩都|两者|\bboth(?: of them)?\b", re.I)
LAST = re.compile(
    r"最后(?:的)?(?:那)?一?[件个样单笔张项]|末尾那|\b(?:the )?last(?: (?:one|item|order|piece))?\b|\bthe final one\b",
    re.I,
)
NEWEST = re.compile(
    r"最近|最新|刚刚?(?:下|买|拍|那)|上一?[单个笔]|最后(?:的)?(?:那)?一?[单个笔]"
    r"|\b(?:latest|newest|most recent|(?:the|my) last (?:one|order|purchase)|last order|just (?:ordered|bought|placed))\b",
    re.I,
)
ZH_ORDINAL = re.compile(r"第\s*([一二三四五六七八九十]|\d{1,2})\s*(?:[件个样单笔张项条种款]|$)?")
EN_ORDINAL = re.compile(rf"\b(?:({'|'.join(ORDINALS)})|(\d{{1,2}})(?:st|nd|rd|th))\b", re.I)
EN_NUMBERED = re.compile(rf"\b(?:number|no\.?|item|option|#)\s*(\d{{1,2}}|{'|'.join(CARDINALS)})\b", re.I)
ZH_NUMBERED = re.compile(r"(?:选|要|退|换|编号|序号|选项)\s*(\d{1,2})(?!\d|\s*[件个])")
BARE = re.compile(r"^\s*[((\[]?\s*(\d{1,2})\s*[)).、。]?\s*$")
BARE_LIST = re.compile(r"^\s*(\d{1,2}(?:\s*(?:[,,、和与&+ ]|and)\s*\d{1,2})+)\s*$", re.I)
NOT = re.compile(r"不是|不要|除了|\bnot\b|\bexcept\b|\bbut not\b", re.I)


def fold(text: str) -> str:
    """Full-width forms, case and spaces do not matter."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip().casefold()


def means_all(text: str) -> bool:
    return ALL.search(fold(text)) is not None


def means_newest(text: str) -> bool:
    """The most recent order: "最近那单", "my last order"."""
    return NEWEST.search(fold(text)) is not None


def read_positions(text: str, count: int) -> list[int]:
    """Positions (from 0) named by number or ordinal in a list of `count` things, in the order they are named."""
    folded = fold(text)
    bare = BARE.match(folded)
    if bare:
        return [int(bare[1]) - 1] if 1 <= int(bare[1]) <= count else []
    listed = BARE_LIST.match(folded)
    if listed:
        numbers = [int(number) - 1 for number in re.findall(r"\d+", listed[1])]
        return list(dict.fromkeys(numbers)) if all(0 <= number < count for number in numbers) else []
    found: list[tuple[int, int]] = []
    for match in ZH_ORDINAL.finditer(folded):
        found.append((match.start(), DIGITS.get(match[1]) or _whole(match[1])))
    for match in EN_ORDINAL.finditer(folded):
        found.append((match.start(), ORDINALS.index(match[1]) + 1 if match[1] else int(match[2])))
    for match in EN_NUMBERED.finditer(folded):
        word = match[1]
        found.append((match.start(), CARDINALS.index(word) + 1 if word in CARDINALS else int(word)))
    for match in ZH_NUMBERED.finditer(folded):
        found.append((match.start(), int(match[1])))
    positions = [number - 1 for _, number in sorted(found)]
    if not positions and LAST.search(folded) and count:
        positions = [count - 1]
    return list(dict.fromkeys(p for p in positions if 0 <= p < count))


def _whole(digits: str) -> int:
    return int(digits) if digits.isdigit() else 0


def read_choice(text: str, titles: Sequence[str]) -> int | None:
    """The one thing of a list that is meant, or None when it is none or more than one."""
    positions = read_positions(text, len(titles))
    if len(positions) == 1:
        return positions[0]
    if positions:
        return None
    named = match_titles(text, titles)
    return named[0] if len(named) == 1 else None


def read_choices(text: str, titles: Sequence[str]) -> list[int] | None:
    """Everything that is meant out of a list; None when nothing recognisable is said.

    "除了第二件" and "all except 2" leave out what follows.
    """
    count = len(titles)
    folded = fold(text)
    if NOT.search(folded) and means_all(folded):
        left_out = read_positions(NOT.split(folded)[-1], count) or match_titles(NOT.split(folded)[-1], titles)
        return [p for p in range(count) if p not in left_out] if left_out else None
    positions = read_positions(text, count)
    if positions:
        return positions
    if means_all(folded) or (count == 2 and BOTH.search(folded)):
        return list(range(count))
    named = match_titles(text, titles)
    return named or None


def match_titles(text: str, titles: Sequence[str]) -> list[int]:
    """Positions of the titles that the words point at, and no other title as well.

    A title is meant when it stands in the text, or when the text (without small words) stands in the
    title, or when it shares with the text a word that no other title has.
    """
    folded = fold(text)
    if len(folded) < 2:
        return []
    cleaned = [fold(title) for title in titles]
    exact = [p for p, title in enumerate(cleaned) if title == folded]
    if exact:
        return exact[:1]
    contained = [p for p, title in enumerate(cleaned) if len(title) >= 2 and title in folded]
    if contained:
        # "black" stands in "black and white" too: the longest wins where one lies in another.
        return [
            p
            for p in contained
            if not any(cleaned[p] != cleaned[o] and cleaned[p] in cleaned[o] for o in contained)
        ]
    pieces = [_pieces(title) for title in cleaned]
    said = _pieces(folded)
    scores = []
    for p, own in enumerate(pieces):
        others = set().union(*(pieces[o] for o in range(len(pieces)) if o != p)) if len(pieces) > 1 else set()
        scores.append(len((said & own) - others))
    best = max(scores, default=0)
    return [p for p, score in enumerate(scores) if score == best] if best else []


SMALL = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "in",
        "for",
        "and",
        "or",
        "to",
        "it",
        "is",
        "my",
        "one",
        "this",
        "that",
        "with",
        "not",
        "item",
        "order",
        "please",
        "i",
        "want",
        "would",
        "like",
        "size",
        "colour",
        "color",
    ]
)
SMALL_ZH = frozenset(
    [
        "这件",
        "那件",
        "这个",
        "那个",
        "一个",
        "一件",
        "我要",
        "我想",
        "要退",
        "退货",
        "换货",
        "退款",
        "想要",
        "想退",
        "想换",
        "订单",
        "商品",
        "东西",
    ]
)


def _pieces(text: str) -> set[str]:
    """Latin words, and pairs of neighbouring Chinese characters."""
    words = {
        word
        for word in re.findall(r"[a-z0-9]+(?:[.-][a-z0-9]+)*", text)
        if word not in SMALL and len(word) > 1
    }
    for run in re.findall(r"[\u3400-\u9fff]+", text):
        words |= {run[i : i + 2] for i in range(len(run) - 1)} - SMALL_ZH
    return words


COUNT = re.compile(
    rf"(?<![第\d.])(\d{{1,3}}|[一二两俩三四五六七八九十])\s*(?:件|个|双|只|条|盒|套|瓶|包|台|本|份|支)(?!月|小时|星期|工作)"
    rf"|\b(\d{{1,3}}|{'|'.join(CARDINALS)})\s*(?:pieces?|items?|pairs?|units?|pcs|of (?:them|those|these|it))\b"
    r"|\b(?:just|only|quantity|qty:?)\s+(\d{1,3})\b",
    re.I,
)


def read_count(text: str, *, bare: bool = False) -> int | None:
    """How many: "两件", "2 of them". With `bare` a number on its own counts too (it was asked for)."""
    folded = fold(text)
    match = COUNT.search(folded)
    word = next((group for group in match.groups() if group), None) if match else None
    if word is None and bare:
        alone = re.match(
            rf"^\s*(\d{{1,3}}|[一二两俩三四五六七八九十]|{'|'.join(CARDINALS)})\s*[.。!!]?$", folded
        )
        word = alone[1] if alone else None
    if word is None:
        return None
    if word.isdigit():
        return int(word)
    return DIGITS[word] if word in DIGITS else CARDINALS.index(word) + 1
