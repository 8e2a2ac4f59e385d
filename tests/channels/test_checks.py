"""`kefu doctor channels` names what is misconfigured, against the fakes of the platforms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from bot.doctor import Finding, examine
from bot.settings import GatewaySettings, Settings, TelegramSettings, WechatSettings, WecomSettings
from channels.checks import CHECKS
from tests.channels.fake_telegram import TOKEN as BOT_TOKEN
from tests.channels.fake_telegram import FakeTelegram
from tests.channels.test_wecom import FakeWecom
from tests.channels.wechat.fake_wechat import APPID, KEY, SECRET, TOKEN, FakeWechat


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
    return [found for found in await examine(given, CHECKS) if not found.check.startswith("web.")]


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

    assert "@kefu_bot" in found[0].message
    assert "elsewhere.example" in found[1].message and "error" == found[1].level


async def test_wecom_out_of_reach_is_named(tmp_path: Path) -> None:
    enterprise = WecomSettings(corpid="ww", token="t", aes_key=KEY, secret="s", base_url="http://127.0.0.1:9")
    found = await findings(tmp_path, wecom={"corp": enterprise})

    assert any("unreachable" in one.message and "network" in one.remedy for one in found)
