"""The outbox is worked off: replies go to the platforms, in order per conversation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bot.database import now_ms
from channels.channel import Channel, Conversation, Delivery
from channels.lane import LeasedLane

if TYPE_CHECKING:
    from channels.gateway import Gateway

logger = logging.getLogger(__name__)


class Deliveries:
    """Poke its lane, and what is due of a conversation goes out through that conversation's channel."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway, self._store, self._patience = gateway, gateway.store, gateway.patience
        self.lane = LeasedLane(
            "delivery", self._work, store=gateway.store, holder=gateway.id, lease=gateway.patience.lease
        )

    # passive replies (WeChat answers inside the platform's own request)

    async def take(self, message_id: str) -> list[Any]:
        """The replies to this message, claimed for a passive answer. Then call `taken`."""
        return await self._store.take_pending(message_id)

    async def taken(self, messages: Sequence[Any], delivery: Delivery = Delivery()) -> None:
        """The passive answer left (or, with another verdict, did not)."""
        await self._store.settle(messages, delivery)
        for conversation in {message.conversation for message in messages}:
            self.lane.poke(conversation)

    async def all_gone(self, conversation: str, timeout: float) -> bool:
        """Wait until nothing is on its way to the shopper any more. False when something is after `timeout` seconds."""
        until = asyncio.get_running_loop().time() + timeout
        while await self._store.undelivered(conversation):
            if asyncio.get_running_loop().time() >= until:
                return False
            await asyncio.sleep(0.05)
        return True

    # the lane's work

    async def _work(self, conversation: str) -> None:
        known = await self._store.conversation(conversation)
        if known is None:
            return
        channel = self._gateway.channels.get(known.channel)
        if channel is None:
            logger.warning("gateway.no_channel channel=%s: its messages wait", known.channel)
            return
        while True:
            messages, due = await self._store.next_deliveries(conversation, channel.capabilities.batch)
            if not messages or self.lane.closed:
                return
            if due > now_ms():
                self.lane.poke_at(conversation, due)
                return
            if channel.capabilities.passive:
                messages = await self._store.claim(messages)
                if not messages:
                    continue  # they are leaving with the platform's own request
            # Read again: what is known of the shopper may have changed since the last one left.
            known = await self._gateway.conversation(conversation)
            await self._settle(channel, messages, await self._deliver(channel, known, messages))

    async def _settle(self, channel: Channel, messages: Sequence[Any], delivery: Delivery) -> None:
        """Write down what became of messages: out, again later, or given up."""
        conversation, attempts = messages[0].conversation, messages[0].attempts + 1
        again = delivery.status == "retry"
        spent = again and (
            attempts >= channel.capabilities.attempts
            if delivery.slip
            else now_ms() - messages[0].created_at >= self._patience.deliver_for * 1000
        )
        wait = delivery.after
        if wait is None:
            wait = self._patience.wait(attempts, self._patience.longest_delivery)
        next_at = now_ms() + int(wait * 1000) if again else 0
        await self._store.settle(messages, delivery, next_at=next_at, failed=spent)
        if delivery.unreachable:
            await self._store.set_reachable(conversation, False)
        if delivery.status not in ("failed", "unknown", "held") and not spent:
            return
        logger.warning(
            "gateway.not_delivered conversation=%s status=%s attempts=%d reason=%s",
            conversation, delivery.status, attempts, delivery.reason,
        )  # fmt: skip
        body = {"of": messages[0].seq, "status": "failed" if spent else delivery.status, "reason": delivery.reason}  # fmt: skip
        await self._gateway.write_event(conversation, "delivery", "system", body)

    async def _deliver(self, channel: Channel, known: Conversation, messages: Sequence[Any]) -> Delivery:
        try:
            return await channel.deliver(known, messages)
        except asyncio.CancelledError:
            raise
        except Exception as exc:  # a channel's slip must not stop the lane
            logger.exception("gateway.deliver_raised channel=%s", channel.name)
            return Delivery("retry", reason=f"{type(exc).__name__}: {exc}", slip=True)
