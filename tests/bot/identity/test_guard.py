"""The guard lets nobody learn whether an order exists, counts wrong tries, and locks a conversation that guesses."""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import create_tables, make_engine
from bot.exceptions import KefuError, OrderRefused, ProofRejected, ShopUnavailable
from bot.identity import IdentityGuard, ProofLevel
from bot.orders.models import Grant, ProofKind
from bot.settings import IdentitySettings

LIMITS = IdentitySettings(
    attempts_per_conversation=3,
    attempts_per_order=4,
    attempts_per_source=6,
    window=3600,
    fresh=900,
    lock=7200,
)
TAIL = ProofKind.PHONE_TAIL


class Clock:
    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.ms

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.ms / 1000, UTC)

    def forward(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


class Shop:
    """A shop in memory: orders with their phone tails, and accounts."""

    def __init__(self, clock: Clock, orders: dict[str, str], accounts: tuple[str, ...] = ()) -> None:
        self.clock, self.orders, self.accounts = clock, orders, accounts
        self.asked = 0
        self.away = False
        self.strict = False  # calls an unknown number something else than a wrong proof

    async def prove(self, kind: ProofKind, value: str, *, order_number: str | None = None) -> Grant:
        self.asked += 1
        if self.away:
            raise ShopUnavailable("away")
        if kind is ProofKind.CHANNEL_ACCOUNT:
            if value not in self.accounts:
                raise ProofRejected("no such account")
        elif self.strict and order_number not in self.orders:
            raise OrderRefused("no such order", code="not_found")
        elif self.orders.get(order_number or "") != value:
            raise ProofRejected("wrong")
        return Grant(
            token=f"secret-{self.asked}",
            kind=kind,
            customer_id="C1",
            order_number=order_number,
            proven_at=self.clock.now,
            expires_at=self.clock.now + timedelta(hours=1),
        )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shop(clock: Clock) -> Shop:
    return Shop(clock, {"A1": "5678", "A2": "1111"}, ("site:C1",))


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path}/kefu.db")
    await create_tables(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
def guard(engine: AsyncEngine, shop: Shop, clock: Clock) -> IdentityGuard:
    return IdentityGuard(engine, shop, LIMITS, clock=clock)


async def outcome(guard: IdentityGuard, *arguments: object) -> str:
    """What a shopper can tell apart: the kind of error and its words."""
    try:
        await guard.prove(*arguments)  # type: ignore[arg-type]
    except KefuError as exc:
        return f"{type(exc).__name__}: {exc}"
    return "granted"


async def test_right_proof_opens_its_order_and_no_other(guard: IdentityGuard) -> None:
    await guard.prove("c", "s", "#ａ1 ".replace("ａ", "A"), TAIL, "138-0000-5678")

    assert await guard.grant_for("c", "A1", ProofLevel.READ) is not None
    assert await guard.grant_for("c", "a1", ProofLevel.WRITE) is not None
    assert await guard.grant_for("c", "A2", ProofLevel.READ) is None
    assert await guard.grant_for("other", "A1", ProofLevel.READ) is None
    assert await guard.grant_for("c", None, ProofLevel.READ) is None
    assert await guard.grant_for("c", "A1", ProofLevel.PUBLIC) is None


async def test_account_opens_all_orders_of_its_customer(guard: IdentityGuard) -> None:
    await guard.prove_account("c", "site:C1")

    assert await guard.grant_for("c", "A2", ProofLevel.WRITE) is not None
    assert await guard.grant_for("c", None, ProofLevel.READ) is not None
    with pytest.raises(ProofRejected):
        await guard.prove_account("c", "site:C9")


async def test_write_needs_a_fresh_proof_and_read_one_that_has_not_expired(
    guard: IdentityGuard, clock: Clock
) -> None:
    await guard.prove("c", "s", "A1", TAIL, "5678")
    clock.forward(LIMITS.fresh - 1)
    assert await guard.grant_for("c", "A1", ProofLevel.WRITE) is not None
    clock.forward(1)
    assert await guard.grant_for("c", "A1", ProofLevel.WRITE) is None
    assert await guard.grant_for("c", "A1", ProofLevel.READ) is not None
    clock.forward(3600)
    assert await guard.grant_for("c", "A1", ProofLevel.READ) is None


@pytest.mark.parametrize("strict", [False, True])
async def test_existing_and_missing_orders_answer_alike_up_to_the_lock(
    guard: IdentityGuard, shop: Shop, strict: bool
) -> None:
    """Also when the shop itself is careless and says which it was."""
    shop.strict = strict
    exists = [await outcome(guard, "c1", "s1", "A1", TAIL, "0000") for _ in range(5)]
    missing = [await outcome(guard, "c2", "s2", "Z9", TAIL, "0000") for _ in range(5)]

    assert exists == missing
    assert ["ProofRejected"] * 2 + ["IdentityLocked"] * 3 == [one.split(":")[0] for one in exists]


async def test_locked_conversation_stays_locked_even_with_the_right_proof_until_a_person_helps(
    guard: IdentityGuard, shop: Shop, clock: Clock
) -> None:
    for _ in range(3):
        await outcome(guard, "c", "s", "A1", TAIL, "0000")
    asked = shop.asked

    assert await guard.locked("c")
    assert "IdentityLocked" in await outcome(guard, "c", "s", "A1", TAIL, "5678")
    assert asked == shop.asked
    await guard.forget("c")
    assert not await guard.locked("c")
    assert "granted" == await outcome(guard, "c", "s", "A1", TAIL, "5678")


async def test_lock_ends_by_itself_after_its_time(guard: IdentityGuard, clock: Clock) -> None:
    for _ in range(3):
        await outcome(guard, "c", "s", "A1", TAIL, "0000")
    clock.forward(LIMITS.lock)

    assert not await guard.locked("c")


async def test_order_guessed_from_many_conversations_is_closed_to_the_right_proof_too(
    guard: IdentityGuard, shop: Shop, clock: Clock
) -> None:
    for number in range(LIMITS.attempts_per_order):
        await outcome(guard, f"c{number}", f"s{number}", "A1", TAIL, "0000")
    asked = shop.asked

    assert "ProofRejected" in await outcome(guard, "mine", "mine", "A1", TAIL, "5678")
    assert asked == shop.asked
    assert "granted" == await outcome(guard, "mine", "mine", "A2", TAIL, "1111")
    clock.forward(LIMITS.window)
    assert "granted" == await outcome(guard, "mine", "mine", "A1", TAIL, "5678")


async def test_blocked_tries_do_not_keep_an_order_closed_for_ever(guard: IdentityGuard, clock: Clock) -> None:
    for number in range(LIMITS.attempts_per_order):
        await outcome(guard, f"c{number}", None, "A1", TAIL, "0000")
    clock.forward(LIMITS.window / 2)
    for number in range(10):
        await outcome(guard, f"d{number}", None, "A1", TAIL, "0000")
    clock.forward(LIMITS.window / 2)

    assert "granted" == await outcome(guard, "mine", None, "A1", TAIL, "5678")


async def test_source_is_limited_over_orders_and_conversations(guard: IdentityGuard) -> None:
    for number in range(LIMITS.attempts_per_source):
        await outcome(guard, f"c{number}", "s", f"Z{number}", TAIL, "0000")

    assert "ProofRejected" in await outcome(guard, "new", "s", "A1", TAIL, "5678")
    assert "granted" == await outcome(guard, "new", "elsewhere", "A1", TAIL, "5678")


async def test_right_proof_does_not_reset_the_count(guard: IdentityGuard) -> None:
    """Or somebody with one order of their own could guess at others for ever."""
    await outcome(guard, "c", "s", "A2", TAIL, "0000")
    await outcome(guard, "c", "s", "A2", TAIL, "0001")
    assert "granted" == await outcome(guard, "c", "s", "A1", TAIL, "5678")
    assert "IdentityLocked" in await outcome(guard, "c", "s", "A2", TAIL, "0002")


async def test_shop_that_is_away_costs_no_try(guard: IdentityGuard, shop: Shop) -> None:
    shop.away = True
    for _ in range(10):
        assert "ShopUnavailable" in await outcome(guard, "c", "s", "A1", TAIL, "5678")
    shop.away = False

    assert "granted" == await outcome(guard, "c", "s", "A1", TAIL, "5678")


async def test_counts_survive_a_restart(engine: AsyncEngine, shop: Shop, clock: Clock) -> None:
    for _ in range(3):
        await outcome(IdentityGuard(engine, shop, LIMITS, clock=clock), "c", "s", "A1", TAIL, "0000")

    assert await IdentityGuard(engine, shop, LIMITS, clock=clock).locked("c")


async def test_try_cut_off_in_the_middle_counts(guard: IdentityGuard, shop: Shop) -> None:
    """Killing the program while the shop thinks gives no free guesses."""

    class Hanging(Shop):
        async def prove(self, *_: object, **__: object) -> Grant:  # type: ignore[override]
            await asyncio.Event().wait()
            raise AssertionError("never")

    guard._client = Hanging(shop.clock, {})
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(guard.prove("c", "s", "A1", TAIL, "5678"), 0.05)
    guard._client = shop

    assert "IdentityLocked" in await outcome(guard, "c", "s", "A1", TAIL, "5678")


async def test_tries_at_once_never_exceed_the_limit(guard: IdentityGuard, shop: Shop) -> None:
    await asyncio.gather(*(outcome(guard, f"c{n}", "s", "A1", TAIL, "0000") for n in range(12)))

    assert shop.asked <= LIMITS.attempts_per_order


async def test_grant_for_another_order_than_asked_is_not_taken(engine: AsyncEngine, clock: Clock) -> None:
    class Confused(Shop):
        async def prove(self, kind: ProofKind, value: str, *, order_number: str | None = None) -> Grant:
            return (await super().prove(kind, "5678", order_number="A1")).model_copy()

    guard = IdentityGuard(engine, Confused(clock, {"A1": "5678"}), LIMITS, clock=clock)

    assert "ProofRejected" in await outcome(guard, "c", "s", "A2", TAIL, "5678")
    assert await guard.grant_for("c", "A1", ProofLevel.READ) is None


async def test_dropped_and_purged_grants_are_gone(guard: IdentityGuard, clock: Clock) -> None:
    await guard.prove("c", "s", "A1", TAIL, "5678")
    await guard.prove("c", "s", "A2", TAIL, "1111")
    await guard.drop_grants("c", "A1")

    assert await guard.grant_for("c", "A1", ProofLevel.READ) is None
    assert await guard.grant_for("c", "A2", ProofLevel.READ) is not None
    clock.forward(10_000)
    assert 3 == await guard.purge()  # one grant, two tries


async def test_nothing_secret_is_logged(guard: IdentityGuard, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await guard.prove("c", "s", "A1", TAIL, "5678")
        await outcome(guard, "c", "s", "A2", TAIL, "4321")

    ours = [record.getMessage() for record in caplog.records if record.name.startswith("bot")]
    assert not [message for message in ours if "secret" in message or "4321" in message or "5678" in message]


STEP = st.tuples(
    st.sampled_from(["c1", "c2", "c3"]),
    st.sampled_from(["s1", "s2", None]),
    st.sampled_from(["known", "unknown"]),
    st.sampled_from(["0000", "9999"]),
    st.sampled_from([0, 1, 2000]),
)


@settings(max_examples=15, deadline=None)
@given(st.lists(STEP, max_size=9))
def test_no_sequence_of_wrong_proofs_tells_a_shop_with_the_orders_from_one_without(
    steps: list[tuple],
) -> None:
    """Two worlds, one where the order numbers exist and one where none does, answer every sequence alike."""

    async def world(orders: dict[str, str]) -> list[str]:
        clock = Clock()
        folder = tempfile.mkdtemp()
        engine = make_engine(f"sqlite+aiosqlite:///{folder}/kefu.db")
        try:
            await create_tables(engine)
            guard = IdentityGuard(engine, Shop(clock, orders), LIMITS, clock=clock)
            answers = []
            for conversation, source, number, value, pause in steps:
                clock.forward(pause)
                answers.append(await outcome(guard, conversation, source, number, TAIL, value))
                answers.append(str(await guard.locked(conversation)))
            return answers
        finally:
            await engine.dispose()
            shutil.rmtree(folder)

    assert asyncio.run(world({"known": "1234"})) == asyncio.run(world({}))
