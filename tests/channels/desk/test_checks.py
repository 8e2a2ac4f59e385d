"""`kefu doctor channels` says what is wrong with desks of others and the sign-in, against their fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestServer

from bot.doctor import Finding, examine
from bot.settings import Settings
from channels.desk.checks import check_desk
from tests.channels.desk.fake_provider import CLIENT, FakeProvider
from tests.channels.desk_adapters.fake_chatwoot import ACCOUNT, INBOX, SECRET, TOKEN, FakeChatwoot
from tests.channels.desk_adapters.fake_topics import GROUP, FakeTopics
from tests.channels.fake_telegram import TOKEN as BOT_TOKEN


@asynccontextmanager
async def served(fake: Any) -> AsyncIterator[str]:
    server = TestServer(fake.app())
    await server.start_server()
    yield f"http://127.0.0.1:{server.port}"
    await server.close()


async def found(path: Path, **desk: Any) -> list[Finding]:
    settings = Settings(data_dir=path, desk=desk, gateway={"public_url": "https://kefu.example.com"})
    return await examine(settings, (("desk", check_desk),))


async def test_chatwoot_is_asked_for_token_inbox_and_webhook(tmp_path: Path) -> None:
    fake = FakeChatwoot()
    async with served(fake) as url:
        chatwoot = {"base_url": url, "account": ACCOUNT, "inbox": INBOX, "token": TOKEN, "secret": SECRET}
        wrong = await found(tmp_path, chatwoot={**chatwoot, "token": "another"})
        assert ["error"] == [one.level for one in wrong] and "access token" in wrong[0].remedy
        assert all("another" not in one.message for one in wrong)
        lost = await found(tmp_path, chatwoot={**chatwoot, "inbox": 99})
        assert ["ok", "error"] == [one.level for one in lost] or "404" in lost[-1].message
        unhooked = await found(tmp_path, chatwoot=chatwoot)
        assert "error" == unhooked[-1].level and "/chatwoot" in unhooked[-1].message
        fake.webhook = "https://kefu.example.com/chatwoot"
        assert ["ok", "ok"] == [one.level for one in await found(tmp_path, chatwoot=chatwoot)]


async def test_the_group_must_have_topics_and_the_bot_its_rights(tmp_path: Path) -> None:
    fake = FakeTopics()
    async with served(fake) as url:
        team = {"token": BOT_TOKEN, "group": GROUP, "members": {501: "Lin"}, "base_url": url}
        assert ["ok"] == [one.level for one in await found(tmp_path, telegram=team)]
        fake.forum, fake.rights = False, set()
        told = " ".join(one.message for one in await found(tmp_path, telegram=team))
        assert "no topics" in told and "can_manage_topics" in told
        nobody = await found(tmp_path, telegram={**team, "group": -5, "members": {}})
        assert "error" == nobody[0].level and "group" in nobody[0].remedy


async def test_the_provider_must_be_who_the_settings_say(tmp_path: Path) -> None:
    fake = FakeProvider()
    async with served(fake) as url:
        fake.issuer = url
        oidc = {"issuer": url, "client_id": CLIENT, "roles": {"agent": ["support"]}}
        assert ["ok"] == [one.level for one in await found(tmp_path, oidc=oidc)]
        fake.issuer = "https://somebody.else"
        assert ["error"] == [one.level for one in await found(tmp_path, oidc=oidc)]
    assert "nobody can sign in" in (await found(tmp_path, passwords=False))[0].message
