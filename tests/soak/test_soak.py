"""The soak in small: all doors, a few kills. `make soak` runs the long one."""

from __future__ import annotations

import pytest

from tests.soak.soak import DOORS, soak


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_every_door_answers_every_message_in_order_while_the_gateway_is_killed() -> None:
    report = await soak(25, 16, kill_every=8)

    assert report["kills"] >= 1
    assert 0 == report["turns_run_twice"], report
    for door in DOORS:
        assert report[door]["messages"] > 0
        assert (0, 0) == (report[door]["unanswered"], report[door]["out_of_order"]), (door, report)
    # These two name their messages, so a repeat is not shown.
    assert (0, 0) == (report["web"]["repeated"], report["wecom"]["repeated"])
