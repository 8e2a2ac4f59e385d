"""Old data goes by itself while the gateway runs, and a failure today does not end it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import select

from bot.database import now_ms
from bot.message import Inbound
from bot.privacy.retention import purge
from bot.records import inbox
from channels import housekeeping
from channels.app import GATEWAY
from tests.bot.privacy.test_canary import rest
from tests.bot.privacy.test_retention import DAY
from tests.channels.fake_rasa import FakeRasa
from tests.channels.test_web import open_site


@pytest.fixture(autouse=True)
def _days_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "FIRST", 0.01)
    monkeypatch.setattr(housekeeping, "EVERY", 0.02)


async def test_what_is_too_old_goes_daily_although_it_failed_the_day_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    days: list[str] = []

    async def purge_in_a_year(*arguments: Any) -> Any:
        days.append("purged")
        if len(days) == 1:
            raise OSError("the disk is full")
        return await purge(*arguments, now=now_ms() + 400 * DAY)

    monkeypatch.setattr(housekeeping, "purge", purge_in_a_year)
    async with open_site(tmp_path, FakeRasa()) as site:
        await site.gateway.receive(
            Inbound(channel="wechat", shopper="s", dedup_key="1", text="你好", at=now_ms()), raw="raw"
        )
        await rest(site)
        app = web.Application()
        app[GATEWAY] = site.gateway
        housekeeping.install(app, site.gateway, site.settings, None)  # type: ignore[arg-type]  # not used yet
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            for _ in range(500):
                async with site.gateway.store.read() as connection:
                    kept = (await connection.execute(select(inbox.c.raw))).scalars().all()
                if not any(kept):
                    break
                await asyncio.sleep(0.02)
        finally:
            await runner.cleanup()
        stopped = len(days)

    assert not any(kept)
    assert "housekeeping.purge_failed" in caplog.text
    assert stopped >= 2
    assert stopped == len(days)
