"""Experiments kept by MLflow, when MLFLOW_TRACKING_URI is set; nothing happens otherwise.

Knows no training. What is logged holds figures and settings, never a dialogue: those may be of customers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bot.exceptions import GeneratorError

EXPERIMENT = "kefu"  # MLFLOW_EXPERIMENT_NAME names another
Log = Callable[[Mapping[str, float], int], None]


@contextmanager
def tracked(name: str, settings: Mapping[str, Any]) -> Iterator[Log]:
    """One run of that name with its settings. Yields a function that keeps figures of a step.

    A run that ends in an error is marked as failed.

    Raises:
        GeneratorError: MLflow is wanted and not installed.
    """
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        yield lambda _figures, _step: None
        return
    try:
        import mlflow
    except ImportError as exc:
        raise GeneratorError(
            "MLFLOW_TRACKING_URI is set and MLflow is not installed: `uv pip install mlflow-skinny`, or unset it."
        ) from exc
    mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT))
    with mlflow.start_run(run_name=name):
        mlflow.log_params({key: str(value)[:250] for key, value in settings.items()})
        yield lambda figures, step: mlflow.log_metrics(dict(figures), step=step)
