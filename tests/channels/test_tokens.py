"""The gateway's secret is there whole or not at all: whoever knows it is any customer."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from bot.exceptions import SettingsError
from channels.tokens import load_secret

ANOTHERS = b"the secret of a gateway that was quicker"


def test_a_secret_is_made_once_and_is_for_nobody_elses_eyes(tmp_path: Path) -> None:
    path = tmp_path / "gateway.secret"
    secret = load_secret(None, path)

    assert secret == load_secret(None, path) and len(secret) >= 32
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("left", [b"", b"\n", b"fifteen letters"])
def test_a_file_that_holds_no_secret_stops_the_start(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "gateway.secret"
    path.write_bytes(left)
    with pytest.raises(SettingsError, match=r"gateway\.secret holds no secret\. Remedy: remove it"):
        load_secret(None, path)

    assert b"configured-and-long-enough" == load_secret("configured-and-long-enough", path)


def test_a_full_disk_leaves_no_half_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "gateway.secret"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(SettingsError, match=r"No space left on device.* Remedy: free some space"):
            load_secret(None, path)

    assert [] == list(tmp_path.iterdir())
    assert len(load_secret(None, path)) >= 32


def test_of_two_gateways_that_start_together_both_have_the_secret_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, link = tmp_path / "gateway.secret", os.link

    def late(part: str, name: Path) -> None:
        name.write_bytes(ANOTHERS)  # the other one was ready just now
        link(part, name)

    monkeypatch.setattr(os, "link", late)

    assert ANOTHERS == load_secret(None, path)
    assert [path] == list(tmp_path.iterdir())
