"""How much one shopper, or one network address, may send.

A bucket for bursts and a window for persistence, both in memory: a restart forgives, which is fine for
what is only a fence against floods. This module knows no platform.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from bot.exceptions import TooMany


class Bucket:
    """`burst` at once, then `rate` a second, per key."""

    def __init__(
        self, rate: float, burst: int, *, keys: int = 50_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._keys, self._clock = rate, burst, keys, clock
        self._state: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key -> (tokens, when)

    def take(self, key: str) -> None:
        """Raises:
        TooMany: the bucket is empty.
        """
        now = self._clock()
        tokens, then = self._state.pop(key, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - then) * self._rate)
        allowed = tokens >= 1
        self._state[key] = (tokens - 1 if allowed else tokens, now)
        while len(self._state) > self._keys:
            self._state.popitem(last=False)
        if not allowed:
            raise TooMany(f"More than {self._burst} at once", retry_after=round((1 - tokens) / self._rate, 2))


class Window:
    """At most `limit` in any `seconds`, per key."""

    def __init__(
        self, limit: int, seconds: float, *, keys: int = 50_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._seconds, self._keys, self._clock = limit, seconds, keys, clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Raises:
        TooMany: the window is full.
        """
        now = self._clock()
        times = self._times.pop(key, None) or deque()
        while times and times[0] <= now - self._seconds:
            times.popleft()
        allowed = len(times) < self._limit
        if allowed:
            times.append(now)
        self._times[key] = times
        while len(self._times) > self._keys:
            self._times.popitem(last=False)
        if not allowed:
            wait = self._seconds if not times else times[0] + self._seconds - now
            raise TooMany(f"More than {self._limit} in {self._seconds:g} s", retry_after=round(wait, 1))
