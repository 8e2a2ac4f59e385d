"""The chat in a real browser: headless Chromium against a real gateway and a small fake Rasa."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, BrowserContext, Page, Route, async_playwright, expect

from bot.message import Reply
from bot.settings import Settings
from channels.app import GATEWAY, make_app
from channels.rasa_client import RasaClient
from tests.channels.fake_rasa import FakeRasa
from tests.channels.test_web import OLD, QUICK, identity, photo, settings_for

CHROMIUM = os.environ.get("KEFU_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
AXE = files("axe_playwright_python").joinpath("axe.min.js")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"),
]

NASTY = (
    '<img src=x onerror="window.hacked=1"> [click](javascript:window.hacked=1) [d](data:text/html,x) '
    "**bold** https://ok.example/a?b=1 <script>window.hacked=1</script>"
)


def script(body: dict[str, Any]) -> list[dict[str, Any]]:
    text = body["message"]
    if text == "nasty":
        card = {
            "kind": "order",
            "title": NASTY,
            "rows": [[NASTY, NASTY]],
            "url": "javascript:window.hacked=1",
        }
        custom = {"kefu": {"card": card, "citations": [[NASTY, "javascript:window.hacked=1"]]}}
        return [{"text": NASTY, "image": "javascript:window.hacked=1", "custom": custom}]
    if text == "choose":
        return [
            {
                "text": "?",
                "buttons": [{"title": "退款", "payload": "/refund"}, {"title": NASTY, "payload": "/x"}],
            }
        ]
    return [{"text": f"echo: {text}"}]


class Stage:
    """A gateway, a browser, and what the pages complained about."""

    def __init__(self, browser: Browser, path: Path) -> None:
        self.browser, self.path = browser, path
        self.rasa = FakeRasa(script)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.limits: dict[str, Any] = {}
        self.site: dict[str, Any] = {}
        self.app: web.Application
        self.server: TestServer
        self.port: int | None = None
        self._backend = TestServer(self.rasa.app())
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        if self._session is None:
            await self._backend.start_server()
            self._session = aiohttp.ClientSession()
        dialogue = RasaClient(self._session, str(self._backend.make_url("")), "kefu-loopback", 5)
        self.app = make_app(self.settings(), dialogue=dialogue, patience=QUICK, extensions=())
        self.server = TestServer(self.app, port=self.port)
        await self.server.start_server()
        self.port = self.server.port

    def settings(self) -> Settings:
        settings = settings_for(self.path, **self.limits)
        settings.sites["demo"] = settings.sites["demo"].model_copy(
            update={"origins": tuple(f"http://127.0.0.1:{port}" for port in HOSTS), **self.site}
        )
        return settings

    async def restart(self) -> None:
        await self.server.close()
        await self.start()

    async def stop(self) -> None:
        await self.server.close()
        await self._backend.close()
        if self._session is not None:
            await self._session.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def page(
        self,
        path: str = "/chat?site=demo",
        *,
        url: str | None = None,
        init: str | None = None,
        **context: Any,
    ) -> AsyncIterator[Page]:
        made = await self.browser.new_context(**{"locale": "zh-CN", **context})
        if init:
            await made.add_init_script(init)
        page = await self.tab(made, path, url=url)
        yield page
        await made.close()

    async def tab(
        self, context: BrowserContext, path: str = "/chat?site=demo", *, url: str | None = None
    ) -> Page:
        page = await context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda line: self.complaints.append(line.text) if "Content Security" in line.text else None,
        )
        page.on("request", lambda request: self.requests.append(request.url))
        await page.goto((url or self.url) + path)
        return page


HOSTS = (18471, 18472)  # pages of a shop that embed the chat


@pytest.fixture(scope="module")
def chromium_arguments() -> list[str]:
    return [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ]  # fmt: skip


@pytest.fixture
async def stage(tmp_path: Path, chromium_arguments: list[str]) -> AsyncIterator[Stage]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=chromium_arguments)
        stage = Stage(browser, tmp_path)
        await stage.start()
        yield stage
        await browser.close()
        await stage.stop()


async def say(page: Page, text: str) -> None:
    await page.get_by_role("textbox").first.fill(text)
    await page.keyboard.press("Enter")


def bubbles(page: Page) -> Any:
    """What was said; the dots of somebody who is writing look like a bubble as well."""
    return page.locator(".bub:not(.dots)")


async def test_a_conversation_survives_reload_and_restart_without_loss_or_double(stage: Stage) -> None:
    async with stage.page() as page:
        await say(page, "你好")
        await expect(bubbles(page)).to_have_text(["你好", "echo: 你好"])
        await page.reload()
        await expect(bubbles(page)).to_have_text(["你好", "echo: 你好"])
        await stage.restart()
        await say(page, "还在吗")
        await expect(bubbles(page)).to_have_text(
            ["你好", "echo: 你好", "还在吗", "echo: 还在吗"], timeout=15000
        )

    assert [turn["message"] for turn in stage.rasa.turns] == ["你好", "还在吗"]
    assert stage.complaints == []
    assert {url.split("/")[2] for url in stage.requests if url.startswith("http")} == {
        f"127.0.0.1:{stage.port}"
    }


async def test_what_is_written_offline_survives_a_reload_and_is_sent_once(stage: Stage) -> None:
    async with stage.page() as page:
        await say(page, "一")
        await expect(bubbles(page)).to_have_count(2)
        await stage.server.close()
        await say(page, "二")
        await expect(page.locator(".st")).to_have_text("发送中")
        await asyncio.sleep(0.2)
        await stage.start()
        await page.reload()
        await expect(bubbles(page)).to_have_text(["一", "echo: 一", "二", "echo: 二"], timeout=15000)

    assert [turn["message"] for turn in stage.rasa.turns] == ["一", "二"]


async def test_nothing_that_is_written_becomes_markup(stage: Stage) -> None:
    async with stage.page() as page:
        await say(page, "nasty")
        await expect(page.locator(".card")).to_be_visible()
        await say(page, NASTY)
        await expect(bubbles(page)).to_have_count(4)
        links = await page.eval_on_selector_all(
            "kefu-chat", "els => [...els[0].shadowRoot.querySelectorAll('a')].map(a => a.href)"
        )
        images = await page.eval_on_selector_all(
            "kefu-chat", "els => els[0].shadowRoot.querySelectorAll('img, script').length"
        )
        hacked = await page.evaluate("window.hacked")

    assert hacked is None and images == 0
    assert links and all(link.startswith("https://ok.example/") for link in links)


async def test_buttons_vanish_after_use_and_a_double_click_is_one_turn(stage: Stage) -> None:
    async with stage.page() as page:
        await say(page, "choose")
        button = page.get_by_role("button", name="退款", exact=True)
        await button.dblclick()
        await expect(bubbles(page)).to_have_text(["choose", "?", "退款", "echo: /refund"])
        await expect(page.locator(".msg > .chips")).to_have_count(0)

    assert [turn["message"] for turn in stage.rasa.turns] == ["choose", "/refund"]


async def test_the_enter_that_picks_a_chinese_word_does_not_send(stage: Stage) -> None:
    async with stage.page() as page:
        box = page.get_by_role("textbox").first
        await box.fill("tuikuan")
        await box.dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True})
        await box.dispatch_event("keydown", {"key": "Enter", "keyCode": 229, "bubbles": True})
        await page.keyboard.press("Shift+Enter")
        assert await bubbles(page).count() == 0
        await box.press("Enter")
        await expect(bubbles(page)).to_have_count(2)


async def test_two_tabs_show_the_same(stage: Stage) -> None:
    async with stage.page() as one:
        await say(one, "hi")
        await expect(bubbles(one)).to_have_count(2)
        two = await stage.tab(one.context)
        await expect(bubbles(two)).to_have_text(["hi", "echo: hi"])
        await say(two, "again")
        for page in (one, two):
            await expect(bubbles(page)).to_have_text(["hi", "echo: hi", "again", "echo: again"])


async def test_without_local_storage_the_chat_works_in_memory(stage: Stage) -> None:
    blocked = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no') }})"
    async with stage.page(init=blocked) as page:
        await say(page, "hi")
        await expect(bubbles(page)).to_have_text(["hi", "echo: hi"])
    assert stage.complaints == []


NO_SOCKET = """window.WebSocket = class { constructor() {
    setTimeout(() => this.onclose && this.onclose({code: 1006, reason: ''}), 5) } close() {} send() {} }"""


async def test_where_no_websocket_goes_through_the_event_stream_does(stage: Stage) -> None:
    async with stage.page(init=NO_SOCKET) as page:
        await say(page, "hi")
        await expect(bubbles(page)).to_have_text(["hi", "echo: hi"], timeout=10000)
        await stage.restart()
        await say(page, "again")
        await expect(bubbles(page)).to_have_text(["hi", "echo: hi", "again", "echo: again"], timeout=20000)

    assert [turn["message"] for turn in stage.rasa.turns] == ["hi", "again"]


async def test_a_person_is_shown_by_name_and_language_can_be_switched_in_the_middle(stage: Stage) -> None:
    async with stage.page() as page:
        await say(page, "hi")
        await expect(bubbles(page)).to_have_count(2)
        gateway = stage.app[GATEWAY]
        conversation = stage.rasa.turns[0]["sender"]
        taken = await gateway.hand_over(
            conversation, await gateway.owner(conversation), "person", agent="小李"
        )
        await gateway.say_as_person(conversation, taken.token, Reply(text="我来"), agent="小李", key="1")
        await expect(page.locator(".line")).to_have_text("人工客服 小李 正在为您服务")
        await page.get_by_role("button", name="Switch to English").click()
        await expect(page.locator(".line")).to_have_text("小李 is here to help you")
        await expect(bubbles(page)).to_have_text(["hi", "echo: hi", "我来"])
        await expect(page.get_by_role("textbox").first).to_have_attribute(
            "placeholder", "Type your question…"
        )


async def test_a_picture_is_sent_and_shown(stage: Stage) -> None:
    async with stage.page() as page:
        await expect(page.get_by_role("textbox").first).to_be_visible()
        await page.locator("input[type=file]").set_input_files(
            {"name": "我的照片.jpg", "mimeType": "image/jpeg", "buffer": photo()}
        )
        await expect(bubbles(page)).to_have_count(1)  # the answer
        picture = page.locator("img.pic")
        await expect(picture).to_have_count(1)
        assert await picture.evaluate("async img => { await img.decode(); return img.naturalWidth }") == 48
        await page.locator("input[type=file]").set_input_files(
            {"name": "x.png", "mimeType": "image/png", "buffer": b"<svg onload=alert(1)>"}
        )
        await expect(page.get_by_role("button", name="只支持")).to_be_visible()

    media = stage.rasa.turns[0]["metadata"]["media"]
    assert media[0]["content_type"] == "image/jpeg" and stage.complaints == []


SLOW_HELLO = """
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (text) {
  setTimeout(() => send.call(this, text), text.includes('"hello"') ? 800 : 0);
};
"""


async def test_a_picture_chosen_before_the_connection_stands_is_not_lost(stage: Stage) -> None:
    async with stage.page(init=SLOW_HELLO) as page:
        await page.locator("input[type=file]").set_input_files(
            {"name": "early.jpg", "mimeType": "image/jpeg", "buffer": photo()}
        )
        await expect(page.locator("img.pic")).to_be_visible()
        await expect(bubbles(page)).to_have_count(1)  # the answer
        await expect(page.locator("img.pic")).to_have_count(1)
        await expect(page.locator(".st.bad")).to_have_count(0)

    assert len(stage.rasa.turns[0]["metadata"]["media"]) == 1 and stage.complaints == []


async def test_a_picture_chosen_offline_goes_out_afterwards(stage: Stage) -> None:
    async with stage.page() as page:
        await expect(page.get_by_text("智能客服 · 随时在线")).to_be_visible()
        await stage.server.close()
        await page.locator("input[type=file]").set_input_files(
            {"name": "late.jpg", "mimeType": "image/jpeg", "buffer": photo()}
        )
        await expect(page.locator("img.pic")).to_be_visible()
        await stage.start()
        await expect(bubbles(page)).to_have_count(1, timeout=15_000)  # the answer
        await expect(page.locator(".st.bad")).to_have_count(0)

    assert len(stage.rasa.turns[0]["metadata"]["media"]) == 1


async def test_a_rating_is_asked_for_once(stage: Stage) -> None:
    async with stage.page() as page:
        await say(page, "hi")
        await expect(bubbles(page)).to_have_count(2)
        gateway, conversation = stage.app[GATEWAY], stage.rasa.turns[0]["sender"]
        await gateway.write_event(conversation, "rating_request", "system", {}, audience="shopper")
        await page.get_by_role("radio", name="4 分").click()
        await page.get_by_role("button", name="提交").click()
        await expect(page.get_by_text("感谢您的评价")).to_be_visible()
        await page.reload()
        await expect(page.get_by_text("感谢您的评价")).to_be_visible()
        assert await page.get_by_role("radio").count() == 0


async def test_the_identity_in_the_address_signs_in_and_is_taken_out_of_the_address(stage: Stage) -> None:
    async with stage.page(f"/chat?site=demo&identity={identity('c7')}") as page:
        await say(page, "hi")
        await expect(bubbles(page)).to_have_count(2)
        assert "identity" not in page.url
    assert stage.rasa.turns[0]["metadata"]["customer"] == "site:c7"


async def test_reset_leaves_nothing_of_the_visitor_behind(stage: Stage) -> None:
    async with stage.page() as page:
        await say(page, "hi")
        await expect(bubbles(page)).to_have_count(2)
        await page.evaluate("Kefu.reset()")
        await expect(bubbles(page)).to_have_count(0)
        await say(page, "somebody else")
        await expect(bubbles(page)).to_have_text(["somebody else", "echo: somebody else"])
        await page.reload()
        await expect(bubbles(page)).to_have_text(["somebody else", "echo: somebody else"])

    assert 2 == len({turn["sender"] for turn in stage.rasa.turns})


async def test_a_file_that_is_no_picture_is_a_link_and_one_that_is_not_taken_is_said_so(stage: Stage) -> None:
    async with stage.page() as page:
        await expect(page.get_by_role("textbox").first).to_be_visible()
        chooser = page.locator("input[type=file]")
        pdf = {"name": "发票.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4 " + b"x" * 3000}
        await chooser.set_input_files(pdf)
        link = page.locator("a.fl")
        await expect(link).to_have_text("PDF3 KB")
        assert "/media/" in str(await link.get_attribute("href"))
        await chooser.set_input_files(
            {"name": "x.zip", "mimeType": "application/zip", "buffer": b"PK\x03\x04"}
        )
        await expect(page.get_by_role("button", name="只支持")).to_be_visible()

    assert "application/pdf" == stage.rasa.turns[0]["metadata"]["media"][0]["content_type"]
    assert stage.complaints == []


async def test_whoever_sends_too_many_files_is_told_so_in_his_language(stage: Stage) -> None:
    stage.limits = {"uploads_per_day": 1}
    await stage.restart()
    async with stage.page() as page:
        await expect(page.get_by_role("textbox").first).to_be_visible()
        picture = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo()}
        await page.locator("input[type=file]").set_input_files(picture)
        await expect(bubbles(page)).to_have_count(1)  # the answer
        await page.locator("input[type=file]").set_input_files(picture)
        await expect(page.get_by_role("button", name="已达到每天可发送的文件数上限")).to_be_visible()
        await page.get_by_role("button", name="Switch to English").click()
        await expect(page.get_by_role("button", name="No more files for today")).to_be_visible()

    assert 1 == len(stage.rasa.turns)


# who is signed in changes while something waits

QUEUE = "Object.keys(localStorage).filter(key => key.includes(':q:')).length"


def signed_in(sub: str | None, **claims: Any) -> str:
    return "/chat?site=demo" + (f"&identity={identity(sub, **claims)}" if sub else "")


@pytest.mark.parametrize(
    ("before", "init"),
    [(None, None), ("c7", None), ("c7", NO_SOCKET)],
    ids=["guest", "customer", "customer by event stream"],
)
async def test_what_waits_while_the_page_signs_in_goes_out_afterwards(
    stage: Stage, before: str | None, init: str | None
) -> None:
    async with stage.page(signed_in(before), init=init) as page:
        await say(page, "一")
        await expect(bubbles(page)).to_have_count(2)
        await stage.server.close()
        await say(page, "二")
        await page.evaluate("token => Kefu.identify(token)", identity("c7", exp=int(time.time()) + 900))
        await expect(page.locator(".st")).to_have_text("发送中")
        await stage.start()
        await expect(bubbles(page)).to_have_text(["一", "echo: 一", "二", "echo: 二"], timeout=20000)
        assert 0 == await page.evaluate(QUEUE)

    assert [turn["message"] for turn in stage.rasa.turns] == ["一", "二"]
    assert 1 == len({turn["sender"] for turn in stage.rasa.turns})
    assert stage.rasa.turns[1]["metadata"]["customer"] == "site:c7"


@pytest.mark.parametrize("refreshed", [True, False])
async def test_what_waits_while_an_identity_is_refused_goes_out_once(stage: Stage, refreshed: bool) -> None:
    async with stage.page(signed_in("c7")) as page:
        await say(page, "一")
        await expect(bubbles(page)).to_have_count(2)
        if refreshed:
            await page.evaluate(
                "token => Kefu.on('identity_expired', () => setTimeout(() => Kefu.identify(token), 400))",
                identity("c7", secret=OLD),
            )
        await stage.server.close()
        await say(page, "二")
        stage.site = {"secret": "the-secret-after-that-one-32-bytes"}  # what the page has is good no more
        await stage.start()
        want = ["一", "echo: 一", "二", "echo: 二"] if refreshed else ["二", "echo: 二"]
        await expect(bubbles(page)).to_have_text(want, timeout=20000)
        await expect(page.locator(".note")).to_be_visible(visible=not refreshed)
        assert 0 == await page.evaluate(QUEUE)

    assert [turn["message"] for turn in stage.rasa.turns] == ["一", "二"]
    customers = [turn["metadata"].get("customer") for turn in stage.rasa.turns]
    assert customers == ["site:c7", "site:c7" if refreshed else None]


@pytest.mark.parametrize("later", [True, False])
async def test_what_one_customer_could_not_send_goes_into_no_others_conversation(
    stage: Stage, later: bool
) -> None:
    async with stage.page(signed_in("c7")) as page:
        await say(page, "一")
        await expect(bubbles(page)).to_have_count(2)
        await stage.server.close()
        await say(page, "秘密")
        await expect(page.locator(".st")).to_have_text("发送中")
        if later:  # on the next page
            await page.goto("about:blank")
            await stage.start()
            await page.goto(stage.url + signed_in("c8"))
        else:
            await page.evaluate("token => Kefu.identify(token)", identity("c8"))
            await expect(bubbles(page)).to_have_count(0)
            await stage.start()
        await say(page, "二")
        await expect(bubbles(page)).to_have_text(["二", "echo: 二"], timeout=20000)
        assert 0 == await page.evaluate(QUEUE)
        await page.goto(stage.url + signed_in("c8", exp=int(time.time()) + 900))
        await expect(bubbles(page)).to_have_text(["二", "echo: 二"])

    assert [turn["message"] for turn in stage.rasa.turns] == ["一", "二"]


async def test_the_word_about_a_lost_sign_in_goes_when_it_is_true_no_more(stage: Stage) -> None:
    forged = identity("c7", secret="nobody's-secret-of-at-least-32-bytes")
    async with stage.page() as page:
        note = page.locator(".note")
        await page.evaluate("token => Kefu.identify(token)", forged)
        await expect(note).to_contain_text("登录已过期")
        await page.get_by_role("button", name="Switch to English").click()
        await expect(note).to_contain_text("Your sign-in has expired")
        await page.evaluate("token => Kefu.identify(token)", identity("c7"))
        await expect(note).to_be_hidden()
        await page.evaluate("token => Kefu.identify(token)", forged)
        await expect(note).to_be_visible()
        await page.evaluate("Kefu.reset()")
        await expect(note).to_be_hidden()
        await say(page, "hi")
        await expect(bubbles(page)).to_have_text(["hi", "echo: hi"])
        await expect(note).to_be_hidden()

    assert stage.rasa.turns[0]["metadata"].get("customer") is None


# where the reader is


async def news(stage: Stage, count: int, name: str = "news") -> None:
    gateway, conversation = stage.app[GATEWAY], stage.rasa.turns[0]["sender"]
    for n in range(count):
        await gateway.say_as_system(conversation, Reply(text=f"{name} {n}"), key=f"{name}-{n}")


FROM_END = "log => log.scrollHeight - log.scrollTop - log.clientHeight"
TO_START = "log => { log.style.scrollBehavior = 'auto'; log.scrollTop = 0; }"


async def test_earlier_messages_come_above_what_is_read_and_nothing_is_read_out_again(stage: Stage) -> None:
    async with stage.page() as page:
        await say(page, "hi")
        await expect(bubbles(page)).to_have_count(2)
        await news(stage, 120)
        await page.reload()
        await expect(bubbles(page)).to_have_count(50)
        await asyncio.sleep(1)  # at rest at the end
        log = page.locator(".log")
        assert await log.evaluate(FROM_END) < 5
        await log.evaluate(
            "log => { window.live = []; new MutationObserver(() => live.push(log.getAttribute('aria-live')))"
            ".observe(log, {attributes: true, attributeFilter: ['aria-live']}) }"
        )
        await log.evaluate(TO_START)
        read = page.get_by_text("news 70", exact=True)
        place = await read.bounding_box()
        await page.get_by_role("button", name="查看更早的消息").press("Enter")
        await expect(bubbles(page)).to_have_count(100)
        await asyncio.sleep(1)
        now = await read.bounding_box()
        focused = await page.evaluate(
            "document.querySelector('kefu-chat').shadowRoot.activeElement?.className"
        )
        live = await page.evaluate("live")
        await news(stage, 1, "later")
        await expect(bubbles(page)).to_have_count(101)
        await asyncio.sleep(0.5)
        later = await read.bounding_box()

    assert place and now and later
    assert abs(now["y"] - place["y"]) < 40 and abs(later["y"] - now["y"]) < 5
    assert "log" in (focused or "").split() and live == ["off", "polite"]


async def test_a_picture_that_comes_in_moves_only_a_reader_who_is_at_the_end(stage: Stage) -> None:
    came = asyncio.Event()

    async def slow(route: Route) -> None:
        await came.wait()
        await route.continue_()

    async with stage.page() as page:
        await say(page, "hi")
        await expect(bubbles(page)).to_have_count(2)
        await news(stage, 30)
        await page.locator("input[type=file]").set_input_files(
            {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo(size=(300, 400))}
        )
        await expect(bubbles(page)).to_have_count(33)
        await page.route("**/media/**", slow)
        log, picture = page.locator(".log"), page.locator("img.pic")
        loaded = "image => image.complete && image.naturalWidth > 0"
        await page.reload()
        await expect(bubbles(page)).to_have_count(33)
        await asyncio.sleep(1)
        assert not await picture.evaluate(loaded)
        came.set()
        await picture.evaluate("image => image.decode()")
        await asyncio.sleep(1)
        assert await picture.evaluate(loaded) and await log.evaluate(FROM_END) < 5  # he was at the end

        came.clear()
        await news(stage, 5, "later")
        await page.reload()
        await expect(bubbles(page)).to_have_count(38)
        await asyncio.sleep(1)
        await log.evaluate(TO_START)
        await asyncio.sleep(0.3)
        came.set()
        await picture.evaluate("image => image.decode()")
        await asyncio.sleep(1)
        assert await picture.evaluate(loaded) and await log.evaluate("log => log.scrollTop") < 5


# on a shop's page


@contextlib.asynccontextmanager
async def shop_page(stage: Stage, port: int, head: str = "", policy: str | None = None) -> AsyncIterator[str]:
    """Somebody else's page with the chat on it, under a strict policy and with hostile styles."""
    gateway = stage.url

    async def page(_: web.Request) -> web.Response:
        html = (
            f'<!doctype html><html lang="en"><head><title>Shop</title><link rel="stylesheet" href="/shop.css">{head}</head>'
            f'<body><p id="own">Shop</p><script src="{gateway}/embed.js" data-site="demo" async></script></body></html>'
        )
        default = (
            f"default-src 'none'; script-src {gateway}; style-src 'self'; img-src {gateway} blob:; "
            f"connect-src {gateway} {gateway.replace('http', 'ws')}"
        )
        return web.Response(
            text=html, content_type="text/html", headers={"Content-Security-Policy": policy or default}
        )

    async def css(_: web.Request) -> web.Response:
        return web.Response(
            text="*{color:red !important;display:block !important}button{font-size:40px !important}",
            content_type="text/css",
        )

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/shop.css", css)
    server = TestServer(app, port=port)
    await server.start_server()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.close()


async def test_on_a_strict_page_the_chat_works_by_keyboard_and_neither_side_disturbs_the_other(
    stage: Stage,
) -> None:
    async with shop_page(stage, HOSTS[0]) as url, stage.page("/", url=url, locale="zh-CN") as page:
        launcher = page.get_by_role("button", name="Open the chat")  # the page says lang="en"
        await launcher.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("textbox").first).to_be_focused()
        await say(page, "hello")
        await expect(bubbles(page)).to_have_text(["hello", "echo: hello"])
        colour = await bubbles(page).first.evaluate("node => getComputedStyle(node).color")
        await page.keyboard.press("Escape")
        await expect(launcher).to_be_focused()
        gateway, conversation = stage.app[GATEWAY], stage.rasa.turns[0]["sender"]
        await gateway.say_as_system(conversation, Reply(text="news"), key="n1")
        await expect(page.locator(".badge")).to_have_text("1")
        await page.locator(".launch").click()
        await expect(page.locator(".badge")).to_be_hidden()

    assert colour != "rgb(255, 0, 0)"
    assert stage.complaints == []


async def test_a_page_that_is_not_on_the_list_gets_no_answer(stage: Stage) -> None:
    async with shop_page(stage, 18479) as url, stage.page("/", url=url) as page:
        await page.locator(".launch").click()
        await say(page, "hello")
        await asyncio.sleep(1)
        await expect(page.locator(".st")).to_have_text("Sending")
    assert stage.rasa.turns == []


@pytest.mark.parametrize("language", ["zh-CN", "en-US"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_to_complain_about(stage: Stage, language: str, scheme: str) -> None:
    async with stage.page("/", locale=language, color_scheme=scheme, bypass_csp=True) as page:
        await say(page, "choose")
        await expect(bubbles(page)).to_have_count(2)
        gateway, conversation = stage.app[GATEWAY], stage.rasa.turns[0]["sender"]
        await gateway.write_event(conversation, "rating_request", "system", {}, audience="shopper")
        await expect(page.get_by_role("radio").first).to_be_visible()
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        result = await page.evaluate(
            "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})"
        )

    assert [(found["id"], [node["html"] for node in found["nodes"]]) for found in result["violations"]] == []
