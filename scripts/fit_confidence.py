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
from bot.knowledge.base import Knowledge, default_cache
from bot.knowledge.encoders import EmbeddingCache
from bot.knowledge.hybrid import HybridRetriever

# Features that mean the same in a shop of thirty sections and in one of five hundred.
FEATURES = (
    "e5_heading", "e5_text", "e5_standard", "e5_margin", "use_heading", "use_text", "use_standard", "use_margin",
    "sentence", "words", "words_margin", "words_worst", "words_shop", "words_shop_worst", "bm25_margin", "score_margin",
    "rank_agreement", "covered", "unknown", "concepts", "concepts_covered", "concepts_asked", "kind", "named_missing",
    "length", "zh",
)  # fmt: skip
# What is left while the articles have no vectors yet.
LEXICAL = (
    "covered", "covered_title", "unknown", "bm25", "bm25_share", "bm25_margin", "concepts", "concepts_covered",
    "concepts_asked", "heading_in_question", "kind", "named_missing", "length", "zh",
)  # fmt: skip
# How much each kind of synthetic question counts. A shop is asked about what it does not say ("outside") far
# more often than synthetic shops are, and far less often about a neighbour of what it does say ("near").
WEIGHTS = {"near": 0.5, "deleted": 0.7, "outside": 2.0, "missing_fact": 0.5}
FLAT = Logistic(("text",), (0.0,), (1.0,), (0.0,), 0.0)


def rows_of(seed: int, language: str, topics: list[str], cache: EmbeddingCache) -> list[dict[str, Any]]:
    """Features and label of every question to one shop."""
    shop = make_shop(seed, language, topics=topics)  # type: ignore[arg-type]
    answerer = Answerer(HybridRetriever(shop.chunks, cache=cache), shop.chunks, Fusion(FLAT, None, 0.0, 0.0))
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


def rows_of_parts(
    knowledge: Path, questions: Path, half: int, count: int, cache: EmbeddingCache
) -> list[dict[str, Any]]:
    """The same for parts of a real knowledge base: small shops of some of its articles each.

    Every second article belongs to the other half and never occurs. A question about an article that a part
    lacks is unanswerable there ("deleted"). Right when the answering chunk is quoted.
    """
    base = Knowledge.load(knowledge)
    asked = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines() if line.strip()]
    names = sorted({c.article_id for c in base.chunks})
    random.Random(3).shuffle(names)
    mine = names[half::2]
    rows = []
    for number in range(count):
        language = ("zh", "en")[number % 2]
        rng = random.Random(f"{half}-{number}")
        taken = set(rng.sample(mine, rng.randint(8, 18)))
        chunks = [c for c in base.chunks if c.language == language and c.article_id in taken]
        answerer = Answerer(HybridRetriever(chunks, cache=cache), chunks, Fusion(FLAT, None, 0.0, 0.0))
        for q in asked:
            if q["language"] != language:
                continue
            articles = {c.article_id for c in base.chunks for e in q["evidence"] if c.is_named_by(e)}
            answerable = bool(articles) and articles <= taken
            if (
                articles
                and not answerable
                and (articles & taken or not articles <= set(mine) or rng.random() > 0.1)
            ):
                continue
            if not articles and rng.random() > 0.3:  # one part in three is asked a question from outside
                continue
            found = asyncio.run(answerer.answer(q["question"], language=language))  # type: ignore[arg-type]
            if found.candidates:
                voice = found.candidates[0]
                quoted = [base.chunk(one) for one in voice.evidence]
                right = answerable and any(c.is_named_by(e) for c in quoted for e in q["evidence"])
                rows.append({"x": voice.features, "right": right, "answerable": answerable, "kind": "part" if answerable else "deleted" if articles else "not_said",
                             "language": language, "question": q["question"]})  # fmt: skip
    return rows


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
    parser.add_argument("--knowledge", type=Path, default=None, help="real articles to fit on as well")
    parser.add_argument("--questions", type=Path, default=None, help="questions about them")
    parser.add_argument("--parts", type=int, default=10, help="small shops made of each half of them")
    parser.add_argument(
        "--strict", type=float, default=None, help="threshold of strict mode; default: 3 %% of hard negatives"
    )
    parser.add_argument("--replies", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=FUSION_FILE)
    args = parser.parse_args()
    names = topic_names()
    random.Random(7).shuffle(names)
    halves = [names[: len(names) // 2], names[len(names) // 2 :]]
    cache = EmbeddingCache(default_cache())
    parts = [
        [row for s in range(args.shops) for language in ("zh", "en") for row in rows_of(1000 * (h + 1) + s, language, half, cache)]
        for h, half in enumerate(halves)
    ]  # fmt: skip
    if args.knowledge and args.questions:
        for h, rows in enumerate(parts):
            rows += rows_of_parts(args.knowledge, args.questions, h, args.parts, cache)
    unseen, p_unseen = [], []
    for train, test in ((parts[0], parts[1]), (parts[1], parts[0])):
        model = fit(train, FEATURES, args.c)
        unseen += test
        p_unseen += [model(r["x"]) for r in test]
    report("unseen topics and articles", unseen, p_unseen)
    words = [
        p
        for train, test in ((parts[0], parts[1]), (parts[1], parts[0]))
        for p in map(fit(train, LEXICAL, args.c), (r["x"] for r in test))
    ]
    report("  by words alone", unseen, words)
    real = {"part", "deleted", "not_said"}
    for name, wanted in (
        ("  zh", lambda r: r["language"] == "zh"),
        ("  en", lambda r: r["language"] == "en"),
        ("  parts of the real shop", lambda r: r["kind"] in real and "text" not in r),
        ("  invented shops", lambda r: "text" in r),
    ):
        chosen = [i for i, r in enumerate(unseen) if wanted(r)]
        if chosen:
            report(name, [unseen[i] for i in chosen], [p_unseen[i] for i in chosen])
    for single in ("e5_text", "use_text", "words", "e5_margin", "covered", "length"):
        print(
            f"  {single} alone: AUROC {auroc([r['x'][single] for r in unseen], [not r['right'] for r in unseen]):.3f}"
        )
    for allowed in (0.02, 0.03, 0.04, 0.05, 0.08, 0.12):
        t = strict_threshold(unseen, p_unseen, allowed)
        kept = [r for r, p in zip(unseen, p_unseen, strict=True) if p >= t]
        coverage = sum(r["answerable"] for r in kept) / sum(r["answerable"] for r in unseen)
        risk = np.mean([not r["right"] for r in kept])
        print(
            f"  unanswerable answered <= {allowed:.0%}: p >= {t:.3f}, answerable answered {coverage:.3f}, risk {risk:.3f}"
        )
    full = fit(parts[0] + parts[1], FEATURES, args.c)
    out = {
        "version": datetime.now(UTC).date().isoformat(),
        "encoders": ["use", "e5"],
        "retrieval": as_json(full),
        "lexical": as_json(fit(parts[0] + parts[1], LEXICAL, args.c)),
        "generated": None,
        "strict": args.strict or round(strict_threshold(unseen, p_unseen, 0.03), 4),
        "strict_policy": round(args.strict + 0.03, 4)
        if args.strict
        else round(strict_threshold(unseen, p_unseen, 0.02), 4),
        "fitted_on": {"questions": len(unseen), "shops": 4 * args.shops},
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
