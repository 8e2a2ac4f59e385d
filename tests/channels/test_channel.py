"""A message as text, for a platform that shows nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from channels.channel import Capabilities, OutboxMessage, plain_text

ROWS = [["退款金额", "¥1"], ["退回到", "微信支付"]]


def message(text: str, card: dict[str, Any]) -> OutboxMessage:
    return OutboxMessage(id="1", conversation="c", seq=1, author="bot", text=text, card=card)


@pytest.mark.parametrize("kind", ["order", "plan", "receipt"])
def test_a_card_that_the_words_tell_is_not_told_twice(kind: str) -> None:
    card = {"kind": kind, "title": "退款", "rows": ROWS}

    assert "退款 ¥1 到微信" == plain_text(message(text="退款 ¥1 到微信", card=card), Capabilities())


def test_a_card_that_the_words_do_not_tell_becomes_lines() -> None:
    card = {"kind": "note", "title": "小林说", "rows": ROWS}

    said = plain_text(message(text="同事跟您说过：", card=card), Capabilities())

    assert "同事跟您说过：\n\n小林说\n退款金额: ¥1\n退回到: 微信支付" == said


@pytest.mark.parametrize(
    ("language", "said"),
    [("zh", "七天内可以退。\n\n依据：退货期限、运费"), ("en", "七天内可以退。\n\nFrom: 退货期限; 运费")],
)
def test_sections_are_named_shortly_where_no_link_can_be_shown(language: str, said: str) -> None:
    found = (
        ("售后 › 退货期限", "https://shop.example/help/returns#1"),
        ("售后 › 退货期限", "https://shop.example/help/returns#1"),
        ("售后 › 运费", ""),
    )
    shown = OutboxMessage(
        id="1",
        conversation="c",
        seq=1,
        author="bot",
        text="七天内可以退。",
        citations=found,
        language=language,
    )

    assert said == plain_text(shown, Capabilities())
