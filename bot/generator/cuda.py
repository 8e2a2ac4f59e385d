"""The engine of a GPU: transformers' continuous batching (paged cache, CUDA graphs) with log-probabilities.

It has never run on a card: there was none. Its tests run transformers' own manager on a CPU, where replies and log-probabilities
are those of `BatchEngine`, and for failures of a card put one with the same interface in its place. `kefu bench generator` on a machine with a card
is the first thing to do. It serves temperature 0, which the decision to answer uses, and no runners-up of a token.
"""

from __future__ import annotations

import asyncio
import queue
import time
import uuid
from collections.abc import Sequence
from typing import Any

from bot.exceptions import GeneratorError
from bot.generator.engine import Job, Sampling, Token
from bot.generator.model import Loaded


class CudaEngine:
    """See `bot.generator.engine.Engine`. Greedy only: a sampled reply could not be certified anyway."""

    greedy = True

    def __init__(self, loaded: Loaded, *, concurrency: int = 64, blocks: int | None = None) -> None:
        """`blocks`: pages of the cache; None fills the card's memory."""
        from transformers import ContinuousBatchingConfig, GenerationConfig

        self._loaded = loaded
        self.name = loaded.name
        self.active = 0
        self.stop_ids = loaded.stop_ids
        generation = GenerationConfig(do_sample=False, max_new_tokens=256, eos_token_id=sorted(self.stop_ids))
        batching = ContinuousBatchingConfig(
            return_logprobs=True, max_requests_per_batch=concurrency, num_blocks=blocks
        )
        self._manager: Any = loaded.model.init_continuous_batching(
            generation_config=generation, continuous_batching_config=batching
        )
        self._manager.start()

    @property
    def waiting(self) -> int:
        return 0  # the manager keeps its own queue

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Job:
        """Run one prompt to its end; cancelling this coroutine cancels it on the card.

        Raises:
            GeneratorError: sampling was asked for, or the card's queue refused or failed the request.
        """
        if sampling.temperature > 0:
            raise GeneratorError("On CUDA only temperature 0 is served.")
        loop = asyncio.get_running_loop()
        job = Job(list(ids), sampling, loop.create_future(), loop, started=time.perf_counter())
        name = uuid.uuid4().hex
        outputs: asyncio.Future[Any] = loop.create_future()

        def arrived(result: Any) -> None:
            if not outputs.done():
                outputs.set_result(result)

        self._manager.register_result_handler(name, arrived)
        self.active += 1
        # A full queue blocks for ten seconds, which must not stop everybody else.
        adding = asyncio.ensure_future(
            asyncio.to_thread(
                self._manager.add_request,
                job.ids,
                request_id=name,
                max_new_tokens=sampling.max_tokens,
                record_timestamps=True,
                eos_token_id=sorted(self.stop_ids) or -1,
            )
        )
        try:
            try:
                accepted = await asyncio.shield(adding)
            except queue.Full as exc:
                raise GeneratorError("The card's queue is full.") from exc
            if accepted is None:
                raise GeneratorError(
                    "The card's queue takes no more requests; the generator has to be restarted."
                )
            result = await outputs
        except asyncio.CancelledError:
            # The manager forgets the cancelling of what it does not know yet, so it is told once it knows.
            adding.add_done_callback(lambda added: self._leave(name, added))
            raise
        finally:
            self.active -= 1
            self._forget(name)
        if result.error:
            raise GeneratorError(f"The generator failed: {result.error}")
        self._fill(job, result)
        return job

    async def generate_many(self, ids: Sequence[int], sampling: Sampling, count: int) -> list[Job]:
        """One reply: several of the likeliest one would all be the same.

        Raises:
            GeneratorError: more were asked for, or as `generate`.
        """
        if count != 1:
            raise GeneratorError("On CUDA one reply is written to a request.")
        return [await self.generate(ids, sampling)]

    def _fill(self, job: Job, result: Any) -> None:
        tokens, logprobs = list(result.generated_tokens), list(result.logprobs)
        ended = bool(tokens) and tokens[-1] in self.stop_ids
        if ended:
            tokens, logprobs = tokens[:-1], logprobs[: len(tokens) - 1]
        job.finish = "stop" if ended else "length"
        job.text = self._loaded.decode(tokens)
        places = [at for at in (job.text.find(stop) for stop in job.sampling.stop) if at >= 0]
        if places:
            job.text, job.finish = job.text[: min(places)], "stop"
            while tokens and len(self._loaded.decode(tokens[:-1])) >= len(job.text):
                tokens.pop()  # tokens of what is not said would count in the confidence
        job.out = tokens
        job.tokens = [
            Token(self._loaded.decode([t]), float(p)) for t, p in zip(tokens, logprobs, strict=False)
        ]
        if result.timestamps:
            job.first = max(0.0, result.timestamps[0] - job.started)

    def _leave(self, name: str, added: asyncio.Future[Any]) -> None:
        if not added.cancelled() and added.exception() is None:
            self._manager.cancel_request(name)

    def _forget(self, name: str) -> None:
        """Take the handler of a request that will give no result off the manager, which never does so itself."""
        router = getattr(self._manager, "output_router", None)
        if router is not None:
            with router._lock:
                router.result_handlers.pop(name, None)

    def close(self) -> None:
        self._manager.stop(block=True)
