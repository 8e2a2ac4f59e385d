"""Rasa's door to `bot.language`: which language a message is in, for the slot `language` and the audit."""

from __future__ import annotations

from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.nlu.constants import ENTITIES, TEXT
from rasa.shared.nlu.training_data.message import Message

from bot.language import detect_language


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=False)
class LanguageDetector(GraphComponent, EntityExtractorMixin):
    """Sets `language` of a message, and an entity of that name with the language to answer in.

    A message without words ("123", "👍"), of words that both languages use ("ok", "XL") and one in a language
    Kefu does not speak leave the entity out, so that the conversation keeps the language it had.
    """

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> LanguageDetector:
        return cls()

    def process(
        self,
        messages: list[Message],
        tracker: DialogueStateTracker = None,  # type: ignore[assignment]  # Rasa's graph checks the bare type
    ) -> list[Message]:
        known = tracker is not None and tracker.get_slot("language") is not None
        for message in messages:
            text = message.get(TEXT)
            if not text:
                continue
            detected = detect_language(str(text))
            message.set("language", {"code": detected.code, "iso": detected.iso}, add_to_output=True)
            if detected.reply is not None and not (detected.shared and known):
                entity = {
                    "entity": "language",
                    "value": detected.reply,
                    "start": 0,
                    "end": len(str(text)),
                    "extractor": "LanguageDetector",
                }
                message.set(ENTITIES, [*message.get(ENTITIES, []), entity], add_to_output=True)
        return messages
