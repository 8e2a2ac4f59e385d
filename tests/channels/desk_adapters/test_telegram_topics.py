"""Telegram topics as the desk, by the library's own client against a fake Bot API."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp.test_utils import TestServer
from PIL import Image

from bot.exceptions import SettingsError
from bot.privacy.erasure import erase
from bot.settings import Settings
from channels.desk_adapters import telegram_topics
from channels.desk_adapters.app import BRIDGES, install
from channels.desk_adapters.telegram_topics import TelegramTopics
from tests.channels.desk.house import House, open_house
from tests.channels.desk_adapters.fake_topics import GROUP, LIN, STRANGER, FakeTopics
from tests.channels.desk_adapters.test_chatwoot import PNG, until
from tests.channels.fake_telegram import TOKEN


class Team:
    def __init__(self, house: House, fake: FakeTopics) -> None:
        self.house, self.fake = house, fake
        self.bridge = house.client.app[BRIDGES][0]
        assert isinstance(self.bridge.adapter, TelegramTopics)
        self.adapter = self.bridge.adapter

    async def topic(self, conversation: str) -> int:
        """The topic, when it is in step."""

        async def there() -> bool:
            thread = await self.bridge.thread(conversation=conversation)
            owner = await self.house.gateway.owner(conversation)
            return bool(thread and thread.ref and thread.token == owner.token)

        await until(there)
        thread = await self.bridge.thread(conversation=conversation)
        assert thread is not None
        return int(str(thread.ref))

    async def is_(self, conversation: str, owner: str) -> bool:
        return (await self.house.gateway.owner(conversation)).owner == owner


@asynccontextmanager
async def open_team(path: Path, monkeypatch: pytest.MonkeyPatch, **sections: Any) -> AsyncIterator[Team]:
    monkeypatch.setattr(telegram_topics, "PACE", 0.0)
    fake = FakeTopics()
    server = TestServer(fake.app())
    await server.start_server()
    desk = {
        "telegram": {
            "token": TOKEN, "group": GROUP, "members": {LIN: "Lin"}, "poll_seconds": 0,
            "base_url": f"http://127.0.0.1:{server.port}",
        }
    }  # fmt: skip
    try:
        async with open_house(path, extensions=[install], desk=desk, language="en", **sections) as house:
            team = Team(house, fake)
            team.adapter._pace = 0.0
            yield team
    finally:
        await server.close()


async def test_a_topic_per_conversation_from_packet_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packet pinned, a member's words to the shopper, notes and strangers not, /release and /close."""
    async with open_team(tmp_path, monkeypatch) as team:
        house, fake = team.house, team.fake
        conversation = await house.hear("I want a person <b>now</b>", "tom")
        topic = await team.topic(conversation)
        assert fake.topics[topic]["name"].startswith("🔴 Tom Baker")
        text = fake.text_of(topic)
        assert "Why a person: asked for a person" in text and "80101001002003004" in text
        assert "&lt;b&gt;now&lt;/b&gt;" in text and "<b>now</b>" not in text
        assert 1 == len(fake.pinned)

        fake.say(topic, "// careful with this one")
        fake.say(topic, "I am nobody", by=STRANGER)
        fake.say(topic, "Hello, Lin here")
        await until(lambda: "Hello, Lin here" in house.door.texts)
        owner = await house.gateway.owner(conversation)
        assert ("person", "Lin") == (owner.owner, owner.agent)
        assert not {"// careful with this one", "I am nobody"} & set(house.door.texts)
        notes = [line.body["text"] for line in await house.lines(conversation) if line.kind == "note"]
        assert ["careful with this one"] == notes

        await team.topic(conversation)
        assert fake.topics[topic]["name"].startswith("🟢")
        await house.hear("thanks, it is broken", "tom")
        await until(lambda: "👤 thanks, it is broken" in fake.text_of(topic))
        assert "Hello, Lin here" not in fake.text_of(topic)  # Lin's own words are there already

        fake.say(topic, "/release@desk_bot sent a new mug")
        await until(lambda: team.is_(conversation, "bot"))
        await house.hear("and my order?", "tom")
        assert "sent a new mug" == house.dialogue.turns[-1]["metadata"]["note"]["text"]
        await house.hear("person again", "tom")
        assert topic == await team.topic(conversation)
        fake.say(topic, "/close")
        await until(lambda: team.is_(conversation, "closed"))
        await team.topic(conversation)
        assert fake.topics[topic]["open"] is False
        assert "and my order?" not in [line for line in fake.topics[topic]["shown"] if line.startswith("👤")]


async def test_of_two_desks_one_has_it_and_the_topic_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_team(tmp_path, monkeypatch) as team:
        house, fake = team.house, team.fake
        conversation = await house.hear("person please", "tom")
        topic = await team.topic(conversation)
        ann = await house.person("ann")
        assert 200 == (await ann.do(conversation, "claim"))[0]
        await team.topic(conversation)
        fake.say(topic, "me too")
        await until(lambda: "Not sent: ann has this conversation" in fake.text_of(topic))
        fake.say(topic, "/close")
        await until(lambda: fake.text_of(topic).count("Not sent: ann has this conversation") == 2)
        assert "me too" not in house.door.texts and await team.is_(conversation, "person")


async def test_a_deleted_topic_is_made_again_and_a_pause_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody deletes the topic; Telegram asks for a pause: nothing is lost."""
    async with open_team(tmp_path, monkeypatch) as team:
        house, fake = team.house, team.fake
        fake.hurry = 2
        conversation = await house.hear("person please", "tom")
        first = await team.topic(conversation)
        assert "Why a person" in fake.text_of(first)
        fake.topics[first]["deleted"] = True
        await house.hear("anybody?", "tom")
        await until(lambda: any("👤 anybody?" in fake.text_of(number) for number in fake.topics))
        second = await team.topic(conversation)
        assert first != second and "Why a person" in fake.text_of(second)
        fake.say(second, "Here!")
        await until(lambda: "Here!" in house.door.texts)


async def test_what_was_never_sent_to_the_topic_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_team(tmp_path, monkeypatch) as team:
        house, fake = team.house, team.fake
        conversation = await house.hear("person please", "tom")
        topic = await team.topic(conversation)
        client = team.adapter.account.bot.request._client  # type: ignore[attr-defined]
        request, failed = client.request, []

        async def fails(*given: Any, **more: Any) -> Any:
            if not failed and str(more["url"]).endswith("/sendMessage"):
                failed.append(more["url"])
                raise httpx.ConnectTimeout("nobody answers the door")
            return await request(*given, **more)

        monkeypatch.setattr(client, "request", fails)
        await house.hear("anybody?", "tom")
        await until(lambda: "👤 anybody?" in fake.text_of(topic))
        assert failed


async def test_pictures_travel_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_team(tmp_path, monkeypatch) as team:
        house, fake = team.house, team.fake
        shown = await team.adapter._media.put(PNG)
        conversation = await house.hear("person please", "tom", attachments=(shown,))
        topic = await team.topic(conversation)
        assert 1 == fake.topics[topic]["photos"] and f"/media/{shown.media_id}" in fake.text_of(topic)

        fake.files["p1"] = PNG
        fake.say(
            topic,
            "",
            caption="your label",
            photo=[{"file_id": "p1", "file_unique_id": "p1", "width": 8, "height": 8, "file_size": len(PNG)}],
        )
        await until(lambda: any(message.media for message in house.door.delivered))
        assert "your label" == next(message.text for message in house.door.delivered if message.media)
        fake.say(topic, "", document={"file_id": "d1", "file_unique_id": "d1"})
        await until(lambda: "file was not sent" in fake.text_of(topic))


@pytest.mark.parametrize(("why", "files"), [("tall", True), ("large", True), ("tall", False)])
async def test_a_picture_telegram_refuses_keeps_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str, files: bool
) -> None:
    """A very long screenshot, a photo too large: in the packet and later, as a file or as a link; told once."""
    out = io.BytesIO()
    Image.new("RGB", (800, 17_000) if why == "tall" else (80, 80), "red").save(out, "PNG")
    async with open_team(tmp_path, monkeypatch) as team:
        house, fake = team.house, team.fake
        fake.takes_files = files
        fake.photo_bytes = 50 if why == "large" else fake.photo_bytes
        first, second = [await team.adapter._media.put(out.getvalue()) for _ in range(2)]
        conversation = await house.hear("person please", "tom", attachments=(first,))
        topic = await team.topic(conversation)
        await house.hear("look at this", "tom", attachments=(second,))
        await house.hear("anybody?", "tom")
        await until(lambda: "👤 anybody?" in fake.text_of(topic))
        text = fake.text_of(topic)

        assert (1, 1, 1) == (text.count("Why a person"), text.count("👤 look at this"), len(fake.pinned))
        assert (0, 2 if files else 0) == (fake.topics[topic]["photos"], fake.topics[topic]["files"])
        assert (0 if files else 2) == text.count("Picture not shown here: http")
        assert files or f"/media/{second.media_id}?" in text
        await team.topic(conversation)
        assert "ready" == team.bridge.state


async def test_what_fails_in_the_middle_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packet stands there when its picture fails: a later try brings the picture, not the packet again."""
    async with open_team(tmp_path, monkeypatch) as team:
        house, fake = team.house, team.fake
        fake.broken_photos = 2
        shown = await team.adapter._media.put(PNG)
        conversation = await house.hear("person please", "tom", attachments=(shown,))
        await until(lambda: not fake.broken_photos)
        topic = await team.topic(conversation)
        fake.broken_photos = 1
        await house.hear("look at this", "tom", attachments=(shown,))
        await until(lambda: not fake.broken_photos)
        await house.hear("anybody?", "tom")
        await until(lambda: "👤 anybody?" in fake.text_of(topic))

        text = fake.text_of(topic)
        assert (1, 1, 1) == (text.count("Why a person"), text.count("👤 look at this"), len(fake.pinned))
        assert 2 == fake.topics[topic]["photos"]
        await until(lambda: not team.adapter._sent)


async def test_a_topic_made_again_tells_what_was_written_there_and_leaves_the_conversation_with_who_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_team(tmp_path, monkeypatch) as team:
        house, fake = team.house, team.fake
        conversation = await house.hear("person please", "tom")
        first = await team.topic(conversation)
        fake.say(first, "Lin here")
        await until(lambda: "Lin here" in house.door.texts)
        await team.topic(conversation)
        fake.topics[first]["deleted"] = True
        await house.hear("anybody?", "tom")
        await until(lambda: any("👤 anybody?" in fake.text_of(number) for number in fake.topics))
        second = await team.topic(conversation)
        assert first != second and 1 == fake.text_of(second).count("<b>Lin</b>: Lin here")
        fake.say(second, "Still here")
        await until(lambda: "Still here" in house.door.texts)
        fake.say(second, "/close")
        await until(lambda: team.is_(conversation, "closed"))
        assert "Still here" not in fake.text_of(second)


async def test_an_update_that_comes_twice_is_done_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_team(tmp_path, monkeypatch) as team:
        house, fake = team.house, team.fake
        conversation = await house.hear("person please", "tom")
        topic = await team.topic(conversation)
        fake.say(topic, "Once")
        again = {"update_id": fake.next_id + 1, "message": fake.updates[-1]["message"]}
        fake.next_id += 1
        fake.updates.append(again)
        await until(lambda: fake.confirmed > again["update_id"])
        await house.quiet()
        assert 1 == house.door.texts.count("Once")


def test_the_desk_wants_a_bot_of_its_own(tmp_path: Path) -> None:
    from channels.app import make_app

    desk = {"telegram": {"token": TOKEN, "group": GROUP, "members": {LIN: "Lin"}}}
    settings = Settings(data_dir=tmp_path, telegram={"shop": {"token": TOKEN}}, desk=desk)
    with pytest.raises(SettingsError, match="another bot"):
        make_app(settings, extensions=[install])


async def test_erasing_a_shopper_deletes_his_topic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all its messages; without the right to, the receipt names the topic; one deleted by hand is fine."""
    async with open_team(tmp_path, monkeypatch) as team:
        house, fake = team.house, team.fake
        engine = house.gateway.store.engine
        first, second, third = [
            await house.hear(f"I want a person, call 1391234567{n}", f"qz-{n}") for n in range(3)
        ]
        topics = [await team.topic(conversation) for conversation in (first, second, third)]
        receipt = await erase(engine, house.settings, first, by="test")
        assert {f"telegram topic {topics[0]}": "deleted"} == receipt["elsewhere"] and receipt["complete"]
        assert fake.topics[topics[0]]["deleted"] and not fake.topics[topics[1]]["deleted"]

        fake.rights.discard("can_delete_messages")
        receipt = await erase(engine, house.settings, second, by="test")
        assert "not enough rights" in receipt["elsewhere"][f"telegram topic {topics[1]}"]
        assert [f"telegram topic {topics[1]}"] == list(receipt["left"])
        assert TOKEN not in str(receipt)

        fake.rights.add("can_delete_messages")
        fake.topics[topics[2]]["deleted"] = True
        receipt = await erase(engine, house.settings, third, by="test")
        assert "gone already" == receipt["elsewhere"][f"telegram topic {topics[2]}"] and receipt["complete"]
