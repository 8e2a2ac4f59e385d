"""Assembles the gateway: database, dialogue, channels, web application. And its commands.

Everything is made in `make_app` and handed in; nothing happens at import time.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import aiohttp
import typer
from aiohttp import web
from sqlalchemy import Text, cast, select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.claims import check_reply
from bot.database import make_engine, opening
from bot.exceptions import KefuError, OwnershipLost, PrivacyError, SettingsError
from bot.log import configure
from bot.migrations import upgrade
from bot.privacy.cipher import MARK, load_cipher
from bot.privacy.masking import mask_event
from bot.settings import Settings, get_settings
from channels.gateway import Gateway
from channels.limits import MessageLimits
from channels.media import MediaStore, make_media_store
from channels.owners import release as give_back
from channels.patience import Patience
from channels.rasa_client import RasaClient
from channels.store import Store
from channels.tables import inbox
from channels.tokens import Tokens, load_secret
from channels.turns import Dialogue
from channels.wake import Wake
from channels.web.channel import WebChannel

logger = logging.getLogger(__name__)

GATEWAY: web.AppKey[Gateway] = web.AppKey("gateway", Gateway)
MEDIA: web.AppKey[MediaStore] = web.AppKey("media", MediaStore)
WEB: web.AppKey[WebChannel] = web.AppKey("web", WebChannel)
ENGINE: web.AppKey[AsyncEngine] = web.AppKey("engine", AsyncEngine)

# Adds a channel (or a desk) when its settings ask for one: called with all that is assembled.
Extension = Callable[[web.Application, Gateway, Settings, MediaStore], None]

# What the system says of a port that is taken, not ours to take, or at an address of another machine.
_PORT_TROUBLE = (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL)

# "module:function" of the channels and desks besides the web chat; imported when the gateway starts.
EXTENSIONS: tuple[str, ...] = (
    "channels.wechat.channel:install",
    "channels.wecom.channel:install",
    "channels.telegram:install",
    "channels.desk.app:install",
    "channels.desk_adapters.app:install",
    "channels.promises:install",
    "channels.linking:install",
    "channels.housekeeping:install",
    "channels.telemetry:install",
)


def make_app(
    settings: Settings,
    *,
    dialogue: Dialogue | None = None,
    patience: Patience | None = None,
    extensions: Sequence[Extension] | None = None,
    heartbeat: float = 25.0,
) -> web.Application:
    """The gateway as an aiohttp application.

    `dialogue`, `patience`, `extensions` and `heartbeat` (seconds) are for tests.

    Raises:
        SettingsError: the signing secret is too short, or Redis is needed and missing.
    """
    app = web.Application(client_max_size=1024 * 1024, middlewares=[_outermost_door])
    engine = make_engine(settings.sqlalchemy_url, settings.privacy)
    tokens = Tokens(
        load_secret(settings.gateway.secret, settings.data_path("gateway.secret")), settings.sites
    )
    media = make_media_store(
        settings.media, settings.data_path("media", "x").parent, cipher=load_cipher(settings.privacy)
    )
    rasa = _LateDialogue() if dialogue is None else None
    gateway = Gateway(
        Store(engine),
        rasa or dialogue,  # type: ignore[arg-type]
        patience=patience
        or Patience(
            park_after=settings.gateway.park_after,
            turn_attempts=settings.gateway.turn_attempts,
            deliver_for=settings.gateway.deliver_for,
        ),
        concurrency=settings.gateway.concurrency,
        check_claims=check_reply,
    )
    gateway.limits = MessageLimits(settings.gateway)
    gateway.wake = Wake(settings.redis_url, gateway=gateway.id)
    web_channel = WebChannel(gateway, settings, tokens, media, heartbeat=heartbeat)
    gateway.add(web_channel)
    app[GATEWAY], app[MEDIA], app[WEB], app[ENGINE] = gateway, media, web_channel, engine

    async def opened(_: web.Application) -> AsyncIterator[None]:
        await _open_database(engine)
        yield

    app.cleanup_ctx.append(opened)  # before those of the extensions: nobody writes without the right key
    for extend in _extensions() if extensions is None else extensions:
        extend(app, gateway, settings, media)
    for channel in gateway.channels.values():
        channel.routes(app)
    app.router.add_get("/health", _health)

    async def running(_: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as session:
            if rasa is not None:
                rasa.client = RasaClient(
                    session, settings.dialogue.url, settings.dialogue.token, settings.dialogue.timeout
                )
            await gateway.start()
            yield
            await gateway.stop()
        await engine.dispose()

    app.cleanup_ctx.append(running)
    return app


async def _open_database(engine: AsyncEngine) -> None:
    """Bring the database up to date and make sure that what is sealed in it can be opened.

    Raises:
        SettingsError: it cannot be opened, is of a newer Kefu, or is sealed with a key that the settings lack.
    """
    try:
        with opening(engine):
            await upgrade(engine)
            await _open_sealed(engine)
    except BaseException:
        await engine.dispose()
        raise


async def _open_sealed(engine: AsyncEngine) -> None:
    """Read the newest sealed message. Without its key every reply would fail, and new texts lie there in the clear."""
    stored = cast(inbox.c.body, Text)  # JSON: a sealed body is a string in quotation marks
    newest = select(inbox.c.body).where(stored.like(f'"{MARK}%')).order_by(inbox.c.position.desc()).limit(1)
    try:
        async with engine.connect() as connection:
            (await connection.execute(newest)).all()
    except PrivacyError as exc:
        raise SettingsError(
            "What shoppers wrote is encrypted in the database, and no key of the settings opens it. Remedy: set "
            "KEFU_PRIVACY__KEYS or privacy.key_file to the key it was encrypted with."
        ) from exc


class _LateDialogue:
    """Rasa's client needs a session, and a session needs a running loop."""

    client: RasaClient

    async def turn(self, **arguments: Any) -> Any:
        return await self.client.turn(**arguments)


def _extensions() -> list[Extension]:
    import importlib

    found: list[Extension] = []
    for name in EXTENSIONS:
        module, _, function = name.partition(":")
        found.append(getattr(importlib.import_module(module), function))
    return found


@web.middleware
async def _outermost_door(request: web.Request, handler: Any) -> web.StreamResponse:
    """What nobody caught is logged here; the other side learns only that it failed."""
    try:
        response: web.StreamResponse = await handler(request)
    except web.HTTPException:
        raise
    except asyncio.CancelledError:
        raise
    except KefuError as exc:
        logger.error("gateway.refused path=%s reason=%s", request.path, exc)
        return web.json_response({"type": "error", "code": "refused"}, status=400)
    except Exception:
        logger.exception("gateway.request_failed path=%s", request.path)
        return web.json_response({"type": "error", "code": "internal"}, status=500)
    return response


async def _health(request: web.Request) -> web.Response:
    """Ready when the database answers; how much waits is told along."""
    gateway = request.app[GATEWAY]
    try:
        await gateway.store.ping()
        waiting = await gateway.store.backlog()
        parked = len(await gateway.store.parked())
    except Exception:
        logger.exception("gateway.health_failed")
        return web.json_response({"status": "database"}, status=503)
    return web.json_response(
        {"status": "ok", "channels": sorted(gateway.channels), "waiting": waiting, "parked": parked}
    )


cli = typer.Typer(
    add_completion=False,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    help="Run the gateway; or look after the messages it could not process.",
)


@cli.callback()
def serve(context: typer.Context) -> None:
    """Run the gateway alone."""
    if context.invoked_subcommand is not None:
        return
    settings = get_settings()
    configure("gateway", settings.log, mask=mask_event if settings.privacy.mask_logs else None)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # its INFO lines hold bot tokens
    try:
        web.run_app(
            make_app(settings),
            host=settings.gateway.host,
            port=settings.gateway.port,
            access_log=None,  # addresses may hold tickets
            print=lambda *_: typer.echo(f"gateway: {settings.gateway.url}"),
        )
    except OSError as exc:
        if exc.errno not in _PORT_TROUBLE or exc.filename is not None:  # a file may be refused as well
            raise
        raise SettingsError(
            f"The gateway cannot listen on {settings.gateway.url}: {exc.strerror or exc}. "
            "Set KEFU_GATEWAY__PORT to a free port."
        ) from exc


@contextlib.asynccontextmanager
async def _store() -> AsyncIterator[Store]:
    engine = make_engine(get_settings().sqlalchemy_url, get_settings().privacy)
    try:
        await _open_database(engine)
        yield Store(engine)
    finally:
        await engine.dispose()


@cli.command()
def parked() -> None:
    """List the messages that could not be processed."""

    async def run() -> None:
        async with _store() as store:
            messages = await store.parked()
            for message in messages:
                # not what the shopper wrote: who reads that is written down (`kefu explain`, the desk)
                typer.echo(f"{message.id}  {message.conversation}  {message.attempts} tries")
                typer.echo(f"    {message.error}")
            typer.echo(f"{len(messages)} parked. `kefu gateway replay ID` tries one again.")

    asyncio.run(run())


@cli.command()
def replay(message: str) -> None:
    """Give a parked message another try."""

    async def run() -> None:
        async with _store() as store:
            if not await store.replay(message):
                raise KefuError(f"No parked message {message}: `kefu gateway parked` lists them")
            typer.echo(f"{message} will be tried again by the running gateway.")

    asyncio.run(run())


def release(conversation: str) -> None:
    """Give a conversation back to the bot."""

    async def run() -> None:
        async with _store() as store:
            try:
                await give_back(store, conversation)
            except LookupError as exc:
                raise KefuError(f"{exc}: the desk and the chat page show a conversation's id") from exc
            except OwnershipLost as exc:
                raise KefuError(f"{conversation} changed hands just now, look again: {exc}") from exc
            except ValueError:
                typer.echo(f"{conversation} belongs to the bot already.")
                return
            typer.echo(f"{conversation} belongs to the bot again.")

    asyncio.run(run())
