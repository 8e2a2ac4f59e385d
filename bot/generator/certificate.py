"""The certificate: which thresholds hold for which risk class, and for exactly which machine.

A certificate binds thresholds to hashes of model, adapter, prompt, index and policy (`bot.generator.binding`). When one of them
changes, the labels it was made from say nothing about the new machine, and it is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.exceptions import CertificateVoid, GeneratorError
from bot.generator.calibration import Certified, DriftMonitor

FORMAT = 1


@dataclass(frozen=True)
class Certificate:
    """`classes` maps a risk class to what was certified for it; `hashes` names what it holds for."""

    id: str
    made_at: str  # ISO 8601
    alphas: dict[str, float]
    delta: float
    n: int
    classes: dict[str, Certified]
    hashes: dict[str, str]
    metrics: dict[str, Any] = field(default_factory=dict)

    def threshold(self, risk: str, alarms: int = 0) -> float | None:
        """The p at which a question of this class is answered alone; None: never, as for a class without labels."""
        chosen = self.classes.get(risk)
        if chosen is None:
            return None
        return DriftMonitor(alpha=chosen.alpha, delta=chosen.delta, level=alarms).threshold(chosen)

    def promised(self, risk: str) -> tuple[float, float] | None:
        """Alpha and delta of a class: at most alpha wrong, with confidence 1 - delta. None: nothing was promised."""
        chosen = self.classes.get(risk)
        return None if chosen is None else (chosen.alpha, chosen.delta)

    def check(self, hashes: Mapping[str, str]) -> None:
        """Raise unless it was made for exactly this machine.

        Raises:
            CertificateVoid: names what changed and the remedy.
        """
        changed = sorted(k for k in self.hashes.keys() | hashes.keys() if self.hashes.get(k) != hashes.get(k))
        if changed:
            raise CertificateVoid(
                f"Certificate {self.id} was made for another {', '.join(changed)}: its thresholds promise nothing here. "
                "Run `kefu calibrate` again, or set generator.mode to strict."
            )

    def save(self, path: Path) -> None:
        """Write the certificate as JSON, at once or not at all."""
        raw = asdict(self) | {"format": FORMAT}
        part = path.with_suffix(path.suffix + ".part")
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(raw, ensure_ascii=False, indent=2), encoding="utf-8")
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Certificate:
        """Read a certificate.

        Raises:
            GeneratorError: it is missing, damaged or edited; names the file.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            if raw.pop("format") != FORMAT:
                raise ValueError(f"format {FORMAT} is wanted")
            classes = {
                name: Certified(**{**c, "stricter": tuple(c["stricter"])})
                for name, c in raw.pop("classes").items()
            }
            found = cls(classes=classes, **raw)
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise GeneratorError(
                f"{path} is not a certificate ({exc!r}). Make one with `kefu calibrate`."
            ) from exc
        if found.id != _identity(found.classes, found.hashes, found.made_at):
            raise GeneratorError(
                f"{path} was edited after it was made. Make a new one with `kefu calibrate`."
            )
        return found


def issue(
    classes: dict[str, Certified],
    *,
    alphas: dict[str, float],
    delta: float,
    n: int,
    hashes: dict[str, str],
    metrics: dict[str, Any],
    at: datetime | None = None,
) -> Certificate:
    """Make a certificate whose id is a hash of what it says."""
    made_at = (at or datetime.now(UTC)).isoformat(timespec="seconds")
    return Certificate(
        _identity(classes, hashes, made_at), made_at, alphas, delta, n, classes, hashes, metrics
    )


def _identity(classes: Mapping[str, Certified], hashes: Mapping[str, str], made_at: str) -> str:
    said = json.dumps([{k: asdict(v) for k, v in classes.items()}, dict(hashes), made_at], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]
