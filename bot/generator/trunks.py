"""What the reranker learns from: sections and parts of sections, each with questions and whether it answers them.

Every section of an invented shop (`bot.generator.shops`) stands with the questions it answers, with questions of its kind that
the shop does not answer (`near`), and with those of other sections of the same shop that are nearest to it. The same
questions stand again with the section when a sentence that answers is taken out of it, and with single sentences: what makes the difference between yes and no is
then that sentence alone. Knows no model but the sentence encoder.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bot.generator.correctness import holds_gold
from bot.generator.prompt import document
from bot.generator.shops import Shop
from bot.knowledge.articles import Chunk
from bot.knowledge.encoders import encoder
from bot.knowledge.extract import split_sentences

RIVALS = 6  # questions of other sections read with each section
ALONE = 2  # questions of its section that a sentence alone does not answer, read with it


@dataclass(frozen=True)
class Trunk:
    """A section as the reranker reads it, with questions and whether it answers them."""

    document: str
    questions: tuple[tuple[str, bool], ...]


def trunks_of(shop: Shop) -> list[Trunk]:
    """Every section of a shop with its questions, its near misses and its rivals' questions: those of other
    sections that the sentence encoder finds nearest, one drawn at random and one from outside."""
    vectors = dict(_vectors(shop))

    def similarity(question: str, section: str) -> float:
        return float(vectors[question] @ vectors[section])

    out = []
    answerable = [q for q in shop.questions if q.answerable]
    outside = [q.question for q in shop.questions if q.kind == "outside"]
    rng = random.Random(shop.name)
    for chunk in shop.chunks:
        section = _section(chunk)
        mine = [(q.question, q.answerable) for q in shop.questions if chunk.id in q.evidence]
        others = [
            q for q in answerable if chunk.id not in q.evidence and not holds_gold(chunk.text, q.gold)
        ]  # the same fact may stand in two sections
        ranked = sorted(others, key=lambda q: -similarity(q.question, section))
        rivals = [(q.question, False) for q in ranked[: RIVALS - 2]]
        rivals += [(q.question, False) for q in rng.sample(ranked[RIVALS:], min(1, len(ranked[RIVALS:])))]
        rivals += [(q, False) for q in rng.sample(outside, min(1, len(outside)))]
        out.append(Trunk(section, (*mine, *rivals)))
    return out


def clipped_trunks(shop: Shop) -> list[Trunk]:
    """Every section of several sentences once without a sentence that answers, and two of its sentences alone, one behind the
    heading and one without, as a reply is read. The questions are the section's own and a near miss; one is answered when its
    gold string stands in what is left.
    """
    out = []
    rng = random.Random(f"clipped-{shop.name}")
    for chunk in shop.chunks:
        parts = split_sentences(chunk.text)
        mine = [q for q in shop.questions if chunk.id in q.evidence]
        # Those whose answer stands in one sentence.
        asked = [q for q in mine if any(g in part for g in q.gold for part in parts)]
        near = [(q.question, False) for q in mine if not q.answerable]
        answering = [n for n, part in enumerate(parts) if any(g in part for q in asked for g in q.gold)]
        if len(parts) < 2 or not answering:
            continue
        title = " - ".join(dict.fromkeys(chunk.heading_path))
        without = rng.choice(answering)
        first, second = rng.sample(range(len(parts)), 2)
        for named, left, most in (
            (title, "".join(part for n, part in enumerate(parts) if n != without), len(asked)),
            (title, parts[first], ALONE),
            ("", parts[second], ALONE),
        ):
            told = [(q.question, True) for q in asked if any(g in left for g in q.gold)]
            # What is left may say the same in other words: then the question is neither.
            untold = [(q.question, False) for q in asked if not holds_gold(left, q.gold)]
            untold = rng.sample(untold, min(most, len(untold)))
            misses = rng.sample(near, min(1, len(near)))
            if questions := (*told, *untold, *misses):
                out.append(Trunk(document(named, left), questions))
    return out


def _section(chunk: Chunk) -> str:
    return document(" - ".join(dict.fromkeys(chunk.heading_path)), chunk.text)


def _vectors(shop: Shop) -> Iterator[tuple[str, Any]]:
    texts = [*(q.question for q in shop.questions), *map(_section, shop.chunks)]
    yield from zip(texts, encoder("use").encode(texts, "query"), strict=True)
