"""Which model belongs to the present data, and what is told about training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot import training
from bot.exceptions import TrainingError
from bot.settings import Settings
from bot.training import (
    DataSummary,
    current_model,
    fingerprint,
    forget_old_models,
    model_path,
    relevant_lines,
    summarise,
)

NLU = """
version: "3.1"
nlu:
- intent: order_status
  examples: |
    - 我的快递到哪了
    - where is my parcel
- intent: faq/freight
  examples: |
    - 运费多少
- lookup: courier
  examples: |
    - 顺丰
rules:
- rule: status
  steps: []
stories:
- story: one
  steps: []
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one topic."""
    (tmp_path / "data" / "knowledge").mkdir(parents=True)
    (tmp_path / "bot" / "components").mkdir(parents=True)
    (tmp_path / "models").mkdir()
    (tmp_path / "config.yml").write_text("pipeline: []\n")
    (tmp_path / "domain.yml").write_text("intents: []\n")
    (tmp_path / "data" / "order_status.yml").write_text(NLU)
    (tmp_path / "bot" / "components" / "text.py").write_text("A = 1\n")
    return tmp_path


@pytest.mark.parametrize(
    "changed", ["config.yml", "domain.yml", "data/order_status.yml", "bot/components/text.py"]
)
def test_a_change_of_anything_the_model_learns_from_asks_for_a_new_model(root: Path, changed: str) -> None:
    before = fingerprint(root)
    (root / changed).write_text((root / changed).read_text() + "# other\n")

    assert before != fingerprint(root)


def test_a_renamed_file_asks_for_a_new_model(root: Path) -> None:
    before = fingerprint(root)
    (root / "data" / "order_status.yml").rename(root / "data" / "refund.yml")

    assert before != fingerprint(root)


@pytest.mark.parametrize(
    "other", ["data/knowledge/returns.md", "bot/cli.py", "bot/components/__pycache__/a.py"]
)
def test_a_change_of_anything_else_does_not(root: Path, other: str) -> None:
    before = fingerprint(root)
    (root / other).parent.mkdir(exist_ok=True)
    (root / other).write_text("x")

    assert before == fingerprint(root)


def test_the_same_data_elsewhere_have_the_same_model(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import shutil

    copy = tmp_path_factory.mktemp("copy") / "project"
    shutil.copytree(root, copy)

    assert fingerprint(root) == fingerprint(copy)


def test_a_missing_model_says_why_and_what_to_do(root: Path) -> None:
    with pytest.raises(TrainingError, match=r"no model was trained yet. Remedy: kefu train"):
        current_model(root)

    (root / "models" / "older.tar.gz").touch()
    with pytest.raises(TrainingError, match=r"the data changed since the last training. Remedy: kefu train"):
        current_model(root)

    model_path(root).touch()
    assert model_path(root) == current_model(root)


def test_an_incomplete_checkout_is_named(root: Path) -> None:
    (root / "domain.yml").unlink()
    with pytest.raises(TrainingError, match=r"domain\.yml missing"):
        fingerprint(root)


def test_the_summary_counts_intents_examples_rules_and_stories(root: Path) -> None:
    summary = summarise(root)

    assert DataSummary(intents=2, examples=3, rules=1, stories=1) == summary
    assert "2 intents, 3 examples, 1 rules, 1 stories" == str(summary)


def test_a_broken_file_is_named_with_its_line(root: Path) -> None:
    (root / "data" / "broken.yml").write_text("nlu:\n- intent: [a\n")
    with pytest.raises(TrainingError, match=r"broken\.yml is not valid YAML(?s:.)*line"):
        summarise(root)


def test_the_failure_shown_is_the_sentence_not_the_noise(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text(
        "tracker_store.py:1044: MovedIn20Warning: Deprecated API features detected!\n"
        "Processed rules: 100%|####| 3/3 [00:00<00:00, 90.1it/s]\n"
        'Traceback (most recent call last):\n  File "rasa/x.py", line 3, in error\n    raise error\n'
        "\x1b[31mrasa.exceptions.InvalidDomain: Response 'utter_x' is missing\x1b[0m\n"
    )
    told = relevant_lines(log)

    assert "rasa.exceptions.InvalidDomain: Response 'utter_x' is missing" == told[-1]
    assert not any("MovedIn20" in line or "it/s" in line for line in told)


def test_a_log_without_trouble_shows_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("\n".join(f"line {number}" for number in range(100)))

    assert ["line 98", "line 99"] == relevant_lines(log, limit=2)


@pytest.fixture
def rasa(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Rasa writes right where it is told to; the list holds what it does next: an exit code, or how it is cut off."""
    script: list[Any] = []

    def run(arguments: list[str], log: Path) -> int:
        log.write_text("training\n")
        name = arguments[arguments.index("--fixed-model-name") + 1]
        assert name.endswith(".tar.gz")  # Rasa takes another ending away
        (root / "models" / name).write_text("half a model")
        then = script.pop(0)
        if isinstance(then, BaseException):
            raise then
        if then == 0:
            (root / "models" / name).write_text("a model")
        return int(then)

    monkeypatch.setattr(training, "run_rasa", run)
    monkeypatch.setattr(training, "model_path", lambda _=None: model_path(root))
    monkeypatch.setattr(training, "summarise", lambda: summarise(root))
    monkeypatch.setattr(training, "get_settings", lambda: Settings(data_dir=root / "var"))
    return script


def test_a_training_that_is_cut_off_leaves_no_model_and_the_next_one_trains(
    root: Path, rasa: list[Any]
) -> None:
    rasa += [KeyboardInterrupt(), 0]
    with pytest.raises(KeyboardInterrupt):
        training.train()
    with pytest.raises(TrainingError, match="no model was trained yet"):
        current_model(root)
    training.train()

    assert "a model" == current_model(root).read_text()
    assert [model_path(root)] == list((root / "models").iterdir())


def test_a_training_that_fails_leaves_the_model_that_was_there(root: Path, rasa: list[Any]) -> None:
    rasa += [0, 137]
    training.train()
    with pytest.raises(TrainingError, match="exit code 137"):
        training.train(force=True)

    assert "a model" == current_model(root).read_text()
    assert [model_path(root)] == list((root / "models").iterdir())


def test_only_the_latest_models_are_kept(tmp_path: Path) -> None:
    import os

    for age in range(6):
        path = tmp_path / f"{age}.tar.gz"
        path.touch()
        os.utime(path, (1000 - age, 1000 - age))
    (tmp_path / "6.part.tar.gz").touch()  # of a training that was cut off; the newest, and no model
    forget_old_models(keep=tmp_path / "5.tar.gz")  # the oldest by time, but the one in use

    assert {"0.tar.gz", "1.tar.gz", "5.tar.gz"} == {path.name for path in tmp_path.iterdir()}
