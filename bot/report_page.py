"""The report as one HTML page without any other file: figures in tables, plots as SVG inside.

This module computes nothing: it shows what `bot.report.make_report` made.
"""

from __future__ import annotations

import io
from html import escape
from typing import Any

INK, GRID = "#1f2933", "#e4e7eb"
BOT, PERSON, OPEN, BAD = "#2a9d8f", "#3a6ea5", "#cbd2d9", "#e07a5f"
_STYLE = """
:root{color-scheme:light}body{font:15px/1.5 system-ui,"PingFang SC","Microsoft YaHei",sans-serif;color:#1f2933;
max-width:68rem;margin:2rem auto;padding:0 1rem;background:#fafbfc}h1{font-weight:650}h2{margin-top:2.5rem}
.cards{display:flex;flex-wrap:wrap;gap:1rem}.card{background:#fff;border:1px solid #e4e7eb;border-radius:12px;padding:1rem 1.25rem;flex:1 1 9rem}
.card b{display:block;font-size:1.9rem;line-height:1.2}.card small{color:#616e7c}.good b{color:#2a9d8f}
table{border-collapse:collapse;width:100%;background:#fff;border:1px solid #e4e7eb;border-radius:12px;overflow:hidden}
th,td{padding:.45rem .7rem;text-align:right;border-bottom:1px solid #eef0f3}th:first-child,td:first-child{text-align:left}
figure{margin:1rem 0;background:#fff;border:1px solid #e4e7eb;border-radius:12px;padding:1rem}svg{width:100%;height:auto}
figcaption{color:#616e7c}details{margin-top:2rem;color:#616e7c}
"""


def page(made: dict[str, Any]) -> str:
    """The whole page, Chinese and English."""
    whole = made["all"]
    rating = whole["satisfaction"]["mean"]
    cards = "".join(
        f'<div class="card{extra}"><b>{escape(str(value))}</b>{escape(zh)}<br><small>{escape(en)}</small></div>'
        for value, zh, en, extra in (
            (_percent(whole["resolution"]), "真正解决", "resolved: goal met, no return in 72 h", " good"),
            (_percent(whole["containment"]), "未转人工（好看的数字）", "contained (flattering)", ""),
            (_percent(whole["assumed"]), "推定解决（好看的数字）", "assumed solved (flattering)", ""),
            (whole["contacts"], "咨询数", f"contacts, {whole['undecided']} undecided", ""),
            (_seconds(whole["first_response"]["median"]), "首次响应", "first response, median", ""),
            (_seconds(whole["waiting"]["median"]), "等待人工", "wait for a person, median", ""),
            (
                "-" if rating is None else rating,
                "满意度",
                f"satisfaction of 5, n={whole['satisfaction']['answers']}",
                "",
            ),
            (
                f"{whole['answers']['wrong']} / {whole['answers']['judged']}",
                "发现答错",
                "wrong answers found / judged",
                "",
            ),
            (
                f"{_percent(whole['handoff']['precision'])} · {_percent(whole['handoff']['recall'])}",
                "转人工精确率 · 召回率",
                f"hand-off precision · recall, {whole['handoff']['judged']} judged",
                "",
            ),
            (
                f"{_promised(made, 'kept')} / {_promised(made, 'told')}",
                "兑现的承诺",
                f"promises kept / told, {_promised(made, 'broken') + _promised(made, 'late')} broken or late",
                "",
            ),
            (whole["claims_withheld"], "拦下的无凭据承诺", "claims withheld", ""),
            (
                f"{made['drafts']['wrong']} / {made['drafts']['judged']}",
                "草稿有误",
                "drafts found wrong / judged",
                "",
            ),
        )
    )
    parts = [
        f"<!doctype html><html lang=zh><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Kefu report</title><style>{_STYLE}</style>",
        f"<h1>客服报告 · Service report</h1><p>{escape(made['since'])} – {escape(made['until'])}</p>",
        f'<div class="cards">{cards}</div>',
    ]
    if whole["contacts"]:
        parts.append(
            _figure(
                _shares(made),
                "三种“解决率”并排：只有绿色的有凭据 · Three rates side by side: only the green one has proof",
            )
        )
        parts.append(_figure(_days(made), "每日咨询去向 · What became of each day's contacts"))
        if whole["handoff_reasons"]:
            parts.append(_figure(_reasons(whole["handoff_reasons"]), "转人工原因 · Why people took over"))
        if whole["satisfaction"]["answers"]:
            parts.append(_figure(_ratings(whole["satisfaction"]["by_score"]), "满意度评分 · Ratings"))
    for group, title in (
        ("channel", "渠道 · Channel"), ("language", "语言 · Language"), ("topic", "主题 · Topic"),
        ("version", "模型版本 · Model version"),
    ):  # fmt: skip
        parts.append(f"<h2>{title}</h2>{_table(made[f'by_{group}'])}")
    parts.append(
        f"<details><summary>定义 · Definitions</summary><p>{escape(made['definitions'])}</p></details></html>"
    )
    return "\n".join(parts)


def _promised(made: dict[str, Any], state: str) -> int:
    return sum(states[state] for states in made["promises"].values())


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.0f} min"


def _table(groups: dict[str, dict[str, Any]]) -> str:
    head = "".join(
        f"<th>{escape(name)}</th>"
        for name in (
            "",
            "咨询 contacts",
            "解决 resolved",
            "未转人工 contained",
            "推定 assumed",
            "转人工 person",
            "回访 came back",
            "拒绝 refused",
            "答错 wrong",
            "转人工精确 precision",
            "召回 recall",
            "首响 first",
            "等待 wait",
            "评分 rating",
        )
    )
    rows = []
    for name, one in sorted(groups.items(), key=lambda item: -item[1]["contacts"]):
        rating = one["satisfaction"]["mean"]
        cells = (
            name, one["contacts"], _percent(one["resolution"]), _percent(one["containment"]), _percent(one["assumed"]),
            one["handed_over"], one["came_back"], one["refused"],
            f"{one['answers']['wrong']} / {one['answers']['judged']}", _percent(one["handoff"]["precision"]),
            _percent(one["handoff"]["recall"]), _seconds(one["first_response"]["median"]),
            _seconds(one["waiting"]["median"]), "–" if rating is None else rating,
        )  # fmt: skip
        rows.append("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>")
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _axes(height: float = 3.0) -> tuple[Any, Any]:
    # The object interface: no global state, no display, safe inside the gateway.
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=INK, length=0)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Any) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _shares(made: dict[str, Any]) -> str:
    groups = {"all": made["all"], **made["by_channel"]}
    figure, axes = _axes(1.2 + 0.75 * len(groups))
    axes.grid(axis="x", color=GRID)
    for place, one in enumerate(groups.values()):
        for offset, (key, colour) in enumerate(
            (("resolution", BOT), ("containment", OPEN), ("assumed", "#e4e7eb"))
        ):
            share = one[key] or 0.0
            axes.barh(place + offset * 0.26, share, height=0.22, color=colour)
            label = _percent(one[key])
            axes.text(
                share + 0.01, place + offset * 0.26, f"{label} {key}", va="center", fontsize=8, color=INK
            )
    axes.set_yticks([place + 0.26 for place in range(len(groups))], list(groups))
    axes.set_xlim(0, 1.25)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.invert_yaxis()
    return _svg(figure)


def _days(made: dict[str, Any]) -> str:
    figure, axes = _axes()
    axes.grid(axis="y", color=GRID)
    days = list(made["by_day"])
    bottom = [0] * len(days)
    for key, colour in (
        ("resolved_by_bot", BOT),
        ("resolved_by_person", PERSON),
        ("unresolved", BAD),
        ("undecided", OPEN),
    ):
        values = [made["by_day"][day][key] for day in days]
        axes.bar(
            range(len(days)), values, bottom=bottom, color=colour, width=0.8, label=key.replace("_", " ")
        )
        bottom = [low + value for low, value in zip(bottom, values, strict=True)]
    step = max(1, len(days) // 10)
    axes.set_xticks(range(0, len(days), step), [day[5:] for day in days[::step]])
    axes.legend(frameon=False, ncols=4, fontsize=8, loc="upper left", bbox_to_anchor=(0, 1.15))
    return _svg(figure)


def _reasons(reasons: dict[str, int]) -> str:
    figure, axes = _axes(0.8 + 0.35 * len(reasons))
    axes.barh(range(len(reasons)), list(reasons.values()), color=PERSON, height=0.6)
    for place, value in enumerate(reasons.values()):
        axes.text(value, place, f" {value}", va="center", fontsize=9, color=INK)
    axes.set_yticks(range(len(reasons)), [name.replace("_", " ") for name in reasons])
    axes.set_xticks([])
    axes.invert_yaxis()
    return _svg(figure)


def _ratings(by_score: dict[str, int]) -> str:
    figure, axes = _axes(2.2)
    colours = (BAD, "#eda98f", OPEN, "#8ac6be", BOT)
    axes.bar(range(5), list(by_score.values()), color=colours, width=0.6)
    axes.set_xticks(range(5), [f"{score} / 5" for score in by_score])
    axes.set_yticks([])
    for place, value in enumerate(by_score.values()):
        axes.text(place, value, str(value), ha="center", va="bottom", fontsize=9, color=INK)
    return _svg(figure)
