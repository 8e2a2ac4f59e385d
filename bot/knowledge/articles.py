"""A shop's articles: Markdown files with a front matter, cut into one chunk per question or clause.

    ---
    id: returns            # required; the same in every language of the article
    language: zh           # required; zh or en
    valid_from: 2026-01-01 # optional, first day on which it holds
    valid_to: 2026-12-31   # optional, last day on which it holds
    products: [kettle-k1]  # optional; without it the article holds for every product
    risk: policy           # optional class for the decision to answer alone
    ---
    # Title
    ## Question or clause
    Its text.

A file without ``##`` is one chunk. ``## Question {#anchor}`` gives the chunk a name of its own, so that
it keeps its id when sections before it come or go. ``<!-- comments -->`` are for the authors and are no part
of a chunk. This module knows files and text; it does not know how chunks are searched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import yaml

from bot.exceptions import KnowledgeError
from bot.message import Language

KEYS = ("id", "language", "valid_from", "valid_to", "products", "risk")
LANGUAGES = ("zh", "en")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_HEADING = re.compile(r"[ ]{0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*")
_EMPTY_HEADING = re.compile(r"[ ]{0,3}(#{1,2})[ \t]*")
# One '#' without a blank may be meant ("#1 in tests"), and a missing title is noticed anyway.
_NO_BLANK = re.compile(r"[ ]{0,3}(#{2,6})([^# \t].*)")
_ANCHOR = re.compile(r"(.*?)[ \t]*\{:?[ \t]*#([^\s{}#]+)[ \t]*\}")
_ODD_ANCHOR = re.compile(r".*\{[:#][^{}]*\}")
# As in CommonMark: what follows ``` on its line holds no backtick, or it is code within a sentence.
_WITHOUT_LANGUAGE = re.compile(r"[._-](?:zh|en)$")
_FENCE = re.compile(r"[ ]{0,3}(?:(`{3,})[^`]*|(~{3,}).*)")
_FENCE_END = re.compile(r"[ ]{0,3}(`{3,}|~{3,})[ \t]*")


@dataclass(frozen=True, slots=True)
class Chunk:
    """One question or clause with its answer: what is searched, cited and given to the generator.

    Attributes:
        id: ``article/language#anchor``; the anchor is the section's own or its number from 1.
        heading_path: the article's title, then the section's heading when there is one.
        heading: the section's heading, or the title of an article without sections.
        text: the section's Markdown, without its heading.
        products: product ids the article is limited to; empty means every product.
        valid_from, valid_to: first and last day on which it holds; None means without limit.
        risk: class for the decision to answer alone, as written in the article.
        path, line: where the heading stands; the path is relative to the knowledge folder.
    """

    id: str
    article_id: str
    language: Language
    heading_path: tuple[str, ...]
    heading: str
    text: str
    products: tuple[str, ...]
    valid_from: date | None
    valid_to: date | None
    risk: str | None
    path: Path
    line: int

    @property
    def question(self) -> str:
        """The heading under its other name: many headings are the shopper's question."""
        return self.heading

    @property
    def title(self) -> str:
        """The article's title."""
        return self.heading_path[0]

    @property
    def anchor(self) -> str:
        return self.id.rpartition("#")[2]

    def holds(self, *, at: date | None = None, product: str | None = None) -> bool:
        """Whether the chunk is valid on a day and for a product. None asks nothing."""
        if at is not None:
            if self.valid_from is not None and at < self.valid_from:
                return False
            if self.valid_to is not None and at > self.valid_to:
                return False
        return product is None or not self.products or product in self.products

    def is_named_by(self, reference: str) -> bool:
        """Whether a reference in a question file means this chunk.

        People name evidence by chunk id, by article id (any of its sections), by article and anchor
        without the language, by heading, or by article and heading; the file may stand for the article.
        """
        names, plain = _names_of(self), _plain(reference)
        if plain in names:
            return True
        # A path may begin further up than the articles' folder.
        parts = plain.split("/") if ".md" in plain else []
        return any("/".join(parts[n:]) in names for n in range(1, len(parts)))


@lru_cache(maxsize=4096)
def _names_of(chunk: Chunk) -> frozenset[str]:
    """All the names of a chunk. A question file is matched against every chunk, so they are kept."""
    file = chunk.path.as_posix()
    owners = {
        chunk.article_id,
        f"{chunk.article_id}/{chunk.language}",
        f"{chunk.language}/{chunk.article_id}",
    }
    owners |= {file, file.removesuffix(".md"), chunk.path.name, chunk.path.stem}
    owners |= {chunk.title, f"{_WITHOUT_LANGUAGE.sub('', chunk.path.stem)}.md"}
    names = {chunk.id, chunk.heading, " > ".join(chunk.heading_path), *owners}
    marks = (chunk.anchor, chunk.heading, _slug(chunk.heading))
    names |= {f"{owner}{joint}{mark}" for owner in owners for joint in ("#", "/", ":") for mark in marks}
    return frozenset(_plain(name) for name in names)


@dataclass(frozen=True, slots=True)
class Article:
    """One file. `chunks` are its sections in order; there is always at least one."""

    id: str
    language: Language
    title: str
    chunks: tuple[Chunk, ...]
    products: tuple[str, ...]
    valid_from: date | None
    valid_to: date | None
    risk: str | None
    path: Path


def article_files(folder: Path) -> list[Path]:
    """The articles below a folder, at any depth, in a fixed order.

    A README and names that begin with ``_`` or ``.`` are for the authors, not for shoppers.
    """
    return sorted(
        path
        for path in folder.rglob("*.md")
        if path.is_file()
        and path.name.lower() != "readme.md"
        and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    )


def read_article(path: Path, folder: Path) -> Article:
    """Read one file.

    Raises:
        KnowledgeError: the file is not a valid article; names file, line and remedy.
    """
    try:
        source = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise KnowledgeError(
            f"{path}:1: the file is not UTF-8 (byte {exc.start}). Save it as UTF-8."
        ) from exc
    except OSError as exc:
        raise KnowledgeError(f"{path}:1: the file cannot be read: {exc.strerror}.") from exc
    return parse_article(source, path, path.relative_to(folder))


def parse_article(source: str, path: Path, relative: Path | None = None) -> Article:
    """Turn the text of one file into an article.

    Args:
        source: the whole file.
        path: the file, for messages.
        relative: the path to keep in the chunks; `path` itself when None.

    Raises:
        KnowledgeError: names file, line and remedy.
    """
    lines = source.splitlines()
    front, lines_of_keys, body_start = _front_matter(lines, path)
    article_id, language, valid_from, valid_to, products, risk = _checked(front, lines_of_keys, path)
    title, sections = _sections(lines, body_start, path)

    chunks: list[Chunk] = []
    seen: dict[str, int] = {}
    for number, section in enumerate(sections, start=1):
        anchor = section.anchor or str(number)
        if anchor in seen:
            raise KnowledgeError(
                f"{path}:{section.line}: the anchor {{#{anchor}}} is already used on line {seen[anchor]}. "
                "Give every section an anchor of its own."
            )
        seen[anchor] = section.line
        heading_path = (title,) if section.heading is None else (title, section.heading)
        chunks.append(
            Chunk(
                id=f"{article_id}/{language}#{anchor}",
                article_id=article_id,
                language=language,
                heading_path=heading_path,
                heading=heading_path[-1],
                text=section.text,
                products=products,
                valid_from=valid_from,
                valid_to=valid_to,
                risk=risk,
                path=relative or path,
                line=section.line,
            )
        )
    return Article(
        article_id, language, title, tuple(chunks), products, valid_from, valid_to, risk, relative or path
    )


@dataclass(frozen=True, slots=True)
class _Section:
    heading: str | None
    anchor: str | None
    text: str
    line: int


def _front_matter(lines: list[str], path: Path) -> tuple[dict[str, Any], dict[str, int], int]:
    """The front matter, the line of every key, and the index of the first line after it."""
    if not lines or lines[0].strip() != "---":
        raise KnowledgeError(
            f"{path}:1: the front matter is missing. Begin the file with a line '---', "
            "then 'id: ...' and 'language: zh' or 'language: en', then a line '---'."
        )
    end = next((n for n, line in enumerate(lines[1:], start=1) if line.strip() == "---"), None)
    if end is None:
        raise KnowledgeError(f"{path}:1: the front matter does not end. Close it with a line '---'.")
    try:
        front = yaml.safe_load("\n".join(lines[1:end])) or {}
        written = yaml.load("\n".join(lines[1:end]), Loader=yaml.BaseLoader) or {}  # noqa: S506  # makes texts only
    except (yaml.YAMLError, ValueError) as exc:  # ValueError: a date such as 2026-02-30
        mark = getattr(exc, "problem_mark", None)
        line = mark.line + 2 if mark is not None else 1
        reason = getattr(exc, "problem", None) or str(exc)
        raise KnowledgeError(f"{path}:{line}: the front matter is not valid YAML: {reason}.") from exc
    if not isinstance(front, dict):
        raise KnowledgeError(f"{path}:2: the front matter must be 'key: value' lines.")
    front |= {
        key: written[key] for key in ("id", "products") if front.get(key) is not None
    }  # 001 is no number
    at = {
        line.partition(":")[0].strip(" \"'"): number + 1
        for number, line in enumerate(lines[:end])
        if ":" in line and not line.startswith((" ", "\t", "#", "-"))
    }
    return front, at, end + 1


def _checked(
    front: dict[str, Any], at: dict[str, int], path: Path
) -> tuple[str, Language, date | None, date | None, tuple[str, ...], str | None]:
    def where(key: str) -> str:
        return f"{path}:{at.get(key, 1)}"

    for key in front:
        if key not in KEYS:
            raise KnowledgeError(
                f"{where(str(key))}: unknown key '{key}' in the front matter. "
                f"Known keys are {', '.join(KEYS)}; remove it or correct its spelling."
            )
    for key in ("id", "language"):
        if front.get(key) in (None, ""):
            raise KnowledgeError(
                f"{where(key)}: '{key}' is missing in the front matter. Add a line '{key}: ...'."
            )

    article_id = str(front["id"])
    if not _ID.fullmatch(article_id):
        raise KnowledgeError(
            f"{where('id')}: '{article_id}' cannot be an id. Use letters, digits, '-', '_', '.' or '/'."
        )
    if front["language"] not in LANGUAGES:
        raise KnowledgeError(
            f"{where('language')}: language '{front['language']}' is not known. Use zh or en."
        )

    days: dict[str, date | None] = {}
    for key in ("valid_from", "valid_to"):
        value = front.get(key)
        if isinstance(value, datetime):
            value = value.date()
        if value is not None and not isinstance(value, date):
            raise KnowledgeError(f"{where(key)}: '{value}' is not a day. Write {key}: YYYY-MM-DD.")
        days[key] = value
    first, last = days["valid_from"], days["valid_to"]
    if first is not None and last is not None and last < first:
        raise KnowledgeError(
            f"{where('valid_to')}: valid_to ({last}) is before valid_from ({first}). Swap them."
        )

    listed = front.get("products")
    if listed is None:
        listed = []
    elif isinstance(listed, str):
        listed = [listed]
    if not isinstance(listed, list) or not all(isinstance(item, (str, int)) and str(item) for item in listed):
        raise KnowledgeError(f"{where('products')}: products must be a list of product ids: [id-1, id-2].")

    risk = front.get("risk")
    if risk is not None and (not isinstance(risk, str) or not risk.strip()):
        raise KnowledgeError(f"{where('risk')}: risk must be one word, for example policy.")
    risk = risk and risk.strip().lower()  # "Policy" would be a class of its own, judged more leniently
    if risk == "order":
        raise KnowledgeError(
            f"{where('risk')}: the class 'order' is kept for answers about a shopper's own order. "
            "Use another word, for example policy, or remove the line."
        )
    language = cast(Language, front["language"])
    return article_id, language, first, last, tuple(str(item) for item in listed), risk


def _sections(lines: list[str], start: int, path: Path) -> tuple[str, list[_Section]]:
    """The title and the sections of the body. Headings inside code fences are text."""
    title: str | None = None
    title_line = start + 1
    current: tuple[str | None, str | None, int] = (None, None, start + 1)
    text: list[str] = []
    sections: list[_Section] = []

    def close() -> None:
        heading, anchor, line = current
        joined = "\n".join(text).strip()
        if joined:
            sections.append(_Section(heading, anchor, joined, line))
        elif heading is not None:
            raise KnowledgeError(
                f"{path}:{line}: the section '{heading}' has no text. Write its answer below the heading or "
                "remove the heading."
            )

    for number, line, level, content in _marked(lines, start, path):
        if level == 1 and title is None:
            if any(part.strip() for part in text) or current[0] is not None:
                raise KnowledgeError(
                    f"{path}:{number}: the title '# ...' must be the first line of the body."
                )
            title, title_line = _anchored(content, f"{path}:{number}")[0], number
            if not title:
                raise KnowledgeError(f"{path}:{number}: the title is empty. Write it after '# '.")
            current, text = (None, None, number), []
        elif level == 1:
            raise KnowledgeError(
                f"{path}:{number}: a second title '# {content}' (the first is on line {title_line}). "
                "Use '## ' for sections, or a file of its own."
            )
        elif level == 2:
            if title is None:
                raise KnowledgeError(
                    f"{path}:{number}: the title is missing. Put '# title' before the sections."
                )
            close()
            heading, anchor = _anchored(content, f"{path}:{number}")
            if not heading:
                raise KnowledgeError(
                    f"{path}:{number}: the heading is empty. Write the question after '## '."
                )
            current, text = (heading, anchor, number), []
        elif level and "{" in content:  # a further heading within a section
            text.append(line.replace(content, _anchored(content, f"{path}:{number}")[0]))
        else:
            text.append(line)
    if title is None:
        raise KnowledgeError(
            f"{path}:{start + 1}: the title is missing. Put '# title' below the front matter."
        )
    close()
    if not sections:
        raise KnowledgeError(
            f"{path}:{title_line}: the article '{title}' has no text. Write it below the title."
        )
    return title, sections


def _anchored(heading: str, where: str) -> tuple[str, str | None]:
    """A heading without its anchor, and the anchor."""
    named = _ANCHOR.fullmatch(heading)
    if named:
        return named[1], named[2]
    if _ODD_ANCHOR.fullmatch(heading):
        raise KnowledgeError(
            f"{where}: '{heading}' ends in an anchor that cannot be read. Write {{#name}} without blanks, or remove it."
        )
    return heading, None


def _marked(lines: list[str], start: int, path: Path) -> Iterator[tuple[int, str, int, str]]:
    """(line number from 1, line, heading level or 0, heading text) for every line of the body, without comments."""
    for number, line, code in _uncommented(lines, start, path):
        heading = None if code else _HEADING.fullmatch(line)
        empty = None if code or heading else _EMPTY_HEADING.fullmatch(line)
        if heading:
            yield number, line, len(heading[1]), heading[2].strip()
        elif empty:
            yield number, line, len(empty[1]), ""
        elif not code and (joined := _NO_BLANK.fullmatch(line)):
            signs, words = joined[1], joined[2].strip()
            raise KnowledgeError(
                f"{path}:{number}: '{line.strip()}' is no heading, because '{signs}' needs an ordinary blank after it. "
                f"Write '{signs} {words}', or begin the line with another sign if it is text."
            )
        else:
            yield number, line, 0, ""


def _uncommented(lines: list[str], start: int, path: Path) -> Iterator[tuple[int, str, bool]]:
    """(line number from 1, line without comments, whether it belongs to a code fence). Code keeps its comments."""
    fence, fence_line = "", 0
    comment_line = 0  # where a comment began that is still open
    for number, line in enumerate(lines[start:], start=start + 1):
        if fence:
            end = _FENCE_END.fullmatch(line)
            if end and end[1].startswith(fence):
                fence = ""
            yield number, line, True
            continue
        shown = line
        opened = None if comment_line else _FENCE.fullmatch(line)
        if opened is None:
            shown, comment_line = _without_comments(line, number, comment_line)
            opened = _FENCE.fullmatch(shown)
        if opened:
            fence, fence_line = opened[1] or opened[2], number
        yield number, shown, bool(opened)
    if comment_line:
        raise KnowledgeError(
            f"{path}:{comment_line}: the comment '<!--' does not end. Close it with '-->'; "
            "to show it to shoppers, put it between two lines '```'."
        )
    if fence:
        raise KnowledgeError(
            f"{path}:{fence_line}: the code that begins here does not end. "
            f"Close it with a line '{fence}', or remove this line."
        )


def _without_comments(line: str, number: int, since: int) -> tuple[str, int]:
    """The line without comments, and the line where the comment began that is open at its end, or 0."""
    if not since and "<!--" not in line:
        return line, 0
    shown, at = "", 0
    while True:
        if not since:
            begin = line.find("<!--", at)
            if begin < 0:
                return (shown + line[at:]).rstrip(), 0
            shown += line[at:begin]
            since, at = number, begin + 2  # "<!-->" is a whole comment
        end = line.find("-->", at)
        if end < 0:
            return shown.rstrip(), since
        since, at = 0, end + 3


def missing_translations(articles: Iterable[Article]) -> list[str]:
    """One sentence per article that the folder has in one language and not in the other.

    Silent for a shop that writes in one language only.
    """
    by_id: dict[str, dict[str, Article]] = {}
    for article in articles:
        by_id.setdefault(article.id, {})[article.language] = article
    if len({language for versions in by_id.values() for language in versions}) < len(LANGUAGES):
        return []
    return [
        f"{next(iter(versions.values())).path}:1: article '{article_id}' has no {missing} version. "
        f"Add one with the same id and 'language: {missing}'."
        for article_id, versions in sorted(by_id.items())
        for missing in LANGUAGES
        if missing not in versions
    ]


def _plain(text: str) -> str:
    text = re.sub(r"\s+", " ", text.replace("’", "'")).strip().lower()
    return re.sub(r"^(?:#+ |\./)", "", text).rstrip("?？!！。:：")


def _slug(heading: str) -> str:
    return re.sub(r"[^\w]+", "-", heading.lower()).strip("-")
