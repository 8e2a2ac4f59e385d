"""Two sentences about a case for the person who takes it: by the generator, under the same checks as an answer.

The packet is made of state and stays what counts; the summary only saves reading. It may rest on the packet's facts and
on what the shopper said, nothing else: a number, a promise or a claim that does not stand there is a veto, and then
there is no summary. This module knows no desk; whoever calls it never waits for it before handing over.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from bot.exceptions import GeneratorError
from bot.formats import format_money
from bot.generator.checks import run_checks
from bot.generator.client import Generator
from bot.generator.evidence import Evidence
from bot.generator.prompt import Message, quoted
from bot.generator.wording import sentences
from bot.handoff.packet import Packet
from bot.handoff.words import GOALS, MOODS, REASONS, word
from bot.message import Language
from bot.orders.models import Money, OrderState
from bot.orders.wording import STATES, in_language
from bot.privacy.masking import mask_text

logger = logging.getLogger(__name__)

SENTENCES = 2
MAX_TOKENS = 96
_TOLD = 4  # last words of the shopper

PROMPT: dict[Language, str] = {
    "zh": "用最多两句话向接手的客服概括这位顾客的情况：想要什么，进展到哪里。只用资料里的话和数字，不下结论，不承诺。",
    "en": "Sum up this case in at most two sentences for the colleague who takes over: what the shopper wants and how far it "
    "has got. Use only the words and numbers of the facts; conclude nothing, promise nothing.",
}


def facts_of(packet: Packet, language: Language) -> list[Evidence]:
    """What a summary may rest on: the packet in words, then what the shopper said, as he said it."""
    zh = language == "zh"
    told = [("转人工原因" if zh else "Why a person", word(REASONS, packet.reason, language))]
    if packet.goal:
        told.append(("诉求" if zh else "Wants", word(GOALS, packet.goal, language)))
    if packet.question:
        told.append(("问题" if zh else "Question", packet.question))
    if packet.order is not None:
        order = packet.order
        state = STATES[OrderState(order.state)][language] if order.state in set(OrderState) else order.state
        titles = ("、" if zh else ", ").join(
            in_language(item.get("title") or {}, language) for item in order.items
        )
        told.append(
            ("订单" if zh else "Order", f"{order.number} {state} {titles} {_money(order.total, language)}")
        )
    elif packet.order_number:
        told.append(("订单" if zh else "Order", packet.order_number))
    if packet.sentiment:
        told.append(("情绪" if zh else "Mood", word(MOODS, packet.sentiment, language)))
    colon, end = ("：", "。") if zh else (": ", ". ")
    facts = "".join(f"{name}{colon}{value.strip()}{end}" for name, value in told if value.strip())
    words = [line.text for line in packet.turns if line.author == "shopper" and line.text][-_TOLD:]
    return [
        Evidence("facts", facts.strip(), source="order", language=language),
        *(Evidence(f"said {n}", quoted(text), source="shopper", language=language) for n, text in enumerate(words, 1)),
    ]  # fmt: skip


async def summarise(
    packet: Packet, language: Language, generator: Generator, *, masked: bool = False
) -> str | None:
    """The summary, or None: the generator failed, said nothing, or a check said no. Never raises for those.

    `masked`: the generator is somebody else's; he learns what it is about, not whom.
    """
    evidence = facts_of(packet, language)
    shown = [one.text for one in evidence]
    names = [packet.who.name] if packet.who.name else []
    if masked:
        shown = [mask_text(text, names) for text in shown]
    messages: list[Message] = [
        {"role": "system", "content": PROMPT[language]},
        {"role": "user", "content": "\n".join(shown)},
    ]
    try:
        made = await generator.complete(messages, max_tokens=MAX_TOKENS)
    except GeneratorError as exc:
        logger.info("handoff.no_summary reason=%s", exc)
        return None
    text = _short(made.text, cut=made.finish == "length", language=language)
    checks = run_checks(text, evidence, question="", language=language, customer_name=packet.who.name or "")
    failed = [check.name for check in checks if not check.ok]
    if failed:
        logger.info("handoff.summary_withheld checks=%s", ",".join(failed))
        return None
    return text


def _short(text: str, *, cut: bool, language: Language) -> str:
    """Two whole sentences at most; one that ended in the middle is none."""
    whole: Sequence[str] = [one.strip() for one in sentences(text) if one.strip()]
    if cut:
        whole = whole[:-1]
    return ("" if language == "zh" else " ").join(whole[:SENTENCES])


def _money(money: object, language: Language) -> str:
    try:
        return format_money(Money.model_validate(money), language)
    except ValueError:
        return ""
