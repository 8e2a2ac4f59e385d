"""The measuring itself, on a hand-made file; and on foreign texts where they are at hand."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bot.exceptions import PrivacyError
from bot.privacy.measure import measure, render


def test_recall_counts_whole_spans_and_precision_counts_what_touches_a_label(tmp_path: Path) -> None:
    text = "Mail a@b.cn, card 4111111111111111, Bob lives here, 13812345678"
    spans = [
        {"entity_type": "EMAIL_ADDRESS", "start_position": 5, "end_position": 11},
        {"entity_type": "CREDIT_CARD", "start_position": 13, "end_position": 34},  # "card " is not covered
        {"entity_type": "PERSON", "start_position": 36, "end_position": 39},
    ]
    file = tmp_path / "texts.json"
    file.write_text(json.dumps([{"full_text": text, "spans": spans}]))
    measured = measure(file)

    assert measured["labels"]["EMAIL_ADDRESS"]["recall"] == 1.0
    assert (measured["labels"]["CREDIT_CARD"]["whole"], measured["labels"]["CREDIT_CARD"]["partly"]) == (0, 1)
    assert measured["recall_promised"] == 0.5
    assert measured["precision_all"] == pytest.approx(2 / 3, abs=1e-4)  # the phone carries no label
    assert measured["names_when_known"] == 1.0 and measured["labels"]["PERSON"]["recall"] == 0.0
    assert "EMAIL_ADDRESS" in render(measured)


@pytest.mark.parametrize("content", ["not json", "[1]", '[{"full_text": "x"}]'])
def test_another_shape_is_refused_by_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "texts.json"
    file.write_text(content)
    with pytest.raises(PrivacyError, match=r"texts\.json"):
        measure(file)


def test_foreign_texts_keep_the_level_that_is_documented() -> None:
    data = os.environ.get("KEFU_EVAL_DATA")
    file = Path(data or "/nowhere") / "pii_en_presidio" / "synth_dataset_v2.json"
    if not file.exists():
        pytest.skip("no labelled texts at KEFU_EVAL_DATA")
    measured = measure(file)

    for label in ("EMAIL_ADDRESS", "IBAN_CODE", "US_SSN", "IP_ADDRESS"):
        assert measured["labels"][label]["recall"] >= 0.99, label
    assert (
        measured["labels"]["CREDIT_CARD"]["recall"] >= 0.9
        and measured["labels"]["PHONE_NUMBER"]["recall"] >= 0.85
    )
    assert measured["precision_all"] >= 0.95
