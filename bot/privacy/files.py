"""Files that hold personal data: media in a folder or a bucket, and the log files.

This module knows no table.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bot.privacy.cipher import Cipher
from bot.s3 import Bucket
from bot.settings import Settings

_ID = re.compile(r"[A-Za-z0-9_-]{22}\.[a-z0-9]{2,4}")  # as channels.media makes them; nothing else is touched
# In a bucket a rewritten object counts as new, so the ages of those are kept beside them: {name: seconds}.
_AGES = "kefu-media-ages.json"


class MediaFiles:
    """The gateway's media store, for reading, removing and sealing anew only.

    Raises:
        StorageUnavailable: the bucket refuses or is not there; nobody may take that for "no such file".
    """

    def __init__(self, settings: Settings, cipher: Cipher | None = None) -> None:
        section = settings.media
        self._cipher = cipher
        self.root = section.path or settings.data_path("media", "x").parent
        self._bucket = Bucket(section) if section.bucket else None

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

    def rewrite(self, change: Callable[[bytes], bytes]) -> int:
        """Write every file again as `change` makes it; how many. Each keeps its age. Blocking.

        Can be stopped and run again at any time, while others put and remove files.
        """
        if self._bucket is None:
            return self._rewrite_folder(change)
        listed = {name: at for name, at in self._bucket.names() if _ID.fullmatch(name)}
        earlier = self._ages(self._bucket)
        ages = {name: min(at, earlier.get(name, at)) for name, at in listed.items()}
        # First of all, so that a stop loses no age.
        self._bucket.put(_AGES, json.dumps(ages).encode(), "application/json")
        return sum(self._bucket.rewrite(name, change) for name in listed)

    def _rewrite_folder(self, change: Callable[[bytes], bytes]) -> int:
        if not self.root.is_dir():
            return 0
        count = 0
        for path in sorted(self.root.iterdir()):
            if not _ID.fullmatch(path.name) or path.suffix == ".part":  # half a file, of whoever was stopped
                continue
            try:
                data, was = path.read_bytes(), path.stat()
            except FileNotFoundError:  # purged or erased meanwhile
                continue
            part = path.with_suffix(".part")
            part.write_bytes(change(data))
            os.utime(part, ns=(was.st_atime_ns, was.st_mtime_ns))
            part.replace(path)
            count += 1
        return count

    @staticmethod
    def _ages(bucket: Bucket) -> dict[str, float]:
        kept = bucket.get(_AGES)
        return dict(json.loads(kept)) if kept is not None else {}

    async def older_than(self, before: float) -> list[str]:
        """Names of files that came before `before` (seconds since 1970-01-01 UTC)."""
        return await asyncio.to_thread(self._older_than, before)

    def _older_than(self, before: float) -> list[str]:
        if self._bucket is not None:
            ages = self._ages(self._bucket)
            return [
                name
                for name, at in self._bucket.names()
                if _ID.fullmatch(name) and min(at, ages.get(name, at)) < before
            ]
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
