"""The real programs on free ports, a shopper at the web channel, and the shop's books to check.

Nothing is faked here: the programs are started by `kefu up`, the shopper speaks the web channel's
protocol, and what a test asserts is read from the demo shop's database.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bot.settings import PROJECT_ROOT
from bot.web_client import WebClient, WebReply

START_TIMEOUT = 240  # seconds; two cores that do other things too

Language = str


def settings_for(data_dir: Path) -> dict[str, str]:
    """Environment of the programs: free ports, own data, the shop's faults, no limits for a busy test."""
    return {
        "KEFU_DATA_DIR": str(data_dir),
        "KEFU_SETTINGS": os.devnull,
        "KEFU_CLOCK_FILE": str(data_dir / "clock"),
        "KEFU_SHOP__PORT": "0",
        "KEFU_SHOP__FAULTS": "true",
        "KEFU_GATEWAY__PORT": "0",
        "KEFU_DIALOGUE__PORT": "0",
        "KEFU_ACTIONS__PORT": "0",
        "KEFU_GENERATOR__ENABLED": "false",
        "KEFU_ORDER_API__TIMEOUT": "1.0",
        "KEFU_ORDER_API__ATTEMPTS": "2",
        "KEFU_IDENTITY__ATTEMPTS_PER_SOURCE": "100000",
        "KEFU_GATEWAY__MESSAGES_PER_SECOND": "1000",
        "KEFU_GATEWAY__MESSAGES_BURST": "1000",
        "KEFU_GATEWAY__MESSAGES_PER_10_MINUTES": "100000",
        "KEFU_GATEWAY__SOURCE_PER_10_MINUTES": "1000000",
    }


class Assistant:
    """All programs of `kefu up`."""

    def __init__(self, process: subprocess.Popen[bytes], data_dir: Path) -> None:
        self._process = process
        self.data_dir = data_dir

    @classmethod
    def start(cls, data_dir: Path, **variables: str) -> Assistant:
        """Start with these variables besides, and wait until every awaited program is up.

        Raises:
            RuntimeError: with the last lines of the logs.
        """
        out = (data_dir / "up.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "bot.cli", "up", "--quiet"],
            cwd=PROJECT_ROOT,
            env={**os.environ, **settings_for(data_dir), **variables},
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        started = cls(process, data_dir)
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            if "Chat here:" in (data_dir / "up.log").read_text():
                return started
            time.sleep(0.2)
        told = started.logs()
        started.stop()
        raise RuntimeError(f"the programs did not start:\n{told}")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def logs(self) -> str:
        """The last lines of everything, for a failed test."""
        files = [self.data_dir / "up.log", *sorted((self.data_dir / "log").glob("*.log"))]
        parts = []
        for file in files:
            if file.is_file():
                lines = file.read_text("utf-8", errors="replace").splitlines()[-25:]
                parts.append(f"--- {file.name}\n" + "\n".join(lines))
        return "\n".join(parts)

    def programs(self) -> dict[str, Any]:
        state = json.loads((self.data_dir / "run" / "programs.json").read_text())
        return dict(state["programs"])

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.programs()[name]['port']}"

    def kill(self, name: str) -> int:
        """Kill a program without a word, as a power cut would; returns how often it had been restarted."""
        before = self.programs()[name]
        os.kill(before["pid"], signal.SIGKILL)
        return int(before["restarts"])

    async def wait_restarted(self, name: str, restarts: int) -> None:
        async with asyncio.timeout(120):
            while True:
                now = self.programs()[name]
                if now["restarts"] > restarts and now["state"] == "up":
                    return
                await asyncio.sleep(0.1)

    def forget_proofs(self) -> None:
        """The shop was made anew and knows none of its grants; neither should Kefu, nor any wrong try."""
        with contextlib.closing(sqlite3.connect(self.data_dir / "kefu.db", timeout=10)) as database, database:
            for table in ("identity_grants", "identity_attempts", "identity_locks"):
                if database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
                    database.execute(f"DELETE FROM {table}")

    def move_clock(self, seconds: float) -> None:
        """Let time pass for Kefu's own programs."""
        new = self.data_dir / "clock.new"
        new.write_text(str(seconds))
        new.replace(self.data_dir / "clock")


@dataclass
class Changes:
    """What is different in the shop since the test began."""

    orders: dict[str, dict[str, Any]]
    receipts: list[dict[str, Any]]
    writes: list[dict[str, Any]]
    stock: dict[str, int]
    faults: dict[str, int] = field(default_factory=dict)


class Shop:
    """The demo shop: what a test arranges in it, and its books."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session
        self._before: dict[str, Any] = {}

    async def reset(self) -> None:
        await self._call("POST", "/_reset")
        self._before = await self.state()

    async def state(self) -> dict[str, Any]:
        return dict(await self._call("GET", "/_state"))

    async def order(self, number: str) -> dict[str, Any]:
        return dict((await self.state())["orders"][number])

    async def fault(self, operation: str, kind: str, **more: Any) -> None:
        await self._call("POST", "/_faults", {"operation": operation, "kind": kind, **more})

    async def change(self, number: str, **fields: Any) -> None:
        """Somebody at the shop changes an order; its version rises. It becomes the new starting point."""
        await self._call("POST", f"/_orders/{number}", fields)
        self._before = await self.state()

    async def stock(self, variant: str, quantity: int) -> None:
        await self._call("POST", f"/_stock/{variant}", {"quantity": quantity})
        self._before = await self.state()

    async def clock(self, seconds: float) -> None:
        await self._call("POST", "/_clock", {"offset": seconds})

    async def changes(self) -> Changes:
        now = await self.state()
        before = self._before
        return Changes(
            orders={
                number: order
                for number, order in now["orders"].items()
                if order != before["orders"].get(number)
            },
            receipts=[one for one in now["receipts"] if one not in before["receipts"]],
            writes=[one for one in now["writes"] if one not in before["writes"]],
            stock={
                variant: count - before["stock"].get(variant, 0)
                for variant, count in now["stock"].items()
                if count != before["stock"].get(variant)
            },
            faults=now.get("faults", {}),
        )

    async def assert_untouched(self) -> None:
        """Nothing was written: no order, no receipt, no stock."""
        changes = await self.changes()

        assert {} == changes.orders
        assert [] == changes.receipts
        assert [] == changes.writes
        assert {} == changes.stock

    async def assert_one(self, operation: str, order: str, *, amount: int | None = None) -> dict[str, Any]:
        """Exactly one write of this operation on this order, one receipt for it, and nothing else.

        Returns the receipt.
        """
        changes = await self.changes()

        assert [(operation, order)] == [(one["operation"], one["order_number"]) for one in changes.writes]
        assert [(operation, order)] == [(one["operation"], one["order"]) for one in changes.receipts]
        assert [order] == list(changes.orders)
        if amount is not None:
            assert amount == (changes.receipts[0]["amount"] or {}).get("amount")
        return changes.receipts[0]

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        async with self._session.request(method, self._url + path, json=body) as response:
            assert response.status < 300, f"{method} {path}: {response.status} {await response.text()}"
            return await response.json() if response.status != 204 else None


class Said:
    """The replies of one turn."""

    def __init__(self, replies: list[WebReply]) -> None:
        self.replies = replies

    @property
    def text(self) -> str:
        """Everything a shopper reads, cards too."""
        parts = []
        for reply in self.replies:
            parts.append(reply.text)
            if reply.card:
                parts.append(str(reply.card.get("title", "")))
                parts += [f"{name}: {value}" for name, value in reply.card.get("rows") or ()]
        return "\n".join(parts)

    @property
    def buttons(self) -> list[str]:
        return [button.title for reply in self.replies for button in reply.buttons]

    @property
    def receipts(self) -> list[str]:
        return [receipt for reply in self.replies for receipt in reply.receipts]

    @property
    def cards(self) -> list[str]:
        return [str(reply.card["kind"]) for reply in self.replies if reply.card]

    @property
    def owner(self) -> str:
        return self.replies[-1].owner if self.replies else "?"

    def __repr__(self) -> str:
        return f"<{self.text!r} {self.buttons} owner={self.owner}>"


class Shopper:
    """Somebody who writes on the shop's page. `transcript` is shown when a test fails."""

    def __init__(self, client: WebClient, language: Language) -> None:
        self.client = client
        self.language = language
        self.transcript: list[str] = []

    async def say(self, *lines: str) -> Said:
        """Say the lines one after the other, each after the replies to the one before; the last replies."""
        said = Said([])
        for line in lines:
            self.transcript.append(f"> {line[:200]}")
            said = Said(await self.client.say(line))
            self.transcript.append(f"{said!r}")
        return said

    async def show(self, picture: bytes, text: str = "") -> Said:
        """Send a picture."""
        self.transcript.append(f"> [picture] {text}")
        said = Said(await self.client.replies(await self.client.send_file(picture, text)))
        self.transcript.append(f"{said!r}")
        return said

    async def press(self, title: str) -> Said:
        self.transcript.append(f"> [{title}]")
        said = Said(await self.client.press(title))
        self.transcript.append(f"{said!r}")
        return said

    async def say_at_once(self, *lines: str, wait: float = 3.0) -> Said:
        """Send the lines without waiting for replies, then collect what comes until it is quiet."""
        self.transcript += [f"> {line[:200]}  (at once)" for line in lines]
        sent = [await self.client.send(line) for line in lines]
        replies = await self.client.replies(sent[0])
        # Each line is a turn of its own: wait until nothing more comes.
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < wait:
            more = await self.client.waiting(0.2)
            if more:
                replies += more
                quiet_since = time.monotonic()
        said = Said(replies)
        self.transcript.append(f"{said!r}")
        return said
