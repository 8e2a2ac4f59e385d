"""The reranker: reads a section and a question together and says how likely the section answers it.

A cross-encoder on the lower layers of the generator's base weights: a LoRA adapter of its own and one linear
row read at the last token. Section first, question after it, so that the question's tokens look up what they
ask for. Where `bot.knowledge` compares two vectors, this sees which attribute of which product is asked. It
decides nothing: its number is one feature of `bot.generator.confidence`. Trained by
`bot.generator.reranker_training`; knows torch, and nothing of servers.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.exceptions import GeneratorError
from bot.generator.model import Loaded, load, merge_adapter
from bot.generator.prompt import quoted

RERANKER = Path(__file__).with_name("reranker")
MAX_SECTION_TOKENS = 220
MAX_QUESTION_TOKENS = 64
KEPT_SECTIONS = 512  # about 0.8 MB each
TOGETHER = 8  # sections that a question goes past at once


@dataclass(frozen=True)
class ReadingPlan:
    """What decides the outcome of a training run. Kept beside the adapter."""

    layers: int = 12  # of 18: the last third turns meaning into the next word, which nobody asks for here
    frozen: int = 4  # the lowest of them keep the base's weights
    rank: int = 16
    alpha: int = 32
    learning_rate: float = 3e-4
    epochs: int = 3
    pack: int = 900  # tokens of one step
    seed: int = 0
    kept: float = 0.5  # share of the reranker that it learned on from, if it did


def section_ids(loaded: Loaded, document: str) -> list[int]:
    """Token ids of a section (`bot.generator.prompt.document`), cut to `MAX_SECTION_TOKENS`."""
    return loaded.encode(document)[:MAX_SECTION_TOKENS]


def question_ids(loaded: Loaded, question: str) -> list[int]:
    """Token ids of what follows a section. The score is read at the last one."""
    begin = loaded.encode("")
    asked = loaded.encode(f"\nQ: {quoted(question, 300)}")[len(begin) :][:MAX_QUESTION_TOKENS]
    return [*asked, *loaded.encode("\nA:")[len(begin) :]]


def load_reranker(name: str | None, *, cache: Path, device: str = "cpu") -> Reranker | None:
    """The reranker that `generator.reranker` means: a folder, None for the project's own, "none" for none.

    It reads with the packaged base weights, whatever model generates.
    """
    if name == "none":
        return None
    return Reranker.load(folder=Path(name) if name else RERANKER, cache=cache, device=device)


def read_head(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """How a reranker was made (`ReadingPlan`), and its head.

    Raises:
        GeneratorError: the folder holds none.
    """
    from safetensors.torch import load_file

    try:
        plan = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        return plan, load_file(str(folder / "head.safetensors"))
    except (OSError, ValueError) as exc:
        raise GeneratorError(
            f"{folder} is not a reranker ({exc}). Make one with `kefu finetune reranker`."
        ) from exc


class Reranker:
    """Scores sections for a question. One call at a time; safe from several threads."""

    def __init__(self, loaded: Loaded, head: Any, layers: int) -> None:
        self.loaded = loaded
        self._head = head
        self._lock = threading.Lock()
        self._sections: OrderedDict[str, list[tuple[Any, Any]]] = OrderedDict()
        body = loaded.model.base_model
        body.layers = body.layers[:layers]
        body.config.num_hidden_layers = layers
        self.body = body

    @classmethod
    def load(
        cls, *, folder: Path = RERANKER, weights: str | None = None, cache: Path, device: str = "cpu"
    ) -> Reranker:
        """Base weights cut down to the layers used, with the adapter merged in.

        Raises:
            GeneratorError: the adapter is missing, or was made for other weights.
        """
        plan, head = read_head(folder)
        loaded = load(weights, cache=cache, adapter="none", device=device, dtype="float32")
        merge_adapter(loaded.model, folder)
        return cls(loaded, {k: v.to(device).float() for k, v in head.items()}, int(plan["layers"]))

    def score(
        self, question: str, documents: Sequence[str], left: threading.Event | None = None
    ) -> list[float]:
        """Log-odds that each section (`bot.generator.prompt.document`) answers the question.

        A section that was read lately is not read again: its keys and values are kept, and only the question
        goes through the layers.

        Args:
            left: set when the caller has gone; no further section is read then.

        Raises:
            GeneratorError: the caller has gone.
        """
        import torch

        asked = torch.tensor([question_ids(self.loaded, question)], device=self.loaded.device)
        with self._lock, torch.inference_mode():
            scores: list[float] = []
            for start in range(0, len(documents), TOGETHER):
                read = []
                for document in documents[start : start + TOGETHER]:
                    if left is not None and left.is_set():
                        raise GeneratorError("Nobody waits for the scores any more.")
                    read.append(self._read(document))
                scores += self._ask(asked, read)
            return scores

    def _ask(self, asked: Any, sections: Sequence[list[tuple[Any, Any]]]) -> list[float]:
        """Log-odds of sections that were read, for one question: it goes past all of them at once, so that the weights are
        fetched once. Shorter sections are filled up on the left, where the mask hides it."""
        import torch
        from torch.nn.functional import pad
        from transformers import DynamicCache

        lengths = torch.tensor([[section[0][0].shape[-2]] for section in sections], device=asked.device)
        longest = int(lengths.max())

        def beside(layer: int, which: int) -> Any:
            rows = [section[layer][which] for section in sections]
            return torch.cat([pad(row, (0, 0, longest - row.shape[-2], 0)) for row in rows]).float()

        cache = DynamicCache()
        for layer in range(len(sections[0])):
            cache.update(beside(layer, 0), beside(layer, 1), layer)
        count = asked.shape[1]
        places = torch.arange(longest + count, device=asked.device)
        hidden = self.body(
            input_ids=asked.expand(len(sections), -1),
            attention_mask=(places >= longest - lengths).long(),
            position_ids=lengths + torch.arange(count, device=asked.device),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        return self.logits(hidden[:, -1])

    def _read(self, document: str) -> list[tuple[Any, Any]]:
        """Keys and values of a section in every layer, in half precision: twice as many are kept so, and the log-odds move by less
        than 0.01."""
        import torch
        from transformers import DynamicCache

        if document not in self._sections:
            ids = torch.tensor([section_ids(self.loaded, document)], device=self.loaded.device)
            cache = DynamicCache()
            self.body(input_ids=ids, past_key_values=cache, use_cache=True)
            self._sections[document] = [(layer.keys.half(), layer.values.half()) for layer in cache.layers]
            if len(self._sections) > KEPT_SECTIONS:
                self._sections.popitem(last=False)
        self._sections.move_to_end(document)
        return self._sections[document]

    def logits(self, hidden: Any) -> list[float]:
        """The head: log-odds of rows of hidden states."""
        found = hidden.float() @ self._head["weight"] + self._head["bias"]
        return [float(v) for v in found]
