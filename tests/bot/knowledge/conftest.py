"""One retriever per session over each folder: encoding it is the slow part."""

from pathlib import Path

import pytest

from bot.knowledge import Knowledge
from bot.knowledge.encoders import EmbeddingCache
from bot.knowledge.hybrid import HybridRetriever

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


@pytest.fixture(scope="session")
def other_shop() -> Knowledge:
    """A music shop: nothing was tuned on it."""
    return Knowledge.load(FIXTURES / "knowledge_other_shop")


@pytest.fixture(scope="session")
def other_retriever(other_shop, tmp_path_factory) -> HybridRetriever:
    return HybridRetriever(other_shop.chunks, cache=EmbeddingCache(tmp_path_factory.mktemp("cache") / "e.db"))
