"""Files shoppers send: what is taken, how it is cleaned, where it is kept.

A file is what its first bytes say, not what its name says. Images are decoded and written again, which
drops metadata (where a photo was taken) and anything hidden behind the picture. Names are random; the
original name is not kept. This module knows no platform and issues no links (`channels.tokens` does).
"""

from __future__ import annotations

import asyncio
import io
import re
import secrets
from pathlib import Path
from typing import Literal, Protocol

from PIL import Image, ImageOps, UnidentifiedImageError

from bot.exceptions import MediaRefused
from bot.message import Attachment
from bot.privacy.cipher import Cipher
from bot.s3 import Bucket
from bot.settings import MediaSettings

MAX_PIXELS = 40_000_000  # a small file can claim a huge picture
_MAX_SIDE = 4096
_ID = re.compile(r"[A-Za-z0-9_-]{22}\.[a-z0-9]{2,4}")
Kind = Literal["image", "voice", "video", "file"]
KINDS: tuple[Kind, ...] = ("image", "voice", "video", "file")

# ending -> (kind, content type); the ending is ours, chosen by what the bytes are
TYPES: dict[str, tuple[Kind, str]] = {
    "jpg": ("image", "image/jpeg"),
    "png": ("image", "image/png"),
    "webp": ("image", "image/webp"),
    "gif": ("image", "image/gif"),
    "pdf": ("file", "application/pdf"),
    "amr": ("voice", "audio/amr"),
    "ogg": ("voice", "audio/ogg"),
    "mp3": ("voice", "audio/mpeg"),
    "spx": ("voice", "audio/speex"),
    "m4a": ("voice", "audio/mp4"),
    "mp4": ("video", "video/mp4"),
    "webm": ("video", "video/webm"),
}


_FILMS = frozenset(
    {b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"MSNV", b"qt  "}
)


def sniff(data: bytes) -> str | None:
    """The ending that belongs to these bytes, or None when we do not take such files."""
    head = data[:16]
    if head.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith(b"%PDF-"):
        return "pdf"
    if head.startswith(b"#!AMR"):
        return "amr"
    if head.startswith(b"OggS"):
        return "spx" if b"Speex" in data[:64] else "ogg"
    if head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return "mp3"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm" if b"webm" in data[:64] else None
    if head[4:8] == b"ftyp":
        # The container is not the film: HEIC and AVIF pictures come in it as well, and browsers show neither.
        brand = head[8:12]
        return "m4a" if brand == b"M4A " else "mp4" if brand in _FILMS else None
    return None


class Storage(Protocol):
    """Where bytes lie."""

    async def put(self, name: str, data: bytes, content_type: str) -> None: ...

    async def get(self, name: str) -> bytes | None: ...

    async def delete(self, name: str) -> None: ...


class FileStorage:
    """A folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    async def put(self, name: str, data: bytes, content_type: str) -> None:
        await asyncio.to_thread(self._put, name, data)

    def _put(self, name: str, data: bytes) -> None:
        path = self.root / name
        part = path.with_suffix(".part")
        part.write_bytes(data)
        part.replace(path)  # a file is there whole or not at all

    async def get(self, name: str) -> bytes | None:
        path = self.root / name
        return await asyncio.to_thread(path.read_bytes) if path.is_file() else None

    async def delete(self, name: str) -> None:
        await asyncio.to_thread((self.root / name).unlink, True)


class S3Storage:
    """A bucket of an S3-compatible store."""

    def __init__(self, settings: MediaSettings) -> None:
        self._bucket = Bucket(settings)

    async def put(self, name: str, data: bytes, content_type: str) -> None:
        await asyncio.to_thread(self._bucket.put, name, data, content_type)

    async def get(self, name: str) -> bytes | None:
        return await asyncio.to_thread(self._bucket.get, name)

    async def delete(self, name: str) -> None:
        await asyncio.to_thread(self._bucket.delete, name)


class MediaStore:
    """Takes files, gives them back by id. The id is the random name, ending included."""

    def __init__(self, storage: Storage, *, max_bytes: int, cipher: Cipher | None = None) -> None:
        """With a cipher, files are stored sealed; those stored before stay readable."""
        self.storage = storage
        self.cipher = cipher
        self.max_bytes = max_bytes

    async def put(self, data: bytes, *, kinds: tuple[Kind, ...] = ("image",)) -> Attachment:
        """Check, clean and keep a file.

        Raises:
            MediaRefused: too big (`too_big`), of a kind not taken here (`bad_type`), or not a picture
                that can be read (`broken`).
            StorageUnavailable: the bucket refuses or is not there.
        """
        if len(data) > self.max_bytes:
            raise MediaRefused(f"The file has more than {self.max_bytes} bytes", code="too_big")
        ending = sniff(data)
        if ending is None or TYPES[ending][0] not in kinds:
            raise MediaRefused("Files of this kind are not taken", code="bad_type")
        if TYPES[ending][0] == "image":
            cleaned = await asyncio.to_thread(_rewrite, data, ending)
            data, ending = cleaned
        kind, content_type = TYPES[ending]
        media_id = f"{secrets.token_urlsafe(16)}.{ending}"
        stored = data if self.cipher is None else await asyncio.to_thread(self.cipher.seal_bytes, data)
        await self.storage.put(media_id, stored, content_type)
        return Attachment(media_id=media_id, kind=kind, content_type=content_type, size=len(data))

    async def get(self, media_id: str) -> tuple[bytes, str] | None:
        """(bytes, content type), or None when there is no such file."""
        if not _ID.fullmatch(media_id):
            return None
        data = await self.storage.get(media_id)
        if data is None:
            return None
        if self.cipher is not None:
            data = await asyncio.to_thread(self.cipher.open_bytes, data)
        return data, TYPES[media_id.rpartition(".")[2]][1]

    async def delete(self, media_id: str) -> None:
        if _ID.fullmatch(media_id):
            await self.storage.delete(media_id)


def make_media_store(
    settings: MediaSettings, default_path: Path, *, cipher: Cipher | None = None
) -> MediaStore:
    """The store the settings ask for."""
    storage: Storage = S3Storage(settings) if settings.bucket else FileStorage(settings.path or default_path)
    return MediaStore(storage, max_bytes=settings.max_bytes, cipher=cipher)


def _rewrite(data: bytes, ending: str) -> tuple[bytes, str]:
    """The picture alone, upright, at most 4096 pixels a side; an animation keeps its first frame."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG", "PNG", "GIF", "WEBP"]) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise MediaRefused(f"The picture has more than {MAX_PIXELS} pixels", code="too_big")
            opened.load()
            picture = ImageOps.exif_transpose(opened)
            picture.thumbnail((_MAX_SIDE, _MAX_SIDE))
            out = io.BytesIO()
            if ending == "jpg":
                clean = picture.convert("RGB")
                clean.info = {}
                clean.save(out, "JPEG", quality=88)
                return out.getvalue(), "jpg"
            clean = picture.convert("RGBA")
            clean.info = {}
            clean.save(out, "PNG")
            return out.getvalue(), "png"
    except MediaRefused:
        raise
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise MediaRefused("The picture cannot be read", code="broken") from exc
