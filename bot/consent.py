"""Whether a message is a plain yes or a plain no, in Chinese and English.

Consent moves money, so a yes must be nothing but a yes: every word of the message has to be known as one
(`consent.yml`), or as politeness around one. A condition, a "but", a question, a second thought, anything
unknown makes it `unclear`, and the plan is shown again. This module knows no plan: what a yes is bound to is
the affair of `bot.orders.plans`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import yaml

from bot.chinese import plain
from bot.orders.models import Operation

Consent = Literal["yes", "no", "unclear"]
Kind = Literal["yes", "no", "polite", "other"]
KINDS: tuple[Kind, ...] = ("other", "yes", "no", "polite")

LONGEST = 120  # characters; nobody says a plain yes at greater length

EMOJI: dict[str, Kind] = {
    **dict.fromkeys("👍👌✅✔☑🆗🙆", "yes"),
    **dict.fromkeys("👎❌✖🙅🚫✋🛑", "no"),
    **dict.fromkeys("🙏😊😀😄😁😃🙂☺🎉❤💪😂🌹🥰😘🤗", "polite"),
}
# WeChat writes its own faces in brackets.
BRACKETS: dict[str, Kind] = {
    **dict.fromkeys(("[ok]", "[好的]", "[强]", "[赞]", "[thumbsup]"), "yes"),
    **dict.fromkeys(("[弱]", "[no]", "[nono]", "[thumbsdown]"), "no"),
    **dict.fromkeys(
        ("[抱拳]", "[握手]", "[玫瑰]", "[呲牙]", "[爱心]", "[愉快]", "[合十]", "[rose]"), "polite"
    ),
}

QUESTION = re.compile(r"[?]|[吗么嘛]|\b(?:how|what|why|when|where|which|who|can you|could you|is it|will)\b")
HESITATION = re.compile(r"\.{2,}|。{2,}|…|⋯|~{4,}|-{2,}|—")
SEPARATORS = " \t\r\n,，.。!！~～、;；:："


def _read_words() -> dict[str, Any]:
    path = Path(__file__).with_name("consent.yml")
    words: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return words


class _Lexicon:
    """Words and their kinds, looked up longest first."""

    def __init__(self, kinds: Iterable[tuple[Kind, set[str]]]) -> None:
        self._kind: dict[str, Kind] = {}
        for kind, words in kinds:
            for word in words:
                self._kind.setdefault(word, kind)
        self._longest = max(len(word) for word in self._kind)

    def at(self, text: str, place: int) -> tuple[str, Kind] | None:
        """The longest known word that begins at a place of the text."""
        for end in range(min(len(text), place + self._longest), place, -1):
            word = text[place:end]
            kind = self._kind.get(word)
            # An English word ends where its letters end: "no" is not in "now".
            if kind is None or (word[-1].isascii() and word[-1].isalnum() and _letter(text, end)):
                continue
            return word, kind
        return None


def _letter(text: str, place: int) -> bool:
    return place < len(text) and text[place].isascii() and (text[place].isalnum() or text[place] == "'")


def _lexicon(words: dict[str, Any], operation: Operation | None) -> _Lexicon:
    kinds: list[tuple[Kind, set[str]]] = []
    # What is neither comes first: a word in two lists is not plain.
    for kind in KINDS:
        signs = {sign for sign, meaning in (*EMOJI.items(), *BRACKETS.items()) if meaning == kind}
        kinds.append((kind, {*words[kind]["zh"], *words[kind]["en"], *signs}))
    if operation is not None:
        act = words["acts"][operation.value]
        kinds.append(("polite", {*act["zh"], *act["en"]}))
    return _Lexicon(kinds)


@cache
def _lexicon_for(operation: Operation | None) -> _Lexicon:
    return _lexicon(_read_words(), operation)


def read_consent(text: str, operation: Operation | None = None) -> Consent:
    """Read a message as an answer to "shall I go ahead?".

    With `operation`, naming the very act that is on the table may go with a yes ("确认取消", "yes, refund
    it"); naming another one makes the answer unclear.
    """
    if len(text) > LONGEST:
        return "unclear"
    folded = plain(text).strip()
    if not folded or QUESTION.search(folded) or HESITATION.search(folded):
        return "unclear"
    tokens = _tokens(folded, _lexicon_for(operation))
    kinds = [kind for kind, _ in tokens if kind != "polite"]
    if "yes" in kinds:
        return "yes" if set(kinds) == {"yes"} else "unclear"
    if not kinds or kinds[0] != "no" or _double_negation(tokens):
        return "unclear"
    return "no"


def _tokens(text: str, lexicon: _Lexicon) -> list[tuple[Kind, bool]]:
    """Kinds of the words in order, each with whether it touches the word before it."""
    tokens: list[tuple[Kind, bool]] = []
    place, touching, previous = 0, False, ""
    while place < len(text):
        if text[place] in SEPARATORS:
            touching = False
            place += 1
            continue
        found = lexicon.at(text, place)
        if found is None:
            word = _unknown(text, place)
            tokens.append(("other", touching))
        else:
            word, kind = found
            # 好好好, 不不不: the same again adds nothing.
            if not (touching and word == previous):
                tokens.append((kind, touching))
        place += len(word)
        touching, previous = True, word
    return tokens


def _unknown(text: str, place: int) -> str:
    if not (text[place].isascii() and text[place].isalnum()):
        return text[place]
    end = place
    while _letter(text, end):
        end += 1
    return text[place:end]


def _double_negation(tokens: list[tuple[Kind, bool]]) -> bool:
    """不是不可以: two different refusals without a pause may be a consent."""
    return any(
        kind == "no" and touching and before == "no" for (before, _), (kind, touching) in pairwise(tokens)
    )
