"""Which product is meant, where the sections of several answer a question."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.generator.products import MOST, products_left_open
from bot.knowledge.retriever import Hit
from tests.bot.generator.test_answering import chunk


def hit(name: str, product: str, read: float | None, text: str = "Hold the button for 10 seconds.") -> Hit:
    signals = {} if read is None else {"read": read}
    return Hit(chunk(name, "It does not connect", text, "en", product), 1.0, 1, signals=signals)


EARBUDS = hit("earbuds", "Earbuds", 6.8)
VACUUM = hit("vacuum", "Robot vacuum", 8.2)
WATCH = hit("watch", "Smartwatch", 3.1)
PHONE = hit("phone", "Smartphone", 5.5)
LIGHT = hit("light", "Lamp", -4.0)
GENERAL = hit("general", "", 7.5)


@pytest.mark.parametrize(
    ("question", "hits", "left_open"),
    [
        ("it won't connect to my phone", [VACUUM, EARBUDS, PHONE, LIGHT], [VACUUM, EARBUDS, PHONE]),
        ("it won't connect", [VACUUM, WATCH, EARBUDS], [VACUUM, EARBUDS]),  # the watch reads far worse
        ("it won't connect", [replace(VACUUM, score=8.0), EARBUDS], []),  # the other was found far behind
        ("my earbuds won't connect", [VACUUM, EARBUDS, WATCH], []),  # named
        ("it won't connect", [VACUUM, LIGHT], []),  # one answers
        ("it won't connect", [GENERAL, VACUUM, EARBUDS], []),  # the best holds for every product
        ("it won't connect", [VACUUM, GENERAL, EARBUDS], [VACUUM, EARBUDS]),
        ("it won't connect", [VACUUM, hit("vacuum-2", "Robot vacuum", 8.0)], []),  # of one product
        ("it won't connect", [hit("a", "A", 1.2), hit("b", "B", 0.6)], [hit("a", "A", 1.2), hit("b", "B", 0.6)]),
        ("it won't connect", [hit("a", "A", 2.8), hit("b", "B", 0.6)], []),  # the first is better by far
        ("it won't connect", [hit("a", "A", -1.0), hit("b", "B", -1.2)], []),  # neither answers
        ("how many hours until it is full", [VACUUM, hit("b", "B", 6.0, "Press it.")], []),  # no time in it
        ("it won't connect", [], []),
    ],
)  # fmt: skip
def test_what_is_left_open(question: str, hits: list[Hit], left_open: list[Hit]) -> None:
    assert left_open == products_left_open(question, hits, None)


def test_a_doubtful_answer_is_asked_about_where_headings_say_the_same() -> None:
    """ "It does not connect" stands in both headings, and a person would be asked otherwise."""
    first, second = hit("a", "A", -1.0), hit("b", "B", -1.2)
    other = Hit(chunk("c", "Smell of smoke", "Clean it.", "en", "C"), 1.0, 3, signals={"read": -1.1})
    asked = "what if it does not connect"

    assert [first, second] == products_left_open(asked, [first, other, second], None, doubtful=True)
    assert [] == products_left_open(asked, [first, other, second], None)
    assert [] == products_left_open("b is not what I want to connect", [first, second], None, doubtful=True)


def test_a_known_product_is_not_asked_for() -> None:
    assert [] == products_left_open("it won't connect", [VACUUM, EARBUDS], "Earbuds")


def test_there_is_an_end_to_what_can_be_chosen_from() -> None:
    many = [hit(f"p{n}", f"Product {chr(65 + n) * 2}", 5.0) for n in range(7)]

    assert many[:MOST] == products_left_open("it won't connect", many, None)


def test_without_a_reranker_two_headings_have_to_say_the_same() -> None:
    first, same = hit("kettle", "Kettle", None), hit("coffee", "Coffee machine", None)
    other = Hit(chunk("fryer", "Smell of smoke", "Clean it.", "en", "Air fryer"), 0.9, 2)

    assert [first, same] == products_left_open("it won't connect", [first, same], None)
    assert [] == products_left_open("it won't connect", [first, other, same], None)
