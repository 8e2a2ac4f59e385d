"""The web chat's own pages and its script, each with the policy that lets nothing else run on it.

`/` is the demo, `/chat` the chat as a whole page (a link, a WebView, a frame on the shop's pages), `/embed.js` what a
shop puts on its pages. This module knows no conversation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from bot.settings import Settings

STATIC = Path(__file__).parent / "static"
ASSETS = {
    "embed.js": "text/javascript",
    "page.css": "text/css",
    "favicon.svg": "image/svg+xml",
    "page.js": "text/javascript",
}

_Handler = Callable[[web.Request], Awaitable[web.Response]]


def routes(app: web.Application, settings: Settings) -> None:
    """Add them to the gateway."""

    async def demo(request: web.Request) -> web.Response:
        return _page(request, settings, "index.html", "'none'")

    async def chat(request: web.Request) -> web.Response:
        site = settings.sites.get(request.query.get("site", "demo"))
        origins = " ".join(site.origins) if site else ""
        return _page(request, settings, "chat.html", f"'self' {origins}".strip())

    app.router.add_get("/", demo)
    app.router.add_get("/chat", chat)
    for name, kind in ASSETS.items():
        app.router.add_get(f"/{name}", _asset(name, kind))


def _page(request: web.Request, settings: Settings, name: str, ancestors: str) -> web.Response:
    host = request.host
    sockets = f"ws://{host} wss://{host}" if all(c.isalnum() or c in ".:-[]" for c in host) else ""
    text = (STATIC / name).read_text(encoding="utf-8").replace("{{shop_url}}", settings.shop.url)
    return web.Response(
        text=text,
        content_type="text/html",
        headers={
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
                f"connect-src 'self' {sockets}; base-uri 'none'; form-action 'none'; "
                f"frame-ancestors {ancestors}"
            ),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",  # the address may hold an identity token
            "Cache-Control": "no-cache",
        },
    )


def _asset(name: str, kind: str) -> _Handler:
    async def asset(_: web.Request) -> web.Response:
        return web.Response(
            text=(STATIC / name).read_text(encoding="utf-8"),
            content_type=kind,
            charset="utf-8",
            headers={
                "Cache-Control": "public, max-age=300",
                "X-Content-Type-Options": "nosniff",
                "Cross-Origin-Resource-Policy": "cross-origin",
                "Access-Control-Allow-Origin": "*",  # scripts are public; needed for integrity attributes
            },
        )

    return asset
