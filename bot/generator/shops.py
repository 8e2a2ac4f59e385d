"""Invented shops with questions: what the reranker, the generator and the confidence model learn reading from.

`shops/<trade>-<language>.yml` holds a shop's articles; every section lists questions it answers with the
words that answer them (`ask`) and questions that sound as if it did while nothing in the shop does (`near`);
`outside` holds what the shop never speaks of. A shop with `held_out: true` is held out: no weight of the reranker or
the generator has seen it, and the confidence model, which reads the reranker's scores, is fitted there. The mark
stands in the file, so that a shop more or less moves no other one across the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import yaml

from bot.exceptions import GeneratorError
from bot.generator.dialogues import Question
from bot.knowledge.articles import Chunk
from bot.message import Language

FOLDER = Path(__file__).with_name("shops")


@dataclass(frozen=True)
class Shop:
    """Chunks and questions of one invented shop. A question that is not answerable keeps in `evidence` the
    chunk it sounds like, if there is one."""

    name: str
    language: Language
    chunks: tuple[Chunk, ...]
    questions: tuple[Question, ...]
    held_out: bool = False


def shop_files() -> list[Path]:
    """All shops, by name."""
    return sorted(FOLDER.glob("*.yml"))


def held_out(path: Path) -> bool:
    """Whether no weight may learn from this shop.

    Raises:
        GeneratorError: the file is not in the format.
    """
    return read_shop(path).held_out


@lru_cache(maxsize=256)
def read_shop(path: Path) -> Shop:
    """Read one shop.

    Raises:
        GeneratorError: the file is not in the format; names file and section.
    """
    try:
        # ten times faster than safe_load, and as safe
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        return _shop(path, raw)
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as exc:
        raise GeneratorError(f"{path}: {exc!r}. See the docstring of bot/generator/shops.py.") from exc


def _shop(path: Path, raw: dict[str, Any]) -> Shop:
    language = cast(Language, raw["language"])
    chunks: list[Chunk] = []
    questions: list[Question] = []

    def ask(text: str, kind: str, evidence: tuple[str, ...], gold: tuple[str, ...] = ()) -> None:
        questions.append(
            Question(f"{path.stem}-{len(questions)}", language, text, bool(gold), gold, evidence, kind)
        )

    for number, article in enumerate(raw["articles"]):
        for n, section in enumerate(article["sections"], start=1):
            name = f"{path.stem}-{number}"
            chunk = Chunk(
                id=f"{name}/{language}#{n}", article_id=name, language=language,
                heading_path=(str(article["title"]), section["heading"]), heading=section["heading"], text=section["text"],
                products=(), valid_from=None, valid_to=None, risk=None, path=path, line=1,
            )  # fmt: skip
            chunks.append(chunk)
            for question, gold in section["ask"]:
                if gold not in chunk.text:
                    raise ValueError(f"{section['heading']}: {gold!r} does not stand in the text")
                ask(question, "ask", (chunk.id,), (gold,))
            for question in section["near"]:
                ask(question, "near", (chunk.id,))
    for question in raw["outside"]:
        ask(question, "outside", ())
    return Shop(path.stem, language, tuple(chunks), tuple(questions), bool(raw.get("held_out", False)))
