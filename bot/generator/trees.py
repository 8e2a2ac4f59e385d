"""One text read once for many questions: the trunk, with the questions as its branches.

A branch sees the trunk and itself, never another branch (a tree-shaped attention mask), and counts its positions
from the trunk's end. A model reads each branch exactly as if trunk and branch were a sequence of their own, at a
fraction of the work: what makes training on a CPU possible. Knows torch, and no model but for its layers' kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Tree:
    """Token ids of a trunk and of its branches."""

    trunk: tuple[int, ...]
    branches: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.trunk) + sum(map(len, self.branches))


@dataclass(frozen=True)
class Laid:
    """Trees side by side in one row: ids and positions (1, n), who sees whom (n, n), the span of every branch."""

    ids: Any
    positions: Any
    seen: Any
    branches: tuple[tuple[int, int], ...]

    def mask(self, dtype: Any, window: int | None = None) -> Any:
        """What is added to the attention's scores (1, 1, n, n). `window` is a sliding layer's reach in positions."""
        import torch

        seen = self.seen
        if window is not None:
            at = self.positions[0]
            seen = seen & (at[:, None] - at[None, :] < window)
        return torch.zeros((1, 1, *seen.shape), dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)

    def masks(self, config: Any, dtype: Any) -> Any:
        """The mask as transformers wants it: one, or one for each kind of layer."""
        kinds = set(getattr(config, "layer_types", None) or ())
        if not kinds:
            return self.mask(dtype)
        return {
            kind: self.mask(dtype, config.sliding_window if kind == "sliding_attention" else None)
            for kind in kinds
        }


def lay(trees: Sequence[Tree]) -> Laid:
    """Put trees side by side; none sees another."""
    import torch

    ids: list[int] = []
    positions: list[int] = []
    branches: list[tuple[int, int]] = []
    seen = torch.zeros((size := sum(map(len, trees)), size), dtype=torch.bool)
    for tree in trees:
        start = len(ids)
        ids += tree.trunk
        end = len(ids)
        positions += range(len(tree.trunk))
        seen[start:end, start:end] = torch.ones((end - start, end - start)).tril().bool()
        for branch in tree.branches:
            at = len(ids)
            ids += branch
            stop = len(ids)
            positions += range(len(tree.trunk), len(tree.trunk) + len(branch))
            seen[at:stop, start:end] = True
            seen[at:stop, at:stop] = torch.ones((stop - at, stop - at)).tril().bool()
            branches.append((at, stop))
    return Laid(torch.tensor([ids]), torch.tensor([positions]), seen, tuple(branches))
