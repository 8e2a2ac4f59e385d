"""Mood, threat and urgency."""

import pytest
from hypothesis import given, settings
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
        ("服务太差了", "angry"),
        ("怎么投诉", "neutral"),
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


@pytest.mark.parametrize(
    "text",
    [
        "支持流媒体后视镜吗",
        "多媒体音箱",
        "烟雾报警器一直报警",
        "地址改成增城人民法院",
        "相机曝光怎么调",
        "315元能便宜吗",
        "跳楼价",
        "发朋友圈有优惠吗",
        "我告诉你们了",
        "手机炸了",
        "bath bomb set",
        "court shoes in size 38",
        "wrapped in newspaper",
        "do you have social media",
        "my name is Sue",
        "press the button",
    ],
)
def test_goods_places_and_faults_are_no_threats(text):
    """Words of threats that shoppers use for other things; the first two and the court stood in real traffic."""
    assert read_sentiment(text).threat is None


@pytest.mark.parametrize(
    "text",
    [
        "再不处理就报警",
        "我去法院告你们",
        "找媒体曝光",
        "把你们发到网上",
        "打315投诉",
        "see you in court",
        "worst shop ever, I will sue you",
        "I'm going to the press",
        "I'll post this all over twitter",
        "I will contact my bank",
    ],
)
def test_threats_as_shoppers_word_them(text):
    assert read_sentiment(text).threat is not None


def test_a_threat_is_the_most_urgent():
    assert [read_sentiment(text).urgency for text in ("我打12315了", "气死我了", "快点发货", "你好")] == [
        3,
        2,
        1,
        0,
    ]


@settings(deadline=None)  # the first text loads a dictionary
@given(st.text(max_size=300))
def test_any_text_has_a_mood(text):
    """Anger stays between none and all."""
    assert 0.0 <= read_sentiment(text).anger <= 1.0
