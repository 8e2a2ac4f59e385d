"""Write an invented shop to a folder: articles in zh and en and questions about them.

    python scripts/make_shop.py --seed 77 --out DIR [--held-out]
    kefu evaluate answers --knowledge DIR/knowledge --questions DIR/questions.jsonl

`--held-out` uses only topics that no training dialogue of the generator speaks of.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

from bot.generator.dialogues import make_shop
from bot.generator.finetune import held_out_topics


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--questions", type=int, default=None, help="at most so many, drawn evenly")
    args = parser.parse_args()
    lines = []
    for language in ("zh", "en"):
        topics = held_out_topics() if args.held_out else None
        shop = make_shop(args.seed, language, topics=topics)  # type: ignore[arg-type]
        for chunk in shop.chunks:
            path = args.out / "knowledge" / language / f"{chunk.article_id.replace(' ', '-')}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            number = shop.chunks.index(chunk)
            risk = f"risk: {chunk.risk}\n" if chunk.risk else ""
            front = f"---\nid: {language}-{number}\nlanguage: {language}\n{risk}---\n"
            path.write_text(f"{front}# {chunk.title}\n## {chunk.heading}\n{chunk.text}\n", encoding="utf-8")
        names = {c.id: f"{language}-{n}" for n, c in enumerate(shop.chunks)}
        for q in shop.questions:
            line = {"id": q.id, "language": language, "question": q.question, "answerable": q.answerable,
                    "gold": list(q.gold), "evidence": [names[e] for e in q.evidence], "kind": q.kind}  # fmt: skip
            lines.append(json.dumps(line, ensure_ascii=False))
    random.Random(args.seed).shuffle(lines)
    (args.out / "questions.jsonl").write_text("\n".join(lines[: args.questions]) + "\n", encoding="utf-8")
    print(f"{args.out}: {len(lines[: args.questions])} questions")


if __name__ == "__main__":
    main()
