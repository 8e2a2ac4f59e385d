"""Sections in passages: the words of an article that answer, unchanged.

Short sections are given whole: the author wrote them as one answer, and a sentence cut off is often the condition that matters.

A section of a real shop may be half a page, with the answer in its last line. Passages are whole sentences, about as many as a
short section has; one begins with the last sentence of the one before it, so that no two neighbours are torn apart, and list
items carry the line that introduces them ("Not covered:"). This module knows text and no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot.knowledge.articles import Chunk
from bot.knowledge.markdown import plain_lines
from bot.knowledge.retriever import Hit
from bot.knowledge.tokens import tokens
from bot.message import Language

# Sections up to this size are short. A Chinese character says about as much as three Latin letters.
WHOLE_ZH = 160
WHOLE_EN = 520

_SENTENCE = re.compile(
    r"[^。！？!?\n]*?(?:[。！？!?]+[”’」』）)\"']*|(?<!\d)\.(?=\s|$)|(?<=\d)\.(?=\s|$)|\n|$)", re.S
)
_ITEM_NUMBER = re.compile(r"[ \t]*(?:- )?\d{1,2}\.")
_ITEM = re.compile(r"^\s*(?:[-*•·]|[（(]?(?:\d{1,2}|[一二三四五六七八九十])[.)）、．])\s*\S")
_INTRODUCES = re.compile(r"[:：]\s*$")


@dataclass(frozen=True, slots=True)
class Passage:
    """Sentences `start` to `stop` (exclusive) of a section; `lead` is the place of the line that introduces the first."""

    start: int
    stop: int
    lead: int | None = None

    @property
    def places(self) -> list[int]:
        return [*([] if self.lead is None else [self.lead]), *range(self.start, self.stop)]


class Section:
    """The sentences of a chunk, and its passages: one when it is short."""

    def __init__(self, text: str, language: Language) -> None:
        """`text` is Markdown."""
        whole = "\n".join(plain_lines(text))
        self.sentences = split_sentences(whole)
        limit = WHOLE_ZH if language == "zh" else WHOLE_EN
        self.long = len(whole) > limit and len(self.sentences) > 2
        self.passages = _passages(self.sentences, limit) if self.long else [Passage(0, len(self.sentences))]

    @classmethod
    def of(cls, chunk: Chunk) -> Section:
        return cls(chunk.text, chunk.language)

    def text(self, passages: Iterable[Passage]) -> str:
        """The words of some passages in the order of the section, none twice."""
        return join(self.sentences, sorted({place for one in passages for place in one.places}))

    def likeliest(self, question: str, cosines: Sequence[float], limit: int) -> list[Passage]:
        """The passages in which the answer most likely stands, in the order of the section.

        By the nearest sentence and the share of the question's words; `cosines` are those of the sentences to the question,
        empty where nobody knows them.
        """
        if len(self.passages) <= limit:
            return self.passages
        asked = set(tokens(question, query=True)) or set(tokens(question))
        words = [set(tokens(one)) for one in self.sentences]
        known = cosines if len(cosines) == len(self.sentences) else [0.0] * len(self.sentences)

        def promise(one: Passage) -> float:
            here = set[str]().union(*(words[n] for n in one.places))
            return max(known[n] for n in one.places) + len(asked & here) / (len(asked) or 1)

        best = sorted(self.passages, key=promise, reverse=True)[:limit]
        return sorted(best, key=lambda one: one.start)


def _passages(sentences: Sequence[str], size: int) -> list[Passage]:
    """Passages of about `size` characters; a sentence that is longer is a passage of its own."""
    found: list[Passage] = []
    start, lead, introduced = 0, None, None  # `introduced`: by which line the items being read are
    leads: list[int | None] = []
    for place, sentence in enumerate(sentences):
        if not _ITEM.match(sentence) and (place == 0 or sentences[place - 1].endswith("\n")):
            introduced = None
        leads.append(introduced)
        if _INTRODUCES.search(sentence):
            introduced = place
    length = 0
    for place, sentence in enumerate(sentences):
        if place > start and length + len(sentence) > size:
            found.append(Passage(start, place, lead))
            again = place - 1 if place - 1 > start and len(sentences[place - 1]) <= size // 2 else place
            if len(sentences[again]) + len(sentence) > size:
                again = place
            start, lead = again, leads[again]
            length = sum(len(sentences[n]) for n in range(start, place))
            length += len(sentences[lead]) if lead is not None else 0
        length += len(sentence)
    return [*found, Passage(start, len(sentences), lead)]


def answering_words(question: str, hit: Hit) -> str:
    """The words of a hit that answer, as plain lines: the whole of a short section, the likeliest passage of a long one."""
    section = Section.of(hit.chunk)
    return section.text(section.likeliest(question, hit.sentences, 1))


def split_sentences(text: str) -> list[str]:
    """Sentences with their punctuation and the line breaks that follow them. The number of a list item is none by itself."""
    found: list[str] = []
    for match in _SENTENCE.finditer(text):
        if not match.group().strip():
            if found and "\n" in match.group() and not found[-1].endswith("\n"):
                found[-1] += "\n"
            continue
        if found and _ITEM_NUMBER.fullmatch(found[-1]):
            found[-1] += match.group()
        else:
            found.append(match.group())
    return found


def join(sentences: Sequence[str], places: Sequence[int]) -> str:
    """The sentences at these places, with a blank where some between them are left out."""
    parts: list[str] = []
    for number, place in enumerate(places):
        gap = number > 0 and place != places[number - 1] + 1
        previous = sentences[places[number - 1]] if number else ""
        if gap and not previous.endswith("\n"):
            parts.append("" if re.search(r"[。！？]$", previous) else " ")
        parts.append(sentences[place].lstrip() if gap or not number else sentences[place])
    return "".join(parts).strip()
