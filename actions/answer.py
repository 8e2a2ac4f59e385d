"""What no flow covers: an answer from the shop's articles, one question back, or a person.

The deciding is `bot.generator.answering`'s; this module reads the conversation, chooses the words
around the answer and writes why into `explain`. It never says what was drafted but not decided.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Thread
from typing import Any, Literal
from urllib.parse import quote

import structlog
from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, FollowupAction
from rasa_sdk.executor import CollectingDispatcher

from actions.human import left_to_person, order_under_way
from actions.names import person_button
from actions.packet import known_facts, proven_order
from actions.refusals import explain_refusal, other_reason
from actions.replies import button, hand_over, say
from actions.turn import Turn, active_form, read_turn
from bot.context import FLOWS, QUESTIONS, TOPICS
from bot.exceptions import KefuError
from bot.generator.answering import UNRELATED, Answer
from bot.generator.confidence import Decision
from bot.generator.evidence import Evidence
from bot.generator.history import Turn as Exchange
from bot.generator.ordering import was_read
from bot.generator.service import AnswerService
from bot.generator.tone import address
from bot.generator.wording import content_words
from bot.identity.guard import normalize_order_number
from bot.knowledge.articles import Chunk
from bot.message import Language
from bot.orders.models import Grant, Order, ProofKind
from bot.orders.sentences import order_sentences
from bot.settings import get_settings

log = structlog.get_logger()
REMEMBERED = 3  # exchanges
# Left out of the history: whose it is, the generator need not know.
GREETING = re.compile(r"^(?:[^，。！？\s]{1,40}您好，|Hi [^,.!?]{1,40}, )")
Said = Literal["answer", "doubt"]  # what was said to a message that nobody routed to the articles
QUOTED = 40  # characters of a question that are said again


def _warm(service: AnswerService) -> None:
    """Load articles and encoders while nobody waits; the first question finds them ready."""
    try:
        service.preload()
    except KefuError as exc:
        log.error("answers_not_ready", error=str(exc))  # said again, with its remedy, at the first question


_running: AnswerService | None = None


def running_service() -> AnswerService | None:
    """The answering of this program, being warmed; None outside it, as in tests."""
    global _running
    if _running is None and os.environ.get("ACTIONS_WARM"):  # set for the program
        _running = AnswerService(get_settings())
        Thread(target=_warm, args=(_running,), daemon=True).start()
    return _running


@dataclass(frozen=True)
class Found:
    """An answer, said or not, with the proof and the order it was looked up beside."""

    answer: Answer
    number: str | None
    grant: Grant | None
    order: Order | None

    @property
    def decided(self) -> bool:
        """Whether it may be said, or a question back asked, without a person."""
        return self.answer.decision.decision in ("answer", "clarify")

    @property
    def read(self) -> bool:
        """Whether a reranker has read what was found."""
        return bool(self.answer.hits) and was_read(self.answer.hits)


async def look_up(service: AnswerService, tracker: Tracker, turn: Turn, question: str) -> Found:
    """What articles and the proven order say to a question. Never raises for an article in error."""
    language, product = turn.language, turn.value("product")
    named = turn.value("order_number")
    number = normalize_order_number(str(named)) if named else order_under_way(tracker)
    grant, order = None, None
    if number or turn.customer:  # a guest who names no order has proven nothing
        grant, order = await proven_order(turn.conversation, number, turn.customer)
    try:
        answer = await service.answer(
            question,
            language=language,
            product=str(product) if product else None,
            facts=evidence_of(order, language) if order is not None else (),
            owned=frozenset(line.product_id for line in order.lines) if order is not None else frozenset(),
            customer_name=grant.customer_name if grant is not None else "",
            history=history(tracker),
        )
    except KefuError as exc:  # an article or the certificate has an error, since the start
        log.error("cannot_answer", conversation=turn.conversation, error=str(exc))
        answer = Answer("", Decision("handoff", 0.0, None, None, ("not_ready",)), language)
    log.info("answer_decided", conversation=turn.conversation, decision=answer.decision.decision,
             reasons=answer.decision.reasons, p=round(answer.decision.p_correct, 3), seconds=round(answer.seconds, 3))  # fmt: skip
    return Found(answer, number, grant, order)


class ActionAnswer(Action):
    """Answers alone only when the decision says so."""

    def __init__(self, service: AnswerService | None = None) -> None:
        self._service = service or running_service()

    def name(self) -> str:
        return "action_answer"

    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> list[EventType]:
        turn = read_turn(tracker)
        explained = explain_refusal(dispatcher, tracker, turn)
        if explained is not None:
            return explained
        if not active_form(tracker) and (form := other_reason(tracker, turn)):
            return [FollowupAction(form)]
        asked = next((one for one in turn.wishes if one["intent"] in QUESTIONS), None)
        wanted = next((one for one in turn.wishes if one["intent"] in FLOWS), None)
        if asked is None or wanted is None:
            return await self.answer(dispatcher, tracker, turn, turn.text)
        form = f"{TOPICS[wanted['intent']]}_form"
        return await self.answer(dispatcher, tracker, turn, str(asked["text"]), form)

    async def answer(
        self,
        dispatcher: CollectingDispatcher,
        tracker: Tracker,
        turn: Turn,
        question: str,
        form: str | None = None,
    ) -> list[EventType]:
        """Answer one question. `form` is the loop of a wish beside it, which goes on afterwards."""
        if self._service is None:
            self._service = AnswerService(get_settings())
        if turn.pressed:  # the answer to "which product?": the question is the one before
            question = turn.earlier[0][1] if turn.earlier else ""
        language = turn.language
        if not question.strip():
            hand_over(dispatcher, "answer_handoff", language, reason="low_confidence")
            return left_to_person()
        found = await look_up(self._service, tracker, turn, question)
        verdict = found.answer.decision.decision
        busy = form is not None or active_form(tracker) is not None
        if busy and (not found.decided or (form is not None and verdict != "answer")):
            # A question in passing does not take the shopper away from what they want done.
            say_unsure(dispatcher, language, question, busy=True)
            return [FollowupAction(form)] if form is not None else []
        known = {} if found.decided else await known_facts(found.grant, found.order)
        if found.number and not found.decided:
            known["order_number"] = found.number
        speak(dispatcher, found, tracker, turn, question, known)
        if form is not None:
            return [FollowupAction(form)]
        # A task under way must not ask on behind a hand-over.
        return [] if found.decided else left_to_person()


def worth_looking_up(turn: Turn) -> bool:
    """Whether a message that nobody routed to the articles says enough to be searched for: two words of content."""
    return len(content_words(turn.text)) >= 2


async def answer_if_sure(
    service: AnswerService,
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    turn: Turn,
    *,
    ask_back: bool,
    or_doubt: bool = False,
    about: str = "",
) -> Said | None:
    """Answer what nobody routed to the articles, if it may be answered alone; what was said, if anything.

    Args:
        ask_back: whether the question which product is meant may take the answer's place.
        or_doubt: whether a person is offered where an article comes near but not near enough.
        about: what a message speaks of that does not say it itself ("要多久").

    Only from a section that a reranker has read: what is no question for the articles has a section that lies near all
    the same, and a search alone cannot tell. A doubt is no reason for a person here, for the same reason.
    """
    question = f"{about} {turn.text}".strip()
    found = await look_up(service, tracker, turn, question)
    allowed = ("answer", "clarify") if ask_back else ("answer",)
    if not found.read:
        return None
    if found.answer.decision.decision in allowed:
        speak(dispatcher, found, tracker, turn, question)
        return "answer"
    if not or_doubt or found.answer.decision.p_correct < UNRELATED:
        return None
    say_unsure(dispatcher, turn.language, turn.text, busy=active_form(tracker) is not None)
    return "doubt"


def say_unsure(dispatcher: CollectingDispatcher, language: Language, question: str, *, busy: bool) -> None:
    """Say that no answer is certain and offer a person; beside a task (`busy`) that goes on."""
    response = "answer_unsure" if busy else "answer_doubtful"
    say(dispatcher, response, language, question=quoted(question), buttons=[person_button(language)])


def quoted(question: str) -> str:
    """A question as it is said again: not all of a long one."""
    return question if len(question) <= QUOTED else question[:QUOTED] + "…"


def speak(
    dispatcher: CollectingDispatcher,
    found: Found,
    tracker: Tracker,
    turn: Turn,
    question: str,
    known: dict[str, Any] | None = None,
) -> None:
    """Put the answer, the question back or the hand-over into words. `known` goes to the person who takes over."""
    answer = found.answer
    explain = {
        "answer": answer.decision.as_json(),
        "reasons": list(answer.decision.reasons),
        "versions": {f"answer.{part}": value for part, value in answer.versions.items()},
    }
    language = answer.language
    if answer.decision.decision == "clarify":
        say(
            dispatcher,
            "answer_which_product",
            language,
            buttons=[button(title, "product_question", product=product) for product, title in answer.options],
            explain=explain,
        )
    elif answer.decision.decision == "answer":
        text = address(
            answer.text,
            language=language,
            question=question,
            before=next((text for _, text in turn.earlier[turn.pressed :]), ""),
            name=unused_name(found.grant, tracker),
            turn=len(turn.earlier),
        )
        say(
            dispatcher,
            "answer",
            language,
            citations=citations(answer.chunks),
            explain=explain,
            answer=text,
        )
    else:
        packet: dict[str, Any] = {
            **(known or {}),
            "question": question,
            "why": answer.decision.sentence(language),
            "evidence": list(answer.decision.evidence),
        }
        if answer.draft:
            packet["draft"] = {
                "text": answer.draft,
                "sent": False,
                "p_correct": round(answer.decision.p_correct, 3),
            }
        hand_over(
            dispatcher,
            "answer_handoff",
            language,
            reason="low_confidence",
            goal="answer",
            packet=packet,
            explain=explain,
        )


def evidence_of(order: Order, language: Language) -> list[Evidence]:
    """The sentences of a proven order, as pieces of evidence."""
    title = {"zh": "您的订单", "en": "Your order"}[language]
    return [
        Evidence(f"order:{order.number}:{name}", text, title, "order", language)
        for name, text in order_sentences(order, language)
    ]


def citations(chunks: Sequence[Chunk]) -> list[tuple[str, str]]:
    """(title, address) of what the answer rests on; the address is empty when the shop has no public articles."""
    template = get_settings().generator.article_url
    found = []
    for chunk in chunks:
        url = ""
        if template:
            url = template.format(
                article=quote(chunk.article_id), anchor=quote(chunk.anchor), language=chunk.language
            )
        found.append((" › ".join(dict.fromkeys(chunk.heading_path)), url))
    return found


def unused_name(grant: Grant | None, tracker: Tracker) -> str:
    """The name the shop knows the shopper by, until it has been said: in every message it sounds like a machine.

    Only of an account that the channel has proven: digits of a phone stand on a parcel, and whoever found one need not
    be told whose it is.
    """
    if grant is None or grant.kind is not ProofKind.CHANNEL_ACCOUNT:
        return ""
    name = grant.customer_name.strip()
    said = (str(one.get("text") or "") for one in tracker.events or [] if one.get("event") == "bot")
    return "" if any(text.startswith((f"{name}您好，", f"Hi {name}, ")) for text in said) else name


def history(tracker: Tracker) -> list[Exchange]:
    """The last exchanges, oldest first, without the message being answered."""
    exchanges: list[dict[str, Any]] = []
    for event in tracker.events or []:
        kind, text = event.get("event"), str(event.get("text") or "")
        if kind == "user" and text and not text.startswith("/"):
            exchanges.append({"shopper": text, "kefu": "", "evidence": (), "asked": False})
        elif kind == "bot" and exchanges:
            text = GREETING.sub("", text)
            kefu = ((event.get("data") or {}).get("custom") or {}).get("kefu") or {}
            decided = (kefu.get("explain") or {}).get("answer") or {}
            exchanges[-1]["asked"] |= bool(decided)
            if decided.get("decision") == "answer":
                evidence = tuple(decided.get("evidence") or ())
                # What was said of an order is nothing that the generator sees, and neither is what a flow said.
                of_order = any(one.startswith("order:") for one in evidence)
                exchanges[-1] |= {"kefu": "" if of_order else text, "evidence": evidence}
    return [Exchange(**one) for one in exchanges[:-1][-REMEMBERED:]]
