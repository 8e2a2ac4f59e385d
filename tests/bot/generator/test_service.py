"""The answering of a running program: follows its articles, and answers by words while they are being encoded."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bot.exceptions import KnowledgeError
from bot.generator import service as module
from bot.generator.confidence import Fusion, Logistic
from bot.generator.service import AnswerService
from bot.knowledge.base import Knowledge
from bot.knowledge.hybrid import Fusion as Methods
from bot.knowledge.hybrid import HybridRetriever
from bot.settings import GeneratorSettings, KnowledgeSettings, Settings

QUESTION = "how many days do I have to return an item"
SURE = Logistic(("covered",), (0.0,), (1.0,), (10.0,), 0.0)


def write(folder: Path, days: int, front: str = "language: en") -> None:
    (folder / "returns.md").write_text(
        f"---\nid: returns\n{front}\n---\n# Returns\n## How many days do I have to return an item?\n"
        f"You can return an item within {days} days of delivery.\n## Gift wrapping\nWe wrap presents in paper.\n",
        encoding="utf-8",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "articles").mkdir()
    write(tmp_path / "articles", 7)
    return tmp_path / "articles"


@pytest.fixture
def settings(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Searching by words only, and a confidence model that trusts what is found."""
    by_words = Methods(weights={"bm25": 1.0})
    monkeypatch.setattr(
        Knowledge, "retriever", lambda self, **_: HybridRetriever(self.chunks, fusion=by_words)
    )
    monkeypatch.setattr(
        Fusion, "load", classmethod(lambda cls, *_: cls(SURE, None, 0.5, 0.5, lexical=SURE, version="test"))
    )
    return Settings(
        data_dir=tmp_path / "var", knowledge=KnowledgeSettings(path=folder), generator=GeneratorSettings(enabled=False)
    )  # fmt: skip


async def test_a_changed_article_is_answered_from_at_the_next_question(
    settings: Settings, folder: Path
) -> None:
    service = AnswerService(settings)
    before = await service.answer(QUESTION, language="en")
    write(folder, 30)
    after = await service.answer(QUESTION, language="en")
    await service.close()

    assert "7 days" in before.text and "30 days" in after.text


async def test_an_article_with_an_error_leaves_the_last_good_ones_until_it_is_mended(
    settings: Settings, folder: Path
) -> None:
    service = AnswerService(settings)
    await service.answer(QUESTION, language="en")
    write(folder, 30, front="language: french")
    broken = await service.answer(QUESTION, language="en")
    write(folder, 14)
    mended = await service.answer(QUESTION, language="en")
    await service.close()

    assert "7 days" in broken.text and "14 days" in mended.text


async def test_a_shop_that_starts_with_an_error_is_told(settings: Settings, folder: Path) -> None:
    write(folder, 7, front="language: french")
    service = AnswerService(settings)
    with pytest.raises(KnowledgeError, match="language"):
        await service.answer(QUESTION, language="en")
    await service.close()


async def test_while_articles_are_being_encoded_the_words_answer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded, usual = threading.Event(), Knowledge.retriever

    def slow(self: Knowledge, **options: object) -> object:
        encoded.wait(30)
        return usual(self)

    monkeypatch.setattr(Knowledge, "retriever", slow)
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    service = AnswerService(settings)
    meanwhile = [await service.answer(QUESTION, language="en") for _ in range(2)]
    encoded.set()
    await service.warm()
    afterwards = await service.answer(QUESTION, language="en")
    await service.close()

    assert ["7 days" in one.text for one in meanwhile] == [True, True]
    assert all("indexing" in one.decision.reasons for one in meanwhile)
    assert "7 days" in afterwards.text and "indexing" not in afterwards.decision.reasons


async def test_a_certificate_does_not_cover_answers_by_words(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    certified = settings.model_copy(update={"generator": GeneratorSettings(enabled=False, mode="certified")})
    answerer = module.provisional_answerer(certified, Knowledge.load(settings.knowledge.path or Path()))
    answer = await answerer.answer(QUESTION, language="en")

    assert ("draft", "") == (answer.decision.decision, answer.text)
    assert {"indexing", "shadow"} <= set(answer.decision.reasons)
