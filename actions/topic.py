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
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, NoReturn

from rasa_sdk import Action, Tracker
from rasa_sdk.events import ActiveLoop, FollowupAction, SlotSet
from rasa_sdk.executor import CollectingDispatcher
from rasa_sdk.interfaces import ActionExecutionRejection

from actions import replies
from actions.notes import recall_note
from actions.packet import task_facts
from actions.services import Services, get_services
from actions.tasks import Option, Stack, Task
from actions.turn import LISTENING, Turn, read_turn
from bot.exceptions import IdentityLocked, OrderError, OutcomeUnknown, ShopUnavailable
from bot.generator.tone import acknowledgement
from bot.message import Button, Language
from bot.references import fold, read_choice
from bot.sentiment import read_sentiment

log = logging.getLogger(__name__)

# Wishes of their own: said clearly, they end or suspend what is under way.
GOALS = frozenset(
    {
        "order_status",
        "delivery",
        "cancel_order",
        "modify_address",
        "modify_order",
        "refund_request",
        "refund_status",
        "withdraw_request",
        "return_request",
        "exchange_request",
        "price_protection",
        "invoice",
        "human_agent",
        "complaint",
    }
)
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

    def __init__(self, dispatcher: CollectingDispatcher, turn: Turn, task: Task, services: Services) -> None:
        self.dispatcher = dispatcher
        self.turn = turn
        self.task = task
        self.services = services
        before = turn.earlier[0][1] if turn.earlier else ""
        # A word for how the shopper feels, until it is said.
        self.opening = (
            acknowledgement(turn.text, before, turn.language, len(turn.earlier)) if turn.fresh else ""
        )
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
            packet={**task_facts(self.task), **self.facts},
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


class TopicAction(Action, ABC):
    """A topic with questions of its own. Its action has the name of its loop."""

    topic: ClassVar[str]
    intents: ClassVar[frozenset[str]]  # those that begin it
    writes: ClassVar[bool] = False

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
        services = await get_services()
        active = (tracker.active_loop or {}).get("name") == self.name()
        task = stack.top
        if active and task is not None and task.topic == self.topic:
            talk = Talk(dispatcher, turn, task, services)
            return await self._carry_on(talk, stack)
        turn = replace(turn, fresh=True)  # also when the fallback passed the message on
        task = Task(topic=self.topic, writes=self.writes, values={"said_at": turn.at})
        task.order_number = None if turn.value("choice") == OTHER else tracker.slots.get("order_number")
        task.media = [str(one["media_id"]) for one in turn.media if one.get("media_id")]
        stack.begin(task)
        talk = Talk(dispatcher, turn, task, services)
        return await self._finish(talk, stack, fresh=True)

    async def _carry_on(self, talk: Talk, stack: Stack) -> list[dict[str, Any]]:
        """The loop is active: take the message, or leave it to others, or ask again."""
        turn, task = talk.turn, talk.task
        if not turn.fresh:
            return await self._finish(talk, stack, fresh=False)
        task.media += [str(one["media_id"]) for one in turn.media if one.get("media_id")]
        if recall_note(talk.dispatcher, turn):
            return await self._finish(talk, stack, fresh=False)
        if self._means_stop(talk) and not self._answers(talk):
            talk.say("task_stopped")
            return self._events(talk, stack, Settled())
        if (
            turn.intent == "human_agent"
            and turn.confidence >= SURE
            and (turn.pressed or has_words(turn.text))
        ):
            raise ActionExecutionRejection(self.name(), "a person is asked for")
        if not turn.pressed and read_sentiment(turn.text).threat:
            raise ActionExecutionRejection(self.name(), "a threat is for a person, whatever was asked")
        return await self._finish(talk, stack, fresh=True)

    async def _finish(self, talk: Talk, stack: Stack, *, fresh: bool) -> list[dict[str, Any]]:
        try:
            if fresh:
                await self._listen(talk)
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
            return self._events(talk, stack, end)
        except IdentityLocked:
            return self._give_up(talk, stack, "locked_out", "handoff_locked_out")
        except OutcomeUnknown:
            return self._give_up(talk, stack, "outcome_unknown", "handoff_outcome_unknown")
        except OrderError as exc:
            log.warning("%s: the shop failed: %s", self.name(), exc)
            return self._give_up(talk, stack, "tool_failure", "handoff_tool_failure")

    async def _listen(self, talk: Talk) -> None:
        """Take the message; count what was not understood, and after the second time let a person help."""
        task, turn = talk.task, talk.turn
        waiting = task.asked is not None
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
            return  # said again what is wanted: asked again, nothing held against it
        likely = LIKELY if QUESTION.search(turn.text) else SURE
        if turn.intent in GOALS | ASIDES and turn.confidence >= likely and has_words(turn.text):
            raise NotMine
        task.misses += 1
        if task.misses >= 2:
            talk.hand_over("two_failures", "handoff_two_failures")
        talk.say("help_" + str(task.asked) if str(task.asked) in HELPED else "help_any")

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
        return talk.chosen() is not None or why

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

    def _give_up(self, talk: Talk, stack: Stack, reason: str, response: str) -> list[dict[str, Any]]:
        try:
            talk.hand_over(reason, response)
        except HandedOver as end:
            return self._events(talk, stack, end)

    def _events(self, talk: Talk, stack: Stack, end: Exception) -> list[dict[str, Any]]:
        """What Rasa has to remember: the stack, the question, and which loop is active now."""
        task = talk.task
        events = list(talk.events)
        if isinstance(end, Settled):
            stack.end(task)
        elif isinstance(end, HandedOver):
            stack = Stack()
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
