"""What a reranker reads of each hit, and what its numbers say of the hit.

A short section is read whole, of a long one its likeliest passages (`bot.knowledge.passages`): what the reranker learned from is
as short as that, and a text longer than it takes in would be judged by its beginning. The best passage speaks for its section.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bot.generator.injection import without_injection
from bot.generator.ordering import CLOSE_READ
from bot.generator.prompt import MAX_EVIDENCE_CHARS, document
from bot.knowledge.articles import Chunk
from bot.knowledge.markdown import plain_text
from bot.knowledge.passages import Passage, Section
from bot.knowledge.retriever import Hit

PASSAGES = 3  # of one section; figures in docs/confidence.md
QUOTED_APART = 3.0  # log-odds by which the second passage that is quoted may be behind the first


@dataclass(frozen=True)
class Pieces:
    """A hit with what is to be read of it. `section` is None where that is the whole."""

    hit: Hit
    documents: tuple[str, ...]
    section: Section | None = None
    passages: tuple[Passage, ...] = ()

    def scored(self, scores: Sequence[float]) -> Hit:
        """The hit with its log-odds as signal ``read``; of a long section the best passage is kept as `passage`, with the next
        best where that is about as likely, and as `quote` where it is not much less likely."""
        best, section = max(scores), self.section
        hit = replace(self.hit, signals={**self.hit.signals, "read": best})
        if section is None:
            return hit
        ranked = sorted(zip(scores, self.passages, strict=True), key=lambda pair: -pair[0])

        def within(apart: float) -> str:
            return section.text([one for score, one in ranked[:2] if best - score < apart])

        shown = within(CLOSE_READ)
        if len(shown) > MAX_EVIDENCE_CHARS:  # the generator would see the beginning only
            shown = section.text([ranked[0][1]])
        return replace(hit, passage=shown, quote=within(QUOTED_APART))


def _section(chunk: Chunk) -> Section:
    """A chunk without lines that talk to the assistant, in marks or without."""
    return Section(without_injection(chunk.text), chunk.language, without_injection)


def shown_text(chunk: Chunk) -> str:
    """The whole of a chunk as a shopper may read it."""
    section = _section(chunk)
    return plain_text(section.text(section.passages))


def quoted_text(question: str, hit: Hit, *, brief: bool = False) -> str:
    """The words of a hit that are said: what a reranker took for the answer, or the two likeliest passages. `brief` leaves out the
    one that is less likely to hold it."""
    said = hit.passage if brief else hit.quote
    if said is not None:
        return plain_text(said)
    section = _section(hit.chunk)
    return plain_text(section.text(section.likeliest(question, hit.sentences, 1 if brief else 2)))


def sentences_of(hit: Hit) -> list[str]:
    """The sentences of what is shown of a hit, each with the lines that introduce it."""
    section = _section(hit.chunk)
    shown = hit.passage if hit.passage is not None else section.text(section.passages)
    introducing = {place for leads in section.leads for place in leads}
    return [
        section.text([Passage(n, n + 1, leads)]).strip()
        for n, leads in enumerate(section.leads)
        if n not in introducing and section.sentences[n].strip() in shown
    ]


def document_of(chunk: Chunk, text: str | None = None) -> str:
    """A chunk as the reranker reads it; with a text, that passage of it."""
    said = shown_text(chunk) if text is None else text
    return document(" - ".join(dict.fromkeys(chunk.heading_path)), said)


def pieces_of(question: str, hit: Hit) -> Pieces:
    """What is to be read of a hit for a question."""
    section = _section(hit.chunk)
    if not section.long:
        return Pieces(hit, (document_of(hit.chunk),))
    passages = section.likeliest(question, hit.sentences, PASSAGES)
    texts = tuple(document_of(hit.chunk, section.text([one])) for one in passages)
    return Pieces(hit, texts, section, tuple(passages))


def scored(pieces: Sequence[Pieces], scores: Sequence[float]) -> Iterator[Hit]:
    """The hits with what was read; `scores` are those of all documents in order."""
    given = iter(scores)
    for one in pieces:
        yield one.scored([next(given) for _ in one.documents])
