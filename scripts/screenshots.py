"""Retakes the pictures of the documentation: `python scripts/screenshots.py [PICTURE ...]`, all of them by default.

Everything is started here and ends here: all programs of `kefu up` on free ports, with data of their own and the demo
shop, and the tests' small WeChat, WeCom and Telegram. Shoppers write at every door, people work at the desk, and
headless Chromium (KEFU_CHROMIUM, or the one on the path) photographs what both see into docs/images.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from PIL import Image, ImageDraw
from playwright.async_api import Browser, Page, async_playwright

from bot.database import make_engine
from bot.orders.shop.samples import sample
from bot.settings import PROJECT_ROOT, Settings
from bot.web_client import WebClient
from channels.desk.staff import Staff
from channels.store import Store
from tests.channels.fake_telegram import SECRET, FakeTelegram
from tests.channels.fake_telegram import TOKEN as BOT_TOKEN
from tests.channels.wechat.fake_wechat import APPID, KEY, TOKEN, FakeWechat, letter, seal, sealed_query, wrap
from tests.channels.wechat.fake_wechat import SECRET as APP_SECRET
from tests.channels.wecom.fake_wecom import CORP, KFID, FakeWecom
from tests.e2e.assistant import Assistant, Shopper
from tests.e2e.words import PERSON, REASONS, ask_for, tail, wish

FOLDER = PROJECT_ROOT / "docs" / "images"
SIZES: dict[str, Any] = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 860}}
DESK: Any = {"width": 1440, "height": 900}
LOCALES = {"zh": "zh-CN", "en": "en-US"}
PASSWORD = "only-for-these-pictures"
WORDS = {
    "zh": ("return_day3", "七天无理由退货，运费谁出？", "我要退货", "全部", "不想要了"),
    "en": (
        "return_day3_en",
        "Who pays the return shipping?",
        "I want to return it",
        "all of them",
        "I changed my mind",
    ),
}
_ids = itertools.count(1)


def save(png: bytes, name: str) -> None:
    """Flat colours: a palette is a quarter of the bytes, and this way of choosing it keeps the rare ones."""
    palette: Any = {"method": Image.Quantize.MAXCOVERAGE, "dither": Image.Dither.NONE}
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256, **palette).save(FOLDER / name, optimize=True)
    print(name, flush=True)


def broken_mug() -> bytes:
    """A photo as a shopper would send it."""
    picture = Image.new("RGB", (640, 480), "#d9dfd3")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((180, 140, 460, 370), fill="#8cbcb0")
    draw.ellipse((180, 320, 460, 420), fill="#76a79c")
    draw.ellipse((180, 90, 460, 190), fill="#76a79c")
    draw.line((260, 150, 290, 230, 270, 280, 310, 350), fill="#2b2b2b", width=6)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90)
    return out.getvalue()


class Scene:
    """The running programs, the platforms, and a browser."""

    def __init__(self, assistant: Assistant, browser: Browser, session: aiohttp.ClientSession) -> None:
        self.assistant, self.browser, self.session = assistant, browser, session
        self.wechat, self.wecom, self.telegram = FakeWechat(), FakeWecom(), FakeTelegram()

    @property
    def url(self) -> str:
        return self.assistant.url("gateway")

    # shoppers

    @contextlib.asynccontextmanager
    async def shopper(self, language: str) -> AsyncIterator[Shopper]:
        async with WebClient(self.url, locale=language, timeout=60) as client:
            yield Shopper(client, language)

    async def at_wechat(self, text: str) -> None:
        xml = letter("oWang", Content=text, msg_id=str(next(_ids)))
        await self._until_answered(self.wechat.shown["oWang"], self.wechat.push(self.session, xml))

    async def at_wecom(self, text: str) -> None:
        self.wecom.write(text, "wmWang")
        ring = f"<xml><MsgType>event</MsgType><Event>kf_msg_or_event</Event><Token>t</Token><OpenKfId>{KFID}</OpenKfId></xml>"
        sealed = seal(ring, appid=CORP)
        post = self.session.post(f"{self.url}/wecom/shop", params=sealed_query(sealed), data=wrap(sealed))
        await self._until_answered(self.wecom.shown["wmWang"], post)

    async def at_telegram(self, text: str) -> None:
        push = self.telegram.push(
            self.session, f"{self.url}/telegram/shop", self.telegram.message(7, text=text)
        )
        await self._until_answered(self.telegram.shown["7"], push)

    async def _until_answered(self, shown: list[str], push: Awaitable[Any]) -> None:
        before = len(shown)
        await push
        async with asyncio.timeout(90):
            while len(shown) == before:  # noqa: ASYNC110 - the platform rings no bell
                await asyncio.sleep(0.1)

    # people

    async def employ(self) -> None:
        engine = make_engine(Settings(data_dir=self.assistant.data_dir).sqlalchemy_url)
        try:
            staff = Staff(Store(engine))
            await staff.add("小林", "agent", PASSWORD)
            await staff.add("Mia", "lead", PASSWORD)
        finally:
            await engine.dispose()

    @contextlib.asynccontextmanager
    async def desk(
        self, name: str, language: str, scheme: Any = "light", size: Any = None
    ) -> AsyncIterator[Page]:
        context = await self.browser.new_context(
            viewport=size or DESK, color_scheme=scheme, locale=LOCALES[language], timezone_id="Asia/Shanghai"
        )
        page = await context.new_page()
        await page.goto(f"{self.url}/desk")
        await page.fill("[name=name]", name)
        await page.fill("[name=password]", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".tabs")
        try:
            yield page
        finally:
            await context.close()

    async def open(self, page: Page, conversation: str, *, take: bool = False) -> None:
        # Not `click`: it waits for a row that stands still, and the clocks in the rows are painted every second.
        await page.locator(f'[data-id="{conversation}"]').first.dispatch_event("click")
        await page.wait_for_selector(".side section")
        if take:
            await page.keyboard.press("c")
            await page.wait_for_selector(".write textarea")
        await page.wait_for_timeout(1200)  # pictures come, what is new stops blinking

    async def newest(self, page: Page, word: str) -> str:
        """The waiting conversation that shows this word in its row."""
        row = page.locator(".row", has_text=word).first
        found = await row.get_attribute("data-id") or await row.locator("[data-id]").get_attribute("data-id")
        assert found, f"nobody waits with {word!r}"
        return found


# the chat


async def say(page: Page, text: str) -> None:
    """Say it and wait for what comes back."""
    answers = page.locator(".msg:not(.me) .bub:not(.dots)")
    before = await answers.count()
    await page.get_by_role("textbox").first.fill(text)
    await page.keyboard.press("Enter")
    await answers.nth(before).wait_for(timeout=90_000)
    await page.wait_for_timeout(1500)  # cards and buttons come with it, the typing dots go


@contextlib.asynccontextmanager
async def chat(scene: Scene, width: str, scheme: Any, language: str) -> AsyncIterator[Page]:
    """A return, from the question to the plan, by one of the sample orders."""
    context = await scene.browser.new_context(
        viewport=SIZES[width], color_scheme=scheme, locale=LOCALES[language], timezone_id="Asia/Shanghai"
    )
    page = await context.new_page()
    await page.goto(scene.url if width == "desktop" else f"{scene.url}/chat?site=demo")
    name, question, asked, *rest = WORDS[language]
    order = sample(name)
    for text in (question, f"{asked} {order.number}", tail(order, language), *rest):
        if not await page.locator(".card.plan").count():
            await say(page, text)
    yield page
    await context.close()


def chat_picture(width: str, scheme: str, language: str) -> Callable[[Scene], Awaitable[bytes]]:
    async def take(scene: Scene) -> bytes:
        async with chat(scene, width, scheme, language) as page:
            return await page.screenshot()

    return take


async def chat_done(scene: Scene) -> bytes:
    """The plan, the consent and the receipt."""
    async with chat(scene, "desktop", "light", "zh") as page:
        await say(page, "确认")
        return await page.screenshot()


# the desk


async def desk_zh(scene: Scene) -> bytes:
    async with scene.shopper("zh") as shopper, scene.desk("小林", "zh") as page:
        await ask_for(shopper, "return_goods", sample("return_day8"), REASONS["damaged"]["zh"])
        await shopper.show(broken_mug())
        await shopper.say("质量太差了，气死我了", PERSON["zh"])
        await scene.open(page, shopper.client.conversation, take=True)
        return await page.screenshot()


async def desk_en_dark(scene: Scene) -> bytes:
    async with scene.shopper("en") as shopper, scene.desk("Mia", "en", "dark") as page:
        await shopper.say("Can I visit your factory and see how the mugs are painted?")
        await scene.open(page, shopper.client.conversation, take=True)
        return await page.screenshot()


async def packet_zh(scene: Scene) -> bytes:
    async with scene.shopper("zh") as shopper, scene.desk("Mia", "zh") as page:
        await ask_for(shopper, "refund", sample("refund_paid"), REASONS["changed_mind"]["zh"])
        await shopper.say(PERSON["zh"])
        await scene.open(page, shopper.client.conversation)
        return await page.screenshot()


async def packet_en(scene: Scene) -> bytes:
    async with scene.shopper("en") as shopper, scene.desk("Mia", "en") as page:
        await ask_for(shopper, "refund", sample("refund_large"), REASONS["changed_mind"]["en"])
        await scene.open(page, shopper.client.conversation)
        return await page.screenshot()


async def plan_zh(scene: Scene) -> bytes:
    order = sample("refund_large")
    async with scene.shopper("zh") as shopper, scene.desk("小林", "zh") as page:
        await ask_for(shopper, "refund", order, REASONS["changed_mind"]["zh"])
        await scene.open(page, shopper.client.conversation, take=True)
        await page.keyboard.press("Escape")
        await page.keyboard.press("o")
        await page.wait_for_selector('dialog select[aria-label="操作"]')
        await page.select_option('dialog select[aria-label="原因"]', "changed_mind")
        await page.click("dialog .operate button.go")
        await page.wait_for_selector(".planbox >> text=待组长审批")
        await page.wait_for_timeout(4500)  # until the notice has gone
        await page.evaluate("document.querySelector('.planbox').scrollIntoView({block: 'center'})")
        return await page.screenshot()


def door_picture(door: str) -> Callable[[Scene], Awaitable[bytes]]:
    """A shopper of one of the platforms, who asks for a person in the middle of a refund."""

    async def take(scene: Scene) -> bytes:
        write, order = getattr(scene, f"at_{door}"), sample("refund_paid")
        for text in (
            wish("refund", order, "zh"),
            tail(order, "zh"),
            REASONS["changed_mind"]["zh"],
            PERSON["zh"],
        ):
            await write(text)
        word = {"wechat": "微信", "wecom": "微信客服", "telegram": "Telegram"}[door]
        async with scene.desk("小林", "zh", size={"width": 1280, "height": 760}) as page:
            await scene.open(page, await scene.newest(page, word), take=True)
            return await page.screenshot()

    return take


PICTURES: dict[str, Callable[[Scene], Awaitable[bytes]]] = {
    **{
        f"chat-{width}-{scheme}-{language}.png": chat_picture(width, scheme, language)
        for width in SIZES
        for scheme in ("light", "dark")
        for language in LOCALES
    },
    "desk-wechat.png": door_picture("wechat"),
    "desk-wecom.png": door_picture("wecom"),
    "desk-telegram.png": door_picture("telegram"),
    "desk-zh.png": desk_zh,
    "desk-en-dark.png": desk_en_dark,
    "desk-packet-zh.png": packet_zh,
    "desk-packet-en.png": packet_en,
    "desk-plan-zh.png": plan_zh,
    "chat-desktop-zh.png": chat_done,
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(ports: dict[str, int]) -> dict[str, str]:
    """The channels, with the small platforms in place of the real ones."""
    base = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    blocks: dict[str, dict[str, Any]] = {
        "WECHAT": {"appid": APPID, "secret": APP_SECRET, "token": TOKEN, "aes_key": KEY, "base_url": base["wechat"]},
        "WECOM": {"corpid": CORP, "secret": "s", "token": TOKEN, "aes_key": KEY, "base_url": base["wecom"]},
        "TELEGRAM": {"token": BOT_TOKEN, "mode": "webhook", "webhook_secret": SECRET, "base_url": base["telegram"]},
    }  # fmt: skip
    return {
        "KEFU_GATEWAY__PUBLIC_URL": "https://shop.example",
        **{f"KEFU_{name}": json.dumps({"shop": block}) for name, block in blocks.items()},
    }


def has_chinese_letters() -> bool:
    """Without such a font every picture would show empty boxes."""
    return bool(subprocess.run(["fc-list", ":lang=zh"], capture_output=True, check=False).stdout.strip())


async def main(names: list[str]) -> None:
    if unknown := [name for name in names if name not in PICTURES]:
        sys.exit(f"There is no picture {', '.join(unknown)}; there are {', '.join(PICTURES)}")
    chromium = os.environ.get("KEFU_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("Chromium is missing: scripts/browser.sh installs it, or set KEFU_CHROMIUM to its path.")
    async with contextlib.AsyncExitStack() as stack:
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        stack.push_async_callback(browser.close)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        ports = {name: free_port() for name in ("wechat", "wecom", "telegram")}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scene = Scene(Assistant(None, folder), browser, session)  # type: ignore[arg-type] # started below
        for name, port in ports.items():
            runner = web.AppRunner(getattr(scene, name).app(), access_log=None)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", port).start()
        scene.assistant = await asyncio.to_thread(Assistant.start, folder, **environment(ports))
        stack.callback(scene.assistant.stop)
        scene.wechat.base_url = f"{scene.url}/wechat/shop"
        await scene.employ()
        for name in names or PICTURES:
            save(await PICTURES[name](scene), name)


if __name__ == "__main__":
    if not has_chinese_letters():
        sys.exit("No font has Chinese letters: install one first, for example fonts-noto-cjk.")
    asyncio.run(main(sys.argv[1:]))
