"""How a task is carried through a conversation: the base of every topic that asks more than one question.

A topic is a Rasa loop: while it is active, Rasa gives each message to it first. It takes the message, or
rejects it; then the rule of the message's intent answers, and Rasa comes back to the loop, which asks its
question again (docs/decisions/0003-loops-without-slot-mapping.md). A topic says what it needs in `steps`,
in the order of the conversation, and writes nothing about digressions, corrections or hand-offs.
"""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NoReturn

from rasa_sdk import Action, Tracker
from rasa_sdk.events import ActiveLoop, FollowupAction, SlotSet
from rasa_sdk.executor import CollectingDispatcher
from rasa_sdk.interfaces import ActionExecutionRejection

from actions import replies
from actions.alternatives import fitness
from actions.answer import answer_if_sure, running_service, worth_looking_up
from actions.names import intent_of, phrase_of, wish_button
from actions.notes import recall_note
from actions.packet import task_facts
from actions.refusals import explain_refusal
from actions.services import Services, get_services
from actions.tasks import Option, Stack, Task, wish
from actions.turn import LISTENING, Turn, active_form, read_turn
from bot.context import FLOWS, LOOKING, QUESTIONS, TOPICS
from bot.exceptions import IdentityLocked, OrderError, OutcomeUnknown, ShopUnavailable
from bot.generator.confidence import asked_kind
from bot.generator.service import AnswerService
from bot.generator.tone import acknowledgement
from bot.message import Button, Language
from bot.orders.models import Operation, Order
from bot.references import fold, read_choice
from bot.rule_questions import asks_rule
from bot.sentiment import read_sentiment
from bot.wishes import apart

log = logging.getLogger(__name__)

# Wishes of their own: said clearly, they end or suspend what is under way.
GOALS = FLOWS | {"human_agent", "complaint"}
# Questions and courtesies: answered, then the task goes on.
ASIDES = frozenset(
    {
        "promotion",
        "fault",
        "payment_issue",
        "account",
        "feedback",
        "product_question",
        "policy_question",
        "shipping_question",
        "greet",
        "thanks",
        "bye",
        "out_of_scope",
    }
)
ROUNDS = 4
# Responses that say sorry themselves.
APOLOGETIC = ("help_", "refused", "handoff_", "ask_evidence", "proof_rejected")
OTHER = "other"  # the value of a button that asks for another order
SURE = 0.6  # below this an intent is a guess, and the question on the table comes first
LIKELY = 0.35  # enough for a question, which is no answer to ours
OPEN = ("proof", "address", "reason")  # an answer to these may have any words
# Said alone, these end what is under way, whatever the classifier makes of so few words.
PLAIN_STOP = re.compile(
    r"(?:(?:那|先)?(?:取消|算了|不用了|不办了|不弄了|不要办了|停|停止|退出)(?:吧|了|啦)?|never ?mind|nvm|forget (?:it|that)|cancel(?: (?:it|that|this))?"
    r"|stop(?: (?:it|that))?|leave it|no,? (?:thanks|thank you)|i changed my mind)"
)
NO_NUMBER = re.compile(
    r"(?:没有?|不知道|不记得|忘(?:了|记)?|找不到|不清楚|看不到|在哪|哪里).{0,6}(?:号|码|找|看)|(?:号|码).{0,4}(?:在哪|没有|忘|找不到|不知道)|^找不到"
    r"|\b(?:don'?t|do not|can'?t|cannot) (?:have|know|find|remember|see)\b|\b(?:lost|forgot|no idea)\b|\bwhere (?:do|can|is)\b",
    re.I,
)
# Said with a new wish, these give up the one before it.
GIVEN_UP = re.compile(
    r"算了|不(?:想)?(?:退|换|要|办|改|开|取消)了?|别(?:退|换|办|改)了?|还是|干脆|直接|改成|\b(?:instead|forget|never ?mind|rather|no longer|actually|changed my mind|don'?t want)\b",
    re.I,
)
QUESTION = re.compile(
    r"[?？]|[吗呢么]\s*$|怎么|多久|多少|什么|哪|谁|为何|几天|\b(?:how|what|when|where|who|which|why|do (?:you|i)|does|can (?:you|i)|is (?:it|there))\b",
    re.I,
)


class Waiting(Exception):
    """A question was asked; the task waits for the answer."""


class Settled(Exception):
    """The task is over, done or not."""


class HandedOver(Exception):
    """A person goes on."""


class Again(Exception):
    """What was known no longer holds; the steps start over with what is left."""


class NotMine(Exception):
    """The message does not answer the question; another rule may have it."""


class Talk:
    """One run of an action: what was said, what is under way, and the means to answer."""

    def __init__(
        self,
        dispatcher: CollectingDispatcher,
        turn: Turn,
        task: Task,
        services: Services,
        stack: Stack,
        fitness: Callable[[Order], int | None] | None = None,
    ) -> None:
        self.dispatcher = dispatcher
        self.turn = turn
        self.task = task
        self.services = services
        self.stack = stack
        self.fitness = fitness  # of an order for this topic (actions/alternatives.py); None: all are alike
        before = turn.earlier[0][1] if turn.earlier else ""
        # A word for how the shopper feels, until it is said.
        self.opening = (
            acknowledgement(turn.text, before, turn.language, len(turn.earlier)) if turn.fresh else ""
        )
        self.noted = False  # further wishes were heard in this turn
        self.events: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {}  # order and proof, as read in this turn, for a person who takes over

    @property
    def language(self) -> Language:
        return self.turn.language

    @property
    def texts(self) -> list[str]:
        """What was said since this task began, newest first."""
        began = float(self.task.values.get("said_at", self.turn.at))
        now = [self.turn.text] if self.turn.fresh and self.turn.text else []
        return now + [text for at, text in self.turn.earlier if at >= began]

    @property
    def basis(self) -> dict[str, Any]:
        """For the audit trail: what this is about, which question stands, which version of the order was read."""
        found: dict[str, Any] = {"topic": self.task.topic}
        if self.task.asked:
            found["asked"] = self.task.asked
        order = self.facts.get("order")
        if order:
            found["order"] = {name: order.get(name) for name in ("number", "version", "read_at")}
        return found

    def remember(self, slot: str, value: Any) -> None:
        self.events.append(SlotSet(slot, value))

    def say(self, response: str, **parts: Any) -> None:
        """Say a response of the domain; see `actions.replies.say`."""
        parts["explain"] = {**self.basis, **(parts.get("explain") or {})}
        if self.opening and not response.startswith(APOLOGETIC):
            parts["opening"], self.opening = self.opening, ""
        replies.say(self.dispatcher, response, self.language, **parts)

    def ask(
        self,
        question: str,
        response: str,
        *,
        options: Sequence[Option] = (),
        buttons: Sequence[Button] = (),
        **parts: Any,
    ) -> NoReturn:
        """Put a question on the table and wait."""
        self.task.asked = question
        self.task.options = list(options)
        self.say(response, buttons=(*replies.option_buttons(options), *buttons), **parts)
        raise Waiting

    def settle(self, response: str, **parts: Any) -> NoReturn:
        """Say the last word on this task."""
        self.say(response, **parts)
        raise Settled

    def hand_over(self, reason: str, response: str, **parts: Any) -> NoReturn:
        """Give the conversation to a person, with what is known so far."""
        replies.hand_over(
            self.dispatcher,
            response,
            self.language,
            reason=reason,
            goal=self.task.topic,
            packet={**task_facts(self.task), **self.facts, **also_wanted(self.stack)},
            **{**parts, "explain": {**self.basis, **(parts.get("explain") or {})}},
        )
        raise HandedOver

    def chosen(self) -> str | None:
        """The value of the option that was pressed, or typed by number or title."""
        options = self.task.options
        if not options or not self.turn.fresh:
            return None
        pressed = self.turn.value("choice") if self.turn.pressed else None
        if pressed is not None:
            return next((one.value for one in options if one.value == pressed), None)
        position = read_choice(self.turn.text, [one.title for one in options])
        return None if position is None else options[position].value


def also_wanted(stack: Stack) -> dict[str, Any]:
    """For a person who takes over: what was wished besides and not begun."""
    said = [str(task.waiting["text"]) for task in reversed(stack.tasks) if task.waiting]
    return {"also": said} if said else {}


class TopicAction(Action, ABC):
    """A topic with questions of its own. Its action has the name of its loop."""

    topic: ClassVar[str]
    intents: ClassVar[frozenset[str]]  # those that begin it
    writes: ClassVar[bool] = False
    operations: ClassVar[tuple[Operation, ...]] = ()  # that it may end in; they say which orders suit

    def __init__(self, service: AnswerService | None = None) -> None:
        self._service = service or running_service()

    def name(self) -> str:
        return f"{self.topic}_form"

    @abstractmethod
    async def steps(self, talk: Talk) -> None:
        """Carry the task as far as it goes; ends with a question, a settlement or a hand-off."""

    @abstractmethod
    async def hear(self, talk: Talk) -> bool:
        """Take what the message says about this task; whether there was anything."""

    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> list[dict[str, Any]]:
        turn = read_turn(tracker)
        stack = Stack.load(tracker.slots.get("tasks"))
        active = active_form(tracker)
        task = stack.top
        if active == self.name() and task is not None and task.topic == self.topic:
            if task.waiting is not None:
                return await self._begin_waiting(dispatcher, turn, stack, tracker.slots.get("order_number"))
            return await self._carry_on(await self._talk(dispatcher, turn, task, stack), tracker)
        turn = replace(turn, fresh=True)  # also when the fallback passed the message on
        explained = explain_refusal(dispatcher, tracker, turn)
        if explained is not None:
            return [*explained, *([] if active else [FollowupAction(LISTENING)])]
        if tracker.latest_action_name != "action_answer" and _asks_besides(turn):
            return [FollowupAction("action_answer")]  # which passes the message back
        # With an order named, the policy's verdict on it says more than the rule.
        alone = not (active or turn.pressed or turn.wishes or turn.value("order_number"))
        if self._service is not None and alone and (asks_rule(turn.text, turn.intent) or _may_ask(turn)):
            await answer_if_sure(self._service, dispatcher, tracker, turn, ask_back=False)
        return await self._begin(dispatcher, turn, stack, tracker.slots.get("order_number"))

    async def _begin(
        self, dispatcher: CollectingDispatcher, turn: Turn, stack: Stack, order_number: str | None
    ) -> list[dict[str, Any]]:
        """A new wish, perhaps the first of several."""
        task = Task(topic=self.topic, writes=self.writes, values={"said_at": turn.at})
        task.order_number = None if turn.value("choice") == OTHER else order_number
        if task.order_number and task.order_number != turn.spoken_of:
            task.values["carried"] = True  # from earlier in the conversation: not a matter of course
        task.media = [str(one["media_id"]) for one in turn.media if one.get("media_id")]
        top = stack.top
        if top is not None and self._puts_aside(top, turn):
            task.values["said_replaced"] = intent_of(top.topic)
        stack.begin(task)
        flows = [one for one in turn.wishes if one["intent"] in FLOWS]
        mine = next((one for one in flows if one["intent"] in self.intents), None)
        noted = False
        if mine is not None and len(turn.wishes) > 1:
            noted = put_off(stack, turn, [one for one in flows if one is not mine])
            turn = turn.part_of(mine)
        talk = await self._talk(dispatcher, turn, task, stack)
        talk.noted = noted
        return await self._finish(talk, fresh=True)

    async def _begin_waiting(
        self, dispatcher: CollectingDispatcher, turn: Turn, stack: Stack, order_number: str | None
    ) -> list[dict[str, Any]]:
        """The turn of a wish that was said beside another one: it is heard as if it had just been said."""
        task = stack.top
        assert task is not None and task.waiting is not None
        said, task.waiting = task.waiting, None
        task.writes = self.writes
        task.order_number = task.order_number or order_number
        # A proof may have been given since, or with that message; items and reasons were the other wish's.
        task.values = {"said_at": turn.at, "said_proof_at": said["at"]}
        turn = replace(
            turn,
            fresh=True,
            pressed=False,
            text=said["text"],
            whole=said["whole"],
            intent=said["intent"],
            confidence=said["confidence"],
            entities=tuple(said["entities"]),
            wishes=(),
            media=(),
        )
        talk = await self._talk(dispatcher, turn, task, stack)
        talk.say("next_wish", wish=phrase_of(said["intent"], talk.language))
        return await self._finish(talk, fresh=True)

    async def _talk(self, dispatcher: CollectingDispatcher, turn: Turn, task: Task, stack: Stack) -> Talk:
        services = await get_services()

        def fits(order: Order) -> int | None:
            return self.fitness(services, order)

        return Talk(dispatcher, turn, task, services, stack, fits if self.selects() else None)

    def selects(self) -> bool:
        """Whether some orders suit this topic better than others."""
        return bool(self.operations)

    def fitness(self, services: Services, order: Order) -> int | None:
        """How well an order suits: 0 it can be done, 1 a person may do it, None it would be refused."""
        now = services.now()
        found = [fitness(services.policy, operation, order, now) for operation in self.operations]
        return min((one for one in found if one is not None), default=None)

    def _puts_aside(self, top: Task, turn: Turn) -> bool:
        """Whether a write half done makes room for another matter without having been given up."""
        if not (top.writes and self.writes and top.asked) or top.waiting or top.topic == self.topic:
            return False
        return apart(intent_of(top.topic), intent_of(self.topic)) and not GIVEN_UP.search(fold(turn.text))

    async def _carry_on(self, talk: Talk, tracker: Tracker) -> list[dict[str, Any]]:
        """The loop is active: take the message, or leave it to others, or ask again."""
        turn, task = talk.turn, talk.task
        if not turn.fresh:
            return await self._finish(talk, fresh=False)
        task.media += [str(one["media_id"]) for one in turn.media if one.get("media_id")]
        if recall_note(talk.dispatcher, turn):
            return await self._finish(talk, fresh=False)
        if self._means_stop(talk) and not self._answers(talk):
            waiting = talk.stack.drop_waiting()
            talk.say(
                "task_stopped",
                buttons=[wish_button(str((one.waiting or {})["intent"]), talk.language) for one in waiting],
            )
            task.values.pop("said_replaced", None)
            return self._events(talk, Settled())
        if (
            turn.intent == "human_agent"
            and turn.confidence >= SURE
            and (turn.pressed or has_words(turn.text))
        ):
            raise ActionExecutionRejection(self.name(), "a person is asked for")
        if not turn.pressed and read_sentiment(turn.text).threat:
            raise ActionExecutionRejection(self.name(), "a threat is for a person, whatever was asked")
        return await self._finish(talk, fresh=True, tracker=tracker)

    async def _finish(
        self, talk: Talk, *, fresh: bool, tracker: Tracker | None = None
    ) -> list[dict[str, Any]]:
        try:
            if fresh:
                await self._listen(talk, tracker)
            for _ in range(ROUNDS):
                try:
                    await self.steps(talk)
                except Again:
                    continue
                raise AssertionError(f"{self.name()}: the steps ended without a question or a settlement")
            raise ShopUnavailable(f"{self.name()}: the order changed {ROUNDS} times while it was read")
        except NotMine as exc:
            raise ActionExecutionRejection(self.name(), "the message is about something else") from exc
        except (Waiting, Settled, HandedOver) as end:
            events = self._events(talk, end)
        except IdentityLocked:
            return self._give_up(talk, "locked_out", "handoff_locked_out")
        except OutcomeUnknown:
            return self._give_up(talk, "outcome_unknown", "handoff_outcome_unknown")
        except OrderError as exc:
            log.warning("%s: the shop failed: %s", self.name(), exc)
            return self._give_up(talk, "tool_failure", "handoff_tool_failure")
        top = talk.stack.top
        if top is not None and top is not talk.task and top.waiting is not None and top.topic == self.topic:
            # The same once more for another order: Rasa does not call a loop that has just run.
            more = await self._begin_waiting(talk.dispatcher, talk.turn, talk.stack, talk.task.order_number)
            return [*events, *more]
        return events

    async def _listen(self, talk: Talk, tracker: Tracker | None) -> None:
        """Take the message; count what was not understood, and after the second time let a person help.

        What neither answers nor is a clear wish may still be a question that an article answers ("one side is silent").
        """
        task, turn = talk.task, talk.turn
        waiting = task.asked is not None
        if waiting and await self._hears_more(talk):
            return
        if waiting and self._is_other_wish(talk):
            raise NotMine
        if await self.hear(talk):
            task.understood()
            return
        if not waiting:
            return
        if task.asked == "order_number" and NO_NUMBER.search(fold(turn.text)) and not turn.pressed:
            talk.say("find_order_number")
            return
        if turn.intent in self.intents and not turn.pressed:
            # Said again what is wanted, or asked about it ("发票多久能开好"): our question stands, nothing is held against it.
            if tracker is not None and QUESTION.search(turn.text):
                await self._from_articles(talk, tracker)
            return
        likely = LIKELY if QUESTION.search(turn.text) else SURE
        other = turn.intent in GOALS | ASIDES and turn.confidence >= likely and has_words(turn.text)
        if other and not self._asked_barely(turn):
            raise NotMine
        if tracker is not None and await self._from_articles(talk, tracker):
            return
        task.misses += 1
        if task.misses >= 2:
            talk.hand_over("two_failures", "handoff_two_failures")
        talk.say("help_" + str(task.asked) if str(task.asked) in HELPED else "help_any")

    async def _from_articles(self, talk: Talk, tracker: Tracker) -> bool:
        turn = talk.turn
        if self._service is None or turn.pressed or talk.task.asked in OPEN:
            return False
        bare = self._asked_barely(turn)
        if not (bare or worth_looking_up(turn)):
            return False
        about = phrase_of(intent_of(self.topic), talk.language) if bare else ""
        said = await answer_if_sure(
            self._service, talk.dispatcher, tracker, turn, ask_back=False, or_doubt=bare, about=about
        )
        return said is not None

    def _asked_barely(self, turn: Turn) -> bool:
        """Whether the message asks no more than how long or how much ("要多久"): it means what is being done. Where something is only
        looked up it means the parcel."""
        asked = asked_kind(turn.text) is not None and not worth_looking_up(turn)
        return asked and intent_of(self.topic) not in LOOKING

    async def _hears_more(self, talk: Talk) -> bool:
        """An answer with a further wish behind it: "不想要了，另外开个发票". The wish is kept for afterwards."""
        turn, task = talk.turn, talk.task
        here = intent_of(self.topic)
        more = [
            one
            for one in turn.wishes
            if one["intent"] in FLOWS - self.intents and (one["added"] or int(one["start"]) > 0)
        ]
        if not more or not apart(here, str(more[0]["intent"])):
            return False
        before = turn.part(0, int(more[0]["start"]))
        # A plain yes is nothing but a yes, so what stands before a further wish is never taken for one.
        answered = task.asked != "consent" and has_content(before.text)
        if answered:
            talk.turn = before
            answered = await self.hear(talk)
            talk.turn = turn if not answered else before
        if not answered and (
            not (more[0]["added"] and task.writes) or GIVEN_UP.search(fold(turn.text)) is not None
        ):
            return False
        talk.noted = put_off(talk.stack, turn, more)
        if answered:
            task.understood()
        return True

    def _means_stop(self, talk: Talk) -> bool:
        turn = talk.turn
        if turn.intent in ("stop", "bye") and turn.confidence >= SURE:
            return True
        # Over a plan, "取消" may be the order's cancellation that is on the table: consent is read elsewhere.
        alone = fold(turn.text).strip(" .。!！,，~")
        return talk.task.asked != "consent" and PLAIN_STOP.fullmatch(alone) is not None

    def _answers(self, talk: Talk) -> bool:
        """Whether the message is exactly what was asked for: "I changed my mind" is a reason, and no farewell."""
        # Asked how many, people say why; "how many" is then asked again with the reason kept.
        why = talk.task.asked in ("reason", "quantity") and bool(talk.turn.values("reason"))
        plain = PLAIN_STOP.fullmatch(fold(talk.turn.text).strip(" .。!！,，~")) is not None
        return why or (talk.chosen() is not None and not plain)  # "never mind" is not "Changed my mind"

    def _is_other_wish(self, talk: Talk) -> bool:
        """A clear wish for something else comes before the question, unless it is exactly one of its answers."""
        turn, task = talk.turn, talk.task
        if turn.pressed:
            return turn.intent in GOALS and turn.intent not in self.intents
        if turn.intent not in GOALS - self.intents or turn.confidence < SURE or not has_words(turn.text):
            return False
        if task.asked in ("proof", "address"):
            return False  # letters and digits look like anything
        if any(fold(option.title) == fold(turn.text) for option in task.options):
            return False
        # "太慢了" is a reason and looks like a complaint: while a reason is asked for, it is one.
        return not (
            task.asked == "reason" and turn.values("reason") and turn.intent in ("complaint", "delivery")
        )

    def _give_up(self, talk: Talk, reason: str, response: str) -> list[dict[str, Any]]:
        try:
            talk.hand_over(reason, response)
        except HandedOver as end:
            return self._events(talk, end)

    def _events(self, talk: Talk, end: Exception) -> list[dict[str, Any]]:
        """What Rasa has to remember: the stack, the question, and which loop is active now."""
        task, stack = talk.task, talk.stack
        events = list(talk.events)
        if isinstance(end, Settled):
            stack.end(task)
            replaced = task.values.get("said_replaced")
            if replaced and stack.top is None:
                talk.say(
                    "resume_offer",
                    wish=phrase_of(replaced, talk.language),
                    buttons=[wish_button(replaced, talk.language)],
                )
        elif isinstance(end, HandedOver):
            stack.tasks = []
        elif talk.noted:
            self._say_noted(talk)
        if task.order_confirmed and task.order_number:
            events.append(SlotSet("order_number", task.order_number))
        top = stack.top
        events.append(SlotSet("tasks", stack.dump() or None))
        events.append(SlotSet("goal", top.topic if top else None))
        events.append(SlotSet("requested_slot", top.asked if top else None))
        events.append(ActiveLoop(f"{top.topic}_form" if top else None))
        if top is None:
            # A task that is settled in its first turn never was a loop, and Rasa has no rule for what follows.
            events.append(FollowupAction(LISTENING))
        return events

    def _say_noted(self, talk: Talk) -> None:
        """Before the question: what comes first and what then, so that nobody has to say it again."""
        first = phrase_of(intent_of(self.topic), talk.language)
        then = []
        for task in reversed(talk.stack.tasks):
            if task.waiting:
                phrase = phrase_of(str(task.waiting["intent"]), talk.language)
                then.append(phrase + _of_order(task, talk) if phrase == first else phrase)
        joint = "，再" if talk.language == "zh" else ", then "
        talk.say("wishes_noted", first=first, then=joint.join(then))
        talk.dispatcher.messages.insert(0, talk.dispatcher.messages.pop())


def _of_order(task: Task, talk: Talk) -> str:
    """Which order, for a wish that is the same as the one at hand."""
    if not task.order_number or task.order_number == talk.task.order_number:
        return ""
    return f"（{task.order_number}）" if talk.language == "zh" else f" ({task.order_number})"


def put_off(stack: Stack, turn: Turn, wishes: Sequence[dict[str, Any]]) -> bool:
    """Keep wishes for after the task on top; whether there was any."""
    tasks = []
    for one in wishes:
        part = turn.part_of(one)
        tasks.append(
            Task(
                topic=TOPICS[one["intent"]],
                order_number=part.value("order_number"),
                waiting=wish(
                    one["intent"], part.text, turn.at, confidence=one["confidence"], whole=turn.text,
                    entities=part.entities,
                ),
            )
        )  # fmt: skip
    stack.put_off(tasks)
    return bool(tasks)


def _asks_besides(turn: Turn) -> bool:
    """Whether the message holds a question for the articles besides a wish: it is answered first."""
    kinds = {one["intent"] in QUESTIONS for one in turn.wishes}
    return kinds == {True, False}


def _may_ask(turn: Turn) -> bool:
    """Whether a question for the articles is nearly as likely: "how long does it take to Tibet" names no parcel."""
    return any(name in QUESTIONS and likely >= LIKELY for name, likely in turn.ranking)


def has_content(text: str) -> bool:
    return re.search(r"\w", text) is not None


def has_words(text: str) -> bool:
    """Whether there is anything but digits and signs: an order number is no wish."""
    return re.search(r"[^\W\d_]", text) is not None


# Questions for which the domain has a help of its own.
HELPED = frozenset(
    {
        "order_number",
        "order",
        "proof",
        "lines",
        "quantity",
        "reason",
        "opened",
        "option",
        "address",
        "consent",
    }
)
