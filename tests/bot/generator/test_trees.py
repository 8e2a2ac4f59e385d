"""Reading a tree is reading every branch behind its trunk, and nothing is lost when examples become trees."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bot.generator.model import Loaded
from bot.generator.training import TrainingPlan, grow, make_steps
from bot.generator.trees import Tree, lay

TREES = (Tree((5, 6, 7, 8, 9, 10), ((11, 12, 13), (14,), (15, 16))), Tree((20, 21), ((22, 23, 24, 25),)))


@pytest.mark.parametrize(
    "window", [4, 64], ids=["reaches less than a branch's way back", "reaches everything"]
)
def test_a_model_reads_a_branch_as_if_it_stood_alone(tiny: Loaded, window: int) -> None:
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    config = Gemma3TextConfig(**{**tiny.model.config.to_dict(), "sliding_window": window})
    assert {"sliding_attention", "full_attention"} == set(config.layer_types)
    body = Gemma3ForCausalLM(config).eval().model
    laid = lay(TREES)
    with torch.inference_mode():
        together = body(
            input_ids=laid.ids, position_ids=laid.positions, attention_mask=laid.masks(config, torch.float32)
        ).last_hidden_state[0]
        spans = iter(laid.branches)
        for tree in TREES:
            for branch in tree.branches:
                start, stop = next(spans)
                alone = body(input_ids=torch.tensor([[*tree.trunk, *branch]])).last_hidden_state[0]
                assert torch.allclose(together[start:stop], alone[len(tree.trunk) :], atol=1e-4)


def test_no_branch_sees_another() -> None:
    laid = lay(TREES)

    (first, _), (second, end) = laid.branches[:2]
    assert not laid.seen[second:end, first:second].any()
    assert not laid.seen[-4:, :12].any(), "another tree"
    assert laid.seen[second:end, :6].all()


prompts = st.lists(
    st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.lists(st.integers(4, 6), min_size=1, max_size=3)),
    min_size=1,
    max_size=20,
)  # fmt: skip


@given(examples=prompts, most=st.integers(1, 5))
def test_trees_hold_every_example_once_and_in_order(
    examples: list[tuple[list[int], list[int]]], most: int
) -> None:
    found = []
    for grown in grow(examples, most):
        assert len(grown.answers) <= most
        for branch, answer in zip(grown.tree.branches, grown.answers, strict=True):
            assert len(branch) > len(answer), "a branch begins with a token of its prompt"
            whole = [*grown.tree.trunk, *branch]
            found.append((whole[: -len(answer)], list(answer)))
    assert [(list(p), list(a)) for p, a in examples] == found


@given(examples=prompts, epochs=st.integers(1, 3))
def test_every_epoch_reads_every_tree(examples: list[tuple[list[int], list[int]]], epochs: int) -> None:
    trees = grow(examples, 4)
    steps = make_steps(trees, TrainingPlan(epochs=epochs, batch=3))

    assert epochs * len(examples) == sum(len(t.answers) for step in steps for t in step)
    assert all(steps)
