"""The gateway keeps an eye on promises: told once, inside the channel's window, through restarts; broken ones reach a person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from bot.explain import explain_conversation, render
from bot.handoff import cases, promises
from bot.message import Promised, Reply
from bot.orders.models import Outcome
from bot.policy.rules import Calendar
from channels.channel import Delivery
from channels.promises import PromiseKeeper
from tests.channels.desk.house import House, open_house
from tests.channels.desk.test_rounds import Clock

ZONE = ZoneInfo("Asia/Shanghai")
MONDAY = "2026-11-23T10:00:00"


class Books:
    """The shop's side: what became of a write, by its key. None: it does not say."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome | None] = {}
        self.asked: list[str] = []

    async def outcome(self, key: str) -> Outcome | None:
        self.asked.append(key)
        return self.outcomes.get(key)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


def talk(text: str) -> list[Reply]:
    """A dialogue whose receipt tells a day: Wednesday."""
    if text.isascii():
        said = "The refund has been submitted. ¥10.00 goes back by November 25, 2026."
    else:
        said = "退款申请已提交。最晚 2026年11月25日。"
    told = Promised(
        kind="refund", order="8010", receipt="RC1", key="kefu-key-1", due_at=ms("2026-11-25T23:59:59"),
        amount={"amount": 1000, "currency": "CNY"},
    )  # fmt: skip
    if "退" in text or "refund" in text:
        return [Reply(text=said, receipts=("RC1",), promises=(told,))]
    return [Reply(text="ok")]


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(tmp_path / "clock")
    monkeypatch.setenv("KEFU_CLOCK_FILE", str(clock.path))
    clock.set(MONDAY)
    return clock


@pytest.fixture
async def house(tmp_path: Path, clock: Clock) -> AsyncIterator[House]:
    async with open_house(tmp_path, talk, handoff={"tick": 3600}) as house:
        yield house


def keeper(house: House, books: Books) -> PromiseKeeper:
    return PromiseKeeper(house.gateway, house.settings, books, Calendar())  # type: ignore[arg-type]


async def look(house: House, books: Books) -> None:
    await keeper(house, books).look()
    await house.quiet()


async def rows(house: House) -> list[Any]:
    async with house.gateway.store.read() as connection:
        return list((await connection.execute(select(promises.promises))).all())


@pytest.mark.parametrize(("text", "kept"), [("退款", "已经到账"), ("refund", "has arrived")])
async def test_a_kept_promise_is_told_once(house: House, clock: Clock, text: str, kept: str) -> None:
    books = Books()
    await house.hear(text)
    books.outcomes["kefu-key-1"] = Outcome(state="open")
    clock.add(61)
    await look(house, books)
    before = list(house.door.texts)
    books.outcomes["kefu-key-1"] = Outcome(state="done")
    clock.add(4 * 60 + 1)
    await look(house, books)
    for _ in range(3):
        clock.add(24 * 60)
        await look(house, books)

    assert not any(kept in said for said in before)
    assert 1 == sum(kept in said and "8010" in said and "10.00" in said for said in house.door.texts)
    assert ["kept"] == [row.state for row in await rows(house)] and 2 == len(books.asked)


@pytest.mark.parametrize(("text", "sorry"), [("退款", "非常抱歉"), ("refund", "very sorry")])
async def test_a_broken_promise_is_an_apology_and_a_case_with_the_packet(
    house: House, clock: Clock, text: str, sorry: str
) -> None:
    books = Books()
    conversation = await house.hear(text)
    books.outcomes["kefu-key-1"] = Outcome(state="open")
    clock.set("2026-11-25T23:59:58")
    await look(house, books)
    at_night = list(house.door.texts)
    clock.set("2026-11-26T08:00:05")
    await look(house, books)
    clock.set("2026-11-26T09:00:00")
    await look(house, books)
    owner = await house.gateway.owner(conversation)
    async with house.gateway.store.read() as connection:
        case = await cases.open_case(connection, conversation)
    lines = await house.lines(conversation)

    assert not any(sorry in said for said in at_night)
    assert 1 == sum(sorry in said and "8010" in said for said in house.door.texts)
    assert ("pending", "promise_broken") == (owner.owner, owner.reason)
    assert case is not None and "refund" == case.goal and "8010" == case.packet["order_number"]
    assert ("refund", "broken", "RC1") == tuple(
        case.packet["promise"][name] for name in ("kind", "state", "receipt")
    )
    assert text in [turn["text"] for turn in case.packet["turns"]]
    assert 1 == len([line for line in lines if line.kind == "handoff"])
    assert "broken" == (await rows(house))[0].state
    found = await explain_conversation(house.gateway.store.engine, conversation)
    why = next(one for one in found["between"] if one["response"] == "promise_broken_money")
    assert ("open", "RC1") == (why["more"]["became"]["state"], why["more"]["promise"]["receipt"])
    assert "refund broken, due 2026-11-25T15:59:59" in render(found)


async def test_a_look_that_dies_after_the_words_says_nothing_twice(house: House, clock: Clock) -> None:
    books = Books()
    await house.hear("退款")
    books.outcomes["kefu-key-1"] = Outcome(state="open")
    clock.set("2026-11-26T09:00:00")
    dying = keeper(house, books)

    async def dies(*_: Any) -> None:
        raise RuntimeError("killed")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(promises, "save", dies)
        with pytest.raises(RuntimeError):
            await dying.look()
    clock.add(2)
    await look(house, books)

    assert 1 == sum("非常抱歉" in said for said in house.door.texts)
    assert "broken" == (await rows(house))[0].state


async def test_promises_outlive_the_gateway(tmp_path: Path, clock: Clock) -> None:
    books = Books()
    async with open_house(tmp_path, talk, handoff={"tick": 3600}) as house:
        await house.hear("退款")
    clock.add(61)
    books.outcomes["kefu-key-1"] = Outcome(state="done", since=datetime.now(UTC))
    async with open_house(tmp_path, talk, handoff={"tick": 3600}) as house:
        await look(house, books)

        assert 1 == sum("已经到账" in said for said in house.door.texts)


async def test_the_channels_window_is_respected_and_the_news_waits_for_it(house: House, clock: Clock) -> None:
    books = Books()
    conversation = await house.hear("退款")
    books.outcomes["kefu-key-1"] = Outcome(state="done")
    await house.quiet()
    house.door.verdicts = [Delivery("held", reason="the allowance is used up")]
    clock.add(61)
    await look(house, books)
    before = sum("已经到账" in said for said in house.door.texts)
    await house.hear("在吗")
    await house.quiet()
    told = [line for line in await house.lines(conversation) if "已经到账" in str(line.body.get("text"))]

    assert (0, 1, 1) == (before, len(told), sum("已经到账" in said for said in house.door.texts))


async def test_whoever_has_a_person_is_left_to_him(house: House, clock: Clock) -> None:
    books = Books()
    conversation = await house.hear("退款")
    lin = await house.person("lin")
    await lin.do(conversation, "claim")
    books.outcomes["kefu-key-1"] = Outcome(state="open")
    clock.set("2026-11-26T09:00:00")
    await look(house, books)
    lines = await house.lines(conversation)

    assert not any("非常抱歉" in said for said in house.door.texts)
    assert ("person", "lin") == (lambda o: (o.owner, o.agent))(await house.gateway.owner(conversation))
    assert ["promise_broken"] == [line.body["reason"] for line in lines if line.kind == "handoff"]


async def test_a_shopper_who_talks_with_the_bot_is_not_interrupted_with_bad_news(
    house: House, clock: Clock
) -> None:
    books = Books()
    conversation = await house.hear("退款")
    books.outcomes["kefu-key-1"] = Outcome(state="open")
    clock.set("2026-11-26T09:00:00")
    await house.hear("另外问一下")
    await look(house, books)
    meanwhile = (await house.gateway.owner(conversation)).owner
    clock.add(3)
    await look(house, books)

    assert ("bot", "pending") == (meanwhile, (await house.gateway.owner(conversation)).owner)


async def test_a_persons_own_date_is_kept_by_writing_and_broken_by_silence(
    house: House, clock: Clock
) -> None:
    lin = await house.person("lin")
    books = Books()
    kept = await house.hear("你好", "kind")
    broken = await house.hear("你好", "left alone")
    for conversation in (kept, broken):
        await lin.do(conversation, "claim")
        await lin.do(conversation, "reply", text="您好", key=f"k{conversation}")
        await lin.do(
            conversation, "release", note="我去查一下", tell=True, promise_until=ms("2026-11-23T15:00:00")
        )
    clock.set("2026-11-23T14:00:00")
    await lin.do(kept, "claim")
    await lin.do(kept, "reply", text="查到了", key="found")
    await lin.do(kept, "release")
    clock.set("2026-11-23T15:00:05")
    await look(house, books)
    await house.quiet()
    states = {row.conversation: row.state for row in await rows(house)}
    owner = await house.gateway.owner(broken)
    async with house.gateway.store.read() as connection:
        case = await cases.open_case(connection, broken)

    assert {kept: "kept", broken: "broken"} == states
    assert ("pending", "promise_broken") == (owner.owner, owner.reason)
    assert case is not None and "lin" == case.wanted
    assert 1 == sum("lin答应您在" in said for said in house.door.texts)


async def test_a_reply_that_was_never_sent_promises_nothing(house: House) -> None:
    """Overtaken by a person: the shopper never heard the day."""
    conversation = await house.hear("你好")
    lin = await house.person("lin")
    house.dialogue.delay = 0.2
    turn = asyncio.create_task(house.hear("退款"))
    while not any(one["text"] == "退款" for one in house.dialogue.turns):
        await asyncio.sleep(0.01)
    await lin.do(conversation, "claim")
    await turn

    assert [] == await rows(house)
