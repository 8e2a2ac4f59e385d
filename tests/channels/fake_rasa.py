"""A small Rasa: speaks the channel contract, runs a message id once, counts turns.

It answers with what `script` says, or echoes. Run as a program it keeps its turns in a file, so that a
test can kill the gateway and read afterwards what really happened.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

Script = Callable[[dict[str, Any]], list[dict[str, Any]]]


def echo(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"text": f"echo: {body['message']}"}]


class FakeRasa:
    """`turns` holds the bodies of the turns that ran, in order; a repeated id runs no second one."""

    def __init__(
        self, script: Script = echo, *, token: str = "kefu-loopback", log: Path | None = None
    ) -> None:
        self.script = script
        self.token = token
        self.turns: list[dict[str, Any]] = []
        self.calls = 0
        self.status = 200
        self.delay: Callable[[dict[str, Any]], float] = lambda body: 0.0
        self.running = 0
        self.most_running = 0
        self._tasks: dict[str, asyncio.Task[list[dict[str, Any]]]] = {}
        self._log = log

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/webhooks/kefu/webhook", self.webhook)
        return app

    async def webhook(self, request: web.Request) -> web.Response:
        self.calls += 1
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"error": "unauthorised"}, status=401)
        if self.status != 200:
            return web.json_response({"error": "broken"}, status=self.status)
        body = await request.json()
        task = self._tasks.get(body["message_id"])
        if task is None:
            task = asyncio.ensure_future(self._turn(body))
            self._tasks[body["message_id"]] = task
        try:
            replies = await asyncio.shield(task)
        except ZeroDivisionError:
            return web.json_response({"error": "turn_failed"}, status=500)
        return web.json_response({"message_id": body["message_id"], "replies": replies})

    async def _turn(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            self.turns.append(body)
            if self._log is not None:
                with self._log.open("a") as file:
                    file.write(json.dumps([body["sender"], body["message_id"], body["message"]]) + "\n")
            await asyncio.sleep(self.delay(body))
            return self.script(body)
        finally:
            self.running -= 1


if __name__ == "__main__":
    port, log = int(sys.argv[1]), Path(sys.argv[2])
    fake = FakeRasa(log=log)
    fake.delay = lambda body: (len(fake.turns) % 5) * 0.02
    web.run_app(fake.app(), host="127.0.0.1", port=port, print=None)
