"""Erasing what stands at a desk of others: conversation and contact in Chatwoot, topics in Telegram.

Kefu keeps what a place there is called (`desk_threads`) and nothing of its messages, so places are erased whole.
What could not be erased is named, so that somebody can do it by hand: afterwards no row here says where it was.
Contracts: Chatwoot's application API (a conversation is deleted by administrators alone, since 4.3; its messages and
a contact's go with it, in the background), Telegram's `deleteForumTopic` (the right to delete messages).
This module knows no channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

import aiohttp
from sqlalchemy import column as sql_column
from sqlalchemy import inspect, select
from sqlalchemy import table as sql_table
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.subjects import Subject
from bot.settings import ChatwootSettings, Settings, TelegramDeskSettings

DELETED, GONE, ACCEPTED = "deleted", "gone already", "deletion accepted, done there in the background"
FINE = frozenset({DELETED, GONE, ACCEPTED})

_LOOKS = (0.2, 0.5, 1.0)  # seconds between looks whether Chatwoot has done what it accepted
_THREADS: Any = sql_table("desk_threads", sql_column("desk"), sql_column("conversation"), sql_column("ref"))


async def erase_elsewhere(
    connection: AsyncConnection, settings: Settings, subject: Subject
) -> dict[str, str]:
    """What became of each place of this shopper at other desks: place -> outcome; `FINE` ones are erased."""
    names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    if "desk_threads" not in names:
        return {}
    query = select(_THREADS.c.desk, _THREADS.c.conversation, _THREADS.c.ref).where(
        _THREADS.c.conversation.in_(subject.ids), _THREADS.c.ref.is_not(None)
    )
    rows = (await connection.execute(query.order_by(_THREADS.c.desk, _THREADS.c.ref))).all()
    places: dict[str, str] = {}
    chatwoot = [row for row in rows if row.desk == "chatwoot"]
    if chatwoot and settings.desk.chatwoot is not None:
        customers = {one["id"]: one["customer"] for one in subject.conversations}
        named = [(row.ref, customers.get(row.conversation) or f"kefu:{row.conversation}") for row in chatwoot]
        async with _Chatwoot(settings.desk.chatwoot) as api:
            places |= await api.erase(named)
    topics = [row for row in rows if row.desk == "telegram"]
    if topics and settings.desk.telegram is not None:
        places |= await _erase_topics(settings.desk.telegram, [row.ref for row in topics])
    for row in rows:
        name = _place(row.desk, row.ref)
        places.setdefault(name, f"not asked: desk.{row.desk} is not set; delete it there by hand")
    return places


def _place(desk: str, ref: str) -> str:
    return f"{desk} {'topic' if desk == 'telegram' else 'conversation'} {ref}"


class _Chatwoot:
    """The few calls of the application API that deleting takes."""

    def __init__(self, settings: ChatwootSettings) -> None:
        self._settings = settings
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=settings.timeout),
            headers={"api_access_token": settings.token},
        )

    async def __aenter__(self) -> _Chatwoot:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def erase(self, named: Sequence[tuple[str, str]]) -> dict[str, str]:
        """The conversations, given with their contact's identifier, and each contact that has no other one."""
        refs = {ref for ref, _ in named}
        places = {_place("chatwoot", ref): await self._delete(f"conversations/{ref}") for ref in refs}
        for identifier in sorted({identifier for _, identifier in named}):
            places |= await self._erase_contact(identifier, refs)
        return places

    async def _erase_contact(self, identifier: str, refs: Collection[str]) -> dict[str, str]:
        status, found = await self._call("GET", "contacts/search", params={"q": identifier})
        if status != 200:
            return {"chatwoot contact": _refusal(status, found)}
        places: dict[str, str] = {}
        for contact in found.get("payload") or ():
            if contact.get("identifier") != identifier:
                continue
            name = f"chatwoot contact {contact['id']}"
            status, theirs = await self._call("GET", f"contacts/{contact['id']}/conversations")
            others = [str(one["id"]) for one in theirs.get("payload") or () if str(one["id"]) not in refs]
            if status != 200:
                places[name] = _refusal(status, theirs)
            elif others:
                places[name] = f"kept: it has other conversations ({', '.join(others[:5])})"
            else:
                places[name] = await self._delete(f"contacts/{contact['id']}")
        return places

    async def _delete(self, path: str) -> str:
        status, told = await self._call("DELETE", path)
        if status == 404:
            return GONE
        if status is None or status >= 300:
            return _refusal(status, told)
        for wait in _LOOKS:
            if (await self._call("GET", path))[0] == 404:
                return DELETED
            await asyncio.sleep(wait)
        return ACCEPTED

    async def _call(
        self, method: str, path: str, *, params: dict[str, str] | None = None
    ) -> tuple[int | None, dict[str, Any]]:
        """(HTTP status, answer); (None, {"error": why}) when it cannot be reached."""
        url = f"{self._settings.base_url.rstrip('/')}/api/v1/accounts/{self._settings.account}/{path}"
        try:
            async with self._http.request(method, url, params=params, allow_redirects=False) as response:
                try:
                    told = await response.json(content_type=None)
                except ValueError:
                    told = {}
                return response.status, told if isinstance(told, dict) else {}
        except (TimeoutError, aiohttp.ClientError) as exc:
            return None, {"error": type(exc).__name__}


async def _erase_topics(settings: TelegramDeskSettings, refs: Sequence[str]) -> dict[str, str]:
    """A topic goes with all its messages, however old they are; single messages could only go for 48 hours."""
    url = f"{settings.base_url.rstrip('/')}/bot{settings.token}/deleteForumTopic"
    places = {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as http:
        for ref in refs:
            body = {"chat_id": str(settings.group), "message_thread_id": ref}
            try:
                async with http.post(url, data=body, proxy=settings.proxy) as response:
                    told = await response.json(content_type=None)
                    said = str(told.get("description") or "")
                    if told.get("ok"):
                        places[_place("telegram", ref)] = DELETED
                    elif "not found" in said.lower() or "invalid" in said.lower():
                        places[_place("telegram", ref)] = GONE
                    else:
                        places[_place("telegram", ref)] = _refusal(response.status, {"error": said})
            except (TimeoutError, aiohttp.ClientError, ValueError, AttributeError) as exc:
                places[_place("telegram", ref)] = _refusal(None, {"error": type(exc).__name__})
    return places


def _refusal(status: int | None, told: dict[str, Any]) -> str:
    why = str(told.get("error") or told.get("message") or "")[:120]
    return f"not reached: {why}" if status is None else f"refused ({status}): {why}"
