"""A shopper connects, or takes apart, his conversations on several channels: by his own word, with proof.

"Link my chats" offers the conversation in which the same customer's order is proven, else a code to show in the other
chat. "Unlink" takes this conversation out. What counts as proof is `bot.identity.links`; this module asks, and tells both
conversations what was done. It knows no platform.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from aiohttp import web
from sqlalchemy import select

from bot.database import now_ms
from bot.exceptions import KefuError
from bot.identity import links
from bot.message import Button, Inbound, Language, Reply
from bot.settings import Settings
from channels.channel import Conversation
from channels.gateway import Gateway
from channels.media import MediaStore
from channels.tables import conversations

logger = logging.getLogger(__name__)

YES, NO = "gateway:link:yes:", "gateway:link:no"  # payloads of the question for consent
_ASKED = 900_000  # ms; a yes that comes later is asked for again
SCENE = "bind_"  # in front of a code that comes as the scene of a QR code or a deep link
SIGNED = "site:"  # begins the customer that the shop's signature names (`channels.tokens`)

_END = r"[\s。.!！~]*$"
_LINK = re.compile(
    r"^\s*(?:我想|我要|请|帮我)?(?:把)?(?:关联|绑定|合并|连接)(?:一下)?(?:我的)?(?:另一个|别的|其他|其它|两个|几个|所有)?(?:渠道的?)?"
    rf"(?:会话|聊天|对话|渠道|聊天记录){_END}"
    rf"|^\s*(?:please )?(?:link|connect|merge) (?:(?:up )?my|the|these)? ?(?:other |two |both )?(?:chats?|conversations?|channels?){_END}",
    re.I,
)
_UNLINK = re.compile(
    rf"^\s*(?:我想|我要|请|帮我)?(?:取消|解除|断开)(?:一下)?(?:我的)?(?:会话|聊天|渠道)?(?:的)?(?:关联|绑定|合并|连接)(?:会话|聊天)?{_END}"
    rf"|^\s*(?:please )?(?:unlink|disconnect|separate)(?: (?:my|the|this|these))? ?(?:chats?|conversations?|channels?)?{_END}",
    re.I,
)
_CODE = re.compile(
    rf"^\s*(?:bind[_ -]|(?:关联|绑定)码?[:： ]*|link code[: ]*)([A-HJ-NP-Z2-9]{{8}}){_END}", re.I
)

SENTENCES: dict[str, dict[Language, str]] = {
    "code": {
        "zh": "请在 10 分钟内，到您的另一个会话里发送这句话：\nbind_{code}\n确认之后，两边的记录会连在一起，客服能看到您之前的进展。",
        "en": "Within 10 minutes, send these words in your other chat with us:\nbind_{code}\n"
        "Once you confirm there, both are treated as one, and our people see what was done before.",
    },
    "code_wecom": {
        "zh": "要关联的是微信客服里的会话，点这里打开即可：{address}",
        "en": "If the other chat is our WeChat customer service, this opens it: {address}",
    },
    "consent_code": {
        "zh": "要把这里和发出这个码的会话关联起来吗？关联后客服能同时看到两边的记录，您随时可以说“取消关联”。",
        "en": "Shall I link this chat with the one the code came from? Our people will then see both; say “unlink” at any time to undo it.",
    },
    "consent_order": {
        "zh": "您在另一个会话里核实过同一位顾客的订单。要把两个会话关联起来吗？关联后客服能同时看到两边的记录，您随时可以说“取消关联”。",
        "en": "In another chat an order of the same customer was verified. Shall I link the two? "
        "Our people will then see both; say “unlink” at any time to undo it.",
    },
    "linked": {
        "zh": "已关联。想分开时，说一声“取消关联”。",
        "en": "The chats are linked. Say “unlink” whenever you want them apart.",
    },
    "linked_other": {
        "zh": "这个会话刚刚和您的另一个会话关联了。如果不是您本人操作，请回复“取消关联”。",
        "en": "This chat was just linked with another chat of yours. If that was not you, reply “unlink”.",
    },
    "declined": {"zh": "好的，没有关联。", "en": "All right, nothing was linked."},
    "code_bad": {
        "zh": "这个码无效或已过期。请在另一个会话里说“关联会话”，重新拿一个。",
        "en": "This code is not valid any more. Say “link my chats” in the other chat for a new one.",
    },
    "code_own": {
        "zh": "这个码就是在这里发出的，请到另一个会话里发送它。",
        "en": "This code was given out right here; send it in your other chat.",
    },
    "unlinked": {"zh": "已取消关联，两边的记录分开了。", "en": "Done: the chats are separate again."},
    "unlinked_other": {
        "zh": "这个会话和另一个会话的关联已取消。",
        "en": "This chat is no longer linked with the other one.",
    },
    "not_linked": {"zh": "这个会话没有和别的会话关联。", "en": "This chat is not linked with another."},
    "yes": {"zh": "关联", "en": "Link them"},
    "no": {"zh": "不关联", "en": "Do not"},
}


def say(key: str, language: Language, **values: object) -> str:
    """One of the sentences."""
    return SENTENCES[key][language].format(**values)


class Linking:
    """The gateway's answers to the words and buttons above."""

    def __init__(self, gateway: Gateway, settings: Settings, *, now: Any = now_ms) -> None:
        """`now` gives ms."""
        self.gateway = gateway
        self.store = gateway.store
        self._fresh = settings.identity.fresh
        self._now = now

    async def answer(self, known: Conversation, inbound: Inbound, payload: str | None) -> Reply | None:
        """What to say when the message is about links; None when it is not."""
        if payload is not None:
            if payload.startswith(YES):
                return await self._agreed(known, payload)
            return Reply(text=say("declined", known.language)) if payload == NO else None
        if (found := _CODE.match(inbound.text)) is not None:
            return await self._shown(known, found[1])
        if _UNLINK.match(inbound.text):
            return await self._apart(known)
        if _LINK.match(inbound.text):
            return await self._wanted(known)
        return None

    async def _wanted(self, known: Conversation) -> Reply:
        """The other conversation, when an order proves it; else a code."""
        now = self._now()
        async with self.store.write() as connection:
            await self.store.lock(connection, known.id)
            others = await links.same_customer(connection, known.id, now=now, fresh=self._fresh)
            if others:
                return self._ask("consent_order", known.language, "verified_order", others[0])
            code = await links.new_code(connection, known.id, at=now)
        picture, address = await self._picture(known, code), await self._address(known, code)
        text = say("code", known.language, code=code)
        if address is not None:
            text += "\n" + say("code_wecom", known.language, address=address)
        return Reply(text=text, image=picture)

    async def _picture(self, known: Conversation, code: str) -> str | None:
        """A QR code that opens the shop's WeChat account with the code in its scene, where there is one."""
        wechat = self.gateway.channels.get("wechat")
        make = getattr(wechat, "make_qr", None)
        if known.channel == "wechat" or make is None:
            return None
        try:
            address: str | None = await make(f"{SCENE}{code}", links.CODE_LIFE // 1000)
        except KefuError as exc:
            logger.warning("linking.no_picture reason=%s", exc)
            return None
        return address

    async def _address(self, known: Conversation, code: str) -> str | None:
        """A link that opens the shop's WeCom customer service with the code in its scene, where there is one."""
        wecom = self.gateway.channels.get("wecom")
        make = getattr(wecom, "make_link", None)
        if known.channel == "wecom" or make is None:
            return None
        try:
            address: str | None = await make(f"{SCENE}{code}")
        except KefuError as exc:
            logger.warning("linking.no_address reason=%s", exc)
            return None
        return address

    async def _shown(self, known: Conversation, code: str) -> Reply:
        async with self.store.read() as connection:
            other = await links.conversation_of(connection, code, at=self._now())
        if other is None:
            return Reply(text=say("code_bad", known.language))
        if other == known.id:
            return Reply(text=say("code_own", known.language))
        # A scanned code says nothing about the language; the chat it came from does.
        origin = await self.store.conversation(other)
        language = origin.language if origin is not None else known.language
        if known.locale is None:
            await self.store.set_locale(known.id, language)
        return self._ask("consent_code", language, "binding_code", code)

    def _ask(self, question: str, language: Language, proof: links.Proof, what: str) -> Reply:
        # A payload never leaves the gateway, so it can hold what the yes is about.
        yes = f"{YES}{proof}:{what}:{self._now()}"
        buttons = (
            Button(title=say("yes", language), payload=yes),
            Button(title=say("no", language), payload=NO),
        )
        return Reply(text=say(question, language), buttons=buttons)

    async def _agreed(self, known: Conversation, payload: str) -> Reply:
        """The shopper said yes: the proof is looked at again, and counts once."""
        proof, _, rest = payload.removeprefix(YES).partition(":")
        what, _, asked = rest.rpartition(":")
        now = self._now()
        if now - int(asked) > _ASKED:
            return Reply(text=say("code_bad", known.language))
        other: str | None = None
        async with self.store.write() as connection:
            await self.store.lock(connection, known.id)
            if proof == "binding_code":
                other = await links.use_code(connection, what, at=now)
                made: links.Proof = "binding_code"
            else:
                others = await links.same_customer(connection, known.id, now=now, fresh=self._fresh)
                other, made = (what if what in others else None), "verified_order"
            if other is None:
                return Reply(text=say("code_bad", known.language))
            await links.link(connection, known.id, other, made, at=now)
        logger.info("linking.linked conversation=%s other=%s proof=%s", known.id, other, made)
        await self._tell(other, "linked_other", f"linked:{known.id}:{other}:{now}")
        return Reply(text=say("linked", known.language))

    async def _apart(self, known: Conversation) -> Reply:
        others = await self.unlink(known.id, by="shopper")
        return Reply(text=say("unlinked" if others else "not_linked", known.language))

    async def unlink(self, conversation: str, *, by: str) -> tuple[str, ...]:
        """Take a conversation out of its links and tell the others; those it was linked with."""
        now = self._now()
        async with self.store.write() as connection:
            await self.store.lock(connection, conversation)
            others = await links.unlink(connection, conversation, by=by, at=now)
        for other in others:
            await self._tell(other, "unlinked_other", f"unlinked:{conversation}:{other}:{now}")
        if others:
            logger.info("linking.unlinked conversation=%s by=%s", conversation, by)
        return others

    async def _tell(self, conversation: str, key: str, once: str) -> None:
        known = await self.store.conversation(conversation)
        if known is not None:
            await self.gateway.say_as_system(conversation, Reply(text=say(key, known.language)), key=once)


async def someone_elses(gateway: Gateway, guest: str, customer: str) -> bool:
    """Whether a guest's chat is linked with what the shop signed as another customer's: two persons used one browser.

    The accounts of platforms (telegram:7) are customers too, but may be this one's.
    """
    async with gateway.store.read() as connection:
        query = select(conversations.c.id).where(
            conversations.c.id.in_(await links.linked(connection, guest)),
            conversations.c.customer.startswith(SIGNED),
            conversations.c.customer != customer,
        )
        return (await connection.execute(query.limit(1))).first() is not None


async def link_by_identity(gateway: Gateway, conversation: Conversation, guest: Conversation | None) -> None:
    """Link what the shop's signature proves: the guest's chat of the same browser, and the customer's other sites.

    A link that was ended once is not made again without the shopper's word; a guest's chat that is another
    customer's already is left alone.
    """
    if conversation.customer is None:
        return
    if guest is not None and await someone_elses(gateway, guest.id, conversation.customer):
        guest = None
    async with gateway.store.read() as connection:
        query = select(conversations.c.id).where(conversations.c.customer == conversation.customer)
        others = list((await connection.execute(query)).scalars())
        if guest is not None and guest.seq:
            others.append(guest.id)
        fresh = [
            other
            for other in dict.fromkeys(others)
            if other != conversation.id and not await links.ever_linked(connection, conversation.id, other)
        ]
    if fresh:
        async with gateway.store.write() as connection:
            await gateway.store.lock(connection, conversation.id)
            for other in fresh:
                await links.link(connection, conversation.id, other, "identity_token", at=now_ms())


def install(app: web.Application, gateway: Gateway, settings: Settings, media: MediaStore) -> None:
    """Let shoppers link their conversations (`channels.app.EXTENSIONS`)."""
    gateway.own_answer = Linking(gateway, settings).answer
