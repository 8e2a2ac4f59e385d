"""The generator inside this process, for evaluation and fine-tuning: same engine, no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from bot.exceptions import NoReranker
from bot.generator.client import TEMPERATURE, Completion
from bot.generator.confidence import TokenScore
from bot.generator.engine import BatchEngine, Sampling
from bot.generator.model import load
from bot.generator.prompt import Message, render
from bot.generator.reranker import Reranker, load_reranker
from bot.settings import Settings


class LocalGenerator:
    """`bot.generator.client.Generator` on an engine of its own."""

    def __init__(
        self,
        settings: Settings,
        *,
        adapter: str | None = None,
        cache: Path | None = None,
        concurrency: int = 4,
    ) -> None:
        import torch

        section = settings.generator
        if section.threads:
            torch.set_num_threads(section.threads)
        self.loaded = load(
            section.model,
            cache=cache or settings.data_path("models", "x").parent,
            adapter=adapter if adapter is not None else section.adapter,
            device="cpu",
            dtype=section.dtype,
        )
        self.engine = BatchEngine(self.loaded, concurrency=concurrency)
        self._cache = cache or settings.data_path("models", "x").parent
        self._reranker = section.reranker

    @cached_property
    def reranker(self) -> Reranker | None:
        return load_reranker(self._reranker, cache=self._cache)

    async def complete(self, messages: Sequence[Message], *, max_tokens: int) -> Completion:
        return (await self._write(messages, Sampling(max_tokens=max_tokens, top_logprobs=2), 1))[0]

    async def drafts(self, messages: Sequence[Message], *, max_tokens: int, count: int) -> list[Completion]:
        sampling = Sampling(max_tokens=max_tokens, temperature=TEMPERATURE, seed=0, top_logprobs=2)
        return await self._write(messages, sampling, count)

    async def _write(self, messages: Sequence[Message], sampling: Sampling, count: int) -> list[Completion]:
        tokenizer = self.loaded.tokenizer
        if self.loaded.adapter is None and getattr(tokenizer, "chat_template", None):
            text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
        else:
            text = render(messages)
        return [
            Completion(
                job.text.strip(),
                tuple(TokenScore(t.text, t.logprob, tuple(p for _, p in t.top)) for t in job.tokens),
                job.finish,
                self.loaded.name,
                len(job.ids),
            )
            for job in await self.engine.generate_many(self.loaded.encode(text), sampling, count)
        ]

    async def rerank(self, question: str, documents: Sequence[str]) -> list[float]:
        reranker = self.reranker
        if reranker is None:
            raise NoReranker("There is no reranker (generator.reranker is none).")
        return await asyncio.to_thread(reranker.score, question, documents)

    def close(self) -> None:
        self.engine.close()
