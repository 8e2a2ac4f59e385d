"""Others' reading questions become articles and questions that `kefu evaluate answers` reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bot.generator.evaluation import against, read_questions
from bot.knowledge.base import Knowledge

SCRIPT = Path(__file__).parent.parent / "scripts" / "squad_knowledge.py"
TITLE = {
    "title": "The_Sorn_pass",
    "paragraphs": [
        {
            "context": "The pass was opened in 1462.\nIt is closed in winter.",
            "qas": [
                {"id": "a", "question": "When was the pass opened? ", "is_impossible": False,
                 "answers": [{"text": "1462", "answer_start": 23}, {"text": "in 1462", "answer_start": 20}]},
                {"id": "b", "question": "When was the pass sold?", "is_impossible": True, "answers": []},
            ],
        },
        {"context": "Nothing is asked of this one.", "qas": []},
    ],
}  # fmt: skip


def run(file: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(file), "--language", "en", "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True)


def test_every_paragraph_is_a_section_and_questions_name_the_one_that_answers(tmp_path: Path) -> None:
    file = tmp_path / "dev.json"
    file.write_text(json.dumps({"data": [TITLE]}))

    done = run(file, tmp_path / "out")

    assert 0 == done.returncode, done.stderr
    chunks = Knowledge.load(tmp_path / "out" / "knowledge").chunks
    assert {"The pass was opened in 1462. It is closed in winter.", "Nothing is asked of this one."} == {
        c.text for c in chunks
    }
    asked = read_questions(tmp_path / "out" / "questions.jsonl")
    assert [("a", True, ("1462", "in 1462")), ("b", False, ())] == [
        (q.id, q.answerable, tuple(q.gold)) for q in asked
    ]
    assert not against(asked, chunks)[1], "the evidence is found among the sections"


def test_a_file_of_another_form_is_named(tmp_path: Path) -> None:
    file = tmp_path / "dev.json"
    file.write_text('{"data": [{"title": "T", "paragraphs": [{"context": 1, "qas": []}]}]}')

    done = run(file, tmp_path / "out")

    assert done.returncode and "dev.json is not in the form of SQuAD 2.0" in done.stderr
    assert "Traceback" not in done.stderr
