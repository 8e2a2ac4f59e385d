"""Which waiting shopper comes first: by why he waits and how he feels, then by how long.

Numbers order the queue and mean nothing else. This module knows no channel and no database.
"""

from __future__ import annotations

URGENT = 80  # was left waiting before, or was promised an answer by now
_BY_REASON = {
    "outcome_unknown": 60,  # money may have moved and nobody knows
    "claim_without_receipt": 60,
    "promise_broken": 70,
    "threat": 50,
    "promise_unchecked": 40,
    "locked_out": 30,
    "tool_failure": 30,
    "policy": 20,
    "asked": 20,
    "two_failures": 20,
    "low_confidence": 10,
}
_BY_MOOD = {"angry": 20, "worried": 10}
_HURRY = 5  # without a mood; a threat is a reason of its own


def priority_of(reason: str | None, mood: str | None = None, urgency: int = 0) -> int:
    """Higher comes first. `urgency` is that of `bot.sentiment.Sentiment`."""
    return _BY_REASON.get(reason or "", 10) + _BY_MOOD.get(mood or "", 0) + (_HURRY if urgency == 1 else 0)
