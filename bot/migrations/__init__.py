"""Brings Kefu's own database to the shape this version needs.

`upgrade` runs at the start of every program that opens the database; two that start together wait for
one another. A new revision is written by `python -m bot.migrations "What changed"`, which compares the
declared tables with what the revisions so far make.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.exceptions import SettingsError

# Every module that declares tables on bot.database.metadata. Imported only to write a revision and by
# the test that compares; a running program needs the revisions alone.
TABLE_MODULES: tuple[str, ...] = (
    "bot.handoff.cases",
    "bot.handoff.labels",
    "bot.handoff.ownership",
    "bot.handoff.promises",
    "bot.handoff.timers",
    "bot.identity.guard",
    "bot.identity.links",
    "channels.desk.plans",
    "channels.desk.staff",
    "channels.desk_adapters.bridge",
    "channels.limits",
    "channels.tables",
    "channels.telegram",
    "channels.wechat.allowance",
    "channels.wechat.api",
    "channels.wecom.channel",
)

VERSION_TABLE = "kefu_version"
_LOCK = 7_265_702  # any number that nobody else uses for PostgreSQL's advisory locks


async def upgrade(engine: AsyncEngine) -> None:
    """Make or change tables until they fit this version.

    Raises:
        SettingsError: they are of a version that is newer than this one.
    """
    async with _one_at_a_time(engine), engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        await connection.run_sync(_upgrade)


def _upgrade(connection: Any) -> None:
    try:
        command.upgrade(make_config(connection), "head")
    except CommandError as exc:
        if not isinstance(exc.__cause__, ResolutionError):
            raise
        # The database names a revision that is not among ours.
        raise SettingsError(
            f"The database was made by a newer Kefu (its revision is {exc.__cause__.argument}). "
            "Remedy: install that version, or restore a backup."
        ) from exc


def make_config(connection: Any) -> Config:
    """Alembic's configuration for an open connection; there is no alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


@contextlib.asynccontextmanager
async def _one_at_a_time(engine: AsyncEngine) -> AsyncIterator[None]:
    """SQLite makes tables outside transactions, so programs wait for each other at a file beside it.

    They wait in a thread: whoever holds the file may be another task of this very event loop.
    """
    database = engine.url.database
    if engine.dialect.name != "sqlite" or not database or database == ":memory:":
        yield
        return
    with Path(f"{database}.upgrade").open("w") as file:  # noqa: ASYNC230 - an empty file, once at the start
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        yield
