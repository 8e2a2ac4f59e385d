"""The desks of others on PostgreSQL: the same stories as on SQLite, and two gateways over one database."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from channels.desk_adapters.app import install
from tests.channels.desk.house import open_house
from tests.channels.desk_adapters import test_chatwoot as chatwoot
from tests.channels.desk_adapters import test_telegram_topics as topics
from tests.channels.desk_adapters.test_chatwoot import open_place, until

pytestmark = pytest.mark.services

STORIES: tuple[Callable[..., Awaitable[None]], ...] = (
    chatwoot.test_a_case_goes_there_with_its_packet_and_an_answer_comes_back,
    chatwoot.test_a_message_delivered_twice_is_said_once,
    chatwoot.test_of_two_desks_one_has_it_and_the_other_is_told,
    chatwoot.test_nothing_is_lost_or_doubled_while_chatwoot_is_down,
    chatwoot.test_erasing_a_shopper_reaches_chatwoot_and_the_receipt_says_what_became_of_it,
    topics.test_a_topic_per_conversation_from_packet_to_end,
    topics.test_a_deleted_topic_is_made_again_and_a_pause_is_kept,
    topics.test_an_update_that_comes_twice_is_done_once,
)


@pytest.fixture(autouse=True)
def on_postgresql(monkeypatch: pytest.MonkeyPatch, postgresql_url: str) -> None:
    monkeypatch.setenv("KEFU_DATABASE_URL", postgresql_url)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__.removeprefix("test_"))
async def test_on_postgresql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: Callable[..., Awaitable[None]]
) -> None:
    given: dict[str, Any] = {"tmp_path": tmp_path, "monkeypatch": monkeypatch}
    await story(**{name: given[name] for name in inspect.signature(story).parameters})


async def test_two_gateways_show_each_line_once_and_of_two_answers_one_goes_out(tmp_path: Path) -> None:
    """Shoppers write through both, Chatwoot's webhook reaches one; nothing is doubled, nothing missing."""
    async with open_place(tmp_path / "one") as place:
        desk = place.house.settings.desk.model_dump()
        async with open_house(tmp_path / "two", extensions=[install], desk=desk, language="en") as sibling:
            conversation = await place.house.hear("I want a person, please", "tom")
            ref = await place.ref(conversation)
            said = [f"line {number}" for number in range(12)]
            for number, text in enumerate(said):
                await (sibling if number % 2 else place.house).hear(text, "tom")
            await until(lambda: set(said) <= set(place.fake.shown(ref, private=False)))
            message = place.fake.write(ref, "Hello, Lin here")
            await until(lambda: "Hello, Lin here" in place.house.door.texts + sibling.door.texts)
            row = next(one for one in place.fake.messages[ref] if one["id"] == message)
            again = {"event": "message_created", **place.fake._message_payload(row)}
            place.fake.webhook = f"{sibling.url}/chatwoot"
            await place.fake.push(again)
            await place.house.quiet()
            await sibling.quiet()

            assert 1 == len(place.fake.conversations)
            assert said == [text for text in place.fake.shown(ref, private=False) if text in said]
            assert 1 == (place.house.door.texts + sibling.door.texts).count("Hello, Lin here")
