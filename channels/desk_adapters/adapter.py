"""What every desk of others looks like from inside.

An adapter translates: what happened in a conversation to its desk's words, and what people do there to the calls
of `channels.desk_adapters.bridge.Bridge`. Order, retries and ownership are the bridge's work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from bot.handoff.ownership import Ownership
from channels.channel import Conversation
from channels.store import Event


@dataclass(frozen=True)
class Thread:
    """A conversation's place at a desk."""

    desk: str
    conversation: str
    ref: str | None = None  # the desk's own name for it
    seq: int = 0  # last line of the log that was shown or passed over
    live: bool = False  # in a stretch that is a person's
    token: int = -1  # fencing token that the desk was told of
    agent: str | None = None  # who of that desk took it last
    agent_ref: str | None = None  # the desk's own name for that person
    cursor: int = 0  # last of the desk's messages that was read by asking
    attempts: int = 0


class DeskAdapter(Protocol):
    """One desk."""

    name: str
    batch: int  # most lines that `show` gets at once

    def routes(self, app: web.Application) -> None:
        """Add the desk's web addresses."""

    async def start(self) -> None:
        """Begin polling and the like. Must return, also when the desk cannot be reached."""

    async def stop(self) -> None:
        """Stop what `start` began and close connections."""

    async def open(self, known: Conversation, packet: dict[str, Any]) -> str:
        """Make the conversation's place, or find the one made before; its name.

        Raises:
            ChannelError: refused or not reached; it is tried again.
        """

    async def show(self, thread: Thread, known: Conversation, lines: Sequence[Event], *, again: bool) -> None:
        """Write these lines there, in order. `again`: some may be there already.

        Raises:
            ChannelError: refused or not reached; the same lines come again.
        """

    async def follow(self, thread: Thread, owner: Ownership) -> None:
        """Bring the place's state in step with the owner.

        Raises:
            ChannelError: refused or not reached; it is tried again.
        """

    async def tell(self, thread: Thread, text: str) -> None:
        """Say something to the people at the desk alone.

        Raises:
            ChannelError: refused or not reached.
        """


def is_from(event: Event, inbound: str | None, desk: str) -> bool:
    """Whether a line was written at this very desk. `inbound` is its key in the outbox."""
    if event.kind == "note":
        return bool(str(event.body.get("desk") or "") == desk)
    return (inbound or "").startswith(f"desk:{desk}:")
