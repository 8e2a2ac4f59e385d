"""`kefu evaluate`: measure the trained assistant on files of your own.

Each subcommand imports its module when it is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Measure the assistant on your own files.")


@app.callback()
def evaluate() -> None:
    """Measure the assistant on your own files."""


@app.command()
def nlu(
    csv: Annotated[Path, typer.Option(help="A CSV or TSV file with a header.")],
    text_column: Annotated[str, typer.Option(help="Column of the messages.")] = "text",
    label_column: Annotated[
        str, typer.Option(help="Column of the intents; several right ones: a|b.")
    ] = "label",
    alt_column: Annotated[
        str | None, typer.Option(help="Column of a second right intent [alt_label, if there is one].")
    ] = None,
    label_map: Annotated[
        Path | None, typer.Option("--map", help="YAML or JSON: {our intent: label of the file}.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Model archive [the present one].")] = None,
    html: Annotated[Path | None, typer.Option(help="Where the report goes [data folder].")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many rows, evenly drawn.")] = None,
    errors: Annotated[int, typer.Option(min=0, help="Wrong rows listed in the report.")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")] = False,
) -> None:
    """How well messages are understood: accuracy, calibration, fallbacks, latency, with a report to read."""
    from bot.evaluation.nlu import run

    run(csv, text_column, label_column, alt_column, label_map, model, html, limit, errors, as_json)


@app.command()
def pipelines(
    data: Annotated[Path | None, typer.Option(help="Folder of labelled files [KEFU_EVAL_DATA].")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only these pipelines, by name.")] = None,
    with_diet: Annotated[bool, typer.Option(help="Also the two with DIET: many minutes each.")] = False,
    examples: Annotated[
        int | None, typer.Option(min=500, help="Train on so many examples, evenly drawn [all].")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Print what was measured before.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Train several pipelines on the same examples and print one table of what each is worth."""
    from bot.evaluation.pipelines import run

    run(data, only or [], with_diet, examples, again, as_json)


@app.command()
def robustness(
    model: Annotated[Path | None, typer.Option(help="Model archive [the present one].")] = None,
    csv: Annotated[Path | None, typer.Option(help="Messages to disturb [our own phrasings].")] = None,
    text_column: Annotated[str, typer.Option()] = "text",
    label_column: Annotated[str, typer.Option()] = "label",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """What typing slips, homophones, missing letters, capitals and noise cost in accuracy."""
    from bot.evaluation.robustness import run

    run(model, csv, text_column, label_column, as_json)


@app.command()
def perception(
    data: Annotated[Path | None, typer.Option(help="Folder of labelled files [KEFU_EVAL_DATA].")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """How well mood and language are read, on the files that tell them."""
    from bot.evaluation.perception import run

    run(data, as_json)


@app.command()
def answers(
    knowledge: Annotated[Path, typer.Option(help="Folder with the articles.")],
    questions: Annotated[
        Path, typer.Option(help="JSONL: id, language, question, answerable, gold, evidence.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report with plots here.")] = None,
    details: Annotated[Path | None, typer.Option(help="Write one JSON line per question here.")] = None,
    no_generator: Annotated[
        bool, typer.Option("--no-generator", help="As without the program: no reranker, no phrasing.")
    ] = False,
    own_words: Annotated[
        bool,
        typer.Option("--own-words", help="The reranker reads, and only the articles' own words are said."),
    ] = False,
    url: Annotated[
        str | None, typer.Option(help="Use this running generator instead of one in this process.")
    ] = None,
    adapter: Annotated[str | None, typer.Option(help="Folder of another LoRA adapter.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many questions.")] = None,
) -> None:
    """How well any shop's questions are answered from any shop's articles. Nothing is trained."""
    from bot.generator.evaluation import run

    run(knowledge, questions, as_json, report, details, no_generator, own_words, url, adapter, limit)
