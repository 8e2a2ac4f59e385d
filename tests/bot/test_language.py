"""The language of a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.language import OTHER_LANGUAGES, detect_language, polite_line


@pytest.mark.parametrize(
    ("text", "code", "iso"),
    [
        ("我的快递到哪了", "zh-Hans", "zh"),
        ("請問我的包裹到哪裡了", "zh-Hant", "zh"),
        ("kuaidi dao na le", "zh-Hans", "zh"),
        ("wheres my stuff", "en", "en"),
        ("mattress size", "en", "en"),
        ("EMI?", "en", "en"),
        ("我的order到哪了", "mixed", "zh"),
        ("T恤有L码吗", "zh-Hans", "zh"),
        ("Hola, ¿dónde está mi pedido?", "other", "es"),
        ("Wo ist meine Bestellung bitte", "other", "de"),
        ("注文はどこですか", "other", "ja"),
        ("где мой заказ", "other", "ru"),
        ("أين طلبي", "other", "ar"),
        ("123", "unknown", None),
        ("👍", "unknown", None),
        ("", "unknown", None),
    ],
)
def test_languages_are_told_apart(text, code, iso):
    detected = detect_language(text)

    assert (detected.code, detected.iso) == (code, iso)


def test_what_cannot_be_told_leaves_the_reply_language_open():
    """A number keeps the language the conversation had."""
    assert detect_language("88123456").reply is None


@given(st.text(max_size=200))
def test_every_text_gets_an_answer(text):
    assert detect_language(text).code in ("zh-Hans", "zh-Hant", "en", "mixed", "other", "unknown")


def test_other_languages_get_a_line():
    """Where we have no line, both of ours are said."""
    assert polite_line("es") == OTHER_LANGUAGES["es"]
    assert "English" in polite_line("xx") and "中文" in polite_line(None)
