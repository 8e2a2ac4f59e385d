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
from bot.knowledge.passages import Section

SIZES = (1, 1, 1, 2, 3)  # sections in a set, drawn: behind a reranker the generator reads one
WITH_HISTORY = 0.15
AS_PEOPLE_WRITE = 0.2  # with an opener, a mood or a slip, beside what the shop's author wrote


def shop_dialogues(shop: Shop, *, seed: int = 0) -> Iterator[Dialogue]:
    """One dialogue for every answerable question of the shop; every section stands in one set.

    Of a long section its passages do, as the prompt shows them. A question whose words stand in none of them, because a table
    gives its columns' names in every row there, is left out.
    """
    rng = random.Random(f"{seed}-{shop.name}")
    asked = [q for q in shop.questions if q.answerable]
    given: set[str] = set()  # neighbouring passages have a sentence in common
    for number, parts in enumerate(neighbours(_parts(shop), rng)):
        rng.shuffle(parts)
        evidence = tuple(
            Evidence(c.id, text, " - ".join(dict.fromkeys(c.heading_path)), "article", shop.language)
            for c, text in parts
        )
        pairs = []
        for chunk, text in parts:
            here = [
                q
                for q in asked
                if chunk.id in q.evidence and q.id not in given and any(g in text for g in q.gold)
            ]
            pairs += [(q, answer_in(text, q.gold)) for q in here]
            given |= {q.id for q in here}
        for q, answer in pairs:
            yield Dialogue(
                q.id, f"{shop.name}-{number}", shop.language, _said(q, rng), evidence, answer, q.gold,
                _history(q, pairs, rng), "shop",
            )  # fmt: skip


def _parts(shop: Shop) -> list[tuple[Chunk, str]]:
    """Every section with its text, a long one once for each of its passages."""
    parts = []
    for chunk in shop.chunks:
        section = Section.of(chunk)
        texts = [section.text([one]) for one in section.passages] if section.long else [chunk.text]
        parts += [(chunk, text) for text in texts]
    return parts


def neighbours(parts: Sequence[tuple[Chunk, str]], rng: random.Random) -> Iterator[list[tuple[Chunk, str]]]:
    """Sections in sets of `SIZES`, each with those nearest to it by the sentence encoder that are still free."""
    vectors = encoder("use").encode([f"{' - '.join(c.heading_path)}: {text}" for c, text in parts], "query")
    free = list(range(len(parts)))
    rng.shuffle(free)
    while free:
        first = free.pop()
        free.sort(key=lambda n: float(vectors[first] @ vectors[n]))
        beside = [free.pop() for _ in range(min(rng.choice(SIZES) - 1, len(free)))]
        yield [parts[n] for n in (first, *beside)]
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
