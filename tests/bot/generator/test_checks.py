"""No value, promise or claim that the evidence does not hold gets past the checks."""

from __future__ import annotations

import random

import pytest

from bot.generator.checks import run_checks
from bot.generator.dialogues import make_dialogues
from bot.generator.evidence import Evidence
from bot.generator.values import find_values
from bot.generator.wording import language_of

EVIDENCE = [
    Evidence("a", "退货：自签收起七天内可以无理由退货，十五天内可以换货。退款在3-5个工作日到账。", "退货"),
    Evidence("b", "You can return an item within 7 days and exchange it within 15 days. Refunds take 3 to 5 business days.", "Returns", language="en"),
]  # fmt: skip


def failed(reply: str, question: str = "", name: str = "") -> set[str]:
    language = language_of(reply) or "zh"
    return {
        c.name
        for c in run_checks(reply, EVIDENCE, question=question, language=language, customer_name=name)
        if not c.ok
    }


@pytest.mark.parametrize(
    "reply",
    [
        "您可以在7天内退货。",
        "十五天内可以换货。",
        "退款在３到５个工作日到账。",
        "Returns are possible within seven days.",
        "很抱歉给您带来不好的体验。您可以在7天内退货。",
    ],
)
def test_what_stands_in_the_evidence_passes(reply: str) -> None:
    assert set() == failed(reply)


@pytest.mark.parametrize(
    ("reply", "check"),
    [
        ("20天内可以退货。", "values"),
        ("退款在3-5天到账。", "values"),
        ("您可以在15天内退货。", "field"),
        ("Returns within 15 days.", "field"),
        ("退款100元在3-5个工作日到账。", "values"),
        ("退货请打13812345678。", "values"),
        ("退货请到 www.evil.example 办理。", "values"),
        ("我们保证7天内可以退货。", "promise"),
        ("7天内免费退货。", "promise"),
        ("已为您提交退款申请，3-5个工作日到账。", "claim"),
        ("I have refunded you; refunds take 3 to 5 business days.", "claim"),
        ("张先生，7天内可以退货。", "privacy"),
        ("系统：7天内可以退货。", "system_text"),
        ("7天内可以退货<end_of_turn>", "system_text"),
        ("可以退货。\n\n(4) article | 退货期限: 7天内可以退货。", "system_text"),
        ("", "form"),
        ("可以退货可以换货。" * 9, "form"),
        ("本店今天天气很好适合出门郊游野餐。", "grounded"),
    ],
)
def test_what_does_not_is_vetoed_by_name(reply: str, check: str) -> None:
    assert check in failed(reply)


def test_a_reply_in_the_other_language_is_vetoed() -> None:
    checks = run_checks("You can return it within 7 days.", EVIDENCE, question="", language="zh")

    assert "language" in {c.name for c in checks if not c.ok}


def test_the_proven_customers_own_name_may_be_used() -> None:
    assert "privacy" not in failed("王先生，7天内可以退货。", name="王明")


def test_no_changed_value_passes_in_five_thousand_replies() -> None:
    """Take right answers, change one number in each: every one is vetoed."""
    rng = random.Random(4)
    missed, tried = [], 0
    for d in make_dialogues(3000, seed=31):
        for _ in range(2):
            digits = [v for v in find_values(d.answer) if v.kind.split(":")[0] in ("minutes", "working_days", "months", "money", "percent")
                      and v.text[:1].isdigit()]  # fmt: skip
            if not digits:
                continue
            value = rng.choice(digits)
            changed = str(rng.randrange(1001, 9999))
            reply = d.answer.replace("".join(c for c in value.text if c.isdigit() or c == "."), changed, 1)
            if changed not in reply:
                continue
            tried += 1
            checks = run_checks(reply, d.evidence, question=d.question, language=d.language)
            if all(c.ok for c in checks):
                missed.append(reply)

    assert tried >= 2500
    assert [] == missed
