"""Keeps an eye on what shoppers were promised (`bot.handoff.promises`) and tells them what became of it.

Kept or late, the shopper hears it once, inside the channel's window: a message that the channel cannot send now is
held until he writes. Broken, he hears an apology and a person gets the case. This module knows no platform.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from aiohttp import web
from sqlalchemy import func, select

from bot.database import now_ms
from bot.exceptions import KefuError, OrderError
from bot.formats import format_date, format_money, shop_timezone
from bot.handoff import promises
from bot.handoff.promises import Promise, as_facts, daytime, decide, followed_up
from bot.identity import links
from bot.message import Handoff, Language, Reply
from bot.orders.client import OrderClient
from bot.orders.models import Money, Outcome
from bot.policy import Policy
from bot.policy.rules import Calendar
from bot.settings import Settings
from channels.channel import Conversation
from channels.gateway import Gateway
from channels.media import MediaStore
from channels.tables import events, inbox

logger = logging.getLogger(__name__)

_BUSY = 120_000  # ms; a shopper who talks with the bot is not interrupted with bad news
_GOALS = {"refund": "refund", "refund_after_return": "return_goods", "exchange": "exchange"}

SENTENCES: dict[str, dict[Language, str]] = {
    "kept_money": {
        "zh": "跟您说一声：订单 {order} 的退款 {amount} 已经到账，请查收。",
        "en": "Good news: the refund of {amount} for order {order} has arrived.",
    },
    "late_money": {
        "zh": "订单 {order} 的退款 {amount} 已经到账，比答应您的时间晚了，非常抱歉。",
        "en": "The refund of {amount} for order {order} has arrived. It was later than we said; we are sorry.",
    },
    "kept_goods": {
        "zh": "跟您说一声：订单 {order} 换的新商品已经寄出。",
        "en": "Good news: the replacement for order {order} is on its way.",
    },
    "late_goods": {
        "zh": "订单 {order} 换的新商品已经寄出，比答应您的时间晚了，非常抱歉。",
        "en": "The replacement for order {order} is on its way. It was later than we said; we are sorry.",
    },
    "broken_money": {
        "zh": "非常抱歉：订单 {order} 的退款 {amount} 答应您最晚 {due} 到账，现在还没有办完。我已请同事处理，会在这里回复您。",
        "en": "We are very sorry: the refund of {amount} for order {order} was to arrive by {due} and has not. "
        "A colleague is looking into it and will reply here.",
    },
    "broken_goods": {
        "zh": "非常抱歉：订单 {order} 换的新商品答应您最晚 {due} 寄出，现在还没有寄出。我已请同事处理，会在这里回复您。",
        "en": "We are very sorry: the replacement for order {order} was to be sent by {due} and has not been. "
        "A colleague is looking into it and will reply here.",
    },
    "refused": {
        "zh": "非常抱歉：订单 {order} 的申请店铺没有通过，之前答应您的没能办成。我已请同事处理，会在这里向您说明。",
        "en": "We are very sorry: the shop turned down the request for order {order}, so what we told you was not done. "
        "A colleague is looking into it and will explain here.",
    },
    "unchecked": {
        "zh": "订单 {order} 答应您的事到期了，我没能查到结果。我已请同事确认，会在这里回复您。",
        "en": "What we told you about order {order} was due and I could not find out how it stands. "
        "A colleague is looking into it and will reply here.",
    },
    "broken_follow_up": {
        "zh": "非常抱歉：{agent}答应您在 {due} 前跟进，还没有做到。我已请同事尽快在这里回复您。",
        "en": "We are very sorry: {agent} was to follow up by {due} and has not. A colleague will reply here as soon as possible.",
    },
}


class PromiseKeeper:
    """One gateway's clockwork for promises; several may run."""

    def __init__(
        self,
        gateway: Gateway,
        settings: Settings,
        client: OrderClient,
        calendar: Calendar,
        *,
        now: Callable[[], int] = now_ms,
    ) -> None:
        """`now` gives ms."""
        self.gateway = gateway
        self.store = gateway.store
        self.client = client
        self._calendar = calendar
        self._every = settings.handoff.promise_check * 1000
        self._tick = settings.handoff.tick
        self._zone = shop_timezone()
        self._now = now

    async def run(self) -> None:
        """Look, again and again."""
        while True:
            try:
                await self.look()
            except Exception:  # the outermost door of this task; the next look tries again
                logger.exception("promises.look_failed")
            await asyncio.sleep(self._tick)

    async def look(self) -> int:
        """Look at every promise whose time has come; how many there were."""
        async with self.store.read() as connection:
            found = await promises.due(connection, self._now())
        for promise in found:
            async with self.store.write() as connection:
                mine = await promises.take(connection, promise, self._now())
            if not mine:
                continue
            try:
                await self._look_at(promise)
            except KefuError as exc:
                logger.error("promises.failed conversation=%s reason=%s", promise.conversation, exc)
        return len(found)

    async def _look_at(self, promise: Promise) -> None:
        now = self._now()
        known = await self.store.conversation(promise.conversation)
        outcome: Outcome | None = None
        if promise.kind == "follow_up":
            after = followed_up(now, promise, await self._person_wrote(promise))
        else:
            outcome = await self._outcome(promise)
            after = decide(now, promise, outcome, calendar=self._calendar, zone=self._zone, every=self._every)
        if known is not None and after.state != "open":
            wait = await self._not_yet(after, now)
            if wait is not None:
                async with self.store.write() as connection:
                    await promises.put_off(connection, promise, wait)
                return
            await self._tell(known, after, outcome)
        # Told first, settled after: what is repeated after a crash has a key and says nothing twice.
        async with self.store.write() as connection:
            await promises.save(connection, after)
        if after.state != "open":
            logger.info(
                "promises.settled conversation=%s kind=%s state=%s",
                promise.conversation,
                promise.kind,
                after.state,
            )

    async def _outcome(self, promise: Promise) -> Outcome | None:
        assert promise.key is not None, "a promise of the shop's has the key of its receipt"
        try:
            return await self.client.outcome(promise.key)
        except OrderError as exc:
            logger.warning("promises.shop_silent conversation=%s reason=%s", promise.conversation, exc)
            return None

    async def _person_wrote(self, promise: Promise) -> int | None:
        """When a person first wrote to this shopper, on any linked channel, after he gave his word (ms)."""
        async with self.store.read() as connection:
            everywhere = await links.linked(connection, promise.conversation)
            query = select(func.min(events.c.at)).where(
                events.c.conversation.in_(everywhere),
                events.c.kind == "message",
                events.c.author == "person",
                events.c.at > promise.told_at,
            )
            wrote: int | None = (await connection.execute(query)).scalar()
            return wrote

    async def _not_yet(self, after: Promise, now: int) -> int | None:
        """Until when (ms) the news waits: for the morning, or until a conversation with the bot pauses."""
        morning = daytime(now, self._zone)
        if morning > now:
            return morning
        if after.state in ("kept", "late", "void"):
            return None
        query = select(func.max(inbox.c.received_at)).where(inbox.c.conversation == after.conversation)
        async with self.store.read() as connection:
            last = (await connection.execute(query)).scalar() or 0
        owner = await self.gateway.owner(after.conversation)
        return now + _BUSY if owner.owner == "bot" and now - last < _BUSY else None

    async def _tell(self, known: Conversation, promise: Promise, outcome: Outcome | None) -> None:
        if promise.state == "void" or (promise.kind == "follow_up" and promise.state != "broken"):
            return
        name = promise.state
        if outcome is not None and outcome.state == "refused":
            name = "refused"
        elif name != "unchecked":
            what = "goods" if promise.kind == "exchange" else "money"
            name = f"{name}_{'follow_up' if promise.kind == 'follow_up' else what}"
        reply = Reply(
            text=words(name, promise, known.language),
            receipts=(promise.receipt,) if promise.receipt else (),
            explain={
                "response": f"promise_{name}",
                "promise": as_facts(promise),
                "became": outcome.model_dump(mode="json", exclude_none=True) if outcome else None,
            },
        )
        key = f"promise:{promise.id}:{promise.state}"
        if promise.state in ("kept", "late"):
            await self.gateway.say_as_system(known.id, reply, key=key)
            return
        handoff = Handoff(
            reason="promise_unchecked" if promise.state == "unchecked" else "promise_broken",
            goal=_GOALS.get(promise.kind),
            packet={"order_number": promise.order_number, "promise": as_facts(promise)},
        )
        await self.gateway.call_person(known.id, handoff, reply, key=key)


def words(name: str, promise: Promise, language: Language) -> str:
    """The sentence for what became of a promise."""
    worth = Money.model_validate(promise.amount) if promise.amount else None
    due = ""
    if promise.due_at is not None:
        due = format_date(datetime.fromtimestamp(promise.due_at / 1000, UTC), language)
    agent = promise.agent or {"zh": "同事", "en": "our colleague"}[language]
    text = SENTENCES[name][language].format(
        order=promise.order_number,
        amount=format_money(worth, language) if worth else "",
        due=due,
        agent=agent,
    )
    return " ".join(text.split())


def install(app: web.Application, gateway: Gateway, settings: Settings, media: MediaStore) -> None:
    """Look after promises while the gateway runs (`channels.app.EXTENSIONS`)."""

    async def running(_: web.Application) -> AsyncIterator[None]:
        client = OrderClient.from_settings(settings)
        keeper = PromiseKeeper(gateway, settings, client, Policy.load(settings.policy.path).calendar)
        task = asyncio.create_task(keeper.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await client.close()

    app.cleanup_ctx.append(running)
