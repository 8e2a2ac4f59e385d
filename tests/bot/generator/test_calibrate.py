"""Labels become a certificate bound to this machine; audits raise the threshold by themselves."""

from __future__ import annotations

import json
import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bot.exceptions import CertificateVoid, GeneratorError
from bot.generator import binding
from bot.generator import calibrate as commands
from bot.generator.binding import certificate_of, machine_hashes, sampled_hash
from bot.generator.calibrate import certify_labels, read_labels
from bot.generator.calibration import Certified
from bot.generator.certificate import Certificate, issue
from bot.generator.drift import NO_CERTIFICATE, Audits
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
    [
        "{",
        '{"conversation": "c", "at": "2026-10-01", "p": 2, "wrong": false}',
        '{"conversation": "c", "at": "2026-10-01", "p": 0.5, "wrong": "no"}',
        '{"conversation": "c", "at": "2026-10-01", "p": 0.5, "wrong": true, "alone": "no"}',
        '{"conversation": null, "at": "2026-10-01", "p": 0.5, "wrong": true}',
    ],
)
def test_a_bad_label_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "l.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(GeneratorError, match=r"l\.jsonl:1"):
        read_labels(tmp_path / "l.jsonl")


@pytest.mark.parametrize("at", [None, "", "1/2/2026", "yesterday", 20261001, 1790812800.0, ["2026-10-01"]])
def test_a_label_that_says_no_time_is_named(tmp_path: Path, at: object) -> None:
    """The earlier labels choose, the later ones certify: without a time nobody can say which is which."""
    label = {"conversation": "c", "at": at, "p": 0.5, "wrong": False}
    (tmp_path / "l.jsonl").write_text("\n" + json.dumps(label), encoding="utf-8")
    with pytest.raises(GeneratorError, match=r"l\.jsonl:2: .*at must be a time"):
        read_labels(tmp_path / "l.jsonl")


def test_a_label_without_a_time_is_named(tmp_path: Path) -> None:
    (tmp_path / "l.jsonl").write_text('{"conversation": "c", "p": 0.5, "wrong": false}', encoding="utf-8")
    with pytest.raises(GeneratorError, match=r"l\.jsonl:1: .*'at'"):
        read_labels(tmp_path / "l.jsonl")


def test_labels_are_in_order_of_time_wherever_they_were_written(tmp_path: Path) -> None:
    times = ("2026-10-01T09:00:00+08:00", "2026-10-01T02:00:00Z", "2026-10-01T03:00:00", "20261001T040000")
    lines = [json.dumps({"conversation": f"c{9 - n}", "at": at, "p": 0.5, "wrong": False}) for n, at in enumerate(times)]  # fmt: skip
    (tmp_path / "l.jsonl").write_text("\n".join(reversed(lines)), encoding="utf-8")

    assert list(times) == [label.at for label in read_labels(tmp_path / "l.jsonl")]


@pytest.mark.parametrize(
    ("risk", "judged"),
    [
        ("Policy", "policy"),
        (" REFUND ", "policy"),
        ("Order", "order"),
        ("Product", "product"),
        (" ", "product"),
        (None, "product"),
    ],
)
def test_a_class_is_the_same_however_it_is_written(tmp_path: Path, risk: str | None, judged: str) -> None:
    """As in articles: else "Policy" would be judged as leniently as any class, and certify no answer about policy."""
    label = {"conversation": "c", "at": "2026-10-01", "p": 0.5, "wrong": False, "risk": risk}
    (tmp_path / "l.jsonl").write_text(json.dumps(label), encoding="utf-8")

    assert [judged] == [one.risk for one in read_labels(tmp_path / "l.jsonl")]


@pytest.mark.parametrize("risk", [0, 7, False, ["policy"], {"policy": 1}])
def test_a_class_that_is_no_text_is_named(tmp_path: Path, risk: object) -> None:
    label = {"conversation": "c", "at": "2026-10-01", "p": 0.5, "wrong": False, "risk": risk}
    (tmp_path / "l.jsonl").write_text(json.dumps(label), encoding="utf-8")
    with pytest.raises(GeneratorError, match=r"l\.jsonl:1: .*risk must be one word"):
        read_labels(tmp_path / "l.jsonl")


@given(
    at=st.one_of(st.none(), st.integers(), st.text(max_size=12), st.datetimes().map(str)),
    risk=st.one_of(st.none(), st.booleans(), st.text(max_size=8), st.lists(st.text(max_size=3))),
)
def test_whatever_stands_in_a_label_is_read_or_named(at: object, risk: object) -> None:
    label = {"conversation": "c", "at": at, "p": 0.5, "wrong": False, "risk": risk}
    with TemporaryDirectory() as folder:
        file = Path(folder, "l.jsonl")
        file.write_text(json.dumps(label), encoding="utf-8")
        refused, found = "", []
        try:
            found = read_labels(file)
        except GeneratorError as exc:
            refused = str(exc)

    assert [] != found or f"{file}:1: " in refused
    assert all(one.risk and one.risk == one.risk.strip().lower() for one in found)


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


def write_audits(path: Path, count: int, **label: object) -> None:
    """So many wrong answers, one a conversation."""
    usual = {"at": "2026-11-01", "p": 0.99, "wrong": True, "risk": "product"}
    lines = [json.dumps({"conversation": f"a{n}", **usual, **label}) for n in range(count)]
    path.write_text("\n".join(lines), encoding="utf-8")


def certified(settings: Settings, file: Path, **classes: Certified) -> Settings:
    """The settings with a certificate that speaks of these classes."""
    alphas = {risk: one.alpha for risk, one in classes.items()}
    issue(classes, alphas=alphas, delta=0.1, n=900, hashes={}, metrics={}).save(file)
    section = GeneratorSettings(enabled=False, mode="certified", certificate=file)
    return settings.model_copy(update={"generator": section})


def passed(threshold: float, *stricter: float) -> Certified:
    return Certified(threshold, 0.8, 700, 20, 0.04, 900, 0.05, 0.1, stricter)


def levels(settings: Settings) -> dict[str, int]:
    return dict(Audits.load(settings.data_path("drift.json")).levels)


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

    write_audits(tmp_path / "a.jsonl", 4)
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


def test_a_class_without_labels_is_promised_nothing(tmp_path: Path, settings: Settings) -> None:
    """Not even at the threshold of another class: nobody has looked at its answers."""
    made = Certificate.load(
        certified(settings, tmp_path / "c.json", product=passed(0.5)).generator.certificate or Path()
    )

    assert 0.5 == made.threshold("product") and (0.05, 0.1) == made.promised("product")
    assert made.threshold("policy") is None and made.promised("policy") is None


def test_labels_are_judged_in_the_class_that_answering_looks_up(tmp_path: Path, settings: Settings) -> None:
    rows = [
        {
            "conversation": f"{risk}{n}",
            "at": f"2026-10-01T{n // 60:02d}:{n % 60:02d}",
            "p": 0.9,
            "wrong": False,
            "risk": risk,
        }
        for risk in ("refund", "payment", "legal", "high", "money", "policy", None, "")
        for n in range(100)
    ]
    (tmp_path / "l.jsonl").write_text("\n".join(json.dumps(one) for one in rows), encoding="utf-8")
    made = certify_labels(read_labels(tmp_path / "l.jsonl"), settings, {})

    assert {"policy": 0.02, "product": 0.05} == made.alphas
    assert 0.02 == made.classes["policy"].alpha and made.threshold("policy") is not None


def test_certifying_says_which_classes_of_the_articles_have_no_label(
    tmp_path: Path, settings: Settings, shop: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop.folder / "b.md").write_text(
        "---\nid: b\nlanguage: zh\nrisk: refund\n---\n# 退款\n## 退款多久\n3天内退回。\n", encoding="utf-8"
    )
    mine = settings.model_copy(
        update={"knowledge": settings.knowledge.model_copy(update={"path": shop.folder})}
    )
    write_labels(tmp_path / "l.jsonl", 400)
    said = kefu_calibrate(mine, monkeypatch, "certify", "--labels", str(tmp_path / "l.jsonl"))

    assert "policy     has no label" in said and "product    has no label" not in said


def test_a_trial_certificate_leaves_the_alarms_of_the_one_in_use(
    tmp_path: Path, settings: Settings, shop: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = certified(settings, tmp_path / "c.json", product=passed(0.5, 0.7, 0.9))
    mine = mine.model_copy(update={"knowledge": settings.knowledge.model_copy(update={"path": shop.folder})})
    write_labels(tmp_path / "l.jsonl", 400)
    write_audits(tmp_path / "a.jsonl", 4)
    certify = ("certify", "--labels", str(tmp_path / "l.jsonl"), "--out")
    kefu_calibrate(mine, monkeypatch, "audit", "--labels", str(tmp_path / "a.jsonl"))
    kefu_calibrate(mine, monkeypatch, *certify, str(tmp_path / "new" / "trial.json"))

    assert {"product": 1} == levels(mine)
    kefu_calibrate(mine, monkeypatch, *certify, str(tmp_path / "c.json"))
    assert {} == levels(mine), "the one in use was replaced: it begins without alarms"


def test_alarms_count_for_the_certificate_they_were_raised_under(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = certified(settings, tmp_path / "c.json", product=passed(0.5, 0.7, 0.9))
    write_audits(tmp_path / "a.jsonl", 4)
    audit = ("audit", "--labels", str(tmp_path / "a.jsonl"))
    kefu_calibrate(before, monkeypatch, *audit)
    write_audits(tmp_path / "a.jsonl", 1, wrong=False)
    after = certified(settings, tmp_path / "d.json", product=passed(0.6, 0.8))

    assert {"product": 1} == levels(before)
    assert "1 new audits" in kefu_calibrate(after, monkeypatch, *audit), "its conversations are counted anew"
    assert {} == levels(after)


def test_audits_written_before_the_certificate_was_kept_go_on_counting(tmp_path: Path) -> None:
    """Such a file was of the certificate in use; one from times without a certificate is not."""
    audits = Audits()
    for _ in range(4):
        audits.observe("product", True, alpha=0.05, delta=0.1)
    audits.count(["a0"])
    file = tmp_path / "drift.json"
    audits.save(file)
    old = json.loads(file.read_text())
    del old["certificate"]
    file.write_text(json.dumps(old))

    assert {"product": 1} == Audits.load(file).of("abc").levels
    assert {} == Audits.load(file).of(NO_CERTIFICATE).of("abc").levels


def test_edited_drafts_are_no_wrong_answers(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kefu calibrate labels` writes them as well, for `certify`; no shopper got them from the bot."""
    mine = certified(settings, tmp_path / "c.json", product=passed(0.3, 0.7))
    write_audits(tmp_path / "a.jsonl", 12, p=0.5, alone=False)
    with (tmp_path / "a.jsonl").open("a", encoding="utf-8") as file:
        # of this conversation the answer counts, whatever became of the draft after it
        for label in ({"wrong": False, "alone": True}, {"wrong": True, "alone": False}):
            file.write("\n" + json.dumps({"conversation": "both", "at": "2026-11-02", "p": 0.8, **label}))
    said = kefu_calibrate(mine, monkeypatch, "audit", "--labels", str(tmp_path / "a.jsonl"))

    assert "1 new audits of 1;" in said and "1 audits, 0 wrong" in said and "ALARM" not in said
    assert 13 == len(read_labels(tmp_path / "a.jsonl")), "certify reads them all"


def test_answers_given_at_an_old_threshold_do_not_count_against_the_new_one(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve wrong answers of one batch are one alarm: all were given before it."""
    mine = certified(settings, tmp_path / "c.json", product=passed(0.5, 0.7, 0.8, 0.9))
    write_audits(tmp_path / "a.jsonl", 12, p=0.6)
    said = kefu_calibrate(mine, monkeypatch, "audit", "--labels", str(tmp_path / "a.jsonl"))

    assert {"product": 1} == levels(mine)
    assert "4 new audits of 12, 8 more below the present thresholds" in said
    write_audits(tmp_path / "b.jsonl", 12, p=0.75)
    moved = (tmp_path / "b.jsonl").read_text().replace('"conversation": "a', '"conversation": "b')
    (tmp_path / "b.jsonl").write_text(moved)
    kefu_calibrate(mine, monkeypatch, "audit", "--labels", str(tmp_path / "b.jsonl"))
    assert {"product": 2} == levels(mine), "those above it do"


def test_an_answer_at_the_threshold_counts_though_its_label_was_rounded(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = certified(settings, tmp_path / "c.json", product=passed(0.60004))
    write_audits(tmp_path / "a.jsonl", 1, p=0.6)  # 0.60004 was said with four places
    said = kefu_calibrate(mine, monkeypatch, "audit", "--labels", str(tmp_path / "a.jsonl"))

    assert "1 new audits of 1;" in said
