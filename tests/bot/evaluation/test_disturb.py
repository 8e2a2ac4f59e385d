"""Disturbances are seeded, change something, and never fail."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.evaluation.disturb import DISTURBANCES

LONG = {"zh": "我想退货，M码的东西收到就坏了", "en": "where is my parcel, please hurry"}


@pytest.mark.parametrize("name", DISTURBANCES)
@pytest.mark.parametrize("language", LONG)
def test_each_disturbs_and_is_repeatable(name, language):
    """The same seed gives the same slip, and there is one."""
    once, again = (DISTURBANCES[name](LONG[language], random.Random(7)) for _ in range(2))

    assert once == again
    assert once != LONG[language]


@given(st.text(max_size=60), st.sampled_from(sorted(DISTURBANCES)))
def test_any_text_can_be_disturbed(text, name):
    assert isinstance(DISTURBANCES[name](text, random.Random(1)), str)
