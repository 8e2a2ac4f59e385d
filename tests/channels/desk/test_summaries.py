"""The optional summary: under the same checks as an answer, never in the way of the hand-over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.exceptions import GeneratorError
from bot.generator.client import Completion
from bot.handoff import cases
from bot.handoff.packet import Packet
from bot.handoff.summary import facts_of, summarise
from channels.desk.summaries import Summaries
from tests.channels.desk.house import ORDER, PROOF, House, open_house

PACKET = Packet.model_validate(
    {
        "reason": "asked", "goal": "refund", "who": PROOF, "order": ORDER,
        "turns": [{"author": "shopper", "text": "杯子碎了两个，我要退款", "at": 1}, {"author": "bot", "text": "好的", "at": 2}],
    }
)  # fmt: skip


class Voice:
    """A generator that says what it is told to, or fails."""

    def __init__(self, text: str = "", *, finish: str = "stop", wait: asyncio.Event | None = None) -> None:
        self.text, self.finish, self.wait = text, finish, wait
        self.asked: list[str] = []

    async def complete(self, messages: Sequence[Any], *, max_tokens: int) -> Completion:
        self.asked.append(messages[-1]["content"])
        if self.wait is not None:
            await self.wait.wait()
        if not self.text:
            raise GeneratorError("the generator is down")
        return Completion(self.text, (), self.finish, "fake")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("顾客要求人工，诉求是退款，杯子碎了两个。", "顾客要求人工，诉求是退款，杯子碎了两个。"),
        ("顾客要退款。杯子碎了两个。顾客要求人工。", "顾客要退款。杯子碎了两个。"),  # two sentences
        ("顾客要退款，杯子碎了五个，应退 300 元。", None),  # a number that stands nowhere
        ("顾客的退款已经办好了。", None),  # a claim without a receipt
        ("我们保证全额退款给顾客。", None),  # a promise
        ("The shopper wants a refund.", None),  # another language than the desk's
        ("天气很好，适合出门散步，记得带伞。", None),  # about something else
        ("", None),
    ],
)
async def test_a_summary_passes_the_checks_of_an_answer_or_there_is_none(
    said: str, wanted: str | None
) -> None:
    assert wanted == await summarise(PACKET, "zh", Voice(said))


async def test_a_sentence_that_was_cut_off_is_left_out() -> None:
    cut = Voice("顾客要求人工，诉求是退款。杯子碎了两个，顾客", finish="length")

    assert "顾客要求人工，诉求是退款。" == await summarise(PACKET, "zh", cut)


async def test_in_english_and_for_a_foreign_generator_without_the_person() -> None:
    packet = PACKET.model_copy(update={"turns": ()})
    voice = Voice("The shopper asked for a person and wants a refund.")
    assert voice.text == await summarise(packet, "en", voice)

    packet = Packet.model_validate(
        {
            "reason": "asked",
            "who": {"name": "Tom Baker"},
            "turns": [{"author": "shopper", "text": "Tom Baker here, call 13912345678", "at": 1}],
        }
    )
    await summarise(packet, "en", voice, masked=True)
    assert "Tom Baker" not in voice.asked[-1] and "13912345678" not in voice.asked[-1]
    assert "Tom Baker" in facts_of(packet, "en")[1].text


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as house:
        yield house


async def test_the_hand_over_does_not_wait_and_the_summary_comes_to_the_packet(house: House) -> None:
    """Taken and answered while the generator still thinks; then it stands beside the packet and in the log."""
    thinking = asyncio.Event()
    summaries = Summaries(
        house.gateway, house.settings, generator=Voice("顾客要求人工，诉求是退款。", wait=thinking)
    )
    lin = await house.person("lin")
    conversation = await house.hear("杯子碎了，转人工")
    assert 200 == (await lin.do(conversation, "claim"))[0]
    assert "summary" not in (await lin.get(f"/conversations/{conversation}"))[1]["packet"]
    thinking.set()
    async with asyncio.timeout(30):
        while "summary" not in (whole := (await lin.get(f"/conversations/{conversation}"))[1])["packet"]:
            await asyncio.sleep(0.02)

    assert "顾客要求人工，诉求是退款。" == whole["packet"]["summary"] and whole["packet"]["order"]
    lines = [line for line in await house.lines(conversation) if line.kind == "summary"]
    assert [("bot", "desk")] == [(line.author, line.audience) for line in lines]
    assert not any("诉求是退款" in text for text in house.door.texts)
    await summaries.stop()


async def test_without_a_generator_the_packet_is_as_it_was(house: House) -> None:
    summaries = Summaries(house.gateway, house.settings, generator=Voice())
    conversation = await house.hear("转人工")
    await asyncio.gather(*summaries._tasks)
    async with house.gateway.store.read() as connection:
        case = await cases.open_case(connection, conversation)

    assert case is not None and case.packet["order"] and "summary" not in case.packet
    await summaries.stop()
