"""The shape of a policy file: versions, clauses and, per operation, a table of rules.

A table is read from the top; the first rule whose conditions all hold decides. The last rule of a table has
no conditions, so there is always an answer. What a file may not say (a clause without English, a window that
gets more generous as time goes by) is an error here, at load, not a surprise in a conversation.
This module knows no order; `bot.policy.policy` applies the rules.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from bot.orders.models import Operation, OrderState
from bot.policy.decisions import RANK, Freight, Outcome
from bot.policy.reasons import GROUPS, Reason, ReasonGroup

ClauseId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
MinorUnits = Annotated[int, Field(ge=0, description="minor units, e.g. fen or cents")]
Since = Literal["created", "paid", "delivered"]
PaymentMethod = Literal["wechat_pay", "alipay", "card", "paypal", "gift_card"]

# Placeholders a clause may use, so that its numbers cannot contradict the rule that cites it.
PLACEHOLDERS = frozenset({"days", "send_back_days", "working_days", "limit"})

# Clauses every version has: the engine itself answers with them.
ENGINE_CLAUSES = (
    "nothing_open",  # no quantity or no money of this order is left for it
    "unknown_line",  # an item that is not in the order, or more of it than was bought
    "amount_limit",  # above the limit, or in a currency for which the policy sets none
    "date_unknown",  # a window is to be judged and the shop did not say when it began
    "price_not_lower",
    "ask_opened",  # it depends on whether the item was opened, and nobody said
    "payment_required",  # the change makes the order dearer, and the bot takes no money
    "ask_prices",  # it depends on today's prices, and nobody said
)


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Clause(Shape):
    """A sentence of the policy in both languages. `law` names what it rests on, for the shop's own people."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)
    law: tuple[str, ...] = ()

    @field_validator("zh", "en")
    @classmethod
    def known_placeholders(cls, text: str) -> str:
        names = placeholders(text)
        if unknown := names - PLACEHOLDERS:
            raise ValueError(
                f"unknown placeholder {{{sorted(unknown)[0]}}}; a clause may use "
                + ", ".join(f"{{{name}}}" for name in sorted(PLACEHOLDERS))
            )
        return text


class Rule(Shape):
    """One line of a table: when all of `states` ... `within_days` hold, `outcome` by `clause`.

    A condition left out always holds. `tags` holds when the item has one of them, `reasons` takes single
    reasons or groups (fault, delivery, no_fault). Days are whole days on the shop's clock after the day of
    `since`: delivered on the 1st, within 7 days ends with the 8th.
    """

    outcome: Outcome
    clause: ClauseId
    states: tuple[OrderState, ...] | None = None
    categories: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    reasons: tuple[Reason | ReasonGroup, ...] | None = None
    opened: bool | None = None
    within_days: int | None = Field(default=None, ge=0, le=3650)
    since: Since = "delivered"
    request_status: tuple[str, ...] | None = None  # of the request to update or withdraw
    request_operations: tuple[Operation, ...] | None = None  # what that request asked for
    # What follows when allowed
    freight: Freight | None = None
    working_days: int | None = Field(default=None, ge=0, le=60)
    send_back_days: int | None = Field(default=None, ge=1, le=60)
    person_above: dict[Currency, MinorUnits] | None = None  # instead of the version's own limits
    shipping_back: bool = False  # the shipping fee goes back too when nothing else of the order stays

    @field_validator("states", "categories", "tags", "reasons", "request_status", "request_operations")
    @classmethod
    def not_empty(cls, values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if values is not None and not values:
            raise ValueError("an empty list never holds; leave the condition out, or remove the rule")
        return values

    @property
    def reason_set(self) -> frozenset[Reason]:
        """The reasons this rule speaks of; empty when it speaks of all."""
        found: set[Reason] = set()
        for reason in self.reasons or ():
            found |= {reason} if isinstance(reason, Reason) else GROUPS[reason]
        return frozenset(found)

    @property
    def unconditional(self) -> bool:
        return (
            all(
                condition is None
                for condition in (
                    self.states,
                    self.categories,
                    self.tags,
                    self.reasons,
                    self.opened,
                    self.request_status,
                    self.request_operations,
                )
            )
            and self.within_days is None
        )

    def overlaps(self, other: Rule) -> bool:
        """Whether one item could meet the conditions of both, time left aside."""

        def share(mine: tuple[Any, ...] | None, theirs: tuple[Any, ...] | None) -> bool:
            return mine is None or theirs is None or bool(set(mine) & set(theirs))

        reasons = not self.reasons or not other.reasons or bool(self.reason_set & other.reason_set)
        opened = self.opened is None or other.opened is None or self.opened == other.opened
        # An item has one state, category and status, but may have several tags: they exclude nothing.
        return (
            share(self.states, other.states)
            and share(self.categories, other.categories)
            and share(self.request_status, other.request_status)
            and share(self.request_operations, other.request_operations)
            and reasons
            and opened
        )

    def covers(self, other: Rule) -> bool:
        """Whether every item that meets `other` meets this rule as well, whatever the time."""

        def wider(mine: tuple[Any, ...] | None, theirs: tuple[Any, ...] | None) -> bool:
            return mine is None or (theirs is not None and set(theirs) <= set(mine))

        reasons = not self.reasons or (bool(other.reasons) and other.reason_set <= self.reason_set)
        return (
            self.within_days is None
            and wider(self.states, other.states)
            and wider(self.categories, other.categories)
            and wider(self.tags, other.tags)
            and wider(self.request_status, other.request_status)
            and wider(self.request_operations, other.request_operations)
            and (self.opened is None or self.opened == other.opened)
            and reasons
        )


class Calendar(Shape):
    """Which days are working days: the weekend, days off besides it, and weekend days that are worked."""

    weekend: tuple[int, ...] = (6, 7)  # ISO: Monday is 1
    holidays: tuple[date, ...] = ()
    workdays: tuple[date, ...] = ()

    @field_validator("weekend")
    @classmethod
    def iso_days(cls, days: tuple[int, ...]) -> tuple[int, ...]:
        if not set(days) <= set(range(1, 8)) or len(set(days)) == 7:
            raise ValueError("weekend lists ISO week days from 1 (Monday) to 7 (Sunday), and not all of them")
        return days


class Version(Shape):
    """The policy from one day on. Orders are judged by the version in force on their own date."""

    id: str = Field(min_length=1)
    effective: date
    clauses: dict[ClauseId, Clause]
    person_above: dict[Operation, dict[Currency, MinorUnits]] = Field(default_factory=dict)
    refund_order: tuple[PaymentMethod, ...] = ("gift_card", "wechat_pay", "alipay", "card", "paypal")
    operations: dict[Operation, tuple[Rule, ...]]

    @model_validator(mode="after")
    def complete(self) -> Version:
        if missing := [operation.value for operation in Operation if operation not in self.operations]:
            raise ValueError(f"no table for operation {missing[0]}; every operation needs one")
        for name in ENGINE_CLAUSES:
            if name not in self.clauses:
                raise ValueError(f"no clause {name}; it is needed in every version")
            if placeholders(self.clauses[name].zh) | placeholders(self.clauses[name].en):
                raise ValueError(f"clause {name} is cited without a rule, so it cannot have placeholders")
        for operation, table in self.operations.items():
            for problem in table_problems(table):
                raise ValueError(f"operations.{operation.value}: {problem}")
            for number, rule in enumerate(table, 1):
                where = f"operations.{operation.value}, rule {number}"
                clause = self.clauses.get(rule.clause)
                if clause is None:
                    raise ValueError(
                        f"{where}: clause {rule.clause} is not in clauses; write it there in zh and en"
                    )
                for text in (clause.zh, clause.en):
                    for name in placeholders(text):
                        if self.value_of(name, rule, operation) is None:
                            raise ValueError(
                                f"{where}: clause {rule.clause} says {{{name}}}, which this rule does not set"
                            )
        return self

    @field_validator("refund_order")
    @classmethod
    def all_methods(cls, methods: tuple[PaymentMethod, ...]) -> tuple[PaymentMethod, ...]:
        if len(set(methods)) != len(methods):
            raise ValueError("a payment method stands in refund_order twice")
        return methods

    def value_of(self, name: str, rule: Rule, operation: Operation) -> object | None:
        """What placeholder `name` of a clause stands for when `rule` cites it."""
        if name == "days":
            return (
                rule.within_days
                if rule.within_days is not None
                else window_before(rule, self.operations[operation])
            )
        if name == "working_days":
            return rule.working_days
        if name == "send_back_days":
            return rule.send_back_days
        return self.limits(rule, operation) or None

    def limits(self, rule: Rule, operation: Operation) -> dict[str, int]:
        """Above which amount a person decides, by currency."""
        if rule.person_above is not None:
            return rule.person_above
        return self.person_above.get(operation, {})


class PolicyFile(Shape):
    """A whole policy file."""

    format: Literal[1] = 1
    calendar: Calendar = Calendar()
    versions: tuple[Version, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def in_order(self) -> PolicyFile:
        ids = [version.id for version in self.versions]
        if len(set(ids)) != len(ids):
            raise ValueError(
                f"two versions are called {next(i for i in ids if ids.count(i) > 1)}; give one a new id"
            )
        dates = [version.effective for version in self.versions]
        if sorted(set(dates)) != dates:
            raise ValueError(
                "versions stand in the order of their effective dates, oldest first, one per date"
            )
        return self


def window_before(rule: Rule, table: tuple[Rule, ...]) -> int | None:
    """The days a "too late" rule speaks of: those of the last window above it that lets its case in."""
    place = next(number for number, one in enumerate(table) if one is rule)
    for number in range(place - 1, -1, -1):
        window = table[number]
        if window.within_days is None or window.outcome != "allowed" or not window.overlaps(rule):
            continue
        # A rule in between that takes all that falls out of the window leaves nothing for this one.
        if not any(middle.covers(window) for middle in table[number + 1 : place]):
            return window.within_days
    return None


def table_problems(table: tuple[Rule, ...]) -> Iterator[str]:
    """What is wrong with a table of rules, in sentences with a remedy."""
    if not table or not table[-1].unconditional:
        yield "the last rule must have no conditions, so that there is always an answer"
        return
    for number, rule in enumerate(table, 1):
        for earlier_number, earlier in enumerate(table[: number - 1], 1):
            if earlier.covers(rule):
                yield f"rule {number} can never be reached: rule {earlier_number} comes first; remove or move it"
                return
            if (
                earlier.within_days is not None
                and RANK[rule.outcome] > RANK[earlier.outcome]
                and earlier.overlaps(rule)
                # Harmless when a rule without a window in between takes everything the earlier one lets go.
                and not any(middle.covers(earlier) for middle in table[earlier_number : number - 1])
            ):
                yield (
                    f"rule {number} is more generous than rule {earlier_number}, whose window closes before "
                    "it: waiting would pay. Put it first, or give it conditions the other does not share"
                )
                return


def placeholders(text: str) -> set[str]:
    """Names in braces in a clause."""
    try:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError as exc:
        raise ValueError(f"braces do not match in {text!r}; write {{{{ for a brace itself") from exc
