"""What the person gets with a conversation, as text, for desks that show nothing better.

The same facts as the side panel of Kefu's own desk, from `bot.handoff.packet`; what is empty is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from bot.formats import format_datetime, format_money
from bot.handoff.packet import Packet
from bot.handoff.words import GOALS, LANGUAGES, MOODS, PROOFS, REASONS, word
from bot.message import Language
from bot.orders.models import Money, Operation, OrderState
from bot.orders.wording import OPERATIONS, STATES, in_language

LABELS: dict[str, dict[Language, str]] = {
    "why": {"zh": "为什么转人工", "en": "Why a person"},
    "goal": {"zh": "诉求", "en": "Wants"},
    "who": {"zh": "顾客", "en": "Shopper"},
    "unproven": {"zh": "身份未核实", "en": "identity not proven"},
    "mood": {"zh": "情绪", "en": "Mood"},
    "language": {"zh": "语言", "en": "Language"},
    "order": {"zh": "订单", "en": "Order"},
    "as_of": {"zh": "读取于", "en": "as of"},
    "said": {"zh": "顾客自述，未核实", "en": "as the shopper said, not proven"},
    "total": {"zh": "实付", "en": "paid"},
    "meant": {"zh": "要办", "en": "meant"},
    "plan": {"zh": "待确认的方案", "en": "Plan awaiting consent"},
    "policy": {"zh": "政策判定", "en": "Policy decision"},
    "question": {"zh": "问题", "en": "Question"},
    "draft": {"zh": "机器人的草稿（未发送）", "en": "The bot's draft, unsent"},
    "tried": {"zh": "已经做过", "en": "Already done"},
    "evidence": {"zh": "图片与文件", "en": "Pictures and files"},
    "earlier": {"zh": "上一位同事的备注", "en": "Note of the last colleague"},
    "turns": {"zh": "最近对话", "en": "Last turns"},
    "shopper": {"zh": "顾客", "en": "shopper"},
    "bot": {"zh": "机器人", "en": "bot"},
    "person": {"zh": "人工", "en": "person"},
    "system": {"zh": "系统", "en": "system"},
    "promised": {"zh": "已承诺答复", "en": "reply promised by"},
}


def render(packet: dict[str, Any], language: Language, zone: ZoneInfo, *, links: Sequence[str] = ()) -> str:
    """The packet in lines. `links` lead to the evidence."""
    facts = Packet.model_validate(packet)

    def row(name: str, *parts: str) -> list[str]:
        told = [part for part in parts if part]
        colon = "：" if language == "zh" else ": "
        return [f"{LABELS[name][language]}{colon}{' · '.join(told)}"] if told else []

    who = facts.who
    proof = word(PROOFS, who.proof, language) if who.proof else LABELS["unproven"][language]
    lines = [
        *row("why", word(REASONS, facts.reason, language)),
        *row("goal", word(GOALS, facts.goal, language)),
        *row("question", facts.question or "" if facts.goal == "answer" else ""),
        *row(
            "who",
            who.name or "",
            who.customer or "",
            who.channel,
            proof,
            _when(who.proven_at, language, zone),
        ),
        *row("mood", word(MOODS, facts.sentiment, language)),
        *row("language", word(LANGUAGES, (facts.language or "")[:2], language)),
    ]
    if facts.order is not None:
        order = facts.order
        state = STATES[OrderState(order.state)][language] if order.state in set(OrderState) else order.state
        read = f"{LABELS['as_of'][language]} {_when(order.read_at, language, zone)}" if order.read_at else ""
        lines += row("order", order.number, state, read)
        for item in order.items:
            meant = facts.lines.get(str(item.get("id")))
            note = f" ({LABELS['meant'][language]} × {meant})" if meant else ""
            title = in_language(item.get("title") or {}, language)
            lines.append(f"  - {title} × {item.get('quantity')} {_money(item.get('price'), language)}{note}")
        lines.append(f"  {LABELS['total'][language]} {_money(order.total, language)}")
    elif facts.order_number:
        lines += row("order", facts.order_number, LABELS["said"][language])
    if facts.plan:
        lines += row(
            "plan",
            _operation(facts.plan.get("operation"), language),
            str(facts.plan.get("order_number") or ""),
            _money(facts.plan.get("amount"), language),
        )
    if facts.policy:
        lines += row(
            "policy",
            _operation(facts.policy.get("operation"), language),
            str(facts.policy.get("outcome") or ""),
            str(facts.policy.get("clause") or ""),
            str(facts.policy.get("policy") or ""),
        )
    if facts.draft is not None:
        sure = "" if facts.draft.score is None else f"{facts.draft.score:.0%}"
        lines += row("draft", facts.draft.text, sure, facts.draft.why)
    lines += row("tried", *facts.tried)
    if facts.earlier:
        until = facts.earlier.get("promise_until")
        promised = f"{LABELS['promised'][language]} {_at(until, language, zone)}" if until else ""
        lines += row(
            "earlier", str(facts.earlier.get("agent") or ""), str(facts.earlier.get("text") or ""), promised
        )
    if links:
        lines += [*row("evidence", str(len(links))), *(f"  {link}" for link in links)]
    if facts.turns:
        lines.append(LABELS["turns"][language])
        lines += [f"  {LABELS[turn.author][language]}: {turn.text}" for turn in facts.turns if turn.text]
    return "\n".join(lines)


def _operation(code: Any, language: Language) -> str:
    return OPERATIONS[Operation(code)][language] if code in set(Operation) else str(code or "")


def _money(value: Any, language: Language) -> str:
    if not isinstance(value, dict):
        return ""
    try:
        return format_money(Money.model_validate(value), language)
    except ValueError:
        return ""


def _when(text: str | None, language: Language, zone: ZoneInfo) -> str:
    if not text:
        return ""
    try:
        return format_datetime(datetime.fromisoformat(text), language, zone)
    except ValueError:
        return text


def _at(at: Any, language: Language, zone: ZoneInfo) -> str:
    return format_datetime(datetime.fromtimestamp(int(at) / 1000, zone), language, zone)
