"""Dialogues of the invented shops: a few sections that a search would bring up together, and all their questions.

The questions of one set of evidence stand next to each other, so that training reads the set once for all of them
(`bot.generator.training`). The answer is the sentence of the section that holds what the question asks for.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from bot.generator.dialogues import Dialogue, Question, answer_in, as_people_write
from bot.generator.evidence import Evidence
from bot.generator.shops import Shop
from bot.knowledge.articles import Chunk
from bot.knowledge.encoders import encoder

SIZES = (1, 1, 1, 2, 3)  # sections in a set, drawn: behind a reranker the generator reads one
WITH_HISTORY = 0.15
AS_PEOPLE_WRITE = 0.2  # with an opener, a mood or a slip, beside what the shop's author wrote


def shop_dialogues(shop: Shop, *, seed: int = 0) -> Iterator[Dialogue]:
    """One dialogue for every answerable question of the shop; every section stands in one set."""
    rng = random.Random(f"{seed}-{shop.name}")
    asked = [q for q in shop.questions if q.answerable]
    for number, chunks in enumerate(neighbours(shop.chunks, rng)):
        rng.shuffle(chunks)
        evidence = tuple(
            Evidence(c.id, c.text, " - ".join(dict.fromkeys(c.heading_path)), "article", shop.language)
            for c in chunks
        )
        pairs = [(q, answer_in(c.text, q.gold)) for c in chunks for q in asked if c.id in q.evidence]
        for q, answer in pairs:
            yield Dialogue(
                q.id, f"{shop.name}-{number}", shop.language, _said(q, rng), evidence, answer, q.gold,
                _history(q, pairs, rng), "shop",
            )  # fmt: skip


def neighbours(chunks: Sequence[Chunk], rng: random.Random) -> Iterator[list[Chunk]]:
    """Sections in sets of `SIZES`, each with those nearest to it by the sentence encoder that are still free."""
    vectors = encoder("use").encode([f"{' - '.join(c.heading_path)}: {c.text}" for c in chunks], "query")
    free = list(range(len(chunks)))
    rng.shuffle(free)
    while free:
        first = free.pop()
        free.sort(key=lambda n: float(vectors[first] @ vectors[n]))
        beside = [free.pop() for _ in range(min(rng.choice(SIZES) - 1, len(free)))]
        yield [chunks[n] for n in (first, *beside)]
        rng.shuffle(free)


def _said(question: Question, rng: random.Random) -> str:
    if rng.random() < AS_PEOPLE_WRITE:
        return as_people_write(question.question.rstrip("?？"), question.language, rng)
    return question.question


def _history(
    question: Question, pairs: Sequence[tuple[Question, str]], rng: random.Random
) -> tuple[tuple[str, str], ...]:
    others = [(q.question, answer) for q, answer in pairs if q is not question]
    return (rng.choice(others),) if others and rng.random() < WITH_HISTORY else ()
