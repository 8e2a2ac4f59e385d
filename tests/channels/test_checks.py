"""`kefu doctor channels` names what is misconfigured, against the fakes of the platforms."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

import channels.telegram
import channels.wechat.channel
import channels.wecom.channel
from bot.doctor import Finding, examine
from bot.settings import GatewaySettings, Settings, TelegramSettings, WechatSettings, WecomSettings
from channels.app import make_app
from channels.checks import CHECKS, check_clock
from tests.channels.fake_telegram import TOKEN as BOT_TOKEN
from tests.channels.fake_telegram import FakeTelegram
from tests.channels.wechat.fake_wechat import APPID, KEY, SECRET, TOKEN, FakeWechat
from tests.channels.wecom.fake_wecom import CORP, FakeWecom


@pytest.fixture
async def platforms() -> AsyncIterator[dict[str, Any]]:
    fakes: dict[str, Any] = {"wechat": FakeWechat(), "wecom": FakeWecom(), "telegram": FakeTelegram()}
    servers = {name: TestServer(fake.app()) for name, fake in fakes.items()}
    for server in servers.values():
        await server.start_server()
    yield {"fakes": fakes, "urls": {name: str(server.make_url("")) for name, server in servers.items()}}
    for server in servers.values():
        await server.close()


async def findings(tmp_path: Path, **settings: Any) -> list[Finding]:
    from bot.database import create_tables, make_engine

    given = Settings(data_dir=tmp_path, gateway=GatewaySettings(port=9), **settings)
    engine = make_engine(given.sqlalchemy_url)
    await create_tables(engine)
    await engine.dispose()
    return [found for found in await examine(given, CHECKS) if not found.check.startswith(("web.", "media"))]


async def test_a_wrong_secret_and_a_gateway_that_is_not_up_are_named(
    tmp_path: Path, platforms: dict[str, Any]
) -> None:
    account = WechatSettings(
        appid=APPID,
        token=TOKEN,
        aes_key=KEY,
        secret="s3cret-of-another",
        base_url=platforms["urls"]["wechat"],
    )
    found = await findings(tmp_path, wechat={"shop": account})

    assert any("40125" in one.message and "reset it" in one.remedy for one in found)
    assert any("does not answer" in one.message for one in found)
    assert all("s3cret-of-another" not in one.message for one in found)


async def test_a_right_account_is_said_to_be_right(tmp_path: Path, platforms: dict[str, Any]) -> None:
    account = WechatSettings(
        appid=APPID, token=TOKEN, aes_key=KEY, secret=SECRET, base_url=platforms["urls"]["wechat"]
    )
    found = await findings(tmp_path, wechat={"shop": account})

    assert "ok" == found[0].level


@pytest.mark.parametrize("broken", [{"aes_key": "short"}, {"token": ""}, {"mode": "plain"}, {"secret": ""}])
async def test_settings_that_cannot_work_are_named(
    tmp_path: Path, platforms: dict[str, Any], broken: dict[str, Any]
) -> None:
    account = {
        "appid": APPID,
        "token": TOKEN,
        "aes_key": KEY,
        "secret": SECRET,
        "base_url": platforms["urls"]["wechat"],
    }
    found = await findings(tmp_path, wechat={"shop": WechatSettings(**{**account, **broken})})

    assert any(one.level in ("error", "warning") and one.remedy for one in found[:2])


async def test_telegram_refusing_the_token_and_telegram_down_are_told_apart(
    tmp_path: Path, platforms: dict[str, Any]
) -> None:
    url = platforms["urls"]["telegram"]
    wrong = await findings(tmp_path, telegram={"shop": TelegramSettings(token="1:" + "x" * 20, base_url=url)})
    platforms["fakes"]["telegram"].down = True
    down = await findings(tmp_path, telegram={"shop": TelegramSettings(token=BOT_TOKEN, base_url=url)})

    assert any("refuses the token" in one.message for one in wrong)
    assert any("cannot be reached" in one.message and BOT_TOKEN not in one.message for one in down)


async def test_a_webhook_that_is_not_ours_is_named(tmp_path: Path, platforms: dict[str, Any]) -> None:
    url = platforms["urls"]["telegram"]
    platforms["fakes"]["telegram"].webhook = {"url": "https://elsewhere.example/hook"}
    bot = TelegramSettings(token=BOT_TOKEN, mode="webhook", webhook_secret="s" * 16, base_url=url)
    found = await findings(tmp_path, telegram={"shop": bot})

    assert any("@kefu_bot" in one.message for one in found)
    assert any("elsewhere.example" in one.message and "error" == one.level for one in found)


async def test_wecom_out_of_reach_is_named(tmp_path: Path) -> None:
    enterprise = WecomSettings(corpid="ww", token="t", aes_key=KEY, secret="s", base_url="http://127.0.0.1:9")
    found = await findings(tmp_path, wecom={"corp": enterprise})

    assert any("unreachable" in one.message and "network" in one.remedy for one in found)


# the whole matrix: what may be wrong, by channel, and what is said about it

WECHAT_TOKEN = [
    (40013, "the appid is wrong"),
    (40125, "the secret is wrong"),
    (40164, "not on the platform's IP allow-list"),
    (61004, "not on the platform's IP allow-list"),
    (89503, "an administrator of the account must confirm"),
    (40243, "the secret is frozen"),
]
WECOM_TOKEN = [(40001, "copy the one of 微信客服"), (40013, "the corpid is wrong"), (60020, "企业可信IP")]


@pytest.mark.parametrize(("code", "remedy"), WECHAT_TOKEN)
async def test_every_way_wechat_refuses_us_has_its_remedy(
    tmp_path: Path, platforms: dict[str, Any], code: int, remedy: str
) -> None:
    platforms["fakes"]["wechat"].refuse_token = code
    account = WechatSettings(
        appid=APPID, token=TOKEN, aes_key=KEY, secret=SECRET, base_url=platforms["urls"]["wechat"]
    )
    found = await findings(tmp_path, wechat={"shop": account})

    assert ("error", True) == (found[0].level, remedy in found[0].remedy) and str(code) in found[0].message


@pytest.mark.parametrize(("code", "remedy"), WECOM_TOKEN)
async def test_every_way_wecom_refuses_us_has_its_remedy(
    tmp_path: Path, platforms: dict[str, Any], code: int, remedy: str
) -> None:
    platforms["fakes"]["wecom"].refuse_token = code
    enterprise = WecomSettings(
        corpid=CORP, token=TOKEN, aes_key=KEY, secret="s", base_url=platforms["urls"]["wecom"]
    )
    found = await findings(tmp_path, wecom={"corp": enterprise})
    refused = next(one for one in found if str(code) in one.message)

    assert ("error", True) == (refused.level, remedy in refused.remedy)


@pytest.fixture
async def gateway(tmp_path: Path, platforms: dict[str, Any]) -> AsyncIterator[Any]:
    """A gateway that runs with all three channels; `given(port)` are its settings."""
    urls = platforms["urls"]

    def given(port: int, **change: Any) -> Settings:
        base = {
            "wechat": {"appid": APPID, "token": TOKEN, "aes_key": KEY, "secret": SECRET, "base_url": urls["wechat"]},
            "wecom": {"corpid": CORP, "token": TOKEN, "aes_key": KEY, "secret": "s", "base_url": urls["wecom"]},
            "telegram": {"token": BOT_TOKEN, "mode": "webhook", "webhook_secret": "s" * 16, "base_url": urls["telegram"]},
        }  # fmt: skip
        both = {name: {**base[name], **change.get(name, {})} for name in base}
        return Settings(
            data_dir=tmp_path,
            # Behind a proxy the address is https; here the gateway itself is asked.
            gateway=GatewaySettings(port=port, public_url=change.get("public_url", "https://shop.example")),
            wechat={"shop": WechatSettings(**both["wechat"])},
            wecom={"shop": WecomSettings(**both["wecom"])},
            telegram={"shop": TelegramSettings(**both["telegram"])},
        )

    doors: tuple[Any, ...] = (
        channels.wechat.channel.install, channels.wecom.channel.install, channels.telegram.install,
    )  # fmt: skip
    app = make_app(given(1), extensions=doors)
    async with TestServer(app) as server:
        while platforms["fakes"]["telegram"].webhook is None:
            await asyncio.sleep(0.01)
        yield given, server.port


async def about(settings: Settings, channel: str) -> list[Finding]:
    return [one for one in await examine(settings, CHECKS) if one.check.startswith(channel)]


@pytest.mark.parametrize("channel", ["wechat", "wecom"])
async def test_the_callback_address_is_tried_with_token_and_key(gateway: Any, channel: str) -> None:
    given, port = gateway
    own = f"http://127.0.0.1:{port}"
    right = await about(given(port, public_url=own), channel)
    other_token = await about(given(port, public_url=own, **{channel: {"token": "another"}}), channel)
    other_key = await about(given(port, public_url=own, **{channel: {"aes_key": KEY[::-1]}}), channel)
    nobody = await about(given(port, public_url="http://127.0.0.1:9"), channel)

    assert any("answers the platform's check" in one.message for one in right)
    assert any("another token or key" in one.remedy for one in other_token)
    assert any("another token or key" in one.remedy for one in other_key)
    assert any("does not answer" in one.message for one in nobody)


async def test_the_webhook_of_telegram_is_knocked_at(gateway: Any, platforms: dict[str, Any]) -> None:
    given, port = gateway
    own = f"http://127.0.0.1:{port}"
    telegram = platforms["fakes"]["telegram"]
    telegram.webhook = {"url": f"{own}/telegram/shop"}
    right = [one for one in await about(given(port, public_url=own), "telegram") if one.level != "ok"]
    other = await about(given(port, public_url=own, telegram={"webhook_secret": "t" * 16}), "telegram")
    telegram.last_error = "Connection timed out"
    failing = await about(given(port, public_url=own), "telegram")
    telegram.webhook = None
    missing = await about(given(port, public_url=own), "telegram")

    assert not right and not telegram.sent
    assert any("another webhook_secret" in one.remedy for one in other)
    assert any("Connection timed out" in one.message and "certificate" in one.remedy for one in failing)
    assert any("not set" in one.message for one in missing)


@pytest.mark.parametrize("ahead", [-700, 700, 20])
@pytest.mark.parametrize("channel", ["wechat", "wecom", "telegram"])
async def test_a_wrong_clock_is_told_by_how_much(
    gateway: Any, monkeypatch: pytest.MonkeyPatch, channel: str, ahead: int
) -> None:
    given, port = gateway
    real = time.time
    monkeypatch.setattr("channels.checks.time", SimpleNamespace(time=lambda: real() + ahead))
    found = [one async for one in check_clock(given(port)) if one.check.startswith(channel)]

    assert 1 == len(found)
    if abs(ahead) > 300:
        assert "error" == found[0].level and "set the clock" in found[0].remedy
        told = re.search(r"([+-]\d+) s off", found[0].message)
        assert told is not None and abs(int(told[1]) - ahead) < 60
    else:
        assert "ok" == found[0].level


async def test_what_is_right_is_said_to_be_right_and_no_shopper_is_written_to(
    gateway: Any, platforms: dict[str, Any]
) -> None:
    given, port = gateway
    platforms["fakes"]["telegram"].webhook = {"url": f"http://127.0.0.1:{port}/telegram/shop"}
    found = await examine(given(port, public_url=f"http://127.0.0.1:{port}"), CHECKS)

    assert [] == [one for one in found if one.level == "error"]
    assert not platforms["fakes"]["wechat"].sends and not platforms["fakes"]["telegram"].sent


@pytest.mark.parametrize(("channel", "code"), [("wechat", 40164), ("wecom", 60020)])
async def test_a_token_that_is_still_good_does_not_hide_that_we_are_shut_out(
    gateway: Any, platforms: dict[str, Any], channel: str, code: int
) -> None:
    given, port = gateway
    assert [] == [one for one in await about(given(port), channel) if str(code) in one.message]
    platforms["fakes"][channel].refuse_token = code  # the address was taken off the list

    assert [one for one in await about(given(port), channel) if str(code) in one.message and one.remedy]
