"""The engine of a CPU: few shoppers at once, one batch, one key-value cache, greedy or sampled.

Requests join the running batch between two steps and leave it when they are done. All rows share one
cache, left-padded: a newcomer's prompt is run by itself and its keys and values are laid beside the
others'. What costs a step on a CPU is reading the weights, so four replies cost little more than one.
Runs in a thread of its own; the event loop only waits. Knows no HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from bot.exceptions import GeneratorError
from bot.generator.model import Loaded


@dataclass(frozen=True)
class Sampling:
    """How to choose tokens. Temperature 0 takes the most likely one."""

    max_tokens: int = 96
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    top_logprobs: int = 0


@dataclass(frozen=True)
class Token:
    """One generated token. `top` holds the most likely ones with their log-probabilities."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass
class Job:
    """One reply on its way. `cancel` may be called from anywhere, at any time. Replies to one request share `ids`."""

    ids: list[int]
    sampling: Sampling
    done: asyncio.Future[Job]
    loop: asyncio.AbstractEventLoop
    tokens: list[Token] = field(default_factory=list)
    out: list[int] = field(default_factory=list)
    text: str = ""
    finish: str = "stop"
    cancelled: bool = False
    started: float = 0.0
    first: float = 0.0  # seconds until the first token, waiting included
    generator: Any = None

    def cancel(self) -> None:
        self.cancelled = True


def _tell(job: Job, error: Exception | None) -> None:
    """From the engine's thread: the reply is there, or will not come."""
    with contextlib.suppress(RuntimeError):  # the loop is closed, and with it whoever waited
        job.loop.call_soon_threadsafe(_resolve, job.done, job, error)


def _resolve(done: asyncio.Future[Job], job: Job, error: Exception | None) -> None:
    """On the event loop: tell the waiting coroutine, if it still waits."""
    if done.done():
        return
    if error is None:
        done.set_result(job)
    else:
        done.set_exception(error)


class Engine(Protocol):
    """What the server needs: submit a prompt, get a finished job. `greedy`: only temperature 0, without runners-up."""

    name: str
    active: int
    greedy: bool
    stop_ids: set[int]  # tokens that end a reply

    @property
    def waiting(self) -> int: ...

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Job: ...

    async def generate_many(self, ids: Sequence[int], sampling: Sampling, count: int) -> list[Job]: ...

    def close(self) -> None: ...


class BatchEngine:
    """Continuous batching in plain PyTorch.

    Args:
        loaded: the model.
        concurrency: requests answered at once.
    """

    greedy = False

    def __init__(self, loaded: Loaded, *, concurrency: int = 4) -> None:
        self._loaded = loaded
        self._limit = concurrency
        self._queue: queue.Queue[list[Job] | None] = queue.Queue()
        self.stop_ids = loaded.stop_ids
        self.name = loaded.name
        self.active = 0
        self._closed = False
        self._door = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="kefu-generator", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Job:
        """Run one prompt to its end. Cancelling this coroutine takes the reply out of the batch.

        Raises:
            GeneratorError: the engine is closed or broke.
        """
        return (await self.generate_many(ids, sampling, 1))[0]

    async def generate_many(self, ids: Sequence[int], sampling: Sampling, count: int) -> list[Job]:
        """Several replies to one prompt, which is read once. With a seed the n-th reply has seed + n.

        Raises:
            GeneratorError: the engine is closed or broke.
        """
        loop, prompt, began = asyncio.get_running_loop(), list(ids), time.perf_counter()
        seeds = [None if sampling.seed is None else sampling.seed + n for n in range(count)]
        jobs = [
            Job(prompt, replace(sampling, seed=seed), loop.create_future(), loop, started=began)
            for seed in seeds
        ]
        with self._door:
            if self._closed:
                raise GeneratorError("The generator is shutting down.")
            self._queue.put(jobs)
        try:
            return list(await asyncio.gather(*(job.done for job in jobs)))
        except BaseException:  # the caller left, or one of them failed: nobody waits for the others
            for job in jobs:
                job.cancel()
            raise

    def close(self) -> None:
        """Stop after the current step; replies under way and those that wait fail."""
        with self._door:  # what came before is in the queue, for the thread to fail
            self._closed = True
            self._queue.put(None)  # wakes the thread when it has nothing to do
        self._thread.join(timeout=30)

    # -- the thread

    def _run(self) -> None:
        batch = _Batch(self._loaded)
        while not self._closed:
            try:
                if not self._admit(batch):
                    break
                self.active = batch.requests
                if batch.jobs:
                    for job in batch.step(self.stop_ids):
                        self._finish(job)
                    self.active = batch.requests
            except Exception as exc:  # the outermost door of the thread: one bad reply must not end it
                for job in batch.jobs:
                    self._fail(job, exc)
                batch = _Batch(self._loaded)
        for job in [*batch.jobs, *self._left()]:
            self._fail(job, GeneratorError("The generator is shutting down."))

    def _left(self) -> list[Job]:
        """What nobody will take from the queue any more."""
        left: list[Job] = []
        while True:
            try:
                left += self._queue.get_nowait() or ()
            except queue.Empty:
                return left

    def _admit(self, batch: _Batch) -> bool:
        """Take waiting jobs while there is room; wait when there is nothing to do. False: close."""
        while batch.requests < self._limit:
            try:
                jobs = self._queue.get(block=not batch.jobs)
            except queue.Empty:
                return True
            if jobs is None:
                return False
            if all(job.cancelled for job in jobs):
                continue
            try:
                finished = batch.add(jobs, self.stop_ids)
            except Exception as exc:  # this prompt cannot be run; the others go on
                for job in jobs:
                    self._fail(job, exc)
                continue
            for job in finished:
                self._finish(job)
        return True

    @staticmethod
    def _finish(job: Job) -> None:
        if not job.cancelled:
            _tell(job, None)

    @staticmethod
    def _fail(job: Job, exc: Exception) -> None:
        _tell(
            job, exc if isinstance(exc, GeneratorError) else GeneratorError(f"The generator failed: {exc!r}")
        )


class _Batch:
    """The rows being generated and their shared cache."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.jobs: list[Job] = []
        self._cache: list[tuple[Any, Any]] = []  # per layer: keys and values, rows x heads x length x size
        self._mask: Any = None  # rows x length, 1 where a key counts
        self._next: list[int] = []  # the token each row feeds in next
        self._position: list[int] = []

    @property
    def requests(self) -> int:
        return len({id(job.ids) for job in self.jobs})

    def add(self, jobs: list[Job], stop_ids: set[int]) -> list[Job]:
        """Run the prompt of one request by itself and lay its cache beside the others', a row for every reply.

        Returns those that are already done.
        """
        import torch
        from transformers import DynamicCache

        device, prompt = self._loaded.device, jobs[0].ids
        ids = torch.tensor([prompt], device=device)
        cache = DynamicCache()
        with torch.inference_mode():
            hidden = self._loaded.model.base_model(
                input_ids=ids, past_key_values=cache, use_cache=True
            ).last_hidden_state
            logits = self._loaded.model.get_output_embeddings()(hidden[:, -1]).float()
            tokens = [self._choose(job, logits[0]) for job in jobs]
        going, finished = [], []
        for job, token in zip(jobs, tokens, strict=True):
            job.first = time.perf_counter() - job.started
            if self._take(job, token, stop_ids):
                finished.append(job)
            else:
                going.append((job, token))
        if going:
            count = len(going)
            rows = [
                (one.keys.repeat(count, 1, 1, 1), one.values.repeat(count, 1, 1, 1)) for one in cache.layers
            ]
            self._join(rows, torch.ones((count, len(prompt)), dtype=torch.long, device=device))
            self.jobs += [job for job, _ in going]
            self._next += [token for _, token in going]
            self._position += [len(prompt)] * count
        return finished

    def _join(self, rows: list[tuple[Any, Any]], mask: Any) -> None:
        """Pad on the left to one length, then put the rows together."""
        import torch
        from torch.nn.functional import pad

        if not self._cache:
            self._cache, self._mask = rows, mask
            return
        length = max(self._mask.shape[1], mask.shape[1])
        mine, theirs = length - self._mask.shape[1], length - mask.shape[1]
        self._cache = [
            (
                torch.cat([pad(k, (0, 0, mine, 0)), pad(nk, (0, 0, theirs, 0))]),
                torch.cat([pad(v, (0, 0, mine, 0)), pad(nv, (0, 0, theirs, 0))]),
            )
            for (k, v), (nk, nv) in zip(self._cache, rows, strict=True)
        ]
        self._mask = torch.cat([pad(self._mask, (mine, 0)), pad(mask, (theirs, 0))])

    def step(self, stop_ids: set[int]) -> list[Job]:
        """One token for every row. Returns the jobs that are done; cancelled ones just leave."""
        import torch
        from transformers import DynamicCache

        gone = [i for i, job in enumerate(self.jobs) if job.cancelled]
        if gone:
            self._keep([i for i in range(len(self.jobs)) if i not in gone])
            if not self.jobs:
                return []
        device = self._loaded.device
        self._mask = torch.cat([self._mask, self._mask.new_ones((len(self.jobs), 1))], dim=1)
        cache = DynamicCache()
        for n, (k, v) in enumerate(self._cache):
            cache.update(k, v, n)
        with torch.inference_mode():
            hidden = self._loaded.model.base_model(
                input_ids=torch.tensor([[t] for t in self._next], device=device),
                position_ids=torch.tensor([[p] for p in self._position], device=device),
                attention_mask=self._mask,
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state
            logits = self._loaded.model.get_output_embeddings()(hidden[:, -1]).float()
        self._cache = [(layer.keys, layer.values) for layer in cache.layers]
        finished: list[Job] = []
        for i, job in enumerate(self.jobs):
            self._next[i] = self._choose(job, logits[i])
            self._position[i] += 1
            if self._take(job, self._next[i], stop_ids):
                finished.append(job)
        if finished:
            self._keep([i for i, job in enumerate(self.jobs) if job not in finished])
        return finished

    def _keep(self, rows: list[int]) -> None:
        """Drop the other rows, and the columns that then are padding everywhere."""
        import torch

        self.jobs = [self.jobs[i] for i in rows]
        self._next = [self._next[i] for i in rows]
        self._position = [self._position[i] for i in rows]
        if not rows:
            self._cache, self._mask = [], None
            return
        index = torch.tensor(rows, device=self._mask.device)
        self._mask = self._mask[index]
        first = int(self._mask.argmax(dim=1).min())
        self._mask = self._mask[:, first:]
        self._cache = [(k[index][:, :, first:], v[index][:, :, first:]) for k, v in self._cache]

    def _choose(self, job: Job, logits: Any) -> int:
        """Pick a token and note its log-probability under the unscaled distribution."""
        import torch

        sampling = job.sampling
        logprobs = torch.log_softmax(logits, dim=-1)
        if sampling.temperature <= 0:
            token = int(logprobs.argmax())
        else:
            if job.generator is None:
                job.generator = torch.Generator(device=logits.device)
                job.generator.manual_seed(
                    sampling.seed if sampling.seed is not None else torch.seed() % 2**31
                )
            p = torch.softmax(logits / sampling.temperature, dim=-1)
            if sampling.top_p < 1:
                order = p.argsort(descending=True)
                kept = p[order].cumsum(0) - p[order] < sampling.top_p
                p = torch.zeros_like(p).scatter(0, order[kept], p[order[kept]])
            token = int(torch.multinomial(p, 1, generator=job.generator))
        best: tuple[tuple[str, float], ...] = ()
        if sampling.top_logprobs:
            values, indices = logprobs.topk(sampling.top_logprobs)
            best = tuple(
                (self._loaded.decode([int(i)]), float(v)) for v, i in zip(values, indices, strict=True)
            )
        job.tokens.append(Token(self._loaded.decode([token]), max(float(logprobs[token]), -1e4), best))
        return token

    def _take(self, job: Job, token: int, stop_ids: set[int]) -> bool:
        """Add a token to the reply. True when the reply is at its end."""
        if token in stop_ids:
            job.tokens.pop()
            return True
        job.out.append(token)
        job.text = self._loaded.decode(job.out)
        for stop in job.sampling.stop:
            at = job.text.find(stop)
            if at >= 0:
                job.text = job.text[:at]
                return True
        if len(job.out) >= job.sampling.max_tokens:
            job.finish = "length"
            return True
        return not all(math.isfinite(t.logprob) for t in job.tokens[-1:])
