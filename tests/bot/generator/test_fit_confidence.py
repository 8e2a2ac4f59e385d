"""The script that makes bot/generator/fusion.json runs from end to end, and the answerer takes what it writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bot.generator.confidence import READ_FEATURES, Fusion
from bot.generator.shops import held_out, shop_files
from bot.generator.trunks import Trunk
from bot.settings import PROJECT_ROOT
from tests.bot.scripts import beginning, load_script


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load_script("fit_confidence", monkeypatch)


def test_a_confidence_model_is_fitted_and_can_be_used(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On four small shops, two of them held out, with a reranker that knows the answers."""
    files = [
        next(p for p in shop_files() if held_out(p) is kept and p.stem.endswith(language))
        for kept in (True, False)
        for language in ("zh", "en")
    ]

    answers = {q.question: q for p in files for q in beginning(p).questions}
    read: list[str] = []

    def score(_: Any, trunks: Sequence[Trunk]) -> list[list[float]]:
        read.extend(q for t in trunks for q, _ in t.questions)
        return [
            [3.0 if any(g in t.document for g in answers[q].gold) else -3.0 for q, _ in t.questions]
            for t in trunks
        ]

    monkeypatch.setattr(script, "shop_files", lambda: files)
    monkeypatch.setattr(script, "read_shop", beginning)
    monkeypatch.setattr(script, "load_reranker", lambda *_, **__: object())
    monkeypatch.setattr(script, "score_trunks", score)
    questions = tmp_path / "questions.jsonl"
    questions.write_text("")
    out = tmp_path / "fusion.json"

    options = ["--knowledge", str(PROJECT_ROOT / "data" / "knowledge"), "--questions", str(questions),
               "--parts", "0", "--share", "0.8", "--order", "0.9", "--doubt", "0.8", "--out", str(out)]  # fmt: skip
    script.main(options)

    printed = capsys.readouterr().out
    written = json.loads(out.read_text())
    assert f"written: {out}" in printed
    assert set(read) <= {q.question for p in files if held_out(p) for q in beginning(p).questions}, (
        "held-out shops only"
    )
    assert 0 < len(set(read)) <= written["fitted_on"]["questions"]
    assert written["fitted_on"]["shops"] == 2
    fusion = Fusion.load(out)
    assert (fusion.order, fusion.doubt) == (0.9, 0.8) and "order 0.5: first section right" in printed
    assert fusion.reranked is not None and set(READ_FEATURES) <= set(fusion.reranked.names)
    weights = dict(zip(fusion.reranked.names, fusion.reranked.weight, strict=True))
    assert weights["read"] > 0.5, "a reader that knows the answers is believed"
    assert 0 < fusion.strict <= fusion.strict_policy <= 1
