"""A reply as it is stored: the part for the event log, and the payloads behind its buttons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.message import Reply
from channels.store import Draft, new_id


def draft_of(reply: Reply, author: str, *, ordinal: int = 0, more: Mapping[str, Any] | None = None) -> Draft:
    """A reply about to be stored; `more` goes into its event's body."""
    # Only token and title ever leave the gateway.
    payloads = tuple((new_id(), button.title, button.payload) for button in reply.buttons)
    return Draft(new_id(), ordinal, author, {**body_of(reply, payloads), **(more or {})}, payloads)


def shows_something(reply: Reply) -> bool:
    """Whether the shopper would see anything of it."""
    return bool(reply.text or reply.buttons or reply.card or reply.image or reply.media or reply.citations)


def body_of(reply: Reply, payloads: Sequence[tuple[str, str, str]] = ()) -> dict[str, Any]:
    """The part of a reply that goes into the event log, with the buttons of `payloads` (token, title, payload)."""
    body: dict[str, Any] = {}
    if reply.text:
        body["text"] = reply.text
    if payloads:
        body["buttons"] = [{"title": title, "token": token} for token, title, _ in payloads]
    if reply.card:
        body["card"] = reply.card.model_dump(mode="json")
    if reply.image:
        body["image"] = reply.image
    if reply.media:
        body["media"] = [attachment.model_dump() for attachment in reply.media]
    if reply.citations:
        body["citations"] = [list(citation) for citation in reply.citations]
    if reply.language:
        body["language"] = reply.language
    if reply.receipts:
        body["receipts"] = list(reply.receipts)
    return body
