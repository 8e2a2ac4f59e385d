"""The web chat's protocol as a client sees it (docs/web-chat.md; conformance list 6.4)."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import WSMsgType
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image

from bot.settings import Settings
from channels.app import GATEWAY, make_app
from channels.pages import STATIC
from channels.patience import Patience
from channels.rasa_client import RasaClient
from channels.tokens import key_id
from tests.channels.fake_rasa import FakeRasa

SECRET = "a-secret-of-the-demo-site-of-32-bytes"
OLD = "the-secret-before-that-one-32-bytes"
SHOP = "https://shop.example"
QUICK = Patience(first=0.02, longest=0.05, park_after=0.5, turn_attempts=3, sweep=0.1)


def settings_for(path: Path, **gateway: Any) -> Settings:
    return Settings(
        data_dir=path,
        sites={
            "demo": {"secret": SECRET, "previous_secret": OLD, "origins": [SHOP]},
            "other": {"secret": "the-secret-of-another-site"},
        },
        gateway={"messages_burst": 50, "messages_per_second": 50, **gateway},
    )  # type: ignore[arg-type]


class Site:
    """A gateway with a fake Rasa behind it, reachable over real sockets."""

    def __init__(self, client: TestClient, rasa: FakeRasa, settings: Settings) -> None:
        self.client, self.rasa, self.settings = client, rasa, settings
        self.gateway = client.app[GATEWAY]

    @property
    def origin(self) -> str:
        return f"http://{self.client.host}:{self.client.port}"

    @contextlib.asynccontextmanager
    async def page(
        self, *, site: str = "demo", origin: str | None = None, **hello: Any
    ) -> AsyncIterator[Page]:
        async with self.client.ws_connect(
            f"/web/socket?site={site}", headers={"Origin": origin or self.origin}
        ) as socket:
            await socket.send_json({"type": "hello", "locale": "zh", **hello})
            yield Page(socket)

    async def post(self, path: str, body: Any, *, session: str | None = None, site: str = "demo") -> Any:
        headers = {"Origin": self.origin}
        if session:
            headers["Authorization"] = f"Bearer {session}"
        return await self.client.post(f"{path}?site={site}", json=body, headers=headers)


class Page:
    """One open chat page; keeps every frame it got."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.frames: list[dict[str, Any]] = []

    async def get(self, kind: str, timeout: float = 5.0) -> dict[str, Any]:
        """The next frame of this kind that nobody asked for yet."""
        for frame in self.frames:
            if frame["type"] == kind and not frame.get("_seen"):
                frame["_seen"] = True
                return frame
        while True:
            message = await asyncio.wait_for(self.socket.receive(), timeout)
            assert message.type is WSMsgType.TEXT, (message.type, self.socket.close_code)
            frame = json.loads(message.data)
            self.frames.append(frame)
            if frame["type"] == kind:
                frame["_seen"] = True
                return frame

    async def event(self, **want: Any) -> dict[str, Any]:
        while True:
            frame = await self.get("event")
            if all(frame.get(name) == value for name, value in want.items()):
                return frame

    async def say(self, text: str, client_id: str | None = None, **more: Any) -> dict[str, Any]:
        frame = {"type": "message", "client_id": client_id or uuid.uuid4().hex, "text": text, **more}
        await self.socket.send_json(frame)
        return await self.get("ack")

    async def closed(self) -> int:
        while not self.socket.closed:
            message = await asyncio.wait_for(self.socket.receive(), 5)
            if message.type is WSMsgType.TEXT:
                self.frames.append(json.loads(message.data))
        return int(self.socket.close_code)


@contextlib.asynccontextmanager
async def open_site(
    path: Path, rasa: FakeRasa | None = None, *, heartbeat: float = 25.0, **gateway: Any
) -> AsyncIterator[Site]:
    rasa = rasa or FakeRasa()
    backend = TestServer(rasa.app())
    await backend.start_server()
    settings = settings_for(path, **gateway)
    async with aiohttp.ClientSession() as session:
        dialogue = RasaClient(session, str(backend.make_url("")), "kefu-loopback", 5)
        app = make_app(settings, dialogue=dialogue, patience=QUICK, extensions=(), heartbeat=heartbeat)
        async with TestClient(TestServer(app)) as client:
            yield Site(client, rasa, settings)
    await backend.close()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


def identity(sub: str = "c1", *, secret: str = SECRET, **claims: Any) -> str:
    now = int(time.time())
    payload = {"sub": sub, "name": "陈晨", "aud": "demo", "iat": now, "exp": now + 600, **claims}
    return jwt.encode({k: v for k, v in payload.items() if v is not None}, secret, "HS256")


# talking


async def test_half_an_emoji_is_answered_like_any_message(site: Site) -> None:
    async with site.page() as page:
        await page.socket.send_str(
            '{"type": "message", "client_id": "half-an-emoji", "text": "\\ud83d hi \\ud83d\\ude00"}'
        )
        reply = await page.event(author="bot")

    assert "echo: \ufffd hi 😀" == reply["text"]


async def test_a_shopper_is_answered_and_sees_both_lines_in_order(site: Site) -> None:
    async with site.page() as page:
        welcome = await page.get("welcome")
        ack = await page.say("你好")
        mine = await page.event(author="shopper")
        answer = await page.event(author="bot")

    assert (welcome["fresh"], welcome["seq"], welcome["owner"]) == (True, 0, "bot")
    assert ack["seq"] == mine["seq"] == 1 and not ack["duplicate"]
    assert (answer["seq"], answer["text"]) == (2, "echo: 你好")
    assert [frame["on"] for frame in page.frames if frame["type"] == "typing"][:1] == [True]


async def test_the_same_client_id_is_one_message_with_the_same_ack(site: Site) -> None:
    async with site.page() as page:
        first = await page.say("退款", "abcdefgh")
        second = await page.say("退款", "abcdefgh")
        await page.event(author="bot")

    assert (first["seq"], first["id"]) == (second["seq"], second["id"])
    assert second["duplicate"] and len(site.rasa.turns) == 1


async def test_the_same_client_id_of_two_shoppers_is_two_messages(site: Site) -> None:
    async with site.page() as one, site.page() as two:
        assert not (await one.say("a", "abcdefgh"))["duplicate"]
        assert not (await two.say("b", "abcdefgh"))["duplicate"]


async def test_resume_gets_exactly_what_was_missed(site: Site) -> None:
    async with site.page() as page:
        welcome = await page.get("welcome")
        await page.say("one")
        await page.event(author="bot")
    await site.gateway.write_event(
        welcome["conversation"], "message", "bot", {"text": "late"}, audience="shopper"
    )
    async with site.page(token=welcome["token"], conversation=welcome["conversation"], last_seq=2) as page:
        again = await page.get("welcome")
        missed = await page.event()
        await page.socket.send_json({"type": "ping"})
        await page.get("pong")

    assert (again["fresh"], again["conversation"]) == (False, welcome["conversation"])
    assert (missed["seq"], missed["text"]) == (3, "late")
    assert len([frame for frame in page.frames if frame["type"] == "event"]) == 1


async def test_a_page_far_behind_starts_afresh_and_fetches_history(site: Site) -> None:
    async with site.page() as page:
        welcome = await page.get("welcome")
    async with site.gateway.store.write() as connection:
        for n in range(1, 421):
            await site.gateway.store.add_event(
                connection, welcome["conversation"], "message", "bot", {"text": str(n)}
            )
    async with site.page(token=welcome["token"], conversation=welcome["conversation"], last_seq=5) as page:
        again = await page.get("welcome")
        shown = [(await page.event())["seq"] for _ in range(50)]
        await page.socket.send_json({"type": "history", "before": shown[0]})
        history = await page.get("history")

    assert again["fresh"] and again["from_seq"] == 370
    assert shown == list(range(371, 421))
    assert [event["seq"] for event in history["events"]] == list(range(321, 371)) and history["more"]


async def test_a_token_of_one_visitor_does_not_open_anothers_conversation(site: Site) -> None:
    async with site.page() as anna:
        hers = await anna.get("welcome")
        await anna.say("secret")
    async with site.page(conversation=hers["conversation"], last_seq=0) as eve:
        other = await eve.get("welcome")

    assert other["conversation"] != hers["conversation"] and other["seq"] == 0


async def test_two_tabs_see_the_same(site: Site) -> None:
    async with site.page() as one:
        welcome = await one.get("welcome")
        async with site.page(token=welcome["token"]) as two:
            await one.say("hi")
            seen = [await page.event(author="bot") for page in (one, two)]

    assert seen[0]["seq"] == seen[1]["seq"] and seen[0]["text"] == seen[1]["text"]


async def test_read_marks_are_kept_by_the_server_and_never_go_back(site: Site) -> None:
    async with site.page() as page:
        welcome = await page.get("welcome")
        await page.say("hi")
        await page.event(author="bot")
        for seq in (2, 1, 99, "x"):
            await page.socket.send_json({"type": "seen", "seq": seq})
        await page.socket.send_json({"type": "ping"})
        await page.get("pong")
    async with site.page(token=welcome["token"]) as page:
        assert (await page.get("welcome"))["read_seq"] == 2


async def test_a_button_is_a_token_and_its_payload_never_leaves(tmp_path: Path) -> None:
    rasa = FakeRasa(lambda body: [{"text": "?", "buttons": [{"title": "退款", "payload": "/refund{}"}]}])
    async with open_site(tmp_path, rasa) as site, site.page() as page:
        await page.say("hi")
        button = (await page.event(author="bot"))["buttons"][0]
        await page.socket.send_json({"type": "press", "client_id": "abcdefgh", "token": button["token"]})
        await page.get("ack")
        mine = await page.event(text="退款")
        await page.socket.send_json({"type": "press", "client_id": "abcdefgi", "token": "/refund{}"})
        error = await page.get("error")
        await page.event(author="bot")

    assert set(button) == {"title", "token"} and mine["author"] == "shopper"
    assert (error["code"], error["client_id"]) == ("button", "abcdefgi")
    assert [(turn["message"], turn["payload"]) for turn in rasa.turns] == [("hi", False), ("/refund{}", True)]
    assert "/refund" not in json.dumps(page.frames)


async def test_a_person_is_announced_and_the_bot_is_silent_until_release(site: Site) -> None:
    async with site.page() as page:
        welcome = await page.get("welcome")
        owner = await site.gateway.owner(welcome["conversation"])
        await site.gateway.hand_over(welcome["conversation"], owner, "person", agent="李")
        line = await page.event(kind="owner")
        await page.say("在吗")
        await asyncio.sleep(0.2)
        assert (line["owner"], line["agent"]) == ("person", "李") and site.rasa.turns == []
        from channels.owners import release

        await release(site.gateway.store, welcome["conversation"])
        back = await page.event(kind="owner", owner="bot")  # written past the gateway, seen all the same
        await page.say("谢谢")
        await page.event(author="bot")

    assert back["reason"] == "released" and len(site.rasa.turns) == 1


async def test_what_is_for_the_desk_is_not_sent_to_the_page(site: Site) -> None:
    async with site.page() as page:
        welcome = await page.get("welcome")
        await site.gateway.write_event(welcome["conversation"], "note", "person", {"text": "difficult"})
        await page.say("hi")
        await page.event(author="bot")

    assert "difficult" not in json.dumps(page.frames)


async def test_a_rating_counts_once_and_only_when_asked_for(site: Site) -> None:
    rated: list[Any] = []

    async def hook(conversation: str, body: dict[str, Any]) -> None:
        rated.append(body["score"])

    site.gateway.on_rating.append(hook)
    async with site.page() as page:
        welcome = await page.get("welcome")
        await page.socket.send_json({"type": "rating", "client_id": "abcdefgh", "of": 1, "score": 5})
        refused = await page.get("error")
        seq = await site.gateway.write_event(
            welcome["conversation"], "rating_request", "system", {}, audience="shopper"
        )
        for score in (4, 1):
            await page.socket.send_json(
                {"type": "rating", "client_id": "abcdefgh", "of": seq, "score": score}
            )
        first, second = await page.get("ack"), await page.get("ack")
        event = await page.event(kind="rating")

    assert refused["code"] == "bad_frame"
    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert event["score"] == 4 and rated == [4]


async def test_ten_thousand_characters_are_answered_kindly(site: Site) -> None:
    async with site.page() as page:
        await page.say("长" * 10_000)
        answer = await page.event(author="system")

    assert "2000" in answer["text"] and site.rasa.turns == []


# who may


@pytest.mark.parametrize(
    "origin", [None, "https://evil.example", "null", "http://evil.example:1", SHOP + ".evil.example"]
)
async def test_a_page_of_another_origin_is_refused_on_every_way_in(site: Site, origin: str | None) -> None:
    headers = {"Origin": origin} if origin else {}
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await site.client.ws_connect("/web/socket?site=demo", headers=headers)
    assert refused.value.status == 403
    for path in ("/web/session", "/web/send", "/web/upload"):
        assert 403 == (await site.client.post(f"{path}?site=demo", json={}, headers=headers)).status
    assert 403 == (await site.client.get("/web/stream?site=demo&ticket=x", headers=headers)).status
    assert 403 == (await site.client.options("/web/session?site=demo", headers=headers)).status


async def test_a_foreign_name_that_resolves_to_us_is_not_our_own_origin(site: Site) -> None:
    headers = {
        "Origin": f"http://evil.example:{site.client.port}",
        "Host": f"evil.example:{site.client.port}",
    }
    assert 403 == (await site.client.post("/web/session?site=demo", json={}, headers=headers)).status


async def test_an_allowed_origin_gets_exact_cors_and_another_site_does_not(site: Site) -> None:
    answer = await site.client.options("/web/session?site=demo", headers={"Origin": SHOP})
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP and answer.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert 403 == (await site.client.options("/web/session?site=other", headers={"Origin": SHOP})).status
    assert 403 == (await site.client.options("/web/session?site=none", headers={"Origin": SHOP})).status


@pytest.mark.parametrize(
    "token",
    [
        identity(secret="another-secret-altogether"),
        identity(exp=int(time.time()) - 120),
        identity(exp=int(time.time()) + 86400),
        identity(exp=None),
        identity(aud="other"),
        identity(aud=["demo", "other"]),
        identity(aud=None),
        identity(sub=""),
        jwt.encode({"sub": "c1", "aud": "demo", "exp": int(time.time()) + 600}, "", "none"),
        "not a token",
        "a.b.c",
    ],
    ids=(
        *("another secret", "expired", "too long a life", "no expiry", "another site", "two sites"),
        *("no site", "nobody", "unsigned", "no token", "no base64"),
    ),
)
async def test_an_identity_that_is_not_the_shops_closes_4401(site: Site, token: str) -> None:
    async with site.page(identity=token) as page:
        assert 4401 == await page.closed()
    answer = await site.post("/web/session", {"identity": token})

    assert answer.status == 401 and page.frames[0]["code"] == "identity"


async def test_a_forged_visitor_token_and_one_of_another_site_close_4401(site: Site) -> None:
    async with site.page(site="other") as page:
        token = (await page.get("welcome"))["token"]
    for wrong in (token, token[:-2] + "xx", "v1.x", "", 7):
        async with site.page(token=wrong) as page:
            if wrong == "":
                await page.get("welcome")  # nothing is not a forgery
            else:
                assert 4401 == await page.closed()


async def test_silence_or_nonsense_instead_of_hello_closes_4401(site: Site) -> None:
    async with site.client.ws_connect("/web/socket?site=demo", headers={"Origin": site.origin}) as socket:
        await socket.send_str("[1]")
        assert 4401 == await Page(socket).closed()


@pytest.mark.parametrize("secret", [SECRET, OLD])
@pytest.mark.parametrize("named", [True, False])
async def test_a_signed_in_customer_is_known_to_the_dialogue_and_only_then(
    site: Site, secret: str, named: bool
) -> None:
    now = int(time.time())
    claims = {"sub": "c9", "name": "Chen", "aud": "demo", "exp": now + 600}
    token = jwt.encode(claims, secret, "HS256", headers={"kid": key_id(secret)} if named else None)
    async with site.page(identity=token) as page:
        welcome = await page.get("welcome")
        await page.say("hi")
        await page.event(author="bot")
    async with site.page(customer="site:c9", sub="c9") as page:
        await page.say("hi", customer="site:c9")
        await page.event(author="bot")

    assert (welcome["signed_in"], welcome["name"]) == (True, "Chen")
    assert [turn["metadata"]["customer"] for turn in site.rasa.turns] == ["site:c9", None]


async def test_a_guest_who_signs_in_keeps_his_conversation_and_his_token_no_longer_opens_it(
    site: Site,
) -> None:
    async with site.page() as guest:
        before = await guest.get("welcome")
        await guest.say("hi")
        await guest.event(author="bot")
        async with site.page(token=before["token"], identity=identity()) as page:
            after = await page.get("welcome")
            assert 4401 == await guest.closed()  # the other tab is told to come again
    async with site.page(token=before["token"]) as page:
        guest_again = await page.get("welcome")

    assert after["conversation"] == before["conversation"] != guest_again["conversation"]


async def test_a_customer_with_a_conversation_of_his_own_keeps_that_one(site: Site) -> None:
    async with site.page(identity=identity()) as page:
        mine = await page.get("welcome")
    async with site.page() as guest:
        other = await guest.get("welcome")
    async with site.page(token=other["token"], identity=identity()) as page:
        assert (await page.get("welcome"))["conversation"] == mine["conversation"]
    async with site.page(token=other["token"]) as page:
        assert (await page.get("welcome"))["conversation"] == other["conversation"]


async def test_an_identity_that_expires_ends_the_connection(site: Site) -> None:
    # PyJWT grants a minute for clocks that differ; the connection's own clock does not.
    async with site.page(identity=identity(exp=int(time.time()) + 1)) as page:
        await page.get("welcome")
        assert 4401 == await page.closed()
    assert page.frames[-1]["code"] == "identity_expired"


# limits


async def test_too_many_messages_are_refused_with_a_time_to_wait_and_then_the_connection(
    tmp_path: Path,
) -> None:
    async with open_site(tmp_path, messages_burst=2, messages_per_second=0.01) as site, site.page() as page:
        await page.say("1")
        await page.say("2")
        await page.socket.send_json({"type": "message", "client_id": "abcdefgh", "text": "3"})
        error = await page.get("error")
        session = (await (await site.post("/web/session", {"token": page.frames[0]["token"]})).json())[
            "session"
        ]
        frame = {"type": "message", "client_id": "abcdefgi", "text": "4"}
        posted = await site.post("/web/send", {"frame": frame}, session=session)
        for n in range(25):
            await page.socket.send_json({"type": "message", "client_id": f"abcdefgh{n}", "text": "3"})
        code = await page.closed()

    assert (error["code"], error["client_id"]) == ("rate", "abcdefgh") and error["retry_after"] > 1
    assert posted.status == 429 and int(posted.headers["Retry-After"]) > 1
    assert code == 4429


async def test_a_ninth_page_closes_the_oldest_with_4408(site: Site) -> None:
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(site.page())
        token = (await first.get("welcome"))["token"]
        for _ in range(8):
            page = await stack.enter_async_context(site.page(token=token))
            await page.get("welcome")
        assert 4408 == await first.closed()


async def test_a_frame_beyond_the_limit_closes_1009_and_bad_ones_are_answered(site: Site) -> None:
    async with site.page() as page:
        await page.get("welcome")
        for raw in ("{", "[]", "7", '{"type":"message"}', '{"type":"message","client_id":"short","text":"x"}',
                    '{"type":"message","client_id":"abcdefgh","text":7}', '{"type":"message","client_id":"abcdefgh","text":"  "}',
                    '{"type":"message","client_id":"abcdefgh","text":"x","media":["forged.slip"]}',
                    '{"type":"history","before":"x"}'):  # fmt: skip
            await page.socket.send_str(raw)
            assert (await page.get("error"))["code"] == "bad_frame", raw
        await page.socket.send_json({"type": "something new"})
        await page.socket.send_json({"type": "ping"})
        await page.get("pong")
        await page.socket.send_str("x" * 70_000)
        assert 1009 == await page.closed()


async def test_a_dead_page_is_noticed_by_its_silence(tmp_path: Path) -> None:
    async with open_site(tmp_path, heartbeat=0.1) as site:
        socket = await site.client.ws_connect(
            "/web/socket?site=demo", headers={"Origin": site.origin}, autoping=False
        )
        await socket.send_json({"type": "hello"})
        await socket.receive()
        web_channel = site.gateway.channels["web"]
        for _ in range(100):
            if not web_channel.connections:  # type: ignore[attr-defined]
                break
            await asyncio.sleep(0.02)
        assert not web_channel.connections  # type: ignore[attr-defined]
        await socket.close()


async def test_a_stopping_gateway_says_1001_and_nothing_is_lost(tmp_path: Path) -> None:
    rasa = FakeRasa()
    rasa.delay = lambda body: 0.3
    async with open_site(tmp_path, rasa) as site, site.page() as page:
        welcome = await page.get("welcome")
        await page.say("hi")
        await asyncio.sleep(0.05)
        await site.client.app.shutdown()
        assert 1001 == await page.closed()
    async with (
        open_site(tmp_path, rasa) as site,
        site.page(token=welcome["token"], conversation=welcome["conversation"], last_seq=1) as page,
    ):
        answer = await page.event(author="bot")

    assert (answer["seq"], answer["text"], len(rasa.turns)) == (2, "echo: hi", 1)


def fails_once(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    """The database goes away for one look at the lines."""
    read = site.gateway.store.events_after

    async def fails(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(site.gateway.store, "events_after", read)
        raise ConnectionRefusedError("the database restarts")

    monkeypatch.setattr(site.gateway.store, "events_after", fails)


async def test_a_page_whose_lines_cannot_be_read_has_to_come_again_and_misses_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with site.page() as page:
        welcome = await page.get("welcome")
        await page.say("hi")
        last = (await page.event(author="bot"))["seq"]
        fails_once(monkeypatch, site)
        await site.gateway.write_event(
            welcome["conversation"], "rating_request", "system", {}, audience="shopper"
        )
        assert 1011 == await page.closed()
    again = {"token": welcome["token"], "conversation": welcome["conversation"], "last_seq": last}
    async with site.page(**again) as page:
        missed = await page.event()

    assert (last + 1, "rating_request") == (missed["seq"], missed["kind"])
    assert 1 == caplog.text.count("web.pump_failed") and "the database restarts" in caplog.text


# event stream and POST


class Stream:
    """Reads an event stream."""

    def __init__(self, response: Any) -> None:
        self.response = response

    async def event(self, kind: str = "event") -> tuple[str | None, dict[str, Any]]:
        number = None
        while True:
            line = (await asyncio.wait_for(self.response.content.readline(), 5)).decode().rstrip("\n")
            if line.startswith("id: "):
                number = line[4:]
            if line.startswith("data: "):
                frame = json.loads(line[6:])
                if frame["type"] == kind:
                    return number, frame


async def test_the_event_stream_says_the_same_as_the_socket(site: Site) -> None:
    session = await (await site.post("/web/session", {"locale": "zh"})).json()
    address = f"/web/stream?site=demo&ticket={session['ticket']}&last_seq={session['from_seq']}"
    async with site.client.get(address, headers={"Origin": site.origin}) as response:
        assert response.headers["X-Accel-Buffering"] == "no"
        assert response.headers["Cache-Control"] == "no-store"
        frame = {"type": "message", "client_id": "abcdefgh", "text": "你好"}
        answer = await (await site.post("/web/send", {"frame": frame}, session=session["session"])).json()
        stream = Stream(response)
        mine, bots = await stream.event(), await stream.event()
    again = await site.client.get(address, headers={"Origin": site.origin})
    assert again.status == 401  # a ticket is good once
    session = await (await site.post("/web/session", {"token": session["token"]})).json()
    async with site.client.get(
        f"/web/stream?site=demo&ticket={session['ticket']}",
        headers={"Origin": site.origin, "Last-Event-ID": "1"},
    ) as response:
        resumed = await Stream(response).event()

    assert answer["frames"][0]["type"] == "ack"
    assert [mine[0], bots[0], resumed[0]] == ["1", "2", "2"]
    assert bots[1]["text"] == resumed[1]["text"] == "echo: 你好"


async def test_a_stream_whose_lines_cannot_be_read_is_closed_as_the_socket_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await (await site.post("/web/session", {})).json()
    fails_once(monkeypatch, site)
    async with site.client.get(
        f"/web/stream?site=demo&ticket={session['ticket']}", headers={"Origin": site.origin}
    ) as response:
        _, frame = await Stream(response).event("close")
        await asyncio.wait_for(response.content.read(), 5)

    assert 1011 == frame["code"]


async def test_an_idle_stream_stays_alive(tmp_path: Path) -> None:
    async with open_site(tmp_path, heartbeat=0.05) as site:
        session = await (await site.post("/web/session", {})).json()
        async with site.client.get(
            f"/web/stream?site=demo&ticket={session['ticket']}", headers={"Origin": site.origin}
        ) as response:
            lines = [await asyncio.wait_for(response.content.readline(), 5) for _ in range(6)]

    assert lines.count(b": still here\n") >= 2


async def test_sessions_and_tickets_do_not_stand_in_for_each_other(site: Site) -> None:
    session = await (await site.post("/web/session", {})).json()
    for wrong in (None, "x", session["ticket"], session["token"]):
        assert 401 == (await site.post("/web/send", {"frame": {"type": "ping"}}, session=wrong)).status
    swapped = await site.client.get(
        f"/web/stream?site=demo&ticket={session['session']}", headers={"Origin": site.origin}
    )
    assert swapped.status == 401
    assert (
        401
        == (
            await site.post(
                "/web/send", {"frame": {"type": "ping"}}, session=session["session"], site="other"
            )
        ).status
    )
    assert 400 == (await site.post("/web/send", [1], session=session["session"])).status


# files


def photo(kind: str = "JPEG", size: tuple[int, int] = (64, 48)) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "SecretCameraMaker"
    exif[0x0112] = 6  # lies on its side
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, kind, exif=exif)
    return out.getvalue()


async def upload(site: Site, session: str, data: bytes) -> Any:
    return await site.client.post(
        "/web/upload?site=demo",
        data=data,
        headers={"Origin": site.origin, "Authorization": f"Bearer {session}"},
    )


async def test_a_photo_is_cleaned_and_reaches_the_dialogue_and_a_link_that_expires(site: Site) -> None:
    async with site.page() as page:
        session = (await page.get("welcome"))["session"]
        sent = await (await upload(site, session, photo() + b"<script>behind the picture</script>")).json()
        await page.say("", media=[sent["slip"]])
        event = await page.event(author="shopper")
        await page.event(author="bot")
        link = event["media"][0]["url"]
        answer = await site.client.get(link)
        data = await answer.read()
        forged = await site.client.get(re.sub(r"until=\d+", f"until={int(time.time()) + 9999999}", link))
        bare = await site.client.get(link.partition("?")[0])
        stale_query = site.client.app[GATEWAY].channels["web"].tokens.sign_link(sent["media_id"], -5)  # type: ignore[attr-defined]
        stale = await site.client.get(f"/media/{sent['media_id']}?{stale_query}")

    picture = Image.open(io.BytesIO(data))
    assert picture.size == (48, 64) and not picture.getexif()
    assert b"SecretCameraMaker" not in data and b"script" not in data
    assert re.fullmatch(r"[\w-]{22}\.jpg", sent["media_id"])
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert [forged.status, bare.status, stale.status] == [403, 403, 403]
    assert site.rasa.turns[0]["metadata"]["media"][0]["media_id"] == sent["media_id"]
    assert site.rasa.turns[0]["message"] == ""


async def test_another_shopper_cannot_send_somebodys_file(site: Site) -> None:
    async with site.page() as anna, site.page() as eve:
        session = (await anna.get("welcome"))["session"]
        sent = await (await upload(site, session, photo())).json()
        await eve.socket.send_json(
            {"type": "message", "client_id": "abcdefgh", "text": "", "media": [sent["slip"]]}
        )
        assert (await eve.get("error"))["code"] == "bad_frame"


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"", 415), (b"<svg onload=alert(1)>", 415), (b"GIF89a broken", 415), (b"MZ\x90", 415), (b"<html>", 415),
     (photo()[:200], 415), (b"\0\0\0\x18ftypheic", 415), (b"PK\x03\x04", 415), (b"%PDF-1.4", 200),
     (b"\0\0\0\x18ftypmp42", 200), (b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x86\x81\x01B\x82\x84webm", 200),
     (b"#!AMR\n", 200), (b"ID3\x04", 200), (b"OggS\0", 200), (b"\0\0\0\x20ftypM4A ", 200)],
)  # fmt: skip
async def test_a_file_is_what_its_bytes_say(site: Site, data: bytes, status: int) -> None:
    session = (await (await site.post("/web/session", {})).json())["session"]
    assert status == (await upload(site, session, data)).status


async def test_a_file_that_is_no_picture_is_offered_for_download_and_runs_nowhere(site: Site) -> None:
    async with site.page() as page:
        session = (await page.get("welcome"))["session"]
        sent = await (await upload(site, session, b"%PDF-1.4 /JS (app.alert(1))")).json()
        await page.say("the invoice", media=[sent["slip"]])
        event = await page.event(author="shopper")
        answer = await site.client.get(event["media"][0]["url"])

    assert ("file", "application/pdf") == (sent["kind"], sent["content_type"])
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "nosniff" == answer.headers["X-Content-Type-Options"]


async def test_size_and_number_of_files_are_limited(tmp_path: Path) -> None:
    async with open_site(tmp_path, uploads_per_day=1) as site:
        site.client.app[GATEWAY].channels["web"].media.max_bytes = 5000  # type: ignore[attr-defined]
        session = (await (await site.post("/web/session", {})).json())["session"]
        assert 413 == (await upload(site, session, b"\xff\xd8\xff" + b"x" * 5000)).status
        assert 429 == (await upload(site, session, photo())).status
        assert 401 == (await upload(site, "nobody", photo())).status


# pages


async def test_pages_come_with_a_strict_policy(site: Site) -> None:
    for path, ancestors in (("/", "'none'"), ("/chat?site=demo", f"'self' {SHOP}")):
        answer = await site.client.get(path)
        policy = answer.headers["Content-Security-Policy"]
        text = await answer.text()
        assert answer.status == 200 and f"frame-ancestors {ancestors}" in policy
        assert "unsafe" not in policy and "default-src 'none'" in policy
        assert not re.search(r"<script(?![^>]*src=)|style=|\son\w+=\"", text)
        assert not re.search(r"(?:src|href)=\"(?!/|\{\{|http://127)", text)


def test_the_script_is_small_and_needs_nobody_else() -> None:
    text = (STATIC / "embed.js").read_text(encoding="utf-8")

    assert len(gzip.compress(text.encode(), 9)) <= 25 * 1024
    assert not re.findall(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
    hosts = set(re.findall(r"https?://([\w.-]+)", text))
    assert hosts <= {"GATEWAY", "www.w3.org"}  # an example in the first comment and a namespace


async def test_health_tells_what_waits(site: Site) -> None:
    answer = await (await site.client.get("/health")).json()
    assert answer == {"status": "ok", "channels": ["web"], "waiting": 0, "parked": 0}
