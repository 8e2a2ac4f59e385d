"""Question in, answer and decision out: retrieval, two voices, checks, confidence, threshold.

The order is that of docs/confidence.md: hard rules, vetoes on the text, then the calibrated score
against the threshold. The first voice is the generator, the second the best article's own words under
the same checks. This module knows no Rasa, no HTTP and no torch.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import structlog

from bot.exceptions import GeneratorError, KnowledgeError, NoReranker
from bot.generator.certificate import Certificate
from bot.generator.checks import MAX_REPLY, Check, check_copied, check_limits, run_checks
from bot.generator.client import Completion, Drafting, Generator, Reranking
from bot.generator.confidence import (
    ChunkStatistics,
    Decision,
    Fusion,
    Logistic,
    Mode,
    Verdict,
    asked_kind,
    generation_features,
    kind_match,
    retrieval_features,
)
from bot.generator.evidence import Evidence
from bot.generator.history import Turn, readings_of, repeats, same_question
from bot.generator.injection import looks_like_injection, without_injection
from bot.generator.naming import about_other_models, about_other_occasions
from bot.generator.ordering import ANSWERS, READ, READ_ON, about, close, none_answers, reordered, was_read
from bot.generator.pieces import document_of, pieces_of, quoted_text, scored, sentences_of, shown_text
from bot.generator.products import products_left_open
from bot.generator.prompt import Message, build_messages, document
from bot.generator.wording import overlap
from bot.knowledge.articles import Chunk
from bot.knowledge.retriever import Hit, Retriever
from bot.knowledge.spelling import Spelling
from bot.message import Language

log = structlog.get_logger()
BACKGROUND = 20  # hits fetched; the ones after the best are the background of its score
EVIDENCE = 3  # chunks the generator reads
EVIDENCE_READ = 1  # the same behind a reranker: with a second section at hand it quotes the wrong one more often than it helps
DOES_NOT_ANSWER = -10.0
FACT = 1.0  # log-odds from which a sentence about the order is taken for the answer; figures in docs/confidence.md
FACTS_CLOSE = 1.5  # sentences about the order whose log-odds differ by less are both said
SECONDS = 20.0  # for all that the generator is asked about one question; the dialogue waits 30
UNSURE = -0.2  # mean log-probability of a reply's tokens
UNRELATED = 0.25  # below this p, neither a question back nor a generated reply could still be let through, nor would a second section help
STOPPED = frozenset(
    ["check_failed", "other_language", "repeated", "product_unknown", "occasion_unknown", "value_missing", "low_confidence", "uncertified", "drift"]
)  # fmt: skip
_BETWEEN_CHINESE = re.compile(
    r"(?<=[\u3000-\u303f\u4e00-\u9fff\uff00-\uff65])[ \t]+(?=[\u3000-\u303f\u4e00-\u9fff\uff00-\uff65])"
)
POLICY_RISKS = frozenset({"policy", "money", "refund", "payment", "legal", "high"})


@dataclass(frozen=True)
class Candidate:
    """One possible reply. `p` is its estimated chance of being right."""

    voice: str  # generated, extractive
    text: str
    p: float
    checks: tuple[Check, ...]
    evidence: tuple[str, ...]  # chunk ids, the one it rests on first
    features: dict[str, float]

    @property
    def passed(self) -> bool:
        return all(c.ok for c in self.checks)

    @property
    def quotes_two(self) -> bool:
        """Whether it is the own words of two sections."""
        return self.voice == "extractive" and len(self.evidence) > 1


@dataclass(frozen=True)
class Answer:
    """What came out. `text` is empty unless the decision is "answer" or "clarify"."""

    text: str
    decision: Decision
    language: Language
    chunks: tuple[Chunk, ...] = ()  # cited, best first
    options: tuple[tuple[str, str], ...] = ()  # (product id, title), for a clarifying question
    draft: str = ""  # the best reply whatever was decided: for the person who takes over
    candidates: tuple[Candidate, ...] = ()
    hits: tuple[Hit, ...] = ()
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)  # of all that answered


@dataclass(frozen=True)
class Reading:
    """What was found for a question as it was read: the hits in order, the facts with their log-odds, and whether the
    generator may be asked for more."""

    query: str
    hits: list[Hit]
    told: list[tuple[Evidence, float]]
    able: bool


@dataclass
class Answerer:
    """Answers questions from one knowledge base.

    Args:
        retriever: finds chunks.
        chunks: all chunks, to know how rare words are.
        fusion: the fitted confidence model.
        generator: the first voice; None leaves the extractive voice alone.
        certificate: needed in mode "certified".
        phrases: whether the generator speaks; otherwise it only reads for the article's own words.
        drafts: replies written to one question where a reranker can choose among them.
        copies: whether the generator has to keep to the articles' words, clause by clause.
        drift: how many alarms the drift monitor has raised, by risk class.
        always: ask the generator even where no reply of its could be let through, to measure it.
        notes: reasons that every decision carries.
        versions: of model, articles and the rest, for the audit trail.
    """

    retriever: Retriever
    chunks: Sequence[Chunk]
    fusion: Fusion
    generator: Generator | None = None
    mode: Mode = "strict"
    certificate: Certificate | None = None
    drift: Mapping[str, int] = field(default_factory=dict)
    max_tokens: int = 96
    phrases: bool = True
    drafts: int = 1
    copies: bool = False
    always: bool = False
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    statistics: ChunkStatistics = field(init=False)
    spelling: Spelling = field(init=False)

    def __post_init__(self) -> None:
        self.statistics = ChunkStatistics(self.chunks)
        self.spelling = Spelling(self.chunks)

    async def answer(
        self,
        question: str,
        *,
        language: Language,
        product: str | None = None,
        at: date | None = None,
        facts: Sequence[Evidence] = (),
        owned: frozenset[str] = frozenset(),
        customer_name: str = "",
        history: Sequence[Turn] = (),
    ) -> Answer:
        """Answer, ask back or hand off. Never raises for a generator that fails.

        Args:
            facts: sentences about the proven customer's order, each a piece of evidence.
            owned: ids of the products in that order: of two that fit, the one bought is meant.
        """
        began = time.perf_counter()
        steered = looks_like_injection(question)
        if language == "zh" and self.spelling.has_pinyin(question):
            question = await asyncio.to_thread(self.spelling.in_characters, question)
            steered = steered or looks_like_injection(question)
        history = [turn for turn in history if not looks_like_injection(turn.shopper)]
        facts = [replace(f, text=without_injection(f.text)) for f in facts]
        try:
            queries, readings = readings_of(question, history), []
            for query in queries:
                readings.append(await self._find(query, language, product, at, facts))
                if not readings[-1].able:  # nobody waits twice for a reranker that is busy or down
                    break
            if queries != (question,) and len(queries) == 1:
                readings = [replace(readings[0], hits=about(question, readings[0].hits))]
        except KnowledgeError as exc:
            log.error("search_failed", error=str(exc))
            return self._handoff(("search_failed",), language, began)
        found = self._surer(readings, language, product)
        query, hits, told, able = found.query, found.hits, found.told, found.able
        # However sure it is of an article: what it says of orders in general is no answer about this one.
        if told and not steered and told[0][1] >= FACT:
            said = self._from_order(question, language, told, hits, customer_name, history, began)
            if said.decision.decision != "handoff":
                return said
        if not hits:
            return self._handoff(("no_evidence",), language, began)
        candidates = [self._own_words(query, hits, language, customer_name)]
        p = candidates[0].p
        open_ones = products_left_open(query, hits, product, doubtful=self._doubtful(candidates[0], hits))
        if not was_read(hits) and p < UNRELATED:
            open_ones = []
        bought = [h for h in open_ones if owned & set(h.chunk.products)]
        if len(bought) == 1:
            hits = [*bought, *(h for h in hits if h not in open_ones)]  # the others would be quoted beside it
            candidates, open_ones = [self._own_words(query, hits, language, customer_name)], []
        if open_ones:
            return self._ask_back(open_ones, candidates, hits, language, began)
        reasons: list[str] = [*self.notes, *(["injection"] if steered else [])]
        hopeful = self.always or self.mode != "strict" or candidates[0].p >= UNRELATED or not was_read(hits)
        if self.generator is not None and self.phrases and hopeful and not steered:
            try:
                if not able:  # busy or down a moment ago: the shopper does not wait for it twice
                    raise GeneratorError("The generator could not read the sections.")
                async with asyncio.timeout(max(1.0, SECONDS - (time.perf_counter() - began))):
                    reply = await self._generated(
                        question, query, hits, language, customer_name, history, candidates[0]
                    )
                candidates.insert(0, reply)
            except (GeneratorError, TimeoutError):
                reasons.append("generator_failed")
        return self._decide(question, language, hits, candidates, history, reasons, began, able)

    async def _find(
        self, query: str, language: Language, product: str | None, at: date | None, facts: Sequence[Evidence]
    ) -> Reading:
        """Search and read what one reading of the question finds.

        Raises:
            KnowledgeError: the articles cannot be searched.
        """
        # In a thread: the search of a large shop, or of one whose articles lie in PostgreSQL, must not hold up everybody else.
        hits = await asyncio.to_thread(
            self.retriever.search, query, language=language, product=product, at=at, limit=BACKGROUND
        )
        hits = [h for h in hits if without_injection(h.chunk.text)]
        if not hits and not facts:
            return Reading(query, [], [], True)
        return Reading(query, *await self._read(query, hits, facts))

    def _surer(self, readings: Sequence[Reading], language: Language, product: str | None) -> Reading:
        """The reading whose answer is the surest; where products are left open, the one that tells which is meant."""
        if len(readings) == 1:
            return readings[0]

        def surety(reading: Reading) -> tuple[bool, float]:
            told = 1 / (1 + math.exp(-reading.told[0][1])) if reading.told else 0.0
            if not reading.hits:
                return False, told
            p = self._extractive(reading.query, reading.hits, language, "").p
            return was_read(reading.hits), max(told, p)

        found = max(readings, key=surety)
        if open_ones := products_left_open(found.query, found.hits, product):
            meant = {one for hit in open_ones for one in hit.chunk.products}
            if readings[-1].hits and meant & set(readings[-1].hits[0].chunk.products):
                return readings[-1]
        return found

    async def _read(
        self, query: str, hits: list[Hit], facts: Sequence[Evidence]
    ) -> tuple[list[Hit], list[tuple[Evidence, float]], bool]:
        """The first hits in the order of a reranker that has read them, as they are where there is none; the facts
        with their log-odds, the likeliest first; and whether the generator may be asked for more."""
        if self.fusion.reranked is None or not isinstance(self.generator, Reranking):
            return hits, [], True
        said = [document(f.title, f.text) for f in facts]
        able = True
        try:
            found, rest = await self._scores(self.generator, query, hits[:READ], said)
        except GeneratorError as exc:
            log.info("not_reranked", reason=str(exc))
            return hits, [], isinstance(exc, NoReranker)
        told = sorted(zip(facts, rest, strict=True), key=lambda pair: -pair[1])
        if none_answers(found) and not (told and told[0][1] >= FACT) and len(hits) > READ:
            try:
                more, _ = await self._scores(self.generator, query, hits[READ:READ_ON], ())
                found += more
            except GeneratorError as exc:  # busy, say; what was read counts
                log.info("not_read_on", reason=str(exc))
                able = False
        return reordered([*found, *hits[len(found) :]], self.fusion.order), told, able

    @staticmethod
    async def _scores(
        reader: Reranking, query: str, hits: Sequence[Hit], said: Sequence[str]
    ) -> tuple[list[Hit], list[float]]:
        """Hits with what the reranker makes of them, and its log-odds of further documents."""
        pieces = [pieces_of(query, hit) for hit in hits]
        documents = [text for one in pieces for text in one.documents]
        scores = await reader.rerank(query, [*documents, *said])
        return list(scored(pieces, scores)), scores[len(documents) :]

    def _from_order(
        self,
        question: str,
        language: Language,
        told: Sequence[tuple[Evidence, float]],
        hits: Sequence[Hit],
        name: str,
        history: Sequence[Turn],
        began: float,
    ) -> Answer:
        """The sentence about the order that answers, with those that answer about as well: all are true of it.

        Its text is the shop's own record in our words, so a refund it names is no promise, and three alike lines are no
        circle. A certificate was earned by articles: with one, orders are left to the flows.
        """
        score = told[0][1]
        facts = [fact for fact, read in told if read >= FACT and score - read < FACTS_CLOSE]
        ids, text = tuple(fact.id for fact in facts), "\n".join(fact.text for fact in facts)
        checks = run_checks(
            text, facts, question=question, language=language, customer_name=name, receipts=ids
        )
        checks = tuple(check for check in checks if check.name != "form")
        p = 1 / (1 + math.exp(-score))
        best = Candidate("extractive", text, p, checks, ids, {"read": score})
        threshold, certificate = self._threshold("order", True)
        reasons = ["order_fact", *self.notes]
        if not best.passed:
            reasons.append("check_failed")
        elif any(ids[0] in turn.evidence and same_question(question, turn.shopper) for turn in history):
            reasons.append("repeated")
        elif certificate is not None or threshold is None:
            reasons.append("uncertified")
        elif p < threshold:
            reasons.append("low_confidence")
        alone = not STOPPED & set(reasons)
        if self.mode == "shadow":
            reasons.append("shadow")
        verdict: Verdict = ("draft" if self.mode == "shadow" else "answer") if alone else "handoff"
        decision = Decision(
            verdict, p, threshold, certificate, tuple(reasons), ids, checks, "extractive", self.mode, "order",
            features=best.features,
        )  # fmt: skip
        return Answer(
            text if verdict == "answer" else "", decision, language, draft=text, candidates=(best,),
            hits=tuple(hits), seconds=time.perf_counter() - began,
        )  # fmt: skip

    # -- the two voices

    def _own_words(self, question: str, hits: Sequence[Hit], language: Language, name: str) -> Candidate:
        """The second voice. What is in doubt, though not unrelated, quotes the two likeliest sections: the answer stands in one
        of two oftener than in the first (figures in docs/confidence.md).
        """
        found = self._extractive(question, hits, language, name)
        if not self._doubtful(found, hits) or found.quotes_two:
            return found
        text, checks, ids = self._quote(question, first_two(hits), language, name)
        # p stays: a second section makes nobody surer.
        both = replace(found, text=text, checks=checks, evidence=ids)
        # A second section is never why nothing is said: a policy beside the answer has the policies' threshold.
        silenced = self._strict(found, hits) <= found.p < self._strict(both, hits)
        return both if both.passed and not silenced else found

    def _extractive(self, question: str, hits: Sequence[Hit], language: Language, name: str) -> Candidate:
        """The best article's own words, under the same checks; those of the two best when they fit about equally, and
        nothing is wrong with the second."""
        spoken = first_two(hits)
        spoken = spoken if close(spoken[0], spoken[-1]) else spoken[:1]
        text, checks, ids = self._quote(question, spoken, language, name)
        if len(ids) > 1 and not all(c.ok for c in checks):
            text, checks, ids = self._quote(question, spoken[:1], language, name)
        features = retrieval_features(question, hits, self.statistics, language, text)
        return Candidate("extractive", text, self._judge(hits)(features), checks, ids, features)

    @staticmethod
    def _quote(
        question: str, spoken: Sequence[Hit], language: Language, name: str
    ) -> tuple[str, tuple[Check, ...], tuple[str, ...]]:
        """The words of one section or two, the checks on them and the ids of what is quoted: less of both where they are too
        long, or the first alone."""
        passages = [quoted_text(question, h) for h in spoken]
        if len(spoken) > 1 and sum(map(len, passages)) > MAX_REPLY:
            brief = [quoted_text(question, h, brief=True) for h in spoken]
            fits = sum(map(len, brief)) <= MAX_REPLY
            spoken, passages = (spoken, brief) if fits else (spoken[:1], passages[:1])
        quoted = [hit.chunk for hit in spoken]
        if len(quoted) > 1:  # two answers side by side say what each is about
            apart = len({one.title for one in quoted}) > 1  # "it does not connect" of which product?
            passages = [headed(one, text, named=apart) for one, text in zip(quoted, passages, strict=True)]
        text = "\n".join(passages)
        evidence = tuple(evidence_of(one) for one in quoted)
        checks = run_checks(text, evidence, question=question, language=language, customer_name=name)
        return text, checks, tuple(one.id for one in quoted)

    def _judge(self, hits: Sequence[Hit]) -> Logistic:
        """The model for what is known of the hits: a reranker has read them or not."""
        reranked = self.fusion.reranked
        return reranked if reranked is not None and was_read(hits) else self.fusion.retrieval

    async def _generated(
        self,
        question: str,
        query: str,
        hits: Sequence[Hit],
        language: Language,
        name: str,
        history: Sequence[Turn],
        extractive: Candidate,
    ) -> Candidate:
        shown = hits[: EVIDENCE_READ if was_read(hits) else EVIDENCE]
        evidence = [evidence_of(h.chunk) for h in shown]
        written = await self._written(question, query, shown, evidence, language, history)
        drafts = {plain_reply(one.text): one for one in reversed(written)}
        sources = {text: self._source(text, shown) for text in drafts}
        quotes = {h.chunk.id: quoted_text(query, h) for h in shown} if self.copies else {}
        checked = {}
        for text, completion in drafts.items():
            checks = run_checks(text, evidence, question=question, language=language, customer_name=name)
            if completion.finish == "length":
                checks = (*checks, Check("complete", False, "cut off"))
            if self.copies:
                quoted = quotes[sources[text].chunk.id]
                checks = (*checks, check_copied(text, evidence), check_limits(text, quoted))
            checked[text] = checks
        passed = [text for text in drafts if all(c.ok for c in checked[text])]
        read = was_read(hits)
        answers = await self._read_replies(question, passed) if read and passed else {}
        text = max(passed or drafts, key=lambda one: answers.get(one, DOES_NOT_ANSWER))
        chosen = sources[text]
        ordered = sorted(hits, key=lambda h: h.chunk.id != chosen.chunk.id)
        features = retrieval_features(query, ordered, self.statistics, language, text)
        features |= generation_features(text, drafts[text].tokens, question, extractive.text)
        features["same_chunk"] = float(chosen.chunk.id == extractive.evidence[0])
        if read:
            features["reply_read"] = answers.get(text, DOES_NOT_ANSWER)
            features["read"] = min(features.get("read", features["reply_read"]), features["reply_read"])
        model = self.fusion.generated if self.fusion.generated and read else self._judge(hits)
        ids = (chosen.chunk.id, *(h.chunk.id for h in shown if h.chunk.id != chosen.chunk.id))
        return Candidate("generated", text, model(features), checked[text], ids, features)

    @staticmethod
    def _source(text: str, shown: Sequence[Hit]) -> Hit:
        """The hit that a reply shares most words with."""
        return max(shown, key=lambda h: overlap(text, " ".join((*h.chunk.heading_path, h.chunk.text))))

    async def _written(
        self,
        question: str,
        query: str,
        shown: Sequence[Hit],
        evidence: Sequence[Evidence],
        language: Language,
        history: Sequence[Turn],
    ) -> list[Completion]:
        """One reply; where a reranker can choose, several, and one to the likeliest sentence of the section.

        Raises:
            GeneratorError: nothing was written.
        """
        assert self.generator is not None, "the caller checked that there is a generator"
        said = [(t.shopper, t.kefu) for t in history if t.kefu]

        def asking(texts: Sequence[Evidence]) -> list[Message]:
            return build_messages(question, texts, language=language, history=said)

        told = [replace(e, text=h.passage or e.text) for e, h in zip(evidence, shown, strict=True)]
        if not (was_read(shown) and self.drafts > 1 and isinstance(self.generator, Drafting)):
            return [await self.generator.complete(asking(told), max_tokens=self.max_tokens)]
        written = await self.generator.drafts(asking(told), max_tokens=self.max_tokens, count=self.drafts)
        try:
            if nearest := await self._nearest_sentence(query, shown[0]):
                closer = asking([replace(told[0], text=nearest)])
                written.append(await self.generator.complete(closer, max_tokens=self.max_tokens))
        except GeneratorError as exc:  # busy, say; what is written already can still be chosen from
            log.info("one_draft_missing", reason=str(exc))
        return written

    async def _nearest_sentence(self, query: str, hit: Hit) -> str | None:
        """The sentence of a section that a reranker takes for the answer; None when there is nothing to choose from.

        A small generator copies another sentence of the right section more often than it garbles one.

        Raises:
            GeneratorError: the reranker failed.
        """
        assert isinstance(self.generator, Reranking), "only a generator that reranks has read the hits"
        sentences = sentences_of(hit)
        if len(sentences) < 2:
            return None
        scores = await self.generator.rerank(query, [document_of(hit.chunk, one) for one in sentences])
        return max(zip(scores, sentences, strict=True))[1]

    async def _read_replies(self, question: str, replies: Sequence[str]) -> dict[str, float]:
        """Log-odds that each reply itself answers the question; none where the reranker fails."""
        assert isinstance(self.generator, Reranking), "only a generator that reranks has read the hits"
        try:
            scores = await self.generator.rerank(question, [document("", text) for text in replies])
        except GeneratorError as exc:
            log.info("replies_not_read", reason=str(exc))
            return {}
        return dict(zip(replies, scores, strict=True))

    # -- the decision

    def _decide(
        self,
        question: str,
        language: Language,
        hits: Sequence[Hit],
        candidates: list[Candidate],
        history: Sequence[Turn],
        reasons: list[str],
        began: float,
        able: bool,
    ) -> Answer:
        passed = [c for c in candidates if c.passed]
        failed = [c for c in candidates if not c.passed]
        best = choose(question, passed or candidates)
        # Without a reranker two voices on different chunks are two opinions: the more doubtful one counts.
        p = best.p if was_read(hits) or not passed else min(c.p for c in passed)
        by_id = {h.chunk.id: h.chunk for h in hits}
        own = next((c for c in passed if c.voice == "extractive"), best)
        # The reply is the more doubtful of the two, the article's own words are not. Measured by strict mode's threshold in every
        # mode: which voice speaks must not hang on a certificate that is to judge the voices that spoke.
        # Where neither is sure, the own words of two sections are the better draft.
        strict = self._strict(own, hits)
        if was_read(hits) and p < strict and (own.p >= strict or own.quotes_two):
            best, p = own, own.p
        cited = by_id[best.evidence[0]]
        said = [by_id[i] for i in best.evidence] if best.voice == "extractive" else [cited]
        risk = risk_of(said)
        threshold, certificate = self._threshold(risk, was_read(hits))
        if certificate is not None and not able:
            threshold = None  # it was earned with the reranker reading, which is busy or down

        if not passed:
            language_only = all(
                {c.name for c in f.checks if not c.ok} <= {"language", "grounded"} for f in failed
            )
            reasons.append(
                "other_language" if language_only and cited.language != language else "check_failed"
            )
        elif repeats(question, best.text, best.evidence[0], history):
            reasons.append("repeated")
        elif about_other_models(question, cited, self.statistics.names):
            reasons.append("product_unknown")
        elif about_other_occasions(question, said):
            reasons.append("occasion_unknown")
        elif lacks_value(question, best.text):
            reasons.append("value_missing")
        elif threshold is None:
            reasons.append("drift" if self.drift.get(risk) else "uncertified")
        elif p < threshold:
            reasons += ["low_confidence", *(["drift"] if self.drift.get(risk) else [])]
        if failed and passed and failed[0].voice == "generated":
            reasons.insert(0, "generator_failed")
        alone = not STOPPED & set(reasons)
        if alone:
            reasons.insert(0, "confident")
        if self.mode == "shadow":
            reasons.append("shadow")
        verdict: Verdict = ("draft" if self.mode == "shadow" else "answer") if alone else "handoff"
        certified = self.certificate
        decision = Decision(
            decision=verdict,
            p_correct=p,
            threshold=threshold,
            certificate=certificate,
            reasons=tuple(dict.fromkeys(reasons)),
            evidence=best.evidence,
            checks=best.checks if passed else failed[0].checks,
            voice=best.voice,
            mode=self.mode,
            risk_class=risk,
            alpha=certified.alphas.get(risk) if certified else None,
            delta=certified.delta if certified else None,
            n_cal=certified.n if certified else None,
            features=best.features,
        )
        return Answer(
            text=best.text if verdict == "answer" else "",
            decision=decision,
            language=language,
            chunks=tuple(said),
            draft=best.text if passed else "",
            candidates=tuple(candidates),
            hits=tuple(hits),
            seconds=time.perf_counter() - began,
        )

    def _doubtful(self, candidate: Candidate, hits: Sequence[Hit]) -> bool:
        """Whether the first section may not be the one that answers, though it is not unrelated."""
        return UNRELATED <= candidate.p < max(self.fusion.doubt, self._strict(candidate, hits))

    def _strict(self, candidate: Candidate, hits: Sequence[Hit]) -> float:
        """Strict mode's threshold, in any mode, for what the candidate rests on."""
        risk = risk_of([hit.chunk for hit in hits if hit.chunk.id in candidate.evidence])
        return self._strict_of(risk, was_read(hits))

    def _strict_of(self, risk: str, read: bool) -> float:
        return self.fusion.threshold("reranked" if read else "retrieval", risk == "policy")

    def _threshold(self, risk: str, read: bool) -> tuple[float | None, str | None]:
        if self.mode == "certified" and self.certificate is not None:
            return self.certificate.threshold(risk, self.drift.get(risk, 0)), self.certificate.id
        return self._strict_of(risk, read), None

    def _ask_back(
        self,
        left_open: Sequence[Hit],
        candidates: Sequence[Candidate],
        hits: Sequence[Hit],
        language: Language,
        began: float,
    ) -> Answer:
        """One question: which of these hits' products is meant?"""
        best = candidates[0]
        threshold, certificate = self._threshold("product", was_read(hits))
        decision = Decision(
            "clarify", best.p, threshold, certificate, ("several_products",), tuple(h.chunk.id for h in left_open),
            mode=self.mode, features=best.features,
        )  # fmt: skip
        return Answer(
            "", decision, language, (hits[0].chunk,), tuple((h.chunk.products[0], h.chunk.title) for h in left_open),
            best.text, tuple(candidates), tuple(hits), time.perf_counter() - began,
        )  # fmt: skip

    def _handoff(self, reasons: tuple[str, ...], language: Language, began: float) -> Answer:
        decision = Decision("handoff", 0.0, None, None, (*self.notes, *reasons), mode=self.mode)
        return Answer("", decision, language, seconds=time.perf_counter() - began)


def risk_class(risk: str | None) -> str:
    """The class that an article's `risk` is judged in."""
    return "policy" if risk in POLICY_RISKS else risk or "product"


def risk_of(chunks: Sequence[Chunk]) -> str:
    """The class that a reply from these chunks is judged in: policy as soon as one of them is."""
    classes = [risk_class(chunk.risk) for chunk in chunks]
    return "policy" if "policy" in classes else classes[0]


def first_two(hits: Sequence[Hit]) -> Sequence[Hit]:
    """What may be quoted side by side: the best hit and the next, or the best alone where that is in another language."""
    return [hits[0], *(h for h in hits[1:2] if h.chunk.language == hits[0].chunk.language)]


def lacks_value(question: str, text: str) -> bool:
    """Whether the question asks for a phone number, a time of day or an address and the text has none."""
    asked = asked_kind(question)
    return asked is not None and asked[0] in ("phone", "time", "url") and kind_match(question, text) < 0


def choose(question: str, candidates: Sequence[Candidate]) -> Candidate:
    """The voice that speaks: the generator's, which is shorter, when its reply clearly answers the question.

    A reranker that has read the reply says so (log-odds of `ANSWERS`), and the reply comes from the section that the
    reranker prefers: a sentence without its heading ("cancel 4 hours before") may be about something else. A small
    generator often picks another sentence of the right section, and no likelihood of its own tells (AUROC 0.45 on a shop of the fixtures, where the
    reranker's reading of the reply has 0.92). Without a reranker it speaks unless its text lacks the kind of value asked for
    and the article's own words have it, or it was unsure of its words and rests on another chunk than the search would.
    """
    voices = {c.voice: c for c in candidates}
    generated, extractive = voices.get("generated"), voices.get("extractive")
    if generated is None or extractive is None:
        return candidates[0]
    if kind_match(question, extractive.text) > kind_match(question, generated.text):
        return extractive
    same = generated.evidence[0] == extractive.evidence[0]
    if "reply_read" in generated.features:
        return generated if same and generated.features["reply_read"] >= ANSWERS else extractive
    unsure = generated.features.get("mean_logprob", 0.0) < UNSURE
    return extractive if unsure and not same else generated


def plain_reply(reply: str) -> str:
    """A reply without what was no part of what it says: blank lines, spaces between Chinese sentences, and the mark of the list
    it was taken from, since a lone "1." in front says nothing."""
    text = _BETWEEN_CHINESE.sub("", re.sub(r"\n\s*\n", "\n", reply.strip()))
    marks = re.findall(r"(?m)^(?:\d{1,2}(?:[.)．][ \t]+|、[ \t]*)|[-*•][ \t]+)", text)
    return text[len(marks[0]) :] if len(marks) == 1 and text.startswith(marks[0]) else text


def headed(chunk: Chunk, text: str, *, named: bool = False) -> str:
    """A passage behind its heading; `named`: behind its article's title as well."""
    heading = f"{chunk.title} › {chunk.heading}" if named and chunk.title != chunk.heading else chunk.heading
    mark = "" if re.search(r"[?？:：]$", heading) else {"zh": "：", "en": ":"}[chunk.language]
    gap = "" if chunk.language == "zh" else " "
    return f"{heading}{mark}{gap}{text}"


def evidence_of(chunk: Chunk) -> Evidence:
    """A chunk as evidence, without sentences that talk to the assistant."""
    return Evidence(
        chunk.id,
        shown_text(chunk),
        " - ".join(dict.fromkeys(chunk.heading_path)),
        "article",
        chunk.language,
    )
