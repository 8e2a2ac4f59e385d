"""Somebody is angry: an apology and a way on; the second time, or at once when it is serious, a person."""

from __future__ import annotations

import re
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.human import give_to_person
from actions.plans import PERSON
from actions.replies import button, say
from actions.turn import read_turn
from bot.references import fold

# Authorities, lawyers, the press, a reversed payment, or harm: nothing a bot should answer.
SERIOUS = re.compile(
    r"12315|12345|消协|消费者协会|工商|市场监管|律师|起诉|法院|报警|曝光|媒体|记者|拒付|自杀|不想活|打死|砍"
    r"|\b(?:lawyer|attorney|sue|suing|court|police|trading standards|ombudsman|chargeback|press|journalist|kill|suicide)\b",
    re.I,
)


class ActionComplaint(Action):
    def name(self) -> str:
        return "action_complaint"

    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> list[dict[str, Any]]:
        turn = read_turn(tracker)
        if SERIOUS.search(fold(turn.text)):
            return give_to_person(dispatcher, tracker, "threat", "handoff_threat")
        before = int(tracker.slots.get("complaints") or 0)
        if before:
            return give_to_person(dispatcher, tracker, "two_failures", "handoff_threat")
        zh = turn.language == "zh"
        buttons = [
            button("查订单" if zh else "Check an order", "order_status"),
            button(PERSON[turn.language], "human_agent"),
        ]
        say(dispatcher, "sorry_for_trouble", turn.language, buttons=buttons)
        return [SlotSet("complaints", before + 1)]
