"""Which one is meant: "第二件", "the last one", "1 and 3", "全部", a number, or some words of a title.

Pure functions over a short list of things that were just shown. They know no order and no conversation,
and answer None rather than guess.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from bot.numerals import CHINESE, NOT_GOODS, NUMBER, WORD, read_number

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
# The newest order, not the parcel that came last: "最近收到的" may have been ordered long ago.
NEWEST = re.compile(
    r"最近(?![^,，。单笔没未]{0,6}(?:收到|签收|到货|到的|拿到|送[到来]))|最新|刚刚?(?:下|买|拍|那)"
    rf"|(?<!早)(?<!晚)(?<!马)(?:上一?|最后(?:的)?(?:那)?一?)[单个笔](?!\s*(?!订单){NOT_GOODS})"
    r"|\b(?:latest|newest|most recent)\b(?! (?:parcel|package|delivery)|(?: \w+){0,3} (?:received|got|arrived|delivered|came)\b)"
    r"|\b(?:(?:the|my) last (?:one|order|purchase)|last order|just (?:ordered|bought|placed))\b",
    re.I,
)
ZH_ORDINAL = re.compile(r"第\s*([一二三四五六七八九十]|\d{1,2})\s*(?:[件个样单笔张项条种款]|$)?")
EN_ORDINAL = re.compile(rf"\b(?:({'|'.join(ORDINALS)})|(\d{{1,2}})(?:st|nd|rd|th))\b", re.I)
EN_NUMBERED = re.compile(rf"\b(?:number|no\.?|item|option|#)\s*(\d{{1,2}}|{'|'.join(CARDINALS)})\b", re.I)
ZH_NUMBERED = re.compile(r"(?:选|要|退|换|编号|序号|选项)\s*(\d{1,2})(?!\d|\s*[件个])")
BARE = re.compile(r"^\s*[((\[]?\s*(\d{1,2})\s*[)).、。]?\s*$")
BARE_LIST = re.compile(r"^\s*(\d{1,2}(?:\s*(?:[,,、和与&+ ]|and)\s*\d{1,2})+)\s*$", re.I)
# "除了第一件，第二件也退" takes both.
EXCEPT = re.compile(
    r"除了(?!.*[也还])|除开|\b(?:except|apart from|other than)\b|(?<=\ball )but\b|(?<=\beverything )but\b",
    re.I,
)
# What is denied, up to where the clause ends or turns: "不是第一件，是第二件", "keep the first and return the second".
DENIED = re.compile(
    rf"(?:(?<!是)不是(?!只|仅|光)|并非|(?<!要)不要(?!紧)|(?<!退)不退|(?<!换)不换|不[用必想][退换]|别[退换选要]|留[着下]|保留|{EXCEPT.pattern}"
    r"|\bnot\b(?! only\b| just\b)|\b(?:is|was|are|were)n'?t\b|\b(?:instead of|rather than|keep|keeping)\b"
    r"|\b(?:don'?t|won'?t|didn'?t)(?: (?:want|need|have|mean) to)? (?:return|refund|exchange|cancel|send|swap|include|take|choose|pick|mean)\b)"
    r"[我说想要退换选的]*(?:(?![,。;!?~\n]|\.(?!\d)|而|[还就]是|(?<!不)是|但|(?<![不别])(?:要|退|换|选)|\bbut\b|\bit'?s\b|\bi (?:want|mean|meant|need)\b|\band (?:return|refund|exchange|send)\b).)*",
    re.I,
)
# "第一件不退", "运动裤留着": denied behind what is named.
DENIED_AFTER = re.compile(
    r"(?<![^,。;!?\s])[^,。;!?\s]{2,}(?:不退|不换|不[用必想][退换]|别[退换]|留着|留下|保留)[了吧啊哈]?(?=[,。;!?\s]|$)"
)
NOT_ONLY = re.compile(r"不(?:是)?[只仅光]|\bnot (?:only|just)\b", re.I)
REST = re.compile(r"其他|其它|其余|剩下|别的|\b(?:rest|others?|else)\b", re.I)
NEGATIVE = re.compile(r"[不没未]|\b(?:not|no)\b", re.I)


def fold(text: str) -> str:
    """Full-width forms, case and spaces do not matter."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip().casefold()


def without_denied(folded: str) -> str:
    """What is left of a folded text when what is denied in it is taken out."""
    return DENIED.sub(" ", DENIED_AFTER.sub(" ", folded))


def _denied(folded: str) -> str:
    """What is denied in a folded text."""
    return " ".join(match[0] for pattern in (DENIED_AFTER, DENIED) for match in pattern.finditer(folded))


def means_all(text: str) -> bool:
    return ALL.search(fold(text)) is not None


def means_newest(text: str) -> bool:
    """The most recent order: "最近那单", "my last order"."""
    return NEWEST.search(fold(text)) is not None


def read_positions(text: str, count: int) -> list[int]:
    """Positions (from 0) named by number or ordinal in a list of `count` things, in the order they are named.

    What is denied is not named: "不是第一件，是第二件" is the second alone.
    """
    return _positions(without_denied(fold(text)), count)


def _positions(folded: str, count: int) -> list[int]:
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
    return read_named(text, titles)


def read_named(text: str, titles: Sequence[str]) -> int | None:
    """The one thing of a list that is named; of a list that was not shown "the first one" says nothing."""
    named = _named(text, titles)
    return named[0] if len(named) == 1 else None


def read_choices(text: str, titles: Sequence[str]) -> list[int] | None:
    """Everything that is meant out of a list; None when nothing recognisable is said.

    "除了第二件" and "all except 2" leave out what follows.
    """
    count = len(titles)
    folded = fold(text)
    kept = without_denied(folded)
    if EXCEPT.search(folded) and means_all(folded):
        rest = EXCEPT.split(folded)[-1]
        left_out = _positions(rest, count) or match_titles(rest, titles)
        return [p for p in range(count) if p not in left_out] if left_out else None
    denied = _denied(folded)
    if denied and means_all(kept):
        left_out = _positions(denied, count) or match_titles(denied, titles)
        # "不是第一件，是全部" is all; "全部，不要第一件" and "不要第一件，其他全部" are not.
        first = re.match(r"\W*(?:不是|not\b)", folded)
        if not left_out:
            return None
        return (
            list(range(count))
            if first and not REST.search(kept)
            else [p for p in range(count) if p not in left_out]
        )
    positions = _positions(kept, count)
    if positions and not (NOT_ONLY.search(kept) and means_all(kept)):
        return positions
    if means_all(kept) or (count == 2 and BOTH.search(kept)):
        return list(range(count))
    return _named(text, titles) or None


def _named(text: str, titles: Sequence[str]) -> list[int]:
    """Positions of the titles that are named and not denied; a title may be a denial itself: "不想要了"."""
    kept = without_denied(fold(text))
    return match_titles(kept, titles) or [
        p for p in match_titles(text, titles) if NEGATIVE.search(fold(titles[p]))
    ]


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
    words |= set(re.findall(r"(?<![a-z0-9])[a-z](?=[\u3400-\u9fff])[\u3400-\u9fff]", text))  # T恤
    for run in re.findall(r"[\u3400-\u9fff]+", text):
        words |= {run[i : i + 2] for i in range(len(run) - 1)} - SMALL_ZH
    return words


COUNTER = "(?:件|个|双|只|条|盒|套|瓶|包|台|本|份|支)"
COUNT = re.compile(
    rf"(?<![第\d.零〇一二两俩仨三四五六七八九十百千万月年])(\d{{1,3}}|{CHINESE})\s*{COUNTER}(?!\s*{NOT_GOODS}|[都也](?:不|没))"
    rf"|\b(\d{{1,3}}|{WORD})\s*(?:pieces?|items?|pairs?|units?|pcs|of (?:them|those|these|it))\b"
    r"|\b(?:quantity|qty:?)\s+(\d{1,3})\b"
    rf"|\b(?:just|only|return(?:ing)?|refund|exchange|swap|send back)(?: (?:just|only|the))? (\d{{1,3}}|{WORD})\b"
    r"(?=\s*(?:[,.;!?]|$|(?:of|please|back|to|and|but)\b))",
    re.I,
)
# "另一件", "最后一件" point at one thing and do not say how many of it; "这一件" says it where that was asked.
POINTS = re.compile(r"[另外哪某每上后前同任]\s*$")
POINTS_HERE = re.compile(r"[这那]\s*$")
# The nearest of these words before a count says whether so many are to go, or were bought and stay.
GOES = re.compile(
    r"退|换|寄回|只|改[成为]|\b(?:return\w*|refund\w*|exchang\w*|swap\w*|send(?:ing)?|just|only|make it)\b",
    re.I,
)
GOES_AFTER = re.compile(rf"\s*(?:全|都)*(?:要|想|给我|帮我)?(?:退|换)(?!\s*{NUMBER})")
STAYS = re.compile(
    r"[买拍购](?!家)|订(?!单)|下单|下了|收到|到了|发[了来]|[寄送]来|[一总]?共|本来|原来|留|剩"
    r"|\b(?:bought|buy|ordered|got|received|have|had|has|purchased|are|were|keep\w*|kept|left)\b",
    re.I,
)
MENDS = re.compile(
    r"不对|不是|哦|噢|说错|搞错|弄错|算了|还是|应该|改[成为]|\b(?:no|not|sorry|actually|wait|oops|instead|rather|make it)\b",
    re.I,
)
ALONE = re.compile(
    rf"\s*(?:我?(?:就|只)?(?:要|退|换|是)?|just|only|the|an?|return)\s*({NUMBER})\s*(?:{COUNTER}|pieces?)?(?:吧|呢|啊|哦|的|\s*please|\s*pls)?\s*[.。!]?\s*",
    re.I,
)


def read_count(text: str, *, bare: bool = False) -> int | None:
    """How many: "两件", "2 of them". With `bare` a number on its own counts too (it was asked for).

    Of "我买了三件，退一件" what goes counts; None when two such counts differ.
    """
    folded = without_denied(fold(text))
    if bare and (alone := ALONE.fullmatch(folded)):
        return _counted(alone[1])
    found: list[tuple[bool, int, int]] = []  # whether it is said to go, how many, where it stands
    for match in COUNT.finditer(folded):
        before = folded[: match.start()]
        count = _counted(next(group for group in match.groups() if group))
        points = POINTS.search(before) or (not bare and POINTS_HERE.search(before))
        if count is None or (count == 1 and points):
            continue
        clause = re.split(r"[,。;!?、]|\.\s|\b(?:and|but)\b", before)[-1]
        cues = [
            (cue.end(), goes)
            for goes, cue_of in ((True, GOES), (False, STAYS))
            for cue in cue_of.finditer(clause)
        ]
        goes = match[4] is not None or GOES_AFTER.match(folded, match.end()) is not None
        goes = goes or (bool(cues) and max(cues)[1])
        if goes or not cues:
            found.append((goes, count, match.start()))
    found = [one for one in found if one[0]] or found
    if not found:
        return None
    if len({count for _, count, _ in found}) > 1 and not MENDS.search(folded[found[0][2] : found[-1][2]]):
        return None  # "退一件白的，退两件黑的": asked
    return found[-1][1]


def is_count(text: str) -> bool:
    """Whether a message is a count and nothing else: "两件"."""
    return COUNT.fullmatch(fold(text).strip(" ,.。!~")) is not None


def _counted(word: str) -> int | None:
    """The number; "两三件" is about so many, and a pair of shoes is one pair."""
    if word == "pair" or (len(word) > 1 and re.fullmatch("[一二两俩仨三四五六七八九]+", word)):
        return None
    number = read_number(word)
    return number if number is not None and number < 1000 else None
