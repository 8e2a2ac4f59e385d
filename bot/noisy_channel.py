"""What was meant by what was typed: homophones, pinyin and slips of English words, read with what shoppers say.

A noisy channel (Kernighan, Church, Gale 1990; for Chinese the way an input method works): of the characters
that sound like the one typed, the likeliest row is taken under a bigram model learned from the training
examples; a change has its price, and words that the sentence encoder's vocabulary knows cost more to change.
An English word nobody knows becomes the nearest word of the examples, one slip away. Pinyin is read the same
way, syllable for character. The result is for the intent only: entities are read from the text as typed.
This module knows no intent.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from bot.pinyin import is_pinyin, readings, syllables

Pieces = Callable[[str], list[str]]

CHANGE = 6.0  # price of another character of the same sound, in nats
KNOWN_WORD = 3.0  # and besides, when it stands in a word the encoder's vocabulary has
SMOOTHED = 0.1  # share of the unigrams in the bigram model
UNSEEN = 1e-4  # chance of a character the examples do not have: it may be any word we do not know
LEAST = 3  # times a character must stand in the examples to be put in the place of another
SAME = 8  # characters of one sound that are tried
BEAM = 6  # readings of a message that are kept
SHORTEST = 4  # letters of an English word that is mended
LEAST_WORD = 5  # times a word must stand in the examples to be put in the place of another
START, END = "^", "$"

_HAN = re.compile(r"[\u3400-\u9fff]")
_RUN = re.compile(r"[\u3400-\u9fff]+")
_LATIN = re.compile(r"[a-z']+")
_PART = re.compile(r"[\u3400-\u9fff]|[a-z]+|\s+|.")


@dataclass(frozen=True)
class Place:
    """One character that was meant: those it may be, with what each costs."""

    typed: str
    choices: tuple[tuple[str, float], ...]


def encoder_pieces(text: str) -> list[str]:
    """The pieces the sentence encoder's vocabulary cuts a text into: a piece of several letters is a word it knows."""
    from bot.knowledge.encoders import USEEncoder, encoder

    return cast(USEEncoder, encoder("use")).pieces(text)


class NoisyChannel:
    """Reads a normalised message as it was meant."""

    def __init__(
        self,
        characters: dict[str, int],
        pairs: dict[str, int],
        words: dict[str, int],
        word_pairs: dict[str, int],
        pieces: Pieces = encoder_pieces,
    ) -> None:
        self._counts = (characters, pairs, words, word_pairs)
        self._pieces = lru_cache(maxsize=20_000)(pieces)
        total = sum(characters.values()) or 1
        self._unseen = math.log(SMOOTHED * UNSEEN)
        self._alone = {
            one: math.log(SMOOTHED * max(count / total, UNSEEN)) for one, count in characters.items()
        }
        self._together = {
            pair: math.log(
                (1 - SMOOTHED) * count / characters[pair[0]]
                + SMOOTHED * max(characters[pair[1]] / total, UNSEEN)
            )
            for pair, count in pairs.items()
        }
        self._sounds: dict[str, list[str]] = defaultdict(list)
        for one, count in sorted(characters.items(), key=lambda item: (-item[1], item[0])):
            if count >= LEAST and _HAN.match(one):
                for sound in readings(one):
                    self._sounds[sound].append(one)
        self._near: dict[str, list[str]] = defaultdict(list)
        for word, count in sorted(words.items()):
            if count >= LEAST_WORD and len(word) >= SHORTEST and self._is_word(word):
                for form in _without_one(word):
                    self._near[form].append(word)
        self._choices = lru_cache(maxsize=10_000)(self._same_sound)

    @classmethod
    def learn(cls, forms: Iterable[str], pieces: Pieces = encoder_pieces) -> NoisyChannel:
        """Count what stands beside what in normalised examples; those in pinyin teach nothing."""
        characters: Counter[str] = Counter()
        pairs: Counter[str] = Counter()
        words: Counter[str] = Counter()
        word_pairs: Counter[str] = Counter()
        for form in forms:
            for run in _RUN.findall(form):
                framed = f"{START}{run}{END}"
                characters.update(framed)
                pairs.update(framed[at : at + 2] for at in range(len(framed) - 1))
            found = [] if is_pinyin(form) else _LATIN.findall(form)
            words.update(found)
            word_pairs.update(
                f"{one} {other}" for one, other in zip([START, *found], [*found, END], strict=True)
            )
        return cls(dict(characters), dict(pairs), dict(words), dict(word_pairs), pieces)

    def as_dict(self) -> dict[str, Any]:
        """The counts, for JSON."""
        return dict(zip(("characters", "pairs", "words", "word_pairs"), self._counts, strict=True))

    @classmethod
    def from_dict(cls, counts: dict[str, Any], pieces: Pieces = encoder_pieces) -> NoisyChannel:
        return cls(**counts, pieces=pieces)

    def read(self, form: str) -> str:
        """`form` (normalised) as it was meant. What nothing is better than stays as it was typed."""
        if _HAN.search(form) or is_pinyin(form):
            form = self._read_chinese(form)
        return self._mend_words(form)

    # Chinese

    def _read_chinese(self, form: str) -> str:
        """Every run of characters and pinyin as the likeliest characters; the rest stays."""
        whole = not _HAN.search(form)  # the message is pinyin and nothing else
        found: list[str] = []
        run: list[Place] = []
        gap = ""
        guarded = self._guarded(form)
        at = 0
        for part in _PART.findall(form):
            places: list[Place] = []
            if _HAN.match(part):
                price = CHANGE + (KNOWN_WORD if at in guarded else 0.0)
                places = [Place(part, ((part, 0.0), *((one, -price) for one in self._choices(part))))]
            elif part[0].isalpha() and part.isascii():
                places = self._pinyin(part, whole)
            at += len(part)
            if places:
                if run and gap and not (places[0].typed.isascii() or run[-1].typed.isascii()):
                    found += [self._likeliest(run), gap]
                    run = []
                run += places
                gap = ""
            elif part.isspace() and run:
                gap = part
            else:
                if run:
                    found.append(self._likeliest(run))
                found += [gap, part]
                run, gap = [], ""
        if run:
            found.append(self._likeliest(run))
        return "".join(found) + gap

    def _pinyin(self, word: str, whole: bool) -> list[Place]:
        """The characters a word of syllables may stand for; none when it is another kind of word."""
        spoken = syllables(word)
        if not spoken or (not whole and (len(spoken) < 2 or self._is_known(word))):
            return []
        places = [
            Place(sound, tuple((one, 0.0) for one in self._sounds.get(sound, ())[: 2 * SAME]))
            for sound in spoken
        ]
        return places if all(place.choices for place in places) else []

    def _same_sound(self, character: str) -> tuple[str, ...]:
        found = [one for sound in readings(character) for one in self._sounds.get(sound, ())[:SAME]]
        return tuple(one for one in dict.fromkeys(found) if one != character)

    def _guarded(self, form: str) -> set[int]:
        """Places of characters that stand in a word of the encoder's vocabulary."""
        guarded: set[int] = set()
        for match in _RUN.finditer(form):
            at = match.start()
            for piece in self._pieces(match[0]):
                bare = piece.lstrip("▁")
                if len(bare) > 1:
                    guarded.update(range(at, at + len(bare)))
                at += len(bare)
        return guarded

    def _likeliest(self, run: Sequence[Place]) -> str:
        """Viterbi over the places, with a beam."""
        rows: list[tuple[float, str, str]] = [(0.0, START, "")]  # score, last character, text
        for place in run:
            scored: dict[str, tuple[float, str, str]] = {}
            for one, price in place.choices:
                best = max(
                    (score + self._bigram(last, one) + price, one, text + one) for score, last, text in rows
                )
                scored[one] = best
            rows = sorted(scored.values(), reverse=True)[:BEAM]
        return max((score + self._bigram(last, END), text) for score, last, text in rows)[1]

    def _bigram(self, one: str, other: str) -> float:
        known = self._together.get(one + other)
        return known if known is not None else self._alone.get(other, self._unseen)

    # English

    def _mend_words(self, form: str) -> str:
        words = _LATIN.findall(form)
        if not any(self._is_strange(word) for word in words):
            return form
        around = [START, *words, END]
        mended = [
            self._nearest(word, around[at], around[at + 2]) if self._is_strange(word) else word
            for at, word in enumerate(words)
        ]
        left = iter(mended)
        return _LATIN.sub(lambda match: next(left), form)

    def _nearest(self, word: str, before: str, after: str) -> str:
        """The word of the examples that is one slip away and stands best between its neighbours."""
        _, _, words, pairs = self._counts
        near = {
            one for form in _without_one(word) for one in self._near.get(form, ()) if _one_slip(word, one)
        }
        return max(
            sorted(near),
            default=word,
            key=lambda one: (
                math.log(words[one])
                + 2 * math.log1p(pairs.get(f"{before} {one}", 0))
                + 2 * math.log1p(pairs.get(f"{one} {after}", 0))
            ),
        )

    def _is_strange(self, word: str) -> bool:
        return len(word) >= SHORTEST and not self._is_known(word)

    def _is_known(self, word: str) -> bool:
        return self._counts[2].get(word, 0) > 1 or self._is_word(word)

    def _is_word(self, word: str) -> bool:
        return len(self._pieces(word)) == 1


def _without_one(word: str) -> set[str]:
    """The word, and the word without each of its letters: two words one slip apart share one of these."""
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}


def _one_slip(one: str, other: str) -> bool:
    """Whether a letter too many, too few or another, or two that changed places, make one of the other."""
    if len(one) == len(other):
        apart = [at for at in range(len(one)) if one[at] != other[at]]
        swapped = len(apart) == 2 and apart[1] == apart[0] + 1
        return len(apart) == 1 or (
            swapped and one[apart[0]] == other[apart[1]] and one[apart[1]] == other[apart[0]]
        )
    short, long = sorted((one, other), key=len)
    return len(long) == len(short) + 1 and any(long[:at] + long[at + 1 :] == short for at in range(len(long)))
