"""What the desk's page sends, read, and what it is answered with."""

from __future__ import annotations

import json
from typing import Any, cast

from aiohttp import web

from bot.exceptions import DeskError


async def body_of(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except (ValueError, RecursionError, UnicodeDecodeError) as exc:
        raise DeskError("The body must be a JSON object", code="bad_body") from exc
    if not isinstance(body, dict):
        raise DeskError("The body must be a JSON object", code="bad_body")
    return cast(dict[str, Any], body)


def text_of(body: dict[str, Any], name: str, limit: int) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise DeskError(f"{name} must be a text", code="bad_body")
    if len(value) > limit:
        raise DeskError(f"{name} has more than {limit} characters", code="too_long")
    return value if name in ("password", "old", "new") else value.strip()


def number_of(text: Any) -> int:
    return (
        int(text) if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 10 else 0
    )


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(
        body, status=status, headers={"Cache-Control": "no-store", **(headers or {})},
        dumps=lambda value: json.dumps(value, ensure_ascii=False),
    )  # fmt: skip
