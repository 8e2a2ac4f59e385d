"""The prompt: evidence as labelled data, the last turns, the question.

The texts of others (articles, order notes, reviews) are quoted under a source label and stripped of
anything that looks like a role mark, so that they can inform and not instruct. `PROMPT_VERSION` and the
hash of what stands here go into every certificate. This module knows no model.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypedDict

from bot.generator.evidence import Evidence

if TYPE_CHECKING:  # the generator's own program runs without pydantic
    from bot.message import Language

PROMPT_VERSION = "1"
MAX_EVIDENCE_CHARS = 700  # of one piece; an article section is shorter, a pasted page is cut
MAX_TITLE, MAX_QUESTION, MAX_TURN = 120, 400, 200  # characters
RERANK_ID = "kefu-rerank-"  # begins the id of what Kefu's own reranker has read

SYSTEM: dict[Language, str] = {
    "zh": "根据资料回答顾客的问题。只用资料里的话和数字，简短、礼貌。",
    "en": "Answer the shopper's question from the evidence. Use only its words and numbers. Be brief and kind.",
}
LABELS: dict[Language, tuple[str, str, str, str]] = {
    "zh": ("资料", "顾客", "客服", "问题"),
    "en": ("Evidence", "Shopper", "Kefu", "Question"),
}
ANSWER: dict[Language, str] = {"zh": "回答：", "en": "Answer:"}
_MARKS = re.compile(
    r"<\|?/?(?:start_of_turn|end_of_turn|im_start|im_end|system|user|assistant|bos|eos)[^>]*>|\[/?(?:INST|SYS)\]|<</?SYS>>|[\u200b-\u200f\u202a-\u202e\u2066-\u2069]",
    re.I,
)


class Message(TypedDict):
    role: Literal["system", "user", "assistant"]
    content: str


def quoted(text: str, limit: int = MAX_EVIDENCE_CHARS) -> str:
    """Somebody else's text as one line of data: no role marks, no line starts, no invisible characters."""
    return re.sub(r"\s+", " ", _MARKS.sub(" ", text)).strip()[:limit]


def document(title: str, text: str) -> str:
    """A section as the reranker reads it: one line, title first."""
    return f"{quoted(title, MAX_TITLE)}: {quoted(text)}"


def build_messages(
    question: str,
    evidence: Sequence[Evidence],
    *,
    language: Language,
    history: Sequence[tuple[str, str]] = (),
) -> list[Message]:
    """Messages of the OpenAI chat format. `history` holds (shopper, Kefu) pairs, oldest first; two are kept."""
    data, shopper, kefu, asks = LABELS[language]
    lines = [f"{data}:"]
    lines += [
        f"({n}) {e.source} | {quoted(e.title, MAX_TITLE)}: {quoted(e.text)}"
        for n, e in enumerate(evidence, 1)
    ]
    for said, answered in history[-2:]:
        lines += [f"{shopper}: {quoted(said, MAX_TURN)}", f"{kefu}: {quoted(answered, MAX_TURN)}"]
    lines.append(f"{asks}: {quoted(question, MAX_QUESTION)}")
    return [{"role": "system", "content": SYSTEM[language]}, {"role": "user", "content": "\n".join(lines)}]


def render(messages: Sequence[Message]) -> str:
    """The text a base model with Kefu's adapter continues. Models with a chat template use theirs."""
    system = next((m["content"] for m in messages if m["role"] == "system"), "")
    turns = [m["content"] for m in messages if m["role"] != "system"]
    language: Language = "zh" if re.search(r"[\u4e00-\u9fff]", system or "".join(turns)) else "en"
    return "\n".join([system, *turns, ANSWER[language]])


def prompt_hash() -> str:
    """SHA-256 of everything here that changes what the model reads."""
    return hashlib.sha256(
        repr((PROMPT_VERSION, SYSTEM, LABELS, ANSWER, MAX_EVIDENCE_CHARS)).encode()
    ).hexdigest()
