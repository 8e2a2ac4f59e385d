"""The gateway starts with a database it can open and read, or says in one line why not; and its commands."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import text
from typer.testing import CliRunner

from bot.database import make_engine
from bot.exceptions import SettingsError
from bot.settings import GatewaySettings, PrivacySettings, Settings
from bot.supervisor import free_port
from channels import app as gateway_app
from channels.app import make_app
from tests.bot.privacy.test_cipher import NEW, OLD, SECRET, NoDialogue, write


async def start(settings: Settings, *extensions: Any) -> None:
    """Start a gateway and stop it again."""
    app = make_app(settings, dialogue=NoDialogue(), extensions=extensions)  # type: ignore[arg-type]
    async with TestServer(app):
        pass


def with_keys(settings: Settings, *keys: str) -> Settings:
    return settings.model_copy(update={"privacy": PrivacySettings(keys=keys)})


@pytest.mark.parametrize("keys", [(), (NEW,)])
async def test_without_the_right_key_the_gateway_does_not_start(
    tmp_path: Path, keys: tuple[str, ...]
) -> None:
    sealed = await write(tmp_path, OLD)
    opened = []

    def extension(app: web.Application, *_: Any) -> None:
        async def running(_: web.Application) -> AsyncIterator[None]:
            opened.append("wrote")
            yield

        app.cleanup_ctx.append(running)

    with pytest.raises(
        SettingsError, match=r"no key of the settings opens it\. Remedy: set KEFU_PRIVACY__KEYS"
    ):
        await start(with_keys(sealed, *keys), extension)
    assert [] == opened

    await start(with_keys(sealed, NEW, OLD), extension)
    assert ["wrote"] == opened


async def test_what_was_written_before_there_was_a_key_keeps_nobody_from_starting(tmp_path: Path) -> None:
    clear = await write(tmp_path)
    await start(clear)
    await start(with_keys(clear, NEW))


@pytest.mark.services
async def test_the_key_is_asked_for_in_postgresql_too(tmp_path: Path, postgresql_url: str) -> None:
    sealed = await write(tmp_path, OLD, database_url=postgresql_url)
    with pytest.raises(SettingsError, match="no key of the settings opens it"):
        await start(with_keys(sealed))
    await start(sealed)


async def test_a_database_that_is_down_is_named_and_not_the_port(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url=f"postgresql://kefu@127.0.0.1:{free_port()}/kefu")
    with pytest.raises(
        SettingsError, match=r"^The database cannot be opened: .*Connect.*\. Remedy: start it"
    ):
        await start(settings)


@pytest.mark.services
async def test_a_database_that_is_not_there_is_named(tmp_path: Path, postgresql_url: str) -> None:
    settings = Settings(data_dir=tmp_path, database_url=f"{postgresql_url}_other")
    with pytest.raises(SettingsError, match=r'The database cannot be opened: database ".*_other" does not'):
        await start(settings)


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "kefu.db").write_bytes(b"somebody's letter, and no database" * 99)
    with pytest.raises(
        SettingsError, match=r"cannot be opened: file is not a database\. Remedy: .*database_url"
    ):
        await start(Settings(data_dir=tmp_path))


def serve(monkeypatch: pytest.MonkeyPatch, settings: Settings, app: web.Application) -> Exception:
    """What `kefu gateway` ends with."""
    monkeypatch.setattr(gateway_app, "get_settings", lambda: settings)
    monkeypatch.setattr(gateway_app, "make_app", lambda _: app)
    monkeypatch.setattr(gateway_app, "configure", lambda *_, **__: None)
    result = CliRunner().invoke(gateway_app.cli, [])
    assert isinstance(result.exception, Exception)
    return result.exception


def test_a_port_that_is_taken_is_named_with_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(data_dir=tmp_path, gateway=GatewaySettings(port=taken.getsockname()[1]))
        told = serve(monkeypatch, settings, web.Application())

    assert isinstance(told, SettingsError)
    assert "cannot listen" in str(told) and "Set KEFU_GATEWAY__PORT to a free port" in str(told)


@pytest.mark.parametrize(
    "trouble",
    [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), PermissionError(errno.EACCES, "no", "/a/file")],
)
def test_other_trouble_of_the_system_is_not_called_the_ports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: OSError
) -> None:
    async def running(_: web.Application) -> AsyncIterator[None]:
        raise trouble
        yield

    app = web.Application()
    app.cleanup_ctx.append(running)
    settings = Settings(data_dir=tmp_path, gateway=GatewaySettings(port=free_port()))

    assert trouble is serve(monkeypatch, settings, app)


def test_parked_messages_are_listed_without_a_word_of_the_shopper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def park() -> Settings:
        settings = await write(tmp_path)
        engine = make_engine(settings.sqlalchemy_url)
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE inbox SET state = 'parked', error = 'Rasa answered 500'"))
        await engine.dispose()
        return settings

    settings = asyncio.run(park())
    monkeypatch.setattr(gateway_app, "get_settings", lambda: settings)
    result = CliRunner().invoke(gateway_app.cli, ["parked"])

    assert 0 == result.exit_code, result.output
    assert "3 parked." in result.output and "Rasa answered 500" in result.output
    assert SECRET not in result.output
