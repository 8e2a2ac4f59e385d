"""Files that hold personal data: media in a folder or a bucket, and the log files.

This module knows no table.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from bot.privacy.cipher import Cipher
from bot.s3 import Bucket
from bot.settings import Settings

_ID = re.compile(r"[A-Za-z0-9_-]{22}\.[a-z0-9]{2,4}")  # as channels.media makes them; nothing else is touched


class MediaFiles:
    """The gateway's media store, for reading and removing only.

    Raises:
        StorageUnavailable: the bucket refuses or is not there; nobody may take that for "no such file".
    """

    def __init__(self, settings: Settings, cipher: Cipher | None = None) -> None:
        section = settings.media
        self._cipher = cipher
        self.root = section.path or settings.data_path("media", "x").parent
        self._bucket = Bucket(section) if section.bucket else None

    @property
    def in_folder(self) -> bool:
        """False: in a bucket."""
        return self._bucket is None

    @staticmethod
    def owns(name: str) -> bool:
        """Whether this is the name of a file of the media store."""
        return _ID.fullmatch(name) is not None

    async def get(self, name: str) -> bytes | None:
        if not _ID.fullmatch(name):
            return None
        data = await asyncio.to_thread(self._get, name)
        return data if data is None or self._cipher is None else self._cipher.open_bytes(data)

    def _get(self, name: str) -> bytes | None:
        if self._bucket is not None:
            return self._bucket.get(name)
        path = self.root / name
        return path.read_bytes() if path.is_file() else None

    async def delete(self, names: Iterable[str]) -> int:
        """How many of these were there and are gone."""
        gone = 0
        for name in names:
            if _ID.fullmatch(name) and await asyncio.to_thread(self._get, name) is not None:
                await asyncio.to_thread(self._delete, name)
                gone += 1
        return gone

    def _delete(self, name: str) -> None:
        if self._bucket is None:
            (self.root / name).unlink(missing_ok=True)
        else:
            self._bucket.delete(name)

    async def older_than(self, before: float) -> list[str]:
        """Names of files last written before `before` (seconds since 1970-01-01 UTC)."""
        return await asyncio.to_thread(self._older_than, before)

    def _older_than(self, before: float) -> list[str]:
        if self._bucket is not None:
            return [name for name, at in self._bucket.names() if _ID.fullmatch(name) and at < before]
        if not self.root.is_dir():
            return []
        return [
            path.name
            for path in self.root.iterdir()
            if _ID.fullmatch(path.name) and path.stat().st_mtime < before
        ]


def log_files(folder: Path) -> list[Path]:
    """Log files, the rotated ones too."""
    return sorted(path for path in folder.glob("*.log*") if path.is_file()) if folder.is_dir() else []


def strike_lines(files: Iterable[Path], words: Sequence[str]) -> int:
    """Remove every line that holds one of these words; how many there were.

    In place, because the program that writes the file keeps it open for appending.
    """
    wanted = [word.encode() for word in words]
    struck = 0
    for path in files:
        with path.open("r+b") as file:
            lines = file.readlines()
            kept = [line for line in lines if not any(word in line for word in wanted)]
            if len(kept) == len(lines):
                continue
            file.seek(0)
            file.writelines(kept)
            file.truncate()
            struck += len(lines) - len(kept)
    return struck


def files_with(folder: Path, words: Sequence[str], *, without: Iterable[Path] = ()) -> dict[str, int]:
    """Files below `folder` that hold one of these words, and how many of the words."""
    skipped = {path.resolve() for path in without}
    wanted = [word.encode() for word in words]
    found: dict[str, int] = {}
    for path in sorted(folder.rglob("*")):
        if (
            not path.is_file()
            or path.resolve() in skipped
            or any(up in skipped for up in path.resolve().parents)
        ):
            continue
        try:
            data = path.read_bytes()
        except OSError:
            continue
        count = sum(word in data for word in wanted)
        if count:
            found[str(path.relative_to(folder))] = count
    return found
