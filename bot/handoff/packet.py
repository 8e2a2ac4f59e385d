"""What the person at the desk gets with a conversation: built from state, never written by a model.

The actions say what they know of the order, the task and the policy (`Handoff.packet`); the gateway adds what
it knows of the conversation. A field that nobody filled stays empty; nothing is guessed.
This module knows no channel, no Rasa and no database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

TURNS = 10
# Reasons of the policy (bot.policy.reasons) that a picture proves.
_SHOW_IT = ("quality_fault", "damaged", "wrong_item", "not_as_described")


class _Facts(BaseModel):
    # A packet written by an older version must still open at the desk.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Who(_Facts):
    """Who writes, and how that is known."""

    channel: str = ""
    account: str = ""
    customer: str | None = None  # the shop's customer id, when the channel proves it
    name: str | None = None
    proof: str | None = None  # channel_account, phone_tail, email, postcode; None: nothing is proven
    level: int = 0  # bot.identity.ProofLevel
    proven_at: str | None = None  # ISO 8601


class OrderFacts(_Facts):
    """The order as it was when it was read last. Texts by language; times ISO 8601."""

    number: str
    state: str = ""
    version: int = 0
    read_at: str | None = None
    created_at: str | None = None
    paid_at: str | None = None
    shipped_at: str | None = None
    delivered_at: str | None = None
    cancelled_at: str | None = None
    total: dict[str, Any] | None = None  # {amount, currency}, minor units
    refunded: dict[str, Any] | None = None
    items: tuple[dict[str, Any], ...] = ()  # {id, title, quantity, open, price, wanted}
    tracking: tuple[dict[str, Any], ...] = ()  # {carrier, number, at, status, text}
    requests: tuple[dict[str, Any], ...] = ()  # {id, operation, status, amount, created_at, due_at}
    payments: tuple[dict[str, Any], ...] = ()  # {method, amount, hint}


class Line(_Facts):
    """One of the last turns."""

    author: Literal["shopper", "bot", "person", "system"]
    text: str
    at: int  # ms


class Draft(_Facts):
    """What the bot would have said, had it been sure. Never sent."""

    text: str
    score: float | None = None  # estimated chance that it is right
    evidence: tuple[str, ...] = ()
    why: str = ""  # why it was not sent


class Elsewhere(_Facts):
    """The last case of another conversation that is proven to be the same shopper's. Times in ms."""

    conversation: str
    channel: str = ""
    proof: str | None = None  # of the link: identity_token, binding_code, verified_order
    owner: str = "bot"
    goal: str | None = None
    reason: str | None = None
    order_number: str | None = None
    requests: tuple[dict[str, Any], ...] = ()  # open ones of that order, as read there
    opened_at: int | None = None
    ended_at: int | None = None
    outcome: str | None = None
    agent: str | None = None
    note: dict[str, Any] | None = None


class Packet(_Facts):
    """All of it."""

    reason: str | None = None  # why a person is wanted
    goal: str | None = None  # the topic under way
    who: Who = Who()
    order: OrderFacts | None = None
    order_number: str | None = None  # as the shopper said it; proven only when `order` is there
    lines: dict[str, int] = Field(default_factory=dict)  # order line id -> quantity the shopper means
    request_reason: str | None = None  # why he wants it, a code of the policy
    opened: bool | None = None
    question: str | None = None  # what was last asked of the shopper, or what he asked
    also: tuple[str, ...] = ()  # wished besides in the same message, and not begun
    tried: tuple[str, ...] = ()  # codes of what went before, oldest first
    plan: dict[str, Any] | None = None  # shown and not yet consented to
    policy: dict[str, Any] | None = None  # {operation, outcome, clause, policy, explanation}
    draft: Draft | None = None
    sentiment: str | None = None  # angry, worried
    urgency: int = 0  # of bot.sentiment: 1 in a hurry, 2 angry or worried, 3 threatens
    language: str | None = None
    media: tuple[str, ...] = ()  # ids of pictures and files the shopper sent
    turns: tuple[Line, ...] = ()
    earlier: dict[str, Any] | None = None  # what the last person noted in this conversation
    promise: dict[str, Any] | None = None  # the broken one that brings the case here
    promises: tuple[dict[str, Any], ...] = ()  # what this shopper was told by when, newest first
    elsewhere: tuple[Elsewhere, ...] = ()
    summary: str | None = None  # by the generator, of what stands above: `bot.handoff.summary`

    @property
    def missing(self) -> str | None:
        """What a shopper should be asked for while he waits: "order", "photo" or nothing."""
        if self.goal == "answer":
            return None
        if self.order is None and not self.order_number:
            return "order"
        quality = self.request_reason in _SHOW_IT
        return "photo" if quality and not self.media else None


def build(
    said: Mapping[str, Any],
    *,
    reason: str | None,
    goal: str | None,
    who: Mapping[str, Any],
    language: str | None,
    sentiment: str | None,
    media: Sequence[str],
    turns: Sequence[Mapping[str, Any]],
    earlier: Mapping[str, Any] | None = None,
    promises: Sequence[Mapping[str, Any]] = (),
    elsewhere: Sequence[Mapping[str, Any]] = (),
    urgency: int = 0,
) -> Packet:
    """Join what the actions said with what the conversation shows.

    What does not fit is left out, field by field: a packet with a hole is better than none.
    """
    proof = said.get("proof")
    known = {**who, **(proof if isinstance(proof, Mapping) else {})}
    draft = said.get("draft")
    if isinstance(draft, Mapping):
        draft = {
            "text": draft.get("text"),
            "score": draft.get("p_correct", draft.get("score")),
            "evidence": said.get("evidence") or (),
            "why": said.get("why") or "",
        }
    fields: dict[str, Any] = {
        "reason": reason,
        "goal": goal,
        "who": known,
        "order": said.get("order"),
        "order_number": said.get("order_number"),
        "lines": said.get("lines"),
        "request_reason": said.get("reason"),
        "opened": said.get("opened"),
        "question": said.get("question"),
        "also": tuple(_texts(said.get("also"))),
        "tried": said.get("tried"),
        "plan": said.get("plan"),
        "policy": said.get("policy"),
        "draft": draft,
        "sentiment": sentiment,
        "urgency": urgency,
        "language": language,
        "media": tuple(dict.fromkeys([*_texts(said.get("media")), *media])),
        "turns": tuple(turns)[-TURNS:],
        "earlier": earlier,
        "promise": said.get("promise"),
        "promises": tuple(promises),
        "elsewhere": tuple(elsewhere),
    }
    good: dict[str, Any] = {}
    for name, value in fields.items():
        if value is None:
            continue
        try:
            good[name] = getattr(Packet.model_validate({name: value}), name)
        except ValueError:
            continue
    return Packet(**good)


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []
