"""The part of the Bot API that a group with topics needs: topics that are made, renamed, closed, deleted, and pins.

The rest is `tests.channels.fake_telegram`. `topics` holds what stands in each.
"""

from __future__ import annotations

import io
import time
from typing import Any

from aiohttp import web
from PIL import Image

from tests.channels.fake_telegram import FakeTelegram

GROUP = -1001234567890
LIN, STRANGER = 501, 666


class FakeTopics(FakeTelegram):
    def __init__(self) -> None:
        super().__init__()
        self.topics: dict[int, dict[str, Any]] = {}
        self.pinned: dict[int, int] = {}  # message -> topic
        self.forum = True
        self.rights = {"can_pin_messages", "can_manage_topics", "can_delete_messages"}  # of our bot
        self.hurry = 0  # so many calls are told to come back later
        self.photo_bytes = 10 * 1024 * 1024
        self.takes_files = True
        self.broken_photos = 0  # so many photos find a broken server
        self._numbers = 2000

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _topic(self, form: dict[str, Any]) -> tuple[dict[str, Any] | None, web.Response | None]:
        assert GROUP == int(form["chat_id"])
        topic = self.topics.get(int(form.get("message_thread_id", 0)))
        if topic is None or topic["deleted"]:
            return None, self._error(400, "Bad Request: message thread not found")
        return topic, None

    def on_createforumtopic(self, form: dict[str, Any]) -> web.Response:
        assert GROUP == int(form["chat_id"]) and 1 <= len(form["name"]) <= 128
        number = self._number()
        made = {"name": form["name"], "open": True, "deleted": False, "shown": [], "photos": 0, "files": 0}
        self.topics[number] = made
        return self._ok({"message_thread_id": number, "name": form["name"], "icon_color": 7322096})

    def on_editforumtopic(self, form: dict[str, Any]) -> web.Response:
        topic, error = self._topic(form)
        if topic is None:
            assert error is not None
            return error
        if topic["name"] == form["name"]:
            return self._error(400, "Bad Request: TOPIC_NOT_MODIFIED")
        topic["name"] = form["name"]
        return self._ok(True)

    def on_closeforumtopic(self, form: dict[str, Any]) -> web.Response:
        return self._open(form, False)

    def on_reopenforumtopic(self, form: dict[str, Any]) -> web.Response:
        return self._open(form, True)

    def _open(self, form: dict[str, Any], open_now: bool) -> web.Response:
        topic, error = self._topic(form)
        if topic is None:
            assert error is not None
            return error
        if topic["open"] is open_now:
            return self._error(400, "Bad Request: TOPIC_NOT_MODIFIED")
        topic["open"] = open_now
        return self._ok(True)

    def on_deleteforumtopic(self, form: dict[str, Any]) -> web.Response:
        if "can_delete_messages" not in self.rights:
            return self._error(400, "Bad Request: not enough rights to delete a topic")
        topic, error = self._topic(form)
        if topic is None:
            assert error is not None
            return error
        topic |= {"deleted": True, "shown": [], "name": ""}
        return self._ok(True)

    def on_getchat(self, form: dict[str, Any]) -> web.Response:
        if int(form["chat_id"]) != GROUP:
            return self._error(400, "Bad Request: chat not found")
        return self._ok(
            {"id": GROUP, "type": "supergroup", "title": "Team", "is_forum": self.forum, "accent_color_id": 1,
             "max_reaction_count": 11, "accepted_gift_types": dict.fromkeys(("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"), False)}
        )  # fmt: skip

    def on_getchatmember(self, form: dict[str, Any]) -> web.Response:
        user = {"id": 123456, "is_bot": True, "first_name": "Desk"}
        if not self.rights:
            return self._ok({"status": "member", "user": user})
        names = (
            "can_be_edited", "is_anonymous", "can_manage_chat", "can_delete_messages", "can_manage_video_chats",
            "can_restrict_members", "can_promote_members", "can_change_info", "can_invite_users", "can_post_stories",
            "can_edit_stories", "can_delete_stories", "can_pin_messages", "can_manage_topics",
        )  # fmt: skip
        return self._ok(
            {"status": "administrator", "user": user, **{name: name in self.rights for name in names}}
        )

    async def on_sendmessage(self, form: dict[str, Any]) -> web.Response:
        if self.hurry:
            self.hurry -= 1
            return self._error(429, "Too Many Requests: retry after 0", retry_after=0)
        topic, error = self._topic(form)
        if topic is None:
            assert error is not None
            return error
        assert len(form["text"].encode("utf-16-le")) // 2 <= 4096
        topic["shown"].append(form["text"])
        return self._ok(self._in_topic(form))

    def on_sendphoto(self, form: dict[str, Any]) -> web.Response:
        topic, error = self._topic(form)
        if topic is None:
            assert error is not None
            return error
        if self.broken_photos:
            self.broken_photos -= 1
            return web.Response(status=502, text="bad gateway")
        data = form["photo"].file.read()
        if len(data) > self.photo_bytes:
            return self._error(413, "Request Entity Too Large")
        width, height = Image.open(io.BytesIO(data)).size
        if width + height > 10_000 or max(width, height) > 20 * min(width, height):
            return self._error(400, "Bad Request: PHOTO_INVALID_DIMENSIONS")
        topic["photos"] += 1
        return self._ok(self._in_topic(form))

    def on_senddocument(self, form: dict[str, Any]) -> web.Response:
        topic, error = self._topic(form)
        if topic is None:
            assert error is not None
            return error
        if not self.takes_files:
            return self._error(400, "Bad Request: not enough rights to send documents to the chat")
        topic["files"] += 1
        return self._ok(self._in_topic(form))

    def on_pinchatmessage(self, form: dict[str, Any]) -> web.Response:
        self.pinned[int(form["message_id"])] = int(form["chat_id"])
        return self._ok(True)

    def _in_topic(self, form: dict[str, Any]) -> dict[str, Any]:
        return {
            "message_id": self._number(), "date": int(time.time()), "message_thread_id": int(form["message_thread_id"]),
            "is_topic_message": True, "chat": {"id": GROUP, "type": "supergroup", "is_forum": True, "title": "Team"},
        }  # fmt: skip

    # what people there do

    def say(self, topic: int, text: str, by: int = LIN, **content: Any) -> None:
        body = {"text": text} if text else {}
        self.updates.append(
            self.update(
                message={
                    "message_id": self._number(), "date": int(time.time()), "message_thread_id": topic,
                    "is_topic_message": True, "chat": {"id": GROUP, "type": "supergroup", "is_forum": True, "title": "Team"},
                    "from": {"id": by, "is_bot": False, "first_name": "Somebody"}, **body, **content,
                }
            )
        )  # fmt: skip

    def text_of(self, topic: int) -> str:
        return "\n".join(self.topics[topic]["shown"])
