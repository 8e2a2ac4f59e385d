"""`kefu explain CONVERSATION [TURN]`: why each reply was given, from the audit trail and the inbox.

A turn is one message of the shopper, counted from 1. What a component did not say is not made up: a field that is
missing here was not recorded. `replay` in the JSON holds what a gateway needs to put the same messages to the same
versions again. This module knows no channel and no Rasa.
"""

from __future__ import annotations

import asyncio
import getpass
import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import make_engine
from bot.exceptions import RecordMissing
from bot.records import audit, conversations, inbox, outbox, row_dict
from bot.settings import Settings, get_settings

# Fields of `explain` that have a place of their own below; the rest is shown under `more`.
_PLACED = {
    "intent", "score", "confidence", "ranking", "entities", "actions", "versions", "reasons", "answer", "operation",
    "outcome", "clause", "policy", "plan", "response", "topic", "asked", "order", "due_at", "shop",
}  # fmt: skip


async def explain_conversation(
    engine: AsyncEngine, conversation: str, turn: int | None = None
) -> dict[str, Any]:
    """Everything on record about a conversation's replies, or about one turn's (from 1).

    Raises:
        RecordMissing: there is no such conversation or turn.
    """
    async with engine.connect() as connection:
        known = (
            await connection.execute(select(conversations).where(conversations.c.id == conversation))
        ).first()
        if known is None:
            raise RecordMissing(
                f"There is no conversation {conversation}: the desk and `kefu privacy find` show their ids"
            )
        messages = (
            await connection.execute(
                select(inbox).where(inbox.c.conversation == conversation).order_by(inbox.c.position)
            )
        ).all()
        if turn is not None and not 1 <= turn <= len(messages):
            raise RecordMissing(
                f"Conversation {conversation} has no turn {turn}: it has {len(messages)}, counted from 1"
            )
        said = (
            await connection.execute(
                select(outbox).where(outbox.c.conversation == conversation).order_by(outbox.c.position)
            )
        ).all()
        reasons = (
            await connection.execute(
                select(audit).where(audit.c.conversation == conversation).order_by(audit.c.at)
            )
        ).all()
    sent = {row.id: row for row in said}
    numbered = [(n, row) for n, row in enumerate(messages, 1) if turn in (None, n)]
    return {
        "conversation": row_dict(known),
        "turns": [_turn(n, message, reasons, sent, said) for n, message in numbered],
        "between": _between(messages, reasons, sent, said) if turn is None else [],
        "replay": [_replay(known, message, reasons) for _, message in numbered],
    }


def _turn(n: int, message: Any, reasons: list[Any], sent: dict[str, Any], said: list[Any]) -> dict[str, Any]:
    body = message.body or {}
    explained = [_reply(row, sent.get(row.reply)) for row in reasons if row.inbound == message.id]
    audited = {row.reply for row in reasons}
    others = [_unaudited(row) for row in said if row.inbound == message.id and row.id not in audited]
    return {
        "turn": n,
        "message": message.id,
        "at": _iso(message.received_at),
        "text": body.get("text", ""),
        "payload": body.get("payload"),
        "media": [one.get("media_id") for one in body.get("attachments") or ()],
        "outcome": message.outcome or message.state,
        "error": message.error,
        "seconds": None if message.done_at is None else (message.done_at - message.received_at) / 1000,
        "replies": explained + others,
    }


def _between(
    messages: list[Any], reasons: list[Any], sent: dict[str, Any], said: list[Any]
) -> list[dict[str, Any]]:
    """What was said on nobody's turn: the clockwork's words, news of a promise, a person's."""
    turns = {message.id for message in messages}
    explained = [_reply(row, sent.get(row.reply)) for row in reasons if row.inbound not in turns]
    audited = {row.reply for row in reasons}
    others = [_unaudited(row) for row in said if row.inbound not in turns and row.id not in audited]
    return sorted(explained + others, key=lambda one: str(one["at"]))


def _reply(row: Any, message: Any | None) -> dict[str, Any]:
    """One line of the audit trail with what the shopper saw of it, if he did."""
    why: dict[str, Any] = row.explain or {}
    answer: dict[str, Any] = why.get("answer") or {}
    body = (message.body if message is not None else None) or {}
    return {
        "reply": row.reply,
        "at": _iso(row.at),
        "outcome": row.outcome,  # sent, overtaken, claim_withheld
        "delivery": message.state if message is not None else None,
        "author": message.author if message is not None else "bot",
        "text": body.get("text", ""),
        "buttons": [one.get("title") for one in body.get("buttons") or ()],
        "response": why.get("response"),
        "intent": row.intent,
        "score": row.score,
        "ranking": why.get("ranking") or [],
        "entities": why.get("entities") or [],
        "rules": why.get("actions") or [],
        "topic": why.get("topic"),
        "question": why.get("asked"),
        "order": why.get("order"),
        "policy": {
            name: why.get(key)
            for name, key in (
                ("operation", "operation"), ("outcome", "outcome"), ("clause", "clause"), ("version", "policy"),
                ("plan", "plan"), ("due_at", "due_at"), ("shop", "shop"),
            )
            if why.get(key) is not None
        },
        "decision": answer.get("decision"),
        "p_correct": answer.get("p_correct"),
        "threshold": answer.get("threshold"),
        "certificate": answer.get("certificate"),
        "mode": answer.get("mode"),
        "risk_class": answer.get("risk_class"),
        "reasons": row.reasons or answer.get("reasons") or [],
        "sentence": answer.get("sentence"),
        "evidence": answer.get("evidence") or [],
        "checks": answer.get("checks") or {},
        "features": answer.get("features") or {},
        "receipts": row.receipts or [],
        "versions": row.versions or {},
        "more": {key: value for key, value in why.items() if key not in _PLACED},
    }  # fmt: skip


def _unaudited(row: Any) -> dict[str, Any]:
    """A message that no component explained: the gateway's own sentences are named by what they are."""
    body = row.body or {}
    return {
        "reply": row.id,
        "at": _iso(row.created_at),
        "outcome": "sent",
        "delivery": row.state,
        "author": row.author,
        "text": body.get("text", ""),
    }


def _replay(known: Any, message: Any, reasons: list[Any]) -> dict[str, Any]:
    """What the dialogue was asked, when, and of which versions, so that it can be asked again."""
    body = message.body or {}
    answered = [row for row in reasons if row.inbound == message.id]
    return {
        "message_id": message.id,
        "at": _iso(message.received_at),
        "versions": {part: value for row in answered for part, value in (row.versions or {}).items()},
        "policies": sorted({row.explain["policy"] for row in answered if (row.explain or {}).get("policy")}),
        "text": body.get("payload") or body.get("text", ""),
        "payload": body.get("payload") is not None,
        "metadata": {
            "channel": message.channel,
            "locale": known.locale,
            "source": body.get("source"),
            "customer": body.get("customer"),
            "media": body.get("attachments") or [],
            **_noted(answered),
        },
    }


def _noted(answered: list[Any]) -> dict[str, Any]:
    """The note of a person that came along with the turn, where the bot used it."""
    notes = [row.explain["note"] for row in answered if (row.explain or {}).get("note")]
    return {"note": notes[0]} if notes else {}


def _iso(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")


def render(found: dict[str, Any]) -> str:
    """The same for people."""
    known = found["conversation"]
    lines = [f"Conversation {known['id']}  channel {known['channel']}  since {_iso(known['created_at'])}"]
    for turn in found["turns"]:
        lines += ["", f"Turn {turn['turn']}  {turn['at']}  {turn['message']}  -> {turn['outcome']}"]
        lines.append(f"  shopper: {turn['text'] or turn['payload'] or '(no text)'}")
        if turn["error"]:
            lines.append(f"  error: {turn['error']}")
        if not turn["replies"]:
            lines.append("  (no reply on record)")
        for reply in turn["replies"]:
            lines += _render_reply(reply)
    if found["between"]:
        lines += ["", "Between turns"]
        for reply in found["between"]:
            lines += [f"  {reply['at']}", *_render_reply(reply)]
    return "\n".join(lines)


def _render_reply(reply: dict[str, Any]) -> list[str]:
    state = reply["outcome"] if reply["delivery"] is None else f"{reply['outcome']}, {reply['delivery']}"
    lines = [f"  {reply['author']} ({state}): {reply['text'] or '(not sent)'}"]

    def add(name: str, value: Any) -> None:
        if value not in (None, "", [], {}):
            lines.append(f"      {name:<12} {value}")

    if reply.get("intent"):
        score = "" if reply.get("score") is None else f" {reply['score']:.3f}"
        add("intent", f"{reply['intent']}{score}")
    add("others", ", ".join(f"{name} {score:.3f}" for name, score in (reply.get("ranking") or [])[1:]))
    add("rules", ", ".join(f"{one['action']} ({one.get('by')})" for one in reply.get("rules") or ()))
    add("response", reply.get("response"))
    add("topic", reply.get("topic"))
    add("question", reply.get("question"))
    order = reply.get("order") or {}
    if order:
        add("order", f"{order.get('number')} version {order.get('version')} read {order.get('read_at')}")
    add("policy", ", ".join(f"{name} {value}" for name, value in (reply.get("policy") or {}).items()))
    if reply.get("decision"):
        threshold = "" if reply.get("threshold") is None else f" of {reply['threshold']:.3f}"
        add("decision", f"{reply['decision']}  p={reply['p_correct']:.3f}{threshold}  ({reply['mode']})")
    add("reasons", ", ".join(map(str, reply.get("reasons") or ())))
    add("evidence", ", ".join(map(str, reply.get("evidence") or ())))
    checks = reply.get("checks") or {}
    add("checks", ", ".join(name if ok is True else f"{name} FAILED ({ok})" for name, ok in checks.items()))
    add("certificate", reply.get("certificate"))
    more = reply.get("more") or {}
    promise = more.get("promise") or {}
    if promise:
        add("promise", f"{promise.get('kind')} {promise.get('state')}, due {_iso(promise.get('due_at'))}")
        add("shop says", (more.get("became") or {}).get("state"))
    note = more.get("note") or {}
    add("note", f"of {note.get('agent')}, {_iso(note.get('at'))}" if note else None)
    add("receipts", ", ".join(reply.get("receipts") or ()))
    add("versions", ", ".join(f"{name} {value}" for name, value in (reply.get("versions") or {}).items()))
    return lines


def explain(
    conversation: Annotated[str, typer.Argument(help="Id of the conversation.")],
    turn: Annotated[
        int | None, typer.Argument(help="Which message of the shopper, from 1; all when left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything on record, for machines.")] = False,
) -> None:
    """Say for every reply: intent and score, rule or clause, evidence, checks, certificate, receipts, versions."""
    found = asyncio.run(_explain(get_settings(), conversation, turn))
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2) if as_json else render(found))


async def _explain(settings: Settings, conversation: str, turn: int | None) -> dict[str, Any]:
    from bot.migrations import upgrade
    from bot.privacy.access import log_access

    engine = make_engine(settings.sqlalchemy_url, settings.privacy)
    try:
        await upgrade(engine)
        found = await explain_conversation(engine, conversation, turn)
        await log_access(engine, f"cli:{getpass.getuser()}", conversation, "explain")
        return found
    finally:
        await engine.dispose()
