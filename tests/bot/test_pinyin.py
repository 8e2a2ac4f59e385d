"""Syllables, readings, and Chinese in Latin letters."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.pinyin import SYLLABLES, is_pinyin, readings, syllables


@pytest.mark.parametrize(
    ("word", "spoken"),
    [("chakuaidi", "cha kuai di"), ("tuihuo", "tui huo"), ("zhuang", "zhuang"), ("refund", ""), ("", "")],
)
def test_words_are_cut_into_syllables(word, spoken):
    assert syllables(word) == tuple(spoken.split())


@settings(deadline=None)
@given(st.lists(st.sampled_from(sorted(SYLLABLES)), min_size=1, max_size=6))
def test_what_was_made_of_syllables_is_cut_into_no_more(parts):
    """Another cut may be shorter ("xi an" is "xian"), never longer, and always spells the same."""
    found = syllables("".join(parts))

    assert "".join(found) == "".join(parts) and len(found) <= len(parts)


def test_a_character_may_have_several_readings():
    assert set(readings("还")) >= {"huan", "hai"}
    assert readings("a") == () and readings("。") == ()


@pytest.mark.parametrize(
    "text",
    ["chakuaidi", "tuihuo", "wo yao tui kuan", "Ni Hao", "you hui quan", "tui4 huo4", "zai ma", "haode"],
)
def test_chinese_in_latin_letters(text):
    assert is_pinyin(text)


@pytest.mark.parametrize(
    "text",
    [
        "change",
        "can i change the date",
        "Nike",
        "banana",
        "ma",
        "hello",
        "open home page",
        "he made me late",
        "",
    ],
)
def test_english_that_pinyin_could_spell(text):
    assert not is_pinyin(text)
