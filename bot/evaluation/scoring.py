"""Figures from predictions: accuracy, macro-F1, AUROC, calibration, coverage. Pure functions of numpy arrays.

A row may have several right labels; a prediction that is one of them is right, and for the per-label
table the row then counts under the label that was predicted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 10


@dataclass(frozen=True)
class Row:
    """One message, what was right, what was understood, and how surely."""

    text: str
    gold: frozenset[str]
    predicted: str
    confidence: float
    intent: str  # ours, before it was counted under a coarser name
    fallback: bool  # the assistant would have asked instead of acting
    out_of_scope: float = 0.0
    milliseconds: float = 0.0
    language: str = ""

    @property
    def right(self) -> bool:
        return self.predicted in self.gold

    @property
    def counted_as(self) -> str:
        return self.predicted if self.right else min(self.gold)


def per_label(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support of every label that is right somewhere."""
    gold = Counter(row.counted_as for row in rows)
    said = Counter(row.predicted for row in rows)
    hit = Counter(row.predicted for row in rows if row.right)
    table: dict[str, dict[str, float]] = {}
    for label in sorted(gold):
        precision = hit[label] / said[label] if said[label] else 0.0
        recall = hit[label] / gold[label]
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        table[label] = {
            "precision": round(precision, 4),
            "recall": round(recall, 4),
            "f1": round(f1, 4),
            "support": gold[label],
        }
    return table


def accuracy(rows: Sequence[Row]) -> float | None:
    return round(sum(row.right for row in rows) / len(rows), 4) if rows else None


def macro_f1(rows: Sequence[Row]) -> float | None:
    table = per_label(rows)
    return round(float(np.mean([one["f1"] for one in table.values()])), 4) if table else None


def auroc(positive: Sequence[bool], scores: Sequence[float]) -> float | None:
    """Chance that a positive is scored above a negative; ties count half. None without both kinds."""
    truth = np.asarray(positive, dtype=bool)
    if truth.all() or not truth.any():
        return None
    values = np.asarray(scores, dtype=float)
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values))
    ranks[order] = np.arange(1, len(values) + 1)
    for value in np.unique(values):  # ties share their mean rank
        same = values == value
        ranks[same] = ranks[same].mean()
    ups, downs = int(truth.sum()), int((~truth).sum())
    return round(float((ranks[truth].sum() - ups * (ups + 1) / 2) / (ups * downs)), 4)


def reliability(rows: Sequence[Row]) -> tuple[list[dict[str, float]], float | None]:
    """Bins of confidence with the accuracy in each, and the expected calibration error (Naeini et al. 2015)."""
    if not rows:
        return [], None
    sure = np.array([row.confidence for row in rows])
    right = np.array([row.right for row in rows])
    at = np.minimum((sure * BINS).astype(int), BINS - 1)
    bins, error = [], 0.0
    for number in range(BINS):
        inside: npt.NDArray[np.bool_] = at == number
        if not inside.any():
            continue
        mean, hits = float(sure[inside].mean()), float(right[inside].mean())
        error += abs(mean - hits) * float(inside.mean())
        bins.append({"confidence": round(mean, 4), "accuracy": round(hits, 4), "n": int(inside.sum())})
    return bins, round(error, 4)


def coverage(rows: Sequence[Row]) -> list[dict[str, float]]:
    """For thresholds from 0 to 0.95: the share answered and the accuracy among the answered."""
    curve = []
    for threshold in np.arange(0, 1, 0.05):
        kept = [row for row in rows if row.confidence >= threshold]
        if kept:
            curve.append(
                {
                    "threshold": round(float(threshold), 2),
                    "answered": round(len(kept) / len(rows), 4),
                    "accuracy": round(sum(row.right for row in kept) / len(kept), 4),
                }
            )
    return curve


def confusion(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """gold -> predicted -> count."""
    table: dict[str, Counter[str]] = {}
    for row in rows:
        table.setdefault(row.counted_as, Counter())[row.predicted] += 1
    return {gold: dict(counts.most_common()) for gold, counts in sorted(table.items())}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 90th percentile and largest."""
    if not values:
        return {}
    array = np.array(values)
    return {
        "median": round(float(np.median(array)), 2),
        "p90": round(float(np.percentile(array, 90)), 2),
        "max": round(float(array.max()), 2),
    }


def summary(rows: Sequence[Row], flows: frozenset[str]) -> dict[str, Any]:
    """All figures of one file. `flows` are those of our intents that start something."""
    bins, error = reliability(rows)
    answered = [row for row in rows if not row.fallback]
    alone = [row for row in rows if "context_only" not in row.gold]
    hanging = [row for row in rows if row.gold == {"context_only"}]
    wrong_flow = [
        row
        for row in hanging
        if not row.right and row.intent in flows and not row.fallback and row.confidence >= 0.6
    ]
    strangers = [row.gold == {"out_of_scope"} for row in rows]
    return {
        "accuracy": accuracy(rows),
        "macro_f1": macro_f1(rows),
        "accuracy_understandable_alone": accuracy(alone),
        "accuracy_answered": accuracy(answered),
        "fallback_rate": round(1 - len(answered) / len(rows), 4) if rows else None,
        "context_only": {
            "n": len(hanging),
            "confident_wrong_flow": round(len(wrong_flow) / len(hanging), 4) if hanging else None,
        },
        "out_of_scope": {
            "n": sum(strangers),
            "auroc": auroc(strangers, [row.out_of_scope for row in rows]),
        },
        "ece": error,
        "reliability": bins,
        "coverage": coverage(rows),
        "per_intent": per_label(rows),
        "confusion": confusion(rows),
        "by_language": {
            code: {"n": len(some), "accuracy": accuracy(some)}
            for code in sorted({row.language for row in rows if row.language})
            if (some := [row for row in rows if row.language == code])
        },
        "latency_ms": spread([row.milliseconds for row in rows]),
    }
