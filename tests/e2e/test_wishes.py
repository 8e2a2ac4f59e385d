"""More than one thing in a message, questions about a refusal, second thoughts about which one: none is lost."""

from __future__ import annotations

import pytest

from bot.orders.shop.samples import sample
from tests.e2e.assistant import Shop
from tests.e2e.conftest import NewShopper
from tests.e2e.words import LANGUAGES, REASONS, YES, ask_for, is_plan, tail

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("language", LANGUAGES)]


async def test_cancel_one_order_and_ask_for_another(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    first, second = sample("cancel_paid"), sample("status_stuck")  # both of C1003
    text = {
        "zh": f"取消订单{first.number}，另外{second.number}到哪了？手机尾号{first.phone_tail}",
        "en": f"cancel order {first.number} and where is {second.number}? My phone ends in {first.phone_tail}",
    }[language]
    shopper = await new_shopper(language)
    plan = await shopper.say(text)
    assert is_plan(plan)
    done = await shopper.say(YES[language])

    receipt = await shop.assert_one("cancel", first.number)
    assert [receipt["id"]] == done.receipts
    said = done.text if "order" in done.cards else (await shopper.say(tail(second, language))).text
    assert second.number in said


async def test_a_return_and_then_the_invoice(shop: Shop, new_shopper: NewShopper, language: str) -> None:
    order = sample("return_day7")
    shopper = await new_shopper(language)
    await ask_for(shopper, "order_status", order)
    text = {
        "zh": "我要退货，另外帮我开个人发票，发到a@example.com",
        "en": "I want to return it, and also send me a personal invoice to a@example.com",
    }[language]
    await shopper.say(text)
    plan = await shopper.say(REASONS["changed_mind"][language])
    assert is_plan(plan)
    then = await shopper.say(YES[language])
    assert {"receipt", "plan"} == set(then.cards), "the invoice's plan follows the receipt"
    await shopper.say(YES[language])

    changes = await shop.changes()
    assert [("return", order.number), ("send_invoice", order.number)] == [
        (one["operation"], one["order_number"]) for one in changes.writes
    ]


async def test_a_new_address_is_a_change_of_address(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("address_paid_en")
    text = {
        "zh": f"我搬家了，订单{order.number}请寄到上海市浦东新区世纪大道100号20楼",
        "en": f"I moved, please send order {order.number} to 500 Howard Street, San Francisco, CA 94105",
    }[language]
    shopper = await new_shopper(language)
    plan = await shopper.say(text, tail(order, language))
    assert is_plan(plan)
    await shopper.say(YES[language])

    await shop.assert_one("change_address", order.number)
    street = (await shop.order(order.number))["address"]["street"]
    assert {"zh": "世纪大道100号20楼", "en": "500 Howard Street"}[language] == street


async def test_why_not_is_answered_with_the_clause(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    shopper = await new_shopper(language)
    await ask_for(shopper, "return_goods", sample("return_day8"), REASONS["changed_mind"][language])
    said = await shopper.say({"zh": "为什么不能退", "en": "why can't I return it?"}[language])

    assert {"zh": "售后规则", "en": "after-sales policy"}[language] in said.text
    assert "7" in said.text
    assert "bot" == said.owner
    await shop.assert_untouched()


async def test_money_on_its_way_cannot_be_called_back(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("refund_under_way")
    text = {"zh": f"撤销退款申请 {order.number}", "en": f"withdraw my refund request {order.number}"}[
        language
    ]
    said = await (await new_shopper(language)).say(text, tail(order, language))

    assert {"zh": "不能再修改或撤销", "en": "no longer be changed or withdrawn"}[language] in said.text
    await shop.assert_untouched()


async def test_the_other_item_was_meant(shop: Shop, new_shopper: NewShopper, language: str) -> None:
    order = sample("return_day3_en")
    shopper = await new_shopper(language)
    await ask_for(shopper, "return_goods", order)
    await shopper.say({"zh": "第二件", "en": "the second one"}[language], "2")
    await shopper.say({"zh": "不是这件，另一件", "en": "no, the other one"}[language])
    plan = await shopper.say(REASONS["changed_mind"][language])
    assert is_plan(plan)
    await shopper.say(YES[language])

    await shop.assert_one("return", order.number)
    (request,) = (await shop.order(order.number))["requests"]
    assert ["L1"] == [line["line_id"] for line in request["lines"]]


async def test_for_a_return_only_orders_that_can_go_back_are_offered(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    orders = (await shop.state())["orders"].values()
    shopper = await new_shopper(language, customer="C1008")
    said = await shopper.say({"zh": "我要退货", "en": "I want to return something"}[language])
    states = {one["state"] for one in orders if one["customer_id"] == "C1008"}

    assert {"unpaid", "paid"} <= states, "there are others"
    offered = said.buttons[:-1]
    assert offered
    assert all({"zh": "已签收", "en": "delivered"}[language] in title for title in offered)


async def test_a_question_over_a_plan_leaves_the_plan_on_the_table(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("cancel_paid")
    shopper = await new_shopper(language)
    assert is_plan(await ask_for(shopper, "cancel_order", order))
    said = await shopper.say({"zh": "确认一下，会扣钱吗", "en": "yes, but what does it cost me?"}[language])
    assert [] == said.receipts
    assert is_plan(said)
    assert "bot" == said.owner
    await shopper.say(YES[language])

    await shop.assert_one("cancel", order.number)


async def test_an_opened_box_is_opened_also_when_nothing_was_used(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    shopper = await new_shopper(language)
    await ask_for(shopper, "return_goods", sample("return_hygiene"), REASONS["changed_mind"][language])
    said = await shopper.say({"zh": "拆了，但是没用过", "en": "opened, but not used"}[language])

    assert not is_plan(said)
    await shop.assert_untouched()


async def test_what_was_not_begun_is_offered_when_the_shopper_stops(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("return_day7")
    shopper = await new_shopper(language)
    text = {
        "zh": f"订单{order.number}我要退货，另外帮我开发票，手机尾号{order.phone_tail}",
        "en": f"I want to return order {order.number}, and also send me the invoice, phone ends in {order.phone_tail}",
    }[language]
    await shopper.say(text)
    said = await shopper.say({"zh": "算了", "en": "never mind"}[language])

    assert [{"zh": "开发票", "en": "Get an invoice"}[language]] == said.buttons
    await shop.assert_untouched()
