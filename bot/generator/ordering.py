"""The order of what a search found, as the reranker sees it, and what follows from two hits that fit alike."""

from __future__ import annotations

from collections.abc import Sequence

from bot.generator.wording import overlap
from bot.knowledge.retriever import Hit

READ = 8  # hits the reranker reads; figures in docs/confidence.md
READ_ON = 16  # and up to here where it takes none of these for an answer
CLOSE = 1.2  # two sections whose scores differ by less are both quoted; measured in docs/confidence.md
CLOSE_READ = 1.0  # the same for the reranker's log-odds
ANSWERS = 3.0  # log-odds from which a reply or a section is taken to answer: 95 %


def reordered(hits: Sequence[Hit], weight: float) -> list[Hit]:
    """Those that were read, by search score and reranker's log-odds (signal ``read``) together; the others after them."""
    read = [hit for hit in hits if was_read([hit])]
    read.sort(key=lambda hit: -(hit.score + weight * hit.signals["read"]))
    return [*read, *(hit for hit in hits if not was_read([hit]))]


def none_answers(read: Sequence[Hit]) -> bool:
    """Whether every hit that was read is likelier not to answer: what does may stand further down."""
    return all(hit.signals["read"] < 0 for hit in read)


def was_read(hits: Sequence[Hit]) -> bool:
    """Whether a reranker has read them."""
    return "read" in hits[0].signals


def close(first: Hit, second: Hit) -> bool:
    """Whether two hits fit about equally well, so that both are quoted."""
    if was_read([first]) and was_read([second]):
        return first.signals["read"] - second.signals["read"] < CLOSE_READ
    return first.score - second.score < CLOSE


def about(question: str, hits: list[Hit]) -> list[Hit]:
    """Hits of a question that goes on from another: what this one names comes first.

    "And of the air purifier?" after a question about the vacuum cleaner finds the vacuum cleaner; of what was read, the
    section that holds the words the shopper has just said is meant, when the first holds hardly any of them.
    """
    shares = [overlap(question, f"{' '.join(h.chunk.heading_path)} {h.chunk.text}") for h in hits[:READ]]
    if not shares or shares[0] >= 0.5 or max(shares) < 0.8:
        return hits
    best = shares.index(max(shares))
    return [hits[best], *hits[:best], *hits[best + 1 :]]
