"""The learned projection: what it is given, what it says, and that the search is better with it."""

import numpy as np
import pytest

from bot.generator.shops import FOLDER, read_shop
from bot.knowledge.base import default_cache
from bot.knowledge.encoders import EmbeddingCache, encoder
from bot.knowledge.hybrid import WEIGHTS, Fusion, HybridRetriever
from bot.knowledge.interaction import SentenceIndex
from bot.knowledge.projection import PARTS, Projection, ProjectionIndex, load_projection

HELD_OUT = ("hot-tubs-and-pools-en", "lifestyle-gifts-mall-zh")


def test_a_section_is_as_near_as_its_parts_by_their_shares():
    sentences = SentenceIndex([["a"], ["b", "c"]], encoder("use"), EmbeddingCache(None))
    sentences.vectors = np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32)
    same = np.eye(2, dtype=np.float32)
    projection = Projection(
        dict.fromkeys(("question", *PARTS), same), {"heading": 0.2, "text": 0.5, "sentence": 0.3}
    )
    headings = np.array([[2, 0], [0, 1]], dtype=np.float32)
    texts = np.array([[0, 3], [1, 0]], dtype=np.float32)

    scores = ProjectionIndex(projection, headings, texts, sentences).scores(np.array([5, 0], np.float32))

    assert scores == pytest.approx([0.2 * 1 + 0.5 * 0 + 0.3 * 1, 0.2 * 0 + 0.5 * 1 + 0.3 * 1])


def test_the_shipped_one_fits_the_encoders():
    projection = load_projection()
    both = encoder("use").dimensions + encoder("e5").dimensions

    assert {name: map_.shape[1] for name, map_ in projection.maps.items()} == {
        "question": both, "heading": both, "text": both, "sentence": encoder("use").dimensions,
    }  # fmt: skip
    assert sum(projection.shares.values()) == pytest.approx(1)
    assert all(np.isfinite(map_).all() for map_ in projection.maps.values())


@pytest.mark.parametrize("name", HELD_OUT)
def test_the_section_is_found_more_often_on_shops_it_never_saw(name):
    shop = read_shop(FOLDER / f"{name}.yml")
    asked = [q for q in shop.questions if q.answerable]
    without = {method: weight for method, weight in WEIGHTS.items() if method != "projection"}
    cache = EmbeddingCache(default_cache())
    assert shop.held_out

    def first(fusion: Fusion) -> int:
        retriever = HybridRetriever(shop.chunks, cache=cache, fusion=fusion)
        found = [retriever.search(q.question, language=q.language, limit=1)[0].chunk.id for q in asked]
        return sum(one in q.evidence for one, q in zip(found, asked, strict=True))

    assert first(Fusion()) > first(Fusion(weights=without))


def test_every_hit_carries_what_it_says(other_retriever):
    hits = other_retriever.search("how much is the deposit for a flute", limit=4)

    said = [hit.signals["projection"] for hit in hits]
    assert all(-1 <= one <= 1 for one in said)
    assert hits[0].signals["projection_standard"] > 1 and said[0] == max(said)
