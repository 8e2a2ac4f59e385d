"""When people are at the desk: hours of the week, holidays, days worked in place of others, time zone.

This module knows no conversation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.exceptions import SettingsError
from bot.settings import HoursSettings

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HORIZON = 60  # days in which an opening must be found

Span = tuple[time, time]


@dataclass(frozen=True)
class Hours:
    """Opening hours. An empty week means: always open."""

    week: dict[int, tuple[Span, ...]] = field(default_factory=dict)  # 0 is Monday
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))
    country: str | None = None  # whose public holidays are free, e.g. "CN"
    closed: frozenset[date] = frozenset()
    worked: frozenset[date] = frozenset()  # opened although a weekend or holiday, with Monday's hours

    @classmethod
    def from_settings(cls, settings: HoursSettings, timezone: str) -> Hours:
        """Raises:
        SettingsError: the country is not known to the package `holidays`.
        """
        week = {DAYS.index(day): tuple(span(text) for text in spans) for day, spans in settings.week.items()}
        if settings.holidays is not None:
            _holidays(settings.holidays, 2026)
        return cls(
            week={day: spans for day, spans in week.items() if spans},
            zone=ZoneInfo(settings.timezone or timezone),
            country=settings.holidays,
            closed=frozenset(settings.closed),
            worked=frozenset(settings.worked),
        )

    @property
    def always(self) -> bool:
        return not self.week

    def spans(self, day: date) -> tuple[Span, ...]:
        """The opening hours of a day."""
        if self.always:
            return ((time.min, time.max),) if day not in self.closed else ()
        if day in self.closed:
            return ()
        if day in self.worked:
            return self.week.get(day.weekday()) or self.week[min(self.week)]
        if self.country is not None and day in _holidays(self.country, day.year):
            return ()
        return self.week.get(day.weekday(), ())

    def is_open(self, at: int) -> bool:
        """Whether somebody should be there at a time (ms)."""
        local = datetime.fromtimestamp(at / 1000, UTC).astimezone(self.zone)
        return any(begin <= local.time() < end for begin, end in self.spans(local.date()))

    def next_opening(self, at: int) -> int | None:
        """When the desk opens next (ms); `at` itself when it is open; None when it does not within two months."""
        if self.is_open(at):
            return at
        local = datetime.fromtimestamp(at / 1000, UTC).astimezone(self.zone)
        for ahead in range(_HORIZON):
            day = local.date() + timedelta(days=ahead)
            for begin, _ in sorted(self.spans(day)):
                opening = int(datetime.combine(day, begin, tzinfo=self.zone).timestamp() * 1000)
                if opening > at:
                    return opening
        return None


def span(text: str) -> Span:
    """``09:00-18:00``; ``24:00`` is the end of the day.

    Raises:
        SettingsError: it is not written like that, or ends before it begins.
    """
    begin_text, dash, end_text = text.partition("-")
    try:
        begin = time.fromisoformat(begin_text.strip())
        end = time.max if end_text.strip() == "24:00" else time.fromisoformat(end_text.strip())
    except ValueError:
        dash = ""
        begin = end = time.min
    if not dash or begin >= end:
        raise SettingsError(
            f"handoff.hours: {text!r} is no opening time; write one like 09:00-18:00 (two for a night over midnight)"
        )
    return begin, end


_CALENDARS: dict[tuple[str, int], frozenset[date]] = {}


def _holidays(country: str, year: int) -> frozenset[date]:
    """The public holidays of a year, substituted days off included."""
    found = _CALENDARS.get((country, year))
    if found is None:
        import holidays  # a second to import, and only few installations ask for it

        try:
            found = frozenset(holidays.country_holidays(country, years=year))
        except NotImplementedError as exc:
            raise SettingsError(
                f"handoff.hours.holidays: no calendar for {country!r}; use a code like CN, or list days in `closed`"
            ) from exc
        _CALENDARS[(country, year)] = found
    return found
