"""`kefu evaluate nlu`: the trained pipeline on any labelled file, as one JSON object and a report.

The accuracy is of the intent ranked first, also where the assistant would rather have asked
(`fallback_rate` says how often; `accuracy_answered` is without those). Rows whose labels we have no
intent for are reported under `unknown_labels` and not scored.
"""

from __future__ import annotations

import codecs
import contextlib
import csv as csv_module
import io
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from bot.context import FALLBACK, FLOWS
from bot.evaluation.labels import map_intents, read_map, split_label
from bot.evaluation.scoring import Row, summary
from bot.exceptions import SettingsError
from bot.settings import get_settings

Parse = Callable[[str], dict[str, Any]]
ALTERNATIVE = "alt_label"


@dataclass(frozen=True)
class Labelled:
    """A file's rows as (text, right labels), and how many had no text or no label."""

    rows: list[tuple[str, frozenset[str]]]
    skipped: dict[str, int]


def read_file(path: Path) -> str:
    """The text of a file in UTF-8, in UTF-16 with its mark, or in the encoding of Chinese spreadsheets (GB 18030).

    Raises:
        SettingsError: it cannot be read, or is in none of them.
    """
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise SettingsError(f"{path} cannot be read: {exc.strerror}") from exc
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        with contextlib.suppress(UnicodeDecodeError):
            text = raw.decode("gb18030")
            if re.search(r"[\u4e00-\u9fff]{2}", text):
                return text
        raise SettingsError(f"{path} is not UTF-8 (byte {exc.start}). Remedy: save it as UTF-8.") from exc


def read_rows(path: Path, text_column: str, label_column: str, alt_column: str | None) -> Labelled:
    """The labelled messages of a CSV file with a header; commas, semicolons, tabs or bars between the cells.

    Raises:
        SettingsError: the file cannot be read, or has no such column; names the columns there are.
    """
    text = read_file(path)
    header = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t|", key=header.count)
    csv_module.field_size_limit(2**27)
    reader = csv_module.DictReader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=delimiter)
    columns = [str(one).strip() for one in reader.fieldnames or []]
    reader.fieldnames = columns
    for option, wanted in (("text", text_column), ("label", label_column), ("alt", alt_column)):
        if wanted and wanted not in columns:
            raise SettingsError(
                f"{path} has no column {wanted!r}. Its columns: {', '.join(columns) or 'none'}. "
                f"Remedy: name the right one with --{option}-column."
            )
    second = alt_column or (ALTERNATIVE if ALTERNATIVE in columns else None)
    rows = []
    skipped: Counter[str] = Counter()
    for record in reader:
        said = str(record.get(text_column) or "")
        right = split_label(record.get(label_column) or "")
        if second:
            right |= split_label(record.get(second) or "")
        if right and said.strip():
            rows.append((said, right))
        else:
            skipped["no_text" if right else "no_label"] += 1
    if not rows:
        raise SettingsError(f"{path} has no row with a text and a label in column {label_column!r}.")
    return Labelled(rows, dict(skipped))


def understand(parse: Parse, rows: Iterable[tuple[str, frozenset[str]]], named: dict[str, str]) -> list[Row]:
    """What the pipeline makes of each message, counted under the names of the file."""
    found = []
    for text, right in rows:
        started = time.perf_counter()
        data = parse(text)
        milliseconds = (time.perf_counter() - started) * 1000
        ranking = [one for one in data.get("intent_ranking") or [] if one["name"] != FALLBACK]
        best: dict[str, Any] = (
            ranking[0] if ranking else {"name": "context_only", "confidence": 0.0}
        )  # an empty message
        found.append(
            Row(
                text=text,
                gold=right,
                predicted=named.get(best["name"], best["name"]),
                confidence=float(best["confidence"]),
                intent=str(best["name"]),
                fallback=(data.get("intent") or {}).get("name") in (FALLBACK, None),
                out_of_scope=next(
                    (float(one["confidence"]) for one in ranking if one["name"] == "out_of_scope"), 0.0
                ),
                milliseconds=milliseconds,
                language=str((data.get("language") or {}).get("code") or "unknown"),
            )
        )
    return found


def evaluate_rows(
    parse: Parse,
    intents: Sequence[str],
    rows: Sequence[tuple[str, frozenset[str]]],
    given: dict[str, str] | None = None,
) -> tuple[dict[str, Any], list[Row]]:
    """The figures of a labelled set, and its rows as understood."""
    labels = Counter(label for _, right in rows for label in right)
    named = map_intents(intents, labels, given)
    known = set(named.values())
    unknown = {label: count for label, count in labels.most_common() if label not in known}
    scored = [(text, right & known) for text, right in rows if right & known]
    strange = [(text, right) for text, right in rows if not right & known]
    parse("你好")  # the first message loads the encoder
    understood = understand(parse, scored, named)
    result: dict[str, Any] = {"n": len(rows), "n_scored": len(scored), **summary(understood, FLOWS)}
    result["unknown_labels"] = {
        label: {
            "n": count,
            "understood_as": dict(
                Counter(
                    row.predicted
                    for row in understand(parse, [one for one in strange if label in one[1]][:200], named)
                ).most_common(5)
            ),
        }
        for label, count in unknown.items()
    }
    result["label_map"] = {ours: theirs for ours, theirs in sorted(named.items()) if ours != theirs}
    return result, understood


def present_model(model: Path | None) -> Path:
    """The model to measure.

    Raises:
        SettingsError: no model was trained from the present data.
    """
    if model is not None:
        return model
    from bot.training import current_model

    return Path(current_model())


def intents_of(parse: Parse) -> list[str]:
    """The intents the pipeline can find: those in the ranking of a message, and those in the domain's data."""
    from bot.settings import PROJECT_ROOT

    named = {one["name"] for one in parse("你好").get("intent_ranking") or []}
    for path in (PROJECT_ROOT / "data").glob("*.yml"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("- intent:"):
                named.add(line.split(":", 1)[1].split("#")[0].strip())
    return sorted(named - {FALLBACK})


def run(
    path: Path,
    text_column: str,
    label_column: str,
    alt_column: str | None,
    label_map: Path | None,
    model: Path | None,
    html: Path | None,
    limit: int | None,
    errors: int,
    as_json: bool,
) -> None:
    """The command. Prints a short summary, or with `as_json` one JSON object and nothing else."""
    labelled = read_rows(path, text_column, label_column, alt_column)
    rows = labelled.rows
    given = read_map(label_map) if label_map else None
    if limit and len(rows) > limit:
        rows = [rows[at * len(rows) // limit] for at in range(limit)]
    archive = present_model(model)
    from bot.components.interpreter import load_interpreter

    parse = load_interpreter(archive)
    result, understood = evaluate_rows(parse, intents_of(parse), rows, given)
    result = {"file": path.name, "model": archive.name, "skipped": labelled.skipped, **result}
    from bot.evaluation.report import write_report

    target = html or get_settings().data_path("reports", f"nlu-{path.stem}.html")
    write_report(target, result, understood, errors)
    result["report"] = str(target)
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    typer.echo(f"{path.name}: {result['n']} rows, {result['n_scored']} scored with {archive.name}")
    for name in (
        "accuracy",
        "macro_f1",
        "accuracy_understandable_alone",
        "accuracy_answered",
        "fallback_rate",
        "ece",
    ):
        if result[name] is not None:
            typer.echo(f"  {name:<32}{result[name]:7.3f}")
    if result["out_of_scope"]["auroc"] is not None:
        typer.echo(f"  {'out-of-scope AUROC':<32}{result['out_of_scope']['auroc']:7.3f}")
    if result["context_only"]["n"]:
        typer.echo(
            f"  {'confident wrong flow, context':<32}{result['context_only']['confident_wrong_flow']:7.3f}"
        )
    for why, count in labelled.skipped.items():
        typer.echo(f"  skipped, {why.replace('_', ' ')}: {count} rows")
    typer.echo(f"  {'latency, ms (median)':<32}{result['latency_ms'].get('median', 0):7.1f}")
    for label, about in result["unknown_labels"].items():
        typer.echo(f"  no intent for label {label!r}: {about['n']} rows, not scored")
    typer.echo(f"  report: {target}")
