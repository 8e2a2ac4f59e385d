"""QR codes end to end: the platform draws one, a shopper scans it, and what it was drawn for is bound to him."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from bot.exceptions import ChannelError
from bot.identity import links
from bot.settings import WechatSettings
from channels import linking
from channels.app import GATEWAY, make_app
from channels.gateway import Gateway
from channels.rasa_client import RasaClient
from channels.wechat import channel as wechat
from tests.channels.fake_rasa import FakeRasa
from tests.channels.test_gateway import QUICK
from tests.channels.test_web import Page, Site, settings_for
from tests.channels.wechat.fake_wechat import APPID, KEY, SECRET, TOKEN, FakeWechat, letter

_ids = itertools.count(1)


@dataclass
class House:
    """The web chat and an Official Account in one gateway."""

    site: Site
    wechat: FakeWechat
    session: aiohttp.ClientSession

    @property
    def gateway(self) -> Gateway:
        return self.site.gateway

    async def say(self, openid: str, text: str) -> str:
        """What the shopper reads in answer."""
        await self.wechat.push(self.session, letter(openid, Content=text, msg_id=str(next(_ids))))
        return self.wechat.shown[openid][-1]

    async def scan(self, openid: str, address: str, *, follows: bool) -> str:
        await self.wechat.scan(self.session, openid, address, follows=follows)
        return self.wechat.shown[openid][-1]

    async def linked(self, openid: str) -> set[str]:
        known = await self.gateway.store.find_conversation("wechat", "shop", openid)
        assert known is not None
        async with self.gateway.store.read() as connection:
            return set(await links.linked(connection, known.id)) - {known.id}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    rasa, platform = FakeRasa(), FakeWechat()
    backend, outside = TestServer(rasa.app()), TestServer(platform.app())
    await backend.start_server()
    await outside.start_server()
    account = WechatSettings(
        appid=APPID, secret=SECRET, token=TOKEN, aes_key=KEY, base_url=str(outside.make_url("")).rstrip("/")
    )
    settings = settings_for(tmp_path).model_copy(update={"wechat": {"shop": account}})
    async with aiohttp.ClientSession() as session:
        dialogue = RasaClient(session, str(backend.make_url("")), "kefu-loopback", 5)
        app = make_app(
            settings, dialogue=dialogue, patience=QUICK, extensions=(wechat.install, linking.install)
        )
        async with TestClient(TestServer(app)) as client:
            platform.base_url = str(client.make_url("/wechat/shop"))
            site = Site(client, rasa, settings)
            assert site.gateway is client.app[GATEWAY]
            yield House(site, platform, session)
    await backend.close()
    await outside.close()


async def picture(page: Page, words: str = "关联会话") -> str:
    """The address of the QR code the web chat shows when the shopper wants to go on in WeChat."""
    await page.say(words)
    reply = await page.event(author="system")
    assert str(reply["image"]).startswith("https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=")
    return str(reply["image"])


@pytest.mark.parametrize("follows", [False, True], ids=["subscribe", "scan"])
async def test_a_scanned_code_binds_the_web_conversation_after_a_yes(house: House, follows: bool) -> None:
    async with house.site.page() as page:
        here = (await page.get("welcome"))["conversation"]
        address = await picture(page)
        question = await house.scan("oAnna", address, follows=follows)
        assert "关联" in question and "1. 关联" in question
        assert set() == await house.linked("oAnna"), "a scan alone is no consent"

        answer = await house.say("oAnna", "1")
        told = await page.event(author="system")

    assert "已关联" in answer and "刚刚和您的另一个会话关联了" in told["text"]
    assert {here} == await house.linked("oAnna")
    assert not house.site.rasa.turns, "none of this is Rasa's"


async def test_a_no_binds_nothing_and_the_code_stays_good_for_its_owner(house: House) -> None:
    async with house.site.page() as page:
        here = (await page.get("welcome"))["conversation"]
        address = await picture(page)
    await house.scan("oStranger", address, follows=False)
    assert "没有关联" in await house.say("oStranger", "2")
    assert set() == await house.linked("oStranger")

    await house.scan("oAnna", address, follows=True)
    await house.say("oAnna", "1")
    assert {here} == await house.linked("oAnna")


async def test_the_scanned_chat_speaks_the_language_of_the_one_the_code_came_from(house: House) -> None:
    async with house.site.page(locale="en") as page:
        address = await picture(page, "link my chats")
    question = await house.scan("oAnna", address, follows=False)

    assert "1. Link them" in question
    assert "The chats are linked" in await house.say("oAnna", "1")


async def test_a_code_binds_once(house: House) -> None:
    async with house.site.page() as page:
        here = (await page.get("welcome"))["conversation"]
        address = await picture(page)
    await house.scan("oAnna", address, follows=False)
    await house.say("oAnna", "1")
    answer = await house.scan("oThief", address, follows=False)

    assert "无效或已过期" in answer
    assert set() == await house.linked("oThief") and {here} == await house.linked("oAnna")


async def test_the_platforms_retries_of_a_scan_ask_once(house: House) -> None:
    async with house.site.page() as page:
        address = await picture(page)
    push = house.wechat.scanned("oAnna", address, follows=False)
    for _ in range(3):
        await house.wechat.push(house.session, push)

    assert 1 == len(house.wechat.shown["oAnna"])


@pytest.mark.parametrize("follows", [False, True], ids=["subscribe", "scan"])
async def test_a_code_printed_with_an_order_asks_for_that_order(house: House, follows: bool) -> None:
    channel = house.gateway.channels["wechat"]
    assert isinstance(channel, wechat.WechatChannel)
    address = await channel.make_qr("order_20260001", 2_592_000)
    assert address is not None
    answer = await house.scan("oAnna", address, follows=follows)

    [turn] = house.site.rasa.turns
    assert ("echo: 20260001", "20260001") == (answer, turn["message"])
    assert "wechat:oAnna" == turn["metadata"]["customer"], (
        "the scene is no proof: it names the order, nobody more"
    )


async def test_a_scene_the_platform_does_not_take_is_an_error(house: House) -> None:
    channel = house.gateway.channels["wechat"]
    assert isinstance(channel, wechat.WechatChannel)
    with pytest.raises(ChannelError, match="40053"):
        await channel.make_qr("x" * 65, 60)


async def test_without_an_account_that_can_draw_the_words_alone_link(house: House) -> None:
    channel = house.gateway.channels["wechat"]
    assert isinstance(channel, wechat.WechatChannel)
    channel._accounts["shop"].passive_only = True
    async with house.site.page() as page:
        await page.say("关联会话")
        reply = await page.event(author="system")

    assert "image" not in reply and "bind_" in reply["text"]
