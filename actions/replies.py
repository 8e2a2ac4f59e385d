"""How an action speaks: the one place that builds messages for Rasa's dispatcher.

Words come from the responses of `domain.yml`. What Rasa has no field for (receipts, cards, hand-offs, why
something was decided) travels under ``custom: {"kefu": {...}}``, as docs/architecture.md says; it is the
rest of `bot.message.Reply`. This module knows no topic.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rasa_sdk.executor import CollectingDispatcher

from actions.tasks import Option
from bot.message import Button, Card, Handoff, Language, Promised


def payload(intent: str, **entities: str) -> str:
    """What a button sends back: ``/intent{"entity": "value"}``."""
    return f"/{intent}{json.dumps(entities, ensure_ascii=False)}" if entities else f"/{intent}"


def button(title: str, intent: str, **entities: str) -> Button:
    return Button(title=title, payload=payload(intent, **entities))


def option_buttons(options: Iterable[Option]) -> tuple[Button, ...]:
    """A button for each answer of a closed question."""
    return tuple(button(option.title, "inform", choice=option.value) for option in options)


def say(
    dispatcher: CollectingDispatcher,
    response: str,
    language: Language,
    *,
    buttons: Sequence[Button] = (),
    card: Card | None = None,
    image: str | None = None,
    citations: Sequence[tuple[str, str]] = (),
    receipts: Sequence[str] = (),
    promises: Sequence[Promised] = (),
    handoff: Handoff | None = None,
    opening: str = "",
    explain: dict[str, Any] | None = None,
    **words: Any,
) -> None:
    """Say a response of `domain.yml`, whose ``{placeholders}`` are filled with `words`, after `opening`."""
    extra: dict[str, Any] = {"language": language}
    if opening:
        extra["opening"] = opening
    if card is not None:
        extra["card"] = card.model_dump(mode="json", exclude_none=True)
    if citations:
        extra["citations"] = [list(one) for one in citations]
    if receipts:
        extra["receipts"] = list(receipts)
    if promises:
        extra["promises"] = [one.model_dump(mode="json", exclude_none=True) for one in promises]
    if handoff is not None:
        extra["handoff"] = handoff.model_dump(mode="json")
    extra["explain"] = {"response": response, **(explain or {})}
    dispatcher.utter_message(
        response=response,
        image=image,
        buttons=[one.model_dump() for one in buttons],
        json_message={"kefu": extra},
        **words,
    )


def hand_over(
    dispatcher: CollectingDispatcher,
    response: str,
    language: Language,
    *,
    reason: str,
    goal: str | None = None,
    packet: dict[str, Any] | None = None,
    receipts: Sequence[str] = (),
    explain: dict[str, Any] | None = None,
    **words: Any,
) -> None:
    """Say that a person takes over; the gateway changes the owner when it reads the hand-off.

    `reason` is a code: asked, locked_out, policy, tool_failure, two_failures, outcome_unknown, threat.
    """
    packet = dict(packet or {})
    if explain and explain.get("clause"):
        packet["policy"] = {**explain, "explanation": words.get("explanation", "")}
    say(
        dispatcher,
        response,
        language,
        handoff=Handoff(reason=reason, goal=goal, packet=packet),
        receipts=receipts,
        explain=explain,
        **words,
    )
