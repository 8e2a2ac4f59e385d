"""Puts the desk into the gateway, and the commands that look after its people."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from aiohttp import web

from bot.database import make_engine
from bot.exceptions import DeskError, SettingsError
from bot.migrations import upgrade
from bot.orders.client import OrderClient
from bot.settings import Settings, get_settings
from channels.desk.door import OIDC_BACK
from channels.desk.oidc import Oidc
from channels.desk.staff import MIN_PASSWORD, ROLES, Staff
from channels.desk.views import Desk
from channels.gateway import Gateway
from channels.media import MediaStore
from channels.store import Store
from channels.tokens import Tokens, load_secret

if TYPE_CHECKING:
    from channels.desk.summaries import Summaries

logger = logging.getLogger(__name__)

DESK: web.AppKey[Desk] = web.AppKey("desk", Desk)
FIRST = "admin"


def install(app: web.Application, gateway: Gateway, settings: Settings, media: MediaStore) -> None:
    """Add the desk to the gateway (`channels.app.EXTENSIONS`)."""
    if not settings.desk.enabled:
        return
    tokens = Tokens(
        load_secret(settings.gateway.secret, settings.data_path("gateway.secret")), settings.sites
    )
    staff = Staff(gateway.store, session_life=settings.desk.session_hours * 3_600_000)
    client = OrderClient.from_settings(settings)
    oidc = None
    if settings.desk.oidc is not None:
        public = (settings.gateway.public_url or settings.gateway.url).rstrip("/")
        secret = load_secret(settings.gateway.secret, settings.data_path("gateway.secret"))
        oidc = Oidc(settings.desk.oidc, secret=secret, redirect_uri=public + OIDC_BACK)
    elif not settings.desk.passwords:
        raise SettingsError("desk.passwords is false and desk.oidc is not set: nobody could sign in.")
    desk = Desk(gateway, settings, media, tokens, staff, client=client, oidc=oidc)
    desk.routes(app)
    app[DESK] = desk
    summaries = _summaries(gateway, settings)

    async def running(_: web.Application) -> AsyncIterator[None]:
        await upgrade(gateway.store.engine)
        if settings.database_url is None and settings.desk.passwords:
            await _first_person(staff, settings)
        await desk.start()
        yield
        await client.close()

    async def stopping(_: web.Application) -> None:
        await desk.stop()  # before the gateway closes the database
        if summaries is not None:
            await summaries.stop()

    app.cleanup_ctx.append(running)
    app.on_shutdown.append(stopping)


def _summaries(gateway: Gateway, settings: Settings) -> Summaries | None:
    """Only where they are wanted: the checks take a second to import."""
    if not (settings.handoff.summary and settings.generator.enabled):
        return None
    from channels.desk.summaries import Summaries

    return Summaries(gateway, settings)


async def _first_person(staff: Staff, settings: Settings) -> None:
    """On one machine somebody must be able to sign in without reading a manual."""
    password = secrets.token_urlsafe(9)
    if await staff.add_first(FIRST, password):
        path = password_file(settings)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password)
        logger.warning("desk.first_person name=%s: the password is in %s", FIRST, path)


def password_file(settings: Settings) -> Path:
    """Where the first password waits until `kefu up` has shown it."""
    return settings.data_path("desk-password")


cli = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Look after the people at the desk.",
)


@cli.command("add-user")
def add_user(
    name: str,
    role: Annotated[str, typer.Option(help="agent, lead or admin.")] = "agent",
) -> None:
    """Make an account, or give one another role and password.

    The password comes from KEFU_DESK_PASSWORD, from standard input, or from a prompt.
    """
    if role not in ROLES:
        raise DeskError(f"There is no role {role!r}: one of {', '.join(ROLES)}", code="role")
    password = os.environ.get("KEFU_DESK_PASSWORD")
    if password is None and not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\n")
    if password is None:
        password = typer.prompt(
            f"Password for {name} (at least {MIN_PASSWORD} characters)",
            hide_input=True,
            confirmation_prompt=True,
        )
    _run(lambda staff: staff.add(name, role, str(password)))
    typer.echo(
        f"{name} may sign in at {get_settings().gateway.public_url or get_settings().gateway.url}/desk"
    )


@cli.command("remove-user")
def remove_user(name: str) -> None:
    """Close an account; its open desks are signed out."""

    async def remove(staff: Staff) -> None:
        if not await staff.switch_off(name):
            raise DeskError(f"There is nobody called {name!r}: `kefu desk users` lists them", code="agent")

    _run(remove)
    typer.echo(f"{name} cannot sign in any more.")


@cli.command("users")
def users() -> None:
    """List who may sign in."""

    async def show(staff: Staff) -> None:
        for name, role in await staff.people():
            typer.echo(f"{role:<6} {name}")

    _run(show)


def _run(work: Callable[[Staff], Awaitable[None]]) -> None:
    async def run() -> None:
        engine = make_engine(get_settings().sqlalchemy_url, get_settings().privacy)
        try:
            await upgrade(engine)
            await work(Staff(Store(engine)))
        finally:
            await engine.dispose()

    asyncio.run(run())
