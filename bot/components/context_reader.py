"""Rasa's door to `bot.context`: the last word on what a message means, given the question that stands."""

from __future__ import annotations

from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.nlu.constants import INTENT, TEXT
from rasa.shared.nlu.training_data.message import Message

from bot.context import FALLBACK, THREATENED, Gate, in_context
from bot.handoff.notes import speaks_of


def standing_question(tracker: DialogueStateTracker | None) -> str | None:
    """The name of the question the assistant waits on: the topmost task's, or a form's requested slot."""
    if tracker is None or not tracker.active_loop_name:
        return None
    tasks = tracker.get_slot("tasks")
    if isinstance(tasks, list) and tasks and isinstance(tasks[-1], dict) and tasks[-1].get("asked"):
        return str(tasks[-1]["asked"])
    requested = tracker.get_slot("requested_slot")
    return str(requested) if requested else None


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=False)
class ContextReader(GraphComponent, IntentClassifier):
    """Turns bare answers into `inform` or `context_only`, and weak scores into `nlu_fallback`."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return dict(Gate().__dict__)

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> ContextReader:
        return cls(Gate(**{key: config[key] for key in Gate().__dict__ if key in config}))

    def process(
        self,
        messages: list[Message],
        tracker: DialogueStateTracker = None,  # type: ignore[assignment]  # Rasa's graph checks the bare type
    ) -> list[Message]:
        question = standing_question(tracker)
        for message in messages:
            text, ranking = message.get(TEXT), message.get("intent_ranking") or []
            if not text:
                continue
            pairs = [(one["name"], one["confidence"]) for one in ranking]
            wishes = [(one["intent"], one["confidence"]) for one in message.get("wishes") or []]
            heard = [
                {"name": name, "confidence": chance}
                for name, chance in in_context(str(text), pairs, question, self._gate, wishes)
            ]
            note = (message.get("metadata") or {}).get("note")
            if isinstance(note, dict) and speaks_of(note, str(text)):
                # what a person said is the fallback's to recall, whatever the words seemed to be
                heard = [
                    {"name": FALLBACK, "confidence": 1.0},
                    *(one for one in heard if one["name"] != FALLBACK),
                ]
            if question is None and (message.get("language") or {}).get("code") == "other":
                # whatever the words seemed to be, the answer is which languages there are
                heard = [
                    {"name": FALLBACK, "confidence": 0.0},
                    *(one for one in heard if one["name"] != FALLBACK),
                ]
            if (message.get("sentiment") or {}).get("threat"):
                # a hard rule: whatever is wanted besides, an authority, a lawyer or harm is for a person
                heard = [
                    {"name": THREATENED, "confidence": 1.0},
                    *(one for one in heard if one["name"] != THREATENED),
                ]
            message.set(INTENT, heard[0], add_to_output=True)
            message.set("intent_ranking", heard, add_to_output=True)
            message.set("question", question, add_to_output=True)
        return messages
