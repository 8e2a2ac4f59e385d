"""The Rasa side of the gateway: a custom channel named ``kefu``.

One `POST /webhooks/kefu/webhook` is one turn, named by its `message_id`. The same id runs one turn
only: a duplicate joins the running one, and once Rasa has saved the turn (it saves a turn whole or
not at all) the replies are read back from the tracker, so that a gateway that was killed while it
waited can simply ask again.
This module knows Rasa and the contract in docs/architecture.md; it knows no platform and no shopper.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from rasa.core.channels.channel import InputChannel, OutputChannel, UserMessage
from rasa.shared.core.events import ActionExecuted, BotUttered, Event, UserUttered
from rasa.shared.exceptions import RasaException
from sanic import Blueprint
from sanic.request import Request
from sanic.response import HTTPResponse, json

from bot import tracing
from bot.message import with_opening
from bot.settings import get_settings

logger = logging.getLogger(__name__)

Replies = list[dict[str, Any]]
Answer = dict[str, Any]  # {"replies": Replies, "explain": why Rasa did what it did}

_REMEMBERED = 2000  # turns whose replies stay in memory; older ones are read from the tracker


def reply_of(message: dict[str, Any]) -> dict[str, Any]:
    """One reply of the contract from what Rasa calls a bot message. Empty fields are left out."""
    reply: dict[str, Any] = {}
    if message.get("text"):
        reply["text"] = message["text"]
    buttons = message.get("buttons") or message.get("quick_replies") or []
    if buttons:
        reply["buttons"] = [
            {"title": str(button.get("title", "")), "payload": str(button.get("payload", ""))}
            for button in buttons
        ]
    if message.get("image"):
        reply["image"] = message["image"]
    if message.get("custom"):
        reply["custom"] = message["custom"]
        opening = str((message["custom"].get("kefu") or {}).get("opening") or "")
        if opening and reply.get("text"):
            kefu = {name: value for name, value in message["custom"]["kefu"].items() if name != "opening"}
            reply |= {
                "text": with_opening(opening, reply["text"]),
                "custom": {**message["custom"], "kefu": kefu},
            }
    return reply


def replies_of(events: Iterable[Event], message_id: str) -> Replies | None:
    """What the bot said in the turn of this message, or None when the tracker has no such turn."""
    replies: Replies | None = None
    for event in events:
        if isinstance(event, UserUttered):
            if replies is not None:
                break
            if (event.metadata or {}).get("message_id") == message_id:
                replies = []
        elif isinstance(event, BotUttered) and replies is not None:
            reply = reply_of(event.message())
            if reply:
                replies.append(reply)
    return replies


def explain_turn(events: Iterable[Event], message_id: str, model: str | None) -> dict[str, Any]:
    """What Rasa understood in this turn and which policy chose which action; empty when it has no such turn.

    Of entities only the kinds: their values are the shopper's, and the audit trail is read by many.
    """
    why: dict[str, Any] = {}
    for event in events:
        if isinstance(event, UserUttered):
            if why:
                break
            if (event.metadata or {}).get("message_id") != message_id:
                continue
            parsed = event.parse_data or {}
            intent = event.intent or {}
            why = {
                "intent": intent.get("name"),
                "score": round(float(intent.get("confidence") or 0.0), 4),
                "ranking": [
                    [one.get("name"), round(float(one.get("confidence") or 0.0), 4)]
                    for one in (parsed.get("intent_ranking") or [])[:3]
                ],
                "entities": sorted({str(one.get("entity")) for one in event.entities or []}),
                "actions": [],
            }
        elif why and isinstance(event, ActionExecuted) and event.action_name:
            chosen = {"action": event.action_name, "by": event.policy}
            if event.confidence is not None:
                chosen["confidence"] = round(float(event.confidence), 4)
            why["actions"].append(chosen)
    if why and model:
        why["versions"] = {"dialogue": model}
    return why


def harmless(text: str) -> str:
    """A shopper's own text, which Rasa must not take for a payload: a leading ``/`` becomes ``／``."""
    stripped = text.strip()
    return "／" + stripped[1:] if stripped.startswith("/") else text


class Collector(OutputChannel):
    """Keeps each bot message whole, where Rasa's own collector cuts text, image and custom apart."""

    def __init__(self) -> None:
        self.replies: Replies = []

    @classmethod
    def name(cls) -> str:
        return "kefu"

    async def send_response(self, recipient_id: str, message: dict[str, Any]) -> None:
        reply = reply_of(message)
        if reply:
            self.replies.append(reply)

    async def send_text_message(self, recipient_id: str, text: str, **kwargs: Any) -> None:
        await self.send_response(recipient_id, {"text": text})


class GatewayInput(InputChannel):
    """`credentials.yml`: ``bot.components.gateway_channel.GatewayInput: {token: "${KEFU_DIALOGUE_TOKEN}"}``."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._running: dict[str, asyncio.Task[Answer]] = {}
        self._done: OrderedDict[str, Answer] = OrderedDict()

    @classmethod
    def name(cls) -> str:
        return "kefu"

    @classmethod
    def from_credentials(cls, credentials: dict[str, Any] | None) -> GatewayInput:
        """Raises:
        RasaException: there is no token; an open channel would let anyone speak for anyone.
        """
        token = (credentials or {}).get("token")
        if not token or str(token).startswith("${"):
            raise RasaException("The channel kefu needs a token: set KEFU_DIALOGUE_TOKEN (credentials.yml)")
        tracing.start("kefu-dialogue", get_settings().telemetry.otlp_endpoint)
        return cls(str(token))

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        """`GET /` says ok, `POST /webhook` runs a turn."""
        blueprint = Blueprint("kefu_channel", __name__)

        @blueprint.route("/", methods=["GET"])
        async def health(request: Request) -> HTTPResponse:
            return json({"status": "ok"})

        @blueprint.route("/webhook", methods=["POST"])
        async def webhook(request: Request) -> HTTPResponse:
            if not self._authorised(request.headers.get("Authorization")):
                return json({"error": "unauthorised"}, status=401)
            body = request.json
            problem = _problem(body)
            if problem:
                return json({"error": "bad_request", "detail": problem}, status=400)
            agent = request.app.ctx.agent
            if agent is None or not agent.is_ready():
                return json({"error": "not_ready"}, status=503)
            message_id: str = body["message_id"]
            try:
                # Shielded: a gateway that hangs up must not stop a turn half way.
                answer = await asyncio.shield(self._turn(body, on_new_message, agent))
            except asyncio.CancelledError:
                raise
            except Exception:  # the outermost door: log, and let the gateway decide about a retry
                logger.exception("kefu.turn_failed message_id=%s", message_id)
                return json({"error": "turn_failed"}, status=500)
            return json({"message_id": message_id, **answer})

        return blueprint

    def _authorised(self, header: str | None) -> bool:
        scheme, _, given = (header or "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), self._token)

    def _turn(
        self, body: dict[str, Any], on_new_message: Callable[[UserMessage], Awaitable[Any]], agent: Any
    ) -> asyncio.Task[Answer]:
        message_id = body["message_id"]
        task = self._running.get(message_id)
        if task is None:
            task = asyncio.ensure_future(self._run(body, on_new_message, agent))
            self._running[message_id] = task
            task.add_done_callback(lambda done: self._forget(message_id, done))
        return task

    def _forget(self, message_id: str, task: asyncio.Task[Answer]) -> None:
        self._running.pop(message_id, None)
        if task.cancelled() or task.exception() is not None:
            return
        self._done[message_id] = task.result()
        while len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)

    async def _run(
        self, body: dict[str, Any], on_new_message: Callable[[UserMessage], Awaitable[Any]], agent: Any
    ) -> Answer:
        message_id, sender = body["message_id"], body["sender"]
        if message_id in self._done:
            return self._done[message_id]
        if body.get("retry", True):  # the gateway says retry=false on its first try, which saves a read
            tracker = await agent.tracker_store.retrieve_full_tracker(sender)
            known = replies_of(tracker.events, message_id) if tracker else None
            if known is not None:
                return {"replies": known, **_explained(tracker, message_id, agent)}
        text = body.get("message") or ""
        collector = Collector()
        metadata = body.get("metadata") or {}
        with tracing.span("rasa.turn", metadata.get("traceparent"), conversation=sender, message=message_id):
            if (parent := tracing.traceparent()) is not None:
                metadata = {**metadata, "traceparent": parent}
            await on_new_message(
                UserMessage(
                    text if body.get("payload") else harmless(text),
                    collector,
                    sender,
                    input_channel=self.name(),
                    message_id=message_id,
                    metadata={**metadata, "message_id": message_id},
                )
            )
        tracker = await agent.tracker_store.retrieve(sender)
        return {"replies": collector.replies, **_explained(tracker, message_id, agent)}


def _explained(tracker: Any, message_id: str, agent: Any) -> dict[str, Any]:
    """{"explain": ...}, or nothing when the turn is not there."""
    processor = getattr(agent, "processor", None)
    model = str(getattr(processor, "model_filename", None) or "") or None
    why = explain_turn(tracker.events, message_id, model) if tracker else {}
    return {"explain": why} if why else {}


def _problem(body: Any) -> str | None:
    """What is wrong with a request, in words, or None."""
    if not isinstance(body, dict):
        return "the body must be a JSON object"
    for name in ("sender", "message_id"):
        if not isinstance(body.get(name), str) or not body[name]:
            return f"{name} must be a non-empty string"
    if not isinstance(body.get("message", ""), str):
        return "message must be a string"
    if not isinstance(body.get("metadata", {}) or {}, dict):
        return "metadata must be an object"
    return None
