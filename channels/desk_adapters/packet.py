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
REASONS: dict[str, dict[Language, str]] = {
    "asked": {"zh": "顾客要求人工", "en": "asked for a person"},
    "locked_out": {"zh": "身份核对多次失败", "en": "proof failed too often"},
    "policy": {"zh": "政策要求人工", "en": "policy says person"},
    "tool_failure": {"zh": "商城系统故障", "en": "shop system down"},
    "two_failures": {"zh": "机器人两次没听懂", "en": "not understood twice"},
    "outcome_unknown": {"zh": "写入结果不明", "en": "write outcome unknown"},
    "threat": {"zh": "投诉或风险", "en": "complaint or risk"},
    "low_confidence": {"zh": "机器人没有把握", "en": "bot not sure enough"},
    "claim_without_receipt": {"zh": "机器人的说法没有回执", "en": "claim without receipt"},
    "reopened": {"zh": "顾客再次来访", "en": "shopper came back"},
    "person_idle": {"zh": "同事未及时回复", "en": "colleague was idle"},
    "passed_on": {"zh": "同事转出", "en": "passed on"},
    "taken": {"zh": "同事主动接手", "en": "taken over"},
    "promise_broken": {"zh": "承诺没有兑现", "en": "a promise was broken"},
    "promise_unchecked": {"zh": "承诺未能核实", "en": "a promise could not be checked"},
}
GOALS: dict[str, dict[Language, str]] = {
    "order_status": {"zh": "查订单", "en": "order status"},
    "refund": {"zh": "退款", "en": "refund"},
    "return_goods": {"zh": "退货", "en": "return"},
    "exchange": {"zh": "换货", "en": "exchange"},
    "cancel_order": {"zh": "取消订单", "en": "cancel order"},
    "modify_address": {"zh": "改地址", "en": "change address"},
    "invoice": {"zh": "发票", "en": "invoice"},
    "price_protection": {"zh": "价保", "en": "price protection"},
    "answer": {"zh": "咨询", "en": "question"},
}
MOODS: dict[str, dict[Language, str]] = {
    "angry": {"zh": "生气", "en": "angry"},
    "worried": {"zh": "着急", "en": "worried"},
}
PROOFS: dict[str, dict[Language, str]] = {
    "channel_account": {"zh": "渠道账号", "en": "channel account"},
    "phone_tail": {"zh": "手机尾号", "en": "phone digits"},
    "email": {"zh": "邮箱", "en": "e-mail"},
    "postcode": {"zh": "邮编", "en": "postcode"},
}
LANGUAGES: dict[str, dict[Language, str]] = {
    "zh": {"zh": "中文", "en": "Chinese"},
    "en": {"zh": "英文", "en": "English"},
}


def word(table: dict[str, dict[Language, str]], code: str | None, language: Language) -> str:
    """The code in words; one we have no word for stands for itself."""
    return table.get(code or "", {}).get(language) or (code or "").replace("_", " ")


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
