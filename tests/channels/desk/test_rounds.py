"""What a waiting shopper is told and when; hours and promises; idle people; the rating. The clock is moved, not waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.exceptions import OwnershipLost
from bot.handoff import cases, timers
from channels.desk.rounds import read_rating
from channels.owners import change_owner
from tests.channels.desk.house import House, open_house
from tests.channels.test_gateway import Door

MINUTE = 60_000
SHANGHAI = ZoneInfo("Asia/Shanghai")
WEEK = {day: ["09:00-18:00"] for day in ("mon", "tue", "wed", "thu", "fri")}


class Clock:
    """Moves the clock that every part of Kefu asks (`bot.clock`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds = 0.0
        path.write_text("0")

    def add(self, minutes: float) -> None:
        self.seconds += minutes * 60
        self.path.write_text(str(self.seconds))

    def set(self, text: str) -> None:
        self.seconds = (
            datetime.fromisoformat(text).replace(tzinfo=SHANGHAI) - datetime.now(SHANGHAI)
        ).total_seconds()
        self.path.write_text(str(self.seconds))


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(tmp_path / "clock")
    monkeypatch.setenv("KEFU_CLOCK_FILE", str(clock.path))
    return clock


@pytest.fixture
async def house(tmp_path: Path, clock: Clock) -> AsyncIterator[House]:
    # The walk is done by hand: `look`.
    async with open_house(tmp_path, handoff={"tick": 3600}) as house:
        yield house


async def look(house: House) -> None:
    for _ in range(4):
        await house.desk.rounds.look()
    await house.quiet()


def told(house: House) -> list[str]:
    return [message.text for message in house.door.delivered if message.author == "system"]


async def case_of(house: House, conversation: str) -> cases.Case:
    async with house.gateway.store.read() as connection:
        case = await cases.last_case(connection, conversation)
    assert case is not None
    return case


async def test_each_waiting_shopper_gets_one_acknowledgement_with_his_position(house: House) -> None:
    for name in ("a", "b", "c"):
        await house.hear("转人工", name)
        await house.hear("在吗", name)
    await look(house)

    assert ["您是下一位。", "您前面还有 1 位。", "您前面还有 2 位。"] == [
        text[: text.index("。") + 1] for text in told(house)
    ]


async def test_when_nobody_comes_the_shopper_hears_it_once_and_may_leave_word_or_go_back(
    house: House, clock: Clock
) -> None:
    conversation = await house.hear("I want a person")
    clock.add(4)
    await look(house)
    clock.add(30)
    await look(house)
    notices = [text for text in told(house) if "nobody has taken this yet" in text]
    token = house.door.delivered[-1].buttons[0].token
    title, payload = await house.gateway.press(conversation, token) or ("", "")
    await house.hear(title, payload=payload)

    assert 1 == len(notices) and "You are next." in notices[0]
    assert "bot" == (await house.gateway.owner(conversation)).owner
    assert "returned" == (await case_of(house, conversation)).outcome


async def test_a_person_who_is_silent_loses_the_conversation_to_the_front_of_the_queue(
    house: House, clock: Clock
) -> None:
    lin = await house.person("lin")
    conversation = await house.hear("转人工", "a")
    await lin.do(conversation, "claim")
    await lin.do(conversation, "reply", text="您好", key="1")
    clock.add(1)
    await house.hear("我的杯子碎了", "a")
    clock.add(6)
    await house.hear("在吗？", "a")  # writing again does not start the clock anew
    await look(house)
    assert "person" == (await house.gateway.owner(conversation)).owner
    await house.hear("转人工", "b")
    clock.add(5)
    await look(house)
    owner = await house.gateway.owner(conversation)

    assert ("pending", "person_idle") == (owner.owner, owner.reason)
    assert any("优先接手" in text and "您是下一位" in text for text in told(house))


async def test_a_silent_shopper_is_closed_and_asked_once_how_it_was(house: House, clock: Clock) -> None:
    lin = await house.person("lin")
    conversation = await house.hear("转人工")
    await lin.do(conversation, "claim")
    await lin.do(conversation, "reply", text="已处理", key="1")
    clock.add(31)
    await look(house)
    await look(house)
    turns = len(house.dialogue.turns)
    await house.hear("5，很快")
    await house.quiet()
    case = await case_of(house, conversation)

    assert 1 == sum("1–5" in text for text in told(house))
    assert (5, "很快", "shopper_idle") == (case.rating, case.rating_comment, case.ended_reason)
    assert turns == len(house.dialogue.turns) and "感谢您的评价" in told(house)[-1]
    await house.hear("5")  # asked once, answered once: now it is a message like any other
    assert turns + 1 == len(house.dialogue.turns)


async def test_a_message_after_the_question_that_is_no_rating_is_a_turn(house: House) -> None:
    lin = await house.person("lin")
    conversation = await house.hear("转人工")
    await lin.do(conversation, "claim")
    await lin.do(conversation, "reply", text="已处理", key="1")
    await lin.do(conversation, "close")
    await look(house)
    await house.hear("2 个杯子都碎了")

    assert (await case_of(house, conversation)).rating is None
    assert "pending" == (await house.gateway.owner(conversation)).owner  # back to the same person's list


@pytest.mark.parametrize("channel", ["door", "web"])
async def test_whoever_writes_again_before_he_is_asked_for_a_rating_is_not_asked(
    house: House, channel: str
) -> None:
    """The question is the closed conversation's: it must not be said to somebody who waits for a person again."""
    lin = await house.person("lin")
    conversation = await house.hear("转人工", channel=channel)
    await lin.do(conversation, "claim")
    await lin.do(conversation, "reply", text="已处理", key="1")
    await lin.do(conversation, "close")
    known, closed = (
        await house.gateway.store.conversation(conversation),
        await house.gateway.owner(conversation),
    )
    assert known is not None and "closed" == closed.owner
    case = await case_of(house, conversation)
    await house.hear("杯子又碎了", channel=channel)
    assert "closed" != (await house.gateway.owner(conversation)).owner
    with pytest.raises(OwnershipLost):
        await house.desk.rounds.ask_rating(known, closed, case)

    lines = await house.lines(conversation)
    assert [] == [line for line in lines if line.kind == "rating_request"]
    assert not any("1–5" in text for text in told(house))


async def test_where_nobody_served_nobody_is_asked_for_a_rating(house: House) -> None:
    conversation = await house.hear("转人工")
    owner = await house.gateway.owner(conversation)
    async with house.gateway.store.write() as connection:
        await change_owner(house.gateway.store, connection, conversation, owner, "closed", reason="done")
    await look(house)

    assert not any("1–5" in text for text in told(house))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", (5, "")), (" ３ ", (3, "")), ("4分", (4, "")), ("四分", (4, "")), ("2, too slow", (2, "too slow")), ("5 stars! great", (5, "great")), ("1/5", (1, "")),
        ("6", None), ("0", None), ("55", None), ("2 mugs", None), ("1 个也没收到", None), ("2个", None), ("", None), ("五个", None), ("好", None), ("5号到的", None),
    ],
)  # fmt: skip
def test_only_a_plain_score_is_a_rating(text: str, expected: tuple[int, str] | None) -> None:
    assert expected == read_rating(text)


# hours and promises


async def test_outside_hours_a_time_is_promised_and_the_desk_opens_with_that_conversation_first(
    tmp_path: Path, clock: Clock
) -> None:
    clock.set("2026-11-20T20:00:00")  # a Friday evening
    async with open_house(tmp_path, handoff={"tick": 3600, "hours": {"week": WEEK}}) as house:
        conversation = await house.hear("起诉你们")
        await house.quiet()
        promised = told(house)[0]
        clock.set("2026-11-23T09:00:30")
        await house.hear("转人工", "early bird")
        await look(house)
        case = await case_of(house, conversation)
        async with house.gateway.store.read() as connection:
            first = (await cases.all_open(connection))[0]
        lin = await house.person("lin")
        await lin.do(conversation, "claim")
        claimed = await case_of(house, conversation)
        await lin.do(conversation, "reply", text="您好", key="k1")

        assert "open" == claimed.promise  # whoever takes it has not answered yet
        assert (
            "11月23日 09:00上班" in promised and "11月23日 10:00 前" in promised and "订单号" not in promised
        )
        assert (conversation, "open") == (first.conversation, case.promise)
        assert "kept" == (await case_of(house, conversation)).promise


@pytest.mark.parametrize(
    ("back_at", "tell", "promise"),
    [
        ("2026-11-23T09:30:00", True, "kept"),
        ("2026-11-23T10:30:00", True, "broken"),
        ("2026-11-23T09:30:00", False, "broken"),  # a note for the bot alone answers nobody
    ],
)
async def test_words_said_on_the_way_back_to_the_bot_are_the_promised_answer(
    tmp_path: Path, clock: Clock, back_at: str, tell: bool, promise: str
) -> None:
    clock.set("2026-11-20T20:00:00")
    async with open_house(tmp_path, handoff={"tick": 3600, "hours": {"week": WEEK}}) as house:
        conversation = await house.hear("转人工")
        clock.set(back_at)
        lin = await house.person("lin")
        await lin.do(conversation, "claim")
        status, _ = await lin.do(conversation, "release", note="已登记补发", tell=tell)
        await house.quiet()
        case = await case_of(house, conversation)

        assert (200, tell) == (status, any("已登记补发" in text for text in house.door.texts))
        assert (promise, "returned") == (case.promise, case.outcome)
        assert tell == (case.answered_at is not None)


async def test_words_that_are_held_on_the_way_back_answer_nobody(house: House) -> None:
    """A channel whose budget is used up keeps them until the shopper writes."""
    wechat = Door(buttons=True)
    wechat.name = "wechat"
    house.gateway.add(wechat)
    lin = await house.person("lin")
    conversation = await house.hear("转人工", channel="wechat")
    await lin.do(conversation, "claim")
    status, _ = await lin.do(conversation, "release", note="已登记补发", tell=True)

    assert 200 == status and (await case_of(house, conversation)).answered_at is None


async def test_a_broken_promise_is_told_once_and_is_no_secret_at_the_desk(
    tmp_path: Path, clock: Clock
) -> None:
    clock.set("2026-11-20T20:00:00")
    async with open_house(tmp_path, handoff={"tick": 3600, "hours": {"week": WEEK}}) as house:
        conversation = await house.hear("转人工")
        clock.set("2026-11-23T10:01:00")
        await look(house)
        clock.add(5)
        await look(house)

        assert 1 == sum("没能在答应您的时间前回复" in text for text in told(house))
        assert "broken" == (await case_of(house, conversation)).promise


async def test_whoever_still_waits_at_closing_time_is_promised_the_next_day(
    tmp_path: Path, clock: Clock
) -> None:
    clock.set("2026-11-19T17:59:00")
    async with open_house(tmp_path, handoff={"tick": 3600, "hours": {"week": WEEK}}) as house:
        await house.hear("转人工")
        clock.set("2026-11-19T18:00:10")
        await look(house)
        await house.quiet()

        assert ["您是下一位", "人工客服现在"] == [
            text[:5] if n == 0 else text[:6] for n, text in enumerate(told(house))
        ]
        assert "11月20日 10:00" in told(house)[1]


async def test_a_look_that_dies_is_repeated_and_says_nothing_twice(house: House, clock: Clock) -> None:
    await house.hear("转人工")
    clock.add(4)
    async with house.gateway.store.read() as connection:
        timer = (await timers.due(connection, house.desk.rounds._now()))[0]
    await asyncio.gather(*(house.desk.rounds._look_at(timer) for _ in range(5)), return_exceptions=True)
    await look(house)

    assert 2 == len(told(house))  # the acknowledgement and the one notice
