"""How a page is told that something is not accepted, and how much it may send."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from bot.exceptions import MediaRefused


def error(code: str, message: str) -> dict[str, Any]:
    return {"type": "error", "code": code, "message": message}


def refuse(status: int, code: str, message: str) -> web.Response:
    return web.json_response(error(code, message), status=status, headers={"Vary": "Origin"})


def cors(request: web.Request) -> dict[str, str]:
    """Headers that let the page of an allowed origin read the answer."""
    return {"Access-Control-Allow-Origin": request.headers.get("Origin", ""), "Vary": "Origin"}


def answer(
    request: web.Request,
    body: dict[str, Any],
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> web.Response:
    return web.json_response(
        body,
        status=status,
        headers={**cors(request), "Cache-Control": "no-store", **(headers or {})},
        dumps=lambda value: json.dumps(value, ensure_ascii=False),
    )


async def body_of(request: web.Request, limit: int) -> bytes:
    """The request's body.

    Raises:
        MediaRefused: it has more than `limit` bytes.
    """
    if request.content_length is not None and request.content_length > limit:
        raise MediaRefused(f"The body has more than {limit} bytes", code="too_big")
    data = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        data += chunk
        if len(data) > limit:
            raise MediaRefused(f"The body has more than {limit} bytes", code="too_big")
    return bytes(data)
