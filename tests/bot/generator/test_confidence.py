"""Which kind of value a question asks for."""

from __future__ import annotations

import pytest

from bot.generator.confidence import asked_kind, kind_match


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("你们电话是多少", "phone"),
        ("what is your phone number", "phone"),
        ("电话号码填错了怎么改", None),
        ("got a new phone number how to update my profile", None),
        ("官网网址发我一下", "url"),
        ("can you send me the download link", "url"),
        ("退货链接打不开", None),
        ("link 2 speakers together", None),
        ("the tracking link doesn't open", None),
        ("几点关门", "time"),
        ("退货要几天", "span"),
    ],
)
def test_what_the_shopper_has_is_not_asked_for(question: str, kind: str | None) -> None:
    found = asked_kind(question)

    assert kind == (found and found[0])


def test_a_passage_without_the_kind_of_value_asked_for_is_no_match() -> None:
    assert -1.0 == kind_match("几点关门", "周一休息。")
    assert 1.0 == kind_match("几点关门", "每天21:00关门。")
    assert 0.0 == kind_match("link 2 speakers together", "Hold both buttons.")
