"""The real shop, policy and guard for the actions; a shopper to talk to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from actions import services
from bot import clock
from bot.database import create_tables, make_engine
from bot.identity import IdentityGuard
from bot.orders.client import OrderClient
from bot.orders.shop.app import make_app
from bot.orders.shop.samples import Sample, sample
from bot.policy import Policy
from bot.settings import IdentitySettings, Settings, ShopSettings
from tests.actions.dialogue import Dialogue

API_KEY = "key-of-the-test"


class World:
    """The shop behind the conversation, and its back door."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session
        self.ahead = timedelta()  # of Kefu's clock

    def now(self) -> datetime:
        return clock.now() + self.ahead

    async def state(self) -> dict[str, Any]:
        async with self.session.get(f"{self.url}/_state") as response:
            content: dict[str, Any] = await response.json()
            return content

    async def order(self, name: str) -> dict[str, Any]:
        number = sample(name).number
        orders = (await self.state())["orders"]
        return next(
            one
            for one in (orders.values() if isinstance(orders, dict) else orders)
            if one["number"] == number
        )

    async def receipts(self) -> list[dict[str, Any]]:
        return list((await self.state())["receipts"])

    async def fault(self, operation: str, kind: str, **more: Any) -> None:
        async with self.session.post(
            f"{self.url}/_faults", json={"operation": operation, "kind": kind, **more}
        ) as response:
            assert 201 == response.status, await response.text()

    async def change(self, name: str, **changes: Any) -> None:
        """Somebody in the shop touches the order."""
        async with self.session.post(f"{self.url}/_orders/{sample(name).number}", json=changes) as response:
            assert 200 == response.status, await response.text()

    async def stock(self, variant: str, quantity: int) -> None:
        async with self.session.post(f"{self.url}/_stock/{variant}", json={"quantity": quantity}) as response:
            assert response.status < 300, await response.text()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    settings = Settings(shop=ShopSettings(api_key=API_KEY, faults=True), data_dir=tmp_path)
    app = make_app(settings, database=tmp_path / "shop.db")
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path / 'kefu.db'}")
    await create_tables(engine)
    client = OrderClient(url, API_KEY, timeout=1.0, attempts=2)
    async with aiohttp.ClientSession() as session:
        world = World(url, session)
        services.use(
            services.Services(
                settings=settings,
                engine=engine,
                client=client,
                policy=Policy.load(),
                guard=IdentityGuard(engine, client, IdentitySettings()),
                now=world.now,
            )
        )
        yield world
    services.use(None)
    await client.close()
    await engine.dispose()
    await runner.cleanup()


@pytest.fixture
def shopper(world: World) -> Callable[..., Dialogue]:
    """A new conversation; `of` names a well-known order whose customer the channel has proven."""

    def shopper(of: str | None = None, conversation: str = "c1") -> Dialogue:
        return Dialogue(conversation, customer=f"site:{sample(of).customer_id}" if of else None)

    return shopper


def key(name: str) -> Sample:
    """A well-known order with what its shopper knows."""
    return sample(name)
