"""What goes in and what comes out, whichever door it came through.

A channel translates its platform's JSON to `Inbound` and `Reply` back to the platform.
This module knows no channel and no Rasa.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Language = Literal["zh", "en"]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Attachment(Shape):
    """A file a shopper sent, already in Kefu's media store."""

    media_id: str
    kind: Literal["image", "voice", "video", "file"]
    content_type: str
    size: int = Field(ge=0, description="bytes")


class Inbound(Shape):
    """One message from a shopper, as the gateway stores it.

    `dedup_key` is unique per platform message: the platform's own id. `payload` is set, and
    `text` shows the button's title, when the shopper pressed a button the gateway itself issued.
    `files` become `attachments` when the message's turn comes: no platform waits for a download.
    """

    channel: str
    account: str = "default"  # which site, official account or bot of that channel
    shopper: str  # the platform's id for the shopper, never chosen by the client
    dedup_key: str
    text: str = ""
    payload: str | None = None
    attachments: tuple[Attachment, ...] = ()
    files: tuple[str, ...] = ()  # the platform's names of files that are still with the platform
    locale: str | None = None  # what the platform says about the shopper's language
    source: str | None = None  # network origin, hashed, for limits
    customer: str | None = None  # the shop's customer id, when the channel proves it
    at: int = Field(description="milliseconds since 1970-01-01 UTC")

    @field_validator("text")
    @classmethod
    def _whole_characters(cls, text: str) -> str:
        """Half a surrogate pair (a cut emoji in somebody's JSON) is no character that can be sent on: U+FFFD."""
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Button(Shape):
    """A closed choice. `payload` is Rasa's (``/intent{...}``) and never leaves the gateway."""

    title: str
    payload: str


class Card(Shape):
    """Facts shown as a small table: an order, a plan or a receipt.

    The words of a reply with an order, a plan or a receipt say what matters in it, for platforms without cards.
    `lead` stands in the place of those words where the card is shown and would only repeat them.
    """

    kind: Literal["order", "plan", "receipt", "article", "note"]
    title: str
    lead: str | None = None
    rows: tuple[tuple[str, str], ...] = ()
    url: str | None = None


class Handoff(Shape):
    """The bot asks for a person."""

    reason: str  # a code of bot/handoff/reasons.py, e.g. "asked", "locked_out", "policy"
    goal: str | None = None
    packet: dict[str, Any] = Field(default_factory=dict)


class Promised(Shape):
    """A deadline a reply tells, taken from the receipt and plan that produced its words.

    `due_at` (ms) is fixed; or it is `working_days` after the day the goods have come back. `key` is the receipt's
    idempotency key, under which the order API tells what became of it.
    """

    kind: Literal["refund", "refund_after_return", "exchange"]
    order: str
    receipt: str
    key: str
    due_at: int | None = None
    working_days: int | None = None
    amount: dict[str, Any] | None = None  # {amount, currency}, minor units


class Reply(Shape):
    """One message to a shopper.

    `receipts` are the ids of the order API's receipts this reply speaks of: a text that claims an
    action without one is never sent (design, rule 1). `explain` goes to the audit trail, not to
    the shopper.
    """

    text: str = ""
    buttons: tuple[Button, ...] = ()
    card: Card | None = None
    image: str | None = None  # its address
    media: tuple[Attachment, ...] = ()  # files of Kefu's media store: pictures, recorded answers
    citations: tuple[tuple[str, str], ...] = ()  # (article title, address)
    receipts: tuple[str, ...] = ()
    promises: tuple[Promised, ...] = ()
    language: Language | None = None
    handoff: Handoff | None = None
    explain: dict[str, Any] = Field(default_factory=dict)


def with_opening(opening: str, text: str) -> str:
    """A courtesy and what follows it; a space between them where the language has one."""
    return opening + (" " if opening[-1:].isascii() else "") + text
