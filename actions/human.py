"""A person is asked for: the conversation changes hands, with what is known so far."""

from __future__ import annotations

import re
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import ActiveLoop, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.names import PERSON
from actions.packet import proven_facts, task_facts
from actions.replies import button, hand_over, say
from actions.tasks import Stack
from actions.turn import read_turn
from bot.references import fold

# Asked honestly, answered honestly: nobody is sent to a person for wanting to know.
IS_IT_A_BOT = re.compile(
    r"(?:你|您)(?:们)?(?:这)?(?:是|不会是|该不会是|难道是)(?:不是)?(?:个)?(?:机器人?|人工智能|ai|真人|人工|人|活人)(?:客服)?(?:吗|吧|么|还是|呀|啊|$|[?])"
    r"|\b(?:are you|is this|am i (?:talking|speaking|chatting) (?:to|with)) (?:a |an |real |really )*(?:ro)?(?:bot|robot|human|person|machine|ai|chatbot|someone real)\b",
    re.I,
)


class ActionHuman(Action):
    def name(self) -> str:
        return "action_human"

    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> list[dict[str, Any]]:
        turn = read_turn(tracker)
        if IS_IT_A_BOT.search(fold(turn.text)):
            say(
                dispatcher,
                "i_am_a_bot",
                turn.language,
                buttons=[button(PERSON[turn.language], "human_agent")],
            )
            return []
        return await give_to_person(dispatcher, tracker, "asked", "handoff_asked")


def order_under_way(tracker: Tracker) -> str | None:
    """The order the task is about, else the one last spoken of."""
    top = Stack.load(tracker.slots.get("tasks")).top
    return (top.order_number if top is not None else None) or tracker.slots.get("order_number")


async def give_to_person(
    dispatcher: CollectingDispatcher, tracker: Tracker, reason: str, response: str
) -> list[dict[str, Any]]:
    """Hand over with the task under way and the order as proven, and end it here: the person goes on with it."""
    turn = read_turn(tracker)
    top = Stack.load(tracker.slots.get("tasks")).top
    known = task_facts(top) if top is not None else {}
    number = order_under_way(tracker)
    known = {"order_number": number, **known, **await proven_facts(tracker.sender_id, number)}
    hand_over(
        dispatcher,
        response,
        turn.language,
        reason=reason,
        goal=top.topic if top is not None else None,
        packet={key: value for key, value in known.items() if value},
    )
    return left_to_person()


def left_to_person() -> list[dict[str, Any]]:
    """What Rasa has to forget when a person goes on: no question of ours stands any more."""
    return [
        SlotSet("tasks", None),
        SlotSet("goal", None),
        SlotSet("requested_slot", None),
        SlotSet("misses", 0),
        SlotSet("complaints", 0),
        ActiveLoop(None),
    ]
