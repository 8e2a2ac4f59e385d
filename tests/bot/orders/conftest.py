"""A demo shop of its own for each test, and its client."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.orders.client import OrderClient
from bot.orders.models import Grant, Order, ProofKind
from bot.orders.shop.app import make_app
from bot.orders.shop.samples import sample
from bot.settings import Settings, ShopSettings

API_KEY = "key-of-the-test"


def shop_settings(**changes: Any) -> Settings:
    return Settings(shop=ShopSettings(api_key=API_KEY, faults=True, **changes))


class ShopUnderTest:
    """The shop's address and its back door."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def fault(self, operation: str, kind: str, **more: Any) -> None:
        body = {"operation": operation, "kind": kind, **more}
        async with self.session.post(f"{self.url}/_faults", json=body) as response:
            assert 201 == response.status, await response.text()

    async def state(self) -> dict[str, Any]:
        async with self.session.get(f"{self.url}/_state") as response:
            return await response.json()

    async def post(self, path: str, body: dict[str, Any]) -> int:
        async with self.session.post(f"{self.url}{path}", json=body) as response:
            return response.status


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[ShopUnderTest]:
    app = make_app(shop_settings(), database=tmp_path / "shop.db")
    # As `kefu shop` runs it. aiohttp's TestServer would cancel a handler whose client has gone.
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        yield ShopUnderTest(f"http://127.0.0.1:{port}", session)
    await runner.cleanup()


@pytest.fixture
async def client(shop: ShopUnderTest) -> AsyncIterator[OrderClient]:
    async with OrderClient(shop.url, API_KEY, timeout=1.0, attempts=3) as client:
        yield client


Opened = Callable[[str], Awaitable[tuple[Order, Grant]]]


@pytest.fixture
def opened(client: OrderClient) -> Opened:
    """Prove a well-known order by phone tail and read it."""

    async def opened(name: str) -> tuple[Order, Grant]:
        known = sample(name)
        grant = await client.prove(ProofKind.PHONE_TAIL, known.phone_tail, order_number=known.number)
        return await client.get_order(known.number, grant), grant

    return opened
