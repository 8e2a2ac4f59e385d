"""SQLite for an event loop: SQLAlchemy's asyncio dialect over `sqlite3` itself, with few visits to a thread.

The usual driver (aiosqlite) sends every call to a thread: cursor, execute, fetch, close, commit. Each visit costs a
round of the event loop and a fight for the interpreter's lock, and all of them are made while everybody else waits
for the write lock. Here a statement is one visit, and inside what `at_once` names a thread is visited only for what may wait: the
first write of a transaction (for another program's lock) and the commit (for the disk). The rest, microseconds each,
is done on the spot.
This module knows no table.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.util.concurrency import await_only

_Result = TypeVar("_Result")


class Driver:
    """What SQLAlchemy calls a DBAPI module, one for each engine."""

    paramstyle = "qmark"
    sqlite_version = sqlite3.sqlite_version
    sqlite_version_info = sqlite3.sqlite_version_info
    PARSE_COLNAMES, PARSE_DECLTYPES = sqlite3.PARSE_COLNAMES, sqlite3.PARSE_DECLTYPES
    Binary = sqlite3.Binary
    Error = sqlite3.Error
    DatabaseError = sqlite3.DatabaseError
    IntegrityError = sqlite3.IntegrityError
    NotSupportedError = sqlite3.NotSupportedError
    OperationalError = sqlite3.OperationalError
    ProgrammingError = sqlite3.ProgrammingError

    def __init__(self) -> None:
        # More threads than connections, or one that waits for the lock could keep its holder from the commit.
        self._threads = ThreadPoolExecutor(max_workers=64, thread_name_prefix="sqlite")

    def connect(self, *args: Any, **options: Any) -> _Connection:
        options["check_same_thread"] = False  # one at a time all the same: see _Connection._locked
        opened = await_only(
            asyncio.get_running_loop().run_in_executor(
                self._threads, partial(sqlite3.connect, *args, **options)
            )
        )
        return _Connection(opened, self._threads)


class _Connection:
    """A connection; from outside it looks like a synchronous one, as SQLAlchemy's greenlets want it."""

    def __init__(self, connection: sqlite3.Connection, threads: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._threads = threads
        self._lock = threading.Lock()
        self.at_once = False

    def run(self, call: Callable[[], _Result], *, reads: bool) -> _Result:
        """Do it: on the spot if that was asked for and no lock is waited for, else in a thread."""
        if self.at_once and (reads or self._connection.in_transaction) and not self._lock.locked():
            await_only(
                _nothing()
            )  # SQLAlchemy insists that a statement of an asyncio driver awaits something
            return call()
        return self._in_thread(call)

    def _in_thread(self, call: Callable[[], _Result]) -> _Result:
        done: asyncio.Future[_Result] = asyncio.get_running_loop().run_in_executor(
            self._threads, self._locked, call
        )
        return await_only(done)  # type: ignore[no-any-return]

    def _locked(self, call: Callable[[], _Result]) -> _Result:
        """A task that is cancelled leaves its statement running: the rollback that follows must not meet it."""
        with self._lock:
            return call()

    def cursor(self, server_side: bool = False) -> _Cursor:
        return _Cursor(self, self._connection)

    def commit(self) -> None:
        self.at_once = False
        if self._lock.locked() or self._connection.in_transaction:
            self._in_thread(self._connection.commit)

    def rollback(self) -> None:
        self.at_once = False
        if self._lock.locked() or self._connection.in_transaction:
            self._in_thread(self._connection.rollback)

    def close(self) -> None:
        self._in_thread(self._connection.close)

    def create_function(self, *args: Any, **options: Any) -> None:
        self._connection.create_function(*args, **options)

    @property
    def isolation_level(self) -> Any:
        return self._connection.isolation_level

    @isolation_level.setter
    def isolation_level(self, level: Any) -> None:
        self._connection.isolation_level = level


async def _nothing() -> None:
    """Over at once."""


class _Cursor:
    """All rows are fetched with the statement, in the same visit."""

    def __init__(self, owner: _Connection, connection: sqlite3.Connection) -> None:
        self._owner = owner
        self._connection = connection
        self._rows: Iterator[Any] = iter(())
        self.arraysize = 1
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.description: Any = None

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        reads = statement.startswith("SELECT")
        self._take(self._owner.run(partial(self._execute, statement, parameters), reads=reads))

    def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> None:
        call = partial(self._execute, statement, parameters, many=True)
        self._take(self._owner.run(call, reads=False))

    def _execute(self, statement: str, parameters: Any, *, many: bool = False) -> Any:
        cursor = self._connection.cursor()
        try:
            (cursor.executemany if many else cursor.execute)(statement, parameters)
            rows = cursor.fetchall() if cursor.description else []
            return cursor.description, rows, cursor.rowcount, cursor.lastrowid
        finally:
            cursor.close()

    def _take(self, result: Any) -> None:
        self.description, rows, self.rowcount, self.lastrowid = result
        self._rows = iter(rows)

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        return [row for row, _ in zip(self._rows, range(size or self.arraysize), strict=False)]

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def close(self) -> None:
        self._rows = iter(())

    def setinputsizes(self, *sizes: Any) -> None:
        """Nothing to set; the interface asks for it."""


def at_once(connection: AsyncConnection) -> None:
    """Until the end of this transaction nothing takes long: look things up, and write once the lock is held, without
    a thread."""
    raw = connection.sync_connection.connection.dbapi_connection
    if isinstance(raw, _Connection):
        raw.at_once = True
