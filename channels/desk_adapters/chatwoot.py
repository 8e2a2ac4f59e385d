"""Chatwoot as a desk: one conversation of an API-channel inbox for each that wants a person.

What shoppers write goes there as incoming messages, what Kefu says as outgoing ones, and what only colleagues may
see as private notes. What people write there comes by the inbox's signed webhook; because Chatwoot delivers that
once and does not try again, the messages are also asked for by polling. Echoes of our own are known by their
sender and `source_id`.
Contract: developers.chatwoot.com, application API and webhooks; signatures since version 4.13. See
docs/desk-adapters.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp import web

from bot.exceptions import ChannelError, MediaRefused, SettingsError
from bot.handoff.ownership import Ownership
from bot.settings import ChatwootSettings
from channels.channel import Conversation
from channels.desk_adapters.adapter import Thread
from channels.desk_adapters.bridge import Bridge, title_of
from channels.desk_adapters.lines import WORDS, aside, spoken
from channels.desk_adapters.packet import render
from channels.media import MediaStore
from channels.store import Event

logger = logging.getLogger(__name__)

PATH = "/chatwoot"
WINDOW = 300  # seconds a signed webhook is good for, before and after
MAX_BODY = 1024 * 1024
STATUS = {"bot": "pending", "pending": "open", "person": "open", "closed": "resolved"}
STATUS_EVENTS = ("conversation_status_changed", "conversation_updated")
PAGES = 10  # of the conversation list, 25 each, that one poll reads at most
MARGIN = 600  # seconds a poll looks back beyond the last one
HOPS = 3  # redirects to a file
MAX_FILES = 15  # with one message, Chatwoot's own limit
SOURCE = "kefu"  # begins the source_id of what we wrote


class ChatwootError(ChannelError):
    """Chatwoot refused (`status` is HTTP's), or could not be reached (None). Holds no token."""

    def __init__(self, status: int | None, message: str) -> None:
        super().__init__(f"Chatwoot {status if status is not None else 'unreachable'}: {message}")
        self.status = status


class ChatwootApi:
    """The application API of one account."""

    def __init__(self, settings: ChatwootSettings) -> None:
        self.settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def http(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self.settings.timeout)
            self._session = aiohttp.ClientSession(timeout=timeout)
        return self._session

    async def call(
        self, method: str, path: str, body: Any = None, *, params: dict[str, str] | None = None
    ) -> Any:
        """One call under the account; `path` with a leading slash is taken from the root.

        Raises:
            ChatwootError: refused, or not reached.
        """
        root = self.settings.base_url.rstrip("/")
        url = (
            f"{root}{path}"
            if path.startswith("/")
            else f"{root}/api/v1/accounts/{self.settings.account}/{path}"
        )
        form = isinstance(body, aiohttp.FormData)
        try:
            async with self.http().request(
                method,
                url,
                params=params,
                data=body if form else None,
                json=None if form else body,
                headers={"api_access_token": self.settings.token},
                allow_redirects=False,  # the token is for this host alone
            ) as response:
                text = await response.text()
                if response.status >= 300:
                    raise ChatwootError(response.status, text[:200])
                return json.loads(text) if text.strip() else {}
        except ValueError as exc:
            raise ChatwootError(None, "the answer is no JSON") from exc
        except (TimeoutError, aiohttp.ClientError) as exc:
            raise ChatwootError(None, type(exc).__name__) from None


class ChatwootDesk:
    """The adapter."""

    name = "chatwoot"
    batch = 1

    def __init__(
        self,
        bridge: Bridge,
        settings: ChatwootSettings,
        media: MediaStore,
        *,
        evidence_link: Callable[[str], str],
    ) -> None:
        """`evidence_link` makes the address of a file, by its id.

        Raises:
            SettingsError: an address is no address.
        """
        if urlsplit(settings.base_url).scheme not in ("http", "https"):
            raise SettingsError(
                f"desk.chatwoot.base_url: {settings.base_url!r} is no address like https://chatwoot.example.com"
            )
        self.api = ChatwootApi(settings)
        self._bridge = bridge
        self._settings = settings
        self._media = media
        self._link = evidence_link
        self._me: int | None = None  # the user whose token we have
        self._polled = 0.0  # when the last poll began, seconds
        self._poller: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self, app: web.Application) -> None:
        app.router.add_post(PATH, self._webhook)

    async def start(self) -> None:
        self._poller = asyncio.create_task(self._polling())

    async def stop(self) -> None:
        tasks = [*self._tasks, *([self._poller] if self._poller else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.api.close()

    # out

    async def open(self, known: Conversation, packet: dict[str, Any]) -> str:
        """The contact by a name that does not change, then its conversation; both are looked for first, because an
        earlier try may have made them and died."""
        contact = await self._contact(known, packet)
        found = await self.api.call("GET", f"contacts/{contact}/conversations")
        for one in found.get("payload") or ():
            mine = (one.get("custom_attributes") or {}).get("kefu_conversation") == known.id
            if mine and one.get("inbox_id") == self._settings.inbox:
                return str(one["id"])
        made = await self.api.call(
            "POST", "conversations",
            {
                "inbox_id": self._settings.inbox, "contact_id": contact, "source_id": known.id, "status": "open",
                "custom_attributes": {
                    "kefu_conversation": known.id, "kefu_channel": known.channel,
                    "reason": packet.get("reason") or "", "goal": packet.get("goal") or "",
                },
            },
        )  # fmt: skip
        return str(made["id"])

    async def _contact(self, known: Conversation, packet: dict[str, Any]) -> int:
        # A customer the shop vouches for is one contact on all channels; anybody else is one per conversation.
        identifier = known.customer or f"kefu:{known.id}"
        found = await self.api.call("GET", "contacts/search", params={"q": identifier})
        for contact in found.get("payload") or ():
            if contact.get("identifier") == identifier:
                return int(contact["id"])
        made = await self.api.call(
            "POST", "contacts",
            {
                "inbox_id": self._settings.inbox, "identifier": identifier, "name": title_of(known, packet),
                "custom_attributes": {"kefu_channel": known.channel},
            },
        )  # fmt: skip
        return int(made["payload"]["contact"]["id"])

    async def show(self, thread: Thread, known: Conversation, lines: Sequence[Event], *, again: bool) -> None:
        there: set[str] = set()
        if again:
            latest = await self._at(thread, "GET", "messages")
            there = {str(one.get("source_id") or "") for one in latest.get("payload") or ()}
        for line in lines:
            source = f"{SOURCE}:{known.id}:{line.seq}"
            if source in there:
                continue
            await self._write(thread, line, source)

    async def _write(self, thread: Thread, line: Event, source: str) -> None:
        language, zone = self._bridge.language, self._bridge.acts.hours.zone
        if line.kind == "handoff":
            packet = line.body.get("packet") or {}
            evidence = [str(media_id) for media_id in packet.get("media") or ()][:MAX_FILES]
            links = [self._link(media_id) for media_id in evidence]
            text = render(packet, language, zone, links=links)
            await self._post(thread, text, source, private=True, media=evidence)
        elif line.kind == "message":
            text = spoken(line)
            if line.author != "shopper":
                who = line.body.get("agent") or WORDS.get(line.author, WORDS["system"])[language]
                text = f"{who}: {text}"
            media = [str(one["media_id"]) for one in line.body.get("media") or () if one.get("media_id")]
            if text or media:
                await self._post(thread, text, source, incoming=line.author == "shopper", media=media)
        elif told := aside(line, language):
            await self._post(thread, told, source, private=True)

    async def _post(
        self, thread: Thread, text: str, source: str, *, private: bool = False, incoming: bool = False,
        media: Sequence[str] = (),
    ) -> None:  # fmt: skip
        body = {
            "content": text,
            "message_type": "incoming" if incoming else "outgoing",
            "private": private,
            "source_id": source,
        }
        files = [(media_id, found) for media_id in media if (found := await self._media.get(media_id))]
        if not files:
            await self._at(thread, "POST", "messages", body)
            return
        form = aiohttp.FormData()
        for name, value in body.items():
            form.add_field(name, str(value).lower() if isinstance(value, bool) else value)
        for media_id, (data, content_type) in files:
            form.add_field("attachments[]", data, filename=media_id, content_type=content_type)
        await self._at(thread, "POST", "messages", form)

    async def _at(self, thread: Thread, method: str, what: str, body: Any = None) -> Any:
        """One call about a conversation there. One that somebody deleted is forgotten, so that the next try makes
        a new one.

        Raises:
            ChatwootError: refused, or not reached.
        """
        try:
            return await self.api.call(method, f"conversations/{thread.ref}/{what}", body)
        except ChatwootError as exc:
            # A proxy says 404 as well while Chatwoot is away; the inbox is there only with Chatwoot.
            if exc.status == 404 and await self.api.call("GET", f"inboxes/{self._settings.inbox}"):
                await self._bridge.forget_place(thread)
            raise

    async def follow(self, thread: Thread, owner: Ownership) -> None:
        await self._at(thread, "POST", "toggle_status", {"status": STATUS[owner.owner]})
        ours = owner.owner == "person" and owner.agent == thread.agent and thread.agent_ref
        if owner.owner != "closed":  # who closed it stays named
            assignee = int(str(thread.agent_ref)) if ours else 0
            await self.api.call("POST", f"conversations/{thread.ref}/assignments", {"assignee_id": assignee})

    async def tell(self, thread: Thread, text: str) -> None:
        await self._post(thread, text, f"{SOURCE}:told", private=True)

    # in

    async def _webhook(self, request: web.Request) -> web.Response:
        """200 at once: Chatwoot waits five seconds and does not come again; what we miss is polled."""
        raw = await request.read()
        if len(raw) > MAX_BODY or not self.genuine(raw, request.headers):
            return web.Response(status=401)
        try:
            payload = json.loads(raw)
            event = str(payload["event"])
        except (ValueError, TypeError, KeyError):
            return web.Response(status=400)
        delivery = request.headers.get("X-Chatwoot-Delivery")
        if delivery and not await self._bridge.first_time(f"delivery:{delivery}"):
            return web.Response()
        self._later(self._take(event, payload))
        return web.Response()

    def genuine(self, raw: bytes, headers: Any) -> bool:
        """Whether Chatwoot signed exactly this, now: HMAC-SHA256 over "{timestamp}.{body}"."""
        stamp, given = headers.get("X-Chatwoot-Timestamp", ""), headers.get("X-Chatwoot-Signature", "")
        if not (stamp.isascii() and stamp.isdecimal()) or abs(time.time() - int(stamp)) > WINDOW:
            return False
        made = hmac.new(self._settings.secret.encode(), stamp.encode() + b"." + raw, hashlib.sha256)
        return hmac.compare_digest(f"sha256={made.hexdigest()}".encode(), given.encode())

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, event: str, payload: dict[str, Any]) -> None:
        try:
            if (payload.get("account") or {}).get("id", self._settings.account) != self._settings.account:
                return
            if event == "message_created":
                conversation = payload.get("conversation") or {}
                if (payload.get("inbox") or {}).get("id") == self._settings.inbox:
                    await self._message(str(conversation["id"]), payload)
                    await self._compare(str(conversation["id"]))
            elif event in STATUS_EVENTS and payload.get("inbox_id") == self._settings.inbox:
                await self._compare(str(payload["id"]))
        except ChannelError as exc:
            logger.warning("chatwoot.webhook_put_off event=%s reason=%s", event, exc)  # the poll finds it
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            logger.error("chatwoot.webhook_unreadable event=%s reason=%r", event, exc)
        except Exception:  # the outermost door of this task; the poll finds what it was about
            logger.exception("chatwoot.webhook_failed event=%s", event)

    async def _message(self, ref: str, message: dict[str, Any]) -> None:
        """One message as a webhook or the API shows it. Only what a person wrote there counts."""
        sender = message.get("sender") or {}
        outgoing = message.get("message_type") in ("outgoing", 1)
        if not outgoing or sender.get("type") != "user" or sender.get("id") == await self._own_id():
            return
        if str(message.get("source_id") or "").startswith(f"{SOURCE}:"):
            return
        key, text = f"m{int(message['id'])}", str(message.get("content") or "").strip()
        agent = str(sender.get("name") or f"user {sender.get('id')}")[:128]
        if message.get("private"):
            if text:
                await self._bridge.noted(ref, agent=agent, key=key, text=text)
            return
        thread = await self._bridge.thread(ref=ref)
        if thread is None or await self._bridge.was_seen(key):
            return
        media, lost = await self._files(message.get("attachments") or ())
        if text or media:
            await self._bridge.said(
                ref, agent=agent, agent_ref=str(sender["id"]), key=key, at=_ms(message.get("created_at")),
                text=text, media=media,
            )  # fmt: skip
        if lost:
            await self._bridge.refuse(thread, "file")
            await self._bridge.first_time(key)

    async def _files(self, attachments: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
        """(what was kept, whether any was lost)."""
        kept: list[dict[str, Any]] = []
        for one in attachments:
            try:
                kept.append((await self._media.put(await self._download(str(one["data_url"])))).model_dump())
            except (ChannelError, KeyError) as exc:
                logger.warning("chatwoot.file_refused reason=%s", exc)
        return kept, len(kept) < len(attachments)

    async def _download(self, url: str) -> bytes:
        """A file, from Chatwoot's own host or one that is listed, never from anywhere a message names.

        Raises:
            ChatwootError: another host, too many redirects, or not reached.
            MediaRefused: too big.
        """
        allowed = {urlsplit(self._settings.base_url).netloc, *self._settings.files_from}
        for _ in range(HOPS):
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or parts.netloc not in allowed:
                raise ChatwootError(None, f"a file at {parts.netloc or 'no host'} is not fetched")
            try:
                async with self.api.http().get(url, allow_redirects=False) as response:
                    if response.status in (301, 302, 303, 307, 308):
                        url = urljoin(url, response.headers.get("Location", ""))
                        continue
                    if response.status != 200:
                        raise ChatwootError(response.status, "the file is gone")
                    data = await response.content.read(self._media.max_bytes + 1)
            except (TimeoutError, aiohttp.ClientError) as exc:
                raise ChatwootError(None, type(exc).__name__) from None
            if len(data) > self._media.max_bytes:
                raise MediaRefused("The file is too large", code="too_big")
            return data
        raise ChatwootError(None, "too many redirects to a file")

    async def _compare(self, ref: str) -> None:
        """Follow what an agent did with a conversation's status.

        A webhook may come late and speak of a status that is over, so the present one is asked for; and while we
        have not yet told Chatwoot of our own last change, ours is the newer.
        """
        thread = await self._bridge.thread(ref=ref)
        if thread is None:
            return
        owner = await self._bridge.gateway.owner(thread.conversation)
        if owner.token != thread.token:
            return
        found = await self.api.call("GET", f"conversations/{ref}")
        status, assignee = found.get("status"), (found.get("meta") or {}).get("assignee") or {}
        agent, agent_ref = str(assignee.get("name") or "")[:128], str(assignee.get("id") or "")
        human = agent and assignee.get("id") != await self._own_id()
        if owner.owner in ("pending", "person") and status in ("resolved", "pending"):
            done = await self._bridge.ended(
                ref, agent=agent or None, to_bot=status == "pending", token=owner.token
            )
            if not done and (await self._bridge.gateway.owner(thread.conversation)).token == owner.token:
                await self.follow(thread, owner)  # it is not theirs to end: put the status right
        elif owner.owner == "pending" and human:
            await self._bridge.claimed(ref, agent=agent, agent_ref=agent_ref)

    async def _own_id(self) -> int:
        if self._me is None:
            profile = await self.api.call("GET", "/api/v1/profile")
            self._me = int(profile["id"])
        return self._me

    async def _polling(self) -> None:
        while True:
            await asyncio.sleep(self._settings.poll_seconds)
            try:
                await self.poll()
            except ChannelError as exc:
                self._bridge.state = "degraded"
                logger.warning("chatwoot.poll_failed reason=%s", exc)
            except (KeyError, TypeError, ValueError, AttributeError) as exc:
                logger.error("chatwoot.poll_unreadable reason=%r", exc)
            except Exception:  # the outermost door of this task; the next poll tries again
                logger.exception("chatwoot.poll_broken")

    async def poll(self) -> None:
        """Find what webhooks missed: messages after the last one read, and changes of status.

        Raises:
            ChatwootError: refused, or not reached.
        """
        began = time.time()
        for page in range(1, PAGES + 1):
            found = await self.api.call(
                "GET", "conversations",
                params={"inbox_id": str(self._settings.inbox), "status": "all", "assignee_type": "all",
                        "sort_by": "last_activity_at_desc", "page": str(page)},
            )  # fmt: skip
            rows = (found.get("data") or {}).get("payload") or []
            for row in rows:
                await self._catch_up(str(row["id"]))
            oldest = min((float(row.get("last_activity_at") or 0) for row in rows), default=0.0)
            if len(rows) < 25 or (self._polled and oldest < self._polled - MARGIN):
                break
        self._polled = began

    async def _catch_up(self, ref: str) -> None:
        thread = await self._bridge.thread(ref=ref)
        if thread is None:
            return
        cursor = thread.cursor
        while True:
            found = await self.api.call("GET", f"conversations/{ref}/messages", params={"after": str(cursor)})
            messages = [one for one in found.get("payload") or () if int(one["id"]) > cursor]
            if not messages:
                break
            for message in sorted(messages, key=lambda one: int(one["id"])):
                await self._message(ref, message)
                cursor = int(message["id"])
            await self._bridge.update(thread, cursor=cursor)
        await self._compare(ref)


def _ms(created: Any) -> int:
    """Chatwoot writes seconds in the API and ISO 8601 in webhooks."""
    if isinstance(created, int | float):
        return int(created * 1000)
    return int(datetime.fromisoformat(str(created)).timestamp() * 1000)
