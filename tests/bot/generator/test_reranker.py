"""The reranker: trees score like pairs, training goes on where it stopped, and what it learns is used."""

from __future__ import annotations

import copy
import re
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from bot.exceptions import GeneratorError
from bot.generator import reranker as module
from bot.generator import reranker_training as training
from bot.generator.correctness import cells
from bot.generator.finetune import finetune
from bot.generator.model import Loaded, merge_adapter
from bot.generator.pieces import document_of
from bot.generator.reranker import RERANKER, TOGETHER, ReadingPlan, Reranker, load_reranker
from bot.generator.reranker_training import Reading, align_head, read_pairs, score_trunks, train_reranker
from bot.generator.shops import FOLDER, held_out, read_shop, shop_files
from bot.generator.trunks import Trunk, lessons_of, trunks_of
from bot.knowledge.passages import Section
from bot.settings import get_settings
from tests.bot.generator.conftest import ByteTokenizer

PLAN = ReadingPlan(layers=2, frozen=1, rank=2, alpha=4, learning_rate=3e-2, epochs=2, pack=300)
COLOURS = [
    Trunk(
        f"Paint: it is {colour}.",
        tuple((f"is it {asked}", asked == colour) for asked in ("red", "blue", "green", "grey")),
    )
    for colour in ("red", "blue", "green", "grey")
]


@pytest.fixture
def small(tiny: Loaded, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`load` gives a fresh copy of the tiny model, with the adapter in it."""
    from transformers import Gemma3ForCausalLM

    def load(name: Any, *, adapter: str | None = None, **_: Any) -> Loaded:
        config = copy.deepcopy(tiny.model.config)
        config.sliding_window = 512  # as the real one has it: longer than a section with a question
        model = Gemma3ForCausalLM(config).eval()
        model.load_state_dict(tiny.model.state_dict())
        if adapter not in (None, "none"):
            merge_adapter(model, Path(str(adapter)))
        return replace(tiny, model=model, tokenizer=ByteTokenizer(), adapter=adapter)

    monkeypatch.setattr(training, "load", load)
    monkeypatch.setattr(module, "load", load)
    return load


def head(width: int) -> dict[str, Any]:
    import torch

    torch.manual_seed(4)
    return {"weight": torch.randn(width), "bias": torch.randn(1)}


def test_questions_on_one_trunk_score_as_they_would_alone(small: Any) -> None:
    """The tree-shaped mask shows a question its section and itself, nothing of its neighbours."""
    reranker = Reranker(small(None), head(32), 2)
    together = score_trunks(reranker, COLOURS, size=400)

    alone = [
        [score_trunks(reranker, [Trunk(t.document, (one,))])[0][0] for one in t.questions] for t in COLOURS
    ]

    assert [pytest.approx(row, abs=1e-4) for row in alone] == together


def test_what_is_kept_of_a_section_scores_as_the_section_does(small: Any) -> None:
    """It has half precision; a wrong place or mask would move the scores by far more."""
    reranker = Reranker(small(None), head(32), 2)
    whole = score_trunks(reranker, COLOURS)

    kept = [[reranker.score(q, [t.document])[0] for q, _ in t.questions] for t in COLOURS]

    assert [pytest.approx(row, abs=5e-3) for row in whole] == kept


def test_sections_of_different_length_score_as_they_would_alone(small: Any) -> None:
    reranker = Reranker(small(None), head(32), 2)
    documents = [
        "A: short.",
        "B: a good deal longer than the first one, so that it is padded.",
        "C: 中文的段落。",
        *(f"D: {'one ' * n}more" for n in range(TOGETHER)),
    ]

    together = reranker.score("which one", documents)

    assert pytest.approx([reranker.score("which one", [d])[0] for d in documents], abs=1e-4) == together
    assert [] == reranker.score("which one", [])


def test_training_that_was_interrupted_ends_like_one_that_was_not(small: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    def killed(step: int, *_: Any) -> None:
        if step == 3:
            raise KeyboardInterrupt

    whole = train_reranker(COLOURS, tmp_path / "whole", plan=PLAN, cache=tmp_path, every=1)
    with pytest.raises(KeyboardInterrupt):
        train_reranker(COLOURS, tmp_path / "cut", plan=PLAN, cache=tmp_path, every=1, progress=killed)
    cut = train_reranker(COLOURS, tmp_path / "cut", plan=PLAN, cache=tmp_path, every=1)

    for name in ("adapter_model.safetensors", "head.safetensors"):
        mine, theirs = load_file(str(whole / name)), load_file(str(cut / name))
        assert mine.keys() == theirs.keys()
        assert all(bool((mine[k] == theirs[k]).all()) for k in mine)
    with pytest.raises(GeneratorError, match="another training"):
        train_reranker(COLOURS[:2], tmp_path / "cut", plan=PLAN, cache=tmp_path)


def test_training_that_was_killed_before_it_was_written_writes_it(
    small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    plan = replace(PLAN, epochs=1)
    save = training.save_reranker
    steps: list[int] = []

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    whole = train_reranker(COLOURS, tmp_path / "whole", plan=plan, cache=tmp_path)
    monkeypatch.setattr(training, "save_reranker", killed)
    with pytest.raises(KeyboardInterrupt):
        train_reranker(COLOURS, tmp_path / "cut", plan=plan, cache=tmp_path)
    monkeypatch.setattr(training, "save_reranker", save)
    cut = train_reranker(
        COLOURS, tmp_path / "cut", plan=plan, cache=tmp_path, progress=lambda *found: steps.append(found[0])
    )

    assert [] == steps
    for name in ("adapter_model.safetensors", "head.safetensors"):
        mine, theirs = load_file(str(whole / name)), load_file(str(cut / name))
        assert all(bool((mine[k] == theirs[k]).all()) for k in mine)


def test_what_was_learned_is_loaded_again(small: Any, tmp_path: Path) -> None:
    """After training, the saved adapter and head tell answered from unanswered on what they learned."""
    losses: list[float] = []
    plan = replace(PLAN, epochs=40)
    out = train_reranker(
        COLOURS,
        tmp_path / "out",
        plan=plan,
        cache=tmp_path,
        progress=lambda s, t, loss, sec: losses.append(loss),
    )
    reranker = Reranker.load(folder=out, cache=tmp_path)
    found = score_trunks(reranker, COLOURS)

    assert losses[-1] < losses[0]
    yes = [
        s
        for t, row in zip(COLOURS, found, strict=True)
        for (_, a), s in zip(t.questions, row, strict=True)
        if a
    ]
    no = [
        s
        for t, row in zip(COLOURS, found, strict=True)
        for (_, a), s in zip(t.questions, row, strict=True)
        if not a
    ]
    assert sum(yes) / len(yes) > sum(no) / len(no)


def test_a_training_learns_on_from_another_reranker(small: Any, tmp_path: Path) -> None:
    losses: dict[str, list[float]] = {"anew": [], "on": []}
    first = train_reranker(COLOURS, tmp_path / "first", plan=replace(PLAN, epochs=40), cache=tmp_path)

    for name, start in (("anew", None), ("on", first)):
        train_reranker(
            COLOURS, tmp_path / name, plan=replace(PLAN, epochs=1), start_from=start, cache=tmp_path,
            progress=lambda s, t, loss, sec, name=name: losses[name].append(loss),
        )  # fmt: skip

    assert losses["on"][0] < losses["anew"][0]
    with pytest.raises(GeneratorError, match="another training"):  # begun from no other
        train_reranker(COLOURS, tmp_path / "on", plan=replace(PLAN, epochs=1), cache=tmp_path)
    with pytest.raises(GeneratorError, match="rank"):
        train_reranker(
            COLOURS, tmp_path / "x", plan=replace(PLAN, rank=PLAN.rank * 2), start_from=first, cache=tmp_path
        )
    with pytest.raises(GeneratorError, match="not a reranker"):
        train_reranker(COLOURS, tmp_path / "x", plan=PLAN, start_from=tmp_path, cache=tmp_path)


def test_what_is_learned_on_is_averaged_with_what_it_began_from(small: Any, tmp_path: Path) -> None:
    first = train_reranker(COLOURS, tmp_path / "first", plan=replace(PLAN, epochs=4), cache=tmp_path)
    heads = {
        kept: load_file(
            str(
                train_reranker(
                    COLOURS, tmp_path / f"kept-{kept}", plan=replace(PLAN, kept=kept), start_from=first, cache=tmp_path
                )
                / "head.safetensors"
            )
        )["weight"]
        for kept in (0.0, 0.5, 1.0)
    }  # fmt: skip

    assert torch.equal(heads[1.0], load_file(str(first / "head.safetensors"))["weight"])
    assert not torch.allclose(heads[0.0], heads[1.0])
    assert torch.allclose(heads[0.5], (heads[0.0] + heads[1.0]) / 2, atol=1e-6)


def test_every_question_is_read_beside_a_section_that_does_not_answer_it() -> None:
    shop = read_shop(FOLDER / "department-store-zh.yml")
    trunks = trunks_of(shop)

    refused = {question for trunk in trunks for question, answers in trunk.questions if not answers}
    assert {q.question for q in shop.questions} <= refused
    assert all(len(t.questions) == len(dict(t.questions)) for t in trunks)  # none twice


def test_a_section_is_read_with_its_questions_near_misses_and_rivals() -> None:
    shop = read_shop(FOLDER / "aquarium-supplies-en.yml")
    trunks = trunks_of(shop)

    assert len(shop.chunks) == len(trunks)
    for chunk, trunk in zip(shop.chunks, trunks, strict=True):
        answered = {q for q, answers in trunk.questions if answers}
        assert answered == {q.question for q in shop.questions if q.answerable and chunk.id in q.evidence}
        assert len(trunk.questions) - len(answered) >= 6


def test_of_a_long_section_every_passage_is_read_and_answers_only_what_stands_in_it() -> None:
    shop = read_shop(FOLDER / "golf-equipment-en.yml")  # with golds that go over two cells of a table
    trunks = {trunk.document: dict(trunk.questions) for trunk in trunks_of(shop)}

    read = 0
    for chunk in shop.chunks:
        section = Section.of(chunk)
        for passage in section.passages if section.long else ():
            text = section.text([passage])
            read += 1
            for q in shop.questions:
                answers = trunks[document_of(chunk, text)].get(q.question)
                stands = any(all(cell in text for cell in cells(gold)) for gold in q.gold)
                if chunk.id in q.evidence and stands:
                    assert answers is True
                else:
                    assert answers in (None, False)
    assert read > len(shop.chunks)
    assert any(len(cells(gold)) > 1 for q in shop.questions for gold in q.gold)


def test_the_shipped_reranker_is_small_and_whole() -> None:
    from safetensors.torch import load_file

    tensors = load_file(str(RERANKER / "adapter_model.safetensors"))
    adapter = RERANKER.with_name("adapter") / "adapter_model.safetensors"

    assert 640 == load_file(str(RERANKER / "head.safetensors"))["weight"].numel()
    assert tensors and all(bool(t.isfinite().all()) for t in tensors.values())
    assert (RERANKER / "adapter_model.safetensors").stat().st_size + adapter.stat().st_size < 20_000_000


def test_a_missing_reranker_is_named(tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match="kefu finetune reranker"):
        load_reranker(str(tmp_path), cache=tmp_path)
    assert load_reranker("none", cache=tmp_path) is None


def test_lessons_ask_for_headings_too_and_keep_what_is_answered() -> None:
    shop = read_shop(FOLDER / "aquarium-supplies-en.yml")
    whole, half = lessons_of(shop), lessons_of(shop, share=0.5)

    assert whole == lessons_of(shop), "the same every time: a training goes on from its checkpoint"
    for chunk, after, trunk, some, lesson in zip(
        shop.chunks, [*shop.chunks[1:], None], trunks_of(shop), half, whole, strict=True
    ):
        sibling = after is not None and after.article_id == chunk.article_id
        assert trunk.document == lesson.document == some.document == document_of(chunk)
        assert len(lesson.questions) == len(trunk.questions) + 1 + sibling
        assert len(some.questions) == round(len(trunk.questions) / 2) + 1 + sibling
        answered = [answers for _, answers in trunk.questions]
        assert [answers for _, answers in lesson.questions].count(True) == answered.count(True) + 1
    asked = {q.question for q in shop.questions}
    kept = [q in asked for lesson in whole for q, _ in lesson.questions]
    assert 0.4 < sum(kept) / len(kept) < 0.7, "about half in another style"


def test_the_head_is_brought_to_the_scale_of_the_one_in_use(tmp_path: Path) -> None:
    """Scores of the new one that are half as steep and one too high say the same when the head is aligned."""
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(1)
    wrong = [float(n % 3 > 0) for n in range(600)]
    old = [float(torch.randn(1, generator=generator)) * 2 + (3.0 if not w else -3.0) for w in wrong]
    new = [score / 2 + 1 for score in old]
    (tmp_path / "training.json").write_text("{}")
    save_file({"weight": torch.ones(4), "bias": torch.tensor([0.5])}, str(tmp_path / "head.safetensors"))

    scale, shift = align_head(tmp_path, Reading(tuple(new), tuple(wrong)), Reading(tuple(old), tuple(wrong)))

    head = load_file(str(tmp_path / "head.safetensors"))
    assert (scale, shift) == (pytest.approx(2, rel=0.01), pytest.approx(-2, abs=0.03))
    assert torch.allclose(head["weight"], torch.full((4,), scale))
    assert head["bias"].item() == pytest.approx(0.5 * scale + shift)
    with pytest.raises(GeneratorError, match="Train it longer"):
        align_head(tmp_path, Reading(tuple(-s for s in new), tuple(wrong)), Reading(tuple(old), tuple(wrong)))


SHOP = """
language: en
trade: paint
articles:
  - title: Paint
    sections:
      - {heading: Drying, text: "It dries in 4 hours.", ask: [["how long until dry", "4 hours"]], near: ["how long until the second coat"]}
      - {heading: Tins, text: "Tins hold 2 litres.", ask: [["how big is a tin", "2 litres"]], near: ["how heavy is a tin"]}
outside: ["do you sell brushes"]
"""


def test_the_command_trains_on_a_shops_own_file_and_compares(
    small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, unseen = tmp_path / "own-en.yml", tmp_path / "unseen-en.yml"
    for path in (own, unseen):
        path.write_text(SHOP)
    monkeypatch.setattr("bot.generator.shops.shop_files", lambda: [unseen])
    monkeypatch.setattr("bot.generator.shops.held_out", lambda path: True)
    monkeypatch.setattr(module, "ReadingPlan", lambda epochs: replace(PLAN, epochs=epochs))
    monkeypatch.setenv("KEFU_DATA_DIR", str(tmp_path / "var"))
    try:
        options = ["reranker", "--only-own", "--own", str(own), "--epochs", "1"]
        monkeypatch.setenv("KEFU_GENERATOR__RERANKER", "none")
        get_settings.cache_clear()
        first = CliRunner().invoke(finetune, [*options, "--out", str(tmp_path / "first")])
        monkeypatch.setenv("KEFU_GENERATOR__RERANKER", str(tmp_path / "first"))
        get_settings.cache_clear()
        again = CliRunner().invoke(finetune, [*options, "--out", str(tmp_path / "first")])
    finally:
        get_settings.cache_clear()

    assert 0 == first.exit_code, first.output
    assert "1 shops, 2 sections" in first.output and "in use" not in first.output
    assert (tmp_path / "first" / "head.safetensors").exists()
    assert 0 == again.exit_code, again.output  # nothing is left to train; it is as good as itself
    assert "in use" in again.output and "auroc" in again.output
    assert re.search(r"times 1\.000 plus -?0\.000 ", again.output)


@pytest.mark.slow
@pytest.mark.timeout(900)  # where the packaged weights have not been converted yet
def test_the_shipped_reranker_reads_shops_it_never_saw() -> None:
    """On the packaged weights: questions that a section answers are told from others, near misses included."""
    from bot.settings import PROJECT_ROOT

    reranker = load_reranker(None, cache=PROJECT_ROOT / "var" / "models")
    assert reranker is not None
    unseen = [p for p in shop_files() if held_out(p)]
    for language in ("zh", "en"):
        shop = next(s for s in map(read_shop, unseen) if s.language == language)
        found = read_pairs(reranker, trunks_of(replace(shop, chunks=shop.chunks[:8])))

        assert found.figures["auroc"] > 0.8


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_shipped_reranker_takes_a_habit_for_no_sign() -> None:
    """A section's heading alone, or with "怎么办" behind it, is answered by the section and by no neighbour."""
    from bot.knowledge.base import Knowledge, default_folder
    from bot.settings import PROJECT_ROOT

    reranker = load_reranker(None, cache=PROJECT_ROOT / "var" / "models")
    assert reranker is not None
    chunks = [
        chunk
        for article in Knowledge.load(default_folder()).articles
        if article.path.parent.name == "diagnosis" and article.language == "zh"
        for chunk in article.chunks
        if len(chunk.text) < 300 and "？" not in chunk.heading  # a fault, not a question
    ][:24]
    # Least share of them; before questions were restyled it was 0.96 and 0.17.
    endings = {"": 0.9, "怎么办": 0.66}
    trunks = [
        Trunk(document_of(chunk), tuple((one.heading + end, one is chunk) for one in (chunk, other) for end in endings))
        for chunk, other in zip(chunks, [*chunks[1:], chunks[0]], strict=True)
        if chunk.heading != other.heading
    ]  # fmt: skip
    read = score_trunks(reranker, trunks)

    for at, (end, least) in enumerate(endings.items()):
        own, others = [row[at] for row in read], [row[at + len(endings)] for row in read]
        assert sum(score > 0 for score in own) >= least * len(own), (end, own)
        assert statistics.median(own) > statistics.median(others) + 3, end
