"""Fit the confidence model on synthetic shops and write bot/generator/fusion.json.

    python scripts/fit_confidence.py --shops 12 [--replies FILE.jsonl] [--out FILE]

The retrieval model learns from questions to invented shops (bot/generator/topics.yml) whether the best
article's words answer the question. Half of the topics train it while the other half measures it, and the
other way round; the figures printed are those of the unseen half. The strict thresholds are set on unseen
halves as well. `--replies` adds generated replies, one JSON object a line, on which the model for
the generator's voice is fitted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from bot.generator.answering import Answerer, plain_text
from bot.generator.calibration import auroc, e_aurc, ece
from bot.generator.confidence import FUSION_FILE, GENERATED_FEATURES, Fusion, Logistic
from bot.generator.correctness import holds_gold
from bot.generator.dialogues import make_shop, topic_names
from bot.knowledge.hybrid import HybridRetriever

# Features that mean the same in a shop of thirty sections and in one of five hundred. The lifts over the
# background do not: with more sections the runners-up come nearer.
FEATURES = (
    "e5", "use", "text", "heading", "e5_margin", "use_margin", "bm25_margin", "rank_agreement", "covered", "unknown",
    "kind", "named_missing", "zh",
)  # fmt: skip
# How much each kind of synthetic question counts. A shop is asked about what it does not say ("outside") far
# more often than synthetic shops are, and far less often about a neighbour of what it does say ("near").
WEIGHTS = {"near": 0.25, "deleted": 0.7, "outside": 2.5, "missing_fact": 0.5}
FLAT = Logistic(("text",), (0.0,), (1.0,), (0.0,), 0.0)


def rows_of(seed: int, language: str, topics: list[str]) -> list[dict[str, Any]]:
    """Features and label of every question to one shop."""
    shop = make_shop(seed, language, topics=topics)  # type: ignore[arg-type]
    answerer = Answerer(HybridRetriever(shop.chunks), shop.chunks, Fusion(FLAT, None, 0.0, 0.0))
    rows = []
    for q in shop.questions:
        found = asyncio.run(answerer.answer(q.question, language=shop.language))
        if not found.candidates:
            continue
        voice = found.candidates[0]
        right = q.answerable and holds_gold(plain_text(voice.text), q.gold)
        rows.append({"x": voice.features, "right": right, "answerable": q.answerable, "kind": q.kind, "language": language,
                     "question": q.question, "text": voice.text, "found": q.evidence and q.evidence[0] == found.chunks[0].id})  # fmt: skip
    return rows


def rows_of_shop(knowledge: Path, questions: Path, limit: int) -> list[dict[str, Any]]:
    """The same for a real knowledge base with its questions: right when the answering chunk is found first."""
    from bot.knowledge.base import Knowledge

    base = Knowledge.load(knowledge)
    answerer = Answerer(base.retriever(), base.chunks, Fusion(FLAT, None, 0.0, 0.0))
    asked = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines() if line.strip()]
    random.Random(1).shuffle(asked)
    rows = []
    for q in asked[:limit]:
        found = asyncio.run(answerer.answer(q["question"], language=q["language"]))
        if found.candidates:
            voice = found.candidates[0]
            right = q["answerable"] and any(
                base.chunk(voice.evidence[0]).is_named_by(e) for e in q["evidence"]
            )
            rows.append({"x": voice.features, "right": right, "answerable": q["answerable"], "kind": "shop",
                         "language": q["language"]})  # fmt: skip
    return rows


def cached(folder: Path | None, seed: int, language: str, topics: list[str]) -> list[dict[str, Any]]:
    """`rows_of`, kept in a folder: encoding is most of the time."""
    if folder is None:
        return rows_of(seed, language, topics)
    file = folder / f"{seed}-{language}.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(rows_of(seed, language, topics)))
    return list(json.loads(file.read_text()))


def fit(rows: list[dict[str, Any]], names: tuple[str, ...], c: float) -> Logistic:
    """L2 logistic regression on standardised features. Balanced, because shops differ in what is asked."""
    x = np.array([[r["x"][n] for n in names] for r in rows], dtype=float)
    y = np.array([r["right"] for r in rows], dtype=int)
    mean, scale = x.mean(0), np.maximum(x.std(0), 1e-3)
    z = np.clip((x - mean) / scale, -4, 4)
    model = LogisticRegression(C=c, max_iter=2000)
    model.fit(z, y, sample_weight=[WEIGHTS.get(r.get("kind", ""), 1.0) for r in rows])
    return Logistic(names, tuple(mean), tuple(scale), tuple(model.coef_[0]), float(model.intercept_[0]))


def report(name: str, rows: list[dict[str, Any]], p: list[float]) -> None:
    wrong = [not r["right"] for r in rows]
    answerable = [r for r in rows if r["answerable"]]
    accuracy = np.mean([r["right"] for r in answerable])
    print(f"{name}: n={len(rows)} accuracy on answerable {accuracy:.3f} AUROC {auroc(p, wrong):.3f} "
          f"E-AURC {e_aurc(p, wrong):.3f} ECE {ece(p, [not w for w in wrong]):.3f}")  # fmt: skip


def strict_threshold(rows: list[dict[str, Any]], p: list[float], allowed: float) -> float:
    """The smallest p at which at most this share of unanswerable questions is answered, and as few wrongly."""
    q = np.array(p)
    un = np.array([not r["answerable"] for r in rows])
    for t in sorted(set(q.tolist())):
        if (q[un] >= t).mean() <= allowed:
            return float(t)
    return 1.0


def as_json(model: Logistic) -> dict[str, Any]:
    return {"names": model.names, "mean": [round(v, 5) for v in model.mean], "scale": [round(v, 5) for v in model.scale],
            "weight": [round(v, 5) for v in model.weight], "bias": round(model.bias, 5)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shops", type=int, default=12, help="shops per language and half")
    parser.add_argument("--c", type=float, default=0.3, help="inverse strength of the L2 penalty")
    parser.add_argument("--cache", type=Path, default=None, help="folder that keeps the features")
    parser.add_argument(
        "--knowledge", type=Path, default=None, help="a real knowledge base to fit on as well"
    )
    parser.add_argument("--questions", type=Path, default=None, help="its questions")
    parser.add_argument("--limit", type=int, default=300, help="questions taken from it")
    parser.add_argument(
        "--strict", type=float, default=None, help="threshold of strict mode; default: 3 %% of hard negatives"
    )
    parser.add_argument("--replies", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=FUSION_FILE)
    args = parser.parse_args()
    names = topic_names()
    random.Random(7).shuffle(names)
    halves = [names[: len(names) // 2], names[len(names) // 2 :]]
    parts = [[row for s in range(args.shops) for language in ("zh", "en")
              for row in cached(args.cache, 1000 * (h + 1) + s, language, half)] for h, half in enumerate(halves)]  # fmt: skip
    shop = (
        rows_of_shop(args.knowledge, args.questions, args.limit) if args.knowledge and args.questions else []
    )
    if shop:
        model = fit(parts[0] + parts[1], FEATURES, args.c)
        report("real shop, fitted on synthetic ones only", shop, [model(r["x"]) for r in shop])
    unseen, p_unseen = [], []
    for train, test in ((parts[0], parts[1]), (parts[1], parts[0])):
        model = fit(train + shop, FEATURES, args.c)
        unseen += test
        p_unseen += [model(r["x"]) for r in test]
    report("unseen topics", unseen, p_unseen)
    for language in ("zh", "en"):
        chosen = [i for i, r in enumerate(unseen) if r["language"] == language]
        report(f"  {language}", [unseen[i] for i in chosen], [p_unseen[i] for i in chosen])
    for single in ("e5", "use", "heading", "text", "covered", "e5_lift"):
        print(
            f"  {single} alone: AUROC {auroc([r['x'][single] for r in unseen], [not r['right'] for r in unseen]):.3f}"
        )
    for allowed in (0.02, 0.03, 0.04, 0.05, 0.08):
        t = strict_threshold(unseen, p_unseen, allowed)
        kept = [r for r, p in zip(unseen, p_unseen, strict=True) if p >= t]
        coverage = sum(r["answerable"] for r in kept) / sum(r["answerable"] for r in unseen)
        risk = np.mean([not r["right"] for r in kept])
        print(
            f"  unanswerable answered <= {allowed:.0%}: p >= {t:.3f}, answerable answered {coverage:.3f}, risk {risk:.3f}"
        )
    full = fit(parts[0] + parts[1] + shop, FEATURES, args.c)
    out = {
        "version": datetime.now(UTC).date().isoformat(),
        "encoders": ["use", "e5"],
        "retrieval": as_json(full),
        "generated": None,
        "strict": args.strict or round(strict_threshold(unseen, p_unseen, 0.03), 4),
        "strict_policy": args.strict + 0.05
        if args.strict
        else round(strict_threshold(unseen, p_unseen, 0.02), 4),
        "fitted_on": {"questions": len(unseen) + len(shop), "shops": 4 * args.shops},
    }
    if args.replies:
        rows = [json.loads(line) for line in args.replies.read_text().splitlines()]
        out["generated"] = as_json(fit(rows, (*FEATURES, *GENERATED_FEATURES), args.c))
    args.out.write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")
    print(f"written: {args.out}")
    for n, w in sorted(zip(full.names, full.weight, strict=True), key=lambda x: -abs(x[1])):
        print(f"  {n:22s} {w:+.2f}")


if __name__ == "__main__":
    main()
