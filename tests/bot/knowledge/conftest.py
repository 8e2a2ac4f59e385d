"""One retriever per session over each folder: encoding it is the slow part, and kept between sessions."""

from pathlib import Path

import pytest

from bot.knowledge import Knowledge
from bot.knowledge.base import default_cache
from bot.knowledge.encoders import EmbeddingCache
from bot.knowledge.hybrid import HybridRetriever

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


@pytest.fixture(scope="session")
def other_shop() -> Knowledge:
    """A music shop: nothing was tuned on it."""
    return Knowledge.load(FIXTURES / "knowledge_other_shop")


@pytest.fixture(scope="session")
def other_retriever(other_shop) -> HybridRetriever:
    return HybridRetriever(other_shop.chunks, cache=EmbeddingCache(default_cache()))
