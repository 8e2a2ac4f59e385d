"""Another address before the parcel leaves."""

from __future__ import annotations

import pytest

from bot.orders.shop.samples import sample


async def begin(talk, name, text="改地址"):
    order = sample(name)
    return await talk.say(f"{text} {order.number} {order.phone_tail}", "modify_address")


async def test_a_new_address_is_shown_in_full_and_written_after_a_yes(world, shopper):
    before = (await world.order("address_paid"))["address"]
    talk = await begin(shopper(), "address_paid")
    assert "新的收货地址" in talk.text
    await talk.say("浙江省杭州市西湖区文三路 1 号 2 幢 301 室")
    assert "文三路" in talk.text and "西湖区" in talk.text
    await talk.press("确认")

    after = (await world.order("address_paid"))["address"]
    assert ("杭州市", "西湖区") == (after["city"], after["district"]) and "文三路1号2幢301室" in after[
        "street"
    ].replace(" ", "")
    assert (before["name"], before["phone"]) == (after["name"], after["phone"])


async def test_an_english_address_with_a_new_recipient(world, shopper):
    talk = await begin(shopper(), "address_paid_en", "Change the address of order")
    await talk.say("Jane Miller, 12 Oak Street, Apt 4, Portland, OR 97201, USA")
    await talk.say("yes, please", "affirm")

    after = (await world.order("address_paid_en"))["address"]
    assert ("Jane Miller", "12 Oak Street, Apt 4", "Portland", "US") == (
        after["name"],
        after["street"],
        after["city"],
        after["country"],
    )
    assert "97201" == after["postcode"]


async def test_an_address_is_corrected_over_the_plan(world, shopper):
    talk = await begin(shopper(), "address_paid")
    await talk.say("浙江省杭州市西湖区文三路 1 号")
    await talk.say("写错了，是浙江省杭州市西湖区文三路 100 号", "correct")
    await talk.press("确认")

    before, after = sample("address_paid").customer.address, (await world.order("address_paid"))["address"]
    assert (before.name, "浙江省", "杭州市", "西湖区", "文三路100号") == tuple(
        after[key] for key in ("name", "province", "city", "district", "street")
    )
    assert 1 == len(await world.receipts())


async def test_what_is_no_address_gets_help_with_an_example(world, shopper):
    talk = await begin(shopper(), "address_paid")
    await talk.say("嗯", "affirm")

    assert "例如" in talk.text and "modify_address_form" == talk.loop


async def test_a_shipped_order_is_refused_before_the_address_is_typed(world, shopper):
    talk = await begin(shopper(), "address_shipped")

    assert talk.loop is None and [] == await world.receipts()
    assert talk.said[-1].kefu["explain"]["outcome"] in ("refused", "person")


async def test_the_new_recipients_phone_is_not_taken_for_the_proof(world, shopper):
    order = sample("address_paid")
    talk = await shopper().say(
        f"订单{order.number}地址写错了，改成上海市浦东新区世纪大道88号1201室，收件人李雷 13812345678",
        "modify_address",
    )
    assert "保护您的隐私" in talk.text
    await talk.say(order.phone_tail)

    assert "李雷 13812345678 上海市浦东新区世纪大道88号1201室" in talk.text
    assert "写错" not in talk.text and "四川" not in talk.text


@pytest.mark.parametrize("text", ["不对，是南京西路1268号2楼", "门牌是1268号", "写错了，应该是1268号"])
async def test_a_correction_over_the_plan_keeps_the_town_said_before(world, shopper, text):
    talk = await begin(shopper(), "address_paid")
    await talk.say("上海市静安区南京西路1266号2楼")
    await talk.say(text, "correct")
    assert "张敏 188" in talk.text and "上海市静安区南京西路1268号2楼" in talk.text
    await talk.press("确认")

    before, after = sample("address_paid").customer.address, (await world.order("address_paid"))["address"]
    assert (before.name, "上海市", "静安区", "南京西路1268号2楼") == tuple(
        after[key] for key in ("name", "city", "district", "street")
    )


async def test_a_corrected_english_street_keeps_its_town(world, shopper):
    talk = await begin(shopper(), "address_paid_en", "Change the address of order")
    await talk.say("12 Oak Lane, Austin, TX 73301")
    await talk.say("sorry, it's 14 Oak Lane", "correct")
    await talk.press("Confirm")

    after = (await world.order("address_paid_en"))["address"]
    assert ("14 Oak Lane", "Austin", "TX", "73301") == tuple(
        after[key] for key in ("street", "city", "province", "postcode")
    )


async def test_a_recipient_said_before_the_address_is_kept(world, shopper):
    talk = await begin(shopper(), "address_paid")
    await talk.say("收件人改成王芳，电话改成13900001111")
    await talk.say("浙江省杭州市西湖区文三路100号")
    await talk.press("确认")

    after = (await world.order("address_paid"))["address"]
    assert ("王芳", "13900001111", "杭州市") == (after["name"], after["phone"], after["city"])


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("address_paid", "杭州市西湖区文三路100号", ("浙江省", "杭州市", "西湖区")),
        ("address_paid", "改到杭州市文三路100号3栋", ("浙江省", "杭州市", "")),
        ("address_paid", "安吉市文三路100号3栋", ("", "安吉市", "")),
        ("address_paid_en", "14 Oak Lane, Austin", ("", "Austin", "")),
    ],
)
async def test_another_town_is_stored_as_the_plan_shows_it(world, shopper, name, text, place):
    english = name.endswith("_en")
    talk = await begin(shopper(), name, "Change the address of order" if english else "改地址")
    await talk.say(text)
    assert not any(word in talk.text for word in ("四川", "武侯", "California", "San Francisco"))
    assert all(part in talk.text for part in place)
    await talk.press("Confirm" if english else "确认")

    after = (await world.order(name))["address"]
    assert place == (after["province"], after["city"], after["district"]) and "" == after["postcode"]


async def test_a_door_number_alone_corrects_the_orders_own_street(world, shopper):
    talk = await begin(shopper(), "address_paid", "地址的门牌写错了")
    await talk.say("门牌应该是14号")
    assert "四川省成都市武侯区人民南路四段 14 号 6 栋 904" in talk.text
    await talk.press("确认")

    assert 1 == len(await world.receipts())


async def test_a_door_number_that_fits_nowhere_asks_for_the_address(world, shopper):
    talk = await begin(shopper(), "address_paid", "地址的门牌写错了")
    await talk.say("是3单元")

    assert "新的收货地址" in talk.text and [] == talk.buttons
