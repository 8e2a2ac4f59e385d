"""The demo shop as a program: the order API over HTTP, a page to try it with, and faults for tests.

Each handler translates one operation of `openapi.yaml` to the store and back. Rules live in
`operations`, data in `store`.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer
from aiohttp import web
from pydantic import BaseModel, Field, ValidationError

from bot.exceptions import SettingsError
from bot.knowledge.base import default_folder
from bot.orders.models import Grant, Operation, OrderState
from bot.orders.shop import bodies, page
from bot.orders.shop.catalogue import RATES
from bot.orders.shop.data import SEED, ZONE
from bot.orders.shop.faults import Fault, Faults
from bot.orders.shop.help import help_page
from bot.orders.shop.masking import outgoing
from bot.orders.shop.problems import Problem
from bot.orders.shop.store import Store
from bot.settings import Settings, get_settings

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024  # bytes
KEY = re.compile(r"[A-Za-z0-9._:-]{8,200}")
VERSION = re.compile(r'"([0-9]{1,18})"')

STORE = web.AppKey("store", Store)
SETTINGS = web.AppKey("settings", Settings)
FAULTS = web.AppKey("faults", Faults)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

WRITE_PATHS = {
    "cancel": Operation.CANCEL,
    "address": Operation.CHANGE_ADDRESS,
    "items": Operation.CHANGE_ITEMS,
    "refund": Operation.REFUND,
    "return": Operation.RETURN,
    "exchange": Operation.EXCHANGE,
    "invoice": Operation.SEND_INVOICE,
    "price-protection": Operation.PRICE_PROTECTION,
}
REQUEST_PATHS = {"update": Operation.UPDATE_REQUEST, "withdraw": Operation.WITHDRAW_REQUEST}


def make_app(
    settings: Settings, *, database: Path | str | None = None, reset: bool = False, today: date | None = None
) -> web.Application:
    """The shop, ready to be served. `database` is a file of its own; `today` is for tests."""
    path = database or settings.data_path("shop.db")
    store = Store(path, seed=SEED, today=lambda: today or datetime.now(ZONE).date())
    app = web.Application(middlewares=[problems, faults, authorization], client_max_size=MAX_BODY)
    app[STORE] = store
    app[SETTINGS] = settings

    async def bump(number: str) -> None:
        await store.mutate(number, {})

    app[FAULTS] = Faults(bump)

    async def open_store(_: web.Application) -> Any:
        found = await store.open(reset=reset)
        if found == "old":
            log.warning(
                "The demo shop keeps data of an earlier day because somebody has written to it; "
                "`kefu shop --reset` makes it anew."
            )
        yield
        await store.close()

    app.cleanup_ctx.append(open_store)
    app.router.add_get("/", index, name="page")
    app.router.add_get("/help/{article:.+}", article, name="help")
    app.router.add_get("/health", health, name="health")
    app.router.add_get("/openapi.yaml", document, name="document")
    app.router.add_post("/v1/proofs", prove, name="prove")
    app.router.add_get("/v1/orders", find_orders, name="find_orders")
    app.router.add_get("/v1/orders/{number}", get_order, name="get_order")
    app.router.add_get("/v1/products", search_products, name="search_products")
    app.router.add_get("/v1/products/{product_id}", get_product, name="get_product")
    app.router.add_get("/v1/receipts/{key}", get_receipt, name="receipt")
    app.router.add_get("/v1/receipts/{key}/outcome", get_outcome, name="outcome")
    for path_name, operation in WRITE_PATHS.items():
        app.router.add_post(
            f"/v1/orders/{{number}}/{path_name}", _writer(operation), name=f"write_{operation.value}"
        )
    for path_name, operation in REQUEST_PATHS.items():
        app.router.add_post(
            f"/v1/orders/{{number}}/requests/{{request_id}}/{path_name}",
            _writer(operation),
            name=f"write_{operation.value}",
        )
    if settings.shop.faults:
        app.router.add_post("/_faults", add_fault)
        app.router.add_delete("/_faults", clear_faults)
        app.router.add_get("/_state", read_state)
        app.router.add_post("/_reset", reset_data)
        app.router.add_post("/_clock", set_clock)
        app.router.add_post("/_orders/{number}", mutate_order)
        app.router.add_post("/_stock/{variant_id}", set_stock)
    return app


# Middlewares


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost door: everything that is not a success leaves as a problem."""
    try:
        return await handler(request)
    except Problem as exc:
        return exc.response(
            {"WWW-Authenticate": 'Bearer realm="order API"'} if exc.code == "unauthorized" else None
        )
    except web.HTTPRequestEntityTooLarge:
        return Problem("too_large").response()
    except web.HTTPMethodNotAllowed as exc:
        return Problem("method_not_allowed").response({"Allow": ", ".join(sorted(exc.allowed_methods))})
    except web.HTTPNotFound:
        return Problem("not_found").response()
    except web.HTTPException:
        raise
    except Exception:
        log.exception("The demo shop failed on %s", _operation(request) or "a request")
        return Problem("server_error").response()


@web.middleware
async def faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    operation = _operation(request)
    if not request.path.startswith("/v1/") or operation is None:
        return await handler(request)

    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as exc:  # a cut connection cuts refusals too
            return exc.response()

    return await request.app[FAULTS].strike(operation, request, guarded)


@web.middleware
async def authorization(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not request.path.startswith("/v1/"):
        return await handler(request)
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    expected = request.app[SETTINGS].shop.api_key
    good = hmac.compare_digest(key.strip().encode("utf-8", "replace"), expected.encode())
    if scheme.casefold() != "bearer" or not good:
        raise Problem("unauthorized")
    return await handler(request)


def _operation(request: web.Request) -> str | None:
    """The operationId of the route, or None for a path that is no operation."""
    name = request.match_info.route.name
    # Routes of writes are prefixed: aiohttp takes no Python keyword ("return") for a name.
    return name.removeprefix("write_") if name else None


# The order API


async def health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def document(_: web.Request) -> web.Response:
    text = files("bot.orders").joinpath("openapi.yaml").read_text("utf-8")
    return web.Response(text=text, content_type="application/yaml", charset="utf-8")


async def prove(request: web.Request) -> web.Response:
    body = await _body(request, bodies.ProofBody)
    return _json(await request.app[STORE].prove(body), status=201)


async def find_orders(request: web.Request) -> web.Response:
    _only(request, "state", "limit")
    grant = await _grant(request)
    limit = _whole(request, "limit", 10, 50)
    state = _query(request, "state")
    try:
        wanted = OrderState(state) if state is not None else None
    except ValueError as exc:
        raise Problem("invalid", fields=("state",)) from exc
    summaries = await request.app[STORE].orders(grant, wanted, limit)
    return web.json_response({"orders": [summary.model_dump(mode="json") for summary in summaries]})


async def get_order(request: web.Request) -> web.Response:
    grant = await _grant(request)
    order = await request.app[STORE].order(request.match_info["number"], grant)
    return _json(outgoing(order), headers={"ETag": f'"{order.version}"'})


async def search_products(request: web.Request) -> web.Response:
    _only(request, "query", "currency", "limit")
    query = _query(request, "query") or ""
    if len(query) > 200:
        raise Problem("invalid", fields=("query",))
    limit = _whole(request, "limit", 10, 50)
    products = await request.app[STORE].products(query, _currency(request), limit)
    return web.json_response({"products": [product.model_dump(mode="json") for product in products]})


async def get_product(request: web.Request) -> web.Response:
    _only(request, "currency")
    product_id = request.match_info["product_id"]
    return _json(await request.app[STORE].product(product_id, _currency(request)))


async def get_receipt(request: web.Request) -> web.Response:
    return _json(await request.app[STORE].receipt(request.match_info["key"]))


async def get_outcome(request: web.Request) -> web.Response:
    return _json(await request.app[STORE].outcome(request.match_info["key"]))


def _writer(operation: Operation) -> Handler:
    async def write(request: web.Request) -> web.Response:
        key, version = _preconditions(request)
        grant = await _grant(request)
        body = await _body(request, bodies.BODIES[operation])
        receipt, new = await request.app[STORE].write(
            operation,
            request.match_info["number"],
            body,
            key=key,
            version=version,
            grant=grant,
            request_id=request.match_info.get("request_id"),
        )
        return _json(receipt, status=201 if new else 200)

    return write


# What the handlers share


async def _grant(request: web.Request) -> Grant:
    return await request.app[STORE].grant(request.headers.get("X-Proof"))


async def _body(request: web.Request, shape: type[bodies.B]) -> bodies.B:
    if request.content_type != "application/json":
        raise Problem("unsupported_media_type")
    return bodies.parse(shape, await request.read())


def _preconditions(request: web.Request) -> tuple[str, str]:
    key, version = request.headers.get("Idempotency-Key"), request.headers.get("If-Match")
    if key is None or version is None:
        raise Problem("missing_precondition")
    if not KEY.fullmatch(key):
        raise Problem("invalid", fields=("Idempotency-Key",))
    match = VERSION.fullmatch(version)
    if match is None:
        raise Problem("invalid", fields=("If-Match",))
    return key, match[1]


def _only(request: web.Request, *names: str) -> None:
    """Refuse other parameters: a filter that is silently ignored answers another question."""
    if unknown := set(request.query) - set(names):
        raise Problem("invalid", fields=tuple(sorted(name[:64] for name in unknown)))


def _query(request: web.Request, name: str) -> str | None:
    values = request.query.getall(name, [])
    if len(values) > 1:
        raise Problem("invalid", fields=(name,))
    return values[0] if values else None


def _whole(request: web.Request, name: str, default: int, most: int) -> int:
    text = _query(request, name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= most:
        raise Problem("invalid", fields=(name,))
    return int(text)


def _currency(request: web.Request) -> str:
    currency = _query(request, "currency")
    if currency is None:
        return "CNY"
    if currency not in RATES:
        raise Problem("invalid", fields=("currency",))
    return currency


def _json(model: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=model.model_dump_json().encode(), status=status, content_type="application/json", headers=headers
    )


# The page


async def index(request: web.Request) -> web.Response:
    settings = request.app[SETTINGS]
    language = page.language(request.query.get("lang"), request.headers.get("Accept-Language", ""))
    samples = await request.app[STORE].samples()
    text = page.render(samples, language, settings, now=datetime.now(UTC))
    # The page shows what proves an order: it is a demo's, and must not be kept or framed anywhere.
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
    return web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers)


async def article(request: web.Request) -> web.Response:
    """A page of the shop's help, where the web chat's citations lead."""
    language = page.language(request.query.get("lang"), request.headers.get("Accept-Language", ""))
    folder = default_folder(request.app[SETTINGS])
    text = await asyncio.to_thread(help_page, folder, request.match_info["article"], language)
    if text is None:
        raise web.HTTPNotFound
    headers = {
        "X-Frame-Options": "DENY",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src https:",
    }
    return web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers)


# For tests: only there when shop.faults is on


class Clock(bodies.Body):
    offset: float = Field(ge=-(10**8), le=10**8, description="seconds the shop's clock runs ahead")


class Shelf(bodies.Body):
    quantity: int = Field(ge=0, le=10**6)


async def add_fault(request: web.Request) -> web.Response:
    content = bodies.parse(Fault, await request.read())
    request.app[FAULTS].add(content)
    return web.json_response({"waiting": content.model_dump(mode="json")}, status=201)


async def clear_faults(request: web.Request) -> web.Response:
    request.app[FAULTS].clear()
    return web.Response(status=204)


async def read_state(request: web.Request) -> web.Response:
    state = await request.app[STORE].state()
    return web.json_response(state | {"faults": request.app[FAULTS].struck})


async def reset_data(request: web.Request) -> web.Response:
    request.app[FAULTS].clear()
    request.app[STORE].clock_offset = timedelta()
    await request.app[STORE].reset()
    return web.Response(status=204)


async def set_clock(request: web.Request) -> web.Response:
    clock = bodies.parse(Clock, await request.read())
    request.app[STORE].clock_offset = timedelta(seconds=clock.offset)
    return web.json_response({"now": request.app[STORE].now().isoformat()})


async def mutate_order(request: web.Request) -> web.Response:
    """Fields of the order to replace, ``{}`` to raise its version only."""
    try:
        changes = await request.json()
    except ValueError as exc:
        raise Problem("invalid") from exc
    if not isinstance(changes, dict):
        raise Problem("invalid")
    return _json(await request.app[STORE].mutate(request.match_info["number"], changes))


async def set_stock(request: web.Request) -> web.Response:
    shelf = bodies.parse(Shelf, await request.read())
    await request.app[STORE].set_stock(request.match_info["variant_id"], shelf.quantity)
    return web.Response(status=204)


# The program


def serve(
    host: Annotated[str | None, typer.Option(help="Where to listen; default: shop.host.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; default: shop.port.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Make the demo data anew.")] = False,
) -> None:
    """Run the demo shop: the order API, its document and a page with orders to try."""
    settings = get_settings()
    host, port = host or settings.shop.host, settings.shop.port if port is None else port
    try:
        shop = settings.shop.model_validate(settings.shop.model_dump() | {"host": host, "port": port})
    except ValidationError as exc:
        raise SettingsError(f"--port {port} is no port; give 0 to 65535") from exc
    settings = settings.model_copy(update={"shop": shop})
    try:
        web.run_app(
            make_app(settings, reset=reset),
            host=host,
            port=port,
            print=lambda _: typer.echo(f"Demo shop: {shop.url}  (Ctrl-C stops it)"),
            access_log=None,  # paths hold order numbers
        )
    except OSError as exc:
        raise SettingsError(
            f"The demo shop cannot listen on {host}:{port} ({exc.strerror}). Is it running already? "
            "Set shop.port or give --port."
        ) from exc
