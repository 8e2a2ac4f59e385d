"""`kefu evaluate answers` counts what it says it counts."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from bot.exceptions import GeneratorError, KnowledgeError, NoReranker
from bot.generator import evaluation as module
from bot.generator.answering import Answerer
from bot.generator.confidence import Fusion, Logistic
from bot.generator.evaluation import Asked, against, evaluate, judge, read_questions, run, summarise
from bot.generator.report import write_report
from bot.knowledge.base import Knowledge
from bot.knowledge.hybrid import Fusion as Ranks
from bot.knowledge.hybrid import HybridRetriever
from bot.settings import GeneratorSettings, Settings
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


@pytest.mark.parametrize(("bias", "share"), [(9.0, 0.0), (0.0, 1.0), (-9.0, 0.0)])
async def test_how_many_quote_two_sections_is_counted(bias: float, share: float) -> None:
    """Sure, in doubt, and hopeless."""
    level = Logistic(("text",), (0.0,), (1.0,), (0.0,), bias)
    found = summarise(await evaluate(answerer(fusion=level), ASKED[:2]))

    assert share == found["two_sections"]


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
        '{"id": "1", "language": "en", "question": null, "answerable": true}',
        '{"id": "1", "language": "en", "question": " ", "answerable": true}',
        '{"id": "1", "language": "en", "question": "x", "answerable": true, "gold": {"a": 1}}',
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text(
        json.dumps({"id": "0", "language": "en", "question": "ok", "answerable": False}) + "\n" + line + "\n"
    )
    with pytest.raises(KnowledgeError, match=r"q\.jsonl:2"):
        read_questions(file)


def written(path: Path, *lines: dict[str, Any]) -> Path:
    usual = {"language": "zh", "question": "保修多久", "answerable": True}
    path.write_text(
        "\n".join(json.dumps({**usual, **line}, ensure_ascii=False) for line in lines), encoding="utf-8"
    )
    return path


@pytest.mark.parametrize(
    ("raw", "kept"),
    [("", ()), (" ", ()), (["", "2年"], ("2年",)), ([None], ()), ("2年", ("2年",)), (2, ("2",)), (None, ())],
)
def test_blank_gold_is_none(tmp_path: Path, raw: object, kept: tuple[str, ...]) -> None:
    (one,) = read_questions(written(tmp_path / "q.jsonl", {"gold": raw, "evidence": raw, "id": None}))

    assert (kept, kept, "1") == (one.gold, one.evidence, one.id)


async def test_what_cannot_be_judged_is_neither_right_nor_wrong() -> None:
    bare = Asked("bare", "zh", "保修多久", True)
    astray = Asked("astray", "zh", "保修多久", True, (), ("warrenty",))
    whole = summarise(await evaluate(answerer(), ASKED))
    found = summarise(await evaluate(answerer(), [*ASKED, bare, astray]))

    assert (6, 4, 2) == (found["questions"], found["answerable"], found["unjudged"])
    for figure in (
        "accuracy_answer_always", "recall_at_5", "risk", "auroc", "aurc", "ece", "citation_correct", "citation_correct_answered",
    ):  # fmt: skip
        assert whole[figure] == found[figure], figure
    assert 0 == whole["unjudged"]
    only = summarise(await evaluate(answerer(), [bare]))
    assert (1, None, None) == (only["unjudged"], only["accuracy_answer_always"], only["auroc"])


def test_questions_that_do_not_fit_the_articles_are_named() -> None:
    asked = [
        Asked("bare", "zh", "保修多久", True),
        Asked("astray", "zh", "保修多久", True, (), ("warrenty", "warranty")),
        Asked("other field", "zh", "保修多久", True, ("2年",), (), "Model 3"),
        Asked("fine", "zh", "怎么除垢", True, (), ("kettle",), "电水壶"),
        Asked("unanswerable", "zh", "老板是谁", False, (), ("nowhere",)),
    ]
    fitted, said = against(asked, CHUNKS)

    assert [None, "电水壶"] == [one.product for one in fitted[2:4]]
    assert [False, True, True, True, True] == [one.judged for one in fitted]
    assert 3 == len(said)
    assert said[0].startswith("questions bare have neither") and "astray (warrenty)" in said[1]
    assert "other field (Model 3)" in said[2]
    many = against([replace(asked[0], id=f"q{n}") for n in range(30)], CHUNKS)[1]
    assert "q19 and 10 more" in many[0] and "q20" not in many[0]


async def test_a_product_that_no_article_is_for_does_not_hide_the_answer() -> None:
    (outcome,) = await evaluate(answerer(), [replace(ASKED[1], product="sku-1")])

    assert outcome.right


async def test_without_gold_either_of_two_quoted_sections_counts() -> None:
    """As in scripts/fit_confidence.py; of a generated reply only the section it rests on."""
    asked = Asked("1", "zh", "保修多久", True, (), ("warranty",))
    answer = await answerer().answer("保修多久还是退货期限", language="zh")
    own = replace(answer.candidates[0], evidence=("returns/zh#1", "warranty/zh#1"))
    quoted = judge(asked, replace(answer, candidates=(own,)))
    reply = judge(asked, replace(answer, candidates=(replace(own, voice="generated"),)))

    assert {"returns/zh#1", "warranty/zh#1"} <= {h.chunk.id for h in answer.hits}
    assert quoted.right and not quoted.cited_right
    assert not reply.right and reply.generated_right is False


class Unread:
    """A generator in this process that has no reranker."""

    class loaded:
        name = "tiny"

    def __init__(self, *_: Any, **__: Any) -> None: ...

    async def complete(self, *_: Any, **__: Any) -> Any:
        raise GeneratorError("busy")

    async def rerank(self, question: str, documents: Sequence[str]) -> list[float]:
        raise NoReranker("There is no reranker (generator.reranker is none).")

    def close(self) -> None: ...


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of articles, searched by words; logging as it was is restored."""
    folder = tmp_path / "articles"
    folder.mkdir()
    (folder / "a.md").write_text(
        "---\nid: a\nlanguage: zh\n---\n# 售后\n## 保修多久\n整机保修2年。\n", encoding="utf-8"
    )
    by_words = Ranks(weights={"bm25": 1.0})
    monkeypatch.setattr(
        Knowledge, "retriever", lambda self, **_: HybridRetriever(self.chunks, fusion=by_words)
    )
    settings = Settings(data_dir=tmp_path / "var", generator=GeneratorSettings(phrases=False))
    monkeypatch.setattr(module, "get_settings", lambda: settings)
    monkeypatch.setattr("bot.generator.local.LocalGenerator", Unread)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield folder
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_with_json_nothing_else_goes_to_stdout(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not what the answerer logs of a reranker that is missing, nor what is odd about the questions."""
    asked = written(tmp_path / "q.jsonl", {"id": "one", "gold": "2年"}, {"id": "bare"})
    details = tmp_path / "new" / "folder" / "d.jsonl"
    run(shop, asked, as_json=True, details=details)
    out, err = capsys.readouterr()
    found = json.loads(out)

    assert (2, 1, 1.0) == (found["questions"], found["unjudged"], found["accuracy_answer_always"])
    assert "not_reranked" in err
    assert "questions bare have neither gold nor evidence" in err
    lines = [json.loads(line) for line in details.read_text(encoding="utf-8").splitlines()]
    assert [(True, True), (False, None)] == [(one["judged"], one["right"]) for one in lines]


@pytest.mark.parametrize("where", ["articles", "q.jsonl/d.jsonl"])
def test_a_place_that_cannot_be_written_is_named_before_anything_is_asked(
    shop: Path, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = written(tmp_path / "q.jsonl", {"gold": "2年"})
    monkeypatch.setattr(module, "evaluate", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(KnowledgeError, match="Name a"):
        run(shop, asked, details=tmp_path / where)
