"""What was meant by what was typed, learned from a few examples."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.noisy_channel import NoisyChannel

EXAMPLES = [
    *["我要退货", "我想退货", "怎么退货", "退货地址", "我要退款", "快递到哪了", "查一下快递", "我的快递"] * 5,
    *["在吗", "查快递", "货到了吗", "tui huo"] * 5,
    *["i want to return my package", "where is my package", "track my package", "is it available", "my order"]
    * 5,
]
WORDS = {"coat", "want", "return", "package", "where", "track", "available", "order", "南京", "排队"}


def pieces(text):
    """A vocabulary of a few words; the rest falls into letters."""
    return [f"▁{text}"] if text in WORDS else ["▁", *text]


@pytest.fixture(scope="module")
def channel():
    return NoisyChannel.learn(EXAMPLES, pieces)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("我要腿货", "我要退货"),
        ("我要退获", "我要退货"),
        ("块递到那了", "快递到哪了"),
        ("chakuaidi", "查快递"),
        ("wo yao tui huo", "我要退货"),
        ("查一下 kuaidi", "查一下快递"),
        ("track my pakage", "track my package"),
        ("retrun my packge", "return my package"),
        ("is it avalable", "is it available"),
    ],
)
def test_slips_are_read_as_what_was_meant(channel, typed, meant):
    assert channel.read(typed) == meant


@pytest.mark.parametrize(
    "typed", ["我要退货", "where is my coat", "return my order", "123 №№ 5", "??", "", "鑫淼", "order kuai"]
)
def test_what_was_meant_stays(channel, typed):
    """Nothing to mend, words the vocabulary has, characters nobody used, and no letters at all."""
    assert channel.read(typed) == typed


def test_a_word_of_the_vocabulary_costs_more_to_change(channel):
    """南 sounds like nothing the examples have; 排队 would be another word for a careless reader."""
    assert channel.read("排队") == "排队" and channel.read("南京") == "南京"


def test_stored_counts_read_the_same(channel):
    again = NoisyChannel.from_dict(channel.as_dict(), pieces)

    assert [again.read(one) for one in ("我要腿货", "chakuaidi", "pakage")] == [
        channel.read(one) for one in ("我要腿货", "chakuaidi", "pakage")
    ]


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_read(channel, text):
    """Only letters may change: digits, signs and their order stay as they were typed."""
    read = channel.read(text)
    kept = [char for char in text if not char.isalpha() and not char.isspace()]

    assert [char for char in read if not char.isalpha() and not char.isspace()] == kept
