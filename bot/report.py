"""`kefu report`: what was really solved, beside the figures that flatter.

A *contact* is a stretch of one conversation in which the shopper writes with pauses of less than two hours. It is
**resolved** when its goal is met on record and the same shopper (the customer id the channel proves, every conversation
linked by proof, else the shopper of that door) does not begin another contact within 72 hours, on any channel. Met on record means: an order change has
the shop's receipt; a question about an order was answered from the order as read; a question was answered by decision
from the articles; a contact that went to a person had a person's answer and was closed or given back by him. A refusal
by policy meets no goal and is counted apart. Contacts younger than 72 hours are undecided and in no share.
*Hand-off precision*: of the hand-overs whose draft a person judged, how many drafts were wrong (edited or discarded), so
that handing over was needed. *Recall*: of all answers judged wrong, drafts and sent ones, how many went to a person. Both
know only what people judged. *Wrong answers found*: sent answers of the bot that a person at the desk marked as wrong.
The flattering ones: *contained* (no person took part), *assumed* (contained, and the shopper fell silent).
This module knows no channel; it reads the gateway's records and changes nothing.
"""

from __future__ import annotations

import asyncio
import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.clock import now_ms
from bot.database import make_engine
from bot.exceptions import KefuError
from bot.handoff.cases import Case, cases
from bot.handoff.labels import labels
from bot.handoff.promises import promises
from bot.identity.links import links
from bot.records import audit, conversations, events, inbox
from bot.settings import Settings, get_settings

PAUSE = 2 * 3600 * 1000  # ms of silence after which a shopper's next word is a new contact
AGAIN = 72 * 3600 * 1000  # ms within which a new contact says that the last one solved nothing
# Topics whose goal is a change of an order: only the shop's receipt meets it.
WRITES = frozenset(
    {
        "cancel_order", "modify_address", "modify_order", "refund", "return_goods", "exchange", "price_protection",
        "invoice", "withdraw_request",
    }
)  # fmt: skip
SMALL_TALK = frozenset(
    {"greet", "thanks", "bye", "affirm", "deny", "inform", "stop", "context_only", None, ""}
)


@dataclass
class Contact:
    """One contact. Times in ms."""

    conversation: str
    who: str
    channel: str
    language: str
    began: int
    last: int  # the shopper's last message
    ended: int = 0  # the last line that belongs to it
    messages: int = 0
    topic: str = "unknown"
    version: str = "unknown"
    first_response: int | None = None  # ms from the first message to the first line anybody answered
    answered_last: bool = False  # the shopper did not have the last word
    receipts: int = 0
    order_shown: bool = False
    answered: bool = False  # the articles answered, by decision
    refused: bool = False
    withheld: int = 0
    needed: int = 0  # hand-overs whose draft was judged wrong
    unneeded: int = 0  # hand-overs whose draft was sent as it stood
    right: int = 0  # sent answers judged right
    wrong: int = 0  # sent answers judged wrong
    cases: list[Case] = field(default_factory=list)
    met: bool = False
    again: bool = False  # the same shopper came back within 72 h
    decided: bool = False  # 72 h are over, or he did come back

    @property
    def handed_over(self) -> bool:
        return bool(self.cases)

    @property
    def resolved(self) -> bool:
        return self.decided and self.met and not self.again

    @property
    def assumed(self) -> bool:
        return not self.handed_over and self.answered_last


async def read_contacts(engine: AsyncEngine, since: int, now: int) -> list[Contact]:
    """Every contact that began at or after `since` (ms), judged at `now` (ms)."""
    # Contacts that began before `since` are read too, far enough to know where they end.
    back = since - PAUSE - AGAIN
    async with engine.connect() as connection:
        known = {row.id: row for row in (await connection.execute(select(conversations))).all()}
        query = (
            select(
                events.c.conversation,
                events.c.seq,
                events.c.kind,
                events.c.author,
                events.c.audience,
                events.c.at,
            )
            .where(events.c.kind == "message", events.c.at >= back, events.c.at <= now)
            .order_by(events.c.conversation, events.c.seq)
        )
        lines = (await connection.execute(query)).all()
        messages = (
            await connection.execute(
                select(inbox.c.id, inbox.c.conversation, inbox.c.seq, inbox.c.received_at, inbox.c.outcome)
            )
        ).all()
        reasons = (
            await connection.execute(
                select(audit).where(audit.c.at >= back, audit.c.at <= now).order_by(audit.c.at)
            )
        ).all()
        verdicts = select(labels.c.conversation, labels.c.draft, labels.c.verdict, labels.c.at)
        judged = (await connection.execute(verdicts)).all()
        live = select(links.c.conversation, links.c.other).where(links.c.ended_at.is_(None))
        pairs = (await connection.execute(live)).all()
        opened = [
            Case(**row._mapping)
            for row in (
                await connection.execute(
                    select(cases).where(cases.c.opened_at >= back, cases.c.opened_at <= now)
                )
            ).all()
        ]
    received = {row.id: row.received_at for row in messages}
    courteous = {row.inbound for row in reasons if row.intent in ("thanks", "bye")}
    closing = {
        (row.conversation, row.seq) for row in messages if row.outcome == "rating" or row.id in courteous
    }
    by_conversation: dict[str, list[Any]] = defaultdict(list)
    for line in lines:
        by_conversation[line.conversation].append(line)
    contacts: list[Contact] = []
    who = _same_shoppers(known.values(), pairs)
    for conversation, its_lines in by_conversation.items():
        if conversation in known:
            contacts += _cut(known[conversation], who[conversation], its_lines, closing)
    place = _finder(contacts)
    for row in reasons:
        # A reply belongs to the contact of the message it answers, however late it came.
        contact = place(row.conversation, received.get(row.inbound, row.at))
        if contact is not None:
            _read_reason(contact, row)
    for case in opened:
        contact = place(case.conversation, case.opened_at)
        if contact is not None:
            contact.cases.append(case)
    said_at = {(line.conversation, line.seq): line.at for line in lines}
    opened_at = {case.id: case.opened_at for case in opened}
    for label in judged:
        _read_label(label, place, said_at, opened_at)
    for contact in contacts:
        contact.met = _goal_met(contact)
    _find_returns(contacts, now)
    return sorted((one for one in contacts if one.began >= since), key=lambda one: one.began)


def _same_shoppers(known: Iterable[Any], pairs: Iterable[Any]) -> dict[str, str]:
    """Conversation -> one name for all conversations that are proven to be the same shopper's."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    ids = []
    for one in known:
        ids.append(one.id)
        if one.customer:
            parent[root(one.id)] = root(f"customer {one.customer}")
    for pair in pairs:
        parent[root(pair.conversation)] = root(pair.other)
    return {name: root(name) for name in ids}


def _read_label(
    label: Any, place: Any, said_at: Mapping[tuple[str, int], int], opened_at: Mapping[str, int]
) -> None:
    """What a person thought of a draft that was handed over (``case:<id>``) or of a sent answer (``reply:<seq>``)."""
    kind, _, name = label.draft.partition(":")
    if kind == "case" and name in opened_at:
        contact = place(label.conversation, opened_at[name])
        if contact is not None:
            contact.needed += label.verdict in ("edited", "discarded")
            contact.unneeded += label.verdict == "sent"
    elif kind == "reply" and name.isdecimal():
        contact = place(label.conversation, said_at.get((label.conversation, int(name)), label.at))
        if contact is not None:
            contact.right += label.verdict == "right"
            contact.wrong += label.verdict == "wrong"


def _cut(known: Any, who: str, lines: Sequence[Any], closing: Set[tuple[str, int]]) -> list[Contact]:
    """Cut one conversation's messages into contacts. A rating or a goodbye (`closing`) begins none."""
    found: list[Contact] = []
    current: Contact | None = None
    for line in lines:
        if line.author == "shopper":
            if (line.conversation, line.seq) in closing:
                continue
            if current is None or line.at - current.last >= PAUSE:
                language = (
                    "zh" if (known.locale or "").lower().startswith("zh") else (known.locale or "unknown")[:2]
                )
                current = Contact(known.id, who, known.channel, language, began=line.at, last=line.at)
                found.append(current)
            current.last = line.at
            current.messages += 1
            current.answered_last = False
        elif current is not None:
            if current.first_response is None:
                current.first_response = line.at - current.began
            current.answered_last = True
        if current is not None:
            current.ended = line.at
    return found


def _finder(contacts: Sequence[Contact]) -> Any:
    """(conversation, ms) -> the contact that was going on, or had ended last, at that time."""
    by_conversation: dict[str, list[Contact]] = defaultdict(list)
    for contact in contacts:
        by_conversation[contact.conversation].append(contact)

    def place(conversation: str, at: int) -> Contact | None:
        before = [one for one in by_conversation[conversation] if one.began <= at]
        return before[-1] if before else None

    return place


def _read_reason(contact: Contact, row: Any) -> None:
    why: dict[str, Any] = row.explain or {}
    if why.get("promise"):
        return  # news of an earlier contact's receipt, not what this one asked for
    if row.outcome == "claim_withheld":
        contact.withheld += 1
    topic = why.get("topic") or (row.intent if row.intent not in SMALL_TALK else None)
    # A task outweighs a question on the way.
    if topic and (contact.topic == "unknown" or (topic in WRITES and contact.topic not in WRITES)):
        contact.topic = str(topic)
    version = (row.versions or {}).get("dialogue")
    if version:
        contact.version = Path(str(version)).name.removesuffix(".tar.gz")
    if row.outcome != "sent":
        return
    contact.receipts += len(row.receipts or ())
    contact.order_shown |= why.get("response") == "order_shown"
    contact.answered |= (why.get("answer") or {}).get("decision") == "answer"
    contact.refused |= why.get("outcome") == "refused" or why.get("response") == "refused"


def _goal_met(contact: Contact) -> bool:
    if contact.cases:
        last = max(contact.cases, key=lambda case: case.opened_at)
        return (
            last.ended_at is not None and last.answered_at is not None and last.ended_reason != "shopper_idle"
        )
    if contact.topic in WRITES:
        return contact.receipts > 0
    return contact.receipts > 0 or contact.order_shown or contact.answered


def _find_returns(contacts: Sequence[Contact], now: int) -> None:
    by_who: dict[str, list[Contact]] = defaultdict(list)
    for contact in sorted(contacts, key=lambda one: one.began):
        by_who[contact.who].append(contact)
    for same in by_who.values():
        for n, contact in enumerate(same):
            # Two doors at the same time are one concern told twice: that is coming back as well.
            contact.again = any(later.began - contact.last <= AGAIN for later in same[n + 1 :])
            contact.decided = contact.again or now - contact.last > AGAIN


def summarise(contacts: Sequence[Contact]) -> dict[str, Any]:
    """The figures of a set of contacts. Shares are None when there is nothing to divide by; times in seconds."""
    decided = [one for one in contacts if one.decided]
    its_cases = [case for one in contacts for case in one.cases]
    ratings = [case.rating for case in its_cases if case.rating is not None]
    needed, missed = sum(one.needed for one in contacts), sum(one.wrong for one in contacts)
    drafts = needed + sum(one.unneeded for one in contacts)
    return {
        "contacts": len(contacts),
        "undecided": len(contacts) - len(decided),
        "resolved": sum(one.resolved for one in contacts),
        "resolution": _share(sum(one.resolved for one in decided), len(decided)),
        "resolved_by_bot": sum(one.resolved and not one.handed_over for one in contacts),
        "containment": _share(sum(not one.handed_over for one in contacts), len(contacts)),
        "assumed": _share(sum(one.assumed for one in contacts), len(contacts)),
        "came_back": sum(one.again for one in contacts),
        "refused": sum(one.refused and not one.met for one in contacts),
        "handed_over": sum(one.handed_over for one in contacts),
        "handoff_reasons": dict(Counter(case.reason or "unknown" for case in its_cases).most_common()),
        "handoff": {
            "judged": drafts,
            "needed": needed,
            "precision": _share(needed, drafts),
            "missed": missed,
            "recall": _share(needed, needed + missed),
        },
        "answers": {"judged": missed + sum(one.right for one in contacts), "wrong": missed},
        "first_response": _times(one.first_response for one in contacts),
        "waiting": _times(
            case.claimed_at - case.opened_at for case in its_cases if case.claimed_at is not None
        ),
        "person_response": _times(
            case.answered_at - case.opened_at for case in its_cases if case.answered_at is not None
        ),
        "handling": _times(
            case.ended_at - case.claimed_at
            for case in its_cases
            if case.ended_at is not None and case.claimed_at is not None
        ),
        "satisfaction": {
            "answers": len(ratings),
            "mean": round(statistics.fmean(ratings), 2) if ratings else None,
            "by_score": {str(score): ratings.count(score) for score in range(1, 6)},
        },
        "claims_withheld": sum(one.withheld for one in contacts),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _times(values: Iterable[int | None]) -> dict[str, Any]:
    known = sorted(value / 1000 for value in values if value is not None)
    if not known:
        return {"n": 0, "median": None, "p90": None}
    p90 = known[min(len(known) - 1, -(-9 * len(known) // 10) - 1)]  # the value that 90 % do not exceed
    return {"n": len(known), "median": round(statistics.median(known), 3), "p90": round(p90, 3)}


_STATES = ("open", "kept", "late", "broken", "void", "unchecked")
GROUPS = ("channel", "language", "topic", "version")


async def make_report(engine: AsyncEngine, *, since: int, now: int) -> dict[str, Any]:
    """All figures, as JSON holds them. `since` and `now` in ms."""
    contacts = await read_contacts(engine, since, now)
    async with engine.connect() as connection:
        judged = (
            await connection.execute(select(labels.c.verdict).where(labels.c.at >= since, labels.c.at <= now))
        ).scalars()
        verdicts = Counter(judged.all())
        kept = await _promises(connection, since, now)
    days: dict[str, list[Contact]] = defaultdict(list)
    for contact in contacts:
        days[_day(contact.began)].append(contact)
    return {
        "since": _iso(since),
        "until": _iso(now),
        "definitions": " ".join((__doc__ or "").partition("\n\n")[2].split()),
        "all": summarise(contacts),
        "promises": kept,
        "drafts": {
            "judged": sum(verdicts[name] for name in ("sent", "edited", "discarded")),
            "wrong": verdicts["edited"] + verdicts["discarded"],
            **{name: verdicts[name] for name in ("sent", "edited", "discarded")},
        },
        **{
            f"by_{name}": {
                value: summarise([one for one in contacts if getattr(one, name) == value])
                for value in sorted({getattr(one, name) for one in contacts})
            }
            for name in GROUPS
        },
        "by_day": {
            day: {
                "resolved_by_bot": sum(one.resolved and not one.handed_over for one in some),
                "resolved_by_person": sum(one.resolved and one.handed_over for one in some),
                "unresolved": sum(one.decided and not one.resolved for one in some),
                "undecided": sum(not one.decided for one in some),
            }
            for day, some in sorted(days.items())
        },
    }


async def _promises(connection: AsyncConnection, since: int, now: int) -> dict[str, dict[str, int]]:
    """What was promised shoppers in this time, by kind, and what became of it. `answer`: that a person answers by."""
    told = select(promises.c.kind, promises.c.state, func.count()).where(
        promises.c.told_at >= since, promises.c.told_at <= now
    )
    answer = select(literal("answer"), cases.c.promise, func.count()).where(
        cases.c.promise.is_not(None), cases.c.opened_at >= since, cases.c.opened_at <= now
    )
    found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_STATES, 0))
    for query in (told.group_by(promises.c.kind, promises.c.state), answer.group_by(cases.c.promise)):
        for kind, state, count in (await connection.execute(query)).all():
            found[kind][state] += count
    return {kind: {"told": sum(states.values()), **states} for kind, states in sorted(found.items())}


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")


def render(made: dict[str, Any]) -> str:
    """The figures for a terminal."""
    head = f"{'':<28} {'contacts':>8} {'resolved':>9} {'contained':>9} {'assumed':>8} {'person':>7} {'came back':>9} {'rating':>6}"
    lines = [f"{made['since']} to {made['until']}", "", head]

    def line(name: str, one: dict[str, Any]) -> str:
        rating = one["satisfaction"]["mean"]
        return (
            f"{name[:28]:<28} {one['contacts']:>8} {_percent(one['resolution']):>9} {_percent(one['containment']):>9} "
            f"{_percent(one['assumed']):>8} {one['handed_over']:>7} {one['came_back']:>9} {'-' if rating is None else rating:>6}"
        )

    lines.append(line("all", made["all"]))
    for group in GROUPS:
        lines += ["", group]
        lines += [line(f"  {value}", one) for value, one in made[f"by_{group}"].items()]
    whole = made["all"]
    lines.append("")
    for name in ("first_response", "waiting", "person_response", "handling"):
        times = whole[name]
        if times["n"]:
            lines.append(
                f"{name.replace('_', ' '):<18} median {times['median']:.1f} s, p90 {times['p90']:.1f} s (n={times['n']})"
            )
    if whole["handoff_reasons"]:
        lines.append("hand-offs: " + ", ".join(f"{name} {n}" for name, n in whole["handoff_reasons"].items()))
    lines.append(
        f"undecided {whole['undecided']} (younger than 72 h), refused by policy {whole['refused']}, "
        f"claims withheld {whole['claims_withheld']}, drafts judged {made['drafts']['judged']}, wrong {made['drafts']['wrong']}"
    )
    handoff, answers = whole["handoff"], whole["answers"]
    lines.append(
        f"hand-off precision {_percent(handoff['precision'])} ({handoff['needed']} of {handoff['judged']} judged), "
        f"recall {_percent(handoff['recall'])}; wrong answers found {answers['wrong']} of {answers['judged']} judged"
    )
    for kind, states in made["promises"].items():
        told = ", ".join(f"{name} {count}" for name, count in states.items() if count and name != "told")
        lines.append(f"promised {kind.replace('_', ' ')}: {states['told']} ({told})")
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def report(
    since: Annotated[
        str | None, typer.Option("--since", help="First day, like 2026-11-01; 30 days ago when left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every figure, for machines.")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page with plots to this file.")] = None,
) -> None:
    """Count what was really solved, per channel, language, topic and version, beside the flattering figures."""
    made = asyncio.run(_report(get_settings(), since))
    if html is not None:
        from bot.report_page import page

        html.write_text(page(made), encoding="utf-8")
        typer.echo(f"Written: {html}")
    if as_json:
        typer.echo(json.dumps(made, ensure_ascii=False, indent=2))
    elif html is None:
        typer.echo(render(made))


async def _report(settings: Settings, since: str | None) -> dict[str, Any]:
    from bot.migrations import upgrade

    now = now_ms()
    begin = now - 30 * 24 * 3600 * 1000
    if since is not None:
        try:
            day = date.fromisoformat(since)
        except ValueError as exc:
            raise KefuError(f"--since {since!r} is no day: write one like 2026-11-01") from exc
        begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
    engine = make_engine(settings.sqlalchemy_url, settings.privacy)
    try:
        await upgrade(engine)
        return await make_report(engine, since=begin, now=now)
    finally:
        await engine.dispose()
