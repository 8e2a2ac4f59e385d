"""What a person told the shopper, in the bot's mouth: quoted when the shopper heard it, never contradicted.

A note that was written for the bot alone is not quoted: the shopper learns that there is one, by when he hears more, and
how to reach whoever wrote it. It knows no topic.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rasa_sdk.executor import CollectingDispatcher

from actions.replies import button, say
from actions.turn import Turn
from bot.formats import format_datetime
from bot.handoff.notes import speaks_of
from bot.message import Card, Language

_COLLEAGUE: dict[Language, str] = {"zh": "同事", "en": "My colleague"}
_SAID: dict[Language, str] = {"zh": "{agent}的留言", "en": "Word from {agent}"}
_UNTIL: dict[Language, str] = {"zh": "答应跟进", "en": "To follow up by"}
_PERSON: dict[Language, str] = {"zh": "人工客服", "en": "Talk to a person"}


def recall_note(dispatcher: CollectingDispatcher, turn: Turn) -> bool:
    """Answer a message about what a person said; whether it was one."""
    note = turn.note
    if note is None or turn.pressed or not turn.fresh or not speaks_of(note, turn.text):
        return False
    words, card = note_words(note, turn.language)
    say(
        dispatcher,
        "person_note" if note.get("told") else "person_note_kept",
        turn.language,
        card=card,
        buttons=[button(_PERSON[turn.language], "human_agent")],
        explain=note_basis(note),
        **words,
    )
    return True


def note_words(note: dict[str, Any], language: Language) -> tuple[dict[str, Any], Card]:
    """The placeholders of the responses, and the note itself as a quotation, which is no claim of the bot's."""
    agent = str(note.get("agent") or "") or _COLLEAGUE[language]
    at = _clock(note.get("at"), language)
    rows = [(at, str(note.get("text") or ""))] if note.get("told") else []
    if note.get("promise_until"):
        rows.append((_UNTIL[language], _clock(note["promise_until"], language)))
    card = Card(kind="note", title=_SAID[language].format(agent=agent), rows=tuple(rows))
    return {"agent": agent, "at": at}, card


def note_basis(note: dict[str, Any]) -> dict[str, Any]:
    """For the audit trail: whose word and of when, without the words."""
    kept = ("agent", "at", "promise_until", "told", "order")
    return {"note": {name: note[name] for name in kept if note.get(name) is not None}}


def _clock(at: Any, language: Language) -> str:
    return format_datetime(datetime.fromtimestamp(float(at or 0) / 1000, UTC), language)
