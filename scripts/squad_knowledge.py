"""Turn a file of reading questions in the form of SQuAD 2.0 into articles and questions for `kefu evaluate answers`.

    python scripts/squad_knowledge.py dev-v2.0.json --language en --out DIR
    kefu evaluate answers --knowledge DIR/knowledge --questions DIR/questions.jsonl

Every paragraph becomes a section, with one question that it answers and one that it does not: what is asked on
purpose in a paragraph's own words with one thing changed is the hardest there is to keep silent on. Titles and
paragraphs are drawn with `--seed`. The form: Rajpurkar et al. 2018, "Know What You Don't Know".
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LONGEST = 1500  # characters of a paragraph


def read_titles(path: Path) -> list[dict[str, Any]]:
    """The file's titles with their paragraphs.

    Raises:
        SystemExit: it is not in the form of SQuAD 2.0.
    """
    try:
        titles = json.loads(path.read_text(encoding="utf-8"))["data"]
        for title in titles:
            for paragraph in title["paragraphs"]:
                if not isinstance(paragraph["context"], str) or not isinstance(paragraph["qas"], list):
                    raise TypeError(f"a paragraph of {title['title']!r}")
        return list(titles)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        sys.exit(f"{path} is not in the form of SQuAD 2.0 (data, title, paragraphs, context, qas): {exc!r}")


def sections_of(
    title: dict[str, Any], name: str, language: str, most: int, rng: random.Random
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Sections of Markdown, each with its questions, `most` at the most."""
    about = title["title"].replace("_", " ").strip()
    fit = [p for p in title["paragraphs"] if len(p["context"]) <= LONGEST]
    for number, paragraph in enumerate(rng.sample(fit, min(most, len(fit))), start=1):
        heading = f"{about} ({number})"
        answered = [q for q in paragraph["qas"] if not q.get("is_impossible") and q["answers"]]
        others = [q for q in paragraph["qas"] if q.get("is_impossible")]
        asked = []
        for kind in (answered, others):
            for q in rng.sample(kind, min(1, len(kind))):
                gold = sorted({a["text"].strip() for a in q["answers"]}) if kind is answered else []
                evidence = [f"{name}#{heading}"] if kind is answered else []
                asked.append({"id": q["id"], "language": language, "question": q["question"].strip(),
                              "answerable": kind is answered, "gold": gold, "evidence": evidence})  # fmt: skip
        yield f"## {heading}\n{' '.join(paragraph['context'].split())}\n", asked


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--language", choices=("zh", "en"), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--titles", type=int, default=12)
    parser.add_argument("--paragraphs", type=int, default=10, help="of each title, at most")
    parser.add_argument("--seed", type=int, default=3)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    titles = read_titles(args.file)
    questions: list[dict[str, Any]] = []
    folder = args.out / "knowledge"
    folder.mkdir(parents=True, exist_ok=True)
    for number, title in enumerate(rng.sample(titles, min(args.titles, len(titles)))):
        name = f"{args.language}-{number}"
        parts = [
            f"---\nid: {name}\nlanguage: {args.language}\n---\n# {title['title'].replace('_', ' ').strip()}\n"
        ]
        for text, asked in sections_of(title, name, args.language, args.paragraphs, rng):
            parts.append(text)
            questions += asked
        (folder / f"{name}.md").write_text("\n".join(parts), encoding="utf-8")
    lines = (json.dumps(q, ensure_ascii=False) + "\n" for q in questions)
    (args.out / "questions.jsonl").write_text("".join(lines), encoding="utf-8")
    answered = sum(q["answerable"] for q in questions)
    print(f"{args.out}: {answered} questions that a paragraph answers, {len(questions) - answered} others")


if __name__ == "__main__":
    main()
