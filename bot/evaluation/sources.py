"""The labelled files that Kefu is measured on, where they are there: KEFU_EVAL_DATA or an option names the folder.

They are other people's work and are not part of the project; each is read as it comes.
"""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import typer

from bot.evaluation.labels import split_label

Labelled = list[tuple[str, frozenset[str]]]
VARIABLE = "KEFU_EVAL_DATA"


def data_folder(given: Path | None) -> Path | None:
    """The folder, or None after one line that says it is absent."""
    folder = given or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if folder is None or not folder.is_dir():
        typer.echo(f"skipped: no evaluation data (set {VARIABLE} or --data to a folder)", err=True)
        return None
    return folder


def intent_files(folder: Path) -> dict[str, Labelled]:
    """The intent sets that are there, by name."""
    found: dict[str, Labelled] = {}
    zh = folder / "zh_real" / "dev_labelled.csv"
    if zh.is_file():
        for record in records(zh):
            right = split_label(record["label"]) | split_label(record.get("alt_label") or "")
            found.setdefault(f"zh_real {record['sample']}", []).append((record["text"], right))
    for name, path in (
        ("HINT3", folder / "hint3" / "train_mapped.csv"),
        ("Bitext", folder / "bitext" / "dev_mapped.csv"),
    ):
        if path.is_file():
            found[name] = [(record["text"], split_label(record["intent"])) for record in records(path)]
    clinc = folder / "clinc150" / "data_full.json"
    if clinc.is_file():
        sets = json.loads(clinc.read_text(encoding="utf-8"))
        found["CLINC150 oos"] = [
            (text, frozenset(["out_of_scope"])) for text, _ in sets["oos_test"] + sets["oos_val"]
        ]
    return found


def records(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))
