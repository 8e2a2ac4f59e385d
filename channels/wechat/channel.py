"""The WeChat Official Account door.

The platform waits five seconds for an answer and asks three times. So a push is stored, its turn raced
against the clock, and what is ready in time goes out as the passive reply, which costs nothing of the
allowance. What is not goes out through the customer-service API, as few messages as possible, and a push
that comes twice attaches to the turn that runs. A stored push is never answered with an error: the platform
would stop delivering for a minute.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from aiohttp import web
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import now_ms
from bot.exceptions import ChannelError, SettingsError, TooMany
from bot.message import Attachment, Inbound
from bot.settings import WechatSettings
from channels.channel import Capabilities, Conversation, Delivery, OutboxMessage
from channels.gateway import Gateway
from channels.linking import SCENE as BIND
from channels.media import KINDS, MediaStore
from channels.outgoing import Link, Outgoing, Upload, shortened
from channels.payloads import PERSON, SAY
from channels.texts import language_of, say
from channels.tokens import file_links
from channels.wechat import allowance, api
from channels.wechat.api import ApiError, OfficialAccountApi
from channels.wechat.envelope import (
    Envelope,
    Letter,
    LetterRefused,
    read_key,
    text_reply,
    transfer_reply,
)

logger = logging.getLogger(__name__)

MAX_BYTES = 2048  # of one text (45002 beyond)
PASSIVE = 4.3  # seconds of the platform's five that we use
# Most bytes of a temporary file. For pictures the platform's page says both 2 and 10 MB.
TAKES = {"jpg": 2_000_000, "png": 2_000_000, "amr": 2_000_000, "mp3": 2_000_000}
SILENT = "success"  # accepted, nothing to show


class _Account:
    """One Official Account with its keys and its client."""

    def __init__(self, name: str, settings: WechatSettings, engine: AsyncEngine) -> None:
        where = f"wechat.{name}"
        keys = tuple(
            read_key(key, f"{where}.{field}")
            for field, key in (("aes_key", settings.aes_key), ("previous_aes_key", settings.previous_aes_key))
            if key
        )
        if not settings.appid:
            raise SettingsError(f"{where}.appid is empty: copy it from the platform's console.")
        self.name = name
        self.settings = settings
        self.envelope = Envelope(settings.token, settings.appid, mode=settings.mode, keys=keys)
        self.passive_only = settings.passive_only
        self.api = OfficialAccountApi(
            engine, settings.appid, settings.secret, base_url=settings.base_url, timeout=settings.timeout
        )


class WechatChannel:
    """All configured Official Accounts; account `name` listens on /wechat/{name}."""

    name = "wechat"
    capabilities = Capabilities(typing=True, max_bytes=MAX_BYTES, batch=8, attempts=5, passive=True)

    def __init__(
        self,
        gateway: Gateway,
        accounts: dict[str, WechatSettings],
        engine: AsyncEngine,
        media: MediaStore,
        *,
        link: Link = lambda _: None,
        passive: float = PASSIVE,
    ) -> None:
        self._gateway = gateway
        self._engine = engine
        self._media = media
        self._outgoing = Outgoing(media, link, TAKES)
        self._passive = passive
        self._accounts = {name: _Account(name, settings, engine) for name, settings in accounts.items()}
        self._tries: dict[str, int] = {}  # push -> times seen, for accounts that can only answer passively
        self._tasks: set[asyncio.Task[None]] = set()
        self._sent: dict[str, int] = {}  # first message of a batch -> pieces already sent

    def routes(self, app: web.Application) -> None:
        app.router.add_get("/wechat/{account}", self._verify)
        app.router.add_post("/wechat/{account}", self._push)

    async def start(self) -> None: ...

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for account in self._accounts.values():
            await account.api.close()

    async def make_qr(self, scene: str, seconds: int) -> str | None:
        """Address of a QR picture that brings `scene` to an account of ours; None when none can make one.

        Raises:
            ApiError: the platform refuses.
        """
        able = [one for one in self._accounts.values() if one.settings.secret and not one.passive_only]
        return await able[0].api.make_qr(scene, seconds) if able else None

    # in

    def _account(self, request: web.Request) -> _Account:
        account = self._accounts.get(request.match_info["account"])
        if account is None:
            raise web.HTTPNotFound()
        return account

    async def _verify(self, request: web.Request) -> web.Response:
        account = self._account(request)
        try:
            echo = account.envelope.verify_url(request.query)
        except LetterRefused as exc:
            logger.warning("wechat.address_check_refused account=%s reason=%s", account.name, exc)
            return web.Response(status=exc.status)
        return web.Response(text=echo, content_type="text/plain")

    async def _push(self, request: web.Request) -> web.Response:
        account, came = self._account(request), time.monotonic()
        try:
            letter = account.envelope.open(request.query, await request.read())
            openid = str(letter.fields["FromUserName"])
            kind = str(letter.fields["MsgType"]).lower()
        except LetterRefused as exc:
            logger.warning("wechat.push_refused account=%s reason=%s", account.name, exc)
            return web.Response(status=exc.status)
        except (KeyError, TypeError):
            logger.warning("wechat.push_refused account=%s reason=no sender or kind", account.name)
            return web.Response(status=400)
        answer, messages = await self._answer(account, letter, openid, kind, came)
        if answer is None:
            return web.Response(text=SILENT)
        sealed = account.envelope.seal(
            answer, request.query.get("nonce", ""), letter.key, as_json=letter.as_json
        )
        response = web.Response(
            text=sealed, content_type="application/json" if letter.as_json else "application/xml"
        )
        # Written down as delivered only when it is on its way: killed in between, it goes out once more.
        try:
            await response.prepare(request)
            await response.write_eof()
        except ConnectionError:
            await self._gateway.deliveries.taken(messages, Delivery("retry", after=0.0, reason="hung up"))
        else:
            await self._gateway.deliveries.taken(messages)
        return response

    async def _answer(
        self, account: _Account, letter: Letter, openid: str, kind: str, came: float
    ) -> tuple[str | None, Sequence[OutboxMessage]]:
        """The passive reply (None: `success`) and the messages in it. Never raises once the push is stored."""
        fields = letter.fields
        key = dedup_key(fields, openid, kind)
        to, sender = openid, str(fields.get("ToUserName", ""))
        try:
            inbound = await self._inbound(account, fields, openid, kind, key)
            if inbound is None:
                return None, ()
            wait = self._passive if not account.passive_only else self._passive * 3 + 1
            trigger: allowance.Trigger = "event" if kind == "event" or _pressed_menu(fields) else "message"
            received = await self._gateway.receive(
                inbound,
                raw=json.dumps(fields, ensure_ascii=False),
                passive_for=wait + 0.2,
                along=partial(allowance.renew, trigger=trigger),
                keep_held=account.passive_only,
            )
        except TooMany:
            logger.warning("wechat.push_not_taken account=%s: too much waits", account.name)
            language = language_of(str(fields.get("Content") or "")) or "zh"
            return text_reply(to, sender, say("too_busy", language), as_json=letter.as_json), ()
        except ValidationError as exc:
            logger.warning("wechat.push_not_taken account=%s reason=%s", account.name, type(exc).__name__)
            return None, ()
        owner = await self._gateway.owner(received.conversation)
        native = account.settings.native_desk
        # Without the API even a person's answer has no way out but this reply.
        if owner.owner in ("pending", "person") and (native or not account.passive_only):
            if native and kind != "event":
                return transfer_reply(to, sender, account.settings.native_agent), ()
            return None, ()  # the person's answer comes through the API
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        if len(self._tries) > 10_000:
            self._tries.clear()
        last = not account.passive_only or tries >= 3
        # The platform's clock runs since it sent the push: what storing it took is gone already.
        left = came + (self._passive if last else self._passive + 2) - time.monotonic()
        over = await self._gateway.turns.wait_for(received.message_id, max(0.0, left))
        if not over:
            if account.passive_only and last:
                text = "还在为您查询，请回复任意字查看结果。\nStill looking. Reply with anything to see the result."
                return text_reply(to, sender, text, as_json=letter.as_json), ()
            return None, ()
        self._tries.pop(key, None)
        if account.passive_only:
            messages: Sequence[OutboxMessage] = await self._gateway.store.take_waiting(received.conversation)
        else:
            messages = await self._gateway.deliveries.take(received.message_id)
        return await self._passive_reply(messages, to, sender, account, as_json=letter.as_json)

    async def _passive_reply(
        self, messages: Sequence[OutboxMessage], to: str, sender: str, account: _Account, *, as_json: bool
    ) -> tuple[str | None, Sequence[OutboxMessage]]:
        """As many whole messages as one text holds; the rest goes back to the outbox."""
        fitting: list[OutboxMessage] = []
        text = ""
        for message in messages:
            if message.media and not account.passive_only:
                break  # files go out by the API
            longer = "\n\n".join(
                part for part in (text, self._outgoing.as_text(message, self.capabilities)) if part
            )
            if len(longer.encode()) > MAX_BYTES:
                break
            fitting.append(message)
            text = longer
        rest = messages[len(fitting) :]
        if rest and account.passive_only and not fitting:  # nothing else would ever bring it
            fitting, rest = [rest[0]], rest[1:]
            text = shortened(self._outgoing.as_text(fitting[0], self.capabilities), MAX_BYTES)
        if rest:
            await self._gateway.deliveries.taken(rest, Delivery("retry", after=0.0))
        if not text:
            await self._gateway.deliveries.taken(fitting)  # nothing in them that a text could show
            return None, ()
        return text_reply(to, sender, text, as_json=as_json), fitting

    async def _inbound(
        self, account: _Account, fields: dict[str, Any], openid: str, kind: str, key: str
    ) -> Inbound | None:
        """The push in the gateway's words; None when there is nothing to answer.

        Raises:
            ValidationError: the platform sent a shape of its own.
        """
        text = ""
        payload: str | None = None
        files: tuple[str, ...] = ()
        if kind == "text":
            text = str(fields.get("Content") or "")
            if token := _pressed_menu(fields):
                known = await self._gateway.store.find_conversation(self.name, account.name, openid)
                button = await self._gateway.press(known.id, token) if known else None
                if button is not None:
                    text, payload = button
        elif kind == "image":
            files = _file(fields)
        elif kind == "voice":
            text = str(fields.get("Recognition") or "").strip()  # a hint; often an empty field
            files = _file(fields)  # for people: the bot reads only words
            if not text:
                payload = SAY + "voice_unheard"
        elif kind in ("video", "shortvideo"):
            files, payload = _file(fields), SAY + "video_unseen"
        elif kind == "location":
            text = str(fields.get("Label") or "")
            payload = None if text else SAY + "unreadable"
        elif kind == "link":
            text = " ".join(str(fields.get(name) or "") for name in ("Title", "Url")).strip()
        elif kind == "event":
            return await self._event(account, fields, openid, key)
        else:
            payload = SAY + "unreadable"
        return self._message(account, openid, key, text, payload, files)

    def _message(
        self,
        account: _Account,
        openid: str,
        key: str,
        text: str,
        payload: str | None = None,
        files: tuple[str, ...] = (),
    ) -> Inbound:
        return Inbound(
            channel=self.name,
            account=account.name,
            shopper=openid,
            dedup_key=key,
            text=text,
            payload=payload,
            files=files,
            # The platform vouches for the openid; the shop knows whether a customer is bound to it.
            customer=f"wechat:{openid}",
            source=hashlib.sha256(f"wechat:{openid}".encode()).hexdigest()[:32],
            at=now_ms(),
        )

    async def _event(
        self, account: _Account, fields: dict[str, Any], openid: str, key: str
    ) -> Inbound | None:
        event = str(fields.get("Event") or "").lower()
        event_key = str(fields.get("EventKey") or "")
        if event == "unsubscribe":
            known = await self._gateway.store.find_conversation(self.name, account.name, openid)
            if known is not None:
                await self._gateway.store.set_reachable(known.id, False)
            return None
        if event == "subscribe":
            scene = event_key.removeprefix("qrscene_") if event_key.startswith("qrscene_") else ""
            return self._message(account, openid, key, *self._scene(scene))
        if event == "scan":
            return self._message(account, openid, key, *self._scene(event_key))
        if event == "click":
            said = account.settings.menu.get(event_key, event_key)
            if said == "human":
                known = await self._gateway.store.find_conversation(self.name, account.name, openid)
                said = say("ask_person", known.language if known else "zh")
                return self._message(account, openid, key, said, PERSON)
            return self._message(account, openid, key, said)
        logger.info("wechat.event_noted account=%s event=%s", account.name, event)
        return None

    def _scene(self, scene: str) -> tuple[str, str | None]:
        """What a QR code was printed with: `order_<number>` asks for that order; else a welcome.

        The scene is no proof: whoever photographs the code can scan it. It only saves typing.
        """
        if scene.startswith("order_"):
            return scene.removeprefix("order_"), None
        if scene.startswith(BIND):
            return scene, None  # asks for consent: channels.linking
        return "", SAY + "welcome"

    async def fetch(self, conversation: Conversation, file: str) -> Attachment:
        account = self._accounts.get(conversation.account)
        if account is None:
            raise ChannelError(f"wechat.{conversation.account} is not configured any more")
        return await self._media.put(await account.api.download(file, self._media.max_bytes), kinds=KINDS)

    # out

    async def deliver(self, conversation: Conversation, messages: Sequence[OutboxMessage]) -> Delivery:
        """Through the customer-service API, merged to as few messages as the words allow."""
        account = self._accounts.get(conversation.account)
        if account is None:
            return Delivery("failed", reason=f"wechat.{conversation.account} is not configured any more")
        if account.passive_only:
            return Delivery("held", reason="the account can only answer when the shopper writes")
        async with self._gateway.store.read() as connection:
            left = await allowance.left(connection, conversation.id)
        # The last one is kept for the person who may have to explain.
        spendable = left.remaining if messages[0].author == "person" else left.remaining - 1
        if spendable <= 0:
            return Delivery("held", reason="WeChat's allowance is used up until the shopper writes again")
        first = messages[0].id
        unanswered: str | None = None
        sent = self._sent.get(first, 0)  # in an earlier try: cut as it was then, or the rest would be cut off
        try:
            pieces = await self._outgoing.pieces(
                messages, conversation.language, self.capabilities, spendable + sent
            )
            for n, piece in enumerate(pieces):
                if n < sent:
                    continue
                try:
                    await self._send(account, conversation, piece)
                except ApiError as exc:
                    if not exc.unanswered:
                        raise
                    unanswered = str(exc)  # it may have arrived: not again, but what comes after it
                self._sent[first] = n + 1
                async with self._gateway.store.write() as connection:
                    await allowance.spend(connection, conversation.id)
        except ApiError as exc:
            return await self._refused(account, conversation, exc)
        except ChannelError as exc:
            return Delivery("failed", reason=str(exc))
        self._sent.pop(first, None)
        return Delivery() if unanswered is None else Delivery("unknown", reason=unanswered)

    async def _send(self, account: _Account, conversation: Conversation, piece: str | Upload) -> None:
        if isinstance(piece, str):
            await account.api.send_text(conversation.shopper, piece)
            return
        try:
            await account.api.send_file(
                conversation.shopper, piece.kind, piece.name, piece.content, piece.content_type
            )
        except ApiError as exc:
            if exc.code not in api.FILE_REFUSED:
                raise
            logger.warning("wechat.file_refused conversation=%s reason=%s", conversation.id, exc)
            words = self._outgoing.words(piece.media_id, piece.kind, conversation.language)
            await account.api.send_text(conversation.shopper, words)

    async def _refused(self, account: _Account, conversation: Conversation, error: ApiError) -> Delivery:
        """What each of the platform's errors means for the message."""
        code, reason = error.code, str(error)
        if code in api.WINDOW_CLOSED:
            async with self._gateway.store.write() as connection:
                await allowance.exhaust(connection, conversation.id)
            return Delivery("held", reason=reason)
        if code in api.UNREACHABLE:
            return Delivery("failed", reason=reason, unreachable=True)
        if code in api.NOT_ALLOWED:
            logger.error("wechat.passive_only account=%s reason=%s", account.name, reason)
            account.passive_only = True
            return Delivery("held", reason=reason)
        if code in api.CONFIGURATION or code in api.BAD_TOKEN:
            logger.error("wechat.misconfigured account=%s reason=%s", account.name, reason)
            return Delivery("retry", after=60.0, reason=reason)
        if code in api.BUSY:
            return Delivery("retry", after=2.0 if code == -1 else 60.0, reason=reason)
        if code is None:
            return Delivery("retry", reason=reason)
        return Delivery("failed", reason=reason)

    async def typing(self, conversation: Conversation, on: bool) -> None:
        """Beside the turn, not before it: an ornament must not delay the answer."""
        account = self._accounts.get(conversation.account)
        if account is None or account.passive_only:
            return
        task = asyncio.create_task(self._typing(account, conversation.shopper, on))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _typing(self, account: _Account, openid: str, on: bool) -> None:
        try:
            await account.api.typing(openid, on)
        except ApiError as exc:
            logger.debug("wechat.typing_ignored reason=%s", exc)


def dedup_key(fields: dict[str, Any], openid: str, kind: str) -> str:
    """What makes a push the same push: its MsgId, kept as text (mini-programs send letters in it).

    Events have none; two of different kinds can share a second.
    """
    if kind != "event" and fields.get("MsgId"):
        return f"{openid}:{fields['MsgId']}"
    parts = (openid, *(str(fields.get(name) or "") for name in ("CreateTime", "Event", "EventKey")))
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _file(fields: dict[str, Any]) -> tuple[str, ...]:
    """The platform's name of the file in a push; it keeps it for three days."""
    return (str(fields["MediaId"]),) if fields.get("MediaId") else ()


def _pressed_menu(fields: dict[str, Any]) -> str | None:
    token = fields.get("bizmsgmenuid")
    return str(token) if token else None


def install(app: web.Application, gateway: Gateway, settings: Any, media: MediaStore) -> None:
    """Open the door when an account is configured.

    Raises:
        SettingsError: an account lacks its token, appid or key.
    """
    if settings.wechat:
        gateway.add(
            WechatChannel(gateway, settings.wechat, gateway.store.engine, media, link=file_links(settings))
        )
