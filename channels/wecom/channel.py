"""The WeCom customer-service door (微信客服), over plain HTTP.

The platform only rings: its push says that there is something for an account. What it is is pulled with a
cursor, page by page, and the cursor is kept when a page is safely stored; so neither a lost ring nor a kill
loses a message, and a ring that comes twice pulls nothing twice. The platform has an owner of its own per
conversation (service_state); it is kept in step with Kefu's, and the bot is silent in state 3.
Numbers and rules: docs/wecom.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal
from urllib.parse import quote

from aiohttp import web
from sqlalchemy import BigInteger, Column, String, Table, Text, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.database import insert_once, metadata, now_ms
from bot.exceptions import ChannelError, OwnershipLost, TooMany
from bot.handoff import cases
from bot.handoff.ownership import Ownership, ownership
from bot.message import Attachment, Handoff, Inbound
from bot.settings import Settings, WecomSettings
from channels.channel import Capabilities, Conversation, Delivery, OutboxMessage
from channels.gateway import Gateway
from channels.linking import SCENE as BIND
from channels.media import KINDS, MediaStore
from channels.outgoing import Link, Outgoing, Upload
from channels.payloads import SAY
from channels.tables import conversations, inbox
from channels.texts import say
from channels.tokens import file_links
from channels.wechat import allowance
from channels.wechat.api import BAD_TOKEN, FILE_REFUSED
from channels.wechat.envelope import Envelope, LetterRefused, read_key
from channels.wecom.api import WecomApi, WecomError

logger = logging.getLogger(__name__)

MAX_BYTES = 2048  # of one text, documented
TAKES = {"jpg": 10_000_000, "png": 10_000_000, "amr": 2_000_000}  # most bytes of a temporary file, documented
PULL_LIMIT = 100  # of the 1000 allowed: the cursor is kept after each page, so a kill repeats little
RING_LIFE = 9 * 60  # seconds a ring's token is used; it is good for 10 minutes
HISTORY = 300  # seconds: on the very first pull, older messages are history and not answered
CUSTOMER, SYSTEM, SERVICER = 3, 4, 5  # origin of a pulled message
NEW, BOT, POOL, PERSON, ENDED = range(5)  # service_state
FORBIDDEN_STATE = 95018
FOLLOWED = "wecom"  # how the reasons begin of changes that came from the platform
LAST_WORDS = 3.0  # seconds a transfer waits for what was said before it
MAX_FOLLOW_TRIES = 5  # of a change of owner that loses to another one
NO_QUOTA = frozenset({95001, 95002})  # more than 5 in 48 hours, or outside them

cursors = Table(
    "wecom_cursors",
    metadata,
    Column("account", String(255), primary_key=True),  # block name : open_kfid
    Column("cursor", Text, nullable=False),
    Column("at", BigInteger, nullable=False),  # ms
)

scenes = Table(
    "wecom_scenes",
    metadata,
    Column("conversation", String(64), primary_key=True),
    Column("param", String(255), nullable=False),  # of the link the shopper came by
    Column("at", BigInteger, nullable=False),  # ms
)


class _Enterprise:
    def __init__(self, gateway: Gateway, name: str, settings: WecomSettings) -> None:
        where = f"wecom.{name}"
        keys = tuple(
            read_key(key, f"{where}.{field}")
            for field, key in (("aes_key", settings.aes_key), ("previous_aes_key", settings.previous_aes_key))
            if key
        )
        self.name = name
        self.settings = settings
        self.envelope = Envelope(settings.token, settings.corpid, mode="safe", keys=keys)
        self.api = WecomApi(gateway, name, settings)


class WecomChannel:
    """All configured enterprises; block `name` listens on /wecom/{name}.

    A conversation's account is ``name:open_kfid``, its shopper the external_userid.
    """

    name = "wecom"
    capabilities = Capabilities(max_bytes=MAX_BYTES, batch=8, attempts=5)

    def __init__(
        self,
        gateway: Gateway,
        enterprises: dict[str, WecomSettings],
        media: MediaStore,
        *,
        link: Link = lambda _: None,
    ) -> None:
        self._gateway = gateway
        self._media = media
        self._outgoing = Outgoing(media, link, TAKES)
        self._enterprises = {
            name: _Enterprise(gateway, name, settings) for name, settings in enterprises.items()
        }
        self._pulling: dict[str, asyncio.Lock] = {}
        self._rung: set[str] = set()  # accounts that rang while they were being pulled
        self._tasks: set[asyncio.Task[None]] = set()
        self._sent: dict[str, int] = {}  # first message of a batch -> pieces already sent
        gateway.on_handoff.append(self._on_handoff)
        gateway.on_owner.append(self._on_owner)

    def routes(self, app: web.Application) -> None:
        app.router.add_get("/wecom/{name}", self._verify)
        app.router.add_post("/wecom/{name}", self._ring)

    async def start(self) -> None:
        """Pull what came while we were away, for every account that is known."""
        async with self._gateway.store.read() as connection:
            known = [row.account for row in await connection.execute(select(cursors.c.account))]
        for account in known:
            name, _, open_kfid = account.partition(":")
            if name in self._enterprises:
                self._later(self._pull(self._enterprises[name], open_kfid, None))
        self._later(self._transfer_waiting())

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for enterprise in self._enterprises.values():
            await enterprise.api.close()

    # in: rings

    def _enterprise(self, request: web.Request) -> _Enterprise:
        found = self._enterprises.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound()
        return found

    async def _verify(self, request: web.Request) -> web.Response:
        enterprise = self._enterprise(request)
        try:
            return web.Response(text=enterprise.envelope.verify_url(request.query), content_type="text/plain")
        except LetterRefused as exc:
            logger.warning("wecom.address_check_refused name=%s reason=%s", enterprise.name, exc)
            return web.Response(status=exc.status)

    async def _ring(self, request: web.Request) -> web.Response:
        enterprise = self._enterprise(request)
        try:
            letter = enterprise.envelope.open(request.query, await request.read())
        except LetterRefused as exc:
            logger.warning("wecom.ring_refused name=%s reason=%s", enterprise.name, exc)
            return web.Response(status=exc.status)
        if letter.fields.get("Event") == "kf_msg_or_event" and letter.fields.get("OpenKfId"):
            ring = (str(letter.fields.get("Token") or ""), time.monotonic() + RING_LIFE)
            self._later(self._pull(enterprise, str(letter.fields["OpenKfId"]), ring))
        return web.Response(text="")  # at once; the cursor is what must not be lost, and it is ours

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # in: pulls

    async def _pull(self, enterprise: _Enterprise, open_kfid: str, ring: tuple[str, float] | None) -> None:
        """All pages. One pull per account at a time; a ring during it means one more."""
        account = f"{enterprise.name}:{open_kfid}"
        lock = self._pulling.setdefault(account, asyncio.Lock())
        if lock.locked():
            self._rung.add(account)
            return
        async with lock:
            wait = 1.0
            while True:
                self._rung.discard(account)
                try:
                    await self._pull_pages(enterprise, open_kfid, account, ring)
                except Exception as exc:  # the outermost door of this task; the cursor is where it was
                    strange = not isinstance(exc, WecomError | TooMany)
                    logger.warning("wecom.pull_failed account=%s reason=%s", account, exc, exc_info=strange)
                    await asyncio.sleep(wait)
                    wait = min(60.0, wait * 2)
                    continue
                wait = 1.0
                if account not in self._rung:
                    return

    async def _pull_pages(
        self, enterprise: _Enterprise, open_kfid: str, account: str, ring: tuple[str, float] | None
    ) -> None:
        async with self._gateway.store.read() as connection:
            row = (await connection.execute(select(cursors).where(cursors.c.account == account))).first()
        if row is None:
            await self._keep_cursor(account, "")  # so that a restart pulls by itself, from the same time on
        cursor = row.cursor if row else ""
        oldest = 0.0 if cursor else (row.at / 1000 if row else time.time()) - HISTORY
        while True:
            body: dict[str, Any] = {"limit": PULL_LIMIT, "open_kfid": open_kfid, "voice_format": 0}
            if cursor:
                body["cursor"] = cursor
            if ring is not None and ring[0] and time.monotonic() < ring[1]:
                body["token"] = ring[0]
            page = await enterprise.api.call("kf/sync_msg", body)
            # In order for every shopper, shoppers side by side: the cursor moves when all of them are safe.
            by_shopper: dict[str, list[dict[str, Any]]] = {}
            known = await self._known(account, [str(one.get("msgid")) for one in page.get("msg_list", ())])
            for message in page.get("msg_list", ()):
                if float(message.get("send_time", 0)) >= oldest and str(message.get("msgid")) not in known:
                    by_shopper.setdefault(_shopper(message), []).append(message)
            await asyncio.gather(
                *(self._take_all(enterprise, account, messages) for messages in by_shopper.values())
            )
            cursor = str(page.get("next_cursor") or cursor)
            await self._keep_cursor(account, cursor)
            if not page.get("has_more"):
                return

    async def _keep_cursor(self, account: str, cursor: str) -> None:
        async with self._gateway.store.write() as connection:
            await connection.execute(cursors.delete().where(cursors.c.account == account))
            await connection.execute(cursors.insert().values(account=account, cursor=cursor, at=now_ms()))

    async def _known(self, account: str, msgids: Sequence[str]) -> set[str]:
        """Those that were stored before a kill: one look instead of a transaction each."""
        query = select(inbox.c.dedup_key).where(
            inbox.c.channel == self.name, inbox.c.account == account, inbox.c.dedup_key.in_(msgids)
        )
        async with self._gateway.store.read() as connection:
            return set((await connection.execute(query)).scalars())

    async def _take_all(
        self, enterprise: _Enterprise, account: str, messages: Sequence[dict[str, Any]]
    ) -> None:
        for message in messages:
            await self._take(enterprise, account, message)

    async def _take(self, enterprise: _Enterprise, account: str, message: dict[str, Any]) -> None:
        """One pulled message. A broken one is logged and passed over; it must not stop the rest."""
        try:
            kind, origin = str(message["msgtype"]), int(message.get("origin", SYSTEM))
            if kind == "event":
                await self._event(enterprise, account, message["event"], str(message["msgid"]))
            elif origin == CUSTOMER:
                await self._from_customer(enterprise, account, message, kind)
            elif origin == SERVICER:
                await self._from_servicer(account, message, kind)
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            logger.error(
                "wecom.message_unreadable account=%s id=%s reason=%r", account, message.get("msgid"), exc
            )

    async def _from_customer(
        self, enterprise: _Enterprise, account: str, message: dict[str, Any], kind: str
    ) -> None:
        shopper, text = str(message["external_userid"]), ""
        payload: str | None = None
        files: tuple[str, ...] = ()
        if kind == "text":
            text = str(message["text"].get("content") or "")
            menu = message["text"].get("menu_id")
            known = await self._gateway.store.find_conversation(self.name, account, shopper)
            button = await self._gateway.press(known.id, str(menu)) if menu and known else None
            if button is not None:
                text, payload = button
        elif kind == "image":
            files = (str(message["image"]["media_id"]),)
        elif kind == "voice":
            files, payload = (str(message["voice"]["media_id"]),), SAY + "voice_unheard"
        elif kind == "video":
            files, payload = (str(message["video"]["media_id"]),), SAY + "video_unseen"
        elif kind == "file":
            files = (str(message["file"]["media_id"]),)
        elif kind == "location":
            text = " ".join(str(message["location"].get(part) or "") for part in ("name", "address")).strip()
        elif kind == "link":
            text = " ".join(str(message["link"].get(part) or "") for part in ("title", "url")).strip()
        if not text and not files and payload is None:
            payload = SAY + "unreadable"
        text = await self._with_scene(account, shopper, text)
        await self._gateway.receive(
            Inbound(
                channel=self.name,
                account=account,
                shopper=shopper,
                dedup_key=str(message["msgid"]),
                text=text,
                payload=payload,
                files=files,
                customer=f"wecom:{shopper}",
                source=hashlib.sha256(f"wecom:{shopper}".encode()).hexdigest()[:32],
                at=int(float(message["send_time"]) * 1000),
            ),
            raw=json.dumps(message, ensure_ascii=False),
            along=partial(allowance.renew, trigger="message"),
        )
        await self._bring_code(account, shopper, str(message["msgid"]))

    async def fetch(self, conversation: Conversation, file: str) -> Attachment:
        enterprise = self._enterprises.get(conversation.account.partition(":")[0])
        if enterprise is None:
            raise ChannelError(f"wecom: {conversation.account} is not configured any more")
        return await self._media.put(await enterprise.api.download(file, self._media.max_bytes), kinds=KINDS)

    async def _with_scene(self, account: str, shopper: str, text: str) -> str:
        """A link can carry an order number; said along once, with the first words that name none."""
        if not text or any(letter.isdigit() for letter in text):
            return text
        known = await self._gateway.store.find_conversation(self.name, account, shopper)
        param = await self._take_scene(known.id, "order_") if known is not None else None
        return f"{text} {param.removeprefix('order_')}" if param else text

    async def _bring_code(self, account: str, shopper: str, msgid: str) -> None:
        """A link can carry a code that links two chats. It counts as said by the shopper as soon as he can be asked
        whether he wants that (`channels.linking`): before his first words there is no allowance for the question."""
        known = await self._gateway.store.find_conversation(self.name, account, shopper)
        code = await self._take_scene(known.id, BIND) if known is not None else None
        if code is not None:
            await self._gateway.receive(
                Inbound(
                    channel=self.name, account=account, shopper=shopper, dedup_key=f"{BIND}{msgid}", text=code,
                    customer=f"wecom:{shopper}", at=now_ms(),
                )
            )  # fmt: skip

    async def _take_scene(self, conversation: str, kind: str) -> str | None:
        """What the shopper's link brought along, when it begins like this; once."""
        mine = scenes.c.conversation == conversation
        async with self._gateway.store.read() as connection:
            param = (await connection.execute(select(scenes.c.param).where(mine))).scalar()
        if param is None or param.startswith(BIND) is not (kind == BIND):
            return None
        async with self._gateway.store.write() as connection:
            gone = await connection.execute(scenes.delete().where(mine, scenes.c.param == param))
        return str(param) if gone.rowcount == 1 else None

    async def make_link(self, scene: str) -> str | None:
        """Address of a page that opens our customer service and brings `scene` back; None when none can make one.

        Raises:
            WecomError: the platform refuses.
        """
        enterprise = next((one for one in self._enterprises.values() if one.settings.secret), None)
        if enterprise is None:
            return None
        listed = await enterprise.api.call("kf/account/list", {"offset": 0, "limit": 1})
        if not listed.get("account_list"):
            return None
        account = listed["account_list"][0]["open_kfid"]
        made = await enterprise.api.call("kf/add_contact_way", {"open_kfid": account, "scene": "kefu"})
        url = str(made["url"])
        return f"{url}{'&' if '?' in url else '?'}scene_param={quote(scene, safe='')}"

    async def _from_servicer(self, account: str, message: dict[str, Any], kind: str) -> None:
        """What the shop's people write in WeCom belongs into the transcript; it is delivered already."""
        known = await self._gateway.store.find_conversation(
            self.name, account, str(message["external_userid"])
        )
        if known is None:
            return
        text = str(message["text"].get("content") or "") if kind == "text" else f"[{kind}]"
        body = {"text": text, "agent": str(message.get("servicer_userid") or ""), "id": str(message["msgid"])}
        if await self._note(account, str(message["msgid"]), known, "message", "person", body):
            async with self._gateway.store.write() as connection:
                await cases.answered(connection, known.id, now_ms())

    async def _note(
        self, account: str, msgid: str, known: Conversation, kind: str, author: str, body: dict[str, Any]
    ) -> bool:
        """Write a line that is no turn, once: line and memory of its name are one transaction."""
        store = self._gateway.store
        async with store.write() as connection:
            new = await self._remember(connection, account, msgid)
            if new:
                await store.add_event(connection, known.id, kind, author, body)
        self._gateway.wake.wake(known.id)
        return new

    async def _seen(self, account: str, msgid: str) -> bool:
        """Whether something that is no turn was dealt with before."""
        query = select(inbox.c.id).where(
            inbox.c.channel == self.name, inbox.c.account == account, inbox.c.dedup_key == msgid
        )
        async with self._gateway.store.read() as connection:
            return (await connection.execute(query)).first() is not None

    async def _remember(self, connection: AsyncConnection, account: str, msgid: str) -> bool:
        """False when it was remembered already."""
        result = await connection.execute(
            insert_once(inbox, "channel", "account", "dedup_key").values(
                id=hashlib.sha256(f"{account}:{msgid}".encode()).hexdigest()[:32],
                conversation="",
                channel=self.name,
                account=account,
                dedup_key=msgid,
                body={},
                state="done",
                outcome="noted",
                attempts=0,
                next_at=0,
                passive_until=0,
                received_at=now_ms(),
            )
        )
        return bool(result.rowcount == 1)

    async def _event(self, enterprise: _Enterprise, account: str, event: dict[str, Any], msgid: str) -> None:
        """Dealt with first and remembered afterwards: all of it may be done twice, and none may be left out."""
        if await self._seen(account, msgid):
            return
        await self._deal_with(enterprise, account, event, msgid)
        async with self._gateway.store.write() as connection:
            await self._remember(connection, account, msgid)

    async def _deal_with(
        self, enterprise: _Enterprise, account: str, event: dict[str, Any], msgid: str
    ) -> None:
        kind, shopper = str(event.get("event_type")), str(event.get("external_userid") or "")
        if kind == "enter_session":
            await self._entered(enterprise, account, shopper, event, msgid)
            return
        known = await self._gateway.store.find_conversation(self.name, account, shopper) if shopper else None
        if kind == "msg_send_fail":
            await self._gateway.store.fail_delivered(self.name, str(event.get("fail_msgid") or ""))
            logger.warning("wecom.not_delivered account=%s type=%s", account, event.get("fail_type"))
        elif kind == "session_status_change" and known is not None:
            await self._session_changed(enterprise, known, event)
        elif kind == "user_recall_msg" and known is not None:
            body = {"of": str(event.get("recall_msgid") or "")}
            await self._note(account, msgid, known, "recall", "shopper", body)

    async def _entered(
        self, enterprise: _Enterprise, account: str, shopper: str, event: dict[str, Any], msgid: str
    ) -> None:
        async with self._gateway.store.write() as connection:
            known = await self._gateway.store.open_conversation(connection, self.name, account, shopper)
            if param := str(event.get("scene_param") or ""):
                await connection.execute(scenes.delete().where(scenes.c.conversation == known.id))
                await connection.execute(
                    scenes.insert().values(conversation=known.id, param=param[:255], at=now_ms())
                )
        if code := event.get("welcome_code"):  # only for the first words in 48 hours; good for 20 seconds
            key = "welcome_link" if param.startswith(BIND) else "welcome"
            await self._on_event(enterprise, str(code), say(key, known.language))
            return
        async with self._gateway.store.read() as connection:
            left = await allowance.left(connection, known.id)
        if left.remaining > 1:
            await self._bring_code(account, shopper, msgid)

    async def _session_changed(
        self, enterprise: _Enterprise, known: Conversation, event: dict[str, Any]
    ) -> None:
        """The shop's people took, passed on or ended it in their own client: Kefu follows."""
        change, servicer = int(event.get("change_type", 0)), str(event.get("new_servicer_userid") or "")
        if change in (1, 2, 4):
            await self._follow(known, "person", agent=servicer, reason="wecom")
        elif change == 3:
            if code := event.get("msg_code"):
                await self._on_event(enterprise, str(code), say("farewell", known.language))
            await self._follow(known, "bot", reason="wecom_ended")

    async def _follow(
        self, known: Conversation, owner: Literal["bot", "person"], *, agent: str | None = None, reason: str
    ) -> None:
        """Take over what the platform has already done: whoever was quicker here is overruled."""
        for _ in range(MAX_FOLLOW_TRIES):
            current = await self._gateway.owner(known.id)
            if current.owner == owner and agent in (None, current.agent):
                return
            try:
                await self._gateway.hand_over(known.id, current, owner, agent=agent, reason=reason)
                return
            except OwnershipLost:
                continue  # Kefu's own hand-off was on its way: read again and follow after it
            except ValueError as exc:
                logger.warning("wecom.owner_not_followed conversation=%s reason=%s", known.id, exc)
                return
        logger.error("wecom.owner_not_followed conversation=%s reason=contended", known.id)

    async def _on_event(self, enterprise: _Enterprise, code: str, text: str) -> None:
        """A message that answers an event: within 20 seconds, once, outside the allowance."""
        body = {"code": code, "msgid": _msgid(code), "msgtype": "text", "text": {"content": text}}
        try:
            await enterprise.api.call("kf/send_msg_on_event", body)
        except WecomError as exc:
            logger.warning("wecom.event_message_refused reason=%s", exc)  # too late is too late

    # out

    async def deliver(self, conversation: Conversation, messages: Sequence[OutboxMessage]) -> Delivery:
        """Merged to as few messages as the bytes allow; each named, so that a repeat is no second message."""
        name, _, open_kfid = conversation.account.partition(":")
        enterprise = self._enterprises.get(name)
        if enterprise is None:
            return Delivery("failed", reason=f"wecom.{name} is not configured any more")
        async with self._gateway.store.read() as connection:
            left = await allowance.left(connection, conversation.id)
        spendable = left.remaining if messages[0].author == "person" else left.remaining - 1
        if spendable <= 0:
            return Delivery("held", reason="WeCom's allowance is used up until the shopper writes again")
        first, msgid = messages[0].id, ""
        sent = self._sent.get(first, 0)  # in an earlier try: cut as it was then, or the rest would be cut off
        try:
            pieces = await self._outgoing.pieces(
                messages, conversation.language, self.capabilities, spendable + sent
            )
        except ChannelError as exc:
            return Delivery("failed", reason=str(exc))
        for n, piece in enumerate(pieces):
            msgid = _msgid(f"{first}:{n}")
            if n < sent:
                continue
            body = {"touser": conversation.shopper, "open_kfid": open_kfid, "msgid": msgid}
            try:
                content = await self._content(enterprise, conversation, piece)
                await enterprise.api.call("kf/send_msg", {**body, **content})
            except WecomError as exc:
                return await self._refused(enterprise, conversation, open_kfid, exc)
            self._sent[first] = n + 1
            async with self._gateway.store.write() as connection:
                await allowance.spend(connection, conversation.id)
        self._sent.pop(first, None)
        return Delivery(platform_id=msgid)

    async def _content(
        self, enterprise: _Enterprise, conversation: Conversation, piece: str | Upload
    ) -> dict[str, Any]:
        """The part of a message that says what it is. A file the platform refuses is a link.

        Raises:
            WecomError: the platform refuses for another reason, or is not reached.
        """
        if isinstance(piece, Upload):
            try:
                media_id = await enterprise.api.upload(
                    piece.kind, piece.name, piece.content, piece.content_type
                )
                return {"msgtype": piece.kind, piece.kind: {"media_id": media_id}}
            except WecomError as exc:
                if exc.code not in FILE_REFUSED:
                    raise
                logger.warning("wecom.file_refused conversation=%s reason=%s", conversation.id, exc)
            piece = self._outgoing.words(piece.media_id, piece.kind, conversation.language)
        return {"msgtype": "text", "text": {"content": piece}}

    async def _refused(
        self, enterprise: _Enterprise, conversation: Conversation, open_kfid: str, error: WecomError
    ) -> Delivery:
        if error.code == FORBIDDEN_STATE:
            state = await self._state(enterprise, conversation, open_kfid)
            if state == PERSON:
                await self._follow(conversation, "person", reason="wecom")
            return Delivery("held", reason=f"{error}; service_state {state}")
        if error.code in NO_QUOTA:
            async with self._gateway.store.write() as connection:
                await allowance.exhaust(connection, conversation.id)
            return Delivery("held", reason=str(error))
        if error.code is None or error.code in (-1, 45009):
            return Delivery("retry", reason=str(error))
        if error.code in BAD_TOKEN or error.code in (40013, 60020):
            logger.error("wecom.misconfigured name=%s reason=%s", enterprise.name, error)
            return Delivery("retry", after=60.0, reason=str(error))
        return Delivery("failed", reason=str(error))

    async def _state(self, enterprise: _Enterprise, conversation: Conversation, open_kfid: str) -> int | None:
        body = {"open_kfid": open_kfid, "external_userid": conversation.shopper}
        try:
            return int((await enterprise.api.call("kf/service_state/get", body)).get("service_state", -1))
        except WecomError as exc:
            logger.warning("wecom.state_unknown reason=%s", exc)
            return None

    async def _transfer_waiting(self) -> None:
        """Killed between a hand-off and its transfer: whoever waits is where WeCom's people do not see him."""
        waiting = select(conversations.c.account, conversations.c.shopper).where(
            conversations.c.channel == self.name, conversations.c.id == ownership.c.conversation,
            ownership.c.owner == "pending",
        )  # fmt: skip
        async with self._gateway.store.read() as connection:
            found = (await connection.execute(waiting)).all()
        for row in found:
            name, _, open_kfid = row.account.partition(":")
            known = await self._gateway.store.find_conversation(self.name, row.account, row.shopper)
            enterprise = self._enterprises.get(name)
            if known is None or enterprise is None or enterprise.settings.desk != "wecom":
                continue
            if await self._state(enterprise, known, open_kfid) in (NEW, BOT):
                await self._transfer(known)

    async def _on_handoff(self, conversation: Conversation, handoff: Handoff, owner: Ownership) -> None:
        await self._transfer(conversation)

    async def _transfer(self, conversation: Conversation) -> None:
        """To the shop's people in WeCom, when they are the desk: into the pool, or to a named person."""
        name, _, open_kfid = conversation.account.partition(":")
        enterprise = self._enterprises.get(name)
        if conversation.channel != self.name or enterprise is None or enterprise.settings.desk != "wecom":
            return
        # In state 2 and 3 the platform takes nothing from us: what tells the shopper of the transfer goes first.
        await self._gateway.deliveries.all_gone(conversation.id, LAST_WORDS)
        body: dict[str, Any] = {
            "open_kfid": open_kfid,
            "external_userid": conversation.shopper,
            "service_state": PERSON if enterprise.settings.servicer else POOL,
        }
        if enterprise.settings.servicer:
            body["servicer_userid"] = enterprise.settings.servicer
        try:
            await enterprise.api.call("kf/service_state/trans", body)
        except WecomError as exc:
            # The conversation stays pending at Kefu's own desk, where somebody sees it.
            logger.error("wecom.transfer_refused conversation=%s reason=%s", conversation.id, exc)
            await self._gateway.write_event(
                conversation.id, "note", "system", {"text": f"WeCom did not take the transfer: {exc}"}
            )

    async def _on_owner(self, conversation: str, before: Ownership, after: Ownership) -> None:
        """Kefu gives back or ends what the shop's people have in WeCom: end it there, or the bot stays shut out. And
        whoever writes again soon after the end goes on with people, who have to see him."""
        ended = after.owner in ("bot", "closed") and before.owner in ("pending", "person")
        reopened = after.owner in ("pending", "person") and before.owner == "closed"
        if not (ended or reopened) or (after.reason or "").startswith(FOLLOWED):
            return
        known = await self._gateway.store.conversation(conversation)
        if known is None or known.channel != self.name:
            return
        if reopened:
            await self._transfer(known)
            return
        name, _, open_kfid = known.account.partition(":")
        enterprise = self._enterprises.get(name)
        if enterprise is None or enterprise.settings.desk != "wecom":
            return
        body = {"open_kfid": open_kfid, "external_userid": known.shopper, "service_state": ENDED}
        try:
            await enterprise.api.call("kf/service_state/trans", body)
        except WecomError as exc:
            logger.warning("wecom.end_refused conversation=%s reason=%s", conversation, exc)

    async def typing(self, conversation: Conversation, on: bool) -> None:
        """The platform has no such thing."""


def _shopper(message: dict[str, Any]) -> str:
    """Whom a pulled message is about; events say it one level down."""
    event = message.get("event")
    named = message.get("external_userid") or (
        event.get("external_userid") if isinstance(event, dict) else ""
    )
    return str(named or "")


def _msgid(seed: str) -> str:
    """32 characters the platform takes for a message's name; the same seed is the same message."""
    return hashlib.sha256(seed.encode()).hexdigest()[:32]


def install(app: web.Application, gateway: Gateway, settings: Settings, media: MediaStore) -> None:
    """Open the door when an enterprise is configured.

    Raises:
        SettingsError: a token or key is missing.
    """
    if settings.wecom:
        gateway.add(WecomChannel(gateway, settings.wecom, media, link=file_links(settings)))
