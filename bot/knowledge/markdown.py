"""Markdown without its marks, as a shopper may read it and an encoder should."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_WEB_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((https?://[^)\s]+)[^)]*\)")
_HAN_END = re.compile(r"[\u4e00-\u9fff，；、]$")
_EMPHASIS = re.compile(r"(\*\*|__|`+)(?=\S)(.+?)(?<=\S)\1")
_ITALIC = re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])")
_MARK = re.compile(r"^[ \t]*(?:>[ \t]?|#{1,6}[ \t]+)+")
_BULLET = re.compile(r"^[ \t]*[-*+][ \t]+")
_RULE = re.compile(r"^[ \t]*(?:[-*_][ \t]*){3,}$|^[ \t]*(?:`{3,}[^`]*|~{3,}.*)$")
_DASHES = r"[ \t]*(?::?-{2,}:?|:-:?|-:)[ \t]*"  # a single dash is a cell that says "none"
_TABLE_RULE = re.compile(rf"^[ \t]*\|?{_DASHES}(?:\|{_DASHES})*\|?[ \t]*$")
_PIPE = re.compile(r"(?<!\\)\|")
_FRAME = re.compile(r"^\||(?<!\\)\|$")
_BOLD_LINE = re.compile(r"^[ \t]*(?:\*\*|__)[^*_\n]+(?:\*\*|__)[:：]?[ \t]*$")
_HEADING_LINE = re.compile(r"^[ \t]*(#{1,6})[ \t]")
_ITEM = re.compile(
    r"^\s*(?:[-–—*•·●○■◆✓✗×]\s|[●■◆✓✗]|[①-⑳]|[（(]?(?:\d{1,2}|[一二三四五六七八九十]{1,3}|[a-zA-Z])[.)）、．](?!\d))\s*\S"
)
_BLOCK = re.compile(r"[ ]{0,3}(?:>|#{1,6}[ \t]|[-*+][ \t]+[^|\s])")  # begins something else and ends a table
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


# How far below its section a line stands: what stands higher up introduces what stands lower down.
BOLD, TEXT, ROW, ITEM = 7, 10, 15, 20


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text. `rank` is 1 to 6 for a heading, `BOLD` for a line in bold, `TEXT`, `ROW` of a table, `ITEM` and more for
    an item of a list, by its indent."""

    text: str
    rank: int


def ranked_lines(markdown: str, *, addresses: bool = False) -> list[Line]:
    """Lines of text: links keep their words, table rows become ``head: cell`` pairs, list items keep a dash.

    A row of a table means nothing without its heads, so they are repeated in every row. A row with more cells than
    heads is given without them: which head belongs to which cell would be a guess. The further lines of an item belong to it.

    Args:
        addresses: links to the web keep their address behind their words.
    """
    lines: list[Line] = []
    heads: list[str] = []
    after_blank = False
    source = _COMMENT.sub("", markdown).splitlines()
    for number, line in enumerate(source):
        following = source[number + 1] if number + 1 < len(source) else ""
        if _TABLE_RULE.match(line) and "|" in line:
            continue
        if "|" in line and _TABLE_RULE.match(following) and "|" in following:
            heads = _cells(line, addresses)
            continue
        if heads and "|" in line and not _BLOCK.match(line):
            cells = _cells(line, addresses)
            named = heads if len(cells) <= len(heads) else [""] * len(cells)
            pairs = [
                f"{head}: {cell}" if head else cell for head, cell in zip(named, cells, strict=False) if cell
            ]
            lines.append(Line("; ".join(pairs), ROW))
            continue
        heads = []
        if _RULE.match(line) or not line.strip():
            after_blank = True
            continue
        bullet = _BULLET.match(line)
        text = _words(line[bullet.end() :] if bullet else _MARK.sub("", line), addresses)
        indent = len(line) - len(line.lstrip())
        listed = bool(bullet or _ITEM.match(text))
        if indent >= 2 and not listed and not after_blank and lines and lines[-1].rank >= ITEM:
            gap = "" if _HAN_END.search(lines[-1].text) else " "
            lines[-1] = Line(f"{lines[-1].text}{gap}{text}", lines[-1].rank)
            continue
        after_blank = False
        heading = _HEADING_LINE.match(line)
        rank = (
            len(heading[1])
            if heading
            else BOLD
            if _BOLD_LINE.match(line)
            else ITEM + indent
            if listed
            else TEXT
        )
        lines.append(Line(f"- {text}" if bullet else text, rank))
    return lines


def plain_lines(markdown: str) -> list[str]:
    """The texts of `ranked_lines`."""
    return [line.text for line in ranked_lines(markdown)]


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


def _cells(row: str, addresses: bool = False) -> list[str]:
    """The cells of a row. One pipe at each end is its frame: a second one stands for an empty cell."""
    return [_words(cell.replace("\\|", "|"), addresses) for cell in _PIPE.split(_FRAME.sub("", row.strip()))]


def _words(text: str, addresses: bool = False) -> str:
    if addresses:
        text = _WEB_LINK.sub(r"\1 \2", text)
    text = _LINK.sub(r"\1", text)
    text = _EMPHASIS.sub(r"\2", text)
    return _ITALIC.sub(r"\1", text).strip()
