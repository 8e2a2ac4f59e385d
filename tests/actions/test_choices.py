"""Which of several: orders that suit come first, and "the other one" is the other one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from actions.items import hear_opened
from actions.order_days import read_day, read_period
from actions.order_numbers import read_numbers
from actions.orders import refer
from actions.other_one import means_one_more, means_other_one, means_other_order
from actions.tasks import Task
from actions.turn import Turn
from bot.orders.shop.samples import sample

FIRST, SECOND = "81234567890123456", "89876543210987654"


def told(text: str, asked: str | None = None, order: str | None = None, **entities: Any) -> Any:
    """A message beside a question; Sunday, 22 November 2026 in the shop."""
    found = [{"entity": name, "value": value} for name, values in entities.items() for value in values]
    return SimpleNamespace(
        turn=Turn("c1", text=text, entities=tuple(found)),
        task=Task(topic="return_goods", asked=asked, order_number=order),
        services=SimpleNamespace(now=lambda: datetime(2026, 11, 22, 4, tzinfo=UTC)),
        chosen=lambda: None,
    )


async def test_for_a_return_only_orders_that_can_go_back_are_offered(world, shopper):
    talk = await shopper("return_day3").say("我要退货", "return_request")

    assert "目前可以办理的" in talk.text and "其他订单" == talk.buttons[-1]
    assert all("已签收" in title for title in talk.buttons[:-1])


async def test_another_order_shows_the_rest_and_a_choice_there_is_refused_with_its_clause(world, shopper):
    talk = await shopper("return_day3").say("我要退货", "return_request")
    offered = talk.buttons[:-1]
    await talk.press("其他订单")
    assert not set(offered) & set(talk.buttons)
    await talk.press(next(title for title in talk.buttons if "已付款" in title))
    await talk.press("不想要了")

    assert "没办法办理" in talk.text


async def test_when_no_order_suits_it_is_said(world, shopper):
    talk = shopper("price_no_drop")  # C1007
    state = await world.state()
    for number, order in state["orders"].items():
        if order["customer_id"] == sample("price_no_drop").customer_id:
            await world.session.post(f"{world.url}/_orders/{number}", json={"state": "delivered"})
    await talk.say("取消订单", "cancel_order")

    assert "不符合办理条件" in talk.text and 5 == len(talk.buttons)


async def test_of_two_orders_the_other_one_is_taken(world, shopper):
    talk = await shopper("cancel_paid").say("取消订单", "cancel_order")
    first, *_ = [one for one in talk.buttons if one != "其他订单"]
    await talk.press(first)
    await talk.say("不是这个，另一个", "correct")

    # More than two: the choice comes again without the one that was turned down.
    assert first not in talk.buttons and talk.buttons


async def test_the_other_item_in_english(world, shopper):
    order = sample("return_day3_en")
    talk = shopper("return_day3_en")
    await talk.say(f"I want to return {order.number}", "return_request")
    await talk.say("the first one")
    assert "why" in talk.text
    await talk.say("no, the other one", "context_only")
    assert "Plush bear" in talk.text and "How many" in talk.text
    await talk.say("1")
    await talk.press("Changed my mind")
    await talk.press("Confirm")

    [request] = (await world.order("return_day3_en"))["requests"]
    assert ["L2"] == [line["line_id"] for line in request["lines"]]


async def test_the_other_item_over_the_plan_in_chinese(world, shopper):
    order = sample("return_day3")
    talk = shopper("return_day3")
    await talk.say(f"我要退货 {order.number}", "return_request")
    await talk.say("第二件")
    await talk.press("不想要了")
    old = talk.said[-1].buttons[0]["payload"]
    await talk.say("不是这件，是另一件", "correct")
    await talk.say("1")
    await talk.send(old)
    assert [] == await world.receipts()
    await talk.say("确认", "affirm")

    [request] = (await world.order("return_day3"))["requests"]
    assert ["L1"] == [line["line_id"] for line in request["lines"]]


@pytest.mark.parametrize(
    "text", ["第二件也退", "另一件也要退", "还要退第二件", "把第二件也退了吧", "第二件也能退吗", "还有第二件"]
)
async def test_one_more_item_over_the_plan(world, shopper, text):
    order = sample("return_day3")
    talk = shopper("return_day3")
    await talk.say(f"我要退货 {order.number}", "return_request")
    await talk.say("第一件")
    await talk.say("1件")
    await talk.press("不想要了")
    old = talk.said[-1].buttons[0]["payload"]
    await talk.say(text, "return_request")
    await talk.send(old)
    assert [] == await world.receipts(), "the old plan holds no longer"
    await talk.say("确认", "affirm")

    [request] = (await world.order("return_day3"))["requests"]
    assert {("L1", 1), ("L2", 1)} == {(line["line_id"], line["quantity"]) for line in request["lines"]}


@pytest.mark.parametrize("text", ["return the second one too", "I also want to return the other one"])
async def test_one_more_item_where_the_reason_is_asked_for(world, shopper, text):
    order = sample("return_day3_en")
    talk = shopper("return_day3_en")
    await talk.say(f"I want to return {order.number}", "return_request")
    await talk.say("the first one")
    await talk.say(text, "return_request")
    assert "why" in talk.text
    await talk.press("Changed my mind")
    await talk.press("Confirm")

    [request] = (await world.order("return_day3_en"))["requests"]
    assert {"L1", "L2"} == {line["line_id"] for line in request["lines"]}


async def test_an_item_that_stays_is_not_added(world, shopper):
    talk = shopper("return_day3")
    await talk.say(f"我要退货 {sample('return_day3').number}", "return_request")
    await talk.say("第二件")
    await talk.say("第一件也不退", "deny")
    await talk.press("不想要了")
    await talk.press("确认")

    [request] = (await world.order("return_day3"))["requests"]
    assert ["L2"] == [line["line_id"] for line in request["lines"]]


ONE_MORE = [
    "第二件也退", "另一件也要退", "第二件也一起退了吧", "顺便把第二件退了", "再退一件蓝色的", "还想退那双鞋", "把耳机也加上", "第三件也帮我换了",
    "return the second one as well", "I also want to exchange the other one", "add the second item", "please include the mug",
]  # fmt: skip
NO_MORE = [
    "第二件也坏了", "另一件也不退", "还是退第二件", "第二件也挺好的", "也没有用过", "另一件也是好的", "不是第一件，是第二件", "还没拆", "也不合适",
    "the second one is broken too", "it is too small", "the other one stays", "no, the second one", "too big to return",
]  # fmt: skip


@pytest.mark.parametrize("asked", ["reason", "consent", "quantity", "option"])
@pytest.mark.parametrize("text", ONE_MORE)
def test_one_more_is_added(text, asked):
    assert means_one_more(told(text, asked))


@pytest.mark.parametrize("asked", ["reason", "consent", "quantity", "option"])
@pytest.mark.parametrize("text", NO_MORE)
def test_what_adds_nothing(text, asked):
    assert not means_one_more(told(text, asked))


@pytest.mark.parametrize("text", ["还有第二件", "and the second one too", "the second one as well, please"])
def test_one_more_without_a_verb_is_no_reason(text):
    assert means_one_more(told(text, "consent")) and not means_one_more(told(text, "reason"))


async def test_the_request_that_can_be_withdrawn_is_the_one_that_is_meant(world, shopper):
    order = await world.order("return_under_way")
    paid = {
        "id": "RQ1",
        "operation": "price_protection",
        "status": "approved",
        "amount": {"amount": 100, "currency": "CNY"},
        "created_at": datetime.now(UTC).isoformat(),
        "lines": [],
    }
    await world.change("return_under_way", requests=[*order["requests"], paid])
    talk = shopper("return_under_way")
    await talk.say(f"撤销申请 {order['number']}", "withdraw_request")
    assert ["确认", "取消"] == talk.buttons
    await talk.press("确认")

    [receipt] = await world.receipts()
    assert order["requests"][0]["id"] == receipt["request_id"]


async def test_money_that_has_been_sent_cannot_be_withdrawn(world, shopper):
    order = sample("refund_under_way")
    talk = shopper("refund_under_way")
    await talk.say(f"撤销退款申请 {order.number}", "withdraw_request")

    assert "不能再修改或撤销" in talk.text and [] == await world.receipts()


async def test_an_item_is_corrected_while_the_reason_is_asked_for(world, shopper):
    order = sample("refund_paid_en")
    talk = shopper("refund_paid_en")
    await talk.say(f"I want a refund {order.number}", "refund_request")
    await talk.say("the first one")
    await talk.say("actually no, the second one", "correct")
    assert "why" in talk.text, "the position is no reason"
    await talk.press("Changed my mind")

    assert "Yoga mat" in talk.text and "shoes" not in talk.text


async def test_opened_and_not_used_is_opened(world, shopper):
    order = sample("return_hygiene")
    talk = shopper("return_hygiene")
    await talk.say(f"我要退货 {order.number}", "return_request")
    await talk.press("不想要了")
    await talk.say("拆了，但是没用过")

    assert "没办法办理" in talk.text


async def test_only_the_phone_of_an_address_changes(world, shopper):
    order = sample("address_paid")
    talk = shopper("address_paid")
    await talk.say(f"订单 {order.number} 收货电话改成13800001111", "modify_address")
    assert "13800001111" in talk.text
    await talk.press("确认")

    after = (await world.order("address_paid"))["address"]
    assert "13800001111" == after["phone"] and order.customer.address.street == after["street"]


async def test_an_order_from_earlier_is_named_before_anything_is_asked_about_it(world, shopper):
    order = sample("return_day7")
    talk = shopper("return_day7")
    await talk.say(f"查订单 {order.number}", "order_status")
    await talk.say("谢谢", "thanks")
    await talk.say("我要退货", "return_request")

    assert order.number in talk.said[0].text and "原因" in talk.said[-1].text


async def test_an_order_from_earlier_that_does_not_suit_makes_room_for_those_that_do(world, shopper):
    order = sample("status_shipped")
    talk = shopper("status_shipped")
    await talk.say(f"查订单 {order.number}", "order_status")
    await talk.say("谢谢", "thanks")
    await talk.say("我要退货", "return_request")

    assert "目前可以办理的" in talk.text


async def test_a_yes_takes_the_only_order_that_is_offered(world, shopper):
    talk = await shopper("exchange_under_way").say("撤销换货申请", "withdraw_request")
    assert 2 == len(talk.buttons)
    await talk.say("好的", "affirm")

    assert sample("exchange_under_way").number in talk.text


WHY = [
    "尺码选错了", "颜色搞错了", "弄错了型号", "选错了颜色", "下单的时候选错了", "你们发的不是这个", "收到的不是这款", "发来的是另一件",
    "仓库弄错了", "不要这件了", "我不要这个了", "不是这个原因", "不是这样的", "另一件不退", "另一件是好的", "另一件也坏了", "不是另一件",
    "还有另一个问题", "另外一个原因是太大", "我另外一个电话是多少", "You sent me the wrong one", "I got the wrong one", "The wrong one arrived",
    "they shipped the wrong one", "you sent me the other one", "it's not that good", "not that great", "the other one is fine",
    "I'll keep the other one", "not the other one", "I bought another one",
]  # fmt: skip
OTHER_ONES = [
    "不是这件，是另一件",
    "另一件",
    "不对，另外一件",
    "换另一件",
    "no, the other one",
    "I want the other one",
    "return the other one",
]


@pytest.mark.parametrize("asked", ["reason", "consent", "quantity"])
@pytest.mark.parametrize("text", WHY)
def test_why_it_goes_back_is_no_other_item(text, asked):
    assert not means_other_one(told(text, asked)) and not means_other_order(told(text, asked))


@pytest.mark.parametrize(
    "text", ["不小心点错了", "选错了", "点错了", "wrong one", "the wrong one", "I ordered the wrong one"]
)
def test_a_slip_is_a_reason_where_one_was_asked_for(text):
    assert not means_other_one(told(text, "reason"))


@pytest.mark.parametrize("asked", ["reason", "consent", "quantity"])
@pytest.mark.parametrize("text", OTHER_ONES)
def test_the_other_one_is_the_other_one(text, asked):
    assert means_other_one(told(text, asked))


SLIPS = [
    "选错了", "不好意思选错了", "我点错了", "不是这个", "不是这件，是那件", "不是这双鞋子", "我说的不是这个", "我选错件了", "不是这个，另一个",
    "not this one", "not that one, the blue one", "I picked the wrong one", "sorry, wrong one", "that's the wrong one",
]  # fmt: skip


@pytest.mark.parametrize("text", SLIPS)
def test_over_the_plan_a_slip_is_a_wrong_choice(text):
    assert means_other_one(told(text, "consent"))


@pytest.mark.parametrize("asked", ["reason", "consent"])
@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("不是这个订单，换一个订单", True),
        ("我搞错订单了", True),
        ("订单号写错了", True),
        ("另一个订单", True),
        ("not this order, the one from yesterday", True),
        ("sorry, wrong order", True),
        ("I gave you the wrong order number", True),
        ("You sent me the wrong order", False),
        ("the wrong order arrived", False),
        ("they delivered the wrong order", False),
        ("你们把订单搞错了", False),
        ("订单发错了", False),
        ("不要这个订单了", False),
        ("不是这单的问题", False),
    ],
)
def test_another_order_or_the_wrong_one_sent(text, other, asked):
    assert other is means_other_order(told(text, asked))


@pytest.mark.parametrize(
    ("text", "reason"),
    [("You sent me the wrong one", "wrong_item"), ("尺码选错了", "wrong_size"), ("不小心点错了", None)],
)
async def test_a_wrong_choice_given_as_the_reason_keeps_order_and_item(world, shopper, text, reason):
    order = sample("return_day3")
    talk = await shopper("return_day3").say(f"我要退货 {order.number}", "return_request")
    await talk.say("第二件")
    await talk.say(text, entities={"reason": reason} if reason else {})

    [task] = talk.slots["tasks"]
    assert (order.number, ["L2"]) == (task["order_number"], list(task["lines"]))
    assert (reason or "other") == task["reason"]


async def test_what_is_denied_is_not_returned(world, shopper):
    talk = await shopper("return_day3").say(f"我要退货 {sample('return_day3').number}", "return_request")
    await talk.say("不是第一件，是第二件")

    assert ["L2"] == list(talk.slots["tasks"][0]["lines"])


@pytest.mark.parametrize(
    ("text", "entities", "numbers"),
    [
        (f"订单号不是{FIRST}，是{SECOND}", [FIRST, SECOND], [SECOND]),
        (f"{FIRST}打错了，是{SECOND}", [FIRST, SECOND], [SECOND]),
        (f"不退{FIRST}，退{SECOND}", [FIRST, SECOND], [SECOND]),
        (f"{FIRST}改成{SECOND}", [FIRST, SECOND], [SECOND]),
        (f"it's {SECOND}, not {FIRST}", [SECOND, FIRST], [SECOND]),
        (f"return {SECOND} instead of {FIRST}", [SECOND, FIRST], [SECOND]),
        (f"刚才说的是{FIRST}，应该是{SECOND}", [FIRST, SECOND], [SECOND, FIRST]),
        (f"把{FIRST}和{SECOND}都退了", [FIRST, SECOND], [FIRST, SECOND]),
        (f"return {FIRST} and {SECOND}", [FIRST, SECOND], [FIRST, SECOND]),
        (f"不是{FIRST}", [FIRST], []),
        # Said of the order, not of its number.
        (f"订单{FIRST}不对，少了一件", [FIRST], [FIRST]),
        (f"为什么不退{FIRST}的钱", [FIRST], [FIRST]),
        (f"我不要{FIRST}了", [FIRST], [FIRST]),
        (f"是不是{FIRST}", [FIRST], [FIRST]),
        (f"{FIRST}发错了货", [FIRST], [FIRST]),
        (f"I have not received order {FIRST}", [FIRST], [FIRST]),
        (f"why hasn't order {FIRST} shipped", [FIRST], [FIRST]),
        (f"it's not {FIRST}, sorry", [FIRST], []),
    ],
)
def test_of_several_numbers_what_is_not_denied(text, entities, numbers):
    assert numbers == read_numbers(told(text, "consent", FIRST, order_number=entities))


@pytest.mark.parametrize(
    ("text", "entities"),
    [
        ("13812345678", {}),
        ("86 138 1234 5678", {}),
        ("13812345678", {"order_number": ["13812345678"]}),
        ("我手机号是13812345678", {"phone": ["+8613812345678"]}),
        ("415-555-2671", {"phone": ["+14155552671"]}),
    ],
)
def test_a_phone_is_no_order_number(text, entities):
    assert [] == read_numbers(told(text, "order_number", **entities))


@pytest.mark.parametrize("text", [FIRST, "8123 4567 8901 23456", f"手机13812345678，订单{FIRST}"])
def test_an_order_number_is_none(text):
    assert [FIRST] == read_numbers(told(text, "order_number"))


async def test_a_phone_where_the_number_was_asked_for_costs_no_try_and_is_kept(world, shopper):
    order = sample("return_day7")
    talk = await shopper().say("我要退货", "return_request")
    for text in ("13812345678", f"我手机号是1380000{order.phone_tail}"):
        await talk.say(text)
        assert "我的订单" in talk.text and talk.slots["tasks"][0].get("order_number") is None
    await talk.say(order.number)

    assert "原因" in talk.text, "the phone was the proof"


async def test_a_corrected_number_leaves_the_first_order(world, shopper):
    first, second = sample("refund_paid"), sample("cancel_unpaid")  # both of C1001
    talk = await shopper("refund_paid").say(f"取消订单 {first.number}", "cancel_order")
    await talk.say(f"订单号不是{first.number}，是{second.number}", "correct")

    assert second.number == talk.slots["order_number"] and second.number in talk.text


async def test_two_orders_of_one_wish_are_done_one_after_the_other(world, shopper):
    first, second = sample("refund_paid"), sample("cancel_unpaid")  # both of C1001
    talk = await shopper("refund_paid").say(f"把{first.number}和{second.number}都取消了", "cancel_order")
    assert "都记下了" in talk.said[0].text and f"再取消订单（{second.number}）" in talk.said[0].text
    assert second.number not in "".join(one.text for one in talk.said[1:])
    await talk.press("确认")
    assert second.number in talk.said[-1].text
    await talk.press("确认")

    assert [first.number, second.number] == [one["order"] for one in await world.receipts()]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("昨天买的", 21),
        ("昨天那单还没收到", 21),
        ("昨天买的还没收到", 21),
        ("昨天下的单，今天到了", 21),
        ("前天买的", 20),
        ("大前天买的", 19),
        ("今天那单", 22),
        ("the order I placed yesterday", 21),
        ("the one from yesterday", 21),
        ("yesterday's order", 21),
        ("the one I ordered today", 22),
        ("昨天刚收到的鞋", None),
        ("鞋昨天到的", None),
        ("昨天签收的", None),
        ("我今天要退货", None),
        ("I received the shoes yesterday", None),
        ("it arrived yesterday", None),
        ("上个月买的那双", None),
    ],
)
def test_a_day_is_when_it_was_ordered(text, day):
    found = read_day(told(text))

    assert (date(2026, 11, day) if day else None) == found


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("我要退上个月买的那双鞋", (date(2026, 10, 1), date(2026, 10, 31))),
        ("the shoes I bought last week", (date(2026, 11, 9), date(2026, 11, 15))),
        ("上上个月买的", (date(2026, 9, 1), date(2026, 9, 30))),
        ("上周收到的", None),
        ("上周五买的", None),
        ("上个月5号", None),
        ("arrived last week", None),
        ("last month", (date(2026, 10, 1), date(2026, 10, 31))),
        ("the one from last month", (date(2026, 10, 1), date(2026, 10, 31))),
        ("这周能退吗", None),
        ("I asked for it last week", None),
    ],
)
def test_a_week_or_month_in_which_it_was_ordered(text, period):
    assert period == read_period(told(text))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("我要退上个月买的那双鞋", ["B"]),
        ("最近买的", ["A"]),
        ("不是第一个，是第二个", ["B"]),
        ("上个星期买的", []),
        ("昨天刚收到的鞋", []),
        ("最近收到的", []),
    ],
)
def test_the_order_that_the_words_point_at(text, numbers):
    orders: Any = [
        SimpleNamespace(number="A", created_at=datetime(2026, 11, 21, 4, tzinfo=UTC)),
        SimpleNamespace(number="B", created_at=datetime(2026, 10, 21, 4, tzinfo=UTC)),
    ]

    assert numbers == [one.number for one in refer(told(text), orders)]


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("还没来得及拆开", False),
        ("没有被拆过", False),
        ("没敢拆", False),
        ("没拆没用过", False),
        ("没打开使用过", False),
        ("还没打开", False),
        ("全新", False),
        ("I haven't even opened it", False),
        ("not yet opened", False),
        ("haven't had time to open it", False),
        ("haven't opened or used it", False),
        ("I didn't open it", False),
        ("No, still sealed", False),
        ("brand new", False),
        ("全新的，就拆开看了一下", True),
        ("brand new, I only opened the box", True),
        ("没忍住拆了", True),
        ("没注意就拆开了", True),
        ("没有，已经拆了", True),
        ("没完全拆开", True),
        ("没怎么用过", True),
        ("拆了，但是没用过", True),
        ("not only opened but used", True),
        ("not sealed anymore", True),
        ("I opened it and sealed it again", True),
        ("外盒拆了，里面没拆封", None),  # asked again
        ("没用几次", None),
        ("不是没拆", None),
    ],
)
def test_opened_or_not(text, opened):
    talk = told(text, "opened")

    assert (opened is not None) is hear_opened(talk) and opened is talk.task.opened
