"""The language of a message."""

import pytest
from hypothesis import given, settings
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
        ("où est ma commande", "other", "fr"),
        ("Wo ist mein Paket", "other", "de"),
        ("waar is mijn bestelling", "other", "nl"),
        ("donde esta mi pedido", "other", "es"),
        ("gracias", "other", "es"),
        ("my name is Jose", "en", "en"),
        ("what is the size", "en", "en"),
        ("chakuaidi", "zh-Hans", "zh"),
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


@pytest.mark.parametrize("text", ["ok", "OK OK", "Hello", "thanks!", "XL", "EMS", "Nike"])
def test_words_of_both_languages_decide_only_where_nothing_is_known(text):
    detected = detect_language(text)

    assert (detected.reply, detected.shared) == ("en", True)


@pytest.mark.parametrize("text", ["where is it", "refund", "thanks for your help", "我的"])
def test_words_of_one_language_decide(text):
    assert not detect_language(text).shared


@settings(deadline=None)  # the first text loads lingua
@given(st.text(max_size=200))
def test_every_text_gets_an_answer(text):
    assert detect_language(text).code in ("zh-Hans", "zh-Hant", "en", "mixed", "other", "unknown")


def test_other_languages_get_a_line():
    """Where we have no line, both of ours are said."""
    assert polite_line("es") == OTHER_LANGUAGES["es"]
    assert "English" in polite_line("xx") and "中文" in polite_line(None)
