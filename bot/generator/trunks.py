"""What the reranker learns from: sections, each with questions and whether it answers them.

Every section of an invented shop (`bot.generator.shops`) stands with the questions it answers, with questions of its kind that
the shop does not answer (`near`), with those of other sections of the same shop that are nearest to it, and with those to which it
is the nearest section that does not answer them: what a search finds for a question is told apart section by section. A long
section is learned from in passages, as it is read (`bot.generator.pieces`), each with questions that another passage of it answers.
For training (`lessons_of`) headings are asked as well, and half of all questions stand in another style (`bot.generator.styles`).
Knows no model but the sentence encoder.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bot.generator.correctness import cells, holds_gold
from bot.generator.dialogues import Question
from bot.generator.pieces import document_of
from bot.generator.shops import Shop
from bot.generator.styles import restyled
from bot.knowledge.articles import Chunk
from bot.knowledge.encoders import encoder
from bot.knowledge.passages import Section

RIVALS = 4  # questions of other sections read with each section
OWN = 3  # of each kind that a passage of a long section does not answer
RESTYLED = 0.5  # share of the questions of a lesson that stand in another style


@dataclass(frozen=True)
class Trunk:
    """A section as the reranker reads it, with questions and whether it answers them."""

    document: str
    questions: tuple[tuple[str, bool], ...]


def trunks_of(shop: Shop) -> list[Trunk]:
    """Every section of a shop with its questions, its near misses and its rivals' questions: those of other
    sections that the sentence encoder finds nearest, one drawn at random and one from outside, and those to
    which no section but the one that answers is nearer."""
    vectors = _vectors([*(q.question for q in shop.questions), *map(document_of, shop.chunks)])

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
    vectors |= _vectors([trunk.document for _, trunk in out if trunk.document not in vectors])
    return _with_neighbours(shop, out, similarity)


def lessons_of(shop: Shop, share: float = 1.0) -> list[Trunk]:
    """What is learned from a shop: its trunks with `share` of the questions of each, drawn at random, in various styles.

    Every heading is asked of its section, as a shopper does who taps it or types no more than the topic, and of the next section
    of the article, which does not answer it.
    """
    rng = random.Random(f"{shop.name} lessons")
    headings: dict[str, list[tuple[str, bool]]] = {}
    for chunk, after in zip(shop.chunks, [*shop.chunks[1:], None], strict=True):
        section = Section.of(chunk)
        document = document_of(chunk, section.text(section.passages[:1]) if section.long else None)
        headings[document] = [(chunk.heading, True)]
        if after is not None and after.article_id == chunk.article_id and after.heading != chunk.heading:
            headings[document].append((after.heading, False))

    def drawn(trunk: Trunk) -> list[tuple[str, bool]]:
        some = rng.sample(trunk.questions, max(1, round(share * len(trunk.questions))))
        return some + headings.get(trunk.document, [])

    def styled(question: str) -> str:
        return restyled(question, shop.language, rng) if rng.random() < RESTYLED else question

    return [
        Trunk(trunk.document, tuple((styled(q), answers) for q, answers in drawn(trunk)))
        for trunk in trunks_of(shop)
    ]


def _with_neighbours(
    shop: Shop, trunks: Sequence[tuple[Chunk, Trunk]], similarity: Callable[[str, str], float]
) -> list[Trunk]:
    """The same, with every question beside the nearest section that does not answer it as well."""
    added: dict[str, list[tuple[str, bool]]] = {}
    for q in shop.questions:
        ranked = sorted(trunks, key=lambda pair: -similarity(q.question, pair[1].document))
        nearest = next(
            (t for c, t in ranked if c.id not in q.evidence and not holds_gold(c.text, q.gold)), None
        )
        if nearest is not None and q.question not in dict(nearest.questions):
            added.setdefault(nearest.document, []).append((q.question, False))
    return [Trunk(t.document, (*t.questions, *added.get(t.document, ()))) for _, t in trunks]


def _stands_in(text: str, question: Question) -> bool:
    """Whether the words that answer stand in a passage; a table's have its columns' names between them there."""
    return question.answerable and any(all(cell in text for cell in cells(gold)) for gold in question.gold)


def _vectors(texts: Sequence[str]) -> dict[str, Any]:
    return dict(zip(texts, encoder("use").encode(texts, "query"), strict=True)) if texts else {}
