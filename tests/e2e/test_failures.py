"""What a bad day does: cut lines, late answers, killed programs. One write, or none and no claim of one."""

from __future__ import annotations

import asyncio

import pytest

from bot.orders.shop.samples import sample
from tests.e2e.assistant import Assistant, Said, Shop, Shopper
from tests.e2e.conftest import NewShopper
from tests.e2e.words import LANGUAGES, REASONS, YES, ask_for, is_plan, tail, wish

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("language", LANGUAGES)]

ORDER = sample("refund_paid")


async def plan(shopper: Shopper) -> None:
    assert is_plan(await ask_for(shopper, "refund", ORDER, REASONS["changed_mind"][shopper.language]))


async def until_struck(shop: Shop, kind: str) -> None:
    """Wait until the shop is in the middle of a call that this fault has struck."""
    async with asyncio.timeout(30):
        while kind not in (await shop.state())["faults"]:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("latency_after_commit", {"delay": 3.0}),
        ("cut_after_commit", {}),
        ("error_after_commit", {"status": 503}),
        ("cut_before_commit", {}),
        ("error_5xx", {"status": 502}),
        ("duplicate", {}),
        ("garbage", {}),
    ],
)
async def test_a_fault_at_the_write_leaves_one_refund_and_its_receipt(
    shop: Shop, new_shopper: NewShopper, language: str, kind: str, more: dict[str, float]
) -> None:
    shopper = await new_shopper(language)
    await plan(shopper)
    await shop.fault("refund", kind, **more)
    said = await shopper.say(YES[language])

    changes = await shop.changes()
    assert kind in changes.faults
    if kind == "garbage" and not changes.writes:  # nothing was written, so nothing may be claimed
        assert [] == said.receipts
        await shop.assert_untouched()
        return
    receipt = await shop.assert_one("refund", ORDER.number)
    assert [receipt["id"]] == said.receipts


async def test_a_shop_that_stays_away_is_no_success_and_no_write(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    shopper = await new_shopper(language)
    await plan(shopper)
    await shop.fault("*", "error_5xx", times=100, status=503)
    said = await shopper.say(YES[language])

    assert [] == said.receipts
    assert "receipt" not in said.cards
    await shop.assert_untouched()


async def test_a_write_of_unknown_fate_is_given_to_a_person_without_a_claim(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    shopper = await new_shopper(language)
    await plan(shopper)
    await shop.fault("refund", "latency_after_commit", times=10, delay=5.0)
    yes = asyncio.create_task(shopper.say(YES[language]))
    await until_struck(shop, "latency_after_commit")
    await shop.fault("receipt", "error_5xx", times=20, status=503)  # and now nobody can read it back
    said = await yes

    assert [] == said.receipts
    assert "pending" == said.owner
    # The shop did it once, and a person will see that it did.
    await shop.assert_one("refund", ORDER.number)


async def test_a_look_up_survives_one_failed_call(shop: Shop, new_shopper: NewShopper, language: str) -> None:
    shopper = await new_shopper(language)
    await shopper.say(wish("order_status", ORDER, language))
    await shop.fault("get_order", "error_5xx", status=503)
    said = await shopper.say(tail(ORDER, language))

    assert "order" in said.cards


@pytest.mark.parametrize("kind", ["latency", "latency_after_commit"])
async def test_the_action_server_killed_in_the_middle_of_a_write_makes_one_refund(
    assistant: Assistant, shop: Shop, new_shopper: NewShopper, language: str, kind: str
) -> None:
    shopper = await new_shopper(language)
    await plan(shopper)
    await shop.fault("refund", kind, delay=0.9)
    yes = asyncio.create_task(shopper.say(YES[language]))
    await until_struck(shop, kind)
    restarts = assistant.kill("actions")
    said: Said = await yes
    assert [] == said.receipts or said.receipts == [one["id"] for one in (await shop.changes()).receipts]
    await assistant.wait_restarted("actions", restarts)

    # Whatever was said, the shopper asks again and there is one refund, with its receipt.
    for _ in range(3):
        if said.receipts or shopper.client.owner != "bot":
            break
        said = await shopper.say(YES[language])
    receipt = await shop.assert_one("refund", ORDER.number)
    if shopper.client.owner == "bot":
        assert [receipt["id"]] == said.receipts


async def test_the_gateway_killed_after_it_stored_a_message_still_answers_it_once(
    assistant: Assistant, shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    shopper = await new_shopper(language)
    await plan(shopper)
    await shop.fault("refund", "latency", delay=0.9)
    await shopper.client.send(YES[language])
    await until_struck(shop, "latency")
    restarts = assistant.kill("gateway")
    await assistant.wait_restarted("gateway", restarts)
    await shopper.client.connect()  # as the page does: from the last line it has seen
    said = Said(await shopper.client.replies(0))

    receipt = await shop.assert_one("refund", ORDER.number)
    assert [receipt["id"]] == said.receipts
    assert [] == await shopper.client.waiting(2)


async def test_a_message_sent_twice_under_one_id_is_one_message(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    shopper = await new_shopper(language)
    await plan(shopper)
    first = await shopper.client.send(YES[language], client_id="the-same-id-1234")
    second = await shopper.client.send(YES[language], client_id="the-same-id-1234")
    replies = Said(await shopper.client.replies(first))

    assert first == second
    assert 1 == len(replies.receipts)
    assert [] == await shopper.client.waiting(1)
    await shop.assert_one("refund", ORDER.number)
