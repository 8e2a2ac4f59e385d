"""Content words of a sentence: English word stems and Chinese bigrams, without the small words.

Good enough to say how much two sentences speak of the same thing; no dictionary, no model.
"""

from __future__ import annotations

import re

from bot.generator.values import normalise

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?|[\u4e00-\u9fff]+")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_LATIN_WORD = re.compile(r"[A-Za-z]{2,}")
STOP_WORDS = frozenset(
    [
        "a",
        "an",
        "the",
        "and",
        "or",
        "but",
        "if",
        "of",
        "to",
        "in",
        "on",
        "at",
        "by",
        "for",
        "with",
        "from",
        "as",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "am",
        "do",
        "does",
        "did",
        "done",
        "can",
        "could",
        "may",
        "might",
        "must",
        "shall",
        "should",
        "will",
        "would",
        "i",
        "you",
        "he",
        "she",
        "it",
        "we",
        "they",
        "me",
        "my",
        "your",
        "our",
        "their",
        "its",
        "this",
        "that",
        "these",
        "those",
        "there",
        "here",
        "what",
        "which",
        "who",
        "whom",
        "how",
        "when",
        "where",
        "why",
        "not",
        "no",
        "yes",
        "so",
        "than",
        "then",
        "too",
        "very",
        "just",
        "also",
        "any",
        "some",
        "all",
        "please",
        "thank",
        "thanks",
        "hello",
        "hi",
        "dear",
        "have",
        "has",
        "had",
        "get",
        "got",
        "want",
        "need",
        "know",
        "tell",
        "let",
        "ok",
        "okay",
        "s",
        "t",
        "m",
        "re",
        "ve",
        "ll",
        "d",
        "about",
        "into",
        "out",
        "up",
        "us",
        "one",
        "many",
        "much",
        "long",
    ]
)
_STOP_HAN = re.compile(
    "请问|一下|你们|我们|您好|你好|什么|怎么|怎样|如何|多少|可以|能不能|是不是|有没有|吗|呢|吧|啊|呀|哦|了|的|地|得|着|过|"
    "我|你|您|他|她|它|这个|那个|这|那|是|在|和|与|或|也|都|就|还|要|会|能|想|把|被|给|到|从|对|为|以|及|请|亲"
)


def stem(word: str) -> str:
    """A crude English stem, the same for "returns", "returned" and "returning"."""
    for ending in ("ings", "ing", "ied", "ies", "ed", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            root = word[: -len(ending)]
            return root + "y" if ending in ("ied", "ies") else root.rstrip("e") if len(root) > 3 else root
    return word.rstrip("e") if len(word) > 4 else word


def content_words(text: str) -> list[str]:
    """Stems and Chinese bigrams that carry meaning, in order, repetitions included."""
    out: list[str] = []
    for run in _WORD.findall(normalise(text).lower()):
        if not _HAN.match(run):
            word = run.split("'")[0]
            if word not in STOP_WORDS:
                out.append(stem(word))
            continue
        for part in _STOP_HAN.split(run):
            if len(part) == 1:
                out.append(part)
            out.extend(part[i : i + 2] for i in range(len(part) - 1))
    return out


def overlap(text: str, other: str) -> float:
    """Share of the content words of `text` that stand in `other`, 0 to 1; 0 for a text without any."""
    words = content_words(text)
    if not words:
        return 0.0
    there = set(content_words(other))
    return sum(word in there for word in words) / len(words)


def language_of(text: str) -> str | None:
    """ "zh" or "en" by script, or None when the text has no words at all.

    A Chinese sentence may hold English product names, so a fifth of Chinese characters is enough.
    """
    han = len(_HAN.findall(text))
    latin = len(_LATIN_WORD.findall(text))
    if han == 0 and latin == 0:
        return None
    return "zh" if (han >= 2 and han >= 0.5 * latin) or latin == 0 else "en"


def sentences(text: str) -> list[str]:
    """Sentences of a Chinese or English text, with their closing marks; a line break also ends one."""
    out: list[str] = []
    for line in text.splitlines():
        parts = re.split(r"(?<=[。！？；!?])|(?<=[a-z\d)\"'][.;])\s+(?=[A-Z\d\"'(])", line)
        out.extend(part.strip() for part in parts if part and part.strip())
    return out
