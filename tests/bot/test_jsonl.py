"""Files that people hand in are read as they were saved, or the place that is wrong is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.exceptions import KefuError
from bot.generator.calibrate import read_labels
from bot.generator.evaluation import read_questions
from bot.generator.prepare import read_dialogues
from bot.jsonl import numbered_lines
from bot.knowledge import evaluation as knowledge

# A reader, and a line for it that holds a text.
READERS: list[tuple[Callable[[Path], list[Any]], Callable[[str], dict[str, Any]], str]] = [
    (read_questions, lambda said: {"id": "1", "language": "zh", "question": said, "answerable": False}, "question"),
    (read_labels, lambda said: {"conversation": said, "at": "2026-10-01", "p": 0.5, "wrong": False}, "conversation"),
    (
        read_dialogues,
        lambda said: {"id": "1", "language": "zh", "question": said, "evidence": [], "answer": "a"},
        "question",
    ),
    (knowledge.read_questions, lambda said: {"id": "1", "question": said}, "question"),
]  # fmt: skip


@pytest.fixture(params=READERS, ids=["evaluate", "labels", "dialogues", "knowledge"])
def reader(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("encoding", ["gbk", "utf-16"])
def test_another_encoding_is_named_with_the_remedy(reader: Any, tmp_path: Path, encoding: str) -> None:
    read, line, _ = reader
    file = tmp_path / "f.jsonl"
    lines = (json.dumps(line(said), ensure_ascii=False) for said in ("ok", "退货期限"))
    file.write_bytes("\n".join(lines).encode(encoding))
    with pytest.raises(KefuError, match=r"f\.jsonl.*UTF-8") as error:
        read(file)

    assert encoding == "utf-16" or read is knowledge.read_questions or "f.jsonl:2: byte " in str(error.value)


def test_a_line_separator_in_a_text_ends_no_line(reader: Any, tmp_path: Path) -> None:
    read, line, name = reader
    said = "退货\u2028期限\u0085多久"
    file = tmp_path / "f.jsonl"
    file.write_text(json.dumps(line(said), ensure_ascii=False) + "\n", encoding="utf-8")

    assert [said] == [getattr(one, name) for one in read(file)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_numbered_as_an_editor_numbers_them(tmp_path: Path, end: str) -> None:
    file = tmp_path / "f.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + end.join(["one", "", "  ", "four"]).encode())

    assert [(1, "one"), (4, "four")] == list(numbered_lines(file, KefuError))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(KefuError, match="there is no such file"):
        list(numbered_lines(tmp_path / "no.jsonl", KefuError))
    with pytest.raises(KefuError, match="cannot be read"):
        list(numbered_lines(tmp_path, KefuError))
