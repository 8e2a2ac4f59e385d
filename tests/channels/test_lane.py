"""The order in which a lane works: what it promises about pokes that come while it works."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.database import now_ms
from channels.lane import Lane


class Workshop:
    """Work that lasts until it is let go, with what is to be done as a count per conversation."""

    def __init__(self) -> None:
        self.waiting: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.looks: Counter[str] = Counter()
        self.inside: set[str] = set()
        self.gates: dict[str, asyncio.Event] = {}
        self.lane = Lane(self.work)

    async def work(self, conversation: str) -> None:
        assert conversation not in self.inside, "one conversation, one at a time"
        self.inside.add(conversation)
        self.looks[conversation] += 1
        found = self.waiting[conversation]
        gate = self.gates.setdefault(conversation, asyncio.Event())
        await gate.wait()
        self.waiting[conversation] -= found
        self.done[conversation] += found
        self.inside.discard(conversation)

    async def until_idle(self) -> None:
        for gate in self.gates.values():
            gate.set()
        while self.lane.busy:
            for gate in self.gates.values():
                gate.set()
            await asyncio.sleep(0)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(["a", "b", "c", "let a go", "let b go", "pause"]), max_size=40))
def test_nothing_that_is_poked_for_is_left(steps: list[str]) -> None:
    """Whatever comes while a lane works is looked at afterwards, never beside it."""

    async def play() -> None:
        shop = Workshop()
        for step in steps:
            if step.startswith("let"):
                gate = shop.gates.get(step[4])
                if gate is not None:
                    gate.set()
                    await asyncio.sleep(0)
                    gate.clear()
            elif step == "pause":
                await asyncio.sleep(0)
            else:
                shop.waiting[step] += 1
                shop.lane.poke(step)
        await shop.until_idle()

        assert not +shop.waiting
        assert shop.done == Counter(step for step in steps if len(step) == 1)

    asyncio.run(play())


async def test_many_pokes_while_it_works_are_one_more_look() -> None:
    shop = Workshop()
    for _ in range(5):
        shop.lane.poke("a")
        await asyncio.sleep(0)
    assert {"a"} == shop.lane.busy

    await shop.until_idle()

    assert 2 == shop.looks["a"]


async def test_a_closed_lane_begins_nothing() -> None:
    shop = Workshop()
    shop.lane.poke("a")
    shop.lane.poke_at("b", now_ms() + 20)
    await asyncio.sleep(0)

    (task,) = shop.lane.close()
    shop.lane.poke("a")
    shop.lane.poke("c")
    shop.gates["a"].set()
    await task
    await asyncio.sleep(0.05)

    assert {"a": 1} == dict(shop.looks)


async def test_a_poke_can_be_set_for_later() -> None:
    shop = Workshop()
    shop.lane.poke_at("a", now_ms() + 20)
    assert not shop.lane.busy

    while not shop.looks["a"]:
        await asyncio.sleep(0.005)
    await shop.until_idle()
