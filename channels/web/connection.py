"""One page at the other end, whichever transport, and how many of them there are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from bot.exceptions import TooMany
from channels.tokens import Visitor
from channels.wake import Wake

REPLACED = 4408  # close code
MAX_CONNECTIONS = 8  # per shopper; the oldest gives way
MAX_CONNECTIONS_SOURCE = 200

Send = Callable[[dict[str, Any]], Awaitable[None]]
Close = Callable[[int, str], Awaitable[None]]


@dataclass(eq=False)
class Connection:
    """One page at the other end, whichever transport."""

    visitor: Visitor
    conversation: str
    source: str
    send: Send
    close: Close
    sent_seq: int = 0
    offences: int = 0
    gone: bool = False
    look: asyncio.Event = field(default_factory=asyncio.Event)
    signals: list[dict[str, Any]] = field(default_factory=list)

    def on_wake(self, _conversation: str, signal: dict[str, Any]) -> None:
        if signal:
            self.signals.append(signal)
        self.look.set()


class Connections:
    """All that are open here."""

    def __init__(self, wake: Wake) -> None:
        self.wake = wake
        self._by_shopper: dict[str, list[Connection]] = {}  # by site and shopper, oldest first
        self._sources: dict[str, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_shopper.values()))

    async def close(self, code: int, reason: str) -> None:
        """Close every one."""
        open_ones = [connection for mine in self._by_shopper.values() for connection in mine]
        await asyncio.gather(
            *(connection.close(code, reason) for connection in open_ones), return_exceptions=True
        )

    @contextlib.asynccontextmanager
    async def counted(self, connection: Connection) -> AsyncIterator[None]:
        """Count the connection in and out; the shopper's oldest gives way to his newest.

        Raises:
            TooMany: from one address.
        """
        if self._sources.get(connection.source, 0) >= MAX_CONNECTIONS_SOURCE:
            raise TooMany("Too many connections from one address", retry_after=30)
        key = f"{connection.visitor.site}|{connection.visitor.shopper}"
        mine = self._by_shopper.setdefault(key, [])
        while len(mine) >= MAX_CONNECTIONS:
            oldest = mine.pop(0)
            asyncio.ensure_future(oldest.close(REPLACED, "opened elsewhere"))  # noqa: RUF006 - ends by itself
        mine.append(connection)
        self._sources[connection.source] = self._sources.get(connection.source, 0) + 1
        stop = self.wake.listen(connection.conversation, connection.on_wake)
        try:
            yield
        finally:
            stop()
            if connection in mine:
                mine.remove(connection)
            if not mine and self._by_shopper.get(key) is mine:
                del self._by_shopper[key]
            self._sources[connection.source] -= 1
            if not self._sources[connection.source]:
                del self._sources[connection.source]
