"""Work on conversations: one conversation's pieces one after the other, conversations side by side."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Set
from typing import Any

from bot.database import now_ms
from channels.store import Store

logger = logging.getLogger(__name__)


class Lane:
    """One kind of work, done by `work(conversation)`, which deals with its own errors.

    Whoever has something to do for a conversation pokes it. A conversation that is poked while it is worked on is
    looked at once more afterwards, however often that was: work reads what there is to do, so nothing is counted.
    """

    def __init__(self, work: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        self._work = work
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether nothing new is begun any more."""
        return self._closed

    @property
    def busy(self) -> Set[str]:
        """The conversations being worked on."""
        return self._tasks.keys()

    def poke(self, conversation: str) -> None:
        """Look at a conversation; at once, or again when it is being worked on."""
        if self._closed:
            return
        if conversation in self._tasks:
            self._again.add(conversation)
            return
        task = asyncio.create_task(self._work(conversation))
        self._tasks[conversation] = task
        task.add_done_callback(lambda _: self._finished(conversation))

    def poke_at(self, conversation: str, at: int) -> None:
        """Poke at a time (ms)."""

        def due() -> None:
            self._timers.discard(timer)
            self.poke(conversation)

        seconds = max(0.0, (at - now_ms()) / 1000) + 0.01
        timer = asyncio.get_running_loop().call_later(seconds, due)
        self._timers.add(timer)

    def close(self) -> list[asyncio.Task[None]]:
        """Begin nothing more. Returns what is still at work, for the caller to wait for or to cancel."""
        self._closed = True
        for timer in self._timers:
            timer.cancel()
        return [*self._tasks.values()]

    def _finished(self, conversation: str) -> None:
        self._tasks.pop(conversation, None)
        if conversation in self._again:
            self._again.discard(conversation)
            self.poke(conversation)


class LeasedLane(Lane):
    """A lane among sibling gateways: who works on a conversation holds its lease meanwhile.

    Args:
        name: of the kind of work; leases are by name and conversation.
        holder: this gateway's id.
        lease: seconds after which a lease that is not renewed is anybody's.
        work: what is done; whatever it raises is logged, and left to the next poke.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[str], Coroutine[Any, Any, None]],
        *,
        store: Store,
        holder: str,
        lease: float,
    ) -> None:
        super().__init__(self._leased)
        self._name, self._under_lease = name, work
        self._store, self._holder, self._lease = store, holder, lease

    async def _leased(self, conversation: str) -> None:
        """Work on a conversation that no sibling works on."""
        try:
            if not await self._store.lease(self._name, conversation, self._holder, self._lease):
                return  # a sibling works on it; the sweep looks again
            renewing = asyncio.create_task(self._renew(conversation))
            try:
                await self._under_lease(conversation)
            finally:
                renewing.cancel()
                await self._store.release_lease(self._name, conversation, self._holder)
        except asyncio.CancelledError:
            raise
        except Exception:  # the lane's outermost door; the sweep tries again
            logger.exception("gateway.lane_failed lane=%s conversation=%s", self._name, conversation)

    async def _renew(self, conversation: str) -> None:
        while not self._store.embedded:
            await asyncio.sleep(self._lease / 3)
            with contextlib.suppress(Exception):  # a missed renewal costs nothing: turns are joined by id
                await self._store.lease(self._name, conversation, self._holder, self._lease)
