"""A small Chatwoot: the application API of one account with one API-channel inbox, and its signed webhooks.

As documented: contacts are unique by identifier, conversations have a display id, incoming messages reopen a
resolved conversation, every change calls the inbox's webhook once with a signature over "{timestamp}.{body}" and
is not repeated; API answers carry numbers for message types, webhooks words.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from typing import Any

import aiohttp
from aiohttp import web

ACCOUNT, INBOX, TOKEN, SECRET = 3, 12, "kefu-access-token", "webhook-secret-of-the-inbox"
ME = {"id": 90, "name": "Kefu", "type": "user"}
LIN = {"id": 7, "name": "Lin Yue", "type": "user"}
MIA = {"id": 8, "name": "Mia", "type": "user"}
TYPES = {"incoming": 0, "outgoing": 1, "activity": 2, "template": 3}


class FakeChatwoot:
    def __init__(self) -> None:
        self.contacts: dict[int, dict[str, Any]] = {}
        self.conversations: dict[int, dict[str, Any]] = {}
        self.messages: dict[int, list[dict[str, Any]]] = {}
        self.files: dict[str, bytes] = {}
        self.calls: list[tuple[str, str]] = []
        self.webhook = ""  # where events go
        self.sent: list[tuple[dict[str, str], bytes, int]] = []  # (headers, body, status) of webhooks
        self.losing = False  # webhooks are lost
        self.down = False
        self.away = False  # only the proxy in front of it answers
        self.administrator = True  # is the user whose token we have
        self.background = 0.05  # seconds until a deletion that was accepted is done
        self.forget_answers = 0  # so many answers to new messages never arrive
        self._next = 100
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=30 * 1024 * 1024, middlewares=[self._door])
        base = f"/api/v1/accounts/{ACCOUNT}"
        add = app.router.add_route
        add("GET", "/api/v1/profile", self._profile)
        add("GET", f"{base}/inboxes/{INBOX}", self._inbox)
        add("GET", f"{base}/contacts/search", self._search)
        add("POST", f"{base}/contacts", self._make_contact)
        add("GET", f"{base}/contacts/{{id}}", self._contact)
        add("DELETE", f"{base}/contacts/{{id}}", self._delete_contact)
        add("DELETE", f"{base}/conversations/{{id}}", self._delete_conversation)
        add("GET", f"{base}/contacts/{{id}}/conversations", self._conversations_of)
        add("POST", f"{base}/conversations", self._make_conversation)
        add("GET", f"{base}/conversations", self._list)
        add("GET", f"{base}/conversations/{{id}}", self._show)
        add("GET", f"{base}/conversations/{{id}}/messages", self._messages)
        add("POST", f"{base}/conversations/{{id}}/messages", self._make_message)
        add("POST", f"{base}/conversations/{{id}}/toggle_status", self._toggle)
        add("POST", f"{base}/conversations/{{id}}/assignments", self._assign)
        app.router.add_get("/files/{name}", self._file)
        app.router.add_get("/moved/{name}", self._moved)
        return app

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._session is not None:
            await self._session.close()

    @web.middleware
    async def _door(self, request: web.Request, handler: Any) -> Any:
        if request.path.startswith("/api/"):
            self.calls.append((request.method, request.path))
            if self.down:
                return web.Response(status=502)
            if self.away:
                return web.Response(status=404, text="404 page not found")
            if request.headers.get("api_access_token") != TOKEN:
                return web.json_response({"errors": ["Invalid Access Token"]}, status=401)
            inside = request.path.endswith(("/messages", "/toggle_status", "/assignments"))
            if inside and int(request.match_info["id"]) not in self.conversations:
                return web.json_response({"error": "Resource could not be found"}, status=404)
        return await handler(request)

    def _id(self) -> int:
        self._next += 1
        return self._next

    async def _profile(self, _: web.Request) -> web.Response:
        return web.json_response({**ME, "email": "kefu@example.com", "role": "administrator"})

    async def _inbox(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"id": INBOX, "channel_type": "Channel::Api", "name": "Kefu", "webhook_url": self.webhook}
        )

    # contacts

    async def _search(self, request: web.Request) -> web.Response:
        wanted = request.query.get("q", "")
        found = [
            one
            for one in self.contacts.values()
            if wanted in str(one["identifier"]) or wanted in str(one["name"])
        ]
        return web.json_response({"meta": {"count": len(found)}, "payload": found})

    async def _make_contact(self, request: web.Request) -> web.Response:
        body = await request.json()
        if any(one["identifier"] == body.get("identifier") for one in self.contacts.values()):
            return web.json_response({"message": "Identifier has already been taken"}, status=422)
        contact = {
            "id": self._id(), "name": body.get("name"), "identifier": body.get("identifier"),
            "custom_attributes": body.get("custom_attributes") or {},
        }  # fmt: skip
        self.contacts[contact["id"]] = contact
        inbox = {"source_id": str(uuid.uuid4()), "inbox": {"id": INBOX}}
        return web.json_response({"payload": {"contact": contact, "contact_inbox": inbox}})

    async def _conversations_of(self, request: web.Request) -> web.Response:
        contact = int(request.match_info["id"])
        found = [one for one in self.conversations.values() if one["contact_id"] == contact]
        return web.json_response({"payload": [self._view(one) for one in found]})

    async def _contact(self, request: web.Request) -> web.Response:
        contact = self.contacts.get(int(request.match_info["id"]))
        if contact is None:
            return web.json_response({"error": "Resource could not be found"}, status=404)
        return web.json_response({"payload": contact})

    async def _delete_contact(self, request: web.Request) -> web.Response:
        """With all its conversations, in the background."""
        contact = int(request.match_info["id"])
        if contact not in self.contacts:
            return web.json_response({"error": "Resource could not be found"}, status=404)
        gone = [one["id"] for one in self.conversations.values() if one["contact_id"] == contact]
        self._soon(lambda: [*map(self._forget, gone), self.contacts.pop(contact, None)])
        return web.Response()

    async def _delete_conversation(self, request: web.Request) -> web.Response:
        """Administrators only; in the background."""
        conversation = int(request.match_info["id"])
        if not self.administrator:
            return web.json_response({"error": "You are not authorized to do this action"}, status=401)
        if conversation not in self.conversations:
            return web.json_response({"error": "Resource could not be found"}, status=404)
        self._soon(lambda: self._forget(conversation))
        return web.Response()

    def _forget(self, conversation: int) -> None:
        self.conversations.pop(conversation, None)
        self.messages.pop(conversation, None)

    def _soon(self, work: Any) -> None:
        asyncio.get_running_loop().call_later(self.background, work)

    # conversations

    async def _make_conversation(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("inbox_id") != INBOX or body.get("contact_id") not in self.contacts:
            return web.json_response({"error": "Resource could not be found"}, status=404)
        made = {
            "id": self._id(), "inbox_id": INBOX, "contact_id": body["contact_id"], "status": body.get("status", "open"),
            "custom_attributes": body.get("custom_attributes") or {}, "assignee": None, "last_activity_at": int(time.time()),
        }  # fmt: skip
        self.conversations[made["id"]] = made
        self.messages[made["id"]] = []
        self._tell("conversation_created", self._view(made))
        return web.json_response(self._view(made))

    def _view(self, one: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": one["id"], "inbox_id": INBOX, "account_id": ACCOUNT, "status": one["status"], "channel": "Channel::Api",
            "custom_attributes": one["custom_attributes"], "last_activity_at": one["last_activity_at"],
            "messages": [self._message_view(message) for message in self.messages[one["id"]][-1:]],
            "meta": {"sender": self.contacts[one["contact_id"]], "assignee": one["assignee"], "hmac_verified": False},
        }  # fmt: skip

    async def _list(self, request: web.Request) -> web.Response:
        rows = sorted(self.conversations.values(), key=lambda one: -one["last_activity_at"])
        page = int(request.query.get("page", "1"))
        rows = [self._view(one) for one in rows[(page - 1) * 25 : page * 25]]
        return web.json_response({"data": {"meta": {"all_count": len(self.conversations)}, "payload": rows}})

    async def _show(self, request: web.Request) -> web.Response:
        one = self.conversations.get(int(request.match_info["id"]))
        if one is None:
            return web.json_response({"error": "Resource could not be found"}, status=404)
        return web.json_response(self._view(one))

    async def _messages(self, request: web.Request) -> web.Response:
        rows = self.messages[int(request.match_info["id"])]
        if request.query.get("after"):
            rows = [row for row in rows if row["id"] > int(request.query["after"])][:100]
        else:
            rows = rows[-20:]
        return web.json_response({"meta": {}, "payload": [self._message_view(row) for row in rows]})

    async def _make_message(self, request: web.Request) -> web.Response:
        conversation = int(request.match_info["id"])
        files: list[str] = []
        if request.content_type.startswith("multipart/"):
            form = await request.post()
            body: dict[str, Any] = {key: value for key, value in form.items() if isinstance(value, str)}
            body["private"] = body.get("private") == "true"
            for upload in form.getall("attachments[]"):
                files.append(upload.filename)
                self.files[upload.filename] = upload.file.read()
        else:
            body = await request.json()
        row = self._add(
            conversation, body.get("content") or "", kind=body.get("message_type", "outgoing"),
            private=bool(body.get("private")), source_id=body.get("source_id"), files=files,
            sender=ME if body.get("message_type") != "incoming" else None,
        )  # fmt: skip
        if self.forget_answers:
            self.forget_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(self._message_view(row))

    def _add(
        self, conversation: int, content: str, *, kind: str, private: bool = False, source_id: str | None = None,
        files: list[str] | None = None, sender: dict[str, Any] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        one = self.conversations[conversation]
        row = {
            "id": self._id(), "content": content, "kind": kind, "private": private, "source_id": source_id,
            "created_at": time.time(), "files": files or [], "conversation": conversation,
            "sender": sender or {**self.contacts[one["contact_id"]], "type": "contact"},
        }  # fmt: skip
        self.messages[conversation].append(row)
        one["last_activity_at"] = int(time.time())
        if kind == "incoming" and one["status"] in ("resolved", "snoozed"):
            self.set_status(conversation, "open")
        self._tell("message_created", self._message_payload(row))
        return row

    def _message_view(self, row: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": row["id"], "content": row["content"], "message_type": TYPES[row["kind"]], "private": row["private"],
            "source_id": row["source_id"], "created_at": int(row["created_at"]), "conversation_id": row["conversation"],
            "sender": row["sender"],
            "attachments": [{"file_type": "image", "data_url": url} for url in row["files"]],
        }  # fmt: skip

    def _message_payload(self, row: dict[str, Any]) -> dict[str, Any]:
        """As in a webhook: the type is a word, the time ISO 8601, the conversation comes along."""
        view = self._message_view(row)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(row["created_at"]))
        return {
            **view, "message_type": row["kind"], "created_at": f"{stamp}.{int(row['created_at'] % 1 * 1000):03d}Z",
            "account": {"id": ACCOUNT, "name": "Shop"}, "inbox": {"id": INBOX, "name": "Kefu"},
            "conversation": self._view(self.conversations[row["conversation"]]),
        }  # fmt: skip

    async def _toggle(self, request: web.Request) -> web.Response:
        conversation, body = int(request.match_info["id"]), await request.json()
        assert body["status"] in ("open", "resolved", "pending", "snoozed")
        self.set_status(conversation, body["status"])
        return web.json_response({"payload": {"success": True, "conversation_id": conversation}})

    async def _assign(self, request: web.Request) -> web.Response:
        user = {0: None, 7: LIN, 8: MIA, 90: ME}.get((await request.json()).get("assignee_id"))
        self.conversations[int(request.match_info["id"])]["assignee"] = user
        self._tell("conversation_updated", self._view(self.conversations[int(request.match_info["id"])]))
        return web.json_response(user or {})

    async def _file(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["name"]])

    async def _moved(self, request: web.Request) -> web.Response:
        raise web.HTTPFound(request.query.get("to", f"/files/{request.match_info['name']}"))

    # what people do there

    def write(
        self,
        conversation: int,
        text: str,
        by: dict[str, Any] = LIN,
        *,
        private: bool = False,
        files: list[str] | None = None,
    ) -> int:
        return int(
            self._add(conversation, text, kind="outgoing", private=private, sender=by, files=files)["id"]
        )

    def set_status(self, conversation: int, status: str) -> None:
        one = self.conversations[conversation]
        if one["status"] != status:
            one["status"] = status
            self._tell("conversation_status_changed", self._view(one))

    def assign(self, conversation: int, user: dict[str, Any]) -> None:
        self.conversations[conversation]["assignee"] = user
        self._tell("conversation_updated", self._view(self.conversations[conversation]))

    def delete(self, conversation: int) -> None:
        """By hand. No webhook tells of it."""
        self._forget(conversation)

    def shown(self, conversation: int, *, private: bool | None = None) -> list[str]:
        """What stands in a conversation."""
        return [row["content"] for row in self.messages[conversation] if private in (None, row["private"])]

    # webhooks

    def _tell(self, event: str, payload: dict[str, Any]) -> None:
        if not self.webhook or self.losing:
            return
        task = asyncio.ensure_future(self.push({"event": event, **payload}))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def push(
        self,
        payload: dict[str, Any],
        *,
        secret: str = SECRET,
        at: float | None = None,
        delivery: str | None = None,
    ) -> int:
        """Call the webhook; its status."""
        raw = json.dumps(payload).encode()
        stamp = str(int(time.time() if at is None else at))
        sign = hmac.new(secret.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
        headers = {
            "X-Chatwoot-Signature": f"sha256={sign}", "X-Chatwoot-Timestamp": stamp,
            "X-Chatwoot-Delivery": delivery or str(uuid.uuid4()), "Content-Type": "application/json",
        }  # fmt: skip
        return await self.post(raw, headers)

    async def post(self, raw: bytes, headers: dict[str, str]) -> int:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        try:
            async with self._session.post(self.webhook, data=raw, headers=headers) as response:
                self.sent.append((headers, raw, response.status))
                return response.status
        except aiohttp.ClientError:
            return 0
