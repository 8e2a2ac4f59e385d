"""The policy decides: every rule of the demo shop's file, and what holds for any order whatsoever."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.exceptions import PolicyError
from bot.orders.models import Money, Operation, Order, OrderState, RequestLine
from bot.policy import Decision, Policy, Reason
from bot.policy.decisions import RANK
from bot.policy.policy import DEFAULT_PATH, open_amount, read_policy_file
from bot.policy.rules import ENGINE_CLAUSES

TZ = ZoneInfo("Asia/Shanghai")
POLICY = Policy.load(timezone=TZ)
NOON = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)  # noon in Shanghai, a Sunday
EXCLUDED = ("made_to_order", "perishable", "download")


def money(amount: int, currency: str = "CNY") -> dict:
    return {"amount": amount, "currency": currency}


def line(name: str = "L1", *, price: int = 10000, quantity: int = 1, **more: object) -> dict:
    return {
        "id": name,
        "product_id": "P1",
        "variant_id": f"V-{name}",
        "title": {"zh": "衬衫", "en": "Shirt"},
        "category": "apparel",
        "quantity": quantity,
        "quantity_open": quantity,
        "unit_price": money(price),
        **more,
    }


def order(
    state: str = "delivered", *, days: float = 3, lines: list[dict] | None = None, **more: object
) -> Order:
    """An order that was delivered (or paid, when not delivered) `days` ago."""
    lines = lines if lines is not None else [line()]
    total = sum(one["unit_price"]["amount"] * one["quantity"] for one in lines)
    then = NOON - timedelta(days=days)
    made = then - timedelta(days=2) if state == "delivered" else then
    return Order.model_validate(
        {
            "number": "A1",
            "version": 3,
            "customer_id": "C1",
            "state": state,
            "created_at": made,
            "paid_at": None if state == "unpaid" else made,
            "delivered_at": then if state == "delivered" else None,
            "lines": lines,
            "address": {"name": "王芳", "phone": "13800001234", "country": "CN", "street": "某路1号"},
            "total": money(total),
            "shipping": money(0),
            "payments": []
            if state == "unpaid"
            else [{"id": "pay1", "method": "wechat_pay", "amount": money(total)}],
            "refunded": money(0),
            **more,
        }
    )


def decide(operation: Operation, subject: Order, **more: object) -> Decision:
    more.setdefault("at", NOON)
    return POLICY.decide(operation, subject, **more)  # type: ignore[arg-type]


# -- the demo shop's rules ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "outcome", "clause"),
    [
        ("unpaid", "allowed", "cancel_unpaid"),
        ("paid", "allowed", "cancel_paid"),
        ("packed", "person", "already_packed"),
        ("shipped", "refused", "cancel_shipped"),
        ("delivered", "refused", "cancel_delivered"),
        ("cancelled", "refused", "order_cancelled"),
    ],
)
def test_an_order_can_be_cancelled_until_it_is_packed(state: str, outcome: str, clause: str) -> None:
    decision = decide(Operation.CANCEL, order(state))

    assert (outcome, clause) == (decision.outcome, decision.clause)


def test_cancelling_a_paid_order_pays_all_back_in_three_working_days() -> None:
    decision = decide(Operation.CANCEL, order("paid"))

    assert Money(amount=10000, currency="CNY") == decision.amount
    assert [("wechat_pay", 10000)] == [(part.method, part.amount.amount) for part in decision.destination]
    # Sunday the 22nd, so Monday to Wednesday are the working days.
    assert datetime(2026, 11, 25, 23, 59, 59, tzinfo=TZ) == decision.due_at


@pytest.mark.parametrize(
    ("days", "outcome"), [(0, "allowed"), (7, "allowed"), (8, "refused"), (40, "refused")]
)
def test_goods_go_back_without_a_reason_for_seven_days_after_the_day_of_delivery(
    days: int, outcome: str
) -> None:
    decision = decide(Operation.RETURN, order(days=days), reason=Reason.CHANGED_MIND)

    assert outcome == decision.outcome
    if outcome == "allowed":
        assert ("no_reason", "buyer") == (decision.clause, decision.freight)
        assert datetime(2026, 11, 29, 23, 59, 59, tzinfo=TZ) == decision.due_at
    else:
        assert "no_reason_too_late" == decision.clause
        assert "7 天" in decision.explanation["zh"] and "7 days" in decision.explanation["en"]


def test_window_ends_with_the_day_on_the_shops_clock_not_with_the_hour() -> None:
    late = datetime(2026, 11, 8, 15, 59, 0, tzinfo=UTC)  # one minute before midnight in Shanghai
    subject = order(days=14).model_copy(update={"delivered_at": late})
    end = datetime(2026, 11, 15, 23, 59, 59, tzinfo=TZ)

    assert decide(Operation.RETURN, subject, at=end).allowed
    assert not decide(Operation.RETURN, subject, at=end + timedelta(seconds=1)).allowed


@pytest.mark.parametrize(
    ("days", "outcome", "clause"),
    [
        (15, "allowed", "fault"),
        (16, "person", "warranty"),
        (365, "person", "warranty"),
        (366, "refused", "warranty_over"),
    ],
)
def test_faults_are_the_shops_for_fifteen_days_and_then_a_matter_of_warranty(
    days: int, outcome: str, clause: str
) -> None:
    subject = order(days=days)
    decision = decide(Operation.RETURN, subject, reason=Reason.QUALITY_FAULT)

    assert (outcome, clause) == (decision.outcome, decision.clause)
    assert (None if outcome == "refused" else "shop") == decision.freight


@pytest.mark.parametrize("tag", EXCLUDED)
@pytest.mark.parametrize("operation", [Operation.RETURN, Operation.EXCHANGE])
def test_excluded_goods_do_not_go_back_without_a_fault(tag: str, operation: Operation) -> None:
    decision = decide(operation, order(lines=[line(tags=[tag])]), reason=Reason.CHANGED_MIND)

    assert ("refused", tag) == (decision.outcome, decision.clause)


@pytest.mark.parametrize(("opened", "outcome"), [(True, "refused"), (False, "allowed"), (None, "person")])
def test_hygiene_goods_go_back_only_unopened_and_unknown_is_asked(opened: bool | None, outcome: str) -> None:
    decision = decide(Operation.RETURN, order(lines=[line(tags=["hygiene"])]), opened=opened)

    assert outcome == decision.outcome
    assert (("opened",) if opened is None else ()) == decision.asks


def test_what_the_shop_knows_to_be_opened_stays_opened_whatever_is_said() -> None:
    subject = order(lines=[line(tags=["hygiene"], opened=True)])

    assert "refused" == decide(Operation.RETURN, subject, opened=False).outcome


def test_one_refused_item_refuses_the_whole_and_says_which() -> None:
    subject = order(lines=[line("L1"), line("L2", tags=["download"])])
    decision = decide(Operation.RETURN, subject)

    assert "refused" == decision.outcome
    assert {"L1": "allowed", "L2": "refused"} == {one.line_id: one.outcome for one in decision.lines}


def test_quantities_beyond_the_order_or_what_is_open_are_refused() -> None:
    subject = order(lines=[line(quantity=3, quantity_open=1)])

    assert (
        "unknown_line"
        == decide(Operation.RETURN, subject, lines=[RequestLine(line_id="L9", quantity=1)]).clause
    )
    assert (
        "unknown_line"
        == decide(Operation.RETURN, subject, lines=[RequestLine(line_id="L1", quantity=4)]).clause
    )
    assert (
        "nothing_open"
        == decide(Operation.RETURN, subject, lines=[RequestLine(line_id="L1", quantity=2)]).clause
    )
    assert decide(Operation.RETURN, subject, lines=[RequestLine(line_id="L1", quantity=1)]).allowed


def test_a_person_decides_above_the_limit_and_for_a_currency_without_one() -> None:
    dear = order(lines=[line(price=200001)])
    foreign = Order.model_validate(
        order().model_dump()
        | {
            "total": money(10000, "CHF"),
            "refunded": money(0, "CHF"),
            "shipping": money(0, "CHF"),
            "lines": [line(unit_price=money(10000, "CHF"))],
            "payments": [{"id": "p", "method": "card", "amount": money(10000, "CHF")}],
        }
    )

    for subject in (dear, foreign):
        decision = decide(Operation.RETURN, subject)
        assert ("person", "amount_limit") == (decision.outcome, decision.clause)
    assert decide(Operation.RETURN, order(lines=[line(price=200000)])).allowed


def test_missing_item_is_refunded_without_a_return_up_to_its_own_limit() -> None:
    assert decide(Operation.REFUND, order(), reason=Reason.MISSING_ITEM).allowed
    dear = order(lines=[line(price=20001)])
    assert "amount_limit" == decide(Operation.REFUND, dear, reason=Reason.MISSING_ITEM).clause


def test_delivered_goods_are_not_refunded_without_a_return() -> None:
    decision = decide(Operation.REFUND, order(), reason=Reason.CHANGED_MIND)

    assert ("refused", "refund_needs_return") == (decision.outcome, decision.clause)


def test_shipping_goes_back_with_the_last_item_of_an_unshipped_order_and_not_before() -> None:
    lines = [line("L1"), line("L2", price=5000)]
    payments = [{"id": "p", "method": "alipay", "amount": money(16000)}]
    subject = order("paid", lines=lines, shipping=money(1000), payments=payments)
    part = decide(Operation.REFUND, subject, lines=[RequestLine(line_id="L1", quantity=1)])

    assert 10000 == part.amount.amount
    assert 16000 == decide(Operation.REFUND, subject).amount.amount


def test_gift_card_money_goes_back_to_the_gift_card_first() -> None:
    payments = [
        {"id": "p1", "method": "wechat_pay", "amount": money(7000)},
        {
            "id": "p2",
            "method": "gift_card",
            "hint": "**** 8812",
            "amount": money(3000),
            "refunded": money(1000),
        },
    ]
    subject = order("paid", payments=payments, refunded=money(1000))
    decision = decide(Operation.CANCEL, subject)

    assert 9000 == decision.amount.amount
    assert [("gift_card", 2000), ("wechat_pay", 7000)] == [
        (d.method, d.amount.amount) for d in decision.destination
    ]


def test_price_protection_pays_the_difference_of_what_became_cheaper() -> None:
    subject = order(days=10, lines=[line("L1", quantity=2), line("L2")])
    prices = {"V-L1": Money(amount=9000, currency="CNY"), "V-L2": Money(amount=10000, currency="CNY")}
    decision = decide(Operation.PRICE_PROTECTION, subject, current_prices=prices)

    assert ("allowed", 2000) == (decision.outcome, decision.amount.amount)
    assert ["L1"] == [one.line_id for one in decision.lines]
    asked = decide(Operation.PRICE_PROTECTION, subject)
    assert ("person", ("prices",)) == (asked.outcome, asked.asks)
    same = decide(
        Operation.PRICE_PROTECTION, subject, current_prices={"V-L1": prices["V-L2"], "V-L2": prices["V-L2"]}
    )
    assert "price_not_lower" == same.clause


CHEAPER = {f"V-L{number}": Money(amount=9000, currency="CNY") for number in (1, 2, 3)}


@pytest.mark.parametrize("tag", ["perishable", "made_to_order", "download"])
def test_an_excluded_item_does_not_take_price_protection_from_the_others(tag: str) -> None:
    subject = order(days=10, lines=[line("L1", quantity=2), line("L2", tags=[tag]), line("L3")])
    decision = decide(Operation.PRICE_PROTECTION, subject, current_prices=CHEAPER)

    assert ("allowed", "price_protection", 3000) == (
        decision.outcome,
        decision.clause,
        decision.amount.amount,
    )
    assert ["L1", "L3"] == [one.line_id for one in decision.lines]
    assert 3000 == sum(part.amount.amount for part in decision.destination)


def test_an_excluded_item_that_is_named_or_alone_is_refused() -> None:
    subject = order(days=10, lines=[line("L1"), line("L2", tags=["perishable"])])
    named = [RequestLine(line_id="L1", quantity=1), RequestLine(line_id="L2", quantity=1)]
    for lines, prices in (
        (named, CHEAPER),
        (named[1:], CHEAPER),
        ((), {**CHEAPER, "V-L1": Money(amount=10000, currency="CNY")}),
    ):
        decision = decide(Operation.PRICE_PROTECTION, subject, lines=lines, current_prices=prices)
        assert ("refused", "price_protection_excluded") == (decision.outcome, decision.clause)


def test_an_excluded_item_leaves_the_others_to_a_person_where_a_price_is_unknown() -> None:
    subject = order(days=10, lines=[line("L1"), line("L2", tags=["perishable"])])
    unknown = decide(Operation.PRICE_PROTECTION, subject)

    assert ("person", ("prices",), ["L1"]) == (
        unknown.outcome,
        unknown.asks,
        [one.line_id for one in unknown.lines],
    )


def test_price_protection_that_comes_too_late_is_refused_for_all_items() -> None:
    subject = order(days=60, lines=[line("L1"), line("L2", tags=["perishable"])])
    decision = decide(Operation.PRICE_PROTECTION, subject, current_prices=CHEAPER)

    assert "refused" == decision.outcome and ["L1", "L2"] == [one.line_id for one in decision.lines]


def test_exchange_shows_the_difference_at_todays_prices() -> None:
    prices = {"V-L1": Money(amount=10000, currency="CNY"), "V-X": Money(amount=12000, currency="CNY")}
    wanted = [RequestLine(line_id="L1", quantity=1, variant_id="V-X")]

    assert -2000 == decide(Operation.EXCHANGE, order(), lines=wanted, current_prices=prices).amount.amount
    assert ("prices",) == decide(Operation.EXCHANGE, order(), lines=wanted).asks
    assert decide(Operation.EXCHANGE, order()).allowed


def test_dearer_change_of_a_paid_order_goes_to_a_person() -> None:
    prices = {"V-X": Money(amount=12000, currency="CNY"), "V-Y": Money(amount=8000, currency="CNY")}

    def change(variant: str, state: str = "paid") -> Decision:
        wanted = [RequestLine(line_id="L1", quantity=1, variant_id=variant)]
        return decide(Operation.CHANGE_ITEMS, order(state), lines=wanted, current_prices=prices)

    assert ("person", "payment_required") == (change("V-X").outcome, change("V-X").clause)
    assert 2000 == change("V-Y").amount.amount
    assert change("V-X", "unpaid").allowed


def test_requests_change_until_the_goods_are_sent() -> None:
    def with_request(status: str) -> Order:
        request = {
            "id": "RQ1",
            "operation": "return",
            "status": status,
            "amount": money(10000),
            "created_at": NOON,
        }
        return order(requests=[request], lines=[line(quantity_open=0)])

    assert decide(Operation.WITHDRAW_REQUEST, with_request("approved")).allowed
    assert "person" == decide(Operation.WITHDRAW_REQUEST, with_request("in_transit")).outcome
    assert "no_open_request" == decide(Operation.WITHDRAW_REQUEST, with_request("completed")).clause
    assert (
        "no_open_request"
        == decide(Operation.WITHDRAW_REQUEST, with_request("approved"), request_id="RQ2").clause
    )
    assert 10000 == decide(Operation.UPDATE_REQUEST, with_request("approved"), request_id="RQ1").amount.amount


def test_money_promised_by_a_return_under_way_is_not_open_any_more() -> None:
    request = {
        "id": "RQ1",
        "operation": "return",
        "status": "approved",
        "amount": money(10000),
        "created_at": NOON,
    }
    subject = order(requests=[request], lines=[line(quantity_open=0), line("L2", price=500)])

    assert 500 == open_amount(subject).amount


def test_an_item_of_a_partly_delivered_order_is_judged_by_its_own_parcel() -> None:
    parcel = {
        "id": "F1",
        "carrier": "SF",
        "tracking_number": "SF1",
        "shipped_at": NOON - timedelta(days=9),
        "delivered_at": NOON - timedelta(days=8),
        "lines": ["L1"],
    }
    subject = order("shipped", days=10, lines=[line("L1"), line("L2")], fulfilments=[parcel])

    first = decide(Operation.RETURN, subject, lines=[RequestLine(line_id="L1", quantity=1)])
    second = decide(Operation.RETURN, subject, lines=[RequestLine(line_id="L2", quantity=1)])
    assert ("no_reason_too_late", "return_not_delivered") == (first.clause, second.clause)


def test_delivered_order_without_a_date_goes_to_a_person() -> None:
    subject = order().model_copy(update={"delivered_at": None})

    assert "date_unknown" == decide(Operation.RETURN, subject).clause


def test_orders_are_judged_by_the_version_of_their_own_date() -> None:
    """An exchange without a reason had 7 days until the end of June 2026 and has 15 since."""
    june = order(days=10, created_at=datetime(2026, 6, 30, 15, 59, tzinfo=UTC))  # 23:59 in Shanghai
    july = order(days=10, created_at=datetime(2026, 6, 30, 16, 0, tzinfo=UTC))  # midnight in Shanghai

    before, after = decide(Operation.EXCHANGE, june), decide(Operation.EXCHANGE, july)
    assert ("2025-01", "refused") == (before.policy_version, before.outcome)
    assert ("2026-07", "allowed") == (after.policy_version, after.outcome)


def test_order_older_than_the_first_version_is_judged_by_the_first() -> None:
    assert "2025-01" == decide(Operation.CANCEL, order(days=3000)).policy_version


def test_facts_name_the_numbers_articles_may_quote() -> None:
    facts = POLICY.facts()

    assert 7 == facts["return.no_reason.within_days"]
    assert 15 == facts["return.fault.within_days"]
    assert 30 == facts["price_protection.price_protection.within_days"]
    assert 15 == POLICY.facts("2025-01")["price_protection.price_protection.within_days"]
    with pytest.raises(PolicyError, match="1999"):
        POLICY.facts("1999")


# -- whatever the order ------------------------------------------------------------------------------

CURRENCIES = st.sampled_from(["CNY", "CNY", "USD", "JPY", "CHF"])
AMOUNTS = st.integers(0, 700_000)
TIMES = st.datetimes(datetime(2024, 6, 1), datetime(2026, 12, 31), timezones=st.just(UTC))


@st.composite
def orders(draw: st.DrawFn) -> Order:
    currency = draw(CURRENCIES)
    lines = []
    for number in range(draw(st.integers(1, 3))):
        quantity = draw(st.integers(1, 4))
        lines.append(
            line(
                f"L{number}",
                quantity=quantity,
                quantity_open=draw(st.integers(0, quantity)),
                unit_price=money(draw(AMOUNTS), draw(st.sampled_from([currency, currency, currency, "EUR"]))),
                category=draw(st.sampled_from(["apparel", "fresh", "no such category"])),
                tags=draw(
                    st.lists(st.sampled_from([*EXCLUDED, "hygiene", "unheard_of"]), max_size=2, unique=True)
                ),
                opened=draw(st.sampled_from([None, True, False])),
            )
        )
    created = draw(TIMES)
    state = draw(st.sampled_from(list(OrderState)))
    methods = draw(
        st.lists(st.sampled_from(["wechat_pay", "alipay", "card", "paypal", "gift_card"]), max_size=3)
    )
    payments = [
        {"id": f"p{number}", "method": method, "amount": money(draw(AMOUNTS), currency)}
        for number, method in enumerate(methods)
    ]
    paid = sum(payment["amount"]["amount"] for payment in payments)
    requests = [
        {
            "id": f"RQ{number}",
            "operation": draw(st.sampled_from(["refund", "return", "exchange", "price_protection"])),
            "status": draw(
                st.sampled_from(["requested", "approved", "in_transit", "received", "completed", "refused"])
            ),
            "amount": draw(st.sampled_from([None, money(draw(AMOUNTS), currency)])),
            "created_at": created,
        }
        for number in range(draw(st.integers(0, 2)))
    ]
    arrived = created + timedelta(days=draw(st.integers(1, 20)))
    return Order.model_validate(
        {
            "number": "A1",
            "version": 1,
            "customer_id": "C1",
            "state": state,
            "created_at": created,
            "paid_at": draw(st.sampled_from([None, created])),
            "delivered_at": arrived if state is OrderState.DELIVERED and draw(st.booleans()) else None,
            "lines": lines,
            "address": {"name": "", "phone": "", "country": "CN", "street": ""},
            "total": money(draw(AMOUNTS), currency),
            "shipping": money(draw(st.integers(0, 5000)), currency),
            "payments": payments,
            "refunded": money(draw(st.integers(0, paid)), currency),
            "requests": requests,
        }
    )


@st.composite
def questions(draw: st.DrawFn) -> tuple[Operation, Order, dict]:
    subject = draw(orders())
    asked = draw(st.lists(st.sampled_from([*subject.lines, None]), max_size=3))
    wanted = [
        RequestLine(
            line_id=one.id if one else "no such line",
            quantity=draw(st.integers(1, 4)),
            variant_id=draw(st.sampled_from([None, "V-X"])),
        )
        for one in asked
    ]
    prices = {
        variant: Money(amount=draw(AMOUNTS), currency=subject.total.currency)
        for variant in draw(st.lists(st.sampled_from(["V-L0", "V-L1", "V-X"]), unique=True))
    }
    return (
        draw(st.sampled_from(list(Operation))),
        subject,
        {
            "lines": wanted,
            "reason": draw(st.sampled_from([None, *Reason])),
            "opened": draw(st.sampled_from([None, True, False])),
            "current_prices": draw(st.sampled_from([None, prices])),
            "at": subject.created_at + timedelta(days=draw(st.floats(0, 450))),
        },
    )


@settings(max_examples=150, deadline=None)
@given(questions())
def test_any_question_has_one_answer_with_a_clause_in_both_languages(question: tuple) -> None:
    operation, subject, more = question
    decision = POLICY.decide(operation, subject, **more)

    assert decision.outcome in RANK
    clauses = {version.id: version.clauses for version in POLICY.versions}[decision.policy_version]
    assert decision.clause in clauses
    for words in (decision.explanation, *(one.explanation for one in decision.lines)):
        assert words["zh"].strip() and words["en"].strip()
        assert "{" not in words["zh"] + words["en"] and "None" not in words["en"]
    assert POLICY.decide(operation, subject, **more) == decision


@settings(max_examples=150, deadline=None)
@given(questions())
def test_money_never_exceeds_what_is_open_and_adds_up_over_its_destinations(question: tuple) -> None:
    operation, subject, more = question
    decision = POLICY.decide(operation, subject, **more)

    if decision.amount is None or decision.outcome == "refused":
        assert not decision.destination
        return
    room = open_amount(subject).amount
    if operation is Operation.UPDATE_REQUEST:  # what it replaces becomes open again
        room += sum(one.amount.amount for one in subject.requests if one.amount)
    assert decision.amount.amount <= room
    if operation is not Operation.UPDATE_REQUEST and decision.amount.amount > 0:
        assert decision.amount.amount == sum(part.amount.amount for part in decision.destination)
    known = {payment.id: payment.amount.amount for payment in subject.payments}
    assert all(part.amount.amount <= known[part.payment_id] for part in decision.destination)


@settings(max_examples=150, deadline=None)
@given(questions(), st.floats(0.001, 400))
def test_waiting_never_pays(question: tuple, days: float) -> None:
    """What is not allowed now does not become allowed by time alone."""
    operation, subject, more = question
    now = POLICY.decide(operation, subject, **more)
    later = POLICY.decide(operation, subject, **{**more, "at": more["at"] + timedelta(days=days)})

    assert RANK[later.outcome] <= RANK[now.outcome]


@settings(max_examples=100, deadline=None)
@given(questions(), st.sampled_from([*EXCLUDED, "hygiene"]))
def test_excluded_goods_never_go_back_for_a_change_of_mind(question: tuple, tag: str) -> None:
    _, subject, more = question
    lines = tuple(one.model_copy(update={"tags": (tag,), "opened": True}) for one in subject.lines)
    subject = subject.model_copy(update={"lines": lines})
    more["reason"] = Reason.CHANGED_MIND
    for operation in (Operation.RETURN, Operation.EXCHANGE):
        assert "refused" == POLICY.decide(operation, subject, **more).outcome


@settings(max_examples=150, deadline=None)
@given(orders(), st.floats(0, 30))
def test_price_protection_covers_what_each_item_would_get_alone(subject: Order, days: float) -> None:
    at = subject.created_at + timedelta(days=days)
    prices = {
        one.variant_id: Money(amount=one.unit_price.amount // 2, currency=one.unit_price.currency)
        for one in subject.lines
    }
    whole = POLICY.decide(Operation.PRICE_PROTECTION, subject, at=at, current_prices=prices)
    alone = {}
    for one in subject.lines:
        if one.quantity_open > 0 and prices[one.variant_id].amount < one.unit_price.amount:
            named = [RequestLine(line_id=one.id, quantity=one.quantity_open)]
            decision = POLICY.decide(
                Operation.PRICE_PROTECTION, subject, lines=named, at=at, current_prices=prices
            )
            alone[one.id] = decision.lines[0].outcome
    if whole.outcome != "refused":
        assert {one for one, outcome in alone.items() if outcome != "refused"} == {
            one.line_id for one in whole.lines
        }
    else:
        assert set(alone.values()) <= {"refused"}


# -- files -------------------------------------------------------------------------------------------


def broken(tmp_path: Path, change: object) -> Path:
    data = yaml.safe_load(DEFAULT_PATH.read_text(encoding="utf-8"))
    change(data)  # type: ignore[operator]
    path = tmp_path / "policy.yml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d["versions"][0]["operations"].pop("cancel"), "no table for operation cancel"),
        (lambda d: d["versions"][0]["clauses"].pop("no_reason"), "clause no_reason is not in clauses"),
        (lambda d: d["versions"][0]["clauses"]["fault"].pop("en"), "clauses.fault.en"),
        (lambda d: d["versions"][0]["clauses"]["fault"].update(en="in {dayz}"), "unknown placeholder {dayz}"),
        (lambda d: d["versions"][0]["clauses"]["made_to_order"].update(en="in {days}"), "does not set"),
        (lambda d: d["versions"][0]["clauses"].pop("amount_limit"), "no clause amount_limit"),
        (lambda d: d["versions"][0]["operations"]["return"].pop(), "the last rule must have no conditions"),
        (lambda d: d["versions"][0]["operations"]["return"].insert(0, {"outcome": "refused", "clause": "fault"}), "can never be reached"),
        (lambda d: d["versions"][0]["operations"]["cancel"][0].update(outcome="maybe"), "operations.cancel, rule 1, outcome"),
        (lambda d: d["versions"][0]["operations"]["cancel"][0].update(colour="red"), "look for a typo"),
        (lambda d: d["versions"][0]["operations"]["cancel"][0].update(states=[]), "an empty list never holds"),
        (lambda d: d["versions"][1].update(effective="2024-01-01"), "oldest first"),
        (lambda d: d["versions"][1].update(id="2025-01"), "give one a new id"),
        (lambda d: d["versions"][1].update(based_on="1999"), "does not stand above it"),
        (lambda d: d.update(versions=[]), "versions"),
        (lambda d: d.pop("versions"), "no list `versions`"),
        (lambda d: d["calendar"].update(weekend=[8]), "ISO week days"),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused_naming_file_place_and_remedy(
    tmp_path: Path, change: object, says: str
) -> None:
    path = broken(tmp_path, change)

    with pytest.raises(PolicyError) as caught:
        Policy.load(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_window_that_gets_more_generous_with_time_is_refused(tmp_path: Path) -> None:
    def change(data: dict) -> None:
        table = data["versions"][0]["operations"]["return"]
        table[-2:] = [
            {"within_days": 3, "outcome": "refused", "clause": "no_reason_too_late"},
            {"within_days": 7, "outcome": "allowed", "clause": "no_reason"},
            {"outcome": "refused", "clause": "perishable"},
        ]

    with pytest.raises(PolicyError, match="waiting would pay"):
        Policy.load(broken(tmp_path, change))


@pytest.mark.parametrize(
    ("text", "says"), [("versions: [", "not valid YAML"), ("[]", "no list"), ("", "no list")]
)
def test_what_is_no_policy_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "policy.yml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(PolicyError, match=says):
        Policy.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="does not exist"):
        Policy.load(tmp_path / "nowhere.yml")


def test_every_clause_of_the_default_file_is_cited() -> None:
    """A clause nobody cites is a rule that somebody believes in and no one applies."""
    for version in read_policy_file(DEFAULT_PATH).versions:
        cited = {rule.clause for table in version.operations.values() for rule in table}
        assert set(version.clauses) == cited | set(ENGINE_CLAUSES)
