"""Lines of a conversation as the people at a desk of others read them. Knows no desk."""

from __future__ import annotations

from typing import Any

from bot.handoff.words import REASONS, word
from bot.message import Language
from channels.store import Event

OWNERS: dict[str, dict[Language, str]] = {
    "bot": {"zh": "已转回智能客服", "en": "Back with the assistant"},
    "pending": {"zh": "进入等待队列", "en": "Waiting for a person"},
    "person": {"zh": "{agent} 接手", "en": "{agent} took it"},
    "closed": {"zh": "会话结束", "en": "Conversation closed"},
}
WORDS: dict[str, dict[Language, str]] = {
    "note": {"zh": "备注", "en": "Note"},
    "summary": {"zh": "📝 机器人的概括", "en": "📝 The bot's summary"},
    "suggestion": {"zh": "机器人的建议（未发送）", "en": "The bot's suggestion, unsent"},
    "not_delivered": {"zh": "未送达顾客", "en": "Not delivered to the shopper"},
    "rating": {"zh": "顾客评价", "en": "Rating"},
    "picture": {"zh": "[图片]", "en": "[picture]"},
    "plan": {"zh": "方案", "en": "Plan"},
    "system": {"zh": "系统", "en": "System"},
    "bot": {"zh": "智能客服", "en": "Assistant"},
}


def aside(event: Event, language: Language) -> str:
    """What a line that is not said to anybody means to colleagues; empty when it means nothing to them."""
    body = event.body
    if event.kind == "owner":
        told = OWNERS.get(str(body.get("owner")), {}).get(language, "").format(agent=body.get("agent") or "")
        why = word(REASONS, body.get("reason"), language) if body.get("reason") in REASONS else ""
        return f"{told} · {why}" if why else told
    if event.kind == "note":
        return f"{WORDS['note'][language]} · {body.get('agent') or WORDS['system'][language]}\n{body.get('text', '')}"
    if event.kind == "suggestion" and body.get("text"):
        return f"{WORDS['suggestion'][language]}\n{body['text']}"
    if event.kind == "summary":
        return f"{WORDS['summary'][language]}\n{body.get('text', '')}"
    if event.kind == "delivery" and body.get("status") in ("failed", "held", "unknown"):
        return f"{WORDS['not_delivered'][language]} · {body.get('status')} {body.get('reason') or ''}".strip()
    if event.kind == "rating":
        score = int(body.get("score") or 0)
        return f"{WORDS['rating'][language]} {'★' * score}{'☆' * (5 - score)} {body.get('comment') or ''}".strip()
    if event.kind == "plan":
        return f"{WORDS['plan'][language]} · {body.get('state', '')} · {body.get('by') or ''}\n{body.get('text', '')}"
    return ""


def spoken(event: Event) -> str:
    """The text of a message with its card and choices, as far as text can show them."""
    body: dict[str, Any] = event.body
    parts = [str(body["text"])] if body.get("text") else []
    card = body.get("card")
    if card and not parts:
        parts.append("\n".join([str(card.get("title", "")), *(f"{n}: {v}" for n, v in card.get("rows", ()))]))
    if body.get("citations"):
        parts.append("\n".join(f"· {title}" for title, *_ in body["citations"]))
    if body.get("buttons"):
        parts.append(" ".join(f"[{button['title']}]" for button in body["buttons"]))
    return "\n".join(parts)
