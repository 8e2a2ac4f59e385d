"""Keeps a desk of others in step with the conversations that want a person, and lets its people act.

Out: the log of every such conversation is followed line by line with a cursor in the database, so that nothing is
lost by a restart or while the desk is down. In: what people do there is done under the fencing token, by the same
`channels.desk.acts` as at Kefu's own desk; who is late is told so and nothing goes out.
This module knows no desk by name.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, func, or_, select

from bot.database import insert_once, metadata, now_ms
from bot.exceptions import ChannelError, DeskError, OwnershipLost
from bot.handoff import cases, ownership
from bot.handoff.ownership import Ownership
from bot.message import Language
from channels.channel import Conversation
from channels.desk.acts import Acts
from channels.desk_adapters.adapter import DeskAdapter, Thread, is_from
from channels.gateway import Gateway
from channels.lane import Lane
from channels.store import Event
from channels.tables import conversations, events, outbox

logger = logging.getLogger(__name__)

LOOK = 2.0  # seconds between two looks for what other processes wrote
LEASE = 60_000  # ms a gateway may be busy with one thread before a sibling takes it
LINES = 50
CONTEXT = 10  # messages before a stretch without a packet
KEEP_SEEN = 14 * 24 * 3600 * 1000  # ms

threads = Table(
    "desk_threads",
    metadata,
    Column("desk", String(32), primary_key=True),
    Column("conversation", String(64), primary_key=True),
    Column("ref", String(128)),
    Column("seq", Integer, nullable=False, default=0),
    Column("live", Boolean, nullable=False, default=False),
    Column("token", Integer, nullable=False, default=-1),
    Column("agent", String(128)),
    Column("agent_ref", String(128)),
    Column("cursor", BigInteger, nullable=False, default=0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", BigInteger, nullable=False, default=0),
    Column("lease_until", BigInteger, nullable=False, default=0),
    Index("ix_desk_threads_ref", "desk", "ref"),
)

seen = Table(
    "desk_seen",
    metadata,
    Column("desk", String(32), primary_key=True),
    Column("key", String(128), primary_key=True),  # a message or delivery of the desk's that was dealt with
    Column("at", BigInteger, nullable=False),
    Index("ix_desk_seen_at", "at"),
)

REFUSALS: dict[str, dict[Language, str]] = {
    "not_yours": {
        "zh": "未发送：{agent} 正在接待这位顾客。",
        "en": "Not sent: {agent} has this conversation.",
    },
    "too_late": {
        "zh": "未发送：会话在您写完之后已经换人或结束。请看过最新内容后再发。",
        "en": "Not sent: the conversation changed hands after you wrote this. Look at what is new and write again.",
    },
    "no_budget": {
        "zh": "未发送：本渠道的消息额度已用完，要等顾客再发一条消息。",
        "en": "Not sent: this channel takes no more messages until the shopper writes again.",
    },
    "file": {
        "zh": "文件未发送：只能发图片，且不能太大。",
        "en": "The file was not sent: only pictures of moderate size can be.",
    },
    "lost": {
        "zh": "未发送：会话刚刚换了人。",
        "en": "Not sent: the conversation has just changed hands.",
    },
}


class Bridge:
    """Between the gateway and one desk."""

    def __init__(self, gateway: Gateway, acts: Acts, *, language: Language = "zh") -> None:
        """`language` is the team's own."""
        self.gateway = gateway
        self.store = gateway.store
        self.acts = acts
        self.language = language
        self.adapter: DeskAdapter | None = None
        self.state = "starting"  # starting, ready, degraded
        self._lane = Lane(self._work)
        self._locks: dict[str, asyncio.Lock] = {}
        self._fresh: set[str] = set()  # threads this process has shown lines to
        self._gone: dict[str, int] = {}  # conversation -> last line that a deleted place can have held
        self._look = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._stop_listening: Any = None

    @property
    def desk(self) -> str:
        assert self.adapter is not None, "a bridge leads to an adapter"
        return self.adapter.name

    async def start(self) -> None:
        assert self.adapter is not None, "a bridge leads to an adapter"
        self._stop_listening = self.gateway.wake.listen(
            "*", lambda conversation, _: self._lane.poke(conversation)
        )
        await self.adapter.start()
        self._watch = asyncio.create_task(self._watching())

    async def stop(self) -> None:
        assert self.adapter is not None, "a bridge leads to an adapter"
        if self._stop_listening is not None:
            self._stop_listening()
        tasks = [*self._lane.close(), *([self._watch] if self._watch else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.adapter.stop()

    # out

    async def _watching(self) -> None:
        """Find what nobody pokes about: lines of other processes, and what could not be shown before."""
        for look in itertools.count():
            try:
                for conversation in await self.behind():
                    self._lane.poke(conversation)
                if look % 1800 == 0:
                    await self._forget_seen()
            except Exception:  # the outermost door of this task; the next look tries again
                logger.exception("desk_adapter.look_failed desk=%s", self.desk)
            await asyncio.sleep(LOOK)

    async def behind(self, limit: int = 200) -> list[str]:
        """Conversations this desk has not been told everything about."""
        now = now_ms()
        query = (
            select(conversations.c.id)
            .select_from(
                conversations.outerjoin(
                    ownership.ownership, ownership.ownership.c.conversation == conversations.c.id
                ).outerjoin(
                    threads, (threads.c.conversation == conversations.c.id) & (threads.c.desk == self.desk)
                )
            )
            .where(
                or_(
                    threads.c.conversation.is_(None) & ownership.ownership.c.owner.in_(("pending", "person")),
                    (threads.c.next_at <= now)
                    & or_(
                        threads.c.seq < conversations.c.seq,
                        threads.c.token != ownership.ownership.c.token,
                    ),
                )
            )
            .order_by(conversations.c.active_at)
            .limit(limit)
        )
        async with self.store.read() as connection:
            return list((await connection.execute(query)).scalars())

    async def _work(self, conversation: str) -> None:
        try:
            thread = await self._thread(conversation)
            if thread is None or not await self._lease(thread):
                return
            thread = await self.thread(conversation=conversation) or thread  # as it is under the lease
            try:
                await self._show(thread)
                self.state = "ready"
                await self.update(thread, attempts=0, next_at=0)
            except ChannelError as exc:
                self.state = "degraded"
                self._fresh.discard(conversation)
                wait = self.gateway.patience.wait(thread.attempts + 1)
                logger.warning(
                    "desk_adapter.behind desk=%s conversation=%s reason=%s", self.desk, conversation, exc
                )
                self._fresh.discard(conversation)
                await self.update(thread, attempts=thread.attempts + 1, next_at=now_ms() + int(wait * 1000))
            finally:
                await self.update(thread, lease_until=0)
        except Exception:  # the outermost door of this task; the next look tries again
            logger.exception("desk_adapter.failed desk=%s conversation=%s", self.desk, conversation)

    async def _show(self, thread: Thread) -> None:
        assert self.adapter is not None, "a bridge leads to an adapter"
        known = await self.store.conversation(thread.conversation)
        assert known is not None, "a thread belongs to a conversation"
        if thread.ref is None:
            ref = await self.adapter.open(known, await self.packet(thread.conversation))
            thread = await self.update(thread, ref=ref)
        while True:
            lines = await self.store.events_after(thread.conversation, thread.seq, limit=LINES, desk=True)
            if not lines:
                break
            keys = await self._keys(thread.conversation, [line.seq for line in lines])
            live, chunk = thread.live, list[Event]()
            for line in lines:
                before = live
                if line.kind == "owner":
                    live = line.body.get("owner") in ("pending", "person")
                if live and not before:
                    chunk += await self._context(thread, line)
                wanted = live or before or line.kind == "rating"
                there = is_from(line, keys.get(line.seq), self.desk)
                if wanted and not (there and line.seq > self._gone.get(thread.conversation, 0)):
                    chunk.append(line)
                full = len(chunk) >= self.adapter.batch
                if full or line is lines[-1]:
                    if chunk:
                        again = thread.conversation not in self._fresh
                        await self.adapter.show(thread, known, chunk, again=again)
                        self._fresh.add(thread.conversation)
                    thread = await self.update(thread, seq=line.seq, live=live)
                    chunk = []
        owner = await self.gateway.owner(thread.conversation)
        if owner.token != thread.token:
            await self.adapter.follow(thread, owner)
            await self.update(thread, token=owner.token)

    async def _context(self, thread: Thread, line: Event) -> list[Event]:
        """What was said just before a person's stretch begins, unless a packet comes along and holds it."""
        packets = select(events.c.seq).where(
            events.c.conversation == thread.conversation, events.c.kind == "handoff", events.c.seq > line.seq
        )
        ended = select(func.max(events.c.seq)).where(
            events.c.conversation == thread.conversation, events.c.kind == "owner", events.c.seq < line.seq
        )
        async with self.store.read() as connection:
            if (await connection.execute(packets.limit(1))).first() is not None:
                return []
            since = (await connection.execute(ended)).scalar() or 0
            query = (
                select(events)
                .where(
                    events.c.conversation == thread.conversation,
                    events.c.kind == "message",
                    events.c.seq > since,
                    events.c.seq < line.seq,
                )
                .order_by(events.c.seq.desc())
                .limit(CONTEXT)
            )
            found = [Event(**row._mapping) for row in (await connection.execute(query)).all()]
        return list(reversed(found))

    async def _keys(self, conversation: str, seqs: Sequence[int]) -> dict[int, str]:
        query = select(outbox.c.seq, outbox.c.inbound).where(
            outbox.c.conversation == conversation, outbox.c.seq.in_(list(seqs))
        )
        async with self.store.read() as connection:
            return {row.seq: row.inbound or "" for row in (await connection.execute(query)).all()}

    async def _thread(self, conversation: str) -> Thread | None:
        """The thread, made when a person is wanted and there is none; None while the bot manages."""
        found = await self.thread(conversation=conversation)
        if found is not None:
            return found
        async with self.store.read() as connection:
            owner = await ownership.get(connection, conversation)
            if owner.owner not in ("pending", "person"):
                return None
            query = (
                select(events)
                .where(events.c.conversation == conversation, events.c.kind == "owner")
                .order_by(events.c.seq.desc())
                .limit(200)
            )
            start = 0
            for row in (await connection.execute(query)).all():
                if row.body.get("owner") in ("bot", "closed"):
                    break
                start = row.seq
        async with self.store.write() as connection:
            await connection.execute(
                insert_once(threads, "desk", "conversation").values(
                    desk=self.desk, conversation=conversation, seq=max(0, start - 1), live=False, token=-1,
                    cursor=0, attempts=0, next_at=0, lease_until=0,
                )
            )  # fmt: skip
        return await self.thread(conversation=conversation)

    async def thread(self, *, conversation: str | None = None, ref: str | None = None) -> Thread | None:
        """By the conversation, or by the desk's name for it."""
        query = select(threads).where(threads.c.desk == self.desk)
        if conversation is not None:
            query = query.where(threads.c.conversation == conversation)
        if ref is not None:
            query = query.where(threads.c.ref == ref)
        async with self.store.read() as connection:
            row = (await connection.execute(query.limit(1))).mappings().first()
        return (
            None
            if row is None
            else Thread(**{name: row[name] for name in asdict(Thread("", "")) if name in row})
        )

    async def update(self, thread: Thread, **values: Any) -> Thread:
        async with self.store.write() as connection:
            await connection.execute(
                threads.update()
                .where(threads.c.desk == thread.desk, threads.c.conversation == thread.conversation)
                .values(**values)
            )
        known = asdict(thread)
        return Thread(**{**known, **{name: value for name, value in values.items() if name in known}})

    async def forget_place(self, thread: Thread) -> None:
        """Somebody deleted the place: a new one is made while a person is wanted, and tells the stretch from its
        beginning, what was written at this desk too. Who of this desk has the conversation keeps it."""
        known = await self.store.conversation(thread.conversation)
        async with self.store.write() as connection:
            gone = await connection.execute(
                threads.delete().where(
                    threads.c.desk == thread.desk,
                    threads.c.conversation == thread.conversation,
                    threads.c.ref == thread.ref,  # and not the new one
                )
            )
        if not gone.rowcount or known is None:
            return
        logger.warning("desk_adapter.place_gone desk=%s conversation=%s", self.desk, thread.conversation)
        self._gone[thread.conversation] = known.seq
        self._fresh.discard(thread.conversation)
        if (again := await self._thread(thread.conversation)) is not None:
            await self.update(again, agent=thread.agent, agent_ref=thread.agent_ref)

    async def packet(self, conversation: str) -> dict[str, Any]:
        """What the last case came with."""
        async with self.store.read() as connection:
            case = await cases.last_case(connection, conversation)
        return case.packet if case is not None else {}

    async def _lease(self, thread: Thread) -> bool:
        """Only one gateway writes to a thread at a time."""
        now = now_ms()
        async with self.store.write() as connection:
            won = await connection.execute(
                threads.update()
                .where(
                    threads.c.desk == thread.desk,
                    threads.c.conversation == thread.conversation,
                    threads.c.lease_until < now,
                    threads.c.next_at <= now,
                )
                .values(lease_until=now + LEASE)
            )
        return bool(won.rowcount == 1)

    # in

    async def first_time(self, key: str) -> bool:
        """Whether this delivery or message is new. Marks it."""
        async with self.store.write() as connection:
            made = await connection.execute(
                insert_once(seen, "desk", "key").values(desk=self.desk, key=key[:128], at=now_ms())
            )
        return bool(made.rowcount == 1)

    async def was_seen(self, key: str) -> bool:
        query = select(seen.c.key).where(seen.c.desk == self.desk, seen.c.key == key[:128])
        async with self.store.read() as connection:
            return (await connection.execute(query)).first() is not None

    async def _forget_seen(self) -> None:
        async with self.store.write() as connection:
            await connection.execute(
                seen.delete().where(seen.c.desk == self.desk, seen.c.at < now_ms() - KEEP_SEEN)
            )

    async def said(
        self, ref: str, *, agent: str, agent_ref: str | None = None, key: str, at: int, text: str = "",
        media: Sequence[dict[str, Any]] = (),
    ) -> None:  # fmt: skip
        """A person there wrote to the shopper. `key` names the message, `at` (ms) says when it was written.

        Writing takes the conversation. What may not go out is answered with a word to the desk.

        Raises:
            ChannelError: it may not go out, and the desk could not be told.
        """
        thread = await self.thread(ref=ref)
        if thread is None:
            return
        async with self._lock(thread.conversation):
            if await self.was_seen(key):
                return
            try:
                current = await self._take(thread, agent, agent_ref, at)
                await self.acts.reply(current, agent, key=f"{self.desk}:{key}", text=text, media=media)
            except DeskError as exc:
                current = await self.gateway.owner(thread.conversation)
                await self.refuse(thread, exc.code, agent=current.agent or "")
            except OwnershipLost:
                await self.refuse(thread, "lost")
            await self.first_time(key)

    async def refuse(self, thread: Thread, code: str, **values: str) -> None:
        """Tell the desk why something did not go out. Raises: ChannelError."""
        assert self.adapter is not None, "a bridge leads to an adapter"
        words = REFUSALS.get(code, REFUSALS["lost"])
        await self.adapter.tell(thread, words[self.language].format(**{"agent": "", **values}))

    async def _take(self, thread: Thread, agent: str, agent_ref: str | None, at: int) -> Ownership:
        """Make this person the owner, if he may be.

        Raises:
            DeskError: somebody at another desk has it, or it was written before it changed hands.
            OwnershipLost: it changed hands twice while we looked.
        """
        for last in (False, True):
            current = await self.gateway.owner(thread.conversation)
            if current.owner == "person" and current.agent == agent:
                return current
            if current.owner == "person" and current.agent != thread.agent:
                raise DeskError(f"{current.agent} has it", code="not_yours")
            if current.owner in ("bot", "closed") and at < current.since:
                raise DeskError("written before it changed hands", code="too_late")
            try:
                if current.owner == "person":
                    changed = await self.acts.pass_on(current, agent)
                else:
                    changed = await self.acts.claim(current, agent)
            except OwnershipLost:
                if last:
                    raise
                continue
            await self.update(thread, agent=agent, agent_ref=agent_ref)
            return changed
        raise AssertionError("the second look returns or raises")

    async def noted(self, ref: str, *, agent: str, key: str, text: str) -> None:
        """A person there wrote something only colleagues may see: kept as a note, never sent."""
        thread = await self.thread(ref=ref)
        if thread is None:
            return
        async with self.store.write() as connection:
            made = await connection.execute(
                insert_once(seen, "desk", "key").values(desk=self.desk, key=key[:128], at=now_ms())
            )
            if made.rowcount == 0:
                return
            await self.store.add_event(
                connection, thread.conversation, "note", "person",
                {"text": text, "agent": agent, "desk": self.desk}, audience="desk",
            )  # fmt: skip
        self.gateway.wake.wake(thread.conversation)

    async def claimed(self, ref: str, *, agent: str, agent_ref: str | None = None) -> None:
        """A person there took a waiting conversation without a word."""
        thread = await self.thread(ref=ref)
        if thread is None:
            return
        async with self._lock(thread.conversation):
            with contextlib.suppress(DeskError, OwnershipLost):
                current = await self.gateway.owner(thread.conversation)
                if current.owner == "pending" and current.token == thread.token:
                    await self._take(thread, agent, agent_ref, now_ms())

    async def taken(self, ref: str, *, agent: str, at: int) -> None:
        """A person there said that he takes it, wherever it is now.

        Raises:
            ChannelError: he may not, and the desk could not be told.
        """
        thread = await self.thread(ref=ref)
        if thread is None:
            return
        async with self._lock(thread.conversation):
            try:
                await self._take(thread, agent, None, at)
            except DeskError as exc:
                current = await self.gateway.owner(thread.conversation)
                await self.refuse(thread, exc.code, agent=current.agent or "")
            except OwnershipLost:
                await self.refuse(thread, "lost")

    async def ended(
        self, ref: str, *, agent: str | None, to_bot: bool = False, note: str = "", token: int | None = None
    ) -> bool:
        """A person there closed the case, or gave it back to the bot. False: it is not his to end.

        With `token` only as long as that is the fencing token: what was meant for an earlier owner is overtaken.

        Raises:
            ChannelError: it may not be ended, and the desk could not be told.
        """
        thread = await self.thread(ref=ref)
        if thread is None:
            return False
        async with self._lock(thread.conversation):
            current = await self.gateway.owner(thread.conversation)
            if current.owner not in ("pending", "person") or token not in (None, current.token):
                return False
            if current.owner == "person" and current.agent != thread.agent:
                await self.refuse(thread, "not_yours", agent=current.agent or "")
                return False
            try:
                if to_bot:
                    await self.acts.release(
                        current, agent or current.agent or "", note=note if current.owner == "person" else ""
                    )
                else:
                    await self.acts.close(current)
            except OwnershipLost:
                await self.refuse(thread, "lost")
                return False
        return True

    def _lock(self, conversation: str) -> asyncio.Lock:
        if len(self._locks) > 10_000:
            self._locks = {key: lock for key, lock in self._locks.items() if lock.locked()}
        return self._locks.setdefault(conversation, asyncio.Lock())


def title_of(known: Conversation, packet: dict[str, Any]) -> str:
    """How a conversation is called in a list: the shopper's name, or the four characters of Kefu's own desk."""
    who = packet.get("who") or {}
    short = known.id.replace("-", "").replace("_", "")[:4].upper()
    return str(who.get("name") or known.customer or short)
