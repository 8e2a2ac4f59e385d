"""How well the retriever finds the right chunk: recall, mean reciprocal rank, and what every method adds.

A question file has one JSON object a line: {"id", "language", "question", "answerable", "evidence": [chunk, ...],
"gold": [words the answer contains, ...]}. `evidence` names chunks as `Chunk.is_named_by` understands it. `gold` may
be empty; where it is not, the extractive answer is judged as well. Questions that the articles do not answer
are used to see how well the similarity alone tells them from the others.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict, Field

from bot.exceptions import KnowledgeError
from bot.jsonl import numbered_lines
from bot.knowledge.articles import Chunk
from bot.knowledge.base import Knowledge, default_cache
from bot.knowledge.encoders import EmbeddingCache
from bot.knowledge.hybrid import METHODS, WEIGHTS, Fusion, HybridRetriever
from bot.knowledge.passages import answering_words
from bot.knowledge.questions import question_fields
from bot.knowledge.retriever import Hit, Retriever
from bot.knowledge.tokens import fold, language_of
from bot.message import Language

DEPTH = 20  # how many hits are looked at for the reciprocal rank


def _without(method: str) -> Fusion:
    return Fusion(weights={name: weight for name, weight in WEIGHTS.items() if name != method})


# What is left out or replaced in each row of the table, all from the search that is shipped.
ABLATIONS: dict[str, Fusion] = {
    "all": Fusion(),
    "reciprocal rank fusion, k = 60": Fusion(method="reciprocal_rank", weights=dict.fromkeys(METHODS, 1.0)),
    **{f"without {method}": _without(method) for method in METHODS},
    **{f"{method} only": Fusion(weights={method: 1.0}) for method in METHODS},
    "heading only": Fusion(heading_share=1.0),
    "text only": Fusion(heading_share=0.0),
}


class Question(BaseModel):
    """One line of a question file. Keys of other evaluations are left alone."""

    model_config = ConfigDict(extra="ignore")

    id: str
    language: Language | None = None
    question: str = Field(min_length=1)
    answerable: bool = True
    gold: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()


def read_questions(path: Path) -> list[Question]:
    """All questions of a file.

    Raises:
        KnowledgeError: the file or a line cannot be read; names file, line and remedy.
    """
    questions = []
    for number, line in numbered_lines(path, KnowledgeError):
        try:
            questions.append(Question(**question_fields(json.loads(line), number)))
        except (ValueError, KeyError, TypeError) as exc:
            reason = f"{exc.args[0]} is missing" if isinstance(exc, KeyError) else str(exc)
            raise KnowledgeError(
                f"{path}:{number}: {reason}. Write one JSON object a line with id, language, question, "
                "answerable, evidence: [..] and gold: [..]."
            ) from exc
    if not questions:
        raise KnowledgeError(f"{path}: there is no question in it.")
    return questions


def evidence_ids(question: Question, chunks: Sequence[Chunk]) -> set[str]:
    """Ids of the chunks a question names.

    An article named without its language means the one in the question's language.

    Raises:
        KnowledgeError: a name fits no chunk.
    """
    language = question.language or language_of(question.question)
    found: set[str] = set()
    for reference in question.evidence:
        named = [chunk for chunk in chunks if chunk.id == reference]
        named = named or [chunk for chunk in chunks if chunk.is_named_by(reference)]
        if not named:
            raise KnowledgeError(
                f"Question {question.id}: evidence '{reference}' names no chunk. `kefu knowledge search` shows the ids."
            )
        found |= {chunk.id for chunk in named if chunk.language == language} or {chunk.id for chunk in named}
    return found


def evaluate(retriever: Retriever, chunks: Sequence[Chunk], questions: Sequence[Question]) -> dict[str, Any]:
    """Figures of one retriever over all questions, per language and together.

    Shares are between 0 and 1, latency is in milliseconds. `auroc` is the chance that an answerable question has
    a larger similarity than one that is not.
    """
    rows: list[tuple[Question, int | None, list[Hit], float]] = []
    for question in questions:
        try:
            wanted = evidence_ids(question, chunks) if question.answerable else set()
        except KnowledgeError as exc:
            print(f"{exc} The question is left out.", file=sys.stderr)
            continue
        start = time.perf_counter()
        hits = retriever.search(question.question, language=question.language, limit=DEPTH)
        took = (time.perf_counter() - start) * 1000
        place = next((hit.rank for hit in hits if hit.chunk.id in wanted), None)
        rows.append((question, place, hits, took))
    report: dict[str, Any] = {}
    for name in ("zh", "en", "all"):
        mine = [
            row for row in rows if name == "all" or (row[0].language or language_of(row[0].question)) == name
        ]
        if mine:
            report[name] = _figures(mine)
    return report


def _figures(rows: Sequence[tuple[Question, int | None, list[Hit], float]]) -> dict[str, Any]:
    known = [row for row in rows if row[0].answerable and row[0].evidence]
    figures: dict[str, Any] = {"questions": len(known)}
    if known:
        places = [place for _, place, _, _ in known]
        for depth in (1, 3, 5):
            found = sum(place is not None and place <= depth for place in places)
            figures[f"recall_at_{depth}"] = round(found / len(known), 4)
        figures["mrr"] = round(sum(1 / place for place in places if place is not None) / len(known), 4)
    judged = [row for row in rows if row[0].answerable and row[0].gold]
    if judged:
        right = 0
        for question, _, hits, _ in judged:
            right += bool(hits) and contains(answering_words(question.question, hits[0]), question.gold)
        figures["passage_accuracy"] = round(right / len(judged), 4)
    yes = [hits[0].similarity if hits else 0.0 for question, _, hits, _ in rows if question.answerable]
    no = [hits[0].similarity if hits else 0.0 for question, _, hits, _ in rows if not question.answerable]
    if yes and no:
        wins = sum((a > b) + 0.5 * (a == b) for a in yes for b in no)
        figures["unanswerable"] = len(no)
        figures["auroc"] = round(wins / (len(yes) * len(no)), 4)
    figures["median_ms"] = round(median(took for *_, took in rows), 2)
    return figures


def contains(text: str, gold: Sequence[str]) -> bool:
    """Whether a text contains one of the accepted answers, whatever its case, width and spacing."""

    def flat(words: str) -> str:
        return "".join(fold(words).split())

    return any(flat(answer) in flat(text) for answer in gold)


def report(folder: Path, path: Path, *, ablations: bool = True) -> dict[str, Any]:
    """Everything `kefu knowledge evaluate` prints."""
    base = Knowledge.load(folder)
    questions = read_questions(path)
    cache = EmbeddingCache(default_cache())
    start = time.perf_counter()
    first = HybridRetriever(base.chunks, cache=cache)
    took = time.perf_counter() - start
    first.search(questions[0].question)
    result: dict[str, Any] = {
        "knowledge": str(folder),
        "chunks": len(base.chunks),
        "fingerprint": base.fingerprint,
        "index_seconds": round(took, 2),
        **evaluate(first, base.chunks, questions),
    }
    if ablations:
        result["ablations"] = {
            name: _short(
                evaluate(HybridRetriever(base.chunks, cache=cache, fusion=fusion), base.chunks, questions)
            )
            for name, fusion in ABLATIONS.items()
        }
    return result


def _short(figures: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    keys = ("recall_at_1", "recall_at_5", "mrr")
    return {name: {key: part[key] for key in keys if key in part} for name, part in figures.items()}


def retrieval(
    knowledge: Annotated[Path, typer.Option("--knowledge", metavar="DIR", help="Folder of articles.")],
    questions: Annotated[Path, typer.Option("--questions", metavar="FILE", help="Questions, JSONL.")],
    ablations: Annotated[bool, typer.Option(help="Also without every method in turn.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure how often the right article is found, and what every method adds."""
    result = report(knowledge, questions, ablations=ablations)
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False, indent=2))
        return
    typer.echo(f"{result['chunks']} chunks, index in {result['index_seconds']} s")
    for name in ("zh", "en", "all"):
        if name in result:
            typer.echo(f"{name}: " + "  ".join(f"{key} {value}" for key, value in result[name].items()))
    for name, parts in result.get("ablations", {}).items():
        cells = "  ".join(
            f"{language} R@1 {part['recall_at_1']:.3f} R@5 {part['recall_at_5']:.3f} MRR {part['mrr']:.3f}"
            for language, part in parts.items()
            if language != "all" and part
        )
        typer.echo(f"{name:32} {cells}")
