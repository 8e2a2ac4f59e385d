"""Words of a text as BM25 sees them, for Chinese, English and both in one sentence.

Chinese is cut into overlapping pairs of characters (退货运费 -> 退货 货运 运费): no dictionary, no unknown
words, and two-character words such as 退款 are found exactly. English words are lower-cased and lose their
endings, so that refunds, refunded and refund meet. Numbers stay as written. Full-width forms are folded and
traditional characters become simplified ones first. Words that shoppers and articles use for the same thing
share one more token, from ``concepts.yml``. This module knows no index.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from bot.message import Language

_RUN = re.compile(r"[㐀-鿿豈-﫿]+|[^\W_㐀-鿿豈-﫿]+(?:'[a-z]+)?")
_HAN = re.compile(r"[㐀-鿿豈-﫿]")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SPLIT = re.compile(r"\d+(?:\.\d+)?|[^\W\d]+(?:'[a-z]+)?")

# Words that say nothing about the subject. Question words stay out, negations stay in.
_STOP_EN_WORDS = """
a an the this that these those is are was were be been being am do does did done doing have has had
having i me my mine we us our ours you your yours he him his she her hers it its they them their theirs
and or but if then so than as at by for from in into of on onto to with about up out over under can
could will would shall should may might must what which who whom whose when where why how please just
there here also very too really some any get got i'm i've it's i'd you're don't hi hello hey thanks
"""
STOP_EN = frozenset(_STOP_EN_WORDS.split())
_STOP_ZH = re.compile(
    "请问一下|请问|麻烦|你好|您好|一下|什么样|为什么|怎么样|怎么办|怎么|怎样|如何|什么|哪些|哪里|哪儿|多少|多久|"
    "可以|能不能|可不可以|是不是|有没有|行不行|我们|你们|我的|你的|您的|我想|这个|那个|谢谢|的话|[的了吗呢吧啊呀嘛哦哈么我你您]"
)
# Longest first; a stem keeps at least three letters.
_ENDINGS = (
    "ations",
    "ation",
    "ments",
    "ment",
    "ingly",
    "edly",
    "ings",
    "ing",
    "ied",
    "ies",
    "ers",
    "er",
    "ed",
    "es",
    "ly",
    "s",
    "e",
)


@lru_cache(maxsize=1)
def _simplifier() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")


def fold(text: str) -> str:
    """Half-width, lower-case, simplified characters."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    return str(_simplifier().convert(text)) if _HAN.search(text) else text


def language_of(text: str) -> Language:
    """zh when it has Chinese characters in any number that matters, else en.

    One Chinese character weighs as much as a short English word.
    """
    folded = unicodedata.normalize("NFKC", text)
    han = len(_HAN.findall(folded))
    latin = len(re.findall(r"[A-Za-z]{2,}", folded))
    return "zh" if han and han >= latin else "en"


def stem(word: str) -> str:
    """A word without its English ending: not always a word any more, but the same for its family."""
    root = _without_ending(word.removesuffix("'s").replace("'", ""))
    if root.endswith("y") and len(root) > 3:
        return root[:-1] + "i"  # delivery, deliveries -> deliveri
    if root.endswith("ll") and len(root) > 5:
        return root[:-1]  # cancelled, canceled -> cancel
    return root


def _without_ending(word: str) -> str:
    for ending in _ENDINGS:
        root = word.removesuffix(ending)
        if len(root) == len(word) or len(root) < 3 or (ending == "s" and root.endswith("s")):
            continue
        if ending in ("ied", "ies"):
            return root + "y"
        if len(root) > 3 and root[-1] == root[-2] and root[-1] not in "lsaeiou":
            return root[:-1]  # shipping -> ship
        return root
    return word


def tokens(text: str, *, query: bool = False) -> list[str]:
    """The tokens of a text, with repetition.

    Args:
        query: leave out Chinese question words as well; in an article they are harmless and rare.
    """
    found: list[str] = []
    for run in _RUN.findall(fold(text)):
        if _HAN.match(run):
            parts = _STOP_ZH.split(run) if query else [run]
            for part in parts:
                if len(part) == 1:
                    found.append(part)
                found.extend(part[place : place + 2] for place in range(len(part) - 1))
        else:
            for word in _SPLIT.findall(run):
                if _NUMBER.fullmatch(word):
                    found.append(word)
                elif word not in STOP_EN:
                    found.append(stem(word))
    return found


def concepts(text: str) -> list[str]:
    """Names of the concepts a text speaks of, as tokens of their own (``=refund``)."""
    folded = fold(text)
    words = f" {' '.join(_words_in(folded))} "
    han, english = _concepts()
    found = {name for term, name in han if term in folded}
    found |= {name for term, name in english if f" {term} " in words}
    return sorted(f"={name}" for name in found)


@lru_cache(maxsize=1)
def _concepts() -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """(term, concept) for Chinese terms and for English ones, the latter as stems with single spaces."""
    table: dict[str, list[str]] = yaml.safe_load(
        resources.files("bot.knowledge").joinpath("concepts.yml").read_text(encoding="utf-8")
    )
    han: list[tuple[str, str]] = []
    english: list[tuple[str, str]] = []
    for name, terms in table.items():
        for term in map(str, terms):
            if _HAN.search(term) or term.isdigit():
                han.append((fold(term), name))
            else:
                english.append((" ".join(_words_in(fold(term))), name))
    return tuple(han), tuple(english)


def _words_in(folded: str) -> list[str]:
    """Stems of all English words of a folded text, stop words included: phrases need them."""
    return [stem(word) for run in _RUN.findall(folded) if not _HAN.match(run) for word in _SPLIT.findall(run)]
