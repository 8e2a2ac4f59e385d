"""`kefu privacy`: find, mask, measure, export, erase, purge, rotate keys, look at receipts and accesses.

Every command that shows or removes a transcript is written into the log of accesses first.
"""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.exceptions import PrivacyError
from bot.settings import Settings, get_settings

privacy = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
    help="Mask, export, erase and purge personal data.",
)  # fmt: skip

Who = Annotated[
    str, typer.Argument(help="Conversation id, the shopper's id on the platform, or customer id.")
]


def _run(work: Callable[[AsyncEngine, Settings], Awaitable[Any]]) -> Any:
    """Open the database with the keys of the settings, bring it up to date, work, close."""
    from bot.database import make_engine
    from bot.migrations import upgrade

    async def run() -> Any:
        settings = get_settings()
        engine = make_engine(settings.sqlalchemy_url, settings.privacy)
        try:
            await upgrade(engine)
            return await work(engine, settings)
        finally:
            await engine.dispose()

    return asyncio.run(run())


def _me() -> str:
    return f"cli:{getpass.getuser()}"


@privacy.command()
def find(who: Who) -> None:
    """List a shopper's conversations without their contents."""
    from bot.privacy.access import log_access
    from bot.privacy.subjects import find_subject

    async def work(engine: AsyncEngine, _: Settings) -> Any:
        async with engine.connect() as connection:
            subject = await find_subject(connection, who)
        for conversation in subject.ids:
            await log_access(engine, _me(), conversation, "find")
        return subject

    subject = _run(work)
    for one in subject.conversations:
        typer.echo(f"{one['id']}  {one['channel']}:{one['account']}  customer {one['customer'] or '-'}")
    typer.echo(f"{len(subject.conversations)} conversations, {len(subject.media)} files.")


@privacy.command("export")
def export_(
    who: Who,
    out: Annotated[Path, typer.Option("--out", help="Folder to write to; must not exist.")],
    masked: Annotated[
        bool, typer.Option("--masked", help="Replace personal data by its kind; no media.")
    ] = False,
) -> None:
    """Write everything on record about a shopper: export.json and media/."""
    from bot.privacy.access import log_access
    from bot.privacy.export import export
    from bot.privacy.subjects import find_subject

    if out.exists():
        raise PrivacyError(f"{out} exists already: name a new folder, so that nothing is mixed up")

    async def work(engine: AsyncEngine, settings: Settings) -> Any:
        async with engine.connect() as connection:
            subject = await find_subject(connection, who)
        for conversation in subject.ids:
            await log_access(engine, _me(), conversation, "export")
        return await export(engine, settings, who, out, masked=masked)

    done = _run(work)
    typer.echo(
        f"{sum(done['rows'].values())} rows of {len(done['rows'])} tables and {done['media']} files: {out}"
    )


@privacy.command("erase")
def erase_(
    who: Who,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase a shopper everywhere, search for what is left, and write a receipt."""
    from bot.privacy.access import log_access
    from bot.privacy.erasure import erase
    from bot.privacy.subjects import find_subject

    async def look(engine: AsyncEngine, _: Settings) -> Any:
        async with engine.connect() as connection:
            return await find_subject(connection, who)

    subject = _run(look)
    if not yes:
        typer.confirm(
            f"Erase {len(subject.ids)} conversations and {len(subject.media)} files for good?", abort=True
        )

    async def work(engine: AsyncEngine, settings: Settings) -> Any:
        for conversation in subject.ids:
            await log_access(engine, _me(), conversation, "erase")
        return await erase(engine, settings, who, by=_me())

    receipt = _run(work)
    for place, count in receipt["erased"].items():
        if count:
            typer.echo(f"{place:<24} {count}")
    for place, outcome in receipt["elsewhere"].items():
        typer.echo(f"{place:<24} {outcome}")
    typer.echo(f"Receipt: {receipt['path']}")
    if not receipt["complete"]:
        raise PrivacyError(f"Not everything is gone; still found in: {', '.join(receipt['left'])}")


@privacy.command("purge")
def purge_() -> None:
    """Remove what is older than its retention time (privacy.retention)."""
    from bot.privacy.retention import purge

    for place, count in _run(purge).items():
        typer.echo(f"{place:<10} {count}")


@privacy.command("receipts")
def receipts_() -> None:
    """Check that no receipt of an erasure was changed or taken out.

    Each names the hash of the one before it; nobody vouches for the newest, so its hash is printed to be kept elsewhere.
    """
    from bot.privacy.erasure import check_receipts

    folder = get_settings().data_path("privacy", "receipts", "x").parent
    wrong = check_receipts(folder) if folder.is_dir() else []
    if wrong:
        raise PrivacyError("; ".join(wrong))
    receipts = sorted(folder.glob("*.json"))
    typer.echo(f"{len(receipts)} receipts, the chain is whole.")
    if receipts:
        typer.echo(f"sha256 of the newest: {hashlib.sha256(receipts[-1].read_bytes()).hexdigest()}")


@privacy.command()
def mask(
    names: Annotated[list[str] | None, typer.Option("--name", help="A name that may occur.")] = None,
) -> None:
    """Mask what comes in on standard input."""
    from bot.privacy.masking import mask_text

    for line in sys.stdin:
        typer.echo(mask_text(line, names or ()), nl=False)


@privacy.command("measure")
def measure_(
    data: Annotated[Path, typer.Option("--data", help="Labelled texts, presidio-research JSON.")],
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure the masking on labelled texts."""
    from bot.privacy.measure import measure, render

    measured = measure(data)
    typer.echo(json.dumps(measured, indent=2) if as_json else render(measured))


@privacy.command()
def key() -> None:
    """Make a key for privacy.keys or privacy.key_file."""
    from cryptography.fernet import Fernet

    typer.echo(Fernet.generate_key().decode())


@privacy.command("rotate")
def rotate_() -> None:
    """Write everything that is stored again under the first key (also after switching encryption on)."""
    from bot.privacy.rotation import rotate

    for place, count in _run(rotate).items():
        typer.echo(f"{place:<28} {count}")
