"""Pictures and recordings: taken before they are spoken of, shown by links that expire."""

from __future__ import annotations

import logging

from aiohttp import web

from bot.exceptions import MediaRefused, StorageUnavailable, TokenRejected, TooMany
from bot.settings import Settings
from channels.gateway import Gateway
from channels.limits import Limit
from channels.media import KINDS, MediaStore
from channels.tokens import Tokens
from channels.web.access import Access
from channels.web.replies import answer, body_of, error, refuse

logger = logging.getLogger(__name__)


class Files:
    """Takes them and shows them."""

    def __init__(
        self, gateway: Gateway, settings: Settings, tokens: Tokens, media: MediaStore, access: Access
    ) -> None:
        self.gateway = gateway
        self.settings = settings
        self.tokens = tokens
        self.media = media
        self.access = access
        self._uploads = Limit("uploads", settings.gateway.uploads_per_day, 86_400)

    async def upload(self, request: web.Request) -> web.Response:
        """Take one file. Authorization as for `/web/send`."""
        site = request.query.get("site", "")
        if not self.access.origin_allowed(request, site):
            return refuse(403, "origin", "This page is not on the site's list of origins")
        known = await self.access.by_session(request, site)
        if known is None:
            return answer(request, error("session", "Open a new session"), 401)
        _, conversation = known
        try:
            async with self.gateway.store.write() as counting:
                await self._uploads.take(counting, conversation.id)
            data = await body_of(request, self.media.max_bytes)
            attachment = await self.media.put(data, kinds=KINDS)
        except TooMany as exc:
            retry = {"Retry-After": str(int(exc.retry_after) + 1)}
            return answer(request, error("rate", "Too many files"), 429, retry)
        except StorageUnavailable as exc:
            logger.error("web.upload_failed reason=%s", exc)
            return answer(request, error("storage", "Files cannot be kept right now"), 503)
        except MediaRefused as exc:
            return answer(request, error(exc.code, str(exc)), 413 if exc.code == "too_big" else 415)
        slip = self.tokens.slip(attachment.model_dump(), conversation.id)
        link = self.tokens.sign_link(attachment.media_id, self.settings.media.link_life)
        return answer(
            request,
            {"slip": slip, **attachment.model_dump(), "url": f"/media/{attachment.media_id}?{link}"},
        )

    async def show(self, request: web.Request) -> web.Response:
        media_id = request.match_info["media_id"]
        try:
            self.tokens.check_link(media_id, request.query.get("until", ""), request.query.get("sign", ""))
        except (TokenRejected, ValueError):
            return web.Response(status=403, text="This link is not valid any more.")
        try:
            found = await self.media.get(media_id)
        except StorageUnavailable as exc:
            logger.error("web.file_not_read reason=%s", exc)
            return web.Response(status=503, text="Files cannot be read right now.")
        if found is None:
            return web.Response(status=404, text="There is no such file.")
        data, content_type = found
        disposition = "inline" if content_type.startswith("image/") else "attachment"
        return web.Response(
            body=data,
            content_type=content_type,
            headers={
                "Content-Disposition": f'{disposition}; filename="{media_id}"',
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "default-src 'none'; sandbox",
                "Cross-Origin-Resource-Policy": "cross-origin",
                "Cache-Control": "private, max-age=600",
            },
        )
