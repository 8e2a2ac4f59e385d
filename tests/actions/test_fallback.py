"""What Kefu says to a language it does not speak, and to what no intent was read from."""

from __future__ import annotations

import pytest
from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from actions.fallback import ActionFallback
from actions.order_status import OrderStatusForm
from actions.refund import RefundForm
from tests.actions.test_answer import ReadsOrders, SmallService


def tracker(code: str, iso: str) -> Tracker:
    """A first message in some language, as Rasa hands it over."""
    latest = {
        "text": "…",
        "intent": {"name": "nlu_fallback", "confidence": 0.0},
        "entities": [],
        "intent_ranking": [],
        "language": {"code": code, "iso": iso},
    }
    events = [{"event": "user", "text": "…", "parse_data": latest, "metadata": {}, "timestamp": 1.0}]
    return Tracker("t", {"language": "en"}, latest, events, False, None, {}, "action_listen")


async def test_another_language_gets_one_line_in_it_and_the_choice():
    """Spanish: a Spanish line, and buttons for Chinese, English and a person."""
    dispatcher = CollectingDispatcher()
    await ActionFallback().run(dispatcher, tracker("other", "es"), {})

    (said,) = dispatcher.messages
    assert said["response"] == "other_language" and "chino" in said["line"]
    assert [one["title"] for one in said["buttons"]][:2] == ["中文", "English"]
    assert [one["payload"].split("{")[0] for one in said["buttons"]] == ["/greet", "/greet", "/human_agent"]


async def test_our_own_languages_do_not():
    dispatcher = CollectingDispatcher()
    await ActionFallback().run(dispatcher, tracker("en", "en"), {})

    assert dispatcher.messages and dispatcher.messages[0]["response"] != "other_language"


async def test_a_remark_that_hangs_on_nothing_gets_one_question_and_then_a_person(shopper):
    """Nothing is guessed and nobody is told that his plain words were not understood."""
    talk = shopper()
    await talk.say("那这个呢", "context_only")
    assert "哪件事" in talk.text and talk.buttons and talk.handoff is None and talk.loop is None

    await talk.say("第二个", "context_only")
    assert talk.handoff is not None and talk.handoff["reason"] == "two_failures"


async def test_the_question_offers_what_was_likely(shopper):
    talk = shopper()
    await talk.say(
        "what about that one", "context_only", ranking=[("context_only", 0.6), ("exchange_request", 0.3)]
    )

    assert "What is this about?" in talk.text and talk.buttons[0] == "Exchange an item"


async def test_two_close_guesses_are_offered_once(shopper):
    """Did you mean A or B, with a person beside; the second time in a row a person comes."""
    talk = shopper()
    close = [("nlu_fallback", 0.4), ("refund_request", 0.4), ("refund_status", 0.38), ("greet", 0.05)]
    await talk.say("退款的事", "nlu_fallback", ranking=close)
    assert talk.buttons[:2] == ["申请退款", "查售后进度"] and talk.handoff is None

    await talk.say("退款的那个事", "nlu_fallback", ranking=close)
    assert talk.handoff is not None


@pytest.mark.parametrize("intent", ["nlu_fallback", "out_of_scope"])
async def test_an_article_answers_what_no_wish_could_be_read_from(intent: str) -> None:
    dispatcher = CollectingDispatcher()
    service = ReadsOrders("签收后")
    events = await ActionFallback(service).run(dispatcher, asking("退货期限", intent), {})  # type: ignore[arg-type]
    kefu = dispatcher.messages[0]["custom"]["kefu"]

    assert "7天" in dispatcher.messages[0]["answer"]
    assert [["售后 › 退货期限", ""]] == kefu["citations"] and "handoff" not in kefu
    assert {"misses": 0} == {event["name"]: event["value"] for event in events if event["event"] == "slot"}


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("月亮离地球有多远", "nlu_fallback"),
        ("月亮离地球有多远", "out_of_scope"),
        ("嗯", "nlu_fallback"),
        ("退货期限", "context_only"),
    ],
)
async def test_a_doubt_is_no_persons_work_where_it_may_be_no_question(text: str, intent: str) -> None:
    dispatcher = CollectingDispatcher()
    await ActionFallback(SmallService(strict=0.99)).run(dispatcher, asking(text, intent), {})  # type: ignore[arg-type]

    assert "answer" not in dispatcher.messages[0]
    assert dispatcher.messages[0]["response"] in ("menu", "out_of_scope", "ask_context", "did_you_mean")
    assert not dispatcher.messages[0]["custom"]["kefu"].get("handoff")


@pytest.mark.parametrize("intent", ["nlu_fallback", "out_of_scope"])
async def test_what_only_a_search_has_found_is_not_said_to_what_may_be_no_question(intent: str) -> None:
    """As it is while the generator loads or is down."""
    dispatcher = CollectingDispatcher()
    await ActionFallback(SmallService()).run(dispatcher, asking("退货期限", intent), {})  # type: ignore[arg-type]

    assert "answer" not in dispatcher.messages[0]
    assert dispatcher.messages[0]["response"] in ("menu", "out_of_scope")


@pytest.mark.parametrize(("read", "response"), [(0.5, "answer_doubtful"), (-3.0, "out_of_scope")])
async def test_what_an_article_comes_near_to_is_not_called_none_of_our_business(
    read: float, response: str
) -> None:
    """ "The tent leaks in the rain" sounded like no shop's business; a colleague is offered, and comes only if wanted."""
    dispatcher = CollectingDispatcher()
    service = ReadsOrders("签收后", read)
    await ActionFallback(service).run(dispatcher, asking("退货期限", "out_of_scope"), {})  # type: ignore[arg-type]
    said = dispatcher.messages[0]

    assert response == said["response"] and "answer" not in said
    assert not said["custom"]["kefu"].get("handoff")
    assert (response == "answer_doubtful") == bool(said["buttons"])


@pytest.mark.parametrize(
    ("likeliest", "response"), [("fault", "answer_doubtful"), ("price_protection", "did_you_mean")]
)
async def test_what_is_likeliest_a_question_is_not_taken_for_a_wish(likeliest: str, response: str) -> None:
    """ "我买的东西少了一件" was asked back with "price protection?", a wish far less likely than a fault."""
    tracker = asking("退货期限", "nlu_fallback")
    ranking = [("nlu_fallback", 0.29), (likeliest, 0.29), ("refund_request", 0.15)]
    tracker.latest_message["intent_ranking"] = [{"name": name, "confidence": sure} for name, sure in ranking]
    dispatcher = CollectingDispatcher()
    events = await ActionFallback(ReadsOrders("签收后", 0.5)).run(dispatcher, tracker, {})  # type: ignore[arg-type]

    assert response == dispatcher.messages[0]["response"]
    assert {"misses": 1} == {event["name"]: event["value"] for event in events if event["event"] == "slot"}


@pytest.mark.parametrize(("rival", "answered"), [(0.39, True), (0.2, False)])
async def test_a_wish_that_is_nearly_as_likely_a_question_is_answered_first(
    shopper, rival: float, answered: bool
) -> None:
    """ "送到西藏要几天" names no parcel: an article says how long it takes, and then the order number is asked for."""
    talk = shopper()
    talk.actions["order_status_form"] = OrderStatusForm(ReadsOrders("签收后"))  # type: ignore[arg-type]
    await talk.say("退货期限", "delivery", ranking=[("delivery", 0.58), ("shipping_question", rival)])

    assert ("7天" in talk.text) == answered
    assert talk.loop == "order_status_form" and talk.slots["requested_slot"] == "order_number"


def asking(text: str, intent: str) -> Tracker:
    latest = {
        "text": text,
        "intent": {"name": intent, "confidence": 0.2},
        "entities": [],
        "intent_ranking": [],
    }
    events = [{"event": "user", "text": text, "parse_data": latest, "metadata": {}, "timestamp": 1.0}]
    return Tracker("t", {"language": "zh"}, latest, events, False, None, {}, "action_listen")


async def test_an_article_answers_a_question_that_no_intent_was_read_from_and_the_task_goes_on(shopper):
    """ "退货期限" while the order number is asked for: no answer to it, and no clear wish either."""
    talk = shopper()
    talk.actions["refund_form"] = RefundForm(ReadsOrders("签收后"))  # type: ignore[arg-type]
    await talk.say("我要退款", "refund_request")
    await talk.say("退货期限", "policy_question", confidence=0.3)

    assert (
        "7天" in talk.text and talk.loop == "refund_form" and talk.slots["requested_slot"] == "order_number"
    )
    assert "没看明白" not in talk.text and 0 == talk.slots["tasks"][0].get("misses", 0)


@pytest.mark.parametrize(
    ("text", "intent", "answered"),
    [
        ("退货期限是几天", "refund_request", True),  # asks about what is being done
        ("我要退款", "refund_request", False),  # says it again
        ("多久", "inform", True),  # of what is being done: nothing else was spoken of
        ("多久", "delivery", True),  # a parcel was not spoken of, either
    ],
)
async def test_a_question_about_the_wish_itself_is_answered_before_the_order_number_is_asked_for_again(
    shopper, text: str, intent: str, answered: bool
) -> None:
    talk, service = shopper(), ReadsOrders("签收后")
    talk.actions["refund_form"] = RefundForm(service)  # type: ignore[arg-type]
    await talk.say("我要退款", "refund_request")
    await talk.say(text, intent, confidence=0.5)

    assert ("7天" in talk.text) == answered == bool(service.asked)
    assert "没看明白" not in talk.text and "订单号" in talk.said[-1].text
    assert talk.loop == "refund_form" and 0 == talk.slots["tasks"][0].get("misses", 0)
    if text == "多久":
        assert "申请退款 多久" == service.asked[0]["question"]


async def test_how_long_is_not_asked_of_the_articles_where_an_order_is_looked_up(shopper) -> None:
    talk, service = shopper(), ReadsOrders("签收后")
    talk.actions["order_status_form"] = OrderStatusForm(service)  # type: ignore[arg-type]
    await talk.say("查订单", "order_status")
    await talk.say("多久", "inform", confidence=0.3)

    assert not service.asked and talk.loop == "order_status_form"


@pytest.mark.parametrize(("read", "offered"), [(0.5, True), (-3.0, False)])
async def test_a_doubt_about_how_long_offers_a_person_and_the_task_goes_on(
    shopper, read: float, offered: bool
) -> None:
    talk = shopper()
    talk.actions["refund_form"] = RefundForm(ReadsOrders("签收后", read))  # type: ignore[arg-type]
    await talk.say("我要退款", "refund_request")
    await talk.say("多久", "inform", confidence=0.3)

    titles = [one["title"] for said in talk.said for one in said.buttons]
    assert offered == ("“多久”这一点我没有十足把握" in talk.text) == ("人工客服" in titles)
    assert talk.handoff is None and talk.loop == "refund_form"
    assert (0 if offered else 1) == talk.slots["tasks"][0].get("misses", 0)


async def test_what_no_article_answers_for_sure_counts_as_not_understood(shopper):
    talk = shopper()
    talk.actions["refund_form"] = RefundForm(SmallService(strict=0.99))  # type: ignore[arg-type]
    await talk.say("我要退款", "refund_request")
    await talk.say("月亮离地球有多远", "nlu_fallback", confidence=0.2)
    await talk.say("月亮离地球有多远", "nlu_fallback", confidence=0.2)

    assert talk.handoff is not None and talk.handoff["reason"] == "two_failures"
