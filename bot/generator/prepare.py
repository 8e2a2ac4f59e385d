"""Training data made fit: cleaned, masked, checked, without doubles, split by conversation.

Reads the project's own synthetic dialogues and a shop's JSONL in the same form (see docs/generator.md).
An example whose answer does not stand in its evidence would teach the model to invent, so it is left out
and counted. Knows no model.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bot.exceptions import GeneratorError
from bot.generator.checks import (
    check_claim,
    check_form,
    check_grounded,
    check_language,
    check_system_text,
    check_values,
)
from bot.generator.dialogues import Dialogue
from bot.generator.injection import looks_like_injection
from bot.generator.prompt import MAX_EVIDENCE_CHARS, MAX_QUESTION, MAX_TITLE, MAX_TURN, quoted
from bot.generator.wording import content_words
from bot.jsonl import numbered_lines
from bot.privacy.masking import mask_text

MAX_ANSWER = 2000  # far more than `fault` lets pass
_HOTLINE = re.compile(r"(?<!\d)(?:400|800)[- ]?\d{3,4}[- ]?\d{3,4}(?!\d)")


@dataclass(frozen=True)
class Prepared:
    """What came out: three parts that share no conversation, and what was left out why."""

    train: tuple[Dialogue, ...]
    tune: tuple[Dialogue, ...]
    test: tuple[Dialogue, ...]
    dropped: dict[str, int]


def mask_personal(text: str) -> str:
    """Mask what names a person; the shop's own hotline is no person."""
    hotlines = _HOTLINE.findall(text)
    masked = mask_text(_HOTLINE.sub("\x00", text))
    for hotline in hotlines:
        masked = masked.replace("\x00", hotline, 1)
    return masked


def clean(dialogue: Dialogue) -> Dialogue:
    """One line per text, no role marks, no personal data, no longer than the prompt has room for: what is cut off there
    must not make an answer look as if it stood in the evidence."""

    def tidy(text: str, limit: int) -> str:
        whole = mask_personal(quoted(text, len(text)))  # before the cut, which may go through a number
        return quoted(whole, limit).rstrip()

    return replace(
        dialogue,
        question=tidy(dialogue.question, MAX_QUESTION),
        answer=tidy(dialogue.answer, MAX_ANSWER),
        evidence=tuple(
            replace(e, text=tidy(e.text, MAX_EVIDENCE_CHARS), title=tidy(e.title, MAX_TITLE))
            for e in dialogue.evidence
        ),
        history=tuple((tidy(a, MAX_TURN), tidy(b, MAX_TURN)) for a, b in dialogue.history),
    )


def fault(dialogue: Dialogue) -> str | None:
    """Why an example must not be learned from, or None."""
    if not dialogue.question or not dialogue.evidence:
        return "no question or no evidence"
    if len(dialogue.answer) > 500:
        return "answer too long"
    if looks_like_injection(dialogue.question) or looks_like_injection(dialogue.answer):
        return "talks to the assistant"
    for check in (
        check_form(dialogue.answer),
        check_system_text(dialogue.answer),
        check_language(dialogue.answer, dialogue.language),
        check_values(dialogue.answer, dialogue.evidence, dialogue.question),
        check_grounded(dialogue.answer, dialogue.evidence),
        *(() if any(e.source == "order" for e in dialogue.evidence) else (check_claim(dialogue.answer),)),
    ):
        if not check.ok:
            return f"answer fails the check '{check.name}'"
    return None


def prepare(dialogues: Iterable[Dialogue], *, tune: float = 0.05, test: float = 0.1) -> Prepared:
    """Clean, check, drop doubles and near-doubles, split by conversation with a hash: stable when data grows."""
    dropped: Counter[str] = Counter()
    seen: set[str] = set()
    parts: dict[str, list[Dialogue]] = {"train": [], "tune": [], "test": []}
    for dialogue in map(clean, dialogues):
        reason = fault(dialogue)
        if reason:
            dropped[reason] += 1
            continue
        words = (
            " ".join(content_words(dialogue.question))
            + "|"
            + " ".join(sorted(content_words(dialogue.answer)))
        )
        mark = hashlib.sha256(words.encode()).hexdigest()
        if mark in seen:
            dropped["double"] += 1
            continue
        seen.add(mark)
        place = int(hashlib.sha256(dialogue.group.encode()).hexdigest()[:8], 16) / 0x1_0000_0000
        parts["test" if place < test else "tune" if place < test + tune else "train"].append(dialogue)
    return Prepared(tuple(parts["train"]), tuple(parts["tune"]), tuple(parts["test"]), dict(dropped))


def read_dialogues(path: Path) -> list[Dialogue]:
    """Read a JSONL file of dialogues.

    Raises:
        GeneratorError: names file, line and remedy.
    """
    out = []
    for number, line in numbered_lines(path, GeneratorError):
        try:
            out.append(Dialogue.of(json.loads(line)))
        except (ValueError, KeyError, TypeError) as exc:
            raise GeneratorError(
                f"{path}:{number}: not a dialogue ({exc!r}). Wanted: id, group, language (zh or en), question, "
                "evidence: [{id, text, title, language}], answer."
            ) from exc
    return out


def write_dialogues(path: Path, dialogues: Sequence[Dialogue]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(d.as_json() + "\n" for d in dialogues), encoding="utf-8")
