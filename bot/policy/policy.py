"""The executable policy: may this be done to this order, for how much, at whose cost, until when?

`Policy.decide` is a pure function of the file, the order and the clock. It knows no HTTP, no conversation
and no model of language; it never lets through what it cannot judge, but gives it to a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bot.exceptions import PolicyError
from bot.formats import format_date, format_money, shop_timezone
from bot.message import Language
from bot.orders.models import Money, Operation, Order, OrderLine, OrderState, RequestLine
from bot.policy.decisions import RANK, Ask, Decision, Destination, LineDecision, Outcome
from bot.policy.reasons import Reason, group_of
from bot.policy.rules import Calendar, PolicyFile, Rule, Version, window_before
from bot.policy.working_days import add_working_days, window_end

DEFAULT_PATH = Path(__file__).with_name("default.yml")

# Operations that speak of single items; the others concern the order as a whole.
LINE_OPERATIONS = frozenset(
    {Operation.REFUND, Operation.RETURN, Operation.EXCHANGE, Operation.PRICE_PROTECTION}
)
MONEY_OPERATIONS = frozenset(
    {
        Operation.CANCEL,
        Operation.CHANGE_ITEMS,
        Operation.REFUND,
        Operation.RETURN,
        Operation.PRICE_PROTECTION,
        Operation.UPDATE_REQUEST,
    }
)
PENDING = frozenset({"requested", "approved", "in_transit", "received"})
LANGUAGES: tuple[Language, ...] = ("zh", "en")


def paid_amount(order: Order) -> int:
    """What was paid for the order so far, in minor units of its currency."""
    if order.state is OrderState.UNPAID:
        return 0
    return sum(
        max(payment.amount.amount, 0)
        for payment in order.payments
        if payment.amount.currency == order.total.currency
    )


def pending_amount(order: Order) -> int:
    """What returns under way will pay back, in minor units; refunds are in `Order.refunded` at once."""
    return sum(
        max(request.amount.amount, 0)
        for request in order.requests
        if request.operation is Operation.RETURN
        and request.status in PENDING
        and request.amount is not None
        and request.amount.currency == order.total.currency
    )


def open_amount(order: Order) -> Money:
    """The most that can still go back: paid, less what went back and what requests under way will pay."""
    refunded = order.refunded.amount if order.refunded.currency == order.total.currency else 0
    left = paid_amount(order) - max(refunded, 0) - pending_amount(order)
    return Money(amount=max(left, 0), currency=order.total.currency)


@dataclass(frozen=True)
class _Case:
    """What the rules are asked about: one item (or the whole order) in one situation."""

    state: OrderState
    category: str
    tags: frozenset[str]
    reason: Reason | None
    opened: bool | None
    since: Mapping[str, datetime | None]
    request_status: str
    request_operation: Operation | None
    at: datetime


@dataclass(frozen=True)
class _Verdict:
    """What the table says about one case."""

    outcome: Outcome
    clause: str
    rule: Rule | None
    until: datetime | None = None
    asks: tuple[Ask, ...] = ()


class Policy:
    """All versions of a shop's policy.

    Make one with `Policy.load`; `decide` answers, `facts` lists the numbers articles may quote.
    """

    def __init__(
        self, file: PolicyFile, *, timezone: tzinfo | None = None, path: Path = DEFAULT_PATH
    ) -> None:
        self.path = path
        self.timezone = timezone or shop_timezone()
        self.calendar: Calendar = file.calendar
        self.versions: tuple[Version, ...] = file.versions

    @classmethod
    def load(cls, path: Path | None = None, *, timezone: tzinfo | None = None) -> Policy:
        """Read a policy file; None is the demo shop's own.

        Raises:
            PolicyError: the file is missing, not YAML, or says something it may not; names file, rule and
                remedy.
        """
        path = path or DEFAULT_PATH
        return cls(read_policy_file(path), timezone=timezone, path=path)

    def version_for(self, order_date: datetime) -> Version:
        """The version in force at a moment; before the first version, the first."""
        day = order_date.astimezone(self.timezone).date()
        found = self.versions[0]
        for version in self.versions:
            if version.effective <= day:
                found = version
        return found

    def clause(self, clause_id: str, version: str) -> dict[str, str]:
        """The wording of a clause by language, with its placeholders still in it.

        Raises:
            PolicyError: there is no such version or clause.
        """
        clause = self._version(version).clauses.get(clause_id)
        if clause is None:
            raise PolicyError(f"{self.path}: version {version} has no clause {clause_id}")
        return {"zh": clause.zh, "en": clause.en}

    def facts(self, version: str | None = None) -> dict[str, int | str]:
        """The numbers a version sets, by a name made of operation, clause and what it is.

        For example ``return.no_reason.within_days`` is 7 and ``refund.person_above.CNY`` is in minor units.
        None is the newest version.

        Raises:
            PolicyError: there is no such version.
        """
        chosen = self.versions[-1] if version is None else self._version(version)
        facts: dict[str, int | str] = {"version": chosen.id, "effective": chosen.effective.isoformat()}
        for operation, table in chosen.operations.items():
            for currency, limit in chosen.person_above.get(operation, {}).items():
                facts[f"{operation.value}.person_above.{currency}"] = limit
            for rule in table:
                name = f"{operation.value}.{rule.clause}"
                for key in ("within_days", "working_days", "send_back_days", "freight"):
                    value = getattr(rule, key)
                    if value is not None:
                        facts.setdefault(f"{name}.{key}", value)
                for currency, limit in (rule.person_above or {}).items():
                    facts.setdefault(f"{name}.person_above.{currency}", limit)
        return facts

    def decide(
        self,
        operation: Operation,
        order: Order,
        *,
        lines: Sequence[RequestLine] = (),
        reason: Reason | None = None,
        opened: bool | None = None,
        at: datetime,
        current_prices: Mapping[str, Money] | None = None,
        request_id: str | None = None,
    ) -> Decision:
        """Judge one operation on one order.

        Args:
            lines: the items asked for; none means all that is still open.
            reason: why; none counts as a change of mind.
            opened: what the shopper says; what the shop knows of a line counts as well.
            at: now, with a time zone.
            current_prices: today's prices by variant id: for price protection of the items bought, for an
                exchange or a change of items of both the item bought and the one wanted.
            request_id: which request to update or withdraw; none means any.
        """
        assert at.tzinfo is not None, "decide() needs a time with a time zone"
        version = self.version_for(order.created_at)
        # 1) Which items is it about, and is there enough of them left?
        if operation in LINE_OPERATIONS:
            asked, problem = _asked_lines(order, lines)
            if problem is not None:
                return self._engine(version, operation, "refused", problem)
            if operation is Operation.PRICE_PROTECTION and not lines and current_prices is not None:
                asked = [(line, number) for line, number in asked if _price_drop(line, current_prices) != 0]
                if not asked:
                    return self._engine(version, operation, "refused", "price_not_lower")
        else:
            asked = [(line, line.quantity_open) for line in order.lines]
            if {one.line_id for one in lines} - {line.id for line in order.lines}:
                return self._engine(version, operation, "refused", "unknown_line")
        # 2) What do the rules say about each?
        decided: list[tuple[LineDecision, _Verdict]] = []
        cases: Sequence[tuple[OrderLine | None, int]] = asked or [(None, 0)]
        for line, quantity in cases:
            verdict = self._judge(version, operation, order, line, reason, opened, at, request_id)
            amount: Money | None = None
            if line is not None:
                verdict, amount = self._price(
                    operation, order, line, quantity, verdict, current_prices, lines
                )
            decided.append(
                (self._line_decision(version, operation, order, line, quantity, verdict, amount), verdict)
            )
        # Nobody claims what is excluded: what has become cheaper besides it is still paid. Items that are named stay.
        if operation is Operation.PRICE_PROTECTION and not lines:
            left = [place for place, (one, _) in enumerate(decided) if one.outcome != "refused"]
            if asked and left:
                asked, decided = [asked[place] for place in left], [decided[place] for place in left]
        line_decisions = tuple(decision for decision, _ in decided)
        worst, verdict = min(decided, key=lambda pair: RANK[pair[0].outcome])
        asks = tuple(dict.fromkeys(ask for decision in line_decisions for ask in decision.asks))
        shown = line_decisions if operation in LINE_OPERATIONS or lines else ()
        base = Decision(
            operation=operation,
            outcome=worst.outcome,
            clause=worst.clause,
            policy_version=version.id,
            explanation=worst.explanation,
            until=worst.until,
            lines=shown,
            asks=asks,
        )
        if worst.outcome == "refused":
            return base
        # 3) How much, where to, until when, and is it too much to decide alone?
        rules = [v.rule for _, v in decided if v.rule is not None]
        total, problem = self._total(
            operation, order, asked, line_decisions, rules, lines, current_prices, request_id
        )
        freight = _freight(line_decisions)
        if worst.outcome == "allowed" and problem is not None:
            needs: tuple[Ask, ...] = ("prices",) if problem == "ask_prices" else ()
            base = base.model_copy(
                update={
                    "outcome": "person",
                    "clause": problem,
                    "explanation": _wording(version, problem),
                    "asks": (*asks, *needs),
                }
            )
        elif worst.outcome == "allowed":
            if operation is Operation.REFUND and (total is None or total.amount == 0):
                return self._engine(version, operation, "refused", "nothing_open", lines=shown)
            value = _value(operation, total, asked)
            if not _within_limits(version, operation, rules, value, order.total.currency):
                base = base.model_copy(
                    update={
                        "outcome": "person",
                        "clause": "amount_limit",
                        "explanation": _wording(version, "amount_limit"),
                    }
                )
        working_days = max((r.working_days for r in rules if r.working_days is not None), default=None)
        return base.model_copy(
            update={
                "freight": freight,
                "amount": total,
                "destination": self._destinations(version, order, total),
                "working_days": working_days,
                "due_at": self._due(operation, rules, at, working_days),
            }
        )

    # -- the rules ---------------------------------------------------------------------------------

    def _judge(
        self,
        version: Version,
        operation: Operation,
        order: Order,
        line: OrderLine | None,
        reason: Reason | None,
        opened: bool | None,
        at: datetime,
        request_id: str | None,
    ) -> _Verdict:
        delivered = _delivered_at(order, line)
        state = OrderState.DELIVERED if delivered and order.state is OrderState.SHIPPED else order.state
        case = _Case(
            state=state,
            category=line.category if line else "",
            tags=frozenset(line.tags) if line else frozenset(),
            reason=reason,
            opened=_opened(line, opened),
            since={
                "created": order.created_at,
                "paid": order.paid_at or order.created_at,
                "delivered": delivered,
            },
            request_status="none",
            request_operation=None,
            at=at,
        )
        table = version.operations[operation]
        if operation not in (Operation.UPDATE_REQUEST, Operation.WITHDRAW_REQUEST):
            return self._ask_table(table, case)
        requests = [r for r in order.requests if request_id is None or r.id == request_id]
        verdicts = [
            self._ask_table(table, replace(case, request_status=r.status, request_operation=r.operation))
            for r in requests
        ]
        return max(verdicts or [self._ask_table(table, case)], key=lambda verdict: RANK[verdict.outcome])

    def _ask_table(self, table: tuple[Rule, ...], case: _Case) -> _Verdict:
        """The first rule that holds. When nobody knows whether an item was opened, both answers are tried."""
        if case.opened is not None:
            return self._first(table, case)
        yes = self._first(table, replace(case, opened=True))
        no = self._first(table, replace(case, opened=False))
        if RANK[yes.outcome] == RANK[no.outcome]:
            return yes
        return _Verdict("person", "ask_opened", None, asks=("opened",))

    def _first(self, table: tuple[Rule, ...], case: _Case) -> _Verdict:
        until: datetime | None = None
        for rule in table:
            if not _holds(rule, case):
                continue
            if rule.within_days is None:
                return _Verdict(rule.outcome, rule.clause, rule, until if rule.outcome == "refused" else None)
            since = case.since[rule.since]
            if since is None:
                if case.state is OrderState.DELIVERED:
                    return _Verdict("person", "date_unknown", None)
                return _Verdict(rule.outcome, rule.clause, rule)  # the window has not begun
            until = window_end(since, rule.within_days, self.timezone)
            if case.at <= until:
                return _Verdict(rule.outcome, rule.clause, rule, until)
        raise AssertionError("a table without a last rule got past the loader")

    # -- the money ---------------------------------------------------------------------------------

    def _price(
        self,
        operation: Operation,
        order: Order,
        line: OrderLine,
        quantity: int,
        verdict: _Verdict,
        prices: Mapping[str, Money] | None,
        lines: Sequence[RequestLine],
    ) -> tuple[_Verdict, Money | None]:
        """The amount for one line; may turn the verdict where the amount is what matters."""
        if verdict.outcome == "refused" or operation not in LINE_OPERATIONS:
            return verdict, None
        if line.unit_price.currency != order.total.currency:
            return _Verdict("person", "amount_limit", verdict.rule), None
        each: int | None = max(line.unit_price.amount, 0)
        if operation is Operation.PRICE_PROTECTION:
            each = _price_drop(line, prices or {})
            if each is None:
                return _Verdict("person", "ask_prices", verdict.rule, asks=("prices",)), None
            if each == 0:
                return _Verdict("refused", "price_not_lower", None), None
        elif operation is Operation.EXCHANGE:
            wanted = next(
                (one.variant_id for one in lines if one.line_id == line.id and one.variant_id), None
            )
            each = None if wanted is None else _exchange_difference(line, wanted, prices or {})
            if wanted is not None and each is None:
                return _Verdict("person", "ask_prices", verdict.rule, asks=("prices",)), None
        if each is None:
            return verdict, None
        return verdict, Money(amount=each * quantity, currency=order.total.currency)

    def _total(
        self,
        operation: Operation,
        order: Order,
        asked: Sequence[tuple[OrderLine, int]],
        decisions: Sequence[LineDecision],
        rules: Sequence[Rule],
        lines: Sequence[RequestLine],
        prices: Mapping[str, Money] | None,
        request_id: str | None,
    ) -> tuple[Money | None, str | None]:
        """What goes back to the shopper, or the clause that says why it cannot be told."""
        ceiling = open_amount(order)
        if operation is Operation.CANCEL:
            return ceiling, None
        if operation is Operation.CHANGE_ITEMS:
            return _change_amount(order, lines, prices)
        if operation is Operation.UPDATE_REQUEST:
            return _request_amount(order, lines, request_id), None
        if operation not in LINE_OPERATIONS:
            return None, None
        amounts = [decision.amount for decision in decisions]
        if any(amount is None for amount in amounts):
            return None, None
        total = sum(amount.amount for amount in amounts if amount is not None)
        if rules and all(rule.shipping_back for rule in rules) and _takes_the_last(order, asked):
            total += max(order.shipping.amount, 0)
        return Money(amount=min(total, ceiling.amount), currency=ceiling.currency), None

    def _destinations(self, version: Version, order: Order, total: Money | None) -> tuple[Destination, ...]:
        """Split the amount over the order's payments in the version's order, gift card to gift card."""
        if total is None or total.amount <= 0:
            return ()
        left = total.amount
        found: list[Destination] = []
        rank = {method: place for place, method in enumerate(version.refund_order)}
        payments = sorted(order.payments, key=lambda one: rank.get(one.method, len(rank)))
        payments = [payment for payment in payments if payment.amount.currency == total.currency]
        # What went back by a way the shop did not book on a payment, in the same order.
        booked = sum(payment.refunded.amount for payment in payments if payment.refunded)
        gone = max(order.refunded.amount - booked, 0)
        for payment in payments:
            room = max(payment.amount.amount - (payment.refunded.amount if payment.refunded else 0), 0)
            used = min(gone, room)
            gone -= used
            part = min(room - used, left)
            left -= part
            if part > 0:
                amount = Money(amount=part, currency=total.currency)
                found.append(
                    Destination(
                        payment_id=payment.id, method=payment.method, hint=payment.hint, amount=amount
                    )
                )
        return tuple(found)

    def _due(
        self, operation: Operation, rules: Sequence[Rule], at: datetime, working_days: int | None
    ) -> datetime | None:
        send_back = min((r.send_back_days for r in rules if r.send_back_days is not None), default=None)
        if operation in (Operation.RETURN, Operation.EXCHANGE):
            return window_end(at, send_back, self.timezone) if send_back is not None else None
        if working_days is None:
            return None
        return add_working_days(at, working_days, self.calendar, self.timezone)

    # -- the words ---------------------------------------------------------------------------------

    def _line_decision(
        self,
        version: Version,
        operation: Operation,
        order: Order,
        line: OrderLine | None,
        quantity: int,
        verdict: _Verdict,
        amount: Money | None,
    ) -> LineDecision:
        words = _wording(version, verdict.clause, operation, verdict.rule, order.total.currency)
        if verdict.outcome == "refused" and verdict.until is not None and verdict.until < _far():
            words = {
                "zh": f"{words['zh']}（最后一天是{format_date(verdict.until, 'zh', self.timezone)}）",
                "en": f"{words['en']} (the last day was {format_date(verdict.until, 'en', self.timezone)})",
            }
        return LineDecision(
            line_id=line.id if line else "",
            quantity=quantity,
            outcome=verdict.outcome,
            clause=verdict.clause,
            explanation=words,
            freight=verdict.rule.freight if verdict.rule and verdict.outcome != "refused" else None,
            amount=amount,
            until=verdict.until,
            asks=verdict.asks,
        )

    def _engine(
        self,
        version: Version,
        operation: Operation,
        outcome: Outcome,
        clause: str,
        lines: tuple[LineDecision, ...] = (),
    ) -> Decision:
        return Decision(
            operation=operation,
            outcome=outcome,
            clause=clause,
            policy_version=version.id,
            explanation=_wording(version, clause),
            lines=lines,
        )

    def _version(self, version_id: str) -> Version:
        for version in self.versions:
            if version.id == version_id:
                return version
        known = ", ".join(version.id for version in self.versions)
        raise PolicyError(f"{self.path} has no version {version_id}; it has {known}")


def _exchange_difference(line: OrderLine, wanted: str, prices: Mapping[str, Money]) -> int | None:
    """What comes back for one item exchanged for `wanted`, at today's prices; negative: the shopper adds.

    None when today's prices are not known in the order's currency.
    """
    if wanted == line.variant_id:
        return 0
    old, new = prices.get(line.variant_id), prices.get(wanted)
    if old is None or new is None or {old.currency, new.currency} != {line.unit_price.currency}:
        return None
    return old.amount - new.amount


def _change_amount(
    order: Order, lines: Sequence[RequestLine], prices: Mapping[str, Money] | None
) -> tuple[Money | None, str | None]:
    """What becomes cheaper by changing items of a paid order. What becomes dearer is not the bot's to do."""
    if order.state is OrderState.UNPAID or not lines:
        return None, None
    by_id = {line.id: line for line in order.lines}
    difference = 0
    for one in lines:
        line = by_id[one.line_id]
        price: Money | None = line.unit_price
        if one.variant_id is not None and one.variant_id != line.variant_id:
            price = (prices or {}).get(one.variant_id)
        if price is None or {price.currency, line.unit_price.currency} != {order.total.currency}:
            return None, "ask_prices"
        difference += line.unit_price.amount * line.quantity - price.amount * one.quantity
    if difference < 0:
        return None, "payment_required"
    return Money(amount=min(difference, open_amount(order).amount), currency=order.total.currency), None


def _request_amount(order: Order, lines: Sequence[RequestLine], request_id: str | None) -> Money | None:
    """What a return pays after its items have been changed; None for requests that pay nothing."""
    wanted = [
        request
        for request in order.requests
        if (request_id is None or request.id == request_id) and request.status in PENDING
    ]
    if len(wanted) != 1 or wanted[0].operation is not Operation.RETURN or wanted[0].amount is None:
        return None
    request = wanted[0]
    if not lines or request.amount is None:
        return request.amount
    by_id = {line.id: line for line in order.lines}
    total = sum(max(by_id[one.line_id].unit_price.amount, 0) * one.quantity for one in lines)
    ceiling = open_amount(order).amount + max(request.amount.amount, 0)
    return Money(amount=min(total, ceiling), currency=order.total.currency)


def _takes_the_last(order: Order, asked: Sequence[tuple[OrderLine, int]]) -> bool:
    """Whether nothing of the order stays with the shopper, so that its shipping was for nothing."""
    taken = {line.id: quantity for line, quantity in asked}
    exchanged = any(
        request.operation is Operation.EXCHANGE and request.status not in ("withdrawn", "refused")
        for request in order.requests
    )
    return not exchanged and all(line.quantity_open == taken.get(line.id, 0) for line in order.lines)


def _far() -> datetime:
    return datetime.max.replace(tzinfo=UTC)


def _wording(
    version: Version,
    clause_id: str,
    operation: Operation | None = None,
    rule: Rule | None = None,
    currency: str | None = None,
) -> dict[str, str]:
    clause = version.clauses[clause_id]
    words: dict[str, str] = {}
    for language, text in (("zh", clause.zh), ("en", clause.en)):
        values: dict[str, object] = {}
        if rule is not None and operation is not None and rule.clause == clause_id:
            limit = version.limits(rule, operation).get(currency or "")
            values = {
                "days": rule.within_days
                if rule.within_days is not None
                else window_before(rule, version.operations[operation]),
                "working_days": rule.working_days,
                "send_back_days": rule.send_back_days,
                "limit": ""
                if limit is None
                else format_money(Money(amount=limit, currency=currency or "XXX"), _language(language)),
            }
        words[language] = text.format(**values)
    return words


def _language(code: str) -> Language:
    return "zh" if code == "zh" else "en"


def _holds(rule: Rule, case: _Case) -> bool:
    """Whether all conditions but the window hold."""
    return (
        (rule.states is None or case.state in rule.states)
        and (rule.categories is None or case.category in rule.categories)
        and (rule.tags is None or bool(case.tags & set(rule.tags)))
        and (
            rule.reasons is None
            or case.reason in rule.reason_set
            or (case.reason is None and group_of(None) in rule.reasons)
        )
        and (rule.opened is None or rule.opened == case.opened)
        and (rule.request_status is None or case.request_status in rule.request_status)
        and (rule.request_operations is None or case.request_operation in rule.request_operations)
    )


def _opened(line: OrderLine | None, said: bool | None) -> bool | None:
    """Opened when either the shop or the shopper says so."""
    known = line.opened if line else None
    if known or said:
        return True
    return False if known is False or said is False else None


def _delivered_at(order: Order, line: OrderLine | None) -> datetime | None:
    """When the item arrived: its own (last) parcel's day, else the order's."""
    if line is not None:
        parcels = [fulfilment for fulfilment in order.fulfilments if line.id in fulfilment.lines]
        times = [parcel.delivered_at for parcel in parcels if parcel.delivered_at is not None]
        if times and len(times) == len(parcels):
            return max(times)
    return order.delivered_at


def _asked_lines(
    order: Order, lines: Sequence[RequestLine]
) -> tuple[list[tuple[OrderLine, int]], str | None]:
    """The items asked for with their quantities, or the clause that says why not."""
    if not lines:
        asked = [(line, line.quantity_open) for line in order.lines if line.quantity_open > 0]
        return asked, None if asked else "nothing_open"
    by_id = {line.id: line for line in order.lines}
    wanted: dict[str, int] = {}
    for one in lines:
        wanted[one.line_id] = wanted.get(one.line_id, 0) + one.quantity
    for line_id, quantity in wanted.items():
        line = by_id.get(line_id)
        if line is None or quantity > line.quantity:
            return [], "unknown_line"
        if quantity > line.quantity_open:
            return [], "nothing_open"
    return [(by_id[line_id], quantity) for line_id, quantity in wanted.items()], None


def _price_drop(line: OrderLine, prices: Mapping[str, Money]) -> int | None:
    """How much cheaper one item is today; None when today's price is not known in the same currency."""
    now = prices.get(line.variant_id)
    if now is None or now.currency != line.unit_price.currency:
        return None
    return max(line.unit_price.amount - max(now.amount, 0), 0)


def _freight(decisions: Sequence[LineDecision]) -> Any:
    """Who pays the way back; when the items differ, the shop."""
    found = {decision.freight for decision in decisions if decision.freight is not None}
    if not found:
        return None
    return found.pop() if len(found) == 1 else "shop"


def _value(operation: Operation, total: Money | None, asked: Sequence[tuple[OrderLine, int]]) -> int | None:
    """What is at stake, in minor units: the money, or for an exchange the goods."""
    if operation in MONEY_OPERATIONS:
        return total.amount if total else 0
    if operation is Operation.EXCHANGE:
        return sum(max(line.unit_price.amount, 0) * quantity for line, quantity in asked)
    return None


def _within_limits(
    version: Version, operation: Operation, rules: Sequence[Rule], value: int | None, currency: str
) -> bool:
    """Whether the bot may decide this much alone. A currency without a limit is not the bot's to judge."""
    if not value:
        return True
    for rule in rules:
        limits = version.limits(rule, operation)
        if limits and value > limits.get(currency, -1):
            return False
    return True


def read_policy_file(path: Path) -> PolicyFile:
    """Read, resolve `based_on` and check a policy file.

    Raises:
        PolicyError: as `Policy.load`.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise PolicyError(f"Policy file {path} does not exist; set policy.path to the shop's file") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise PolicyError(f"Policy file {path} cannot be read as UTF-8 text: {exc}") from exc
    except yaml.YAMLError as exc:
        raise PolicyError(f"Policy file {path} is not valid YAML: {exc}") from exc
    if not isinstance(data, dict) or not isinstance(data.get("versions"), list):
        raise PolicyError(f"Policy file {path} has no list `versions`; start from {DEFAULT_PATH.name}")
    data = {**data, "versions": _resolve(data["versions"], path)}
    try:
        return PolicyFile.model_validate(data)
    except ValidationError as exc:
        raise PolicyError(f"Policy file {path} is not valid:\n" + "\n".join(_problems(exc, data))) from exc


def _resolve(versions: list[Any], path: Path) -> list[Any]:
    """Give every version that is `based_on` an older one what it does not say itself."""
    done: dict[str, dict[str, Any]] = {}
    resolved: list[Any] = []
    for version in versions:
        if not isinstance(version, dict) or not isinstance(version.get("id"), str):
            raise PolicyError(f'Policy file {path}: every version needs an `id` in quotes, such as "2026-07"')
        version = dict(version)
        base_id = version.pop("based_on", None)
        if base_id is not None:
            if base_id not in done:
                raise PolicyError(
                    f"Policy file {path}: version {version['id']} is based on {base_id}, "
                    "which does not stand above it"
                )
            base = done[base_id]
            merged = {**base, **version}
            for key in ("clauses", "person_above", "operations"):
                merged[key] = {**base.get(key, {}), **(version.get(key) or {})}
            version = merged
        done[version["id"]] = version
        resolved.append(version)
    return resolved


def _problems(exc: ValidationError, data: dict[str, Any]) -> list[str]:
    """Pydantic's findings as `  version 2026-07, operations.return, rule 3, outcome: ...`."""
    lines = []
    for error in exc.errors():
        place = [str(part) for part in error["loc"]]
        where = []
        if len(place) > 1 and place[0] == "versions":
            version = data["versions"][int(place[1])]
            where.append(f"version {version.get('id')}")
            rest = place[2:]
            if len(rest) > 2 and rest[0] == "operations" and rest[2].isdigit():
                where += [f"operations.{rest[1]}", f"rule {int(rest[2]) + 1}", *rest[3:]]
            elif rest:
                where.append(".".join(rest))
        else:
            where += place
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            message = "is not a key of a policy; look for a typo"
        lines.append(f"  {', '.join(where) or 'file'}: {message}")
    return lines
