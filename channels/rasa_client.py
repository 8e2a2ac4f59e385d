"""Asks Rasa for one turn and translates its answer to `bot.message.Reply`.

Speaks the contract of docs/architecture.md. This module knows no platform and stores nothing.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import aiohttp
from pydantic import ValidationError

from bot.exceptions import DialogueUnavailable, TurnFailed
from bot.message import Reply


class RasaClient:
    """The dialogue, as the gateway sees it."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str, timeout: float) -> None:
        """`timeout` is in seconds, for one turn."""
        self._session = session
        self._url = url.rstrip("/") + "/webhooks/kefu/webhook"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(5.0, timeout))

    async def turn(
        self,
        *,
        message_id: str,
        sender: str,
        text: str,
        payload: bool,
        metadata: dict[str, Any],
        retry: bool = True,
    ) -> list[Reply]:
        """Run the turn of this message, or collect its replies when it has run already.

        `retry` says that the turn may have been asked for before.

        Raises:
            DialogueUnavailable: Rasa cannot be reached, is starting, or did not answer in time.
            TurnFailed: Rasa answered, but with an error for this message.
        """
        body = {
            "sender": sender,
            "message": text,
            "message_id": message_id,
            "payload": payload,
            "retry": retry,
            "metadata": metadata,
        }
        try:
            async with self._session.post(
                self._url, json=body, headers=self._headers, timeout=self._timeout
            ) as response:
                if response.status in (401, 403, 404, 502, 503, 504):
                    hint = {
                        401: "KEFU_DIALOGUE__TOKEN differs",
                        404: "the channel kefu is not in credentials.yml",
                    }
                    raise DialogueUnavailable(
                        f"Rasa at {self._url} answered {response.status} ({hint.get(response.status, 'starting?')})"
                    )
                if response.status != 200:
                    detail = (await response.text())[:300]
                    raise TurnFailed(f"Rasa answered {response.status} to message {message_id}: {detail}")
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, OSError) as exc:
            raise DialogueUnavailable(f"Rasa cannot be reached at {self._url}: {exc}") from exc
        except TimeoutError as exc:
            raise DialogueUnavailable(
                f"Rasa did not answer message {message_id} within {self._timeout.total} s"
            ) from exc
        except ValueError as exc:
            raise TurnFailed(f"Rasa's answer to message {message_id} is not JSON: {exc}") from exc
        if not isinstance(answer, dict) or not isinstance(answer.get("replies"), list):
            raise TurnFailed(f"Rasa's answer to message {message_id} has no list of replies")
        replies = [reply_from(item) for item in answer["replies"]]
        # Rasa said nothing: what it understood is still worth keeping.
        return [explained(reply, answer.get("explain")) for reply in replies or [Reply()]]


def explained(reply: Reply, turn: Any) -> Reply:
    """The reply with what Rasa understood and chose in its turn; what the action says itself comes first."""
    if not isinstance(turn, dict):
        return reply
    own = reply.explain
    versions = {"kefu": version("kefu"), **(turn.get("versions") or {}), **(own.get("versions") or {})}
    return reply.model_copy(update={"explain": {**turn, **own, "versions": versions}})


def reply_from(item: dict[str, Any]) -> Reply:
    """`Reply` from one reply of the contract.

    Raises:
        TurnFailed: it does not fit; the shopper gets nothing half understood.
    """
    custom = item.get("custom") or {}
    extra = custom.get("kefu", {}) if isinstance(custom, dict) else {}
    fields = {name: item[name] for name in ("text", "image") if item.get(name)}
    try:
        fields["buttons"] = [
            {"title": button["title"], "payload": button["payload"]} for button in item.get("buttons") or ()
        ]
        return Reply.model_validate({**fields, **extra})
    except (ValidationError, KeyError, TypeError) as exc:
        raise TurnFailed(f"A reply of Rasa does not fit bot.message.Reply: {exc}") from exc
