"""Tokens: what must meet meets, what must not does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.knowledge.tokens import concepts, language_of, stem, tokens


def test_two_character_words_are_found_in_running_chinese():
    assert {"退货", "运费"} <= set(tokens("退货运费由谁承担"))


@pytest.mark.parametrize(
    "pair", [("退貨運費", "退货运费"), ("７天", "7天"), ("ＡＢＣ", "abc"), ("Refunds", "refund")]
)
def test_traditional_full_width_and_case_make_no_difference(pair):
    assert tokens(pair[0]) == tokens(pair[1])


@pytest.mark.parametrize(
    "family",
    [
        "refund refunds refunded",
        "ship ships shipped shipping",
        "delivery deliveries",
        "cancel cancelled canceled cancellation",
        "invoice invoices invoiced",
        "policy policies",
        "exchange exchanges exchanged exchanging",
    ],
)
def test_a_family_of_english_words_has_one_stem(family):
    assert len({stem(word) for word in family.split()}) == 1


@pytest.mark.parametrize("pair", [("ring", "rest"), ("price", "prize"), ("address", "add"), ("bus", "busy")])
def test_short_words_are_not_cut_into_one_another(pair):
    assert stem(pair[0]) != stem(pair[1])


def test_numbers_stay_and_question_words_go():
    assert "15" in tokens("15天内可以退吗", query=True)
    assert not {"可以", "吗"} & set(tokens("可以退吗", query=True))


def test_words_for_the_same_thing_share_a_concept_across_languages():
    assert "=freight" in concepts("邮费谁出")
    assert "=freight" in concepts("who covers postage")
    assert "=freight" not in concepts("what colour is it")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("退款多久", "zh"),
        ("how long", "en"),
        ("我的order还没到", "zh"),
        ("Type-C口能充电吗", "zh"),
        ("12345", "en"),
    ],
)
def test_the_language_of_a_question(text, language):
    assert language_of(text) == language


@given(st.text(max_size=200))
def test_any_text_has_tokens_without_spaces(text):
    for token in tokens(text) + tokens(text, query=True) + concepts(text):
        assert token and not any(character.isspace() for character in token)
