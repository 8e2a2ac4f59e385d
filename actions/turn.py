"""What the shopper just said, read from Rasa's tracker once.

It knows the tracker's shape and the gateway's metadata; it knows no topic.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from rasa_sdk import Tracker

from bot import tracing
from bot.message import Language
from bot.settings import get_settings

LISTENING = "action_listen"


@dataclass(frozen=True)
class Turn:
    """One message of the shopper and what was understood of it.

    `fresh` is false when an action runs again without a new message: the loop comes back after another
    question was answered, and asks its own again. `pressed` is true for a button the gateway issued.
    """

    conversation: str
    text: str = ""
    intent: str = ""
    confidence: float = 0.0
    ranking: tuple[tuple[str, float], ...] = ()
    entities: tuple[dict[str, Any], ...] = ()
    language: Language = "zh"
    fresh: bool = True
    pressed: bool = False
    source: str = ""
    customer: str | None = None
    channel: str = ""
    media: tuple[dict[str, Any], ...] = ()
    note: dict[str, Any] | None = None  # what the last person did and promised (bot/handoff/notes.py)
    earlier: tuple[tuple[float, str], ...] = field(default=(), repr=False)  # (time, text), newest first
    at: float = 0.0  # seconds, of the message
    wishes: tuple[dict[str, Any], ...] = ()  # of the parts of the message: bot/wishes.py
    spoken_of: str | None = None  # the order that the turn before this one was about
    whole: str = field(default="", repr=False)  # all of the message, when `text` is a part of it

    def values(self, entity: str) -> list[Any]:
        """The values of an entity in this message, in the order they were said."""
        return [
            one.get("value")
            for one in self.entities
            if one.get("entity") == entity and one.get("value") is not None
        ]

    def value(self, entity: str) -> Any:
        return next(iter(self.values(entity)), None)

    def part(self, start: int, end: int) -> Turn:
        """This turn as if only that stretch had been said. A proof may stand anywhere, so `whole` is kept."""
        inside = tuple(one for one in self.entities if start <= int(one.get("start", start)) < end)
        return replace(
            self, text=self.text[start:end].strip(), entities=inside, whole=self.whole or self.text
        )

    def part_of(self, wish: dict[str, Any]) -> Turn:
        """The stretch of one wish; what stands before the first belongs to the first."""
        first = self.wishes[0] is wish
        return self.part(0 if first else int(wish["start"]), int(wish["end"]))


def active_form(tracker: Tracker) -> str | None:
    """The form that is under way, if one is."""
    return (tracker.active_loop or {}).get("name") or None


def read_turn(tracker: Tracker) -> Turn:
    """The latest user message with its metadata, and the texts before it."""
    events = [event for event in reversed(tracker.events or []) if event.get("event") == "user"]
    last: dict[str, Any] = events[0] if events else {}
    latest: dict[str, Any] = tracker.latest_message or last.get("parse_data") or {}
    metadata: dict[str, Any] = last.get("metadata") or latest.get("metadata") or {}
    tracing.join(metadata.get("traceparent"))
    text = str(latest.get("text") or last.get("text") or "")
    pressed = text.startswith("/")
    intent = latest.get("intent") or {}
    return Turn(
        conversation=tracker.sender_id,
        text="" if pressed else text,
        intent=str(intent.get("name") or ""),
        confidence=float(intent.get("confidence") or 0.0),
        ranking=tuple(
            (str(one.get("name")), float(one.get("confidence") or 0.0))
            for one in latest.get("intent_ranking") or ()
        ),
        entities=tuple(latest.get("entities") or ()),
        language=read_language(tracker.slots.get("language"), metadata.get("locale")),
        fresh=tracker.latest_action_name in (LISTENING, "action_session_start", "action_extract_slots", None),
        pressed=pressed,
        source=str(metadata.get("source") or tracker.sender_id),
        customer=metadata.get("customer") or None,
        channel=str(metadata.get("channel") or ""),
        media=tuple(one for one in metadata.get("media") or () if isinstance(one, dict)),
        note=metadata["note"] if isinstance(metadata.get("note"), dict) else None,
        earlier=tuple(
            (float(event.get("timestamp") or 0.0), str(event.get("text") or ""))
            for event in events[1:6]
            if not str(event.get("text") or "").startswith("/")
        ),
        at=float(last.get("timestamp") or 0.0),
        wishes=() if pressed else tuple(latest.get("wishes") or ()),
        whole="" if pressed else text,
        spoken_of=_spoken_of(tracker),
    )


def _spoken_of(tracker: Tracker) -> str | None:
    """The order number remembered since the message before this one."""
    users = 0
    for event in reversed(tracker.events or []):
        users += event.get("event") == "user"
        if users > 1:
            return None
        if event.get("event") == "slot" and event.get("name") == "order_number":
            return str(event["value"]) if event.get("value") else None
    return None


def read_language(slot: Any, locale: Any) -> Language:
    """The language of the last message; before one is known, the platform's, then the shop's."""
    for sign in (slot, locale):
        if isinstance(sign, str) and sign:
            if sign.lower().startswith("zh"):
                return "zh"
            if sign.lower().startswith("en"):
                return "en"
    return get_settings().language
