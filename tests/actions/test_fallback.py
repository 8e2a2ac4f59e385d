"""What Kefu says to a language it does not speak."""

from __future__ import annotations

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from actions.fallback import ActionFallback


def tracker(code: str, iso: str) -> Tracker:
    """A first message in some language, as Rasa hands it over."""
    latest = {
        "text": "…",
        "intent": {"name": "nlu_fallback", "confidence": 0.0},
        "entities": [],
        "intent_ranking": [],
        "language": {"code": code, "iso": iso},
    }
    events = [{"event": "user", "text": "…", "parse_data": latest, "metadata": {}, "timestamp": 1.0}]
    return Tracker("t", {"language": "en"}, latest, events, False, None, {}, "action_listen")


async def test_another_language_gets_one_line_in_it_and_the_choice():
    """Spanish: a Spanish line, and buttons for Chinese, English and a person."""
    dispatcher = CollectingDispatcher()
    await ActionFallback().run(dispatcher, tracker("other", "es"), {})

    (said,) = dispatcher.messages
    assert said["response"] == "other_language" and "chino" in said["line"]
    assert [one["title"] for one in said["buttons"]][:2] == ["中文", "English"]
    assert [one["payload"].split("{")[0] for one in said["buttons"]] == ["/greet", "/greet", "/human_agent"]


async def test_our_own_languages_do_not():
    dispatcher = CollectingDispatcher()
    await ActionFallback().run(dispatcher, tracker("en", "en"), {})

    assert dispatcher.messages and dispatcher.messages[0]["response"] != "other_language"
