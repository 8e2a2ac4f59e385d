"""How much proof an act needs. Higher includes lower."""

from __future__ import annotations

from enum import IntEnum


class ProofLevel(IntEnum):
    """What the shopper has to have proven."""

    PUBLIC = 0  # nothing: articles, products
    READ = 1  # order number and one thing only the buyer knows, or a bound channel account
    WRITE = 2  # the same, and recently
