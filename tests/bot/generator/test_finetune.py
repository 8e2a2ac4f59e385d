"""`kefu finetune` from the first command to the last, with a model small enough for a test."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bot.generator import finetune as module
from bot.generator import local, training
from bot.generator.dialogues import Dialogue, make_dialogues
from bot.generator.finetune import finetune
from bot.generator.model import Loaded, merge_adapter
from bot.generator.shops import held_out, shop_files
from bot.generator.training import TrainingPlan, train_adapter, training_mark
from bot.settings import GeneratorSettings, Settings, get_settings
from tests.bot.generator.conftest import ByteTokenizer

PLAN = TrainingPlan(rank=2, alpha=4, batch=2, warmup=1, max_tokens=4000, learning_rate=1e-2)
run = CliRunner()


@pytest.fixture
def small(tiny: Loaded, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Loaded]:
    """`load` gives a fresh copy of the tiny model, with the adapter in it."""
    from transformers import Gemma3ForCausalLM

    def load(name: Any, *, adapter: str | None = None, **_: Any) -> Loaded:
        model = Gemma3ForCausalLM(tiny.model.config).eval()
        model.load_state_dict(tiny.model.state_dict())
        model.generation_config.eos_token_id = 1
        if adapter not in (None, "none"):
            merge_adapter(model, Path(str(adapter)))
        return replace(tiny, model=model, tokenizer=ByteTokenizer(), adapter=adapter)

    monkeypatch.setattr(training, "load", load)
    monkeypatch.setattr(local, "load", load)
    return load


@pytest.fixture(scope="module")
def dialogues() -> list[Dialogue]:
    return make_dialogues(12, seed=3)[:12]


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(str(folder / "adapter_model.safetensors")))


def test_training_that_was_interrupted_ends_like_one_that_was_not(
    small: Callable[..., Loaded], dialogues: list[Dialogue], tmp_path: Path
) -> None:
    def killed(step: int, *_: Any) -> None:
        if step == 4:
            raise KeyboardInterrupt

    losses: list[float] = []
    options: dict[str, Any] = {"plan": PLAN, "weights": None, "cache": tmp_path, "every": 3}
    train_adapter(dialogues, tmp_path / "whole", progress=lambda *found: losses.append(found[2]), **options)
    with pytest.raises(KeyboardInterrupt):
        train_adapter(dialogues, tmp_path / "part", progress=killed, **options)
    steps: list[int] = []
    train_adapter(dialogues, tmp_path / "part", progress=lambda *found: steps.append(found[0]), **options)

    assert [4, 5, 6] == steps, "goes on after the last checkpoint"
    assert losses[-1] < losses[0]
    whole, part = weights(tmp_path / "whole"), weights(tmp_path / "part")
    assert whole.keys() == part.keys()
    for name, tensor in whole.items():
        assert tensor.float().numpy() == pytest.approx(part[name].float().numpy(), abs=1e-2)


def test_a_checkpoint_of_other_data_is_refused(
    small: Callable[..., Loaded], dialogues: list[Dialogue], tmp_path: Path
) -> None:
    options: dict[str, Any] = {"plan": PLAN, "weights": None, "cache": tmp_path, "every": 1, "max_steps": 1}
    train_adapter(dialogues, tmp_path / "out", **options)
    with pytest.raises(module.GeneratorError, match="other data"):
        train_adapter(dialogues[:-1], tmp_path / "out", **options)


def test_a_checkpoint_is_marked_with_the_weights_and_their_type(tiny: Loaded) -> None:
    import torch

    def mark(model: Any) -> str:
        return training_mark(replace(tiny, model=model), PLAN)

    other = copy.deepcopy(tiny.model)
    with torch.no_grad():
        other.model.layers[1].mlp.up_proj.weight.mul_(1.01)
    half = copy.deepcopy(tiny.model).to(torch.bfloat16)
    fewer_words = copy.deepcopy(tiny.model)  # as on a CPU, where those of other languages are dropped
    fewer_words.resize_token_embeddings(200)

    assert mark(tiny.model) == mark(copy.deepcopy(tiny.model)) == mark(fewer_words)
    assert 3 == len({mark(tiny.model), mark(other), mark(half)})
    assert mark(tiny.model) != training_mark(tiny, replace(PLAN, seed=1))


def test_a_checkpoint_of_other_weights_is_refused(
    small: Callable[..., Loaded], dialogues: list[Dialogue], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def others(name: Any, **more: Any) -> Loaded:
        loaded = small(name, **more)
        with torch.no_grad():
            for weight in loaded.model.parameters():
                weight.mul_(0.9)
        return loaded

    options: dict[str, Any] = {"plan": PLAN, "cache": tmp_path, "every": 1, "max_steps": 1}
    train_adapter(dialogues[:4], tmp_path / "out", weights="a", **options)
    monkeypatch.setattr(training, "load", others)
    with pytest.raises(module.GeneratorError, match="other data, settings or weights"):
        train_adapter(dialogues[:4], tmp_path / "out", weights="b", **options)


@pytest.mark.parametrize("every", [1, 100])
def test_training_that_was_killed_before_its_adapter_was_written_writes_it(
    small: Callable[..., Loaded],
    dialogues: list[Dialogue],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    every: int,
) -> None:
    """Between the last checkpoint and the adapter: started again no step is left, and the adapter must be the last one."""
    save = training.save_adapter

    def killed(model: Any, out: Path, plan: Any, steps: int) -> None:
        if steps == 2:
            raise KeyboardInterrupt
        save(model, out, plan, steps)

    options: dict[str, Any] = {
        "plan": PLAN,
        "weights": None,
        "cache": tmp_path,
        "every": every,
        "max_steps": 2,
    }
    train_adapter(dialogues[:4], tmp_path / "whole", **options)
    monkeypatch.setattr(training, "save_adapter", killed)
    with pytest.raises(KeyboardInterrupt):
        train_adapter(dialogues[:4], tmp_path / "cut", **options)
    monkeypatch.setattr(training, "save_adapter", save)
    steps: list[int] = []
    train_adapter(dialogues[:4], tmp_path / "cut", progress=lambda *found: steps.append(found[0]), **options)

    assert [] == steps
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert whole.keys() == cut.keys() and all(bool((whole[k] == cut[k]).all()) for k in whole)
    assert 2 == json.loads((tmp_path / "cut" / "training.json").read_text())["steps"]


@pytest.mark.parametrize("adapter", [None, "none"])
def test_a_shops_own_weights_do_not_get_the_packaged_adapters_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adapter: str | None
) -> None:
    section = GeneratorSettings(model="qwen", adapter=adapter)
    monkeypatch.setattr(module, "get_settings", lambda: Settings(data_dir=tmp_path, generator=section))
    monkeypatch.setattr(module, "measure_files", lambda *_: pytest.fail("measured"))
    refused = run.invoke(finetune, ["deploy"])

    assert isinstance(refused.exception, module.GeneratorError)
    assert "--to" in str(refused.exception) and "generator.adapter" in str(refused.exception)


@pytest.mark.parametrize(
    ("section", "to", "place"),
    [
        (GeneratorSettings(), None, None),
        (GeneratorSettings(model="qwen", adapter="mine"), None, "mine"),
        (GeneratorSettings(model="qwen"), "there", "there"),
        (GeneratorSettings(model="qwen", adapter="mine"), "there", "there"),
    ],
)
def test_an_adapter_is_deployed_where_the_settings_look_or_says_what_to_set(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    section: GeneratorSettings,
    to: str | None,
    place: str | None,
) -> None:
    installed: list[Path] = []
    found = {"rights": [True], "accuracy": 1.0, "checks_failed": 0.0}
    monkeypatch.setattr(module, "get_settings", lambda: Settings(data_dir=tmp_path, generator=section))
    monkeypatch.setattr(module, "measure_files", lambda *_: found)
    monkeypatch.setattr(module, "install", lambda new, target: installed.append(target))
    done = run.invoke(finetune, ["deploy", *(["--to", to] if to else [])])

    assert 0 == done.exit_code, done.output
    assert [Path(place) if place else module.ADAPTER] == installed
    assert (to is not None) is ("Set generator.adapter" in done.output)


@pytest.mark.parametrize("command", ["evaluate", "deploy"])
@pytest.mark.parametrize("test", [None, ""], ids=["missing", "empty"])
def test_without_a_test_part_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, test: str | None
) -> None:
    adapter = tmp_path / "finetune" / "adapter"
    adapter.mkdir(parents=True)
    (adapter / "adapter_model.safetensors").touch()
    if test is not None:
        (tmp_path / "finetune" / "test.jsonl").write_text(test)
    monkeypatch.setattr(module, "get_settings", lambda: Settings(data_dir=tmp_path))
    monkeypatch.setattr(local, "load", lambda *_, **__: pytest.fail("loaded"))
    refused = run.invoke(finetune, [command])

    assert isinstance(refused.exception, module.GeneratorError)
    assert "test.jsonl" in str(refused.exception) and "kefu finetune prepare" in str(refused.exception)


def test_training_without_prepared_data_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "get_settings", lambda: Settings(data_dir=tmp_path))

    assert "kefu finetune prepare" in str(run.invoke(finetune, ["train"]).exception)


def test_the_commands_make_measure_and_deploy_an_adapter_and_refuse_a_worse_one(
    small: Callable[..., Loaded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEFU_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("KEFU_GENERATOR__MODEL", "tiny")
    monkeypatch.setattr(training, "TrainingPlan", partial(TrainingPlan, max_tokens=4000))  # a token a byte
    shops = [next(path for path in shop_files() if held_out(path) is kept) for kept in (False, True)]
    monkeypatch.setattr("bot.generator.shops.shop_files", lambda: shops)  # all of them take a minute
    get_settings.cache_clear()
    try:
        prepared = run.invoke(finetune, ["prepare", "--count", "40"])
        assert 0 == prepared.exit_code, prepared.output
        assert all((tmp_path / "finetune" / f"{part}.jsonl").stat().st_size for part in ("train", "unseen"))
        trained = run.invoke(finetune, ["train", "--limit", "6", "--rank", "2"])
        assert 0 == trained.exit_code, trained.output
        adapter = tmp_path / "finetune" / "adapter"
        assert (adapter / "adapter_model.safetensors").exists()

        measured = run.invoke(finetune, ["evaluate", "--limit", "2", "--json"])
        assert 0 == measured.exit_code and '"count": 2' in measured.output, measured.output

        in_use = tmp_path / "in_use"
        deployed = run.invoke(finetune, ["deploy", "--to", str(in_use), "--limit", "2"])
        assert 0 == deployed.exit_code, deployed.output
        assert weights(in_use).keys() == weights(adapter).keys()

        before = (in_use / "adapter_model.safetensors").read_bytes()
        figures = iter(
            [[True] * 40 + [False] * 60, [True] * 90 + [False] * 10]
        )  # the new one, then the one in use

        def measured_as(*_: Any) -> dict[str, Any]:
            rights = next(figures)
            return {"rights": rights, "accuracy": sum(rights) / 100, "checks_failed": 0.0}

        monkeypatch.setattr(module, "measure_files", measured_as)
        refused = run.invoke(finetune, ["deploy", "--to", str(in_use)])
        assert 0 != refused.exit_code and "right in 40.0%" in str(refused.exception)
        assert before == (in_use / "adapter_model.safetensors").read_bytes()
    finally:
        get_settings.cache_clear()


def test_a_shop_trains_on_nothing_but_its_own_dialogues(
    small: Callable[..., Loaded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six conversations of a shop as JSONL, with a customer's phone in one, which must not be learned."""
    own = tmp_path / "own.jsonl"
    lines = [
        {
            "id": f"o{n}", "group": f"conversation {n}", "language": "zh", "question": f"第{n}款茶壶能保温几小时，打13812345678告诉我",
            "evidence": [{"id": f"e{n}", "title": "茶壶", "text": f"第{n}款茶壶能保温{n + 3}小时。", "language": "zh"}],
            "answer": f"第{n}款茶壶能保温{n + 3}小时。",
        }
        for n in range(1, 7)
    ]  # fmt: skip
    own.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")
    monkeypatch.setenv("KEFU_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("KEFU_GENERATOR__MODEL", "tiny")
    get_settings.cache_clear()
    try:
        prepared = run.invoke(finetune, ["prepare", "--own", str(own), "--only-own"])
        assert 0 == prepared.exit_code, prepared.output
        trained = run.invoke(finetune, ["train", "--rank", "2", "--epochs", "1"])
        assert 0 == trained.exit_code, trained.output
    finally:
        get_settings.cache_clear()

    folder = tmp_path / "finetune"
    kept = "".join(
        (folder / f"{part}.jsonl").read_text(encoding="utf-8") for part in ("train", "tune", "test")
    )
    assert 6 == len(kept.splitlines()) and "茶壶" in kept
    assert "13812345678" not in kept
    assert not (folder / "unseen.jsonl").exists()
    assert (folder / "adapter" / "adapter_model.safetensors").exists()
