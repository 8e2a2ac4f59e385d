"""Files that people hand in: one JSON object a line. Names what is wrong with one; knows no field of it."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bot.exceptions import KefuError


def numbered_lines(path: Path, error: type[KefuError]) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not blank, each with its number.

    Raises:
        KefuError: of the given kind: there is no such file, it cannot be read, or it is not UTF-8; names the remedy.
    """
    try:
        raw = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except FileNotFoundError as exc:
        raise error(
            f"{path} cannot be read: there is no such file. Give a JSONL file, one JSON object a line."
        ) from exc
    except OSError as exc:
        raise error(f"{path} cannot be read: {exc.strerror}. Give a JSONL file that may be read.") from exc
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        before = raw[: exc.start]
        line, place = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        raise error(
            f"{path}:{line}: byte {place} of the line (0x{raw[exc.start]:02x}) is not UTF-8. "
            "Save the file as UTF-8."
        ) from exc
    # Not `splitlines`: a line separator (U+2028) may stand in a JSON string as it is.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    yield from ((number, line) for number, line in enumerate(lines, start=1) if line.strip())


def texts_of(raw: Any) -> tuple[str, ...]:
    """One text, a list of them or null; numbers count as texts, what is blank as none.

    Raises:
        TypeError: it is something else.
    """
    listed = raw if isinstance(raw, list | tuple) else [raw]
    if any(isinstance(one, bool) or not isinstance(one, str | int | float | None) for one in listed):
        raise TypeError(f"a text or a list of texts is wanted, not {raw!r}")
    return tuple(str(one) for one in listed if one is not None and str(one).strip())


def text_of(raw: dict[str, Any], name: str) -> str:
    """The text of a field, which must not be blank.

    Raises:
        KeyError: the field is missing.
        TypeError: it is no text, or blank.
    """
    found = raw[name]
    if not isinstance(found, str) or not found.strip():
        raise TypeError(f"{name} must be a text that is not blank, not {found!r}")
    return found
