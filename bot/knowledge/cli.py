"""`kefu knowledge check` and `kefu knowledge search`: for the people who write the articles."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from bot.knowledge.evaluation import retrieval
from bot.message import Language

knowledge = typer.Typer(
    help="Check, search and measure the shop's articles.", no_args_is_help=True, add_completion=False
)

knowledge.command("evaluate")(retrieval)

DirArgument = Annotated[
    Path | None, typer.Argument(metavar="[DIR]", help="Folder of articles; the shop's own when left out.")
]
DirOption = Annotated[
    Path | None, typer.Option("--dir", help="Folder of articles; the shop's own when left out.")
]


def chosen(folder: Path | None) -> Path:
    """The folder named, or the one of the settings."""
    from bot.knowledge.base import default_folder

    return folder if folder is not None else default_folder()


@knowledge.command()
def check(folder: DirArgument = None) -> None:
    """Check every article; name file, line and remedy of what is wrong."""
    from bot.generator.injection import looks_like_injection
    from bot.knowledge.articles import missing_translations
    from bot.knowledge.base import read_folder

    place = chosen(folder)
    articles, problems = read_folder(place)
    for problem in problems:
        typer.secho(problem, fg="red", err=True)
    for warning in missing_translations(articles):
        typer.secho(f"{place / warning} (warning)", fg="yellow", err=True)
    for chunk in (one for article in articles for one in article.chunks):
        for line in filter(looks_like_injection, chunk.text.splitlines()):
            said = f"{place / chunk.path}:{chunk.line}: talks to the assistant and is left out of answers: {line.strip()[:80]}"
            typer.secho(f"{said} (warning). Reword it if it is meant for shoppers.", fg="yellow", err=True)
    counts = {
        language: (len(mine), sum(len(article.chunks) for article in mine))
        for language in ("zh", "en")
        if (mine := [article for article in articles if article.language == language])
    }
    for language, (files, chunks) in counts.items():
        typer.echo(f"{language}: {files} articles, {chunks} questions and clauses")
    if problems:
        typer.secho(
            f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in {place}", fg="red", err=True
        )
        raise typer.Exit(1)


@knowledge.command()
def search(
    query: Annotated[str, typer.Argument(help="The shopper's words.")],
    folder: DirOption = None,
    language: Annotated[str | None, typer.Option(help="zh or en; that of the query when left out.")] = None,
    product: Annotated[str | None, typer.Option(help="Only articles for this product id or for all.")] = None,
    at: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day on which the article must hold; today.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show what a question finds, with the score of every method."""
    from bot.knowledge.base import Knowledge
    from bot.knowledge.passages import answering_words

    if language not in (None, "zh", "en"):
        raise typer.BadParameter(
            f"'{language}' is not a language of Kefu. Use zh or en.", param_hint="--language"
        )
    wanted: Language | None = "zh" if language == "zh" else "en" if language == "en" else None
    day: date | None = at.date() if at is not None else None
    retriever = Knowledge.load(chosen(folder)).retriever()
    hits = retriever.search(query, language=wanted, product=product, at=day, limit=limit)
    said = answering_words(query, hits[0]) if hits else None
    if as_json:
        found = [
            {
                "rank": hit.rank,
                "chunk": hit.chunk.id,
                "title": hit.chunk.title,
                "heading": hit.chunk.heading,
                "text": hit.chunk.text,
                "file": f"{hit.chunk.path.as_posix()}:{hit.chunk.line}",
                "score": round(hit.score, 4),
                "bm25": round(hit.bm25, 4),
                "concepts": round(hit.concepts, 4),
                "dense": {name: round(value, 4) for name, value in hit.dense.items()},
                "ranks": dict(hit.ranks),
            }
            for hit in hits
        ]
        typer.echo(json.dumps({"query": query, "passage": said, "hits": found}, ensure_ascii=False, indent=2))
        return
    if not hits:
        typer.echo("Nothing found.")
        return
    for hit in hits:
        dense = " ".join(f"{name} {value:.2f}" for name, value in hit.dense.items())
        typer.secho(f"{hit.rank}. {' > '.join(hit.chunk.heading_path)}", bold=True)
        typer.echo(f"   {hit.chunk.id}  {hit.chunk.path}:{hit.chunk.line}")
        typer.echo(f"   score {hit.score:.2f}  bm25 {hit.bm25:.2f}  concepts {hit.concepts:.2f}  {dense}")
    if said:
        typer.secho("\n" + said, fg="green")
