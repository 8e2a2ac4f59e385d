"""Another address before the parcel leaves."""

from __future__ import annotations

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

    assert "100" in (await world.order("address_paid"))["address"]["street"]
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
