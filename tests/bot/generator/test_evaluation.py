"""`kefu evaluate answers` counts what it says it counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.exceptions import KnowledgeError
from bot.generator.answering import Answerer
from bot.generator.confidence import Fusion, Logistic
from bot.generator.evaluation import Asked, evaluate, read_questions, summarise
from bot.generator.report import write_report
from bot.knowledge.hybrid import Fusion as Ranks
from bot.knowledge.hybrid import HybridRetriever
from tests.bot.generator.test_answering import CHUNKS, COVERED, Speaks

ASKED = [
    Asked("1", "zh", "退货期限", True, ("7天",), ("returns",)),
    Asked("2", "zh", "保修多久", True, ("2年",), ("warranty",)),
    Asked("3", "zh", "退货地址在哪个城市", False),
    Asked("4", "zh", "公司老板是谁", False),
]


def answerer(text: str | None = None, fusion: Logistic = COVERED) -> Answerer:
    return Answerer(
        HybridRetriever(CHUNKS, fusion=Ranks(weights={"bm25": 1.0})), CHUNKS, Fusion(fusion, None, 0.9, 0.9),
        generator=Speaks(text) if text else None,
    )  # fmt: skip


async def test_the_figures_of_a_small_shop() -> None:
    found = summarise(await evaluate(answerer(), ASKED))

    assert (4, 2, 2) == (found["questions"], found["answerable"], found["unanswerable"])
    assert 1.0 == found["accuracy_answer_always"] == found["recall_at_5"] == found["citation_correct"]
    assert found["accuracy_generator_only"] is None
    assert 0.0 == found["unanswerable_answered"]
    assert 1.0 == found["auroc"]


async def test_the_generators_own_accuracy_is_counted_apart_from_the_system() -> None:
    """A generator that is always wrong lowers its own figure and not that of the whole."""
    found = summarise(await evaluate(answerer("30天内可以退货。"), ASKED))

    assert 0.0 == found["accuracy_generator_only"]
    assert 1.0 == found["accuracy_answer_always"]
    assert found["checks_failed"]["values"] >= 2


async def test_answering_an_unanswerable_question_is_wrong_whatever_is_said() -> None:
    sure = Logistic(("text",), (0.0,), (1.0,), (0.0,), 9.0)
    found = summarise(await evaluate(answerer(fusion=sure), ASKED))

    assert found["unanswerable_answered"] > 0
    assert found["risk"] > 0


async def test_the_report_is_a_page_with_plots(tmp_path: Path) -> None:
    outcomes = await evaluate(answerer(), ASKED)
    write_report(tmp_path / "r.html", summarise(outcomes), outcomes)
    page = (tmp_path / "r.html").read_text()

    assert 3 == page.count("data:image/png;base64")
    assert "accuracy_answer_always" in page

    write_report(tmp_path / "line.html", summarise(outcomes) | {"thresholds": [0.765]}, outcomes)
    drawn = (tmp_path / "line.html").read_text().split("data:image/png")
    assert (
        drawn[1:3] == page.split("data:image/png")[1:3]
        and drawn[3][:9000] != page.split("data:image/png")[3][:9000]
    )


@pytest.mark.parametrize(
    "line",
    [
        "{",
        '{"id": 1}',
        '{"id": "1", "language": "fr", "question": "x", "answerable": true}',
        '{"id": "1", "language": "en", "question": "x", "answerable": "yes"}',
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text(
        json.dumps({"id": "0", "language": "en", "question": "ok", "answerable": False}) + "\n" + line + "\n"
    )
    with pytest.raises(KnowledgeError, match=r"q\.jsonl:2"):
        read_questions(file)
