"""The components as Rasa calls them: messages in, messages out."""

import pytest
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActiveLoop, SlotSet
from rasa.shared.core.slots import AnySlot, TextSlot
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.nlu.constants import ENTITIES, INTENT, TEXT
from rasa.shared.nlu.training_data.message import Message

from bot.components.context_reader import ContextReader, standing_question
from bot.components.entity_reader import EntityReader
from bot.components.language_detector import LanguageDetector
from bot.components.meaning_featurizer import MeaningFeaturizer
from bot.components.sentiment_reader import SentimentReader
from bot.context import Gate


def tracker(asked=None, requested=None):
    """A conversation with a loop under way when something is asked."""
    slots = [AnySlot("tasks", [{}]), TextSlot("requested_slot", [{}])]
    talk = DialogueStateTracker("t", slots)
    if asked or requested:
        talk.update(ActiveLoop("refund_form"), Domain.empty())
    if asked:
        talk.update(
            SlotSet("tasks", [{"topic": "other", "asked": None}, {"topic": "refund", "asked": asked}])
        )
    if requested:
        talk.update(SlotSet("requested_slot", requested))
    return talk


def message(text, **data):
    return Message({TEXT: text, **data})


def test_the_standing_question_is_the_topmost_tasks():
    assert standing_question(tracker(asked="reason")) == "reason"
    assert standing_question(tracker(requested="order_number")) == "order_number"
    assert standing_question(tracker()) is None
    assert standing_question(None) is None


@pytest.mark.parametrize(("asked", "intent"), [("order", "inform"), (None, "context_only")])
def test_a_bare_number_is_an_answer_only_to_a_question(asked, intent):
    heard = message("2", intent_ranking=[{"name": "affirm", "confidence": 0.7}])
    ContextReader(Gate()).process([heard], tracker(asked=asked))

    assert heard.get(INTENT)["name"] == intent
    assert heard.get("question") == asked


def test_a_button_of_the_gateway_passes_untouched():
    """Rasa has read the payload already: there is no text to understand."""
    pressed = Message({INTENT: {"name": "affirm", "confidence": 1.0}})
    ContextReader(Gate()).process([pressed], tracker(asked="consent"))

    assert pressed.get(INTENT)["name"] == "affirm"


def test_language_is_an_entity_only_when_it_can_be_told():
    told, untold = message("where is my order"), message("123")
    LanguageDetector().process([told, untold])

    assert [one["value"] for one in told.get(ENTITIES)] == ["en"]
    assert untold.get(ENTITIES, []) == []
    assert untold.get("language") == {"code": "unknown", "iso": None}


def test_entities_are_added_to_those_that_are_there():
    heard = message("order 88123456")
    LanguageDetector().process([heard])
    EntityReader().process([heard])

    assert [(one["entity"], one["value"]) for one in heard.get(ENTITIES)] == [
        ("language", "en"),
        ("order_number", "88123456"),
    ]


def test_mood_travels_with_the_message():
    heard = message("再不退款我就打12315")
    SentimentReader().process([heard])

    assert heard.get("sentiment")["threat"] == "authority"


@pytest.mark.parametrize(("asked", "intent"), [(None, "nlu_fallback"), ("order", "inform")])
def test_another_language_is_not_guessed_at(asked, intent):
    """Without a question Kefu says which languages it speaks; an answer to a question is still one."""
    heard = message(
        "注文はどこですか",
        intent_ranking=[{"name": "inform", "confidence": 0.8}, {"name": "greet", "confidence": 0.1}],
    )
    LanguageDetector().process([heard])
    ContextReader(Gate()).process([heard], tracker(asked=asked))

    assert heard.get(INTENT)["name"] == intent


def test_what_a_person_said_is_recalled_whatever_the_words_seem_to_be():
    """The note travels with the message; without one the same words are an ordinary wish."""
    ranking = [{"name": "refund_request", "confidence": 0.95}]
    note = {"agent": "lin", "text": "x", "told": True}
    known = message("你们客服答应给我退款的", intent_ranking=list(ranking), metadata={"note": note})
    unknown = message("你们客服答应给我退款的", intent_ranking=list(ranking))
    ContextReader(Gate()).process([known, unknown], tracker(asked=None))

    assert ["nlu_fallback", "refund_request"] == [one.get(INTENT)["name"] for one in (known, unknown)]


@pytest.mark.parametrize("asked", [None, "proof"])
def test_a_threat_is_a_complaint_whatever_else_is_wanted(asked):
    """The hard rule for a person reads one intent; anger without a threat changes nothing."""
    threat = message("再不发货我就打12315", intent_ranking=[{"name": "delivery", "confidence": 0.9}])
    anger = message("气死我了怎么还不发货", intent_ranking=[{"name": "delivery", "confidence": 0.9}])
    SentimentReader().process([threat, anger])
    ContextReader(Gate()).process([threat, anger], tracker(asked=asked))

    assert threat.get(INTENT) == {"name": "complaint", "confidence": 1.0}
    assert anger.get(INTENT)["name"] == "delivery"


@pytest.mark.parametrize(
    ("text", "known", "said"),
    [("ok", "zh", []), ("ok", None, ["en"]), ("XL", "zh", []), ("where is my order", "zh", ["en"])],
)
def test_words_of_both_languages_keep_the_language_of_the_conversation(text, known, said):
    talk = DialogueStateTracker("t", [TextSlot("language", [{}])])
    if known:
        talk.update(SlotSet("language", known))
    heard = message(text)
    LanguageDetector().process([heard], talk)

    assert [one["value"] for one in heard.get(ENTITIES, [])] == said


def test_the_encoder_is_a_featurizer_for_rasas_own_classifiers():
    """Used in comparisons; a sentence feature of 512 numbers, under the name of its node."""
    context = ExecutionContext(GraphSchema({}), node_name="meaning")
    featurizer = MeaningFeaturizer.create(MeaningFeaturizer.get_default_config(), None, None, context)
    heard = message("我要退货")
    featurizer.process([heard])

    (feature,) = heard.features
    assert feature.features.shape == (1, 512) and feature.origin == "meaning"
