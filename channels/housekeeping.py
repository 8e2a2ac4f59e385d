"""Once a day the gateway removes what is older than its retention time (`bot.privacy.retention`).

Several gateways may do it at the same time: removing twice removes nothing more. This module knows no platform.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from aiohttp import web

from bot.privacy.retention import purge
from bot.settings import Settings
from channels.gateway import Gateway
from channels.limits import forget_full
from channels.media import MediaStore

logger = logging.getLogger(__name__)

FIRST = 300.0  # seconds after the start, when the first rush is over
EVERY = 24 * 3600.0


def install(app: web.Application, gateway: Gateway, settings: Settings, media: MediaStore) -> None:
    """Purge daily while the gateway runs."""

    async def daily() -> None:
        wait = FIRST
        while True:
            await asyncio.sleep(wait)
            wait = EVERY
            try:
                gone = await purge(gateway.store.engine, settings)
                async with gateway.store.write() as connection:
                    gone["limits"] = await forget_full(connection)
            except Exception:  # the outermost door of this task; tomorrow is another day
                logger.exception("housekeeping.purge_failed")
            else:
                logger.info("housekeeping.purged %s", " ".join(f"{name}={n}" for name, n in gone.items()))

    async def running(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(daily())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    app.cleanup_ctx.append(running)
