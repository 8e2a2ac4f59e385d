"""What was said before: how a question goes on from it, and whether an answer would only repeat it. Knows no search and no model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bot.generator.wording import content_words, overlap

_FOLLOW_UP = re.compile(
    r"^(?:那|那么|还有|然后|如果|要是|另外|它|这个|这款|那个|and\b|what about|how about|also\b|then\b|what if|but\b|is it\b|does it\b|can it\b|or\b)|呢[?？。!！]?$", re.I
)  # fmt: skip
_UNHELPED = re.compile(
    r"没用|不行|不对|不是这个|没解决|还是|听不懂|答非所问|说过了|重复|not help|doesn'?t (?:help|work|answer)|wrong answer|already (?:said|told)|still\b|not what i",
    re.I,
)


@dataclass(frozen=True)
class Turn:
    """An earlier exchange. `evidence` are the chunks Kefu answered from, empty when it did not; `asked` is false for
    what was no free question: a proof, an order number, a word of a flow."""

    shopper: str
    kefu: str = ""
    evidence: tuple[str, ...] = ()
    asked: bool = True


def readings_of(question: str, history: Sequence[Turn]) -> tuple[str, ...]:
    """How a question may be meant: as it stands, or together with the free question before it.

    A short one is both ("保修多久" asks something new after "退货期限" and goes on after "手表防水吗"), and so is a long one that
    begins or ends like a continuation: whichever reading finds the surer answer counts. A short one like that ("那电池呢？",
    "And for shoes?") is never meant alone.
    """
    before = history[-1] if history and history[-1].asked else None
    if before is None or len(question) > 60:
        return (question,)
    together = f"{before.shopper} {question}"
    short = len(content_words(question)) < 4
    if _FOLLOW_UP.search(question.strip()):
        return (together,) if short else (question, together)
    return (question, together) if short else (question,)


def repeats(question: str, reply: str, section: str, history: Sequence[Turn]) -> bool:
    """Whether this reply, from the section of this id, was given before to the same question: saying it again would not help."""
    for turn in history:
        if not turn.evidence or section not in turn.evidence:
            continue
        same_answer = bool(turn.kefu) and overlap(reply, turn.kefu) >= 0.9
        if same_question(question, turn.shopper) or (same_answer and _UNHELPED.search(question)):
            return True
    return False


def same_question(one: str, other: str) -> bool:
    """Whether two questions use about the same words."""
    return min(overlap(one, other), overlap(other, one)) >= 0.6
