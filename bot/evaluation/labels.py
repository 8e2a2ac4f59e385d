"""Our intents beside the labels of somebody else's file.

A file may know fewer intents than we do. Each of ours goes to its own name when the file has it, else to
the nearest coarser name that the file has. A label that none of ours goes to is unknown and said to be.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from bot.exceptions import SettingsError

# our intent -> coarser names, the nearest first
COARSER: dict[str, tuple[str, ...]] = {
    "price_protection": ("other_aftersales", "policy_question"),
    "promotion": ("other_aftersales", "product_question"),
    "fault": ("other_aftersales", "complaint"),
    "modify_order": ("change_order", "other_aftersales"),
    "feedback": ("review", "other_aftersales"),
    "withdraw_request": ("refund_status", "cancel_order"),
    "policy_question": ("other_aftersales",),
    "shipping_question": ("delivery", "policy_question", "order_status"),
    "inform": ("context_only",),
    "correct": ("context_only",),
    "stop": ("deny", "context_only"),
    "delivery": ("order_status",),
    "refund_status": ("refund_request",),
    "complaint": ("human_agent",),
}


def split_label(cell: str) -> frozenset[str]:
    """The labels of a cell: ``refund_request|return_request``; a star ("ours would be finer") is dropped."""
    return frozenset(part.strip().rstrip("*") for part in cell.split("|") if part.strip().rstrip("*"))


def map_intents(
    intents: Iterable[str], labels: Iterable[str], given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Each of our intents -> the name it is counted under for a file with these labels."""
    there = set(labels)
    named: dict[str, str] = {}
    for intent in intents:
        if given and intent in given:
            named[intent] = given[intent]
        elif intent in there:
            named[intent] = intent
        else:
            named[intent] = next((coarse for coarse in COARSER.get(intent, ()) if coarse in there), intent)
    return named


def read_map(path: Path) -> dict[str, str]:
    """A label map from YAML or JSON.

    Raises:
        SettingsError: the file is missing or is no mapping from names to names.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as exc:
        raise SettingsError(f"{path} cannot be read as a label map: {exc}") from exc
    if not isinstance(found, dict) or not all(isinstance(one, str) for pair in found.items() for one in pair):
        raise SettingsError(f"{path} is not a label map. Remedy: lines like `fault: other_aftersales`.")
    return dict(found)
