"""Markdown without its marks, as a shopper may read it and an encoder should."""

from __future__ import annotations

import re

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_EMPHASIS = re.compile(r"(\*\*|__|`)(?=\S)(.+?)(?<=\S)\1")
_ITALIC = re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])")
_MARK = re.compile(r"^[ \t]*(?:>[ \t]?|#{1,6}[ \t]+)+")
_BULLET = re.compile(r"^[ \t]*[-*+][ \t]+")
_RULE = re.compile(r"^[ \t]*(?:[-*_][ \t]*){3,}$|^[ \t]*(?:```|~~~).*$")
_TABLE_RULE = re.compile(r"^[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?[ \t]*$")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def plain_lines(markdown: str) -> list[str]:
    """Lines of text: links keep their words, table rows become ``head: cell`` pairs, list items keep a dash.

    A row of a table means nothing without its heads, so they are repeated in every row.
    """
    lines: list[str] = []
    heads: list[str] = []
    source = _COMMENT.sub("", markdown).splitlines()
    for number, line in enumerate(source):
        following = source[number + 1] if number + 1 < len(source) else ""
        if _TABLE_RULE.match(line) and "|" in line:
            continue
        if "|" in line and _TABLE_RULE.match(following) and "|" in following:
            heads = _cells(line)
            continue
        if heads and line.strip().startswith("|"):
            cells = _cells(line)
            pairs = [
                f"{head}: {cell}" if head else cell for head, cell in zip(heads, cells, strict=False) if cell
            ]
            lines.append("; ".join(pairs))
            continue
        heads = []
        if _RULE.match(line) or not line.strip():
            continue
        bullet = _BULLET.match(line)
        text = _words(line[bullet.end() :] if bullet else _MARK.sub("", line))
        lines.append(f"- {text}" if bullet else text)
    return lines


def plain(markdown: str) -> str:
    """The text on one line."""
    return " ".join(line.removeprefix("- ") for line in plain_lines(markdown))


def _cells(row: str) -> list[str]:
    return [_words(cell) for cell in row.strip().strip("|").split("|")]


def _words(text: str) -> str:
    text = _LINK.sub(r"\1", text)
    text = _EMPHASIS.sub(r"\2", text)
    return _ITALIC.sub(r"\1", text).strip()
