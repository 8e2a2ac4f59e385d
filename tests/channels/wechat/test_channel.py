"""The WeChat door against a faithful fake of the platform: the conformance list of docs/wechat.md."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import aiohttp
import pytest
from aiohttp import web
from PIL import Image

from bot.database import make_engine
from bot.exceptions import SettingsError
from bot.message import Attachment, Reply
from bot.settings import MediaSettings, WechatSettings
from channels.gateway import Gateway
from channels.media import KINDS, MediaStore, make_media_store
from channels.outgoing import Link
from channels.patience import Patience
from channels.tables import buttons, inbox, outbox
from channels.wechat import allowance
from channels.wechat.api import ApiError, OfficialAccountApi
from channels.wechat.channel import WechatChannel, dedup_key
from channels.wechat.envelope import transfer_reply
from tests.channels.fake_rasa import FakeRasa
from tests.channels.open_channel import OpenChannel, open_channel
from tests.channels.recordings import amr, mp3
from tests.channels.wechat.fake_wechat import (
    APPID,
    KEY,
    OLD_KEY,
    SECRET,
    TOKEN,
    FakeWechat,
    letter,
    seal,
    sealed_query,
    sign,
    wrap,
)

QUICK = Patience(first=0.02, longest=0.05, park_after=0.3, turn_attempts=2, sweep=0.05)
PASSIVE, SLOW = 1.6, 2.6  # seconds: what the door waits, and a turn that takes longer than that
_ids = itertools.count(1)


@dataclass
class House(OpenChannel):
    wechat: FakeWechat

    async def push(self, xml: str, **more: Any) -> tuple[int, str]:
        return await self.wechat.push(self.session, xml, **more)

    async def say(self, text: str, openid: str = "oAnna", **fields: str) -> tuple[int, str]:
        return await self.push(letter(openid, Content=text, msg_id=str(next(_ids)), **fields))

    async def quiet(self) -> None:
        for _ in range(2000):
            turns, deliveries = await self.gateway.store.due()
            busy = self.gateway.at_work or await self.gateway.store.backlog()
            if not turns and not deliveries and not busy:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the gateway did not come to rest")


@asynccontextmanager
async def open_house(
    tmp_path: Path,
    *,
    passive: float = PASSIVE,
    rasa: FakeRasa | None = None,
    patience: Patience = QUICK,
    link: Link = lambda name: f"https://shop.example/media/{name}?until=1&sign=x",
    **settings: Any,
) -> AsyncIterator[House]:
    rasa, wechat = rasa or FakeRasa(), FakeWechat()

    def make(gateway: Gateway, media: MediaStore, base_url: str) -> WechatChannel:
        account = WechatSettings(
            **{
                "appid": APPID, "token": TOKEN, "secret": SECRET, "aes_key": KEY, "timeout": 0.5,
                "base_url": base_url.rstrip("/"), **settings,
            }
        )  # fmt: skip
        engine = gateway.store.engine
        return WechatChannel(gateway, {"shop": account}, engine, media, link=link, passive=passive)

    async with open_channel(
        tmp_path, "/wechat/shop", make, platform=wechat.app(), rasa=rasa, patience=patience
    ) as opened:
        wechat.base_url = opened.url
        yield House(**vars(opened), wechat=wechat)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as house:
        yield house


async def test_the_address_check_echoes_exactly(house: House) -> None:
    query = {"timestamp": "1714036504", "nonce": "1514711492", "echostr": "4375120948345356249"}
    query["signature"] = sign(TOKEN, query["timestamp"], query["nonce"])
    async with house.session.get(house.url, params=query) as response:
        assert (200, "4375120948345356249") == (response.status, await response.text())
    async with house.session.get(house.url, params={**query, "signature": "0" * 40}) as response:
        assert (403, "") == (response.status, await response.text())
    async with house.session.get(house.url, params={"nonce": "1"}) as response:
        assert 400 == response.status
    async with house.session.get(house.url.replace("shop", "other"), params=query) as response:
        assert 404 == response.status


async def test_a_quick_answer_is_passive_and_costs_nothing(house: House) -> None:
    await house.say("你好")
    await house.quiet()

    assert house.wechat.shown["oAnna"] == ["echo: 你好"]
    assert house.wechat.calls["send"] == 0


async def test_a_slow_answer_goes_out_once_through_the_api(house: House) -> None:
    house.rasa.delay = lambda body: SLOW
    status, body = await house.say("退款")
    await house.until(lambda: house.wechat.shown["oAnna"])
    await house.quiet()

    assert (200, "success") == (status, body)
    assert house.wechat.shown["oAnna"] == ["echo: 退款"]
    assert 1 == len(house.rasa.turns)


async def test_what_storing_a_push_took_is_taken_off_the_wait_for_its_answer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = house.gateway.receive

    async def slowly(*given: Any, **more: Any) -> Any:
        await asyncio.sleep(PASSIVE - 0.1)  # a gateway with much to do
        return await receive(*given, **more)

    monkeypatch.setattr(house.gateway, "receive", slowly)
    house.rasa.delay = lambda body: 5.0
    began = time.monotonic()
    status, body = await house.say("退款")

    assert (200, "success") == (status, body)
    assert time.monotonic() - began < 2 * PASSIVE - 0.3, "the platform would have hung up and asked again"


async def test_a_push_that_comes_again_runs_no_second_turn_and_shows_no_second_answer(house: House) -> None:
    xml = letter("oAnna", Content="退款", msg_id="77")
    await house.push(xml)
    again = await house.push(xml)
    await house.quiet()

    assert (200, "success") == again
    assert house.wechat.shown["oAnna"] == ["echo: 退款"] and 1 == len(house.rasa.turns)


async def test_a_push_that_comes_again_while_it_runs_attaches_to_the_turn(house: House) -> None:
    house.rasa.delay = lambda body: 0.2
    xml = letter("oAnna", Content="退款", msg_id="78")
    answers = await asyncio.gather(*(house.push(xml) for _ in range(3)))
    await house.quiet()

    assert [200] * 3 == [status for status, _ in answers]
    assert house.wechat.shown["oAnna"] == ["echo: 退款"] and 1 == len(house.rasa.turns)


async def test_two_events_in_one_second_both_count_and_the_same_one_counts_once(house: House) -> None:
    stamp = {"CreateTime": "1790000000", "msg_id": None}
    for key in ("A", "B", "A"):
        await house.push(letter("oAnna", "event", Event="CLICK", EventKey=key, **stamp))
    await house.quiet()

    assert ["A", "B"] == [turn["message"] for turn in house.rasa.turns]


@pytest.mark.parametrize("status", [403])
async def test_forged_pushes_are_refused_and_reach_nobody(house: House, status: int) -> None:
    encrypted = seal(letter("oAnna", Content="hi"))
    query = sealed_query(encrypted)
    for change in ({"msg_signature": "0" * 40}, {"msg_signature": query["signature"]}, {"timestamp": "1"}):
        async with house.session.post(
            house.url, params={**query, **change}, data=wrap(encrypted)
        ) as response:
            assert status == response.status and "" == await response.text()
    plain = {name: query[name] for name in ("signature", "timestamp", "nonce")}
    async with house.session.post(house.url, params=plain, data=letter("oAnna", Content="hi")) as response:
        assert status == response.status
    other = seal(letter("oAnna", Content="hi"), appid="wxother0000000000")
    async with house.session.post(house.url, params=sealed_query(other), data=wrap(other)) as response:
        assert status == response.status
    assert not house.rasa.turns


async def test_more_than_a_megabyte_is_refused(house: House) -> None:
    async with house.session.post(
        house.url, params=sealed_query("x"), data=b"x" * (1024 * 1024 + 1)
    ) as response:
        assert 413 == response.status


async def test_the_key_before_is_accepted_and_answers_in_kind(tmp_path: Path) -> None:
    async with open_house(tmp_path, previous_aes_key=OLD_KEY) as house:
        await house.push(letter("oAnna", Content="你好", msg_id="1"), key=OLD_KEY)

        assert house.wechat.shown["oAnna"] == ["echo: 你好"]


async def test_rasa_down_is_said_once_and_never_answered_with_an_error(tmp_path: Path) -> None:
    patience = Patience(first=0.02, longest=0.05, park_after=30, sweep=0.05)
    async with open_house(tmp_path, patience=patience) as house:
        house.rasa.status = 503
        status, _ = await house.say("退款")
        await house.until(lambda: house.wechat.shown["oAnna"])
        assert 200 == status
        assert "暂时" in house.wechat.shown["oAnna"][0]

        house.rasa.status = 200
        await house.until(lambda: any("echo" in text for text in house.wechat.shown["oAnna"]))
        assert 1 == sum("echo: 退款" in text for text in house.wechat.shown["oAnna"])


async def test_several_messages_of_one_turn_become_one(house: House) -> None:
    house.rasa.script = lambda body: [{"text": "一"}, {"text": "二"}, {"text": "三"}]
    await house.say("hi")
    assert house.wechat.shown["oAnna"] == ["一\n\n二\n\n三"]

    house.rasa.delay = lambda body: SLOW
    await house.say("hi")
    await house.until(lambda: len(house.wechat.shown["oAnna"]) == 2)
    await house.quiet()
    assert house.wechat.shown["oAnna"][1] == "一\n\n二\n\n三" and 1 == house.wechat.calls["send"]


async def test_awkward_characters_arrive_as_they_are(house: House) -> None:
    house.rasa.script = lambda body: [{"text": "a]]>b & <c> \x01😀"}]
    await house.say("hi")

    assert house.wechat.shown["oAnna"] == ["a]]>b & <c> 😀"]


async def test_a_long_text_is_split_between_characters(house: House) -> None:
    house.rasa.script = lambda body: [{"text": "退" * 1500}]
    await house.say("hi")
    await house.until(lambda: sum(map(len, house.wechat.shown["oAnna"])) == 1500)

    assert all(len(text.encode()) <= 2048 for text in house.wechat.shown["oAnna"])


async def test_the_rest_of_a_long_text_comes_after_a_retry_when_little_is_left(house: House) -> None:
    await house.say("hi")
    known = await house.gateway.store.find_conversation("wechat", "shop", "oAnna")
    assert known is not None
    async with house.gateway.store.write() as connection:
        await allowance.spend(connection, known.id, 2)  # two and the one for a person are left
    house.wechat.errors = [0, -1]
    await house.gateway.say_as_system(known.id, Reply(text="退" * 900), key="long")
    await house.until(lambda: 3 == house.wechat.calls["send"])
    await house.quiet()

    assert [682, 218] == [len(text) for text in house.wechat.shown["oAnna"][1:]]
    async with house.gateway.store.read() as connection:
        assert 1 == (await allowance.left(connection, known.id)).remaining


async def test_a_text_whose_answer_came_too_late_is_not_sent_again_but_its_rest_is(house: House) -> None:
    await house.say("hi")
    known = await house.gateway.store.find_conversation("wechat", "shop", "oAnna")
    assert known is not None
    await house.channel._accounts["shop"].api.token()
    house.wechat.late = 1.0
    await house.gateway.say_as_system(known.id, Reply(text="退" * 900), key="long")
    await house.until(lambda: 3 == len(house.wechat.shown["oAnna"]))
    await house.quiet()
    await asyncio.sleep(0.2)
    lines = await house.gateway.store.events_after(known.id, 0, desk=True)

    assert [682, 218] == [len(text) for text in house.wechat.shown["oAnna"][1:]]
    assert ["unknown"] == [line.body["status"] for line in lines if line.kind == "delivery"]


async def test_buttons_are_numbered_and_a_typed_number_is_the_button(house: House) -> None:
    house.rasa.script = lambda body: [
        {
            "text": "哪个？",
            "buttons": [{"title": "订单一", "payload": "/one"}, {"title": "订单二", "payload": "/two"}],
        }
    ]
    await house.say("退款")
    assert house.wechat.shown["oAnna"] == ["哪个？\n\n1. 订单一\n2. 订单二"]
    await house.say("2")
    await house.quiet()

    assert "/two" == house.rasa.turns[-1]["message"] and house.rasa.turns[-1]["payload"] is True


async def test_a_menu_click_maps_to_its_button_and_opens_the_short_window(house: House) -> None:
    house.rasa.script = lambda body: [{"text": "哪个？", "buttons": [{"title": "订单一", "payload": "/one"}]}]
    await house.say("退款")
    known = await house.gateway.store.find_conversation("wechat", "shop", "oAnna")
    assert known is not None
    async with house.gateway.store.read() as connection:
        token = (await connection.execute(buttons.select())).first().token
    await house.say("订单一", bizmsgmenuid=token)
    await house.quiet()

    assert "/one" == house.rasa.turns[-1]["message"]
    async with house.gateway.store.read() as connection:
        rows = {row.cause: row.remaining for row in await connection.execute(allowance.allowances.select())}
    assert {"message": 5, "event": 3} == rows


async def test_a_voice_message_with_words_is_understood_and_without_is_answered_politely(
    house: House,
) -> None:
    await house.push(letter("oAnna", "voice", msg_id="1", MediaId="m", Format="amr", Recognition="我要退款"))
    await house.push(letter("oAnna", "voice", msg_id="2", MediaId="m", Format="amr", Recognition=""))
    await house.quiet()

    assert ["我要退款"] == [turn["message"] for turn in house.rasa.turns]
    assert "打字" in house.wechat.shown["oAnna"][1]


async def test_a_picture_reaches_the_dialogue_without_its_metadata(house: House) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(picture, "JPEG", exif=b"Exif\0\0secret-place")
    house.wechat.media["pic"] = picture.getvalue()
    await house.push(letter("oAnna", "image", msg_id="1", MediaId="pic", PicUrl="http://x/"))
    await house.push(letter("oAnna", "image", msg_id="2", MediaId="gone", PicUrl="http://x/"))
    await house.quiet()

    [media] = house.rasa.turns[0]["metadata"]["media"]
    stored = await house.channel._media.get(media["media_id"])
    assert stored is not None and b"secret-place" not in stored[0]
    assert 1 == len(house.rasa.turns) and "再发一次" in house.wechat.shown["oAnna"][1]


@pytest.mark.parametrize(
    ("kind", "fields", "answer"),
    [
        ("video", {}, "看不懂视频"),
        ("shortvideo", {}, "看不懂视频"),
        ("location", {"Label": "南京路1号"}, "echo: 南京路1号"),
        ("location", {"Label": ""}, "看不懂"),
        ("link", {"Title": "碎了", "Url": "https://x/1"}, "echo: 碎了 https://x/1"),
        ("miniprogrampage", {}, "看不懂"),
        ("something_new", {}, "看不懂"),
    ],
)
async def test_every_other_kind_is_stored_and_gets_a_sensible_answer(
    house: House, kind: str, fields: dict[str, str], answer: str
) -> None:
    await house.push(letter("oAnna", kind, msg_id="1", **fields))
    await house.quiet()

    [shown] = house.wechat.shown["oAnna"]
    assert answer in shown
    async with house.gateway.store.read() as connection:
        [row] = (await connection.execute(inbox.select())).all()
    assert ("done", kind) == (row.state, json.loads(row.raw)["MsgType"])


_HELD, _LATER, _FAILED = ("held", None), ("pending", 60), ("failed", None)


@pytest.mark.parametrize(
    ("code", "becomes"),
    [
        (-1, ("pending", 2)), (45009, _LATER), (45011, _LATER),
        (40013, _LATER), (40125, _LATER), (40164, _LATER), (61004, _LATER), (40243, _LATER), (89503, _LATER),
        (40003, _FAILED), (43004, _FAILED), (45002, _FAILED), (45008, _FAILED), (45015, _HELD), (45047, _HELD),
        (48001, _HELD), (50002, _HELD), (99999, _FAILED),
    ],
)  # fmt: skip
async def test_every_error_code_has_its_reaction(
    house: House, caplog: pytest.LogCaptureFixture, code: int, becomes: tuple[str, int | None]
) -> None:
    await house.say("hi")
    known = await house.gateway.store.find_conversation("wechat", "shop", "oAnna")
    assert known is not None
    house.wechat.errors = [code]
    seq = await house.gateway.say_as_system(known.id, Reply(text="x"), key="x")
    async with house.gateway.store.read() as connection:
        for _ in range(500):
            row = (await connection.execute(outbox.select().where(outbox.c.seq == seq))).one()
            if row.attempts:
                break
            await asyncio.sleep(0.01)
    state, wait = becomes

    assert (state, 1) == (row.state, house.wechat.calls["send"])
    if wait is not None:
        assert wait - 5 < row.next_at / 1000 - time.time() <= wait
    await house.until(lambda: not house.gateway.at_work)
    known = await house.gateway.store.find_conversation("wechat", "shop", "oAnna")
    assert known is not None and known.reachable is (code not in (40003, 43004))
    assert house.channel._accounts["shop"].passive_only is (code in (48001, 50002))
    assert ("wechat.misconfigured" in caplog.text) is (code in (40013, 40125, 40164, 61004, 40243, 89503))


async def test_follow_scan_leave_and_the_wish_for_a_person(house: House) -> None:
    await house.push(letter("oAnna", "event", msg_id=None, Event="subscribe", EventKey=""))
    assert "您好" in house.wechat.shown["oAnna"][0]
    await house.push(
        letter("oAnna", "event", msg_id=None, Event="SCAN", EventKey="order_20260001", Ticket="t")
    )
    await house.push(
        letter("oBo", "event", msg_id=None, Event="subscribe", EventKey="qrscene_order_20260002")
    )
    await house.quiet()
    assert ["20260001", "20260002"] == [turn["message"] for turn in house.rasa.turns]

    await house.push(letter("oAnna", "event", msg_id=None, Event="CLICK", EventKey="human"))
    await house.quiet()
    known = await house.gateway.store.find_conversation("wechat", "shop", "oAnna")
    assert known is not None and "pending" == (await house.gateway.owner(known.id)).owner

    status, body = await house.push(letter("oAnna", "event", msg_id=None, Event="unsubscribe", EventKey=""))
    known = await house.gateway.store.find_conversation("wechat", "shop", "oAnna")
    assert (200, "success") == (status, body) and known is not None and known.reachable is False


@pytest.mark.parametrize(("before", "answer"), [("你好", "已为您转接"), ("it is broken", "passed you on")])
async def test_the_menu_for_a_person_is_answered_in_the_shoppers_language(
    house: House, before: str, answer: str
) -> None:
    await house.say(before)
    await house.push(letter("oAnna", "event", msg_id=None, Event="CLICK", EventKey="human"))
    await house.quiet()

    assert answer in house.wechat.shown["oAnna"][-1]


async def test_while_a_person_has_it_the_bot_is_silent_and_the_platform_gets_a_quick_success(
    house: House,
) -> None:
    await house.say("hi")
    known = await house.gateway.store.find_conversation("wechat", "shop", "oAnna")
    assert known is not None
    await house.gateway.hand_over(known.id, await house.gateway.owner(known.id), "person", agent="小林")
    before = len(house.rasa.turns)
    answer = await house.say("在吗")
    await house.quiet()

    assert (200, "success") == answer and before == len(house.rasa.turns)
    events = await house.gateway.store.events_after(known.id, 0)
    assert "在吗" in [event.body.get("text") for event in events]


async def test_native_desk_takes_messages_not_events_and_names_the_person(tmp_path: Path) -> None:
    async with open_house(tmp_path, native_desk=True, native_agent="lin@shop") as house:
        await house.say("hi")
        known = await house.gateway.store.find_conversation("wechat", "shop", "oAnna")
        assert known is not None
        await house.gateway.hand_over(
            known.id, await house.gateway.owner(known.id), "pending", reason="asked"
        )
        await house.say("在吗")
        event = await house.push(letter("oAnna", "event", msg_id=None, Event="CLICK", EventKey="X"))

        assert "transfer_customer_service" == house.wechat.shown["oAnna"][-1]
        assert (200, "success") == event


@pytest.mark.parametrize("code", [45015, 45047])
async def test_a_used_up_window_holds_the_message_until_the_shopper_writes(house: House, code: int) -> None:
    house.rasa.delay = lambda body: SLOW
    house.wechat.errors = [code]
    await house.say("一")
    await house.until(lambda: house.wechat.calls["send"] == 1)
    await house.quiet()
    assert [] == house.wechat.shown["oAnna"] and 1 == house.wechat.calls["send"]

    house.rasa.delay = lambda body: 0.0
    await house.say("二")
    await house.until(lambda: len(house.wechat.shown["oAnna"]) == 2)
    assert {"echo: 一", "echo: 二"} == set(house.wechat.shown["oAnna"])


async def test_the_last_message_of_the_allowance_is_kept_for_a_person(house: House) -> None:
    await house.say("hi")
    known = await house.gateway.store.find_conversation("wechat", "shop", "oAnna")
    assert known is not None
    for n in range(8):
        await house.gateway.say_as_system(known.id, Reply(text=f"n{n}"), key=f"k{n}")
    await house.quiet()
    assert 4 == house.wechat.calls["send"]

    owner = await house.gateway.hand_over(
        known.id, await house.gateway.owner(known.id), "person", agent="小林"
    )
    async with house.gateway.store.read() as connection:
        assert 1 == (await allowance.left(connection, known.id)).remaining
    assert "person" == owner.owner


async def test_a_bad_token_is_refreshed_once_and_then_given_up(house: House) -> None:
    engine = house.gateway.store.engine
    api = OfficialAccountApi(engine, APPID, SECRET, base_url=house.wechat.base_url.rpartition("/wechat")[0])
    await api.close()
    house.rasa.delay = lambda body: SLOW
    await house.say("一")
    await house.until(lambda: house.wechat.shown["oAnna"])
    house.wechat.token = 2  # the platform changed it
    await house.say("二")
    await house.until(lambda: len(house.wechat.shown["oAnna"]) == 2)
    assert 2 == house.wechat.calls["token"] and 3 == house.wechat.calls["send"]

    house.wechat.always = 40001
    before = house.wechat.calls["send"]
    account = house.channel._accounts["shop"]
    with pytest.raises(ApiError) as refused:
        await account.api.send_text("oAnna", "x")
    assert 40001 == refused.value.code and before + 2 == house.wechat.calls["send"]


async def test_twenty_senders_fetch_one_token(house: House) -> None:
    house.wechat.quota["oAnna"] = 20
    api = house.channel._accounts["shop"].api
    await asyncio.gather(*(api.send_text("oAnna", str(n)) for n in range(20)))

    assert 1 == house.wechat.calls["token"] and 20 == len(house.wechat.sends)


async def test_a_token_service_that_hangs_ends_in_a_time_out_and_blocks_nobody(house: House) -> None:
    house.wechat.hang = 3.0
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.02)
            ticks += 1

    clock = asyncio.create_task(tick())
    with pytest.raises(ApiError, match="no answer in time"):
        await house.channel._accounts["shop"].api.send_text("oAnna", "x")
    clock.cancel()

    assert ticks > 5


async def test_an_account_without_the_api_is_switched_to_passive_only(house: House) -> None:
    house.rasa.delay = lambda body: SLOW
    house.wechat.errors = [48001]
    await house.say("一")
    await house.until(lambda: house.wechat.calls["send"] == 1)
    await house.quiet()
    house.rasa.delay = lambda body: 0.0
    await house.say("二")
    await house.quiet()

    assert ["echo: 一\n\necho: 二"] == house.wechat.shown["oAnna"] and 1 == house.wechat.calls["send"]


@pytest.mark.parametrize("switched", [False, True], ids=["configured", "switched"])
async def test_without_the_api_a_persons_words_come_with_the_shoppers_next_message(
    tmp_path: Path, switched: bool
) -> None:
    async with open_house(tmp_path, passive_only=not switched) as house:
        await house.say("转人工")
        known = await house.gateway.store.find_conversation("wechat", "shop", "oAnna")
        assert known is not None
        owner = await house.gateway.hand_over(
            known.id, await house.gateway.owner(known.id), "person", agent="小林"
        )
        house.wechat.errors = [48001]
        for text in ("我来处理", "请看"):
            await house.gateway.say_as_person(known.id, owner.token, Reply(text=text), agent="小林", key=text)
        await house.quiet()
        await house.say("在吗")
        shown = list(house.wechat.shown["oAnna"])
        silent = await house.say("好的")
        await house.quiet()

        assert ["echo: 转人工", "我来处理\n\n请看"] == shown == house.wechat.shown["oAnna"]
        assert (200, "success") == silent and int(switched) == house.wechat.calls["send"]
        assert 1 == len(house.rasa.turns)


async def test_a_passive_only_account_answers_on_a_later_try(tmp_path: Path) -> None:
    async with open_house(tmp_path, passive=0.1, passive_only=True) as house:
        house.rasa.delay = lambda body: 1.0
        house.channel._passive = 0.1
        xml = letter("oAnna", Content="慢", msg_id="9")
        for _ in range(3):
            await house.push(xml)
        assert "回复任意字" in house.wechat.shown["oAnna"][-1] or "echo: 慢" in house.wechat.shown["oAnna"]
        house.rasa.delay = lambda body: 0.0
        await house.until(lambda: len(house.rasa.turns) == 1)
        await asyncio.sleep(1.0)
        await house.say("好")
        shown = "\n".join(house.wechat.shown["oAnna"])
        assert 1 == shown.count("echo: 慢") and 0 == house.wechat.calls["send"]


async def test_no_secret_and_no_token_is_written_to_the_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # the fake's own
    house.rasa.delay = lambda body: SLOW
    house.wechat.always = 40125
    await house.say("一")
    await house.until(lambda: house.wechat.calls["send"] >= 1)
    api = OfficialAccountApi(house.gateway.store.engine, "wxnew", SECRET, base_url="http://127.0.0.1:9")
    with pytest.raises(ApiError) as refused:
        await api.send_text("oAnna", "x")
    await api.close()

    written = caplog.text + str(refused.value) + repr(refused.value.__context__)
    assert SECRET not in written and "token-1" not in written.replace("access_token", "")


async def test_typing_errors_are_ignored(house: House) -> None:
    house.rasa.delay = lambda body: 0.3
    await house.say("hi")
    await house.until(lambda: house.wechat.typed and house.wechat.shown["oAnna"])

    assert house.wechat.shown["oAnna"] == ["echo: hi"]


async def test_a_mini_program_push_with_letters_in_its_id_and_json(house: House) -> None:
    body = json.dumps(
        {
            "ToUserName": "gh", "FromUserName": "oMini", "CreateTime": 1, "MsgType": "text",
            "Content": "退款", "MsgId": "49d72d67b16d115e7935ac386f2f0fa41535298877_1555684067",
        }
    )  # fmt: skip
    encrypted = seal(body)
    for _ in range(2):
        async with house.session.post(
            house.url,
            params=sealed_query(encrypted),
            data=json.dumps({"ToUserName": "gh", "Encrypt": encrypted}),
        ) as response:
            answer = await response.text()
            assert 200 == response.status
    assert 1 == len(house.rasa.turns) and "success" == answer


async def test_the_same_openid_at_two_accounts_is_two_conversations(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        store = house.gateway.store
        await house.say("hi")
        async with store.write() as connection:
            other = await store.open_conversation(connection, "wechat", "other", "oAnna")
        mine = await store.find_conversation("wechat", "shop", "oAnna")
        assert mine is not None and mine.id != other.id


async def from_a_person(house: House, data: bytes) -> Attachment:
    """A file that somebody at the desk sends."""
    file = await house.channel._media.put(data, kinds=KINDS)
    known = await house.gateway.store.find_conversation("wechat", "shop", "oAnna")
    assert known is not None
    owner = await house.gateway.owner(known.id)
    if owner.owner != "person":
        owner = await house.gateway.hand_over(known.id, owner, "person", agent="小林")
    await house.gateway.say_as_person(
        known.id, owner.token, Reply(), agent="小林", key=file.media_id, media=[file.model_dump()]
    )
    return file


@pytest.mark.parametrize("data", [amr(20), mp3(30)], ids=["amr", "mp3"])
async def test_a_voice_of_the_desk_is_uploaded_and_played(house: House, data: bytes) -> None:
    await house.say("你好")
    await from_a_person(house, data)
    await house.until(lambda: "voice" in house.wechat.shown["oAnna"])

    assert data == house.wechat.media[house.wechat.sends[-1]["voice"]["media_id"]]


@pytest.mark.parametrize("data", [amr(61), mp3(70), b"OggS" + bytes(60)], ids=["amr", "mp3", "ogg"])
async def test_a_voice_wechat_does_not_take_is_a_link_that_expires(house: House, data: bytes) -> None:
    await house.say("你好")
    file = await from_a_person(house, data)
    await house.until(lambda: 2 == len(house.wechat.shown["oAnna"]))

    assert f"https://shop.example/media/{file.media_id}?until=1" in house.wechat.shown["oAnna"][-1]
    assert not house.wechat.uploaded["voice"]


async def test_a_voice_the_platform_refuses_after_all_is_a_link(house: House) -> None:
    house.wechat.refuse_upload = 45007
    await house.say("你好")
    file = await from_a_person(house, amr(59))
    await house.until(lambda: 2 == len(house.wechat.shown["oAnna"]))

    assert f"/media/{file.media_id}?" in house.wechat.shown["oAnna"][-1]


async def test_a_file_the_platform_has_lost_is_uploaded_once_more(house: House) -> None:
    await house.say("你好")
    house.wechat.errors = [40007]
    await from_a_person(house, amr(5))
    await house.until(lambda: "voice" in house.wechat.shown["oAnna"])
    assert 2 == len(house.wechat.uploaded["voice"])

    house.wechat.errors = [40007, 40007]  # and not for ever
    await from_a_person(house, amr(6))
    await house.until(lambda: 3 == len(house.wechat.shown["oAnna"]))
    assert 4 == len(house.wechat.uploaded["voice"]) and "/media/" in house.wechat.shown["oAnna"][-1]


async def test_without_a_public_address_the_desk_is_told_that_a_file_could_not_go(tmp_path: Path) -> None:
    async with open_house(tmp_path, link=lambda _: None) as house:
        await house.say("你好")
        await from_a_person(house, amr(61))
        await house.quiet()
        known = await house.gateway.store.find_conversation("wechat", "shop", "oAnna")
        assert known is not None
        lines = await house.gateway.store.events_after(known.id, 0, desk=True)

    failed = [line.body for line in lines if line.kind == "delivery"]
    assert ["failed"] == [body["status"] for body in failed] and "gateway.public_url" in failed[0]["reason"]


async def test_the_bot_may_answer_with_a_voice(house: House) -> None:
    file = await house.channel._media.put(amr(4), kinds=KINDS)
    kefu = {"media": [file.model_dump()]}
    house.rasa.script = lambda body: [{"text": "请听", "custom": {"kefu": kefu}}]
    await house.say("怎么安装")
    await house.until(lambda: "voice" in house.wechat.shown["oAnna"])

    assert ["请听", "voice"] == house.wechat.shown["oAnna"]


async def test_an_account_that_only_answers_passively_brings_the_link(tmp_path: Path) -> None:
    async with open_house(tmp_path, passive_only=True) as house:
        await house.say("你好")
        file = await from_a_person(house, amr(4))
        await house.quiet()
        known = await house.gateway.store.find_conversation("wechat", "shop", "oAnna")
        assert known is not None
        await house.gateway.hand_over(known.id, await house.gateway.owner(known.id), "bot")
        await house.say("还在吗")

    assert f"/media/{file.media_id}?" in "\n".join(house.wechat.shown["oAnna"])


def test_an_account_without_its_key_stops_the_start(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path}/x.db")
    media = make_media_store(MediaSettings(), tmp_path)
    for broken in ({"aes_key": ""}, {"aes_key": "short"}, {"token": ""}, {"appid": ""}):
        account = WechatSettings(**{"appid": APPID, "token": TOKEN, "aes_key": KEY, **broken})
        with pytest.raises(SettingsError):
            WechatChannel(None, {"shop": account}, engine, media)  # type: ignore[arg-type]


async def test_a_plain_account_is_answered_in_the_open(tmp_path: Path) -> None:
    async with open_house(tmp_path, mode="plain", aes_key="") as house:
        query = {name: sealed_query("x")[name] for name in ("timestamp", "nonce")}
        query["signature"] = sign(TOKEN, query["timestamp"], query["nonce"])
        xml = letter("oAnna", Content="你好", msg_id="1")
        async with house.session.post(house.url, params=query, data=xml.encode()) as response:
            answer = {child.tag: child.text for child in ElementTree.fromstring(await response.text())}
        wrong = {**query, "signature": "0" * 40}
        async with house.session.post(house.url, params=wrong, data=xml.encode()) as response:
            assert 403 == response.status

    assert ("echo: 你好", "oAnna", "gh_shop") == (
        answer["Content"], answer["ToUserName"], answer["FromUserName"],
    )  # fmt: skip


async def test_a_compatible_account_believes_only_the_sealed_copy(tmp_path: Path) -> None:
    async with open_house(tmp_path, mode="compatible") as house:
        encrypted = seal(letter("oAnna", Content="真的", msg_id="1"))
        forged = letter("oAnna", Content="假的", msg_id="2").replace(
            "</xml>", f"<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
        )
        async with house.session.post(
            house.url, params=sealed_query(encrypted), data=forged.encode()
        ) as response:
            assert 200 == response.status
        await house.quiet()

    assert ["真的"] == [turn["message"] for turn in house.rasa.turns]


async def test_a_letter_that_is_replayed_later_is_the_same_message(house: House) -> None:
    """Same seal, nonce and time, as an eavesdropper has it: inside the window it is a duplicate, later refused."""
    encrypted = seal(letter("oAnna", Content="退款", msg_id="5"))
    query = sealed_query(encrypted)
    answers = []
    for _ in range(2):
        async with house.session.post(house.url, params=query, data=wrap(encrypted)) as response:
            answers.append((response.status, await response.text()))
        await house.quiet()
    old = sealed_query(encrypted, timestamp=str(int(time.time()) - 3600))
    async with house.session.post(house.url, params=old, data=wrap(encrypted)) as response:
        assert 403 == response.status

    assert (200, "success") == answers[1] and 1 == len(house.rasa.turns)


async def test_the_desk_is_told_when_a_message_has_to_wait(house: House) -> None:
    house.rasa.delay = lambda body: SLOW
    house.wechat.errors = [45047]
    await house.say("一")
    await house.until(lambda: house.wechat.calls["send"] == 1)
    await house.quiet()
    known = await house.gateway.store.find_conversation("wechat", "shop", "oAnna")
    assert known is not None
    lines = await house.gateway.store.events_after(known.id, 0, desk=True)

    [told] = [line.body for line in lines if line.kind == "delivery"]
    assert "held" == told["status"] and "45047" in told["reason"]


async def test_a_push_the_gateway_died_over_is_answered_when_the_platform_asks_again(tmp_path: Path) -> None:
    """Killed after the push was stored and before the answer left: the retry brings it, and it costs nothing."""
    async with open_house(tmp_path) as house:
        xml = letter("oAnna", Content="退款", msg_id="6")
        inbound = house.channel._message(
            house.channel._accounts["shop"], "oAnna", dedup_key({"MsgId": "6"}, "oAnna", "text"), "退款"
        )
        received = await house.gateway.receive(inbound, passive_for=30)
        await house.gateway.turns.wait_for(received.message_id, 5)
        assert [] == house.wechat.shown["oAnna"]
        await house.push(xml)
        await house.quiet()

        assert ["echo: 退款"] == house.wechat.shown["oAnna"] and 1 == len(house.rasa.turns)


async def test_a_hung_up_platform_gets_the_answer_through_the_api(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = web.Response.write_eof

    async def hung_up(self: web.Response, *data: Any) -> None:
        if self.content_type == "application/xml":  # only the platform's; the fakes answer as ever
            raise ConnectionResetError("Cannot write to closing transport")
        await original(self, *data)

    monkeypatch.setattr(web.Response, "write_eof", hung_up)
    with contextlib.suppress(aiohttp.ClientError, AssertionError):
        await asyncio.wait_for(house.say("退款"), 2)
    monkeypatch.setattr(web.Response, "write_eof", original)
    await house.until(lambda: house.wechat.shown["oAnna"])
    await house.quiet()

    assert ["echo: 退款"] == house.wechat.shown["oAnna"]


async def test_an_answer_that_waited_comes_before_the_next_in_the_passive_reply(house: House) -> None:
    house.wechat.always = 50000  # the API is of no use
    first = await house.gateway.receive(
        house.channel._message(house.channel._accounts["shop"], "oAnna", "k1", "零"), passive_for=60
    )
    await house.gateway.turns.wait_for(first.message_id, 5)
    await house.say("二")
    await house.quiet()

    assert ["echo: 零\n\necho: 二"] == house.wechat.shown["oAnna"]


async def test_a_full_gateway_says_so_instead_of_losing_the_message_in_silence(house: House) -> None:
    house.gateway._max_backlog = 0
    await house.say("退款")

    assert "再发一次" in house.wechat.shown["oAnna"][0] and not house.rasa.turns


@pytest.mark.parametrize(
    ("kind", "data"), [("voice", b"#!AMR\n" + b"x" * 9), ("video", b"\0\0\0\x18ftypmp42" + b"x" * 9)]
)
async def test_voice_and_video_are_kept_for_people(house: House, kind: str, data: bytes) -> None:
    house.wechat.media["m"] = data
    await house.push(letter("oAnna", kind, msg_id="1", MediaId="m", Recognition=""))
    await house.until(lambda: house.wechat.shown["oAnna"])
    known = await house.gateway.store.find_conversation("wechat", "shop", "oAnna")
    assert known is not None
    [line] = [one for one in await house.gateway.store.events_after(known.id, 0) if one.author == "shopper"]

    assert [kind] == [one["kind"] for one in line.body["media"]] and 1 == len(house.wechat.shown["oAnna"])


def test_the_native_transfer_names_the_person_when_there_is_one() -> None:
    assert "<KfAccount><![CDATA[lin@shop]]></KfAccount>" in transfer_reply("o", "gh", "lin@shop")
    assert "TransInfo" not in transfer_reply("o", "gh", None)


async def test_two_accounts_of_one_house_do_not_open_each_others_letters(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.say("hi")
        theirs = seal(letter("oAnna", Content="hi", msg_id="9"), appid="wxotheraccount000")
        async with house.session.post(house.url, params=sealed_query(theirs), data=wrap(theirs)) as response:
            assert 403 == response.status
    assert 1 == len(house.rasa.turns)
