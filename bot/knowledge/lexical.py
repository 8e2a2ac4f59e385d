"""Search by words, in memory: BM25, and the concepts two texts share. Knows tokens and numbers, no article."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bot.knowledge.tokens import concepts, tokens

Scores = npt.NDArray[np.float32]


class BM25Index:
    """BM25 (Lucene's variant) over headings and texts.

    Heading words count `heading_weight` times: a heading is the author's own summary of the answer.
    """

    def __init__(
        self,
        headings: Sequence[str],
        texts: Sequence[str],
        *,
        heading_weight: int = 2,
        k1: float = 1.2,
        b: float = 0.5,
    ) -> None:
        import bm25s

        corpus = [
            tokens(heading) * heading_weight + tokens(text)
            for heading, text in zip(headings, texts, strict=True)
        ]
        self._size = len(corpus)
        self._index = None
        if any(corpus):
            self._index = bm25s.BM25(method="lucene", k1=k1, b=b)
            self._index.index(corpus, show_progress=False)

    def scores(self, query: str) -> Scores:
        """One score per chunk; 0 where no token is shared."""
        words = tokens(query, query=True) or tokens(query)
        if self._index is not None:
            known = [word for word in dict.fromkeys(words) if word in self._index.vocab_dict]
            if known:
                return np.asarray(self._index.get_scores(known), dtype=np.float32)
        return np.zeros(self._size, dtype=np.float32)


class ConceptIndex:
    """How much of what a question speaks of a chunk speaks of too, rare concepts counting more.

    A concept in the heading counts whole, one only in the text half.
    """

    def __init__(self, headings: Sequence[str], texts: Sequence[str]) -> None:
        in_headings = [set(concepts(heading)) for heading in headings]
        in_texts = [set(concepts(text)) for text in texts]
        self._size = len(in_headings)
        spread = Counter(
            name for both in zip(in_headings, in_texts, strict=True) for name in both[0] | both[1]
        )
        self._weights: dict[str, Scores] = {}
        for name, chunks in spread.items():
            rarity = math.log(1 + self._size / (1 + chunks))
            share = [
                (name in head) + 0.5 * (name in text)
                for head, text in zip(in_headings, in_texts, strict=True)
            ]
            self._weights[name] = np.array(share, dtype=np.float32) * np.float32(rarity)

    def scores(self, query: str) -> Scores:
        """One score per chunk; 0 where no concept is shared."""
        total = np.zeros(self._size, dtype=np.float32)
        for name in concepts(query):
            if name in self._weights:
                total = total + self._weights[name]
        return total
