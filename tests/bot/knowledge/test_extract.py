"""The extractive answer: whole when short, focused when long, never anything but the article's words."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.knowledge.articles import parse_article
from bot.knowledge.extract import best_passage, focus, split_sentences
from bot.knowledge.markdown import plain_lines
from bot.knowledge.retriever import Hit


def chunk(text: str, language: str = "en"):
    return parse_article(
        f"---\nid: a\nlanguage: {language}\n---\n# Title\n## Heading\n{text}\n", Path("a.md")
    ).chunks[0]


def test_nothing_found_is_no_passage():
    assert best_passage("anything", []) is None


def test_a_short_section_is_given_whole_and_without_marks():
    short = chunk("**Seven** days, see [the law](https://example.com). You pay.")
    hit = Hit(chunk=short, score=2.5, rank=1)

    passage = best_passage("how long", [hit])

    assert passage is not None
    assert passage.text == "Seven days, see the law. You pay."
    assert (passage.chunk, passage.score) == (short, 2.5)


def test_a_long_section_is_cut_down_to_the_sentence_that_answers():
    filler = "Our workshop has looked after instruments of all kinds for many years and enjoys it. " * 8
    text = focus("what does tuning a piano cost", chunk(f"{filler}Tuning a piano costs ¥380. {filler}"))

    assert "¥380" in text
    assert len(text) <= 420


def test_a_long_chinese_section_is_cut_down_too():
    filler = "我们的师傅做这一行已经很多年了，各种乐器都很熟悉。" * 8
    text = focus("钢琴调律多少钱", chunk(f"{filler}钢琴调律一次380元。{filler}", "zh"))

    assert "380元" in text
    assert len(text) <= 130


def test_a_table_row_keeps_the_names_of_its_columns():
    text = focus("days to Rome", chunk("| city | days |\n|---|---|\n| Paris | 3 |\n| Rome | 5 |"))
    assert "city: Rome; days: 5" in text


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        # an empty cell at the edge is a cell
        ("||普通|会员|\n|---|---|---|\n|退货|7天|15天|", ["退货; 普通: 7天; 会员: 15天"]),
        ("| a | b |\n|---|---|\n| 1 ||", ["a: 1"]),
        # without outer pipes, until something else begins
        ("a | b\n---|---\n1 | 2\n3 | 4\n- 5 | 6", ["a: 1; b: 2", "a: 3; b: 4", "- 5 | 6"]),
        ("a | b\n:-:|:-:\n1 | 2\n\n3 | 4", ["a: 1; b: 2", "3 | 4"]),
        # a dash says "none"
        ("|a|b|\n|:-|-:|\n|1|2|\n|-|-|", ["a: 1; b: 2", "a: -; b: -"]),
        ("|a|b|\n|---|---|\n|x\\|y|2|", ["a: x|y; b: 2"]),
        # which head is meant would be a guess
        ("|普通|会员|\n|---|---|\n|退货|7天|15天|", ["退货; 7天; 15天"]),
    ],
)
def test_every_cell_of_a_table_stands_under_its_own_head_or_none(table, lines):
    assert plain_lines(table) == lines


def test_a_line_that_begins_with_code_is_not_lost():
    assert plain_lines("```SF123``` 是快递单号\n```\ncode\n```") == ["SF123 是快递单号", "code"]


def test_a_decimal_point_ends_no_sentence():
    assert split_sentences("It costs 3.5 yuan. Fine.") == ["It costs 3.5 yuan.", " Fine."]


@given(st.text(alphabet="ab 1.。！？\n", max_size=400))
def test_sentences_joined_are_the_text(text):
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())
