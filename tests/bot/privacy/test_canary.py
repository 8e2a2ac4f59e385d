"""Marked personal data goes in through every door and into every table; after the erasure nothing holds it.

The search at the end reads the bytes of every file below data_dir and every column of every table, and knows nothing
of how the erasure works.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import JSON, Boolean, Float, Integer, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import metadata, now_ms
from bot.exceptions import RecordMissing
from bot.handoff import labels
from bot.handoff.cases import cases
from bot.identity.guard import attempts, grants
from bot.message import Inbound
from bot.migrations import TABLE_MODULES
from bot.privacy.access import log_access
from bot.privacy.cipher import SealedJSON, SealedText
from bot.privacy.erasure import check_receipts, erase
from bot.privacy.export import export
from bot.privacy.rotation import SEALED
from bot.privacy.subjects import find_subject
from channels.desk_adapters.bridge import threads
from channels.telegram import albums
from tests.actions.conftest import World
from tests.channels.desk.test_plans import open_counter
from tests.channels.fake_rasa import FakeRasa
from tests.channels.test_web import Site, identity, open_site, photo, upload

PHONE, MAIL, NAME = "13812345678", "canary.mail@example.com", "金丝雀"
STREET = "上海市浦东新区世纪大道100号2001室"
TEXT = f"我叫{NAME}，电话{PHONE}，{MAIL}，地址{STREET} CANARYTEXT"
MARKS = [PHONE, MAIL, NAME, STREET, "CANARY", "ou_canary", "cus_canary", "世纪大道"]
DOORS = ("telegram", "wechat", "wecom")


def script(body: dict[str, Any]) -> list[dict[str, Any]]:
    """A bot that repeats what it heard, puts it behind a button and gives it to a person."""
    heard = body["message"] or "photo"
    kefu = {
        "explain": {"intent": "x", "heard": heard},
        "handoff": {"reason": "asked", "packet": {"said": heard, "who": {"name": NAME}}},
        "card": {"kind": "order", "title": heard, "rows": [["phone", PHONE]]},
    }
    button = {"title": heard[:20], "payload": f'/inform{{"phone": "{PHONE}"}}'}
    return [{"text": f"heard {heard}", "buttons": [button], "custom": {"kefu": kefu}}]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path / "var", FakeRasa(script)) as site:
        yield site


async def rest(site: Site) -> None:
    for _ in range(500):
        if await site.gateway.store.backlog() == 0 and not site.gateway.at_work:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the gateway did not come to rest")


async def leave_traces(site: Site) -> dict[str, str]:
    """Conversation by door, with something in every place that can hold a shopper's words."""
    found: dict[str, str] = {}
    async with site.page(identity=identity("cus_canary", name=NAME)) as page:
        welcome = await page.get("welcome")
        found["web"] = welcome["conversation"]
        sent = await (await upload(site, welcome["session"], photo())).json()
        await page.say(TEXT, media=[sent["slip"]])
        await page.event(author="bot")
    for door in DOORS:
        inbound = Inbound(
            channel=door, shopper=f"ou_canary_{door}", dedup_key=f"{door}:1", text=TEXT,
            customer="site:cus_canary", at=now_ms(),
        )  # fmt: skip
        received = await site.gateway.receive(inbound, raw=json.dumps({"text": TEXT}, ensure_ascii=False))
        found[door] = received.conversation
    await rest(site)
    async with site.gateway.store.write() as connection:
        for door, conversation in found.items():
            await connection.execute(
                grants.insert().values(
                    conversation=conversation, order_number="C1", token="CANARYTOKEN", kind="email",
                    customer_id="cus_canary", customer_name=NAME, proven_at=now_ms(),
                    expires_at=now_ms() + 60_000,
                )
            )  # fmt: skip
            await connection.execute(
                attempts.insert().values(
                    at=now_ms(), conversation=conversation, order_hash="h", source=None, outcome="wrong"
                )
            )
            await labels.write(
                connection, conversation=conversation, draft="packet", question=TEXT, text=TEXT, score=0.5,
                language="zh", verdict="edited", final=TEXT, agent="li",
            )  # fmt: skip
            await site.gateway.store.add_event(
                connection, conversation, "note", "person", {"text": TEXT}, audience="desk"
            )
            await log_access_in(connection, conversation)
            await connection.execute(
                cases.update()
                .where(cases.c.conversation == conversation)
                .values(
                    packet={"who": {"name": NAME}, "door": door}, note={"text": TEXT}, rating_comment=TEXT
                )
            )
        raw = json.dumps({"message": {"chat": {"id": "ou_canary_telegram"}, "caption": TEXT}})
        await connection.execute(
            albums.insert().values(
                account="shop", update_id=1, album="ou_canary_telegram:77", raw=raw, at=now_ms()
            )
        )
        await connection.execute(
            threads.insert().values(
                desk="chatwoot", conversation=found["web"], agent="CANARYagent", seq=0, live=False, token=-1,
                cursor=0, attempts=0, next_at=0, lease_until=0,
            )
        )  # fmt: skip # shown nowhere yet; what was is tried in tests/channels/desk_adapters
        await fill_the_rest(connection, found["web"])
        # Rasa's tracker store has its table in the same database.
        await connection.execute(
            text(
                "CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, sender_id TEXT, type_name TEXT, timestamp REAL,"
                " intent_name TEXT, action_name TEXT, data TEXT)"
            )
        )
        for conversation in found.values():
            await connection.execute(
                text(
                    "INSERT INTO events (sender_id, type_name, timestamp, data) VALUES (:c, 'user', 1.0, :d)"
                ),
                {"c": conversation, "d": json.dumps({"text": TEXT})},
            )
    log = site.settings.data_path("log", "gateway.log")
    log.write_text(f"first line\nturn of {found['web']} failed: {TEXT}\nlast line\n", encoding="utf-8")
    log.with_name("gateway.log.1").write_text(f"older: {PHONE}\n", encoding="utf-8")
    return found


# Tables that name no conversation: what they hold is nobody's (or, of albums, found by the chat's id).
NOBODYS = {
    "conversations", "telegram_albums", "desk_users", "desk_sessions", "desk_seen", "rate_limits", "wechat_tokens",
    "wecom_cursors",
}  # fmt: skip


async def fill_the_rest(connection: Any, conversation: str) -> None:
    """A marked row in every declared table that names a conversation and has none yet: later tables are covered, too."""
    for module in TABLE_MODULES:
        importlib.import_module(module)
    for table in metadata.sorted_tables:
        if "conversation" not in table.c:
            assert table.name in NOBODYS, f"{table.name} names no conversation: how would an erasure find it?"
            continue
        if (await connection.execute(select(table).limit(1))).first() is None:
            await connection.execute(
                table.insert().values(**{c.name: canary(c, conversation) for c in table.c})
            )


def canary(column: Any, conversation: str) -> Any:
    """A marked value of the column's type."""
    if column.name in ("conversation", "other"):
        return conversation
    kind = getattr(column.type, "impl", column.type)  # of a variant or a sealed type
    if isinstance(kind, JSON):
        # Plain JSON holds codes and amounts; whatever holds words is sealed.
        return {"text": TEXT} if isinstance(column.type, SealedJSON) else {"code": "CANARYcode"}
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, Integer | Float):
        return 1
    return f"CANARY{column.name}"[: getattr(column.type, "length", None) or 4000]


async def log_access_in(connection: Any, conversation: str) -> None:
    await connection.execute(
        text("INSERT INTO desk_access (name, conversation, act, at) VALUES ('li', :c, 'read', 1)"),
        {"c": conversation},
    )


async def places_with(engine: AsyncEngine, folder: Path, marks: list[str]) -> list[str]:
    """Every place that holds one of the marks: files by their bytes, tables by every column."""
    found: list[str] = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            for mark in marks:
                forms = {mark.encode(), json.dumps(mark).strip('"').encode()}
                found += [f"{path.name}: {mark}" for form in forms if form in data]
    async with engine.connect() as connection:
        for table in await connection.run_sync(lambda sync: inspect(sync).get_table_names()):
            for row in (await connection.execute(text(f"SELECT * FROM {table}"))).all():
                written = json.dumps([str(value) for value in row], ensure_ascii=False)
                written += written.encode().decode("unicode_escape", errors="ignore")
                found += [f"{table}: {mark}" for mark in marks if mark in written]
    return found


async def test_after_an_erasure_no_file_and_no_table_holds_anything_of_the_shopper(
    site: Site, tmp_path: Path
) -> None:
    conversations = await leave_traces(site)
    engine, folder = site.gateway.store.engine, site.settings.data_dir
    before = await places_with(engine, folder, MARKS)
    touched = {place.partition(":")[0] for place in before}
    assert {
        "conversation_events", "inbox", "outbox", "buttons", "audit", "handoff_cases", "handoff_labels", "events",
        "telegram_albums", "identity_grants", "conversations", "gateway.log", "gateway.log.1",
    } <= touched  # fmt: skip
    named = {table.name for table in metadata.sorted_tables if "conversation" in table.c} - {"desk_access"}
    async with engine.connect() as connection:
        filled = [
            name
            for name in sorted(named)
            if (await connection.execute(text(f"SELECT 1 FROM {name}"))).first()
        ]
    assert filled == sorted(named)
    assert any(place.startswith("kefu.db") for place in touched)
    pictures = list(site.settings.data_path("media", "x").parent.iterdir())
    assert len(pictures) == 1

    async with engine.connect() as connection:
        everything = (await find_subject(connection, "site:cus_canary")).ids
    assert set(everything) == set(conversations.values())
    await log_access(engine, "cli:li", conversations["web"], "erase")
    receipt = await erase(engine, site.settings, "site:cus_canary", by="cli:li")

    assert receipt["complete"] and receipt["left"] == {}
    assert await places_with(engine, folder, MARKS) == []
    assert not any(path.exists() for path in pictures)
    assert receipt["erased"]["media"] == 1 and receipt["erased"]["log lines"] == 2
    assert set(receipt["conversations"]) == set(conversations.values())
    log = site.settings.data_path("log", "gateway.log").read_text()
    assert log == "first line\nlast line\n"
    async with engine.connect() as connection:
        kept = (await connection.execute(text("SELECT conversation FROM desk_access"))).scalars().all()
        tries = (await connection.execute(text("SELECT conversation FROM identity_attempts"))).scalars().all()
    assert set(kept) == set(conversations.values())  # who looked stays on record
    assert tries == [None] * 4  # and wrong tries keep counting for their order


def test_every_sealed_column_is_rotated() -> None:
    for module in TABLE_MODULES:
        importlib.import_module(module)
    declared = {
        table.name: (
            {column.name for column in table.c if isinstance(column.type, SealedJSON)},
            {column.name for column in table.c if isinstance(column.type, SealedText)},
        )
        for table in metadata.sorted_tables
    }
    rotated = {name: (set(as_json), set(as_text)) for name, (_, as_json, as_text) in SEALED.items()}

    assert rotated.pop("events") == (set(), {"data"})  # Rasa's own
    assert {name: sealed for name, sealed in declared.items() if any(sealed)} == rotated


async def test_with_a_key_no_table_and_no_file_shows_what_was_written(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """Sealed are texts, drafts, grants and what platforms sent; ids and times stay readable."""
    monkeypatch.setenv("KEFU_PRIVACY__KEYS", json.dumps([Fernet.generate_key().decode()]))
    async with open_site(tmp_path / "var", FakeRasa(script)) as site:
        await leave_traces(site)
        async with site.gateway.store.write() as connection:
            # The tracker store and the log are sealed and masked by their own programs; here a test wrote them.
            await connection.execute(text("DELETE FROM events"))
        for path in site.settings.data_path("log").glob("*"):
            path.unlink()
        engine = site.gateway.store.engine
        async with engine.connect() as connection:
            raw = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await raw.execute(text("VACUUM"))
            await raw.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        words = [PHONE, MAIL, NAME, STREET, "CANARYTEXT", "CANARYTOKEN", "CANARYkey"]

        assert [] == await places_with(engine, site.settings.data_dir, words)


async def test_other_shoppers_keep_everything(site: Site, tmp_path: Path) -> None:
    await leave_traces(site)
    other = await site.gateway.receive(
        Inbound(channel="wechat", shopper="somebody", dedup_key="o", text="另一位顾客的话", at=now_ms())
    )
    await rest(site)
    await erase(site.gateway.store.engine, site.settings, "site:cus_canary", by="t")
    events = await site.gateway.store.events_after(other.conversation, 0)

    assert [event.author for event in events if event.kind == "message"][:2] == ["shopper", "bot"]
    with pytest.raises(RecordMissing, match="site:cus_canary"):
        await erase(site.gateway.store.engine, site.settings, "site:cus_canary", by="t")


async def test_what_stands_elsewhere_is_told_and_the_erasure_is_not_called_complete(
    site: Site, tmp_path: Path
) -> None:
    """Somebody else wrote the same phone number: that is his conversation, and the receipt says where it stands."""
    await leave_traces(site)
    await site.gateway.receive(
        Inbound(channel="wechat", shopper="friend", dedup_key="f", text=f"朋友的电话{PHONE}", at=now_ms())
    )
    await rest(site)
    receipt = await erase(site.gateway.store.engine, site.settings, "site:cus_canary", by="t")

    assert not receipt["complete"] and "inbox.body" in receipt["left"]


async def test_receipts_form_a_chain_that_shows_tampering(site: Site, tmp_path: Path) -> None:
    found = await leave_traces(site)
    for door in ("wechat", "wecom", "telegram"):
        await erase(site.gateway.store.engine, site.settings, found[door], by="t")
    folder = site.settings.data_path("privacy", "receipts", "x").parent
    receipts = sorted(folder.glob("*.json"))
    assert len(receipts) == 3 and check_receipts(folder) == []
    assert all(mark not in path.read_text() for path in receipts for mark in MARKS)

    receipts[1].write_text(receipts[1].read_text().replace('"complete"', '"Complete"'))
    assert len(check_receipts(folder)) == 1
    receipts[1].unlink()
    assert check_receipts(folder) != []


async def test_the_export_holds_everything_of_the_shopper_and_no_token_and_no_name_of_the_staff(
    site: Site, tmp_path: Path
) -> None:
    found = await leave_traces(site)
    out = tmp_path / "export"
    done = await export(site.gateway.store.engine, site.settings, "site:cus_canary", out)
    written = (out / "export.json").read_text(encoding="utf-8")
    body = json.loads(written)

    assert set(body["conversations"]) == set(found.values()) and done["media"] == 1
    assert {
        "conversation_events",
        "inbox",
        "outbox",
        "audit",
        "handoff_cases",
        "identity_grants",
        "events",
    } <= set(body["tables"])
    assert body["tables"]["events"][0]["data"]["text"] == TEXT
    assert TEXT in written and "CANARYTOKEN" not in written and '"li"' not in written
    assert len(list((out / "media").iterdir())) == 1


async def test_after_plans_of_the_desk_the_export_holds_no_name_of_the_staff(
    tmp_path: Path, world: World
) -> None:
    """Proposed, proven for the shopper, taken back, turned down, shown, approved: the names stand in many places."""
    limits = {"lead": {"CNY": 2_000_000}}
    async with open_counter(tmp_path, world, "refund_large", approve_up_to=limits) as counter:
        lin = await counter.opened()
        boss = await counter.house.person("boss", "lead")
        proof = {"order": counter.sample.number, "kind": "phone_tail", "value": counter.sample.phone_tail}
        assert (await lin.do(counter.conversation, "prove", **proof))[0] == 200
        for who, act in ((lin, "turn-down"), (boss, "turn-down"), (boss, "approve")):
            _, told = await counter.propose(lin, "refund", reason="changed_mind")
            path = f"/conversations/{counter.conversation}/plans/{told['plan']}/{act}"
            assert (await who.post(path))[0] == 200
        await counter.house.quiet()
        engine, settings = counter.house.gateway.store.engine, counter.house.settings
        await export(engine, settings, counter.conversation, tmp_path / "out")
    written = (tmp_path / "out" / "export.json").read_text(encoding="utf-8")
    tables = json.loads(written)["tables"]

    assert not re.findall(r".*(?<![A-Za-z])(?:lin|boss)(?![A-Za-z]).*", written)
    made = [(row["state"], row["proposed_by"], row["why"]) for row in tables["desk_plans"]]
    assert sorted(made, key=str) == [
        ("done", "[staff]", None),
        ("refused", "[staff]", "[staff]"),
        ("withdrawn", "[staff]", "[staff]"),
    ]
    lines = [row["body"] for row in tables["conversation_events"] if row["kind"] == "plan"]
    assert len(lines) == 6 and {line["by"] for line in lines} == {"[staff]"}
    reasons = [row["explain"] for row in tables["audit"] if row["explain"].get("approved_by")]
    assert [(one["by"], one["approved_by"]) for one in reasons] == [("desk", "[staff]")]


async def test_a_masked_export_holds_no_personal_data(site: Site, tmp_path: Path) -> None:
    await leave_traces(site)
    out = tmp_path / "masked"
    await export(site.gateway.store.engine, site.settings, "site:cus_canary", out, masked=True)
    written = (out / "export.json").read_text(encoding="utf-8")

    assert "[phone]" in written and "[address]" in written and not (out / "media").exists()
    for mark in (PHONE, MAIL, NAME, "世纪大道", "ou_canary", "cus_canary"):
        assert mark not in written, mark
