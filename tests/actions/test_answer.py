"""What the answering action says, cites, explains and remembers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from actions import packet
from actions.answer import ActionAnswer, history
from bot.exceptions import KnowledgeError
from bot.generator.answering import Answerer
from bot.generator.confidence import Fusion
from bot.generator.history import Turn as Exchange
from bot.knowledge.hybrid import Fusion as Ranks
from bot.knowledge.hybrid import HybridRetriever
from bot.orders.shop.people import FIXED
from bot.orders.shop.samples import sample
from tests.actions.conftest import World
from tests.actions.dialogue import Dialogue
from tests.bot.generator.test_answering import CHUNKS, COVERED, reading

ORDER = sample("status_shipped")


class SmallService:
    """The answering over six chunks, without files or network."""

    def __init__(self, strict: float = 0.4) -> None:
        retriever = HybridRetriever(CHUNKS, fusion=Ranks(weights={"bm25": 1.0}))
        self.answerer = Answerer(
            retriever, CHUNKS, Fusion(COVERED, None, strict, strict), versions={"index": "abc"}
        )
        self.asked: list[dict[str, Any]] = []

    async def answer(self, question: str, **more: Any) -> Any:
        self.asked.append({"question": question, **more})
        answer = await self.answerer.answer(question, **more)
        return replace(answer, versions=self.answerer.versions)


def user(text: str, **metadata: Any) -> dict[str, Any]:
    return {
        "event": "user",
        "text": text,
        "metadata": metadata,
        "timestamp": 1.0,
        "parse_data": {"text": text},
    }


async def run(
    service: SmallService, *events: dict[str, Any], slots: dict[str, Any] | None = None
) -> tuple[list[dict[str, Any]], list[Any]]:
    last = events[-1]
    tracker = Tracker(
        "c1",
        {**(slots or {}), "language": "zh"},
        {"text": last["text"], "metadata": last["metadata"]},
        list(events),
        False,
        None,
        {},
        "action_listen",
    )
    dispatcher = CollectingDispatcher()
    done = await ActionAnswer(service).run(dispatcher, tracker, {})  # type: ignore[arg-type]
    return dispatcher.messages, done


async def test_an_answer_carries_its_citation_and_why_it_was_given() -> None:
    messages, _ = await run(SmallService(), user("退货期限"))
    kefu = messages[0]["custom"]["kefu"]

    assert "7天" in messages[0]["answer"]
    assert [["售后 › 退货期限", ""]] == kefu["citations"]
    assert "answer" == kefu["explain"]["answer"]["decision"]
    assert kefu["explain"]["answer"]["checks"]["values"] is True
    assert {"answer.index": "abc"} == kefu["explain"]["versions"]
    assert "handoff" not in kefu


async def test_a_doubt_hands_over_with_the_draft_marked_unsent() -> None:
    messages, _ = await run(SmallService(strict=0.9999), user("退货要几天"))
    handoff = messages[0]["custom"]["kefu"]["handoff"]

    assert "low_confidence" == handoff["reason"]
    assert handoff["packet"]["draft"]["sent"] is False
    assert "7天" not in messages[0].get("answer", "")


async def test_an_upset_shopper_is_met_kindly_once() -> None:
    first, _ = await run(SmallService(strict=0.05), user("太差了！！退货期限"))
    again, _ = await run(SmallService(strict=0.05), user("太差了！！什么服务"), user("太差了！！退货期限"))

    assert "抱歉" in first[0]["answer"]
    assert "抱歉" not in again[0]["answer"]


async def test_products_left_open_bring_buttons() -> None:
    messages, _ = await run(SmallService(strict=0.1), user("怎么除垢"))

    assert ["电水壶", "咖啡机"] == sorted((b["title"] for b in messages[0]["buttons"]), reverse=True)


async def test_the_same_answer_is_not_said_a_second_time() -> None:
    first, _ = await run(SmallService(), user("退货期限"))
    said = {"event": "bot", "text": first[0]["answer"], "data": {"custom": first[0]["custom"]}}
    messages, _ = await run(SmallService(), user("退货期限"), said, user("退货期限"))

    assert "handoff" in messages[0]["custom"]["kefu"]
    assert "repeated" in messages[0]["custom"]["kefu"]["explain"]["answer"]["reasons"]


def test_the_last_turns_are_remembered_without_payloads() -> None:
    events = [
        user("手表防水吗"),
        answered("防水。", "watch/zh#1"),
        user("/deny"),
        user("那电池呢"),
    ]
    tracker = Tracker("c1", {}, {"text": "那电池呢"}, events, False, None, {}, "action_listen")

    assert [Exchange("手表防水吗", "防水。", ("watch/zh#1",))] == history(tracker)


class ReadsOrders(SmallService):
    """With a reranker for which only the sentence with `word` answers, with these log-odds."""

    def __init__(self, word: str, read: float = 6.0) -> None:
        super().__init__()
        self.answerer = reading({word: read})


async def proven(shopper: Callable[..., Dialogue]) -> dict[str, Any]:
    """A conversation in which an order was asked for and proven; the slots afterwards."""
    talk = await shopper().say(f"查订单 {ORDER.number}", "order_status")
    await talk.say(ORDER.phone_tail)
    assert ORDER.number == talk.slots["order_number"]
    return dict(talk.slots)


async def test_a_question_about_the_proven_order_is_answered_from_it(
    world: World, shopper: Callable[..., Dialogue]
) -> None:
    slots = await proven(shopper)
    service = ReadsOrders("一共付了")

    messages, _ = await run(service, user("我当时是拿什么付的钱"), slots=slots)

    explained = messages[0]["custom"]["kefu"]["explain"]["answer"]
    assert "一共付了" in messages[0]["answer"] and ORDER.number in messages[0]["answer"]
    assert "answer" == explained["decision"] and "order" == explained["risk_class"]
    assert [f"order:{ORDER.number}:payment"] == list(explained["evidence"])
    assert not messages[0]["custom"]["kefu"].get("citations")


async def test_nobody_elses_order_is_read(world: World, shopper: Callable[..., Dialogue]) -> None:
    service = ReadsOrders("一共付了")

    messages, _ = await run(service, user("我当时是拿什么付的钱"), slots={"order_number": ORDER.number})

    assert () == tuple(service.asked[0]["facts"]) and not service.asked[0]["owned"]
    assert "一共付了" not in messages[0].get("answer", "")


async def test_a_person_gets_the_proven_order_with_an_unanswered_question(
    world: World, shopper: Callable[..., Dialogue]
) -> None:
    slots = await proven(shopper)

    messages, _ = await run(SmallService(strict=0.9999), user("退货要几天"), slots=slots)

    packet = messages[0]["custom"]["kefu"]["handoff"]["packet"]
    assert ORDER.number == packet["order"]["number"] == packet["order_number"]
    assert packet["proof"]["level"]


NAME = next(one.name for one in FIXED if one.id == ORDER.customer_id)


async def test_a_shopper_with_an_account_is_called_by_name_once(
    world: World, shopper: Callable[..., Dialogue]
) -> None:
    """The site has signed who it is: no proof is asked for."""
    signed = shopper(of="status_shipped").metadata
    first, _ = await run(SmallService(), user("退货期限", **signed))
    said = {"event": "bot", "text": first[0]["answer"], "data": {"custom": first[0]["custom"]}}
    second, _ = await run(SmallService(), user("退货期限", **signed), said, user("保修多久", **signed))

    assert first[0]["answer"].startswith(f"{NAME}您好，") and "7天" in first[0]["answer"]
    assert "2年" in second[0]["answer"] and NAME not in second[0]["answer"]


async def test_who_knows_four_digits_of_a_phone_is_not_told_a_name(
    world: World, shopper: Callable[..., Dialogue]
) -> None:
    slots = await proven(shopper)
    messages, _ = await run(SmallService(), user("退货期限"), slots=slots)

    assert "7天" in messages[0]["answer"] and NAME not in messages[0]["answer"]


async def test_a_shop_that_hangs_keeps_nobody_waiting_and_the_proof_is_kept(
    world: World, shopper: Callable[..., Dialogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = await proven(shopper)
    monkeypatch.setattr(packet, "ORDER_SECONDS", 0.3)
    await world.fault("get_order", "latency", delay=5)
    messages, _ = await run(SmallService(strict=0.9999), user("退货要几天"), slots=slots)

    told = messages[0]["custom"]["kefu"]["handoff"]["packet"]
    assert told["proof"]["level"] and "order" not in told


async def test_an_account_that_the_shop_does_not_know_is_asked_for_once(world: World) -> None:
    signed = {"channel": "web", "source": "s1", "customer": "site:nobody"}
    for _ in range(3):
        messages, _ = await run(SmallService(), user("退货期限", **signed))
        assert "7天" in messages[0]["answer"]

    assert packet._is_unknown("site:nobody") and not packet._is_unknown("site:C1001")


def answered(text: str, *evidence: str) -> dict[str, Any]:
    """What the bot said, decided to be an answer from that evidence."""
    decision = {"decision": "answer", "evidence": list(evidence)}
    return {"event": "bot", "text": text, "data": {"custom": {"kefu": {"explain": {"answer": decision}}}}}


def test_the_generator_does_not_read_in_what_was_said_whose_it_is() -> None:
    events = [
        user("手表防水吗"),
        answered("李明您好，防水。", "watch/zh#1"),
        user("is it heavy"),
        answered("Hi Ann Smith, 50 g.", "watch/en#2"),
        user("那电池呢"),
    ]
    tracker = Tracker("c1", {}, {"text": "那电池呢"}, events, False, None, {}, "action_listen")

    assert ["防水。", "50 g."] == [one.kefu for one in history(tracker)]


def test_nor_what_was_said_of_an_order() -> None:
    """Neither by a flow nor as an answer; that it was said is still known."""
    events = [
        user("查订单"),
        {"event": "bot", "text": "订单 81234567 已发货，运单号 SF1234567890123", "data": {}},
        user("我用什么付的款"),
        answered("订单 81234567 用尾号 4242 的卡付了 99 元", "order:81234567:payment"),
        user("手表防水吗"),
    ]
    tracker = Tracker("c1", {}, {"text": "手表防水吗"}, events, False, None, {}, "action_listen")

    flow, order = history(tracker)

    assert ("", "") == (flow.kefu, order.kefu) and not flow.asked
    assert ("order:81234567:payment",) == order.evidence


async def test_articles_that_cannot_be_read_are_a_persons_work_and_no_error() -> None:
    class Broken(SmallService):
        async def answer(self, question: str, **more: Any) -> Any:
            raise KnowledgeError("a.md:3: language is missing")

    messages, _ = await run(Broken(), user("退货期限"))  # type: ignore[arg-type]
    kefu = messages[0]["custom"]["kefu"]

    assert "low_confidence" == kefu["handoff"]["reason"]
    assert ["not_ready"] == kefu["explain"]["reasons"]
