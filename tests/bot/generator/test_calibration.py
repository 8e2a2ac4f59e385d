"""The statistics keep their promise: thresholds are certified, bounds are exact, alarms are rare and come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.generator import calibration as c


@pytest.mark.parametrize(
    ("alpha", "delta", "errors", "n"),
    [
        (0.05, 0.10, 0, 45),
        (0.02, 0.10, 0, 114),
        (0.05, 0.05, 0, 59),
        (0.02, 0.05, 3, 386),
        (0.01, 0.10, 1, 388),
    ],
)
def test_the_smallest_certifying_samples_are_the_published_ones(
    alpha: float, delta: float, errors: int, n: int
) -> None:
    assert c.binomial_p_value(errors, n, alpha) <= delta < c.binomial_p_value(errors, n - 1, alpha)


@given(st.integers(1, 400), st.floats(0.01, 0.3))
def test_the_bound_and_the_test_agree(n: int, alpha: float) -> None:
    """Clopper-Pearson is below alpha exactly when the binomial test rejects."""
    for k in {0, 1, n // 10}:
        if k < n:
            assert (c.clopper_pearson_upper(k, n, 0.1) <= alpha) == (c.binomial_p_value(k, n, alpha) <= 0.1)


def simulate(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    right = rng.random(n) < 0.88
    return rng.normal(np.where(right, 1.4, 0.0), 1.0), (~right).astype(float)


def test_the_certified_risk_is_kept_in_nine_of_ten_worlds() -> None:
    rng = np.random.default_rng(11)
    big_s, big_w = simulate(rng, 200_000)
    broken, certified = 0, 0
    for _ in range(150):
        tune, _ = simulate(rng, 300)
        s, w = simulate(rng, 700)
        found = c.fixed_sequence_test(s, w, c.coverage_grid(tune), alpha=0.05, delta=0.1)
        if found.threshold is not None:
            certified += 1
            broken += big_w[big_s >= found.threshold].mean() > 0.05

    assert certified > 60
    assert broken / 150 <= 0.12


def test_nothing_is_certified_from_too_little_or_too_bad() -> None:
    few = c.fixed_sequence_test([0.9] * 20, [0.0] * 20, [0.5], alpha=0.05, delta=0.1)
    bad = c.fixed_sequence_test([0.9] * 500, [0.0, 1.0] * 250, [0.5], alpha=0.05, delta=0.1)

    assert few.threshold is None
    assert bad.threshold is None


def test_small_classes_are_judged_together_at_the_strictest_alpha() -> None:
    rng = np.random.default_rng(2)
    s = rng.random(400).tolist()
    strata = ["product"] * 300 + ["policy"] * 60 + ["money"] * 40
    found = c.certify_strata(
        s,
        [0.0] * 400,
        strata,
        {"product": s, "policy": s, "money": s},
        alphas={"product": 0.05, "policy": 0.02, "money": 0.02},
        delta=0.1,
    )

    assert found["policy"] is found["money"]
    assert 0.02 == found["policy"].alpha
    assert 0.05 == found["product"].delta


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60))
def test_curves_stay_in_range(pairs: list[tuple[float, bool]]) -> None:
    s, w = [p for p, _ in pairs], [float(x) for _, x in pairs]

    assert 0 <= c.aurc(s, w) <= 1
    assert c.e_aurc(s, w) > -0.2  # the reference is that of a large sample
    assert 0 <= c.ece(s, [1 - x for x in w]) <= 1
    area = c.auroc(s, w)
    assert area is None or 0 <= area <= 1


def test_a_perfect_order_has_the_best_area() -> None:
    s, w = [0.9, 0.8, 0.2, 0.1], [0.0, 0.0, 1.0, 1.0]

    assert 1.0 == c.auroc(s, w)
    assert 0.5 == c.auroc([0.5] * 4, w)


def test_the_drift_monitor_is_quiet_while_the_promise_holds_and_steps_up_when_not() -> None:
    rng = np.random.default_rng(8)
    false_alarms = 0
    for _ in range(200):
        monitor = c.DriftMonitor(alpha=0.05, delta=0.1)
        false_alarms += any(monitor.observe(bool(x)) for x in rng.random(300) < 0.05)
    monitor = c.DriftMonitor(alpha=0.05, delta=0.1)
    needed = next(i for i, x in enumerate(rng.random(5000) < 0.2) if monitor.observe(bool(x)))

    assert false_alarms / 200 <= 0.1
    assert needed < 200
    certified = c.Certified(0.5, 0.8, 100, 0, 0.02, 150, 0.05, 0.1, stricter=(0.7, 0.9))
    assert 0.7 == monitor.threshold(certified)
    monitor.level = 3
    assert monitor.threshold(certified) is None
