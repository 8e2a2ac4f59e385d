"""Pictures of the running web chat: `python scripts/screenshots.py http://127.0.0.1:8080 docs/images`.

Phone and desktop width, light and dark, Chinese and English, with a question that was really answered.
Chromium is taken from KEFU_CHROMIUM or the path.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

from playwright.async_api import Browser, async_playwright

QUESTION = {"zh-CN": "七天无理由退货，运费谁出？", "en-US": "Who pays the return shipping?"}


async def take(browser: Browser, url: str, folder: Path, width: str, scheme: str, locale: str) -> None:
    size = {"width": 390, "height": 780} if width == "phone" else {"width": 1280, "height": 800}
    context = await browser.new_context(viewport=size, color_scheme=scheme, locale=locale)
    page = await context.new_page()
    await page.goto(url)
    await page.get_by_role("textbox").first.fill(QUESTION[locale])
    await page.keyboard.press("Enter")
    await page.locator(".msg:not(.me) .bub:not(.dots)").first.wait_for(timeout=30_000)
    await page.wait_for_timeout(600)
    await page.screenshot(path=folder / f"chat-{width}-{scheme}-{locale[:2]}.png")
    await context.close()


async def main(url: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("KEFU_CHROMIUM") or shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for width in ("phone", "desktop"):
            for scheme, locale in (("light", "zh-CN"), ("dark", "en-US")):
                await take(browser, url, folder, width, scheme, locale)
        await browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python scripts/screenshots.py URL FOLDER")
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
