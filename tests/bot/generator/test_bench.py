"""`kefu bench generator`: both sides make the same tokens on the same machine, and the ratio is of what it prints."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bot.generator import bench
from bot.generator.model import Loaded


def test_both_sides_are_measured_at_every_level(
    tiny: Loaded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, bool]] = []

    def load(*_: object, dtype: str, prune: bool = True, **__: object) -> Loaded:
        asked.append((dtype, prune))
        return replace(tiny)

    monkeypatch.setattr(bench, "load", load)
    monkeypatch.setattr(bench, "_bandwidth", lambda _: 1e9)
    bench.run([2, 1], 6, as_json=True)
    found = json.loads(capsys.readouterr().out)

    assert ("float32", False) == asked[0]  # the peer: the whole model, as one would load it
    assert [1, 2] == [row["requests"] for row in found["levels"]]
    for row in found["levels"]:
        assert row["tokens_per_second"] > 0 and row["plain_tokens_per_second"] > 0
        assert (
            pytest.approx(row["tokens_per_second"] / row["plain_tokens_per_second"], rel=0.1) == row["ratio"]
        )
        assert row["first_token_seconds"] >= 0
        assert 0 < row["share_of_bandwidth"]


async def test_every_reply_is_as_long_as_asked_though_a_model_would_have_ended(tiny: Loaded) -> None:
    """Speed is tokens by time: a side that may stop early would be measured on another work."""
    prompts = ["hello", "a longer prompt"]
    made = await bench._engine(tiny, prompts, 30)

    assert made["tokens_per_second"] > 0
    assert 60 == made["tokens"]
    assert 60 == bench._plain(tiny, prompts, 30)["tokens"]


def test_the_table_names_the_machine_and_the_ratio(
    tiny: Loaded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "load", lambda *_, **__: replace(tiny))
    monkeypatch.setattr(bench, "_bandwidth", lambda _: 1e9)
    bench.run([1], 3, as_json=False)
    said = capsys.readouterr().out

    assert "tiny on cpu" in said and "ratio" in said and "of bandwidth" in said
