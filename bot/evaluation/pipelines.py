"""`kefu evaluate pipelines`: several ways to understand, trained on the same examples, in one table.

Each is measured in a process of its own (`bot.evaluation.candidates`). What was measured is kept in the data
folder, so that the table can be made in pieces and printed again without training anything.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from bot.evaluation.candidates import CANDIDATES, WITH_DIET
from bot.evaluation.sources import data_folder
from bot.exceptions import SettingsError
from bot.settings import PROJECT_ROOT, get_settings

KEPT = ("reports", "pipelines.json")


def run(
    data: Path | None,
    only: Sequence[str],
    with_diet: bool,
    examples: int | None,
    again: bool,
    as_json: bool,
) -> None:
    """The command. Without data it says so in one line and ends well; `again` prints what was measured before.

    Raises:
        SettingsError: no candidate has such a name, or one of them failed.
    """
    kept = get_settings().data_path(*KEPT)
    table: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    if not again:
        folder = data_folder(data)
        if folder is None:
            return
        everything = [*CANDIDATES, *(WITH_DIET if with_diet or only else ())]
        chosen = [name for name in everything if not only or name in only]
        if not chosen:
            raise SettingsError(
                f"No pipeline is called {', '.join(only)}. There are: {'; '.join(everything)}."
            )
        for name in chosen:
            if not as_json:
                typer.echo(f"{name} ...", err=True)
            found = measured(name, folder, examples)
            table[f"{name} ({found['examples']:,} examples)"] = found
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(table, ensure_ascii=False, indent=1), encoding="utf-8")
    typer.echo(json.dumps(table, ensure_ascii=False) if as_json else as_table(table))


def measured(name: str, folder: Path, examples: int | None) -> dict[str, Any]:
    """One candidate, in a process of its own.

    Raises:
        SettingsError: it failed; says its last words.
    """
    command = [sys.executable, "-m", "bot.evaluation.candidates", name, "--data", str(folder.resolve())]
    done = subprocess.run(
        [*command, "--examples", str(examples or 0)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SettingsError(
            f"{name} could not be measured: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
        )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def as_table(table: dict[str, Any]) -> str:
    """A Markdown table: accuracy / macro-F1 per set, out-of-scope AUROC where a set has strangers, and the costs."""
    sets = list(dict.fromkeys(one for row in table.values() for one in row["sets"]))
    strange = [
        one
        for one in sets
        if any((row["sets"].get(one) or {}).get("auroc") is not None for row in table.values())
    ]
    head = [
        "pipeline",
        *sets,
        *(f"AUROC {one}" for one in strange),
        "training s (CPU)",
        "parse ms",
        "memory MB",
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, row in table.items():
        cells = [name]
        for one in sets:
            figures = row["sets"].get(one)
            cells.append(f"{100 * figures['accuracy']:.1f} / {figures['macro_f1']:.2f}" if figures else "")
        for one in strange:
            area = (row["sets"].get(one) or {}).get("auroc")
            cells.append(f"{area:.3f}" if area is not None else "")
        cells += [
            f"{row['training_s']:.0f} ({row['training_cpu_s']:.0f})",
            f"{row['parse_ms']}",
            f"{row['memory_mb']}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
