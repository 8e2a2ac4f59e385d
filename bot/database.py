"""Kefu's own database: one MetaData, one way to open it, SQLite or PostgreSQL.

Tables are declared beside the code that owns them, on `metadata`. Times are integers,
milliseconds since 1970-01-01 UTC (`now_ms`), because SQLite has no time zone.
This module knows no table.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from sqlalchemy import BigInteger, MetaData, Table, bindparam, event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from bot.clock import now_ms as now_ms
from bot.exceptions import SettingsError
from bot.settings import PrivacySettings
from bot.sqlite import Driver

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def make_engine(url: str, privacy: PrivacySettings | None = None) -> AsyncEngine:
    """Open the database. SQLite runs in WAL mode and waits for a lock instead of failing.

    `privacy` names the keys under which texts are stored; without them sealed rows cannot be read.

    Raises:
        PrivacyError: a key is not one.
    """
    if url.startswith("sqlite"):
        # "aiosqlite" in the address is SQLAlchemy's word for SQLite with asyncio; the driver is ours (bot.sqlite).
        # SQLAlchemy 1.4 keeps no connection to an SQLite file: four PRAGMAs for each statement. Connections are
        # cheap; too few of them would let readers wait for one another, and time out under load.
        pool: dict[str, Any] = (
            {} if ":memory:" in url else {"poolclass": AsyncAdaptedQueuePool, "pool_size": 32}
        )
        engine = create_async_engine(url, future=True, module=Driver(), **pool)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    else:
        engine = create_async_engine(url, future=True, pool_pre_ping=True)
    if privacy is not None:
        from bot.privacy.cipher import attach, load_cipher

        attach(engine, load_cipher(privacy))
    return engine


@contextlib.contextmanager
def opening(engine: AsyncEngine) -> Iterator[None]:
    """Around the first statements of a program: what goes wrong there is the database's, and is told in one line.

    Raises:
        SettingsError: it does not answer, refuses us, is no database, or has no room left.
    """
    trouble: tuple[type[Exception], ...] = (OSError, SQLAlchemyError)
    if engine.dialect.name == "postgresql":
        import asyncpg  # SQLAlchemy passes on as they are what it raises while it connects

        trouble += (asyncpg.PostgresError, asyncpg.InterfaceError)
    try:
        yield
    except trouble as exc:
        cause = exc.orig if isinstance(exc, DBAPIError) else exc
        reason = (str(cause).splitlines() or [type(cause).__name__])[0]
        raise SettingsError(
            f"The database cannot be opened: {reason.rstrip('.')}. Remedy: start it, free some space, or correct "
            "database_url; `kefu doctor` looks at it too."
        ) from exc


@functools.cache
def insert_or(table: Table, otherwise: str, *numbers: str) -> Any:
    """INSERT ... ON CONFLICT `otherwise`; execute it with the row, and with the 64-bit `numbers` named in it (:name).

    The words are the same for SQLite and PostgreSQL. SQLAlchemy 1.4 compiles the inserts of its own dialects anew at
    every call, which cost more than all the rest of a message; it keeps this one like any other statement.
    """
    statement = table.insert()
    clause = text(f"ON CONFLICT {otherwise}")
    # typed: the driver would take a plain number in an expression for a 32-bit one
    clause = clause.bindparams(*(bindparam(name, type_=BigInteger) for name in numbers))
    statement._post_values_clause = clause
    return statement


def insert_once(table: Table, *columns: str) -> Any:
    """INSERT that does nothing when a row with these columns is there already (rowcount 0)."""
    names = ", ".join(f'"{column}"' for column in columns)
    return insert_or(table, f"({names}) DO NOTHING")


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # an acknowledged message survives a power cut
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


async def create_tables(engine: AsyncEngine) -> None:
    """Make the tables that are missing. Programs call `migrations.upgrade`; tests may call this."""
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
