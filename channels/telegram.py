"""The Telegram door: python-telegram-bot's client inside the gateway's own loop.

Updates come by webhook or by polling; either way one is stored before Telegram may forget it. The library's
own dispatcher is not used: the gateway keeps the order per chat, and the library trusts its input where we
must not. Answers are plain text or a small HTML, one message a second per chat.
Limits and rules: docs/telegram.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import html
import json
import logging
import re
import time
from collections.abc import Sequence
from typing import Any

import httpx
from aiohttp import web
from sqlalchemy import BigInteger, Column, String, Table, select
from sqlalchemy.exc import DataError
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.constants import ChatAction, ParseMode
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)
from telegram.request import HTTPXRequest

from bot.database import insert_once, metadata, now_ms
from bot.exceptions import ChannelError, SettingsError, TooMany
from bot.message import Attachment, Inbound, Language
from bot.privacy.cipher import SealedText
from bot.settings import Settings, TelegramSettings
from channels.channel import Capabilities, Conversation, Delivery, OutboxMessage, plain_text
from channels.gateway import Gateway
from channels.linking import SCENE as BIND
from channels.media import KINDS, MediaStore
from channels.outgoing import Link, Outgoing, Upload
from channels.payloads import SAY
from channels.tables import conversations
from channels.tokens import file_links, load_secret

logger = logging.getLogger(__name__)

MAX_UNITS = 4000  # UTF-16 units of one text; Telegram's limit is 4096 after parsing
MAX_DOWNLOAD = 20 * 1024 * 1024  # bytes, getFile
# Most bytes of an upload, by ending.
_PHOTO, _OTHER = 10 * 1024 * 1024, 50 * 1024 * 1024
TAKES = {
    "jpg": _PHOTO,
    "png": _PHOTO,
    **dict.fromkeys(("ogg", "mp3", "m4a", "amr", "spx", "pdf", "mp4", "webm"), _OTHER),
}
VOICES = (".ogg", ".mp3", ".m4a")  # played as a voice; others are documents
ALBUM = 1.0  # seconds in which the pictures of one album arrive
ALLOWED = ["message", "edited_message", "callback_query", "my_chat_member"]
TYPING = 4.0  # seconds after which it is shown again: Telegram takes it away after five
PACE = 1.0  # seconds between two messages to one chat
BUTTON = 40  # characters of a button's title that phones show

# Pictures of an album come as updates of their own; they wait here until all are there.
albums = Table(
    "telegram_albums",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("update_id", BigInteger, primary_key=True),
    Column("album", String(64), nullable=False),  # begins with the chat's id, by which an erasure finds it
    Column("raw", SealedText, nullable=False),
    Column("at", BigInteger, nullable=False),  # ms
)


class TelegramAccount:
    """One bot and the library's client for it.

    Raises:
        SettingsError: the token or the webhook's secret is malformed; `where` names the block of settings.
    """

    def __init__(self, name: str, settings: TelegramSettings, *, where: str | None = None) -> None:
        where = where or f"telegram.{name}"
        if not re.fullmatch(r"\d+:[\w-]{10,}", settings.token):
            raise SettingsError(f"{where}.token is no bot token: copy it from @BotFather (123456:ABC...).")
        if settings.mode == "webhook" and not re.fullmatch(r"[\w-]{16,256}", settings.webhook_secret):
            raise SettingsError(
                f"{where}.webhook_secret must have 16 to 256 of A-Z a-z 0-9 _ -: anybody could write otherwise."
            )
        self.name = name
        self.settings = settings
        # A proxy variable meant for other programs must not carry the token away; ours is a setting.
        quiet: dict[str, Any] = {"httpx_kwargs": {"trust_env": False}, "proxy": settings.proxy}
        self.bot = Bot(
            settings.token,
            base_url=f"{settings.base_url.rstrip('/')}/bot",
            base_file_url=f"{settings.base_url.rstrip('/')}/file/bot",
            request=HTTPXRequest(connection_pool_size=64, **quiet),
            get_updates_request=HTTPXRequest(connection_pool_size=2, **quiet),
        )
        self.state = "starting"  # starting, ready, degraded

    def redacted(self, error: Exception) -> str:
        return str(error).replace(self.settings.token, "<token>")


class TelegramChannel:
    """All configured bots; in webhook mode bot `name` listens on /telegram/{name}."""

    name = "telegram"
    capabilities = Capabilities(buttons=True, cards=True, typing=True, batch=1, attempts=8, captions=True)

    def __init__(
        self,
        gateway: Gateway,
        bots: dict[str, TelegramSettings],
        media: MediaStore,
        *,
        secret: bytes = b"",
        public_url: str = "",
        link: Link = lambda _: None,
        pace: float = PACE,
        patience: float = 1.0,
    ) -> None:
        """`secret` signs deep links; `patience` (seconds) is the first wait after Telegram failed."""
        # httpx writes whole addresses at INFO, and Telegram's addresses hold the token.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._gateway = gateway
        self._media = media
        self._outgoing = Outgoing(media, link, TAKES, longest=None)
        self._secret = secret
        self._public_url = public_url.rstrip("/")
        self._pace = pace
        self._patience = patience
        self._accounts = {name: TelegramAccount(name, settings) for name, settings in bots.items()}
        self._tasks: set[asyncio.Task[None]] = set()
        self._typing: dict[str, asyncio.Task[None]] = {}
        self._last: dict[str, float] = {}  # chat -> when something was sent, monotonic
        self._sent: dict[str, int] = {}  # message -> parts already sent

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/telegram/{name}", self._webhook)

    async def start(self) -> None:
        for account in self._accounts.values():
            self._later(self._run(account))

    async def stop(self) -> None:
        tasks = [*self._tasks, *self._typing.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for account in self._accounts.values():
            try:
                await account.bot.shutdown()
            except (TelegramError, RuntimeError) as exc:
                logger.debug("telegram.shutdown reason=%s", account.redacted(exc))

    def states(self) -> dict[str, str]:
        """For health pages: starting, ready or degraded, by bot."""
        return {name: account.state for name, account in self._accounts.items()}

    def deep_link(self, name: str, order_number: str) -> str:
        """An address that opens the chat with this order at hand. The tail keeps others from making one."""
        username = self._accounts[name].bot.username
        return f"https://t.me/{username}?start={order_number}_{self._sign(order_number)}"

    def _sign(self, text: str) -> str:
        return hmac.new(self._secret, f"telegram:{text}".encode(), hashlib.sha256).hexdigest()[:16]

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # in

    async def _run(self, account: TelegramAccount) -> None:
        """Reach Telegram, then poll or set the webhook; again and again until it works."""
        wait, offset, joined = self._patience, None, False
        while True:
            try:
                if not joined:
                    for row in await self._waiting_albums(account.name):
                        self._later(self._join_album(account, row))
                    joined = True
                await account.bot.initialize()
                if account.settings.mode == "webhook":
                    await account.bot.set_webhook(
                        f"{self._public_url}/telegram/{account.name}",
                        secret_token=account.settings.webhook_secret,
                        allowed_updates=ALLOWED,
                        max_connections=40,
                    )
                    account.state = "ready"
                    return
                await account.bot.delete_webhook(drop_pending_updates=False)
                account.state = "ready"
                while True:
                    offset = await self._poll(account, offset)
                    wait = self._patience
            except InvalidToken:
                account.state = "degraded"
                logger.error(
                    "telegram.token_refused bot=%s: copy the token again from @BotFather", account.name
                )
                wait = 300.0
            except Conflict:
                account.state = "degraded"
                logger.error(
                    "telegram.conflict bot=%s: another program reads this bot's updates", account.name
                )
            except TelegramError as exc:
                account.state = "degraded"
                logger.warning("telegram.unreachable bot=%s reason=%s", account.name, account.redacted(exc))
            except Exception:  # the outermost door of this task; a database that is away comes back
                account.state = "degraded"
                logger.exception("telegram.run_failed bot=%s", account.name)
            await asyncio.sleep(wait)
            wait = min(60.0, wait * 2)

    async def _poll(self, account: TelegramAccount, offset: int | None) -> int | None:
        """Ask once, and return the next offset. An update is confirmed (by that offset) only when it is stored."""
        updates = await account.bot.get_updates(
            offset=offset,
            timeout=account.settings.poll_seconds,
            allowed_updates=ALLOWED,
            read_timeout=account.settings.poll_seconds + 10,
        )
        account.state = "ready"
        for update in updates:
            while not await self._take_or_log(account, update.to_dict()):  # noqa: ASYNC110 -- the gateway is full, for once
                await asyncio.sleep(1)
            offset = update.update_id + 1
        return offset

    async def _take_or_log(self, account: TelegramAccount, update: dict[str, Any]) -> bool:
        try:
            await self._take(account, update)
        except TooMany:
            return False
        except (KeyError, TypeError, ValueError, AttributeError, DataError) as exc:
            logger.error("telegram.update_unreadable bot=%s reason=%r", account.name, exc)
        return True

    async def _webhook(self, request: web.Request) -> web.Response:
        account = self._accounts.get(request.match_info["name"])
        if account is None or account.settings.mode != "webhook":
            return web.Response(status=404)
        given = request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
        if not hmac.compare_digest(given.encode(), account.settings.webhook_secret.encode()):
            return web.Response(status=403)
        try:
            update = json.loads(await request.read())
        except ValueError:
            return web.Response(status=400)
        number = update.get("update_id") if isinstance(update, dict) else None
        if not isinstance(number, int) or isinstance(number, bool):
            return web.Response(status=400)
        if not await self._take_or_log(account, update):
            return web.Response(status=429)  # Telegram comes again
        return web.Response()

    async def _take(self, account: TelegramAccount, update: dict[str, Any]) -> None:
        """Store one update. Unknown kinds are ignored.

        Raises:
            TooMany: the gateway is full; let Telegram keep it.
            KeyError, TypeError, ValueError, AttributeError: not an update as documented.
        """
        if query := update.get("callback_query"):
            await self._pressed(account, query)
        elif change := update.get("my_chat_member"):
            await self._member(account, change)
        elif message := update.get("message") or update.get("edited_message"):
            if message["chat"]["type"] != "private":
                return  # a group is no shopper
            if message.get("media_group_id") and message.get("photo"):
                await self._album(account, update, message)
            else:
                await self._message(account, int(update["update_id"]), [message])

    async def _message(
        self, account: TelegramAccount, update_id: int, messages: list[dict[str, Any]]
    ) -> None:
        """One message, or the pictures of one album. An edited message is taken as a new one: what it
        corrects may have been acted on already, and a correction is what the dialogue knows to treat."""
        first = messages[0]
        text = str(first.get("text") or "") or next(
            (str(m["caption"]) for m in messages if m.get("caption")), ""
        )
        payload: str | None = None
        files = tuple(str(file["file_id"]) for message in messages if (file := _file(message)))
        if text.startswith("/start"):
            text, payload = self._started(text)
        elif text.startswith("/help"):
            text, payload = "", SAY + "welcome"
        elif sticker := first.get("sticker"):
            text = str(sticker.get("emoji") or "")
        elif contact := first.get("contact"):
            # Only a shopper's own number says something about the shopper.
            own = contact.get("user_id") == first["from"]["id"]
            text = str(contact.get("phone_number") or "") if own else ""
        elif first.get("voice") or first.get("audio"):
            payload = SAY + "voice_unheard"
        elif (first.get("video") or first.get("video_note")) and not text:
            payload = SAY + "video_unseen"
        if not text and not files and payload is None:
            payload = SAY + "unreadable"
        await self._receive(account, first, f"u{update_id}", text=text, payload=payload, files=files)

    async def _receive(
        self,
        account: TelegramAccount,
        message: dict[str, Any],
        key: str,
        *,
        text: str,
        payload: str | None = None,
        files: tuple[str, ...] = (),
        sender: dict[str, Any] | None = None,
    ) -> None:
        sender = sender or message["from"]
        shopper = str(int(message["chat"]["id"]))
        code = str(sender.get("language_code") or "")
        await self._gateway.receive(
            Inbound(
                channel=self.name,
                account=account.name,
                shopper=shopper,
                dedup_key=key,
                text=text,
                payload=payload,
                files=files,
                customer=f"telegram:{shopper}",
                source=hashlib.sha256(f"telegram:{shopper}".encode()).hexdigest()[:32],
                at=now_ms(),
            ),
            raw=json.dumps(message, ensure_ascii=False),
            guess=("zh" if code.lower().startswith("zh") else "en") if code else None,  # the telephone's
        )

    def _started(self, text: str) -> tuple[str, str | None]:
        """`/start order_signature` speaks of that order; anything else is a welcome."""
        payload = text.partition(" ")[2].strip()
        if payload.startswith(BIND):
            return payload, None  # asks for consent: channels.linking
        order, _, sign = payload.rpartition("_")
        if order and self._secret and hmac.compare_digest(sign.encode(), self._sign(order).encode()):
            return order, None
        return "", SAY + "welcome"

    async def _pressed(self, account: TelegramAccount, query: dict[str, Any]) -> None:
        """A button. The wheel on it stops at once; a second tap is the first one."""
        self._later(self._answer_query(account, str(query["id"])))
        message = query.get("message")
        if (
            not message
            or message["chat"]["type"] != "private"
            or query["from"]["id"] != message["chat"]["id"]
        ):
            return
        chat = str(int(message["chat"]["id"]))
        known = await self._gateway.store.find_conversation(self.name, account.name, chat)
        button = await self._gateway.press(known.id, str(query.get("data") or "")) if known else None
        title, payload = button or ("", SAY + "button_gone")
        key = f"b{chat}:{message['message_id']}:{query.get('data')}"
        await self._receive(account, message, key, text=title, payload=payload, sender=query["from"])

    async def _answer_query(self, account: TelegramAccount, query: str) -> None:
        try:
            await account.bot.answer_callback_query(query)
        except TelegramError as exc:  # "query is too old" is nobody's fault
            logger.debug("telegram.query_not_answered reason=%s", account.redacted(exc))

    async def _member(self, account: TelegramAccount, change: dict[str, Any]) -> None:
        known = await self._gateway.store.find_conversation(
            self.name, account.name, str(int(change["chat"]["id"]))
        )
        if known is not None:
            status = change["new_chat_member"]["status"]
            await self._gateway.store.set_reachable(known.id, status not in ("kicked", "left"))

    async def _album(self, account: TelegramAccount, update: dict[str, Any], message: dict[str, Any]) -> None:
        album = f"{message['chat']['id']}:{message['media_group_id']}"
        async with self._gateway.store.write() as connection:
            first = (
                await connection.execute(
                    select(albums.c.album).where(albums.c.account == account.name, albums.c.album == album)
                )
            ).first() is None
            await connection.execute(
                insert_once(albums, "account", "update_id").values(
                    account=account.name,
                    update_id=int(update["update_id"]),
                    album=album,
                    raw=json.dumps(message, ensure_ascii=False),
                    at=now_ms(),
                )
            )
        if first:
            self._later(self._join_album(account, album))

    async def _waiting_albums(self, name: str) -> list[str]:
        async with self._gateway.store.read() as connection:
            rows = await connection.execute(select(albums.c.album).where(albums.c.account == name).distinct())
            return [row.album for row in rows]

    async def _join_album(self, account: TelegramAccount, album: str) -> None:
        wait, joined = ALBUM, False
        while not joined:
            await asyncio.sleep(wait)
            try:
                joined = await self._album_joined(account, album)
            except Exception:  # the outermost door of this task; a database that is away comes back
                logger.exception("telegram.album_failed bot=%s", account.name)
                wait = min(60.0, wait * 2)

    async def _album_joined(self, account: TelegramAccount, album: str) -> bool:
        mine = (albums.c.account == account.name) & (albums.c.album == album)
        async with self._gateway.store.read() as connection:
            rows = (await connection.execute(select(albums).where(mine).order_by(albums.c.update_id))).all()
        if rows:
            try:
                await self._message(account, rows[0].update_id, [json.loads(row.raw) for row in rows])
            except TooMany:
                return False
            except (KeyError, TypeError, ValueError, AttributeError) as exc:
                logger.error("telegram.album_unreadable bot=%s reason=%r", account.name, exc)
        async with self._gateway.store.write() as connection:
            await connection.execute(albums.delete().where(mine))
        return True

    async def fetch(self, conversation: Conversation, file: str) -> Attachment:
        """Download and keep a file. The address holds the token, so it ends here."""
        account = self._accounts.get(conversation.account)
        if account is None:
            raise ChannelError(f"telegram.{conversation.account} is not configured any more")
        try:
            found = await account.bot.get_file(file)
            if int(found.file_size or 0) > min(MAX_DOWNLOAD, self._media.max_bytes):
                raise ChannelError("The file is too large")
            data = bytes(await found.download_as_bytearray())
        except TelegramError as exc:
            raise ChannelError(account.redacted(exc)) from None
        return await self._media.put(data, kinds=KINDS)

    # out

    async def deliver(self, conversation: Conversation, messages: Sequence[OutboxMessage]) -> Delivery:
        account = self._accounts.get(conversation.account)
        if account is None:
            return Delivery("failed", reason=f"telegram.{conversation.account} is not configured any more")
        message, chat = messages[0], conversation.shopper
        try:
            number = await self._send(account, chat, message, conversation.language)
        except RetryAfter as exc:
            after = (
                exc.retry_after
                if isinstance(exc.retry_after, int | float)
                else exc.retry_after.total_seconds()
            )
            return Delivery("retry", after=float(after) + 0.1, reason="Telegram asks for a pause")
        except ChatMigrated as exc:
            await self._moved(conversation, exc.new_chat_id)
            return Delivery("retry", after=0.0, reason="the chat has a new id")
        except Forbidden as exc:
            return Delivery("failed", reason=account.redacted(exc), unreachable=True)
        except InvalidToken:
            account.state = "degraded"
            return Delivery("retry", after=60.0, reason="the bot token is refused")
        except BadRequest as exc:  # a kind of NetworkError in the library; repeating would not help
            gone = "chat not found" in str(exc).lower()
            return Delivery("failed", reason=account.redacted(exc), unreachable=gone)
        except TimedOut as exc:
            if not_sent(exc):
                return Delivery("retry", reason=f"not sent: {account.redacted(exc)}")
            return Delivery("unknown", reason=f"no answer in time: {account.redacted(exc)}")
        except NetworkError as exc:
            return Delivery("retry", reason=account.redacted(exc))
        except ChannelError as exc:
            return Delivery("failed", reason=str(exc))
        self._sent.pop(message.id, None)
        return Delivery(platform_id=str(number))

    async def _send(
        self, account: TelegramAccount, chat: str, message: OutboxMessage, language: Language
    ) -> int:
        """Files, then text in pieces, the buttons under the last. Goes on where a retry left off."""
        keyboard = InlineKeyboardMarkup(
            [[InlineKeyboardButton(b.title[:BUTTON], callback_data=b.token)] for b in message.buttons]
        )
        files = [await self._outgoing.prepare(item, language) for item in message.media]
        links = [(file, False) for file in files if isinstance(file, str)]
        uploads = [file for file in files if isinstance(file, Upload)]
        pieces = [*split_units(_markup(message), plain_text(message, self.capabilities)), *links]
        number = 0
        for n in range(self._sent.get(message.id, 0), len(uploads) + len(pieces)):
            await self._slow_down(account, chat)
            if n < len(uploads):
                number = await self._send_file(account, chat, uploads[n], language)
            else:
                text, marked = pieces[n - len(uploads)]
                last = n == len(uploads) + len(pieces) - 1
                markup = keyboard if last and message.buttons else None
                number = await self._send_text(account, chat, text, marked, markup)
            self._sent[message.id] = n + 1
        return number

    async def _send_file(self, account: TelegramAccount, chat: str, file: Upload, language: Language) -> int:
        """A picture or a voice as such, anything else as a document; what Telegram refuses is a link."""
        send: Any = account.bot.send_document
        if file.kind == "image":
            send = account.bot.send_photo
        elif file.name.endswith(VOICES):
            send = account.bot.send_voice
        try:
            return int((await send(chat, file.content, filename=file.name)).message_id)
        except BadRequest as exc:
            if "chat not found" in str(exc).lower():
                raise
            logger.warning("telegram.file_refused chat=%s reason=%s", chat, account.redacted(exc))
        words = self._outgoing.words(file.media_id, file.kind, language)
        return await self._send_text(account, chat, words, False, None)

    async def _send_text(
        self,
        account: TelegramAccount,
        chat: str,
        text: str,
        marked: bool,
        markup: InlineKeyboardMarkup | None,
    ) -> int:
        try:
            mode = ParseMode.HTML if marked else None
            sent = await account.bot.send_message(chat, text, parse_mode=mode, reply_markup=markup)
        except BadRequest as exc:
            if not marked or "parse entities" not in str(exc).lower():
                raise
            plain = html.unescape(re.sub(r"<[^>]+>", "", text))
            sent = await account.bot.send_message(chat, plain, reply_markup=markup)
        return int(sent.message_id)

    async def _slow_down(self, account: TelegramAccount, chat: str) -> None:
        key = f"{account.name}:{chat}"
        wait = self._last.get(key, 0.0) + self._pace - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        if len(self._last) > 10_000:
            self._last.clear()
        self._last[key] = time.monotonic()

    async def _moved(self, conversation: Conversation, chat: int) -> None:
        async with self._gateway.store.write() as connection:
            await connection.execute(
                conversations.update().where(conversations.c.id == conversation.id).values(shopper=str(chat))
            )

    async def typing(self, conversation: Conversation, on: bool) -> None:
        """Telegram shows it for five seconds; it is repeated until the answer is there."""
        running = self._typing.pop(conversation.id, None)
        if running is not None:
            running.cancel()
        account = self._accounts.get(conversation.account)
        if on and account is not None:
            self._typing[conversation.id] = asyncio.create_task(
                self._keep_typing(account, conversation.shopper)
            )

    async def _keep_typing(self, account: TelegramAccount, chat: str) -> None:
        for _ in range(15):
            try:
                await account.bot.send_chat_action(chat, ChatAction.TYPING)
            except TelegramError as exc:
                logger.debug("telegram.typing_ignored reason=%s", account.redacted(exc))
                return
            await asyncio.sleep(TYPING)


def not_sent(error: TimedOut) -> bool:
    """Whether the time ran out before Telegram got anything: the library tells no difference, its cause does."""
    return isinstance(error.__cause__, httpx.ConnectTimeout | httpx.PoolTimeout)


def _file(message: dict[str, Any]) -> dict[str, Any] | None:
    """The largest size of a photo, or whatever other file the message holds."""
    found: dict[str, Any] | None = None
    if photo := message.get("photo"):
        found = photo[-1]
    for kind in ("document", "voice", "audio", "video", "video_note"):
        found = found or message.get(kind)
    return found


def _markup(message: OutboxMessage) -> str:
    """Telegram's small HTML. Everything a model or a shopper wrote is escaped."""
    text = (message.card or {}).get("lead") or message.text
    parts = [html.escape(text)] if text else []
    if message.card:
        rows = "\n".join(
            f"{html.escape(str(name))}: {html.escape(str(value))}"
            for name, value in message.card.get("rows", ())
        )
        parts.append(f"<b>{html.escape(str(message.card.get('title', '')))}</b>\n{rows}".strip())
    for title, address in message.citations:
        if address.startswith(("https://", "http://")):
            parts.append(f'<a href="{html.escape(address)}">{html.escape(title)}</a>')
        else:
            parts.append(f"· {html.escape(title)}")
    return "\n\n".join(parts)


def units(text: str) -> int:
    """Length as Telegram counts it: UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2


def split_units(marked: str, plain: str, limit: int = MAX_UNITS) -> list[tuple[str, bool]]:
    """[(text, whether it is HTML)]: one piece of HTML when it fits, else plain pieces cut at lines."""
    if not marked:
        return [(plain, False)] if plain else []
    if units(marked) <= limit:
        return [(marked, True)]
    pieces: list[tuple[str, bool]] = []
    rest = plain
    while units(rest) > limit:
        head = rest.encode("utf-16-le")[: limit * 2].decode("utf-16-le", errors="ignore")
        cut = head.rfind("\n")
        if cut >= len(head) // 2:
            head = head[: cut + 1]
        pieces.append((head.rstrip(), False))
        rest = rest[len(head) :]
    if rest.strip():
        pieces.append((rest, False))
    return [piece for piece in pieces if piece[0]]


def install(app: web.Application, gateway: Gateway, settings: Settings, media: MediaStore) -> None:
    """Open the door when a bot is configured.

    Raises:
        SettingsError: a token is malformed, or a webhook lacks its secret or public address.
    """
    if not settings.telegram:
        return
    for name, bot in settings.telegram.items():
        if bot.mode == "webhook" and not (settings.gateway.public_url or "").startswith("https://"):
            raise SettingsError(
                f"telegram.{name} uses a webhook: gateway.public_url must be the https address of this gateway."
            )
    secret = load_secret(settings.gateway.secret, settings.data_path("gateway.secret"))
    public_url = settings.gateway.public_url or ""
    link = file_links(settings)
    gateway.add(
        TelegramChannel(gateway, settings.telegram, media, secret=secret, public_url=public_url, link=link)
    )
