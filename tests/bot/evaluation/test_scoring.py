"""Figures of an evaluation on rows whose answers are known."""

import pytest

from bot.evaluation.scoring import Row, auroc, confusion, macro_f1, per_label, reliability, summary


def row(gold, predicted, confidence=0.9, **more):
    return Row(
        "t", frozenset(gold.split("|")), predicted, confidence, predicted, more.pop("fallback", False), **more
    )


ROWS = [row("a", "a"), row("a", "b"), row("b", "b"), row("a|b", "b")]


def test_any_of_several_right_labels_is_right():
    """The row counts under the label that was predicted."""
    assert per_label(ROWS)["b"] == {"precision": 0.6667, "recall": 1.0, "f1": 0.8, "support": 2}


def test_macro_f1_is_the_mean_over_labels():
    assert macro_f1(ROWS) == pytest.approx((2 / 3 + 0.8) / 2, abs=1e-3)


def test_confusion_counts_what_was_taken_for_what():
    assert confusion(ROWS) == {"a": {"a": 1, "b": 1}, "b": {"b": 2}}


@pytest.mark.parametrize(
    ("truth", "scores", "area"),
    [
        ([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], 1.0),
        ([1, 0], [0.1, 0.9], 0.0),
        ([1, 0], [0.5, 0.5], 0.5),
        ([1, 1], [0.5, 0.2], None),
    ],
)
def test_auroc(truth, scores, area):
    assert auroc([bool(one) for one in truth], scores) == area


def test_a_perfectly_honest_score_has_no_calibration_error():
    rows = [row("a", "a" if at < 8 else "b", 0.8) for at in range(10)]

    assert reliability(rows)[1] == pytest.approx(0.0, abs=1e-9)


def test_a_confident_wrong_flow_on_a_remark_is_counted():
    """A fallback on the same remark is not: the assistant would have asked."""
    rows = [row("context_only", "refund_request"), row("context_only", "refund_request", fallback=True)]

    assert summary(rows, frozenset({"refund_request"}))["context_only"] == {
        "n": 2,
        "confident_wrong_flow": 0.5,
    }
