"""Search by a learned projection of the encoders' vectors: what a shopper tells and the section that settles it.

Encoders put near what means the same. A question in a shop's chat seldom means the same as the section that answers it
("courier left it with next door and they're away" / "Delivered, but not to you"). Four linear maps, one for questions and one
each for headings, texts and sentences, learned on the invented shops which is the section to a question among all of its shop
(scripts/fit_projection.py, softmax over the sections; the encoders stay as they are). A shop is never trained on. This
module knows no article.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bot.knowledge.encoders import Vectors
from bot.knowledge.interaction import SentenceIndex

FILE = Path(__file__).with_name("projection.safetensors")
PARTS = ("heading", "text", "sentence")

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Projection:
    """The maps (dimensions x inputs) and how much each part of a section counts; shares sum to 1.

    Questions, headings and texts are given as the vectors of all encoders side by side in the order of
    `bot.knowledge.encoders.ENCODERS`, sentences as those of the encoder of sentences.
    """

    maps: Mapping[str, Vectors]  # "question" and PARTS
    shares: Mapping[str, float]  # PARTS

    def __call__(self, kind: str, vectors: Vectors) -> Vectors:
        """Vectors (n x inputs) of that kind where questions and sections are compared, of length 1."""
        mapped = np.asarray(vectors @ self.maps[kind].T, dtype=np.float32)
        unit: Vectors = mapped / np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), 1e-9)
        return unit


@lru_cache(maxsize=1)
def load_projection(path: Path = FILE) -> Projection:
    """The one in a file that scripts/fit_projection.py wrote; without a path the package's own."""
    from safetensors.numpy import load_file

    found = {name: np.asarray(values, dtype=np.float32) for name, values in load_file(path).items()}
    shares = dict(zip(PARTS, map(float, found.pop("shares")), strict=True))
    return Projection(found, shares)


class ProjectionIndex:
    """The sections of a shop, projected."""

    def __init__(
        self, projection: Projection, headings: Vectors, texts: Vectors, sentences: SentenceIndex
    ) -> None:
        self._projection = projection
        self._headings = projection("heading", headings)
        self._texts = projection("text", texts)
        self._nearest = sentences.nearest
        self._sentences = projection("sentence", sentences.vectors)

    def scores(self, question: Vectors) -> Scores:
        """Per section the mean of the cosines to its heading, its text and its nearest sentence, by their shares."""
        asked = self._projection("question", question[None])[0]
        shares = self._projection.shares
        return np.asarray(
            shares["heading"] * (self._headings @ asked)
            + shares["text"] * (self._texts @ asked)
            + shares["sentence"] * self._nearest(self._sentences @ asked),
            dtype=np.float32,
        )
