"""Mood, threat and urgency."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sentiment import read_sentiment


@pytest.mark.parametrize(
    ("text", "feeling"),
    [
        ("你们这些骗子，太垃圾了", "angry"),
        ("THIS IS RIDICULOUS, WORST SERVICE EVER!!!", "angry"),
        ("谢谢，服务真好", "grateful"),
        ("thanks a lot, you're great", "grateful"),
        ("很着急，明天就要用", "worried"),
        ("please help, it's urgent", "worried"),
        ("我的快递到哪了", "neutral"),
        ("where is my order", "neutral"),
        ("我没有生气，就是问问", "neutral"),
        ("", "neutral"),
    ],
)
def test_feelings(text, feeling):
    assert read_sentiment(text).feeling == feeling


@pytest.mark.parametrize(
    ("text", "threat"),
    [
        ("再不退我打12315", "authority"),
        ("我要找律师起诉你们", "legal"),
        ("曝光你们", "press"),
        ("I'll do a chargeback", "chargeback"),
        ("my lawyer will call you", "legal"),
        ("I will report you to trading standards", "authority"),
        ("订单号88123456", None),
        ("my order 1231599", None),
        ("退款退到工商银行", None),
    ],
)
def test_threats_are_told_from_numbers_and_banks(text, threat):
    """An authority's number inside an order number is no threat; nor is a bank's name."""
    assert read_sentiment(text).threat == threat


def test_a_threat_is_the_most_urgent():
    assert [read_sentiment(text).urgency for text in ("我打12315了", "气死我了", "快点发货", "你好")] == [
        3,
        2,
        1,
        0,
    ]


@given(st.text(max_size=300))
def test_any_text_has_a_mood(text):
    """Anger stays between none and all."""
    assert 0.0 <= read_sentiment(text).anger <= 1.0
