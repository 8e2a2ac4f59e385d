"""Markdown without its marks, as a shopper may read it and an encoder should."""

from __future__ import annotations

import re

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_EMPHASIS = re.compile(r"(\*\*|__|`+)(?=\S)(.+?)(?<=\S)\1")
_ITALIC = re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])")
_MARK = re.compile(r"^[ \t]*(?:>[ \t]?|#{1,6}[ \t]+)+")
_BULLET = re.compile(r"^[ \t]*[-*+][ \t]+")
_RULE = re.compile(r"^[ \t]*(?:[-*_][ \t]*){3,}$|^[ \t]*(?:`{3,}[^`]*|~{3,}.*)$")
_DASHES = r"[ \t]*(?::?-{2,}:?|:-:?|-:)[ \t]*"  # a single dash is a cell that says "none"
_TABLE_RULE = re.compile(rf"^[ \t]*\|?{_DASHES}(?:\|{_DASHES})*\|?[ \t]*$")
_PIPE = re.compile(r"(?<!\\)\|")
_FRAME = re.compile(r"^\||(?<!\\)\|$")
_BLOCK = re.compile(r"[ ]{0,3}(?:>|#{1,6}[ \t]|[-*+][ \t]+[^|\s])")  # begins something else and ends a table
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def plain_lines(markdown: str) -> list[str]:
    """Lines of text: links keep their words, table rows become ``head: cell`` pairs, list items keep a dash.

    A row of a table means nothing without its heads, so they are repeated in every row. A row with more cells than
    heads is given without them: which head belongs to which cell would be a guess.
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
        if heads and "|" in line and not _BLOCK.match(line):
            cells = _cells(line)
            named = heads if len(cells) <= len(heads) else [""] * len(cells)
            pairs = [
                f"{head}: {cell}" if head else cell for head, cell in zip(named, cells, strict=False) if cell
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


def plain_text(markdown: str) -> str:
    """Markdown as a shopper reads it in a chat: no marks, links keep their words and address, lines stay."""
    text = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", markdown)
    text = re.sub(r"\[([^\]]+)\]\((https?://[^)]+)\)", r"\1 \2", text)
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(?m)^[ \t]*(?:[*+-]|>|#{1,6})[ \t]+", "", text)
    text = re.sub(r"(?m)^\|?[ \t:|-]+\|?$\n?", "", text)
    text = re.sub(r"\*\*|__|`+", "", text)
    text = re.sub(r"[ \t]*\|[ \t]*", " ", text)
    return re.sub(r"\n{2,}", "\n", text).strip()


def _cells(row: str) -> list[str]:
    """The cells of a row. One pipe at each end is its frame: a second one stands for an empty cell."""
    return [_words(cell.replace("\\|", "|")) for cell in _PIPE.split(_FRAME.sub("", row.strip()))]


def _words(text: str) -> str:
    text = _LINK.sub(r"\1", text)
    text = _EMPHASIS.sub(r"\2", text)
    return _ITALIC.sub(r"\1", text).strip()
