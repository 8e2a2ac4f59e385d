"""The answering of a running program: follows its articles, and answers by words while they are being encoded."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bot.doctor import check_certificate
from bot.exceptions import CertificateVoid, KnowledgeError
from bot.generator import service as module
from bot.generator.binding import machine_hashes
from bot.generator.calibration import Certified
from bot.generator.certificate import issue
from bot.generator.confidence import Fusion, Logistic
from bot.generator.drift import FILE as DRIFT
from bot.generator.drift import Audits
from bot.generator.service import AnswerService
from bot.knowledge.base import Knowledge
from bot.knowledge.hybrid import Fusion as Methods
from bot.knowledge.hybrid import HybridRetriever
from bot.programs import refuse_void_certificate
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


async def test_a_change_that_could_not_be_taken_up_is_tried_again(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the database of the articles is away at the moment an article is edited."""
    service, usual = AnswerService(settings), module.load_answerer
    await service.answer(QUESTION, language="en")

    def away(*arguments: object) -> object:
        raise KnowledgeError("PostgreSQL cannot be reached.")

    write(folder, 30)
    monkeypatch.setattr(module, "load_answerer", away)
    meanwhile = [await service.answer(QUESTION, language="en") for _ in range(2)]
    monkeypatch.setattr(module, "load_answerer", usual)
    soon = await service.answer(QUESTION, language="en")  # not at every question
    service._not_before = 0.0
    again = await service.answer(QUESTION, language="en")
    await service.close()

    assert all("7 days" in one.text for one in [*meanwhile, soon])
    assert "30 days" in again.text
    assert again.versions["index"] != soon.versions["index"]  # each names the articles that it came from


async def test_a_shop_that_starts_with_an_error_is_told(settings: Settings, folder: Path) -> None:
    write(folder, 7, front="language: french")
    service = AnswerService(settings)
    with pytest.raises(KnowledgeError, match="language"):
        await service.answer(QUESTION, language="en")
    await service.close()


def slow_encoding(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """From now on articles are encoded only when the event is set, and nobody waits for them."""
    encoded, usual = threading.Event(), Knowledge.retriever

    def slow(self: Knowledge, **options: object) -> object:
        encoded.wait(30)
        return usual(self)

    monkeypatch.setattr(Knowledge, "retriever", slow)
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    return encoded


async def test_while_articles_are_being_encoded_the_words_answer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = slow_encoding(monkeypatch)
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


@pytest.fixture
def certified(settings: Settings, tmp_path: Path) -> Settings:
    """The same shop with a certificate for its present articles that lets everything through."""
    mine = settings.model_copy(
        update={
            "generator": GeneratorSettings(enabled=False, mode="certified", certificate=tmp_path / "c.json")
        }
    )
    hashes = machine_hashes(mine, Knowledge.load(settings.knowledge.path or Path()))
    passed = Certified(0.3, 0.8, 100, 1, 0.04, 120, 0.05, 0.1, (0.9999999999,))
    issue({"product": passed}, alphas={"product": 0.05}, delta=0.1, n=120, hashes=hashes, metrics={}).save(
        tmp_path / "c.json"
    )
    return mine


async def test_articles_that_change_under_a_certificate_are_drafted_from_until_it_is_made_anew(
    certified: Settings, folder: Path
) -> None:
    service = AnswerService(certified)
    before = await service.answer(QUESTION, language="en")
    write(folder, 30)
    after = await service.answer(QUESTION, language="en")
    write(folder, 7)
    restored = await service.answer(QUESTION, language="en")
    await service.close()

    assert "7 days" in before.text and before.decision.certificate
    assert ("", "draft") == (after.text, after.decision.decision)
    assert "30 days" in after.draft and "certificate_void" in after.decision.reasons
    assert "7 days" in restored.text


async def test_answers_of_before_a_change_are_not_certified_while_the_new_articles_are_read(
    certified: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = AnswerService(certified)
    before = await service.answer(QUESTION, language="en")
    encoded = slow_encoding(monkeypatch)
    write(folder, 30)
    meanwhile = await service.answer(QUESTION, language="en")
    encoded.set()
    await service.warm()
    await service.close()

    assert "7 days" in before.text
    assert ("", "draft") == (meanwhile.text, meanwhile.decision.decision) and "30 days" in meanwhile.draft


async def test_an_alarm_of_the_audits_counts_from_the_next_question_on(certified: Settings) -> None:
    service = AnswerService(certified)
    before = await service.answer(QUESTION, language="en")
    audits = Audits()
    while not audits.levels:
        audits.observe("product", True, alpha=0.05, delta=0.1)
    audits.save(certified.data_path(DRIFT))
    after = await service.answer(QUESTION, language="en")
    await service.close()

    assert "answer" == before.decision.decision
    assert "handoff" == after.decision.decision and "drift" in after.decision.reasons


@pytest.mark.parametrize("kept", [True, False])
def test_programs_do_not_start_on_a_void_certificate(certified: Settings, folder: Path, kept: bool) -> None:
    if kept:
        refuse_void_certificate(certified)
        return
    write(folder, 30)
    with pytest.raises(CertificateVoid, match="another index"):
        refuse_void_certificate(certified)


@pytest.mark.parametrize("change", ["none", "article", "alarm"])
async def test_the_doctor_says_what_became_of_the_certificate(
    certified: Settings, folder: Path, change: str
) -> None:
    if change == "article":
        write(folder, 30)
    if change == "alarm":
        audits = Audits()
        while not audits.levels:
            audits.observe("product", True, alpha=0.05, delta=0.1)
        audits.save(certified.data_path(DRIFT))
    (found,) = [one async for one in check_certificate(certified)]

    assert {"none": "ok", "article": "error", "alarm": "warning"}[change] == found.level
