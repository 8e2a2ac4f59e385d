"""The bot knows what a person said: it recalls it when asked, quotes only what the shopper heard, and does not contradict."""

from __future__ import annotations

from typing import Any

import pytest

from bot.orders.shop.samples import sample

AT = 1_795_327_200_000  # ms


def note(**fields: Any) -> dict[str, Any]:
    return {"agent": "小林", "text": "这单我来处理，周五前给您退款", "promise_until": AT + 86_400_000, "at": AT,
            "told": True, "order": None, "goal": None, "new": False, **fields}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("你们客服答应给我退款的，怎么还没退", "我看到了"),
        ("Your colleague told me I'd get a refund", "words are below"),
    ],
)
async def test_the_word_of_a_person_is_recalled_and_quoted(shopper, text: str, said: str) -> None:
    talk = shopper()
    talk.metadata["note"] = note()
    await talk.say(text, "nlu_fallback")
    card = talk.said[-1].kefu["card"]

    assert said in talk.text and "小林" in talk.text
    assert "周五前给您退款" in card["rows"][0][1] and 2 == len(card["rows"])
    assert "周五前给您退款" not in talk.text  # a quotation, no claim of the bot's own
    assert talk.said[-1].kefu["explain"]["note"]["agent"] == "小林"
    assert talk.handoff is None and len(talk.buttons) == 1


async def test_what_was_written_for_the_bot_alone_is_not_quoted(shopper) -> None:
    talk = shopper()
    talk.metadata["note"] = note(told=False, text="顾客情绪激动，先安抚", promise_until=None)
    await talk.say("刚才那个客服说过会处理", "nlu_fallback")

    assert "小林" in talk.text and "情绪激动" not in str(talk.said)


async def test_in_the_middle_of_a_task_the_note_is_recalled_and_the_question_asked_again(shopper) -> None:
    talk = shopper()
    talk.metadata["note"] = note()
    await talk.say("我要取消订单", "cancel_order")
    question = talk.text
    await talk.say("你同事不是答应过我吗", "nlu_fallback")

    assert "我看到了" in talk.text and question in talk.text
    assert talk.loop == "cancel_order_form"


async def test_without_a_note_nothing_is_made_up(shopper) -> None:
    talk = shopper()
    await talk.say("你们客服答应给我退款的", "nlu_fallback")

    assert "小林" not in talk.text and "我看到了" not in talk.text


@pytest.mark.parametrize(("order", "contradicts"), [("same", False), ("another", True)])
async def test_a_refusal_that_would_contradict_a_person_is_left_to_a_person(
    shopper, order, contradicts
) -> None:
    sent = sample("cancel_shipped")
    talk = shopper()
    number = sent.number if order == "same" else "80101001009999999"
    talk.metadata["note"] = note(order=number)
    await talk.say(f"取消订单 {sent.number}，尾号 {sent.phone_tail}", "cancel_order")

    assert contradicts == (talk.handoff is None)
    if not contradicts:
        assert talk.handoff["reason"] == "policy" and "小林" in talk.text
        assert talk.handoff["packet"]["policy"]["clause"]
