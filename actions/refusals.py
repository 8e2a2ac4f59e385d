"""Why not? The last refusal stays explainable: its clause is said again, not the task begun again."""

from __future__ import annotations

import re
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.names import person_button
from actions.replies import say
from actions.turn import Turn
from bot.context import TOPICS
from bot.message import Button
from bot.policy.reasons import GROUPS
from bot.references import fold
from bot.wishes import apart

LIFE = 1800.0  # seconds in which a refusal is still what is spoken of
ABOUT = re.compile(
    r"(?:为什么|为啥|凭什么|凭啥|怎么|咋)[^,，。]{0,10}(?:不(?:能|行|可以|让|给|支持|予|退|换)|没(?:法|办法)|拒绝)|(?:什么|啥)(?:理由|原因|规定)"
    r"|(?:理由|原因|依据|规定)是(?:什么|啥)|哪(?:条|一条|里)规定|谁规定的"
    r"|\bwhy\b[^.?!]{0,30}(?:\bnot\b|n'?t\b|\brefus|\bimpossible|\bdeclin|\breject|\bdenied)|\bhow come\b"
    r"|\bwhat(?:'s| is| was) the reason\b|\b(?:which|what) (?:rule|policy|clause)\b|\bon what grounds\b",
    re.I,
)
BARE = re.compile(
    r"(?:那|啊|但是|可是|不是吧|请问)*[,，]?(?:为什么|为啥|凭什么|凭啥|怎么会(?:这样)?|why(?: not| is that| so)?|how come|but why|how so)(?:呢|啊|呀|不行|不可以)?",
    re.I,
)


def refusal(tracker: Tracker, turn: Turn) -> dict[str, Any] | None:
    """The refusal that is still spoken of, if any."""
    found = tracker.slots.get("refused")
    if not isinstance(found, dict) or turn.at - float(found.get("at", 0.0)) > LIFE:
        return None
    return found


def just_now(tracker: Tracker, found: dict[str, Any]) -> bool:
    """Whether the turn before this one was the refusal, or its explanation."""
    times = [float(one.get("timestamp") or 0.0) for one in tracker.events or [] if one.get("event") == "user"]
    return len(times) > 1 and float(found["at"]) >= times[-2]


def explain_refusal(
    dispatcher: CollectingDispatcher, tracker: Tracker, turn: Turn
) -> list[dict[str, Any]] | None:
    """Answer "为什么不能退" with the clause of the last refusal; None when the message asks something else."""
    found = refusal(tracker, turn)
    if found is None or turn.pressed or not turn.text:
        return None
    text = fold(turn.text).strip(" .。!！?？,，~")
    if not (ABOUT.search(text) or (BARE.fullmatch(text) and just_now(tracker, found))):
        return None
    if turn.intent in TOPICS and apart(turn.intent, str(found["intent"])):
        return None
    numbers = {str(one) for one in turn.values("order_number")}
    if numbers - {str(found["order"])}:
        return None
    response = "refused_because_fault" if found.get("fault") else "refused_because"
    buttons = [Button.model_validate(one) for one in found["instead"][turn.language]]
    say(
        dispatcher,
        "refused_again" if found.get("explained") else response,
        turn.language,
        explanation=found["words"][turn.language],
        order=found["order"],
        buttons=[*buttons, person_button(turn.language)],
        explain={"clause": found["clause"], "operation": found["operation"], "outcome": "refused"},
    )
    return [SlotSet("refused", {**found, "at": turn.at, "explained": True})]


def other_reason(tracker: Tracker, turn: Turn) -> str | None:
    """The loop to try again when a refusal is answered with a fault: "那质量问题呢"."""
    found = refusal(tracker, turn)
    if found is None or turn.pressed or not just_now(tracker, found) or not found.get("fault"):
        return None
    faults = {reason.value for reason in GROUPS["fault"]}
    return f"{found['topic']}_form" if turn.value("reason") in faults else None
