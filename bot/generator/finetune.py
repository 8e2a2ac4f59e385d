"""`kefu finetune`: prepare, train, evaluate, deploy. A worse adapter is not deployed.

    kefu finetune prepare            the project's own dialogues (or --own FILE.jsonl) to var/finetune
    kefu finetune train              goes on where it was interrupted
    kefu finetune evaluate
    kefu finetune deploy             compares with the adapter in use on the held-out test part
    kefu finetune reranker           the second adapter, which reads whether a section answers a question

Experiments are tracked with MLflow when it is installed and MLFLOW_TRACKING_URI is set.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.exceptions import GeneratorError
from bot.generator.dialogues import Dialogue, make_dialogues, topic_names
from bot.generator.model import ADAPTER
from bot.generator.tracking import tracked
from bot.settings import Settings, get_settings

JUDGED_EVERY = 3  # sections of the held-out shops that two rerankers are compared on: minutes instead of a quarter of an hour

finetune = typer.Typer(help="Make a LoRA adapter from dialogues.", no_args_is_help=True, add_completion=False)


def held_out_topics() -> list[str]:
    """Topics that no training dialogue speaks of: every fifth, by name."""
    return [name for n, name in enumerate(sorted(topic_names())) if n % 5 == 2]


def _folder(settings: Settings) -> Path:
    return settings.data_path("finetune", "x").parent


@finetune.command("prepare")
def prepare_data(
    count: Annotated[
        int, typer.Option(help="Dialogues of drawn shops to make, beside the written ones.")
    ] = 600,
    own: Annotated[
        list[Path] | None, typer.Option(help="A shop's dialogues (JSONL); may be given more than once.")
    ] = None,
    only_own: Annotated[bool, typer.Option(help="Leave the synthetic dialogues out.")] = False,
    seed: int = 5000,
) -> None:
    """Build, clean, mask, check and split the data."""
    from bot.generator.prepare import prepare, read_dialogues, write_dialogues
    from bot.generator.shop_dialogues import shop_dialogues
    from bot.generator.shops import held_out, read_shop, shop_files

    held = set(held_out_topics())
    learned = [t for t in topic_names() if t not in held]
    dialogues: list[Dialogue] = []
    if not only_own:
        dialogues += make_dialogues(count, seed=seed, topics=learned)
        for path in shop_files():
            dialogues += [] if held_out(path) else shop_dialogues(read_shop(path), seed=seed)
    for path in own or []:
        dialogues += read_dialogues(path)
    done = prepare(dialogues)
    folder = _folder(get_settings())
    for name, part in (("train", done.train), ("tune", done.tune), ("test", done.test)):
        write_dialogues(folder / f"{name}.jsonl", part)
        typer.echo(f"{name:6s} {len(part):6d}  {folder / f'{name}.jsonl'}")
    if not only_own:  # topics and shops nobody trained on
        unseen = make_dialogues(240, seed=seed + 90_000, topics=sorted(held))
        strangers = [path for path in shop_files() if held_out(path)]
        for path in strangers:
            unseen += shop_dialogues(read_shop(path), seed=seed)
        kept = prepare(unseen, tune=0, test=0).train
        write_dialogues(folder / "unseen.jsonl", kept)
        typer.echo(f"unseen {len(kept):6d}  topics held out: {', '.join(sorted(held))}")
        typer.echo(f"               shops held out: {', '.join(path.stem for path in strangers)}")
    for reason, n in sorted(done.dropped.items()):
        typer.echo(f"dropped {n}: {reason}")


@finetune.command()
def train(
    out: Annotated[Path | None, typer.Option(help="Folder of the new adapter.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many dialogues.")] = None,
    epochs: int = 2,
    rank: int = 16,
    learning_rate: float = 4e-4,
    batch: Annotated[int, typer.Option(help="Answers of one step.")] = 16,
    threads: Annotated[int | None, typer.Option(help="CPU threads of torch.")] = None,
) -> None:
    """Train; started again with the same settings it goes on from the last checkpoint."""
    import torch

    from bot.generator.prepare import read_dialogues
    from bot.generator.training import TrainingPlan, train_adapter

    settings = get_settings()
    if threads:
        torch.set_num_threads(threads)
    folder = _folder(settings)
    if not (folder / "train.jsonl").exists():
        raise GeneratorError(f"{folder / 'train.jsonl'} is missing. Run `kefu finetune prepare` first.")
    sets = [list(s) for _, s in groupby(read_dialogues(folder / "train.jsonl"), lambda d: d.evidence)]
    random.Random(1).shuffle(sets)
    dialogues = [dialogue for same in sets for dialogue in same]
    plan = TrainingPlan(rank=rank, epochs=epochs, learning_rate=learning_rate, batch=batch)
    target = out or folder / "adapter"

    dialogues = dialogues[:limit]
    base = settings.generator.model or "gemma-3-270m"
    with tracked("adapter", asdict(plan) | {"weights": base, "dialogues": len(dialogues)}) as log:

        def progress(step: int, total: int, loss: float, seconds: float) -> None:
            if step % 5 == 0 or step == total:
                _say_progress(step, total, loss, seconds)
            log({"loss": loss}, step)

        train_adapter(
            dialogues, target, plan=plan, weights=settings.generator.model, every=25,
            cache=settings.data_path("models", "x").parent, device=settings.generator.device, dtype=settings.generator.dtype,
            progress=progress,
        )  # fmt: skip
    typer.echo(f"adapter: {target}")


@finetune.command()
def evaluate(
    adapter: Annotated[
        Path | None, typer.Option(help="Folder of the adapter; default: the one just trained.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Dialogues; default: test and unseen parts.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many dialogues.")] = 100,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure an adapter on dialogues it was not trained on."""
    settings = get_settings()
    found = measure_files(settings, adapter or _folder(settings) / "adapter", data, limit)
    typer.echo(json.dumps(found, ensure_ascii=False) if as_json else _table(found))


@finetune.command()
def deploy(
    adapter: Annotated[Path | None, typer.Option(help="Folder of the new adapter.")] = None,
    to: Annotated[
        Path | None,
        typer.Option(help="Where the adapter in use lies; default: generator.adapter, or Kefu's own."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Dialogues to compare on.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many dialogues.")] = 100,
) -> None:
    """Put a new adapter into use, unless it is worse than the one in use."""
    settings = get_settings()
    new = adapter or _folder(settings) / "adapter"
    in_use = _adapter_in_use(settings)
    current = to or in_use
    if current is None:
        raise GeneratorError(
            f"generator.model is {settings.generator.model} and generator.adapter names no adapter of it; the packaged one "
            "is for the packaged weights only. Give --to FOLDER, or set generator.adapter to a folder."
        )
    mine = measure_files(settings, new, data, limit)
    theirs = (
        measure_files(settings, current, data, limit)
        if (current / "adapter_model.safetensors").exists()
        else None
    )
    typer.echo("new\n" + _table(mine) + ("\nin use\n" + _table(theirs) if theirs else ""))
    refusal = worse(mine, theirs)
    if refusal:
        raise GeneratorError(f"Not deployed: {refusal}")
    install(new, current)
    elsewhere = in_use is None or in_use.resolve() != current.resolve()
    typer.echo(
        f"deployed to {current}."
        + (" Set generator.adapter to that folder, and it is used." if elsewhere else "")
        + " Every certificate is void with it: run `kefu calibrate`."
    )


def _adapter_in_use(settings: Settings) -> Path | None:
    """Where the adapter lies that these settings put on their weights; the packaged one is for the packaged weights only."""
    named = settings.generator.adapter
    if named not in (None, "none"):
        return Path(str(named))
    return ADAPTER if settings.generator.model is None else None


@finetune.command()
def reranker(
    out: Annotated[Path | None, typer.Option(help="Folder of the new reranker.")] = None,
    own: Annotated[
        list[Path] | None, typer.Option(help="A shop with questions (YAML, as in bot/generator/shops).")
    ] = None,
    only_own: Annotated[bool, typer.Option(help="Leave the invented shops out.")] = False,
    start: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a reranker to learn on from (bot/generator/reranker); the mean of both is kept."
        ),
    ] = None,
    epochs: int = 3,
    share: Annotated[
        float,
        typer.Option(min=0.05, max=1.0, help="Share of the questions of each section that is learned from."),
    ] = 1.0,
    threads: Annotated[int | None, typer.Option(help="CPU threads of torch.")] = None,
) -> None:
    """Train the reranker and compare it with the one in use on shops neither learned from.

    Started again with the same data it goes on from the last checkpoint. A worse one ends in an error. The log-odds of one that
    is not are brought to the scale of the one in use.
    """
    import torch

    from bot.generator.reranker import ReadingPlan, load_reranker
    from bot.generator.reranker_training import align_head, read_pairs, train_reranker
    from bot.generator.shops import held_out, read_shop, shop_files
    from bot.generator.trunks import lessons_of, trunks_of

    settings = get_settings()
    if threads:
        torch.set_num_threads(threads)
    learned = [] if only_own else [read_shop(p) for p in shop_files() if not held_out(p)]
    learned += [read_shop(p) for p in own or []]
    trunks = [trunk for shop in learned for trunk in lessons_of(shop, share)]
    target = out or settings.data_path("finetune", "reranker", "x").parent
    models = settings.data_path("models", "x").parent

    typer.echo(f"{len(learned)} shops, {len(trunks)} sections, {sum(len(t.questions) for t in trunks)} pairs")
    plan = ReadingPlan(epochs=epochs, learning_rate=2e-4) if start else ReadingPlan(epochs=epochs)
    read = {}
    with tracked("reranker", asdict(plan) | {"shops": len(learned), "sections": len(trunks)}) as log:

        def progress(step: int, total: int, loss: float, seconds: float) -> None:
            if step % 10 == 0 or step == total:
                _say_progress(step, total, loss, seconds)
            log({"loss": loss}, step)

        train_reranker(trunks, target, plan=plan, start_from=start, cache=models, progress=progress)
        unseen = [t for p in shop_files() if held_out(p) for t in trunks_of(read_shop(p))[::JUDGED_EVERY]]
        for name, folder in (("new", str(target)), ("in use", settings.generator.reranker)):
            reader = load_reranker(folder, cache=models)
            if reader is not None:
                read[name] = read_pairs(reader, unseen)
                typer.echo(f"{name}\n{_table(read[name].figures)}")
        log(figures_of(read["new"].figures), 0)
    if "in use" in read:
        if read["new"].figures["auroc"] < read["in use"].figures["auroc"] - 0.005:
            raise GeneratorError("The new reranker reads worse than the one in use. Keep the one in use.")
        scale, shift = align_head(target, read["new"], read["in use"])
        typer.echo(
            f"its log-odds times {scale:.3f} plus {shift:.3f} mean what those of the one in use do, and are that now"
        )
    typer.echo(
        f"Use it with generator.reranker: {target}. Then fit the confidence model again "
        "(scripts/fit_confidence.py) and run `kefu calibrate`: every certificate is void."
    )


def worse(new: dict[str, Any], old: dict[str, Any] | None) -> str | None:
    """Why a new adapter must not replace the old one; None when it may.

    Both answered the same dialogues (`rights`, one truth value each), so only those count where one was right and the
    other was not: the new one must not lose more of them than chance explains, which is one standard error (after
    McNemar 1947). It must break the value checks no more often, either.
    """
    if old is None:
        return None
    pairs = list(zip(new["rights"], old["rights"], strict=True))
    lost, won = sum(b and not a for a, b in pairs), sum(a and not b for a, b in pairs)
    n, slack = max(1, len(pairs)), (lost + won) ** 0.5
    if lost - won > slack:
        return (
            f"it is right in {new['accuracy']:.1%} of {n} dialogues, the one in use in {old['accuracy']:.1%}."
        )
    if new["checks_failed"] > old["checks_failed"] + (slack + 1) / n:
        return f"{new['checks_failed']:.1%} of its replies fail a check, {old['checks_failed']:.1%} of those of the one in use."
    return None


def install(new: Path, target: Path) -> None:
    """Copy an adapter's files; the weights last, so that a half-copied adapter is never loaded as a new one.

    Raises:
        GeneratorError: it is no adapter.
    """
    if not (new / "adapter_model.safetensors").exists():
        raise GeneratorError(f"{new} holds no adapter. Run `kefu finetune train` first.")
    target.mkdir(parents=True, exist_ok=True)
    for name in ("training.json", "adapter_config.json", "adapter_model.safetensors"):
        if (new / name).exists() and new.resolve() != target.resolve():
            shutil.copyfile(new / name, target / f"{name}.part")
            (target / f"{name}.part").replace(target / name)


def measure_files(settings: Settings, adapter: Path, data: Path | None, limit: int) -> dict[str, Any]:
    """`measure` on files of dialogues.

    Raises:
        GeneratorError: there is no adapter, or no dialogue to measure it on.
    """
    from bot.generator.local import LocalGenerator
    from bot.generator.prepare import read_dialogues

    if not (adapter / "adapter_model.safetensors").exists():
        raise GeneratorError(f"{adapter} holds no adapter. Run `kefu finetune train` first.")
    folder = _folder(settings)
    first, unseen = data or folder / "test.jsonl", folder / "unseen.jsonl"
    dialogues = read_dialogues(first) if data or first.exists() else []
    if not dialogues:
        raise GeneratorError(
            f"{first}: there is no dialogue in it to measure on. `kefu finetune prepare` writes the test part, about a "
            "tenth of the conversations: give it more of them, or name a file with --data."
        )
    if data is None and unseen.exists():
        dialogues += read_dialogues(unseen)
    random.Random(3).shuffle(dialogues)
    generator = LocalGenerator(settings, adapter=str(adapter))
    try:
        found = asyncio.run(measure(generator, dialogues[:limit]))
    finally:
        generator.close()
    with tracked("evaluation", {"adapter": adapter, "dialogues": found["count"]}) as log:
        log(figures_of(found), 0)
    return found


async def measure(generator: Any, dialogues: Sequence[Dialogue]) -> dict[str, Any]:
    """Right answers, failed checks, length and speed of a generator on dialogues."""
    from bot.generator.checks import run_checks
    from bot.generator.correctness import holds_gold
    from bot.generator.prompt import build_messages

    async def one(d: Dialogue) -> tuple[bool, bool, int, float, float]:
        began = time.perf_counter()
        messages = build_messages(d.question, d.evidence, language=d.language, history=d.history)
        done = await generator.complete(messages, max_tokens=96)
        checks = run_checks(done.text, d.evidence, question=d.question, language=d.language)
        logprob = statistics.fmean(t.logprob for t in done.tokens) if done.tokens else -9.0
        right = holds_gold(done.text, d.gold or (d.answer,))
        return right, not all(c.ok for c in checks), len(done.tokens), logprob, time.perf_counter() - began

    began = time.perf_counter()
    rows = await asyncio.gather(*(one(d) for d in dialogues))
    seconds = time.perf_counter() - began
    return {
        "count": len(rows),
        "rights": [r[0] for r in rows],
        "accuracy": statistics.fmean(r[0] for r in rows),
        "checks_failed": statistics.fmean(r[1] for r in rows),
        "mean_tokens": statistics.fmean(r[2] for r in rows),
        "mean_logprob": statistics.fmean(r[3] for r in rows),
        "tokens_per_second": sum(r[2] for r in rows) / seconds,
    }


def figures_of(found: Mapping[str, Any]) -> dict[str, float]:
    """What can be compared and kept: the numbers."""
    return {k: float(v) for k, v in found.items() if isinstance(v, int | float)}


def _table(found: Mapping[str, Any]) -> str:
    return "\n".join(f"  {k:18s} {v:.4g}" for k, v in figures_of(found).items())


def _say_progress(step: int, total: int, loss: float, seconds: float) -> None:
    left = seconds / max(1, step) * (total - step)
    typer.echo(f"step {step}/{total} loss {loss:.4f} {seconds:.0f} s, about {left / 60:.0f} min left")
