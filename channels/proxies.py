"""The address a request comes from."""

from __future__ import annotations

from aiohttp import web


def address_of(request: web.Request, proxies: int) -> str:
    """The network address of whoever asks.

    Args:
        proxies: how many of the shop's own proxies stand in front. Each appends the address it saw to
            X-Forwarded-For; what stands before theirs may be invented.
    """
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    if proxies and forwarded[0]:
        return forwarded[-min(proxies, len(forwarded))]
    return request.remote or ""
