"""The script that makes bot/knowledge/projection.safetensors runs from end to end, and the search takes what it writes."""

import numpy as np
import pytest

from bot.generator.shops import held_out, shop_files
from bot.knowledge.projection import PARTS, load_projection
from tests.bot.scripts import beginning, load_script


@pytest.fixture
def script(monkeypatch):
    return load_script("fit_projection", monkeypatch)


def test_a_projection_is_learned_and_can_be_used(script, tmp_path, monkeypatch, capsys):
    """On the first sections of three shops, one of them held out."""
    learned = [path for path in shop_files() if not held_out(path) and path.stem.endswith("-en")][:2]
    kept = next(path for path in shop_files() if held_out(path))

    monkeypatch.setattr(script, "shop_files", lambda: [*learned, kept])
    monkeypatch.setattr(script, "read_shop", beginning)
    out = tmp_path / "projection.safetensors"

    script.main(["--epochs", "40", "--out", str(out)])

    printed = capsys.readouterr().out
    assert "2 shops to learn from, 1 held out" in printed and f"written: {out}" in printed
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in printed.splitlines() if "loss" in line]
    assert losses[-1] < losses[0] / 2, "it learns"
    found, shipped = load_projection(out), load_projection()
    assert {name: map_.shape for name, map_ in found.maps.items()} == {
        name: map_.shape for name, map_ in shipped.maps.items()
    }
    assert set(found.shares) == set(PARTS) and sum(found.shares.values()) == pytest.approx(1, abs=1e-3)
    assert np.linalg.norm(found("question", np.ones((1, found.maps["question"].shape[1])))) == pytest.approx(
        1
    )
