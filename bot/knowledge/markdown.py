"""Markdown without its marks, as a shopper may read it and an encoder should."""

from __future__ import annotations

import html
import re
import string
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

# Beyond the core of Markdown: HTML, escapes, struck out text, references, footnotes, tasks. A text with none of these is left alone.
_BEYOND = re.compile(r"[<&\\]|~~|!\[|\[[ xX^]|\]\[|\]:")
_SPARED = re.compile(
    r"(?ms)^[ ]{0,3}(`{3,})[^`\n]*\n.*?(?:^[ ]{0,3}\1`*[ \t]*$|\Z)|^[ ]{0,3}(~{3,})[^\n]*\n.*?(?:^[ ]{0,3}\2~*[ \t]*$|\Z)"
    r"|(?<!`)(`{1,3})(?!`)[^\n]*?(?<!`)\3(?!`)|\\(?P<escaped>[!-/:-@\[-`{-~])|\\$"
)
_STASHED = re.compile("\U0010fe00(\\d+)\U0010fe01")
# A mark that is meant as a letter, until all marks are read.
_LITERAL = {sign: chr(0x10FF00 + ord(sign)) for sign in string.punctuation}
_LITERALS = str.maketrans({stand_in: sign for sign, stand_in in _LITERAL.items()})
_ENTITY = re.compile(
    r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
)  # "a=1&copy=2" is an address
# What follows a price that was struck out: the blank before it goes as well.
_GAP_ENDS = r"(?=[ \t]|[,.;:!?)，。；：！？）]|$)"
# "3~~5天" is a span of time and "亲~~" good cheer.
_STRUCK = r"(?<![~亲哦啦呀哈呢吧嘛哟喔！!。])(?:(?<!\d)~~(?=[^\s~])|~~(?=[^\s~\d]))(?:(?!\n[ \t]*\n|~~).){1,500}(?<=\S)~~(?!~)"
_ATTRIBUTES = r"(?:\s+(?:open|hidden|disabled|[\w:-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'=<>`]+)))*\s*/?>"
_GONE = re.compile(
    rf"(?s){_STRUCK}|<(?P<tag>del|strike|s|(?i:script|style)){_ATTRIBUTES}.*?</(?P=tag)>|!\[\s*\](?:\([^)\n]*\)|\[[^\]\n]*\])"
)
_GONE_BEFORE_GAP = re.compile(rf"(?m)[ \t]*\U0010fe02{_GAP_ENDS}")
_NOTHING_LEFT = re.compile(r"[ \t]*(?:[-*+>]|#{1,6}|\d{1,2}[.)])?[ \t]*")
_ANCHOR = re.compile(
    r"<a\s[^<>]*?href\s*=\s*[\"']?(https?://[^\s\"'<>)]+)[^<>]*>([^<>\[\]]+)</a>", re.IGNORECASE
)
# `<OK>`, `<Source>` and `<A>` are buttons; so names of tags that a device may show are not read, single letters only as small ones.
_LINE_TAG = re.compile(
    rf"<(?:/?(?:br|p|(?i:br|div|li|tr|h[1-6]|[uo]l|dl|dt|dd|table|blockquote|hr|pre))){_ATTRIBUTES}"
)
_TAG = re.compile(
    r"</?(?:[abiqsup]|(?i:abbr|big|caption|center|cite|code|col|colgroup|dfn|del|em|figcaption|figure|font|iframe|img|ins|kbd|samp"
    rf"|small|span|strike|strong|sub|sup|tbody|t[dh]|tfoot|thead|tt|wbr)){_ATTRIBUTES}"
)
_OPENS_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,2}[.)])[ \t]")
_TASK = re.compile(r"(?m)^([ \t]*(?:[-*+]|\d{1,2}[.)])[ \t]+)\[[ xX]\][ \t]+")
# Only with an address: "[Note]: switch it off first" is text.
_DEFINED = re.compile(
    r"(?m)^[ ]{0,3}\[([^\]^\n][^\]\n]*)\]:[ \t]*<?((?:https?://|mailto:|tel:|www\.|/|#|\.{1,2}/)[^\s<>]*|[\w./-]+\.(?:html?|md|pdf))>?"
    r"(?:[ \t]+(?:\"[^\"\n]*\"|'[^'\n]*'|\([^)\n]*\)))?[ \t]*(?:\n|\Z)"
)
_REFERENCE = re.compile(r"(!?)\[([^\]\n]+)\](?:\[([^\]\n]*)\])?(?![(:])")
_FOOTNOTE = re.compile(r"(?m)^[ ]{0,3}\[\^([^\]\s]+)\]:[ \t]*")


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
    source = _core(_COMMENT.sub("", markdown)).splitlines()
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
            if pairs:
                lines.append(Line("; ".join(pairs), ROW))
            continue
        heads = []
        if _RULE.match(line) or not line.strip():
            after_blank = True
            continue
        bullet = _BULLET.match(line)
        text = _words(line[bullet.end() :] if bullet else _MARK.sub("", line), addresses)
        if not text:  # a picture without words
            continue
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
    """Markdown as a shopper reads it in a chat: no marks, links keep their words and address, lines stay.

    It is given what `ranked_lines` has read, so a tag or a backslash that is still there was in code and is meant.
    """
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
    return _ITALIC.sub(r"\1", text).translate(_LITERALS).strip()


def _core(markdown: str) -> str:
    """The text in the core of Markdown: HTML, escapes, references, footnotes and tasks read, struck out text gone with its words.

    Code keeps what stands in it. A sign that was escaped, or written as an entity, is a stand-in from `_LITERAL` until `_words`.
    """
    if not _BEYOND.search(markdown):
        return markdown
    code: list[str] = []

    def spare(match: re.Match[str]) -> str:
        if match["escaped"]:
            return _LITERAL[match["escaped"]]
        if match[0] == "\\":  # at the end of a line: another line follows
            return ""
        code.append(match[0])
        return f"\U0010fe00{len(code) - 1}\U0010fe01"

    text = _without_gone(_SPARED.sub(spare, markdown))
    text = _TASK.sub(r"\1", _with_references(text))
    text = _ANCHOR.sub(r"[\2](\1)", text)
    text = "\n".join(_tags_read(line) if "<" in line else line for line in text.split("\n"))
    text = _ENTITY.sub(_entity, text)
    return _STASHED.sub(lambda match: code[int(match[1])], text)


def _without_gone(text: str) -> str:
    """Without struck out text and pictures that have no words, nor the lines that held nothing else."""
    marked = _GONE.sub("\U0010fe02", text)
    if marked == text:
        return text
    kept: list[str] = []
    for line in marked.split("\n"):
        rest = _GONE_BEFORE_GAP.sub("", line).replace("\U0010fe02", "")
        if rest == line or not _NOTHING_LEFT.fullmatch(rest):
            kept.append(rest)
    return "\n".join(kept)


def _with_references(text: str) -> str:
    """``[words][1]`` as ``[words](address)`` and without ``[^1]``, where a line defines 1. What a footnote says is a line of text."""
    addresses = {label.casefold(): address for label, address in _DEFINED.findall(text)}
    notes = set(_FOOTNOTE.findall(text))

    def resolved(match: re.Match[str]) -> str:
        sign, words, label = match.groups()
        if words[0] == "^" and words[1:] in notes and label is None:
            return ""
        address = addresses.get((label or words).casefold())
        return match[0] if address is None else f"{sign}[{words}]({address})"

    if not addresses and not notes:
        return text
    text = _FOOTNOTE.sub("", _DEFINED.sub("", text))
    return _REFERENCE.sub(resolved, text)


def _tags_read(line: str) -> str:
    """A line without tags; those of blocks end it. In a row of a table they do not, and what follows in an item belongs to it."""
    end = " " if "|" in line else "\n  " if _OPENS_ITEM.match(line) else "\n"

    def ended(match: re.Match[str]) -> str:
        return f"{end}- " if end == "\n" and match[0][:3].lower() == "<li" else end

    read = _LINE_TAG.sub(ended, line)
    return _TAG.sub(lambda match: " " if match[0][:4].lower() in ("</td", "</th") else "", read)


def _entity(match: re.Match[str]) -> str:
    """The letter an entity stands for. Blanks of any width are blanks."""
    letter = html.unescape(match[0])
    return " " if letter.isspace() else _LITERAL.get(letter, letter)
