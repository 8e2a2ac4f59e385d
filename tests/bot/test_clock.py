"""The clock that tests of the real programs can move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot import clock


def test_without_the_variable_it_is_the_clock_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(clock.VARIABLE, raising=False)

    assert 0 == clock.offset()
    assert timedelta(seconds=5) > abs(clock.now() - datetime.now(UTC))


def test_a_running_program_follows_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "clock"
    monkeypatch.setenv(clock.VARIABLE, str(file))
    before = clock.now_ms()
    file.write_text("3600")
    later = clock.now_ms()

    assert 3_600_000 <= later - before < 3_605_000
    assert timedelta(seconds=3599) < clock.now() - datetime.now(UTC) <= timedelta(seconds=3600)


@pytest.mark.parametrize("content", ["", "soon", "12:00"])
def test_a_file_without_a_number_moves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "clock"
    file.write_text(content)
    monkeypatch.setenv(clock.VARIABLE, str(file))

    assert 0 == clock.offset()
