"""When the desk is open: weeks, holidays, days worked in exchange, other time zones."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.exceptions import SettingsError
from bot.handoff.hours import Hours, span
from bot.settings import HandoffSettings, HoursSettings

WEEK = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ("09:00-12:00", "13:30-18:00"))


def at(text: str, zone: str = "Asia/Shanghai") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def hours(**more: object) -> Hours:
    return Hours.from_settings(HoursSettings(week=WEEK, **more), "Asia/Shanghai")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("when", "opens"),
    [
        ("2026-11-23T09:00:00", "2026-11-23T09:00:00"),
        ("2026-11-23T12:00:00", "2026-11-23T13:30:00"),
        ("2026-11-20T18:00:00", "2026-11-23T09:00:00"),
        ("2026-11-22T03:00:00", "2026-11-23T09:00:00"),
    ],
)
def test_the_next_opening(when: str, opens: str) -> None:
    assert at(opens) == hours().next_opening(at(when))


def test_public_holidays_are_free_and_make_up_days_are_worked() -> None:
    chinese = hours(holidays="CN", worked=["2026-10-10"], closed=["2026-11-23"])

    assert not chinese.is_open(at("2026-10-01T10:00:00")) and hours().is_open(at("2026-10-01T10:00:00"))
    assert chinese.is_open(at("2026-10-10T10:00:00"))  # a Saturday
    assert not chinese.is_open(at("2026-11-23T10:00:00"))


def test_hours_are_those_of_the_desks_own_time_zone() -> None:
    berlin = hours(timezone="Europe/Berlin")

    assert berlin.is_open(at("2026-11-23T09:00:00", "Europe/Berlin")) and not berlin.is_open(
        at("2026-11-23T09:00:00")
    )


def test_without_hours_the_desk_is_always_open() -> None:
    assert Hours().is_open(at("2026-01-01T03:00:00")) and HandoffSettings().hours.week == {}


@pytest.mark.parametrize("text", ["9-18", "18:00-09:00", "09:00", "", "25:00-26:00"])
def test_times_nobody_could_read_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="opening time"):
        span(text)


def test_an_unknown_country_is_named() -> None:
    with pytest.raises(SettingsError, match="'XX'"):
        hours(holidays="XX")


@given(st.integers(min_value=at("2025-01-01T00:00:00"), max_value=at("2028-01-01T00:00:00")))
def test_the_next_opening_is_open_and_not_in_the_past(when: int) -> None:
    opening = hours().next_opening(when)

    assert opening is not None and opening >= when and hours().is_open(opening)
