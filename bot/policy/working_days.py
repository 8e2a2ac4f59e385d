"""Counting days the way a deadline does: whole days on the shop's clock, working days by the calendar."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo

from bot.policy.rules import Calendar


def is_working_day(day: date, calendar: Calendar) -> bool:
    """A day that is no weekend and no holiday, or a weekend day that is worked."""
    if day in calendar.workdays:
        return True
    return day.isoweekday() not in calendar.weekend and day not in calendar.holidays


def add_working_days(when: datetime, days: int, calendar: Calendar, tz: tzinfo) -> datetime:
    """The end of the `days`-th working day after the day of `when`."""
    day = when.astimezone(tz).date()
    left = days
    while left > 0:
        day += timedelta(days=1)
        if is_working_day(day, calendar):
            left -= 1
    return end_of_day(day, tz)


def window_end(since: datetime, days: int, tz: tzinfo) -> datetime:
    """The end of the `days`-th day after the day of `since`, which itself does not count."""
    return end_of_day(since.astimezone(tz).date() + timedelta(days=days), tz)


def end_of_day(day: date, tz: tzinfo) -> datetime:
    """The last second of a day."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=tz)
