"""Rasa's door to `bot.sentiment`: mood, threat and urgency of a message, under the key `sentiment`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message

from bot.sentiment import read_sentiment


# Not a featurizer to Rasa: those run over the training data too, and this has nothing to say there.
@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=False)
class SentimentReader(GraphComponent, EntityExtractorMixin):
    """Sets `sentiment` of a message: {"feeling", "anger", "threat", "urgency"}."""

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> SentimentReader:
        return cls()

    def process(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            if text := message.get(TEXT):
                message.set("sentiment", asdict(read_sentiment(str(text))), add_to_output=True)
        return messages
