"""Weights: an adapter merged into them equals the adapter applied, and what does not fit is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from bot.exceptions import GeneratorError
from bot.generator.model import Loaded, merge_adapter, resolve_weights
from bot.generator.training import TrainingPlan, save_adapter


def test_a_merged_adapter_equals_pefts_own(tiny: Loaded, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(3)
    model = get_peft_model(
        copy.deepcopy(tiny.model),
        LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"),
    )
    for name, p in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.2)
    save_adapter(model, tmp_path, TrainingPlan(rank=4, alpha=8), 1)
    merged = copy.deepcopy(tiny.model)
    merge_adapter(merged, tmp_path)
    ids = torch.tensor([[2, 40, 50, 60]])
    with torch.inference_mode():
        theirs, ours = model(input_ids=ids).logits, merged(input_ids=ids).logits

    assert torch.allclose(theirs, ours, atol=0.05)
    assert not torch.allclose(tiny.model(input_ids=ids).logits, ours, atol=0.05)
    assert (tmp_path / "adapter_model.safetensors").stat().st_size < 100_000


def test_an_adapter_for_another_model_is_refused(tiny: Loaded, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 4}))
    key = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    save_file(
        {key.format("A"): torch.zeros(2, 999), key.format("B"): torch.zeros(999, 2)},
        str(tmp_path / "adapter_model.safetensors"),
    )
    with pytest.raises(GeneratorError, match="another model"):
        merge_adapter(copy.deepcopy(tiny.model), tmp_path)


def test_a_missing_adapter_is_named(tiny: Loaded, tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match="is not a LoRA adapter"):
        merge_adapter(tiny.model, tmp_path / "none")


def test_a_folder_or_a_name_is_taken_as_it_is(tmp_path: Path) -> None:
    assert str(tmp_path) == resolve_weights(str(tmp_path), tmp_path)
    assert "owner/model" == resolve_weights("owner/model", tmp_path)


def test_the_shipped_adapter_is_small_and_whole() -> None:
    from safetensors import safe_open

    from bot.generator.model import ADAPTER

    file = ADAPTER / "adapter_model.safetensors"
    with safe_open(str(file), "pt") as tensors:
        names = list(tensors.keys())

    assert file.stat().st_size < 20_000_000
    assert 2 * 7 * 18 == len(names)
    assert (ADAPTER / "README.md").exists()
