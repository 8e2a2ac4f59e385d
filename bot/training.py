"""`kefu train`: Rasa's training with a short answer, and which model belongs to the present data.

A model is named after what it was trained from: the hash of Rasa's configuration, of everything
under `data/` that Rasa reads, and of our graph components. So "is there something to train?" is
"does the file exist?". This module knows no topic; Rasa runs in a process of its own.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from bot.exceptions import TrainingError
from bot.settings import PROJECT_ROOT, get_settings

MODELS_KEPT = 3
PART = ".part.tar.gz"  # ends a model's name until it is whole; Rasa would make ".tar.gz" of any other ending
# Modules of `bot` that say what a model is made of.
LEARNED_BY = ("intent_model.py", "noisy_channel.py", "normalise.py", "pinyin.py")

RASA_ENVIRONMENT = {
    "RASA_TELEMETRY_ENABLED": "false",
    "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    "LOG_LEVEL": "WARNING",
    "PYTHONHASHSEED": "0",  # the same data give the same model
}


# --- which model -----------------------------------------------------------------------------


def training_files(root: Path = PROJECT_ROOT) -> list[Path]:
    """Everything a model depends on, in a fixed order."""
    files = [root / "config.yml", root / "domain.yml"]
    files += _files(root / "data", (".yml", ".yaml", ".txt", ".json"))
    files += _files(root / "bot" / "components", (".py", ".json", ".yml", ".txt"))
    learned_by = [root / "bot" / name for name in LEARNED_BY]
    files += [path for path in learned_by if path.is_file()]
    missing = [str(path.relative_to(root)) for path in files[:2] if not path.is_file()]
    if missing:
        raise TrainingError(f"{' and '.join(missing)} missing in {root}. Remedy: run in a complete checkout.")
    return files


def _files(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in endings and path.is_file() and "__pycache__" not in path.parts
    )


def fingerprint(root: Path = PROJECT_ROOT) -> str:
    """Hash of everything a model depends on, Rasa's version included; 16 hexadecimal digits."""
    digest = hashlib.sha256(f"rasa {version('rasa')}".encode())
    for path in training_files(root):
        digest.update(f"\0{path.relative_to(root)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def model_path(root: Path = PROJECT_ROOT) -> Path:
    """Where the model of the present data is, or will be."""
    return root / "models" / f"{fingerprint(root)}.tar.gz"


def current_model(root: Path = PROJECT_ROOT) -> Path:
    """The model of the present data.

    Raises:
        TrainingError: there is none; says whether one of older data exists.
    """
    path = model_path(root)
    if path.is_file():
        return path
    older = _models(root / "models")
    because = "the data changed since the last training" if older else "no model was trained yet"
    raise TrainingError(f"There is no dialogue model: {because}. Remedy: kefu train")


def _models(folder: Path) -> list[Path]:
    """The models there; what a training is still writing, or left when it was cut off, is none."""
    return [path for path in folder.glob("*.tar.gz") if not path.name.endswith(PART)]


# --- kefu train ------------------------------------------------------------------------------


@dataclass(frozen=True)
class DataSummary:
    intents: int
    examples: int
    rules: int
    stories: int

    def __str__(self) -> str:
        return f"{self.intents} intents, {self.examples} examples, {self.rules} rules, {self.stories} stories"


def summarise(root: Path = PROJECT_ROOT) -> DataSummary:
    """Count what there is to learn.

    Raises:
        TrainingError: a file is not valid YAML; names file and line.
    """
    intents: set[str] = set()
    examples = rules = stories = 0
    for path in _files(root / "data", (".yml", ".yaml")):
        content = load_yaml(path)
        if not isinstance(content, dict):
            continue
        for block in content.get("nlu") or []:
            if isinstance(block, dict) and "intent" in block:
                intents.add(str(block["intent"]).split("/")[0])
                lines = block.get("examples") or ""
                examples += (
                    sum(1 for line in lines.splitlines() if line.lstrip().startswith("-"))
                    if isinstance(lines, str)
                    else len(lines)
                )
        rules += len(content.get("rules") or [])
        stories += len(content.get("stories") or [])
    return DataSummary(len(intents), examples, rules, stories)


def load_yaml(path: Path) -> Any:
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(path.read_text("utf-8"), Loader=loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as exc:
        raise TrainingError(f"{path} is not valid YAML: {exc}") from exc


def train(
    force: Annotated[bool, typer.Option("--force", help="Train even when nothing changed.")] = False,
) -> None:
    """Train the dialogue model when its data changed."""
    path = model_path()
    if path.is_file() and not force:
        typer.echo(f"train     | nothing changed: models/{path.name}")
        return
    data = summarise()
    typer.echo(f"train     | {data}")
    started = time.monotonic()
    # Rasa writes right where it is told to: a training that is cut off must not leave what counts as the model.
    part = path.with_name(path.name.removesuffix(".tar.gz") + PART)
    part.unlink(missing_ok=True)
    log = get_settings().data_path("log", "train.log")
    command = [
        *("train", "--domain", "domain.yml", "--config", "config.yml", "--data", "data"),
        *("--out", "models", "--fixed-model-name", part.name),
    ]
    if force:
        command.append("--force")
    code = run_rasa(command, log)
    if code != 0 or not part.is_file():
        part.unlink(missing_ok=True)
        raise TrainingError(
            f"Training failed (exit code {code}). From {shown(log)}:\n" + indented(relevant_lines(log))
        )
    part.replace(path)
    forget_old_models(keep=path)
    typer.echo(f"train     | trained in {time.monotonic() - started:.0f} s: models/{path.name}")


def run_rasa(arguments: list[str], log: Path) -> int:
    """Run Rasa in a process of its own with its noise in `log`; returns the exit code."""
    with log.open("wb") as out:
        return subprocess.run(
            [sys.executable, "-m", "rasa", *arguments],
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=PROJECT_ROOT,
            env={**os.environ, **RASA_ENVIRONMENT},
            check=False,
        ).returncode


NOISE = re.compile(
    r"MovedIn20Warning|DeprecationWarning|declarative_base|pkg_resources|add_argument_group|FutureWarning"
    r"|is not used in any story or rule|More info at|it/s\]|s/it\]|Epochs:|TF-TRT|cuda|TensorRT|To enable the following instructions|^\s*warnings\.warn"
)
TROUBLE = re.compile(
    r"error|exception|invalid|failed|conflict|contradict|warning|not found|missing|rasa\.shared", re.I
)


def relevant_lines(log: Path, limit: int = 15) -> list[str]:
    """The lines of Rasa's log that tell what went wrong; its last lines when none stands out."""
    text = read_log(log)
    lines = [line.rstrip()[:300] for line in text.splitlines() if line.strip() and not NOISE.search(line)]
    # A stack trace ends in the sentence that matters; the frames above it are for the log file.
    told = [line for line in lines if TROUBLE.search(line) and not line.startswith("  File ")]
    return (told or lines)[-limit:]


def read_log(log: Path) -> str:
    """Rasa's log without colours and without the places its warnings are raised at."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text("utf-8", errors="replace"))
    return re.sub(
        r"^\S+/rasa/shared/utils/io\.py:\d+: (?:User|Future)Warning: ", "Warning: ", text, flags=re.M
    )


def forget_old_models(keep: Path) -> None:
    """Remove all but the latest few models, and what trainings left that were cut off: the folder must not grow."""
    models = sorted(_models(keep.parent), key=lambda path: path.stat().st_mtime, reverse=True)
    old = [path for path in models if path != keep][MODELS_KEPT - 1 :]
    for path in [*old, *keep.parent.glob(f"*{PART}")]:
        path.unlink(missing_ok=True)


def shown(path: Path) -> str:
    return str(path.relative_to(PROJECT_ROOT)) if path.is_relative_to(PROJECT_ROOT) else str(path)


def indented(lines: list[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)
