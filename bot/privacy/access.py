"""Who looked at which conversation, from the command line: a line in the same log as the desk's.

This module knows no HTTP.
"""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import now_ms
from bot.exceptions import PrivacyError
from bot.records import access_log


async def log_access(engine: AsyncEngine, name: str, conversation: str | None, act: str) -> None:
    """Write down that `name` did `act` (explain, export, erase, ...) with a conversation.

    Raises:
        PrivacyError: it cannot be written; then the transcript must not be shown either.
    """
    try:
        async with engine.begin() as connection:
            await connection.execute(
                access_log.insert().values(name=name[:64], conversation=conversation, act=act, at=now_ms())
            )
    except DBAPIError as exc:
        raise PrivacyError(f"The access cannot be logged, so nothing is shown: {exc.orig}") from exc
