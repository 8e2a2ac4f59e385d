"""The same question as another shopper types it: with a greeting or without, with a question mark, a "怎么办" or neither.

Whoever writes questions that a section answers and questions that it does not has habits: among those of the invented shops
that end in "怎么办" or "吗" hardly one was answered, and none began with "请问". A reranker learns such habits for
signs (Gururangan et al. 2018, "Annotation Artifacts in Natural Language Inference Data"). Given another style at random,
whatever the answer, a question keeps its meaning and the sign is gone.
"""

from __future__ import annotations

import random
import re

from bot.message import Language

OPENINGS: dict[Language, tuple[str, ...]] = {
    "zh": ("请问", "请问一下，", "你好，", "您好，请问", "亲，", "在吗，", "我想问下", "想问一下，", "麻烦问下", "问一下"),
    "en": (
        "hi, ", "hello, ", "hey ", "hi there, ", "excuse me, ", "quick question: ", "can you tell me: ", "i'd like to know: ",
        "please tell me, ", "question: ", "good morning, ", "could you help me? ",
    ),
}  # fmt: skip
ENDINGS: dict[Language, tuple[str, ...]] = {
    "zh": ("怎么办", "怎么办", "，怎么办", "怎么办啊", "，该怎么办呢", "怎么弄", "，要怎么处理", "怎么回事", "呢", "啊", "呀", "，谢谢", "，谢谢啦", "，急", "，在线等"),
    "en": (", what should i do", ", what do i do", ", what now", ", any idea", ", please", ", thanks", ", thank you", ", please advise", " pls", ", help"),
}  # fmt: skip
_END = " \t.。!！?？~～…"
# Asked with a word of its own, or closed as a question already: no "吗" belongs behind it.
_ASKS = re.compile(
    r"什么|啥|怎|咋|哪|谁|几|多少|多[久长大高重宽远]|为何|何时|[吗么呢不没啊呀吧]$|(.)不\1|有没有|是否|还是"
)


def restyled(question: str, language: Language, rng: random.Random) -> str:
    """A question in another style, drawn at random: opening, ending, punctuation and capitals; now and then as it was."""
    core = question.strip(_END)
    if not core:
        return question
    opening = rng.choice(OPENINGS[language]) if rng.random() < 0.3 else ""
    ending = rng.choice(ENDINGS[language]) if rng.random() < 0.4 else ""
    if language == "zh":
        if not ending:
            core = _closed(core, rng)
        return f"{opening}{core}{ending}{rng.choice(('', '', '？', '?', '。', '！'))}"
    said = f"{opening}{core}{ending}"
    if rng.random() < 0.5:
        return said + rng.choice(("", "", "?", "??", "."))
    said = re.sub(r"\bi\b", "I", said)
    return said[0].upper() + said[1:] + rng.choice(("?", "?", "?", ".", ""))


def _closed(core: str, rng: random.Random) -> str:
    """With another word at the end, or none, where "yes" or "no" would do for an answer."""
    if core.endswith("吗") and len(core) > 3:
        return core[:-1] + rng.choice(("吗", "吗", "不", "么", "嘛"))
    if _ASKS.search(core) is None and rng.random() < 0.6:
        return core + rng.choice(("吗", "吗", "不", "么"))
    return core
