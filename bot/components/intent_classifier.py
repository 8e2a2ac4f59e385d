"""Rasa's door to `bot.intent_model`: learns from the training data, ranks intents for a message."""

from __future__ import annotations

from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.shared.nlu.constants import ENTITIES, INTENT, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from bot.intent_model import IntentModel, Options, encode_examples
from bot.wishes import read_wishes

SHOWN = 10  # intents in the ranking
WHOLE = frozenset({"address", "email", "order_number", "phone", "money"})  # entities that no wish ends in


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class LinearIntentClassifier(GraphComponent, IntentClassifier):
    """Sentence encoder and character n-grams under a calibrated logistic regression."""

    def __init__(
        self,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        model: IntentModel | None = None,
    ) -> None:
        self._config, self._storage, self._resource, self._model = config, model_storage, resource, model

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return dict(Options().__dict__)

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> LinearIntentClassifier:
        return cls(config, model_storage, resource)

    def train(self, training_data: TrainingData) -> Resource:
        known = Options().__dict__
        examples = [(example.get(TEXT), example.get(INTENT)) for example in training_data.intent_examples]
        texts = [str(text) for text, _ in examples if text]
        intents = [str(intent) for text, intent in examples if text]
        options = Options(**{key: value for key, value in self._config.items() if key in known})
        self._model = IntentModel.train(texts, intents, options, encode_examples)
        with self._storage.write_to(self._resource) as folder:
            self._model.save(folder)
        return self._resource

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> LinearIntentClassifier:
        with model_storage.read_from(resource) as folder:
            return cls(config, model_storage, resource, IntentModel.load(folder))

    def process(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            text = message.get(TEXT)
            if not text or self._model is None:
                message.set(INTENT, {"name": None, "confidence": 0.0}, add_to_output=True)
                message.set("intent_ranking", [], add_to_output=True)
                continue
            ranking = [
                {"name": name, "confidence": chance} for name, chance in self._model.rank(str(text))[:SHOWN]
            ]
            message.set(INTENT, ranking[0], add_to_output=True)
            message.set("intent_ranking", ranking, add_to_output=True)
            spans = [
                (one["start"], one["end"])
                for one in message.get(ENTITIES, [])
                if one["entity"] in WHOLE and "start" in one
            ]
            wishes = read_wishes(str(text), spans, self._model.rank)
            message.set("wishes", [wish.as_dict() for wish in wishes], add_to_output=True)
        return messages
