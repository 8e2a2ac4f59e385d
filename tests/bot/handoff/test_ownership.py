"""One owner at a time, and a token that only rises: whoever shows an old one changes nothing."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.database import create_tables, make_engine
from bot.exceptions import OwnershipLost
from bot.handoff import ownership
from bot.handoff.ownership import ALLOWED, Ownership

OWNERS = st.sampled_from(["bot", "pending", "person", "closed"])


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.tuples(OWNERS, st.integers(0, 3)), max_size=12))
def test_only_the_current_token_moves_a_conversation_and_only_along_the_allowed_ways(
    steps: list[tuple[ownership.Owner, int]],
) -> None:
    async def run(folder: str) -> None:
        engine = make_engine(f"sqlite+aiosqlite:///{folder}/kefu.db")
        await create_tables(engine)
        seen: list[Ownership] = []
        async with engine.begin() as connection:
            current = await ownership.get(connection, "c")
            seen.append(current)
            for owner, back in steps:
                shown = seen[max(0, len(seen) - 1 - back)]
                if owner not in ALLOWED[shown.owner]:
                    with pytest.raises(ValueError, match="cannot go"):
                        await ownership.change(connection, shown, owner)
                elif shown.token != current.token:
                    with pytest.raises(OwnershipLost):
                        await ownership.change(connection, shown, owner)
                else:
                    changed = await ownership.change(connection, shown, owner, agent="a", reason="r")
                    assert (changed.owner, changed.token) == (owner, current.token + 1)
                    current = changed
                    seen.append(changed)
                stored = await ownership.get(connection, "c")
                assert (stored.owner, stored.token) == (current.owner, current.token)
        await engine.dispose()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(folder))


async def test_what_is_written_under_a_lost_token_is_not_written(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path}/kefu.db")
    await create_tables(engine)
    async with engine.begin() as connection:
        bot = await ownership.get(connection, "c")
        await ownership.hold(connection, "c", bot.token)
        person = await ownership.change(connection, bot, "person", agent="李")
    for token, owner in ((bot.token, "bot"), (person.token, "bot"), (bot.token, "person")):
        with pytest.raises(OwnershipLost):
            async with engine.begin() as connection:
                await ownership.hold(connection, "c", token, owner)  # type: ignore[arg-type]
    async with engine.begin() as connection:
        await ownership.hold(connection, "c", person.token, "person")
    with pytest.raises(ValueError, match="No owner"):
        async with engine.begin() as connection:
            await ownership.change(connection, person, "robot")  # type: ignore[arg-type]
    await engine.dispose()
