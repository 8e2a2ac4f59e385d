"""Whatever a platform does to the order and number of its deliveries, each message has one turn, in order."""

from __future__ import annotations

import asyncio
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from channels.channel import Delivery
from tests.channels.fake_rasa import FakeRasa
from tests.channels.test_gateway import Door, open_house

DELIVERIES = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4)), min_size=1, max_size=14)


@settings(max_examples=12, deadline=None)
@given(deliveries=DELIVERIES, failures=st.lists(st.booleans(), max_size=10), together=st.booleans())
def test_duplicates_failures_and_parallel_arrival_change_nothing(
    deliveries: list[tuple[str, int]], failures: list[bool], together: bool
) -> None:
    async def run(folder: str) -> None:
        rasa, door = FakeRasa(), Door()
        door.verdicts = [Delivery("retry", after=0.0) if failed else Delivery() for failed in failures]
        async with open_house(f"sqlite+aiosqlite:///{folder}/kefu.db", rasa, door) as house:
            waiting = [
                house.hear(f"{shopper}{n}", shopper=shopper, key=f"{shopper}{n}") for shopper, n in deliveries
            ]
            if together:
                received = await asyncio.gather(*waiting)
            else:
                received = [await one for one in waiting]
            await house.quiet()
            await asyncio.sleep(0.03)
            await house.quiet()
            assert await house.gateway.store.parked() == []
            for shopper in {shopper for shopper, _ in deliveries}:
                conversation = next(
                    r.conversation for r, d in zip(received, deliveries, strict=True) if d[0] == shopper
                )
                lines = await house.gateway.store.events_after(conversation, 0)
                stored = [line.body["text"] for line in lines if line.author == "shopper"]
                turned = [turn["message"] for turn in rasa.turns if turn["sender"] == conversation]
                told = [
                    text.removeprefix("echo: ") for text in door.texts if text.startswith(f"echo: {shopper}")
                ]
                assert sorted(stored) == sorted({f"{shopper}{n}" for s, n in deliveries if s == shopper})
                assert stored == turned == told
                assert len({line.seq for line in lines}) == len(lines)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(folder))
