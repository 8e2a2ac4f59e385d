"""Questions typed in pinyin, spelt as a shop's articles would spell them.

A search passes over "tuikuan" in "tuikuan 几天到", and with it over the word that matters. This module knows one shop's articles.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from bot.knowledge.articles import Chunk
from bot.knowledge.passages import split_sentences
from bot.noisy_channel import NoisyChannel
from bot.normalise import normalise
from bot.pinyin import is_pinyin

_LATIN = re.compile(r"[a-z]+")


class Spelling:
    """How the Chinese articles among some chunks write what is typed in Latin letters."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self._chunks = [chunk for chunk in chunks if chunk.language == "zh"]

    def has_pinyin(self, question: str) -> bool:
        """Whether a question holds pinyin; a name that the articles write in Latin letters is none."""
        new = [word for word in _LATIN.findall(question.lower()) if word not in self._names]
        return any(map(is_pinyin, (" ".join(new), *new)))

    def in_characters(self, question: str) -> str:
        """A question with its pinyin in characters. The first one waits a second or two while the articles are counted."""
        return self._channel.read(normalise(question))

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(word for line in self._lines() for word in _LATIN.findall(line.lower()))

    @cached_property
    def _channel(self) -> NoisyChannel:
        return NoisyChannel.learn(map(normalise, self._lines()))

    def _lines(self) -> list[str]:
        return [
            line for chunk in self._chunks for line in (*chunk.heading_path, *split_sentences(chunk.text))
        ]
