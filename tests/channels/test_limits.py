"""Buckets and windows: what fits passes, what does not says how long to wait, and waiting that long helps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.exceptions import TooMany
from channels.limits import Bucket, Window


@given(gaps=st.lists(st.floats(0, 30), max_size=60), limit=st.integers(1, 5))
def test_no_window_ever_holds_more_than_its_limit(gaps: list[float], limit: int) -> None:
    now = [0.0]
    window = Window(limit, 60, clock=lambda: now[0])
    passed: list[float] = []
    for gap in gaps:
        now[0] += gap
        try:
            window.take("k")
        except TooMany:
            continue
        passed.append(now[0])
    for at in passed:
        assert sum(at - 60 < other <= at for other in passed) <= limit


@given(gaps=st.lists(st.floats(0, 5), max_size=60), burst=st.integers(1, 5))
def test_a_bucket_lets_through_its_burst_and_then_its_rate(gaps: list[float], burst: int) -> None:
    now = [0.0]
    bucket = Bucket(1.0, burst, clock=lambda: now[0])
    passed = 0
    for gap in gaps:
        now[0] += gap
        try:
            bucket.take("k")
        except TooMany:
            continue
        passed += 1
    assert passed <= burst + now[0] + 1e-6


def test_waiting_as_long_as_told_helps_and_one_key_does_not_hinder_another() -> None:
    now = [0.0]
    bucket = Bucket(0.5, 1, clock=lambda: now[0])
    bucket.take("a")
    with pytest.raises(TooMany) as refused:
        bucket.take("a")
    bucket.take("b")
    now[0] += refused.value.retry_after
    bucket.take("a")


def test_a_limit_of_nothing_lets_nothing_through() -> None:
    with pytest.raises(TooMany):
        Window(0, 60).take("k")
