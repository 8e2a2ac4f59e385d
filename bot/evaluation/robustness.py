"""`kefu evaluate robustness`: the accuracy that typing slips cost.

Measured on a labelled file, or without one on our own phrasings: then the undisturbed accuracy is near
one, because they were learned, and only the losses say something.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import typer

from bot.evaluation.disturb import DISTURBANCES
from bot.evaluation.labels import map_intents
from bot.evaluation.nlu import Parse, intents_of, present_model, read_rows, understand
from bot.settings import PROJECT_ROOT

SEED = 20261122
OWN = 600  # of our own phrasings that are disturbed


def own_rows(count: int, shortest: int = 5) -> list[tuple[str, frozenset[str]]]:
    """Evenly drawn training examples with their intents."""
    import yaml

    rows: list[tuple[str, frozenset[str]]] = []
    for path in sorted((PROJECT_ROOT / "data").glob("*.yml")):
        for block in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("nlu") or []:
            for line in str(block.get("examples") or "").splitlines():
                if len(text := line.removeprefix("- ").strip()) >= max(1, shortest):
                    rows.append((text, frozenset([block["intent"]])))
    step = max(1, len(rows) // count)
    return rows[::step][:count]


def measure(parse: Parse, rows: list[tuple[str, frozenset[str]]]) -> dict[str, Any]:
    """Accuracy as typed and under each disturbance, and the loss in points."""
    named = map_intents(intents_of(parse), {label for _, right in rows for label in right})
    plain = understand(parse, rows, named)
    base = sum(row.right for row in plain) / len(plain)
    result: dict[str, Any] = {"n": len(rows), "accuracy": round(base, 4), "disturbed": {}}
    for name, disturb in DISTURBANCES.items():
        rng = random.Random(SEED)
        heard = understand(parse, [(disturb(text, rng), right) for text, right in rows], named)
        share = sum(row.right for row in heard) / len(heard)
        result["disturbed"][name] = {"accuracy": round(share, 4), "loss": round(base - share, 4)}
    return result


def run(model: Path | None, csv: Path | None, text_column: str, label_column: str, as_json: bool) -> None:
    """The command."""
    rows = read_rows(csv, text_column, label_column, None).rows if csv else own_rows(OWN)
    from bot.components.interpreter import load_interpreter

    result = measure(load_interpreter(present_model(model)), rows)
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    typer.echo(f"as typed    {result['accuracy']:.3f}  (n={result['n']})")
    for name, one in result["disturbed"].items():
        typer.echo(f"{name:<12}{one['accuracy']:.3f}  loss {100 * one['loss']:5.1f} points")
