"""The executable policy: versioned rules that decide about every write. It knows no HTTP and no dialogue."""

from bot.policy.decisions import Decision, Destination, LineDecision
from bot.policy.policy import Policy
from bot.policy.reasons import Reason

__all__ = ["Decision", "Destination", "LineDecision", "Policy", "Reason"]
