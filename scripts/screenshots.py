"""Pictures of the running web chat: `python scripts/screenshots.py http://127.0.0.1:8080 docs/images`.

Phone and desktop width, light and dark, Chinese and English: a return by one of the demo shop's sample orders, from
the question to the plan, each said by a fresh shopper.
Chromium is taken from KEFU_CHROMIUM or the path.
"""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from bot.orders.shop.samples import sample

SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 860}}
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
LOCALES = {"zh": "zh-CN", "en": "en-US"}


async def say(page: Page, text: str) -> None:
    """Say it and wait for what comes back."""
    answers = page.locator(".msg:not(.me) .bub:not(.dots)")
    before = await answers.count()
    await page.get_by_role("textbox").first.fill(text)
    await page.keyboard.press("Enter")
    await answers.nth(before).wait_for(timeout=60_000)
    await page.wait_for_timeout(1500)  # cards and buttons come with it, the typing dots go


async def take(browser: Browser, url: str, folder: Path, width: str, scheme: str, language: str) -> None:
    context = await browser.new_context(
        viewport=SIZES[width],  # type: ignore[arg-type]
        color_scheme=scheme,  # type: ignore[arg-type]
        locale=LOCALES[language],
        timezone_id="Asia/Shanghai",
    )
    page = await context.new_page()
    await page.goto(url if width == "desktop" else f"{url}/chat?site=demo")
    name, question, wish, *rest = WORDS[language]
    order = sample(name)
    tail = {"zh": "手机尾号", "en": "phone ends in "}[language] + order.phone_tail
    await say(page, question)
    await say(page, f"{wish} {order.number}")
    for text in (tail, *rest):
        if not await page.locator(".card.plan").count():
            await say(page, text)
    png = await page.screenshot()
    # Flat colours: a palette is a quarter of the bytes, and this way of choosing it keeps the rare ones.
    palette = {"method": Image.Quantize.MAXCOVERAGE, "dither": Image.Dither.NONE}
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(256, **palette)
    picture.save(folder / f"chat-{width}-{scheme}-{language}.png", optimize=True)
    await context.close()


async def main(url: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("KEFU_CHROMIUM") or shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for width in SIZES:
            for scheme in ("light", "dark"):
                for language in LOCALES:
                    await take(browser, url.rstrip("/"), folder, width, scheme, language)
        await browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python scripts/screenshots.py URL FOLDER")
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
