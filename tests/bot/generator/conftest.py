"""A tiny Gemma 3 with random weights: a real model, small enough for every test run."""

from __future__ import annotations

import pytest

from bot.generator.model import Loaded


class ByteTokenizer:
    """One token per byte; what the engine and the server need of a tokenizer."""

    eos_token_id = 1
    all_special_ids = (0, 1, 2)
    chat_template = None

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": [2, *(b + 3 for b in text.encode())]}

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        return bytes(i - 3 for i in ids if 3 <= i < 259).decode("utf-8", "replace")


@pytest.fixture(scope="session")
def tiny() -> Loaded:
    import torch
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = Gemma3TextConfig(
        vocab_size=260, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, sliding_window=16, eos_token_id=1, bos_token_id=2, pad_token_id=0,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
    )  # fmt: skip
    model = Gemma3ForCausalLM(config).eval()
    model.generation_config.eos_token_id = 1
    return Loaded(model, ByteTokenizer(), "tiny", "cpu")
