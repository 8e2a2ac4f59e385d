"""The knowledge base: all articles of a folder, read and checked together.

A `Knowledge` never changes. Who wants to follow a folder compares `folder_state` from time to time and loads a
new one (`bot.generator.service` does).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bot.exceptions import KnowledgeError
from bot.knowledge.articles import Article, Chunk, article_files, missing_translations, read_article
from bot.settings import PROJECT_ROOT, Settings, get_settings

if TYPE_CHECKING:
    from bot.knowledge.retriever import Retriever


@dataclass(frozen=True)
class Knowledge:
    """Articles that are valid one by one and together.

    `fingerprint` is the SHA-256 of ids, headings, texts and limits of all chunks: two folders with the
    same fingerprint answer alike.
    """

    folder: Path
    articles: tuple[Article, ...]
    warnings: tuple[str, ...]
    fingerprint: str

    @classmethod
    def load(cls, folder: Path) -> Knowledge:
        """Read every article below a folder.

        Raises:
            KnowledgeError: the folder or an article is not valid; every problem on a line of its own, with
                file, line and remedy.
        """
        folder = Path(folder)
        articles, problems = read_folder(folder)
        if problems:
            raise KnowledgeError("\n".join(problems))
        digest = hashlib.sha256()
        for article in sorted(articles, key=lambda each: (each.id, each.language)):
            for chunk in article.chunks:
                limits = (chunk.products, str(chunk.valid_from), str(chunk.valid_to), chunk.risk)
                digest.update(repr((chunk.id, chunk.heading_path, chunk.text, limits)).encode())
        return cls(folder, tuple(articles), tuple(missing_translations(articles)), digest.hexdigest())

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        return tuple(chunk for article in self.articles for chunk in article.chunks)

    def chunk(self, chunk_id: str) -> Chunk:
        """The chunk with this id.

        Raises:
            KnowledgeError: there is none.
        """
        for chunk in self.chunks:
            if chunk.id == chunk_id:
                return chunk
        raise KnowledgeError(f"{self.folder} has no chunk '{chunk_id}'.")

    def retriever(self, *, cache: Path | None = None) -> Retriever:
        """The default retriever over these chunks: BM25 and exact dense search, fused.

        Args:
            cache: file that keeps embeddings between starts; `default_cache()` when None.
        """
        from bot.knowledge.encoders import EmbeddingCache
        from bot.knowledge.hybrid import HybridRetriever

        return HybridRetriever(self.chunks, cache=EmbeddingCache(cache or default_cache()))


def default_folder(settings: Settings | None = None) -> Path:
    """The folder of articles the settings name; the demo shop's own when they name none."""
    path = (settings or get_settings()).knowledge.path or Path("data") / "knowledge"
    return path if path.is_absolute() else PROJECT_ROOT / path


def default_cache() -> Path:
    """The file that keeps embeddings between starts.

    A vector depends on the text and the encoder only, so all data folders of a checkout share one file, unless
    `knowledge.cache` names another or the checkout cannot be written to.
    """
    settings = get_settings()
    if settings.knowledge.cache is not None:
        path = settings.knowledge.cache
        return path if path.is_absolute() else PROJECT_ROOT / path
    shared = PROJECT_ROOT / ".cache"
    if os.access(shared if shared.is_dir() else PROJECT_ROOT, os.W_OK):
        return shared / "embeddings.db"
    return settings.data_path("cache", "embeddings.db")


def read_folder(folder: Path) -> tuple[list[Article], list[str]]:
    """All articles that can be read, and every problem as ``file:line: what is wrong. Remedy.``"""
    if not folder.is_dir():
        return [], [f"{folder}: there is no such folder. Name the folder that holds the articles (*.md)."]
    articles: list[Article] = []
    problems: list[str] = []
    first: dict[tuple[str, str], Article] = {}
    for path in article_files(folder):
        try:
            article = read_article(path, folder)
        except KnowledgeError as exc:
            problems.append(str(exc))
            continue
        twin = first.setdefault((article.id, article.language), article)
        if twin is not article:
            problems.append(
                f"{path}:1: id '{article.id}' ({article.language}) is already used by {folder / twin.path}. "
                "Give one of them another id."
            )
            continue
        articles.append(article)
    if not articles and not problems:
        problems.append(
            f"{folder}: there is no article. Put Markdown files (*.md) with a front matter there."
        )
    return articles, problems


def folder_state(folder: Path) -> Sequence[tuple[str, int, int]]:
    """Name, size and time of change (ns) of every article: differs when a file came, went or changed."""
    state = []
    for path in article_files(folder):
        try:
            stat = path.stat()
        except FileNotFoundError:  # gone between listing and looking
            continue
        state.append((path.relative_to(folder).as_posix(), stat.st_size, stat.st_mtime_ns))
    return state
