"""The services of the action server are made once, however many messages come first."""

from __future__ import annotations

import asyncio

from actions.services import get_services, use
from bot.settings import get_settings


async def test_messages_that_come_together_share_one_set_of_services(tmp_path, monkeypatch):
    monkeypatch.setenv("KEFU_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    use(None)
    try:
        first, second, third = await asyncio.wait_for(
            asyncio.gather(get_services(), get_services(), get_services()), 30
        )
        await first.engine.dispose()
        await first.client.close()

        assert first is second is third
    finally:
        use(None)
        get_settings.cache_clear()
