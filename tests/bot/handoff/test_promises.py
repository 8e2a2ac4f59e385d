"""What becomes of a deadline: working days, the clock, a shop that is silent, and the day it was told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from bot.database import make_engine
from bot.handoff import promises
from bot.handoff.promises import Promise, daytime, decide, followed_up, from_receipt
from bot.message import Promised
from bot.migrations import upgrade
from bot.orders.models import Money, Operation, Outcome, Receipt
from bot.orders.plans import Plan
from bot.policy.rules import Calendar

ZONE = ZoneInfo("Asia/Shanghai")
HOUR, DAY = 3_600_000, 86_400_000
EVERY = 4 * HOUR
CALENDAR = Calendar(holidays=(date(2026, 10, 1), date(2026, 10, 2)), workdays=(date(2026, 10, 10),))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


def when(text: str) -> datetime:
    return datetime.fromtimestamp(at(text) / 1000, UTC)


def promise(**fields: object) -> Promise:
    values: dict[str, object] = {
        "id": "p", "conversation": "c", "source": "receipt:RC1", "kind": "refund", "order_number": "801", "receipt": "RC1",
        "key": "kefu-1", "amount": {"amount": 100, "currency": "CNY"}, "agent": None, "told_at": at("2026-11-20T10:00"),
        "due_at": at("2026-11-25T23:59:59"), "working_days": None, "state": "open", "next_at": at("2026-11-20T11:00"),
        "silent_since": None, "settled_at": None,
    }  # fmt: skip
    return Promise(**{**values, **fields})  # type: ignore[arg-type]


def look(now: str, one: Promise, outcome: Outcome | None) -> Promise:
    return decide(at(now), one, outcome, calendar=CALENDAR, zone=ZONE, every=EVERY)


def plan(operation: Operation, **fields: object) -> Plan:
    return Plan(
        operation=operation, order_number="801", order_version=1, clause="c", policy_version="v", conversation="c",
        created_at=when("2026-11-20T10:00"), expires_at=when("2026-11-20T10:15"), **fields,
    )  # type: ignore[arg-type]  # fmt: skip


def receipt(operation: Operation, **fields: object) -> Receipt:
    return Receipt(
        id="RC1",
        operation=operation,
        order="801",
        key="kefu-key-1",
        at=when("2026-11-20T10:00"),
        version=2,
        **fields,
    )  # type: ignore[arg-type]


def test_a_promise_comes_from_receipt_and_plan() -> None:
    money = Money(amount=12_990, currency="CNY")
    due = when("2026-11-25T23:59:59")
    paid = from_receipt(
        receipt(Operation.CANCEL, amount=money, due_at=due), plan(Operation.CANCEL, working_days=3)
    )
    back = from_receipt(
        receipt(Operation.RETURN, amount=money, due_at=due), plan(Operation.RETURN, working_days=5)
    )
    new = from_receipt(
        receipt(Operation.EXCHANGE, due_at=due, details={"difference": {"amount": 0, "currency": "CNY"}}),
        plan(Operation.EXCHANGE, working_days=3),
    )

    assert [("refund", at("2026-11-25T23:59:59"), None, 12_990)] == [
        (one.kind, one.due_at, one.working_days, one.amount and one.amount["amount"]) for one in paid
    ]
    # The receipt's date is the shopper's, to send the goods; the shop's time runs when they have arrived.
    assert [("refund_after_return", None, 5)] == [(one.kind, one.due_at, one.working_days) for one in back]
    assert [("exchange", None, 3, None)] == [
        (one.kind, one.due_at, one.working_days, one.amount) for one in new
    ]


@pytest.mark.parametrize(
    "told",
    [
        receipt(Operation.CANCEL),  # nothing was paid, nothing goes back
        receipt(Operation.CANCEL, amount=Money(amount=100, currency="CNY")),  # the shop named no day
        receipt(Operation.CHANGE_ADDRESS, due_at=when("2026-11-25T00:00")),
        receipt(Operation.SEND_INVOICE),
    ],
)
def test_where_no_deadline_was_told_nothing_is_promised(told: Receipt) -> None:
    assert () == from_receipt(told, plan(told.operation))


def test_an_open_promise_is_looked_at_again_by_day_and_right_after_its_end() -> None:
    early = look("2026-11-20T11:00", promise(), Outcome(state="open"))
    evening = look("2026-11-20T19:00", promise(), Outcome(state="open"))
    last = look("2026-11-25T20:30", promise(), Outcome(state="open"))

    assert at("2026-11-20T15:00") == early.next_at
    assert at("2026-11-21T08:00") == evening.next_at  # not at eleven at night
    assert at("2026-11-26T08:00") == last.next_at
    assert {"open"} == {early.state, evening.state, last.state}


@pytest.mark.parametrize(
    ("now", "outcome", "state"),
    [
        ("2026-11-22T09:00", Outcome(state="done"), "kept"),
        ("2026-11-26T08:00", Outcome(state="done", since=when("2026-11-25T23:59")), "kept"),
        ("2026-11-26T08:00", Outcome(state="done", since=when("2026-11-26T03:00")), "late"),
        ("2026-11-26T08:00", Outcome(state="open"), "broken"),
        ("2026-11-25T23:59:59", Outcome(state="open"), "open"),  # the last second is still his
        ("2026-11-22T09:00", Outcome(state="refused"), "broken"),
        ("2026-11-22T09:00", Outcome(state="withdrawn"), "void"),
    ],
)
def test_what_the_shop_says_decides(now: str, outcome: Outcome, state: str) -> None:
    after = look(now, promise(), outcome)

    assert state == after.state
    assert (after.next_at is None) == (state != "open") == (after.settled_at is not None)


def test_working_days_run_from_the_day_the_goods_arrive_past_weekends_and_holidays() -> None:
    one = promise(kind="refund_after_return", due_at=None, working_days=5, told_at=at("2026-09-25T10:00"))
    waiting = look("2026-09-26T10:00", one, Outcome(state="awaiting_goods"))
    # Arrived on Tuesday, September 29. The 30th is one, October 1 and 2 are free, 5 to 8 are four.
    arrived = look("2026-09-29T18:00", one, Outcome(state="open", since=when("2026-09-29T15:00")))
    broken = look("2026-10-09T08:00", arrived, Outcome(state="open", since=when("2026-09-29T15:00")))
    # Eight days reach over a weekend whose Saturday is worked.
    longer = look(
        "2026-09-29T18:00", promise(kind="exchange", due_at=None, working_days=7), Outcome(state="open")
    )

    assert ("open", None, at("2026-09-26T14:00")) == (waiting.state, waiting.due_at, waiting.next_at)
    assert at("2026-10-08T23:59:59") == (arrived.due_at or 0) // 1000 * 1000
    assert "broken" == broken.state
    assert at("2026-10-10T23:59:59") == (longer.due_at or 0) // 1000 * 1000


def test_goods_that_never_come_back_end_the_promise() -> None:
    one = promise(kind="refund_after_return", due_at=None, working_days=5)

    assert "open" == look("2027-02-10T10:00", one, Outcome(state="awaiting_goods")).state
    assert "void" == look("2027-02-20T10:00", one, Outcome(state="awaiting_goods")).state


def test_a_silent_shop_breaks_nothing_and_becomes_a_matter_for_a_person_a_day_after() -> None:
    first = look("2026-11-26T08:00", promise(), None)
    again = look("2026-11-26T20:00", first, None)
    given_up = look("2026-11-27T08:00", again, None)
    spoken = look("2026-11-26T20:10", again, Outcome(state="done"))
    before_its_day = look("2026-11-24T09:00", promise(silent_since=at("2026-11-21T09:00")), None)

    assert ("open", at("2026-11-26T08:10")) == (first.state, first.next_at)
    assert ("open", "unchecked", "kept", "open") == (
        again.state, given_up.state, spoken.state, before_its_day.state,
    )  # fmt: skip
    assert spoken.silent_since is None


@pytest.mark.parametrize(
    ("person_at", "state"), [(None, "broken"), ("2026-11-25T20:00", "kept"), ("2026-11-26T00:10", "late")]
)
def test_a_persons_word_is_kept_by_his_own_words(person_at: str | None, state: str) -> None:
    wrote = at(person_at) if person_at else None

    assert state == followed_up(at("2026-11-26T09:00"), promise(kind="follow_up"), wrote).state


def test_nobody_is_woken() -> None:
    assert at("2026-11-21T08:00") == daytime(at("2026-11-20T21:00"), ZONE)
    assert at("2026-11-20T08:00") == daytime(at("2026-11-20T03:00"), ZONE)
    assert at("2026-11-20T20:59") == daytime(at("2026-11-20T20:59"), ZONE)


async def test_a_row_is_made_once_taken_once_and_comes_back_when_the_look_dies(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path}/kefu.db")
    await upgrade(engine)
    now = at("2026-11-20T10:00")
    told = Promised(
        kind="refund", order="801", receipt="RC1", key="kefu-key-1", due_at=at("2026-11-25T23:59:59")
    )
    async with engine.begin() as connection:
        for _ in range(2):  # a turn that is stored again after a kill
            await promises.make(connection, "c", [told], at=now)
        assert [] == await promises.due(connection, now)
        [row] = await promises.due(connection, now + HOUR)
        assert await promises.take(connection, row, now + HOUR)
        assert not await promises.take(connection, row, now + HOUR)  # a sibling gateway
        assert [] == await promises.due(connection, now + HOUR)
        [again] = await promises.due(connection, now + HOUR + promises.LEASE)
        settled = decide(now + DAY, again, Outcome(state="done"), calendar=CALENDAR, zone=ZONE, every=EVERY)
        await promises.save(connection, settled)
        assert [] == await promises.due(connection, now + 400 * DAY)
        rows = (await connection.execute(select(promises.promises))).all()
    await engine.dispose()

    assert [("kept", "kefu-key-1")] == [(one.state, one.key) for one in rows]
    assert timedelta(milliseconds=now + DAY - rows[0].settled_at) == timedelta(0)
