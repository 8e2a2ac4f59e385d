"""Search by pieces, with vectors: the sentence of a chunk nearest to the question, and for each word of the question
the nearest word of the chunk.

The vector of a whole section blurs a detail in its second sentence, and says little about whether the one word that
matters ("scooter") is spoken of at all. Comparing piece with piece does (late interaction, MaxSim: Khattab and
Zaharia 2020, here with one vector for a word whatever stands around it). Words that mean the same come near across
wordings and languages. This module knows no article.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.knowledge.encoders import EmbeddingCache, Encoder, Vectors
from bot.knowledge.tokens import STOP_EN, fold

Scores = npt.NDArray[np.float32]

NEAR = 0.75  # cosine from which two words count as the same; below it a word is "not spoken of"
REMEMBERED = 8192  # words of questions whose vectors are kept in memory
_WORD = re.compile(
    r"[㐀-鿿豈-﫿]+|[^\W\d_㐀-鿿豈-﫿][^\W_㐀-鿿豈-﫿'-]*(?:['-][^\W_㐀-鿿豈-﫿]+)*|\d+(?:\.\d+)?"
)
_HAN = re.compile(r"[㐀-鿿豈-﫿]")
# Words of a Chinese question that carry no subject. Negations and verbs of wanting are left out as well: nearly
# every section has one, and their vectors are near to everything.
_STOP_WORDS_ZH = """
的 了 吗 呢 吧 啊 呀 嘛 我 你 您 他 她 它 们 我们 你们 是 在 有 和 与 或 也 都 就 还 要 会 能 想 把 被 给 到 从 对 为 以 及
请 这 那 个 一 不 没 上 下 里 多少 什么 怎么 怎样 如何 几 哪 哪里 哪个 啥 多久 几天 可以 能不能 请问 一下 这个 那个 行 好
做 用 让 来 去 得 着 过 再 很 最 后 前 时候 什么时候 怎么办 咋 不能 可 又 才 只 每
"""
_STOP_ZH = frozenset(_STOP_WORDS_ZH.split())


@lru_cache(maxsize=1)
def _segmenter() -> Any:
    import rjieba

    return rjieba


def words(text: str) -> list[str]:
    """The different words of a text that carry meaning, in order. Chinese is cut with jieba's dictionary."""
    found: list[str] = []
    for run in _WORD.findall(fold(text)):
        if _HAN.match(run):
            found += [word for word in _segmenter().cut(run) if word not in _STOP_ZH]
        elif run not in STOP_EN and (len(run) > 1 or run.isdigit()):
            found.append(run)
    return list(dict.fromkeys(found))


class SentenceIndex:
    """The sentences of every chunk."""

    def __init__(self, sentences: Sequence[Sequence[str]], model: Encoder, cache: EmbeddingCache) -> None:
        """Encode them. `sentences` holds a list per chunk, which must not be empty."""
        self._starts = _starts(sentences)
        self.counts = [len(each) for each in sentences]  # sentences per chunk
        flat = [fold(one).strip() for each in sentences for one in each]
        self.vectors = cache.encode(model, flat, "passage")  # of all sentences, chunk after chunk

    def scores(self, query: Vectors) -> Scores:
        """Per chunk the largest cosine of one of its sentences to the query's vector."""
        return self.nearest(self.vectors @ query)

    def nearest(self, cosines: Scores) -> Scores:
        """Per chunk the largest of its sentences' cosines, given those of all sentences."""
        return np.asarray(np.maximum.reduceat(cosines, self._starts), dtype=np.float32)

    def cosines(self, query: Vectors, chunk: int) -> tuple[float, ...]:
        """Those of the sentences of the chunk at this place, in order."""
        start = int(self._starts[chunk])
        return tuple(map(float, self.vectors[start : start + self.counts[chunk]] @ query))


@dataclass(frozen=True)
class WordMatch:
    """How the words of one question are met. Everything is a cosine, weighted by how few chunks speak of a word.

    Attributes:
        share: per chunk the weighted mean over the question's words of the cosine to the chunk's nearest word.
        worst: per chunk the largest weighted distance of one word: something asked for that is not there.
        shop: the weighted mean with the nearest word of any chunk.
        shop_worst: the largest weighted distance of one word to all chunks: something nobody speaks of.
    """

    share: Scores
    worst: Scores
    shop: float
    shop_worst: float


class WordIndex:
    """The words of every chunk."""

    def __init__(self, texts: Sequence[str], model: Encoder, cache: EmbeddingCache) -> None:
        self._model = model
        self._remembered: dict[str, Scores] = {}  # vectors of words that were asked for
        mine = [words(text) or [""] for text in texts]
        vocabulary = sorted({word for each in mine for word in each})
        place = {word: number for number, word in enumerate(vocabulary)}
        self._vectors = cache.encode(model, vocabulary, "passage")
        self._starts = _starts(mine)
        self._flat = np.array([place[word] for each in mine for word in each], dtype=np.int64)

    def match(self, query: str, among: npt.NDArray[np.int64]) -> WordMatch:
        """Compare the words of a question with those of the chunks at these places."""
        asked = words(query)
        if not asked:
            none = np.zeros(len(among), dtype=np.float32)
            return WordMatch(none, none, 0.0, 0.0)
        vectors = self._vectors_of(asked)
        cosines = (vectors @ self._vectors.T)[:, self._flat]
        nearest = np.maximum.reduceat(cosines, self._starts, axis=1)[:, among]  # words x chunks
        speak = (nearest > NEAR).sum(axis=1)
        rarity = np.log1p((len(among) - speak + 0.5) / (speak + 0.5))
        best = nearest.max(axis=1)
        return WordMatch(
            share=(rarity @ nearest / rarity.sum()).astype(np.float32),
            worst=(rarity[:, None] * (1 - nearest)).max(axis=0).astype(np.float32),
            shop=float(rarity @ best / rarity.sum()),
            shop_worst=float((rarity * (1 - best)).max()),
        )

    def _vectors_of(self, asked: Sequence[str]) -> Vectors:
        remembered = self._remembered
        new = [word for word in asked if word not in remembered]
        if new:  # in one call: most of its cost does not grow with the number of words
            fresh = dict(zip(new, self._model.encode(new, "passage"), strict=True))
            if len(remembered) > REMEMBERED:
                remembered = self._remembered = {w: remembered[w] for w in asked if w in remembered}
            remembered.update(fresh)
        return np.stack([remembered[word] for word in asked])


def _starts(parts: Sequence[Sequence[str]]) -> npt.NDArray[np.int64]:
    lengths = np.array([len(each) for each in parts], dtype=np.int64)
    return np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)
