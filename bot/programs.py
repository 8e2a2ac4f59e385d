"""Which programs Kefu is made of on one machine, and the commands that start them.

It knows how each program is started and how it says that it is well; keeping them up is
`bot/supervisor.py`. The programs themselves are subcommands or foreign commands (Rasa, the Rasa
action server): nothing of theirs is imported here.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from bot.exceptions import ProgramError
from bot.settings import PROJECT_ROOT, Settings, get_settings
from bot.supervisor import Program, Supervisor, free_port, is_loopback, reachable

COLOURS = {"up": "36", "shop": "33", "actions": "35", "dialogue": "34", "generator": "31", "gateway": "32"}

# Rasa 3.6 and TensorFlow speak a lot at start, none of it about us.
QUIET = {
    "RASA_TELEMETRY_ENABLED": "false",
    "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",  # the dialogue model is small; the graphics card is the generator's
}
NO_BARS = {"TQDM_DISABLE": "1"}  # in a log, a bar of transformers is one line without end
ACTIONS = {"ACTIONS_WARM": "1"}  # load the articles at start, not at the first question


def with_ports(settings: Settings) -> Settings:
    """Settings in which every port 0 ("any free one") is a number."""
    changes: dict[str, Any] = {}
    for name in type(settings).model_fields:
        section = getattr(settings, name)
        if getattr(section, "port", None) == 0:
            changes[name] = section.model_copy(update={"port": free_port(section.host)})
    return settings.model_copy(update=changes)


def environment(settings: Settings) -> dict[str, str]:
    """What every program finds in its environment: where the others are, and Rasa's variables.

    `endpoints.yml` and `credentials.yml` name the last four; Rasa fills them in when it starts.
    """
    variables = {
        f"KEFU_{name.upper()}__PORT": str(getattr(settings, name).port)
        for name in type(settings).model_fields
        if hasattr(getattr(settings, name), "port")
    }
    variables["KEFU_ACTIONS_URL"] = (
        f"http://{reachable(settings.actions.host)}:{settings.actions.port}/webhook"
    )
    variables["KEFU_DIALOGUE_URL"] = f"http://{reachable(settings.dialogue.host)}:{settings.dialogue.port}"
    variables["KEFU_DIALOGUE_TOKEN"] = settings.dialogue.token
    variables["KEFU_TRACKER_URL"] = tracker_url(settings)
    if help_address := demo_help(settings):
        variables["KEFU_GENERATOR__ARTICLE_URL"] = help_address
    return variables


def demo_help(settings: Settings) -> str | None:
    """Where citations lead while the demo shop is tried on one machine; a real shop names its own help pages."""
    if settings.order_api.base_url or settings.generator.article_url or settings.gateway.public_url:
        return None
    if not is_loopback(settings.gateway.host):
        return None  # shoppers on other machines cannot follow it
    from bot.orders.shop.help import PATH

    return f"http://{reachable(settings.shop.host)}:{settings.shop.port}{PATH}"


def tracker_url(settings: Settings) -> str:
    """Address of the database for Rasa's tracker store, which is synchronous."""
    return (
        settings.sqlalchemy_url.replace("sqlite+aiosqlite://", "sqlite://", 1)
        .replace("postgresql+asyncpg://", "postgresql://", 1)
        .replace("?ssl=", "?sslmode=")
    )


def dialogue_command(settings: Settings, model: Path) -> tuple[str, ...]:
    """`rasa run`, on loopback, with its API behind a token."""
    return (
        *quietly("rasa", "run", "--enable-api"),
        *("--interface", settings.dialogue.host, "--port", str(settings.dialogue.port)),
        *("--auth-token", settings.dialogue.token),
        *("--endpoints", "endpoints.yml", "--credentials", "credentials.yml"),
        *("--model", str(model)),
    )


def actions_command(settings: Settings) -> tuple[str, ...]:
    """The action server, without loading Rasa. Its address comes from SANIC_HOST."""
    return quietly("rasa_sdk", "--actions", "actions", "--port", str(settings.actions.port))


def quietly(module: str, *arguments: str) -> tuple[str, ...]:
    """A foreign program, without the warnings of its libraries."""
    return (sys.executable, "-m", "bot.quietly", module, *arguments)


def kefu_command(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "bot.cli", name)


def programs(settings: Settings, model: Path) -> list[Program]:
    """All programs of this installation, in start order.

    Everything starts at once, because Rasa alone takes most of the time and needs nobody to
    start; the gateway waits for the shop only, so that its page never shows an empty shop.
    """
    shared = environment(settings)
    quiet = {**shared, **QUIET}
    found: list[Program] = []
    if settings.order_api.base_url is None:
        found.append(
            Program(
                "shop",
                kefu_command("shop"),
                host=settings.shop.host,
                port=settings.shop.port,
                setting="shop.port",
                environment=shared,
            )
        )
    found.append(
        Program(
            "dialogue",
            dialogue_command(settings, model),
            host=settings.dialogue.host,
            port=settings.dialogue.port,
            setting="dialogue.port",
            health_path=f"/status?token={quote(settings.dialogue.token, safe='')}",
            environment=quiet,
        )
    )
    found.append(
        Program(
            "actions",
            actions_command(settings),
            host=settings.actions.host,
            port=settings.actions.port,
            setting="actions.port",
            environment={**quiet, **ACTIONS, "SANIC_HOST": settings.actions.host},
        )
    )
    found.append(
        Program(
            "gateway",
            kefu_command("gateway"),
            host=settings.gateway.host,
            port=settings.gateway.port,
            setting="gateway.port",
            environment=shared,
            after=tuple(one.name for one in found if one.name == "shop"),
        )
    )
    generator = settings.generator
    if generator.enabled and generator.base_url is None:
        found.append(
            Program(
                "generator",
                kefu_command("generator"),
                host=generator.host,
                port=generator.port,
                setting="generator.port",
                environment={**shared, **NO_BARS},
                # Loading its model takes a while and all cores; until then answers come from the
                # articles, so nobody waits for it, and it does not slow down the others' start.
                after=("dialogue", "gateway"),
                awaited=False,
            )
        )
    return found


def running_programs(settings: Settings) -> dict[str, Any]:
    """What `kefu up` wrote about the programs it keeps up; empty when it does not run."""
    try:
        state = json.loads(settings.data_path("run", "programs.json").read_text())
        pid = int(state["pid"])
    except (OSError, ValueError, KeyError):
        return {}
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass  # it runs, as somebody else
    except OSError:
        return {}
    return dict(state["programs"])


def running_url(settings: Settings, name: str) -> str:
    """Address of a program: the port `kefu up` gave it, else the one of the settings."""
    section = getattr(settings, name)
    port = running_programs(settings).get(name, {}).get("port", section.port)
    return f"http://{reachable(section.host)}:{port}"


def refuse_void_certificate(settings: Settings) -> None:
    """A shop that wants every answer certified is told before it starts, not by silence.

    Raises:
        GeneratorError: there is no certificate, or it was made for another model, index or policy.
        KnowledgeError: the articles cannot be read.
    """
    if settings.generator.mode == "certified":
        from bot.generator.binding import certificate_of
        from bot.knowledge.base import Knowledge, default_folder

        certificate_of(settings, Knowledge.load(default_folder(settings)))


def up(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only start, stop and address.")] = False,
) -> None:
    """Start everything on this machine and keep it up until Ctrl-C."""
    from bot.privacy.masking import mask_text
    from bot.training import current_model

    settings = with_ports(get_settings())
    refuse_void_certificate(settings)
    model = current_model()
    state_file = settings.data_path("run", "programs.json")
    show = _Terminal(quiet)
    show("up", f"logs in {settings.data_path('log')}/")
    supervisor = Supervisor(
        programs(settings, model),
        log_dir=settings.data_path("log"),
        settings=settings.supervisor,
        state_file=state_file,
        show=show,
        cwd=PROJECT_ROOT,
        mask=mask_text if settings.privacy.mask_logs else None,
    )
    sys.exit(asyncio.run(_run(supervisor, settings, show)))


async def _run(supervisor: Supervisor, settings: Settings, show: _Terminal) -> int:
    started = time.monotonic()
    stop = asyncio.Event()

    def asked_to_stop() -> None:
        if stop.is_set():
            show("up", "stopping at once")
            supervisor.kill()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, asked_to_stop)

    stopped = asyncio.create_task(stop.wait())
    starting = asyncio.create_task(supervisor.start())
    await asyncio.wait([starting, stopped], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return 130
    starting.result()

    address = settings.gateway.public_url or (
        f"http://{reachable(settings.gateway.host)}:{settings.gateway.port}"
    )
    show("up", f"ready after {time.monotonic() - started:.0f} s. Ctrl-C stops everything.")
    if settings.desk.enabled:
        show("up", f"Desk:       {address}/desk{_first_password(settings)}")
    show("up", f"Chat here:  {address}/")
    watching = asyncio.create_task(supervisor.watch())
    await asyncio.wait([watching, stopped], return_when=asyncio.FIRST_COMPLETED)
    try:
        if watching.done():
            watching.result()
    finally:
        watching.cancel()
        await supervisor.stop()
    show("up", "stopped")
    return 0


def _first_password(settings: Settings) -> str:
    """The desk's first password, shown once: the gateway left it in a file, which goes."""
    path = settings.data_path("desk-password")
    try:
        password = path.read_text("ascii")
        path.unlink()
    except OSError:
        return ""
    return f"   sign in as admin, password {password} (shown once; change it with `kefu desk add-user admin --role admin`)"


class _Terminal:
    """Prints each program's lines with its name in front, in its own colour."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def __call__(self, name: str, line: str) -> None:
        if self._quiet and name != "up":
            return
        prefix = f"{name:<9} |"
        if self._coloured:
            prefix = f"\033[{COLOURS.get(name, '37')}m{prefix}\033[0m"
        print(f"{prefix} {line}", flush=True)


def dialogue() -> None:
    """Run Rasa alone, with the model trained from the present data."""
    from bot.training import current_model

    settings = with_ports(get_settings())
    _become(dialogue_command(settings, current_model()), {**environment(settings), **QUIET})


def actions() -> None:
    """Run the action server alone."""
    settings = with_ports(get_settings())
    refuse_void_certificate(settings)
    _become(
        actions_command(settings),
        {**environment(settings), **QUIET, **ACTIONS, "SANIC_HOST": settings.actions.host},
    )


def _become(command: tuple[str, ...], variables: dict[str, str]) -> None:
    """Replace this process, so that signals and exit codes are the program's own."""
    os.chdir(PROJECT_ROOT)
    sys.stdout.flush()
    try:
        os.execvpe(command[0], command, {**os.environ, **variables})  # noqa: S606 - no shell is meant
    except OSError as exc:
        raise ProgramError(
            f"{command[0]} cannot be started: {exc.strerror}. Remedy: run `make setup`."
        ) from exc
