"""Which intent a message has, and how sure that is: features, a linear model, a calibrated score.

A message is first read as it was meant (`bot.noisy_channel`). Then two views of a message: the vector of a multilingual sentence encoder (what it means) and TF-IDF of
character n-grams (how it is written; typos, pinyin and product words survive). A multinomial logistic
regression stands on both. Its scores are softened by a temperature found on phrasings that were held
out, so that 0.8 is right about eight times in ten. Everything is seeded and stored as plain arrays.
This module knows no framework and no names of intents.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse

from bot.noisy_channel import NoisyChannel, Pieces, encoder_pieces
from bot.normalise import normalise

Array = npt.NDArray[np.float32]
Encode = Callable[[Sequence[str]], Array]

FORMAT = 2
BLOCK = 7  # neighbouring examples say the same thing in other words; they are held out together


@dataclass(frozen=True)
class Options:
    """What can be chosen about the model. `meaning` and `spelling` switch the two views, `channel` the mending."""

    channel: bool = True
    meaning: bool = True
    spelling: bool = True
    weight: float = 2.5  # of the sentence vector against the n-grams
    longest: int = 4  # characters in an n-gram
    rarest: int = 2  # examples an n-gram must stand in
    strength: float = 6.0  # inverse of the L2 penalty
    balance: float = 0.5  # 0: every example counts the same, 1: every intent
    iterations: int = 44
    folds: int = 5  # of which one is held out for the temperature
    seed: int = 20261122


def encode_meaning(texts: Sequence[str]) -> Array:
    """Vectors of the packaged multilingual encoder."""
    from bot.knowledge.encoders import encoder

    use = encoder("use")
    return np.vstack([use.encode(texts[start : start + 256], "query") for start in range(0, len(texts), 256)])


def encode_examples(texts: Sequence[str]) -> Array:
    """As `encode_meaning`, with the vectors kept in the data folder: half of a training's time is spent on them."""
    from bot.knowledge.encoders import EmbeddingCache, encoder
    from bot.settings import get_settings

    cache, use = EmbeddingCache(get_settings().data_path("cache", "examples.db")), encoder("use")
    starts = range(0, len(texts), 256)
    return np.vstack([cache.encode(use, texts[start : start + 256], "query") for start in starts])


def ngrams(text: str, longest: int) -> list[str]:
    """Character n-grams within words, each word framed by spaces; Chinese runs are words of their own.

    Chinese pairs with one character left out between them count as pairs: a missing character leaves one of those.
    """
    found: list[str] = []
    for word in text.split():
        framed = f" {word} "
        for size in range(1, longest + 1):
            if size == 1:
                found.extend(word)
            else:
                found.extend(framed[at : at + size] for at in range(len(framed) - size + 1))
        found.extend(
            one + other for one, other in zip(framed, framed[2:], strict=False) if not (one + other).isascii()
        )
    words = text.split()
    found.extend(f"{one} {other}" for one, other in itertools.pairwise(words) if len(one) + len(other) < 24)
    return found


class Spelling:
    """TF-IDF of character n-grams and word pairs: rows of length 1."""

    def __init__(self, vocabulary: dict[str, int], idf: Array, longest: int) -> None:
        self.vocabulary, self.idf, self.longest = vocabulary, idf, longest

    @classmethod
    def learn(cls, texts: Sequence[str], longest: int, rarest: int) -> Spelling:
        seen: Counter[str] = Counter()
        for text in texts:
            seen.update(set(ngrams(text, longest)))
        kept = sorted(gram for gram, count in seen.items() if count >= rarest)
        idf = np.array([np.log((1 + len(texts)) / (1 + seen[gram])) + 1 for gram in kept], dtype=np.float32)
        return cls({gram: at for at, gram in enumerate(kept)}, idf, longest)

    def rows(self, texts: Sequence[str]) -> sparse.csr_matrix:
        starts: list[int] = [0]
        columns: list[int] = []
        values: list[float] = []
        for text in texts:
            counts: Counter[int] = Counter()
            for gram in ngrams(text, self.longest):
                at = self.vocabulary.get(gram)
                if at is not None:
                    counts[at] += 1
            weights = np.array([(1 + np.log(n)) * self.idf[at] for at, n in counts.items()], dtype=np.float32)
            norm = float(np.linalg.norm(weights)) or 1.0
            columns.extend(counts)
            values.extend((weights / norm).tolist())
            starts.append(len(columns))
        shape = (len(texts), max(1, len(self.vocabulary)))
        return sparse.csr_matrix((np.array(values, dtype=np.float32), columns, starts), shape=shape)


def softmax(scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def fit_logistic(
    dense: Array,
    rows: sparse.csr_matrix,
    labels: npt.NDArray[np.int64],
    weights: Array,
    options: Options,
    classes: int,
    start: tuple[Array, Array, Array] | None = None,
) -> tuple[Array, Array, Array]:
    """Weights of a multinomial logistic regression on (dense | rows): L-BFGS on the L2-penalised log loss.

    Returns the weights of the dense part, of the sparse part, and the intercepts.
    """
    count, width, depth = len(labels), dense.shape[1], rows.shape[1]
    sizes = np.cumsum([width * classes, depth * classes])
    turned = rows.T.tocsr()
    penalty = 1.0 / (options.strength * count)
    scale = (weights / weights.sum()).astype(np.float32)[:, None]
    at = np.arange(count)

    def unpack(flat: npt.NDArray[Any]) -> tuple[Array, Array, Array]:
        one, two, three = np.split(np.asarray(flat, dtype=np.float32), sizes)
        return one.reshape(width, classes), two.reshape(depth, classes), three

    def loss(flat: npt.NDArray[Any]) -> tuple[float, npt.NDArray[np.float64]]:
        one, two, three = unpack(flat)
        chances = softmax(dense @ one + rows @ two + three)
        value = -float((scale[:, 0] * np.log(chances[at, labels] + 1e-12)).sum())
        value += 0.5 * penalty * float((one**2).sum() + (two**2).sum())
        chances[at, labels] -= 1.0
        chances *= scale
        gradient = np.concatenate(
            [
                (dense.T @ chances + penalty * one).ravel(),
                (turned @ chances + penalty * two).ravel(),
                chances.sum(axis=0),
            ]
        )
        return value, gradient.astype(np.float64)

    if start is None:
        first = np.zeros(int(sizes[-1]) + classes)
    else:
        first = np.concatenate([part.ravel() for part in start]).astype(np.float64)
    best = optimize.minimize(
        loss, first, jac=True, method="L-BFGS-B", options={"maxiter": options.iterations, "maxcor": 7}
    )
    return unpack(best.x)


def find_temperature(scores: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> float:
    """The temperature under which held-out scores have the smallest log loss (Guo et al. 2017)."""

    def log_loss(log_temperature: float) -> float:
        chances = softmax(scores / np.exp(log_temperature))
        return -float(np.log(chances[np.arange(len(labels)), labels] + 1e-12).mean())

    best = optimize.minimize_scalar(log_loss, bounds=(-2.0, 2.5), method="bounded")
    return float(np.exp(best.x))


class IntentModel:
    """Ranks intents for a message."""

    def __init__(
        self,
        intents: list[str],
        options: Options,
        spelling: Spelling,
        weights: tuple[Array, Array, Array],
        temperature: float,
        encode: Encode = encode_meaning,
        channel: NoisyChannel | None = None,
    ) -> None:
        self.intents, self.options, self.spelling = intents, options, spelling
        self.weights, self.temperature, self._encode = weights, temperature, encode
        self.channel = channel

    @classmethod
    def train(
        cls,
        texts: Sequence[str],
        intents: Sequence[str],
        options: Options = Options(),
        encode: Encode = encode_meaning,
        pieces: Pieces = encoder_pieces,
    ) -> IntentModel:
        """Learn from texts and their intents.

        A text that stands under two intents after normalisation counts for the first.
        """
        first: dict[str, str] = {}
        for text, intent in zip(texts, intents, strict=True):
            first.setdefault(normalise(text) or " ", intent)
        forms, names = list(first), sorted(set(first.values()))
        assert len(names) > 1, "an intent model needs examples of at least two intents"
        # The slips among the examples are learned as they are: mended ones taught less (docs/decisions/0004).
        channel = NoisyChannel.learn(forms, pieces) if options.channel else None
        labels = np.array([names.index(first[form]) for form in forms])
        dense = cls._dense(forms, options, encode)

        # 1) hold out whole phrasings, to see how sure the model should be of what it has not read
        fold = np.random.default_rng(options.seed).integers(0, options.folds, size=len(forms) // BLOCK + 1)
        held = fold[np.arange(len(forms)) // BLOCK] == 0
        held &= np.isin(labels, labels[~held])
        spelling = Spelling.learn(forms if options.spelling else [], options.longest, options.rarest)
        rows = spelling.rows(forms)
        counts = np.bincount(labels, minlength=len(names)).astype(np.float32)
        each = ((counts.mean() / np.maximum(counts, 1.0)) ** options.balance)[labels].astype(np.float32)
        temperature, start = 1.0, None
        if 20 <= held.sum() < len(forms) - 20:
            start = fit_logistic(dense[~held], rows[~held], labels[~held], each[~held], options, len(names))
            scores = dense[held] @ start[0] + rows[held] @ start[1] + start[2]
            temperature = find_temperature(scores, labels[held])

        # 2) learn from everything, going on from there
        shorter = replace(options, iterations=options.iterations // 2) if start else options
        weights = fit_logistic(dense, rows, labels, each, shorter, len(names), start)
        return cls(names, options, spelling, weights, temperature, encode, channel)

    @staticmethod
    def _dense(forms: Sequence[str], options: Options, encode: Encode) -> Array:
        if not options.meaning:
            return np.zeros((len(forms), 1), dtype=np.float32)
        return np.asarray(encode(forms), dtype=np.float32) * np.float32(options.weight)

    def _scores(self, forms: Sequence[str], dense: Array) -> npt.NDArray[Any]:
        one, two, three = self.weights
        return np.asarray(dense @ one + self.spelling.rows(forms) @ two + three)

    def chances(self, texts: Sequence[str]) -> npt.NDArray[Any]:
        """Calibrated probabilities, a row per text, a column per intent (`self.intents`)."""
        typed = [normalise(text) for text in texts]
        forms = [(self.channel.read(form) if self.channel else form) or " " for form in typed]
        return softmax(self._scores(forms, self._dense(forms, self.options, self._encode)) / self.temperature)

    def rank(self, text: str) -> list[tuple[str, float]]:
        """Intents with their probabilities, the likeliest first."""
        chances = self.chances([text])[0]
        return [(self.intents[at], float(chances[at])) for at in np.argsort(-chances, kind="stable")]

    def save(self, folder: Path) -> None:
        """Write the model as arrays and JSON: nothing in it is executed when it is read."""
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(
            folder / "weights.npz",
            meaning=self.weights[0],
            spelling=self.weights[1].astype(np.float16),
            intercept=self.weights[2],
            idf=self.spelling.idf,
        )
        about = {
            "format": FORMAT,
            "intents": self.intents,
            "temperature": self.temperature,
            "options": self.options.__dict__,
            "vocabulary": list(self.spelling.vocabulary),
            "channel": self.channel.as_dict() if self.channel else None,
        }
        (folder / "model.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(
        cls, folder: Path, encode: Encode = encode_meaning, pieces: Pieces = encoder_pieces
    ) -> IntentModel:
        """Read a model that `save` wrote.

        Raises:
            ValueError: the files are of another format; the remedy is to train again.
        """
        about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        if about.get("format") != FORMAT:
            raise ValueError(
                f"{folder}: intent model of format {about.get('format')}, not {FORMAT}. Train again."
            )
        with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
            weights = (arrays["meaning"], arrays["spelling"].astype(np.float32), arrays["intercept"])
            idf = arrays["idf"]
        options = Options(**about["options"])
        vocabulary = {gram: at for at, gram in enumerate(about["vocabulary"])}
        return cls(
            about["intents"],
            options,
            Spelling(vocabulary, idf, options.longest),
            weights,
            about["temperature"],
            encode,
            NoisyChannel.from_dict(about["channel"], pieces) if about["channel"] else None,
        )
