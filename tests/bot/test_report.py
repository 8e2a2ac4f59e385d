"""Every figure of the report, counted again from the raw rows by other means."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

import channels.desk.staff  # noqa: F401 - declares tables
from bot.database import create_tables, make_engine
from bot.handoff.cases import cases
from bot.handoff.labels import labels
from bot.handoff.promises import promises
from bot.identity.links import links
from bot.report import make_report, render
from bot.report_page import page
from channels.tables import audit, conversations, events, inbox

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NOW = 1_790_000_000_000
START = NOW - 20 * DAY


RECOUNTED = {
    "contacts", "undecided", "resolved", "resolution", "resolved_by_bot", "containment", "assumed", "came_back", "refused",
    "handed_over", "handoff_reasons", "handoff", "answers", "first_response", "waiting", "person_response", "handling",
    "satisfaction", "claims_withheld",
}  # fmt: skip


def scene_of(scene: Scene, name: str) -> int:
    """Where a conversation's row stands."""
    return next(
        n for n, (table, row) in enumerate(scene.rows) if table is conversations and row["id"] == name
    )


def customer_of(scene: Scene, name: str) -> str:
    row = scene.rows[scene_of(scene, name)][1]
    return str(row["customer"] or name)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path}/kefu.db")
    await create_tables(engine)
    yield engine
    await engine.dispose()


class Scene:
    """Writes rows as the gateway does, at chosen times."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.rows: list[tuple[Any, dict[str, Any]]] = []
        self.seqs: dict[str, int] = {}

    def conversation(
        self, name: str, *, channel: str = "web", customer: str | None = None, locale: str = "zh"
    ) -> None:
        self.rows.append((conversations, {
            "id": name, "channel": channel, "account": "a", "shopper": name, "customer": customer, "locale": locale,
            "seq": 0, "read_seq": 0, "reachable": True, "apologised": False, "turn_lease_until": 0,
            "delivery_lease_until": 0, "created_at": START, "active_at": START,
        }))  # fmt: skip

    def line(self, name: str, author: str, at: int) -> int:
        seq = self.seqs[name] = self.seqs.get(name, 0) + 1
        self.rows.append((events, {
            "conversation": name, "seq": seq, "kind": "message", "author": author, "audience": "shopper",
            "body": {"text": "x"}, "at": at,
        }))  # fmt: skip
        return seq

    def turn(
        self,
        name: str,
        at: int,
        *,
        after: int = 1000,
        outcome: str = "answered",
        receipts: tuple[str, ...] = (),
        reply: str = "sent",
        **explain: Any,
    ) -> None:
        """A message of the shopper at `at` (ms) and the bot's answer `after` ms later."""
        seq = self.line(name, "shopper", at)
        self.line(name, "bot", at + after)
        message = f"{name}-{seq}"
        self.rows.append((inbox, {
            "id": message, "conversation": name, "channel": "web", "account": "a", "dedup_key": message, "body": {},
            "seq": seq, "state": "done", "outcome": outcome, "attempts": 1, "next_at": 0, "passive_until": 0,
            "received_at": at, "done_at": at + after,
        }))  # fmt: skip
        self.rows.append((audit, {
            "reply": f"r-{message}", "conversation": name, "inbound": message, "outcome": reply,
            "intent": explain.get("intent"), "score": 0.9, "reasons": [], "versions": explain.get("versions", {}),
            "receipts": list(receipts), "explain": explain, "at": at + after,
        }))  # fmt: skip

    def case(self, name: str, opened: int, **values: Any) -> str:
        case = f"case{len(self.rows)}"
        self.rows.append((cases, {
            "id": case, "conversation": name, "priority": 0, "packet": {}, "opened_at": opened, **values,
        }))  # fmt: skip
        return case

    def label(self, name: str, draft: str, verdict: str, at: int) -> None:
        self.rows.append((labels, {
            "conversation": name, "draft": draft, "question": "q", "text": "t", "verdict": verdict, "agent": "li", "at": at,
        }))  # fmt: skip

    def link(self, name: str, other: str, *, ended_at: int | None = None) -> None:
        self.rows.append((links, {
            "conversation": name, "other": other, "proof": "binding_code", "at": START, "ended_at": ended_at,
        }))  # fmt: skip

    def promise(self, name: str, kind: str, state: str, at: int) -> None:
        self.rows.append((promises, {
            "id": f"p{len(self.rows)}", "conversation": name, "source": f"receipt:{len(self.rows)}", "kind": kind,
            "state": state, "told_at": at,
        }))  # fmt: skip

    async def write(self) -> None:
        async with self.engine.begin() as connection:
            for table, row in self.rows:
                await connection.execute(table.insert().values(**row))


async def test_resolved_needs_a_receipt_and_no_return_on_any_channel(engine: AsyncEngine) -> None:
    scene = Scene(engine)
    at = START + DAY
    # anna: refund with a receipt; never seen again -> resolved
    scene.conversation("anna", customer="c1")
    scene.turn("anna", at, intent="refund_request", topic="refund")
    scene.turn("anna", at + MINUTE, intent="affirm", topic="refund", receipts=("r1",))
    # ben: refund talked about, no receipt -> contained, assumed, not resolved
    scene.conversation("ben", locale="en")
    scene.turn("ben", at, intent="refund_request", topic="refund")
    # carl: receipt, but back two days later through another door -> not resolved
    scene.conversation("carl", customer="c3")
    scene.turn("carl", at, intent="cancel_order", topic="cancel_order", receipts=("r2",))
    scene.conversation("carl-wechat", channel="wechat", customer="c3")
    scene.turn(
        "carl-wechat", at + 2 * DAY, intent="order_status", topic="order_status", response="order_shown"
    )
    # dora: receipt, back after 73 hours -> both resolved
    scene.conversation("dora", customer="c4")
    scene.turn("dora", at, topic="cancel_order", receipts=("r3",))
    scene.turn("dora", at + 73 * HOUR, topic="order_status", response="order_shown")
    # emil: today -> undecided
    scene.conversation("emil")
    scene.turn("emil", NOW - HOUR, topic="cancel_order", receipts=("r4",))
    await scene.write()
    made = await make_report(engine, since=START, now=NOW)
    whole = made["all"]

    assert (whole["contacts"], whole["undecided"]) == (7, 1)
    assert whole["resolved"] == 4  # anna, carl's second, dora twice
    assert whole["resolution"] == round(4 / 6, 4)
    assert whole["came_back"] == 1
    assert (whole["containment"], whole["assumed"]) == (1.0, 1.0)  # the figures that flatter
    assert made["by_language"]["en"]["resolution"] == 0.0
    assert made["by_channel"]["wechat"]["resolved"] == 1
    assert made["by_topic"]["refund"]["contacts"] == 2 and made["by_topic"]["refund"]["resolved"] == 1


async def test_a_person_resolves_only_by_answering_and_ending_the_case(engine: AsyncEngine) -> None:
    scene = Scene(engine)
    at = START + DAY
    done = {
        "claimed_at": at + 60_000,
        "answered_at": at + 90_000,
        "ended_at": at + 600_000,
        "outcome": "closed",
    }
    for name, values in {
        "solved": {**done, "ended_reason": "closed", "rating": 5, "reason": "asked"},
        "silent": {**done, "answered_at": None, "ended_reason": "closed", "rating": 1, "reason": "asked"},
        "left": {**done, "ended_reason": "shopper_idle", "reason": "policy"},
        "open": {"reason": "threat"},
    }.items():
        scene.conversation(name)
        scene.turn(name, at - 1000, intent="human_agent")
        scene.case(name, at, **values)
    await scene.write()
    whole = (await make_report(engine, since=START, now=NOW))["all"]

    assert (whole["handed_over"], whole["resolved"], whole["resolved_by_bot"]) == (4, 1, 0)
    assert whole["containment"] == 0.0
    assert whole["handoff_reasons"] == {"asked": 2, "policy": 1, "threat": 1}
    assert whole["waiting"] == {"n": 3, "median": 60.0, "p90": 60.0}
    assert whole["person_response"]["n"] == 2 and whole["handling"]["median"] == 540.0
    assert whole["satisfaction"] == {
        "answers": 2,
        "mean": 3.0,
        "by_score": {"1": 1, "2": 0, "3": 0, "4": 0, "5": 1},
    }


async def test_a_rating_or_a_goodbye_hours_later_is_no_new_contact(engine: AsyncEngine) -> None:
    scene = Scene(engine)
    scene.conversation("anna")
    scene.turn("anna", START + DAY, topic="cancel_order", receipts=("r",))
    scene.turn("anna", START + DAY + 5 * HOUR, outcome="rating")
    scene.turn("anna", START + DAY + 9 * HOUR, intent="thanks")
    await scene.write()
    whole = (await make_report(engine, since=START, now=NOW))["all"]

    assert (whole["contacts"], whole["resolved"], whole["came_back"]) == (1, 1, 0)


async def test_a_refusal_and_a_withheld_claim_are_counted_and_solve_nothing(engine: AsyncEngine) -> None:
    scene = Scene(engine)
    scene.conversation("anna")
    scene.turn("anna", START + DAY, topic="refund", outcome="answered", response="refused")
    scene.conversation("ben")
    scene.turn("ben", START + DAY, topic="refund", reply="claim_withheld", receipts=())
    await scene.write()
    async with engine.begin() as connection:
        for n, verdict in enumerate(("sent", "edited", "discarded", "sent")):
            await connection.execute(
                labels.insert().values(
                    conversation=f"c{n}",
                    draft="d",
                    question="q",
                    text="t",
                    verdict=verdict,
                    agent="li",
                    at=START + DAY,
                )
            )
    made = await make_report(engine, since=START, now=NOW)

    assert (made["all"]["refused"], made["all"]["claims_withheld"], made["all"]["resolved"]) == (1, 1, 0)
    assert made["drafts"] == {"judged": 4, "wrong": 2, "sent": 2, "edited": 1, "discarded": 1}


async def test_an_answer_from_the_articles_counts_when_it_was_decided_not_when_it_was_drafted(
    engine: AsyncEngine,
) -> None:
    scene = Scene(engine)
    for name, decision in (("a", "answer"), ("b", "handoff")):
        scene.conversation(name)
        scene.turn(name, START + DAY, intent="policy_question", answer={"decision": decision})
    await scene.write()
    made = await make_report(engine, since=START, now=NOW)

    assert made["by_topic"]["policy_question"]["resolved"] == 1


async def test_a_shopper_who_comes_back_through_a_linked_door_was_not_helped(engine: AsyncEngine) -> None:
    scene = Scene(engine)
    for name, channel in (("anna", "web"), ("o_anna", "wechat"), ("ben", "web"), ("o_ben", "wechat")):
        scene.conversation(name, channel=channel)
    for name, at in (("anna", 0), ("o_anna", 10), ("ben", 0), ("o_ben", 10)):
        scene.turn(name, START + DAY + at * HOUR, topic="cancel_order", receipts=("r",))
    scene.link("o_anna", "anna")
    scene.link("o_ben", "ben", ended_at=START + 1)  # taken apart
    await scene.write()
    whole = (await make_report(engine, since=START, now=NOW))["all"]

    assert (whole["contacts"], whole["came_back"], whole["resolved"]) == (4, 1, 3)


async def test_hand_offs_are_judged_by_what_people_did_with_the_draft(engine: AsyncEngine) -> None:
    scene = Scene(engine)
    at = START + DAY
    scene.conversation("anna", channel="web")
    scene.conversation("ben", channel="wechat", locale="en")
    for n, verdict in enumerate(("edited", "discarded", "sent")):  # two were needed, one was not
        scene.turn("anna", at + n * 5 * HOUR, intent="policy_question", topic="answer")
        case = scene.case("anna", at + n * 5 * HOUR + 1, reason="low_confidence")
        scene.label("anna", f"case:{case}", verdict, NOW)
    for n, verdict in enumerate(("right", "wrong", "right")):
        scene.turn("ben", at + n * 5 * HOUR, topic="answer", answer={"decision": "answer"})
        scene.label("ben", f"reply:{scene.seqs['ben']}", verdict, NOW)  # judged days later
    scene.turn("ben", at + 20 * HOUR)
    scene.label("ben", "line:3", "edited", at)  # overtaken by a person: no hand-off was decided
    await scene.write()
    made = await make_report(engine, since=START, now=NOW)
    anna, ben = made["by_channel"]["web"], made["by_channel"]["wechat"]

    assert made["all"]["handoff"] == {
        "judged": 3,
        "needed": 2,
        "precision": 0.6667,
        "missed": 1,
        "recall": 0.6667,
    }
    assert made["all"]["answers"] == {"judged": 3, "wrong": 1}
    assert (anna["handoff"]["precision"], anna["handoff"]["recall"]) == (0.6667, 1.0)
    assert (ben["handoff"]["precision"], ben["handoff"]["recall"]) == (None, 0.0)
    assert (
        made["by_language"]["en"]["answers"]
        == made["by_topic"]["answer"]["answers"]
        == {"judged": 3, "wrong": 1}
    )
    assert made["drafts"] == {"judged": 4, "wrong": 3, "sent": 1, "edited": 2, "discarded": 1}
    assert "precision 66.7% (2 of 3 judged), recall 66.7%; wrong answers found 1 of 3" in render(made)
    assert "67% · 67%" in page(made) and "1 / 3" in page(made)


async def test_promises_are_counted_by_kind_and_by_what_became_of_them(engine: AsyncEngine) -> None:
    scene = Scene(engine)
    scene.conversation("anna")
    for state in ("kept", "kept", "late", "broken", "open", "void", "unchecked"):
        scene.promise("anna", "refund", state, START + DAY)
    scene.promise("anna", "follow_up", "broken", START + DAY)
    scene.promise("anna", "refund", "broken", START - DAY)  # before
    scene.case("anna", START + DAY, promise="kept", promised_at=START + 2 * DAY)
    await scene.write()
    made = await make_report(engine, since=START, now=NOW)
    refund = {"told": 7, "open": 1, "kept": 2, "late": 1, "broken": 1, "void": 1, "unchecked": 1}

    assert ["answer", "follow_up", "refund"] == list(made["promises"])
    assert made["promises"]["refund"] == refund
    assert made["promises"]["answer"]["kept"] == made["promises"]["follow_up"]["broken"] == 1
    assert "3 / 9" in page(made) and "promised follow up: 1 (broken 1)" in render(made)


@pytest.mark.parametrize("seed", range(4))
async def test_random_histories_give_the_figures_that_plain_counting_gives(
    engine: AsyncEngine, seed: int
) -> None:
    """Everything is counted again here with SQL and loops that share no line with the report."""
    dice = random.Random(seed)
    scene = Scene(engine)
    told: list[dict[str, Any]] = []  # what happened, as whoever wrote it knows
    for n in range(40):
        name = f"s{n}"
        customer = f"c{n % 15}" if dice.random() < 0.5 else None
        channel = dice.choice(("web", "wechat", "telegram"))
        scene.conversation(name, channel=channel, customer=customer, locale=dice.choice(("zh", "en")))
        at = START + dice.randrange(DAY, 10 * DAY)
        for _ in range(dice.randrange(1, 4)):
            topic = dice.choice(("refund", "order_status", "cancel_order"))
            met = dice.random() < 0.5
            shown = {"response": "order_shown"} if met and topic == "order_status" else {}
            paid = ("r",) if met and topic != "order_status" else ()
            refused = not met and dice.random() < 0.4
            if refused:
                shown["response"] = "refused"
            withheld = not met and not refused and dice.random() < 0.2
            wait = dice.randrange(100, 9000)
            scene.turn(
                name,
                at,
                after=wait,
                topic=topic,
                receipts=paid,
                versions={"dialogue": f"m{n % 2}.tar.gz"},
                reply="claim_withheld" if withheld else "sent",
                **shown,
            )
            answer = dice.choice((None, "right", "wrong"))
            if answer:
                scene.label(name, f"reply:{scene.seqs[name]}", answer, NOW - 1)
            person: Any = dice.random() < 0.3
            if person:
                claimed = at + dice.randrange(MINUTE, 30 * MINUTE)
                reason, rating = dice.choice(("asked", "policy")), dice.choice((None, 1, 4))
                case = scene.case(name, at + 10_000, reason=reason, claimed_at=claimed, answered_at=claimed + 5000,
                                  ended_at=claimed + 60_000, ended_reason="closed", rating=rating)  # fmt: skip
                draft = dice.choice((None, "sent", "edited", "discarded"))
                if draft:
                    scene.label(name, f"case:{case}", draft, NOW - 1)
                person = {"reason": reason, "rating": rating, "draft": draft, "wait": claimed - at - 10_000}
            told.append({"who": customer or name, "at": at, "met": met or bool(person), "person": person,
                         "channel": channel, "topic": topic, "wait": wait, "refused": refused, "withheld": withheld,
                         "answer": answer, "language": scene.rows[scene_of(scene, name)][1]["locale"],
                         "version": f"m{n % 2}"})  # fmt: skip
            at += dice.choice((3 * HOUR, 30 * HOUR, 100 * HOUR))
    for n in range(0, 40, 4):
        scene.link(f"s{n}", f"s{n + 1}")
    groups = [{customer_of(scene, f"s{n}"), customer_of(scene, f"s{n + 1}")} for n in range(0, 40, 4)]
    for _ in groups:  # sets that share a customer are one shopper's
        groups = [set().union(*(other for other in groups if other & group)) for group in groups]
    for one in told:
        one["who"] = min((min(group) for group in groups if one["who"] in group), default=one["who"])
    await scene.write()
    made = await make_report(engine, since=START, now=NOW)

    for one in told:
        later = [o["at"] for o in told if o["who"] == one["who"] and o is not one and one["at"] <= o["at"]]
        one["back"] = any(other - one["at"] <= 72 * HOUR for other in later)
        one["decided"] = one["back"] or NOW - one["at"] > 72 * HOUR
        one["resolved"] = one["decided"] and one["met"] and not one["back"]

    def expect(some: list[dict[str, Any]], figures: dict[str, Any]) -> None:
        decided = [one for one in some if one["decided"]]
        assert figures["contacts"] == len(some)
        assert figures["resolved"] == sum(one["resolved"] for one in some)
        assert figures["undecided"] == len(some) - len(decided)
        assert figures["resolution"] == (
            round(sum(one["resolved"] for one in decided) / len(decided), 4) if decided else None
        )
        assert figures["containment"] == round(sum(not one["person"] for one in some) / len(some), 4)
        assert figures["first_response"]["median"] == pytest.approx(
            statistics.median(one["wait"] for one in some) / 1000, abs=0.001
        )
        people = [one["person"] for one in some if one["person"]]
        assert figures["resolved_by_bot"] == sum(one["resolved"] and not one["person"] for one in some)
        assert figures["assumed"] == figures["containment"]  # the bot always has the last word here
        assert figures["came_back"] == sum(one["back"] for one in some)
        assert figures["refused"] == sum(one["refused"] and not one["met"] for one in some)
        assert figures["claims_withheld"] == sum(one["withheld"] for one in some)
        assert figures["handed_over"] == len(people)
        reasons = [person["reason"] for person in people]
        assert figures["handoff_reasons"] == {name: reasons.count(name) for name in set(reasons)}
        for name, extra in (("waiting", 0), ("person_response", 5000)):
            times = sorted(person["wait"] + extra for person in people)
            assert figures[name]["n"] == len(times)
            middle = statistics.median(times) / 1000 if times else None
            assert figures[name]["median"] == (pytest.approx(middle, abs=0.001) if times else None)
        assert figures["handling"] == {
            "n": len(people),
            "median": 60.0 if people else None,
            "p90": 60.0 if people else None,
        }
        ratings = [person["rating"] for person in people if person["rating"] is not None]
        assert figures["satisfaction"]["answers"] == len(ratings)
        assert figures["satisfaction"]["by_score"] == {
            str(score): ratings.count(score) for score in range(1, 6)
        }
        assert figures["satisfaction"]["mean"] == (round(sum(ratings) / len(ratings), 2) if ratings else None)
        drafts = [person["draft"] for person in people if person["draft"]]
        needed, wrong = (
            sum(draft != "sent" for draft in drafts),
            sum(one["answer"] == "wrong" for one in some),
        )
        assert figures["answers"] == {
            "judged": sum(one["answer"] is not None for one in some),
            "wrong": wrong,
        }
        assert figures["handoff"] == {
            "judged": len(drafts), "needed": needed, "missed": wrong,
            "precision": round(needed / len(drafts), 4) if drafts else None,
            "recall": round(needed / (needed + wrong), 4) if needed + wrong else None,
        }  # fmt: skip
        assert set(figures) == RECOUNTED  # a figure that is added is counted again here, too

    expect(told, made["all"])
    for group in ("channel", "topic", "language", "version"):
        assert set(made[f"by_{group}"]) == {one[group] for one in told}
        for value, figures in made[f"by_{group}"].items():
            expect([one for one in told if one[group] == value], figures)
    assert sum(sum(day.values()) for day in made["by_day"].values()) == len(told)
    assert (
        sum(day["resolved_by_bot"] + day["resolved_by_person"] for day in made["by_day"].values())
        == made["all"]["resolved"]
    )
    async with engine.connect() as connection:
        waits = (
            (await connection.execute(text("SELECT claimed_at - opened_at FROM handoff_cases ORDER BY 1")))
            .scalars()
            .all()
        )
        mean = (await connection.execute(text("SELECT avg(rating), count(rating) FROM handoff_cases"))).one()
    assert made["all"]["waiting"]["n"] == len(waits)
    assert made["all"]["waiting"]["median"] == pytest.approx(statistics.median(waits) / 1000, abs=0.001)
    assert sum(wait / 1000 <= made["all"]["waiting"]["p90"] for wait in waits) >= 0.9 * len(waits)
    assert made["all"]["satisfaction"]["answers"] == mean[1]
    assert made["all"]["satisfaction"]["mean"] == (pytest.approx(mean[0], abs=0.01) if mean[1] else None)
    assert json.loads(json.dumps(made)) == made


async def test_the_page_and_the_terminal_show_the_same_figures_and_an_empty_shop_is_no_error(
    engine: AsyncEngine,
) -> None:
    empty = await make_report(engine, since=START, now=NOW)
    assert empty["all"]["resolution"] is None and "咨询数" in page(empty) and "contacts" in render(empty)

    scene = Scene(engine)
    scene.conversation("<b>")
    scene.turn("<b>", START + DAY, topic="<script>", receipts=("r",))
    scene.case("<b>", START + DAY + 1000, reason="asked", claimed_at=START + DAY + 2000, rating=4)
    await scene.write()
    made = await make_report(engine, since=START, now=NOW)
    html = page(made)

    assert html.count("<svg") == 4 and "<script>" not in html and "&lt;script&gt;" in html
    assert "http://" not in html.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    assert "hand-offs: asked 1" in render(made)
