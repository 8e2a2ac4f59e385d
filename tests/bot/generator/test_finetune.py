"""`kefu finetune` from the first command to the last, with a model small enough for a test."""

from __future__ import annotations

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
from bot.generator.training import TrainingPlan, train_adapter
from bot.settings import get_settings
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


def test_the_commands_make_measure_and_deploy_an_adapter_and_refuse_a_worse_one(
    small: Callable[..., Loaded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEFU_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("KEFU_GENERATOR__MODEL", "tiny")
    monkeypatch.setattr(training, "TrainingPlan", partial(TrainingPlan, max_tokens=4000))  # a token a byte
    get_settings.cache_clear()
    try:
        prepared = run.invoke(finetune, ["prepare", "--count", "40"])
        assert 0 == prepared.exit_code, prepared.output
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
