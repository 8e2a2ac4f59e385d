"""Adds the optional summary to a case after it was handed over (`handoff.summary`), and tells the desks.

The hand-over never waits for it: it is written in the background, one at a time, and a gateway that stops drops it.
"""

from __future__ import annotations

import asyncio
import logging

from bot.generator.client import Generator, GeneratorClient
from bot.handoff import cases
from bot.handoff.ownership import Ownership
from bot.handoff.packet import Packet
from bot.handoff.summary import summarise
from bot.message import Handoff
from bot.settings import Settings
from channels.channel import Conversation
from channels.gateway import Gateway

logger = logging.getLogger(__name__)


class Summaries:
    """Installed into a gateway; `stop` before the database is closed."""

    def __init__(self, gateway: Gateway, settings: Settings, *, generator: Generator | None = None) -> None:
        section = settings.generator
        self._store = gateway.store
        self._wake = gateway.wake
        self._language = settings.language
        self._foreign = bool(section.base_url)
        self._generator: Generator = generator or GeneratorClient(
            section.base_url or section.url,
            model=section.model or "default",
            api_key=section.api_key,
            timeout=section.timeout,
        )
        self._one = asyncio.Semaphore(1)  # shoppers' answers have the generator first
        self._tasks: set[asyncio.Task[None]] = set()
        gateway.on_handoff.append(self._handed_over)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if isinstance(self._generator, GeneratorClient):
            await self._generator.close()

    async def _handed_over(self, known: Conversation, handoff: Handoff, owner: Ownership) -> None:
        task = asyncio.create_task(self._add(known.id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _add(self, conversation: str) -> None:
        try:
            async with self._store.read() as connection:
                case = await cases.open_case(connection, conversation)
            if case is None or not case.packet:
                return
            async with self._one:
                text = await summarise(
                    Packet.model_validate(case.packet), self._language, self._generator, masked=self._foreign
                )
            if text is None:
                return
            async with self._store.write() as connection:
                await self._store.lock(connection, conversation)
                current = await cases.open_case(connection, conversation)
                if current is None or current.id != case.id:
                    return  # over already
                await cases.update(connection, case.id, packet={**current.packet, "summary": text})
                await self._store.add_event(
                    connection, conversation, "summary", "bot", {"text": text}, audience="desk"
                )
            self._wake.wake(conversation)
        except Exception:  # the outermost door of this task; the person has the packet
            logger.exception("desk.summary_failed conversation=%s", conversation)
