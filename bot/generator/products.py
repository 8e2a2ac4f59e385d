"""Which product a question is about, where sections of several answer it."""

from __future__ import annotations

from collections.abc import Sequence

from bot.generator.confidence import kind_match
from bot.generator.ordering import ANSWERS, READ, close, was_read
from bot.generator.values import normalise
from bot.generator.wording import content_words, overlap
from bot.knowledge.retriever import Hit

MOST = 4  # products to choose from
NEAR = 6.0  # a section whose search score is lower by more is about something else, however it reads
NEAR_READ = 3.0  # the same for the reranker's log-odds
HEADED = 0.5  # share of the question's words in a heading that speaks of what is asked
ALIKE = 0.0  # log-odds from which a section answers about as well as one that is close to it


def products_left_open(
    question: str, hits: Sequence[Hit], product: str | None, *, doubtful: bool = False
) -> list[Hit]:
    """The best hit of every product that the question may be about, best first; empty when there is nothing to ask.

    That is when the product is known, the question names one of them, or the best hit belongs to every product or fits
    clearly better than those of other products. Where the answer is `doubtful`, so that a person would be asked, sections
    whose headings each hold at least half of the question's words are enough: which of them is meant may be all that is in doubt.
    """
    if product is not None or not hits or not hits[0].chunk.products:
        return []
    first, found = hits[0], [hits[0]]
    for place, hit in enumerate(hits[1:READ], start=2):
        known = {one for other in found for one in other.chunk.products} | {h.chunk.title for h in found}
        if not hit.chunk.products or known & {*hit.chunk.products, hit.chunk.title}:
            continue
        if _answers_as_well(question, first, hit, place, doubtful):
            found.append(hit)
    found = found[:MOST]
    if len(found) < 2 or _names_one(question, [h.chunk.title for h in found]):
        return []
    return found


def _answers_as_well(question: str, first: Hit, other: Hit, place: int, doubtful: bool) -> bool:
    """A reranker that has read both says so, or says the same of both, as their headings do. Without one only the second hit
    counts, and it has to have nearly the same heading."""
    if kind_match(question, other.chunk.text) < 0:
        return False
    if was_read([first]) and was_read([other]):
        read = other.signals["read"]
        near = first.score - other.score < NEAR and first.signals["read"] - read < NEAR_READ
        alike = read >= ALIKE or (doubtful and _headed_alike(question, first, other))
        return near and (read >= ANSWERS or (alike and close(first, other)))
    return (
        place == 2
        and abs(first.heading_similarity - other.heading_similarity) <= 0.03
        and overlap(first.chunk.heading, other.chunk.heading) >= 0.4
    )


def _headed_alike(question: str, first: Hit, other: Hit) -> bool:
    """Whether both headings speak of what is asked: "it does not charge" of the toothbrush's and of the phone's."""
    return min(overlap(question, hit.chunk.heading) for hit in (first, other)) >= HEADED


def _names_one(question: str, titles: Sequence[str]) -> bool:
    """Whether the question holds a word that tells one title from the others."""
    asked, words = set(content_words(normalise(question).lower())), [set(content_words(t)) for t in titles]
    return any(
        asked & (mine - set().union(*(theirs for other, theirs in enumerate(words) if other != n)))
        for n, mine in enumerate(words)
    )
