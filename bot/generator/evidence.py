"""What a reply may rest on. Imports nothing, so that the generator's own program can use it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """A text a reply may rest on, with its label. `source` says where it came from."""

    id: str
    text: str
    title: str = ""
    source: str = "article"  # article, order
    language: str = "zh"
    url: str | None = None
