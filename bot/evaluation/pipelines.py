"""`kefu evaluate pipelines`: several ways to understand, trained on the same examples, in one table.

The linear ones are trained in this process; those with DIET by `rasa train nlu` in a folder of their own,
with fewer epochs than Rasa's default unless asked otherwise: DIET on thousands of examples takes long.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import typer
import yaml

from bot.evaluation.labels import map_intents
from bot.evaluation.robustness import own_rows
from bot.evaluation.scoring import Row, accuracy, auroc, macro_f1, reliability
from bot.evaluation.sources import Labelled, data_folder, intent_files
from bot.intent_model import IntentModel, Options, encode_meaning, softmax
from bot.normalise import normalise

Chances = Callable[[Sequence[str]], npt.NDArray[Any]]
MOST = 1000  # messages of a set that are measured
DIET_EXAMPLES = 3000
DIET_EPOCHS = 40


def linear(**options: Any) -> Callable[[list[str], list[str]], tuple[list[str], Chances]]:
    def train(texts: list[str], intents: list[str]) -> tuple[list[str], Chances]:
        model = IntentModel.train(texts, intents, Options(**options))
        return model.intents, model.chances

    return train


def with_neighbours(texts: list[str], intents: list[str]) -> tuple[list[str], Chances]:
    """Our own idea: the linear model, mixed with the vote of the nearest examples in the encoder's space."""
    model = IntentModel.train(texts, intents)
    forms = [normalise(text) or " " for text in texts]
    there = encode_meaning(forms)
    at = np.array([model.intents.index(intent) for intent in intents])

    def chances(messages: Sequence[str]) -> npt.NDArray[Any]:
        near = encode_meaning([normalise(text) or " " for text in messages]) @ there.T
        best = np.full((len(messages), len(model.intents)), -1.0)
        for column in range(len(model.intents)):
            best[:, column] = near[:, at == column].max(axis=1)
        return np.asarray(0.65 * model.chances(messages) + 0.35 * softmax(best * 12.0))

    return model.intents, chances


def diet(meaning: bool) -> Callable[[list[str], list[str]], tuple[list[str], Chances]]:
    """Rasa's recommended DIET, or DIET on our two views. Trained by Rasa, in a folder that is thrown away."""
    featurizers: list[dict[str, Any]] = [
        {"name": "CountVectorsFeaturizer"},
        {"name": "CountVectorsFeaturizer", "analyzer": "char_wb", "min_ngram": 1, "max_ngram": 4},
    ]
    if meaning:
        featurizers.append({"name": "bot.components.meaning_featurizer.MeaningFeaturizer"})
    else:
        featurizers = [{"name": "RegexFeaturizer"}, {"name": "LexicalSyntacticFeaturizer"}, *featurizers]
    pipeline = [
        {"name": "WhitespaceTokenizer"},
        *featurizers,
        {
            "name": "DIETClassifier",
            "epochs": DIET_EPOCHS,
            "random_seed": 42,
            "entity_recognition": False,
            "constrain_similarities": True,
        },
    ]

    def train(texts: list[str], intents: list[str]) -> tuple[list[str], Chances]:
        names = sorted(set(intents))
        folder = Path(tempfile.mkdtemp(prefix="kefu-diet-"))
        blocks = [
            {
                "intent": name,
                "examples": "".join(
                    f"- {text}\n" for text, one in zip(texts, intents, strict=True) if one == name
                ),
            }
            for name in names
        ]
        (folder / "nlu.yml").write_text(
            yaml.safe_dump({"version": "3.1", "nlu": blocks}, allow_unicode=True), encoding="utf-8"
        )
        (folder / "config.yml").write_text(
            yaml.safe_dump({"recipe": "default.v1", "language": "zh", "pipeline": pipeline}), encoding="utf-8"
        )
        command = [
            sys.executable,
            "-m",
            "rasa",
            "train",
            "nlu",
            "--nlu",
            "nlu.yml",
            "--config",
            "config.yml",
            "--out",
            ".",
            "--fixed-model-name",
            "diet",
        ]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        from bot.components.interpreter import load_interpreter

        parse = load_interpreter(folder / "diet.tar.gz")

        def chances(messages: Sequence[str]) -> npt.NDArray[Any]:
            table = np.zeros((len(messages), len(names)))
            for row, message in enumerate(messages):
                for one in parse(normalise(message) or " ").get("intent_ranking") or []:
                    table[row, names.index(one["name"])] = one["confidence"]
            return table

        return names, chances

    return train


PIPELINES: dict[str, Callable[[list[str], list[str]], tuple[list[str], Chances]]] = {
    "n-grams + encoder + logistic": linear(),
    "n-grams + logistic": linear(meaning=False),
    "encoder + logistic": linear(spelling=False, weight=10.0),
    "n-grams + encoder + logistic + neighbours": with_neighbours,
}
WITH_DIET = {"DIET as recommended": diet(meaning=False), "n-grams + encoder + DIET": diet(meaning=True)}


def score(intents: list[str], chances: Chances, rows: Labelled) -> dict[str, Any]:
    """Accuracy, macro-F1, calibration and AUROC of one set."""
    named = map_intents(intents, {label for _, right in rows for label in right})
    table = chances([text for text, _ in rows])
    strangers = table[:, intents.index("out_of_scope")]
    found = []
    for (text, right), row, strange in zip(rows, table, strangers, strict=True):
        best = int(row.argmax())
        found.append(
            Row(text, right, named[intents[best]], float(row[best]), intents[best], False, float(strange))
        )
    return {
        "accuracy": accuracy(found),
        "macro_f1": macro_f1(found),
        "ece": reliability(found)[1],
        "auroc": auroc([row.gold == {"out_of_scope"} for row in found], [row.out_of_scope for row in found]),
    }


def run(data: Path | None, only: Sequence[str], with_diet: bool, as_json: bool) -> None:
    """The command. Without data it says so in one line and ends well."""
    folder = data_folder(data)
    if folder is None:
        return
    sets = {name: rows[:: max(1, len(rows) // MOST)] for name, rows in intent_files(folder).items()}
    examples = own_rows(10**9, shortest=1)
    everything = {**PIPELINES, **(WITH_DIET if with_diet else {})}
    table: dict[str, Any] = {}
    for name, train in everything.items():
        if only and not any(wanted in name for wanted in only):
            continue
        used = examples[:: max(1, len(examples) // DIET_EXAMPLES)] if name in WITH_DIET else examples
        texts, intents = [text for text, _ in used], [min(right) for _, right in used]
        started, busy = time.perf_counter(), time.process_time()
        names, chances = train(texts, intents)
        took = time.perf_counter() - started
        waits = []
        for text, _ in next(iter(sets.values()))[:60]:
            begun = time.perf_counter()
            chances([text])
            waits.append((time.perf_counter() - begun) * 1000)
        table[name] = {
            "examples": len(used),
            "training_s": round(took, 1),
            "training_cpu_s": round(time.process_time() - busy, 1),
            "parse_ms": round(statistics.median(waits), 1),
            "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "sets": {one: score(names, chances, rows) for one, rows in sets.items()},
        }
        if not as_json:
            _show(name, table[name])
    if as_json:
        typer.echo(json.dumps(table, ensure_ascii=False))


def _show(name: str, row: dict[str, Any]) -> None:
    typer.echo(
        f"{name}: {row['examples']} examples, training {row['training_s']} s (CPU {row['training_cpu_s']}), "
        f"parse {row['parse_ms']} ms, at most {row['memory_mb']} MB so far"
    )
    for one, figures in row["sets"].items():
        outside = f"  out-of-scope AUROC {figures['auroc']:.3f}" if figures["auroc"] is not None else ""
        typer.echo(
            f"  {one:<20}accuracy {figures['accuracy']:.3f}  macro-F1 {figures['macro_f1']:.3f}  ECE {figures['ece']:.3f}{outside}"
        )
