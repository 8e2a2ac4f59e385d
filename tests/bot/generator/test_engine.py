"""The CPU engine writes what the model alone would write, however requests meet in the batch."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.exceptions import GeneratorError
from bot.generator.engine import BatchEngine, Sampling
from bot.generator.model import Loaded


def alone(tiny: Loaded, prompt: str, count: int) -> list[int]:
    import torch

    ids = torch.tensor([tiny.encode(prompt)])
    with torch.inference_mode():
        out = tiny.model.generate(ids, max_new_tokens=count, do_sample=False, eos_token_id=1, pad_token_id=0)
    return [int(i) for i in out[0, ids.shape[1] :] if int(i) != 1]


async def test_batched_replies_equal_those_of_plain_generate(tiny: Loaded) -> None:
    """Prompts of different length that join and leave at different steps get the reply they get alone."""
    engine = BatchEngine(tiny, concurrency=3)
    prompts = [
        "hello",
        "a much longer prompt that passes the sliding window of sixteen",
        "退货",
        "x",
        "refund please",
    ]
    counts = [12, 5, 20, 1, 9]
    try:
        jobs = await asyncio.gather(
            *(
                engine.generate(tiny.encode(p), Sampling(max_tokens=n))
                for p, n in zip(prompts, counts, strict=True)
            )
        )
    finally:
        engine.close()

    for prompt, count, job in zip(prompts, counts, jobs, strict=True):
        assert alone(tiny, prompt, count) == job.out


async def test_every_token_has_a_log_probability_and_the_greedy_one_is_the_best(tiny: Loaded) -> None:
    engine = BatchEngine(tiny)
    try:
        job = await engine.generate(tiny.encode("hi"), Sampling(max_tokens=6, top_logprobs=2))
    finally:
        engine.close()

    assert job.tokens and len(job.tokens) == len(job.out)
    for token in job.tokens:
        assert token.logprob <= 0
        assert token.top[0][1] == pytest.approx(token.logprob)


async def test_a_caller_who_leaves_frees_the_place(tiny: Loaded) -> None:
    engine = BatchEngine(tiny, concurrency=1)
    try:
        slow = asyncio.create_task(engine.generate(tiny.encode("long"), Sampling(max_tokens=100_000)))
        while engine.active == 0:
            await asyncio.sleep(0.01)
        slow.cancel()
        job = await asyncio.wait_for(engine.generate(tiny.encode("next"), Sampling(max_tokens=3)), 20)
    finally:
        engine.close()

    assert 3 >= len(job.out)
    assert slow.cancelled() or slow.cancelling()


async def test_the_same_seed_samples_the_same_reply(tiny: Loaded) -> None:
    engine = BatchEngine(tiny)
    try:
        sampling = Sampling(max_tokens=8, temperature=1.0, top_p=0.9, seed=5)
        one = await engine.generate(tiny.encode("hi"), sampling)
        two = await engine.generate(tiny.encode("hi"), sampling)
    finally:
        engine.close()

    assert one.out == two.out


async def test_a_closed_engine_refuses(tiny: Loaded) -> None:
    engine = BatchEngine(tiny)
    engine.close()
    with pytest.raises(GeneratorError, match="shutting down"):
        await engine.generate([2], Sampling())


async def test_closing_fails_what_is_under_way_and_what_waits(tiny: Loaded) -> None:
    """Nobody waits for ever, and nobody's reply is finished first."""
    engine = BatchEngine(tiny, concurrency=1)
    asked = [
        asyncio.create_task(engine.generate(tiny.encode("hello"), Sampling(max_tokens=5000)))
        for _ in range(3)
    ]
    while not engine.active:
        await asyncio.sleep(0.01)

    await asyncio.to_thread(engine.close)
    ended = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 10)

    assert all(isinstance(one, GeneratorError) for one in ended), ended


async def test_a_prompt_the_model_cannot_run_fails_alone(tiny: Loaded) -> None:
    """An impossible token id fails its own request and no other."""
    engine = BatchEngine(tiny)
    try:
        good = asyncio.create_task(engine.generate(tiny.encode("good"), Sampling(max_tokens=4)))
        with pytest.raises(GeneratorError):
            await engine.generate([9999], Sampling(max_tokens=4))
        assert alone(tiny, "good", 4) == (await good).out
    finally:
        engine.close()


async def test_replies_to_one_prompt_are_those_it_gets_one_by_one(tiny: Loaded) -> None:
    """The prompt is read once for all of them; another request beside them changes nothing."""
    engine = BatchEngine(tiny, concurrency=2)
    drawn = Sampling(max_tokens=12, temperature=1.0, seed=3)
    try:
        together, other = await asyncio.gather(
            engine.generate_many(tiny.encode("退货 please"), drawn, 4),
            engine.generate(tiny.encode("hello"), Sampling(max_tokens=9)),
        )
        single = [
            await engine.generate(tiny.encode("退货 please"), replace(drawn, seed=3 + n)) for n in range(4)
        ]
    finally:
        engine.close()

    assert [job.out for job in single] == [job.out for job in together]
    assert len({tuple(job.out) for job in together}) > 1
    assert alone(tiny, "hello", 9) == other.out


async def test_a_caller_who_leaves_takes_all_replies_of_the_request_along(tiny: Loaded) -> None:
    engine = BatchEngine(tiny, concurrency=1)
    engine.stop_ids = set()
    try:
        leaving = asyncio.create_task(
            engine.generate_many(tiny.encode("hi"), Sampling(max_tokens=100_000), 3)
        )
        while not engine.active:
            await asyncio.sleep(0.01)
        assert 1 == engine.active  # requests, not replies
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        job = await asyncio.wait_for(engine.generate(tiny.encode("x"), Sampling(max_tokens=3)), 30)
    finally:
        engine.close()

    assert 3 == len(job.out)
