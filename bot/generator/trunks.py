"""What the reranker learns from: sections, each with questions and whether it answers them.

Every section of an invented shop (`bot.generator.shops`) stands with the questions it answers, with questions of its kind that
the shop does not answer (`near`), and with those of other sections of the same shop that are nearest to it. Knows no model but
the sentence encoder.
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

RIVALS = 6  # questions of other sections read with each section


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


def _section(chunk: Chunk) -> str:
    return document(" - ".join(dict.fromkeys(chunk.heading_path)), chunk.text)


def _vectors(shop: Shop) -> Iterator[tuple[str, Any]]:
    texts = [*(q.question for q in shop.questions), *map(_section, shop.chunks)]
    yield from zip(texts, encoder("use").encode(texts, "query"), strict=True)
