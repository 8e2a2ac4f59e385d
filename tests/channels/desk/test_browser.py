"""The desk in headless Chromium: two people at once, in both languages."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.actions.conftest import World
from tests.channels.desk.house import PASSWORD, House, open_house
from tests.channels.desk.test_plans import open_counter

CHROMIUM = os.environ.get("KEFU_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"),
]


@asynccontextmanager
async def chromium() -> AsyncIterator[Any]:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


async def sign_in(
    browser: Any, house: House, name: str, locale: str, scheme: str = "light"
) -> tuple[Any, list[str]]:
    """An open desk and the errors its page reports."""
    context = await browser.new_context(
        viewport={"width": 1440, "height": 900}, color_scheme=scheme, locale=locale
    )
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console", lambda line: errors.append(line.text) if "Content Security Policy" in line.text else None
    )
    await page.goto(f"{house.url}/desk")
    await page.fill("[name=name]", name)
    await page.fill("[name=password]", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".row")
    return page, errors


async def test_two_people_at_once_in_two_languages(tmp_path: Path) -> None:
    """One takes by keyboard, the other sees it go, cannot write there, and works on a draft of the bot."""
    async with open_house(tmp_path) as house, chromium() as browser:
        first = await house.hear("太差了！我要转人工，帮我退款", "wang")
        second = await house.hear("When will I get my invoice?", "tom")
        await house.desk.staff.add("小林", "agent", PASSWORD)
        await house.desk.staff.add("Mia", "agent", PASSWORD)
        lin, lin_errors = await sign_in(browser, house, "小林", "zh-CN")
        mia, mia_errors = await sign_in(browser, house, "Mia", "en-GB", "dark")

        await lin.click(f'[data-id="{first}"]')
        await lin.wait_for_selector(".bar h2")
        await mia.click(f'[data-id="{first}"]')
        await mia.wait_for_selector(".bar h2")
        await lin.keyboard.press("c")
        await lin.wait_for_selector(".write textarea")
        await lin.keyboard.type("您好，我是小林，马上为您核实。")
        await lin.keyboard.press("Enter")
        await lin.wait_for_selector(".m.person")
        await mia.wait_for_selector("text=小林 has this conversation")
        assert 0 == await mia.locator(".write textarea").count()

        await mia.keyboard.press("1")
        await mia.click(f'[data-id="{second}"]')
        await mia.wait_for_selector(".draftbox")
        await mia.keyboard.press("c")
        await mia.wait_for_selector(".write textarea")
        await mia.click(".side .acts .go")  # send the draft as it stands
        await mia.wait_for_selector(".m.person")

        await house.hear("麻烦快一点", "wang")
        await lin.wait_for_selector("text=麻烦快一点")
        await house.quiet()
        assert "您好，我是小林，马上为您核实。" in house.door.texts
        assert any("e-mailed within 24 hours" in text for text in house.door.texts)
        assert "手机尾号" in await lin.inner_text(".side") and "青瓷马克杯" in await lin.inner_text(".side")
        assert [] == lin_errors + mia_errors


async def test_what_a_shopper_writes_never_becomes_markup(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, chromium() as browser:
        conversation = await house.hear('人工 <img src=x onerror="document.title=1"><b>bold</b>', "eve")
        await house.desk.staff.add("lin", "agent", PASSWORD)
        page, errors = await sign_in(browser, house, "lin", "en-GB")
        await page.click(f'[data-id="{conversation}"]')
        await page.wait_for_selector(".m.shopper")

        assert 0 == await page.locator(".log img, .log b").count()
        assert "<b>bold</b>" in await page.inner_text(".log") and [] == errors


async def test_an_agent_proposes_and_a_lead_approves(tmp_path: Path, world: World) -> None:
    """Taken, proven by what the shopper says, proposed by keyboard; the lead sees it at once and approves it."""
    async with (
        open_counter(tmp_path, world, "refund_large", approve_up_to={"lead": {"CNY": 2_000_000}}) as counter,
        chromium() as browser,
    ):
        house = counter.house
        counter.conversation = await house.hear("人工", "anna", locale="zh")
        await house.desk.staff.add("小林", "agent", PASSWORD)
        await house.desk.staff.add("Mia", "lead", PASSWORD)
        lin, lin_errors = await sign_in(browser, house, "小林", "zh-CN")
        mia, mia_errors = await sign_in(browser, house, "Mia", "en-GB", "dark")
        await lin.click(f'[data-id="{counter.conversation}"]')
        await lin.wait_for_selector(".bar h2")
        await mia.click(f'[data-id="{counter.conversation}"]')
        await mia.wait_for_selector(".bar h2")
        await lin.keyboard.press("c")
        await lin.wait_for_selector(".write textarea")
        await lin.keyboard.press("Escape")
        await lin.keyboard.press("o")
        await lin.fill("dialog input", counter.sample.number)
        await lin.keyboard.press("Tab")
        await lin.fill('dialog input[aria-label="顾客提供的内容"]', "0000")
        await lin.click("text=核对 >> nth=-1")
        await lin.wait_for_selector("text=对不上")
        await lin.fill('dialog input[aria-label="顾客提供的内容"]', counter.sample.phone_tail)
        await lin.click("dialog .operate button.go")
        await lin.wait_for_selector('dialog select[aria-label="操作"]')
        await lin.select_option('dialog select[aria-label="原因"]', "changed_mind")
        await lin.click("dialog .operate button.go")
        await lin.wait_for_selector(".planbox >> text=待组长审批")
        assert 0 == await lin.locator(".planbox >> text=批准并办理").count()
        assert [] == await world.receipts()

        await mia.wait_for_selector(".planbox >> text=waits for a lead")
        await mia.click(".planbox button.go")
        await mia.wait_for_selector(".planbox >> text=done")
        await lin.wait_for_selector(".planbox >> text=已办理")
        receipts = await world.receipts()
        assert 1 == len(receipts)
        await lin.wait_for_selector(f".log >> text={receipts[0]['id']}")
        assert any(receipts[0]["id"] in text for text in await counter.said())
        assert [] == lin_errors + mia_errors
