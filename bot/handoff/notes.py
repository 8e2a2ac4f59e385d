"""What a person left for the bot, and when a shopper speaks of it.

The note (`bot.handoff.cases.note_for`) comes with the metadata of every turn while it counts: agent, text, at, told,
promise_until, order, goal, new. This module knows no dialogue and no channel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SPOKEN_OF = re.compile(
    # 你们客服说…, 刚才那个人工答应我…, 你同事承诺过…
    r"(?:客服|同事|人工|工作人员|坐席|专员|店长|经理|小姐姐|小哥哥?)[^,，。;；?？!！]{0,8}?(?:说|答应|承诺|保证|许诺|告诉我|跟我讲)"
    r"|(?:他|她)[^,，。;；?？!！]{0,4}?(?:答应|承诺|保证|许诺|告诉我|跟我说)"
    # 你们说好给我补发的, 不是答应我今天退吗
    r"|(?:你们?|您)[^,，。;；?？!！]{0,6}?(?:说好|答应|承诺|保证过|许诺|说过)|说好(?:了|的)?[^,，。;；?？!！]{0,8}(?:给|退|补|发|赔|处理|解决|联系|回复)"
    r"|\b(?:your|the|that|a|my) (?:colleague|agent|person|lady|guy|man|woman|rep(?:resentative)?|support|human|staff|operator)\b"
    r"[^.?!]{0,20}\b(?:said|told me|promised|agreed|assured|offered)\b"
    r"|\b(?:he|she|they|someone|somebody)(?: had| has|'d)? (?:told me|promised|assured me|said (?:i|you|he|she|they|it))\b"
    r"|\byou(?: guys| people)?(?: had| have|'d|'ve)? (?:promised|told me|assured me|agreed to|said (?:you|i|it|we|that|he|she|they|someone))\b"
    r"|\bi(?: was|'ve been| have been) (?:told|promised|assured)\b",
    re.I,
)


def speaks_of(note: Mapping[str, Any], text: str) -> bool:
    """Whether a message is about what the person said: "you told me you'd refund me", "小林答应我的"."""
    if not text.strip() or text.lstrip().startswith("/"):
        return False
    agent = str(note.get("agent") or "")
    named = len(agent) > 1 and re.search(
        rf"(?<!\w){re.escape(agent)}\W{{0,3}}(?:[^,，。?？!！.]{{0,8}}?)(?:说|答应|承诺|said|told|promised)",
        text,
        re.I,
    )
    return bool(named or _SPOKEN_OF.search(text))


def concerns(note: Mapping[str, Any], order_number: str, topic: str) -> bool:
    """Whether the note may be about this: its order, or, where it names none, its goal or anything."""
    order = str(note.get("order") or "")
    if order:
        return order.casefold() == order_number.casefold()
    return note.get("goal") in (None, topic)
