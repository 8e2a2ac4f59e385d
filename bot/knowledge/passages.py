"""Sections in passages: the words of an article that answer, unchanged.

Short sections are given whole: the author wrote them as one answer, and a sentence cut off is often the condition that matters.

A section of a real shop may be half a page, with the answer in its last line. Passages are whole sentences, about as many as a
short section has; one begins with the last sentence of the one before it, so that no two neighbours are torn apart, and list
items carry the line that introduces them ("Not covered:"). This module knows text and no model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bot.knowledge.articles import Chunk
from bot.knowledge.markdown import BOLD, ranked_lines
from bot.knowledge.retriever import Hit
from bot.knowledge.tokens import tokens
from bot.message import Language

# Sections up to this size are short. A Chinese character says about as much as three Latin letters.
WHOLE_ZH = 160
WHOLE_EN = 520

_SENTENCE = re.compile(
    r"[^。！？\n]*?(?:(?:[。！？]|[!?](?!\w))+[”’」』）)\"']*|(?<!\d)\.(?=\s|$)|(?<=\d)\.(?=\s|$)|\n|$)", re.S
)
_ITEM_NUMBER = re.compile(r"[ \t]*(?:- )?\d{1,2}\.")
_INTRODUCES = re.compile(r"[:：]\s*$")
# A sentence that limits the one before it.
_LIMITS = re.compile(
    r"\s*(?:但|不过|然而|除|以上|上述|否则|However\b|But\b|Except|Unless\b|Otherwise\b|This (?:does|is) not\b)",
    re.IGNORECASE,
)
LIMITED = 700  # characters of a passage with such a sentence, at most; what a reader takes in


@dataclass(frozen=True, slots=True)
class Passage:
    """Sentences `start` to `stop` (exclusive) of a section; `leads` are the places of the lines that introduce the first: headings
    within the section, "Not covered:"."""

    start: int
    stop: int
    leads: tuple[int, ...] = ()

    @property
    def places(self) -> list[int]:
        return [*self.leads, *range(self.start, self.stop)]


class Section:
    """The sentences of a chunk, and its passages: one when it is short."""

    def __init__(
        self, text: str, language: Language, clean: Callable[[str], str] = lambda line: line
    ) -> None:
        """`text` is Markdown; `clean` is asked for every line of it and gives an empty text for one to be left out."""
        size = WHOLE_ZH if language == "zh" else WHOLE_EN
        self.sentences: list[str] = []
        self.leads: list[tuple[int, ...]] = []  # of every sentence, the places of the lines that introduce it
        above: list[tuple[int, int]] = []  # (rank, place) of the lines that introduce what follows
        lines = [line for line in ranked_lines(text, addresses=True) if clean(line.text)]
        for number, line in enumerate(lines):
            while above and above[-1][0] >= line.rank:
                above.pop()
            end = "\n" if number + 1 < len(lines) else ""
            for sentence in split_sentences(line.text + end):
                for part in _cut(sentence, size):
                    self.leads.append(tuple(place for _, place in above))
                    self.sentences.append(part)
            if line.rank <= BOLD or _INTRODUCES.search(line.text):
                above.append((line.rank, len(self.sentences) - 1))
        self.long = sum(map(len, self.sentences)) > size
        self.passages = [Passage(0, len(self.sentences))]
        if self.long:
            introducing = {place for one in self.leads for place in one}
            self.passages = _passages(self.sentences, self.leads, introducing, size)

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


def _passages(
    sentences: Sequence[str], leads: Sequence[tuple[int, ...]], introducing: set[int], size: int
) -> list[Passage]:
    """Passages of about `size` characters."""
    found: list[Passage] = []

    def length(start: int, stop: int) -> int:
        return sum(len(sentences[n]) for n in (*leads[start], *range(start, stop)))

    start, most = 0, min(LIMITED, size * 3 // 2)
    for place, sentence in enumerate(sentences):
        now = length(start, place + 1)
        if place == start or now <= size or (_LIMITS.match(sentence) and now <= most):
            continue
        stop = place
        while stop - 1 > start and stop - 1 in introducing:  # what it introduces comes next
            stop -= 1
        found.append(Passage(start, stop, leads[start]))
        again = stop - 1
        short = again > start and len(sentences[again]) <= size // 2
        start = again if short and length(again, place + 1) <= size else stop
    return [*found, Passage(start, len(sentences), leads[start])]


def _cut(sentence: str, size: int) -> list[str]:
    """A sentence longer than a passage in parts, at the deepest joints that make them short enough."""
    if len(sentence) <= size:
        return [sentence]
    for joint in (r"(?<=[；;])", r"(?<=[，,])", r"(?<=\s)", ""):
        pieces = (
            re.split(joint, sentence)
            if joint
            else [sentence[n : n + size] for n in range(0, len(sentence), size)]
        )
        if max(map(len, pieces)) <= size:
            break
    parts = [""]
    for piece in pieces:
        if parts[-1] and len(parts[-1]) + len(piece) > size // 2:
            parts.append("")
        parts[-1] += piece
    return [part for part in parts if part]


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
