"""The invented shops are whole, and what is held out is held out."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import pytest

from bot.exceptions import GeneratorError
from bot.generator.prompt import quoted
from bot.generator.shop_dialogues import shop_dialogues
from bot.generator.shops import FOLDER, held_out, read_shop, shop_files
from bot.knowledge.passages import Section

FILES = shop_files()


def test_there_are_shops_of_many_trades_in_both_languages_on_both_sides() -> None:
    shops = {path: read_shop(path) for path in FILES}

    assert 132 == len(shops)
    for kept in (True, False):
        languages = [s.language for p, s in shops.items() if held_out(p) is kept]
        assert min(languages.count("zh"), languages.count("en")) >= 4


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_shop_has_sections_questions_near_misses_and_strangers(path: Path) -> None:
    shop = read_shop(path)
    kinds = [q.kind for q in shop.questions]
    sections = len(shop.chunks)
    read = sum(len(Section.of(c).passages) for c in shop.chunks)

    fewest = 20 if "magazine" in shop.name else 26  # a magazine's are dense: ten questions to each
    assert read >= fewest and len({c.id for c in shop.chunks}) == sections
    assert kinds.count("ask") >= 3.5 * sections
    assert kinds.count("near") >= 1.6 * sections
    assert kinds.count("outside") >= 12
    assert len({q.question for q in shop.questions}) == len(shop.questions)
    assert all(q.answerable == (q.kind == "ask") == bool(q.gold) for q in shop.questions)
    han = sum(bool(re.search(r"[\u4e00-\u9fff]", q.question)) for q in shop.questions)
    assert (han == len(shop.questions)) if shop.language == "zh" else han == 0


def test_no_question_stands_on_both_sides() -> None:
    def questions(kept: bool) -> set[str]:
        return {
            q.question
            for p in FILES
            if held_out(p) is kept
            for q in read_shop(p).questions
            if q.kind != "outside"
        }

    shared = questions(True) & questions(False)

    assert len(shared) <= 0.01 * len(questions(True)), shared


def test_a_broken_shop_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken-en.yml"
    path.write_text(
        'language: en\narticles:\n  - title: T\n    sections:\n      - {heading: H, text: "3 days", ask: [["q", "4 days"]], near: []}\noutside: []\n'
    )

    with pytest.raises(GeneratorError, match=r"broken-en.yml.*4 days"):
        read_shop(path)


def test_the_dialogues_of_a_shop_ask_every_question_once_beside_the_section_that_answers() -> None:
    shop = read_shop(FOLDER / "aquarium-supplies-en.yml")
    dialogues = list(shop_dialogues(shop, seed=1))

    assert sorted(q.id for q in shop.questions if q.answerable) == sorted(d.id for d in dialogues)
    by_set = [list(same) for _, same in groupby(dialogues, lambda d: d.evidence)]
    assert len(by_set) == len({d.evidence for d in dialogues}), "questions of one set stand together"
    sections = [e.id for same in by_set for e in same[0].evidence]
    assert sorted(c.id for c in shop.chunks) == sorted(sections)
    for d in dialogues:
        assert any(gold in d.answer for gold in d.gold)
        assert any(d.answer in e.text for e in d.evidence)
    assert any(d.history for d in dialogues)
    assert dialogues == list(shop_dialogues(shop, seed=1)) != list(shop_dialogues(shop, seed=2))


def test_the_dialogues_of_a_shop_with_long_sections_show_the_passage_that_answers() -> None:
    shop = read_shop(FOLDER / "3d-printers-zh.yml")
    dialogues = list(shop_dialogues(shop, seed=1))

    assert sorted(q.id for q in shop.questions if q.answerable) == sorted(d.id for d in dialogues)
    longest = max(len(c.text) for c in shop.chunks)
    for d in dialogues:
        assert any(gold in d.answer for gold in d.gold)
        assert any(quoted(d.answer) in quoted(e.text) for e in d.evidence), (
            "on one line, as the prompt has it"
        )
        assert max(len(e.text) for e in d.evidence) < min(250, longest)
