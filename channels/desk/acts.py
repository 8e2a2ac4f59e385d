"""What a person does with a conversation: take it, answer, pass it on, give it back, close it.

Kefu's own desk and the desks of others (`channels.desk_adapters`) do the same things in the same way, under the
fencing token they were decided under. This module knows no HTTP and no page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.database import now_ms
from bot.exceptions import DeskError
from bot.handoff import cases, ownership, promises
from bot.handoff.hours import Hours
from bot.handoff.ownership import Ownership
from bot.message import Reply
from channels.desk.words import clock_time, join, sentence
from channels.gateway import Gateway
from channels.wechat import allowance

LIMITED = ("wechat", "wecom")  # channels that count messages


class Acts:
    """Over one gateway. `hours` says on which clock times are told."""

    def __init__(self, gateway: Gateway, hours: Hours) -> None:
        self.gateway = gateway
        self.store = gateway.store
        self.hours = hours

    # taking and giving

    async def claim(self, current: Ownership, agent: str) -> Ownership:
        """Take it, from whoever has it. A promise of an answer is not kept by it, but by the first words.

        Raises:
            OwnershipLost: somebody else was quicker.
        """
        reason = "claimed" if current.owner == "pending" else "taken"
        return await self.gateway.hand_over(
            current.conversation, current, "person", agent=agent, reason=reason
        )

    async def pass_on(self, current: Ownership, to: str | None) -> Ownership:
        """To another person, or (None) to whoever is free.

        Raises:
            OwnershipLost: it changed hands meanwhile.
        """
        if to is None:
            return await self.gateway.hand_over(current.conversation, current, "pending", reason="passed_on")
        return await self.gateway.hand_over(
            current.conversation, current, "person", agent=to, reason="assigned"
        )

    async def release(
        self, current: Ownership, agent: str, *, note: str = "", tell: bool = False, until: int | None = None
    ) -> Ownership:
        """Back to the bot. `note` is for it, `tell` says it to the shopper too, `until` (ms) is what was promised.

        Raises:
            OwnershipLost: it changed hands meanwhile.
        """
        known = await self.store.conversation(current.conversation)
        assert known is not None, "whoever owns a conversation has one"
        if note and current.owner == "person":
            async with self.store.write() as connection:
                await ownership.hold(connection, known.id, current.token, "person")
                case = await cases.open_case(connection, known.id)
                if case is not None:
                    kept = {"agent": agent, "text": note, "promise_until": until, "at": now_ms(),
                            "told": tell}  # fmt: skip
                    await cases.update(connection, case.id, note=kept)
        if note and tell:
            language = known.language
            told = sentence("returned", language, agent=agent, note=note)
            promised = ""
            if until:
                when = clock_time(until, language, self.hours.zone)
                promised = sentence("returned_promise", language, promised=when)
            budget = await self.budget(known.id)
            await self.gateway.say_as_person(
                known.id, current.token, Reply(text=join(language, told, promised)), agent=agent,
                key=f"note:{current.token}:{known.id}",
            )  # fmt: skip
            if budget is None or budget["left"] > 0:  # else the words are held, and nobody has been answered
                async with self.store.write() as connection:
                    await cases.answered(connection, known.id, now_ms())
        if until is not None and current.owner == "person":
            # After the words: what he writes from now on is the follow-up.
            async with self.store.write() as connection:
                await ownership.hold(connection, known.id, current.token, "person")
                case = await cases.open_case(connection, known.id)
                if case is not None:
                    await promises.make_follow_up(
                        connection, known.id, case.id, agent=agent, due_at=until, at=now_ms()
                    )
        return await self.gateway.hand_over(known.id, current, "bot", reason="released")

    async def close(self, current: Ownership) -> Ownership:
        """The case is over.

        Raises:
            OwnershipLost: it changed hands meanwhile.
        """
        return await self.gateway.hand_over(current.conversation, current, "closed", reason="done")

    # speaking

    async def reply(
        self, current: Ownership, agent: str, *, key: str, text: str = "", media: Sequence[Any] = (),
        reply: Reply | None = None,
    ) -> int | None:  # fmt: skip
        """Say something to the shopper; None when this `key` was said before. `reply` is more than a text.

        Raises:
            OwnershipLost: it changed hands meanwhile.
            DeskError: the channel takes no more messages now.
        """
        conversation = current.conversation
        budget = await self.budget(conversation)
        if budget is not None and budget["left"] <= 0:
            raise DeskError(
                "The channel takes no more messages until the shopper writes again",
                code="no_budget",
                status=409,
            )
        seq = await self.gateway.say_as_person(
            conversation, current.token, reply or Reply(text=text), agent=agent, key=key, media=media
        )
        async with self.store.write() as connection:
            await cases.answered(connection, conversation, now_ms())
        return seq

    async def budget(self, conversation: str) -> dict[str, Any] | None:
        """How many messages the channel still lets us send, and until when (ms), where it counts them."""
        known = await self.store.conversation(conversation)
        if known is None or known.channel not in LIMITED:
            return None
        async with self.store.read() as connection:
            left = await allowance.left(connection, conversation)
        return {"left": left.remaining, "of": allowance.RULES["message"][0], "until": left.until}
