"""Tells whoever waits that a conversation has something new.

A wake carries no data: the waiting side reads the event log, so a lost wake costs time, never a
message. Inside one process it is a call; between sibling gateways Redis carries it; without Redis
siblings notice by looking once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

Listener = Callable[[str, dict[str, Any]], None]  # (conversation, signal), signal {} means "look"

_CHANNEL = "kefu:wake"


class Wake:
    """Listeners by conversation, and "*" for all."""

    def __init__(self, redis_url: str | None = None, *, gateway: str = "") -> None:
        self._listeners: dict[str, set[Listener]] = {}
        self._redis_url = redis_url
        self._gateway = gateway
        self._redis: Any = None
        self._task: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()

    def listen(self, conversation: str, listener: Listener) -> Callable[[], None]:
        """Call `listener` on every wake of this conversation ("*": of any). Returns how to stop."""
        self._listeners.setdefault(conversation, set()).add(listener)

        def stop() -> None:
            listeners = self._listeners.get(conversation)
            if listeners is not None:
                listeners.discard(listener)
                if not listeners:
                    del self._listeners[conversation]

        return stop

    @property
    def watched(self) -> list[str]:
        """Conversations somebody here listens to."""
        return [conversation for conversation in self._listeners if conversation != "*"]

    def wake(self, conversation: str, **signal: Any) -> None:
        """Tell listeners here and at sibling gateways."""
        self.wake_here(conversation, signal)
        if self._redis is not None:
            task = asyncio.ensure_future(self._publish(conversation, signal))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    def wake_here(self, conversation: str, signal: dict[str, Any]) -> None:
        for listener in [*self._listeners.get(conversation, ()), *self._listeners.get("*", ())]:
            listener(conversation, signal)

    async def start(self) -> None:
        if self._redis_url is None:
            return
        from redis import asyncio as redis

        self._redis = redis.from_url(self._redis_url, socket_connect_timeout=3)
        self._task = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._redis is not None:
            await self._redis.close()
            self._redis = None

    async def _publish(self, conversation: str, signal: dict[str, Any]) -> None:
        from redis.exceptions import RedisError

        try:
            await self._redis.publish(_CHANNEL, json.dumps([self._gateway, conversation, signal]))
        except (RedisError, OSError) as exc:
            logger.warning("wake.publish_failed reason=%s", exc)  # siblings look once a second anyway

    async def _listen(self) -> None:
        from redis.exceptions import RedisError

        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(_CHANNEL)
                    async for message in pubsub.listen():
                        if message.get("type") != "message":
                            continue
                        gateway, conversation, signal = json.loads(message["data"])
                        if gateway != self._gateway:
                            self.wake_here(conversation, signal)
            except (RedisError, OSError, ValueError) as exc:
                logger.warning("wake.redis_lost reason=%s", exc)
                await asyncio.sleep(2)
