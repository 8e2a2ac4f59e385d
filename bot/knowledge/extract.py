"""The extractive answer: the words of the best chunk that answer the question, unchanged.

Short sections are given whole: the author wrote them as one answer, and a sentence cut off is often the condition
that matters. From long ones the sentences are taken that share most with the question, in their order, with
the sentences between them when those are short. Nothing is rephrased here, so nothing can be made up.
This module knows no model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from bot.knowledge.articles import Chunk
from bot.knowledge.markdown import plain_lines
from bot.knowledge.retriever import Hit
from bot.knowledge.tokens import tokens

# Sections up to this size are given whole. A Chinese character says about as much as three Latin letters.
WHOLE_ZH = 160
WHOLE_EN = 520
# What a trimmed section is cut down to.
TRIMMED_ZH = 120
TRIMMED_EN = 400

_SENTENCE = re.compile(
    r"[^。！？!?\n]*?(?:[。！？!?]+[”’」』）)\"']*|(?<!\d)\.(?=\s|$)|(?<=\d)\.(?=\s|$)|\n|$)", re.S
)
_ITEM_NUMBER = re.compile(r"[ \t]*(?:- )?\d{1,2}\.")
_QUESTION_NUMBER = re.compile(
    r"多少|几|多久|多长|多大|多远|多重|时候|何时|how (?:many|much|long|often|far|big|old|soon)|when|price|cost|fee|days?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d|[一二两三四五六七八九十百千半]+(?:天|日|个|小时|分钟|年|月|元|次|周|件|%)")


@dataclass(frozen=True, slots=True)
class Passage:
    """Words of an article, and the chunk they stand in. `score` is that of the hit."""

    text: str
    chunk: Chunk
    score: float


def best_passage(question: str, hits: Sequence[Hit]) -> Passage | None:
    """The passage of the best hit that answers the question, or None without hits."""
    if not hits:
        return None
    best = hits[0]
    return Passage(focus(question, best.chunk), best.chunk, best.score)


def focus(question: str, chunk: Chunk) -> str:
    """The chunk's text as plain lines, trimmed to the sentences that answer when it is long."""
    lines = plain_lines(chunk.text)
    whole = "\n".join(lines)
    limit, target = (WHOLE_ZH, TRIMMED_ZH) if chunk.language == "zh" else (WHOLE_EN, TRIMMED_EN)
    if len(whole) <= limit:
        return whole
    sentences = split_sentences(whole)
    if len(sentences) < 3:
        return whole
    chosen = _choose(question, chunk, sentences, target)
    return join(sentences, chosen)


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


def _choose(question: str, chunk: Chunk, sentences: Sequence[str], target: int) -> list[int]:
    """Places of the sentences to keep: the best one, then more while they fit and add something asked for."""
    asked = set(tokens(question, query=True)) or set(tokens(question))
    words = [set(tokens(sentence)) for sentence in sentences]
    known = set(tokens(chunk.heading))
    weights = {
        # A word in every sentence, or in the heading, does not tell the sentences apart.
        word: math.log(1 + len(sentences) / (1 + sum(word in found for found in words)))
        * (0.5 if word in known else 1)
        for word in asked
    }
    wants_number = bool(_QUESTION_NUMBER.search(question))
    scores = []
    for place, sentence in enumerate(sentences):
        score = sum(weights[word] for word in asked & words[place]) / (
            1 + 0.15 * math.log(1 + len(words[place]))
        )
        if wants_number and _NUMBER.search(sentence):
            score += 0.35
        score += 0.1 / (1 + place)  # authors answer first and qualify later
        scores.append(score)

    chosen = [max(range(len(sentences)), key=lambda place: scores[place])]
    length = len(sentences[chosen[0]])
    best = scores[chosen[0]]
    for place in sorted(range(len(sentences)), key=lambda place: -scores[place]):
        near = min(abs(place - kept) for kept in chosen) == 1
        if place in chosen or length + len(sentences[place]) > target:
            continue
        if scores[place] >= 0.5 * best or (near and scores[place] >= 0.2 * best):
            chosen.append(place)
            length += len(sentences[place])
    return sorted(chosen)


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
