"""What the gateway makes of Rasa's answer."""

from __future__ import annotations

from importlib.metadata import version

from bot.message import Reply
from channels.rasa_client import explained


def test_what_the_action_says_itself_comes_before_what_rasa_says_of_the_turn() -> None:
    turn = {"intent": "refund_request", "score": 0.9, "versions": {"dialogue": "a.tar.gz"}}
    reply = Reply(text="x", explain={"intent": "own", "versions": {"answer.index": "b"}})

    merged = explained(reply, turn).explain

    assert merged == {
        "intent": "own",
        "score": 0.9,
        "versions": {"kefu": version("kefu"), "dialogue": "a.tar.gz", "answer.index": "b"},
    }


def test_an_answer_without_an_explanation_leaves_the_reply_as_it_is() -> None:
    reply = Reply(text="x", explain={"clause": "A1"})

    assert explained(reply, None) == reply and explained(reply, "nonsense") == reply
