"""An HTML page of an evaluation: figures, risk-coverage curve, reliability, and what went wrong."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.generator.calibration import reliability, risk_coverage

if TYPE_CHECKING:
    from bot.generator.evaluation import Outcome

STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%;margin:1rem 0}td,th{border-bottom:1px solid #ddd;padding:.3rem .5rem;text-align:left;
vertical-align:top}img{max-width:49%}.no{color:#a00}"""


def plots(scores: Sequence[float], wrong: Sequence[float], thresholds: Sequence[float]) -> list[str]:
    """Risk-coverage curve, reliability diagram and histogram of p as PNG data addresses."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    out: list[str] = []

    def keep(figure: Any) -> None:
        buffer = io.BytesIO()
        figure.tight_layout()
        figure.savefig(buffer, format="png", dpi=110)
        pyplot.close(figure)
        out.append("data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode())

    coverage, risk = risk_coverage(scores, wrong)
    figure, axes = pyplot.subplots(figsize=(5, 3.6))
    axes.plot(coverage, risk)
    axes.set(xlabel="coverage", ylabel="risk among answered", title="Risk and coverage", ylim=(0, None))
    keep(figure)
    rows = reliability(scores, [1 - w for w in wrong])
    figure, axes = pyplot.subplots(figsize=(5, 3.6))
    axes.plot([0, 1], [0, 1], color="#bbb")
    axes.plot([r[0] for r in rows], [r[1] for r in rows], marker="o")
    axes.set(
        xlabel="stated p(correct)", ylabel="share correct", title="Reliability", xlim=(0, 1), ylim=(0, 1)
    )
    keep(figure)
    figure, axes = pyplot.subplots(figsize=(5, 3.6))
    axes.hist(
        [[s for s, w in zip(scores, wrong, strict=True) if not w], [s for s, w in zip(scores, wrong, strict=True) if w]],
        bins=20, range=(0, 1), label=["right", "wrong or unanswerable"], stacked=True,
    )  # fmt: skip
    for threshold in thresholds:
        axes.axvline(threshold, color="#a00")
    axes.set(xlabel="stated p(correct)", ylabel="questions", title="Scores and threshold")
    axes.legend()
    keep(figure)
    return out


def write_report(path: Path, found: dict[str, Any], outcomes: Sequence[Outcome]) -> None:
    """Write the page."""
    scores = [o.answer.decision.p_correct for o in outcomes]
    wrong = [float(not o.right) for o in outcomes]
    images = plots(scores, wrong, found.get("thresholds", ()))
    figures = "".join(
        f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>"
        for k, v in found.items()
        if not isinstance(v, dict)
    )
    bad = [o for o in outcomes if (o.alone and not o.right) or (o.asked.answerable and not o.alone)]
    rows = "".join(
        f"<tr><td>{html.escape(o.asked.id)}</td><td>{html.escape(o.asked.question)}</td>"
        f"<td class='{'' if o.right else 'no'}'>{html.escape(o.best.text if o.best else '')}</td>"
        f"<td>{o.answer.decision.p_correct:.2f}</td><td>{html.escape(o.answer.decision.sentence(o.asked.language))}</td></tr>"
        for o in sorted(bad, key=lambda o: not o.alone)
    )
    pictures = "".join(f"<img alt='' src='{i}'>" for i in images)
    page = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Kefu: answers</title><style>{STYLE}</style>"
        f"<h1>Answers</h1><table>{figures}</table>{pictures}"
        "<h2>Answered wrongly, or not answered though it could be</h2>"
        f"<table><tr><th>id</th><th>question</th><th>said or drafted</th><th>p</th><th>why</th></tr>{rows}</table></html>"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
