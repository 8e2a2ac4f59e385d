"""The answering of one running program: settings in, answers out.

Loads knowledge, confidence model and certificate at the first question (or at `warm`), follows changes
of the articles and of what audits find, and keeps the last good version when a change is not valid. Imports no torch.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from bot.exceptions import CertificateVoid, GeneratorError, KnowledgeError
from bot.generator.answering import Answer, Answerer
from bot.generator.binding import certificate_of, machine_versions
from bot.generator.client import Generator, GeneratorClient
from bot.generator.confidence import Fusion
from bot.generator.drift import FILE as DRIFT_FILE
from bot.generator.drift import Audits
from bot.generator.evidence import Evidence
from bot.generator.history import Turn
from bot.knowledge.base import Knowledge, default_folder, folder_state
from bot.message import Language
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.knowledge.pgvector import PgVectorRetriever
    from bot.knowledge.retriever import Retriever

log = structlog.get_logger()
RETRY = 30.0  # seconds until a change that could not be taken up is tried again
PATIENCE = 3.0  # seconds a question waits for articles to be read before it is answered without


def load_answerer(settings: Settings, knowledge: Knowledge, generator: Generator | None) -> Answerer:
    """Everything put together for one version of the articles.

    In mode certified with a certificate that no longer holds, as after a change of the articles, it writes drafts only:
    the shop wants nothing said without a promise, and answers from the articles before the change are worse than none.

    Raises:
        GeneratorError: mode certified without a certificate, or with a damaged one.
    """
    section = settings.generator
    certificate, mode = None, section.mode
    notes: tuple[str, ...] = ()
    try:
        certificate = certificate_of(settings, knowledge)
    except CertificateVoid as exc:
        log.error("certificate_void", error=str(exc))
        notes, mode = ("certificate_void",), "shadow"
    return Answerer(
        retriever=retriever_of(settings, knowledge),
        chunks=knowledge.chunks,
        fusion=Fusion.load(),
        generator=generator,
        mode=mode,
        certificate=certificate,
        drift=Audits.load(settings.data_path(DRIFT_FILE)).of(certificate.id).levels if certificate else {},
        max_tokens=section.max_tokens,
        phrases=section.phrases,
        drafts=section.drafts,
        copies=section.packaged,
        notes=notes,
        versions=machine_versions(settings, knowledge),
    )


def answering_state(settings: Settings) -> tuple[object, ...]:
    """Differs when an article, the certificate or what the audits found has changed."""
    folder = default_folder(settings)
    files = (settings.generator.certificate, settings.data_path(DRIFT_FILE))
    return (
        *(folder_state(folder) if folder.is_dir() else ()),
        *(path.stat().st_mtime_ns if path and path.is_file() else None for path in files),
    )


def retriever_of(settings: Settings, knowledge: Knowledge) -> Retriever:
    """Who searches: the default in memory, or PostgreSQL when the settings name one.

    Raises:
        KnowledgeError: PostgreSQL cannot be reached or lacks pgvector.
    """
    if settings.knowledge.pgvector is None:
        return knowledge.retriever()
    searching = _pgvector(settings.knowledge.pgvector)
    if searching.fingerprint() != knowledge.fingerprint:
        searching.index(knowledge.chunks, knowledge.fingerprint)
    return searching


@lru_cache(maxsize=1)
def _pgvector(url: str) -> PgVectorRetriever:
    """One connection a program, whatever is loaded again."""
    from bot.knowledge.pgvector import PgVectorRetriever

    return PgVectorRetriever(url)


def provisional_answerer(settings: Settings, knowledge: Knowledge) -> Answerer:
    """Answers by words alone, while the articles are being encoded. A certificate does not hold for it."""
    from bot.knowledge.hybrid import Fusion as Methods
    from bot.knowledge.hybrid import HybridRetriever

    return Answerer(
        retriever=HybridRetriever(knowledge.chunks, fusion=Methods(weights={"bm25": 1.0, "concepts": 1.0})),
        chunks=knowledge.chunks,
        fusion=Fusion.load().by_words,
        mode="shadow" if settings.generator.mode == "certified" else settings.generator.mode,
        notes=("indexing",),
    )


class AnswerService:
    """One per program. Safe for concurrent questions."""

    def __init__(self, settings: Settings, *, generator: Generator | None = None) -> None:
        self._settings = settings
        section = settings.generator
        if generator is None and section.enabled:
            generator = GeneratorClient(
                section.base_url or section.url,
                model=section.model or "default",
                api_key=section.api_key,
                timeout=section.timeout,
            )
        self._generator = generator
        self._answerer: Answerer | None = None
        self._state: object = None
        self._not_before = 0.0  # when a change that could not be taken up is tried again (monotonic, seconds)
        self._lock = threading.Lock()
        self._starting, self._wording = threading.Lock(), threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kefu-articles")
        self._loading: Future[Answerer] | None = None
        self._provisional: Answerer | None = None

    async def warm(self) -> Answerer:
        """Load what is not loaded, and load again when articles changed."""
        return await asyncio.shield(asyncio.wrap_future(self._begin()))

    def _begin(self) -> Future[Answerer]:
        """The loading under way, or a new one. One at a time, in a thread that is nobody else's."""
        with self._starting:
            if self._loading is None or self._loading.done():
                self._loading = self._thread.submit(self.preload)
            return self._loading

    async def _ready(self) -> Answerer:
        """What can answer now.

        Encoding the articles of a new shop takes a minute or more. Until it is done the words alone search,
        and few answers are given without a person. After a change the last good articles answer, unless under a
        certificate: that was for them, and they are no longer the shop's.
        """
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._begin())), PATIENCE)
        except TimeoutError:
            if self._answerer is not None and self._answerer.certificate is None:
                return self._answerer  # of the articles before the change
            return await asyncio.to_thread(self._by_words)

    def _by_words(self) -> Answerer:
        with self._wording:
            if self._provisional is None:
                knowledge = Knowledge.load(default_folder(self._settings))
                self._provisional = provisional_answerer(self._settings, knowledge)
            return self._provisional

    def preload(self) -> Answerer:
        """The same without an event loop, for a thread at the start of a program."""
        with self._lock:
            state = answering_state(self._settings)
            changed = state != self._state and time.monotonic() >= self._not_before
            if self._answerer is None or changed:
                self._answerer = self._load(default_folder(self._settings), state)
                self._provisional = None
            return self._answerer

    def _load(self, folder: Path, state: object) -> Answerer:
        """What is there now, or the last good one: for good when the articles are in error, until `RETRY` when it was
        something that passes, as a database that is away."""
        try:
            knowledge = Knowledge.load(folder)
        except (KnowledgeError, OSError, sqlite3.Error) as exc:
            if self._answerer is None:
                raise
            log.error("knowledge_not_reloaded", folder=str(folder), error=str(exc))
            self._state = state
            return self._answerer
        try:
            answerer = load_answerer(self._settings, knowledge, self._generator)
        except (KnowledgeError, GeneratorError, OSError, sqlite3.Error) as exc:
            if self._answerer is None:
                raise
            log.error("knowledge_not_reloaded", folder=str(folder), error=str(exc), again_in=RETRY)
            self._not_before = time.monotonic() + RETRY
            return self._answerer
        self._state = state
        return answerer

    async def answer(
        self,
        question: str,
        *,
        language: Language,
        product: str | None = None,
        facts: Sequence[Evidence] = (),
        owned: frozenset[str] = frozenset(),
        customer_name: str = "",
        history: Sequence[Turn] = (),
    ) -> Answer:
        answerer = await self._ready()
        if self._settings.generator.base_url:  # somebody else's server learns what is asked, not by whom
            from bot.privacy.masking import mask_text

            names = [customer_name] if customer_name else []
            question, customer_name, facts = mask_text(question, names), "", ()
            history = [
                replace(one, shopper=mask_text(one.shopper, names), kefu=mask_text(one.kefu, names))
                for one in history
            ]
        answer = await answerer.answer(
            question,
            language=language,
            product=product,
            facts=facts,
            owned=owned,
            customer_name=customer_name,
            history=history,
        )
        return replace(answer, versions=answerer.versions)

    async def close(self) -> None:
        self._thread.shutdown(wait=False)
        if isinstance(self._generator, GeneratorClient):
            await self._generator.close()
