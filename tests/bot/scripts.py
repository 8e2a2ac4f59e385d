"""The programs of scripts/ as modules, and invented shops small enough to try them on."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from bot.generator.shops import Shop, read_shop
from bot.settings import PROJECT_ROOT


def load_script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A fresh module of ``scripts/<name>.py``."""
    spec = importlib.util.spec_from_file_location(name, PROJECT_ROOT / "scripts" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)  # where its data classes look for their types
    spec.loader.exec_module(module)
    return module


def beginning(path: Path) -> Shop:
    """The first six sections of an invented shop, with the questions about them and those from outside."""
    shop = read_shop(path)
    chunks = shop.chunks[:6]
    left = {chunk.id for chunk in chunks}
    asked = tuple(q for q in shop.questions if left.issuperset(q.evidence))
    return replace(shop, chunks=chunks, questions=asked)
