"""Telegram as a desk: a group of the team with topics, one topic per conversation.

The packet is the topic's first message, pinned. What a listed member writes into a topic goes to the shopper; `//`
begins a note for colleagues. /take, /release, /close and /help are the commands. The desk has a bot of its own:
two readers of one bot's updates would steal them from each other.
A group bears about 20 messages a minute, so lines are put together; this desk is for small teams.
See docs/desk-adapters.md.
"""

from __future__ import annotations

import asyncio
import html
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any

from aiohttp import web
from telegram.error import (
    BadRequest,
    Conflict,
    InvalidToken,
    RetryAfter,
    TelegramError,
    TimedOut,
)

from bot.database import now_ms
from bot.exceptions import ChannelError, MediaRefused
from bot.handoff.ownership import Ownership
from bot.handoff.words import REASONS, word
from bot.message import Language
from bot.settings import TelegramDeskSettings, TelegramSettings
from channels.channel import Conversation
from channels.desk_adapters.adapter import Thread
from channels.desk_adapters.bridge import Bridge, title_of
from channels.desk_adapters.lines import WORDS, aside, spoken
from channels.desk_adapters.packet import render
from channels.media import MediaStore
from channels.store import Event
from channels.telegram import MAX_DOWNLOAD, TAKES, TelegramAccount, not_sent, split_units

logger = logging.getLogger(__name__)

PACE = 3.0  # seconds between two messages to the group: Telegram's 20 a minute
NAME = 128  # characters of a topic's name
NOTE = "//"  # begins what the shopper must not see
GONE = ("message thread not found", "topic_deleted", "topic_id_invalid", "topic deleted")
TOO_LARGE = "too large"  # 413, in the words of HTTP
# How a picture is sent, up to how many bytes; what is refused is sent the next way.
PICTURE = (("send_photo", "photo", TAKES["jpg"]), ("send_document", "document", TAKES["pdf"]))
NOT_SHOWN: dict[Language, str] = {"zh": "图片无法在此显示：", "en": "Picture not shown here: "}
ICONS = {"pending": "🔴", "person": "🟢", "bot": "🤖", "closed": "✅"}
HELP: dict[Language, str] = {
    "zh": "直接回复：发给顾客，并由您接手。\n// 开头：内部备注。\n/take 接手\n/release 备注：转回机器人\n/close 结束",
    "en": "Just write: it goes to the shopper, and the conversation is yours.\n// in front: a note for colleagues.\n"
    "/take  take it\n/release note  back to the bot\n/close  end it",
}


Part = tuple[str, Callable[[Thread], Awaitable[Any]]]  # of what lines become: its name, and what sends it


class Refused(ChannelError):
    """Telegram does not take this, however often it is asked."""


class TelegramTopics:
    """The adapter."""

    name = "telegram"
    batch = 20

    def __init__(
        self,
        bridge: Bridge,
        settings: TelegramDeskSettings,
        media: MediaStore,
        *,
        evidence_link: Callable[[str], str],
        pace: float = PACE,
        patience: float = 1.0,
    ) -> None:
        """`pace` and `patience` (the first wait after Telegram failed) in seconds.

        Raises:
            SettingsError: the token is malformed.
        """
        self._bridge = bridge
        self._settings = settings
        self._media = media
        self._link = evidence_link
        self._pace = pace
        self._patience = patience
        self.account = TelegramAccount(
            "desk",
            TelegramSettings(
                token=settings.token,
                base_url=settings.base_url,
                proxy=settings.proxy,
                poll_seconds=settings.poll_seconds,
            ),
            where="desk.telegram",
        )
        self._last = 0.0
        self._sent: dict[str, set[str]] = {}  # topic -> parts of the lines under way that stand there
        self._slow = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None

    def routes(self, app: web.Application) -> None:
        """Polling needs no address."""

    async def start(self) -> None:
        self._reader = asyncio.create_task(self._read())

    async def stop(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        try:
            await self.account.bot.shutdown()
        except (TelegramError, RuntimeError) as exc:
            logger.debug("telegram_desk.shutdown reason=%s", self.account.redacted(exc))

    # out

    async def open(self, known: Conversation, packet: dict[str, Any]) -> str:
        topic = await self._call("create_forum_topic", name=self._title(known, packet, "pending"))
        return str(topic.message_thread_id)

    def _title(self, known: Conversation, packet: dict[str, Any], owner: str) -> str:
        why = word(REASONS, packet.get("reason"), self._bridge.language)
        parts = [part for part in (title_of(known, packet), known.channel, why) if part]
        return f"{ICONS[owner]} {' · '.join(parts)}"[:NAME]

    async def show(self, thread: Thread, known: Conversation, lines: Sequence[Event], *, again: bool) -> None:
        """Lines together in as few messages as they fit. Telegram cannot be asked what is there already, so after
        a crash in the middle the last lines may stand there twice; what failed goes on where it stopped."""
        sent = self._sent.setdefault(str(thread.ref), set())
        for name, send in self._parts(known, lines):
            if name not in sent:
                await send(thread)
                sent.add(name)
        self._sent.pop(str(thread.ref), None)

    def _parts(self, known: Conversation, lines: Sequence[Event]) -> Iterator[Part]:
        """Texts until something stands alone, then that. The same lines always have the same parts."""
        texts: list[str] = []
        begun = ""

        def together(end: int) -> Iterator[Part]:
            if texts:
                yield f"{begun}-{end}", partial(self._write, texts=list(texts))
                texts.clear()

        for line in lines:
            begun = begun if texts else str(line.seq)
            pictures: list[str] = []
            if line.kind == "handoff":
                yield from together(line.seq)
                packet = line.body.get("packet") or {}
                pictures = [str(media_id) for media_id in packet.get("media") or ()]
                yield f"{line.seq}", partial(self._packet, packet=packet, evidence=pictures)
            elif line.kind == "message":
                texts += self._said(known, line)
                pictures = [str(one.get("media_id") or "") for one in line.body.get("media") or ()]
            elif told := aside(line, self._bridge.language):
                texts.append(f"<i>{html.escape(told)}</i>")
            for number, media_id in enumerate(pictures):
                yield from together(line.seq)
                yield f"{line.seq}:{number}", partial(self._picture, media_id=media_id)
        yield from together(lines[-1].seq)

    def _said(self, known: Conversation, line: Event) -> list[str]:
        text = spoken(line)
        if not text:
            return []
        language = self._bridge.language
        if line.author == "shopper":
            return [f"👤 {html.escape(text)}"]
        who = line.body.get("agent") or WORDS.get(line.author, WORDS["system"])[language]
        return [f"<b>{html.escape(str(who))}</b>: {html.escape(text)}"]

    async def _packet(self, thread: Thread, packet: dict[str, Any], evidence: Sequence[str]) -> None:
        zone = self._bridge.acts.hours.zone
        links = [self._link(media_id) for media_id in evidence]
        text = render(packet, self._bridge.language, zone, links=links)
        sent = await self._write(thread, [html.escape(text)])
        if sent:
            try:
                await self._call("pin_chat_message", message_id=sent, disable_notification=True)
            except ChannelError as exc:  # it is there, only not at the top
                logger.warning("telegram_desk.not_pinned reason=%s", exc)

    async def _write(self, thread: Thread, texts: Sequence[str]) -> int | None:
        """One message, or several when it is long; the first one's number."""
        if not texts:
            return None
        marked = "\n".join(texts)
        first: int | None = None
        for text, is_html in split_units(marked, html.unescape(_untagged(marked))):
            sent = await self._call(
                "send_message", thread, text=text, parse_mode="HTML" if is_html else None,
                disable_web_page_preview=True,
            )  # fmt: skip
            first = first or int(sent.message_id)
        return first

    async def _picture(self, thread: Thread, media_id: str) -> None:
        """As a photo. One too long or too large for that goes as a file, or a line with a link stands for it: a
        picture must not keep back what comes after it."""
        found = await self._media.get(media_id)
        if found is None or not found[1].startswith("image/"):
            return
        for method, kind, most in PICTURE:
            if len(found[0]) > most:
                continue
            file: dict[str, Any] = {kind: found[0], "filename": media_id}
            try:
                await self._call(method, thread, **file)
                return
            except Refused as exc:
                logger.warning("telegram_desk.picture_refused method=%s reason=%s", method, exc)
        await self._write(thread, [html.escape(NOT_SHOWN[self._bridge.language] + self._link(media_id))])

    async def follow(self, thread: Thread, owner: Ownership) -> None:
        """The topic's sign, and whether it is open: a closed topic cannot be written into by mistake."""
        known = await self._bridge.store.conversation(thread.conversation)
        assert known is not None, "a thread belongs to a conversation"
        packet = await self._bridge.packet(thread.conversation)
        quiet = ("topic_not_modified", "not modified")
        await self._call(
            "reopen_forum_topic" if owner.owner != "closed" else "close_forum_topic", thread, allow=quiet
        )
        if owner.owner != "closed":
            await self._call(
                "edit_forum_topic", thread, name=self._title(known, packet, owner.owner), allow=quiet
            )

    async def tell(self, thread: Thread, text: str) -> None:
        await self._write(thread, [f"⚠️ {html.escape(text)}"])

    async def _call(
        self, method: str, thread: Thread | None = None, *, allow: Sequence[str] = (), **arguments: Any
    ) -> Any:
        """One call to the group, at Telegram's pace.

        A topic somebody deleted is forgotten, so that the next try makes a new one.

        Raises:
            Refused: repeating it would not help.
            ChannelError: not now, or not reached.
        """
        if thread is not None:
            arguments["message_thread_id"] = int(str(thread.ref))
        async with self._slow:
            wait = self._last + self._pace - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            try:
                return await getattr(self.account.bot, method)(chat_id=self._settings.group, **arguments)
            except RetryAfter as exc:
                after = exc.retry_after
                seconds = float(after) if isinstance(after, int | float) else after.total_seconds()
                await asyncio.sleep(min(60.0, seconds))
                raise ChannelError("Telegram asks for a pause") from exc
            except TimedOut as exc:
                if method in ("send_message", "send_photo", "send_document") and not not_sent(exc):
                    logger.warning("telegram_desk.send_unknown method=%s", method)
                    return _Unknown()  # a double is worse: the team reads the same twice
                raise ChannelError(f"Telegram: {self.account.redacted(exc)}") from exc
            except BadRequest as exc:
                said = str(exc).lower()
                if any(part in said for part in allow):
                    return None
                if thread is not None and any(part in said for part in GONE):
                    self._sent.pop(str(thread.ref), None)
                    await self._bridge.forget_place(thread)
                    raise ChannelError(f"Telegram: {self.account.redacted(exc)}") from exc
                raise Refused(f"Telegram: {self.account.redacted(exc)}") from exc
            except TelegramError as exc:
                if TOO_LARGE in str(exc).lower():
                    raise Refused(f"Telegram: {self.account.redacted(exc)}") from exc
                raise ChannelError(f"Telegram: {self.account.redacted(exc)}") from exc
            finally:
                self._last = time.monotonic()

    # in

    async def _read(self) -> None:
        """Poll for ever; an update is confirmed when what it asked for is done."""
        wait, offset = self._patience, None
        while True:
            try:
                await self.account.bot.initialize()
                await self.account.bot.delete_webhook(drop_pending_updates=False)
                self._bridge.state = "ready"
                while True:
                    updates = await self.account.bot.get_updates(
                        offset=offset,
                        timeout=self._settings.poll_seconds,
                        allowed_updates=["message"],
                        read_timeout=self._settings.poll_seconds + 10,
                    )
                    for update in updates:
                        await self._take(update.to_dict())
                        offset = update.update_id + 1
                    wait = self._patience
            except InvalidToken:
                logger.error("telegram_desk.token_refused: copy the token again from @BotFather")
                wait = 300.0
            except Conflict:
                logger.error("telegram_desk.conflict: another program reads this bot; give the desk its own")
            except (TelegramError, ChannelError) as exc:
                reason = self.account.redacted(exc)
                logger.warning("telegram_desk.unreachable reason=%s", reason)
            except Exception:  # the outermost door of this task
                logger.exception("telegram_desk.read_failed")
            self._bridge.state = "degraded"
            await asyncio.sleep(wait)
            wait = min(60.0, wait * 2)

    async def _take(self, update: dict[str, Any]) -> None:
        """One update. Raises ChannelError when the group could not be answered: the update comes again."""
        try:
            message = update.get("message")
            if not message or message["chat"]["id"] != self._settings.group:
                return
            ref = str(message.get("message_thread_id") or "")
            agent = self._settings.members.get(int(message["from"]["id"]))
            if not ref or agent is None or message["from"].get("is_bot"):
                return
            await self._act(ref, agent, message)
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            logger.error("telegram_desk.update_unreadable reason=%r %s", exc, json.dumps(update)[:200])

    async def _act(self, ref: str, agent: str, message: dict[str, Any]) -> None:
        key = f"m{message['chat']['id']}:{message['message_id']}"
        text = str(message.get("text") or message.get("caption") or "").strip()
        at = int(message["date"]) * 1000
        thread = await self._bridge.thread(ref=ref)
        if thread is None or await self._bridge.was_seen(key):
            return
        if text.startswith(NOTE):
            note = text.removeprefix(NOTE).strip()
            if note:
                await self._bridge.noted(ref, agent=agent, key=key, text=note)
            return
        if text.startswith("/"):
            command, _, rest = text.partition(" ")
            await self._command(ref, thread, agent, command.partition("@")[0].lower(), rest.strip())
            await self._bridge.first_time(key)
            return
        media = []
        if photo := message.get("photo"):
            picture = await self._fetch(thread, photo[-1])
            media = [picture] if picture else []
        elif any(message.get(kind) for kind in ("document", "voice", "video", "audio", "sticker")):
            await self._bridge.refuse(thread, "file")
        if text or media:
            # The clock of Telegram counts whole seconds: what was written in this very second is not late.
            await self._bridge.said(
                ref, agent=agent, agent_ref=str(message["from"]["id"]), key=key, at=at + 999, text=text, media=media
            )  # fmt: skip

    async def _command(self, ref: str, thread: Thread, agent: str, command: str, rest: str) -> None:
        if command == "/take":
            await self._bridge.taken(ref, agent=agent, at=now_ms())
        elif command == "/release":
            await self._bridge.ended(ref, agent=agent, to_bot=True, note=rest)
        elif command == "/close":
            await self._bridge.ended(ref, agent=agent)
        else:
            await self._write(thread, [html.escape(HELP[self._bridge.language])])

    async def _fetch(self, thread: Thread, file: dict[str, Any]) -> dict[str, Any] | None:
        try:
            if int(file.get("file_size") or 0) > min(MAX_DOWNLOAD, self._media.max_bytes):
                raise MediaRefused("The picture is too large", code="too_big")
            found = await self.account.bot.get_file(str(file["file_id"]))
            return (await self._media.put(bytes(await found.download_as_bytearray()))).model_dump()
        except (MediaRefused, TelegramError) as exc:
            logger.warning("telegram_desk.picture_lost reason=%s", self.account.redacted(exc))
            await self._bridge.refuse(thread, "file")
            return None


class _Unknown:
    """A message that may or may not have arrived."""

    message_id = 0


def _untagged(marked: str) -> str:
    for tag in ("<i>", "</i>", "<b>", "</b>"):
        marked = marked.replace(tag, "")
    return marked
