"""What may happen at any point: corrections, digressions, changes of mind and of language, nonsense, a person."""

from __future__ import annotations

import pytest
from rasa_sdk import Action

from actions.human import left_to_person, only_asks_whether_bot
from actions.replies import hand_over
from bot.orders.shop.samples import sample


async def test_not_this_order_but_yesterdays(world, shopper):
    first = sample("cancel_paid").number
    talk = await shopper(of="cancel_paid").say(f"取消 {first}", "cancel_order")
    assert ["确认", "取消"] == talk.buttons
    await talk.say("不是这个订单，换一个订单", "correct")
    assert "哪一个订单" in talk.text and talk.buttons
    wanted = next(button for button in talk.said[-1].buttons if first not in button["payload"])
    await talk.press(wanted["title"])

    assert talk.slots["order_number"] in wanted["payload"] and [] == await world.receipts()


async def test_a_question_in_between_is_answered_and_the_task_goes_on(world, shopper):
    order = sample("refund_paid")
    talk = await shopper().say(f"退款 {order.number} {order.phone_tail}", "refund_request")
    await talk.say("你们的退货政策是什么", "policy_question")
    assert ["action_answer", "refund_form"] == talk.ran
    assert "[article]" in talk.said[0].text and "原因" in talk.said[1].text
    await talk.press("不想要了")

    assert ["确认", "取消"] == talk.buttons


async def test_a_look_at_the_parcel_in_between_comes_back_to_the_refund(world, shopper):
    order = sample("refund_paid")
    talk = await shopper().say(f"退款 {order.number} {order.phone_tail}", "refund_request")
    await talk.say("先帮我看看订单到哪一步了", "order_status")

    assert ["order_status_form", "refund_form"] == talk.ran
    assert order.number in talk.said[0].text and "原因" in talk.said[-1].text


async def test_a_question_that_needs_questions_of_its_own_comes_back_too(world, shopper):
    talk = await shopper().say("我要退款", "refund_request")
    other = sample("status_shipped")
    await talk.say("先查一下快递", "delivery")
    assert "order_status_form" == talk.loop
    await talk.say(f"{other.number} {other.phone_tail}")

    assert ["order_status_form", "refund_form"] == talk.ran and "refund_form" == talk.loop


async def test_another_wish_replaces_the_first_and_keeps_the_order(world, shopper):
    order = sample("return_day3")
    talk = await shopper().say(f"退货 {order.number} {order.phone_tail}", "return_request")
    await talk.say("算了我想换货", "exchange_request")
    assert "exchange_form" == talk.loop and "哪件商品" in talk.text
    await talk.say("第二件")

    assert "exchange_form" == talk.loop and ["exchange"] == [task["topic"] for task in talk.slots["tasks"]]


async def test_stopping_leaves_everything_as_it_is(world, shopper):
    order = sample("return_day3")
    talk = await shopper().say(f"return {order.number} {order.phone_tail}", "return_request")
    await talk.say("never mind", "stop")

    assert talk.loop is None and talk.slots["tasks"] is None and "nothing has been changed" in talk.text


async def test_a_person_is_asked_for_in_the_middle(world, shopper):
    order = sample("return_day3")
    talk = await shopper().say(f"退货 {order.number} {order.phone_tail}", "return_request")
    await talk.say("转人工", "human_agent")

    assert "asked" == talk.handoff["reason"] and "return_goods" == talk.handoff["goal"]
    assert order.number == talk.handoff["packet"]["order_number"] and talk.loop is None


async def test_vague_twice_is_help_and_then_a_person(world, shopper):
    talk = await shopper().say("我要退款", "refund_request")
    await talk.say("嗯哼", "nlu_fallback", confidence=0.2)
    assert "我的订单" in talk.text and talk.handoff is None
    await talk.say("啊？", "nlu_fallback", confidence=0.2)

    assert "two_failures" == talk.handoff["reason"]


async def test_vague_once_and_understood_afterwards_starts_counting_anew(world, shopper):
    order = sample("refund_paid")
    talk = await shopper().say("我要退款", "refund_request")
    await talk.say("嗯哼", "nlu_fallback", confidence=0.2)
    await talk.say(order.number)
    await talk.say("什么", "nlu_fallback", confidence=0.2)

    assert talk.handoff is None and "5678" in talk.text


async def test_outside_a_task_the_two_likeliest_are_offered_then_a_person(world, shopper):
    ranking = [("nlu_fallback", 0.4), ("refund_request", 0.35), ("return_request", 0.3), ("greet", 0.2)]
    talk = await shopper().say("那个东西", "nlu_fallback", ranking=ranking)
    assert ["申请退款", "退货", "人工客服"] == talk.buttons
    await talk.say("唔", "nlu_fallback", ranking=ranking)

    assert "two_failures" == talk.handoff["reason"]


async def test_a_guess_is_taken_up_by_its_button(world, shopper):
    ranking = [("nlu_fallback", 0.4), ("refund_request", 0.35), ("return_request", 0.3)]
    talk = await shopper().say("that thing", "nlu_fallback", ranking=ranking)
    await talk.press("Get a refund")

    assert "refund_form" == talk.loop and "order number" in talk.text


async def test_the_language_follows_the_last_message(world, shopper):
    order = sample("return_day3")
    talk = await shopper().say(f"退货 {order.number} {order.phone_tail}", "return_request")
    await talk.say("the second one please")
    assert "why" in talk.text
    await talk.say("尺码不合适", "inform", entities={"reason": "wrong_size"})

    assert "请核对" in talk.text


async def test_an_empty_message_and_an_emoji_get_help(world, shopper):
    for text, intent in (("", None), ("🤔", "nlu_fallback"), ("哈" * 10_000, "nlu_fallback")):
        talk = await shopper(conversation=f"c{len(text)}").say(text, intent, ranking=[])
        assert talk.buttons and talk.handoff is None


async def test_an_empty_message_in_a_task_gets_help_there(world, shopper):
    talk = await shopper().say("我要退款", "refund_request")
    await talk.say("", None)

    assert ["refund_form"] == talk.ran and "订单号" in talk.text


async def test_a_photo_without_words_is_acknowledged(world, shopper):
    talk = await shopper().say("", None, media=["m1"])

    assert "照片收到了" in talk.text


async def test_a_button_of_an_old_question_changes_nothing(world, shopper):
    talk = await shopper().send('/affirm{"plan": "0000"}')
    assert "没有做任何改动" in talk.text
    await talk.send('/inform{"choice": "L1"}')

    assert [] == await world.receipts()


async def test_a_number_alone_shows_the_order_once_it_is_proven(world, shopper):
    order = sample("status_paid")
    talk = await shopper().say(f"{order.number} {order.phone_tail}")

    assert order.number in talk.text and "order_status_form" in talk.ran


async def test_a_proven_order_is_not_proven_again_for_the_next_wish(world, shopper):
    order = sample("cancel_paid")
    talk = await shopper().say(f"查订单 {order.number} {order.phone_tail}", "order_status")
    await talk.say("取消吧", "cancel_order")

    assert ["确认", "取消"] == talk.buttons


async def test_a_complaint_is_met_with_an_apology_then_a_person(world, shopper):
    talk = await shopper().say("什么破店", "complaint")
    assert "抱歉" in talk.text and talk.handoff is None
    await talk.say("太差了", "complaint")

    assert talk.handoff is not None


async def test_a_lawyer_means_a_person_at_once(world, shopper):
    talk = await shopper().say("I will call my lawyer", "complaint")

    assert "threat" == talk.handoff["reason"]


async def test_a_wish_beside_much_information_is_not_lost(world, shopper):
    order = sample("return_day3_en")
    ranking = [("inform", 0.64), ("return_request", 0.32), ("cancel_order", 0.01)]
    talk = await shopper().say(
        f"I want to return order {order.number}, phone ends in {order.phone_tail}", "inform", ranking=ranking
    )

    assert "return_goods_form" == talk.loop and "Which item" in talk.text


async def test_never_mind_said_alone_ends_the_task_whatever_was_understood(world, shopper):
    order = sample("return_day3")
    for words in ("取消", "never mind", "算了吧"):
        talk = await shopper(of="return_day3").say(f"退货 {order.number}", "return_request")
        await talk.say(words, "cancel_order", confidence=0.9)

        assert talk.loop is None and not talk.slots["tasks"]
        assert any(word in talk.text for word in ("先不办了", "leave it"))


async def test_bare_digits_are_no_wish_for_a_person(world, shopper):
    order = sample("cancel_paid")
    talk = await shopper().say("我要取消订单", "cancel_order")
    grouped = " ".join((order.number[:4], order.number[4:8], order.number[8:12], order.number[12:]))
    await talk.say(grouped, "human_agent", confidence=0.9)

    assert talk.handoff is None and "后四位" in talk.text


async def test_a_question_is_no_reason(world, shopper):
    order = sample("return_day3")
    talk = await shopper(of="return_day3").say(f"退货 {order.number}", "return_request")
    await talk.say("第二件")
    await talk.say("运费谁出？", "policy_question", confidence=0.45)

    assert "[article]" in talk.text and "原因" in talk.text and "确认" not in talk.buttons


async def test_another_customers_order_is_asked_a_proof_for_as_if_for_the_first_time(world, shopper):
    other = sample("return_day7")
    talk = await shopper(of="return_day3").say(f"退货 {sample('return_day3').number}", "return_request")
    await talk.say(f"退货 {other.number}", "return_request")

    assert "保护您的隐私" in talk.text and "上次核对" not in talk.text


async def test_a_shopper_without_a_number_hears_where_it_stands(world, shopper):
    talk = await shopper().say("查物流", "delivery")
    await talk.say("我没有订单号", "order_status")

    assert "我的订单" in talk.text and "转人工" in talk.text and talk.handoff is None


async def test_whoever_asks_whether_it_is_a_bot_gets_an_honest_answer(world, shopper):
    for words, answer in (("你是机器人吗", "不是真人"), ("are you a real person?", "not a person")):
        talk = await shopper().say(words, "human_agent")

        assert answer in talk.text and talk.handoff is None and 1 == len(talk.buttons)
    await talk.say("no, get me a real person", "human_agent")

    assert talk.handoff is not None


@pytest.mark.parametrize(
    "words",
    [
        "你是机器人吗",
        "你是机器人吧",
        "你是真人吗还是机器人",
        "请问您是人工客服还是机器人呢？",
        "你是不是机器人啊？",
        "你到底是人还是机器",
        "跟我聊天的是真人吗",
        "我是在跟机器人说话吗",
        "你是機器人嗎？",
        "你好，这是自动回复吗",
        "你是机器人吗？回复这么快",
        "am I talking to a robot",
        "are you a real person?",
        "Hi, are you a human or a bot?",
        "is this a bot??",
        "r u an AI? just curious",
        "You're a bot, right?",
        "can you tell me if you are a bot?",
        "Is this a real person or am I talking to a machine?",
    ],
)
def test_the_bare_question_is_only_a_question(words):
    assert only_asks_whether_bot(words)


@pytest.mark.parametrize(
    "words",
    [
        "你是机器人吧，给我转人工",
        "你是不是机器人？转人工",
        "你是人工吗？我要人工客服",
        "Are you a bot? I want to talk to a human",
        "is this a bot?? get me a real person",
        "你是机器人吗我要人工",
        "你是机器人，转人工",
        "是机器人吗？不是的话帮我转接客服",
        "你是真人吗？叫你们经理来",
        "你是機器人嗎？我要找真人",
        "转人工，你是机器人吗",
        "你是机器人吗，听不懂人话",
        "我不想跟机器人说话",
        "有人工吗",
        "人工？",
        "我跟人工聊吧",
        "am i talking to a bot? agent!",
        "Are you human? If not, transfer me to one",
        "are you a bot or human? human",
        "are you a bot or can I talk to someone real",
        "is this a robot? let me speak to your manager",
        "is there a real person there",
        "you're a bot, get me an agent",
        "I don't want to talk to a bot",
    ],
)
def test_a_wish_for_a_person_beside_the_question_is_no_bare_question(words):
    assert not only_asks_whether_bot(words)


@pytest.mark.parametrize(
    "words",
    ["你是机器人吧，给我转人工", "你是人工吗？我要人工客服", "Are you a bot? I want to talk to a human"],
)
async def test_who_asks_whether_it_is_a_bot_and_for_a_person_gets_the_person(world, shopper, words):
    talk = await shopper().say(words, "human_agent")

    assert talk.handoff is not None


class GivesUp(Action):
    """An answer that is not certain enough, as `actions.answer` ends it."""

    def name(self) -> str:
        return "action_answer"

    def run(self, dispatcher, tracker, domain):
        hand_over(dispatcher, "answer_handoff", "zh", reason="low_confidence")
        return left_to_person()


async def test_no_question_is_asked_behind_a_hand_over(world, shopper):
    talk = await shopper().say("我要退款", "refund_request")
    talk.actions["action_answer"] = GivesUp()
    await talk.say("这件衣服是什么面料", "product_question")

    assert talk.handoff is not None and 1 == len(talk.said) and talk.loop is None


async def test_a_task_left_twice_is_no_failure(world, shopper):
    for _ in range(2):
        talk = await shopper().say("那算了", "complaint_unknown", confidence=0.2)

        assert talk.handoff is None and "没有" in talk.text
