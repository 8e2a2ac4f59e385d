"""The desk while it is open: who is there, the queue's changes, and a nudge when the conversation in view goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web

from bot.database import now_ms
from bot.exceptions import DeskError
from channels.desk.board import Board
from channels.desk.door import Door
from channels.desk.forms import answer
from channels.wake import Wake


class Live:
    """The pages' WebSockets."""

    def __init__(self, door: Door, board: Board, wake: Wake) -> None:
        self.door = door
        self.board = board
        self.wake = wake
        self._present: dict[str, int] = {}  # open desks by person
        self._sockets: set[web.WebSocketResponse] = set()

    def routes(self, app: web.Application) -> None:
        app.router.add_route("GET", "/desk/socket", self._socket)
        app.on_shutdown.append(self._close)

    def on_duty(self, agent: str) -> bool:
        """Whether this person has a desk open here."""
        return self._present.get(agent, 0) > 0

    async def _close(self, _: web.Application) -> None:
        """Send the pages away; they come back by themselves."""
        await asyncio.gather(
            *(socket.close(code=1001, message=b"restart") for socket in list(self._sockets)),
            return_exceptions=True,
        )

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        """The queue's changes, and "look" whenever the conversation in view has something new."""
        try:
            self.door.same_site(request)
        except DeskError:
            return answer({"error": "origin"}, 403)
        person = await self.door.who(request)
        if person is None:
            return answer({"error": "signed_out"}, 401)
        socket = web.WebSocketResponse(heartbeat=25.0, max_msg_size=4096)
        await socket.prepare(request)
        self._sockets.add(socket)
        one_at_a_time = asyncio.Lock()

        async def send(frame: dict[str, Any]) -> None:
            if not socket.closed:
                async with one_at_a_time:
                    await socket.send_str(json.dumps(frame, ensure_ascii=False, separators=(",", ":")))

        stop_board = self.board.listen(send)
        stop_view: Callable[[], None] = lambda: None  # noqa: E731 - replaced when a conversation comes into view
        self._present[person.name] = self._present.get(person.name, 0) + 1
        await self._people()
        looks: set[asyncio.Task[None]] = set()
        try:
            await send({"type": "hello", "now": now_ms()})
            await self.board.refresh()
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    continue
                if await self.door.who(request) is None:
                    await socket.close(code=4401, message=b"signed out")
                    break
                try:
                    frame = json.loads(message.data)
                    view = frame.get("view")
                except (ValueError, AttributeError, RecursionError):
                    continue
                stop_view()
                stop_view = lambda: None  # noqa: E731
                if isinstance(view, str):

                    def look(conversation: str, signal: dict[str, Any]) -> None:
                        task = asyncio.ensure_future(_quietly(send({"type": "look", "id": conversation})))
                        looks.add(task)
                        task.add_done_callback(looks.discard)

                    stop_view = self.wake.listen(view, look)
        finally:
            stop_view()
            stop_board()
            self._sockets.discard(socket)
            self._present[person.name] -= 1
            if not self._present[person.name]:
                del self._present[person.name]
            await self._people()
        return socket

    async def _people(self) -> None:
        """Tell every desk who is there."""
        frame = json.dumps({"type": "people", "present": sorted(self._present)}, ensure_ascii=False)
        for socket in list(self._sockets):
            with contextlib.suppress(ConnectionError, RuntimeError):
                await socket.send_str(frame)


async def _quietly(sending: Awaitable[None]) -> None:
    with contextlib.suppress(ConnectionError):
        await sending
