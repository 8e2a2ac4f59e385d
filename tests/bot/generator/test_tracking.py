"""Runs kept by MLflow: with a module of its functions in the package's place, and without it.

The real package is not installed here: it pins other versions than Rasa. It was tried by hand, see docs/generator.md.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

from bot.exceptions import GeneratorError
from bot.generator.tracking import tracked


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What MLflow was told, in order."""
    told: list[Any] = []
    fake = ModuleType("mlflow")

    @contextmanager
    def start_run(run_name: str) -> Any:
        told.append(("run", run_name))
        try:
            yield
        except BaseException:
            told.append("failed")
            raise
        told.append("finished")

    fake.set_experiment = lambda name: told.append(("experiment", name))  # type: ignore[attr-defined]
    fake.start_run = start_run  # type: ignore[attr-defined]
    fake.log_params = lambda params: told.append(params)  # type: ignore[attr-defined]
    fake.log_metrics = lambda figures, step: told.append((figures, step))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:/nowhere")
    return told


def test_a_training_is_one_run_with_its_settings_and_figures_by_step(kept: list[Any]) -> None:
    with tracked("adapter", {"rank": 16, "weights": "x" * 400}) as log:
        log({"loss": 2.0}, 1)
        log({"loss": 1.5}, 2)

    assert [("experiment", "kefu"), ("run", "adapter"), {"rank": "16", "weights": "x" * 250},
            ({"loss": 2.0}, 1), ({"loss": 1.5}, 2), "finished"] == kept  # fmt: skip


def test_a_training_that_breaks_is_a_failed_run(kept: list[Any]) -> None:
    with pytest.raises(ZeroDivisionError), tracked("adapter", {}):
        1 / 0  # noqa: B018

    assert "failed" == kept[-1]


def test_nothing_is_kept_where_nobody_asked(kept: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with tracked("adapter", {"rank": 1}) as log:
        log({"loss": 2.0}, 1)

    assert [] == kept


def test_a_wish_without_the_package_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:/nowhere")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(GeneratorError, match="uv pip install mlflow-skinny"), tracked("adapter", {}):
        pass
