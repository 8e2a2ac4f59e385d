"""What people at the desk judge becomes a file that `kefu calibrate` reads."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bot.generator.binding import machine_versions
from bot.generator.calibrate import read_labels
from bot.knowledge.base import Knowledge
from bot.message import Handoff, Reply
from bot.settings import GeneratorSettings, Settings
from tests.bot.generator.test_calibrate import kefu_calibrate
from tests.channels.desk.house import open_house


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    folder = tmp_path / "articles"
    folder.mkdir()
    (folder / "a.md").write_text(
        "---\nid: a\nlanguage: zh\n---\n# 售后\n## 退货期限\n签收后7天内可以退货。\n", encoding="utf-8"
    )
    return folder


async def test_verdicts_of_the_desk_become_labels_with_the_score_and_risk_of_the_decision(
    tmp_path: Path, articles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drafts sent, edited and discarded, answers marked right and wrong, in both languages; what was no answer is none."""
    settings = Settings(
        data_dir=tmp_path, generator=GeneratorSettings(enabled=False), knowledge={"path": articles}
    )  # type: ignore[arg-type]
    now = machine_versions(settings, Knowledge.load(articles))
    before = {**now, "index": "an older index"}

    def script(text: str) -> list[Reply]:
        """`p risk verdict`, and "old" when it was an earlier machine's."""
        if text == "你好":
            return [Reply(text="您好")]
        p, risk, decision, *rest = text.split()
        explain: dict[str, Any] = {
            "answer": {"decision": decision, "p_correct": float(p), "risk_class": risk},
            "versions": {f"answer.{part}": value for part, value in (before if rest else now).items()},
        }
        if decision == "answer":
            return [Reply(text=f"答 {text}", explain=explain)]
        packet = {"question": text, "draft": {"text": f"草稿 {text}", "p_correct": float(p)}}
        return [
            Reply(text="转人工", explain=explain, handoff=Handoff(reason="low_confidence", packet=packet))
        ]

    async with open_house(tmp_path, script) as house:
        lin = await house.person("lin")
        said = {}
        for shopper, text in {
            "sent": "0.62 product handoff", "edited": "0.41 policy handoff", "discarded": "0.1 product handoff",
            "right": "0.97 product answer", "wrong": "0.88 money answer", "old": "0.91 product answer old",
            "greeted": "你好",
        }.items():  # fmt: skip
            said[shopper] = await house.hear(text, shopper)
        for shopper, text in (("sent", "草稿 0.62 product handoff"), ("edited", "我来帮您查。")):
            await lin.do(said[shopper], "claim")
            _, whole = await lin.get(f"/conversations/{said[shopper]}")
            sent = await lin.do(said[shopper], "reply", text=text, key=shopper, draft=f"case:{whole['case']}")
            assert 200 == sent[0]
        _, whole = await lin.get(f"/conversations/{said['discarded']}")
        await lin.post(f"/conversations/{said['discarded']}/draft", {"draft": f"case:{whole['case']}"})
        for shopper, verdict in (
            ("right", "right"),
            ("wrong", "wrong"),
            ("old", "right"),
            ("greeted", "right"),
        ):
            line = next(one for one in await house.lines(said[shopper]) if one.author == "bot")
            judged = await lin.post(
                f"/conversations/{said[shopper]}/judge", {"seq": line.seq, "verdict": verdict}
            )
            assert 200 == judged[0]

    async def export(*words: str) -> tuple[str, list[dict[str, Any]]]:
        out = tmp_path / "labels.jsonl"
        told = await asyncio.to_thread(
            kefu_calibrate, settings, monkeypatch, "labels", "--out", str(out), *words
        )
        return told, [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]

    told, lines = await export()
    by_name = {next(name for name in said if said[name] == one["conversation"]): one for one in lines}
    assert {
        "sent": (0.62, False, "product", False), "edited": (0.41, True, "policy", False),
        "discarded": (0.1, True, "product", False), "right": (0.97, False, "product", True),
        "wrong": (0.88, True, "money", True),
    } == {name: (one["p"], one["wrong"], one["risk"], one["alone"]) for name, one in by_name.items()}  # fmt: skip
    assert "5 labels of 5 conversations" in told and "1 of an earlier model" in told
    assert lines == sorted(lines, key=lambda one: one["at"])
    assert 5 == len(read_labels(tmp_path / "labels.jsonl"))  # and certify reads it

    assert 2 == len((await export("--alone"))[1])
    assert 6 == len((await export("--every-version"))[1])
