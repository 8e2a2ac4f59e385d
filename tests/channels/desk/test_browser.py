"""The desk in headless Chromium: two people at once, in both languages."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

from bot.database import now_ms
from bot.handoff import labels
from channels.wechat import allowance
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
    browser: Any, house: House, name: str, locale: str, scheme: str = "light", *, there: str = ".row"
) -> tuple[Any, list[str]]:
    """An open desk, when `there` can be seen on it, and the errors its page reports."""
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
    await page.wait_for_selector(there)
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


async def test_all_of_the_page_by_keyboard(tmp_path: Path) -> None:
    """Budget, canned replies, a draft edited and one discarded, notes, evidence, search, language, an alarm."""
    async with open_house(tmp_path) as house, chromium() as browser:
        house.door.name = "wechat"
        house.gateway.channels["wechat"] = house.door
        picture = await house.desk.media.put(_png())
        counted = await house.hear("杯子碎了，转人工", "wang", channel="wechat", attachments=(picture,))
        async with house.gateway.store.write() as connection:
            await allowance.renew(connection, counted, "message", now=now_ms())
            await allowance.spend(connection, counted, 3)
        drafted = await house.hear("什么时候开发票？", "li", channel="wechat")
        second = await house.hear("发票抬头能改吗？", "zhao", channel="wechat")
        await house.desk.staff.add("小林", "agent", PASSWORD)
        page, errors = await sign_in(browser, house, "小林", "zh-CN")

        # Evidence and the channel's budget
        await page.click(f'[data-id="{counted}"]')
        await page.wait_for_selector(".thumbs img")
        await page.click(".thumbs img")
        await page.wait_for_selector("dialog.view img")
        await page.keyboard.press("Escape")
        await page.keyboard.press("c")
        await page.wait_for_selector(".budget >> text=还可发 2/5 条")
        assert "截止" in await page.inner_text(".budget")

        # A canned reply by its key, filled in, sent; the budget goes down
        await page.keyboard.type("/")
        await page.wait_for_selector(".menu button")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        text = await page.input_value(".write textarea")
        assert len(text) > 5 and "{" not in text
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".m.person")
        async with house.gateway.store.write() as connection:
            await allowance.exhaust(connection, counted)
        await page.keyboard.type("再发一条")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("text=本渠道的消息额度已用完")
        assert "再发一条" not in house.door.texts

        # A note that nobody outside sees
        await page.keyboard.press("Escape")
        await page.keyboard.press("n")
        await page.keyboard.type("已核对照片")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".notebox >> text=已核对照片")
        assert "已核对照片" not in house.door.texts

        # Drafts: one edited and sent, one thrown away; both become labels
        async with house.gateway.store.write() as connection:
            for one in (drafted, second):
                await allowance.renew(connection, one, "message", now=now_ms())
        await page.keyboard.press("1")
        await page.click(f'[data-id="{drafted}"]')
        await page.wait_for_selector(".draftbox")
        await page.keyboard.press("c")
        await page.wait_for_selector(".write textarea")
        await page.click(".side .acts >> text=编辑")
        await page.keyboard.type("请放心。")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".m.person")
        await page.keyboard.press("Escape")
        await page.keyboard.press("1")
        await page.click(f'[data-id="{second}"]')
        await page.wait_for_selector(".draftbox")
        await page.click(".side .acts >> text=不用")
        await page.wait_for_selector(".side .acts >> text=未采用")
        async with house.gateway.store.read() as connection:
            verdicts = set((await connection.execute(select(labels.labels.c.verdict))).scalars())
        assert {"edited", "discarded"} == verdicts

        # Search, help and the other language, all from the keyboard
        await page.keyboard.press("/")
        await page.keyboard.type("碎了")
        await page.wait_for_selector(f'.row[data-id="{counted}"]')
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".bar h2")
        await page.keyboard.press("?")
        await page.wait_for_selector("dialog .keys")
        await page.keyboard.press("Escape")
        await page.click("header >> text=English")
        await page.wait_for_selector("text=Why a person")

        # Somebody new waits: the title says so, and a hidden page raises a notification without the shopper's words
        await page.evaluate(
            """() => { window.told = []; window.Notification = class { constructor(title, options) { window.told.push([title, options.body]); } };
            Notification.permission = "granted"; Object.defineProperty(document, "hidden", { get: () => true }); }"""
        )
        await house.hear("我的秘密是什么？转人工", "new", channel="wechat")
        async with asyncio.timeout(20):
            while not await page.evaluate("() => window.told.length"):
                await asyncio.sleep(0.02)
        title, body = (await page.evaluate("() => window.told"))[0]
        assert "New conversation waiting" == title and "秘密" not in body and "asked for a person" in body
        assert "(" in await page.title()
        assert [] == errors


async def test_two_hundred_open_conversations(tmp_path: Path) -> None:
    """All are listed, most urgent first; what somebody in the middle writes shows, and nothing jumps."""
    async with open_house(tmp_path) as house, chromium() as browser:
        ids = []
        for number in range(200):
            text = "我要起诉你们" if number == 150 else "转人工"
            ids.append(await house.hear(text, f"s{number}"))
        await house.desk.staff.add("lin", "agent", PASSWORD)
        page, errors = await sign_in(browser, house, "lin", "zh-CN")
        assert 200 == await page.locator(".row").count()
        assert ids[150] == await page.get_attribute(".row >> nth=0", "data-id")
        for _ in range(30):
            await page.keyboard.press("ArrowDown")
        await page.wait_for_selector(".bar h2")
        chosen = await page.get_attribute(".row[aria-current=true]", "data-id")
        await house.hear("请快一点", "s42")
        await page.wait_for_selector(f'.row[data-id="{ids[42]}"] >> text=请快一点')
        assert chosen == await page.get_attribute(".row[aria-current=true]", "data-id")
        assert 200 == await page.locator(".row").count() and [] == errors


def _png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(out, "PNG")
    return out.getvalue()


async def test_an_exchange_and_a_new_address_are_proposed_from_the_page(tmp_path: Path, world: World) -> None:
    """By keyboard and choice: the option with its stock, the address as the shopper said it; the plan box says both."""
    async with chromium() as browser:
        async with open_counter(tmp_path / "a", world, "exchange_size") as counter:
            await counter.opened()
            page, errors = await sign_in(browser, counter.house, "lin", "zh-CN", there=".none")
            await _operate(page, counter.conversation, counter.sample.number, "exchange")
            assert await page.is_visible("dialog .operate select[aria-label^=换成]")
            assert not await page.is_visible("dialog .operate textarea")
            await page.click("dialog .operate button.go")  # without an option
            await page.wait_for_selector("dialog .bad >> text=请选择要换成的规格")
            options = "dialog .operate select[aria-label^=换成]"
            await page.select_option(options, index=await _first_enabled(page, options))
            await _picture(page, "exchange")
            await page.click("dialog .operate button.go")
            await page.wait_for_selector(".planbox >> text=→")
            assert any("请核对：换货" in text for text in await counter.said())
            assert [] == errors
        async with open_counter(tmp_path / "b", world, "address_paid_en") as counter:
            await counter.opened(language="en")
            page, errors = await sign_in(browser, counter.house, "lin", "en-GB", "dark", there=".none")
            await _operate(page, counter.conversation, counter.sample.number, "change_address")
            assert not await page.is_visible("dialog .operate .count")
            await page.fill("dialog .operate textarea", "12 Baker Street, London NW1 6XE")
            await _picture(page, "address")
            await page.click("dialog .operate button.go")
            await page.wait_for_selector(".planbox >> text=12 Baker Street")
            assert [] == errors
        assert [] == await world.receipts()  # proposed is not done


async def _operate(page: Any, conversation: str, number: str, operation: str) -> None:
    await page.keyboard.press("2")
    await page.click(f'[data-id="{conversation}"]')
    await page.wait_for_selector(".write textarea")
    await page.keyboard.press("Escape")
    await page.keyboard.press("o")
    await page.fill("dialog input", number)
    await page.keyboard.press("Tab")
    await page.wait_for_selector("dialog .operate select")
    await page.locator("dialog .operate select").first.select_option(operation)


async def _first_enabled(page: Any, select: str) -> int:
    found: int = await page.eval_on_selector(
        select, "one => [...one.options].findIndex((option) => option.value && !option.disabled)"
    )
    return found


async def _picture(page: Any, name: str) -> None:
    if folder := os.environ.get("KEFU_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"operate-{name}.png")
