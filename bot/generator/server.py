"""The generator's program: a subset of the OpenAI chat-completions API with mandatory log-probabilities.

    POST /v1/chat/completions   messages, max_tokens, temperature, top_p, seed, stop, n
    POST /v1/rerank             query, documents: does a section answer a question (the format of Jina, Cohere, vLLM)
    GET  /v1/models  /health  /metrics

One model per process; the reranker is a second adapter on its lower layers. Full means 429 with Retry-After; a caller who leaves takes the reply out of the
batch. Needs torch, transformers, aiohttp and numpy only, so that it can run in an environment of its own:
``python -m bot.generator.server --help``. It has no tools, reads no database and knows no shopper.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import math
import os
import signal
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from bot.exceptions import GeneratorError
from bot.generator.engine import BatchEngine, Engine, Job, Sampling
from bot.generator.model import Loaded, load
from bot.generator.prompt import RERANK_ID, render
from bot.generator.reranker import Reranker, load_reranker

log = logging.getLogger("kefu.generator")
MAX_BODY = 256 * 1024  # bytes
KNOWN = frozenset(
    [
        "model",
        "messages",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "n",
        "seed",
        "stop",
        "logprobs",
        "top_logprobs",
        "stream",
        "user",
        "presence_penalty",
        "frequency_penalty",
    ]
)


RERANK = frozenset(["model", "query", "documents", "top_n", "return_documents", "user"])
MAX_DOCUMENTS = 32
MAX_CHOICES = 8


@dataclass(frozen=True)
class Limits:
    """What the server accepts."""

    concurrency: int = 4
    queue: int = 16  # requests that may wait beyond those being answered
    timeout: float = 20.0  # seconds for one reply
    max_tokens: int = 256
    max_prompt_tokens: int = 2048


@dataclass
class Counters:
    """What /metrics shows."""

    requests: dict[str, int] = field(default_factory=dict)  # by outcome
    prompt_tokens: int = 0
    reply_tokens: int = 0
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=512))
    first: deque[float] = field(default_factory=lambda: deque(maxlen=512))

    def count(self, outcome: str) -> None:
        self.requests[outcome] = self.requests.get(outcome, 0) + 1


class _Refused(Exception):
    """A request we do not answer: status, OpenAI's error type and a message for its author."""

    def __init__(self, status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.headers = status, kind, headers or {}


Loader = Callable[[], tuple[Loaded, Engine, Reranker | None]]


def make_app(loader: Loader, limits: Limits) -> web.Application:
    """The program around one model, which is loaded while the program already listens.

    Until then /health says "loading" and completions are told to come back: whoever asks goes on without
    a generator. A model that cannot be loaded ends the program.
    """
    app = web.Application(client_max_size=MAX_BODY, middlewares=[_errors])
    server = _Server(limits)
    app.add_routes(
        [
            web.post("/v1/chat/completions", server.complete),
            web.post("/v1/rerank", server.rerank),
            web.get("/v1/models", server.models),
            web.get("/health", server.health),
            web.get("/metrics", server.metrics),
        ]
    )

    async def run_model(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(server.load(loader))
        yield
        task.cancel()
        if server.engine is not None:
            await asyncio.to_thread(server.engine.close)

    app.cleanup_ctx.append(run_model)
    return app


@web.middleware
async def _errors(request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
        return response
    except _Refused as exc:
        body = {"error": {"message": str(exc), "type": exc.kind, "code": exc.status}}
        return web.json_response(body, status=exc.status, headers=exc.headers)
    except web.HTTPException as exc:
        body = {"error": {"message": exc.reason, "type": "invalid_request_error", "code": exc.status}}
        allowed = {"Allow": exc.headers["Allow"]} if "Allow" in exc.headers else {}
        return web.json_response(body, status=exc.status, headers=allowed)
    except ConnectionError:  # the caller left while the reply was being written: nobody reads another
        raise
    except Exception:  # a fault of ours; clients of this API read errors in this form only
        log.exception("%s %s failed", request.method, request.path)
        message = "The generator failed on this request; its log says why."
        return web.json_response(
            {"error": {"message": message, "type": "server_error", "code": 500}}, status=500
        )


class _Server:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.loaded: Loaded | None = None
        self.engine: Engine | None = None
        self.reranker: Reranker | None = None
        self._counters = Counters()
        self._inside = 0
        self._started = int(time.time())

    async def load(self, loader: Loader) -> None:
        """Load in a thread of its own. The program ends when that fails: a generator without a model is none."""
        try:
            loaded, engine, reranker = await asyncio.to_thread(loader)
        except asyncio.CancelledError:
            raise
        except Exception as exc:  # whatever it was, it goes to the log and the supervisor sees the exit
            print(
                f"kefu generator: {exc if isinstance(exc, GeneratorError) else repr(exc)}",
                file=sys.stderr,
                flush=True,
            )
            os.kill(os.getpid(), signal.SIGTERM)
            return
        self.loaded, self.engine, self.reranker = loaded, engine, reranker
        kind = str(getattr(loaded.model, "dtype", "")).removeprefix("torch.")
        print(f"kefu generator: ready, {loaded.name} on {loaded.device} ({kind})", flush=True)

    def ready(self) -> tuple[Loaded, Engine]:
        """The model and its engine.

        Raises:
            _Refused: they are still being loaded.
        """
        if self.loaded is None or self.engine is None:
            raise _Refused(503, "server_error", "The model is still being loaded.", {"Retry-After": "10"})
        return self.loaded, self.engine

    async def models(self, _: web.Request) -> web.Response:
        card = {"id": self.ready()[0].name, "object": "model", "created": self._started, "owned_by": "kefu"}
        return web.json_response({"object": "list", "data": [card]})

    async def health(self, _: web.Request) -> web.Response:
        if self.loaded is None or self.engine is None:
            return web.json_response({"status": "loading"})
        return web.json_response(
            {"status": "ok", "model": self.loaded.name, "adapter": self.loaded.adapter, "device": self.loaded.device,
             "active": self.engine.active, "waiting": self.engine.waiting, "reranker": self.reranker is not None}
        )  # fmt: skip

    async def metrics(self, _: web.Request) -> web.Response:
        """Prometheus text format, written by hand: this program has few dependencies."""
        c = self._counters
        lines = ["# TYPE kefu_generator_requests_total counter"]
        lines += [
            f'kefu_generator_requests_total{{outcome="{k}"}} {v}' for k, v in sorted(c.requests.items())
        ]
        for name, kind, value in (
            ("prompt_tokens_total", "counter", c.prompt_tokens),
            ("reply_tokens_total", "counter", c.reply_tokens),
            ("active", "gauge", self.engine.active if self.engine else 0),
            ("waiting", "gauge", self.engine.waiting if self.engine else 0),
        ):
            lines += [f"# TYPE kefu_generator_{name} {kind}", f"kefu_generator_{name} {value}"]
        for name, values in (("reply_seconds", c.seconds), ("first_token_seconds", c.first)):
            ordered = sorted(values)
            lines.append(f"# TYPE kefu_generator_{name} summary")
            for q in (0.5, 0.95):
                if ordered:
                    at = ordered[min(len(ordered) - 1, int(q * len(ordered)))]
                    lines.append(f'kefu_generator_{name}{{quantile="{q}"}} {at:.4f}')
        return web.Response(text="\n".join(lines) + "\n", content_type="text/plain")

    async def complete(self, request: web.Request) -> web.StreamResponse:
        try:
            response = await self._complete(request)
        except _Refused as exc:
            self._counters.count("busy" if exc.status == 429 else "refused" if exc.status < 500 else "failed")
            raise
        except asyncio.CancelledError:
            self._counters.count("left")
            raise
        self._counters.count("answered")
        return response

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        loaded, engine = self.ready()
        body = _known(await _read(request), KNOWN)
        sampling = self._sampling(body)
        count = _whole(body, "n", 1, MAX_CHOICES, 1)
        if engine.greedy and (sampling.temperature > 0 or count > 1):
            raise _Refused(400, "invalid_request_error", "On CUDA temperature must be 0 and n must be 1.")
        ids = self._prompt(body, loaded)
        stream = body.get("stream", False)
        self._enter()
        began = time.perf_counter()
        try:
            jobs = await asyncio.wait_for(engine.generate_many(ids, sampling, count), self._limits.timeout)
        except TimeoutError:
            raise _Refused(
                504, "timeout", f"The reply was not finished within {self._limits.timeout:g} s."
            ) from None
        except GeneratorError as exc:
            raise _Refused(503, "server_error", str(exc)) from exc
        finally:
            self._inside -= 1
        self._counters.seconds.append(time.perf_counter() - began)
        self._counters.first.append(jobs[0].first)
        self._counters.prompt_tokens += len(ids)
        self._counters.reply_tokens += sum(len(job.tokens) for job in jobs)
        payload = self._payload(jobs, len(ids), loaded.name)
        return await _stream(request, payload) if stream else web.json_response(payload)

    def _enter(self) -> None:
        """Take a place, to be given back by the caller.

        Raises:
            _Refused: all are taken (429).
        """
        if self._inside >= self._limits.concurrency + self._limits.queue:
            wait = max(
                1,
                round(_median(self._counters.seconds) * (1 + self._limits.queue / self._limits.concurrency)),
            )
            raise _Refused(
                429, "rate_limit_error", f"All {self._inside} places are taken; try again in {wait} s.",
                {"Retry-After": str(wait)},
            )  # fmt: skip
        self._inside += 1

    async def rerank(self, request: web.Request) -> web.Response:
        """Relevance of every document to the query, best first; 404 without a reranker."""
        self.ready()
        if self.reranker is None:
            raise _Refused(404, "not_found_error", "This generator has no reranker (generator.reranker).")
        body = _known(await _read(request), RERANK)
        query, documents = body.get("query"), body.get("documents")
        if not isinstance(query, str) or not query.strip():
            raise _Refused(400, "invalid_request_error", "query must be a text.")
        if not isinstance(documents, list) or not 1 <= len(documents) <= MAX_DOCUMENTS:
            raise _Refused(400, "invalid_request_error", f"documents must be 1 to {MAX_DOCUMENTS} texts.")
        texts = [d.get("text") if isinstance(d, dict) else d for d in documents]
        if any(not isinstance(t, str) for t in texts):
            raise _Refused(400, "invalid_request_error", 'A document must be a text or {"text": ...}.')
        top = _whole(body, "top_n", 1, MAX_DOCUMENTS, MAX_DOCUMENTS)
        self._enter()
        left = threading.Event()
        work = asyncio.ensure_future(
            asyncio.to_thread(self.reranker.score, query, [str(t) for t in texts], left)
        )
        work.add_done_callback(self._judged)
        try:
            scores = await asyncio.wait_for(asyncio.shield(work), self._limits.timeout)
        except TimeoutError:
            raise _Refused(504, "timeout", f"Not judged within {self._limits.timeout:g} s.") from None
        except GeneratorError as exc:
            raise _Refused(503, "server_error", str(exc)) from exc
        finally:
            left.set()
        ranked = sorted(enumerate(scores), key=lambda item: -item[1])[:top]
        results = [
            {"index": n, "relevance_score": 1 / (1 + math.exp(-score))}
            | ({"document": {"text": texts[n]}} if body.get("return_documents") else {})
            for n, score in ranked
        ]
        return web.json_response(
            {"id": f"{RERANK_ID}{uuid.uuid4().hex}", "model": self.ready()[0].name, "results": results}
        )

    def _judged(self, work: asyncio.Future[list[float]]) -> None:
        """A thread cannot be stopped: its place is free when it has ended, which it does at the next section."""
        self._inside -= 1
        if not work.cancelled():
            work.exception()  # seen, though the caller may have left

    def _payload(self, jobs: list[Job], prompt_tokens: int, model: str) -> dict[str, Any]:
        made = sum(len(job.tokens) for job in jobs)
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [_choice(n, job) for n, job in enumerate(jobs)],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": made,
                "total_tokens": prompt_tokens + made,
            },
        }

    def _prompt(self, body: dict[str, Any], loaded: Loaded) -> list[int]:
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise _Refused(400, "invalid_request_error", "messages must be a list of at least one message.")
        for n, message in enumerate(messages):
            if not isinstance(message, dict) or message.get("role") not in ("system", "user", "assistant"):
                raise _Refused(
                    400, "invalid_request_error", f"messages[{n}].role must be system, user or assistant."
                )
            if not isinstance(message.get("content"), str):
                raise _Refused(400, "invalid_request_error", f"messages[{n}].content must be text.")
        tokenizer = loaded.tokenizer
        if loaded.adapter is None and getattr(tokenizer, "chat_template", None):
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        else:
            text = render(messages)
        ids = loaded.encode(text)
        if len(ids) > self._limits.max_prompt_tokens:
            raise _Refused(
                400, "context_length_exceeded",
                f"The prompt has {len(ids)} tokens; at most {self._limits.max_prompt_tokens} are taken.",
            )  # fmt: skip
        return ids

    def _sampling(self, body: dict[str, Any]) -> Sampling:
        if body.get("logprobs", True) is not True:
            raise _Refused(
                400, "invalid_request_error", "logprobs cannot be switched off here: decisions rest on them."
            )
        for name in ("presence_penalty", "frequency_penalty"):
            if body.get(name, 0) != 0:
                raise _Refused(400, "invalid_request_error", f"{name} is not supported.")
        most = self._limits.max_tokens
        length = "max_tokens" if "max_tokens" in body else "max_completion_tokens"
        return Sampling(
            max_tokens=_whole(body, length, 1, most, min(96, most)),
            temperature=_number(body, "temperature", 0, 2, 0.0),
            top_p=_number(body, "top_p", 0.01, 1, 1.0),
            seed=_whole(body, "seed", 0, 2**31, 0) if "seed" in body else None,
            stop=_stop(body),
            top_logprobs=_whole(body, "top_logprobs", 0, 5, 0),
        )


def _stop(body: dict[str, Any]) -> tuple[str, ...]:
    """What ends a reply: one text or a list of them; the empty text ends nothing."""
    given = body.get("stop", "")
    if given == "":
        return ()
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or len(texts) > 8 or not all(isinstance(s, str) and s for s in texts):
        raise _Refused(400, "invalid_request_error", "stop must be a text or a list of up to 8 texts.")
    return tuple(texts)


def _choice(index: int, job: Job) -> dict[str, Any]:
    content = [
        {"token": t.text, "logprob": t.logprob, "bytes": list(t.text.encode()),
         "top_logprobs": [{"token": s, "logprob": p, "bytes": list(s.encode())} for s, p in t.top]}
        for t in job.tokens
    ]  # fmt: skip
    message = {"role": "assistant", "content": job.text.strip()}
    return {"index": index, "message": message, "logprobs": {"content": content}, "finish_reason": job.finish}


def _number(body: dict[str, Any], name: str, low: float, high: float, default: float) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise _Refused(400, "invalid_request_error", f"{name} must be a number from {low:g} to {high:g}.")
    return float(value)


def _whole(body: dict[str, Any], name: str, low: int, high: int, default: int) -> int:
    """A number without a fraction: 2.0 is one, as in JSON Schema, and 2.5 is not rounded in silence."""
    value = _number(body, name, low, high, default)
    if not value.is_integer():
        raise _Refused(400, "invalid_request_error", f"{name} must be a whole number from {low} to {high}.")
    return int(value)


def _known(body: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """The fields that are set: null means the same as no such field, as OpenAI's contract has it.

    Raises:
        _Refused: a field is none of these, whatever its value.
    """
    unknown = sorted(set(body) - names)
    if unknown:
        raise _Refused(400, "invalid_request_error", f"Unknown field '{unknown[0]}'.")
    return {name: value for name, value in body.items() if value is not None}


def _median(values: deque[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 2.0


async def _read(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
        json.dumps(body, ensure_ascii=False).encode()  # every text in it can be handed on
    except UnicodeEncodeError as exc:
        half = ascii(exc.object[exc.start])
        raise _Refused(
            400, "invalid_request_error", f"The body holds half of a character ({half}); send whole ones."
        ) from None
    except ValueError:
        raise _Refused(400, "invalid_request_error", "The body is not JSON.") from None
    except web.RequestPayloadError:
        raise _Refused(
            400, "invalid_request_error", "The body is cut off, or not packed as Content-Encoding says."
        ) from None
    except RecursionError:
        raise _Refused(400, "invalid_request_error", "The body is nested too deeply.") from None
    except LookupError:
        raise _Refused(
            400, "invalid_request_error", f"The charset '{request.charset}' is unknown; send UTF-8."
        ) from None
    if not isinstance(body, dict):
        raise _Refused(400, "invalid_request_error", "The body must be a JSON object.")
    return body


async def _stream(request: web.Request, payload: dict[str, Any]) -> web.StreamResponse:
    """The whole reply as one event: nothing may be shown before it is checked, so nothing is gained by more."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    deltas = [
        {"delta" if key == "message" else key: value for key, value in choice.items()}
        for choice in payload["choices"]
    ]
    chunk = payload | {"object": "chat.completion.chunk", "choices": deltas}
    await response.write(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\ndata: [DONE]\n\n".encode())
    await response.write_eof()
    return response


def make_engine(loaded: Loaded, concurrency: int) -> Engine:
    """The engine that suits the device: continuous batching of transformers on CUDA, our own on a CPU."""
    if loaded.device == "cuda":
        from bot.generator.cuda import CudaEngine

        return CudaEngine(loaded, concurrency=concurrency)
    return BatchEngine(loaded, concurrency=concurrency)


def run(
    *,
    host: str,
    port: int,
    model: str | None,
    adapter: str | None,
    reranker: str | None,
    cache: Path,
    device: str,
    dtype: str,
    threads: int | None,
    limits: Limits,
) -> None:
    """Listen, load the model, serve until a signal."""

    def loader() -> tuple[Loaded, Engine, Reranker | None]:
        import torch

        if threads:
            torch.set_num_threads(threads)
        loaded = load(model, cache=cache, adapter=adapter, device=device, dtype=dtype)
        judge = load_reranker(reranker, cache=cache, device=loaded.device)
        return loaded, make_engine(loaded, limits.concurrency), judge

    app = make_app(loader, limits)
    print(f"kefu generator: http://{host}:{port}, loading the model", flush=True)
    web.run_app(app, host=host, port=port, print=None, handler_cancellation=True, access_log=None)


def serve() -> None:
    """Run the generator alone."""
    from bot.settings import get_settings  # pydantic, which the bare environment has not

    settings = get_settings()
    section = settings.generator
    run(
        host=section.host,
        port=section.port,
        model=section.model,
        adapter=section.adapter,
        reranker=section.reranker,
        cache=settings.data_path("models", "x").parent,
        device=section.device,
        dtype=section.dtype,
        threads=section.threads,
        limits=Limits(
            section.concurrency,
            section.queue,
            section.timeout,
            max(section.max_tokens, 256),
            section.max_prompt_tokens,
        ),
    )


def main() -> None:
    """``python -m bot.generator.server``: the same program, for an environment without Kefu's other packages."""
    parser = argparse.ArgumentParser(
        description="Kefu's generator: OpenAI chat completions with log-probabilities."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--model", default=None, help="name or folder; default: the packaged Gemma 3 270M")
    parser.add_argument("--adapter", default=None, help='folder of a LoRA adapter, or "none"')
    parser.add_argument("--reranker", default=None, help='folder of a reranker, or "none"')
    parser.add_argument("--cache", type=Path, default=Path("var/models"))
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--dtype", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--queue", type=int, default=16)
    parser.add_argument("--timeout", type=float, default=20.0)
    args = parser.parse_args()
    run(
        host=args.host, port=args.port, model=args.model, adapter=args.adapter,
        reranker=args.reranker, cache=args.cache, device=args.device,
        dtype=args.dtype, threads=args.threads, limits=Limits(args.concurrency, args.queue, args.timeout),
    )  # fmt: skip


if __name__ == "__main__":
    main()
