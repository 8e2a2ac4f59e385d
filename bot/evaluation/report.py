"""An evaluation as one HTML page that needs nothing else: figures, plots, tables and the mistakes to learn from."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from bot.evaluation.scoring import Row

INK, SOFT, GOOD, BAD, LINE = "#1f2733", "#8a94a3", "#0b7a6f", "#c8553d", "#e3e7ec"

_STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}body{margin:0;background:#f5f6f8;color:#1f2733;
font:15px/1.55 system-ui,-apple-system,"Segoe UI","PingFang SC","Noto Sans CJK SC","Microsoft YaHei",sans-serif}
main{max-width:1060px;margin:0 auto;padding:32px 20px 64px}h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:36px 0 12px}
.sub{color:#66707f;margin:0 0 24px}.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px}
.tile{background:#fff;border:1px solid #e3e7ec;border-radius:10px;padding:14px 16px}.tile b{display:block;font-size:25px;
font-variant-numeric:tabular-nums}.tile span{color:#66707f;font-size:13px}.card{background:#fff;border:1px solid #e3e7ec;
border-radius:10px;padding:16px;overflow-x:auto;margin-bottom:16px}img{max-width:100%;height:auto;display:block;margin:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th{text-align:left;color:#66707f;font-weight:600;
font-size:13px}th,td{padding:6px 10px;border-bottom:1px solid #eef0f3;vertical-align:top}td.n,th.n{text-align:right}
.bar{background:#0b7a6f22;border-radius:3px;height:8px;min-width:80px}.bar i{display:block;height:8px;border-radius:3px;background:#0b7a6f}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(400px,1fr));gap:16px}.gold{color:#0b7a6f}.got{color:#c8553d}
"""


def _picture(figure: Any, alt: str) -> str:
    from matplotlib import pyplot

    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=150, bbox_inches="tight", facecolor="white")
    pyplot.close(figure)
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}">'


def _axes(width: float, height: float) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(width, height))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(LINE)
    axes.tick_params(colors=INK, labelsize=8, length=0)
    return figure, axes


def reliability_plot(bins: Sequence[dict[str, float]], error: float | None) -> str:
    figure, axes = _axes(4.6, 4.2)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (4, 4)))
    most = max((one["n"] for one in bins), default=1)
    axes.scatter(
        [one["confidence"] for one in bins], [one["accuracy"] for one in bins],
        s=[30 + 320 * one["n"] / most for one in bins], color=GOOD, alpha=0.75, edgecolors="white", linewidths=1.2, zorder=3,
    )  # fmt: skip
    axes.plot(
        [one["confidence"] for one in bins], [one["accuracy"] for one in bins], color=GOOD, linewidth=1.2
    )
    axes.set(xlim=(0, 1.02), ylim=(0, 1.05), xlabel="confidence", ylabel="share that was right")
    axes.grid(color=LINE, linewidth=0.7)
    axes.set_title(
        f"Is 0.8 right eight times in ten?   ECE {error:.3f}" if error is not None else "",
        fontsize=10,
        color=INK,
    )
    return _picture(figure, "Reliability: confidence against accuracy")


def coverage_plot(curve: Sequence[dict[str, float]]) -> str:
    figure, axes = _axes(4.6, 4.2)
    at = [one["threshold"] for one in curve]
    axes.plot(at, [one["accuracy"] for one in curve], color=GOOD, linewidth=2)
    axes.plot(at, [one["answered"] for one in curve], color=BAD, linewidth=2)
    if curve:
        axes.text(at[-1], curve[-1]["accuracy"], " accuracy", color=GOOD, fontsize=9, va="bottom", ha="right")
        axes.text(at[-1], curve[-1]["answered"], " answered", color=BAD, fontsize=9, va="bottom", ha="right")
    axes.set(xlim=(0, 1), ylim=(0, 1.05), xlabel="threshold on the confidence")
    axes.grid(color=LINE, linewidth=0.7)
    axes.set_title("What a higher threshold buys", fontsize=10, color=INK)
    return _picture(figure, "Accuracy and share answered by threshold")


def intents_plot(table: dict[str, dict[str, float]]) -> str:
    names = sorted(table, key=lambda name: (table[name]["f1"], name))
    figure, axes = _axes(7.6, 0.28 * len(names) + 0.9)
    for at, name in enumerate(names):
        axes.plot([0, table[name]["f1"]], [at, at], color=LINE, linewidth=5, solid_capstyle="round", zorder=1)
        axes.scatter(table[name]["precision"], at, s=26, color=BAD, zorder=3)
        axes.scatter(table[name]["recall"], at, s=26, color=GOOD, zorder=4)
    axes.set_yticks(range(len(names)), [f"{name}  ({int(table[name]['support'])})" for name in names])
    axes.set(xlim=(0, 1.02))
    axes.set_title("Recall (green), precision (red) and F1 (bar) per intent", fontsize=10, color=INK)
    return _picture(figure, "Precision, recall and F1 per intent")


def confusion_plot(table: dict[str, dict[str, int]]) -> str:
    import numpy as np

    names = sorted({*table, *(said for row in table.values() for said in row)})
    counts = np.array([[table.get(gold, {}).get(said, 0) for said in names] for gold in names], dtype=float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 0.36 * len(names) + 1.6
    figure, axes = _axes(side, side)
    from matplotlib.colors import LinearSegmentedColormap

    axes.imshow(
        shares, cmap=LinearSegmentedColormap.from_list("kefu", ["#ffffff", "#bfe3de", GOOD]), vmin=0, vmax=1
    )
    for row, column in zip(*np.nonzero(counts), strict=True):
        dark = shares[row, column] > 0.6
        axes.text(column, row, f"{int(counts[row, column])}", ha="center", va="center", fontsize=7,
                  color="white" if dark else (INK if row == column else BAD))  # fmt: skip
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="understood as", ylabel="right")
    for spine in axes.spines.values():
        spine.set_visible(False)
    return _picture(figure, "Confusion matrix")


def _tile(value: Any, name: str, share: bool = True) -> str:
    if value is None:
        return ""
    shown = f"{100 * value:.1f} %" if share else f"{value:.3f}" if isinstance(value, float) else str(value)
    return f'<div class="tile"><b>{shown}</b><span>{escape(name)}</span></div>'


def write_report(path: Path, result: dict[str, Any], rows: Sequence[Row], errors: int) -> None:
    """Write the page to `path`."""
    tiles = "".join(
        (
            _tile(result["accuracy"], "accuracy"),
            _tile(result["macro_f1"], "macro-F1", share=False),
            _tile(result["accuracy_understandable_alone"], "accuracy, understandable alone"),
            _tile(result["accuracy_answered"], "accuracy when answered"),
            _tile(result["fallback_rate"], "asked instead of guessing"),
            _tile(result["ece"], "calibration error (ECE)", share=False),
            _tile(result["out_of_scope"]["auroc"], "out-of-scope AUROC", share=False),
            _tile(result["context_only"]["confident_wrong_flow"], "confident wrong flow without context"),
            _tile(result["latency_ms"].get("median"), "ms, median latency", share=False),
        )
    )
    table = "".join(
        f"<tr><td>{escape(name)}</td><td class=n>{one['support']:.0f}</td><td class=n>{one['precision']:.2f}</td>"
        f"<td class=n>{one['recall']:.2f}</td><td class=n>{one['f1']:.2f}</td>"
        f'<td><div class="bar"><i style="width:{100 * one["f1"]:.0f}%"></i></div></td></tr>'
        for name, one in result["per_intent"].items()
    )
    wrong = sorted((row for row in rows if not row.right), key=lambda row: -row.confidence)[:errors]
    mistakes = "".join(
        f"<tr><td>{escape(row.text[:160])}</td><td class=gold>{escape(' | '.join(sorted(row.gold)))}</td>"
        f"<td class=got>{escape(row.intent)}</td><td class=n>{row.confidence:.2f}</td>"
        f"<td>{'asked' if row.fallback else ''}</td></tr>"
        for row in wrong
    )
    unknown = "".join(
        f"<li><b>{escape(label)}</b>: {about['n']} rows, understood as "
        f"{escape(', '.join(f'{name} {count}' for name, count in about['understood_as'].items())) or 'nothing'}</li>"
        for label, about in result["unknown_labels"].items()
    )
    mapped = ", ".join(f"{ours} → {theirs}" for ours, theirs in result["label_map"].items())
    figures = (
        f"""<h2>Can the score be trusted?</h2><div class="two"><div class="card">{reliability_plot(result["reliability"], result["ece"])}</div>
<div class="card">{coverage_plot(result["coverage"])}</div></div>
<h2>Intents</h2><div class="card">{intents_plot(result["per_intent"])}</div>
<div class="card"><table><tr><th>intent</th><th class=n>rows</th><th class=n>precision</th><th class=n>recall</th><th class=n>F1</th>
<th></th></tr>{table}</table></div>
<h2>What was taken for what</h2><div class="card">{confusion_plot(result["confusion"])}</div>"""
        if rows
        else "<p>No row has a label that one of our intents goes to, so nothing could be scored.</p>"
    )
    page = f"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Understanding: {escape(result["file"])}</title><style>{_STYLE}</style><main>
<h1>What Kefu understood</h1><p class="sub">{escape(result["file"])}: {result["n"]} messages, {result["n_scored"]} scored ·
model {escape(result["model"])}</p><div class="tiles">{tiles}</div>
{figures}
{f"<h2>Labels we have no intent for</h2><div class=card><ul>{unknown}</ul></div>" if unknown else ""}
{f"<p class=sub>Counted under the file's coarser names: {escape(mapped)}</p>" if mapped else ""}
<h2>The surest mistakes</h2><div class="card"><table><tr><th>message</th><th>right</th><th>understood</th><th class=n>score</th><th></th></tr>
{mistakes}</table></div></main></html>"""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
