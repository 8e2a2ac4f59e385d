"""The generator's program over HTTP: limits, refusals, leaving. What every server has to keep is in test_contract.py."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from aiohttp import ClientSession, web
from hypothesis import given
from hypothesis import strategies as st

from bot.exceptions import GeneratorError, NoReranker
from bot.generator.client import GeneratorClient, parse_completions
from bot.generator.engine import BatchEngine, Sampling
from bot.generator.model import Loaded
from bot.generator.prompt import build_messages
from bot.generator.server import KNOWN, Limits, _known, _Refused, _Server, make_app

ASK = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}


async def until(true: Callable[[], Any]) -> None:
    """Wait ten seconds at most."""
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


def asked(body: dict[str, Any], limits: Limits) -> Sampling:
    """What a request's fields ask for, beside its messages."""
    return _Server(limits)._sampling(_known(body, KNOWN))


async def serve(
    aiohttp_client: Any, tiny: Loaded, reranker: Any = None, engine: BatchEngine | None = None, **limits: Any
) -> Any:
    """A client of a server whose model is loaded."""
    engine = engine or BatchEngine(tiny, concurrency=limits.get("concurrency", 4))
    loader = lambda: (tiny, engine, reranker)  # noqa: E731
    client = await aiohttp_client(make_app(loader, Limits(**limits)))
    while (await (await client.get("/health")).json())["status"] != "ok":
        await asyncio.sleep(0.01)
    return client


async def test_while_the_model_loads_the_server_listens_and_asks_to_come_back(
    aiohttp_client: Any, tiny: Loaded
) -> None:
    going = threading.Event()

    def slow() -> Any:
        going.wait(30)
        return tiny, BatchEngine(tiny), None

    client = await aiohttp_client(make_app(slow, Limits()))
    try:
        resp = await client.post("/v1/chat/completions", json=ASK)

        assert 503 == resp.status and "Retry-After" in resp.headers
        assert "loading" == (await (await client.get("/health")).json())["status"]
    finally:
        going.set()


async def test_a_completion_has_text_tokens_and_log_probabilities(aiohttp_client: Any, tiny: Loaded) -> None:
    client = await serve(aiohttp_client, tiny)
    resp = await client.post("/v1/chat/completions", json=ASK | {"logprobs": True, "top_logprobs": 2})
    body = await resp.json()

    assert 200 == resp.status
    choice = body["choices"][0]
    assert len(choice["logprobs"]["content"]) == body["usage"]["completion_tokens"] <= 5
    assert all(t["logprob"] <= 0 and len(t["top_logprobs"]) == 2 for t in choice["logprobs"]["content"])
    assert choice["finish_reason"] in ("stop", "length")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": 7}]}, "content"),
        ({"temperature": 9}, "temperature"),
        ({"max_tokens": 100_000}, "max_tokens"),
        ({"n": 9}, "n must be"),
        ({"n": 0}, "n must be"),
        ({"logprobs": False}, "logprobs"),
        ({"tools": []}, "tools"),
        ({"tools": None}, "tools"),
        ({"messages": None}, "messages"),
        ({"stop": 5}, "stop"),
        ({"stop": True}, "stop"),
        ({"stop": False}, "stop"),
        ({"stop": {"a": 1}}, "stop"),
        ({"stop": ["a", 5]}, "stop"),
        ({"stop": ["a"] * 9}, "stop"),
        ({"max_tokens": 0}, "max_tokens must be"),
        ({"max_tokens": 2.5}, "max_tokens must be a whole number"),
        ({"max_tokens": None, "max_completion_tokens": 0}, "max_completion_tokens must be"),
        ({"n": 2.5}, "n must be a whole number"),
        ({"seed": 0.5}, "seed must be a whole number"),
        ({"top_logprobs": 1.5}, "top_logprobs must be a whole number"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "\\ud800"),
        ({"stop": "\udfff"}, "\\udfff"),
        ({"messages": [{"role": "user", "content": "long " * 2000}]}, "tokens"),
    ],
)
async def test_a_bad_request_is_refused_by_name(
    aiohttp_client: Any, tiny: Loaded, change: dict[str, Any], word: str
) -> None:
    client = await serve(aiohttp_client, tiny)
    resp = await client.post("/v1/chat/completions", json=ASK | change)

    assert 400 == resp.status
    assert word in (await resp.json())["error"]["message"]


NULLS = (
    "max_tokens", "max_completion_tokens", "temperature", "top_p", "n", "seed", "stop", "logprobs", "top_logprobs",
    "stream", "user", "presence_penalty", "frequency_penalty",
)  # fmt: skip


async def test_null_means_the_same_as_no_such_field(aiohttp_client: Any, tiny: Loaded) -> None:
    """As in OpenAI's contract: clients of theirs send every field they know."""
    client = await serve(aiohttp_client, tiny)
    ask = {"messages": ASK["messages"]}
    plain = await (await client.post("/v1/chat/completions", json=ask)).json()
    resp = await client.post("/v1/chat/completions", json=ask | dict.fromkeys(NULLS))

    assert 200 == resp.status
    assert plain["choices"] == (await resp.json())["choices"]


async def test_a_whole_number_may_be_written_with_a_point(aiohttp_client: Any, tiny: Loaded) -> None:
    client = await serve(aiohttp_client, tiny)
    resp = await client.post("/v1/chat/completions", json=ASK | {"n": 2.0, "max_tokens": 3.0})
    body = await resp.json()

    assert 2 == len(body["choices"]) and body["usage"]["completion_tokens"] <= 6


@pytest.mark.parametrize(
    ("body", "charset", "word"),
    [
        (b"{", "utf-8", "not JSON"),
        (b"\xff", "utf-8", "not JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "utf-8", "nested too deeply"),
        (b'{"model":' * 10_000 + b"1" + b"}" * 10_000, "utf-8", "nested too deeply"),
        (b'{"\\ud800": 1}', "utf-8", "half of a character"),
        (b"{}", "foo", "charset 'foo' is unknown"),
        (b"{}", "hex", "charset 'hex' is unknown"),
        (b"[]", "utf-8", "JSON object"),
    ],
    ids=["cut off", "no UTF-8", "lists", "objects", "surrogate", "charset", "codec of bytes", "list"],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/rerank"])
async def test_a_body_that_cannot_be_read_is_refused_with_the_reason(
    aiohttp_client: Any, tiny: Loaded, path: str, body: bytes, charset: str, word: str
) -> None:
    client = await serve(aiohttp_client, tiny, Reads())
    kind = {"Content-Type": f"application/json; charset={charset}"}
    resp = await client.post(path, data=body, headers=kind)
    error = (await resp.json())["error"]

    assert (400, "invalid_request_error") == (resp.status, error["type"])
    assert word in error["message"]


async def test_a_body_that_is_not_packed_as_it_says_is_refused(aiohttp_client: Any, tiny: Loaded) -> None:
    client = await serve(aiohttp_client, tiny)
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    resp = await client.post("/v1/chat/completions", data=b"rubbish", headers=packed)

    assert 400 == resp.status
    assert "Content-Encoding" in (await resp.json())["error"]["message"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda one: st.lists(one, max_size=9) | st.dictionaries(st.text(max_size=2), one, max_size=2),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*sorted(KNOWN), "tools"]), VALUES, max_size=4))
def test_whatever_a_request_asks_for_is_understood_or_refused(body: dict[str, Any]) -> None:
    refused, found, limits = "", None, Limits()
    try:
        found = asked(body, limits)
    except _Refused as exc:
        refused = str(exc)

    assert found is not None or any(name in refused for name in body)
    assert found is None or (1 <= found.max_tokens <= limits.max_tokens and 0 <= found.temperature <= 2)
    assert found is None or all(isinstance(text, str) and text for text in found.stop)
    assert found is None or "tools" not in body


async def test_another_method_is_told_which_ones_there_are(aiohttp_client: Any, tiny: Loaded) -> None:
    client = await serve(aiohttp_client, tiny)
    resp = await client.get("/v1/chat/completions")

    assert (405, "POST") == (resp.status, resp.headers["Allow"])
    assert 405 == (await resp.json())["error"]["code"]


async def test_a_fault_of_our_own_is_logged_and_answered_in_the_same_form(
    aiohttp_client: Any, tiny: Loaded, caplog: pytest.LogCaptureFixture
) -> None:
    client = await serve(aiohttp_client, tiny, Breaks())
    resp = await client.post("/v1/rerank", json={"query": "tea", "documents": ["green"]})
    error = (await resp.json())["error"]

    assert (500, "server_error", 500) == (resp.status, error["type"], error["code"])
    assert "ZeroDivisionError" in caplog.text and "/v1/rerank" in caplog.text
    assert "ZeroDivisionError" not in error["message"], "what went wrong inside is for the log"


async def test_a_full_server_says_when_to_come_back(aiohttp_client: Any, tiny: Loaded) -> None:
    client = await serve(aiohttp_client, tiny, concurrency=1, queue=0, max_tokens=100_000, timeout=60)
    slow = asyncio.create_task(client.post("/v1/chat/completions", json=ASK | {"max_tokens": 50_000}))
    try:
        for _ in range(500):
            if (await (await client.get("/health")).json())["active"]:
                break
            await asyncio.sleep(0.01)
        resp = await client.post("/v1/chat/completions", json=ASK)

        assert 429 == resp.status
        assert int(resp.headers["Retry-After"]) >= 1
    finally:
        slow.cancel()


async def test_a_slow_reply_times_out_and_leaves_the_batch(aiohttp_client: Any, tiny: Loaded) -> None:
    engine = BatchEngine(tiny)
    engine.stop_ids = set()  # a random model might end by itself
    client = await serve(aiohttp_client, tiny, engine=engine, max_tokens=100_000, timeout=0.2)
    resp = await client.post("/v1/chat/completions", json=ASK | {"max_tokens": 100_000})
    await until(lambda: not engine.active)
    metrics = await (await client.get("/metrics")).text()

    assert 504 == resp.status
    assert 'kefu_generator_requests_total{outcome="failed"} 1' in metrics


async def test_a_caller_who_leaves_takes_the_reply_out_of_the_batch(
    aiohttp_client: Any, tiny: Loaded
) -> None:
    engine = BatchEngine(tiny, concurrency=1)
    engine.stop_ids = set()
    client = await serve(
        aiohttp_client, tiny, engine=engine, concurrency=1, queue=0, max_tokens=100_000, timeout=60
    )
    async with ClientSession() as leaving:
        url = client.make_url("/v1/chat/completions")
        asking = asyncio.create_task(leaving.post(url, json=ASK | {"max_tokens": 100_000}))
        await until(lambda: engine.active)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    await until(lambda: not engine.active)
    resp = await client.post("/v1/chat/completions", json=ASK)
    metrics = await (await client.get("/metrics")).text()

    assert 200 == resp.status
    assert 'outcome="left"} 1' in metrics


async def test_a_reranker_keeps_its_place_until_it_has_stopped(aiohttp_client: Any, tiny: Loaded) -> None:
    judge = Ponders()
    client = await serve(aiohttp_client, tiny, judge, concurrency=1, queue=0, timeout=0.2)
    ask = {"query": "tea", "documents": ["green", "black"]}
    late = await client.post("/v1/rerank", json=ask)
    meanwhile = await client.post("/v1/rerank", json=ask)
    judge.go.set()
    while (after := await client.post("/v1/rerank", json=ask)).status == 429:
        await asyncio.sleep(0.01)

    assert (504, 429, 200) == (late.status, meanwhile.status, after.status)
    assert 3 == judge.read  # of the first caller's two documents only the one under way


async def test_an_engine_that_only_chooses_the_likeliest_refuses_a_temperature(
    aiohttp_client: Any, tiny: Loaded
) -> None:
    engine = BatchEngine(tiny)
    engine.greedy = True
    client = await serve(aiohttp_client, tiny, engine=engine)
    resp = await client.post("/v1/chat/completions", json=ASK | {"temperature": 0.5})

    assert 400 == resp.status and "temperature" in (await resp.json())["error"]["message"]


async def test_several_replies_to_one_prompt_come_back_as_choices(aiohttp_client: Any, tiny: Loaded) -> None:
    client = await serve(aiohttp_client, tiny)
    several = ASK | {"n": 3, "temperature": 1.0, "seed": 7}
    body = await (await client.post("/v1/chat/completions", json=several)).json()
    again = await (await client.post("/v1/chat/completions", json=several)).json()

    assert [0, 1, 2] == [choice["index"] for choice in body["choices"]]
    tokens = [len(choice["logprobs"]["content"]) for choice in body["choices"]]
    assert sum(tokens) == body["usage"]["completion_tokens"]
    texts = [[choice["message"]["content"] for choice in one["choices"]] for one in (body, again)]
    assert texts[0] == texts[1] and len(set(texts[0])) > 1


async def test_the_client_takes_one_reply_where_a_server_writes_only_one(
    aiohttp_client: Any, tiny: Loaded
) -> None:
    engine = BatchEngine(tiny)
    engine.greedy = True  # as on CUDA
    several, single = await serve(aiohttp_client, tiny), await serve(aiohttp_client, tiny, engine=engine)
    messages = build_messages("hi", [], language="en")
    async with (
        GeneratorClient(str(several.make_url(""))) as one,
        GeneratorClient(str(single.make_url(""))) as other,
    ):
        assert 4 == len(await one.drafts(messages, max_tokens=4, count=4))
        alone = [await other.drafts(messages, max_tokens=4, count=4) for _ in range(2)]
        likeliest = await other.complete(messages, max_tokens=4)
    metrics = await (await single.get("/metrics")).text()

    assert [[likeliest.text]] * 2 == [[c.text for c in each] for each in alone]
    assert 'outcome="refused"} 1' in metrics  # asked once, remembered


async def test_models_and_health_name_the_model(aiohttp_client: Any, tiny: Loaded) -> None:
    client = await serve(aiohttp_client, tiny)

    assert "tiny" == (await (await client.get("/v1/models")).json())["data"][0]["id"]
    assert "ok" == (await (await client.get("/health")).json())["status"]


async def test_kefus_own_client_reads_the_server(aiohttp_client: Any, tiny: Loaded) -> None:
    server = await serve(aiohttp_client, tiny)
    async with GeneratorClient(str(server.make_url("")), timeout=30) as client:
        completion = await client.complete(build_messages("hi", [], language="en"), max_tokens=4)

    assert completion.tokens and len(completion.tokens) <= 4
    assert len(completion.tokens[0].top) == 2


async def test_a_server_without_log_probabilities_is_refused_by_the_client() -> None:
    with pytest.raises(GeneratorError, match="log-probabilities"):
        parse_completions({"choices": [{"message": {"content": "x"}}]}, "http://other")


@pytest.mark.parametrize(
    "spoilt",
    [
        {"usage": {"prompt_tokens": "many"}},
        {"usage": ["x"]},
        {"choices": [{"message": {"content": ["a"]}, "logprobs": {"content": []}}]},
        {"choices": [{"message": {"content": "a"}, "logprobs": {"content": [{"logprob": -1.0}]}}]},
        {
            "choices": [
                {"message": {"content": "a"}, "logprobs": {"content": [{"token": "a", "logprob": None}]}}
            ]
        },
        {"choices": [{"message": {"content": "a"}, "logprobs": []}]},
        {"choices": None},
        {"choices": []},
    ],
)
def test_what_another_server_spoils_is_a_generator_error(spoilt: dict[str, Any]) -> None:
    """After which the article's own words speak; anything else would end the shopper's turn."""
    good = {
        "choices": [{"message": {"content": "a"}, "logprobs": {"content": []}}],
        "usage": {"prompt_tokens": None},
    }
    assert 0 == parse_completions(good, "http://other")[0].prompt_tokens
    with pytest.raises(GeneratorError, match="http://other"):
        parse_completions(good | spoilt, "http://other")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": "the model does not support the score API"}),
        (200, {"object": "error", "message": "the model does not support the score API"}),
        (200, {"id": "rerank-1", "results": [{"index": 0, "relevance_score": 7.3}]}),  # on a scale of its own
    ],
)
async def test_another_servers_reranker_is_none(
    aiohttp_client: Any, status: int, body: dict[str, Any]
) -> None:
    async def rerank(request: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_post("/v1/rerank", rerank)
    client = await aiohttp_client(app)
    async with GeneratorClient(str(client.make_url("/"))) as generator:
        with pytest.raises(NoReranker):
            await generator.rerank("tea", ["tea"])


async def test_a_prompt_that_is_refused_does_not_end_the_drafts_of_others(
    aiohttp_client: Any, tiny: Loaded
) -> None:
    server = await serve(aiohttp_client, tiny)
    good, long = build_messages("hi", [], language="en"), [{"role": "user", "content": "x" * 100_000}]
    async with GeneratorClient(str(server.make_url(""))) as client:
        with pytest.raises(GeneratorError):
            await client.drafts(long, max_tokens=4, count=3)  # type: ignore[arg-type]
        assert 3 == len(await client.drafts(good, max_tokens=4, count=3))


async def test_an_unreachable_generator_is_a_generator_error() -> None:
    async with GeneratorClient("http://127.0.0.1:9", timeout=2) as client:
        with pytest.raises(GeneratorError, match="cannot be reached"):
            await client.complete(build_messages("hi", [], language="en"))


def test_the_server_needs_none_of_kefus_other_packages() -> None:
    """It starts in an environment that has only torch, transformers, aiohttp and numpy."""
    code = (
        "import sys\n"
        "class No:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'pydantic','yaml','structlog','sqlalchemy','rasa','rasa_sdk','typer','bm25s','scipy','sklearn'}:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, No())\n"
        "import bot.generator.server, bot.generator.engine, bot.generator.model\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr


class Reads:
    """A reranker that likes documents with the query in them."""

    def score(
        self, question: str, documents: Sequence[str], left: threading.Event | None = None
    ) -> list[float]:
        return [2.0 if question in d else -3.0 for d in documents]


class Breaks:
    """A reranker with a fault."""

    def score(
        self, question: str, documents: Sequence[str], left: threading.Event | None = None
    ) -> list[float]:
        raise ZeroDivisionError


class Ponders:
    """A reranker that reads one document as long as nobody says go, and stops between documents when the caller left."""

    def __init__(self) -> None:
        self.go, self.read = threading.Event(), 0

    def score(
        self, question: str, documents: Sequence[str], left: threading.Event | None = None
    ) -> list[float]:
        for _ in documents:
            if left is not None and left.is_set():
                raise GeneratorError("Nobody waits.")
            self.read += 1
            self.go.wait(30)
        return [0.0] * len(documents)


async def test_sections_are_ranked_best_first_and_come_back_as_log_odds(
    aiohttp_client: Any, tiny: Loaded
) -> None:
    client = await serve(aiohttp_client, tiny, Reads())
    resp = await client.post(
        "/v1/rerank", json={"query": "tea", "documents": ["coffee", {"text": "tea"}], "top_n": 1}
    )
    body = await resp.json()
    async with GeneratorClient(str(client.make_url("/"))) as generator:
        scores = await generator.rerank("tea", ["coffee", "green tea"])

    assert 200 == resp.status
    assert [1] == [r["index"] for r in body["results"]]
    assert 0.88 < body["results"][0]["relevance_score"] < 0.89
    assert pytest.approx([-3.0, 2.0]) == scores


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"query": " "}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": [7]}, "document"),
        ({"documents": ["x"] * 33}, "documents"),
        ({"top_n": 0}, "top_n"),
        ({"top_n": 1.5}, "top_n must be a whole number"),
        ({"query": "\ud800"}, "\\ud800"),
        ({"documents": ["\ud800"]}, "\\ud800"),
        ({"qurey": "x"}, "qurey"),
    ],
)
async def test_a_wrong_rerank_request_is_named(
    aiohttp_client: Any, tiny: Loaded, change: dict[str, Any], word: str
) -> None:
    client = await serve(aiohttp_client, tiny, Reads())
    resp = await client.post("/v1/rerank", json={"query": "tea", "documents": ["tea"]} | change)

    assert 400 == resp.status
    assert word in (await resp.json())["error"]["message"]


async def test_without_a_reranker_the_client_hears_why(aiohttp_client: Any, tiny: Loaded) -> None:
    client = await serve(aiohttp_client, tiny)
    async with GeneratorClient(str(client.make_url("/"))) as generator:
        with pytest.raises(NoReranker, match="no reranker"):
            await generator.rerank("tea", ["tea"])
