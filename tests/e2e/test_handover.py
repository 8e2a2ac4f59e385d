"""Every reason a person is called for, from the shopper's words to the packet at the desk, in Chromium.

The real programs; the desk is opened in the browser and what its side panel shows is what the trigger promised.
Where KEFU_SCREENSHOTS names a folder, each story leaves its picture there.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from bot.database import make_engine
from bot.orders.shop.samples import sample
from bot.settings import Settings
from bot.web_client import WebClient
from channels.desk.staff import Staff
from channels.store import Store
from tests.e2e.assistant import Assistant, Shop, Shopper
from tests.e2e.conftest import NewShopper
from tests.e2e.words import LANGUAGES, PERSON, REASONS, ask_for, is_plan, tail, wish

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.parametrize("language", LANGUAGES),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"),
]

PASSWORD = "a-long-password"
LARGE, PAID, STATUS = sample("refund_large"), sample("refund_paid"), sample("status_paid")

THREAT = {
    "zh": "你们再不解决我就去法院起诉你们，还要向消费者协会投诉",
    "en": "If you do not fix this I will sue you and report you to the consumer protection agency",
}
NONSENSE = {"zh": "香蕉月亮弹钢琴", "en": "banana moon piano"}
UNKNOWN = {"zh": "你们的包装盒是什么材质的？", "en": "Can I pay with bitcoin?"}
LOCALE = {"zh": "zh-CN", "en": "en-GB"}

Story = Callable[[Shop, Shopper, str], Awaitable[None]]


@asynccontextmanager
async def desk(assistant: Assistant, language: str) -> AsyncIterator[Any]:
    """A signed-in desk in Chromium."""
    from playwright.async_api import async_playwright

    name = f"lin-{uuid4().hex[:8]}"  # nobody may sign in this often under one name
    engine = make_engine(Settings(data_dir=assistant.data_dir).sqlalchemy_url)
    try:
        await Staff(Store(engine)).add(name, "admin", PASSWORD)  # above a lead's limit
    finally:
        await engine.dispose()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1440, "height": 900}, locale=LOCALE[language])
        await page.goto(f"{assistant.url('gateway')}/desk")
        await page.fill("[name=name]", name)
        await page.fill("[name=password]", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".row")
        try:
            yield page
        finally:
            await browser.close()


async def side_panel(page: Any, conversation: str, name: str) -> str:
    """What the desk shows beside this conversation."""
    await page.click(f'[data-id="{conversation}"]')
    await page.wait_for_selector(".side section")
    text: str = await page.inner_text(".side")
    if folder := os.environ.get("KEFU_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"packet-{name}.png")
    return re.sub(r"\s+", " ", text)


async def in_the_middle_of_a_plan(shop: Shop, shopper: Shopper, language: str) -> None:
    assert is_plan(await ask_for(shopper, "refund", PAID, REASONS["changed_mind"][language]))
    await shopper.say(PERSON[language])


async def a_threat(shop: Shop, shopper: Shopper, language: str) -> None:
    await shopper.say(wish("order_status", STATUS, language), tail(STATUS, language), THREAT[language])


async def guessing(shop: Shop, shopper: Shopper, language: str) -> None:
    await shopper.say(wish("order_status", STATUS, language))
    for number in range(6):
        if shopper.client.owner != "bot":
            return
        await shopper.say(f"{int(STATUS.phone_tail) + 1 + number:04d}"[-4:])


async def too_much_money(shop: Shop, shopper: Shopper, language: str) -> None:
    await ask_for(shopper, "refund", LARGE, REASONS["changed_mind"][language])


async def not_understood(shop: Shop, shopper: Shopper, language: str) -> None:
    assert is_plan(await ask_for(shopper, "refund", PAID, REASONS["changed_mind"][language]))
    await shopper.say(NONSENSE[language])
    await shopper.say(NONSENSE[language])


async def no_article(shop: Shop, shopper: Shopper, language: str) -> None:
    await shopper.say(UNKNOWN[language])


async def shop_down(shop: Shop, shopper: Shopper, language: str) -> None:
    await shop.fault("*", "error_5xx", times=200)
    await shopper.say(wish("order_status", STATUS, language), tail(STATUS, language))


async def write_without_an_answer(shop: Shop, shopper: Shopper, language: str) -> None:
    assert is_plan(await ask_for(shopper, "refund", PAID, REASONS["changed_mind"][language]))
    await shop.fault("refund", "latency_after_commit", times=10, delay=5.0)
    yes = asyncio.create_task(shopper.say({"zh": "确认", "en": "yes"}[language]))
    async with asyncio.timeout(30):
        while "latency_after_commit" not in (await shop.state())["faults"]:
            await asyncio.sleep(0.02)
    await shop.fault("receipt", "error_5xx", times=20, status=503)  # and now nobody can read it back
    await yes


# story, what the panel must say by language, what it must not
STORIES: dict[str, tuple[Story, dict[str, tuple[str, ...]]]] = {
    "asked": (
        in_the_middle_of_a_plan,
        {
            "zh": ("顾客要求人工", "退款", PAID.number, "手机尾号", "待确认的方案", "已付款"),
            "en": (
                "asked for a person",
                "refund",
                PAID.number,
                "phone digits",
                "Plan awaiting consent",
                "paid",
            ),
        },
    ),
    "threat": (
        a_threat,
        {
            "zh": ("投诉或风险", STATUS.number, "手机尾号"),
            "en": ("complaint or risk", STATUS.number, "phone digits"),
        },
    ),
    "locked_out": (
        guessing,
        {
            "zh": ("身份核对多次失败", STATUS.number, "未核实"),
            "en": ("proof failed too often", STATUS.number, "not proven"),
        },
    ),
    "policy": (
        too_much_money,
        {
            "zh": ("政策要求人工", LARGE.number, "amount_limit", "需人工决定", "手机尾号"),
            "en": ("policy says person", LARGE.number, "amount_limit", "a person decides", "phone digits"),
        },
    ),
    "two_failures": (
        not_understood,
        {
            "zh": ("机器人两次没听懂", "退款", PAID.number),
            "en": ("not understood twice", "refund", PAID.number),
        },
    ),
    "low_confidence": (
        no_article,
        {"zh": ("机器人没有把握", UNKNOWN["zh"]), "en": ("bot not sure enough", UNKNOWN["en"])},
    ),
    "tool_failure": (
        shop_down,
        {"zh": ("商城系统故障", STATUS.number), "en": ("shop system down", STATUS.number)},
    ),
    "outcome_unknown": (
        write_without_an_answer,
        {"zh": ("写入结果不明", PAID.number), "en": ("write outcome unknown", PAID.number)},
    ),
}


@pytest.mark.parametrize("name", STORIES)
async def test_a_trigger_ends_with_the_right_packet_at_the_desk(
    assistant: Assistant, shop: Shop, new_shopper: NewShopper, language: str, name: str
) -> None:
    story, wanted = STORIES[name]
    shopper = await new_shopper(language)
    await story(shop, shopper, language)
    assert "pending" == shopper.client.owner
    async with desk(assistant, language) as page:
        panel = await side_panel(page, str(shopper.client.conversation), f"{name}-{language}")
        missing = [words for words in wanted[language] if words not in panel]
        assert [] == missing, panel
        # The shopper's last words are in the transcript, and the bot is silent now.
        assert {"zh": "正在等待人工", "en": "Waiting for a person"}[language] in await page.inner_text(".bar")


async def test_what_is_approved_reaches_the_shopper_with_its_receipt(
    assistant: Assistant, shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    """The policy's limit, the approval in the browser, one write in the shop, the receipt in the chat."""
    shopper = await new_shopper(language)
    await too_much_money(shop, shopper, language)
    async with desk(assistant, language) as page:
        await side_panel(page, str(shopper.client.conversation), "x")
        await page.keyboard.press("c")
        await page.wait_for_selector(".write textarea")
        await page.keyboard.press("Escape")
        await page.keyboard.press("o")
        await page.wait_for_selector("dialog .operate select")
        await page.click("dialog .operate button.go")
        await page.wait_for_selector(".planbox button.go")
        if folder := os.environ.get("KEFU_SCREENSHOTS"):
            await page.wait_for_timeout(4200)  # the toast is gone
            await page.screenshot(path=Path(folder) / f"desk-plan-{language}.png")
        await shop.assert_untouched()
        await page.click(".planbox button.go")
        await page.wait_for_selector(".planbox .tag.grn")
    receipt = await shop.assert_one("refund", LARGE.number)
    async with asyncio.timeout(30):
        heard = ""
        while receipt["id"] not in heard:
            heard += "".join(reply.text for reply in await shopper.client.waiting(0.5))


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    """A desk that opens the day after tomorrow."""
    day = (datetime.now(UTC) + timedelta(days=2)).strftime("%a").lower()
    one = Assistant.start(
        tmp_path_factory.mktemp("closed"), KEFU_HANDOFF__HOURS__WEEK=f'{{"{day}": ["09:00-18:00"]}}'
    )
    yield one
    one.stop()


async def test_outside_the_hours_a_time_is_promised_and_the_desk_sees_it(
    closed: Assistant, language: str
) -> None:
    """The shopper hears when somebody will be there, and is asked for what is missing; the promise is kept."""
    async with (
        aiohttp.ClientSession(),
        WebClient(closed.url("gateway"), locale=language, timeout=40) as client,
    ):
        shopper = Shopper(client, language)
        said = await shopper.say(PERSON[language])
        assert "pending" == said.owner
        assert {"zh": "上班", "en": "back at"}[language] in said.text and "9:00" in said.text
        assert {"zh": "订单号", "en": "order number"}[language] in said.text
        await shopper.say(STATUS.number)
        async with desk(closed, language) as page:
            panel = await side_panel(page, str(client.conversation), f"closed-{language}")
            assert {"zh": "顾客要求人工", "en": "asked for a person"}[language] in panel
            assert {"zh": "已承诺答复", "en": "Reply promised by"}[language] in panel
            assert STATUS.number in await page.inner_text(".log")
            await page.keyboard.press("c")
            await page.wait_for_selector(".write textarea")
            await page.keyboard.type("on it")
            await page.keyboard.press("Enter")
            await page.wait_for_selector(".side .tag.grn")  # kept
