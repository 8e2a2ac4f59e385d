"""What the audits of answers have found, kept in one file: a monitor for every risk class.

Every class was promised its own share of wrong answers, so each is watched against its own: a monitor for all
of them would let many wrong answers about money hide among right ones about products.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bot.exceptions import GeneratorError
from bot.generator.calibration import DriftMonitor

FILE = "drift.json"
NO_CERTIFICATE = "none"  # the answers were given without one


@dataclass
class Audits:
    """`monitors` by risk class; `conversations` that were counted, each once; `certificate` is the id of the one that
    the answers were given under, None in files from before it was kept."""

    monitors: dict[str, DriftMonitor] = field(default_factory=dict)
    conversations: list[str] = field(default_factory=list)
    certificate: str | None = None

    @property
    def levels(self) -> Mapping[str, int]:
        """Alarms by risk class since the certificate was made."""
        return {risk: monitor.level for risk, monitor in self.monitors.items() if monitor.level}

    def of(self, certificate: str) -> Audits:
        """What was found of this certificate's answers: these audits, or none when they are another one's."""
        if self.certificate in (None, certificate):
            return Audits(self.monitors, self.conversations, certificate)
        return Audits(certificate=certificate)

    @classmethod
    def load(cls, path: Path) -> Audits:
        """Read the file; nothing was found yet when there is none.

        Raises:
            GeneratorError: the file is damaged.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            monitors = {str(risk): DriftMonitor(**one) for risk, one in raw["classes"].items()}
            return cls(monitors, [str(one) for one in raw["conversations"]], raw.get("certificate"))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise GeneratorError(
                f"{path} is damaged ({exc!r}). Remove it and run `kefu calibrate audit` again: it counts anew."
            ) from exc

    def observe(self, risk: str, wrong: bool, *, alpha: float, delta: float) -> bool:
        """Count one audited answer of a class promised `alpha`; True when this one raises its alarm."""
        return self.monitors.setdefault(risk, DriftMonitor(alpha=alpha, delta=delta)).observe(wrong)

    def count(self, conversations: Iterable[str]) -> None:
        """Remember conversations, so that no answer is counted twice."""
        self.conversations.extend(conversations)

    def save(self, path: Path) -> None:
        """Write the file, at once or not at all."""
        part = path.with_suffix(".part")
        raw = {
            "certificate": self.certificate,
            "classes": {risk: asdict(one) for risk, one in sorted(self.monitors.items())},
            "conversations": self.conversations,
        }
        part.write_text(json.dumps(raw), encoding="utf-8")
        part.replace(path)
