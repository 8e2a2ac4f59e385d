"""The WeCom customer-service door against a faithful fake: the conformance list of docs/wecom.md."""

from __future__ import annotations

import asyncio
import io
import itertools
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from PIL import Image
from sqlalchemy.exc import OperationalError

from bot.identity import links
from bot.message import Attachment, Handoff, Inbound, Reply
from bot.settings import Settings, WecomSettings
from channels.gateway import Gateway
from channels.linking import Linking
from channels.media import KINDS, MediaStore
from channels.patience import Patience
from channels.tables import outbox
from channels.wechat import allowance
from channels.wecom.channel import WecomChannel, cursors
from tests.channels.fake_rasa import FakeRasa
from tests.channels.open_channel import OpenChannel, open_channel
from tests.channels.recordings import amr, mp3
from tests.channels.wechat.fake_wechat import KEY, TOKEN, seal, sealed_query, sign, wrap
from tests.channels.wecom.fake_wecom import CORP, KFID, FakeWecom

_said_before = itertools.count(1)
QUICK = Patience(first=0.02, longest=0.05, park_after=0.3, turn_attempts=2, sweep=0.05)


@dataclass
class House(OpenChannel):
    wecom: FakeWecom

    async def ring(self, *, kfid: str = KFID, token: str = "ring") -> tuple[int, str]:
        xml = (
            f"<xml><ToUserName>{CORP}</ToUserName><CreateTime>1</CreateTime><MsgType>event</MsgType>"
            f"<Event>kf_msg_or_event</Event><Token>{token}</Token><OpenKfId>{kfid}</OpenKfId></xml>"
        )
        encrypted = seal(xml, appid=CORP)
        async with self.session.post(
            self.url, params=sealed_query(encrypted), data=wrap(encrypted)
        ) as response:
            return response.status, await response.text()

    async def known(self, shopper: str = "wmAnna") -> Any:
        return await self.gateway.store.find_conversation("wecom", f"corp:{KFID}", shopper)


@asynccontextmanager
async def open_house(
    tmp_path: Path, *, rasa: FakeRasa | None = None, wecom: FakeWecom | None = None, **settings: Any
) -> AsyncIterator[House]:
    rasa, wecom = rasa or FakeRasa(), wecom or FakeWecom()

    def make(gateway: Gateway, media: MediaStore, base_url: str) -> WecomChannel:
        enterprise = WecomSettings(
            **{"corpid": CORP, "secret": "s", "token": TOKEN, "aes_key": KEY, "timeout": 2,
               "base_url": base_url, **settings}
        )  # fmt: skip
        return WecomChannel(
            gateway, {"corp": enterprise}, media, link=lambda name: f"https://shop.example/media/{name}"
        )

    async with open_channel(
        tmp_path, "/wecom/corp", make, platform=wecom.app(), rasa=rasa, patience=QUICK
    ) as opened:
        yield House(**vars(opened), wecom=wecom)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as house:
        yield house


async def test_the_encrypted_echo_is_answered_in_the_open(house: House) -> None:
    stamp, nonce, echo = "1790000000", os.urandom(4).hex(), seal("5927782489442352469", appid=CORP)
    query = {
        "timestamp": stamp,
        "nonce": nonce,
        "echostr": echo,
        "msg_signature": sign(TOKEN, stamp, nonce, echo),
    }
    async with house.session.get(house.url, params=query) as response:
        assert (200, "5927782489442352469") == (response.status, await response.text())
    async with house.session.get(house.url, params={**query, "msg_signature": "0" * 40}) as response:
        assert 403 == response.status


async def test_a_ring_is_answered_at_once_and_every_message_is_processed(house: House) -> None:
    for n in range(3):
        house.wecom.write(f"第{n}条")
    assert (200, "") == await house.ring()
    await house.until(lambda: len(house.wecom.shown["wmAnna"]) == 3)

    assert ["echo: 第0条", "echo: 第1条", "echo: 第2条"] == house.wecom.shown["wmAnna"]


async def test_a_forged_ring_pulls_nothing(house: House) -> None:
    encrypted = seal("<xml><Event>kf_msg_or_event</Event></xml>", appid="wwother0000000000")
    async with house.session.post(
        house.url, params=sealed_query(encrypted), data=wrap(encrypted)
    ) as response:
        assert 403 == response.status
    assert [] == house.wecom.pulls


async def test_short_pages_are_followed_to_the_end(house: House) -> None:
    house.wecom.page = 1
    for n in range(4):
        house.wecom.write(str(n))
    await house.ring()
    await house.until(lambda: len(house.wecom.shown["wmAnna"]) == 4)


async def test_history_is_skipped_on_the_first_pull_only(house: House) -> None:
    house.wecom.write("三天前", at=time.time() - 3 * 86400)
    house.wecom.write("现在")
    await house.ring()
    await house.until(lambda: house.wecom.shown["wmAnna"])
    house.wecom.write("停机时写的", at=time.time() - 3600)
    await house.ring()
    await house.until(lambda: len(house.wecom.shown["wmAnna"]) == 2)

    assert ["现在", "停机时写的"] == [turn["message"] for turn in house.rasa.turns]


async def test_a_restart_goes_on_at_the_cursor_without_a_ring(tmp_path: Path) -> None:
    wecom, rasa = FakeWecom(), FakeRasa()
    async with open_house(tmp_path, wecom=wecom, rasa=rasa) as house:
        wecom.write("一")
        await house.ring()
        await house.until(lambda: len(wecom.shown["wmAnna"]) == 1)
    wecom.write("二", at=time.time() - 3600)
    async with open_house(tmp_path, wecom=wecom, rasa=rasa) as house:
        await house.until(lambda: len(wecom.shown["wmAnna"]) == 2)

    assert ["一", "二"] == [turn["message"] for turn in rasa.turns]


async def test_a_cursor_is_kept_per_account(house: House) -> None:
    house.wecom.write("a")
    house.wecom.write("b", kfid="wkB")
    await house.ring()
    await house.ring(kfid="wkB")
    await house.until(lambda: len(house.rasa.turns) == 2)
    await asyncio.sleep(0.1)
    async with house.gateway.store.read() as connection:
        kept = {row.account: row.cursor for row in await connection.execute(cursors.select())}

    assert {"corp:wkA": "1", "corp:wkB": "1"} == kept


async def test_rings_in_parallel_pull_one_after_the_other_and_answer_once(house: House) -> None:
    house.wecom.write("一")
    await asyncio.gather(*(house.ring() for _ in range(8)))
    house.wecom.write("二")
    await house.ring()
    await house.until(lambda: len(house.wecom.shown["wmAnna"]) == 2)

    assert 1 == house.wecom.most_running and 2 == len(house.rasa.turns)


async def test_a_pull_that_fails_is_tried_again(house: House) -> None:
    house.wecom.fail_sync = 1
    house.wecom.write("一")
    await house.ring()
    await house.until(lambda: house.wecom.shown["wmAnna"])


async def test_a_pull_the_database_fails_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = house.gateway.receive

    async def fails(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(house.gateway, "receive", receive)
        raise OperationalError("INSERT", {}, Exception("the database restarts"))

    monkeypatch.setattr(house.gateway, "receive", fails)
    house.wecom.write("一")
    await house.ring()
    await house.until(lambda: house.wecom.shown["wmAnna"])

    assert 1 == len(house.rasa.turns)


async def test_a_broken_message_does_not_stop_the_others(house: House) -> None:
    house.wecom.log[KFID].append(
        {"msgid": "x", "origin": 3, "msgtype": "text", "send_time": int(time.time())}
    )
    house.wecom.write("好的")
    await house.ring()
    await house.until(lambda: house.wecom.shown["wmAnna"])


async def test_an_answer_whose_confirmation_was_lost_is_shown_once(house: House) -> None:
    house.wecom.lose_answers = 2
    house.wecom.write("一")
    await house.ring()
    await house.until(lambda: house.wecom.lose_answers == 0)
    await asyncio.sleep(0.5)

    assert ["echo: 一"] == house.wecom.shown["wmAnna"]


async def test_the_rest_of_a_long_text_comes_after_a_retry_and_each_piece_costs_one(house: House) -> None:
    house.wecom.write("hi")
    await house.ring()
    await house.until(lambda: house.wecom.shown["wmAnna"])
    known = await house.known()
    async with house.gateway.store.write() as connection:
        await allowance.renew(connection, known.id, "message")
        await allowance.spend(connection, known.id, 2)  # two and the one for a person are left
    house.wecom.sends, house.wecom.busy = 0, [2]
    await house.gateway.say_as_system(known.id, Reply(text="退" * 900), key="long")
    await house.until(lambda: not house.gateway.at_work and len(house.wecom.shown["wmAnna"]) == 3)

    assert [682, 218] == [len(text) for text in house.wecom.shown["wmAnna"][1:]]
    assert 3 == house.wecom.sends
    async with house.gateway.store.read() as connection:
        assert 1 == (await allowance.left(connection, known.id)).remaining


async def test_a_broken_promise_puts_the_shopper_into_the_pool(tmp_path: Path) -> None:
    async with open_house(tmp_path, desk="wecom") as house:
        house.wecom.write("hi")
        await house.ring()
        await house.until(lambda: house.wecom.shown["wmAnna"])
        known = await house.known()
        for _ in range(2):
            await house.gateway.call_person(
                known.id, Handoff(reason="promise_broken"), Reply(text="非常抱歉"), key="promise:1"
            )

        assert ["echo: hi", "非常抱歉"] == house.wecom.shown["wmAnna"]  # said before the door closed
        assert [2] == [change["service_state"] for change in house.wecom.trans]


async def test_whoever_writes_again_after_the_end_comes_into_the_pool(tmp_path: Path) -> None:
    async with open_house(tmp_path, desk="wecom") as house:

        async def goes_on_with_people(*_: Any) -> tuple[Any, None, str]:
            return "pending", None, "reopened"

        house.gateway.reopen = goes_on_with_people
        house.wecom.write("hi")
        await house.ring()
        await house.until(lambda: house.wecom.shown["wmAnna"])
        known = await house.known()
        await house.gateway.hand_over(known.id, await house.gateway.owner(known.id), "closed")
        assert [] == house.wecom.trans

        house.wecom.write("one more thing")
        await house.ring()
        await house.until(lambda: house.wecom.trans)

        assert [("wmAnna", 2)] == [
            (one["external_userid"], one["service_state"]) for one in house.wecom.trans
        ]


async def test_a_transfer_a_gateway_died_before_is_made_at_the_next_start(tmp_path: Path) -> None:
    wecom, rasa = FakeWecom(), FakeRasa()
    async with open_house(tmp_path, wecom=wecom, rasa=rasa, desk="wecom") as house:
        for shopper in ("wmAnna", "wmBo", "wmCleo"):
            wecom.write("hi", shopper)
        await house.ring()
        await house.until(lambda: len(wecom.shown) == 3)
        house.gateway.on_handoff.clear()
        for shopper in ("wmAnna", "wmBo"):
            await house.gateway.call_person(
                (await house.known(shopper)).id, Handoff(reason="asked"), Reply(text="请稍等"), key=shopper
            )
        await house.until(lambda: wecom.shown["wmAnna"][1:] and wecom.shown["wmBo"][1:])
        wecom.states["wmBo"] = 2  # his was made
    async with open_house(tmp_path, wecom=wecom, rasa=rasa, desk="wecom") as house:
        await house.until(lambda: wecom.trans)
        await asyncio.sleep(0.1)

    assert [("wmAnna", 2)] == [(one["external_userid"], one["service_state"]) for one in wecom.trans]


async def test_hand_off_puts_the_shopper_into_the_pool_and_the_bot_falls_silent(tmp_path: Path) -> None:
    rasa = FakeRasa(lambda body: [{"text": "马上转", "custom": {"kefu": {"handoff": {"reason": "asked"}}}}])
    async with open_house(tmp_path, rasa=rasa, desk="wecom") as house:
        house.wecom.write("转人工")
        await house.ring()
        await house.until(lambda: house.wecom.trans)
        house.wecom.event("session_status_change", change_type=1, new_servicer_userid="lin")
        house.wecom.states["wmAnna"] = 3
        house.wecom.write("在吗")
        await house.ring()
        await house.until(lambda: len(house.wecom.pulls) >= 2)
        await asyncio.sleep(0.2)
        known = await house.known()
        owner = await house.gateway.owner(known.id)

        assert 2 == house.wecom.trans[0]["service_state"]
        assert ("person", "lin") == (owner.owner, owner.agent)
        assert 1 == len(rasa.turns)


async def test_a_named_servicer_gets_the_conversation(tmp_path: Path) -> None:
    rasa = FakeRasa(lambda body: [{"text": "马上转", "custom": {"kefu": {"handoff": {"reason": "asked"}}}}])
    async with open_house(tmp_path, rasa=rasa, desk="wecom", servicer="lin") as house:
        house.wecom.write("转人工")
        await house.ring()
        await house.until(lambda: house.wecom.trans)

        assert (3, "lin") == (house.wecom.trans[0]["service_state"], house.wecom.trans[0]["servicer_userid"])


async def test_a_refused_transfer_stays_at_kefus_desk(tmp_path: Path) -> None:
    rasa = FakeRasa(lambda body: [{"text": "马上转", "custom": {"kefu": {"handoff": {"reason": "asked"}}}}])
    async with open_house(tmp_path, rasa=rasa, desk="wecom") as house:
        house.wecom.refuse_trans = True
        house.wecom.write("转人工")
        await house.ring()
        await house.until(lambda: house.wecom.trans)
        await asyncio.sleep(0.1)
        known = await house.known()

        assert "pending" == (await house.gateway.owner(known.id)).owner
        events = await house.gateway.store.events_after(known.id, 0, desk=True)
        assert any(event.kind == "note" for event in events)


async def test_what_servicers_write_is_in_the_transcript_once_and_no_turn(house: House) -> None:
    house.wecom.write("hi")
    await house.ring()
    await house.until(lambda: house.wecom.shown["wmAnna"])
    house.wecom.log[KFID].append(
        {"msgid": "s1", "external_userid": "wmAnna", "origin": 5, "msgtype": "text", "servicer_userid": "lin",
         "send_time": int(time.time()), "text": {"content": "我来处理"}}
    )  # fmt: skip
    await house.ring()
    await house.ring()
    await asyncio.sleep(0.3)
    known = await house.known()
    events = await house.gateway.store.events_after(known.id, 0)

    assert ["我来处理"] == [event.body["text"] for event in events if event.author == "person"]
    assert 1 == len(house.rasa.turns)


async def test_a_message_refused_by_the_session_state_waits_and_kefu_follows(house: House) -> None:
    house.wecom.states["wmAnna"] = 3
    house.wecom.write("hi")
    await house.ring()
    await house.until(lambda: len(house.rasa.turns) == 1)
    await asyncio.sleep(0.4)
    known = await house.known()

    assert [] == house.wecom.shown["wmAnna"]
    assert "person" == (await house.gateway.owner(known.id)).owner


async def test_welcome_once_and_a_farewell_with_the_codes_of_the_events(house: House) -> None:
    house.wecom.event("enter_session", welcome_code="W1", scene_param="order_20260001")
    await house.ring()
    await house.until(lambda: house.wecom.on_event)
    await house.ring()
    house.wecom.write("到哪了")
    house.wecom.write("到哪了呢")
    await house.ring()
    await house.until(lambda: len(house.rasa.turns) == 2)
    assert "W1" == house.wecom.on_event[0]["code"] and 1 == len(house.wecom.on_event)
    assert ["到哪了 20260001", "到哪了呢"] == [turn["message"] for turn in house.rasa.turns]

    known = await house.known()
    await house.gateway.hand_over(known.id, await house.gateway.owner(known.id), "person", agent="lin")
    house.wecom.event("session_status_change", change_type=3, msg_code="END")
    await house.ring()
    await house.until(lambda: len(house.wecom.on_event) == 2)
    assert "END" == house.wecom.on_event[1]["code"] and "1–5" in house.wecom.on_event[1]["text"]["content"]
    async with asyncio.timeout(30):
        while "bot" != (await house.gateway.owner(known.id)).owner:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("window", ["open", "new"])
async def test_a_link_with_a_code_links_two_chats_after_a_yes(house: House, window: str) -> None:
    """The link is made by the platform for another chat, opened in WeCom, asked about as soon as that can be sent;
    the code counts once, and a second visit by the same link links nothing more."""
    linking = Linking(house.gateway, Settings())
    house.gateway.own_answer = linking.answer
    async with house.gateway.store.write() as connection:
        web_chat = await house.gateway.store.open_conversation(connection, "web", "demo", "guest")
    given = await linking.answer(web_chat, _said("关联会话"), None)
    assert given is not None
    address = re.search(r"https://work\.weixin\.qq\.com/\S+", given.text)
    assert address is not None
    query = parse_qs(urlsplit(address[0]).query)
    scene = query["scene_param"][0]
    assert ["ENCkefu"] == query["enc_scene"] and scene.startswith("bind_") and len(quote(scene)) <= 128

    if window == "open":
        house.wecom.write("你好")
        await house.ring()
        await house.until(lambda: house.wecom.shown["wmAnna"])
        house.wecom.event("enter_session", scene_param=scene)
    else:
        house.wecom.event("enter_session", welcome_code="W1", scene_param=scene)
        await house.ring()
        await house.until(lambda: house.wecom.on_event)
        assert "关联会话" in house.wecom.on_event[0]["text"]["content"]
        house.wecom.write("来了")
    await house.ring()
    await house.until(
        lambda: any("要把这里和发出这个码的会话关联起来吗" in text for text in house.wecom.shown["wmAnna"])
    )
    known = await house.known()
    assert [web_chat.id] != await _linked(house, known.id)

    house.wecom.write("1")
    await house.ring()
    await house.until(lambda: any("已关联" in text for text in house.wecom.shown["wmAnna"]))
    assert [web_chat.id] == await _linked(house, known.id)
    assert not any("bind_" in turn["message"] for turn in house.rasa.turns)

    house.wecom.event("enter_session", scene_param=scene)
    await house.ring()
    await house.until(lambda: any("无效或已过期" in text for text in house.wecom.shown["wmAnna"]))


async def _linked(house: House, conversation: str) -> list[str]:
    async with house.gateway.store.read() as connection:
        return [one for one in await links.linked(connection, conversation) if one != conversation]


def _said(text: str) -> Inbound:
    return Inbound(channel="web", shopper="guest", dedup_key=f"said{next(_said_before)}", text=text, at=0)


async def test_a_failure_event_marks_the_message(house: House) -> None:
    house.wecom.write("hi")
    await house.ring()
    await house.until(lambda: house.wecom.shown["wmAnna"])
    house.wecom.event("msg_send_fail", fail_msgid=next(iter(house.wecom.named)), fail_type=4)
    await house.ring()

    for _ in range(100):
        async with house.gateway.store.read() as connection:
            states = [row.state for row in await connection.execute(outbox.select())]
        if states == ["failed"]:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(states)


async def test_a_recalled_message_is_marked_for_every_reader(house: House) -> None:
    msgid = house.wecom.write("说错了")
    await house.ring()
    await house.until(lambda: house.wecom.shown["wmAnna"])
    house.wecom.event("user_recall_msg", recall_msgid=msgid)
    await house.ring()
    await asyncio.sleep(0.3)
    known = await house.known()
    events = await house.gateway.store.events_after(known.id, 0)

    assert [msgid] == [event.body["of"] for event in events if event.kind == "recall"]


async def test_a_ring_whose_token_has_run_out_pulls_without_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.wecom.write("一")
    await house.ring(token="fresh")
    await house.until(lambda: len(house.wecom.shown["wmAnna"]) == 1)
    monkeypatch.setattr("channels.wecom.channel.RING_LIFE", -1)
    house.wecom.write("二")
    await house.ring(token="old")
    await house.until(lambda: len(house.wecom.shown["wmAnna"]) == 2)

    assert ["fresh"] == [pull["token"] for pull in house.wecom.pulls if "token" in pull]


async def test_what_kefu_ends_is_ended_in_wecom_and_the_bot_may_speak_again(tmp_path: Path) -> None:
    def script(body: dict[str, Any]) -> list[dict[str, Any]]:
        if body["message"] != "转人工":
            return [{"text": f"echo: {body['message']}"}]
        return [{"text": "马上转", "custom": {"kefu": {"handoff": {"reason": "asked"}}}}]

    async with open_house(tmp_path, rasa=FakeRasa(script), desk="wecom", servicer="lin") as house:
        house.wecom.write("转人工")
        await house.ring()
        await house.until(lambda: house.wecom.states["wmAnna"] == 3)
        house.wecom.event("session_status_change", change_type=1, new_servicer_userid="lin")
        await house.ring()
        known = await house.known()
        for _ in range(500):
            owner = await house.gateway.owner(known.id)
            if (owner.owner, owner.agent) == ("person", "lin"):
                break
            await asyncio.sleep(0.01)
        await house.gateway.hand_over(known.id, owner, "bot", reason="released")
        assert [3, 4] == [change["service_state"] for change in house.wecom.trans]
        assert ["马上转"] == house.wecom.shown["wmAnna"]  # said before the door closed

        house.wecom.write("谢谢，还有一个问题")
        await house.ring()
        await house.until(lambda: "echo: 谢谢，还有一个问题" in house.wecom.shown["wmAnna"])


async def test_a_code_that_has_run_out_is_skipped_and_nothing_else_suffers(house: House) -> None:
    house.wecom.too_late = True
    house.wecom.event("enter_session", welcome_code="W1")
    house.wecom.write("到哪了")
    await house.ring()
    await house.until(lambda: house.wecom.shown["wmAnna"])

    assert [] == house.wecom.on_event and ["到哪了"] == [turn["message"] for turn in house.rasa.turns]


async def test_an_event_that_was_not_finished_is_dealt_with_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between reading an event and following it: the change of owner must not be lost."""
    wecom, rasa = FakeWecom(), FakeRasa()
    async with open_house(tmp_path, wecom=wecom, rasa=rasa) as house:
        wecom.write("hi")
        await house.ring()
        await house.until(lambda: wecom.shown["wmAnna"])
        wecom.event("session_status_change", change_type=1, new_servicer_userid="lin")
        reached = asyncio.Event()

        async def dies(*_: Any, **__: Any) -> None:
            reached.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(WecomChannel, "_follow", dies)
        await house.ring()
        await reached.wait()
    monkeypatch.undo()
    async with open_house(tmp_path, wecom=wecom, rasa=rasa) as house:
        known = await house.known()
        for _ in range(500):
            if (await house.gateway.owner(known.id)).owner == "person":
                return
            await asyncio.sleep(0.01)
    raise AssertionError("the owner was not followed")


@pytest.mark.parametrize(("kind", "turns"), [("image", 1), ("voice", 0), ("video", 0), ("file", 1)])
async def test_files_are_fetched_for_people_and_pictures_for_the_dialogue(
    house: House, kind: str, turns: int
) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(picture, "JPEG")
    house.wecom.files = {
        "image": picture.getvalue(), "voice": b"#!AMR\n" + b"x" * 20,
        "video": b"\0\0\0\x18ftypmp42" + b"x" * 20, "file": b"%PDF-1.4 " + b"x" * 20,
    }  # fmt: skip
    house.wecom.log[KFID].append(
        {"msgid": "f1", "open_kfid": KFID, "external_userid": "wmAnna", "origin": 3, "msgtype": kind,
         "send_time": int(time.time()), kind: {"media_id": kind}}
    )  # fmt: skip
    await house.ring()
    await house.until(lambda: house.wecom.shown["wmAnna"])
    known = await house.known()
    [line] = [one for one in await house.gateway.store.events_after(known.id, 0) if one.author == "shopper"]

    assert [kind] == [one["kind"] for one in line.body["media"]]
    assert turns == len(house.rasa.turns)


async def from_a_person(house: House, data: bytes) -> Attachment:
    """A file that somebody at the desk sends."""
    await house.ring()
    await house.until(lambda: house.wecom.shown["wmAnna"])
    file = await house.media.put(data, kinds=KINDS)
    known = await house.known()
    owner = await house.gateway.hand_over(
        known.id, await house.gateway.owner(known.id), "person", agent="lin", reason="wecom"
    )
    await house.gateway.say_as_person(
        known.id, owner.token, Reply(text="请看"), agent="lin", key="k", media=[file.model_dump()]
    )
    await house.until(lambda: len(house.wecom.shown["wmAnna"]) >= 2)
    await asyncio.sleep(0.1)
    return file


@pytest.mark.parametrize(("kind", "data"), [("voice", amr(20)), ("image", None)], ids=["voice", "image"])
async def test_a_picture_and_a_voice_of_the_desk_arrive_as_such(
    house: House, kind: str, data: bytes | None
) -> None:
    if data is None:
        picture = io.BytesIO()
        Image.new("RGB", (8, 8), "red").save(picture, "JPEG")
        data = picture.getvalue()
    house.wecom.write("你好")
    await from_a_person(house, data)
    await house.until(lambda: len(house.wecom.shown["wmAnna"]) >= 3)

    assert ["echo: 你好", "请看", f"<{kind}>"] == house.wecom.shown["wmAnna"]


@pytest.mark.parametrize("data", [amr(61), mp3(5), b"%PDF-1.4 " + b"x" * 20], ids=["amr", "mp3", "pdf"])
async def test_what_wecom_does_not_take_is_a_link_in_the_words(house: House, data: bytes) -> None:
    house.wecom.write("你好")
    file = await from_a_person(house, data)

    assert 2 == len(house.wecom.shown["wmAnna"])
    assert f"https://shop.example/media/{file.media_id}" in house.wecom.shown["wmAnna"][-1]


async def test_a_file_wecom_refuses_after_all_is_a_link(house: House) -> None:
    house.wecom.refuse_upload = 40006
    house.wecom.write("你好")
    file = await from_a_person(house, amr(5))

    assert f"/media/{file.media_id}" in house.wecom.shown["wmAnna"][-1]
