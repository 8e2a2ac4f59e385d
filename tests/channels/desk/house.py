"""A whole gateway with its desk over real sockets, a scripted dialogue, and people who sign in."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.test_utils import TestClient, TestServer

from bot.database import now_ms
from bot.message import Handoff, Inbound, Reply
from bot.settings import Settings
from channels.app import GATEWAY, make_app
from channels.desk.app import DESK, install
from channels.patience import Patience
from tests.channels.test_gateway import Door

QUICK = Patience(first=0.02, longest=0.05, park_after=0.5, turn_attempts=3, sweep=0.1)
PASSWORD = "a-long-password"
_ids = itertools.count(1)

ORDER = {
    "number": "80101001002003004", "state": "delivered", "version": 3, "read_at": "2026-11-22T09:30:00+08:00",
    "created_at": "2026-11-15T20:11:00+08:00", "paid_at": "2026-11-15T20:12:00+08:00",
    "shipped_at": "2026-11-16T15:00:00+08:00", "delivered_at": "2026-11-19T11:20:00+08:00",
    "total": {"amount": 25800, "currency": "CNY"}, "refunded": {"amount": 0, "currency": "CNY"},
    "items": [
        {"id": "l1", "title": {"zh": "青瓷马克杯", "en": "Celadon mug"}, "quantity": 2, "open": 2, "price": {"amount": 8900, "currency": "CNY"}},
        {"id": "l2", "title": {"zh": "竹制杯垫", "en": "Bamboo coaster"}, "quantity": 1, "open": 1, "price": {"amount": 8000, "currency": "CNY"}},
    ],
    "tracking": [{"carrier": "SF", "number": "SF1029384756", "at": "2026-11-19T11:20:00+08:00", "status": "delivered", "text": {"zh": "已签收，前台代收", "en": "Delivered to reception"}}],
    "requests": [],
}  # fmt: skip
DRAFT = {
    "zh": "电子发票会在确认收货后 24 小时内发到您的邮箱。",
    "en": "The electronic invoice is e-mailed within 24 hours after you confirm delivery.",
}
PROOF = {"proof": "phone_tail", "level": 2, "name": "王小芳", "proven_at": "2026-11-22T09:29:00+08:00"}


class ScriptedDialogue:
    """Rasa's place: `script` gives the replies to a text; `turns` keeps what was asked."""

    def __init__(self, script: Callable[[str], list[Reply]] | None = None) -> None:
        self.script = script or talk
        self.turns: list[dict[str, Any]] = []
        self.delay = 0.0

    async def turn(self, **arguments: Any) -> list[Reply]:
        self.turns.append(arguments)
        if self.delay:
            await asyncio.sleep(self.delay)
        return self.script(arguments["text"])


def talk(text: str) -> list[Reply]:
    """A little shop: asks for a person when told so, answers otherwise."""
    handoff = None
    english = text.isascii()
    if "人工" in text or "person" in text.lower():
        proof = {**PROOF, "name": "Tom Baker"} if english else PROOF
        handoff = Handoff(
            reason="asked",
            goal="refund",
            packet={"order": ORDER, "proof": proof, "lines": {"l1": 1}, "reason": "damaged"},
        )
    elif "发票" in text or "invoice" in text.lower():
        handoff = Handoff(
            reason="low_confidence", goal="answer",
            packet={"question": text, "why": "把握不足" if not english else "not sure enough", "evidence": ["invoice#4"],
                    "draft": {"text": DRAFT["en" if english else "zh"], "p_correct": 0.62}},
        )  # fmt: skip
    elif "起诉" in text or "lawyer" in text.lower():
        handoff = Handoff(reason="threat", goal="return_goods", packet={"order_number": "80101001002003999"})
    if handoff is not None:
        said = (
            "Of course. I'm passing you on to a colleague."
            if english
            else "好的，正在为您转接人工客服，请稍等。"
        )
        return [
            Reply(
                text=said,
                handoff=handoff,
                explain={"answer": {"decision": "handoff", "p_correct": 0.62, "reasons": ["score"]}},
            )
        ]
    said = f"I can help with that: {text}" if english else f"我来帮您看看：{text}"
    return [
        Reply(
            text=said,
            explain={"operation": "refund", "outcome": "allowed", "clause": "3.2", "policy": "2026-01"},
        )
    ]


class House:
    """The gateway, its desk, one door for shoppers."""

    def __init__(
        self, client: TestClient, dialogue: ScriptedDialogue, door: Door, settings: Settings
    ) -> None:
        self.client, self.dialogue, self.door, self.settings = client, dialogue, door, settings
        self.gateway = client.app[GATEWAY]
        self.desk = client.app[DESK]
        self.sessions: list[aiohttp.ClientSession] = []

    @property
    def url(self) -> str:
        return f"http://{self.client.host}:{self.client.port}"

    async def hear(self, text: str, shopper: str = "anna", *, channel: str = "door", **more: Any) -> str:
        """A shopper writes; the conversation's id, when the turn is over."""
        received = await self.gateway.receive(
            Inbound(
                channel=channel, shopper=shopper, dedup_key=f"h{next(_ids)}", text=text, at=now_ms(), **more
            )
        )
        await self.gateway.turns.wait_for(received.message_id, 5)
        return received.conversation

    async def quiet(self) -> None:
        for _ in range(3000):
            turns, deliveries = await self.gateway.store.due()
            if not turns and not deliveries and not self.gateway.at_work:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the gateway did not come to rest")

    async def lines(self, conversation: str) -> list[Any]:
        return await self.gateway.store.events_after(conversation, 0, desk=True, limit=500)

    async def person(self, name: str, role: str = "agent") -> Colleague:
        await self.desk.staff.add(name, role, PASSWORD)
        colleague = Colleague(self, name)
        await colleague.sign_in(PASSWORD)
        return colleague


class Colleague:
    """One browser of one person, without the browser."""

    def __init__(self, house: House, name: str) -> None:
        self.house, self.name = house, name
        # Cookies of numeric hosts need the unsafe jar; each person has his own.
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        house.sessions.append(self.session)
        self.csrf = ""

    async def sign_in(self, password: str) -> int:
        async with self.session.post(
            f"{self.house.url}/desk/api/sign-in", json={"name": self.name, "password": password}
        ) as response:
            if response.status == 200:
                self.csrf = (await response.json())["csrf"]
            return response.status

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(f"{self.house.url}/desk/api{path}") as response:
            return response.status, await response.json()

    async def post(self, path: str, body: dict[str, Any] | None = None, **headers: str) -> tuple[int, Any]:
        async with self.session.post(
            f"{self.house.url}/desk/api{path}", json=body or {}, headers={"X-CSRF": self.csrf, **headers}
        ) as response:
            return response.status, await response.json()

    async def do(self, conversation: str, what: str, **body: Any) -> tuple[int, Any]:
        """One of the acts on a conversation, under the token it has now unless another is given."""
        owner = await self.house.gateway.owner(conversation)
        return await self.post(f"/conversations/{conversation}/{what}", {"token": owner.token, **body})


@asynccontextmanager
async def open_house(
    path: Path,
    script: Any = None,
    *,
    extensions: Sequence[Any] = (),
    port: int | None = None,
    **sections: Any,
) -> AsyncIterator[House]:
    """`extensions` are installed besides the desk; `sections` are settings."""
    sections.setdefault("handoff", {"tick": 0.05})
    settings = Settings(
        data_dir=path, sites={"demo": {"secret": "a-secret-of-the-demo-site-of-32-bytes"}}, **sections
    )
    dialogue, door = ScriptedDialogue(script), Door(buttons=True)

    def with_door(app: Any, gateway: Any, settings: Any, media: Any) -> None:
        gateway.add(door)

    app = make_app(settings, dialogue=dialogue, patience=QUICK, extensions=[with_door, install, *extensions])
    client = TestClient(TestServer(app, port=port))
    await client.start_server()
    house = House(client, dialogue, door, settings)
    try:
        yield house
    finally:
        for session in house.sessions:
            await session.close()
        await client.close()
