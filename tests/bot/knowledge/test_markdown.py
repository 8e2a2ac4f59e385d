"""Markdown without its marks: lines, lists and tables."""

import re
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.knowledge.markdown import plain, plain_lines, ranked_lines

ROOT = Path(__file__).parents[3]


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


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("Return within <b>7 days</b>.<br>Call us&nbsp;first.", ["Return within 7 days.", "Call us first."]),
        ('<p class="x">七天内可退。</p><p>运费自理。</p>', ["七天内可退。", "运费自理。"]),
        ("<ul>\n  <li>One</li>\n  <li>Two</li>\n</ul>", ["- One", "- Two"]),
        ("<h3>Returns</h3>Free.<br/>Always.", ["Returns", "Free.", "Always."]),
        ("<tr><td>a</td><td>b</td></tr>", ["a b"]),
        # what follows in an item belongs to it, and a cell stays in its row
        ("- item<br>more\n1. step<br>more", ["- item more", "1. step more"]),
        ("| a | b |\n|---|---|\n| x<br>y | 2 |", ["a: x y; b: 2"]),
        ("if 1 &lt; 2 &amp; 3 &gt; 2 &copy; &#8364;5", ["if 1 < 2 & 3 > 2 © €5"]),
        ("&lt;b&gt; &#42;x&#42; is meant", ["<b> *x* is meant"]),
    ],
)
def test_html_is_read(source, lines):
    assert plain_lines(source) == lines


@pytest.mark.parametrize(
    "source",
    [
        "Press <OK>, then <Source> or <A>.",
        "if a <b and c> d",
        "2 < 3 > 1",
        "AT&T, x?a=1&copy=2",
        "C:\\Users\\x",
    ],
)
def test_what_is_no_tag_no_entity_and_no_escape_stays(source):
    assert plain_lines(source) == [source]


def test_code_keeps_its_tags_entities_and_backslashes():
    assert plain_lines("Type `<b>&nbsp;\\$~~5~~`.") == ["Type <b>&nbsp;\\$~~5~~."]
    assert plain_lines("```\n<br>\\$5 ~~a~~ [ ] &lt;\n```") == ["<br>\\$5 ~~a~~ [ ] &lt;"]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("Now ~~$50~~ $40, was ~~$60~~.", ["Now $40, was."]),
        ("原价~~50元~~现价40元", ["原价现价40元"]),
        ("- ~~gone~~\n- stays", ["- stays"]),
        ("~~all\nof it~~ rest", ["rest"]),
        ("<del>7 days</del> 14 days, <s>free</s> $5", ["14 days, $5"]),
        # spans of time and good cheer
        ("发货3~~5天，送达7~~10天", ["发货3~~5天，送达7~~10天"]),
        ("亲~~七天内可退哦~~", ["亲~~七天内可退哦~~"]),
    ],
)
def test_what_is_struck_out_is_not_said(source, lines):
    assert plain_lines(source) == lines


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("See [here][1] or [the form][].\n\n[1]: https://x.com/a\n[the form]: <https://x.com/f> \"F\"",
         ["See here https://x.com/a or the form https://x.com/f."]),
        ("Free[^1].\n\n[^1]: Except sale items.", ["Free.", "Except sale items."]),
        ('<a href="https://x.com/?a=1&amp;b=2">here</a> now', ["here https://x.com/?a=1&b=2 now"]),
        ("[Note]: off\n[a] or [b][c]", ["[Note]: off", "[a] or [b][c]"]),  # nothing defines them
        ("- [ ] one\n- [x] two", ["- one", "- two"]),
        ("![](a.png)\nText\n- ![](b.png)", ["Text"]),
        ("Press ![](i.png) to start, ![the lamp](j.png) blinks", ["Press to start, the lamp blinks"]),
        ("\\# no heading\n\\- 5 \\*each\\*\\\nmore", ["# no heading", "- 5 *each*", "more"]),
        ("| a | b |\n|---|---|\n| \\$5 \\| $6 | \\~\\~7~~ |", ["a: $5 | $6; b: ~~7~~"]),
    ],
)  # fmt: skip
def test_references_footnotes_tasks_pictures_and_escapes_are_read(source, lines):
    assert [line.text for line in ranked_lines(source, addresses=True)] == lines


def test_a_picture_without_words_leaves_no_gap_between_lines():
    assert plain("One.\n\n![](a.png)\n\nTwo.") == "One. Two."


@given(st.text(st.sampled_from("ab7中。 " + string.punctuation), min_size=1).map(str.strip).filter(bool))
def test_whatever_is_escaped_comes_out_as_it_was(text):
    escaped = "".join(f"\\{sign}" if sign in string.punctuation else sign for sign in text)

    assert plain_lines(escaped) == [text]


@given(st.text(st.sampled_from("ab7中。 \n\t-|*`~<>/&;\\[]()!^#:x=\"'")))
def test_no_text_is_refused_and_no_stand_in_is_left(text):
    assert not re.search("[\U0010fe00-\U0010ffff]", "".join(plain_lines(text)))


@given(
    st.lists(
        st.sampled_from(["退货", "free", "<OK>", "<b>", "</b>", "<br>", "</p>", '<a href="/x">', "&nbsp;"])
    )
)
def test_every_word_between_tags_is_kept_and_no_tag(pieces):
    words = [piece for piece in pieces if piece in ("退货", "free", "<OK>")]

    assert re.sub(r"\s", "", "".join(plain_lines("".join(pieces)))) == "".join(words)


def test_the_shops_articles_hold_no_marks_that_a_shopper_would_see():
    folders = [ROOT / "data/knowledge", *(ROOT / "tests/fixtures").glob("knowledge_*")]
    texts = [path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.md")]
    shops = [
        yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in (ROOT / "bot/generator/shops").glob("*.yml")
    ]
    texts += [
        s.get("text") or "" for shop in shops for article in shop["articles"] for s in article["sections"]
    ]
    seen = [line for text in texts for line in plain_lines(text)]

    assert len(seen) > 5000
    assert not [line for line in seen if re.search(r"</?[a-z]+[ />]|&[a-z]+;|\\[!-/:-@\[-`{-~]|~~\S", line)]
