"""An operation run from the desk: the real order API, policy and guard; two people, one shopper."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot import clock
from bot.explain import explain_conversation, render
from bot.message import Handoff, Reply
from bot.orders.models import ProofKind
from bot.orders.shop.samples import Sample, sample
from channels.desk.plans import DeskPlans, plans
from channels.tables import audit
from tests.actions.conftest import API_KEY, World
from tests.channels.desk.house import Colleague, House, open_house

CUSTOMER = "door:customer"


def over(_: str) -> list[Reply]:
    return [Reply(text="转人工", handoff=Handoff(reason="asked"))]


class Counter:
    """A shopper who has proven an order, and the people at the desk."""

    def __init__(self, house: House, world: World, order: Sample) -> None:
        self.house, self.world, self.sample = house, world, order
        self.conversation = ""
        plans = house.desk.plans
        assert plans is not None
        self.plans: DeskPlans = plans
        self.ahead = timedelta()
        plans._now = lambda: clock.now() + self.ahead

    async def opened(self, *, proven: bool = True, language: str = "zh") -> Colleague:
        """Handed over, proven and taken by lin."""
        words = "人工" if language == "zh" else "A person please"
        self.conversation = await self.house.hear(words, "anna", locale=language)
        if proven:
            await self.prove()
        lin = await self.house.person("lin")
        assert 200 == (await lin.do(self.conversation, "claim"))[0]
        return lin

    async def prove(self) -> None:
        tail = self.sample.phone_tail
        await self.plans.guard.prove(self.conversation, None, self.sample.number, ProofKind.PHONE_TAIL, tail)

    async def propose(self, who: Colleague, operation: str, **more: Any) -> tuple[int, Any]:
        return await who.do(self.conversation, "plans", operation=operation, order=self.sample.number, **more)

    async def press(self, title: str) -> None:
        """The shopper presses the newest button of this name."""
        for message in reversed(self.house.door.delivered):
            for button in message.buttons:
                if button.title == title:
                    _, payload = await self.house.gateway.press(self.conversation, button.token) or ("", "")
                    await self.house.hear(title, "anna", payload=payload)
                    await self.house.quiet()
                    return
        raise AssertionError(f"no button {title}")

    async def said(self) -> list[str]:
        await self.house.quiet()
        return self.house.door.texts

    async def lines(self, kind: str = "plan") -> list[dict[str, Any]]:
        return [line.body for line in await self.house.lines(self.conversation) if line.kind == kind]


@asynccontextmanager
async def open_counter(path: Path, world: World, name: str, **desk: Any) -> AsyncIterator[Counter]:
    async with open_house(
        path / "kefu", over, order_api={"base_url": world.url, "api_key": API_KEY}, desk=desk
    ) as house:
        yield Counter(house, world, sample(name))


async def test_what_the_policy_allows_is_done_on_the_shoppers_yes(tmp_path: Path, world: World) -> None:
    """Proposed, shown with buttons, consented to, one write, and both sides have the receipt and its reasons."""
    async with open_counter(tmp_path, world, "cancel_paid") as counter:
        lin = await counter.opened()
        status, told = await counter.propose(lin, "cancel", reason="changed_mind")
        assert (200, "allowed") == (status, told["outcome"]) and "shown" == told["plans"][0]["state"]
        assert any("请核对：取消订单" in text for text in await counter.said())
        assert [] == await world.receipts()

        await counter.press("确认办理")
        receipts = await world.receipts()
        assert [("cancel", counter.sample.number)] == [(one["operation"], one["order"]) for one in receipts]
        assert receipts[0]["id"] in "".join(await counter.said())
        assert "cancelled" == (await world.order("cancel_paid"))["state"]
        assert ["shown", "done"] == [line["state"] for line in await counter.lines()]
        assert "person" == (await counter.house.gateway.owner(counter.conversation)).owner

        async with counter.house.gateway.store.read() as connection:
            rows = (
                await connection.execute(select(audit).where(audit.c.conversation == counter.conversation))
            ).all()
        done = next(row for row in rows if row.explain.get("outcome") == "done")
        assert [receipts[0]["id"]] == done.receipts and "lin" == done.explain["proposed_by"]
        assert "pressed" == done.explain["consent"] and done.explain["clause"]
        explained = render(
            await explain_conversation(counter.house.gateway.store.engine, counter.conversation)
        )
        assert receipts[0]["id"] in explained and "operation cancel, outcome done" in explained


async def test_words_are_a_yes_only_right_after_the_plan(tmp_path: Path, world: World) -> None:
    """“好的” to something the person said later is no consent; the plain yes to the plan is."""
    async with open_counter(tmp_path, world, "cancel_paid") as counter:
        lin = await counter.opened()
        await counter.propose(lin, "cancel")
        await lin.do(counter.conversation, "reply", text="麻烦您稍等", key="k1")
        await counter.house.hear("好的", "anna")
        await counter.house.hear("要是能快点就好，不过先等等", "anna")
        assert [] == await world.receipts()

        await lin.do(counter.conversation, "plans/" + (await plan_of(lin, counter))["id"] + "/turn-down")
        await counter.propose(lin, "cancel")
        await counter.house.hear("多久到账？", "anna")
        assert [] == await world.receipts()
        await counter.house.hear("好的，确认取消", "anna")
        assert 1 == len(await world.receipts())


async def plan_of(who: Colleague, counter: Counter) -> dict[str, Any]:
    _, whole = await who.get(f"/conversations/{counter.conversation}")
    found: dict[str, Any] = whole["plans"][0]
    return found


async def test_a_second_click_is_the_first_one(tmp_path: Path, world: World) -> None:
    """Proposed twice, pressed twice, at once and later: one plan, one write, one receipt told."""
    async with open_counter(tmp_path, world, "cancel_paid") as counter:
        lin = await counter.opened()
        first, second = await asyncio.gather(counter.propose(lin, "cancel"), counter.propose(lin, "cancel"))
        assert first[1]["plan"] == second[1]["plan"]
        assert 1 == sum("请核对" in text for text in await counter.said())

        await counter.press("确认办理")
        await counter.press("确认办理")
        await counter.press("先不办")
        assert 1 == len(await world.receipts())
        receipt = (await world.receipts())[0]["id"]
        assert 1 == sum(receipt in text for text in await counter.said())
        assert 2 == sum("已经办理过了" in text for text in await counter.said())


async def test_no_is_no_and_what_was_taken_back_stays_undone(tmp_path: Path, world: World) -> None:
    async with open_counter(tmp_path, world, "cancel_paid") as counter:
        lin = await counter.opened()
        await counter.propose(lin, "cancel")
        await counter.press("先不办")
        await counter.press("确认办理")
        assert [] == await world.receipts() and "declined" == (await plan_of(lin, counter))["state"]

        await counter.propose(lin, "cancel", reason="late")
        plan = await plan_of(lin, counter)
        assert (
            200 == (await lin.post(f"/conversations/{counter.conversation}/plans/{plan['id']}/turn-down"))[0]
        )
        await counter.press("确认办理")
        assert [] == await world.receipts() and "withdrawn" == (await plan_of(lin, counter))["state"]
        assert any("已经失效" in text for text in await counter.said())


@pytest.mark.parametrize("what", ["late", "changed", "handed", "released"])
async def test_an_old_plan_does_nothing(tmp_path: Path, world: World, what: str) -> None:
    """Fifteen minutes over, the order changed, another person has it, the bot has it back: a yes is harmless."""
    async with open_counter(tmp_path, world, "cancel_paid") as counter:
        lin = await counter.opened()
        await counter.propose(lin, "cancel")
        if what == "late":
            counter.ahead = timedelta(minutes=14, seconds=59)
            counter.ahead += timedelta(seconds=2)
        elif what == "changed":
            await world.change("cancel_paid", note="gift wrap")
        elif what == "handed":
            await counter.house.person("mia")
            assert 200 == (await lin.do(counter.conversation, "transfer", agent="mia"))[0]
        else:
            assert 200 == (await lin.do(counter.conversation, "release"))[0]
        await counter.press("确认办理")

        assert [] == await world.receipts()
        wanted = {"late": "expired", "changed": "stale"}.get(what, "withdrawn")
        assert wanted == (await plan_of(lin, counter))["state"]
        assert any("已经失效" in text or "订单刚刚有变化" in text for text in await counter.said())


async def test_what_the_policy_leaves_to_a_person_needs_a_lead(tmp_path: Path, world: World) -> None:
    """An agent proposes, cannot approve; a lead can, within his limit; done once under two clicks; both are told."""
    limits = {"lead": {"CNY": 2_000_000}}
    async with open_counter(tmp_path, world, "refund_large", approve_up_to=limits) as counter:
        lin = await counter.opened(language="en")
        status, told = await counter.propose(lin, "refund", reason="changed_mind")
        assert (200, "person", "approval") == (status, told["outcome"], told["plans"][0]["state"])
        plan = told["plan"]
        assert not any("Please check" in text for text in await counter.said())
        path = f"/conversations/{counter.conversation}/plans/{plan}/approve"
        assert (403, "role") == _code(await lin.post(path))
        assert [] == await world.receipts()

        boss = await counter.house.person("boss", "lead")
        both = await asyncio.gather(boss.post(path), boss.post(path))
        receipts = await world.receipts()
        assert {200} == {status for status, _ in both} and 1 == len(receipts)
        assert 1 == sum(receipts[0]["id"] in text for text in await counter.said())
        row = await plan_of(lin, counter)
        assert ("done", "boss", "lin") == (row["state"], row["approved_by"], row["proposed_by"])


async def test_above_the_limit_only_an_admin(tmp_path: Path, world: World) -> None:
    async with open_counter(
        tmp_path, world, "refund_large", approve_up_to={"lead": {"CNY": 1, "USD": 1}}
    ) as counter:
        lin = await counter.opened()
        _, told = await counter.propose(lin, "refund")
        path = f"/conversations/{counter.conversation}/plans/{told['plan']}/approve"
        boss, chief = await counter.house.person("boss", "lead"), await counter.house.person("chief", "admin")
        assert (403, "limit") == _code(await boss.post(path))
        assert [] == await world.receipts()
        assert 200 == (await chief.post(path))[0]
        assert 200 == (await chief.post(path))[0]
        assert 1 == len(await world.receipts())


async def test_a_limit_for_the_admin_alone_gives_a_lead_no_more_than_usual(
    tmp_path: Path, world: World
) -> None:
    limits = {"admin": {"CNY": 5_000_000}}
    async with open_counter(tmp_path, world, "refund_large", approve_up_to=limits) as counter:
        lin = await counter.opened()
        _, told = await counter.propose(lin, "refund")
        path = f"/conversations/{counter.conversation}/plans/{told['plan']}/approve"
        boss, chief = await counter.house.person("boss", "lead"), await counter.house.person("chief", "admin")
        assert (403, "limit") == _code(await boss.post(path))
        assert 200 == (await chief.post(path))[0] and 1 == len(await world.receipts())


async def test_a_button_that_outlived_its_plan_does_nothing_and_says_so(tmp_path: Path, world: World) -> None:
    async with open_counter(tmp_path, world, "cancel_paid") as counter:
        lin = await counter.opened()
        await counter.propose(lin, "cancel")
        await counter.house.quiet()
        async with counter.house.gateway.store.write() as connection:
            await connection.execute(plans.delete())
        await counter.press("确认办理")
        assert [] == await world.receipts() and "已经失效" in (await counter.said())[-1]


async def test_what_the_policy_refuses_nobody_at_the_desk_can_do(tmp_path: Path, world: World) -> None:
    async with open_counter(tmp_path, world, "cancel_shipped") as counter:
        await counter.opened()
        chief = await counter.house.person("chief", "admin")
        assert 200 == (await chief.do(counter.conversation, "claim"))[0]
        status, told = await counter.propose(chief, "cancel")
        assert (200, "refused", "cancel_shipped") == (status, told["outcome"], told["clause"])
        assert [] == told["plans"] and [] == await world.receipts()


async def test_without_a_proof_nothing_is_read_or_proposed(tmp_path: Path, world: World) -> None:
    """No proof, an old proof, a wrong one told to a person; the right one opens it; guesses are counted."""
    async with open_counter(tmp_path, world, "cancel_paid") as counter:
        lin = await counter.opened(proven=False)
        assert (409, "unproven") == _code(await counter.propose(lin, "cancel"))
        owner = await counter.house.gateway.owner(counter.conversation)
        where = (
            f"/conversations/{counter.conversation}/order?number={counter.sample.number}&token={owner.token}"
        )
        assert (409, "unproven") == _code(await lin.get(where))
        proof = {"order": counter.sample.number, "kind": "phone_tail", "value": "0000"}
        assert (409, "proof_wrong") == _code(await lin.do(counter.conversation, "prove", **proof))
        tail = counter.sample.phone_tail
        assert 200 == (await lin.do(counter.conversation, "prove", **{**proof, "value": tail}))[0]
        status, order = await lin.get(where)
        assert 200 == status and "paid" == order["state"] and order["lines"]
        assert 200 == (await counter.propose(lin, "cancel"))[0]

        await counter.plans.guard.drop_grants(counter.conversation)
        await counter.press("确认办理")
        assert [] == await world.receipts() and "shown" == (await plan_of(lin, counter))["state"]
        await counter.prove()
        await counter.press("确认办理")
        assert 1 == len(await world.receipts())


async def test_only_who_has_the_conversation_proposes(tmp_path: Path, world: World) -> None:
    async with open_counter(tmp_path, world, "cancel_paid") as counter:
        lin = await counter.opened()
        mia = await counter.house.person("mia")
        assert (409, "not_yours") == _code(await counter.propose(mia, "cancel"))
        lin_late = {"operation": "cancel", "order": counter.sample.number, "token": 0}
        assert 409 == (await mia.post(f"/conversations/{counter.conversation}/plans", lin_late))[0]
        assert (400, "bad_body") == _code(await lin.do(counter.conversation, "plans", operation="give_all"))
        assert (400, "operation") == _code(await counter.propose(lin, "send_invoice"))


async def order_of(who: Colleague, counter: Counter) -> dict[str, Any]:
    token = (await counter.house.gateway.owner(counter.conversation)).token
    _, found = await who.get(
        f"/conversations/{counter.conversation}/order?number={counter.sample.number}&token={token}"
    )
    order: dict[str, Any] = found
    return order


@pytest.mark.parametrize(
    ("name", "operation", "language", "yes"),
    [
        ("exchange_size", "exchange", "zh", "确认办理"),
        ("exchange_size_en", "exchange", "en", "Yes, go ahead"),
        ("items_paid", "change_items", "zh", "确认办理"),
    ],
)
async def test_an_item_is_swapped_for_another_option_on_the_shoppers_yes(
    tmp_path: Path, world: World, name: str, operation: str, language: str, yes: str
) -> None:
    """The options with their stock are offered; the shopper reads what becomes what; the shop has exactly that."""
    async with open_counter(tmp_path, world, name) as counter:
        lin = await counter.opened(language=language)
        line = (await order_of(lin, counter))["lines"][0]
        wanted = next(one for one in line["variants"] if one["stock"] > 0)
        lines = [{"line_id": line["id"], "quantity": 1, "variant_id": wanted["id"]}]
        status, told = await counter.propose(lin, operation, lines=lines)
        assert (200, "allowed") == (status, told["outcome"]), told
        shown = f"→ {wanted['title'][language]}"
        assert shown in (await counter.said())[-1] and shown in counter.house.door.delivered[-1].card["lead"]
        assert [] == await world.receipts()

        await counter.press(yes)
        receipts = await world.receipts()
        assert [(operation, counter.sample.number)] == [(one["operation"], one["order"]) for one in receipts]
        assert receipts[0]["id"] in (await counter.said())[-1]
        order = await world.order(name)
        asked = order["requests"][-1]["lines"][0] if operation == "exchange" else order["lines"][0]
        assert wanted["id"] == asked["variant_id"]
        assert f"→ {wanted['title']['zh']}" in (await plan_of(lin, counter))["note"]


async def test_what_cannot_be_swapped_is_said_before_the_shopper_sees_anything(
    tmp_path: Path, world: World
) -> None:
    async with open_counter(tmp_path, world, "exchange_out_of_stock") as counter:
        lin = await counter.opened()
        line = (await order_of(lin, counter))["lines"][0]
        gone = next(one for one in line["variants"] if one["stock"] == 0)

        async def ask(**more: Any) -> tuple[int, str]:
            lines = [{"line_id": line["id"], "quantity": 1, **more}]
            return _code(await counter.propose(lin, "exchange", lines=lines))

        assert (400, "one_item") == _code(await counter.propose(lin, "exchange"))
        assert (400, "option") == await ask()
        assert (400, "option") == await ask(variant_id="of another product")
        assert (409, "out_of_stock") == await ask(variant_id=gone["id"])
        assert not any("请核对" in text for text in await counter.said())


@pytest.mark.parametrize(
    ("name", "said", "language", "yes", "city", "street"),
    [
        ("address_paid", "王小明 13900001234 浙江省杭州市西湖区文三路 8 号 2 幢 301", "zh", "确认办理", "杭州市", "文三路"),
        ("address_paid_en", "12 Baker Street, London NW1 6XE", "en", "Yes, go ahead", "London", "Baker Street"),
        ("address_paid", "杭州市西湖区文三路 8 号", "zh", "确认办理", "杭州市", "文三路"),
        ("address_paid", "门牌写错了，应该是 14 号", "zh", "确认办理", "成都市", "14 号 6 栋 904"),
        ("address_paid_en", "14 Oak Lane, Austin", "en", "Yes, go ahead", "Austin", "14 Oak Lane"),
    ],
)  # fmt: skip
async def test_the_address_is_changed_to_what_the_shopper_said(
    tmp_path: Path, world: World, name: str, said: str, language: str, yes: str, city: str, street: str
) -> None:
    """Typed as the shopper wrote it, shown to him whole, written on his yes; what is no address changes nothing."""
    async with open_counter(tmp_path, world, name) as counter:
        lin = await counter.opened(language=language)
        assert (400, "address") == _code(await counter.propose(lin, "change_address", address="???"))
        status, told = await counter.propose(lin, "change_address", address=said)
        assert (200, "allowed") == (status, told["outcome"])
        assert city in (await counter.said())[-1] and city in (await plan_of(lin, counter))["note"]

        await counter.press(yes)
        receipts = await world.receipts()
        assert [("change_address", counter.sample.number)] == [
            (one["operation"], one["order"]) for one in receipts
        ]
        address = (await world.order(name))["address"]
        assert city == address["city"] and street in address["street"]
        old = counter.sample.customer.address
        if city != old.city:  # nothing of the old place is mixed in
            assert not ({old.province, old.district} - {""}) & {address["province"], address["district"]}


async def test_a_parcel_under_way_keeps_its_address(tmp_path: Path, world: World) -> None:
    async with open_counter(tmp_path, world, "address_shipped") as counter:
        lin = await counter.opened()
        status, told = await counter.propose(lin, "change_address", address="浙江省杭州市西湖区文三路 8 号")
        assert (200, "refused") == (status, told["outcome"]) and told["clause"]
        assert [] == told.get("plans", []) and [] == await world.receipts()


@pytest.mark.parametrize(
    "fault", ["cut_after_commit", "error_after_commit", "error_5xx", "cut_before_commit"]
)
async def test_a_shop_that_fails_is_written_to_once(tmp_path: Path, world: World, fault: str) -> None:
    """The answer of the write is lost, or the shop is down: never a claim without a receipt, never a second write."""
    async with open_counter(tmp_path, world, "cancel_paid") as counter:
        lin = await counter.opened()
        await counter.propose(lin, "cancel")
        await world.fault("cancel", fault, times=20)
        await counter.press("确认办理")
        await counter.press("确认办理")

        receipts = await world.receipts()
        said = "".join(await counter.said())
        assert len(receipts) <= 1 and ("after_commit" in fault) == bool(receipts)
        assert bool(receipts) == ("已取消" in said)
        if not receipts:
            assert ("没有响应" if fault == "error_5xx" else "还在核实") in said
            assert "shown" == (await plan_of(lin, counter))["state"]  # pressing again asks by the same key


def _code(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1].get("error", "")
