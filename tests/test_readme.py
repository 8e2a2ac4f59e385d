"""The two READMEs say the same: headings in step, commands and links alike, every named file there."""

from __future__ import annotations

import re

import pytest

from bot.settings import PROJECT_ROOT

EN = (PROJECT_ROOT / "README.md").read_text()
ZH = (PROJECT_ROOT / "README.zh-CN.md").read_text()


def code(text: str) -> list[str]:
    """Fenced blocks and inline commands, without what is said in them."""
    return re.findall(r"`((?:make|kefu) [^`]*)`", text)


def test_headings_are_in_step() -> None:
    levels = [[len(mark) for mark in re.findall(r"^(#+) ", text, re.M)] for text in (EN, ZH)]

    assert levels[0] == levels[1]
    assert len(levels[0]) >= 8


def test_commands_are_the_same() -> None:
    assert sorted(code(EN)) == sorted(code(ZH))
    fences = [re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S) for text in (EN, ZH)]
    assert [body for kind, body in fences[0] if kind == "sh"] == [
        body for kind, body in fences[1] if kind == "sh"
    ]


def test_links_are_the_same_and_lead_somewhere() -> None:
    links = [sorted(re.findall(r"\]\(([^)#]+)", text)) for text in (EN, ZH)]
    assert [link for link in links[0] if "README" not in link] == [
        link for link in links[1] if "README" not in link
    ]

    missing = [
        link for link in {*links[0], *links[1]} if "://" not in link and not (PROJECT_ROOT / link).exists()
    ]
    assert not missing


@pytest.mark.parametrize("text", [EN, ZH])
def test_every_command_named_exists(text: str) -> None:
    from bot.cli import COMMANDS

    makefile = (PROJECT_ROOT / "Makefile").read_text()
    for command in code(text):
        program, name = command.split()[:2]
        if program == "make":
            assert re.search(rf"^{name}:", makefile, re.M), command
        elif not name.startswith("-"):
            assert name in COMMANDS, command


@pytest.mark.parametrize("text", [EN, ZH])
def test_the_tree_names_what_exists(text: str) -> None:
    tree = text[text.index("```\nREADME.md") :].split("```")[1]
    for line in tree.strip().splitlines():
        path = line.split()[0]
        assert (PROJECT_ROOT / path).exists(), path
