"""Words for how a shopper feels: once, where they are due, in his language."""

import pytest

from bot.generator.tone import COURTESY, acknowledgement, address, mood
from bot.message import with_opening


@pytest.mark.parametrize(
    ("text", "before", "language", "kind"),
    [
        ("气死我了，怎么还不发货", "", "zh", "angry"),
        ("this is ridiculous, worst shop ever", "hi", "en", "angry"),
        ("很着急，明天就要用", "", "zh", "worried"),
        ("谢谢，另外我想退货", "", "zh", "thanks"),
        ("thanks! also where is my other parcel", "", "en", "thanks"),
    ],
)
def test_a_mood_is_acknowledged(text, before, language, kind):
    assert acknowledgement(text, before, language) in COURTESY[language][kind]


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("我的快递到哪了", ""),
        ("你们太垃圾了", "骗子，气死我了"),  # told a message ago
        ("帮我查一下订单，谢谢", ""),  # politeness at the end is no thanks for something
        ("怎么投诉", ""),
    ],
)
def test_nothing_is_said_where_nothing_is_due(text, before):
    assert acknowledgement(text, before, "zh") == ""


def test_the_wording_varies_from_turn_to_turn():
    assert len({acknowledgement("太差劲了！！", "", "zh", turn) for turn in range(3)}) == 3


def test_one_detector_reads_the_mood_for_all():
    """Two exclamation marks are no anger, and negated anger is none."""
    assert mood("谢谢!!") is None and mood("我没有生气") is None
    assert address("七天内可以退。", language="zh", question="太差劲了，能退吗") != "七天内可以退。"


def test_an_opening_and_the_answer_are_one_text():
    assert (
        with_opening("I'm sorry about this experience.", "Which order?")
        == "I'm sorry about this experience. Which order?"
    )
    assert with_opening("您别着急，", "请告诉我订单号。") == "您别着急，请告诉我订单号。"


def test_a_name_stands_before_the_word_for_the_mood():
    assert address("Seven days.", language="en", question="how long", name="Ann") == "Hi Ann, Seven days."
    assert address("七天。", language="zh", question="多久", name="李明") == "李明您好，七天。"
    upset = address("Seven days.", language="en", question="this is ridiculous, worst shop ever", name="Ann")
    assert upset.startswith("Hi Ann, I") and "sorry" in upset and upset.endswith(" Seven days.")


def test_a_mood_told_a_message_ago_is_not_answered_again():
    assert address("七天。", language="zh", question="太差劲了，能退吗", before="太差劲了") == "七天。"
