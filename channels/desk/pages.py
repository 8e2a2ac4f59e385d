"""The desk's page, its script, style and words, and the replies people keep at hand."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, get_args

import yaml
from aiohttp import web

from bot.exceptions import SettingsError
from bot.handoff.words import TABLES
from bot.message import Language

STATIC = Path(__file__).resolve().parent.parent / "static" / "desk"


def routes(app: web.Application) -> None:
    """What a browser loads before anybody has signed in."""
    add = app.router.add_route
    add("GET", "/desk", _page)
    add("GET", "/desk/", _page)
    for name, kind in (
        ("desk.js", "text/javascript"),
        ("desk.css", "text/css"),
        ("icon.svg", "image/svg+xml"),
    ):
        add("GET", f"/desk/{name}", _asset(name, kind))
    add("GET", "/desk/words.js", _asset("words.js", "text/javascript", more=_tables()))


async def _page(request: web.Request) -> web.Response:
    host = request.host
    sockets = f"ws://{host} wss://{host}" if all(c.isalnum() or c in ".:-[]" for c in host) else ""
    return web.Response(
        text=(STATIC / "index.html").read_text(encoding="utf-8"),
        content_type="text/html",
        headers={
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
                f"connect-src 'self' {sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
            "X-Frame-Options": "DENY",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        },
    )


def _asset(name: str, kind: str, *, more: str = "") -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def asset(_: web.Request) -> web.StreamResponse:
        return web.Response(
            text=(STATIC / name).read_text(encoding="utf-8") + more,
            content_type=kind,
            charset="utf-8",
            headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"},
        )

    return asset


def _tables() -> str:
    """The hand-over's codes in words, as the page's script keeps them."""
    told = {
        language: {
            name: {code: one[language] for code, one in table.items()} for name, table in TABLES.items()
        }
        for language in get_args(Language)
    }
    tables = json.dumps(told, ensure_ascii=False)
    return f"for (const [language, tables] of Object.entries({tables})) Object.assign(DESK_WORDS[language], tables);\n"


def load_canned(path: Path) -> list[dict[str, Any]]:
    """Canned replies: a list of {key, title: {zh, en}, text: {zh, en}}.

    Raises:
        SettingsError: the file is missing or not of this form.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [
            {
                "key": str(one["key"]),
                **{
                    part: {"zh": str(one[part]["zh"]), "en": str(one[part]["en"])}
                    for part in ("title", "text")
                },
            }
            for one in content
        ]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as exc:
        raise SettingsError(
            f"{path}: canned replies are a list of {{key, title: {{zh, en}}, text: {{zh, en}}}}: {exc}"
        ) from exc
