"""What a search over the articles is, whoever does it: `Retriever` and `Hit`.

Implementations: `bot.knowledge.hybrid` (in memory, the default) and `bot.knowledge.pgvector` (scale).
This module knows neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from bot.knowledge.articles import Chunk
from bot.message import Language


@dataclass(frozen=True, slots=True)
class Hit:
    """One chunk found.

    Attributes:
        chunk: what was found.
        score: fused score that orders the hits; comparable within one search only.
        rank: place from 1.
        bm25: BM25 score of the chunk, 0 when no word is shared. Not bounded.
        concepts: weight of the concepts it shares with the question, 0 for none. Not bounded.
        dense: cosine per encoder name, the larger of those of the question to the heading and to the text.
        ranks: place from 1 per method (``bm25`` and every encoder) among the chunks searched.
        heading_similarity, text_similarity: mean cosine over encoders to the heading and to the text.
        signals: further numbers by name for whoever judges the find; 0 where a retriever does not know one.
            ``<encoder>_heading``, ``<encoder>_text``: cosines. ``<encoder>_standard``: by how many standard
            deviations the text is nearer than the mean of all chunks searched. ``sentence``: cosine of the nearest
            sentence. ``words``, ``words_worst``, ``words_shop``, ``words_shop_worst``: see
            `bot.knowledge.interaction.WordMatch`. ``projection``: mean cosine of the projected vectors (`bot.knowledge.projection`),
            ``projection_standard``: by how many standard deviations it is above the mean.
        sentences: cosines of the chunk's sentences to the question, in order; empty where a retriever knows none.
        passage: of a long chunk, the words that a reranker took for the answer; None when it was not read in pieces.
        quote: the same with the next likeliest passage, where the answer may stand in either.
    """

    chunk: Chunk
    score: float
    rank: int
    bm25: float = 0.0
    concepts: float = 0.0
    dense: Mapping[str, float] = field(default_factory=dict)
    ranks: Mapping[str, int] = field(default_factory=dict)
    heading_similarity: float = 0.0
    text_similarity: float = 0.0
    signals: Mapping[str, float] = field(default_factory=dict)
    sentences: tuple[float, ...] = ()
    passage: str | None = None
    quote: str | None = None

    @property
    def similarity(self) -> float:
        """Largest cosine of any encoder; 0 without one. Comparable between searches."""
        return max(self.dense.values(), default=0.0)


class Retriever(Protocol):
    """Finds the chunks that answer a question."""

    def search(
        self,
        query: str,
        *,
        language: Language | None = None,
        product: str | None = None,
        at: date | None = None,
        limit: int = 5,
    ) -> list[Hit]:
        """The best chunks, best first.

        Args:
            query: the shopper's words.
            language: preferred language; the other one is searched when this one has nothing. None: both.
            product: keep chunks for this product and chunks for every product.
            at: keep chunks valid on this day. None: the shop's today.
            limit: how many at most.
        """
        ...
