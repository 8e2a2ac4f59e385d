"""Encryption at rest: nothing readable on the disk, keys rotate, a missing key is named."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, text

from bot.database import make_engine, now_ms
from bot.exceptions import PrivacyError
from bot.message import Inbound
from bot.migrations import upgrade
from bot.privacy import rotation
from bot.privacy.cipher import MARK, Cipher, load_cipher
from bot.privacy.retention import purge
from bot.privacy.rotation import rotate
from bot.records import events, inbox
from bot.settings import MediaSettings, PrivacySettings, Settings
from channels.gateway import Gateway
from channels.media import make_media_store
from channels.store import Store

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
SECRET = "王小明住在世纪大道一号"


class NoDialogue:
    async def turn(self, **_: Any) -> list[Any]:
        return []


async def write(path: Path, *keys: str, **more: Any) -> Settings:
    """Three messages through a gateway's `receive`, with these keys."""
    settings = Settings(data_dir=path, privacy=PrivacySettings(keys=keys), **more)
    engine = make_engine(settings.sqlalchemy_url, settings.privacy)
    await upgrade(engine)
    gateway = Gateway(Store(engine), NoDialogue())
    gateway.turns.lane.close()  # nothing is worked off: only the writing matters
    for n in range(3):
        inbound = Inbound(channel="web", shopper="s", dedup_key=f"{keys}{n}", text=f"{SECRET} {n}", at=1)
        await gateway.receive(inbound, raw=json.dumps({"text": SECRET}, ensure_ascii=False))
    await engine.dispose()
    return settings


async def read(settings: Settings, *keys: str) -> list[str]:
    engine = make_engine(settings.sqlalchemy_url, PrivacySettings(keys=keys))
    try:
        async with engine.connect() as connection:
            rows = (await connection.execute(events.select())).all()
            raws = (await connection.execute(inbox.select())).all()
        assert all(SECRET in row.raw and SECRET in row.body["text"] for row in raws)
        return [row.body["text"] for row in rows]
    finally:
        await engine.dispose()


def on_disk(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file())


async def test_what_is_written_with_a_key_cannot_be_read_on_the_disk(tmp_path: Path) -> None:
    settings = await write(tmp_path, NEW)

    assert await read(settings, NEW) == [f"{SECRET} {n}" for n in range(3)]
    disk = on_disk(tmp_path)
    assert SECRET.encode() not in disk and json.dumps(SECRET).strip('"').encode() not in disk
    assert MARK.encode() in disk


async def test_rows_from_before_the_encryption_stay_readable_and_rotation_seals_them(tmp_path: Path) -> None:
    await write(tmp_path)
    settings = await write(tmp_path, OLD)
    assert len(await read(settings, NEW, OLD)) == 6

    settings = Settings(data_dir=tmp_path, privacy=PrivacySettings(keys=(NEW, OLD)))
    engine = make_engine(settings.sqlalchemy_url, settings.privacy)
    done = await rotate(engine, settings)
    await engine.dispose()

    assert done["conversation_events"] == 6 and done["inbox"] == 6
    assert len(await read(settings, NEW)) == 6  # the old key is not needed any more


async def test_no_row_slips_by_when_others_leave_during_a_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = await write(tmp_path, OLD)
    both = Settings(data_dir=tmp_path, privacy=PrivacySettings(keys=(NEW, OLD)))
    engine = make_engine(both.sqlalchemy_url, both.privacy)
    monkeypatch.setattr(rotation, "_BATCH", 1)
    left = False

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def purge(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        nonlocal left
        if statement.startswith("UPDATE conversation_events") and not left:
            left = True  # the first row is done, and goes before the next is read
            connection.exec_driver_sql("DELETE FROM conversation_events WHERE seq = 1")

    assert (await rotate(engine, both))["conversation_events"] == 3
    await engine.dispose()

    assert left
    assert await read(settings, NEW) == [f"{SECRET} {n}" for n in (1, 2)]


@pytest.mark.services
async def test_keys_rotate_in_postgresql(
    tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "_BATCH", 1)
    settings = await write(tmp_path, OLD, database_url=postgresql_url)
    both = settings.model_copy(update={"privacy": PrivacySettings(keys=(NEW, OLD))})
    engine = make_engine(both.sqlalchemy_url, both.privacy)
    done = await rotate(engine, both)
    await engine.dispose()

    assert done["conversation_events"] == 3 and done["inbox"] == 3
    assert sorted(await read(settings, NEW)) == [f"{SECRET} {n}" for n in range(3)]


async def test_without_the_right_key_nothing_is_shown_and_the_remedy_is_named(tmp_path: Path) -> None:
    settings = await write(tmp_path, OLD)
    with pytest.raises(PrivacyError, match="Keep the old key"):
        await read(settings, NEW)
    with pytest.raises(PrivacyError, match=r"privacy\.keys"):
        await read(settings)


async def test_files_are_sealed_and_rotated_too(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, privacy=PrivacySettings(keys=(OLD,)))
    root = settings.data_path("media", "x").parent
    pdf = b"%PDF-1.4 " + SECRET.encode()
    store = make_media_store(MediaSettings(), root, cipher=load_cipher(settings.privacy))
    sent = await store.put(pdf, kinds=("file",))
    assert await store.get(sent.media_id) == (pdf, "application/pdf")
    assert pdf not in on_disk(tmp_path)

    both = Settings(data_dir=tmp_path, privacy=PrivacySettings(keys=(NEW, OLD)))
    engine = make_engine(both.sqlalchemy_url, both.privacy)
    await upgrade(engine)
    assert (await rotate(engine, both))["media"] == 1
    await engine.dispose()
    newer = make_media_store(MediaSettings(), root, cipher=Cipher([NEW]))

    assert await newer.get(sent.media_id) == (pdf, "application/pdf")


async def test_rotating_makes_no_file_younger_and_passes_over_what_a_stop_left_behind(tmp_path: Path) -> None:
    """Whoever rotates more often than the retention of media must still lose them in time."""
    settings = Settings(data_dir=tmp_path, privacy=PrivacySettings(keys=(NEW, OLD)))
    root = settings.data_path("media", "x").parent
    store = make_media_store(MediaSettings(), root, cipher=Cipher([OLD]))
    sent = await store.put(b"%PDF-1.4 old", kinds=("file",))
    came = now_ms() - 181 * 24 * 3600 * 1000
    os.utime(root / sent.media_id, (came / 1000, came / 1000))
    (root / sent.media_id).with_suffix(".part").write_bytes(b"half")
    engine = make_engine(settings.sqlalchemy_url, settings.privacy)
    await upgrade(engine)
    assert (await rotate(engine, settings))["media"] == 1
    gone = await purge(engine, settings)
    await engine.dispose()

    assert gone["media"] == 1 and not (root / sent.media_id).exists()


async def test_rotation_without_a_key_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    engine = make_engine(settings.sqlalchemy_url)
    with pytest.raises(PrivacyError, match="Encryption is off"):
        await rotate(engine, settings)
    await engine.dispose()


def test_keys_come_from_a_file_too_and_a_bad_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# newest first\n{NEW}\n\n{OLD}\n")
    cipher = load_cipher(PrivacySettings(key_file=file))
    assert cipher is not None and cipher.open(Cipher([OLD]).seal("x")) == "x"
    assert load_cipher(PrivacySettings()) is None
    file.write_text("# none\n")
    with pytest.raises(PrivacyError, match="holds no key"):
        load_cipher(PrivacySettings(key_file=file))
    with pytest.raises(PrivacyError, match="cannot be read"):
        load_cipher(PrivacySettings(key_file=tmp_path / "missing"))
    with pytest.raises(PrivacyError, match="not a Fernet key"):
        load_cipher(PrivacySettings(keys=("short",)))


@given(st.text())
def test_every_text_opens_to_what_was_sealed(text: str) -> None:
    cipher = Cipher([NEW, OLD])
    assert cipher.open(cipher.seal(text)) == text
    assert Cipher([OLD, NEW]).open(cipher.seal(text)) == text


async def test_rasas_tracker_is_sealed_with_the_same_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through Rasa's own way of making a store from endpoints.yml."""
    from rasa.core.tracker_store import TrackerStore
    from rasa.shared.core.domain import Domain
    from rasa.shared.core.events import UserUttered
    from rasa.shared.core.trackers import DialogueStateTracker
    from rasa.utils.endpoints import EndpointConfig

    from bot.components.tracker_store import SealedTrackerStore
    from bot.settings import get_settings

    monkeypatch.setenv("KEFU_PRIVACY__KEYS", json.dumps([NEW]))
    get_settings.cache_clear()
    try:
        endpoint = EndpointConfig(
            f"sqlite:///{tmp_path}/kefu.db", type="bot.components.tracker_store.SealedTrackerStore"
        )
        store = TrackerStore.create(endpoint, Domain.empty())
        assert isinstance(store, SealedTrackerStore)
        tracker = DialogueStateTracker.from_events("c1", [UserUttered(SECRET)])
        await store.save(tracker)
        again = await store.retrieve_full_tracker("c1")
    finally:
        get_settings.cache_clear()

    assert again is not None and again.events[-1].text == SECRET
    assert json.dumps(SECRET).strip('"').encode() not in on_disk(tmp_path)
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path}/kefu.db")
    async with engine.connect() as connection:
        data = (await connection.execute(text("SELECT data FROM events"))).scalars().all()
    await engine.dispose()
    assert data and all(one.startswith(MARK) for one in data)
    await asyncio.sleep(0)
