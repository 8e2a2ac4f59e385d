"""A gateway that is killed at any moment loses nothing, repeats nothing and keeps the order.

Counted by the fake Rasa (turns) and by the pages (what a shopper was shown), not by the gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.settings import PROJECT_ROOT

SHOPPERS = 5
MESSAGES = 8
KILLS = 5


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Shopper:
    """A page as docs/web-chat.md asks for one: sends again what was not acknowledged, shows a line once."""

    def __init__(self, name: str, origin: str) -> None:
        self.name, self.origin = name, origin
        self.token: str | None = None
        self.conversation: str | None = None
        self.seq = 0
        self.unacked = {f"{name}-message-{n}": f"{name} {n}" for n in range(MESSAGES)}
        self.shown: list[str] = []
        self.mine: list[str] = []

    @property
    def content(self) -> bool:
        return len(self.shown) >= MESSAGES and not self.unacked

    async def live(self, until: float) -> None:
        while not self.content and time.monotonic() < until:
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, asyncio.TimeoutError):
                await self.visit()
            await asyncio.sleep(0.1)

    async def visit(self) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                f"{self.origin}/web/socket?site=demo",
                headers={"Origin": self.origin},
                timeout=aiohttp.ClientWSTimeout(ws_close=1),
            ) as line,
        ):
            hello = {"type": "hello", "token": self.token, "conversation": self.conversation}
            await line.send_json({**hello, "last_seq": self.seq if self.conversation else None})
            while not self.content:
                message = await line.receive(timeout=10)
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return
                frame: dict[str, Any] = json.loads(message.data)
                if frame["type"] == "welcome":
                    self.token, self.conversation = frame["token"], frame["conversation"]
                    for client_id, text in list(self.unacked.items()):
                        await line.send_json({"type": "message", "client_id": client_id, "text": text})
                        await asyncio.sleep(random.uniform(0, 0.15))
                elif frame["type"] == "ack":
                    self.unacked.pop(frame["client_id"], None)
                elif frame["type"] == "event" and frame["seq"] > self.seq:
                    self.seq = frame["seq"]
                    if frame["author"] == "bot":
                        self.shown.append(frame["text"])
                    elif frame["author"] == "shopper":
                        self.mine.append(frame["text"])


async def spawn(*arguments: str, log: Path, **environment: str) -> asyncio.subprocess.Process:
    with log.open("ab") as out:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=PROJECT_ROOT,
            stdout=out,
            stderr=out,
            env={**os.environ, **environment},
        )


async def answers(url: str) -> bool:
    async with aiohttp.ClientSession() as session:
        with contextlib.suppress(aiohttp.ClientError, ConnectionError, asyncio.TimeoutError):
            async with session.get(url, timeout=aiohttp.ClientTimeout(total=1)) as response:
                return response.status < 500
    return False


async def wait_for(url: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not await answers(url):
        assert time.monotonic() < until, f"{url} does not answer"
        await asyncio.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(280)
async def test_a_gateway_killed_at_random_points_answers_everything_once_and_in_order(tmp_path: Path) -> None:
    rasa_port, port = free_port(), free_port()
    turns, log = tmp_path / "turns", tmp_path / "log"
    origin = f"http://127.0.0.1:{port}"
    rasa = await spawn("-m", "tests.channels.fake_rasa", str(rasa_port), str(turns), log=log)
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    gateway: asyncio.subprocess.Process | None = None

    async def start() -> asyncio.subprocess.Process:
        return await spawn(
            "-m", "bot.cli", "gateway", log=log,
            KEFU_SETTINGS=os.devnull, KEFU_DATA_DIR=str(tmp_path),
            KEFU_GATEWAY__PORT=str(port), KEFU_DIALOGUE__PORT=str(rasa_port),
            KEFU_GATEWAY__MESSAGES_BURST="100", KEFU_GATEWAY__MESSAGES_PER_SECOND="100",
            KEFU_GATEWAY__MESSAGES_PER_10_MINUTES="10000",
        )  # fmt: skip

    try:
        await wait_for(f"http://127.0.0.1:{rasa_port}/")
        gateway = await start()
        await wait_for(f"{origin}/health")
        shoppers = [Shopper(f"shopper{n}", origin) for n in range(SHOPPERS)]
        until = time.monotonic() + 200
        living = [asyncio.create_task(shopper.live(until)) for shopper in shoppers]
        for _ in range(KILLS):
            await asyncio.sleep(dice.uniform(0.05, 0.9))
            gateway.send_signal(signal.SIGKILL)
            await gateway.wait()
            gateway = await start()
            await wait_for(f"{origin}/health")
        await asyncio.gather(*living)
        ran = [json.loads(line) for line in turns.read_text().splitlines()]
    finally:
        for program in (gateway, rasa):
            if program is not None and program.returncode is None:
                program.kill()
                await program.wait()

    for shopper in shoppers:
        # A page may send its messages again in another order than it first did; the gateway's order is
        # the order in which it stored them, and everything after that must follow it.
        assert sorted(shopper.mine) == sorted(f"{shopper.name} {n}" for n in range(MESSAGES))
        assert shopper.shown == [f"echo: {text}" for text in shopper.mine]
        assert [text for sender, _, text in ran if sender == shopper.conversation] == shopper.mine
    assert len({message_id for _, message_id, _ in ran}) == len(ran) == SHOPPERS * MESSAGES
