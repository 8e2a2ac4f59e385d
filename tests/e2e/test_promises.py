"""A day that was told: the shopper hears that the money came, or gets an apology and a person who knows all about it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.orders.shop.samples import sample
from tests.e2e.assistant import Assistant, Shop, Shopper
from tests.e2e.conftest import NewShopper
from tests.e2e.words import LANGUAGES, REASONS, YES, ask_for, is_plan

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("language", LANGUAGES)]

KEPT = {"zh": "已经到账", "en": "has arrived"}
SORRY = {"zh": "非常抱歉", "en": "very sorry"}


def seconds_to_ten_o_clock(days: int) -> float:
    """From now to ten in the morning at the shop, `days` days on: nobody is told anything at night."""
    now = datetime.now(ZoneInfo("Asia/Shanghai"))
    then = (now + timedelta(days=days)).replace(hour=10, minute=0, second=0, microsecond=0)
    return (then - now).total_seconds()


async def refund(shopper: Shopper, shop: Shop) -> dict[str, Any]:
    """Ask for a refund and agree; the receipt."""
    order = sample("refund_paid")
    plan = await ask_for(shopper, "refund", order, REASONS["changed_mind"][shopper.language])
    assert is_plan(plan)
    await shopper.say(YES[shopper.language])
    return await shop.assert_one("refund", order.number)


async def days_later(days: int, shop: Shop, assistant: Assistant) -> None:
    seconds = seconds_to_ten_o_clock(days)
    await shop.clock(seconds)
    assistant.move_clock(seconds)


async def heard(shopper: Shopper, words: str) -> list[str]:
    """What the shopper hears without saying anything, until these words come (or a minute is over)."""
    texts: list[str] = []
    for _ in range(60):
        texts += [reply.text for reply in await shopper.client.waiting(1.0)]
        if any(words in text for text in texts):
            break
    return texts


def rows(assistant: Assistant, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(assistant.data_dir / "kefu.db", timeout=10)) as database:
        return database.execute(query).fetchall()


async def test_the_shopper_hears_that_the_money_came_also_after_a_restart(
    assistant: Assistant, shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    shopper = await new_shopper(language)
    receipt = await refund(shopper, shop)
    restarts = assistant.kill("gateway")
    await assistant.wait_restarted("gateway", restarts)
    await shopper.client.connect()  # as the page does
    await days_later(2, shop, assistant)
    texts = await heard(shopper, KEPT[language])
    states = rows(assistant, f"SELECT state, kind FROM promises WHERE receipt = '{receipt['id']}'")

    assert 1 == sum(KEPT[language] in text and receipt["order"] in text for text in texts)
    assert [("kept", "refund")] == states


async def test_money_that_did_not_come_is_an_apology_and_a_case_with_the_packet(
    assistant: Assistant, shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    shopper = await new_shopper(language)
    receipt = await refund(shopper, shop)
    conversation = shopper.client.conversation
    await shop.change(receipt["order"], refunded={"amount": 0, "currency": "CNY"})  # the bank gave it back
    await days_later(14, shop, assistant)
    texts = await heard(shopper, SORRY[language])
    [(owner, reason)] = rows(
        assistant, f"SELECT owner, reason FROM ownership WHERE conversation = '{conversation}'"
    )
    [(packet, goal)] = rows(
        assistant, f"SELECT packet, goal FROM handoff_cases WHERE conversation = '{conversation}'"
    )
    known = json.loads(packet)

    assert 1 == sum(SORRY[language] in text and receipt["order"] in text for text in texts)
    assert ("pending", "promise_broken", "refund") == (owner, reason, goal)
    assert (receipt["id"], "broken") == (known["promise"]["receipt"], known["promise"]["state"])
    assert receipt["order"] == known["order_number"] and len(known["turns"]) >= 3
    assert language == known["language"]
