"""Chatwoot as the desk, against a fake that follows its contract."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer
from PIL import Image

from bot.handoff import cases
from bot.message import Attachment
from bot.privacy.erasure import erase
from channels.desk_adapters.app import BRIDGES, install
from channels.desk_adapters.chatwoot import ChatwootDesk, ChatwootError
from tests.channels.desk.house import House, open_house
from tests.channels.desk_adapters.fake_chatwoot import (
    ACCOUNT,
    INBOX,
    LIN,
    ME,
    MIA,
    SECRET,
    TOKEN,
    FakeChatwoot,
)


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, "PNG")
    return out.getvalue()


PNG = png()


class Place:
    """A gateway, its desk, and Chatwoot."""

    def __init__(self, house: House, fake: FakeChatwoot) -> None:
        self.house, self.fake = house, fake
        self.bridge = house.client.app[BRIDGES][0]
        adapter = self.bridge.adapter
        assert isinstance(adapter, ChatwootDesk)
        self.adapter = adapter

    async def ref(self, conversation: str) -> int:
        """The conversation there, when everything has been shown and its state is in step."""

        async def there() -> bool:
            thread = await self.bridge.thread(conversation=conversation)
            owner = await self.house.gateway.owner(conversation)
            return bool(thread and thread.ref and thread.token == owner.token)

        await until(there)
        thread = await self.bridge.thread(conversation=conversation)
        assert thread is not None
        return int(str(thread.ref))

    async def owner(self, conversation: str) -> tuple[str, str | None]:
        owner = await self.house.gateway.owner(conversation)
        return owner.owner, owner.agent


async def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def open_place(path: Path, *, poll_seconds: float = 3600, **sections: Any) -> AsyncIterator[Place]:
    fake = FakeChatwoot()
    server = TestServer(fake.app())
    await server.start_server()
    desk = {
        "chatwoot": {
            "base_url": f"http://127.0.0.1:{server.port}", "account": ACCOUNT, "inbox": INBOX, "token": TOKEN,
            "secret": SECRET, "poll_seconds": poll_seconds, "timeout": 5,
        }
    }  # fmt: skip
    try:
        async with open_house(path, extensions=[install], desk=desk, language="en", **sections) as house:
            fake.webhook = f"{house.url}/chatwoot"
            yield Place(house, fake)
    finally:
        await fake.close()
        await server.close()


async def test_a_case_goes_there_with_its_packet_and_an_answer_comes_back(tmp_path: Path) -> None:
    """Handed over, packet as a private note, answered, closed: both sides say the same at every step."""
    async with open_place(tmp_path) as place:
        house, fake = place.house, place.fake
        conversation = await house.hear("I want a person, please", "tom")
        ref = await place.ref(conversation)

        packet = next(text for text in fake.shown(ref, private=True) if "Why a person" in text)
        assert "asked for a person" in packet and "80101001002003004" in packet and "Celadon mug" in packet
        assert "phone digits" in packet and "shopper: I want a person" in packet
        assert "open" == fake.conversations[ref]["status"]
        assert ("pending", None) == await place.owner(conversation)

        fake.write(ref, "Hello, Lin here. Let me look.")
        await until(lambda: "Hello, Lin here. Let me look." in house.door.texts)
        assert ("person", "Lin Yue") == await place.owner(conversation)
        await place.ref(conversation)
        assert LIN == fake.conversations[ref]["assignee"]

        await house.hear("The mug is broken", "tom")
        await until(lambda: "The mug is broken" in fake.shown(ref, private=False))
        assert "incoming" == next(
            m["kind"] for m in fake.messages[ref] if m["content"] == "The mug is broken"
        )

        fake.set_status(ref, "resolved")
        await until(lambda: _is(place, conversation, "closed"))
        await place.ref(conversation)
        assert "resolved" == fake.conversations[ref]["status"]
        # What was said there was not said there again by us, and nothing was said twice to the shopper.
        assert 1 == fake.shown(ref).count("Hello, Lin here. Let me look.")
        assert 1 == house.door.texts.count("Hello, Lin here. Let me look.")


async def _is(place: Place, conversation: str, owner: str) -> bool:
    return (await place.house.gateway.owner(conversation)).owner == owner


async def test_only_what_chatwoot_signed_now_is_heard(tmp_path: Path) -> None:
    """No, wrong, foreign, old and future signatures are refused, and a letter that was changed on its way."""
    async with open_place(tmp_path) as place:
        fake = place.fake
        letter = {"event": "message_created", "id": 1}

        assert 401 == await fake.post(b"{}", {})
        assert 401 == await fake.push(letter, secret="another-secret")
        assert 401 == await fake.push(letter, at=time.time() - 301)
        assert 401 == await fake.push(letter, at=time.time() + 301)
        assert 200 == await fake.push(letter, at=time.time() - 200)
        headers = fake.sent[-1][0]
        assert 401 == await fake.post(b'{"event": "message_created", "id": 2}', headers)
        assert 401 == await fake.post(fake.sent[-2][1], {**headers, "X-Chatwoot-Timestamp": "nan"})
        assert 400 == await fake.push([])  # type: ignore[arg-type]


async def test_a_message_delivered_twice_is_said_once(tmp_path: Path) -> None:
    """The same delivery, the same message under another delivery, and the poll that finds it again."""
    async with open_place(tmp_path) as place:
        conversation = await place.house.hear("person please", "tom")
        ref = await place.ref(conversation)
        place.fake.losing = True
        number = place.fake.write(ref, "Once.")
        row = next(row for row in place.fake.messages[ref] if row["id"] == number)
        payload = {"event": "message_created", **place.fake._message_payload(row)}

        for delivery in ("d1", "d1", "d2"):
            assert 200 == await place.fake.push(payload, delivery=delivery)
        await until(lambda: "Once." in place.house.door.texts)
        await place.adapter.poll()
        await place.adapter.poll()
        await place.house.quiet()
        assert 1 == place.house.door.texts.count("Once.")


async def test_what_webhooks_miss_is_found_by_polling(tmp_path: Path) -> None:
    """Chatwoot delivers once. A lost reply, a lost note and a lost end are found, in order and once."""
    async with open_place(tmp_path) as place:
        house, fake = place.house, place.fake
        conversation = await house.hear("person please", "tom")
        ref = await place.ref(conversation)
        fake.losing = True
        fake.write(ref, "first")
        fake.write(ref, "for us only", private=True)
        fake.write(ref, "second")
        await place.adapter.poll()
        await house.quiet()

        assert ["first", "second"] == [
            text for text in house.door.texts if text in ("first", "second", "for us only")
        ]
        notes = [line.body for line in await house.lines(conversation) if line.kind == "note"]
        assert [("for us only", "Lin Yue")] == [(note["text"], note["agent"]) for note in notes]

        await place.ref(conversation)
        fake.set_status(ref, "resolved")
        await place.adapter.poll()
        assert ("closed", None) == await place.owner(conversation)


async def test_notes_and_echoes_go_nowhere(tmp_path: Path) -> None:
    """Private notes, our own messages, bots and contacts: none of it reaches the shopper."""
    async with open_place(tmp_path) as place:
        house, fake = place.house, place.fake
        conversation = await house.hear("person please", "tom")
        ref = await place.ref(conversation)
        before = list(house.door.texts)
        fake.write(ref, "he is lying, I think", private=True)
        fake.write(ref, "from the token's own user", ME)
        fake.write(ref, "from a bot", {"id": 5, "name": "Robot", "type": "agent_bot"})
        fake._add(ref, "from the contact", kind="incoming")
        fake._add(ref, "Conversation was resolved by Lin", kind="activity", sender=LIN)
        await place.adapter.poll()
        await house.quiet()

        assert before == house.door.texts
        assert "pending" == (await place.owner(conversation))[0]
        assert 1 == fake.shown(ref).count("he is lying, I think")


async def test_of_two_desks_one_has_it_and_the_other_is_told(tmp_path: Path) -> None:
    """Kefu's own desk has it: what is written in Chatwoot is not sent, and its end does not count."""
    async with open_place(tmp_path) as place:
        house, fake = place.house, place.fake
        conversation = await house.hear("person please", "tom")
        ref = await place.ref(conversation)
        ann = await house.person("ann")
        assert 200 == (await ann.do(conversation, "claim"))[0]
        await place.ref(conversation)

        fake.write(ref, "I have it too")
        await until(
            lambda: any("ann has this conversation" in text for text in fake.shown(ref, private=True))
        )
        fake.set_status(ref, "resolved")
        await until(lambda: fake.conversations[ref]["status"] == "open")
        await house.quiet()

        assert "I have it too" not in house.door.texts
        assert ("person", "ann") == await place.owner(conversation)
        assert 200 == (await ann.do(conversation, "reply", text="Ann here", key="k1"))[0]
        await until(lambda: "ann: Ann here" in fake.shown(ref, private=False))


async def test_a_colleague_there_goes_on_and_the_bot_gets_it_back(tmp_path: Path) -> None:
    """Mia answers in Lin's conversation; pending gives it to the bot; what was written before is not sent after."""
    async with open_place(tmp_path) as place:
        house, fake = place.house, place.fake
        conversation = await house.hear("person please", "tom")
        ref = await place.ref(conversation)
        fake.write(ref, "Lin here")
        await until(lambda: "Lin here" in house.door.texts)
        fake.write(ref, "Mia here", MIA)
        await until(lambda: "Mia here" in house.door.texts)
        assert ("person", "Mia") == await place.owner(conversation)

        await place.ref(conversation)
        fake.losing = True
        fake.write(ref, "and one more thing", MIA)
        fake.losing = False
        await asyncio.sleep(0.01)
        fake.set_status(ref, "pending")
        await until(lambda: _is(place, conversation, "bot"))
        await place.adapter.poll()
        await house.quiet()

        assert "and one more thing" not in house.door.texts
        assert any("changed hands" in text for text in fake.shown(ref, private=True))
        await house.hear("thanks, and my order?", "tom")
        assert "bot" == (await place.owner(conversation))[0]
        assert "thanks, and my order?" not in fake.shown(ref)  # the bot's affair


async def test_taking_by_assignment_and_reopening(tmp_path: Path) -> None:
    """An assignee takes what waits; after the end the shopper writes again and it is the same conversation there."""
    async with open_place(tmp_path) as place:
        house, fake = place.house, place.fake
        conversation = await house.hear("person please", "tom")
        ref = await place.ref(conversation)
        fake.assign(ref, MIA)
        await until(lambda: _is(place, conversation, "person"))
        assert ("person", "Mia") == await place.owner(conversation)
        await place.ref(conversation)
        fake.set_status(ref, "resolved")
        await until(lambda: _is(place, conversation, "closed"))
        await place.ref(conversation)

        await house.hear("It is broken again", "tom")
        assert ref == await place.ref(conversation)
        assert "open" == fake.conversations[ref]["status"]
        assert "It is broken again" in "\n".join(fake.shown(ref))
        assert 1 == len(fake.conversations) and 1 == len(fake.contacts)


async def test_nothing_is_lost_or_doubled_while_chatwoot_is_down(tmp_path: Path) -> None:
    """Down at the hand-over, and an answer that is lost after the message was stored."""
    async with open_place(tmp_path) as place:
        house, fake = place.house, place.fake
        fake.down = True
        conversation = await house.hear("person please", "tom")
        await house.hear("are you there?", "tom")
        await until(lambda: place.bridge.state == "degraded")
        ann = await house.person("ann")
        assert conversation in [
            row["id"] for row in (await ann.get("/queue"))[1]["rows"]
        ]  # nobody waits unseen

        fake.down, fake.forget_answers = False, 2
        ref = await place.ref(conversation)
        assert 1 == fake.shown(ref).count("are you there?")
        assert 1 == len([text for text in fake.shown(ref, private=True) if "Why a person" in text])
        assert 1 == len(fake.conversations)


@pytest.mark.parametrize("found_by", ["line", "status"])
async def test_a_conversation_deleted_there_is_made_again_with_all_of_it(
    tmp_path: Path, found_by: str
) -> None:
    """Packet, the shopper's words, a colleague's own; he still has it, and may end it there."""
    async with open_place(tmp_path) as place:
        house, fake = place.house, place.fake
        conversation = await house.hear("person please", "tom")
        ref = await place.ref(conversation)
        fake.write(ref, "Lin here")
        await until(lambda: "Lin here" in house.door.texts)
        await house.hear("The mug is broken", "tom")
        await until(lambda: "The mug is broken" in fake.shown(ref))
        await place.ref(conversation)

        fake.delete(ref)
        if found_by == "line":
            await house.hear("anybody?", "tom")
        else:
            thread = await place.bridge.thread(conversation=conversation)
            assert thread is not None
            with pytest.raises(ChatwootError):
                await place.adapter.follow(thread, await house.gateway.owner(conversation))
        await until(lambda: fake.conversations)
        again = await place.ref(conversation)

        assert ref != again and 1 == len(fake.conversations)
        assert 1 == sum("Why a person" in text for text in fake.shown(again, private=True))
        said = ["Lin Yue: Lin here", "The mug is broken", *(["anybody?"] if found_by == "line" else [])]
        assert said == [text for text in fake.shown(again, private=False) if text in said]
        assert LIN == fake.conversations[again]["assignee"] and "ready" == place.bridge.state
        assert 1 == house.door.texts.count("Lin here")
        fake.set_status(again, "resolved")
        await until(lambda: _is(place, conversation, "closed"))


async def test_a_proxy_that_finds_no_chatwoot_deletes_nothing(tmp_path: Path) -> None:
    async with open_place(tmp_path) as place:
        house, fake = place.house, place.fake
        conversation = await house.hear("person please", "tom")
        ref = await place.ref(conversation)
        fake.away = True
        await house.hear("are you there?", "tom")
        await until(lambda: place.bridge.state == "degraded")
        thread = await place.bridge.thread(conversation=conversation)
        assert thread is not None and str(ref) == thread.ref

        fake.away = False
        await until(lambda: "are you there?" in fake.shown(ref))
        assert 1 == len(fake.conversations) and 1 == fake.shown(ref).count("are you there?")


async def test_pictures_travel_both_ways_and_only_from_known_hosts(tmp_path: Path) -> None:
    async with open_place(tmp_path) as place:
        house, fake = place.house, place.fake
        store = place.adapter._media
        shown: Attachment = await store.put(PNG)
        conversation = await house.hear("person please", "tom", attachments=(shown,))
        ref = await place.ref(conversation)
        packet = next(row for row in fake.messages[ref] if "Why a person" in row["content"])
        assert shown.media_id in packet["content"] and "/media/" in packet["content"]
        assert [shown.media_id] == packet["files"] and fake.files[shown.media_id]

        base = place.adapter._settings.base_url
        fake.files["label.png"] = PNG
        fake.write(ref, "your label", files=[f"{base}/moved/label.png"])
        await until(lambda: any(message.media for message in house.door.delivered))
        for evil in (
            "http://169.254.169.254/latest/meta-data",
            "file:///etc/passwd",
            f"{base}/moved/x?to=http://127.0.0.1:1/",
        ):
            fake.write(ref, "", files=[evil])
        await until(lambda: sum("file was not sent" in text for text in fake.shown(ref, private=True)) == 3)
        await house.quiet()
        assert 1 == sum(bool(message.media) for message in house.door.delivered)


async def test_a_customer_of_two_channels_is_one_contact(tmp_path: Path) -> None:
    async with open_place(tmp_path) as place:
        one = await place.house.hear("person please", "tom", customer="site:cus_0001")
        other = await place.house.hear("person please", "tommy", customer="site:cus_0001")
        assert await place.ref(one) != await place.ref(other)
        assert ["site:cus_0001"] == [contact["identifier"] for contact in place.fake.contacts.values()]


async def test_the_first_answer_and_the_promise_count_like_at_our_own_desk(tmp_path: Path) -> None:
    async with open_place(tmp_path) as place:
        conversation = await place.house.hear("person please", "tom")
        ref = await place.ref(conversation)
        place.fake.write(ref, "Here I am")
        await until(lambda: "Here I am" in place.house.door.texts)
        await place.ref(conversation)
        async with place.house.gateway.store.read() as connection:
            case = await cases.open_case(connection, conversation)
        assert case is not None and case.answered_at and case.claimed_at and "Lin Yue" == case.agent


async def test_erasing_a_shopper_reaches_chatwoot_and_the_receipt_says_what_became_of_it(
    tmp_path: Path,
) -> None:
    """His conversation and contact go, another shopper's stay; the search there finds none of his words."""
    async with open_place(tmp_path) as place:
        house, fake = place.house, place.fake
        conversation = await house.hear("I want a person, my number is 13912345678", "qz-one")
        other = await house.hear("a person please", "qz-two")
        ref, kept = await place.ref(conversation), await place.ref(other)
        contact = fake.conversations[ref]["contact_id"]
        receipt = await erase(house.gateway.store.engine, house.settings, conversation, by="test")

        assert {
            f"chatwoot conversation {ref}": "deleted",
            f"chatwoot contact {contact}": "deleted",
        } == receipt["elsewhere"]
        assert receipt["complete"], receipt["left"]
        assert ref not in fake.conversations and contact not in fake.contacts and kept in fake.conversations
        assert "13912345678" not in str(fake.messages) and conversation not in str(fake.contacts)


async def test_what_chatwoot_does_not_erase_is_named_for_a_person_to_do(tmp_path: Path) -> None:
    """No administrator, a contact with other conversations, a slow Chatwoot, one that is down."""
    async with open_place(tmp_path) as place:
        house, fake = place.house, place.fake
        engine = house.gateway.store.engine
        said = {}
        for name in ("refused", "shared", "slow", "down"):
            said[name] = await house.hear("I want a person", f"qz-{name}")
            said[name + " ref"] = await place.ref(said[name])
        fake.administrator = False
        receipt = await erase(engine, house.settings, said["refused"], by="test")
        assert not receipt["complete"]
        assert f"chatwoot conversation {said['refused ref']}" in receipt["left"]
        assert "refused (401)" in str(receipt["elsewhere"])

        fake.administrator = True
        contact = fake.conversations[said["shared ref"]]["contact_id"]
        fake.conversations[777] = {**fake.conversations[said["shared ref"]], "id": 777}
        fake.messages[777] = []
        receipt = await erase(engine, house.settings, said["shared"], by="test")
        assert "other conversations (777)" in receipt["elsewhere"][f"chatwoot contact {contact}"]
        assert [f"chatwoot contact {contact}"] == list(receipt["left"]) and contact in fake.contacts

        fake.background = 5
        receipt = await erase(engine, house.settings, said["slow"], by="test")
        assert receipt["complete"] and "accepted" in str(receipt["elsewhere"])

        fake.down = True
        receipt = await erase(engine, house.settings, said["down"], by="test")
        assert f"chatwoot conversation {said['down ref']}" in receipt["left"]
        without = house.settings.model_copy(
            update={"desk": house.settings.desk.model_copy(update={"chatwoot": None})}
        )
        fake.down = False
        last = await house.hear("I want a person", "qz-last")
        ref = await place.ref(last)
        receipt = await erase(engine, without, last, by="test")
        assert "desk.chatwoot is not set" in receipt["elsewhere"][f"chatwoot conversation {ref}"]
