"""`kefu evaluate answers`: how well any shop's questions are answered from any shop's articles.

Nothing is trained and nothing is remembered between runs. An answer counts as right when it holds one of
the gold strings or an equal value (`bot.generator.correctness`); a question without gold counts by the
chunks the answer is taken from. An answer to an unanswerable question is wrong, whatever it says. Where neither gold
nor a chunk tells what would be right, nothing can be judged, and the question is counted as such.
"""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import typer

from bot.exceptions import GeneratorError, KnowledgeError
from bot.generator.answering import Answer, Answerer, Candidate, choose
from bot.generator.calibration import aurc, auroc, clopper_pearson_upper, e_aurc, ece
from bot.generator.client import Generator, GeneratorClient
from bot.generator.confidence import Fusion
from bot.generator.correctness import holds_gold
from bot.jsonl import numbered_lines
from bot.knowledge.articles import Chunk
from bot.knowledge.base import Knowledge
from bot.knowledge.questions import question_fields
from bot.log import configure
from bot.message import Language
from bot.settings import get_settings

NAMED = 20  # questions of one complaint that are named; the others are counted


@dataclass(frozen=True)
class Asked:
    """One line of the question file. `judged` is false where nothing tells what would be right."""

    id: str
    language: Language
    question: str
    answerable: bool
    gold: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    product: str | None = None
    judged: bool = True


@dataclass(frozen=True)
class Outcome:
    """A question with its answer and what is true of it."""

    asked: Asked
    answer: Answer
    best: Candidate | None  # what would be said if Kefu always answered
    right: bool
    generated_right: bool | None  # None: no generator
    cited_right: bool
    recalled: bool

    @property
    def alone(self) -> bool:
        return self.answer.decision.decision == "answer"


def read_questions(path: Path) -> list[Asked]:
    """Read {id, language, question, answerable, gold: [...], evidence: [...]} per line.

    Raises:
        KnowledgeError: names file, line and remedy.
    """
    out: list[Asked] = []
    for number, line in numbered_lines(path, KnowledgeError):
        try:
            raw = json.loads(line)
            out.append(
                Asked(
                    **question_fields(raw, number),
                    product=raw["product"] or None if isinstance(raw.get("product"), str) else None,
                )
            )
        except (ValueError, KeyError, TypeError) as exc:
            reason = f"'{exc.args[0]}' is missing" if isinstance(exc, KeyError) else str(exc)
            raise KnowledgeError(
                f"{path}:{number}: {reason}. Wanted: id, language, question, answerable, gold: [..], evidence: [..]."
            ) from exc
    if not out:
        raise KnowledgeError(f"{path}: there is no question in it.")
    return out


def against(questions: Sequence[Asked], chunks: Sequence[Chunk]) -> tuple[list[Asked], list[str]]:
    """The questions as these chunks can be asked them, and what is wrong with some, by name.

    An answerable question without gold is judged by the chunks it names: one that names none is not judged. A product
    that no chunk is of limits nothing: it is another file's field, and would leave nothing to be found.
    """

    @cache
    def names_a_chunk(reference: str) -> bool:
        return any(chunk.is_named_by(reference) for chunk in chunks)

    products = {product for chunk in chunks for product in chunk.products}
    out: list[Asked] = []
    bare: list[str] = []
    astray: list[str] = []
    foreign: list[str] = []
    for one in questions:
        known = [e for e in one.evidence if names_a_chunk(e)]
        lost = [e for e in one.evidence if e not in known]
        if one.answerable and not one.gold and not one.evidence:
            bare.append(one.id)
        if one.answerable and lost:
            astray.append(f"{one.id} ({', '.join(lost)})")
        product = one.product if one.product in products else None
        if product != one.product:
            foreign.append(f"{one.id} ({one.product})")
        out.append(replace(one, product=product, judged=not one.answerable or bool(one.gold or known)))
    said = (
        (bare, "have neither gold nor evidence, so that no answer can be judged. Give one of them"),
        (
            astray,
            "name evidence that is no chunk; without gold and another chunk no answer can be judged. "
            "`kefu knowledge search` shows the names",
        ),
        (foreign, "name a product that no article is for. It is ignored"),
    )
    return out, [f"questions {_listed(names)} {why}." for names, why in said if names]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def judge(asked: Asked, answer: Answer) -> Outcome:
    """What is true of an answer."""
    passed = [c for c in answer.candidates if c.passed]
    # What was decided on: which voice speaks hangs on the threshold as well. Who asked back had decided on none.
    best = next((c for c in answer.candidates if c.voice == answer.decision.voice), None)
    if best is None and answer.candidates:
        best = choose(asked.question, passed or answer.candidates)
    chunks = {h.chunk.id: h.chunk for h in answer.hits}
    generated = next((c for c in answer.candidates if c.voice == "generated"), None)
    cited = chunks.get(best.evidence[0]) if best else None
    return Outcome(
        asked=asked,
        answer=answer,
        best=best,
        right=asked.answerable and best is not None and _right(asked, best, chunks),
        generated_right=None if generated is None else asked.answerable and _right(asked, generated, chunks),
        cited_right=cited is not None and _is_evidence(asked, cited),
        recalled=any(_is_evidence(asked, h.chunk) for h in answer.hits[:5]),
    )


def _right(asked: Asked, candidate: Candidate, chunks: Mapping[str, Chunk]) -> bool:
    if asked.gold:
        return holds_gold(candidate.text, asked.gold)
    # An article's own words may be those of two sections; a generated reply rests on the first, whatever else was shown.
    quoted = candidate.evidence if candidate.voice == "extractive" else candidate.evidence[:1]
    return any(_is_evidence(asked, chunks[one]) for one in quoted if one in chunks)


def _is_evidence(asked: Asked, chunk: Chunk) -> bool:
    if asked.evidence and any(chunk.is_named_by(e) for e in asked.evidence):
        return True
    # The same fact may stand in a second place, and people name evidence in ways of their own.
    return bool(asked.gold) and holds_gold(chunk.text, asked.gold)


async def evaluate(
    answerer: Answerer, questions: Sequence[Asked], *, concurrency: int = 4, progress: bool = False
) -> list[Outcome]:
    """Ask every question once, a few at a time, as the answerer's chunks can be asked it (`against`)."""
    questions, _ = against(questions, answerer.chunks)
    places = asyncio.Semaphore(concurrency)
    done = 0

    async def one(asked: Asked) -> Outcome:
        nonlocal done
        async with places:
            answer = await answerer.answer(asked.question, language=asked.language, product=asked.product)
        done += 1
        if progress and (done % 20 == 0 or done == len(questions)):
            print(f"kefu evaluate: {done}/{len(questions)} questions", file=sys.stderr, flush=True)
        return judge(asked, answer)

    return list(await asyncio.gather(*(one(q) for q in questions)))


def summarise(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The figures. Shares are of answerable, unanswerable or answered questions, as the name says.

    What cannot be judged is neither right nor wrong: it counts in how many were asked and answered, and in nothing
    that needs to know more.
    """
    answerable = [o for o in outcomes if o.asked.answerable]
    unanswerable = [o for o in outcomes if not o.asked.answerable]
    judged = [o for o in outcomes if o.asked.judged]
    known = [o for o in judged if o.asked.answerable]  # answerable, and by what is known
    alone = [o for o in judged if o.alone]
    scores = [o.answer.decision.p_correct for o in judged]
    wrong = [float(not o.right) for o in judged]
    generated = [o.generated_right for o in known if o.generated_right is not None]
    errors = sum(not o.right for o in alone)
    seconds = sorted(o.answer.seconds for o in outcomes)
    return {
        "questions": len(outcomes),
        "answerable": len(answerable),
        "unanswerable": len(unanswerable),
        "unjudged": len(outcomes) - len(judged),
        "accuracy_answer_always": _share([o.right for o in known]),
        "accuracy_generator_only": _share([bool(g) for g in generated]) if generated else None,
        "recall_at_5": _share([o.recalled for o in known]),
        "coverage": _share([o.alone for o in answerable]),
        "coverage_of_all": _share([o.alone for o in outcomes]),
        "risk": _share([not o.right for o in alone]),
        "risk_upper_95": _round(clopper_pearson_upper(errors, len(alone), 0.05)) if alone else None,
        "unanswerable_answered": _share([o.alone for o in unanswerable]),
        "auroc": _round(auroc(scores, wrong)),
        "auroc_answerable": _round(auroc(
            [o.answer.decision.p_correct for o in outcomes], [float(not o.asked.answerable) for o in outcomes]
        )),
        "aurc": _round(aurc(scores, wrong)),
        "e_aurc": _round(e_aurc(scores, wrong)),
        "ece": _round(ece(scores, [1 - w for w in wrong])),
        "citation_correct": _share([o.cited_right for o in known]),
        "citation_correct_answered": _share([o.cited_right for o in alone if o.asked.answerable]),
        "two_sections": _share([o.best is not None and o.best.quotes_two for o in outcomes]),
        "clarified": _share([o.answer.decision.decision == "clarify" for o in outcomes]),
        "voices": {v: sum(o.best is not None and o.best.voice == v for o in outcomes) for v in ("generated", "extractive")},
        "checks_failed": _failed(outcomes),
        "latency_seconds": {
            "median": _round(statistics.median(seconds)),
            "p95": _round(seconds[min(len(seconds) - 1, math.ceil(0.95 * len(seconds)) - 1)]),
            "max": _round(seconds[-1]),
        },
    }  # fmt: skip


def _failed(outcomes: Sequence[Outcome]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for o in outcomes:
        for c in o.answer.candidates:
            if c.voice == "generated":
                for check in c.checks:
                    counts[check.name] = counts.get(check.name, 0) + (not check.ok)
    return {k: v for k, v in counts.items() if v}


def _share(flags: Sequence[bool]) -> float | None:
    return _round(sum(flags) / len(flags)) if flags else None


def _round(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, 4)


def run(
    knowledge: Path,
    questions: Path,
    as_json: bool = False,
    report: Path | None = None,
    details: Path | None = None,
    no_generator: bool = False,
    own_words: bool = False,
    url: str | None = None,
    adapter: str | None = None,
    limit: int | None = None,
) -> None:
    """Measure the answers on any shop's articles and questions. Nothing is trained."""
    settings = get_settings()
    configure("evaluate", settings.log)  # to stderr: with --json nothing but the object goes to stdout
    asked = read_questions(questions)[:limit]
    for page in (report, details):
        if page:
            make_room(page)
    base = Knowledge.load(knowledge)
    for complaint in against(asked, base.chunks)[1]:
        print(f"kefu evaluate: {questions}: {complaint}", file=sys.stderr, flush=True)
    began = time.perf_counter()
    generator: Generator | None = None
    local: Any = None
    try:
        if url:
            generator = GeneratorClient(url, timeout=max(60.0, settings.generator.timeout))
        elif not no_generator and settings.generator.enabled:
            from bot.generator.local import LocalGenerator

            generator = local = LocalGenerator(settings, adapter=adapter)
        answerer = Answerer(
            base.retriever(), base.chunks, Fusion.load(), generator=generator, mode="strict",
            max_tokens=settings.generator.max_tokens, phrases=settings.generator.phrases and not own_words,
            drafts=settings.generator.drafts, copies=settings.generator.packaged and url in (None, settings.generator.url), always=True,
        )  # fmt: skip

        async def ask() -> list[Outcome]:
            try:
                return await evaluate(
                    answerer, asked, concurrency=settings.generator.concurrency, progress=True
                )
            finally:
                if isinstance(generator, GeneratorClient):
                    await generator.close()

        outcomes = asyncio.run(ask())
    finally:
        if local is not None:
            local.close()
    failures = sum(
        "generator_failed" in o.answer.decision.reasons and len(o.answer.candidates) == 1 for o in outcomes
    )
    if generator is not None and failures == len(outcomes):
        raise GeneratorError("The generator answered no question. See `kefu doctor`, or use --no-generator.")
    found = summarise(outcomes) | {
        "by_language": {
            language: summarise([o for o in outcomes if o.asked.language == language])
            for language in sorted({q.language for q in asked})
        },
        "mode": "strict",
        "thresholds": sorted({o.answer.decision.threshold for o in outcomes if o.answer.decision.threshold}),
        "reranked": sum("read" in o.answer.hits[0].signals for o in outcomes if o.answer.hits),
        "generator": None if generator is None else (url or getattr(local, "loaded").name),  # noqa: B009
        "chunks": len(base.chunks),
        "seconds": round(time.perf_counter() - began, 1),
    }
    if details:
        details.write_text(
            "".join(json.dumps(_line(o), ensure_ascii=False) + "\n" for o in outcomes), encoding="utf-8"
        )
    if report:
        from bot.generator.report import write_report

        write_report(report, found, [o for o in outcomes if o.asked.judged])
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    for name, value in found.items():
        if not isinstance(value, dict):
            typer.echo(f"{name:28s} {value}")


def make_room(path: Path) -> None:
    """Make the folder of a file that will be written after minutes of work.

    Raises:
        KnowledgeError: it cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise KnowledgeError(
            f"{path}: its folder cannot be made ({exc.strerror}). Name another place."
        ) from exc
    if path.is_dir():
        raise KnowledgeError(f"{path} is a folder. Name a file to write.")


def _line(o: Outcome) -> dict[str, Any]:
    return {
        "id": o.asked.id, "language": o.asked.language, "question": o.asked.question, "answerable": o.asked.answerable,
        "gold": list(o.asked.gold), "said": o.best.text if o.best else "", "voice": o.best.voice if o.best else "",
        "p": round(o.answer.decision.p_correct, 4), "judged": o.asked.judged, "right": o.right if o.asked.judged else None, "generated_right": o.generated_right,
        "recalled": o.recalled, "decision": o.answer.decision.as_json(),
        "candidates": [{"voice": c.voice, "text": c.text, "p": c.p, "x": c.features, "failed": [k.name for k in c.checks if not k.ok]}
                       for c in o.answer.candidates],
    }  # fmt: skip
