"""`kefu evaluate perception`: mood against GoEmotions, TweetEval and COLD; language against what the sets are in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from bot.evaluation.scoring import auroc
from bot.evaluation.sources import data_folder, intent_files, records
from bot.exceptions import SettingsError
from bot.language import detect_language
from bot.sentiment import read_sentiment

WANTED = (
    "en_emotion/goemotions_test.tsv", "en_emotion/tweeteval_emotion_test_text.txt", "abuse_zh_cold/test.csv",
    "zh_real/dev_labelled.csv", "hint3/train_mapped.csv", "bitext/dev_mapped.csv", "clinc150/data_full.json",
)  # fmt: skip


def against(truth: Sequence[bool], scores: Sequence[float], said: Sequence[bool]) -> dict[str, Any]:
    """AUROC of a score; precision and recall of a yes."""
    hits = sum(right and yes for right, yes in zip(truth, said, strict=True))
    return {
        "n": len(truth),
        "auroc": auroc(truth, scores),
        "precision": round(hits / max(1, sum(said)), 3),
        "recall": round(hits / max(1, sum(truth)), 3),
    }


def moods(folder: Path) -> dict[str, Any]:
    """Anger and gratitude on the files that are there."""
    found: dict[str, Any] = {}
    english = folder / "en_emotion"
    if (english / "goemotions_test.tsv").is_file():
        names = (english / "goemotions_labels.txt").read_text(encoding="utf-8").split()
        # Not `splitlines`: a next-line character (U+0085) may stand in a comment as it is.
        text = (english / "goemotions_test.tsv").read_text(encoding="utf-8")
        lines = [line.split("\t") for line in text.split("\n") if "\t" in line]
        felt = [{names[int(one)] for one in line[1].split(",")} for line in lines]
        read = [read_sentiment(line[0]) for line in lines]
        found["GoEmotions anger or annoyance"] = against(
            [bool(one & {"anger", "annoyance"}) for one in felt],
            [one.anger for one in read],
            [one.feeling == "angry" for one in read],
        )
        grateful = [one.feeling == "grateful" for one in read]
        found["GoEmotions gratitude"] = against(
            ["gratitude" in one for one in felt], [float(one) for one in grateful], grateful
        )
    if (english / "tweeteval_emotion_test_text.txt").is_file():
        labels = (english / "tweeteval_emotion_test_labels.txt").read_text(encoding="utf-8").split()
        texts = (
            (english / "tweeteval_emotion_test_text.txt")
            .read_text(encoding="utf-8")
            .split("\n")[: len(labels)]
        )
        read = [read_sentiment(text) for text in texts]
        found["TweetEval anger"] = against(
            [label == "0" for label in labels],
            [one.anger for one in read],
            [one.feeling == "angry" for one in read],
        )
    if (folder / "abuse_zh_cold" / "test.csv").is_file():
        entries = records(folder / "abuse_zh_cold" / "test.csv")
        read = [read_sentiment(record["TEXT"]) for record in entries]
        found["COLD offensive (zh)"] = against(
            [record["label"] == "1" for record in entries],
            [one.anger for one in read],
            [one.feeling == "angry" for one in read],
        )
    return found


def languages(folder: Path) -> dict[str, Any]:
    """Share of messages read as the language of their set; messages without words do not count."""
    found = {}
    for name, rows in intent_files(folder).items():
        codes = [detect_language(text).code for text, _ in rows]
        worded = [code for code in codes if code != "unknown"]
        wanted = ("zh-Hans", "mixed") if name.startswith("zh") else ("en",)
        found[name] = {
            "n": len(worded),
            "right": round(sum(code in wanted for code in worded) / max(1, len(worded)), 4),
        }
    return found


def _figure(value: float | None) -> str:
    """A file of one class only has no AUROC."""
    return "-" if value is None else f"{value:.3f}"


def run(data: Path | None, as_json: bool) -> None:
    """The command. Without data it says so in one line and ends well.

    Raises:
        SettingsError: the folder holds none of the files; a name that was mistyped must not pass for a measurement.
    """
    folder = data_folder(data)
    if folder is None:
        return
    result = {"mood": moods(folder), "language": languages(folder)}
    if not any(result.values()):
        raise SettingsError(
            f"{folder} holds none of the files that are measured on. Wanted, one at least: {', '.join(WANTED)}."
        )
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    for name, one in result["mood"].items():
        typer.echo(
            f"{name:<32}AUROC {_figure(one['auroc'])}  precision {one['precision']:.2f}  recall {one['recall']:.2f}  n={one['n']}"
        )
    for name, one in result["language"].items():
        typer.echo(f"{name:<32}language right {100 * one['right']:5.1f} %  n={one['n']}")
