"""When a shopper speaks of what a person told him."""

from __future__ import annotations

import pytest

from bot.handoff.notes import concerns, speaks_of

NOTE = {"agent": "lin", "text": "x"}


@pytest.mark.parametrize(
    "text",
    [
        "你们客服说给我退款的",
        "刚才那个人工答应我补发",
        "你同事承诺周五前到账",
        "你们说好今天给我退的",
        "不是说好了给我补发吗",
        "lin说会联系我的",
        "她答应我了",
        "you told me you'd refund me",
        "Your colleague promised a replacement",
        "I was told it would be refunded",
        "the agent said Friday",
        "Lin promised to call",
        "you promised!",
    ],
)
def test_these_speak_of_it(text: str) -> None:
    assert speaks_of(NOTE, text)


@pytest.mark.parametrize(
    "text",
    ["我要退款", "你好", "转人工", "什么时候到", "where is my order", "I want a refund", "the tracking says delivered",
     "快递说明天到", "/human_agent", "", "can you tell me the policy", "linen shirt said size M"],
)  # fmt: skip
def test_these_do_not(text: str) -> None:
    assert not speaks_of(NOTE, text)


@pytest.mark.parametrize(
    ("note", "about"),
    [
        ({"order": "801"}, True),
        ({"order": "802"}, False),
        ({"goal": "refund"}, True),
        ({"goal": "invoice"}, False),
        ({}, True),
    ],
)
def test_what_a_note_is_about(note: dict[str, str], about: bool) -> None:
    assert about == concerns(note, "801", "refund")
