"""Markdown without its marks: lines, lists and tables."""

import pytest

from bot.knowledge.markdown import plain_lines


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
