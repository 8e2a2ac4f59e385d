"""The terminal's client against the real gateway, with a small dialogue behind it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bot.chat import Tokens, signed
from bot.exceptions import ChannelError
from bot.message import Button, Card, Handoff, Reply
from bot.settings import Settings
from bot.supervisor import free_port
from bot.web_client import WebClient
from channels.app import make_app


class Parrot:
    """A dialogue that repeats, offers two buttons, and can hand over."""

    async def turn(
        self, *, message_id: str, sender: str, text: str, payload: bool, metadata: dict[str, Any], retry: bool
    ) -> list[Reply]:
        if text == "person":
            return [Reply(text="one moment", handoff=Handoff(reason="asked"))]
        if text == "slow":
            await asyncio.sleep(5)
        who = metadata["customer"] or "guest"
        return [
            Reply(text=f"{who}: {text}", language="en", receipts=("R1",) if text == "/affirm" else ()),
            Reply(
                text="And now?",
                card=Card(kind="order", title="Order 1", rows=(("State", "paid"),)),
                buttons=(Button(title="Yes", payload="/affirm"), Button(title="No", payload="/deny")),
                citations=(("Returns", "https://a.example"),),
            ),
        ]


@pytest.fixture
async def url(tmp_path: Path, aiohttp_server: Any) -> str:
    settings = Settings(data_dir=tmp_path)
    server = await aiohttp_server(make_app(settings, dialogue=Parrot(), extensions=()))
    return f"http://127.0.0.1:{server.port}"


async def test_the_replies_to_a_message_come_together_with_everything_on_them(url: str) -> None:
    async with WebClient(url, locale="en") as shopper:
        first, second = await shopper.say("hello")

    assert "guest: hello" == first.text
    assert ["Yes", "No"] == [button.title for button in second.buttons]
    assert {"kind": "order", "title": "Order 1"}.items() <= (second.card or {}).items()
    assert (("Returns", "https://a.example"),) == second.citations
    assert "bot" == second.owner
    assert 1 == len(shopper.timings)
    json.dumps(second.as_dict())
    assert "token" not in json.dumps(second.as_dict())


@pytest.mark.parametrize("which", ["Yes", 1])
async def test_a_button_is_pressed_by_title_or_number(url: str, which: str | int) -> None:
    async with WebClient(url) as shopper:
        await shopper.say("hello")
        first, *_ = await shopper.press(which)

    assert "guest: /affirm" == first.text
    assert ("R1",) == first.receipts


async def test_a_button_that_is_not_there_is_named(url: str) -> None:
    async with WebClient(url) as shopper:
        await shopper.say("hello")
        with pytest.raises(ChannelError, match=r"no button 'Maybe'.*'Yes', 'No'"):
            await shopper.press("Maybe")


async def test_after_a_hand_over_nobody_answers_and_that_is_no_error(url: str) -> None:
    async with WebClient(url) as shopper:
        (last,) = await shopper.say("person")
        assert "pending" == last.owner
        assert [] == await shopper.say("hello?")


async def test_a_later_visit_goes_on_in_the_same_conversation_and_old_replies_are_no_answer(url: str) -> None:
    async with WebClient(url) as first:
        await first.say("hello")
    async with WebClient(url, token=first.token) as second:
        assert first.conversation == second.conversation
        reply, _ = await second.say("again")

    assert "guest: again" == reply.text


async def test_a_lost_connection_is_taken_up_from_the_last_line_seen(url: str) -> None:
    async with WebClient(url) as shopper:
        seq = await shopper.send("hello")
        await shopper.connect()
        first, _ = await shopper.replies(seq)
        assert "guest: hello" == first.text
        assert [] == await shopper.waiting(0.2)


async def test_more_messages_than_the_gateway_allows_are_sent_a_little_later(url: str) -> None:
    async with WebClient(url) as shopper:
        for number in range(9):  # the burst is 8
            await shopper.send(f"message {number}")
        replies = await shopper.waiting(1)

    assert [f"guest: message {number}" for number in range(9)] == [
        reply.text for reply in replies if reply.text.startswith("guest")
    ]


async def test_a_signed_in_customer_is_known(url: str, tmp_path: Path) -> None:
    identity = signed("C1001", "demo", Settings(data_dir=tmp_path))
    async with WebClient(url, identity=identity) as shopper:
        assert shopper.signed_in
        first, _ = await shopper.say("hello")

    assert "site:C1001: hello" == first.text


async def test_a_forged_identity_is_refused(url: str) -> None:
    with pytest.raises(ChannelError, match=r"did not accept us \(identity\)"):
        await WebClient(url, identity="a.b.c").connect()


async def test_a_site_that_does_not_exist_is_named(url: str) -> None:
    with pytest.raises(ChannelError, match="site 'elsewhere'"):
        await WebClient(url, site="elsewhere").connect()


async def test_nobody_at_the_address_is_told_with_the_remedy() -> None:
    with pytest.raises(ChannelError, match=r"Nobody answers at .* start everything with `kefu up`"):
        await WebClient(f"http://127.0.0.1:{free_port()}").connect()


async def test_a_reply_that_does_not_come_is_an_error_not_a_wait_for_ever(url: str) -> None:
    async with WebClient(url, timeout=0.3) as shopper:
        with pytest.raises(ChannelError, match=r"No reply within 0\.3 s"):
            await shopper.say("slow")


def test_an_identity_for_a_site_the_settings_do_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChannelError, match="There is no site 'other'"):
        signed("C1001", "other", Settings(data_dir=tmp_path))


def test_tokens_are_kept_for_the_user_only(tmp_path: Path) -> None:
    path = tmp_path / "chat.json"
    Tokens(path).put("a", "secret")
    Tokens(path).put("b", "other")

    assert "secret" == Tokens(path).get("a")
    assert Tokens(path).get("c") is None
    assert 0o600 == path.stat().st_mode & 0o777


def test_a_broken_file_of_tokens_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "chat.json"
    path.write_text("{")

    assert Tokens(path).get("a") is None
