"""Soak: shoppers at every door, a gateway killed at random, deliveries doubled, delayed and reordered.

    python -m tests.soak.soak --seconds 600 --shoppers 200

The fakes of the platforms count, not Kefu: every message must be answered, in order, and once. In order means: a
message that the platform had delivered before another one left is answered before it. Two that were under way at
the same moment may be answered either way, as the platform itself does not say which is first.
Where a platform has no name for a message (WeChat's customer-service API, Telegram) a kill between its yes and
our note of it can repeat one answer; those are counted and told apart. Everything is on loopback and stops by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import signal
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.channels.fake_rasa import FakeRasa
from tests.channels.fake_telegram import SECRET, FakeTelegram
from tests.channels.fake_telegram import TOKEN as BOT_TOKEN
from tests.channels.test_kill import free_port, spawn, wait_for
from tests.channels.wechat.fake_wechat import (
    APPID,
    KEY,
    TOKEN,
    FakeWechat,
    letter,
    seal,
    sealed_query,
    wrap,
)
from tests.channels.wechat.fake_wechat import SECRET as APP_SECRET
from tests.channels.wecom.fake_wecom import CORP, KFID, FakeWecom

ECHO = re.compile(r"echo: (\S+:\d+)")
PATIENCE = 300.0  # seconds after the end for the last answers, before they count as lost
DEADLINES = {"wechat": 5.0, "telegram": 60.0}  # seconds a platform waits for an answer
DOORS = ("web", "wechat", "wecom", "telegram")


@dataclass
class World:
    """The platforms, the gateway's address, and what every shopper was shown."""

    directory: Path
    port: int
    dice: random.Random
    pause: float = 1.0
    rasa: FakeRasa = field(default_factory=FakeRasa)
    wechat: FakeWechat = field(default_factory=FakeWechat)
    wecom: FakeWecom = field(default_factory=FakeWecom)
    telegram: FakeTelegram = field(default_factory=FakeTelegram)
    web: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    ports: dict[str, int] = field(default_factory=dict)
    until: float = 0.0
    disturbed: Counter[str] = field(default_factory=Counter)  # what was done to deliveries, how often
    # What was read of a shopper's answers so far: asked for ten times a second, by all of them.
    _read: dict[tuple[str, str], tuple[int, list[str]]] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        base = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        return {
            "KEFU_SETTINGS": os.devnull,
            "KEFU_DATA_DIR": str(self.directory),
            "KEFU_GATEWAY__PORT": str(self.port),
            "KEFU_GATEWAY__PUBLIC_URL": "https://shop.example",
            "KEFU_GATEWAY__MESSAGES_BURST": "1000",
            "KEFU_GATEWAY__MESSAGES_PER_SECOND": "1000",
            "KEFU_GATEWAY__MESSAGES_PER_10_MINUTES": "1000000",
            "KEFU_GATEWAY__SOURCE_PER_10_MINUTES": "1000000",
            "KEFU_DIALOGUE__PORT": str(self.ports["rasa"]),
            "KEFU_WECHAT": json.dumps(
                {
                    "shop": {
                        "appid": APPID,
                        "secret": APP_SECRET,
                        "token": TOKEN,
                        "aes_key": KEY,
                        "base_url": base["wechat"],
                    }
                }
            ),
            "KEFU_WECOM": json.dumps(
                {
                    "corp": {
                        "corpid": CORP,
                        "secret": "s",
                        "token": TOKEN,
                        "aes_key": KEY,
                        "base_url": base["wecom"],
                    }
                }
            ),
            "KEFU_TELEGRAM": json.dumps(
                {
                    "shop": {
                        "token": BOT_TOKEN,
                        "mode": "webhook",
                        "webhook_secret": SECRET,
                        "base_url": base["telegram"],
                    }
                }
            ),
            "KEFU_SITES": json.dumps({"demo": {"secret": "x" * 32, "origins": [self.origin]}}),
        }

    def shown(self, door: str, name: str) -> list[str]:
        """Names of the messages a shopper has seen answers to, in order, repeats included."""
        texts = (self.web if door == "web" else getattr(self, door).shown)[name]
        read, found = self._read.get((door, name), (0, []))
        found += [named for text in texts[read:] for named in ECHO.findall(text)]
        self._read[door, name] = len(texts), found
        return found


class Shopper:
    """Writes, waits for the answer (or not), writes again. `wrote` is what the platform accepted."""

    def __init__(self, world: World, door: str, number: int) -> None:
        self.world, self.door = world, door
        self.chat = 10_000 + number
        self.name = str(self.chat) if door == "telegram" else f"{door}{number}"
        self.wrote: list[str] = []
        self.left: dict[str, float] = {}  # when the platform first tried to deliver a message
        self.taken: dict[str, float] = {}  # when it knew that it was delivered
        self._late: set[asyncio.Task[None]] = set()

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def live(self, session: aiohttp.ClientSession) -> None:
        if self.door == "web":
            await self._at_the_page(session)
            return
        dice, n = self.world.dice, 0
        while time.monotonic() < self.world.until:
            text = f"{self.name}:{n}"
            n += 1
            await getattr(self, "_" + self.door)(session, text)
            self.wrote.append(text)
            if dice.random() < 0.8:  # most people wait for an answer; some write two lines at once
                await self._answered(text, 20)
            await asyncio.sleep(dice.uniform(0.5, 6.0) * self.world.pause)
        await asyncio.gather(*self._late)

    async def _answered(self, text: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while text not in self.world.shown(self.door, self.name) and time.monotonic() < until:
            await asyncio.sleep(0.1)

    async def _deliver(self, text: str, tries: Any, *, delay: float = 0.0) -> None:
        """With the platform's retries; now and then once more, at once or long after later messages."""
        await asyncio.sleep(delay)
        self.left[text] = time.monotonic()
        await self._until_taken(tries)
        self.taken[text] = time.monotonic()
        if self.world.dice.random() < 0.15:  # the platform did not see our answer
            self.world.disturbed["repeated"] += 1
            late = self.world.dice.choice((0.0, self.world.dice.uniform(1.0, 8.0)))
            self.later(self._again(tries, late))

    async def _again(self, tries: Any, delay: float) -> None:
        await asyncio.sleep(delay)
        await self._until_taken(tries)

    async def _until_taken(self, tries: Any) -> None:
        """A platform's retries. Real ones give up after three; here the message must get through."""
        wait = 0.3
        while True:
            with contextlib.suppress(
                aiohttp.ClientError, ConnectionError, TimeoutError, asyncio.TimeoutError
            ):
                if await asyncio.wait_for(tries(), DEADLINES[self.door]) == 200:
                    return
            await asyncio.sleep(wait)
            wait = min(5.0, wait * 2)

    async def _wechat(self, session: aiohttp.ClientSession, text: str) -> None:
        xml = letter(self.name, Content=text, msg_id=str(self.world.dice.getrandbits(60)))

        async def once() -> int:
            return (await self.world.wechat.push(session, xml))[0]

        if self.world.dice.random() < 0.1:  # under way while the shopper writes the next one
            self.world.disturbed["delayed"] += 1
            self.later(self._deliver(text, once, delay=self.world.dice.uniform(0.5, 4.0)))
        else:
            await self._deliver(text, once)

    async def _wecom(self, session: aiohttp.ClientSession, text: str) -> None:
        self.world.wecom.write(text, self.name)
        self.left[text] = self.taken[text] = time.monotonic()  # it is in the platform's list
        xml = f"<xml><MsgType>event</MsgType><Event>kf_msg_or_event</Event><Token>t</Token><OpenKfId>{KFID}</OpenKfId></xml>"

        async def ring() -> int:
            encrypted = seal(xml, appid=CORP)
            url = f"{self.world.origin}/wecom/corp"
            async with session.post(url, params=sealed_query(encrypted), data=wrap(encrypted)) as response:
                return response.status

        async def sometime(delay: float) -> None:
            await asyncio.sleep(delay)
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, asyncio.TimeoutError):
                await ring()

        rings = self.world.dice.choice((0, 1, 1, 1, 2))  # rings get lost, come late and come twice
        self.world.disturbed[("lost", "rung", "repeated")[rings]] += 1
        for _ in range(rings):
            self.later(sometime(self.world.dice.choice((0.0, 0.0, self.world.dice.uniform(0.2, 4.0)))))

    async def _telegram(self, session: aiohttp.ClientSession, text: str) -> None:
        update = self.world.telegram.message(self.chat, text=text)
        url = f"{self.world.origin}/telegram/shop"

        async def once() -> int:
            return await self.world.telegram.push(session, url, update)

        await self._deliver(text, once)

    async def _at_the_page(self, session: aiohttp.ClientSession) -> None:
        """A page as docs/web-chat.md asks for one, reconnecting until everything is acknowledged and answered."""
        dice, n, seq = self.world.dice, 0, 0
        token: str | None = None
        conversation: str | None = None
        unacked: dict[str, str] = {}
        url = f"{self.world.origin}/web/socket?site=demo"
        wait = 0.5
        while True:
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, asyncio.TimeoutError, TypeError):
                async with session.ws_connect(url, headers={"Origin": self.world.origin}) as line:
                    hello = {"type": "hello", "token": token, "conversation": conversation}
                    await line.send_json({**hello, "last_seq": seq if conversation else None})
                    due = time.monotonic() + dice.uniform(0.2, 3.0)
                    while True:
                        over = time.monotonic() >= self.world.until
                        waiting = set(self.wrote) - set(self.world.shown("web", self.name))
                        if (
                            over
                            and not unacked
                            and (not waiting or time.monotonic() > self.world.until + PATIENCE)
                        ):
                            return
                        if conversation and not over and time.monotonic() >= due:
                            text, client_id = f"{self.name}:{n}", f"{self.name}-message-{n}"
                            n += 1
                            due = time.monotonic() + dice.uniform(1.0, 8.0) * self.world.pause
                            unacked[client_id] = text
                            self.wrote.append(text)
                            self.left[text] = time.monotonic()
                            times = dice.choice((1, 1, 1, 2))
                            self.world.disturbed["repeated"] += times - 1
                            for _ in range(times):
                                await line.send_json(
                                    {"type": "message", "client_id": client_id, "text": text}
                                )
                        try:
                            frame = json.loads((await line.receive(timeout=0.3)).data)
                        except TimeoutError:
                            continue
                        if frame["type"] == "welcome":
                            wait = 0.5
                            token, conversation = frame["token"], frame["conversation"]
                            for client_id, text in list(unacked.items()):
                                await line.send_json(
                                    {"type": "message", "client_id": client_id, "text": text}
                                )
                        elif frame["type"] == "ack":
                            if (done := unacked.pop(frame["client_id"], None)) is not None:
                                self.taken[done] = time.monotonic()
                            if n > 3 and dice.random() < 0.05:  # an old page sends what it once queued
                                self.world.disturbed["repeated"] += 1
                                old = dice.randrange(n - 3)
                                await line.send_json(
                                    {
                                        "type": "message",
                                        "client_id": f"{self.name}-message-{old}",
                                        "text": "old",
                                    }
                                )
                        elif frame["type"] == "event" and frame["seq"] > seq:
                            seq = frame["seq"]
                            if frame.get("author") == "bot":
                                self.world.web[self.name].append(frame["text"])
            if time.monotonic() > self.world.until + PATIENCE:
                return
            await asyncio.sleep(dice.uniform(0.5, 1.0) * wait)  # as the page does: longer each time
            wait = min(15.0, wait * 2)


def out_of_order(shopper: Shopper, first: list[str]) -> int:
    """Answers that came before that of a message which was safely delivered before theirs had left."""
    return sum(
        any(shopper.taken.get(late, 1e18) < shopper.left[text] for late in first[n + 1 :])
        for n, text in enumerate(first)
    )


def judge(world: World, shoppers: list[Shopper]) -> dict[str, Any]:
    """What the platforms say became of every message."""
    report: dict[str, Any] = {}
    turns: dict[str, int] = defaultdict(int)
    for turn in world.rasa.turns:
        turns[turn["message"]] += 1
    for door in DOORS:
        wrote = lost = repeated = disordered = 0
        for shopper in (one for one in shoppers if one.door == door):
            shown = world.shown(door, shopper.name)
            first = list(dict.fromkeys(shown))
            wrote += len(shopper.wrote)
            lost += len(set(shopper.wrote) - set(first))
            repeated += len(shown) - len(first)
            disordered += out_of_order(shopper, [text for text in first if text in shopper.left])
        report[door] = {
            "messages": wrote,
            "unanswered": lost,
            "repeated": repeated,
            "out_of_order": disordered,
        }
    report["turns_run_twice"] = sum(count - 1 for count in turns.values())
    return report


async def soak(
    seconds: float, count: int, *, kill_every: float = 20.0, seed: int | None = None, pause: float = 1.0
) -> dict[str, Any]:
    """Run it and return the figures of `judge`, with kills, what was done to deliveries, and the seed.

    `pause` stretches the time between two messages of a shopper, for small machines.
    """
    seed = random.randrange(10**6) if seed is None else seed
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), free_port(), random.Random(seed), pause=pause)
        world.rasa.delay = lambda body: world.dice.choice(
            (0.01, 0.05, 0.1, 0.5, 2.0 if world.dice.random() < 0.1 else 0.2)
        )
        runners = []
        for name in ("rasa", "wechat", "wecom", "telegram"):
            runner = web.AppRunner(getattr(world, name).app(), access_log=None)
            await runner.setup()
            world.ports[name] = free_port()
            await web.TCPSite(runner, "127.0.0.1", world.ports[name]).start()
            runners.append(runner)
        world.wechat.base_url = f"{world.origin}/wechat/shop"
        log, kills = world.directory / "gateway.log", 0

        async def start() -> asyncio.subprocess.Process:
            process = await spawn("-m", "bot.cli", "gateway", log=log, **world.environment())
            await wait_for(f"{world.origin}/health", 240)
            return process

        gateway = await start()
        try:
            world.until = time.monotonic() + seconds
            shoppers = [Shopper(world, DOORS[n % len(DOORS)], n) for n in range(count)]
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector) as session:
                living = [asyncio.create_task(shopper.live(session)) for shopper in shoppers]
                while time.monotonic() < world.until - 5:
                    wait = world.dice.uniform(0.3, 1.7) * kill_every
                    await asyncio.sleep(min(wait, max(0.0, world.until - time.monotonic())))
                    gateway.send_signal(signal.SIGKILL)
                    await gateway.wait()
                    kills += 1
                    await asyncio.sleep(world.dice.uniform(0, 1))
                    gateway = await start()
                await asyncio.gather(*living)
                patience = time.monotonic() + PATIENCE
                while time.monotonic() < patience:
                    report = judge(world, shoppers)
                    if not any(report[door]["unanswered"] for door in DOORS):
                        break
                    await asyncio.sleep(0.5)
        finally:
            if gateway.returncode is None:
                gateway.terminate()
                await gateway.wait()
            for runner in runners:
                await runner.cleanup()
        disturbed = dict(sorted(world.disturbed.items()))
        return {
            "seconds": seconds, "shoppers": count, "kills": kills, "seed": seed, "pause": pause,
            "deliveries": disturbed, **judge(world, shoppers),
        }  # fmt: skip


def main() -> None:
    """Print the figures as JSON; exit 1 when anything was lost or out of order, or a turn ran twice."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--shoppers", type=int, default=200)
    options.add_argument("--kill-every", type=float, default=20.0)
    options.add_argument("--seed", type=int)
    options.add_argument("--pause", type=float, default=1.0)
    given = options.parse_args()
    report = asyncio.run(
        soak(given.seconds, given.shoppers, kill_every=given.kill_every, seed=given.seed, pause=given.pause)
    )
    print(json.dumps(report, indent=2))
    bad = report["turns_run_twice"] + sum(
        report[door]["unanswered"] + report[door]["out_of_order"] for door in DOORS
    )
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
