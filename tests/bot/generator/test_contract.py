"""What a server in the generator's place has to keep, whoever wrote it.

Ours runs in every run. For vLLM, SGLang or llama.cpp set KEFU_CONTRACT_URL, and KEFU_CONTRACT_MODEL and
KEFU_GENERATOR__API_KEY where they are needed: the same tests then ask that server instead (docs/generator.md).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession

from bot.exceptions import GeneratorError
from bot.generator.client import GeneratorClient, server_address
from bot.generator.engine import BatchEngine
from bot.generator.evidence import Evidence
from bot.generator.model import Loaded
from bot.generator.prompt import build_messages
from bot.generator.server import Limits, make_app

THEIRS = os.environ.get("KEFU_CONTRACT_URL")
MODEL = os.environ.get("KEFU_CONTRACT_MODEL", "default")
KEY = os.environ.get("KEFU_GENERATOR__API_KEY")
EVIDENCE = [Evidence("a", "签收后 7 天内可以无理由退货。", "退货", "article", "zh")]
MESSAGES = build_messages("退货期限是几天？", EVIDENCE, language="zh")


@pytest.fixture
async def url(aiohttp_server: Any, tiny: Loaded) -> str:
    """Theirs when the environment names one, else ours with a model of random weights."""
    if THEIRS:
        return server_address(THEIRS)
    engine = BatchEngine(tiny)
    engine.stop_ids = set()  # random weights end anywhere
    server = await aiohttp_server(make_app(lambda: (tiny, engine, None), Limits(max_tokens=100_000)))
    address = str(server.make_url("")).rstrip("/")
    async with ClientSession() as session:
        while (await session.get(f"{address}/v1/models")).status == 503:
            await asyncio.sleep(0.01)
    return address


@pytest.fixture
async def client(url: str) -> AsyncIterator[GeneratorClient]:
    async with GeneratorClient(url, model=MODEL, api_key=KEY, timeout=120) as client:
        yield client


async def test_every_token_has_its_log_probability_and_runners_up(client: GeneratorClient) -> None:
    completion = await client.complete(MESSAGES, max_tokens=8)

    assert 1 <= len(completion.tokens) <= 9  # some servers count the end as a token
    for token in completion.tokens:
        assert token.logprob <= 0 and len(token.top) == 2
        assert token.top[0] >= token.top[1]
        assert token.logprob == pytest.approx(
            token.top[0], abs=1e-3
        )  # temperature 0: the likeliest was taken
    assert completion.prompt_tokens > 0


async def test_the_same_question_has_the_same_answer(client: GeneratorClient) -> None:
    first, second = [await client.complete(MESSAGES, max_tokens=8) for _ in range(2)]

    assert first.text == second.text
    assert [t.logprob for t in first.tokens] == pytest.approx([t.logprob for t in second.tokens], abs=1e-2)


async def test_a_reply_that_is_cut_off_says_so(client: GeneratorClient) -> None:
    completion = await client.complete(MESSAGES, max_tokens=2)

    assert "length" == completion.finish and len(completion.tokens) <= 2


async def test_four_are_answered_at_once(client: GeneratorClient) -> None:
    found = await asyncio.gather(*(client.complete(MESSAGES, max_tokens=8) for _ in range(4)))

    assert all(one.tokens for one in found)


async def test_a_caller_who_leaves_spoils_nothing_for_the_next(client: GeneratorClient) -> None:
    leaving = asyncio.create_task(client.complete(MESSAGES, max_tokens=256 if THEIRS else 90_000))
    await asyncio.sleep(0.2)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)

    assert (await client.complete(MESSAGES, max_tokens=4)).tokens


async def test_a_request_that_makes_no_sense_is_an_error(client: GeneratorClient) -> None:
    with pytest.raises(GeneratorError, match="answered 4"):
        await client.complete([{"role": "user", "content": "x"}], max_tokens=-1)


async def test_models_are_listed(url: str) -> None:
    async with ClientSession(headers={"Authorization": f"Bearer {KEY}"} if KEY else {}) as session:
        body = await (await session.get(f"{url}/v1/models")).json()

    assert body["data"] and all(isinstance(one["id"], str) for one in body["data"])
