"""Files on their way to a shopper: as the platform's own kind where it takes them, else as a link that expires.

Every platform takes other kinds, sizes and lengths, and none says so before the upload. This module knows no platform.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.exceptions import ChannelError
from bot.message import Language
from channels import sound
from channels.channel import Capabilities, OutboxMessage, plain_text
from channels.media import MediaStore
from channels.texts import say

logger = logging.getLogger(__name__)

Link = Callable[[str], str | None]  # media id -> an address that opens it for a while; None: there is none


@dataclass(frozen=True)
class Upload:
    """A file the platform takes."""

    media_id: str
    kind: str  # image, voice
    content: bytes
    content_type: str

    @property
    def name(self) -> str:
        return f"{self.kind}.{self.media_id.rpartition('.')[2]}"


class Outgoing:
    """`takes` says what one platform takes: ending -> most bytes; a voice plays `longest` seconds at most (None: any time)."""

    def __init__(
        self, media: MediaStore, link: Link, takes: Mapping[str, int], *, longest: float | None = 60.0
    ) -> None:
        self._media = media
        self._link = link
        self._takes = takes
        self._longest = longest

    async def prepare(self, item: Mapping[str, Any], language: Language) -> Upload | str | None:
        """The file, or the words that stand for it; None when it is not kept any more.

        Raises:
            ChannelError: it can only go as a link, and there is none.
        """
        media_id, kind = str(item["media_id"]), str(item.get("kind"))
        found = await self._media.get(media_id)
        if found is None:
            logger.warning("outgoing.file_gone media=%s", media_id)
            return None
        content, content_type = found
        fits = len(content) <= self._takes.get(media_id.rpartition(".")[2], -1)
        if fits and kind == "voice" and self._longest is not None:
            lasts = sound.seconds(content)
            fits = lasts is not None and lasts <= self._longest
        if fits:
            return Upload(media_id, kind, content, content_type)
        return self.words(media_id, kind, language)

    def words(self, media_id: str, kind: str, language: Language) -> str:
        """What is said instead of a file.

        Raises:
            ChannelError: there is no link to it.
        """
        address = self._link(media_id)
        if address is None:
            raise ChannelError(
                "The platform does not take this file, and a link needs gateway.public_url, which is not set"
            )
        return say(f"link_{kind}", language, address=address)

    def as_text(self, message: OutboxMessage, capabilities: Capabilities) -> str:
        """A message for a platform that is given nothing but words: its files are links, if there are any."""
        parts = [plain_text(message, capabilities)]
        for item in message.media:
            with contextlib.suppress(ChannelError):
                language: Language = "en" if message.language == "en" else "zh"
                parts.append(self.words(str(item["media_id"]), str(item["kind"]), language))
        return "\n\n".join(part for part in parts if part)

    async def pieces(
        self, messages: Sequence[OutboxMessage], language: Language, capabilities: Capabilities, budget: int
    ) -> list[str | Upload]:
        """Texts (merged, then split by bytes), pictures and voices: no more than `budget` of them together.

        Splitting spends allowance, so what is too long for the budget is shortened, with a mark that it was.

        Raises:
            ChannelError: a file can only go as a link, and there is none.
        """
        limit = capabilities.max_bytes
        assert limit is not None, "a platform that counts messages says how long one may be"
        words = [plain_text(message, capabilities) for message in messages]
        uploads: list[Upload] = []
        for item in (item for message in messages for item in message.media):
            file = await self.prepare(item, language)
            if isinstance(file, Upload):
                uploads.append(file)
            elif file:
                words.append(file)
        texts = split_bytes("\n\n".join(part for part in words if part), limit)
        room = max(1, budget - len(uploads)) if texts else 0
        if len(texts) > room:
            texts = texts[:room]
            texts[-1] = shortened(texts[-1], limit)
        pieces: list[str | Upload] = [*texts, *uploads]
        return pieces[:budget]


def split_bytes(text: str, limit: int) -> list[str]:
    """Pieces of at most `limit` UTF-8 bytes, cut between characters, at a line or sentence where possible."""
    pieces: list[str] = []
    rest = text
    while len(rest.encode()) > limit:
        head = rest.encode()[:limit].decode(errors="ignore")
        cut = max(head.rfind(mark) for mark in ("\n", "。", "！", "？", ". ", "! ", "? "))
        if cut >= len(head) // 2:
            head = head[: cut + 1]
        pieces.append(head.rstrip())
        rest = rest[len(head) :].lstrip()
    if rest:
        pieces.append(rest)
    return pieces


def shortened(text: str, limit: int) -> str:
    """The beginning of it, with a mark that something is missing."""
    return split_bytes(text, limit - 3)[0] + "…"
