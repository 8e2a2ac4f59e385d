"""The engine of a GPU on transformers' own manager, on a CPU; and for failures of a card on one with the same interface.

What the second says of the real manager: `register_result_handler` calls back on the event loop with a `GenerationOutput`,
`add_request` returns the id, None when refused, or raises `queue.Full`; a cancelled request gives no result.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from transformers.generation.continuous_batching.requests import GenerationOutput, RequestStatus

from bot.exceptions import GeneratorError
from bot.generator.cuda import CudaEngine
from bot.generator.engine import BatchEngine, Sampling
from bot.generator.model import Loaded

EOS = 1


class Manager:
    """Answers every request with the same tokens, from a thread of its own, after `release` is set."""

    def __init__(
        self, text: str, *, ended: bool = True, error: str | None = None, full: bool = False
    ) -> None:
        self.tokens = [b + 3 for b in text.encode()] + ([EOS] if ended else [])
        self.error, self.full, self.refuses = error, full, False
        self.release = threading.Event()
        self.release.set()
        self.handlers: dict[str, Any] = {}
        self.output_router = SimpleNamespace(_lock=threading.Lock(), result_handlers=self.handlers)
        self.room = threading.Event()  # in the queue
        self.room.set()
        self.cancelled: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.running = False

    def start(self) -> None:
        self.running = True

    def stop(self, block: bool = True) -> None:
        self.running = False

    def register_result_handler(self, request_id: str, callback: Any) -> None:
        self.handlers[request_id] = (callback, asyncio.get_running_loop())

    def add_request(
        self, input_ids: list[int], request_id: str | None = None, max_new_tokens: int | None = None,
        record_timestamps: bool = False, eos_token_id: list[int] | int | None = None,
    ) -> str | None:  # fmt: skip
        assert request_id is not None and threading.current_thread() is not threading.main_thread()
        self.room.wait(10)
        self.asked.append({"ids": input_ids, "max_new_tokens": max_new_tokens, "end": eos_token_id})
        if self.full:
            raise queue.Full
        if self.refuses:
            return None
        threading.Thread(target=self._answer, args=(request_id, record_timestamps), daemon=True).start()
        return request_id

    def _answer(self, request_id: str, timed: bool) -> None:
        self.release.wait(10)
        if request_id in self.cancelled:
            return
        if request_id not in self.handlers:
            return
        callback, loop = self.handlers[request_id]
        output = GenerationOutput(
            request_id, generated_tokens=list(self.tokens), logprobs=[-0.25] * len(self.tokens), error=self.error,
            status=RequestStatus.FAILED if self.error else RequestStatus.FINISHED,
            timestamps=[time.perf_counter()] * len(self.tokens) if timed else None,
        )  # fmt: skip
        loop.call_soon_threadsafe(callback, output)

    def cancel_request(self, request_id: str) -> None:
        self.cancelled.append(request_id)


class Card:
    """A model whose manager is `manager`; everything else is the tiny model's."""

    def __init__(self, model: Any, manager: Manager) -> None:
        self.generation_config = model.generation_config
        self.manager = manager
        self.options: dict[str, Any] = {}

    def init_continuous_batching(self, **options: Any) -> Manager:
        self.options = options
        return self.manager


def engine_with(tiny: Loaded, manager: Manager) -> CudaEngine:
    return CudaEngine(replace(tiny, model=Card(tiny.model, manager)))


@pytest.fixture
async def real(tiny: Loaded) -> AsyncIterator[CudaEngine]:
    """On the manager of transformers itself."""
    engine = CudaEngine(tiny, concurrency=4, blocks=16)
    yield engine
    await asyncio.to_thread(engine.close)


async def test_the_real_manager_says_what_our_own_engine_says(tiny: Loaded, real: CudaEngine) -> None:
    """Prompts of different length, together: the same tokens, texts, ends and log-probabilities."""
    prompts = ["hello", "a much longer prompt that passes the sliding window of sixteen", "退货", "x"]
    wanted = [Sampling(max_tokens=n) for n in (12, 5, 20, 1)]
    own = BatchEngine(tiny)
    try:
        ours = [await own.generate(tiny.encode(p), s) for p, s in zip(prompts, wanted, strict=True)]
    finally:
        own.close()
    found = await asyncio.wait_for(
        asyncio.gather(*(real.generate(tiny.encode(p), s) for p, s in zip(prompts, wanted, strict=True))), 60
    )

    assert [(j.out, j.text, j.finish) for j in ours] == [(j.out, j.text, j.finish) for j in found]
    for mine, theirs in zip(ours, found, strict=True):
        assert pytest.approx([t.logprob for t in mine.tokens], abs=1e-3) == [t.logprob for t in theirs.tokens]
        assert theirs.first > 0


async def test_the_real_manager_lets_go_of_a_caller_who_leaves(tiny: Loaded, real: CudaEngine) -> None:
    real.stop_ids = set()
    leaving = asyncio.create_task(real.generate(tiny.encode("hello"), Sampling(max_tokens=250)))
    await asyncio.sleep(0.2)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    job = await asyncio.wait_for(real.generate(tiny.encode("x"), Sampling(max_tokens=3)), 60)

    assert 3 == len(job.out) and 0 == real.active


async def test_a_reply_has_its_tokens_and_their_log_probabilities(tiny: Loaded) -> None:
    manager = Manager("seven days")
    engine = engine_with(tiny, manager)
    job = await engine.generate([5, 6], Sampling(max_tokens=12))
    engine.close()

    assert ("seven days", "stop") == (job.text, job.finish)
    assert "seven days" == "".join(t.text for t in job.tokens)
    assert {-0.25} == {t.logprob for t in job.tokens}
    assert [{"ids": [5, 6], "max_new_tokens": 12, "end": [EOS]}] == manager.asked
    assert job.first >= 0 and 0 == engine.active and not manager.running


async def test_log_probabilities_and_greedy_choice_are_asked_for(tiny: Loaded) -> None:
    manager = Manager("x")
    engine = engine_with(tiny, manager)
    options = engine._loaded.model.options
    engine.close()

    assert options["continuous_batching_config"].return_logprobs is True
    assert options["generation_config"].do_sample is False
    assert EOS in options["generation_config"].eos_token_id


async def test_without_an_end_the_reply_counts_as_cut_off(tiny: Loaded) -> None:
    engine = engine_with(tiny, Manager("seven da", ended=False))
    job = await engine.generate([5], Sampling(max_tokens=8))

    assert ("seven da", "length") == (job.text, job.finish)


async def test_nothing_after_a_stop_is_said_or_counted(tiny: Loaded) -> None:
    engine = engine_with(tiny, Manager("seven\nQuestion: next"))
    job = await engine.generate([5], Sampling(max_tokens=40, stop=("\n", "Question")))

    assert ("seven", "stop") == (job.text, job.finish)
    assert "seven" == "".join(t.text for t in job.tokens) and 5 == len(job.out)


async def test_requests_are_on_the_card_together(tiny: Loaded) -> None:
    manager = Manager("ok")
    manager.release.clear()
    engine = engine_with(tiny, manager)
    waiting = [asyncio.create_task(engine.generate([5, n], Sampling(max_tokens=4))) for n in range(8)]
    while len(manager.asked) < 8:
        await asyncio.sleep(0.005)
    assert 8 == engine.active
    manager.release.set()

    assert ["ok"] * 8 == [job.text for job in await asyncio.gather(*waiting)]
    assert 0 == engine.active


async def test_a_caller_who_leaves_is_cancelled_on_the_card(tiny: Loaded) -> None:
    manager = Manager("ok")
    manager.release.clear()
    engine = engine_with(tiny, manager)
    task = asyncio.create_task(engine.generate([5], Sampling(max_tokens=4)))
    while not manager.asked:
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(10):  # the thread that asked may not be back yet
        while not manager.cancelled:
            await asyncio.sleep(0.005)
    manager.release.set()

    assert 1 == len(manager.cancelled) and 0 == engine.active
    assert not manager.handlers  # the manager itself keeps the handler of what gives no result for ever


async def test_who_leaves_while_the_queue_is_full_is_cancelled_once_the_card_knows_of_it(
    tiny: Loaded,
) -> None:
    """The manager forgets a cancelling of what it has not taken, and would write a reply for nobody."""
    manager = Manager("ok")
    manager.room.clear()
    engine = engine_with(tiny, manager)
    task = asyncio.create_task(engine.generate([5], Sampling(max_tokens=4)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not manager.cancelled and not manager.asked

    manager.room.set()
    while not manager.cancelled:
        await asyncio.sleep(0.005)

    assert 1 == len(manager.asked) and not manager.handlers


async def test_a_failure_a_refusal_and_a_full_queue_are_errors(tiny: Loaded) -> None:
    with pytest.raises(GeneratorError, match="out of memory"):
        await engine_with(tiny, Manager("", error="out of memory")).generate([5], Sampling())
    with pytest.raises(GeneratorError, match="queue is full"):
        await engine_with(tiny, Manager("", full=True)).generate([5], Sampling())
    refusing = Manager("")
    refusing.refuses = True
    with pytest.raises(GeneratorError, match="no more requests"):
        await engine_with(tiny, refusing).generate([5], Sampling())


async def test_sampling_is_refused(tiny: Loaded) -> None:
    with pytest.raises(GeneratorError, match="temperature 0"):
        await engine_with(tiny, Manager("")).generate([5], Sampling(temperature=0.7))
