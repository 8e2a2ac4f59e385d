"""The statistics behind "of the answers given alone at most alpha are wrong, with confidence 1 - delta".

Exact binomial tests, nothing asymptotic. Scores and losses are arrays of one entry per labelled
conversation: `scores` in [0, 1], higher is surer; `wrong` is 1 where the answer was wrong. This
module knows no model and no text.

Sources: Learn then Test (Angelopoulos et al. 2021, arXiv 2110.01052) for fixed-sequence testing;
Clopper and Pearson 1934; Geifman and El-Yaniv 2017 for selective risk; Ville's inequality for the
e-process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, binom

Floats = NDArray[np.float64]


def _arrays(scores: ArrayLike, wrong: ArrayLike) -> tuple[Floats, Floats]:
    s, w = np.asarray(scores, dtype=float), np.asarray(wrong, dtype=float)
    if s.shape != w.shape or s.ndim != 1:
        raise ValueError(f"scores and labels must be lists of equal length, got {s.shape} and {w.shape}")
    if not np.all(np.isfinite(s)):
        raise ValueError("scores must be finite numbers")
    return s, w


def binomial_p_value(errors: int, answered: int, alpha: float) -> float:
    """P(at most `errors` wrong among `answered`) if the risk were alpha: small means the risk is below it."""
    return 1.0 if answered <= 0 else float(binom.cdf(errors, answered, alpha))


def clopper_pearson_upper(errors: int, answered: int, delta: float) -> float:
    """Exact upper bound of the risk, with confidence 1 - delta. 1 when nothing was answered."""
    if answered <= 0 or errors >= answered:
        return 1.0
    return float(beta.ppf(1 - delta, errors + 1, answered - errors))


@dataclass(frozen=True)
class Certified:
    """A threshold and what is known about it. `threshold` None: nothing could be certified."""

    threshold: float | None
    coverage: float
    answered: int
    errors: int
    upper_bound: float
    n: int
    alpha: float
    delta: float
    stricter: tuple[float, ...] = field(default=())  # certified thresholds above it, nearest first


def coverage_grid(tune_scores: ArrayLike, steps: int = 50) -> list[float]:
    """Thresholds at coverages 2 %, 4 %, ... 100 % of scores that are not used for certifying."""
    scores = np.asarray(tune_scores, dtype=float)
    if scores.size == 0:
        raise ValueError("the grid needs at least one tuning score")
    quantiles = np.quantile(scores, [1 - (i + 1) / steps for i in range(steps)])
    return list(dict.fromkeys(float(q) for q in quantiles))


def fixed_sequence_test(
    scores: ArrayLike, wrong: ArrayLike, grid: Sequence[float], *, alpha: float, delta: float
) -> Certified:
    """Certify the widest coverage whose risk is at most alpha, with confidence 1 - delta.

    `grid` runs from the strictest threshold to the laxest and must not come from these scores. The
    walk starts where enough items are answered for a pass to be possible, tests each hypothesis
    "the risk is above alpha" with the exact binomial tail and stops at the first it cannot reject.
    With 1,000 items or more it starts at four places, each with a quarter of delta.
    """
    s, w = _arrays(scores, wrong)
    n = len(s)
    grid = sorted(grid, reverse=True)
    counts = [(int((s >= t).sum()), int(w[s >= t].sum())) for t in grid]
    none = Certified(None, 0.0, 0, 0, 1.0, n, alpha, delta)
    if n == 0:
        return none
    needed = max(0.10, 1.6 * math.log(delta) / math.log(1 - alpha) / n)
    starts = [needed, 0.3, 0.5, 0.7] if n >= 1000 else [needed]
    passed: set[int] = set()
    for start in starts:
        level = delta / len(starts)
        for j, (answered, errors) in enumerate(counts):
            if answered / n < start:
                continue
            if binomial_p_value(errors, answered, alpha) > level:
                break
            passed.add(j)
    if not passed:
        return none
    last = max(passed)
    answered, errors = counts[last]
    return Certified(
        threshold=grid[last],
        coverage=answered / n,
        answered=answered,
        errors=errors,
        upper_bound=clopper_pearson_upper(errors, answered, delta),
        n=n,
        alpha=alpha,
        delta=delta,
        stricter=tuple(sorted(grid[j] for j in passed if j != last)),
    )


def certify_strata(
    scores: ArrayLike,
    wrong: ArrayLike,
    strata: Sequence[str],
    tune_scores: dict[str, list[float]],
    *,
    alphas: dict[str, float],
    delta: float,
    least: int = 150,
) -> dict[str, Certified]:
    """Certify each risk class by itself, delta shared out evenly (Bonferroni).

    Classes with fewer than `least` items are judged together, at the strictest of their alphas.
    """
    s, w = _arrays(scores, wrong)
    labels = np.asarray(strata)
    names = sorted(set(strata))
    small = [name for name in names if int((labels == name).sum()) < least]
    groups = [[name] for name in names if name not in small] + ([small] if small else [])
    out: dict[str, Certified] = {}
    for group in groups:
        mask = np.isin(labels, group)
        tuning = [x for name in group for x in tune_scores.get(name, [])]
        if not tuning:
            raise ValueError(
                f"no tuning scores for {', '.join(group)}: the grid must not come from the certified data"
            )
        result = fixed_sequence_test(
            s[mask],
            w[mask],
            coverage_grid(tuning),
            alpha=min(alphas.get(name, min(alphas.values())) for name in group),
            delta=delta / len(groups),
        )
        out |= dict.fromkeys(group, result)
    return out


def auroc(scores: ArrayLike, wrong: ArrayLike) -> float | None:
    """Chance that a right answer scores above a wrong one; ties count half. None with one class only."""
    s, w = _arrays(scores, wrong)
    good, bad = s[w == 0], s[w == 1]
    if len(good) == 0 or len(bad) == 0:
        return None
    order = np.sort(bad)
    below = np.searchsorted(order, good, side="left")
    up_to = np.searchsorted(order, good, side="right")
    return float((below + up_to).sum() / 2 / len(good) / len(bad))


def risk_coverage(scores: ArrayLike, wrong: ArrayLike) -> tuple[Floats, Floats]:
    """Coverage and risk when the k surest are answered, k = 1..n. Ties share their mean risk."""
    s, w = _arrays(scores, wrong)
    order = np.argsort(-s, kind="stable")
    s, w = s[order], w[order].copy()
    for value in np.unique(s):  # the order among equal scores is chance; take its expectation
        w[s == value] = w[s == value].mean()
    k = np.arange(1, len(s) + 1)
    return k / len(s), np.cumsum(w) / k


def aurc(scores: ArrayLike, wrong: ArrayLike) -> float:
    """Area under the risk-coverage curve: mean risk over all coverages."""
    s, _ = _arrays(scores, wrong)
    return float("nan") if len(s) == 0 else float(risk_coverage(scores, wrong)[1].mean())


def e_aurc(scores: ArrayLike, wrong: ArrayLike) -> float:
    """AURC above the best possible for this error rate r: AURC - (r + (1 - r) ln(1 - r))."""
    _, w = _arrays(scores, wrong)
    r = float(w.mean()) if len(w) else 0.0
    best = r + (1 - r) * math.log(1 - r) if r < 1 else 1.0
    return aurc(scores, wrong) - best


def reliability(p: ArrayLike, correct: ArrayLike, bins: int = 15) -> list[tuple[float, float, int]]:
    """Mean stated and mean true probability in bins of equal mass: (stated, true, count)."""
    s, c = _arrays(p, correct)
    order = np.argsort(s, kind="stable")
    return [
        (float(s[part].mean()), float(c[part].mean()), len(part))
        for part in np.array_split(order, min(bins, max(1, len(s))))
        if len(part)
    ]


def ece(p: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error over bins of equal mass."""
    rows = reliability(p, correct, bins)
    total = sum(count for _, _, count in rows)
    return sum(abs(stated - true) * count for stated, true, count in rows) / total if total else float("nan")


@dataclass
class DriftMonitor:
    """An e-process over audited answers: raises the alarm when the risk is above alpha.

    E is multiplied by 1 + eta (e - alpha) for each audited answer. While the risk is at most alpha
    it is a supermartingale, so P(E ever reaches 1 / delta) <= delta (Ville): the alarm may be looked
    at after every answer. `level` counts the alarms: each one moves to the next stricter certified
    threshold, then to no answers at all.
    """

    alpha: float
    delta: float = 0.1
    wealth: float = 1.0
    seen: int = 0
    wrong: int = 0
    level: int = 0

    @property
    def eta(self) -> float:
        return 1 / (1 - self.alpha)

    def observe(self, wrong: bool) -> bool:
        """Count one audited answer; True when this one raises the alarm."""
        self.seen += 1
        self.wrong += int(wrong)
        self.wealth *= 1 + self.eta * (float(wrong) - self.alpha)
        if self.wealth < 1 / self.delta:
            return False
        self.level += 1
        self.wealth = 1.0
        return True

    def threshold(self, certified: Certified) -> float | None:
        """The threshold to use now: the certified one, a stricter one after alarms, then None (answer nothing)."""
        ladder = (certified.threshold, *certified.stricter)
        return ladder[self.level] if self.level < len(ladder) else None
