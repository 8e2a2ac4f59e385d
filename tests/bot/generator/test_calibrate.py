"""Labels become a certificate bound to this machine; audits raise the threshold by themselves."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.exceptions import CertificateVoid, GeneratorError
from bot.generator import binding
from bot.generator import calibrate as commands
from bot.generator.binding import certificate_of, machine_hashes, sampled_hash
from bot.generator.calibrate import certify_labels, read_labels
from bot.generator.certificate import Certificate
from bot.generator.drift import Audits
from bot.knowledge import hybrid
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
    with pytest.raises(CertificateVoid, match="another index"):
        certificate_of(certified, changed)


def test_certified_mode_without_a_certificate_does_not_start(settings: Settings, shop: Knowledge) -> None:
    certified = settings.model_copy(update={"generator": GeneratorSettings(enabled=False, mode="certified")})
    with pytest.raises(GeneratorError, match="certificate is not set"):
        certificate_of(certified, shop)


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


@pytest.mark.parametrize("part", ["model", "adapter", "reranker", "search", "policy", "confidence"])
def test_every_part_that_decides_voids_the_certificate(
    tmp_path: Path, settings: Settings, shop: Knowledge, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "adapter_model.safetensors", "head.safetensors"):
        (folder / name).write_bytes(b"one")
    (tmp_path / "policy.yml").write_text("one")
    monkeypatch.setattr(binding, "FUSION_FILE", folder / "config.json")
    mine = settings.model_copy(
        update={
            "generator": GeneratorSettings(
                model=str(folder), adapter=str(folder), reranker=str(folder), mode="certified"
            ),
            "policy": settings.policy.model_copy(update={"path": tmp_path / "policy.yml"}),
        }
    )
    before = machine_hashes(mine, shop)
    if part == "search":
        monkeypatch.setitem(hybrid.WEIGHTS, "bm25", 0.9)
    else:
        file = {"model": folder / "model.safetensors", "adapter": folder / "adapter_model.safetensors",
                "reranker": folder / "head.safetensors", "policy": tmp_path / "policy.yml",
                "confidence": folder / "config.json"}[part]  # fmt: skip
        file.write_bytes(b"two")
    after = machine_hashes(mine, shop)

    assert part in {name for name in before if before[name] != after[name]}
    assert before["prompt"] == after["prompt"] and before["index"] == after["index"]


def test_a_large_file_is_told_from_one_that_was_trained_on(tmp_path: Path) -> None:
    one, other = tmp_path / "a", tmp_path / "b"
    weights = random.Random(1).randbytes(6_000_000)
    one.write_bytes(weights)
    trained = bytearray(weights)
    trained[2_000_000:2_300_000] = random.Random(2).randbytes(300_000)  # one matrix of many
    other.write_bytes(trained)

    assert sampled_hash(one) != sampled_hash(other)
    other.write_bytes(weights)
    assert sampled_hash(one) == sampled_hash(other)


def test_classes_are_watched_apart_and_audits_counted_once(tmp_path: Path) -> None:
    file = tmp_path / "drift.json"
    audits = Audits.load(file)
    for _ in range(4):
        audits.observe("policy", True, alpha=0.02, delta=0.1)
    for _ in range(200):
        audits.observe("product", False, alpha=0.05, delta=0.1)
    audits.count(["c1"])
    audits.save(file)

    assert {"policy": 1} == Audits.load(file).levels
    assert audits == Audits.load(file)
    file.write_text("{")
    with pytest.raises(GeneratorError, match="damaged"):
        Audits.load(file)


def kefu_calibrate(settings: Settings, monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """What the command prints, errors included."""
    monkeypatch.setattr(commands, "get_settings", lambda: settings)
    result = CliRunner().invoke(commands.calibrate, list(words))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_a_shop_certifies_shows_and_audits_by_command(
    tmp_path: Path, settings: Settings, shop: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = settings.model_copy(
        update={"knowledge": settings.knowledge.model_copy(update={"path": shop.folder})}
    )
    file = tmp_path / "c.json"
    write_labels(tmp_path / "l.jsonl", 900)
    said = kefu_calibrate(
        mine, monkeypatch, "certify", "--labels", str(tmp_path / "l.jsonl"), "--out", str(file)
    )
    made = Certificate.load(file)
    page = file.with_suffix(".html").read_text(encoding="utf-8")
    section = GeneratorSettings(enabled=False, mode="certified", certificate=file)
    mine = mine.model_copy(update={"generator": section})
    shown = kefu_calibrate(mine, monkeypatch, "show")

    assert made.id in said and "risk <=" in said
    assert made.id in page and page.count("data:image/") == 3
    assert "It holds for this machine." in shown

    lines = [{"conversation": f"a{n}", "at": "2026-11-01", "p": 0.99, "wrong": True, "risk": "product"} for n in range(4)]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(x) for x in lines), encoding="utf-8")
    first = kefu_calibrate(mine, monkeypatch, "audit", "--labels", str(tmp_path / "a.jsonl"))
    again = kefu_calibrate(mine, monkeypatch, "audit", "--labels", str(tmp_path / "a.jsonl"))

    assert "4 new audits" in first and "ALARM: more wrong answers about product" in first
    assert "0 new audits" in again and "ALARM" not in again
    assert {"product"} == set(Audits.load(mine.data_path("drift.json")).levels)

    (shop.folder / "a.md").write_text(
        "---\nid: a\nlanguage: zh\n---\n# 售后\n## 退货期限\n签收后9天内可以退货。\n", encoding="utf-8"
    )
    with pytest.raises(CertificateVoid, match="another index"):
        kefu_calibrate(mine, monkeypatch, "show")
