"""Every field goes when its own time is over, and not a day before."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import func, select, text

from bot.database import now_ms
from bot.message import Inbound
from bot.privacy.retention import purge
from bot.privacy.subjects import find_subject
from bot.records import audit, events, inbox
from bot.settings import PrivacySettings, RetentionSettings, Settings
from channels.desk.plans import plans
from tests.bot.privacy.test_canary import rest, script
from tests.channels.fake_rasa import FakeRasa
from tests.channels.test_web import Site, open_site, photo

DAY = 24 * 3600 * 1000


def settings_with(site: Site, **days: int) -> Settings:
    none = dict.fromkeys(RetentionSettings.model_fields, 0)
    return site.settings.model_copy(
        update={"privacy": PrivacySettings(retention=RetentionSettings(**{**none, **days}))}
    )


async def count(site: Site, table: object) -> int:
    async with site.gateway.store.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def one_conversation(site: Site, *, handed_over: bool = False) -> str:
    if not handed_over:
        site.rasa.script = lambda body: [{"text": "ok", "custom": {"kefu": {"explain": {"intent": "x"}}}}]
    received = await site.gateway.receive(
        Inbound(channel="wechat", shopper="s", dedup_key="1", text="电话13812345678", at=now_ms()), raw="raw"
    )
    await rest(site)
    return str(received.conversation)


async def test_each_field_has_its_own_time(tmp_path: Path) -> None:
    async with open_site(tmp_path, FakeRasa(script)) as site:
        conversation = await one_conversation(site)
        engine, later = site.gateway.store.engine, now_ms() + 8 * DAY

        await purge(engine, settings_with(site, raw=9), now=later)
        async with engine.connect() as connection:
            assert (await connection.execute(select(inbox.c.raw))).scalar() == "raw"
        assert (await purge(engine, settings_with(site, raw=7), now=later))["raw"] == 1
        async with engine.connect() as connection:
            assert (await connection.execute(select(inbox.c.raw))).scalar() is None

        await purge(engine, settings_with(site, messages=9), now=later)
        assert await count(site, events) == 2
        assert (await purge(engine, settings_with(site, messages=7), now=later))["messages"] >= 3
        assert (await count(site, events), await count(site, inbox)) == (0, 0)
        async with engine.connect() as connection:
            gone = (await connection.execute(text("SELECT count(*) FROM conversations"))).scalar()
        assert gone == 0 and await count(site, audit) == 1  # why is kept longer than what

        assert (await purge(engine, settings_with(site, audit=7), now=later))["audit"] == 1
        assert conversation


async def test_a_conversation_that_waits_for_a_person_is_never_purged(tmp_path: Path) -> None:
    async with open_site(tmp_path, FakeRasa(script)) as site:
        conversation = await one_conversation(site, handed_over=True)
        await purge(site.gateway.store.engine, settings_with(site, messages=1), now=now_ms() + 30 * DAY)
        async with site.gateway.store.read() as connection:
            assert (await find_subject(connection, conversation)).ids == (conversation,)


async def test_packets_are_emptied_once_the_case_is_over(tmp_path: Path) -> None:
    async with open_site(tmp_path, FakeRasa(script)) as site:
        conversation = await one_conversation(site, handed_over=True)
        gateway, later = site.gateway, now_ms() + 8 * DAY
        settings = settings_with(site, packets=7)
        assert (await purge(gateway.store.engine, settings, now=later))["packets"] == 0
        await gateway.hand_over(conversation, await gateway.owner(conversation), "closed")
        await purge(gateway.store.engine, settings, now=later)
        async with gateway.store.read() as connection:
            packet, reason = (
                await connection.execute(text("SELECT packet, reason FROM handoff_cases"))
            ).one()

        assert (packet, reason) == ("{}", "asked")  # what is counted stays, what was said goes


async def lay_plan(
    site: Site, name: str, conversation: str, *, decided_days: int | None, days: int = 10
) -> None:
    """A plan of the desk that was made so many days ago, and decided so many ago."""
    made, decided = (None if one is None else now_ms() - one * DAY for one in (days, decided_days))
    async with site.gateway.store.write() as connection:
        await connection.execute(
            plans.insert().values(
                id=name, conversation=conversation, hash="h", plan={"body": {"address": "世纪大道"}}, decision={},
                state="shown" if decided is None else "done", token=1, proposed_by="li", created_at=made,
                decided_at=decided,
            )
        )  # fmt: skip


async def plans_left(site: Site) -> list[str]:
    async with site.gateway.store.read() as connection:
        return list((await connection.execute(select(plans.c.id).order_by(plans.c.id))).scalars())


async def test_plans_of_the_desk_go_like_packets(tmp_path: Path) -> None:
    """Their own time after the decision, or after they were made when nobody decided; never while a person has it."""
    async with open_site(tmp_path, FakeRasa(script)) as site:
        held = await one_conversation(site, handed_over=True)
        await lay_plan(site, "decided", "c", decided_days=8)
        await lay_plan(site, "decided-lately", "c", decided_days=6)
        await lay_plan(site, "forgotten", "c", decided_days=None)
        await lay_plan(site, "held", held, decided_days=8)
        gone = await purge(site.gateway.store.engine, settings_with(site, packets=7))

        assert (gone["packets"], await plans_left(site)) == (2, ["decided-lately", "held"])


async def test_no_plan_outlives_its_conversation(tmp_path: Path) -> None:
    """Without the conversation an erasure would say that nobody is on record."""
    async with open_site(tmp_path, FakeRasa(script)) as site:
        conversation = await one_conversation(site)
        await lay_plan(site, "mine", conversation, decided_days=1)
        await purge(site.gateway.store.engine, settings_with(site, messages=7))
        assert await plans_left(site) == ["mine"]
        await lay_plan(site, "of-one-purged-before", "gone", decided_days=1)
        await purge(site.gateway.store.engine, settings_with(site, messages=7), now=now_ms() + 8 * DAY)

        assert await plans_left(site) == []


async def test_old_files_and_logs_go_and_new_ones_stay(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        media = site.settings.data_path("media", "x").parent
        for n, days in ((1, 10), (2, 1)):
            for path in (media / f"{'a' * 21}{n}.jpg", site.settings.data_path("log", f"g{n}.log")):
                path.write_bytes(photo())
                old = (now_ms() - days * DAY) / 1000
                os.utime(path, (old, old))
        (media / "not-ours.txt").write_text("x")
        gone = await purge(site.gateway.store.engine, settings_with(site, media=5, logs=5))

        assert (gone["media"], gone["logs"]) == (1, 1)
        assert sorted(path.name for path in media.iterdir()) == [f"{'a' * 21}2.jpg", "not-ours.txt"]
        assert "g2.log" in {path.name for path in site.settings.data_path("log").iterdir()}


async def test_rasas_memory_of_a_dialogue_goes_whole_or_not_at_all(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        now = now_ms()
        async with site.gateway.store.write() as connection:
            await connection.execute(
                text("CREATE TABLE events (id INTEGER PRIMARY KEY, sender_id TEXT, timestamp REAL)")
            )
            rows = [("old", 100), ("old", 99), ("alive", 100), ("alive", 1)]
            for sender, days in rows:
                await connection.execute(
                    text("INSERT INTO events (sender_id, timestamp) VALUES (:s, :t)"),
                    {"s": sender, "t": (now - days * DAY) / 1000},
                )
        assert (await purge(site.gateway.store.engine, settings_with(site, tracker=90)))["tracker"] == 2
        async with site.gateway.store.read() as connection:
            left = (await connection.execute(text("SELECT sender_id FROM events"))).scalars().all()

        assert left == ["alive", "alive"]
