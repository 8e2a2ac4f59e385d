"""Thousands of sampled replies through the checks: does a number that stands in no evidence get past them?

    python scripts/measure_replies.py [--replies 5000] [--temperature 1.0] [--out replies.jsonl]

Questions of the shops that no weight has seen (`bot.generator.shops.held_out`), half of them with the section that
answers, half with one that only sounds as if it did, where a model is tempted to invent. Sampling at a temperature
provokes what greedy decoding would hide. The judge knows nothing of `bot.generator.values`: every run of digits in
a reply, and every Chinese numeral before a unit, has to stand in the evidence or the question, character by character
or as the other way of writing the same whole number. What it objects to is printed to be read by a person.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from pathlib import Path

import torch

from bot.generator.answering import plain_reply
from bot.generator.checks import run_checks
from bot.generator.dialogues import Dialogue
from bot.generator.evidence import Evidence
from bot.generator.model import Loaded, load
from bot.generator.prompt import build_messages, render
from bot.generator.shop_dialogues import shop_dialogues
from bot.generator.shops import held_out, read_shop, shop_files
from bot.settings import get_settings

SAMPLES = 20  # replies to each question, from one reading of its evidence
TOKENS = 48
_DIGITS = re.compile(r"\d+(?:[.,:]\d+)*")
_HAN = re.compile(r"[零〇一二两三四五六七八九十百千万]+(?=[个天日元块折年月小分件次人周期秒倍张楼号点])")
_FIGURES = "零一二三四五六七八九"


def prompts(seed: int) -> list[Dialogue]:
    """Questions with evidence, answered and not, in an order fixed by the seed."""
    out: list[Dialogue] = []
    for path in filter(held_out, shop_files()):
        shop = read_shop(path)
        by_id = {c.id: c for c in shop.chunks}
        answered = list(shop_dialogues(shop, seed=seed))
        near = []
        for q in shop.questions:
            if q.kind == "near":
                chunk = by_id[q.evidence[0]]
                title = " - ".join(dict.fromkeys(chunk.heading_path))
                told = Evidence(chunk.id, chunk.text, title, "article", shop.language)
                near.append(Dialogue(q.id, shop.name, shop.language, q.question, (told,), "", kind="near"))
        count = min(len(answered), len(near))
        rng = random.Random(f"{seed}-{shop.name}")
        out += rng.sample(answered, count) + rng.sample(near, count)
    random.Random(seed).shuffle(out)
    return out


def unknown_numbers(reply: str, known: str) -> list[str]:
    """Numbers of the reply that stand nowhere in the known text."""
    numbers = set(_DIGITS.findall(known)) | {
        part for n in _DIGITS.findall(known) for part in re.split(r"[.,:]", n)
    }
    numbers |= {n.replace(",", "") for n in numbers}
    numbers |= {str(_FIGURES.find(n)) for n in _HAN.findall(known.replace("两", "二")) if n in _FIGURES}
    found = [n for n in _DIGITS.findall(reply) if n not in numbers and n.replace(",", "") not in numbers]
    known = known.replace("两", "二")
    for han in (n.replace("两", "二") for n in _HAN.findall(reply)):
        figure = str(_FIGURES.find(han)) if len(han) == 1 and han in _FIGURES else {"十": "10"}.get(han)
        if han not in known and figure not in numbers:
            found.append(han)
    return found


def replies(loaded: Loaded, text: str, temperature: float) -> list[str]:
    """Sampled replies to one prompt, all at once."""
    model = loaded.model
    with torch.inference_mode():
        done = model(
            input_ids=torch.tensor([loaded.encode(text)], device=loaded.device),
            use_cache=True,
            logits_to_keep=1,
        )
        cache = done.past_key_values
        cache.batch_repeat_interleave(SAMPLES)
        logits = done.logits[:, -1].repeat(SAMPLES, 1)
        rows: list[list[int]] = [[] for _ in range(SAMPLES)]
        going = list(range(SAMPLES))
        for _ in range(TOKENS):
            drawn = torch.multinomial((logits.float() / temperature).softmax(-1), 1)
            left = [i for i, token in enumerate(drawn[:, 0].tolist()) if token not in loaded.stop_ids]
            for i in left:
                rows[going[i]].append(int(drawn[i, 0]))
            if not left:
                break
            if len(left) < len(going):  # who has ended is read no further
                cache.batch_select_indices(torch.tensor(left, device=loaded.device))
            going = [going[i] for i in left]
            logits = model(input_ids=drawn[left], past_key_values=cache, use_cache=True).logits[:, -1]
    return [plain_reply(loaded.decode(row)) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replies", type=int, default=5000)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--adapter", help="default: the one in use")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="every reply with its checks, one JSON object a line")
    options = parser.parse_args()
    settings = get_settings()
    loaded = load(
        settings.generator.model, cache=settings.data_path("models", "x").parent, adapter=options.adapter
    )
    torch.manual_seed(options.seed)
    out = options.out.open("w", encoding="utf-8") if options.out else None
    said = vetoed = invented = passed_invented = by_values = 0
    began = time.monotonic()
    asked = prompts(options.seed)
    for n in range(-(-options.replies // SAMPLES)):
        d = asked[n % len(asked)]
        messages = build_messages(d.question, d.evidence, language=d.language, history=d.history)
        for reply in replies(loaded, render(messages), options.temperature):
            checks = run_checks(reply, d.evidence, question=d.question, language=d.language)
            known = " ".join([d.question, *(f"{e.title} {e.text}" for e in d.evidence)])
            strange = unknown_numbers(reply, known)
            ok = all(c.ok for c in checks)
            said += 1
            vetoed += not ok
            by_values += any(c.name == "values" and not c.ok for c in checks)
            invented += bool(strange)
            passed_invented += ok and bool(strange)
            if ok and strange:
                print(f"PASSED with {strange}: {d.question!r} -> {reply!r}", flush=True)
            if out:
                failed = [c.name for c in checks if not c.ok]
                line = {
                    "id": d.id,
                    "kind": d.kind,
                    "question": d.question,
                    "reply": reply,
                    "failed": failed,
                    "strange": strange,
                }
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
        if n % 10 == 9 or said >= options.replies:
            print(f"{said} replies, {vetoed} vetoed ({by_values} for a value), {invented} with a number of their own, "
              f"{passed_invented} of those past the checks; {time.monotonic() - began:.0f} s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
