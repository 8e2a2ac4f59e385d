"""The training loop: a LoRA adapter from dialogues, on a CPU or CUDA, that survives interruption.

Dialogues about the same evidence are read as one tree (`bot.generator.trees`), and logits are computed at the
answers' positions only: over a vocabulary of a quarter million tokens that is most of the time and memory of a
step. A checkpoint holds adapter, optimiser and position; started again with the same data, settings and weights,
training goes on where it stopped. Knows no metric but the loss.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bot.exceptions import GeneratorError
from bot.generator.dialogues import Dialogue
from bot.generator.model import Loaded, load
from bot.generator.prompt import build_messages, render
from bot.generator.reranker import ReadingPlan
from bot.generator.trees import Tree, lay

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass(frozen=True)
class TrainingPlan:
    """What decides the outcome of a training run. Kept beside the adapter."""

    rank: int = 16
    alpha: int = 32
    learning_rate: float = 4e-4
    batch: int = 16  # answers of one step
    epochs: int = 1
    warmup: int = 20
    max_tokens: int = 1024  # longer examples are left out
    seed: int = 0


def example_ids(loaded: Loaded, dialogue: Dialogue) -> tuple[list[int], list[int]]:
    """Token ids of prompt and answer; the answer ends with the model's end token."""
    messages = build_messages(
        dialogue.question, dialogue.evidence, language=dialogue.language, history=dialogue.history
    )
    prompt = loaded.encode(render(messages))
    whole = loaded.encode(render(messages) + " " + dialogue.answer)
    end = min(loaded.stop_ids)
    at = next((i for i, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b), len(prompt))
    return whole[:at], [*whole[at:], end]


def train_adapter(
    dialogues: Sequence[Dialogue],
    out: Path,
    *,
    plan: TrainingPlan,
    weights: str | None,
    cache: Path,
    device: str = "auto",
    dtype: str = "auto",
    every: int = 100,
    max_steps: int | None = None,
    progress: Callable[[int, int, float, float], None] = lambda step, total, loss, seconds: None,
) -> Path:
    """Train and save the adapter to `out`; checkpoints lie in ``out/checkpoint``.

    Returns the folder of the adapter. `progress` gets step, steps, running loss and seconds so far.

    Raises:
        GeneratorError: there is nothing to train on, or `out` holds another training's checkpoint.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from torch.nn.functional import cross_entropy

    torch.manual_seed(plan.seed)
    loaded = load(weights, cache=cache, adapter="none", device=device, dtype=dtype)
    examples = [example_ids(loaded, d) for d in dialogues]
    examples = [e for e in examples if len(e[0]) + len(e[1]) <= plan.max_tokens]
    if not examples:
        raise GeneratorError("There is no example to train on; see the report of `kefu finetune prepare`.")
    steps = make_steps(grow(examples, plan.batch), plan)
    mark = training_mark(loaded, asdict(plan), len(examples), dialogues)
    config = LoraConfig(
        r=plan.rank, lora_alpha=plan.alpha, target_modules=TARGETS, lora_dropout=0.0, task_type="CAUSAL_LM"
    )
    model = get_peft_model(loaded.model, config)
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=plan.learning_rate, weight_decay=0.01, betas=(0.9, 0.98))
    total = len(steps) if max_steps is None else min(max_steps, len(steps))
    start = _resume(out / "checkpoint", mark, model, optimiser)
    body, head = loaded.model.base_model, loaded.model.get_output_embeddings()
    began, running = time.monotonic(), None
    for step in range(start, total):
        rate = plan.learning_rate * min(1.0, (step + 1) / plan.warmup)
        rate *= 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * step / max(1, len(steps))))
        for group in optimiser.param_groups:
            group["lr"] = rate
        weight = 1 / sum(map(len, (a for grown in steps[step] for a in grown.answers)))  # of one token
        lost = 0.0
        for grown in steps[step]:
            laid = lay([grown.tree])
            hidden = body(
                input_ids=laid.ids.to(loaded.device),
                position_ids=laid.positions.to(loaded.device),
                attention_mask=_on(loaded.device, laid.masks(loaded.model.config, loaded.model.dtype)),
                use_cache=False,
            ).last_hidden_state[0]
            rows = [
                row
                for (_, stop), answer in zip(laid.branches, grown.answers, strict=True)
                for row in range(stop - len(answer) - 1, stop - 1)
            ]
            targets = torch.tensor([t for answer in grown.answers for t in answer], device=loaded.device)
            loss = weight * cross_entropy(head(hidden[rows]).float(), targets, reduction="sum")
            loss.backward()
            lost += loss.item()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        running = lost if running is None else 0.95 * running + 0.05 * lost
        progress(step + 1, total, running, time.monotonic() - began)
        if (step + 1) % every == 0 or step + 1 == total:
            _save(out / "checkpoint", mark, step + 1, model, optimiser)
            save_adapter(model, out, plan, step + 1)
    # Killed between the two at the last step, a training has none left when it is started again.
    save_adapter(model, out, plan, max(start, total))
    return out


def training_mark(loaded: Loaded, *settings: object) -> str:
    """A hash that two trainings share when one may go on with the other's checkpoint: the same settings and data, and
    the same weights under the adapter, computed in the same type. Call it before an adapter is put on.

    Of every matrix that gets an adapter sixty-four numbers are read: weights differ all over, not in one place.
    """
    seen = []
    for name, weight in loaded.model.named_parameters():
        if any(f".{target}." in name for target in TARGETS):
            flat = weight.detach().flatten()
            sample = flat[:: max(1, len(flat) // 64)][:64].float().cpu().tolist()
            seen.append((name, tuple(weight.shape), str(weight.dtype), sample))
    return hashlib.sha256(repr((settings, seen)).encode()).hexdigest()


def _on(device: str, masks: Any) -> Any:
    return {k: m.to(device) for k, m in masks.items()} if isinstance(masks, dict) else masks.to(device)


@dataclass(frozen=True)
class Grown:
    """Examples that begin alike, as one tree: every branch ends with its answer."""

    tree: Tree
    answers: tuple[tuple[int, ...], ...]


def grow(examples: Sequence[tuple[list[int], list[int]]], most: int) -> list[Grown]:
    """Neighbours that share at least half of their prompt become branches of one tree, at most `most` of them.

    Args:
        examples: token ids of prompt and answer.
    """
    out: list[Grown] = []
    group: list[tuple[list[int], list[int]]] = []
    shared = 0

    def close() -> None:
        if group:
            trunk = min(shared, *(len(p) - 1 for p, _ in group))  # a branch starts with a token of its own
            branches = tuple((*p[trunk:], *a) for p, a in group)
            out.append(Grown(Tree(tuple(group[0][0][:trunk]), branches), tuple(tuple(a) for _, a in group)))

    for prompt, answer in examples:
        common = 0
        if group:
            common = next(
                (i for i, (a, b) in enumerate(zip(group[0][0][:shared], prompt, strict=False)) if a != b),
                min(shared, len(prompt)),
            )
        if group and len(group) < most and common >= len(prompt) / 2:
            shared = common
        else:
            close()
            group, shared = [], len(prompt)
        group.append((prompt, answer))
    close()
    return out


def make_steps(trees: Sequence[Grown], plan: TrainingPlan) -> list[list[Grown]]:
    """Trees in an order fixed by the seed, as many to a step as have about `plan.batch` answers."""
    rng = random.Random(plan.seed)
    out: list[list[Grown]] = []
    for _ in range(plan.epochs):
        step: list[Grown] = []
        for tree in rng.sample(trees, len(trees)):
            step.append(tree)
            if sum(len(t.answers) for t in step) >= plan.batch:
                out.append(step)
                step = []
        if step:
            out.append(step)
    return out


def save_adapter(model: Any, out: Path, plan: TrainingPlan | ReadingPlan, steps: int) -> None:
    """Write the adapter in peft's format, in bfloat16: half the size, no difference to be measured."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    tensors = {
        k: v.detach().to("cpu", torch.bfloat16).contiguous()
        for k, v in get_peft_model_state_dict(model, save_embedding_layers=False).items()
    }
    part = out / "adapter_model.part"
    save_file(tensors, str(part), metadata={"format": "pt"})
    part.chmod(0o644)  # safetensors writes files that only their owner can read
    part.replace(out / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": plan.rank, "lora_alpha": plan.alpha, "lora_dropout": 0.0,
        "target_modules": TARGETS, "bias": "none", "base_model_name_or_path": "google/gemma-3-270m", "inference_mode": True,
    }  # fmt: skip
    (out / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (out / "training.json").write_text(
        json.dumps(asdict(plan) | {"steps": steps}, indent=2) + "\n", encoding="utf-8"
    )


def _save(folder: Path, mark: str, step: int, model: Any, optimiser: Any) -> None:
    import torch
    from peft import get_peft_model_state_dict

    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "state.part"
    state = {
        "mark": mark,
        "step": step,
        "adapter": get_peft_model_state_dict(model, save_embedding_layers=False),
        "optimiser": optimiser.state_dict(),
    }
    torch.save(state, part)
    part.replace(folder / "state.pt")


def _resume(folder: Path, mark: str, model: Any, optimiser: Any) -> int:
    import torch
    from peft import set_peft_model_state_dict

    file = folder / "state.pt"
    if not file.exists():
        return 0
    state = torch.load(file, map_location="cpu", weights_only=True)
    if state["mark"] != mark:
        raise GeneratorError(
            f"{folder} belongs to a training with other data, settings or weights. Remove it or choose another --out."
        )
    set_peft_model_state_dict(model, state["adapter"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])
