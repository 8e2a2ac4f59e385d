"""The default retriever: BM25, shared concepts, exact dense search, a learned projection of it, sentences and words in memory,
joined into one score.

Every chunk has two vectors per encoder, one for its heading and one for heading path and text. A question is
compared with both; the text weighs more, because a heading alone is often too short to tell neighbours apart.
Nothing is trained on a shop: a folder seen for the first time works as well as it ever will. How the methods are joined
was chosen on the project's own questions, see docs/knowledge.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from bot.formats import shop_today
from bot.knowledge.articles import Chunk
from bot.knowledge.encoders import ENCODERS, EmbeddingCache, Vectors, encoder
from bot.knowledge.interaction import SentenceIndex, WordIndex
from bot.knowledge.lexical import BM25Index, ConceptIndex
from bot.knowledge.markdown import plain
from bot.knowledge.passages import Section
from bot.knowledge.projection import ProjectionIndex, load_projection
from bot.knowledge.retriever import Hit
from bot.knowledge.tokens import fold, language_of
from bot.message import Language

Scores = npt.NDArray[np.float32]


METHODS = ("bm25", "concepts", *ENCODERS, "sentences", "words", "projection")
RANKED = ("bm25", *ENCODERS)  # methods whose order is an opinion of its own
PIECES = "use"  # the encoder of sentences and words: five times as quick as e5, and no worse at it


# Fitted (softmax over the chunks searched) on the held-out invented shops and the demo shop, alike; their scale is that of the
# distances in bot/generator/ordering.py and products.py.
WEIGHTS = {
    "bm25": 0.1,
    "concepts": 0.4,
    "use": 0.55,
    "e5": 1.4,
    "sentences": 0.35,
    "words": 0.7,
    "projection": 1.25,
}


@dataclass(frozen=True)
class Fusion:
    """How the methods are joined.

    `weights` names the methods in use; a method without a weight is not run. With ``standard`` every method's
    scores are brought to mean 0 and deviation 1 over the chunks searched and added by weight; with
    ``reciprocal_rank`` (Cormack et al. 2009) the sum of weight / (k + rank) counts. Ranks throw away by how much
    one chunk is better, which is most of what a small corpus knows: measured in docs/knowledge.md.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS.copy())
    method: Literal["standard", "reciprocal_rank"] = "standard"
    k: int = 60
    heading_share: float = 0.25  # of a dense score; the rest is the similarity to the text

    @property
    def encoders(self) -> tuple[str, ...]:
        """Those whose vectors are needed."""
        return tuple(name for name in ENCODERS if name in self.weights or "projection" in self.weights)

    def join(self, scores: Mapping[str, Scores]) -> npt.NDArray[np.float64]:
        """One score per chunk from the scores of every method."""
        size = len(next(iter(scores.values())))
        total = np.zeros(size, dtype=np.float64)
        for name, values in scores.items():
            if self.method == "standard":
                spread = float(values.std())
                if spread > 0:
                    total += self.weights[name] * (values - values.mean()) / spread
            else:
                share = self.weights[name] / (self.k + _ranks(values))
                total += np.where(values > 0, share, 0.0) if name in ("bm25", "concepts") else share
        return total


class HybridRetriever:
    """Searches a fixed set of chunks. Safe to use from several threads."""

    def __init__(
        self,
        chunks: Sequence[Chunk],
        *,
        cache: EmbeddingCache | None = None,
        fusion: Fusion | None = None,
        vectors: Mapping[str, tuple[Vectors, Vectors]] | None = None,
        readable: bool = False,
    ) -> None:
        """Index the chunks.

        Args:
            cache: where embeddings are kept between starts; None keeps nothing.
            fusion: methods and weights.
            vectors: per encoder the vectors of headings and texts, when somebody has them already.
            readable: the chunks were chosen for a question's language by somebody who sees all of the shop's; what
                these few have in common says nothing about translations.
        """
        self.chunks = tuple(chunks)
        self.fusion = fusion or Fusion()
        paths = [" ".join(chunk.heading_path) for chunk in self.chunks]
        texts = [plain(chunk.text) for chunk in self.chunks]
        self._lexical: dict[str, BM25Index | ConceptIndex] = {
            "bm25": BM25Index(paths, texts),
            "concepts": ConceptIndex(paths, texts),
        }
        cache = cache or EmbeddingCache(None)
        if vectors is None:
            vectors = encode_chunks(self.chunks, self.fusion.encoders, cache)
        self._headings = {name: vectors[name][0] for name in self.fusion.encoders}
        self._bodies = {name: vectors[name][1] for name in self.fusion.encoders}
        self._sentences = self._words = None
        if self.chunks and {"sentences", "projection"} & set(self.fusion.weights):
            self._sentences = sentence_index(self.chunks, cache)
        self._projected = None
        if self._sentences is not None and "projection" in self.fusion.weights:
            headings, bodies = (
                np.hstack([side[name] for name in ENCODERS]) for side in (self._headings, self._bodies)
            )
            self._projected = ProjectionIndex(load_projection(), headings, bodies, self._sentences)
        if self.chunks and "words" in self.fusion.weights:
            full = [f"{path} {text}" for path, text in zip(paths, texts, strict=True)]
            self._words = WordIndex(full, encoder(PIECES), cache)
        self._all_readable = readable
        self._languages = np.array([chunk.language for chunk in self.chunks])
        self._by_language = {
            language: {chunk.article_id for chunk in self.chunks if chunk.language == language}
            for language in ("zh", "en")
        }

    def search(
        self,
        query: str,
        *,
        language: Language | None = None,
        product: str | None = None,
        at: date | None = None,
        limit: int = 5,
    ) -> list[Hit]:
        """See `Retriever.search`. Without a language, that of the query is preferred."""
        day = at or shop_today()
        allowed = np.array([chunk.holds(at=day, product=product) for chunk in self.chunks], dtype=bool)
        allowed &= self._readable(language or language_of(query), allowed)
        found = np.flatnonzero(allowed)
        if not query.strip() or not len(found) or limit < 1:
            return []
        text = fold(query).strip()

        scores: dict[str, Scores] = {
            name: index.scores(query)[found]
            for name, index in self._lexical.items()
            if name in self.fusion.weights
        }
        nearest: dict[str, Scores] = {}
        signals: dict[str, Scores] = {}
        heading_similarity = np.zeros(len(found), dtype=np.float32)
        text_similarity = np.zeros(len(found), dtype=np.float32)
        share = self.fusion.heading_share
        for name in self.fusion.encoders:
            vector = query_vector(name, text)
            to_heading = self._headings[name][found] @ vector
            to_text = self._bodies[name][found] @ vector
            if name in self.fusion.weights:
                scores[name] = share * to_heading + (1 - share) * to_text
            nearest[name] = np.maximum(to_heading, to_text)
            heading_similarity += to_heading / len(self.fusion.encoders)
            text_similarity += to_text / len(self.fusion.encoders)
            signals |= {
                f"{name}_heading": to_heading,
                f"{name}_text": to_text,
                f"{name}_standard": _standard(to_text),
            }
        if self._sentences is not None:
            signals["sentence"] = self._sentences.scores(query_vector(PIECES, text))[found]
            if "sentences" in self.fusion.weights:
                scores["sentences"] = signals["sentence"]
        if self._words is not None:
            match = self._words.match(query, found)
            scores["words"] = match.share
            signals |= {
                "words": match.share,
                "words_worst": match.worst,
                "words_shop": np.full(len(found), match.shop, dtype=np.float32),
                "words_shop_worst": np.full(len(found), match.shop_worst, dtype=np.float32),
            }

        if self._projected is not None:
            asked = np.concatenate([query_vector(name, text) for name in ENCODERS])
            scores["projection"] = signals["projection"] = self._projected.scores(asked)[found]
            signals["projection_standard"] = _standard(scores["projection"])

        joined = self.fusion.join(scores)
        ranks = {name: _ranks(values) for name, values in scores.items() if name in RANKED}
        none = np.zeros(len(found), dtype=np.float32)
        order = np.argsort(-joined, kind="stable")[:limit]
        return [
            Hit(
                chunk=self.chunks[found[place]],
                score=float(joined[place]),
                rank=rank,
                bm25=float(scores.get("bm25", none)[place]),
                concepts=float(scores.get("concepts", none)[place]),
                dense={name: float(nearest[name][place]) for name in self.fusion.encoders},
                ranks={name: int(places[place]) for name, places in ranks.items()},
                heading_similarity=float(heading_similarity[place]),
                text_similarity=float(text_similarity[place]),
                signals={name: float(values[place]) for name, values in signals.items()},
                sentences=self._sentences.cosines(query_vector(PIECES, text), found[place])
                if self._sentences
                else (),
            )
            for rank, place in enumerate(order, start=1)
        ]

    def _readable(self, language: Language, allowed: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Chunks in the language, and those of articles that exist in the other language only.

        A shop that keeps its languages apart, with no id in common, is searched in one language unless that
        has nothing at all.
        """
        same: npt.NDArray[np.bool_] = self._languages == language
        if self._all_readable or not (same & allowed).any():
            return np.ones(len(self.chunks), dtype=bool)
        mine = self._by_language[language]
        other = self._by_language["en" if language == "zh" else "zh"]
        if not mine & other:
            return same
        only_other = np.array([chunk.article_id not in mine for chunk in self.chunks], dtype=bool)
        return np.logical_or(same, only_other)


def encode_chunks(
    chunks: Sequence[Chunk], names: Sequence[str], cache: EmbeddingCache
) -> dict[str, tuple[Vectors, Vectors]]:
    """Per encoder the vectors of headings and of texts."""
    headings = [heading_text(chunk) for chunk in chunks]
    bodies = [body_text(chunk) for chunk in chunks]
    models = {name: encoder(name) for name in names}
    return {
        name: (cache.encode(model, headings, "query"), cache.encode(model, bodies, "passage"))
        for name, model in models.items()
    }


def sentence_index(chunks: Sequence[Chunk], cache: EmbeddingCache) -> SentenceIndex:
    """The sentences of chunks; a chunk without one has its heading."""
    sentences = [Section.of(chunk).sentences or [chunk.heading] for chunk in chunks]
    return SentenceIndex(sentences, encoder(PIECES), cache)


def heading_text(chunk: Chunk) -> str:
    """What stands for the chunk's question."""
    return fold(chunk.heading)


def body_text(chunk: Chunk) -> str:
    """What stands for the chunk's answer: heading path and text without Markdown marks."""
    return fold(" ".join((*chunk.heading_path, plain(chunk.text))))


def _standard(scores: Scores) -> Scores:
    """By how many standard deviations each score is above the mean."""
    spread = float(scores.std())
    return (scores - scores.mean()) / spread if spread > 0 else np.zeros_like(scores)


def _ranks(scores: Scores) -> npt.NDArray[np.int64]:
    """Places from 1, best first; ties keep the order of the chunks."""
    places = np.empty(len(scores), dtype=np.int64)
    places[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return places


@lru_cache(maxsize=4096)
def query_vector(name: str, text: str) -> Scores:
    """The vector of a folded question; the last few thousand are remembered."""
    vector: Scores = encoder(name).encode([text], "query")[0]
    return vector
