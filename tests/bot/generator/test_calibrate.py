"""Labels become a certificate bound to this machine; audits raise the threshold by themselves."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from bot.exceptions import GeneratorError
from bot.generator.calibrate import certify_labels, load_monitor, read_labels, save_monitor
from bot.generator.service import drift_level, load_answerer, machine_hashes
from bot.knowledge.base import Knowledge
from bot.settings import GeneratorSettings, Settings


def write_labels(path: Path, count: int, seed: int = 1) -> None:
    rng = random.Random(seed)
    lines = []
    for n in range(count):
        p = rng.random()
        lines.append({"conversation": f"c{n}", "at": f"2026-10-{n % 28 + 1:02d}T00:00:00", "p": p, "wrong": rng.random() > p**0.05, "risk": "product"})  # fmt: skip
    path.write_text("\n".join(json.dumps(x) for x in lines), encoding="utf-8")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, generator=GeneratorSettings(enabled=False))


@pytest.fixture
def shop(tmp_path: Path) -> Knowledge:
    folder = tmp_path / "articles"
    folder.mkdir()
    (folder / "a.md").write_text(
        "---\nid: a\nlanguage: zh\n---\n# 售后\n## 退货期限\n签收后7天内可以退货。\n", encoding="utf-8"
    )
    return Knowledge.load(folder)


def test_good_labels_certify_and_the_certificate_holds_here_only(
    tmp_path: Path, settings: Settings, shop: Knowledge
) -> None:
    write_labels(tmp_path / "l.jsonl", 900)
    hashes = machine_hashes(settings, shop)
    made = certify_labels(read_labels(tmp_path / "l.jsonl"), settings, hashes)
    found = made.classes["product"]

    assert found.threshold is not None and found.upper_bound <= 0.05
    assert 675 == made.n
    made.save(tmp_path / "c.json")
    certified = settings.model_copy(
        update={
            "generator": GeneratorSettings(enabled=False, mode="certified", certificate=tmp_path / "c.json")
        }
    )
    article = shop.folder / "a.md"
    article.write_text(article.read_text(encoding="utf-8").replace("7天", "8天"), encoding="utf-8")
    changed = Knowledge.load(shop.folder)
    with pytest.raises(GeneratorError, match="another"):
        load_answerer(certified, changed, None)


def test_certified_mode_without_a_certificate_does_not_start(settings: Settings, shop: Knowledge) -> None:
    certified = settings.model_copy(update={"generator": GeneratorSettings(enabled=False, mode="certified")})
    with pytest.raises(GeneratorError, match="certificate is not set"):
        load_answerer(certified, shop, None)


def test_too_few_labels_are_refused_with_the_number_needed(tmp_path: Path, settings: Settings) -> None:
    write_labels(tmp_path / "l.jsonl", 60)
    with pytest.raises(GeneratorError, match="too few"):
        certify_labels(read_labels(tmp_path / "l.jsonl"), settings, {})


def test_one_label_counts_per_conversation(tmp_path: Path) -> None:
    line = {"conversation": "c", "at": "2026-10-01", "p": 0.5, "wrong": False}
    (tmp_path / "l.jsonl").write_text("\n".join(json.dumps(line) for _ in range(5)), encoding="utf-8")

    assert 1 == len(read_labels(tmp_path / "l.jsonl"))


@pytest.mark.parametrize(
    "line",
    ["{", '{"conversation": "c", "p": 2, "wrong": false}', '{"conversation": "c", "p": 0.5, "wrong": "no"}'],
)
def test_a_bad_label_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "l.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(GeneratorError, match=r"l\.jsonl:1"):
        read_labels(tmp_path / "l.jsonl")


def test_audits_are_kept_and_counted_once(settings: Settings) -> None:
    file = settings.data_path("drift.json")
    monitor, seen = load_monitor(file, settings)
    for _ in range(8):
        monitor.observe(True)
    save_monitor(file, monitor, [*seen, "c1"])

    assert drift_level(file) >= 1
    assert (monitor, ["c1"]) == load_monitor(file, settings)
    file.write_text("{")
    with pytest.raises(GeneratorError, match="damaged"):
        drift_level(file)
