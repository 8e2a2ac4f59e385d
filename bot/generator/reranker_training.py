"""Training of the reranker: from sections with questions to an adapter and a row of weights.

A section is read once for all its questions (`bot.generator.trees`): three times less work than pairs. The
lowest layers stay as they are, so their output is computed once and kept. What it learns from is made by
`bot.generator.trunks`. Knows torch.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bot.exceptions import GeneratorError
from bot.generator.binding import sampled_hash
from bot.generator.calibration import auroc
from bot.generator.model import Loaded, computes_bfloat16, load
from bot.generator.reranker import ReadingPlan, Reranker, question_ids, read_head, section_ids
from bot.generator.training import TARGETS, save_adapter, training_mark
from bot.generator.trees import Laid, Tree, lay
from bot.generator.trunks import Trunk


@dataclass(frozen=True)
class Reading:
    """Log-odds that a reranker gave to pairs of a section and a question, and 1.0 for those that do not answer."""

    scores: tuple[float, ...]
    wrong: tuple[float, ...]

    @cached_property
    def figures(self) -> dict[str, Any]:
        """How well answered questions are told from others: AUROC over all pairs."""
        return {"pairs": len(self.scores), "auroc": auroc(self.scores, self.wrong)}

    def odds(self) -> tuple[float, float]:
        """Factor and constant that turn the scores into the log-odds they should be (Platt 1999)."""
        from sklearn.linear_model import LogisticRegression

        fitted = LogisticRegression(C=1e6).fit(
            [[score] for score in self.scores], [1 - wrong for wrong in self.wrong]
        )
        return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def read_pairs(reranker: Reranker, trunks: Sequence[Trunk]) -> Reading:
    """Every question of the trunks, read beside its section."""
    scores = [score for found in score_trunks(reranker, trunks) for score in found]
    return Reading(tuple(scores), tuple(float(not answers) for t in trunks for _, answers in t.questions))


def align_head(folder: Path, new: Reading, old: Reading) -> tuple[float, float]:
    """Make the log-odds of a new reranker mean what those of an old one do; both have read the same pairs.

    The limits in the code and the confidence model were made for the old one's. Returns the factor of the scores and what is
    added to them.

    Raises:
        GeneratorError: the new one's scores say nothing, or the folder holds no reranker.
    """
    steep, level = new.odds()
    old_steep, old_level = old.odds()
    if steep <= 0 or old_steep <= 0:
        raise GeneratorError(f"{folder}: what it scores higher is not more often an answer. Train it longer.")
    scale, shift = steep / old_steep, (level - old_level) / old_steep
    _, head = read_head(folder)
    aligned = {"weight": head["weight"] * scale, "bias": head["bias"] * scale + shift}
    _write_head(folder, aligned)
    return scale, shift


@dataclass(frozen=True)
class _Pack:
    """Several trees laid side by side, and the labels of their branches."""

    laid: Laid
    mask: Any
    labels: tuple[float, ...]

    @property
    def read(self) -> list[int]:
        """Where the scores are read: at the last token of every branch."""
        return [stop - 1 for _, stop in self.laid.branches]


def _packs(loaded: Loaded, trunks: Sequence[Trunk], size: int) -> Iterator[_Pack]:
    """Trees in groups of about `size` tokens."""
    import torch

    trees: list[Tree] = []
    labels: list[float] = []
    for trunk in trunks:
        branches = tuple(tuple(question_ids(loaded, q)) for q, _ in trunk.questions)
        tree = Tree(tuple(section_ids(loaded, trunk.document)), branches)
        if trees and sum(map(len, trees)) + len(tree) > size:
            laid = lay(trees)
            yield _Pack(laid, laid.mask(torch.float32), tuple(labels))
            trees, labels = [], []
        trees.append(tree)
        labels += [float(answers) for _, answers in trunk.questions]
    if trees:
        laid = lay(trees)
        yield _Pack(laid, laid.mask(torch.float32), tuple(labels))


def _through(body: Any, hidden: Any, pack: _Pack, first: int, last: int) -> Any:
    """Layers `first` to `last` (exclusive) of the body."""
    kinds = body.config.layer_types
    positions = pack.laid.positions
    turned = {kind: body.rotary_emb(hidden, positions, kind) for kind in set(kinds)}
    for layer in range(first, last):
        hidden = body.layers[layer](
            hidden,
            attention_mask=pack.mask,
            position_embeddings=turned[kinds[layer]],
            position_ids=positions,
        )
    return hidden


def score_trunks(reranker: Reranker, trunks: Sequence[Trunk], size: int = 900) -> list[list[float]]:
    """Log-odds of every question of every trunk, as `Reranker.score` gives them, in a fraction of the time."""
    import torch

    scores: list[float] = []
    for pack in _packs(reranker.loaded, trunks, size):
        with torch.inference_mode():
            hidden = reranker.body.embed_tokens(pack.laid.ids)
            hidden = _through(reranker.body, hidden, pack, 0, len(reranker.body.layers))
            scores += reranker.logits(reranker.body.norm(hidden)[0, pack.read])
    read = iter(scores)
    return [[next(read) for _ in trunk.questions] for trunk in trunks]


def train_reranker(
    trunks: Sequence[Trunk],
    out: Path,
    *,
    plan: ReadingPlan,
    start_from: Path | None = None,
    weights: str | None = None,
    cache: Path,
    every: int = 50,
    progress: Callable[[int, int, float, float], None] = lambda step, total, loss, seconds: None,
) -> Path:
    """Train and save to `out`; started again with the same data and plan it goes on from the last checkpoint.

    `progress` gets step, steps, running loss and seconds so far. With `start_from`, a reranker of the same layers and rank, it
    learns on from that one, and the outcome is the mean of the two, `plan.kept` of the old one in it: what the old one could is
    kept, what is new is learned (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").

    Raises:
        GeneratorError: there is nothing to train on, `out` holds another training's checkpoint, or `start_from` does not fit.
    """
    import torch
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
    from torch.nn.functional import binary_cross_entropy_with_logits

    if not trunks:
        raise GeneratorError("There is no section to train on.")
    torch.manual_seed(plan.seed)
    loaded = load(weights, cache=cache, adapter="none", device="cpu", dtype="float32")
    begun = _read_reranker(start_from, plan) if start_from else None
    settings: list[object] = [asdict(plan), trunks]
    if start_from:
        settings += [sampled_hash(start_from / f"{one}.safetensors") for one in ("adapter_model", "head")]
    mark = training_mark(loaded, *settings)
    shuffled = list(trunks)
    random.Random(plan.seed).shuffle(shuffled)
    packs = list(_packs(loaded, shuffled, plan.pack))
    targets = [
        f"layers.{n}.{room}.{name}"
        for n in range(plan.frozen, plan.layers)
        for name in TARGETS
        for room in (("self_attn",) if name in TARGETS[:4] else ("mlp",))
    ]
    model = get_peft_model(
        loaded.model, LoraConfig(r=plan.rank, lora_alpha=plan.alpha, target_modules=targets, lora_dropout=0.0, task_type="CAUSAL_LM"),
    )  # fmt: skip
    body = loaded.model.base_model
    weight = torch.nn.Parameter(torch.zeros(body.config.hidden_size))
    bias = torch.nn.Parameter(torch.tensor(-0.5))
    if begun is not None:
        adapter, head = begun
        set_peft_model_state_dict(model, adapter)
        with torch.no_grad():
            weight.copy_(head["weight"])
            bias.copy_(head["bias"].reshape(()))
    lora = [p for p in model.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in (*lora, weight, bias)] if start_from else []
    optimiser = torch.optim.AdamW(
        [{"params": lora, "lr": plan.learning_rate}, {"params": [weight, bias], "lr": plan.learning_rate * 5}],
        weight_decay=0.01, betas=(0.9, 0.98),
    )  # fmt: skip
    rates = [group["lr"] for group in optimiser.param_groups]
    order: list[int] = []
    rng = random.Random(plan.seed)
    for _ in range(plan.epochs):
        order += rng.sample(range(len(packs)), len(packs))
    total = len(order)
    state_file = out / "checkpoint" / "state.pt"
    start = 0
    if state_file.exists():
        state = torch.load(state_file, map_location="cpu", weights_only=True)
        if state["mark"] != mark:
            raise GeneratorError(
                f"{state_file.parent} belongs to another training (data, settings or weights). Remove it or choose another --out."
            )
        with torch.no_grad():
            for mine, kept in zip([*lora, weight, bias], state["trained"], strict=True):
                mine.copy_(kept)
        optimiser.load_state_dict(state["optimiser"])
        start = int(state["step"])
    # Products in bfloat16, sums and weights in float32: half as long again without.
    fast = computes_bfloat16()
    below: dict[int, Any] = {}  # output of the frozen layers, which never changes
    began, running = time.monotonic(), None
    for step in range(start, total):
        factor = min(1.0, (step + 1) / 30) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / total)))
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        at = order[step]
        pack = packs[at]
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            if at not in below:
                with torch.no_grad():
                    below[at] = _through(body, body.embed_tokens(pack.laid.ids), pack, 0, plan.frozen).half()
            hidden = _through(body, below[at].float(), pack, plan.frozen, plan.layers)
        logits = body.norm(hidden)[0, pack.read].float() @ weight + bias
        loss = binary_cross_entropy_with_logits(logits, torch.tensor(pack.labels))
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*lora, weight, bias], 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        running = loss.item() if running is None else 0.97 * running + 0.03 * loss.item()
        progress(step + 1, total, running, time.monotonic() - began)
        if (step + 1) % every == 0 or step + 1 == total:
            state_file.parent.mkdir(parents=True, exist_ok=True)
            part = state_file.with_suffix(".part")
            trained = [p.detach() for p in (*lora, weight, bias)]
            torch.save(
                {"mark": mark, "step": step + 1, "trained": trained, "optimiser": optimiser.state_dict()},
                part,
            )
            part.replace(state_file)
            save_reranker(model, weight, bias, out, plan, step + 1)
    with torch.no_grad():
        for mine, old in zip((*lora, weight, bias), before, strict=bool(before)):
            mine.lerp_(old, plan.kept)
    # Killed between the two at the last step, a training has none left when it is started again.
    save_reranker(model, weight, bias, out, plan, max(start, total))
    return out


def _read_reranker(folder: Path, plan: ReadingPlan) -> tuple[dict[str, Any], dict[str, Any]]:
    """Adapter and head of a reranker to learn on from.

    Raises:
        GeneratorError: it is none, or of other layers or rank than the plan.
    """
    from safetensors.torch import load_file

    made, head = read_head(folder)
    try:
        adapter = load_file(str(folder / "adapter_model.safetensors"))
    except (OSError, ValueError) as exc:
        raise GeneratorError(f"{folder} is not a LoRA adapter: {exc}") from exc
    for name in ("layers", "frozen", "rank", "alpha"):
        if made.get(name) != getattr(plan, name):
            raise GeneratorError(
                f"{folder} has {name} {made.get(name)}, a new one would have {getattr(plan, name)}. Leave --start out."
            )
    return adapter, head


def save_reranker(model: Any, weight: Any, bias: Any, out: Path, plan: ReadingPlan, steps: int) -> None:
    """The adapter as `bot.generator.training` saves one, and the head beside it."""
    out.mkdir(parents=True, exist_ok=True)
    _write_head(out, {"weight": weight.detach().clone(), "bias": bias.detach().clone().reshape(1)})
    save_adapter(model, out, plan, steps)


def _write_head(folder: Path, head: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    part = folder / "head.part"
    save_file(head, str(part), metadata={"format": "pt"})
    part.chmod(0o644)  # safetensors writes files that only their owner can read
    part.replace(folder / "head.safetensors")
