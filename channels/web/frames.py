"""What a page says, frame by frame (docs/web-chat.md), and what it is answered."""

from __future__ import annotations

import json
import time
from typing import Any

from bot.database import now_ms
from bot.exceptions import TokenRejected, TooMany
from bot.message import Attachment, Inbound
from channels.gateway import Gateway
from channels.store import Event
from channels.tables import events
from channels.tokens import Tokens
from channels.web.access import CHANNEL
from channels.web.connection import Connection
from channels.web.replies import error

HISTORY = 50  # lines a fresh page starts with


class Frames:
    """Acts on frames.

    Args:
        link_life: seconds for which a link to a file is good.
    """

    def __init__(self, gateway: Gateway, tokens: Tokens, link_life: int) -> None:
        self.gateway = gateway
        self.tokens = tokens
        self.link_life = link_life

    async def act(self, connection: Connection, raw: str) -> list[dict[str, Any]]:
        """Act on one frame from a page and return what to answer. Unknown kinds are ignored."""
        expires = connection.visitor.expires
        if expires is not None and expires < time.time():
            return [error("identity_expired", "Sign in again")]
        try:
            frame = json.loads(raw)
        except (ValueError, RecursionError):
            connection.offences += 1
            return [error("bad_frame", "A frame is a JSON object")]
        if not isinstance(frame, dict):
            connection.offences += 1
            return [error("bad_frame", "A frame is a JSON object")]
        handler = {
            "message": self._on_message,
            "press": self._on_press,
            "seen": self._on_seen,
            "history": self._on_history,
            "rating": self._on_rating,
            "ping": self._on_ping,
        }.get(str(frame.get("type")))
        if handler is None:
            return []
        try:
            return await handler(connection, frame)
        except TooMany as exc:
            connection.offences += 1
            return [
                {**error("rate", "Too many messages"), "retry_after": exc.retry_after,
                 "client_id": frame.get("client_id")}
            ]  # fmt: skip
        except BadFrame as exc:
            connection.offences += 1
            return [{**error("bad_frame", str(exc)), "client_id": frame.get("client_id")}]

    def event(self, line: Event) -> dict[str, Any]:
        """A line of the conversation as the page gets it; files get a link that expires."""
        body = dict(line.body)
        if body.get("media"):
            body["media"] = [
                {
                    **item,
                    "url": f"/media/{item['media_id']}?{self.tokens.sign_link(item['media_id'], self.link_life)}",
                }
                for item in body["media"]
            ]
        return {
            **body, "type": "event", "seq": line.seq, "kind": line.kind, "author": line.author, "at": line.at,
        }  # fmt: skip

    async def _on_ping(self, connection: Connection, frame: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"type": "pong"}]

    async def _on_seen(self, connection: Connection, frame: dict[str, Any]) -> list[dict[str, Any]]:
        seq = frame.get("seq")
        if isinstance(seq, int) and 0 < seq < 2**31:
            await self.gateway.store.mark_read(connection.conversation, seq)
        return []

    async def _on_history(self, connection: Connection, frame: dict[str, Any]) -> list[dict[str, Any]]:
        before = frame.get("before")
        if not isinstance(before, int) or not 0 < before < 2**31:
            raise BadFrame("before must be a sequence number")
        lines = await self.gateway.store.events_before(connection.conversation, before, HISTORY)
        return [
            {
                "type": "history",
                "before": before,
                "events": [self.event(line) for line in lines],
                "more": len(lines) == HISTORY,
            }
        ]

    async def _on_message(self, connection: Connection, frame: dict[str, Any]) -> list[dict[str, Any]]:
        text = frame.get("text", "")
        if not isinstance(text, str):
            raise BadFrame("text must be a string")
        attachments = await self._attachments(connection, frame.get("media") or [])
        if not text.strip() and not attachments:
            raise BadFrame("A message has text or a file")
        return await self._accept(connection, frame, text=text, attachments=attachments)

    async def _on_press(self, connection: Connection, frame: dict[str, Any]) -> list[dict[str, Any]]:
        """A button: only the token comes back, the payload was never sent out."""
        pressed = await self.gateway.press(connection.conversation, str(frame.get("token", "")))
        if pressed is None:
            return [{**error("button", "No such button"), "client_id": frame.get("client_id")}]
        title, payload = pressed
        return await self._accept(connection, frame, text=title, payload=payload)

    async def _accept(
        self,
        connection: Connection,
        frame: dict[str, Any],
        *,
        text: str,
        payload: str | None = None,
        attachments: tuple[Attachment, ...] = (),
    ) -> list[dict[str, Any]]:
        client_id = frame.get("client_id")
        if not isinstance(client_id, str) or not 8 <= len(client_id) <= 64 or not _plain(client_id):
            raise BadFrame("client_id must be 8 to 64 letters, digits, - or _")
        visitor = connection.visitor
        received = await self.gateway.receive(
            Inbound(
                channel=CHANNEL,
                account=visitor.site,
                shopper=visitor.shopper,
                # Bound to the conversation: nobody can block another's id by guessing it.
                dedup_key=f"{connection.conversation}:{client_id}",
                text=text,
                payload=payload,
                attachments=attachments,
                locale=str(frame["locale"])[:16] if frame.get("locale") else None,
                source=connection.source,
                customer=visitor.customer,
                at=now_ms(),
            ),
            refuse=True,
        )
        return [
            {
                "type": "ack",
                "client_id": client_id,
                "seq": received.seq,
                "id": received.message_id,
                "duplicate": received.duplicate,
            }
        ]

    async def _attachments(self, connection: Connection, media: Any) -> tuple[Attachment, ...]:
        """Files uploaded before, by the signed slip the upload was answered with."""
        if not isinstance(media, list) or len(media) > 5:
            raise BadFrame("media must be a list of at most 5 slips")
        try:
            return tuple(
                Attachment.model_validate(self.tokens.open_slip(str(slip), connection.conversation))
                for slip in media
            )
        except (TokenRejected, ValueError) as exc:
            raise BadFrame("A file does not belong to this conversation") from exc

    async def _on_rating(self, connection: Connection, frame: dict[str, Any]) -> list[dict[str, Any]]:
        """The answer to a `rating_request` line; once per request."""
        of, score, comment = frame.get("of"), frame.get("score"), frame.get("comment", "")
        if not isinstance(of, int) or not isinstance(score, int) or not 1 <= score <= 5:
            raise BadFrame("of must be a sequence number and score 1 to 5")
        if not isinstance(comment, str) or len(comment) > 1000:
            raise BadFrame("comment must be a string of at most 1000 characters")
        store = self.gateway.store
        body = {"of": of, "score": score, "comment": comment}
        async with store.write() as connection_:
            await store.lock(connection_, connection.conversation)
            mine = (
                await connection_.execute(
                    events.select().where(
                        events.c.conversation == connection.conversation,
                        events.c.kind.in_(("rating", "rating_request")),
                        events.c.seq >= of,
                    )
                )
            ).all()
            asked = any(row.seq == of and row.kind == "rating_request" for row in mine)
            answered = any(row.kind == "rating" and row.body.get("of") == of for row in mine)
            if asked and not answered:
                await store.add_event(connection_, connection.conversation, "rating", "shopper", body)
        if not asked:
            raise BadFrame("Nobody asked for this rating")
        self.gateway.wake.wake(connection.conversation)
        if not answered:
            for hook in self.gateway.on_rating:
                await hook(connection.conversation, body)
        return [{"type": "ack", "client_id": frame.get("client_id"), "duplicate": answered}]


class BadFrame(ValueError):
    """A frame that does not fit; the message goes back to the client's author."""


def _plain(text: str) -> bool:
    return text.isascii() and all(c.isalnum() or c in "-_" for c in text)
