"""The same programs with PostgreSQL and Redis in the place of SQLite."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from bot.orders.shop.samples import sample
from bot.web_client import WebClient
from tests.e2e.assistant import Assistant, Shop, Shopper
from tests.e2e.words import REASONS, YES, ask_for, is_plan

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.slow]


async def test_a_refund_on_postgresql_ends_in_the_shops_books(
    tmp_path: Path, postgresql_url: str, redis_url: str
) -> None:
    order = sample("refund_paid")
    assistant = Assistant.start(tmp_path, KEFU_DATABASE_URL=postgresql_url, KEFU_REDIS_URL=redis_url)
    try:
        async with (
            aiohttp.ClientSession() as session,
            WebClient(assistant.url("gateway"), locale="zh") as client,
        ):
            shop = Shop(assistant.url("shop"), session)
            await shop.reset()
            shopper = Shopper(client, "zh")
            assert is_plan(await ask_for(shopper, "refund", order, REASONS["changed_mind"]["zh"]))
            done = await shopper.say(YES["zh"])

            receipt = await shop.assert_one("refund", order.number)
            assert [receipt["id"]] == done.receipts
        assert not (tmp_path / "kefu.db").exists()
    finally:
        assistant.stop()
