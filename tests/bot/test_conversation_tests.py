"""How Rasa's report of failed stories is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.conversation_tests import (
    FailedStory,
    conversation_tests,
    count_stories,
    data_warnings,
    failed_stories,
    read_sources,
)
from bot.exceptions import TrainingError

REPORT = """version: "3.1"
stories:
- story: a shopper asks where the parcel is (tests/conversations/test_order_status.yml)
  steps:
  - intent: order_status  # predicted: refund: 我的快递到哪了
    user: |-
      我的快递到哪了
  - action: order_status_form  # predicted: refund_form

- story: a shopper changes the goal (test_refund.yml)
  steps:
  - intent: refund
  - action: utter_x  # predicted: action_listen
"""


def test_each_failed_story_tells_expected_against_got(tmp_path: Path) -> None:
    report = tmp_path / "failed_test_stories.yml"
    report.write_text(REPORT)

    assert [
        FailedStory(
            "a shopper asks where the parcel is",
            (
                "expected intent: order_status; got refund: 我的快递到哪了",
                "expected action: order_status_form; got refund_form",
            ),
        ),
        FailedStory("a shopper changes the goal", ("expected action: utter_x; got action_listen",)),
    ] == failed_stories(report)


@pytest.mark.parametrize("text", [None, "# None of the test stories failed - all good!\n"])
def test_no_report_and_an_empty_one_mean_that_nothing_failed(tmp_path: Path, text: str | None) -> None:
    report = tmp_path / "failed_test_stories.yml"
    if text is not None:
        report.write_text(text)

    assert [] == failed_stories(report)


def test_stories_are_counted_over_files(tmp_path: Path) -> None:
    (tmp_path / "test_a.yml").write_text("stories:\n- story: one\n- story: two\n")
    (tmp_path / "test_b.yml").write_text("stories:\n- story: three\n")
    (tmp_path / "notes.yml").write_text("stories:\n- story: not a test\n")

    assert 3 == count_stories(tmp_path)
    assert 2 == count_stories(tmp_path / "test_a.yml")


def test_a_topic_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(TrainingError, match="No conversation tests for topic 'refnud'"):
        conversation_tests("refnud")


def test_a_response_that_an_action_says_is_not_unused(tmp_path: Path) -> None:
    (tmp_path / "refund.py").write_text(
        'talk.ask("proof", "ask_proof")\ntalk.say(\'plan_gone\')\nsay("help_" + x, f"shop_{y}")\n'
    )
    log = (
        "Warning: The utterance 'ask_proof' is not used in any story or rule.\n"
        "Warning: The utterance 'plan_gone' is not used in any story or rule.\n"
        "Warning: The utterance 'help_proof' is not used in any story or rule.\n"
        "Warning: The utterance 'shop_away' is not used in any story or rule.\n"
        "Warning: The utterance 'forgotten' is not used in any story or rule.\n"
        "Warning: The example 'x' was found labeled with multiple different intents\n"
    )

    assert [
        "The utterance 'forgotten' is not used in any story or rule.",
        "The example 'x' was found labeled with multiple different intents",
    ] == data_warnings(log, read_sources(tmp_path))
