"""The shop's articles, and finding the one that answers a question."""

from bot.knowledge.articles import Article, Chunk
from bot.knowledge.base import Knowledge
from bot.knowledge.retriever import Hit, Retriever

__all__ = ["Article", "Chunk", "Hit", "Knowledge", "Retriever"]
