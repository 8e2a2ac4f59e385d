"""What no other rule could make anything of: a question back, then help, then a person.

Also what makes sense only as an answer when nothing was asked: a stray yes, a number, a button of an old message.
"""

from __future__ import annotations

import re
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import FollowupAction, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.answer import Said, answer_if_sure, running_service, worth_looking_up
from actions.human import give_to_person
from actions.names import NAMES, person_button, wish_button
from actions.notes import recall_note
from actions.other_one import names_wrong_order
from actions.refusals import explain_refusal, other_reason
from actions.replies import button, say
from actions.topic import PLAIN_STOP
from actions.turn import LISTENING, Turn, active_form, read_turn
from bot.context import FALLBACK, LOOKED_UP, TOPICS
from bot.generator.service import AnswerService
from bot.language import polite_line
from bot.message import Button, Language
from bot.references import fold
from bot.wishes import LOOKS

WHAT_CAN_YOU_DO = re.compile(
    r"(?:你|您)(?:都|到底)?(?:能|会|可以)(?:干|做|帮(?:我|忙)?(?:干|做|办)?)(?:什么|啥|些什么|点啥)|有(?:什么|哪些)功能|\bwhat (?:can|do) you do\b|\bhow can you help\b",
    re.I,
)
BESIDE = 0.15  # a wish at least this likely, beside a message that is mostly information
MENU = ("order_status", "return_request", "refund_request", "exchange_request")
GUESSES = 2
MISSED: dict[Said, int] = {"answer": 0, "doubt": 1}  # messages in a row that were not understood
LIKELY = 0.1  # a guess below this is no guess


class ActionFallback(Action):
    def __init__(self, service: AnswerService | None = None) -> None:
        self._service = service or running_service()

    def name(self) -> str:
        return "action_fallback"

    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> list[dict[str, Any]]:
        turn = read_turn(tracker)
        events = await self._answer(dispatcher, tracker, turn)
        if active_form(tracker) or any(event["event"] == "followup" for event in events):
            return events
        # A message without an intent has no rule that would say what comes next.
        return [*events, FollowupAction(LISTENING)]

    async def _answer(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, turn: Turn
    ) -> list[dict[str, Any]]:
        busy = active_form(tracker) is not None
        if turn.pressed:
            return self._old_button(dispatcher, tracker, turn)
        if recall_note(dispatcher, turn):
            return [SlotSet("misses", 0)]
        explained = explain_refusal(dispatcher, tracker, turn)
        if explained is not None:
            return [*explained, SlotSet("misses", 0), *([] if busy else [FollowupAction(LISTENING)])]
        if not busy and (form := other_reason(tracker, turn)):
            return [FollowupAction(form)]
        spoken = (tracker.latest_message or {}).get("language") or {}
        if spoken.get("code") == "other" and not busy:
            ours = [
                button(name, "greet", language=code) for code, name in (("zh", "中文"), ("en", "English"))
            ]
            person = person_button(turn.language)
            line = polite_line(spoken.get("iso"))
            say(dispatcher, "other_language", turn.language, buttons=[*ours, person], line=line)
            return []
        if WHAT_CAN_YOU_DO.search(fold(turn.text)) and not busy:
            say(dispatcher, "utter_greet", turn.language)
            return [SlotSet("misses", 0)]
        if turn.intent == "out_of_scope":
            # Beside a task it is an answer that was not understood, and the second in a row goes to a person.
            if busy and self._missed_before(tracker):
                return await give_to_person(dispatcher, tracker, "two_failures", "handoff_two_failures")
            if not busy and (said := await self._from_articles(dispatcher, tracker, turn, or_doubt=True)):
                return [SlotSet("misses", MISSED[said])]
            say(dispatcher, "out_of_scope", turn.language)
            return [SlotSet("misses", 1)] if busy else []
        if not busy and PLAIN_STOP.fullmatch(fold(turn.text).strip(" .。!！,，~")):
            say(dispatcher, "nothing_under_way", turn.language)
            return []
        if turn.intent in ("affirm", "deny", "stop") and not busy:
            return [*self._stray_answer(dispatcher, tracker, turn), SlotSet("misses", 0)]
        if not busy and (turn.values("order_number") or names_wrong_order(fold(turn.text))):
            return [FollowupAction(wanted_form(turn))]
        if turn.intent == "context_only" and "action_answer" in previous_actions(tracker):
            return [FollowupAction("action_answer")]
        if turn.media and not turn.text.strip():
            say(dispatcher, "photo_received", turn.language, buttons=menu(turn.language))
            return [SlotSet("misses", 0)]
        if not busy:
            # What is likeliest a question or a fault is no wish, and "did you mean price protection?" would help nobody.
            likeliest = next((name for name, _ in turn.ranking if name != FALLBACK), None)
            doubt = likeliest in LOOKED_UP and not self._missed_before(tracker)
            if said := await self._from_articles(dispatcher, tracker, turn, or_doubt=doubt):
                return [SlotSet("misses", MISSED[said])]
        return await self._missed(dispatcher, tracker, turn)

    async def _from_articles(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, turn: Turn, *, or_doubt: bool
    ) -> Said | None:
        """Whether an article answers what no wish could be read from ("how often to replace the filter"). With `or_doubt` a person
        is offered where one comes near: "the tent leaks in the rain" is a shop's business, whatever the classifier took it for.
        """
        if self._service is None or turn.intent == "context_only" or not worth_looking_up(turn):
            return None
        return await answer_if_sure(
            self._service, dispatcher, tracker, turn, ask_back=True, or_doubt=or_doubt
        )

    def _missed_before(self, tracker: Tracker) -> bool:
        """Whether nothing could be made of the message before this one either."""
        return "action_fallback" in previous_actions(tracker) and int(tracker.slots.get("misses") or 0) > 0

    async def _missed(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, turn: Turn
    ) -> list[dict[str, Any]]:
        """First a question back or help; the second time in a row a person."""
        if self._missed_before(tracker):
            return await give_to_person(dispatcher, tracker, "two_failures", "handoff_two_failures")
        guesses = guess(turn)
        if guesses and turn.spoken_of and set(guesses) <= LOOKS:
            return [
                FollowupAction("order_status_form"),
                SlotSet("misses", 1),
            ]  # "还要多久", just after an order
        if turn.intent == "context_only":
            known = [wish_button(name, turn.language) for name in guesses]
            buttons = [*known, person_button(turn.language)] if known else menu(turn.language)
            say(dispatcher, "ask_context", turn.language, buttons=buttons)
        elif guesses:
            buttons = [wish_button(name, turn.language) for name in guesses]
            person = person_button(turn.language)
            say(dispatcher, "did_you_mean", turn.language, buttons=[*buttons, person])
        else:
            say(dispatcher, "menu", turn.language, buttons=menu(turn.language))
        return [SlotSet("misses", 1)]

    def _old_button(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, turn: Turn
    ) -> list[dict[str, Any]]:
        """A button of a plan or question that is no longer on the table. A second press is told of the receipt."""
        done = tracker.slots.get("done") or {}
        plan = turn.value("plan")
        if plan is not None and turn.intent == "affirm" and plan == done.get("plan"):
            say(
                dispatcher, "already_done", turn.language, receipts=[done["receipt"]], receipt=done["receipt"]
            )
        else:
            say(dispatcher, "plan_gone", turn.language)
        return []

    def _stray_answer(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, turn: Turn
    ) -> list[dict[str, Any]]:
        done = tracker.slots.get("done") or {}
        if turn.intent == "affirm" and done and just_done(tracker):
            say(
                dispatcher, "already_done", turn.language, receipts=[done["receipt"]], receipt=done["receipt"]
            )
        else:
            say(dispatcher, "nothing_under_way" if turn.intent == "stop" else "small_ok", turn.language)
        return []


def wanted_form(turn: Turn) -> str:
    """What to do with an order that was named: the likeliest wish beside it ("return 8123, phone 5678" is first
    of all information), else show how it stands.
    """
    for name, confidence in turn.ranking:
        if name in TOPICS and confidence >= BESIDE:
            return f"{TOPICS[name]}_form"
    return "order_status_form"


def guess(turn: Turn) -> list[str]:
    """The two likeliest wishes, when they are likely enough to be worth a question."""
    found = [name for name, confidence in turn.ranking if name in NAMES and confidence >= LIKELY]
    return found[:GUESSES]


def menu(language: Language) -> list[Button]:
    return [*(wish_button(name, language) for name in MENU), person_button(language)]


def previous_turn(tracker: Tracker) -> list[dict[str, Any]]:
    """The events between the message before this one and this one."""
    events: list[dict[str, Any]] = list(tracker.events or [])
    users = [place for place, event in enumerate(events) if event.get("event") == "user"]
    if len(users) < 2:
        return []
    return events[users[-2] : users[-1]]


def previous_actions(tracker: Tracker) -> set[str]:
    return {str(event.get("name")) for event in previous_turn(tracker) if event.get("event") == "action"}


def just_done(tracker: Tracker) -> bool:
    """Whether the turn before this one carried out a plan."""
    return any(
        event.get("event") == "slot" and event.get("name") == "done" and event.get("value")
        for event in previous_turn(tracker)
    )
