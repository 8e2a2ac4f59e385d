"""The answering of one running program: settings in, answers out.

Loads knowledge, confidence model and certificate at the first question (or at `warm`), follows changes
of the articles, and keeps the last good version when a change is not valid. Imports no torch.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from bot.exceptions import GeneratorError
from bot.generator.answering import Answer, Answerer, Turn
from bot.generator.certificate import Certificate
from bot.generator.client import Generator, GeneratorClient
from bot.generator.confidence import FUSION_FILE, Fusion
from bot.generator.evidence import Evidence
from bot.generator.prompt import prompt_hash
from bot.knowledge.base import Knowledge
from bot.message import Language
from bot.settings import PROJECT_ROOT, Settings

if TYPE_CHECKING:
    from bot.knowledge.pgvector import PgVectorRetriever
    from bot.knowledge.retriever import Retriever

log = structlog.get_logger()
ADAPTER = Path(__file__).with_name("adapter")
RERANKER = Path(__file__).with_name("reranker")
DRIFT_FILE = "drift.json"
PATIENCE = 3.0  # seconds a question waits for articles to be read before it is answered without


def knowledge_folder(settings: Settings) -> Path:
    """Where the articles are."""
    section = getattr(settings, "knowledge", None)
    path = Path(getattr(section, "path", None) or PROJECT_ROOT / "data" / "knowledge")
    return path if path.is_absolute() else PROJECT_ROOT / path


def machine_hashes(settings: Settings, knowledge: Knowledge) -> dict[str, str]:
    """What a certificate is bound to: change one and the certificate is void."""
    folder = Path(settings.generator.adapter) if settings.generator.adapter not in (None, "none") else ADAPTER
    weights = folder / "adapter_model.safetensors"
    section = settings.generator
    model = f"{section.enabled} {section.phrases} {section.base_url} {section.model}"
    policy = settings.policy.path or PROJECT_ROOT / "bot" / "policy" / "default.yml"
    return {
        "model": hashlib.sha256(model.encode()).hexdigest(),
        "adapter": _file_hash(weights) if settings.generator.adapter != "none" else "none",
        "reranker": _reranker_hash(settings.generator.reranker),
        "prompt": prompt_hash(),
        "confidence": _file_hash(FUSION_FILE),
        "index": knowledge.fingerprint,
        "policy": _file_hash(Path(policy)),
    }


def _reranker_hash(name: str | None) -> str:
    if name == "none":
        return "none"
    folder = Path(name) if name else RERANKER
    files = ("adapter_model.safetensors", "head.safetensors")
    return hashlib.sha256("".join(_file_hash(folder / one) for one in files).encode()).hexdigest()


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"


def load_answerer(settings: Settings, knowledge: Knowledge, generator: Generator | None) -> Answerer:
    """Everything put together for one version of the articles.

    Raises:
        GeneratorError: mode certified without a certificate that holds for this machine.
    """
    section = settings.generator
    certificate: Certificate | None = None
    if section.mode == "certified":
        if section.certificate is None:
            raise GeneratorError(
                "generator.mode is certified and generator.certificate is not set. Make one with `kefu calibrate`, "
                "or set generator.mode to strict."
            )
        certificate = Certificate.load(section.certificate)
        certificate.check(machine_hashes(settings, knowledge))
    return Answerer(
        retriever=retriever_of(settings, knowledge),
        chunks=knowledge.chunks,
        fusion=Fusion.load(),
        generator=generator,
        mode=section.mode,
        certificate=certificate,
        drift=drift_level(settings.data_path(DRIFT_FILE)),
        max_tokens=section.max_tokens,
        phrases=section.phrases,
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


def drift_level(path: Path) -> int:
    """How many alarms the audits have raised since the last certificate."""
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["level"])
    except FileNotFoundError:
        return 0
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise GeneratorError(
            f"{path} is damaged ({exc!r}). Run `kefu calibrate audit` again or remove it."
        ) from exc


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
        self.versions: dict[str, str] = {}  # what answered: `machine_hashes`, shortened
        self._state: object = None
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
        and few answers are given without a person.
        """
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._begin())), PATIENCE)
        except TimeoutError:
            if self._answerer is not None:
                return self._answerer  # of the articles before the change
            return await asyncio.to_thread(self._by_words)

    def _by_words(self) -> Answerer:
        with self._wording:
            if self._provisional is None:
                knowledge = Knowledge.load(knowledge_folder(self._settings))
                self._provisional = provisional_answerer(self._settings, knowledge)
            return self._provisional

    def preload(self) -> Answerer:
        """The same without an event loop, for a thread at the start of a program."""
        from bot.knowledge.base import folder_state

        with self._lock:
            folder = knowledge_folder(self._settings)
            state = tuple(folder_state(folder)) if folder.is_dir() else ()
            if self._answerer is None or state != self._state:
                self._answerer = self._load(folder)
                self._state = state
                self._provisional = None
            return self._answerer

    def _load(self, folder: Path) -> Answerer:
        from bot.exceptions import KnowledgeError

        try:
            knowledge = Knowledge.load(folder)
            answerer = load_answerer(self._settings, knowledge, self._generator)
            self.versions = {
                name: value[:16] for name, value in machine_hashes(self._settings, knowledge).items()
            }
            return answerer
        except (KnowledgeError, GeneratorError) as exc:
            if self._answerer is None:
                raise
            log.error("knowledge_not_reloaded", folder=str(folder), error=str(exc))
            return self._answerer

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
        return await answerer.answer(
            question,
            language=language,
            product=product,
            facts=facts,
            owned=owned,
            customer_name=customer_name,
            history=history,
        )

    async def close(self) -> None:
        self._thread.shutdown(wait=False)
        if isinstance(self._generator, GeneratorClient):
            await self._generator.close()
