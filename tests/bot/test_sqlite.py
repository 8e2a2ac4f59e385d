"""The embedded database's driver: rows as from any other, and an event loop that never waits for a lock."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, String, Table, event, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import MetaData, insert_once, make_engine
from bot.sqlite import at_once

things = Table("things", MetaData(), Column("id", Integer, primary_key=True), Column("name", String(16)))


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path}/things.db")
    async with engine.begin() as connection:
        await connection.run_sync(things.metadata.create_all)
    yield engine
    await engine.dispose()


async def names(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        return list((await connection.execute(select(things.c.name).order_by(things.c.id))).scalars())


async def test_what_was_written_is_read_and_what_was_rolled_back_is_not(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(things.insert(), [{"id": 1, "name": "一"}, {"id": 2, "name": "two"}])

    async def one_of_them_twice() -> None:
        async with engine.begin() as connection:
            await connection.execute(things.insert().values(id=3, name="three"))
            await connection.execute(things.insert().values(id=1, name="again"))

    with pytest.raises(IntegrityError):
        await one_of_them_twice()

    assert ["一", "two"] == await names(engine)


async def test_a_row_that_is_there_is_not_written_again(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        first = await connection.execute(insert_once(things, "id"), {"id": 1, "name": "first"})
        second = await connection.execute(insert_once(things, "id").values(id=1, name="second"))

    assert (1, 0) == (first.rowcount, second.rowcount)
    assert ["first"] == await names(engine)


async def test_a_short_transaction_visits_a_thread_for_the_lock_and_for_the_disk_only(
    engine: AsyncEngine,
) -> None:
    async def threads(quick: bool, first: int) -> list[bool]:
        ran: list[bool] = []
        async with engine.begin() as connection:
            if quick:
                at_once(connection)
            raw = connection.sync_connection.connection.dbapi_connection
            raw.create_function("seen", 0, lambda: ran.append(threading.current_thread() is me) or 1)
            for n in range(first, first + 3):
                await connection.execute(text(f"INSERT INTO things VALUES ({n} * seen(), 'x')"))
        return ran

    me = threading.current_thread()

    assert [False, True, True] == await threads(True, 1)
    assert [False, False, False] == await threads(False, 4)  # the next transaction has to ask again


async def test_waiting_for_another_programs_lock_stops_nobody_else(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "things.db", check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    async def write() -> None:
        async with engine.begin() as connection:
            at_once(connection)
            await connection.execute(things.insert().values(id=1, name="late"))

    writing = asyncio.create_task(write())
    slowest, last = 0.0, time.perf_counter()
    for _ in range(20):
        await asyncio.sleep(0.01)
        assert [] == await names(engine)
        slowest, last = max(slowest, time.perf_counter() - last), time.perf_counter()
    assert not writing.done()
    other.rollback()
    await writing

    assert ["late"] == await names(engine)
    assert slowest < 2, "somebody waited for the lock"
    other.close()


async def test_a_task_that_is_cancelled_in_the_middle_leaves_a_good_connection(engine: AsyncEngine) -> None:
    async def slow() -> None:
        async with engine.begin() as connection:
            raw = connection.sync_connection.connection.dbapi_connection
            raw.create_function("doze", 0, lambda: time.sleep(0.3) or 1)
            await connection.execute(text("INSERT INTO things VALUES (9 * doze(), 'never')"))

    for _ in range(3):
        task = asyncio.create_task(slow())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with engine.begin() as connection:
        await connection.execute(things.insert().values(id=1, name="after"))

    assert ["after"] == await names(engine)


async def test_many_readers_at_once_share_the_connections(engine: AsyncEngine) -> None:
    opened: list[int] = []
    event.listen(engine.sync_engine, "connect", lambda *_: opened.append(1))
    for _ in range(3):
        await asyncio.gather(*(names(engine) for _ in range(30)))

    assert len(opened) <= 32, "connections are opened and thrown away again"


async def test_a_lock_that_is_never_given_back_is_an_error(engine: AsyncEngine, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "things.db")
    other.execute("BEGIN IMMEDIATE")

    async def write() -> None:
        async with engine.begin() as connection:
            await connection.execute(text("PRAGMA busy_timeout=50"))
            await connection.execute(things.insert().values(id=1, name="x"))

    with pytest.raises(OperationalError, match="locked"):
        await write()
    other.rollback()
    other.close()
