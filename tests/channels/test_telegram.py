"""The Telegram door, python-telegram-bot against a fake Bot API: the conformance list of docs/telegram.md."""

from __future__ import annotations

import asyncio
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

import httpx
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sqlalchemy.exc import OperationalError

from bot.database import make_engine
from bot.exceptions import SettingsError, TooMany
from bot.message import Attachment, Reply
from bot.settings import MediaSettings, Settings, TelegramSettings
from channels.gateway import Gateway
from channels.media import KINDS, MediaStore, make_media_store
from channels.patience import Patience
from channels.store import Store
from channels.tables import inbox, outbox
from channels.telegram import TelegramChannel, install, split_units, units
from tests.channels.fake_rasa import FakeRasa
from tests.channels.fake_telegram import SECRET, TOKEN, FakeTelegram
from tests.channels.open_channel import OpenChannel, open_channel
from tests.channels.recordings import amr, mp3

QUICK = Patience(first=0.02, longest=0.05, park_after=5, turn_attempts=2, sweep=0.05)


@dataclass
class House(OpenChannel):
    telegram: FakeTelegram

    async def push(self, update: Any, *, secret: str | None = SECRET) -> int:
        return await self.telegram.push(self.session, self.url, update, secret=secret)

    async def known(self, chat: int = 7) -> Any:
        return await self.gateway.store.find_conversation("telegram", "shop", str(chat))

    async def states(self) -> list[str]:
        async with self.gateway.store.read() as connection:
            rows = await connection.execute(outbox.select().order_by(outbox.c.position))
            return [row.state for row in rows]


@asynccontextmanager
async def open_house(
    tmp_path: Path,
    *,
    rasa: FakeRasa | None = None,
    telegram: FakeTelegram | None = None,
    pace: float = 0.0,
    **settings: Any,
) -> AsyncIterator[House]:
    rasa, telegram = rasa or FakeRasa(), telegram or FakeTelegram()

    def make(gateway: Gateway, media: MediaStore, base_url: str) -> TelegramChannel:
        bot = TelegramSettings(
            **{"token": TOKEN, "mode": "webhook", "webhook_secret": SECRET, "poll_seconds": 0,
               "base_url": base_url, **settings}
        )  # fmt: skip
        return TelegramChannel(
            gateway, {"shop": bot}, media,
            secret=b"x" * 32, public_url="https://shop.example", pace=pace, patience=0.05,
            link=lambda name: f"https://shop.example/media/{name}",
        )  # fmt: skip

    async with open_channel(
        tmp_path, "/telegram/shop", make, platform=telegram.app(), rasa=rasa, patience=QUICK
    ) as opened:
        yield House(**vars(opened), telegram=telegram)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as house:
        await house.until(lambda: house.channel.states()["shop"] == "ready")
        yield house


async def test_a_wrong_secret_is_refused(house: House) -> None:
    update = house.telegram.message(text="hi")

    assert [403, 403, 200] == [await house.push(update, secret=s) for s in (None, "x" * 20, SECRET)]


@pytest.mark.parametrize("body", [b"no json", b"[]", b"{}", b'{"update_id": "x"}', b'{"update_id": true}'])
async def test_what_is_no_update_is_refused(house: House, body: bytes) -> None:
    assert 400 == await house.push(body)


async def test_the_same_update_is_one_turn_and_a_lower_number_is_taken(house: House) -> None:
    update = house.telegram.message(text="退款")
    assert [200, 200] == [await house.push(update), await house.push(update)]
    lower = {**house.telegram.message(text="第二"), "update_id": 5}
    assert 200 == await house.push(lower)
    await house.until(lambda: len(house.telegram.shown["7"]) == 2)

    assert ["退款", "第二"] == [turn["message"] for turn in house.rasa.turns]


@pytest.mark.parametrize(
    "content",
    [
        {"poll": {"id": "1"}},
        {"message": {}},
        {"message": {"chat": "x"}},
        {"message": {"chat": {"id": "x", "type": "private"}, "from": {"id": 7}, "text": "hi"}},
        {"callback_query": {"id": "1"}},
        {"my_chat_member": 5},
    ],
)
async def test_unknown_and_malformed_updates_crash_nothing(house: House, content: dict[str, Any]) -> None:
    assert 200 == await house.push({"update_id": 1, **content})
    await house.push(house.telegram.message(text="hi"))
    await house.until(lambda: house.telegram.shown["7"])

    assert ["hi"] == [turn["message"] for turn in house.rasa.turns]


async def test_telegram_is_answered_before_rasa_and_chats_run_side_by_side(house: House) -> None:
    house.rasa.delay = lambda body: 0.6 if body["message"].startswith("slow") else 0.0
    for text in ("slow1", "slow2"):
        assert 200 == await house.push(house.telegram.message(7, text=text))
    assert 200 == await house.push(house.telegram.message(8, text="quick"))
    await house.until(lambda: house.telegram.shown["8"])
    assert [] == house.telegram.shown["7"]
    await house.until(lambda: len(house.telegram.shown["7"]) == 2)

    assert ["echo: slow1", "echo: slow2"] == house.telegram.shown["7"]


async def test_what_was_stored_before_a_restart_is_processed_after_it(tmp_path: Path) -> None:
    rasa, telegram = FakeRasa(), FakeTelegram()
    rasa.status = 503
    async with open_house(tmp_path, rasa=rasa, telegram=telegram) as house:
        assert 200 == await house.push(telegram.message(text="退款"))
    rasa.status = 200
    async with open_house(tmp_path, rasa=rasa, telegram=telegram) as house:
        await house.until(lambda: "echo: 退款" in telegram.shown["7"])
    assert 1 == len(rasa.turns)


@pytest.mark.parametrize(
    ("code", "said", "languages"),
    [
        ("en", ("我的订单到哪了", "ok", ""), ["zh", "zh", "zh"]),
        ("zh-hans", ("where is my order", "10023"), ["en", "en"]),
        ("de", ("10023", "到哪了"), ["en", "zh"]),
        ("zh-hant", ("ok", "ok"), ["zh", "zh"]),
        (None, ("10023", "ok"), ["zh", "en"]),
    ],
)
async def test_the_telephones_language_counts_until_the_shopper_has_said_something(
    house: House, code: str | None, said: tuple[str, ...], languages: list[str]
) -> None:
    sender = {"id": 7, "is_bot": False, "first_name": "Anna", **({"language_code": code} if code else {})}
    heard = []
    for text in said:
        content = {"text": text} if text else {"dice": {"emoji": "x", "value": 1}}
        assert 200 == await house.push(house.telegram.message(**{"from": sender}, **content))
        heard.append((await house.known()).language)

    assert languages == heard


async def test_long_texts_are_split_and_awkward_ones_arrive_whole(house: House) -> None:
    text = "".join(f"第{n}行 <b>&_*[`😀\n" for n in range(700))
    house.rasa.script = lambda body: [{"text": text}, {"text": "<i>_*[]()~`>#+-=|{}.!"}]
    await house.push(house.telegram.message(text="hi"))
    await house.until(
        lambda: len(house.telegram.shown["7"]) >= 3 and (house.telegram.shown["7"][-1]).endswith("!")
    )
    shown = house.telegram.shown["7"]

    assert "".join(text.split()) == "".join("".join(shown[:-1]).split())
    assert "&lt;i&gt;_*[]()~`&gt;#+-=|{}.!" == shown[-1]  # HTML, so it is read as it was written


async def test_refused_markup_is_sent_again_as_plain_text(house: House) -> None:
    house.telegram.refuse_html = True
    house.rasa.script = lambda body: [{"text": "a <b> & c"}]
    await house.push(house.telegram.message(text="hi"))
    await house.until(lambda: house.telegram.shown["7"])

    assert ["a <b> & c"] == house.telegram.shown["7"]


async def test_a_button_is_answered_mapped_and_counts_once(house: House) -> None:
    payload = "/choose_order{" + "x" * 300 + "}"
    house.rasa.script = lambda body: [
        {"text": "哪个？", "buttons": [{"title": "订单一", "payload": payload}]}
    ]
    await house.push(house.telegram.message(text="退款"))
    await house.until(lambda: house.telegram.sent)
    data = json.loads(house.telegram.sent[0]["reply_markup"])["inline_keyboard"][0][0]["callback_data"]
    message = house.telegram.body(text="哪个？")
    person = {"id": 7, "is_bot": False, "first_name": "Anna"}
    for n in range(2):
        query = {"id": f"q{n}", "from": person, "message": message, "data": data, "chat_instance": "1"}
        assert 200 == await house.push(house.telegram.update(callback_query=query))
    other = {"id": "q9", "from": {**person, "id": 9}, "message": message, "data": data, "chat_instance": "1"}
    await house.push(house.telegram.update(callback_query=other))
    await house.until(lambda: len(house.rasa.turns) == 2 and len(house.telegram.answered) == 3)
    await asyncio.sleep(0.2)

    assert 2 == len(house.rasa.turns)
    assert (payload, True) == (house.rasa.turns[1]["message"], house.rasa.turns[1]["payload"])


async def test_a_button_that_is_gone_is_said_so(house: House) -> None:
    person = {"id": 7, "is_bot": False, "first_name": "Anna"}
    query = {"id": "q", "from": person, "message": house.telegram.body(text="x"), "data": "forged"}
    await house.push(house.telegram.update(callback_query=query))
    await house.until(lambda: house.telegram.shown["7"])

    assert "失效" in house.telegram.shown["7"][0] and not house.rasa.turns


async def test_a_pause_is_kept_and_other_chats_go_on(house: House) -> None:
    house.telegram.errors = [
        {"code": 429, "text": "Too Many Requests: retry after 1", "parameters": {"retry_after": 1}}
    ]
    await house.push(house.telegram.message(7, text="一"))
    await house.until(lambda: house.telegram.calls["sendMessage"] == 1)
    asked = time.monotonic()
    await house.push(house.telegram.message(7, text="二"))
    await house.push(house.telegram.message(8, text="三"))
    await house.until(lambda: house.telegram.shown["8"])
    await house.until(lambda: len(house.telegram.shown["7"]) == 2)

    first = next(sent["at"] for sent in house.telegram.sent if sent["chat_id"] == "7")
    assert first - asked > 0.9, "it did not wait as long as it was asked to"
    assert ["echo: 一", "echo: 二"] == house.telegram.shown["7"]


async def test_a_shopper_who_blocked_us_is_not_tried_again_until_he_is_back(house: House) -> None:
    house.telegram.errors = [{"code": 403, "text": "Forbidden: bot was blocked by the user"}]
    await house.push(house.telegram.message(text="hi"))
    await house.until(lambda: house.telegram.calls["sendMessage"] == 1)
    await asyncio.sleep(0.2)
    assert ["failed"] == await house.states() and (await house.known()).reachable is False

    change = {"chat": {"id": 7, "type": "private"}, "new_chat_member": {"status": "member"}}
    await house.push(house.telegram.update(my_chat_member=change))
    assert (await house.known()).reachable is True
    change["new_chat_member"]["status"] = "kicked"
    await house.push(house.telegram.update(my_chat_member=change))
    assert (await house.known()).reachable is False


async def test_a_chat_with_a_new_number_is_followed(house: House) -> None:
    house.telegram.errors = [
        {
            "code": 400,
            "text": "Bad Request: group chat was upgraded",
            "parameters": {"migrate_to_chat_id": -100},
        }
    ]
    await house.push(house.telegram.message(text="hi"))
    await house.until(lambda: house.telegram.shown["-100"])


async def test_an_unknown_outcome_is_not_repeated(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        house.telegram.errors = [{"hang": 7.0}]
        await house.push(house.telegram.message(text="hi"))
        await house.until(lambda: house.telegram.shown["7"])
        for _ in range(80):
            if await house.states() == ["unknown"]:
                break
            await asyncio.sleep(0.1)

        assert ["unknown"] == await house.states() and 1 == len(house.telegram.shown["7"])


@pytest.mark.parametrize("cause", [httpx.ConnectTimeout, httpx.PoolTimeout])
async def test_what_was_never_sent_is_sent_again(
    house: House, monkeypatch: pytest.MonkeyPatch, cause: type[httpx.TimeoutException]
) -> None:
    client = house.channel._accounts["shop"].bot.request._client  # type: ignore[attr-defined]
    request, failed = client.request, []

    async def fails(*given: Any, **more: Any) -> Any:
        if not failed and str(more["url"]).endswith("/sendMessage"):
            failed.append(more["url"])
            raise cause("nobody answers the door")
        return await request(*given, **more)

    monkeypatch.setattr(client, "request", fails)
    await house.push(house.telegram.message(text="hi"))
    await house.until(lambda: house.telegram.shown["7"])

    assert failed and ["echo: hi"] == house.telegram.shown["7"]


async def test_a_bad_request_is_no_passing_fault(house: House) -> None:
    house.telegram.errors = [{"code": 400, "text": "Bad Request: chat not found"}]
    await house.push(house.telegram.message(text="hi"))
    await house.until(lambda: house.telegram.calls["sendMessage"] == 1)
    await asyncio.sleep(0.3)

    assert ["failed"] == await house.states() and 1 == house.telegram.calls["sendMessage"]


async def test_a_server_error_is_tried_again(house: House) -> None:
    house.telegram.errors = [{"code": 502, "text": "Bad Gateway"}]
    await house.push(house.telegram.message(text="hi"))
    await house.until(lambda: house.telegram.shown["7"])


async def test_typing_is_shown_again_until_the_answer_is_there_and_then_stops(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.telegram.TYPING", 0.05)
    waiting = asyncio.Event()

    async def turn(body: Any) -> Any:
        await waiting.wait()
        return [{"text": "da"}]

    monkeypatch.setattr(house.rasa, "_turn", turn)
    await house.push(house.telegram.message(text="hi"))
    await house.until(lambda: len(house.telegram.actions) >= 3)
    waiting.set()
    await house.until(lambda: house.telegram.shown["7"])
    await asyncio.sleep(0.1)
    shown = len(house.telegram.actions)
    await asyncio.sleep(0.3)

    assert shown == len(house.telegram.actions) and not house.channel._typing


async def test_pictures_of_an_album_are_one_message_with_its_caption(house: House) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(picture, "JPEG", exif=b"Exif\0\0secret-place")
    house.telegram.files = {"a": picture.getvalue(), "b": picture.getvalue()}
    for n, file in enumerate(("a", "b")):
        sizes = [{"file_id": "small", "width": 1, "height": 1}, {"file_id": file, "width": 9, "height": 9}]
        caption = {"caption": "杯子碎了"} if n == 0 else {}
        await house.push(house.telegram.message(photo=sizes, media_group_id="g", **caption))
    await house.until(lambda: house.rasa.turns)
    await asyncio.sleep(0.3)

    [turn] = house.rasa.turns
    assert "杯子碎了" == turn["message"] and 2 == len(turn["metadata"]["media"])
    stored = await house.channel._media.get(turn["metadata"]["media"][0]["media_id"])
    assert stored is not None and b"secret-place" not in stored[0]
    assert TOKEN not in str(turn)


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        ({"voice": {"file_id": "v", "duration": 3}}, "听不了语音"),
        ({"video": {"file_id": "film"}}, "看不懂视频"),
        ({"video": {"file_id": "gone"}}, "再发一次"),
        ({"document": {"file_id": "d", "mime_type": "application/pdf"}}, "再发一次"),
        ({"photo": [{"file_id": "gone", "width": 1, "height": 1}]}, "再发一次"),
        ({"photo": [{"file_id": "big", "width": 1, "height": 1, "file_size": 90_000_000}]}, "再发一次"),
        ({"location": {"latitude": 1, "longitude": 2}}, "看不懂"),
        ({"contact": {"phone_number": "13800000000", "user_id": 99}}, "看不懂"),
    ],
)
async def test_every_other_kind_gets_one_sensible_answer(
    house: House, content: dict[str, Any], answer: str
) -> None:
    house.telegram.files = {"film": b"\0\0\0\x18ftypmp42" + b"x" * 20}
    await house.push(house.telegram.message(**content))
    await house.until(lambda: house.telegram.shown["7"])

    [shown] = house.telegram.shown["7"]
    assert answer in shown and not house.rasa.turns


async def test_only_a_shoppers_own_contact_is_believed(house: House) -> None:
    await house.push(house.telegram.message(contact={"phone_number": "13800000000", "user_id": 7}))
    await house.until(lambda: house.rasa.turns)

    assert "13800000000" == house.rasa.turns[0]["message"]


async def test_an_edited_message_is_taken_as_a_correction(house: House) -> None:
    await house.push(house.telegram.message(text="订单一"))
    await house.push(house.telegram.update(edited_message=house.telegram.body(text="订单二", edit_date=2)))
    await house.until(lambda: len(house.rasa.turns) == 2)

    assert "订单二" == house.rasa.turns[1]["message"]


async def test_a_deep_link_speaks_of_its_order_and_a_forged_one_is_a_welcome(house: House) -> None:
    link = house.channel.deep_link("shop", "80012345678901234")
    payload = link.partition("?start=")[2]
    assert len(payload) <= 64 and "kefu_bot" in link
    await house.push(house.telegram.message(text=f"/start {payload}"))
    await house.push(house.telegram.message(text="/start 80012345678901234_0000000000000000"))
    await house.push(house.telegram.message(text="/start"))
    await house.until(lambda: len(house.telegram.shown["7"]) == 3)

    assert ["80012345678901234"] == [turn["message"] for turn in house.rasa.turns]


async def test_groups_are_ignored(house: House) -> None:
    await house.push(house.telegram.message(-5, kind="supergroup", text="hi"))
    await house.push(house.telegram.message(8, text="hi"))
    await house.until(lambda: house.telegram.shown["8"])

    assert 1 == len(house.rasa.turns)


async def test_polling_confirms_only_what_is_stored_and_loses_nothing_over_a_restart(tmp_path: Path) -> None:
    telegram, rasa = FakeTelegram(), FakeRasa()
    telegram.write("一")
    async with open_house(tmp_path, telegram=telegram, rasa=rasa, mode="polling") as house:
        await house.until(lambda: telegram.shown["7"])
    telegram.write("二")
    async with open_house(tmp_path, telegram=telegram, rasa=rasa, mode="polling") as house:
        await house.until(lambda: len(telegram.shown["7"]) == 2)
        await house.until(lambda: telegram.confirmed == telegram.next_id + 1)

    assert ["一", "二"] == [turn["message"] for turn in rasa.turns]


async def test_what_the_gateway_cannot_take_stays_with_telegram(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    telegram = FakeTelegram()
    async with open_house(tmp_path, telegram=telegram, mode="polling") as house:
        receive, full = house.gateway.receive, asyncio.Event()

        async def refuses(*given: Any, **more: Any) -> Any:
            full.set()
            raise TooMany("full", retry_after=1)

        monkeypatch.setattr(house.gateway, "receive", refuses)
        telegram.write("一")
        await asyncio.wait_for(full.wait(), 10)
        assert telegram.confirmed <= telegram.next_id, "confirmed before it was stored"
        monkeypatch.setattr(house.gateway, "receive", receive)
        await house.until(lambda: telegram.shown["7"])
        await house.until(lambda: telegram.confirmed == telegram.next_id + 1)


def away(monkeypatch: pytest.MonkeyPatch, house: House, times: int) -> list[float]:
    """The database fails the next messages; returns when it did."""
    receive, tries = house.gateway.receive, []

    async def fails(*given: Any, **more: Any) -> Any:
        tries.append(time.monotonic())
        if len(tries) == times:
            monkeypatch.setattr(house.gateway, "receive", receive)
        raise OperationalError("INSERT", {}, Exception("the database restarts"))

    monkeypatch.setattr(house.gateway, "receive", fails)
    return tries


async def test_polling_goes_on_after_the_database_failed_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    telegram = FakeTelegram()
    async with open_house(tmp_path, telegram=telegram, mode="polling") as house:
        tries = away(monkeypatch, house, 5)
        telegram.write("一")
        await house.until(lambda: len(tries) == 1 and house.channel.states()["shop"] == "degraded")
        assert telegram.confirmed <= telegram.next_id, "confirmed before it was stored"
        await house.until(lambda: telegram.shown["7"])
        await house.until(lambda: telegram.confirmed == telegram.next_id + 1)
        assert "ready" == house.channel.states()["shop"]

        again = away(monkeypatch, house, 1)
        telegram.write("二")
        await house.until(lambda: len(telegram.shown["7"]) == 2)

    assert tries[2] - tries[1] > 0.1, "it does not wait longer"
    assert telegram.sent[1]["at"] - again[0] < 1.5, "it waits as long as after the failures before"
    assert ["一", "二"] == [turn["message"] for turn in house.rasa.turns]


async def test_an_album_the_database_failed_is_joined_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.telegram.ALBUM", 0.05)
    tries = away(monkeypatch, house, 2)
    sizes = [{"file_id": "gone", "width": 1, "height": 1}]
    await house.push(house.telegram.message(photo=sizes, media_group_id="g", caption="杯子碎了"))
    await house.until(lambda: house.rasa.turns)

    assert 2 == len(tries) and "杯子碎了" == house.rasa.turns[0]["message"]


async def test_the_gateway_starts_without_telegram_and_catches_up(tmp_path: Path) -> None:
    telegram = FakeTelegram()
    telegram.down = True
    telegram.write("一")
    async with open_house(tmp_path, telegram=telegram, mode="polling") as house:
        await house.until(lambda: house.channel.states()["shop"] == "degraded")
        telegram.down = False
        await house.until(lambda: telegram.shown["7"])


async def test_proxy_variables_of_the_environment_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with open_house(tmp_path) as house:
        await house.push(house.telegram.message(text="hi"))
        await house.until(lambda: house.telegram.shown["7"])


async def test_the_token_is_never_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # the fake's own
    telegram = FakeTelegram()
    telegram.down = True
    async with open_house(tmp_path, telegram=telegram) as house:
        await house.until(lambda: house.channel.states()["shop"] == "degraded")
        telegram.down = False
        telegram.errors = [{"code": 400, "text": f"Bad Request: {TOKEN}"}]
        await house.push(telegram.message(text="hi"))
        await house.until(lambda: telegram.calls["sendMessage"] >= 1)
        await asyncio.sleep(0.2)

    assert TOKEN not in caplog.text


async def test_one_chat_gets_one_message_a_pace(tmp_path: Path) -> None:
    rasa = FakeRasa(lambda body: [{"text": str(n)} for n in range(3)])
    async with open_house(tmp_path, rasa=rasa, pace=0.2) as house:
        await house.push(house.telegram.message(text="hi"))
        await house.until(lambda: len(house.telegram.sent) == 3)
        times = [sent["at"] for sent in house.telegram.sent]

        assert all(later - earlier > 0.15 for earlier, later in itertools.pairwise(times))


async def test_cards_and_citations_are_readable(house: House) -> None:
    card = {"kind": "order", "title": "订单 <1>", "rows": [["状态", "已发货"]]}
    custom = {
        "kefu": {
            "card": card,
            "citations": [["退货 & 换货", "https://shop.example/a?x=1&y=2"], ["本地", "a.md"]],
        }
    }
    house.rasa.script = lambda body: [{"text": "在路上", "custom": custom}]
    await house.push(house.telegram.message(text="hi"))
    await house.until(lambda: house.telegram.shown["7"])

    assert house.telegram.shown["7"] == [
        "在路上\n\n<b>订单 &lt;1&gt;</b>\n状态: 已发货\n\n"
        '<a href="https://shop.example/a?x=1&amp;y=2">退货 &amp; 换货</a>\n\n· 本地'
    ]


async def test_a_plan_is_not_said_twice(house: House) -> None:
    card = {"kind": "plan", "title": "退款", "lead": "请核对，确认办理吗？", "rows": [["退款金额", "¥1"]]}
    house.rasa.script = lambda body: [
        {"text": "请核对：退款\n· 退款金额：¥1\n确认办理吗？", "custom": {"kefu": {"card": card}}}
    ]
    await house.push(house.telegram.message(text="hi"))
    await house.until(lambda: house.telegram.shown["7"])

    assert house.telegram.shown["7"] == ["请核对，确认办理吗？\n\n<b>退款</b>\n退款金额: ¥1"]


async def test_a_person_speaks_through_the_same_door(house: House) -> None:
    await house.push(house.telegram.message(text="hi"))
    await house.until(lambda: house.telegram.shown["7"])
    known = await house.known()
    owner = await house.gateway.hand_over(
        known.id, await house.gateway.owner(known.id), "person", agent="小林"
    )
    await house.gateway.say_as_person(known.id, owner.token, Reply(text="我来帮您"), agent="小林", key="k")
    await house.until(lambda: "我来帮您" in house.telegram.shown["7"])


@pytest.mark.parametrize(
    ("data", "arrives"),
    [(b"OggS" + bytes(24) + b"OpusHead", "<voice voice.ogg>"), (mp3(70), "<voice voice.mp3>"),
     (amr(5), "<document voice.amr>")],
    ids=["ogg", "mp3", "amr"],
)  # fmt: skip
async def test_a_recording_of_the_desk_is_played_where_telegram_can(
    house: House, data: bytes, arrives: str
) -> None:
    await from_a_person(house, data)
    await house.until(lambda: arrives in house.telegram.shown["7"])


async def test_a_recording_telegram_refuses_is_a_link_that_expires(house: House) -> None:
    house.telegram.errors = [{"code": 400, "text": "Bad Request: VOICE_MESSAGES_FORBIDDEN"}]
    file = await from_a_person(house, mp3(5))
    await house.until(lambda: f"https://shop.example/media/{file.media_id}" in house.telegram.shown["7"][-1])


async def from_a_person(house: House, data: bytes) -> Attachment:
    """A file that somebody at the desk sends."""
    errors, house.telegram.errors = house.telegram.errors, []
    await house.push(house.telegram.message(text="hi"))
    await house.until(lambda: house.telegram.shown["7"])
    house.telegram.errors = errors
    file = await house.channel._media.put(data, kinds=KINDS)
    known = await house.known()
    owner = await house.gateway.hand_over(
        known.id, await house.gateway.owner(known.id), "person", agent="小林"
    )
    await house.gateway.say_as_person(
        known.id, owner.token, Reply(), agent="小林", key="k", media=[file.model_dump()]
    )
    return file


@given(st.text(alphabet=st.sampled_from("ab 退\n😀"), max_size=300), st.integers(4, 100))
def test_pieces_fit_and_lose_nothing(text: str, limit: int) -> None:
    pieces = split_units(text, text, limit)

    assert all(units(piece) <= limit for piece, _ in pieces)
    assert "".join(text.split()) == "".join("".join(piece for piece, _ in pieces).split())


@pytest.mark.parametrize(
    "settings",
    [
        {"token": "nonsense"},
        {"token": TOKEN, "mode": "webhook", "webhook_secret": "short"},
        {"token": TOKEN, "mode": "webhook", "webhook_secret": SECRET},  # no public address
    ],
)
def test_impossible_settings_stop_the_start(settings: dict[str, Any], tmp_path: Path) -> None:
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path}/x.db")
    gateway = Gateway(Store(engine), None)  # type: ignore[arg-type]
    everything = Settings(data_dir=tmp_path, telegram={"shop": TelegramSettings(**settings)})
    with pytest.raises(SettingsError, match=r"telegram\.shop"):
        install(web.Application(), gateway, everything, make_media_store(MediaSettings(), tmp_path))


async def test_a_voice_message_is_kept_for_people_and_its_address_with_the_token_is_not(house: House) -> None:
    house.telegram.files = {"v": b"OggS" + b"\0" * 24 + b"OpusHead"}
    await house.push(house.telegram.message(voice={"file_id": "v", "duration": 3}))
    await house.until(lambda: house.telegram.shown["7"])
    known = await house.known()
    lines = await house.gateway.store.events_after(known.id, 0, desk=True)
    async with house.gateway.store.read() as connection:
        kept = [str(dict(row._mapping)) for row in await connection.execute(inbox.select())]

    assert ["voice"] == [one["kind"] for one in lines[0].body["media"]]
    assert "打字" in house.telegram.shown["7"][0] and not house.rasa.turns
    assert TOKEN not in str([line.body for line in lines]) + "".join(kept)


async def test_another_program_that_polls_the_bot_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    telegram = FakeTelegram()
    telegram.conflict = True
    async with open_house(tmp_path, telegram=telegram, mode="polling") as house:
        await house.until(lambda: house.channel.states()["shop"] == "degraded")
        assert "another program reads this bot's updates" in caplog.text
        telegram.conflict = False
        telegram.write("一")
        await house.until(lambda: telegram.shown["7"])


async def test_nothing_is_streamed_and_no_draft_is_sent(house: House) -> None:
    """Answers are checked as a whole before a word of them is shown."""
    house.rasa.script = lambda body: [{"text": "x" * 3000}]
    await house.push(house.telegram.message(text="hi"))
    await house.until(lambda: house.telegram.shown["7"])

    assert not [
        method for method in house.telegram.calls if "draft" in method.lower() or "edit" in method.lower()
    ]
