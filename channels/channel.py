"""What every door of the gateway looks like from inside.

A channel translates its platform's words to `bot.message.Inbound`, hands it to `Gateway.receive`, and
translates an `OutboxMessage` back. Order, retries, ownership and audit are the gateway's work.
This module knows no platform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from aiohttp import web

from bot.message import Attachment, Language


@dataclass(frozen=True)
class Capabilities:
    """What the platform can show and bear."""

    buttons: bool = False  # False: buttons become a numbered list; typed numbers and titles always work
    cards: bool = False  # False: what the words do not say becomes lines of text
    typing: bool = False
    max_bytes: int | None = None  # longest text, UTF-8 bytes
    batch: int = 1  # most messages of one turn that `deliver` gets at once (to merge them)
    attempts: int = 8  # tries for one message that `deliver` raises at, before it is marked failed
    passive: bool = False  # replies may also leave in the answer to the platform's own request
    captions: bool = False  # words stand beside a file; False: they are what was heard in it


@dataclass(frozen=True)
class Conversation:
    """One shopper at one door. `id` is Rasa's sender id."""

    id: str
    channel: str
    account: str
    shopper: str  # the platform's id
    customer: str | None = None
    locale: str | None = None
    seq: int = 0  # of the last event
    read_seq: int = 0  # of the last event the shopper has seen
    reachable: bool = True
    active_at: int = 0  # ms, last message from the shopper

    @property
    def language(self) -> Language:
        """The language for the gateway's own sentences."""
        return "en" if (self.locale or "").lower().startswith("en") else "zh"


@dataclass(frozen=True)
class ShownButton:
    """A closed choice as it leaves the gateway: the payload stays behind, under `token`."""

    title: str
    token: str


@dataclass(frozen=True)
class OutboxMessage:
    """One message to a shopper, stored and numbered."""

    id: str
    conversation: str
    seq: int
    author: Literal["bot", "person", "system"]
    text: str = ""
    buttons: tuple[ShownButton, ...] = ()
    card: dict[str, Any] | None = None  # bot.message.Card as JSON
    image: str | None = None
    citations: tuple[tuple[str, str], ...] = ()
    media: tuple[dict[str, Any], ...] = ()  # bot.message.Attachment as JSON
    language: str | None = None
    agent: str | None = None  # the person's name, when author is person
    inbound: str | None = None  # the message this answers
    attempts: int = 0
    created_at: int = 0
    body: dict[str, Any] = field(default_factory=dict)  # as in the event log


@dataclass(frozen=True)
class Delivery:
    """What became of a message.

    delivered  the platform has it
    retry      it does not; try again after `after` seconds (None: the gateway's own backoff)
    held       it cannot be sent now; try again when the shopper writes next (WeChat's quota)
    unknown    sent, no answer came: not repeated, because a double is worse
    failed     never will be
    """

    status: Literal["delivered", "retry", "held", "unknown", "failed"] = "delivered"
    after: float | None = None
    reason: str | None = None
    platform_id: str | None = None
    unreachable: bool = False  # the shopper blocked us or left
    slip: bool = False  # with retry: the channel raised, so the message itself may be what is wrong


class Channel(Protocol):
    """A door. Exceptions from `deliver` count as `retry`; from `typing` they are ignored."""

    name: str
    capabilities: Capabilities

    def routes(self, app: web.Application) -> None:
        """Add the platform's web addresses."""

    async def start(self) -> None:
        """Begin polling and the like. Must return; a platform that cannot be reached is no reason to raise."""

    async def stop(self) -> None:
        """Stop what `start` began and close connections."""

    async def deliver(self, conversation: Conversation, messages: Sequence[OutboxMessage]) -> Delivery:
        """Send 1..`capabilities.batch` messages of one turn, in order; one verdict for all."""

    async def typing(self, conversation: Conversation, on: bool) -> None:
        """Show, or stop showing, that an answer is being written."""

    async def fetch(self, conversation: Conversation, file: str) -> Attachment:
        """Bring a file of the shopper's (one of `Inbound.files`) into the media store.

        Raises:
            ChannelError: the platform does not give it, or it is none that is taken.
        """


_SAID = ("order", "plan", "receipt")  # cards whose facts stand in the words of their message


def short_citation(message: OutboxMessage) -> str:
    """One line that names the sections an answer rests on, without their articles' names and addresses."""
    sections = list(dict.fromkeys(title.rsplit(" › ", 1)[-1] for title, _ in message.citations))
    return f"依据：{'、'.join(sections)}" if message.language == "zh" else f"From: {'; '.join(sections)}"


def plain_text(message: OutboxMessage, capabilities: Capabilities) -> str:
    """The message as text, for a platform that cannot show cards or buttons.

    What the platform can show is left out: the channel shows it itself. Numbers are 1, 2, 3 in
    button order, and typing one is the same as pressing the button.
    """
    parts = [message.text] if message.text else []
    if message.card and not capabilities.cards and message.card.get("kind") not in _SAID:
        rows = [f"{name}: {value}" for name, value in message.card.get("rows", ())]
        parts.append("\n".join([str(message.card.get("title", "")), *rows]).strip())
        if message.card.get("url"):
            parts.append(str(message.card["url"]))
    if message.citations:
        parts.append(short_citation(message))
    if message.buttons and not capabilities.buttons:
        parts.append("\n".join(f"{n}. {button.title}" for n, button in enumerate(message.buttons, 1)))
    return "\n\n".join(part for part in parts if part)
