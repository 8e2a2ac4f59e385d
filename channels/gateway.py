"""The gateway's core: every message is stored before anybody is answered, and worked off in order.

    receive -> inbox -> turn (Rasa) -> outbox -> deliver -> delivered mark
               per conversation in order, conversations side by side

Two lanes per conversation, one for turns (`channels.turns`) and one for deliveries
(`channels.deliveries`), so that a platform that is slow to take a reply does not hold up the dialogue.
Whatever the process dies in the middle of is found again by the sweep.
This module knows no platform.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.database import insert_once, now_ms
from bot.exceptions import KefuError, TooMany
from bot.handoff import ownership, promises
from bot.handoff.ownership import Ownership
from bot.message import Handoff, Inbound, Reply
from channels.channel import Channel, Conversation
from channels.deliveries import Deliveries
from channels.drafts import draft_of
from channels.limits import MessageLimits
from channels.owners import change_owner
from channels.patience import Patience
from channels.store import Received, Store, Waiting, new_id
from channels.tables import inbox
from channels.texts import language_of, say, spoken
from channels.turns import OWN, CheckClaims, Dialogue, Turns
from channels.wake import Wake

logger = logging.getLogger(__name__)

MAX_STORED = 10_000  # characters kept of a longer text

OnRating = Callable[[str, dict[str, Any]], Awaitable[None]]  # (conversation, the rating event's body)
OnHandoff = Callable[[Conversation, Handoff, Ownership], Awaitable[None]]
# After somebody gave, took or ended a conversation: (conversation, before, after).
OnOwner = Callable[[str, Ownership, Ownership], Awaitable[None]]
# In the transaction of a hand-over, with the message that led to it: the packet to keep and the one
# sentence the waiting shopper gets.
OnPending = Callable[
    [AsyncConnection, Conversation, Handoff, Ownership], Awaitable[tuple[dict[str, Any], Reply | None]]
]
# A message that is no turn (the answer to "1 to 5?"): what to say to it. None: it is a turn.
Intercept = Callable[[Conversation, Inbound, int], Awaitable[Reply | None]]
# Words and buttons the gateway answers itself, by message and payload. None: they are for Rasa.
OwnAnswer = Callable[[Conversation, Inbound, str | None], Awaitable[Reply | None]]
# What a message is for a plan that a person at the desk has put on the table: the answer to it. None: nothing.
Consent = Callable[[Conversation, Inbound, "str | None", Waiting, Ownership], Awaitable[Reply | None]]
# Metadata of a turn besides the gateway's own, by conversation and message id.
Metadata = Callable[[str, str], Awaitable[dict[str, Any]]]
# Who gets a closed conversation whose shopper writes again: (owner, agent, reason).
Reopen = Callable[[Conversation, Ownership, Inbound], Awaitable[tuple[ownership.Owner, str | None, str]]]
Along = Callable[[AsyncConnection, str], Awaitable[None]]  # (connection, conversation)


class Gateway:
    """Give it messages with `receive`; it gives replies to the channels."""

    def __init__(
        self,
        store: Store,
        dialogue: Dialogue,
        channels: Sequence[Channel] = (),
        *,
        wake: Wake | None = None,
        patience: Patience = Patience(),
        concurrency: int = 64,
        max_backlog: int = 10_000,
        check_claims: CheckClaims | None = None,
    ) -> None:
        self.id = uuid.uuid4().hex
        self.store = store
        self.dialogue = dialogue
        self.channels: dict[str, Channel] = {channel.name: channel for channel in channels}
        self.wake = wake or Wake(gateway=self.id)
        self.patience = patience
        self.on_handoff: list[OnHandoff] = []
        self.on_rating: list[OnRating] = []
        self.on_owner: list[OnOwner] = []
        self.on_pending: OnPending | None = None
        self.intercept: Intercept | None = None
        self.own_answer: OwnAnswer | None = None
        self.metadata: Metadata | None = None
        self.reopen: Reopen | None = None
        self.consent: Consent | None = None
        self.limits: MessageLimits | None = None
        self.deliveries = Deliveries(self)
        self.turns = Turns(self, concurrency=concurrency, check_claims=check_claims)
        self._max_backlog = max_backlog
        self._seen: dict[str, int] = {}  # last sequence number of the conversations shown here
        self._sweeper: asyncio.Task[None] | None = None
        self._asleep = asyncio.Event()

    def add(self, channel: Channel) -> None:
        assert channel.name not in self.channels, f"two channels are named {channel.name}"
        self.channels[channel.name] = channel

    async def start(self) -> None:
        """Take up what an earlier gateway left, then work."""
        await self.store.give_back_claims(at_start=True)
        await self.wake.start()
        for channel in self.channels.values():
            await channel.start()
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Stop between two steps; nothing is lost by stopping in the middle of one."""
        tasks = [*self.turns.lane.close(), *self.deliveries.lane.close()]
        if self._sweeper is not None:
            tasks.append(self._sweeper)
        if tasks:
            # Queries end in milliseconds; only those who wait for Rasa or a platform are cut off.
            self._asleep.set()
            _, running = await asyncio.wait(tasks, timeout=0.5)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        for channel in self.channels.values():
            await channel.stop()
        await self.wake.stop()

    @property
    def at_work(self) -> bool:
        """Whether a turn or a delivery is under way here."""
        return bool(self.turns.lane.busy or self.deliveries.lane.busy)

    # in

    async def receive(
        self,
        inbound: Inbound,
        *,
        raw: str | None = None,
        passive_for: float = 0.0,
        refuse: bool = False,
        along: Along | None = None,
        keep_held: bool = False,
        guess: str | None = None,
    ) -> Received:
        """Store a message; it is safe when this returns. The same `dedup_key` is one message.

        `passive_for` (seconds) keeps the replies from being delivered for that long, so that a channel
        can put them into the answer to the platform's own request (`turns.wait_for`, `deliveries.take`).
        `along` is done in the same transaction, for a message that is new. A shopper over the limits is
        refused when the channel can say so (`refuse`); else the message is kept, read by people only, and
        answered with the wish for patience, once a minute. `keep_held`: what is held stays so, because the channel
        takes it along itself. `guess`: the language as long as the shopper has said nothing in one.

        Raises:
            TooMany: so many messages wait that another would only make it worse; or, with `refuse`, this
                shopper or network address sent too many.
        """
        async with self.store.read() as connection:
            # Platforms repeat what is answered late, and so most of all when there is much to do: a repetition costs a
            # look and no transaction.
            if (known := await self.store.received(connection, inbound)) is not None:
                return known
        if self.turns.backlog >= self._max_backlog:
            raise TooMany("More messages are waiting than the gateway can bear", retry_after=5)
        if len(inbound.text) > MAX_STORED:
            inbound = inbound.model_copy(update={"text": inbound.text[:MAX_STORED]})
        # What the shopper says in words counts most; what a button says is not his.
        said = inbound.text if inbound.payload is None else ""
        locale = spoken(said) or inbound.locale
        now = now_ms()
        async with self.store.write() as connection:
            conversation = await self.store.open_conversation(
                connection, inbound.channel, inbound.account, inbound.shopper,
                locale=locale, guess=guess or language_of(said), customer=inbound.customer,
            )  # fmt: skip
            message_id = new_id()
            inserted = await connection.execute(
                insert_once(inbox, "channel", "account", "dedup_key"), {
                    "id": message_id, "conversation": conversation.id, "channel": inbound.channel,
                    "account": inbound.account, "dedup_key": inbound.dedup_key,
                    "body": inbound.model_dump(mode="json"), "raw": raw, "state": "new", "attempts": 0, "next_at": 0,
                    "passive_until": now + int(passive_for * 1000) if passive_for else 0, "received_at": now,
                }
            )  # fmt: skip
            if inserted.rowcount == 0:
                known = await self.store.received(connection, inbound)
                assert known is not None, "the same message was stored at the same moment"
                return known
            body: dict[str, Any] = {"text": inbound.text, "id": message_id}
            if inbound.attachments:
                body["media"] = [attachment.model_dump() for attachment in inbound.attachments]
            if inbound.payload is not None:
                body["pressed"] = True
            if inbound.channel == "web":
                body["client_id"] = inbound.dedup_key.rpartition(":")[2]
            seq = await self.store.add_event(connection, conversation.id, "message", "shopper", body)
            await connection.execute(inbox.update().where(inbox.c.id == message_id).values(seq=seq))
            if along is not None:
                await along(connection, conversation.id)
            freed = not keep_held and await self.store.unhold(connection, conversation.id)
            refused = False
            if self.limits is not None:
                try:
                    await self.limits.take(connection, conversation.id, inbound.source)
                except TooMany:
                    if refuse:
                        raise  # and nothing of this happened
                    refused = True
                    await self._not_read(connection, conversation, message_id)
        self.turns.backlog += 1
        self.wake.wake(conversation.id)
        self.turns.lane.poke(conversation.id)
        if freed or refused:
            self.deliveries.lane.poke(conversation.id)
        return Received(message_id, conversation.id, seq, False)

    async def _not_read(
        self, connection: AsyncConnection, conversation: Conversation, message_id: str
    ) -> None:
        """A message over the limits: no turn, and one sentence a minute that says so."""
        logger.warning("gateway.over_limit conversation=%s", conversation.id)
        await self.store.finish(connection, message_id, "over_limit")
        if (await ownership.get(connection, conversation.id)).bot_may_speak:
            reply = Reply(text=say("over_limit", conversation.language))
            await self.store.add_message(
                connection,
                conversation,
                draft_of(reply, "system", ordinal=OWN),
                inbound=f"over_limit:{conversation.id}:{now_ms() // 60_000}",
            )

    async def press(self, conversation: str, token: str) -> tuple[str, str] | None:
        """(title, payload) behind a button of this conversation, for the channel's `Inbound`."""
        return await self.store.button(conversation, token)

    # persons

    async def hand_over(
        self,
        conversation: str,
        current: Ownership,
        owner: ownership.Owner,
        *,
        agent: str | None = None,
        reason: str | None = None,
    ) -> Ownership:
        """Change the owner and write it into the conversation, so that every page says so.

        Raises:
            OwnershipLost: somebody else was quicker; read the ownership again.
            ValueError: that owner cannot follow this one.
        """
        async with self.store.write() as connection:
            changed = await change_owner(
                self.store, connection, conversation, current, owner, agent=agent, reason=reason
            )
        self.wake.wake(conversation)
        self.turns.lane.poke(conversation)
        for hook in self.on_owner:
            try:
                await hook(conversation, current, changed)
            except KefuError as exc:
                logger.error("gateway.owner_hook_failed conversation=%s reason=%s", conversation, exc)
        return changed

    async def owner(self, conversation: str) -> Ownership:
        async with self.store.read() as connection:
            return await ownership.get(connection, conversation)

    async def say_as_person(
        self, conversation: str, token: int, reply: Reply, *, agent: str, key: str, media: Sequence[Any] = ()
    ) -> int | None:
        """A person's message to the shopper. `key` makes a repeated call harmless (None is returned).

        Raises:
            OwnershipLost: the person does not own the conversation under `token` any more.
        """
        known = await self.conversation(conversation)
        draft = draft_of(reply, "person", more={"agent": agent, **({"media": list(media)} if media else {})})
        async with self.store.write() as connection:
            await self.store.lock(connection, conversation)
            await ownership.hold(connection, conversation, token, "person")
            seq = await self.store.add_message(connection, known, draft, inbound=f"desk:{key}")
            if seq is not None and reply.explain:
                await self.store.add_audit(
                    connection, draft.id, conversation, None, "sent", reply.explain, reply.receipts
                )
        self.wake.wake(conversation)
        self.deliveries.lane.poke(conversation)
        return seq

    async def say_as_system(
        self, conversation: str, reply: Reply, *, key: str, under: Ownership | None = None,
        answers: str | None = None, along: Along | None = None,
    ) -> int | None:  # fmt: skip
        """A message that is neither the bot's nor a person's (a timer's, a receipt).

        `answers` is the shopper's message that led to it, for the audit trail; `along` is done in the same
        transaction, when this is not a repetition.

        Raises:
            OwnershipLost: the conversation is not as `under` says any more.
        """
        known = await self.conversation(conversation)
        async with self.store.write() as connection:
            if under is not None:
                await self.store.lock(connection, conversation)
                await ownership.hold(connection, conversation, under.token, under.owner)
            draft = draft_of(reply, "system")
            seq = await self.store.add_message(connection, known, draft, inbound=f"system:{key}")
            if seq is not None and along is not None:
                await along(connection, conversation)
            if seq is not None and (reply.explain or reply.receipts):
                await self.store.add_audit(
                    connection, draft.id, conversation, answers, "sent", reply.explain, reply.receipts
                )
                await promises.make(connection, conversation, reply.promises, at=now_ms())
        self.wake.wake(conversation)
        self.deliveries.lane.poke(conversation)
        return seq

    async def call_person(self, conversation: str, handoff: Handoff, reply: Reply, *, key: str) -> bool:
        """Say `reply` and give the conversation to a person, on nobody's turn (a broken promise).

        Whoever waits already, or has a person, keeps his place; the person is told by a line at the desk. A call with
        the same `key` does nothing more. False when a person has it, who then speaks for himself.
        """
        known = await self.conversation(conversation)
        draft = draft_of(reply, "system")
        handed: Ownership | None = None
        async with self.store.write() as connection:
            await self.store.lock(connection, conversation)
            current = await ownership.get(connection, conversation)
            if current.owner != "person":
                said = await self.store.add_message(connection, known, draft, inbound=f"system:{key}")
                if said is None:
                    return True  # all of it was stored before a kill
                await self.store.add_audit(
                    connection, draft.id, conversation, None, "sent", reply.explain, reply.receipts
                )
            if current.owner in ("bot", "closed"):
                handed, packet, told = await self.to_pending(connection, known, handoff, current)
                if told is not None:
                    ack = draft_of(told, "system")
                    await self.store.add_message(connection, known, ack, inbound=f"system:{key}:waiting")
            else:
                packet = handoff.packet
            await self.store.add_event(
                connection, conversation, "handoff", "system",
                {"reason": handoff.reason, "goal": handoff.goal, "packet": packet, "key": key}, audience="desk",
            )  # fmt: skip
        self.wake.wake(conversation)
        self.deliveries.lane.poke(conversation)
        if handed is not None:
            await self.handed_over(known, handoff, handed)
        return current.owner != "person"

    async def to_pending(
        self, connection: AsyncConnection, known: Conversation, handoff: Handoff, current: Ownership
    ) -> tuple[Ownership, dict[str, Any], Reply | None]:
        """Let the conversation wait for a person: the new ownership, the packet to keep, and what the shopper is told.
        Call `handed_over` when the transaction stands.

        Raises:
            OwnershipLost: the conversation is not as `current` says any more.
        """
        handed = await change_owner(
            self.store, connection, known.id, current, "pending", reason=handoff.reason
        )
        if self.on_pending is None:
            return handed, handoff.packet, None
        packet, told = await self.on_pending(connection, known, handoff, handed)
        return handed, packet, told

    async def handed_over(self, known: Conversation, handoff: Handoff, handed: Ownership) -> None:
        for hook in self.on_handoff:
            try:
                await hook(known, handoff, handed)
            except KefuError as exc:
                logger.error("gateway.handoff_hook_failed conversation=%s reason=%s", known.id, exc)

    async def write_event(
        self, conversation: str, kind: str, author: str, body: dict[str, Any], *, audience: str = "desk"
    ) -> int:
        """A line in the conversation that is not a message: a note, a rating, a question for one."""
        async with self.store.write() as connection:
            seq = await self.store.add_event(connection, conversation, kind, author, body, audience=audience)
        self.wake.wake(conversation)
        return seq

    async def _sweep(self) -> None:
        """Find work nobody is doing: what a dead gateway left, and what a lane gave up on."""
        while True:
            try:
                await self.store.give_back_claims()
                turns, deliveries = await self.store.due()
                self.turns.backlog = await self.store.backlog()
                for conversation in turns - self.turns.lane.busy:
                    self.turns.lane.poke(conversation)
                for conversation in deliveries - self.deliveries.lane.busy:
                    self.deliveries.lane.poke(conversation)
                await self._look_for_siblings_events()
            except asyncio.CancelledError:
                raise
            except Exception:
                logger.exception("gateway.sweep_failed")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._asleep.wait(), self.patience.sweep)
                return

    async def _look_for_siblings_events(self) -> None:
        """What another process wrote (a sibling gateway, `kefu release`) reaches pages open here."""
        watched = self.wake.watched
        seen, self._seen = self._seen, {}
        for start in range(0, len(watched), 500):
            for conversation, seq in (await self.store.sequences(watched[start : start + 500])).items():
                self._seen[conversation] = seq
                if seen.get(conversation) != seq:
                    self.wake.wake_here(conversation, {})

    async def conversation(self, conversation: str) -> Conversation:
        known = await self.store.conversation(conversation)
        if known is None:
            raise LookupError(f"There is no conversation {conversation}")
        return known
