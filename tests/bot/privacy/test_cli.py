"""`kefu privacy`, as somebody types it who has a shopper's letter on the desk."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from bot.database import make_engine
from bot.exceptions import PrivacyError
from bot.privacy import cli
from bot.settings import PrivacySettings, Settings
from tests.bot.privacy.test_canary import MAIL, PHONE, leave_traces, script
from tests.channels.fake_rasa import FakeRasa
from tests.channels.test_web import open_site

WHO = "site:cus_canary"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation in which the canary has written through every door; nothing runs any more."""

    async def write() -> Settings:
        async with open_site(tmp_path / "var", FakeRasa(script)) as site:
            await leave_traces(site)
            return site.settings

    settings = asyncio.run(write())
    monkeypatch.setattr(cli, "get_settings", lambda: settings)
    return settings


def kefu_privacy(*words: str, typed: str = "") -> str:
    result = CliRunner().invoke(cli.privacy, list(words), input=typed)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def accesses(settings: Settings) -> list[str]:
    async def read() -> list[str]:
        engine = make_engine(settings.sqlalchemy_url)
        async with engine.connect() as connection:
            rows = (await connection.execute(text("SELECT name, act FROM desk_access ORDER BY at"))).all()
        await engine.dispose()
        return [row.act for row in rows if row.name.startswith("cli:")]

    return asyncio.run(read())


def test_find_lists_conversations_without_their_contents_and_is_on_record(settings: Settings) -> None:
    said = kefu_privacy("find", WHO)

    assert "wechat:" in said and "telegram:" in said
    assert "CANARY" not in said and PHONE not in said
    assert accesses(settings)[-1] == "find"


def test_export_writes_everything_once(settings: Settings, tmp_path: Path) -> None:
    said = kefu_privacy("export", WHO, "--out", str(tmp_path / "out"))

    assert "1 files" in said
    assert PHONE in json.dumps(json.loads((tmp_path / "out" / "export.json").read_text()), ensure_ascii=False)
    with pytest.raises(PrivacyError, match="exists already"):
        kefu_privacy("export", WHO, "--out", str(tmp_path / "out"))


def test_erase_asks_first_and_leaves_a_receipt_that_is_checked(settings: Settings) -> None:
    assert "Aborted" in kefu_privacy("erase", WHO, typed="n\n")
    assert "0 conversations" not in kefu_privacy("find", WHO)

    said = kefu_privacy("erase", WHO, "--yes")

    assert "Receipt: " in said
    receipt = Path(said.partition("Receipt: ")[2].strip())
    newest = hashlib.sha256(receipt.read_bytes()).hexdigest()
    assert f"1 receipts, the chain is whole.\nsha256 of the newest: {newest}" in kefu_privacy("receipts")


def test_encryption_switched_on_later_covers_what_was_there(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = kefu_privacy("key").strip()
    sealed = settings.model_copy(update={"privacy": PrivacySettings(keys=(key,))})
    monkeypatch.setattr(cli, "get_settings", lambda: sealed)

    said = kefu_privacy("rotate")

    database = (settings.data_dir / "kefu.db").read_bytes()
    assert "conversation_events" in said
    assert PHONE.encode() not in database
    assert "wechat:" in kefu_privacy("find", WHO)


def test_purge_says_what_went(settings: Settings) -> None:
    assert "messages" in kefu_privacy("purge")


def test_mask_reads_from_standard_input() -> None:
    said = kefu_privacy("mask", "--name", "陈晨", typed=f"陈晨的电话 {PHONE}，{MAIL}\n没有别的\n")

    assert PHONE not in said and MAIL not in said and "陈晨" not in said
    assert "没有别的" in said
