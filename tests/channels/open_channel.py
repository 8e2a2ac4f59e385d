"""One channel in a running gateway, between a fake platform and a fake Rasa: what the tests of the doors open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.database import create_tables, make_engine
from bot.settings import MediaSettings
from channels.gateway import Gateway
from channels.media import MediaStore, make_media_store
from channels.patience import Patience
from channels.rasa_client import RasaClient
from channels.store import Store
from tests.channels.fake_rasa import FakeRasa


@dataclass
class OpenChannel:
    gateway: Gateway
    channel: Any
    media: MediaStore
    rasa: FakeRasa
    session: aiohttp.ClientSession
    url: str  # where the platform pushes to

    async def until(self, condition: Any) -> None:
        for _ in range(2000):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it did not happen")


@asynccontextmanager
async def open_channel(
    tmp_path: Path,
    path: str,
    make: Callable[[Gateway, MediaStore, str], Any],
    *,
    platform: web.Application,
    rasa: FakeRasa,
    patience: Patience,
) -> AsyncIterator[OpenChannel]:
    """`make` is given the gateway, where files are kept and the platform's address; `path` is the channel's own."""
    async with AsyncExitStack() as stack:

        async def serve(app: web.Application) -> TestServer:
            server = TestServer(app)
            await server.start_server()
            stack.push_async_callback(server.close)
            return server

        behind, outside = await serve(rasa.app()), await serve(platform)
        engine = make_engine(f"sqlite+aiosqlite:///{tmp_path}/kefu.db")
        await create_tables(engine)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        client = RasaClient(session, str(behind.make_url("")), "kefu-loopback", 5)
        gateway = Gateway(Store(engine), client, patience=patience)
        media = make_media_store(MediaSettings(), tmp_path)
        channel = make(gateway, media, str(outside.make_url("")))
        gateway.add(channel)
        app = web.Application()
        channel.routes(app)
        door = await serve(app)
        stack.push_async_callback(engine.dispose)
        stack.push_async_callback(gateway.stop)  # first of all
        await gateway.start()
        yield OpenChannel(gateway, channel, media, rasa, session, str(door.make_url(path)))
