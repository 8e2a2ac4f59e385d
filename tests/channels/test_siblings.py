"""Several gateways on one PostgreSQL: one turn per message, one delivery, pages woken across them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.database import make_engine
from bot.migrations import upgrade
from channels.patience import Patience
from channels.wake import Wake
from tests.channels.fake_rasa import FakeRasa
from tests.channels.test_gateway import Door, open_house

pytestmark = pytest.mark.services

QUICK = Patience(first=0.02, longest=0.05, park_after=0.5, turn_attempts=3, sweep=0.02, lease=2)


@pytest.fixture
async def url(postgresql_url: str) -> str:
    address = postgresql_url.replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = make_engine(address)
    await upgrade(engine)
    await engine.dispose()
    return address


async def test_two_gateways_share_the_work_without_doing_it_twice(url: str) -> None:
    rasa, door = FakeRasa(), Door()
    rasa.delay = lambda body: 0.02
    async with open_house(url, rasa, door, QUICK) as one, open_house(url, rasa, door, QUICK) as two:
        for n in range(8):
            for shopper in "abc":
                both = [
                    house.hear(f"{shopper}{n}", shopper=shopper, key=f"{shopper}{n}") for house in (one, two)
                ]
                first, second = await asyncio.gather(*both)
                assert first.message_id == second.message_id
                assert [first.duplicate, second.duplicate].count(True) == 1
        await one.quiet()
        await two.quiet()

    assert len({turn["message_id"] for turn in rasa.turns}) == 24
    for shopper in "abc":
        said = [text for text in door.texts if text.startswith(f"echo: {shopper}")]
        assert said == [f"echo: {shopper}{n}" for n in range(8)]


async def test_a_sibling_takes_up_what_a_dead_gateway_held(url: str) -> None:
    rasa, door = FakeRasa(), Door()
    async with open_house(url, rasa, door, Patience(0.02, 0.05, 5, 3, 0.02, lease=0.5)) as house:
        received = await house.hear("one")
        await house.quiet()
        # As a gateway leaves it that is killed while it works: leased, and nobody renews it.
        assert await house.gateway.store.lease("turn", received.conversation, "the dead one", 0.5)
        assert not await house.gateway.store.lease("turn", received.conversation, "another", 0.5)
        await house.hear("two")
        await asyncio.sleep(0.2)
        assert door.texts == ["echo: one"]
        await house.quiet()

    assert door.texts == ["echo: one", "echo: two"]


async def test_redis_carries_a_wake_to_the_other_gateway(redis_url: str, tmp_path: Path) -> None:
    here, there = Wake(redis_url, gateway="here"), Wake(redis_url, gateway="there")
    await here.start()
    await there.start()
    heard: asyncio.Queue[tuple[str, dict[str, object]]] = asyncio.Queue()
    there.listen("c1", lambda conversation, signal: heard.put_nowait((conversation, signal)))
    try:
        for _ in range(100):
            here.wake("c1", typing=True)
            try:
                got = await asyncio.wait_for(heard.get(), 0.1)
                break
            except TimeoutError:
                continue  # not subscribed yet
    finally:
        await here.stop()
        await there.stop()

    assert got == ("c1", {"typing": True})
