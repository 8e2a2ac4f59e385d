"""The revisions make exactly the tables that are declared, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from bot.database import create_tables, make_engine, metadata
from bot.exceptions import SettingsError
from bot.migrations import TABLE_MODULES, VERSION_TABLE, make_config, upgrade
from bot.settings import PROJECT_ROOT

for module in TABLE_MODULES:
    importlib.import_module(module)


def differences(connection: Any) -> list[Any]:
    context = MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
    )
    return [
        difference for difference in compare_metadata(context, metadata) if "'events'" not in str(difference)
    ]


def test_every_module_that_declares_tables_is_listed() -> None:
    declared = {
        ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts)
        for folder in ("bot", "channels", "actions")
        for path in (PROJECT_ROOT / folder).rglob("*.py")
        if re.search(r"= Table\(\s*\n?\s*\"\w+\",\s*(?:#.*)?\n?\s*metadata", path.read_text(encoding="utf-8"))
    }

    assert declared == set(TABLE_MODULES)


async def test_revisions_make_the_declared_tables(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path}/kefu.db")
    await upgrade(engine)
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()

    assert found == []


async def test_an_upgrade_may_run_twice_at_once_and_over_tables_that_are_there(tmp_path: Path) -> None:
    engines = [make_engine(f"sqlite+aiosqlite:///{tmp_path}/kefu.db") for _ in range(2)]
    await create_tables(engines[0])
    await asyncio.gather(*(asyncio.to_thread(asyncio.run, upgrade(engine)) for engine in engines))
    async with engines[0].connect() as connection:
        assert await connection.run_sync(differences) == []
    for engine in engines:
        await engine.dispose()


async def test_a_database_of_a_newer_version_is_named_with_the_remedy(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path}/kefu.db")
    await upgrade(engine)
    async with engine.begin() as connection:
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(SettingsError, match=r"made by a newer Kefu .*9999.*Remedy: install that version"):
        await upgrade(engine)
    await engine.dispose()


def test_revisions_form_one_line_and_can_be_taken_back() -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    assert len(ScriptDirectory.from_config(make_config(None)).get_heads()) == 1
    with create_engine("sqlite://").begin() as connection:
        command.upgrade(make_config(connection), "head")
        command.downgrade(make_config(connection), "base")
        left = {
            row[0] for row in connection.execute(text("SELECT name FROM sqlite_master WHERE type='table'"))
        }

    assert left <= {VERSION_TABLE, "sqlite_sequence"}


@pytest.mark.services
async def test_revisions_make_the_declared_tables_on_postgresql(postgresql_url: str) -> None:
    engine = make_engine(postgresql_url.replace("postgresql://", "postgresql+asyncpg://", 1))
    await asyncio.gather(upgrade(engine), upgrade(engine))
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()

    assert found == []


async def test_two_tasks_of_one_program_upgrade_at_the_same_time(tmp_path: Path) -> None:
    """The first two messages may come together: neither waits for the other in the way of the event loop."""
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path / 'kefu.db'}")
    try:
        await asyncio.wait_for(asyncio.gather(upgrade(engine), upgrade(engine), upgrade(engine)), 30)
        async with engine.connect() as connection:
            found = await connection.execute(text(f"SELECT count(*) FROM {VERSION_TABLE}"))

            assert 1 == found.scalar()
    finally:
        await engine.dispose()
