"""`kefu bench generator`: tokens per second beside a plain `generate` on the same machine, in the same run.

The peer is what one writes first: the whole model, float32 on a CPU (bfloat16 on CUDA), one `generate`
call after the other. Ours answers the same prompts at the same time. Both make exactly as many tokens.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from typing import Any

from bot.generator.dialogues import make_dialogues
from bot.generator.engine import Sampling
from bot.generator.model import Loaded, load
from bot.generator.prompt import build_messages, render
from bot.generator.server import make_engine
from bot.settings import get_settings


def run(levels: list[int], tokens: int, as_json: bool) -> None:
    """Measure and print. Levels are numbers of simultaneous requests."""
    import torch

    settings = get_settings()
    section = settings.generator
    if section.threads:
        torch.set_num_threads(section.threads)
    cache = settings.data_path("models", "x").parent
    cuda = section.device == "cuda" or (section.device == "auto" and torch.cuda.is_available())
    levels = sorted(set(levels) or ({1, 8, 32, 64} if cuda else {1, 4}))
    prompts = [
        render(build_messages(d.question, d.evidence, language=d.language))
        for d in make_dialogues(max(levels), seed=1)[: max(levels)]
    ]
    plain = load(section.model, cache=cache, adapter=section.adapter, device=section.device,
                 dtype="bfloat16" if cuda else "float32", prune=False)  # fmt: skip
    peer = {n: _plain(plain, prompts[:n], tokens) for n in levels}
    del plain
    loaded = load(
        section.model, cache=cache, adapter=section.adapter, device=section.device, dtype=section.dtype
    )
    size = sum(p.numel() * p.element_size() for p in {id(p): p for p in loaded.model.parameters()}.values())
    bandwidth = _bandwidth(loaded.device)
    ours = {n: asyncio.run(_engine(loaded, prompts[:n], tokens)) for n in levels}
    rows: list[dict[str, Any]] = []
    for n in levels:
        steps = ours[n]["tokens_per_second"] / n
        rows.append(
            {"requests": n, "plain_tokens_per_second": round(peer[n]["tokens_per_second"], 1),
             "tokens_per_second": round(ours[n]["tokens_per_second"], 1),
             "ratio": round(ours[n]["tokens_per_second"] / peer[n]["tokens_per_second"], 2),
             "plain_first_token_seconds": round(peer[n]["first"], 3), "first_token_seconds": round(ours[n]["first"], 3),
             "share_of_bandwidth": round(steps * size / bandwidth, 3)}
        )  # fmt: skip
    found = {
        "device": loaded.device, "dtype": str(loaded.model.dtype), "threads": torch.get_num_threads(), "model": loaded.name,
        "weights_bytes": size, "bandwidth_bytes_per_second": round(bandwidth), "tokens_each": tokens, "levels": rows,
    }  # fmt: skip
    if as_json:
        print(json.dumps(found))
        return
    print(
        f"{loaded.name} on {loaded.device}, {found['dtype']}, {found['threads']} threads, {tokens} tokens each"
    )
    print(
        f"{'requests':>8} {'plain tok/s':>12} {'ours tok/s':>11} {'ratio':>6} {'first, plain':>13} {'first, ours':>12} {'of bandwidth':>13}"
    )
    for r in rows:
        print(
            f"{r['requests']:>8} {r['plain_tokens_per_second']:>12} {r['tokens_per_second']:>11} {r['ratio']:>6} "
            f"{r['plain_first_token_seconds']:>11} s {r['first_token_seconds']:>10} s {r['share_of_bandwidth']:>13.0%}"
        )


def _plain(loaded: Loaded, prompts: list[str], tokens: int) -> dict[str, float]:
    """One `generate` call after the other. The first token of the last caller waits for all before it."""
    import torch

    began = time.perf_counter()
    first = []
    made = 0
    for prompt in prompts:
        ids = torch.tensor([loaded.encode(prompt)], device=loaded.device)
        waited = time.perf_counter() - began
        with torch.inference_mode():
            t = time.perf_counter()
            loaded.model.generate(ids, max_new_tokens=1, do_sample=False, pad_token_id=0)
            first.append(waited + time.perf_counter() - t)
            probe = time.perf_counter() - t
            out = loaded.model.generate(
                ids, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, pad_token_id=0
            )
        made += out.shape[1] - ids.shape[1]
        began += probe  # the probe is ours, not the peer's
    seconds = time.perf_counter() - began
    return {"tokens": made, "tokens_per_second": made / seconds, "first": statistics.median(first)}


async def _engine(loaded: Loaded, prompts: list[str], tokens: int) -> dict[str, float]:
    engine = make_engine(loaded, len(prompts))
    engine.stop_ids = set()  # every reply is made as long as the peer's
    try:
        began = time.perf_counter()
        jobs = await asyncio.gather(
            *(engine.generate(loaded.encode(p), Sampling(max_tokens=tokens)) for p in prompts)
        )
        seconds = time.perf_counter() - began
    finally:
        await asyncio.to_thread(engine.close)
    made = sum(len(j.out) for j in jobs)
    return {
        "tokens": made,
        "tokens_per_second": made / seconds,
        "first": statistics.median(j.first for j in jobs),
    }


def _bandwidth(device: str) -> float:
    """Bytes per second that memory gives up to reading, from summing a large tensor."""
    import torch

    data = torch.ones(64 * 1024 * 1024, dtype=torch.float32, device=device)
    best = 0.0
    for _ in range(5):
        if device == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        float(data.sum())
        best = max(best, data.numel() * 4 / (time.perf_counter() - began))
    return best
