"""Limits: what fits passes, what does not says how long to wait, waiting that long helps, and gateways count together."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.database import create_tables, make_engine
from bot.exceptions import TooMany
from bot.message import Inbound
from bot.settings import GatewaySettings
from channels.gateway import Gateway
from channels.limits import Limit, MessageLimits, forget_full
from channels.store import Store
from tests.channels.fake_rasa import FakeRasa
from tests.channels.test_gateway import open_house


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/kefu.db"


async def passes(connection: AsyncConnection, limit: Limit, key: str, now: int) -> bool:
    try:
        await limit.take(connection, key, now=now)
    except TooMany:
        return False
    return True


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gaps=st.lists(st.integers(0, 30_000), max_size=40), count=st.integers(1, 5))
def test_what_passes_is_the_allowance_and_what_came_back_in_the_meantime(
    tmp_path: Path, gaps: list[int], count: int
) -> None:
    async def run() -> None:
        engine = make_engine("sqlite+aiosqlite:///:memory:")
        await create_tables(engine)
        async with engine.begin() as connection:
            now, passed = 1_000_000, 0
            for gap in gaps:
                now += gap
                passed += await passes(connection, Limit("x", count, 60), "k", now)
                assert passed <= count + (now - 1_000_000) / (60_000 / count) + 1e-6
        await engine.dispose()

    asyncio.run(run())


async def test_waiting_as_long_as_told_helps_and_one_key_does_not_hinder_another(url: str) -> None:
    engine = make_engine(url)
    await create_tables(engine)
    limit = Limit("x", 2, 4)
    async with engine.begin() as connection:
        assert [True, True, False] == [await passes(connection, limit, "a", 0) for _ in range(3)]
        with pytest.raises(TooMany) as refused:
            await limit.take(connection, "a", now=500)
        assert await passes(connection, limit, "b", 500)
        assert not await passes(connection, limit, "a", 500 + int(refused.value.retry_after * 1000) - 20)
        assert await passes(connection, limit, "a", 500 + int(refused.value.retry_after * 1000))
        assert 2 == await forget_full(connection, now=10**9)
    await engine.dispose()


async def test_a_limit_of_nothing_lets_nothing_through(url: str) -> None:
    engine = make_engine(url)
    await create_tables(engine)
    async with engine.begin() as connection:
        with pytest.raises(TooMany):
            await Limit("x", 0, 60).take(connection, "k")
    await engine.dispose()


@pytest.mark.services
async def test_two_gateways_count_together(postgresql_url: str) -> None:
    """Fifty messages at the same moment over two gateways: as many pass as one gateway would let through."""
    address = postgresql_url.replace("postgresql://", "postgresql+asyncpg://")
    engines = [make_engine(address) for _ in range(2)]
    await create_tables(engines[0])
    gateways = [Gateway(Store(engine), None) for engine in engines]  # type: ignore[arg-type]
    narrow = GatewaySettings(messages_burst=5, messages_per_second=0.001, messages_per_10_minutes=90)

    async def send(n: int) -> bool:
        gateway = gateways[n % 2]
        gateway.limits = MessageLimits(narrow)
        try:
            await gateway.receive(
                Inbound(channel="door", shopper="anna", dedup_key=f"m{n}", text="hi", source="s", at=0),
                refuse=True,
            )
        except TooMany:
            return False
        return True

    passed = await asyncio.gather(*(send(n) for n in range(50)))
    for gateway in gateways:
        await gateway.stop()
    waiting = await gateways[0].store.backlog()
    for engine in engines:
        await engine.dispose()

    assert 5 == sum(passed) == waiting


async def test_where_nothing_can_be_refused_a_flood_is_kept_for_people_and_answered_once(url: str) -> None:
    async with open_house(url, FakeRasa()) as house:
        house.gateway.limits = MessageLimits(GatewaySettings(messages_burst=3, messages_per_second=0.001))
        for n in range(6):
            received = await house.hear(f"message {n}")
        again = await house.hear("message 5", key="kept")
        await house.hear("message 5", key="kept")  # the platform repeats it: no second line
        await house.quiet()
        lines = await house.gateway.store.events_after(received.conversation, 0)

    assert ["echo: message 0", "echo: message 1", "echo: message 2"] == [
        text for text in house.door.texts if text.startswith("echo")
    ]
    assert 1 == sum("wait a minute" in text for text in house.door.texts)
    assert 7 == sum(line.author == "shopper" for line in lines) and again.seq


async def test_a_repeated_message_costs_nothing_of_the_allowance(url: str) -> None:
    async with open_house(url, FakeRasa()) as house:
        house.gateway.limits = MessageLimits(GatewaySettings(messages_burst=2, messages_per_second=0.001))
        for _ in range(5):
            await house.hear("one", key="same")
        await house.hear("two")
        await house.quiet()

    assert ["echo: one", "echo: two"] == house.door.texts
