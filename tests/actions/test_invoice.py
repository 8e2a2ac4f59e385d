"""Invoices: personal, for a company, once more."""

from __future__ import annotations

from actions.invoice import company_named
from bot.orders.shop.samples import sample


async def begin(talk, name, text="开发票"):
    order = sample(name)
    return await talk.say(f"{text} {order.number} {order.phone_tail}", "invoice")


async def test_a_personal_invoice_needs_only_an_email(world, shopper):
    talk = await begin(shopper(), "invoice_delivered")
    await talk.press("个人")
    await talk.say("发到 me@example.org")
    assert "me@example.org" in talk.text
    await talk.press("确认")

    invoice = (await world.order("invoice_delivered"))["invoice"]
    assert ("personal", "me@example.org") == (invoice["kind"], invoice["email"])


async def test_a_company_invoice_in_one_message(world, shopper):
    talk = await begin(
        shopper(),
        "invoice_delivered",
        "开公司发票，抬头杭州小树科技有限公司，税号91330100MA27XW0000，发到fin@example.org，订单",
    )
    assert "杭州小树科技有限公司" in talk.text and "91330100MA27XW0000" in talk.text
    await talk.press("确认")

    invoice = (await world.order("invoice_delivered"))["invoice"]
    assert ("company", "杭州小树科技有限公司", "91330100MA27XW0000") == (
        invoice["kind"],
        invoice["title"],
        invoice["tax_number"],
    )


async def test_a_company_is_asked_for_name_and_tax_number_one_by_one(world, shopper):
    talk = await begin(shopper(), "invoice_delivered", "invoice please, order")
    await talk.press("Company")
    await talk.say("Green Leaf Trading Ltd")
    assert "tax number" in talk.text
    await talk.say("GB123456789")
    await talk.say("books@greenleaf.example.com")
    await talk.press("Confirm")

    invoice = (await world.order("invoice_delivered"))["invoice"]
    assert ("Green Leaf Trading Ltd", "GB123456789") == (invoice["title"], invoice["tax_number"])


async def test_an_invoice_is_sent_again_with_the_same_particulars(world, shopper):
    before = (await world.order("invoice_sent"))["invoice"]
    talk = await begin(shopper(), "invoice_sent", "发票没收到，重发一下")
    assert "邮箱" in talk.text
    await talk.say("again@example.org")
    await talk.press("确认")

    after = (await world.order("invoice_sent"))["invoice"]
    assert (before["title"], "again@example.org") == (after["title"], after["email"])


async def test_an_unpaid_order_gets_no_invoice(world, shopper):
    talk = await begin(shopper(), "invoice_unpaid")

    assert "没办法办理" in talk.text and [] == await world.receipts()


def test_a_sentence_about_a_company_invoice_names_no_company():
    assert company_named("我要开公司发票") is None and company_named("帮我开一张公司的发票") is None
    assert "北京星河科技有限公司" == company_named(
        "开公司发票，抬头北京星河科技有限公司，税号91110108MA01ABCD2X"
    )
