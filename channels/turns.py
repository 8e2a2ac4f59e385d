"""The inbox is worked off: each message is a turn of the dialogue, or is answered by the gateway itself.

A turn is named by its message's id and a reply by (message, ordinal), so that doing it again changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.database import now_ms
from bot.exceptions import ChannelError, DialogueUnavailable, KefuError, OwnershipLost, TurnFailed
from bot.handoff import ownership, promises
from bot.handoff.ownership import Ownership
from bot.message import Button, Handoff, Inbound, Reply
from channels.channel import Conversation
from channels.drafts import body_of, draft_of, shows_something
from channels.lane import LeasedLane
from channels.payloads import BACK, PERSON, PLAN, SAY
from channels.store import Waiting, new_id
from channels.tables import conversations
from channels.texts import say

if TYPE_CHECKING:
    from channels.gateway import Gateway

logger = logging.getLogger(__name__)

MAX_TEXT = 2000  # characters; more is answered kindly and not understood

# Errors that say nothing about the message that was worked on.
_PASSING = (OperationalError, InterfaceError, PoolTimeout, OSError)

_APOLOGY = 900  # ordinals of the gateway's own sentences, after any reply of Rasa's
_PARKED = 901
OWN = 902

CheckClaims = Callable[[Reply], None]  # raises KefuError when a claim has no receipt


class Dialogue(Protocol):
    """What a turn needs of Rasa; `channels.rasa_client.RasaClient` is one."""

    async def turn(
        self, *, message_id: str, sender: str, text: str, payload: bool, metadata: dict[str, Any], retry: bool
    ) -> list[Reply]: ...


class Turns:
    """Poke its lane, and the messages that wait in a conversation are answered one after the other.

    Args:
        gateway: whose hooks are asked first, and which changes owners.
        concurrency: turns at the same time, over all conversations.
        check_claims: refuses a reply that claims what no receipt proves.
    """

    def __init__(self, gateway: Gateway, *, concurrency: int, check_claims: CheckClaims | None) -> None:
        self._gateway = gateway
        self._store, self._patience = gateway.store, gateway.patience
        self._check_claims = check_claims
        self._slots = asyncio.Semaphore(concurrency)
        self._finished: dict[str, list[asyncio.Future[None]]] = {}
        self.backlog = 0  # messages that wait; the sweep counts them anew
        self.lane = LeasedLane(
            "turn", self._work, store=gateway.store, holder=gateway.id, lease=gateway.patience.lease
        )

    async def wait_for(self, message_id: str, timeout: float) -> bool:
        """Wait until the turn of this message is over. False when it is not after `timeout` seconds."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._finished.setdefault(message_id, [])
        waiting.append(done)
        try:
            if await self._store.inbox_state(message_id) in ("done", "parked"):
                return True
            await asyncio.wait_for(done, timeout)
        except TimeoutError:
            return False
        finally:
            waiting.remove(done)
            if not waiting:
                self._finished.pop(message_id, None)
        return True

    async def _work(self, conversation: str) -> None:
        while True:
            waiting = await self._store.next_waiting(conversation, limit=20)
            if not waiting or self.lane.closed:
                return
            head = waiting[0]
            if head.next_at > now_ms():
                # Only the wish for a person may overtake a message that waits for Rasa.
                for later in waiting[1:]:
                    if await self._wants_person(later):
                        await self._to_person(later)
                        break
                else:
                    self.lane.poke_at(conversation, head.next_at)
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
        known = await self._store.conversation(waiting.conversation)
        if known is not None:
            await self._failed(waiting, known, await self._gateway.owner(known.id), failure, poison=True)
            return
        async with self._store.write() as connection:
            await self._store.park(connection, waiting.id, str(failure))
        self._over(waiting)

    async def _turn(self, waiting: Waiting) -> None:
        inbound = Inbound.model_validate(waiting.body)
        known = await self._gateway.conversation(waiting.conversation)
        if inbound.files:
            inbound = await self._fetch(waiting, known, inbound)
        owner = await self._gateway.owner(known.id)
        if self._gateway.intercept is not None and owner.owner in ("bot", "closed"):
            answer = await self._gateway.intercept(known, inbound, waiting.seq)
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
        if self._gateway.own_answer is not None:
            answer = await self._gateway.own_answer(known, inbound, payload)
            if answer is not None:
                await self._own_reply(waiting, known, owner, answer, "own")
                return
        if payload is not None and payload.startswith(SAY):
            key = payload.removeprefix(SAY)
            await self._own_reply(waiting, known, owner, Reply(text=say(key, known.language)), key)
            return
        await self._store.start_turn(waiting.id)
        await self._typing(known, True)
        try:
            replies = await self._gateway.dialogue.turn(
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
                    **(
                        await self._gateway.metadata(known.id, waiting.id)
                        if self._gateway.metadata is not None
                        else {}
                    ),
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
        channel = self._gateway.channels[known.channel]
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
            and (await self._gateway.owner(known.id)).owner in ("bot", "closed")
        ):  # fmt: skip
            # The words are a turn of their own, whose answer will not say it.
            reply = Reply(text=say("file_lost", known.language))
            await self._gateway.say_as_system(known.id, reply, key=f"file_lost:{waiting.id}")
        fetched = inbound.model_copy(
            update={"files": (), "attachments": tuple(attachments), "payload": payload}
        )
        await self._store.attach(
            waiting, fetched.model_dump(mode="json"), [attachment.model_dump() for attachment in attachments]
        )
        self._gateway.wake.wake(known.id)
        return fetched

    async def _answered_plan(
        self, waiting: Waiting, known: Conversation, owner: Ownership, inbound: Inbound, payload: str | None
    ) -> bool:
        """Whether this was a yes or no to a plan of the desk; then it is dealt with.

        What became of a write is told whoever owns the conversation by then.
        """
        pressed = payload is not None and payload.startswith(PLAN)
        if self._gateway.consent is None or not (pressed or owner.owner == "person"):
            return False
        answer = await self._gateway.consent(known, inbound, payload, waiting, owner)
        if answer is None:
            return False
        await self._gateway.say_as_system(known.id, answer, key=f"plan:{waiting.id}", answers=waiting.id)
        await self._done(waiting, "plan")
        return True

    async def _payload(self, waiting: Waiting, inbound: Inbound) -> str | None:
        """The payload of a pressed button, or of the shown one whose title or number was typed."""
        if inbound.payload is not None:
            return inbound.payload
        typed = _normal(inbound.text)
        if not typed or len(typed) > 80 or inbound.attachments:
            return None
        shown = await self._store.buttons_before(waiting.conversation, waiting.seq)
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
        known = await self._gateway.conversation(waiting.conversation)
        owner = await self._gateway.owner(known.id)
        if not owner.bot_may_speak:
            await self._done(waiting, "for_person")
            return
        reply = Reply(text=say("handed_over", known.language), handoff=Handoff(reason="asked"))
        await self._store_replies(waiting, known, owner, [reply], author="system", start=OWN)

    async def _own_reply(
        self, waiting: Waiting, known: Conversation, owner: Ownership, reply: Reply, outcome: str
    ) -> None:
        await self._store_replies(waiting, known, owner, [reply], author="system", start=OWN, outcome=outcome)

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
            async with self._store.write() as connection:
                await self._store.lock(connection, known.id)
                await ownership.hold(connection, known.id, owner.token)
                for n, reply in enumerate(replies):
                    await self._store_reply(connection, waiting, known, reply, start + n, author)
                for reply in withheld:
                    await self._withhold(connection, waiting, known, reply, "claim_withheld")
                await self._store.finish(connection, waiting.id, outcome)
                await _set_apologised(connection, known.id, False)
                if handoff is not None:
                    handed, packet, told = await self._gateway.to_pending(connection, known, handoff, owner)
                    if told is not None:
                        ordinal = start + len(replies)
                        await self._store_reply(connection, waiting, known, told, ordinal, "system")
                    await self._store.add_event(
                        connection, known.id, "handoff", "bot",
                        {"reason": handoff.reason, "goal": handoff.goal, "packet": packet},
                        audience="desk",
                    )  # fmt: skip
        except OwnershipLost:
            # Somebody took over while Rasa was thinking: what it says now is advice to him, no more.
            async with self._store.write() as connection:
                for reply in replies:
                    await self._withhold(connection, waiting, known, reply, "overtaken")
                await self._store.finish(connection, waiting.id, "overtaken")
        self._over(waiting)
        if handed is not None and handoff is not None:
            await self._gateway.handed_over(known, handoff, handed)

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
        draft = draft_of(reply, author, ordinal=ordinal)
        if shows_something(reply):
            seq = await self._store.add_message(
                connection, known, draft, inbound=waiting.id, next_at=waiting.passive_until
            )
            if seq is None:
                return  # stored before a kill
            await promises.make(connection, known.id, reply.promises, at=now_ms())
        await self._store.add_audit(
            connection, draft.id, known.id, waiting.id, "sent", reply.explain, reply.receipts
        )

    async def _withhold(
        self, connection: AsyncConnection, waiting: Waiting, known: Conversation, reply: Reply, outcome: str
    ) -> None:
        """Keep a reply that is not sent, as a suggestion for the person."""
        body = {**body_of(reply), "outcome": outcome, "inbound": waiting.id}
        await self._store.add_event(connection, known.id, "suggestion", "bot", body, audience="desk")
        await self._store.add_audit(
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
            attempts >= self._patience.turn_attempts
            if poison
            else now - since >= self._patience.park_after * 1000
        )
        level = logging.ERROR if given_up else logging.WARNING
        logger.log(
            level,
            "gateway.turn_failed message=%s attempts=%d parked=%s reason=%s",
            waiting.id, attempts, given_up, error,
        )  # fmt: skip
        if given_up:
            reply = Reply(text=say("parked", known.language), buttons=(_person_button(known),))
            async with self._store.write() as connection:
                await self._store.lock(connection, known.id)
                with contextlib.suppress(OwnershipLost):
                    await ownership.hold(connection, known.id, owner.token)
                    await self._store_reply(connection, waiting, known, reply, _PARKED, "system")
                await self._store.park(connection, waiting.id, str(error))
            self._over(waiting)
            return
        wait = self._patience.wait(attempts)
        if not poison:  # that one is tried again within seconds and then parked with a word of its own
            await self._apologise(waiting, known, owner)
        await self._store.postpone(waiting.id, now + int(wait * 1000), since, str(error), attempts)

    async def _apologise(self, waiting: Waiting, known: Conversation, owner: Ownership) -> None:
        """Once per conversation and outage."""
        async with self._store.write() as connection:
            if not await _set_apologised(connection, known.id, True):
                return
            with contextlib.suppress(OwnershipLost):
                await ownership.hold(connection, known.id, owner.token)
                reply = Reply(text=say("dialogue_down", known.language), buttons=(_person_button(known),))
                await self._store_reply(connection, waiting, known, reply, _APOLOGY, "system")
        self._gateway.wake.wake(known.id)
        self._gateway.deliveries.lane.poke(known.id)

    async def _reopen(self, known: Conversation, owner: Ownership, inbound: Inbound | None) -> Ownership:
        """A shopper who writes after the end begins anew with the bot, or goes on with the same person."""
        to: ownership.Owner = "bot"
        agent, reason = None, "shopper_wrote"
        if self._gateway.reopen is not None and inbound is not None:
            to, agent, reason = await self._gateway.reopen(known, owner, inbound)
        with contextlib.suppress(OwnershipLost):
            return await self._gateway.hand_over(known.id, owner, to, agent=agent, reason=reason)
        return await self._gateway.owner(known.id)

    async def _back_to_bot(self, waiting: Waiting, known: Conversation, owner: Ownership) -> None:
        """A waiting shopper would rather go on with the bot."""
        with contextlib.suppress(OwnershipLost):
            owner = await self._gateway.hand_over(known.id, owner, "bot", reason="shopper_back")
            await self._own_reply(
                waiting, known, owner, Reply(text=say("back_to_bot", known.language)), "back"
            )
            return
        await self._done(waiting, "for_person")  # a person took it at the same moment

    async def _done(self, waiting: Waiting, outcome: str) -> None:
        async with self._store.write() as connection:
            await self._store.finish(connection, waiting.id, outcome)
        self._over(waiting)

    def _over(self, waiting: Waiting) -> None:
        self.backlog = max(0, self.backlog - 1)
        for done in self._finished.get(waiting.id, ()):
            if not done.done():
                done.set_result(None)
        self._gateway.wake.wake(waiting.conversation)
        self._gateway.deliveries.lane.poke(waiting.conversation)

    async def _typing(self, known: Conversation, on: bool) -> None:
        channel = self._gateway.channels.get(known.channel)
        if channel is None or not channel.capabilities.typing:
            return
        with contextlib.suppress(Exception):
            await channel.typing(known, on)


async def _set_apologised(connection: AsyncConnection, conversation: str, on: bool) -> bool:
    """True when this changed anything."""
    result = await connection.execute(
        conversations.update()
        .where(conversations.c.id == conversation, conversations.c.apologised.is_(not on))
        .values(apologised=on)
    )
    return bool(result.rowcount == 1)


def _says_something(reply: Reply) -> bool:
    return shows_something(reply) or reply.handoff is not None


def _person_button(known: Conversation) -> Button:
    return Button(title=say("ask_person", known.language), payload=PERSON)


def _normal(text: str) -> str:
    """For comparing what was typed with what was shown: width, case and outer space do not matter."""
    return unicodedata.normalize("NFKC", text).strip().casefold()
