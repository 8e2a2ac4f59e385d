"""`kefu`: one command, a subcommand per program and per job.

Each subcommand lives in the module that does the work and is imported only when it is called, so
that `--help` answers at once. A module listed here offers a function of the given name that Typer
can turn into a command.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from bot.exceptions import KefuError

# name -> (module, attribute, one line of help)
COMMANDS: dict[str, tuple[str, str, str]] = {
    "up": ("bot.programs", "up", "Start everything on this machine."),
    "chat": ("bot.chat", "chat", "Talk to the running assistant in the terminal."),
    "doctor": ("bot.doctor", "doctor", "Check the installation and say what to do."),
    "train": ("bot.training", "train", "Train the dialogue model when its data changed."),
    "test": ("bot.conversation_tests", "run", "Run the conversation tests."),
    "bench": ("bot.bench", "app", "Measure the running programs."),
    "evaluate": ("bot.evaluate", "app", "Measure the assistant on your own files."),
    "shop": ("bot.orders.shop.app", "serve", "Run the demo shop alone."),
    "gateway": ("channels.app", "cli", "Run the gateway alone; see parked messages."),
    "desk": ("channels.desk.app", "cli", "Look after the people at the desk."),
    "release": ("channels.app", "release", "Give a conversation back to the bot."),
    "dialogue": ("bot.programs", "dialogue", "Run Rasa alone."),
    "actions": ("bot.programs", "actions", "Run the action server alone."),
    "explain": ("bot.explain", "explain", "Say why each reply of a conversation was given."),
    "privacy": ("bot.privacy.cli", "privacy", "Mask, export, erase and purge personal data."),
    "report": ("bot.report", "report", "Count what the assistant really solved."),
    "knowledge": ("bot.knowledge.cli", "knowledge", "Check and search the shop's articles."),
    "generator": ("bot.generator.server", "serve", "Run the generator alone."),
    "finetune": ("bot.generator.finetune", "finetune", "Make an adapter for the generator from dialogues."),
    "calibrate": ("bot.generator.calibrate", "calibrate", "Certify the threshold for answering alone."),
}
# What these make holds no word of a shopper, and one account may make it for another, as when an image is built.
READABLE_BY_ALL = {"train", "knowledge"}


class LazyGroup(TyperGroup):
    """A group that imports a subcommand's module when it is used."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module_name, attribute, summary = COMMANDS[cmd_name]
        if cmd_name not in sys.argv[1:]:  # only listed, not called
            return typer.main.get_command(_stub(cmd_name, summary))
        target: Any = getattr(importlib.import_module(module_name), attribute)
        if isinstance(target, typer.Typer):
            return typer.main.get_command(target)
        command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        command.command(name=cmd_name, help=target.__doc__ or summary)(target)
        return typer.main.get_command(command)


def _stub(name: str, summary: str) -> typer.Typer:
    """What the list of commands shows, without importing the command."""
    stub = typer.Typer(add_completion=False)

    @stub.command(name=name, help=summary)
    def _() -> None: ...

    return stub


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def kefu() -> None:
    """Kefu (客服): after-sales assistant for online shops."""


def main() -> None:
    """Entry point. Errors that somebody can mend end in one clear line, never in a stack trace.

    What a command and the programs it starts write is their account's alone: nearly all of it is somebody's words.
    """
    if not READABLE_BY_ALL.intersection(sys.argv[1:2]):
        os.umask(0o077)
    try:
        app()
    except KefuError as exc:
        said = str(exc)
    except Exception as exc:
        if os.environ.get("KEFU_LOG__LEVEL", "").lower() == "debug" or not _from_outside(exc):
            raise
        said = (
            f"{_first_line(exc)} Remedy: `kefu doctor` says what is wrong; KEFU_LOG__LEVEL=debug shows where."
        )
    else:
        return
    typer.secho(f"kefu: {said}", fg="red", err=True)
    sys.exit(1)


def _from_outside(exc: Exception) -> bool:
    """Whether the database or the machine refused. Who raises SQLAlchemy's errors has imported it; `--help` has not."""
    database = sys.modules.get("sqlalchemy.exc")
    return isinstance(exc, OSError) or (database is not None and isinstance(exc, database.SQLAlchemyError))


def _first_line(exc: Exception) -> str:
    """SQLAlchemy adds the statement with what it was to store; an address may hold a password."""
    line = (str(exc).strip().splitlines() or [""])[0]
    return f"{type(exc).__name__}: " + re.sub(r"//[^@/\s]*@", "//...@", line).rstrip(".") + "."


if __name__ == "__main__":
    main()
