"""Invoices: personal, for a company, once more."""

from __future__ import annotations

from datetime import date

import pytest

from actions.invoice import company_named, read_kind, read_tax_number
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


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("改成个人的", "personal"),
        ("不开公司的了，改成个人", "personal"),
        ("不要公司抬头，开个人", "personal"),
        ("不要公司抬头开个人", "personal"),
        ("公司的不要了，个人", "personal"),
        ("公司发票开错了，改成个人", "personal"),
        ("没有税号，开个人吧", "personal"),
        ("我没有公司，个人的就行", "personal"),
        ("税号不用了，开个人的", "personal"),
        ("公司改成个人", "personal"),
        ("改公司抬头为个人", "personal"),
        ("开个人的，发到公司邮箱 a@example.org", "personal"),
        ("make it personal, not company", "personal"),
        ("personal not company", "personal"),
        ("I don't want a company invoice, personal please", "personal"),
        ("change from company to personal", "personal"),
        ("the company one is wrong, I need a personal one", "personal"),
        ("改成公司抬头", "company"),
        ("不是个人是公司", "company"),
        ("从个人换成公司", "company"),
        ("我个人想开公司发票", "company"),
        ("是不是要公司抬头", "company"),
        ("能不能开公司发票", "company"),
        ("个人的发票不对，应该是公司的", "company"),
        ("instead of personal make it company", "company"),
        ("not personal but company", "company"),
        ("no, company", "company"),
        ("Private Label Ltd", "company"),
        ("company invoice, send it to my personal email x@example.org", "company"),
        ("个人还是公司都行吗", None),
        ("不要公司的", None),
        ("not company", None),
        ("开发票", None),
    ],
)
def test_a_denied_kind_of_invoice_is_not_the_one_wanted(text, kind):
    assert kind == read_kind(text)


@pytest.mark.parametrize(
    ("text", "asked", "number"),
    [
        ("税号91330100MA27XW0000", False, "91330100MA27XW0000"),
        ("91330100ma27xw0000", False, "91330100MA27XW0000"),
        ("税号是110108123456789", False, "110108123456789"),
        ("my VAT number is GB123456789", False, "GB123456789"),
        ("tax id 12-3456789", False, "12-3456789"),
        ("110108123456789", True, "110108123456789"),
        ("12345678", True, "12345678"),
        ("帮我开公司发票，订单81762229598565996，手机13800002046", False, None),
        ("帮我开公司发票，手机 +86 138 0000 2046", True, None),
        ("13800002046", True, None),
        ("2026-09-12买的", True, None),
        ("买的ABC-12345678那个", False, None),
        ("12345678", False, None),
    ],
)
def test_a_phone_an_order_or_a_day_is_no_tax_number(text, asked, number):
    assert number == read_tax_number(text, date(2026, 9, 20), asked=asked)


def test_a_title_keeps_its_first_character_and_leaves_out_the_denied_one():
    assert "张小泉股份有限公司" == company_named("抬头张小泉股份有限公司")
    assert "张记餐饮公司" == company_named("开一张张记餐饮公司的")


COMPANY = "开公司发票，抬头杭州小树科技有限公司，税号91330100MA27XW0000，发到fin@example.org，订单"


@pytest.mark.parametrize(
    "text", ["改成个人的", "不开公司的了，改成个人", "不要公司抬头，开个人", "make it personal, not company"]
)
async def test_a_personal_invoice_has_nothing_of_the_company(world, shopper, text):
    talk = await begin(shopper(), "invoice_delivered", COMPANY)
    await talk.say(text, "correct")
    assert "杭州小树" not in talk.text and "91330100" not in talk.text
    await talk.press("Confirm" if "personal" in text else "确认")

    invoice = (await world.order("invoice_delivered"))["invoice"]
    assert ("personal", "Sofia Chen") == (invoice["kind"], invoice["title"]) and not invoice.get("tax_number")


async def test_a_personal_invoice_sent_again_for_a_company_asks_for_its_title(world, shopper):
    talk = await begin(shopper(), "invoice_sent", "发票没收到，重发一下")
    await talk.say("again@example.org")
    await talk.say("改成公司抬头", "correct")
    assert "抬头" in talk.text and "确认" not in talk.buttons
    await talk.say("杭州小树科技有限公司")
    await talk.say("91330100MA27XW0000")

    assert "杭州小树科技有限公司" in talk.text and "91330100MA27XW0000" in talk.text


async def test_a_company_that_is_only_denied_is_asked_about_again(world, shopper):
    talk = await begin(shopper(), "invoice_delivered", COMPANY)
    await talk.say("不要公司的", "correct")

    assert ["个人", "公司"] == talk.buttons


async def test_a_denied_kind_is_no_answer_to_the_question(world, shopper):
    talk = await begin(shopper(), "invoice_delivered")
    await talk.say("不要公司的，开个人的")

    assert "邮箱" in talk.text and "抬头" not in talk.text


async def test_the_phone_that_proves_the_order_is_no_tax_number(world, shopper):
    order = sample("invoice_delivered")
    talk = await shopper().say(f"帮我开公司发票，订单{order.number}，手机{order.customer.phone}", "invoice")
    await talk.say("杭州小树科技有限公司")

    assert "税号" in talk.text and "确认" not in talk.buttons


async def test_a_tax_number_of_digits_alone_is_no_other_order(world, shopper):
    talk = await begin(shopper(), "invoice_delivered")
    await talk.say("公司，杭州小树科技有限公司")
    assert "税号" in talk.text
    await talk.say("110108123456789", entities={"order_number": "110108123456789"})
    await talk.say("fin@example.org")

    assert "110108123456789" in talk.text and sample("invoice_delivered").number in talk.text
    assert "确认" in talk.buttons


async def test_a_new_company_replaces_the_one_it_denies(world, shopper):
    talk = await begin(shopper(), "invoice_delivered", COMPANY)
    await talk.say("不是杭州小树科技有限公司，是杭州大树科技有限公司", "correct")

    assert "杭州大树科技有限公司" in talk.text and "小树" not in talk.text
