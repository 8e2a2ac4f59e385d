"""How an answer is said: by name, with a word for an upset or worried shopper, and never twice the same way.

The facts come from elsewhere. Every courtesy Kefu can say stands in this file, so that the checks can
tell courtesy from content, and the training dialogues use the same sentences.
"""

from __future__ import annotations

import re

from bot.message import Language, with_opening
from bot.sentiment import read_sentiment

COURTESY: dict[Language, dict[str, tuple[str, ...]]] = {
    "zh": {
        "angry": ("很抱歉给您带来不好的体验。", "真的很抱歉让您着急了。", "您的心情我完全理解，非常抱歉。"),
        "worried": ("您别着急，", "请您放心，我来帮您看看。", "理解您的担心。"),
        "thanks": ("不客气。", "谢谢您的耐心。"),
        "more": ("还有别的可以帮您吗？", "如有其他问题，随时告诉我。"),
    },
    "en": {
        "angry": (
            "I'm sorry about this experience.",
            "I'm really sorry for the trouble.",
            "I understand how frustrating this is, and I'm sorry.",
        ),
        "worried": ("No worries.", "I understand your concern.", "Let me help with that."),
        "thanks": ("You're welcome.", "Thank you for your patience."),
        "more": ("Is there anything else I can help with?", "Just ask if anything else comes up."),
    },
}
_THANKS_FIRST = re.compile(
    r"\s*(?:ok(?:ay)?|好的?|嗯+|great|perfect)?[\s,，.。!！]*(?:谢谢|多谢|感谢|谢了|thank|thx|ty\b|cheers)",
    re.I,
)
_ALL = sorted(
    (c for group in COURTESY.values() for kind in group.values() for c in kind), key=len, reverse=True
)


def mood(text: str) -> str | None:
    """ "angry", "worried" or None."""
    feeling = read_sentiment(text).feeling
    return feeling if feeling in ("angry", "worried") else None


def acknowledgement(text: str, before: str, language: Language, turn: int = 0) -> str:
    """A word for how the shopper feels, to stand before the answer; empty where none is due.

    Said when the mood begins (`before` is the message before): a shopper who stays angry is not told twice how
    sorry we are. Thanks at the beginning of a message that goes on are answered too. `turn` varies the wording.
    """
    found = mood(text)
    if found is None and _THANKS_FIRST.match(text) and read_sentiment(text).feeling == "grateful":
        return COURTESY[language]["thanks"][0]
    if found is None or found == mood(before):
        return ""
    choices = COURTESY[language][found]
    return choices[turn % len(choices)]


def without_courtesy(text: str) -> str:
    """The text without the sentences of this module."""
    for sentence in _ALL:
        text = text.replace(sentence, " ")
    return text.strip()


def address(
    answer: str, *, language: Language, question: str, before: str = "", name: str = "", turn: int = 0
) -> str:
    """Put the opening before the answer: the shopper's name and a word for the mood.

    `before` is the message before the question. `turn` varies the wording; an answer that already opens with a
    courtesy keeps it.
    """
    opening = ""
    if without_courtesy(answer) == answer.strip():
        opening = acknowledgement(question, before, language, turn)
    if name.strip() and language == "zh":
        return f"{name.strip()}您好，{opening}{answer}"
    if name.strip() and opening.startswith("No "):
        opening = opening[:1].lower() + opening[1:]
    said = with_opening(opening, answer) if opening else answer
    return f"Hi {name.strip()}, {said}" if name.strip() else said
