"""Comparing piece with piece, with an encoder of four directions in the place of the real one."""

from __future__ import annotations

import numpy as np
import pytest

from bot.knowledge.encoders import EmbeddingCache
from bot.knowledge.interaction import SentenceIndex, WordIndex, words

MEANINGS = {"metro": 0, "subway": 0, "line": 1, "parking": 2, "exit": 3, "stop": 3}


class Meanings:
    """Words of one meaning have one vector; an unknown word is far from all of them."""

    name = "meanings"
    dimensions = 5

    def encode(self, texts, kind):
        vectors = np.zeros((len(texts), 5), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.split() or [""]:
                vectors[row, MEANINGS.get(word, 4)] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


NO_CACHE = EmbeddingCache(None)
EVERY = np.arange(2)


def test_words_of_both_languages_are_found_once_and_without_the_small_ones():
    assert words("Do you sell the folding bikes? Folding!") == ["sell", "folding", "bikes"]
    assert words("你们有没有折叠车卖") == ["有没有", "折叠车", "卖"]
    assert "U型锁" not in words("的了吗") and words("的了吗") == []
    assert words("ＤＯＥＳ the BikeX-2 fit 29er") == words("does the bikex-2 fit 29er")


def test_another_word_for_the_same_thing_counts_and_a_thing_nobody_speaks_of_shows():
    index = WordIndex(["metro line exit", "parking"], Meanings(), NO_CACHE)

    known = index.match("subway stop", EVERY)
    assert known.share[0] == pytest.approx(1) and known.share[1] == pytest.approx(0)
    assert known.worst[0] == pytest.approx(0, abs=1e-6) and known.worst[1] > 0.5
    foreign = index.match("subway scooter", EVERY)
    assert foreign.shop < 1 and foreign.shop_worst > known.shop_worst


def test_a_word_that_few_chunks_speak_of_weighs_more():
    index = WordIndex(["metro line", "metro parking", "metro exit"], Meanings(), NO_CACHE)
    share = index.match("metro parking", np.arange(3)).share

    assert share[1] == pytest.approx(1)
    assert share[0] < 0.5, "the common word alone is less than half of the question"


def test_only_the_chunks_searched_count():
    index = WordIndex(["metro line", "parking"], Meanings(), NO_CACHE)

    assert index.match("parking", np.array([0])).shop == pytest.approx(0)
    assert index.match("??", np.array([0])).share.tolist() == [0]


def test_a_chunk_is_as_near_as_its_nearest_sentence():
    index = SentenceIndex([["metro line", "parking parking"], ["exit"]], Meanings(), NO_CACHE)
    asked = Meanings().encode(["parking"], "query")[0]

    assert index.scores(asked).tolist() == pytest.approx([1, 0])
