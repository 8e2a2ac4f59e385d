"""What time it is: one place, so that tests of the real programs can move it.

Where KEFU_CLOCK_FILE names a file, the number of seconds in it is added to every time asked for here;
the file is read at each call, so a running program follows. Without the variable this is the
machine's clock. `kefu doctor` warns when the variable is set.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

VARIABLE = "KEFU_CLOCK_FILE"


def offset() -> float:
    """Seconds by which the clock is moved; 0 unless a test moves it."""
    name = os.environ.get(VARIABLE)
    if not name:
        return 0.0
    try:
        return float(Path(name).read_text("ascii"))
    except (OSError, ValueError):  # not there yet, or being written
        return 0.0


def now() -> datetime:
    """The present time in UTC."""
    return datetime.now(UTC) + timedelta(seconds=offset())


def now_ms() -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000 + int(offset() * 1000)
