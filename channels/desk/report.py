"""`/desk/report`: the report of `kefu report` as a page, for leads and admins. `?days=30` says how far back.

This module computes nothing and knows no platform.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from bot.database import now_ms
from bot.exceptions import DeskError
from bot.report import make_report
from bot.report_page import page
from channels.desk.staff import Person

_DAY = 24 * 3600 * 1000  # ms
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def report_page(engine: Any) -> Any:
    """The handler over this database.

    Raises (the handler):
        DeskError: not a lead, or `days` is no number from 1 to 366.
    """
    one_at_a_time = asyncio.Lock()  # drawing takes a second of a core

    async def handler(request: web.Request, person: Person) -> web.Response:
        if not person.leads:
            raise DeskError("Only leads and admins read the report", code="role", status=403)
        days = request.query.get("days", "30")
        if not (days.isascii() and days.isdigit() and 1 <= int(days) <= 366):
            raise DeskError("days is a number from 1 to 366", code="bad_request")
        now = now_ms()
        async with one_at_a_time:
            made = await make_report(engine, since=now - int(days) * _DAY, now=now)
            text = await asyncio.to_thread(page, made)
        headers = {"Content-Security-Policy": _POLICY, "X-Frame-Options": "DENY", "Cache-Control": "no-store",
                   "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}  # fmt: skip
        return web.Response(text=text, content_type="text/html", headers=headers)

    return handler
