"""A small Bot API server: updates by polling or webhook, messages with Telegram's limits and errors.

python-telegram-bot's own client talks to it. `shown` is what a chat has read, in order.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from typing import Any

import aiohttp
from aiohttp import web

TOKEN = "123456:AAfaketokenfaketokenfake"
SECRET = "webhook_secret_0123456789"


class FakeTelegram:
    def __init__(self) -> None:
        self.updates: list[dict[str, Any]] = []
        self.next_id = 1000
        self.shown: dict[str, list[str]] = defaultdict(list)
        self.sent: list[dict[str, Any]] = []
        self.calls: dict[str, int] = defaultdict(int)
        self.answered: list[str] = []
        self.actions: list[float] = []
        self.errors: list[dict[str, Any]] = []  # answers for the next sendMessage calls
        self.files: dict[str, bytes] = {}
        self.webhook: dict[str, Any] | None = None
        self.down = False
        self.hang = 0.0
        self.confirmed = 0
        self.refuse_html = False
        self.conflict = False
        self.last_error = ""  # what getWebhookInfo tells of the last delivery

    def app(self) -> web.Application:
        app = web.Application(client_max_size=30 * 1024 * 1024)
        app.router.add_route("*", "/bot{token}/{method}", self.call)
        app.router.add_get("/file/bot{token}/{path:.+}", self.file)
        return app

    async def call(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        self.calls[method] += 1
        if self.down:
            return web.Response(status=502, text="bad gateway")
        if request.match_info["token"] != TOKEN:
            return self._error(401, "Unauthorized")
        form = dict((await request.post()).items())
        answer = getattr(self, "on_" + method.lower(), None)
        if answer is None:
            return self._error(404, f"Not Found: {method}")
        found = answer(form)
        return await found if asyncio.iscoroutine(found) else found

    def _error(self, code: int, text: str, **parameters: Any) -> web.Response:
        body = {"ok": False, "error_code": code, "description": text}
        return web.json_response({**body, **({"parameters": parameters} if parameters else {})}, status=code)

    def _ok(self, result: Any) -> web.Response:
        return web.json_response({"ok": True, "result": result})

    def on_getme(self, form: dict[str, Any]) -> web.Response:
        return self._ok({"id": 123456, "is_bot": True, "first_name": "Kefu", "username": "kefu_bot"})

    def on_deletewebhook(self, form: dict[str, Any]) -> web.Response:
        self.webhook = None
        return self._ok(True)

    def on_setwebhook(self, form: dict[str, Any]) -> web.Response:
        self.webhook = form
        return self._ok(True)

    def on_getwebhookinfo(self, form: dict[str, Any]) -> web.Response:
        url = (self.webhook or {}).get("url", "")
        waiting = len(self.updates)
        found = {"url": url, "has_custom_certificate": False, "pending_update_count": waiting}
        if self.last_error:
            found |= {"last_error_date": int(time.time()), "last_error_message": self.last_error}
        return self._ok(found)

    async def on_getupdates(self, form: dict[str, Any]) -> web.Response:
        if self.conflict:
            return self._error(409, "Conflict: terminated by other getUpdates request")
        offset = int(form.get("offset", 0))
        self.confirmed = max(self.confirmed, offset)
        until = time.monotonic() + min(0.3, float(form.get("timeout", 0)))
        while True:
            found = [update for update in self.updates if update["update_id"] >= offset]
            if found or time.monotonic() > until:
                return self._ok(found)
            await asyncio.sleep(0.02)

    async def on_sendmessage(self, form: dict[str, Any]) -> web.Response:
        if self.errors:
            error = self.errors.pop(0)
            if error.get("hang"):
                self.shown[str(form["chat_id"])].append(form["text"])
                await asyncio.sleep(error["hang"])
            else:
                return self._error(error["code"], error["text"], **error.get("parameters", {}))
        if len(form["text"].encode("utf-16-le")) // 2 > 4096:
            return self._error(400, "Bad Request: message is too long")
        if form.get("parse_mode") and self.refuse_html:
            return self._error(400, "Bad Request: can't parse entities: unsupported start tag")
        for row in json.loads(form.get("reply_markup", "{}")).get("inline_keyboard", ()):
            assert all(1 <= len(button["callback_data"].encode()) <= 64 for button in row)
        self.sent.append({**form, "at": time.monotonic()})
        self.shown[str(form["chat_id"])].append(form["text"])
        return self._ok(self._message(form))

    def on_sendphoto(self, form: dict[str, Any]) -> web.Response:
        self.shown[str(form["chat_id"])].append("<photo>")
        return self._ok(self._message(form))

    def on_sendvoice(self, form: dict[str, Any]) -> web.Response:
        return self._file("voice", form, (".ogg", ".mp3", ".m4a"))

    def on_senddocument(self, form: dict[str, Any]) -> web.Response:
        return self._file("document", form, ("",))

    def _file(self, kind: str, form: dict[str, Any], endings: tuple[str, ...]) -> web.Response:
        if self.errors:
            error = self.errors.pop(0)
            return self._error(error["code"], error["text"])
        name = next(value for value in form.values() if hasattr(value, "filename")).filename
        assert name.endswith(endings), f"Telegram plays no {name}"
        self.shown[str(form["chat_id"])].append(f"<{kind} {name}>")
        return self._ok(self._message(form))

    def _message(self, form: dict[str, Any]) -> dict[str, Any]:
        chat = int(form["chat_id"])
        return {"message_id": len(self.sent) + 1, "date": 1, "chat": {"id": chat, "type": "private"}}

    def on_sendchataction(self, form: dict[str, Any]) -> web.Response:
        self.actions.append(time.monotonic())
        return self._ok(True)

    def on_answercallbackquery(self, form: dict[str, Any]) -> web.Response:
        self.answered.append(form["callback_query_id"])
        return self._error(400, "Bad Request: query is too old and response timeout expired")

    def on_getfile(self, form: dict[str, Any]) -> web.Response:
        file_id = form["file_id"]
        if file_id not in self.files:
            return self._error(400, "Bad Request: invalid file_id")
        size = len(self.files[file_id])
        return self._ok(
            {"file_id": file_id, "file_unique_id": file_id, "file_size": size, "file_path": file_id}
        )

    async def file(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["path"]])

    # what shoppers do

    def update(self, **content: Any) -> dict[str, Any]:
        self.next_id += 1
        return {"update_id": self.next_id, **content}

    def message(self, chat: int = 7, **content: Any) -> dict[str, Any]:
        return self.update(message=self.body(chat, **content))

    def body(self, chat: int = 7, **content: Any) -> dict[str, Any]:
        kind = content.pop("kind", "private")
        return {
            "message_id": self.next_id, "date": int(time.time()), "chat": {"id": chat, "type": kind},
            "from": {"id": chat, "is_bot": False, "first_name": "Anna", "language_code": "zh-hans"}, **content,
        }  # fmt: skip

    def write(self, text: str, chat: int = 7) -> None:
        self.updates.append(self.message(chat, text=text))

    async def push(
        self, session: aiohttp.ClientSession, url: str, update: Any, *, secret: str | None = SECRET
    ) -> int:
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret} if secret is not None else {}
        data = update if isinstance(update, bytes) else json.dumps(update).encode()
        async with session.post(url, data=data, headers=headers) as response:
            return response.status
