"""Client of the generator: any server that speaks the OpenAI chat-completions subset with logprobs.

Kefu's own server, vLLM, SGLang and llama.cpp are all reached through this. Log-probabilities are
mandatory, because the decision rests on them. Every failure becomes `GeneratorError`, after which the
caller goes on with the extractive voice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

import aiohttp

from bot.exceptions import GeneratorError, NoReranker, NotServed
from bot.generator.confidence import TokenScore
from bot.generator.prompt import RERANK_ID, Message

TEMPERATURE = 1.2  # of drafts: the right sentence is often among those a small model likes less; figures in docs/confidence.md
RERANK_SECONDS = 8.0  # reading eight sections takes one or two; the article's words do not wait longer


@dataclass(frozen=True)
class Completion:
    """One generated text. `tokens` carry log-probabilities; `finish` is "stop" or "length"."""

    text: str
    tokens: tuple[TokenScore, ...]
    finish: str
    model: str
    prompt_tokens: int = 0


class Generator(Protocol):
    """What the answering needs of a generator, wherever it runs."""

    async def complete(self, messages: Sequence[Message], *, max_tokens: int) -> Completion:
        """Continue the conversation greedily.

        Raises:
            GeneratorError: it cannot answer now; says why.
        """
        ...


@runtime_checkable
class Drafting(Protocol):
    """A generator that writes several replies to one prompt, read once."""

    async def drafts(self, messages: Sequence[Message], *, max_tokens: int, count: int) -> list[Completion]:
        """Replies drawn at `TEMPERATURE`, at least one, always the same to the same messages.

        Raises:
            GeneratorError: it cannot answer now; says why.
        """
        ...


@runtime_checkable
class Reranking(Protocol):
    """A generator that can also judge sections. Kefu's own can; another's server usually cannot."""

    async def rerank(self, question: str, documents: Sequence[str]) -> list[float]:
        """Log-odds that each document answers the question, in the documents' order.

        Raises:
            GeneratorError: it cannot judge now, or never could; says why.
        """
        ...


def server_address(url: str) -> str:
    """The address of a server, whichever way it was given: with or without ``/v1``."""
    return url.rstrip("/").removesuffix("/v1")


class GeneratorClient:
    """Talks to one server. Use it as an async context manager, or call `close`.

    Args:
        url: base address, with or without ``/v1``.
        model: name sent along; a server of one model may ignore it.
        timeout: seconds for one completion, everything included.
    """

    def __init__(
        self, url: str, *, model: str = "default", api_key: str | None = None, timeout: float = 20.0
    ) -> None:
        self._url = server_address(url)
        self._model = model
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None
        self._single = False  # the server was found to write one reply to a request

    async def __aenter__(self) -> GeneratorClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)
        return self._session

    async def complete(self, messages: Sequence[Message], *, max_tokens: int = 96) -> Completion:
        return (await self._write(messages, max_tokens=max_tokens, temperature=0))[0]

    async def drafts(self, messages: Sequence[Message], *, max_tokens: int, count: int) -> list[Completion]:
        if not self._single:
            try:
                return await self._write(messages, max_tokens=max_tokens, temperature=TEMPERATURE, n=count)
            except NotServed:  # a server that writes one reply, the likeliest: on a GPU, or somebody else's
                one = await self.complete(messages, max_tokens=max_tokens)
                self._single = True  # only now: a prompt that is too long is refused either way
                return [one]
        return [await self.complete(messages, max_tokens=max_tokens)]

    async def _write(self, messages: Sequence[Message], **sampling: float) -> list[Completion]:
        body = {
            "model": self._model,
            "messages": list(messages),
            "seed": 0,
            "logprobs": True,
            "top_logprobs": 2,
            **sampling,
        }
        return parse_completions(await self._post("/v1/chat/completions", body), self._url)

    async def rerank(self, question: str, documents: Sequence[str]) -> list[float]:
        body = {"model": self._model, "query": question, "documents": list(documents)}
        raw = await self._post("/v1/rerank", body, seconds=RERANK_SECONDS)
        # Somebody else's relevance is on a scale that the confidence model knows nothing of. Some servers refuse with a 200.
        if not isinstance(raw, dict) or not str(raw.get("id")).startswith(RERANK_ID):
            raise NoReranker(f"The generator at {self._url} has no reranker of Kefu's.")
        try:
            found = {int(r["index"]): float(r["relevance_score"]) for r in raw["results"]}
            scores = [min(max(found[n], 1e-6), 1 - 1e-6) for n in range(len(documents))]
        except (KeyError, TypeError, ValueError) as exc:
            raise GeneratorError(f"{self._url} did not answer in the rerank format (missing {exc}).") from exc
        return [math.log(p / (1 - p)) for p in scores]

    async def _post(self, path: str, body: dict[str, Any], *, seconds: float | None = None) -> Any:
        timeout = self._timeout if seconds is None else aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._open().post(f"{self._url}{path}", json=body, timeout=timeout) as resp:
                if resp.status == 429:
                    wait = resp.headers.get("Retry-After", "?")
                    raise GeneratorError(
                        f"The generator at {self._url} is busy (429); it asks to wait {wait} s."
                    )
                if resp.status in (400, 404, 405, 422, 501) and path == "/v1/rerank":
                    raise NoReranker(f"The generator at {self._url} has no reranker ({resp.status}).")
                if resp.status != 200:
                    kind = NotServed if resp.status in (400, 422) else GeneratorError
                    raise kind(
                        f"The generator at {self._url} answered {resp.status}: {(await resp.text())[:300]}"
                    )
                return await resp.json(content_type=None)
        except (TimeoutError, aiohttp.ClientError, ValueError) as exc:
            raise GeneratorError(
                f"The generator at {self._url} cannot be reached or did not finish: {exc!r}"
            ) from exc


def parse_completions(raw: Any, url: str) -> list[Completion]:
    """Read a chat completion, one `Completion` a choice.

    Raises:
        GeneratorError: a field is missing; names it and the remedy.
    """
    try:
        choices = [
            (
                choice["message"]["content"] or "",
                str(choice.get("finish_reason") or "stop"),
                choice.get("logprobs") or {},
            )
            for choice in raw["choices"]
        ]
        if not choices:
            raise IndexError("choices is empty")
        usage = raw.get("usage") or {}
        model, prompt_tokens = str(raw.get("model", "")), int(usage.get("prompt_tokens") or 0)
        return [
            Completion(text.strip(), _tokens(logprobs.get("content"), url), finish, model, prompt_tokens)
            for text, finish, logprobs in choices
        ]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as exc:
        raise GeneratorError(
            f"{url} did not answer in the chat-completions format ({type(exc).__name__}: {exc})."
        ) from exc


def _tokens(content: Any, url: str) -> tuple[TokenScore, ...]:
    if content is None:
        raise GeneratorError(
            f"{url} gives no log-probabilities, which the decision needs. Start the server with logprobs "
            "(vLLM: --max-logprobs 5, llama.cpp: n_probs), or set generator.enabled to false."
        )
    return tuple(
        TokenScore(
            str(t["token"]),
            float(t["logprob"]),
            tuple(sorted((float(o["logprob"]) for o in t.get("top_logprobs") or ()), reverse=True)),
        )
        for t in content
    )
