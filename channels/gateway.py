"""The gateway's core: every message is stored before anybody is answered, and worked off in order.

    receive -> inbox -> turn (Rasa) -> outbox -> deliver -> delivered mark
               per conversation in order, conversations side by side

Two lanes per conversation, one for turns and one for deliveries, so that a platform that is slow to
take a reply does not hold up the dialogue. Whatever the process dies in the middle of is found again
by the sweep; a turn is named by its message's id and a reply by (message, ordinal), so that doing it
again changes nothing.
This module knows no platform.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import unicodedata
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.database import insert_once, now_ms
from bot.exceptions import (
    ChannelError,
    DialogueUnavailable,
    KefuError,
    OwnershipLost,
    TooMany,
    TurnFailed,
)
from bot.handoff import ownership, promises
from bot.handoff.ownership import Ownership
from bot.message import Button, Handoff, Inbound, Reply
from channels.channel import Channel, Conversation, Delivery
from channels.lane import Lane
from channels.limits import MessageLimits
from channels.store import Draft, Received, Store, Waiting, new_id
from channels.tables import conversations, inbox
from channels.texts import language_of, say, spoken
from channels.wake import Wake

logger = logging.getLogger(__name__)

MAX_TEXT = 2000  # characters; more is answered kindly and not understood
MAX_STORED = 10_000  # characters kept of a longer text
SAY = "gateway:say:"  # payload prefix: the gateway answers itself, with that sentence of texts.py
PERSON = "gateway:person"  # payload of the button that asks for a person; works while Rasa is down
PLAN = "gateway:plan:"  # begins the payload of the buttons under a plan of the desk
BACK = "gateway:back"  # payload of the button of a waiting shopper who would rather go on with the bot

# Errors that say nothing about the message that was worked on.
_PASSING = (OperationalError, InterfaceError, PoolTimeout, OSError)

_APOLOGY = 900  # ordinals of the gateway's own sentences, after any reply of Rasa's
_PARKED = 901
_OWN = 902


class Dialogue(Protocol):
    """What the gateway needs of Rasa; `channels.rasa_client.RasaClient` is one."""

    async def turn(
        self, *, message_id: str, sender: str, text: str, payload: bool, metadata: dict[str, Any], retry: bool
    ) -> list[Reply]: ...


@dataclass(frozen=True)
class Patience:
    """When to try again and when to give up. Seconds."""

    first: float = 0.5  # wait after the first failure, doubled each time
    longest: float = 20.0
    longest_delivery: float = 60.0  # a platform that is down is asked again that often
    park_after: float = 600.0  # Rasa cannot be reached: how long a message waits for it
    turn_attempts: int = 3  # Rasa answers with an error: how often one message is tried
    deliver_for: float = 6 * 3600.0  # a platform cannot be reached: how long a reply waits for it
    sweep: float = 1.0
    lease: float = 15.0

    def wait(self, attempts: int, longest: float | None = None) -> float:
        return float(min(longest or self.longest, self.first * 2 ** min(max(0, attempts - 1), 20)))


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
CheckClaims = Callable[[Reply], None]  # raises KefuError when a claim has no receipt
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
        self._check_claims = check_claims
        self._slots = asyncio.Semaphore(concurrency)
        self._max_backlog = max_backlog
        self._backlog = 0
        self._turns = Lane(lambda conversation: self._leased("turn", conversation, self._work_turns))
        self._deliveries = Lane(
            lambda conversation: self._leased("delivery", conversation, self._work_deliveries)
        )
        self._finished: dict[str, list[asyncio.Future[None]]] = {}
        self._seen: dict[str, int] = {}  # last sequence number of the conversations shown here
        self._sweeper: asyncio.Task[None] | None = None
        self._stopping = False
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
        self._stopping = True
        tasks = [*self._turns.close(), *self._deliveries.close()]
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
        return bool(self._turns.busy or self._deliveries.busy)

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
        can put them into the answer to the platform's own request (`wait_for_turn`, `take_passively`).
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
        if self._backlog >= self._max_backlog:
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
        self._backlog += 1
        self.wake.wake(conversation.id)
        self._turns.poke(conversation.id)
        if freed or refused:
            self._deliveries.poke(conversation.id)
        return Received(message_id, conversation.id, seq, False)

    async def _not_read(
        self, connection: AsyncConnection, conversation: Conversation, message_id: str
    ) -> None:
        """A message over the limits: no turn, and one sentence a minute that says so."""
        logger.warning("gateway.over_limit conversation=%s", conversation.id)
        await self.store.finish(connection, message_id, "over_limit")
        if (await ownership.get(connection, conversation.id)).bot_may_speak:
            body = self._body(Reply(text=say("over_limit", conversation.language)), ())
            await self.store.add_message(
                connection,
                conversation,
                Draft(new_id(), _OWN, "system", body),
                inbound=f"over_limit:{conversation.id}:{now_ms() // 60_000}",
            )

    async def press(self, conversation: str, token: str) -> tuple[str, str] | None:
        """(title, payload) behind a button of this conversation, for the channel's `Inbound`."""
        return await self.store.button(conversation, token)

    # passive replies (WeChat answers inside the platform's own request)

    async def wait_for_turn(self, message_id: str, timeout: float) -> bool:
        """Wait until the turn of this message is over. False when it is not after `timeout` seconds."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._finished.setdefault(message_id, [])
        waiting.append(done)
        try:
            if await self.store.inbox_state(message_id) in ("done", "parked"):
                return True
            await asyncio.wait_for(done, timeout)
        except TimeoutError:
            return False
        finally:
            waiting.remove(done)
            if not waiting:
                self._finished.pop(message_id, None)
        return True

    async def take_passively(self, message_id: str) -> list[Any]:
        """The replies to this message, claimed for a passive answer. Then call `passively_delivered`."""
        return await self.store.take_pending(message_id)

    async def passively_delivered(self, messages: Sequence[Any], delivery: Delivery = Delivery()) -> None:
        """The passive answer left (or, with another verdict, did not)."""
        await self.store.settle(messages, delivery)
        for conversation in {message.conversation for message in messages}:
            self._deliveries.poke(conversation)

    async def deliver_held(self, conversation: str) -> None:
        """What had to be held may go out now: the platform opened its window again."""
        async with self.store.write() as connection:
            await self.store.unhold(connection, conversation)
        self._deliveries.poke(conversation)

    async def all_delivered(self, conversation: str, timeout: float) -> bool:
        """Wait until nothing is on its way to the shopper any more. False when something is after `timeout` seconds."""
        until = asyncio.get_running_loop().time() + timeout
        while await self.store.undelivered(conversation):
            if asyncio.get_running_loop().time() >= until:
                return False
            await asyncio.sleep(0.05)
        return True

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
        self._turns.poke(conversation)
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
        known = await self._conversation(conversation)
        payloads = self._payloads(reply.buttons)
        body = self._body(reply, payloads)
        body["agent"] = agent
        if media:
            body["media"] = list(media)
        draft = Draft(new_id(), 0, "person", body, payloads)
        async with self.store.write() as connection:
            await self.store.lock(connection, conversation)
            await ownership.hold(connection, conversation, token, "person")
            seq = await self.store.add_message(connection, known, draft, inbound=f"desk:{key}")
            if seq is not None and reply.explain:
                await self.store.add_audit(
                    connection, draft.id, conversation, None, "sent", reply.explain, reply.receipts
                )
        self.wake.wake(conversation)
        self._deliveries.poke(conversation)
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
        known = await self._conversation(conversation)
        async with self.store.write() as connection:
            if under is not None:
                await self.store.lock(connection, conversation)
                await ownership.hold(connection, conversation, under.token, under.owner)
            payloads = self._payloads(reply.buttons)
            draft = Draft(new_id(), 0, "system", self._body(reply, payloads), payloads)
            seq = await self.store.add_message(connection, known, draft, inbound=f"system:{key}")
            if seq is not None and along is not None:
                await along(connection, conversation)
            if seq is not None and (reply.explain or reply.receipts):
                await self.store.add_audit(
                    connection, draft.id, conversation, answers, "sent", reply.explain, reply.receipts
                )
                await promises.make(connection, conversation, reply.promises, at=now_ms())
        self.wake.wake(conversation)
        self._deliveries.poke(conversation)
        return seq

    async def call_person(self, conversation: str, handoff: Handoff, reply: Reply, *, key: str) -> bool:
        """Say `reply` and give the conversation to a person, on nobody's turn (a broken promise).

        Whoever waits already, or has a person, keeps his place; the person is told by a line at the desk. A call with
        the same `key` does nothing more. False when a person has it, who then speaks for himself.
        """
        known = await self._conversation(conversation)
        payloads = self._payloads(reply.buttons)
        draft = Draft(new_id(), 0, "system", self._body(reply, payloads), payloads)
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
                handed = await change_owner(
                    self.store, connection, conversation, current, "pending", reason=handoff.reason
                )
                packet = handoff.packet
                if self.on_pending is not None:
                    packet, told = await self.on_pending(connection, known, handoff, handed)
                    if told is not None:
                        shown = self._payloads(told.buttons)
                        ack = Draft(new_id(), 0, "system", self._body(told, shown), shown)
                        await self.store.add_message(connection, known, ack, inbound=f"system:{key}:waiting")
            else:
                packet = handoff.packet
            await self.store.add_event(
                connection, conversation, "handoff", "system",
                {"reason": handoff.reason, "goal": handoff.goal, "packet": packet, "key": key}, audience="desk",
            )  # fmt: skip
        self.wake.wake(conversation)
        self._deliveries.poke(conversation)
        if handed is not None:
            await self._handed_over(known, handoff, handed)
        return current.owner != "person"

    async def _handed_over(self, known: Conversation, handoff: Handoff, handed: Ownership) -> None:
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

    # lanes

    async def _leased(self, lane: str, conversation: str, work: Callable[[str], Awaitable[None]]) -> None:
        """Work on a conversation that no sibling works on."""
        try:
            if not await self.store.lease(lane, conversation, self.id, self.patience.lease):
                return  # a sibling works on it; the sweep looks again
            renewing = asyncio.create_task(self._renew(lane, conversation))
            try:
                await work(conversation)
            finally:
                renewing.cancel()
                await self.store.release_lease(lane, conversation, self.id)
        except asyncio.CancelledError:
            raise
        except Exception:  # the lane's outermost door; the sweep tries again
            logger.exception("gateway.lane_failed lane=%s conversation=%s", lane, conversation)

    async def _renew(self, lane: str, conversation: str) -> None:
        while not self.store.embedded:
            await asyncio.sleep(self.patience.lease / 3)
            with contextlib.suppress(Exception):  # a missed renewal costs nothing: turns are joined by id
                await self.store.lease(lane, conversation, self.id, self.patience.lease)

    async def _sweep(self) -> None:
        """Find work nobody is doing: what a dead gateway left, and what a lane gave up on."""
        while True:
            try:
                await self.store.give_back_claims()
                turns, deliveries = await self.store.due()
                self._backlog = await self.store.backlog()
                for conversation in turns - self._turns.busy:
                    self._turns.poke(conversation)
                for conversation in deliveries - self._deliveries.busy:
                    self._deliveries.poke(conversation)
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

    # turns

    async def _work_turns(self, conversation: str) -> None:
        while True:
            waiting = await self.store.next_waiting(conversation, limit=20)
            if not waiting or self._stopping:
                return
            head = waiting[0]
            if head.next_at > now_ms():
                # Only the wish for a person may overtake a message that waits for Rasa.
                for later in waiting[1:]:
                    if await self._wants_person(later):
                        await self._to_person(later)
                        break
                else:
                    self._turns.poke_at(conversation, head.next_at)
                    return
                continue
            async with self._slots:
                try:
                    await self._turn(head)
                except _PASSING:
                    raise  # of the database or the network, not of this message; the sweep tries again
                except Exception as exc:
                    await self._tripped(head, exc)

    async def _tripped(self, waiting: Waiting, error: Exception) -> None:
        """A message that makes us stumble must not stop those behind it for ever."""
        logger.exception("gateway.turn_raised message=%s", waiting.id)
        failure = TurnFailed(f"{type(error).__name__}: {error}")
        known = await self.store.conversation(waiting.conversation)
        if known is not None:
            await self._failed(waiting, known, await self.owner(known.id), failure, poison=True)
            return
        async with self.store.write() as connection:
            await self.store.park(connection, waiting.id, str(failure))
        self._over(waiting)

    async def _turn(self, waiting: Waiting) -> None:
        inbound = Inbound.model_validate(waiting.body)
        known = await self._conversation(waiting.conversation)
        if inbound.files:
            inbound = await self._fetch(waiting, known, inbound)
        owner = await self.owner(known.id)
        if self.intercept is not None and owner.owner in ("bot", "closed"):
            answer = await self.intercept(known, inbound, waiting.seq)
            if answer is not None:
                if owner.owner == "closed":
                    owner = await self._reopen(known, owner, None)
                await self._own_reply(waiting, known, owner, answer, "rating")
                return
        while owner.owner == "closed":  # again, when somebody took and ended it at this very moment
            owner = await self._reopen(known, owner, inbound)
        if owner.owner == "pending" and await self._payload(waiting, inbound) == BACK:
            await self._back_to_bot(waiting, known, owner)
            return
        payload = None
        if owner.owner == "person" or (inbound.payload or "").startswith(PLAN):
            payload = await self._payload(waiting, inbound)
            if await self._answered_plan(waiting, known, owner, inbound, payload):
                return
        if not owner.bot_may_speak:
            await self._done(waiting, "for_person")
            return
        if len(inbound.text) > MAX_TEXT:
            await self._own_reply(
                waiting, known, owner, Reply(text=say("too_long", known.language, limit=MAX_TEXT)), "too_long"
            )
            return
        payload = await self._payload(waiting, inbound)
        if await self._answered_plan(waiting, known, owner, inbound, payload):
            return
        if payload == BACK:  # pressed again, or after a person gave the conversation back
            await self._own_reply(
                waiting, known, owner, Reply(text=say("back_to_bot", known.language)), "back"
            )
            return
        if payload == PERSON:
            await self._to_person(waiting)
            return
        if self.own_answer is not None:
            answer = await self.own_answer(known, inbound, payload)
            if answer is not None:
                await self._own_reply(waiting, known, owner, answer, "own")
                return
        if payload is not None and payload.startswith(SAY):
            key = payload.removeprefix(SAY)
            await self._own_reply(waiting, known, owner, Reply(text=say(key, known.language)), key)
            return
        await self.store.start_turn(waiting.id)
        await self._typing(known, True)
        try:
            replies = await self.dialogue.turn(
                message_id=waiting.id,
                sender=known.id,
                text=payload if payload is not None else inbound.text,
                payload=payload is not None,
                metadata={
                    "channel": inbound.channel,
                    "locale": known.locale,
                    "source": inbound.source,
                    "customer": inbound.customer,
                    "media": [attachment.model_dump() for attachment in inbound.attachments],
                    **(await self.metadata(known.id, waiting.id) if self.metadata is not None else {}),
                },
                retry=waiting.attempts > 0,
            )
        except TurnFailed as exc:
            await self._failed(waiting, known, owner, exc, poison=True)
            return
        except DialogueUnavailable as exc:
            await self._failed(waiting, known, owner, exc, poison=False)
            return
        finally:
            await self._typing(known, False)
        await self._store_replies(waiting, known, owner, replies)

    async def _fetch(self, waiting: Waiting, known: Conversation, inbound: Inbound) -> Inbound:
        """The message with its files in our store, written down, so that it is done once."""
        channel = self.channels[known.channel]
        attachments, lost = list(inbound.attachments), False
        for file in inbound.files:
            try:
                attachments.append(await channel.fetch(known, file))
            except ChannelError as exc:
                lost = True
                logger.warning("gateway.file_lost conversation=%s reason=%s", known.id, exc)
        payload = inbound.payload
        unsaid = payload is None and not inbound.text
        if lost and not attachments and (unsaid or payload == SAY + "video_unseen"):
            payload = SAY + "file_lost"
        elif (
            lost and payload is None and channel.capabilities.captions
            and (await self.owner(known.id)).owner in ("bot", "closed")
        ):  # fmt: skip
            # The words are a turn of their own, whose answer will not say it.
            reply = Reply(text=say("file_lost", known.language))
            await self.say_as_system(known.id, reply, key=f"file_lost:{waiting.id}")
        fetched = inbound.model_copy(
            update={"files": (), "attachments": tuple(attachments), "payload": payload}
        )
        await self.store.attach(
            waiting, fetched.model_dump(mode="json"), [attachment.model_dump() for attachment in attachments]
        )
        self.wake.wake(known.id)
        return fetched

    async def _answered_plan(
        self, waiting: Waiting, known: Conversation, owner: Ownership, inbound: Inbound, payload: str | None
    ) -> bool:
        """Whether this was a yes or no to a plan of the desk; then it is dealt with.

        What became of a write is told whoever owns the conversation by then.
        """
        pressed = payload is not None and payload.startswith(PLAN)
        if self.consent is None or not (pressed or owner.owner == "person"):
            return False
        answer = await self.consent(known, inbound, payload, waiting, owner)
        if answer is None:
            return False
        await self.say_as_system(known.id, answer, key=f"plan:{waiting.id}", answers=waiting.id)
        await self._done(waiting, "plan")
        return True

    async def _payload(self, waiting: Waiting, inbound: Inbound) -> str | None:
        """The payload of a pressed button, or of the shown one whose title or number was typed."""
        if inbound.payload is not None:
            return inbound.payload
        typed = _normal(inbound.text)
        if not typed or len(typed) > 80 or inbound.attachments:
            return None
        shown = await self.store.buttons_before(waiting.conversation, waiting.seq)
        for title, payload in shown:
            if _normal(title) == typed:
                return payload
        number = typed.rstrip(".、)") if len(typed) <= 3 else ""
        if number.isdecimal() and 1 <= int(number) <= len(shown):
            return shown[int(number) - 1][1]
        return None

    async def _wants_person(self, waiting: Waiting) -> bool:
        return await self._payload(waiting, Inbound.model_validate(waiting.body)) == PERSON

    async def _to_person(self, waiting: Waiting) -> None:
        """The shopper pressed the gateway's own button."""
        known = await self._conversation(waiting.conversation)
        owner = await self.owner(known.id)
        if not owner.bot_may_speak:
            await self._done(waiting, "for_person")
            return
        reply = Reply(text=say("handed_over", known.language), handoff=Handoff(reason="asked"))
        await self._store_replies(waiting, known, owner, [reply], author="system", start=_OWN)

    async def _own_reply(
        self, waiting: Waiting, known: Conversation, owner: Ownership, reply: Reply, outcome: str
    ) -> None:
        await self._store_replies(
            waiting, known, owner, [reply], author="system", start=_OWN, outcome=outcome
        )

    async def _store_replies(
        self,
        waiting: Waiting,
        known: Conversation,
        owner: Ownership,
        replies: Sequence[Reply],
        *,
        author: str = "bot",
        start: int = 0,
        outcome: str = "answered",
    ) -> None:
        """One transaction: replies, events, audit, ownership, and the message is done."""
        if not any(_says_something(reply) for reply in replies):  # nobody is left without an answer
            why = {"response": "no_answer", **(replies[0].explain if replies else {})}
            text = say("no_answer", known.language)
            replies = [Reply(text=text, buttons=(_person_button(known),), explain=why)]
            author, outcome = "system", "no_answer"
        withheld: list[Reply] = []
        if author == "bot" and self._check_claims is not None:
            replies, withheld = self._receipted(replies, known)
        handoff = next((reply.handoff for reply in replies if reply.handoff), None)
        handed: Ownership | None = None
        try:
            async with self.store.write() as connection:
                await self.store.lock(connection, known.id)
                await ownership.hold(connection, known.id, owner.token)
                for n, reply in enumerate(replies):
                    await self._store_reply(connection, waiting, known, reply, start + n, author)
                for reply in withheld:
                    await self._withhold(connection, waiting, known, reply, "claim_withheld")
                await self.store.finish(connection, waiting.id, outcome)
                await _set_apologised(connection, known.id, False)
                if handoff is not None:
                    handed = await change_owner(
                        self.store, connection, known.id, owner, "pending", reason=handoff.reason
                    )
                    packet = handoff.packet
                    if self.on_pending is not None:
                        packet, told = await self.on_pending(connection, known, handoff, handed)
                        if told is not None:
                            ordinal = start + len(replies)
                            await self._store_reply(connection, waiting, known, told, ordinal, "system")
                    await self.store.add_event(
                        connection, known.id, "handoff", "bot",
                        {"reason": handoff.reason, "goal": handoff.goal, "packet": packet},
                        audience="desk",
                    )  # fmt: skip
        except OwnershipLost:
            # Somebody took over while Rasa was thinking: what it says now is advice to him, no more.
            async with self.store.write() as connection:
                for reply in replies:
                    await self._withhold(connection, waiting, known, reply, "overtaken")
                await self.store.finish(connection, waiting.id, "overtaken")
        self._over(waiting)
        if handed is not None and handoff is not None:
            await self._handed_over(known, handoff, handed)

    def _receipted(self, replies: Sequence[Reply], known: Conversation) -> tuple[list[Reply], list[Reply]]:
        """Split replies into those that may be sent and those that claim what no receipt proves."""
        assert self._check_claims is not None
        good: list[Reply] = []
        withheld: list[Reply] = []
        for reply in replies:
            try:
                self._check_claims(reply)
            except KefuError as exc:
                logger.error("gateway.claim_withheld conversation=%s reason=%s", known.id, exc)
                withheld.append(reply)
            else:
                good.append(reply)
        if withheld:
            text = say("claim_withheld", known.language)
            good.append(Reply(text=text, handoff=Handoff(reason="claim_without_receipt")))
        return good, withheld

    async def _store_reply(
        self,
        connection: AsyncConnection,
        waiting: Waiting,
        known: Conversation,
        reply: Reply,
        ordinal: int,
        author: str,
    ) -> None:
        reply_id = new_id()
        if _shows_something(reply):
            payloads = self._payloads(reply.buttons)
            seq = await self.store.add_message(
                connection,
                known,
                Draft(reply_id, ordinal, author, self._body(reply, payloads), payloads),
                inbound=waiting.id,
                next_at=waiting.passive_until,
            )
            if seq is None:
                return  # stored before a kill
            await promises.make(connection, known.id, reply.promises, at=now_ms())
        await self.store.add_audit(
            connection, reply_id, known.id, waiting.id, "sent", reply.explain, reply.receipts
        )

    async def _withhold(
        self, connection: AsyncConnection, waiting: Waiting, known: Conversation, reply: Reply, outcome: str
    ) -> None:
        """Keep a reply that is not sent, as a suggestion for the person."""
        body = {**self._body(reply, ()), "outcome": outcome, "inbound": waiting.id}
        await self.store.add_event(connection, known.id, "suggestion", "bot", body, audience="desk")
        await self.store.add_audit(
            connection, new_id(), known.id, waiting.id, outcome, reply.explain, reply.receipts
        )

    async def _failed(
        self,
        waiting: Waiting,
        known: Conversation,
        owner: Ownership,
        error: DialogueUnavailable,
        *,
        poison: bool,
    ) -> None:
        """Rasa did not do it: say so once, then try again, and give up in the end."""
        attempts = waiting.attempts + 1
        now = now_ms()
        since = waiting.failed_at or now
        given_up = (
            attempts >= self.patience.turn_attempts
            if poison
            else now - since >= self.patience.park_after * 1000
        )
        level = logging.ERROR if given_up else logging.WARNING
        logger.log(
            level,
            "gateway.turn_failed message=%s attempts=%d parked=%s reason=%s",
            waiting.id, attempts, given_up, error,
        )  # fmt: skip
        if given_up:
            reply = Reply(text=say("parked", known.language), buttons=(_person_button(known),))
            async with self.store.write() as connection:
                await self.store.lock(connection, known.id)
                with contextlib.suppress(OwnershipLost):
                    await ownership.hold(connection, known.id, owner.token)
                    await self._store_reply(connection, waiting, known, reply, _PARKED, "system")
                await self.store.park(connection, waiting.id, str(error))
            self._over(waiting)
            return
        wait = self.patience.wait(attempts)
        if not poison:  # that one is tried again within seconds and then parked with a word of its own
            await self._apologise(waiting, known, owner)
        await self.store.postpone(waiting.id, now + int(wait * 1000), since, str(error), attempts)

    async def _apologise(self, waiting: Waiting, known: Conversation, owner: Ownership) -> None:
        """Once per conversation and outage."""
        async with self.store.write() as connection:
            if not await _set_apologised(connection, known.id, True):
                return
            with contextlib.suppress(OwnershipLost):
                await ownership.hold(connection, known.id, owner.token)
                reply = Reply(text=say("dialogue_down", known.language), buttons=(_person_button(known),))
                await self._store_reply(connection, waiting, known, reply, _APOLOGY, "system")
        self.wake.wake(known.id)
        self._deliveries.poke(known.id)

    async def _reopen(self, known: Conversation, owner: Ownership, inbound: Inbound | None) -> Ownership:
        """A shopper who writes after the end begins anew with the bot, or goes on with the same person."""
        to: ownership.Owner = "bot"
        agent, reason = None, "shopper_wrote"
        if self.reopen is not None and inbound is not None:
            to, agent, reason = await self.reopen(known, owner, inbound)
        with contextlib.suppress(OwnershipLost):
            return await self.hand_over(known.id, owner, to, agent=agent, reason=reason)
        return await self.owner(known.id)

    async def _back_to_bot(self, waiting: Waiting, known: Conversation, owner: Ownership) -> None:
        """A waiting shopper would rather go on with the bot."""
        with contextlib.suppress(OwnershipLost):
            owner = await self.hand_over(known.id, owner, "bot", reason="shopper_back")
            await self._own_reply(
                waiting, known, owner, Reply(text=say("back_to_bot", known.language)), "back"
            )
            return
        await self._done(waiting, "for_person")  # a person took it at the same moment

    async def _done(self, waiting: Waiting, outcome: str) -> None:
        async with self.store.write() as connection:
            await self.store.finish(connection, waiting.id, outcome)
        self._over(waiting)

    def _over(self, waiting: Waiting) -> None:
        self._backlog = max(0, self._backlog - 1)
        for done in self._finished.get(waiting.id, ()):
            if not done.done():
                done.set_result(None)
        self.wake.wake(waiting.conversation)
        self._deliveries.poke(waiting.conversation)

    def _payloads(self, buttons: Sequence[Button]) -> tuple[tuple[str, str, str], ...]:
        """(token, title, payload): only token and title ever leave the gateway."""
        return tuple((new_id(), button.title, button.payload) for button in buttons)

    def _body(self, reply: Reply, payloads: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
        """The part of a reply that goes into the event log."""
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

    # deliveries

    async def _work_deliveries(self, conversation: str) -> None:
        known = await self.store.conversation(conversation)
        if known is None:
            return
        channel = self.channels.get(known.channel)
        if channel is None:
            logger.warning("gateway.no_channel channel=%s: its messages wait", known.channel)
            return
        while True:
            messages, due = await self.store.next_deliveries(conversation, channel.capabilities.batch)
            if not messages or self._stopping:
                return
            if due > now_ms():
                self._deliveries.poke_at(conversation, due)
                return
            if channel.capabilities.passive:
                messages = await self.store.claim(messages)
                if not messages:
                    continue  # they are leaving with the platform's own request
            delivery = await self._deliver(channel, await self._conversation(conversation), messages)
            attempts = messages[0].attempts + 1
            spent = delivery.status == "retry" and (
                attempts >= channel.capabilities.attempts
                if delivery.slip
                else now_ms() - messages[0].created_at >= self.patience.deliver_for * 1000
            )
            wait = delivery.after
            if wait is None:
                wait = self.patience.wait(attempts, self.patience.longest_delivery)
            await self.store.settle(
                messages,
                delivery,
                next_at=now_ms() + int(wait * 1000) if delivery.status == "retry" else 0,
                failed=spent,
            )
            if delivery.unreachable:
                await self.store.set_reachable(conversation, False)
            if delivery.status in ("failed", "unknown", "held") or spent:
                logger.warning(
                    "gateway.not_delivered conversation=%s status=%s attempts=%d reason=%s",
                    conversation, delivery.status, attempts, delivery.reason,
                )  # fmt: skip
                await self.write_event(
                    conversation, "delivery", "system",
                    {"of": messages[0].seq, "status": "failed" if spent else delivery.status,
                     "reason": delivery.reason},
                )  # fmt: skip

    async def _deliver(self, channel: Channel, known: Conversation, messages: Sequence[Any]) -> Delivery:
        try:
            return await channel.deliver(known, messages)
        except asyncio.CancelledError:
            raise
        except Exception as exc:  # a channel's slip must not stop the lane
            logger.exception("gateway.deliver_raised channel=%s", channel.name)
            return Delivery("retry", reason=f"{type(exc).__name__}: {exc}", slip=True)

    async def _typing(self, known: Conversation, on: bool) -> None:
        channel = self.channels.get(known.channel)
        if channel is None or not channel.capabilities.typing:
            return
        with contextlib.suppress(Exception):
            await channel.typing(known, on)

    async def _conversation(self, conversation: str) -> Conversation:
        known = await self.store.conversation(conversation)
        if known is None:
            raise LookupError(f"There is no conversation {conversation}")
        return known


async def change_owner(
    store: Store,
    connection: AsyncConnection,
    conversation: str,
    current: Ownership,
    owner: ownership.Owner,
    *,
    agent: str | None = None,
    reason: str | None = None,
) -> Ownership:
    """`ownership.change` plus the line in the conversation, in one transaction.

    Raises:
        OwnershipLost: the conversation is not as `current` says any more.
        ValueError: that owner cannot follow this one.
    """
    await store.lock(connection, conversation)
    changed = await ownership.change(connection, current, owner, agent=agent, reason=reason)
    await store.add_event(
        connection, conversation, "owner", "system",
        {"owner": owner, "agent": agent, "reason": reason, "token": changed.token},
    )  # fmt: skip
    return changed


async def release(store: Store, conversation: str, *, reason: str = "released") -> Ownership:
    """Give a conversation back to the bot; a running gateway notices by itself within a second.

    Raises:
        LookupError: there is no such conversation.
        OwnershipLost: it changed hands at the same moment.
        ValueError: the bot owns it already.
    """
    if await store.conversation(conversation) is None:
        raise LookupError(f"There is no conversation {conversation}")
    async with store.read() as connection:
        current = await ownership.get(connection, conversation)
    async with store.write() as connection:
        return await change_owner(store, connection, conversation, current, "bot", reason=reason)


async def _set_apologised(connection: AsyncConnection, conversation: str, on: bool) -> bool:
    """True when this changed anything."""
    result = await connection.execute(
        conversations.update()
        .where(conversations.c.id == conversation, conversations.c.apologised.is_(not on))
        .values(apologised=on)
    )
    return bool(result.rowcount == 1)


def _shows_something(reply: Reply) -> bool:
    return bool(reply.text or reply.buttons or reply.card or reply.image or reply.media or reply.citations)


def _says_something(reply: Reply) -> bool:
    return _shows_something(reply) or reply.handoff is not None


def _person_button(known: Conversation) -> Button:
    return Button(title=say("ask_person", known.language), payload=PERSON)


def _normal(text: str) -> str:
    """For comparing what was typed with what was shown: width, case and outer space do not matter."""
    return unicodedata.normalize("NFKC", text).strip().casefold()
