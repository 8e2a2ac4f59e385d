"""Who has a conversation, changed together with the line in it that says so."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.handoff import ownership
from bot.handoff.ownership import Ownership
from channels.store import Store


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
