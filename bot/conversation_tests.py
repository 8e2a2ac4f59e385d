"""`kefu test`: Rasa's data validation and its conversation tests with a short answer.

It knows how Rasa reports failed stories; it knows no topic. Rasa does not run our actions in these
tests; `tests/e2e` is where conversations end in the shop's database.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bot.exceptions import TrainingError
from bot.settings import PROJECT_ROOT, get_settings
from bot.training import current_model, indented, load_yaml, read_log, relevant_lines, run_rasa, shown

RESULTS = PROJECT_ROOT / "results"
CONVERSATIONS = PROJECT_ROOT / "tests" / "conversations"


@dataclass(frozen=True)
class FailedStory:
    name: str
    details: tuple[str, ...]  # expected against got, one line each


def run(
    topic: Annotated[
        str | None, typer.Option("--topic", help="Only tests/conversations/test_TOPIC.yml.")
    ] = None,
    validate: Annotated[
        bool, typer.Option("--validate/--no-validate", help="Rasa's data validation first.")
    ] = True,
) -> None:
    """Run Rasa's data validation and the conversation tests."""
    stories = conversation_tests(topic)
    model = current_model()
    if validate:
        validate_data()
    started = time.monotonic()
    log = get_settings().data_path("log", "test.log")
    out = RESULTS / (topic or "all")
    for old in ("failed_test_stories.yml", "story_report.json", "stories_with_warnings.yml"):
        (out / old).unlink(missing_ok=True)
    code = run_rasa(
        [
            *("test", "core", "--stories", str(stories), "--model", str(model)),
            *("--out", str(out), "--no-plot", "--endpoints", os.devnull),
        ],
        log,
    )
    if code != 0:
        raise TrainingError(
            f"rasa test failed (exit code {code}). From {shown(log)}:\n" + indented(relevant_lines(log))
        )
    total = count_stories(stories)
    failed = failed_stories(out / "failed_test_stories.yml")
    for story in failed:
        typer.secho(f"test      | failed: {story.name}", fg="red")
        for line in story.details:
            typer.echo(f"          |   {line}")
    typer.echo(
        f"test      | {total - len(failed)} of {total} conversations passed "
        f"in {time.monotonic() - started:.0f} s"
    )
    if failed or total == 0:
        raise typer.Exit(1)


def conversation_tests(topic: str | None) -> Path:
    """The folder of all conversation tests, or the file of one topic.

    Raises:
        TrainingError: there is no such topic; names those there are.
    """
    if topic is None:
        return CONVERSATIONS
    path = CONVERSATIONS / f"test_{topic}.yml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem.removeprefix("test_") for one in CONVERSATIONS.glob("test_*.yml")))
        raise TrainingError(f"No conversation tests for topic {topic!r}. There are: {known or 'none'}.")
    return path


def validate_data() -> None:
    """Rasa's data validation; a warning is a failure.

    Raises:
        TrainingError: with the lines that say why.
    """
    log = get_settings().data_path("log", "validate.log")
    code = run_rasa(
        ["data", "validate", "--fail-on-warnings", "--domain", "domain.yml", "--data", "data"], log
    )
    found = data_warnings(read_log(log), read_sources(PROJECT_ROOT / "actions"))
    if code != 0 or found:
        told = found[:20] or relevant_lines(log)
        raise TrainingError(f"The dialogue data are not valid. From {shown(log)}:\n" + indented(told))
    typer.echo("test      | data valid, no warnings")


def data_warnings(log: str, sources: str) -> list[str]:
    """The warnings of Rasa's validation that are one.

    Rasa calls a response unused when no story names it. Ours are said by actions, some under a name made
    of a fixed beginning and a code; so a response is unused when `sources` do not name it either.
    """
    names = set(re.findall(r"[\"']([a-z][a-z0-9_/]+)[\"']", sources))
    beginnings = tuple(set(re.findall(r"[\"']([a-z]+_)[\"'{]", sources)))
    unused = re.compile(r"The utterance '([^']+)' is not used in any story or rule")
    found = re.findall(r"^Warning: (.+)$", log, re.M)
    return [
        one
        for one in found
        if not ((match := unused.search(one)) and (match[1] in names or match[1].startswith(beginnings)))
    ]


def read_sources(folder: Path) -> str:
    return "\n".join(path.read_text("utf-8") for path in sorted(folder.rglob("*.py")))


def count_stories(stories: Path) -> int:
    """How many test stories a file or a folder holds."""
    paths: Iterable[Path] = [stories] if stories.is_file() else sorted(stories.rglob("test_*.yml"))
    total = 0
    for path in paths:
        content = load_yaml(path)
        if isinstance(content, dict):
            total += len(content.get("stories") or [])
    return total


EXPECTED_GOT = re.compile(r"^(?P<expected>.*?)#\s*predicted:\s*(?P<got>.*)$")


def failed_stories(report: Path) -> list[FailedStory]:
    """Read Rasa's report of failed stories: their names and, per wrong step, expected against got."""
    if not report.is_file():
        return []
    found: list[FailedStory] = []
    name: str | None = None
    details: list[str] = []
    for line in report.read_text("utf-8").splitlines():
        if match := re.match(r"\s*- story:\s*(.*)$", line):
            if name is not None:
                found.append(FailedStory(name, tuple(details)))
            # Rasa adds the file in brackets; the name is enough to find it.
            name, details = re.sub(r"\s*\([^()]*\.yml\)\s*$", "", match[1].strip().strip("'\"")), []
        elif (match := EXPECTED_GOT.match(line)) and name is not None:
            expected = match["expected"].strip().lstrip("- ").strip()
            details.append(f"expected {expected or 'nothing'}; got {match['got'].strip()}")
    if name is not None:
        found.append(FailedStory(name, tuple(details)))
    return found
