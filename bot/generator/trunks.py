"""What the reranker learns from: sections, each with questions and whether it answers them.

Every section of an invented shop (`bot.generator.shops`) stands with the questions it answers, with questions of its kind that
the shop does not answer (`near`), with those of other sections of the same shop that are nearest to it, and with those to which it
is one of the nearest sections that do not answer them: what a search finds for a question is told apart section by section. A long
section is learned from in passages, as it is read (`bot.generator.pieces`), each with questions that another passage of it answers.
Knows no model but the sentence encoder.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bot.generator.correctness import holds_gold
from bot.generator.dialogues import Question
from bot.generator.pieces import document_of
from bot.generator.shops import Shop
from bot.knowledge.articles import Chunk
from bot.knowledge.encoders import encoder
from bot.knowledge.passages import Section

RIVALS = 4  # questions of other sections read with each section
OWN = 3  # of each kind that a passage of a long section does not answer
BESIDE = 1  # sections that do not answer it read with each question


@dataclass(frozen=True)
class Trunk:
    """A section as the reranker reads it, with questions and whether it answers them."""

    document: str
    questions: tuple[tuple[str, bool], ...]


def trunks_of(shop: Shop) -> list[Trunk]:
    """Every section of a shop with its questions, its near misses and its rivals' questions: those of other
    sections that the sentence encoder finds nearest, one drawn at random and one from outside, and those to
    which no section but the one that answers is nearer."""
    vectors = dict(_vectors(shop))

    def similarity(question: str, section: str) -> float:
        return float(vectors[question] @ vectors[section])

    out: list[tuple[Chunk, Trunk]] = []
    answerable = [q for q in shop.questions if q.answerable]
    outside = [q.question for q in shop.questions if q.kind == "outside"]
    rng = random.Random(shop.name)
    for chunk in shop.chunks:
        whole = document_of(chunk)
        mine = [q for q in shop.questions if chunk.id in q.evidence]
        others = [
            q for q in answerable if chunk.id not in q.evidence and not holds_gold(chunk.text, q.gold)
        ]  # the same fact may stand in two sections
        ranked = sorted(others, key=lambda q: -similarity(q.question, whole))
        rivals = [(q.question, False) for q in ranked[: RIVALS - 2]]
        rivals += [(q.question, False) for q in rng.sample(ranked[RIVALS:], min(1, len(ranked[RIVALS:])))]
        rivals += [(q, False) for q in rng.sample(outside, min(1, len(outside)))]
        section = Section.of(chunk)
        if not section.long:
            out.append((chunk, Trunk(whole, (*((q.question, q.answerable) for q in mine), *rivals))))
            continue
        for passage in section.passages:
            text = section.text([passage])
            here = [q for q in mine if _stands_in(text, q)]
            near = [q for q in mine if not q.answerable]
            elsewhere = [q for q in mine if q.answerable and q not in here and not holds_gold(text, q.gold)]
            some = [*rng.sample(near, min(OWN, len(near))), *rng.sample(elsewhere, min(OWN, len(elsewhere)))]
            asked = [*((q.question, True) for q in here), *((q.question, False) for q in some)]
            asked += rng.sample(rivals, min(OWN, len(rivals)))
            out.append((chunk, Trunk(document_of(chunk, text), tuple(asked))))
    return _beside(shop, out)


def _beside(shop: Shop, trunks: Sequence[tuple[Chunk, Trunk]]) -> list[Trunk]:
    """The same with every question read beside the nearest sections that do not answer it."""
    documents = list(dict.fromkeys(trunk.document for _, trunk in trunks))
    asked = list(dict.fromkeys(q.question for q in shop.questions))
    near = encoder("use").encode(asked, "query") @ encoder("use").encode(documents, "query").T
    rows = {
        question: dict(zip(documents, row, strict=True)) for question, row in zip(asked, near, strict=True)
    }
    added: dict[str, list[tuple[str, bool]]] = {}
    for question in shop.questions:
        row = rows[question.question]
        ranked = sorted(trunks, key=lambda pair: -float(row[pair[1].document]))
        sections: set[str] = set()
        for chunk, trunk in ranked:
            if chunk.id in question.evidence or chunk.id in sections or holds_gold(chunk.text, question.gold):
                continue
            sections.add(chunk.id)
            if question.question not in dict(trunk.questions):
                added.setdefault(trunk.document, []).append((question.question, False))
            if len(sections) == BESIDE:
                break
    return [Trunk(t.document, (*t.questions, *added.get(t.document, ()))) for _, t in trunks]


def _stands_in(text: str, question: Question) -> bool:
    """Whether the words that answer stand in a passage; a table's have its columns' names between them there."""
    return question.answerable and any(gold in text for gold in question.gold)


def _vectors(shop: Shop) -> Iterator[tuple[str, Any]]:
    texts = [*(q.question for q in shop.questions), *map(document_of, shop.chunks)]
    yield from zip(texts, encoder("use").encode(texts, "query"), strict=True)
