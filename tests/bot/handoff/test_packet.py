"""The packet is built from state; what does not fit is left out and never breaks the hand-over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.handoff.packet import TURNS, Packet, build
from bot.handoff.priority import URGENT, priority_of

NOTHING: dict[str, Any] = {
    "reason": "asked", "goal": None, "who": {}, "language": "zh", "sentiment": None, "media": (), "turns": (),
}  # fmt: skip

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def test_what_the_actions_and_the_conversation_know_is_joined() -> None:
    packet = build(
        {"order": {"number": "801", "state": "paid"}, "proof": {"proof": "email", "level": 2}, "draft": {"text": "t", "p_correct": 0.4}, "why": "w", "media": ["a"]},
        **{**NOTHING, "media": ["a", "b"], "who": {"channel": "web"}},
    )  # fmt: skip

    assert packet.order is not None and "801" == packet.order.number
    assert ("web", "email", 2) == (packet.who.channel, packet.who.proof, packet.who.level)
    assert packet.draft is not None and (0.4, "w") == (packet.draft.score, packet.draft.why)
    assert ("a", "b") == packet.media


def test_only_the_last_turns_are_kept() -> None:
    turns = [{"author": "shopper", "text": str(n), "at": n} for n in range(25)]

    assert [str(n) for n in range(25 - TURNS, 25)] == [
        line.text for line in build({}, **{**NOTHING, "turns": turns}).turns
    ]


@given(st.dictionaries(st.sampled_from(sorted(Packet.model_fields)), anything))
def test_nonsense_from_an_action_never_stops_a_hand_over(said: dict[str, Any]) -> None:
    packet = build(said, **NOTHING)

    assert "asked" == packet.reason and packet == Packet.model_validate(packet.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("said", "goal", "missing"),
    [
        ({}, "refund", "order"),
        ({"order_number": "801"}, "refund", None),
        ({"order_number": "801", "reason": "damaged"}, "refund", "photo"),
        ({"order_number": "801", "reason": "damaged", "media": ["x"]}, "refund", None),
        ({}, "answer", None),
    ],
)
def test_what_to_ask_a_shopper_for_while_he_waits(
    said: dict[str, Any], goal: str, missing: str | None
) -> None:
    assert missing == build(said, **{**NOTHING, "goal": goal}).missing


def test_money_in_doubt_comes_before_anger_and_anger_before_a_plain_wish() -> None:
    assert (
        URGENT
        > priority_of("outcome_unknown")
        > priority_of("asked", "angry")
        > priority_of("asked")
        > priority_of("low_confidence")
    )


def test_a_hurry_comes_before_patience_and_after_worry() -> None:
    assert priority_of("asked", "worried", 2) > priority_of("asked", None, 1) > priority_of("asked")


def test_a_threat_comes_before_anger_and_after_money_in_doubt() -> None:
    assert priority_of("outcome_unknown") > priority_of("threat", None, 3) > priority_of("asked", "angry", 2)
