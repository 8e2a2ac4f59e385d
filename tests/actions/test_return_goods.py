"""Sending goods back: items, quantity, reason, opened, evidence, freight, instructions."""

from __future__ import annotations

import pytest

from actions.return_goods import ReturnGoodsForm
from bot.orders.shop.samples import sample
from tests.actions.test_answer import ReadsOrders


async def begin(talk, name, text="我要退货"):
    order = sample(name)
    return await talk.say(f"{text} {order.number} {order.phone_tail}", "return_request")


async def test_the_second_item_goes_back_with_freight_and_instructions(world, shopper):
    talk = await begin(shopper(), "return_day3")
    assert "哪件商品" in talk.text
    await talk.say("第二件")
    await talk.press("尺码或规格不合适")
    assert "寄回运费" in talk.text and "[] " != talk.text
    await talk.press("确认")

    [receipt] = await world.receipts()
    [request] = (await world.order("return_day3"))["requests"]
    assert 1 == len(request["lines"]) and request["id"] == receipt["request_id"]
    assert receipt["details"]["instructions"]["zh"] in talk.text


async def test_how_many_is_asked_when_there_are_two_of_it(world, shopper):
    talk = await begin(shopper(), "return_day3")
    await talk.say("第一件")
    assert "几件" in talk.text
    await talk.say("5件")
    assert "最多" in talk.text
    await talk.say("1")
    await talk.press("不想要了")
    await talk.press("确认")

    [request] = (await world.order("return_day3"))["requests"]
    assert [1] == [line["quantity"] for line in request["lines"]]


async def test_all_goes_back_in_english(world, shopper):
    talk = await begin(shopper(), "return_day3_en", "I want to return everything from order")
    await talk.press("Changed my mind")
    await talk.say("Yes, go ahead", "affirm")

    [request] = (await world.order("return_day3_en"))["requests"]
    assert [1, 2] == [line["quantity"] for line in request["lines"]]


async def test_a_quantity_is_corrected_over_the_plan(world, shopper):
    talk = await begin(shopper(), "return_day3")
    await talk.say("第一件，两件都退", "inform")
    await talk.press("不想要了")
    old = talk.said[-1].buttons[0]["payload"]
    await talk.say("不对，只退一件", "correct")
    assert "× 1" in talk.text
    await talk.send(old)
    assert [] == await world.receipts(), "the old plan is off the table"
    await talk.say("确认", "affirm")

    [request] = (await world.order("return_day3"))["requests"]
    assert [1] == [line["quantity"] for line in request["lines"]]


async def test_hygiene_goods_are_asked_about_and_refused_once_opened(world, shopper):
    talk = await begin(shopper(), "return_hygiene")
    await talk.press("不想要了")
    assert "拆封" in talk.text
    await talk.say("已经拆开用过了")

    assert "没办法办理" in talk.text and [] == await world.receipts()


async def test_sealed_hygiene_goods_go_back(world, shopper):
    talk = await begin(shopper(), "return_hygiene", "I want to return order")
    await talk.press("Changed my mind")
    await talk.say("No, still sealed")
    await talk.press("Confirm")

    assert 1 == len(await world.receipts())


PHOTO = "Zk3vYq0d2mX8tB1nC5rLwA.jpg"  # a name as the media store makes it


async def test_a_photo_becomes_evidence_of_a_fault(world, shopper):
    talk = await begin(shopper(), "return_day8")
    await talk.press("质量问题")
    assert "照片" in talk.text
    await talk.say("", None, media=[PHOTO])
    await talk.press("确认")

    [receipt] = await world.receipts()
    assert [PHOTO] == receipt["details"]["evidence"]


async def test_a_fault_without_a_photo_goes_on(world, shopper):
    talk = await begin(shopper(), "return_day8")
    await talk.press("质量问题")
    await talk.press("没有照片")

    assert ["确认", "取消"] == talk.buttons


@pytest.mark.parametrize("name", ["return_made_to_order", "return_fresh", "return_day16"])
async def test_what_the_policy_excludes_is_refused_with_its_clause(world, shopper, name):
    talk = await begin(shopper(), name)
    if "几件" in talk.text:
        await talk.say("全部")
    await talk.press("不想要了")

    assert "没办法办理" in talk.text and talk.said[-1].kefu["explain"]["clause"]
    assert [] == await world.receipts() and "人工客服" in talk.buttons


async def test_a_reason_is_corrected_over_the_plan(world, shopper):
    talk = await begin(shopper(), "return_day8")
    await talk.press("质量问题")
    await talk.press("没有照片")
    await talk.say("其实是不想要了", "correct", entities={"reason": "changed_mind"})

    assert "没办法办理" in talk.text, "past seven days a change of mind is refused"


async def over_the_plan(shopper, name="return_day8"):
    """A return for a fault whose plan is shown."""
    talk = await begin(shopper(), name)
    await talk.press("质量问题")
    await talk.press("没有照片")
    return talk


@pytest.mark.parametrize(
    "text",
    ["不要了", "不需要了", "我不要了", "不想要了", "不，不要了", "I don't want it", "no, I changed my mind"],
)
async def test_a_no_over_the_plan_is_no_reason(world, shopper, text):
    talk = await over_the_plan(shopper)
    await talk.say(text, "deny", entities={"reason": "changed_mind"})

    assert talk.loop is None and "没办法办理" not in talk.text
    assert [] == await world.receipts()


@pytest.mark.parametrize("text", ["好吧，不要了", "我不想要这双鞋了", "I don't want these any more"])
async def test_a_doubtful_no_over_the_plan_is_asked_again(world, shopper, text):
    talk = await over_the_plan(shopper)
    await talk.say(text, "nlu_fallback", confidence=0.3, entities={"reason": "changed_mind"})

    [task] = talk.slots["tasks"]
    assert "quality_fault" == task["reason"] and 2 == len(talk.buttons)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("不对，是尺码不合适", "wrong_size"),
        ("不对，拍错了", "changed_mind"),
        ("因为不想要了", "changed_mind"),
    ],
)
async def test_a_reason_over_the_plan_still_mends_it(world, shopper, text, reason):
    talk = await begin(shopper(), "return_day3")
    await talk.say("第二件")
    await talk.press("质量问题")
    await talk.press("没有照片")
    await talk.say(text, "correct", entities={"reason": reason})

    [task] = talk.slots["tasks"]
    assert reason == task["reason"] and ["确认", "取消"] == talk.buttons


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("等一下，我还有一个问题", 2),
        ("给我一个说法", 2),
        ("要等两个礼拜吗", 2),
        ("我家里一个人都没有", 2),
        ("我还有两个想问的", 2),
        ("只退一件", 1),
        ("一件", 1),
        ("我买了两件，退一件", 1),
        ("make it one item", 1),
    ],
)
async def test_only_a_count_that_is_meant_changes_the_plan(world, shopper, text, count):
    talk = await begin(shopper(), "return_day3")
    await talk.say("第一件，两件都退")
    await talk.press("不想要了")
    await talk.say(text, "nlu_fallback", confidence=0.3)

    [task] = talk.slots["tasks"]
    assert {"L1": count} == task["lines"]


@pytest.mark.parametrize(
    ("text", "lines"), [("退十二件", 0), ("十二", 0), ("我买了三件，退一件", 1), ("一", 1)]
)
async def test_the_quantity_is_read_whole(world, shopper, text, lines):
    talk = await begin(shopper(), "return_day3")
    await talk.say("第一件")
    await talk.say(text)

    assert {"L1": lines} == talk.slots["tasks"][0]["lines"] and ("最多" in talk.text) is (lines == 0)


async def asked_of_articles(shopper, text: str, word: str):
    """A message read as the wish to return, where a reranker finds the answer in the section with `word`."""
    talk, service = shopper(), ReadsOrders(word)
    talk.actions["return_goods_form"] = ReturnGoodsForm(service)
    return await talk.say(text, "return_request"), service


async def test_a_rule_that_was_asked_for_is_said_before_the_return_begins(world, shopper):
    talk, _ = await asked_of_articles(shopper, "拆封了退货期限还有吗", "签收后")

    rule, question = talk.said
    assert (
        "7天" in rule.text
        and rule.kefu["citations"]
        and rule.kefu["explain"]["answer"]["decision"] == "answer"
    )
    assert "订单号" in question.text and talk.loop == "return_goods_form"

    order = sample("return_day3")
    await talk.say(f"{order.number} {order.phone_tail}")
    assert "哪件商品" in talk.text  # and the return goes on


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("拆封了退货期限还有吗", "没有一条这样说"),  # no section answers: not a word about it, and no person
        ("我要退货，退货期限内", "签收后"),  # no question
        (
            f"拆封了 {sample('return_day3').number} 退货期限还有吗",
            "签收后",
        ),  # the policy will judge this very order
    ],
)
async def test_otherwise_the_return_begins_at_once(world, shopper, text, word):
    talk, service = await asked_of_articles(shopper, text, word)

    assert all("citations" not in said.kefu for said in talk.said) and talk.handoff is None
    assert talk.loop == "return_goods_form"
    assert bool(service.asked) == (word != "签收后")
