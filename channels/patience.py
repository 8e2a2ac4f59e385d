"""When the gateway tries again, and when it gives up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """Seconds, but for `turn_attempts`."""

    first: float = 0.5  # wait after the first failure, doubled each time
    longest: float = 20.0
    longest_delivery: float = 60.0  # a platform that is down is asked again that often
    park_after: float = 600.0  # Rasa cannot be reached: how long a message waits for it
    turn_attempts: int = 3  # Rasa answers with an error: how often one message is tried
    deliver_for: float = 6 * 3600.0  # a platform cannot be reached: how long a reply waits for it
    sweep: float = 1.0
    lease: float = 15.0

    def wait(self, attempts: int, longest: float | None = None) -> float:
        """How long to wait after that many failures; at most `longest`, where given."""
        return float(min(longest or self.longest, self.first * 2 ** min(max(0, attempts - 1), 20)))
