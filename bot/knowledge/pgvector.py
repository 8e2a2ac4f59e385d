"""The same retriever for shops with very many articles: PostgreSQL with the pgvector extension narrows down.

The database keeps chunks, tokens and vectors, shared by all programs. For a question it returns the nearest chunks
per encoder (HNSW index) and those that share words (GIN index); `HybridRetriever` then orders this
handful exactly as it orders a small shop's whole corpus. Below some ten thousand chunks the default is quicker and
needs no server. This module knows no settings; it is given an address (`knowledge.pgvector`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from bot.exceptions import KnowledgeError
from bot.formats import shop_today
from bot.knowledge.articles import Chunk
from bot.knowledge.base import default_cache
from bot.knowledge.encoders import ENCODERS, EmbeddingCache, Vectors
from bot.knowledge.hybrid import Fusion, HybridRetriever, encode_chunks, query_vector
from bot.knowledge.retriever import Hit
from bot.knowledge.tokens import concepts, fold, language_of, tokens
from bot.message import Language

CANDIDATES = 40  # per encoder, field and for words
CONNECT_SECONDS = 5  # a shopper waits meanwhile
STATEMENT_SECONDS = 10
ROWS = 100  # inserted with one statement

_TABLE = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE IF NOT EXISTS kefu_chunks (
    id text PRIMARY KEY, article_id text NOT NULL, language text NOT NULL, products text[] NOT NULL,
    valid_from date, valid_to date, words text[] NOT NULL, content jsonb NOT NULL,
    heading_use vector(512), body_use vector(512), heading_e5 vector(384), body_e5 vector(384)
);
CREATE INDEX IF NOT EXISTS kefu_chunks_words ON kefu_chunks USING gin (words);
CREATE INDEX IF NOT EXISTS kefu_chunks_article ON kefu_chunks (article_id, language);
CREATE INDEX IF NOT EXISTS kefu_chunks_body_use ON kefu_chunks USING hnsw (body_use vector_cosine_ops);
CREATE INDEX IF NOT EXISTS kefu_chunks_body_e5 ON kefu_chunks USING hnsw (body_e5 vector_cosine_ops);
CREATE INDEX IF NOT EXISTS kefu_chunks_heading_use ON kefu_chunks USING hnsw (heading_use vector_cosine_ops);
CREATE INDEX IF NOT EXISTS kefu_chunks_heading_e5 ON kefu_chunks USING hnsw (heading_e5 vector_cosine_ops);
"""
_COLUMNS = ("heading_use", "body_use", "heading_e5", "body_e5")

_HOLDS = """
    (valid_from IS NULL OR valid_from <= %(at)s) AND (valid_to IS NULL OR valid_to >= %(at)s)
    AND (%(product)s::text IS NULL OR products = '{}' OR %(product)s = ANY (products))
"""
# What `HybridRetriever` asks about all chunks of a shop: whether any article is translated, and whether none
# in the language asked for holds.
_SHOP = f"""
    SELECT EXISTS (SELECT 1 FROM kefu_chunks one JOIN kefu_chunks twin USING (article_id)
        WHERE one.language = %(language)s AND twin.language <> %(language)s) AS translated,
    NOT EXISTS (SELECT 1 FROM kefu_chunks WHERE language = %(language)s AND {_HOLDS}) AS nothing
"""  # noqa: S608 - only text from this module
# In the language asked for, or an article that a shop with translations does not have in it.
_FILTER = f"""
    {_HOLDS} AND (language = %(language)s OR (SELECT nothing FROM shop)
        OR (SELECT translated FROM shop) AND NOT EXISTS (
            SELECT 1 FROM kefu_chunks twin WHERE twin.article_id = c.article_id AND twin.language = %(language)s))
"""  # noqa: S608


class PgVectorRetriever:
    """A `Retriever` over the table ``kefu_chunks``. Safe to use from several threads: they take turns."""

    def __init__(
        self, url: str, *, fusion: Fusion | None = None, cache: EmbeddingCache | None = None
    ) -> None:
        """Connect and make the table when it is missing.

        Args:
            url: ``postgresql://user:password@host/database``.
            cache: vectors computed before, and those of sentences and words; the shared file when None.

        Raises:
            KnowledgeError: the server cannot be reached or lacks the extension.
        """
        import psycopg2

        self._fusion = fusion or Fusion()
        self._cache = cache or EmbeddingCache(default_cache())
        self._lock = threading.Lock()
        self._url = url
        try:
            # Without a limit of time: it waits while another program fills the table.
            with closing(self._connected(search=False)) as making, making, closing(making.cursor()) as cursor:
                cursor.execute(_TABLE)
            self._connection = self._connected()
        except psycopg2.Error as exc:
            raise _refused(exc) from exc

    def _connected(self, *, search: bool = True) -> Any:
        """A new connection. One to search with gives up after a while and looks far enough."""
        import psycopg2

        limits: dict[str, int] = {
            "connect_timeout": CONNECT_SECONDS,
            # A server that is cut off in the middle of a question is noticed as well.
            "tcp_user_timeout": STATEMENT_SECONDS * 1000,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
        }
        own = psycopg2.extensions.parse_dsn(self._url)  # the shop's address may set them
        made = psycopg2.connect(self._url, **{key: value for key, value in limits.items() if key not in own})
        try:
            with made, closing(made.cursor()) as cursor:
                seconds = STATEMENT_SECONDS if search else 0
                cursor.execute("SELECT set_config('statement_timeout', %s, false)", (f"{seconds}s",))
                if search:
                    _look_further(cursor)
        except psycopg2.Error:
            made.close()
            raise
        return made

    def fingerprint(self) -> str | None:
        """What `index` was told that the table holds; None for a table nobody filled."""
        found = self._select("SELECT obj_description('kefu_chunks'::regclass, 'pg_class')", {})
        return None if found[0][0] is None else str(found[0][0])

    def index(self, chunks: Sequence[Chunk], fingerprint: str | None = None) -> None:
        """Put these chunks in the place of all others, in one transaction: nobody sees half of them.

        Args:
            fingerprint: kept beside them, so that the next program need not do it again.

        Raises:
            KnowledgeError: the server cannot be reached or refuses them.
        """
        import psycopg2
        from psycopg2.extras import execute_values

        vectors: dict[str, Vectors] = {}
        for name, (headings, bodies) in encode_chunks(chunks, ENCODERS, self._cache).items():
            vectors |= {f"heading_{name}": headings, f"body_{name}": bodies}

        def rows() -> Iterator[tuple[Any, ...]]:
            for place, chunk in enumerate(chunks):
                words = f"{' '.join(chunk.heading_path)} {chunk.text}"
                yield (
                    chunk.id,
                    chunk.article_id,
                    chunk.language,
                    list(chunk.products),
                    chunk.valid_from,
                    chunk.valid_to,
                    sorted({*tokens(words), *concepts(words)}),
                    json.dumps(_to_json(chunk), ensure_ascii=False),
                    *(_literal(vectors[column][place]) for column in _COLUMNS),
                )

        try:
            # A connection of its own: questions go on finding the old articles meanwhile.
            with (
                closing(self._connected(search=False)) as filling,
                filling,
                closing(filling.cursor()) as cursor,
            ):
                cursor.execute("LOCK TABLE kefu_chunks IN EXCLUSIVE MODE")  # two programs that start together
                cursor.execute("DELETE FROM kefu_chunks")
                cursor.execute("COMMENT ON TABLE kefu_chunks IS %s", (fingerprint,))
                execute_values(cursor, "INSERT INTO kefu_chunks VALUES %s", rows(), page_size=ROWS)
        except psycopg2.Error as exc:
            raise _refused(exc) from exc

    def search(
        self,
        query: str,
        *,
        language: Language | None = None,
        product: str | None = None,
        at: date | None = None,
        limit: int = 5,
    ) -> list[Hit]:
        """See `Retriever.search`."""
        if not query.strip() or limit < 1:
            return []
        day = at or shop_today()
        wanted = language or language_of(query)
        values: dict[str, Any] = {
            "at": day,
            "product": product,
            "language": wanted,
            "many": max(CANDIDATES, limit),
        }
        text = fold(query).strip()
        values["words"] = sorted({*tokens(query, query=True), *concepts(query)})
        for name in ENCODERS:
            values[name] = _literal(query_vector(name, text))
        near = [
            f"(SELECT id FROM kefu_chunks c WHERE {_FILTER} "  # noqa: S608 - only names from this module
            f"ORDER BY {column} <=> %({column.rpartition('_')[2]})s::vector LIMIT %(many)s)"
            for column in _COLUMNS
        ]
        shared = (
            f"(SELECT id FROM kefu_chunks c WHERE words && %(words)s::text[] AND {_FILTER} "  # noqa: S608
            "ORDER BY cardinality(ARRAY(SELECT unnest(words) INTERSECT SELECT unnest(%(words)s::text[]))) DESC "
            "LIMIT %(many)s)"
        )
        statement = (
            f"WITH shop AS ({_SHOP}) SELECT content, {', '.join(f'{column}::text' for column in _COLUMNS)} FROM kefu_chunks "  # noqa: S608
            f"WHERE id IN ({' UNION '.join([*near, shared])}) ORDER BY id"
        )
        rows = self._select(statement, values)
        if not rows:
            return []
        chunks = [_from_json(row[0]) for row in rows]
        parsed = {
            column: np.array([json.loads(row[1 + place]) for row in rows], dtype=np.float32)
            for place, column in enumerate(_COLUMNS)
        }
        vectors = {name: (parsed[f"heading_{name}"], parsed[f"body_{name}"]) for name in ENCODERS}
        # What languages the shop writes is judged by the database: it sees the articles that are not near, too.
        exact = HybridRetriever(
            chunks, cache=self._cache, fusion=self._fusion, vectors=vectors, readable=True
        )
        return exact.search(query, language=wanted, product=product, at=day, limit=limit)

    def _select(self, statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Rows of a query. A connection the server has ended is made again, once.

        Raises:
            KnowledgeError: the server cannot be reached, or takes too long.
        """
        import psycopg2

        with self._lock:
            while True:
                fresh = bool(self._connection.closed)
                try:
                    if fresh:
                        self._connection = self._connected()
                    with self._connection, closing(self._connection.cursor()) as cursor:
                        cursor.execute(statement, values)
                        return list(cursor.fetchall())
                except psycopg2.Error as exc:
                    if fresh or not self._connection.closed:
                        raise KnowledgeError(f"PostgreSQL does not answer: {str(exc).strip()}") from exc

    def close(self) -> None:
        self._connection.close()


def _look_further(cursor: Any) -> None:
    """Let an HNSW index go on until enough chunks pass the filters: left alone it looks at 40, whatever they are."""
    cursor.execute("SELECT '[0]'::vector")  # loads the extension, whose settings are not known before
    cursor.execute("SELECT current_setting('hnsw.iterative_scan', true)")
    if cursor.fetchone()[0] is not None:
        cursor.execute("SET hnsw.iterative_scan = relaxed_order")
    else:  # pgvector before 0.8
        cursor.execute("SET hnsw.ef_search = 1000")  # the most it takes


def _refused(error: Exception) -> KnowledgeError:
    return KnowledgeError(
        f"PostgreSQL cannot hold the articles: {str(error).strip()}. Check the address, and that the pgvector "
        "extension is installed on the server (CREATE EXTENSION vector)."
    )


def _literal(vector: Vectors) -> str:
    return "[" + ",".join(f"{value:.7g}" for value in vector) + "]"


def _to_json(chunk: Chunk) -> dict[str, Any]:
    return {
        "id": chunk.id,
        "article_id": chunk.article_id,
        "language": chunk.language,
        "heading_path": list(chunk.heading_path),
        "heading": chunk.heading,
        "text": chunk.text,
        "products": list(chunk.products),
        "valid_from": chunk.valid_from and chunk.valid_from.isoformat(),
        "valid_to": chunk.valid_to and chunk.valid_to.isoformat(),
        "risk": chunk.risk,
        "path": chunk.path.as_posix(),
        "line": chunk.line,
    }


def _from_json(content: dict[str, Any]) -> Chunk:
    days = {key: content[key] and date.fromisoformat(content[key]) for key in ("valid_from", "valid_to")}
    return Chunk(
        **{
            **content,
            **days,
            "heading_path": tuple(content["heading_path"]),
            "products": tuple(content["products"]),
            "path": Path(content["path"]),
        }
    )
