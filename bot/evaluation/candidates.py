"""Ways to understand that are compared with one another, and the measuring of one of them in a process of its own.

``python -m bot.evaluation.candidates NAME --data FOLDER --examples N`` prints one JSON object: a process each,
so that time and memory are the candidate's and nobody else's. The linear ones are trained here; those with
DIET by `rasa train nlu` in a folder that is thrown away.
"""

from __future__ import annotations

import argparse
import json
import os
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
import yaml

from bot.evaluation.labels import map_intents
from bot.evaluation.robustness import own_rows
from bot.evaluation.scoring import Row, accuracy, auroc, macro_f1, reliability
from bot.evaluation.sources import Labelled, intent_files
from bot.exceptions import TrainingError
from bot.intent_model import IntentModel, Options, encode_meaning, softmax
from bot.normalise import normalise

Chances = Callable[[Sequence[str]], npt.NDArray[Any]]
Train = Callable[[list[str], list[str]], tuple[list[str], Chances]]
MOST = 1000  # messages of a set that are measured
TIMED = 60  # messages whose latency is taken, one by one
DIET_EPOCHS = 40
STRANGERS = 20  # out-of-scope messages a set must have for an AUROC


def linear(**options: Any) -> Train:
    def train(texts: list[str], intents: list[str]) -> tuple[list[str], Chances]:
        model = IntentModel.train(texts, intents, Options(**options))
        return model.intents, model.chances

    return train


def with_neighbours(texts: list[str], intents: list[str]) -> tuple[list[str], Chances]:
    """The linear model, mixed with the vote of the nearest examples in the encoder's space."""
    model = IntentModel.train(texts, intents, Options(channel=False))
    there = encode_meaning([normalise(text) or " " for text in texts])
    at = np.array([model.intents.index(intent) for intent in intents])

    def chances(messages: Sequence[str]) -> npt.NDArray[Any]:
        near = encode_meaning([normalise(text) or " " for text in messages]) @ there.T
        best = np.full((len(messages), len(model.intents)), -1.0)
        for column in range(len(model.intents)):
            best[:, column] = near[:, at == column].max(axis=1)
        return np.asarray(0.65 * model.chances(messages) + 0.35 * softmax(best * 12.0))

    return model.intents, chances


def diet(meaning: bool) -> Train:
    """Rasa's recommended DIET, or DIET on character n-grams and the sentence encoder."""
    featurizers: list[dict[str, Any]] = [
        {"name": "CountVectorsFeaturizer"},
        {"name": "CountVectorsFeaturizer", "analyzer": "char_wb", "min_ngram": 1, "max_ngram": 4},
    ]
    if meaning:
        featurizers.append({"name": "bot.components.meaning_featurizer.MeaningFeaturizer"})
    else:
        featurizers = [{"name": "RegexFeaturizer"}, {"name": "LexicalSyntacticFeaturizer"}, *featurizers]
    classifier = {
        "name": "DIETClassifier",
        "epochs": DIET_EPOCHS,
        "random_seed": 42,
        "entity_recognition": False,
        "constrain_similarities": True,
        "ranking_length": 0,  # all intents: ours is looked for among them
    }
    pipeline = [{"name": "WhitespaceTokenizer"}, *featurizers, classifier]

    def train(texts: list[str], intents: list[str]) -> tuple[list[str], Chances]:
        names = sorted(set(intents))
        folder = Path(tempfile.mkdtemp(prefix="kefu-diet-"))
        by_intent = {name: [] for name in names}  # type: dict[str, list[str]]
        for text, name in zip(texts, intents, strict=True):
            by_intent[name].append(f"- {text}\n")
        blocks = [{"intent": name, "examples": "".join(lines)} for name, lines in by_intent.items()]
        (folder / "nlu.yml").write_text(
            yaml.safe_dump({"version": "3.1", "nlu": blocks}, allow_unicode=True), encoding="utf-8"
        )
        (folder / "config.yml").write_text(
            # Rasa's tokenizer without a dictionary refuses "zh"; Chinese is left to the character n-grams.
            yaml.safe_dump({"recipe": "default.v1", "language": "en", "pipeline": pipeline}),
            encoding="utf-8",
        )
        options = ["--nlu", "nlu.yml", "--config", "config.yml", "--out", ".", "--fixed-model-name", "diet"]
        done = subprocess.run(
            [sys.executable, "-m", "rasa", "train", "nlu", *options],
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        if done.returncode != 0:
            raise TrainingError(f"rasa train nlu failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
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


# Plain first; the last of the linear ones is what config.yml has.
CANDIDATES: dict[str, Train] = {
    "n-grams + logistic": linear(channel=False, meaning=False),
    "encoder + logistic": linear(channel=False, spelling=False, weight=10.0),
    "n-grams + encoder + logistic": linear(channel=False),
    "n-grams + encoder + logistic + neighbours": with_neighbours,
    "noisy channel + n-grams + encoder + logistic": linear(),
}
WITH_DIET: dict[str, Train] = {
    "DIET as recommended": diet(meaning=False),
    "n-grams + encoder + DIET": diet(meaning=True),
}


def score(intents: list[str], chances: Chances, rows: Labelled) -> dict[str, Any]:
    """Accuracy (also over what can be understood alone), macro-F1, calibration and AUROC of one set."""
    named = map_intents(intents, {label for _, right in rows for label in right})
    table = chances([text for text, _ in rows])
    strangers = table[:, intents.index("out_of_scope")]
    found = []
    for (text, right), row, strange in zip(rows, table, strangers, strict=True):
        best = int(row.argmax())
        found.append(
            Row(text, right, named[intents[best]], float(row[best]), intents[best], False, float(strange))
        )
    foreign = [row.gold == {"out_of_scope"} for row in found]
    few = sum(foreign) < STRANGERS
    return {
        "n": len(found),
        "accuracy": accuracy(found),
        "accuracy_alone": accuracy([row for row in found if "context_only" not in row.gold]),
        "macro_f1": macro_f1(found),
        "ece": reliability(found)[1],
        "auroc": None if few else auroc(foreign, [row.out_of_scope for row in found]),
    }


def measure(name: str, folder: Path, examples: int | None) -> dict[str, Any]:
    """Train one candidate on our examples, or on so many of them evenly drawn, and score it on every set."""
    sets = {one: rows[:: max(1, len(rows) // MOST)] for one, rows in intent_files(folder).items()}
    rows = own_rows(10**9, shortest=1)
    if examples and examples < len(rows):
        rows = [rows[at * len(rows) // examples] for at in range(examples)]
    texts, intents = [text for text, _ in rows], [min(right) for _, right in rows]
    encode_meaning(["你好"])  # the encoder's loading is nobody's training
    started, busy = time.perf_counter(), _processor_time()
    names, chances = {**CANDIDATES, **WITH_DIET}[name](texts, intents)
    took, busy = time.perf_counter() - started, _processor_time() - busy
    some = [text for rows in sets.values() for text, _ in rows[:TIMED]][: 4 * TIMED]
    waits = []
    for text in some:
        begun = time.perf_counter()
        chances([text])
        waits.append((time.perf_counter() - begun) * 1000)
    return {
        "examples": len(rows),
        "training_s": round(took, 1),
        "training_cpu_s": round(busy, 1),
        "parse_ms": round(statistics.median(waits), 1) if waits else None,
        "memory_mb": max(
            resource.getrusage(who).ru_maxrss // 1024
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        ),
        "sets": {one: score(names, chances, rows) for one, rows in sets.items()},
    }


def _processor_time() -> float:
    """Seconds of this process and of those it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*CANDIDATES, *WITH_DIET])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--examples", type=int, default=0)
    given = parser.parse_args()
    print(json.dumps(measure(given.name, given.data, given.examples or None), ensure_ascii=False))


if __name__ == "__main__":
    main()
