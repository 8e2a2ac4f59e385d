"""Somebody complains: an apology and a way on; the second time, or at once when he threatens, a person."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.human import give_to_person
from actions.names import PERSON
from actions.refusals import explain_refusal
from actions.replies import button, say
from actions.turn import read_turn
from bot.sentiment import read_sentiment


class ActionComplaint(Action):
    def name(self) -> str:
        return "action_complaint"

    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> list[dict[str, Any]]:
        turn = read_turn(tracker)
        if read_sentiment(turn.text).threat:  # nothing a bot should answer
            return await give_to_person(dispatcher, tracker, "threat", "handoff_threat")
        before = int(tracker.slots.get("complaints") or 0)
        explained = explain_refusal(dispatcher, tracker, turn)
        if explained is not None:
            return [*explained, SlotSet("complaints", before + 1)]
        if before:
            return await give_to_person(dispatcher, tracker, "two_failures", "handoff_threat")
        zh = turn.language == "zh"
        buttons = [
            button("查订单" if zh else "Check an order", "order_status"),
            button(PERSON[turn.language], "human_agent"),
        ]
        say(dispatcher, "sorry_for_trouble", turn.language, buttons=buttons)
        return [SlotSet("complaints", before + 1)]
