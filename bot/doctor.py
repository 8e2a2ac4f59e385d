"""`kefu doctor`: looks at an installation and says about each finding what to do.

Each check is a function that yields findings; none changes anything, and one that fails does not
keep the others from looking. It knows what a good installation looks like; it repairs nothing.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import shlex
import shutil
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bot.exceptions import GeneratorError, KefuError, ProofRejected, SettingsError
from bot.settings import ENV_FILE, PROJECT_ROOT, Settings, load_settings, settings_file
from bot.supervisor import is_loopback

Level = Literal["ok", "note", "warning", "error"]

WANTED_PYTHON = (3, 11)
LOW_DISK_MB = 1024
FULL_DISK_MB = 200
CLOCK_TOLERANCE = 60.0  # seconds; identity proofs and signatures of platforms live for minutes
# Values that stand in the public repository. Whoever reaches a program from outside knows them.
DEMO_SECRETS = {
    "dialogue.token": "kefu-loopback",
    "shop.api_key": "demo-shop-key",
    "sites.demo.secret": "demo-site-secret-that-everybody-knows",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `remedy` says what to do when the level is not ok."""

    check: str
    level: Level
    message: str
    remedy: str = ""


Check = Callable[[Settings], AsyncIterator[Finding]]


async def check_python(_settings: Settings) -> AsyncIterator[Finding]:
    """The interpreter everything was verified with."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] == WANTED_PYTHON:
        yield Finding("python", "ok", f"Python {found}")
    else:
        yield Finding(
            "python",
            "error",
            f"Python {found}; Kefu was verified with 3.11",
            "remove .venv and run `make setup`",
        )


async def check_packages(_settings: Settings) -> AsyncIterator[Finding]:
    """Installed versions against constraints.txt."""
    pins = read_constraints(PROJECT_ROOT / "constraints.txt")
    if not pins:
        yield Finding(
            "packages", "warning", "constraints.txt is missing or empty", "run in a complete checkout"
        )
        return
    other = []
    for name, wanted in pins.items():
        try:
            found = version(name).partition("+")[0]  # 2.13.0+cpu is 2.13.0
        except PackageNotFoundError:
            continue  # pins of extras that are not installed
        if found != wanted:
            other.append(f"{name} {found} instead of {wanted}")
    for name in ("rasa", "rasa-sdk", "aiohttp", "torch", "transformers"):
        try:
            version(name)
        except PackageNotFoundError:
            other.append(f"{name} is missing")
    if other:
        more = f" and {len(other) - 5} more" if len(other) > 5 else ""
        yield Finding(
            "packages",
            "warning",
            "; ".join(other[:5]) + more,
            "touch pyproject.toml && make setup, which installs the verified versions",
        )
    else:
        yield Finding("packages", "ok", "versions are those of constraints.txt")


def read_constraints(path: Path) -> dict[str, str]:
    """Name -> version of the pins in a constraints file."""
    if not path.is_file():
        return {}
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;#]+)", path.read_text("utf-8"), re.M)
    return {name: wanted.partition("+")[0] for name, wanted in pins}


async def check_disk(settings: Settings) -> AsyncIterator[Finding]:
    """Room for the database and the logs, in a folder that may be written."""
    folder = settings.data_path("x").parent
    if not os.access(folder, os.W_OK):
        yield Finding("disk", "error", f"{folder} cannot be written", "correct its owner, or set data_dir")
        return
    free = shutil.disk_usage(folder).free // 2**20
    if free < FULL_DISK_MB:
        yield Finding(
            "disk", "error", f"only {free} MB free in {folder}", "free some space: messages cannot be stored"
        )
    elif free < LOW_DISK_MB:
        yield Finding("disk", "warning", f"only {free} MB free in {folder}", "free some space soon")
    else:
        yield Finding("disk", "ok", f"{free / 1024:.0f} GB free in {folder}")


async def check_access(settings: Settings) -> AsyncIterator[Finding]:
    """What shoppers wrote is for Kefu's own account; folders of older installations were open to all."""
    folder = settings.data_path("x").parent
    if not folder.stat().st_mode & stat.S_IXOTH:
        yield Finding("access", "ok", f"{folder} is closed to other accounts of this machine")
        return
    readable = sorted(path.name for path in folder.iterdir() if _readable_by_all(path))
    if readable:
        names = ", ".join(readable[:4]) + ", ..." * (len(readable) > 4)
        yield Finding(
            "access",
            "warning",
            f"every account of this machine can read {names} in {folder}",
            f"chmod -R go= {shlex.quote(str(folder))}",
        )
    else:
        yield Finding("access", "ok", f"nothing in {folder} is readable for other accounts of this machine")


def _readable_by_all(path: Path) -> bool:
    """A link's own mode says nothing; a file of a running database may be gone by now."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    return bool(mode & stat.S_IROTH) and not stat.S_ISLNK(mode)


async def check_settings_file(settings: Settings) -> AsyncIterator[Finding]:
    """Where the settings come from. That they are valid was seen when they were read."""
    file = settings_file()
    overrides = sorted(name for name in os.environ if name.startswith("KEFU_") and "__" in name)
    read = [str(path) for path in (file, ENV_FILE) if path.is_file()]
    told = f"{' and '.join(read)} read" if read else f"neither {file} nor {ENV_FILE}: defaults"
    if overrides:
        names = ", ".join(overrides[:4]) + ", ..." * (len(overrides) > 4)
        told += f", {len(overrides)} from the environment ({names})"
    yield Finding("settings", "ok", told)


async def check_model(_settings: Settings) -> AsyncIterator[Finding]:
    """Whether a dialogue model of the present data is there."""
    from bot.training import current_model

    yield Finding("model", "ok", f"models/{current_model().name} is trained from the present data")


async def check_database(settings: Settings) -> AsyncIterator[Finding]:
    """Kefu's own database: reachable, and its tables there."""
    from sqlalchemy import inspect
    from sqlalchemy.exc import SQLAlchemyError

    from bot.database import make_engine

    name = re.sub(r"//[^@/]*@", "//...@", settings.sqlalchemy_url)
    if settings.database_url is None and not settings.data_path("kefu.db").exists():
        yield Finding("database", "note", "no database yet", "it is made when the gateway starts: `kefu up`")
        return
    engine = make_engine(settings.sqlalchemy_url)
    try:
        async with asyncio.timeout(10):
            async with engine.connect() as connection:
                tables = set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
    except (SQLAlchemyError, OSError, TimeoutError) as exc:
        yield Finding(
            "database",
            "error",
            f"{name} cannot be opened: {_first_line(exc)}",
            "start the database server, or correct database_url",
        )
        return
    finally:
        await engine.dispose()
    if not tables & {"conversations", "inbox"}:
        yield Finding(
            "database", "note", f"{name} is empty", "its tables are made when the gateway starts: `kefu up`"
        )
        return
    yield Finding("database", "ok", f"{name}: {len(tables)} tables")


async def check_programs(settings: Settings) -> AsyncIterator[Finding]:
    """Which programs answer, and who sits on the port of one that does not."""
    import aiohttp

    from bot.programs import programs, running_programs
    from bot.supervisor import who_listens

    supervised = running_programs(settings)
    answers: dict[str, bool] = {}
    expected = programs(settings, PROJECT_ROOT / "models" / "any.tar.gz")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        for program in expected:
            url = program.health_url
            known = supervised.get(program.name)
            if known:  # the port that `kefu up` gave it, which may be another than the settings say now
                url = url.replace(f":{program.port}/", f":{known['port']}/")
            try:
                async with session.get(url, headers=program.health_headers) as response:
                    answers[program.name] = response.status == 200
            except (aiohttp.ClientError, TimeoutError, OSError):
                answers[program.name] = False
    if not any(answers.values()) and not supervised:
        yield Finding("programs", "note", "none is running", "`kefu up` starts them")
    for program in expected:
        known = supervised.get(program.name)
        if answers[program.name]:
            restarts = known["restarts"] if known else 0
            if restarts:
                yield Finding(
                    program.name,
                    "warning",
                    f"answers, but was restarted {restarts} times",
                    f"read {settings.data_path('log')}/{program.name}.log",
                )
            else:
                yield Finding(
                    program.name,
                    "ok",
                    f"answers on {program.host}:{known['port'] if known else program.port}",
                )
        elif supervised:
            yield Finding(
                program.name,
                "error" if program.awaited else "warning",
                f"does not answer ({known['state'] if known else 'not started'})",
                f"read {settings.data_path('log')}/{program.name}.log",
            )
        elif holder := who_listens(program.port):
            yield Finding(
                program.name,
                "error",
                f"port {program.port} is taken by {holder}",
                f"stop it, or set {program.setting} to a free port",
            )
        elif any(answers.values()):
            yield Finding(
                program.name,
                "error" if program.awaited else "warning",
                f"does not answer on {program.host}:{program.port}",
                f"`kefu {program.name}` starts it alone, `kefu up` all together",
            )


async def check_order_api(settings: Settings) -> AsyncIterator[Finding]:
    """Reachable, our key accepted, and the contract one we know."""
    import aiohttp

    from bot.orders.client import OrderClient
    from bot.orders.models import ProofKind

    url = settings.order_api_url
    demo = settings.order_api.base_url is None
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=settings.order_api.timeout)
    ) as session:
        try:
            async with session.get(f"{url}/openapi.yaml") as response:
                served = await response.text() if response.status == 200 else ""
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            yield Finding(
                "order API",
                "note" if demo else "error",
                f"{url} cannot be reached: {_first_line(exc)}",
                "it is the demo shop: `kefu up` starts it"
                if demo
                else "start the shop, or correct order_api.base_url",
            )
            return
        if settings.order_api.adapter != "kefu":
            yield Finding("order API", "ok", f"{url} answers ({settings.order_api.adapter})")
            return
        client = OrderClient(
            url, settings.order_api_key, timeout=settings.order_api.timeout, attempts=1, session=session
        )
        try:
            # A proof that nobody can have: the shop must know us, and must not know it.
            await client.prove(ProofKind.EMAIL, "doctor@kefu.invalid", order_number="KEFU-DOCTOR-0")
        except ProofRejected:
            pass
        except KefuError as exc:
            code = getattr(exc, "code", "")
            yield Finding(
                "order API",
                "error",
                f"{url} refused Kefu's key ({code}): {_first_line(exc)}",
                "correct order_api.api_key, or KEFU_ORDER_API__API_KEY",
            )
            return
        else:
            yield Finding(
                "order API",
                "error",
                f"{url} accepted a proof that nobody can have",
                "the shop does not check proofs: do not go live with it",
            )
            return
    found = contract_version(served)
    wanted = contract_version((PROJECT_ROOT / "bot" / "orders" / "openapi.yaml").read_text("utf-8"))
    if not found:
        yield Finding("order API", "ok", f"{url} accepts the key; it serves no contract to compare")
    elif found.partition(".")[0] != wanted.partition(".")[0]:
        yield Finding(
            "order API",
            "error",
            f"{url} speaks contract {found}, Kefu speaks {wanted}",
            "bring both to the same major version",
        )
    else:
        yield Finding("order API", "ok", f"{url} accepts the key, contract {found}")


def contract_version(document: str) -> str:
    """`info.version` of an OpenAPI document in YAML or JSON; empty when there is none."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(document, Loader=loader)  # noqa: S506 - a safe loader
        return str(content["info"]["version"])
    except (yaml.YAMLError, KeyError, TypeError):
        return ""


async def check_policy(settings: Settings) -> AsyncIterator[Finding]:
    """The executable policy is valid."""
    from bot.policy import Policy

    policy = Policy.load(settings.policy.path)
    latest = policy.versions[-1]
    yield Finding(
        "policy", "ok", f"{_short(policy.path)}: {len(policy.versions)} versions, latest {latest.effective}"
    )


async def check_knowledge(settings: Settings) -> AsyncIterator[Finding]:
    """The articles are valid and exist in both languages."""
    from bot.knowledge.base import Knowledge, default_folder

    folder = default_folder(settings)
    if not folder.is_dir():
        yield Finding(
            "knowledge",
            "warning",
            f"no articles: {_short(folder)} is missing",
            "write some, or set knowledge.path",
        )
        return
    knowledge = Knowledge.load(folder)
    for warning in knowledge.warnings[:5]:
        yield Finding("knowledge", "warning", warning, "write the article in the other language too")
    yield Finding("knowledge", "ok", f"{len(knowledge.articles)} articles, {len(knowledge.chunks)} sections")


async def check_secrets(settings: Settings) -> AsyncIterator[Finding]:
    """Values from the public repository are for a machine that nobody else reaches."""
    open_programs = [
        name
        for name in type(settings).model_fields
        if hasattr(getattr(settings, name), "host") and not is_loopback(getattr(settings, name).host)
    ]
    # A gateway behind a proxy is public even when it listens on loopback and no public_url says so.
    public = settings.gateway.proxies > 0 or (
        settings.gateway.public_url is not None
        and not is_loopback(re.sub(r"^\w+://|[:/].*$", "", settings.gateway.public_url))
    )
    for name in open_programs:
        if name != "gateway":
            yield Finding(
                "secrets",
                "warning",
                f"{name} listens on {getattr(settings, name).host}; only the gateway should face a network",
                f"set {name}.host to 127.0.0.1 unless a firewall stands before it",
            )
    defaults = [name for name, value in DEMO_SECRETS.items() if _setting(settings, name) == value]
    if settings.order_api.base_url is not None and "shop.api_key" in defaults and settings.order_api.api_key:
        defaults.remove("shop.api_key")  # the demo shop is not started
    if defaults and (open_programs or public):
        for name in defaults:
            yield Finding(
                "secrets",
                "error",
                f"{name} still has the value everybody can read in the repository",
                f"set {variable(name)} to a long random value: openssl rand -hex 32",
            )
    elif defaults:
        yield Finding("secrets", "ok", "demo values, and nothing faces a network")
    else:
        yield Finding("secrets", "ok", "none has its demo value")
    if settings.shop.faults and (open_programs or public):
        yield Finding("secrets", "error", "shop.faults lets anybody break the demo shop", "unset shop.faults")
    if settings.gateway.secret is None and (settings.redis_url or settings.database_url):
        kept = settings.data_path("gateway.secret")
        yield Finding(
            "secrets",
            # Redis is for several gateways; PostgreSQL alone may serve one.
            "warning" if settings.redis_url else "note",
            "gateway.secret is not set: each gateway makes its own, and refuses the visitors of the others",
            f"several gateways need one: set KEFU_GATEWAY__SECRET, for example to what is in {kept}",
        )


async def check_proxies(settings: Settings) -> AsyncIterator[Finding]:
    """Limits count by network address: behind a proxy nobody counted, all shoppers have the proxy's."""
    gateway = settings.gateway
    if gateway.proxies:
        yield Finding(
            "proxies", "ok", f"{gateway.proxies} in front: X-Forwarded-For says which address a shopper has"
        )
    elif (gateway.public_url or "").startswith("https://"):
        yield Finding(
            "proxies",
            "warning",
            "public_url is https and gateway.proxies is 0: all shoppers count as one address, and block one another",
            "set gateway.proxies to the number of proxies in front (docs/running.md, Behind a proxy)",
        )


def variable(name: str) -> str:
    """The environment variable of a setting: ``dialogue.token`` -> ``KEFU_DIALOGUE__TOKEN``."""
    return "KEFU_" + name.upper().replace(".", "__")


def _setting(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
    return value


async def check_clock(settings: Settings) -> AsyncIterator[Finding]:
    """The clock against the shop's: proofs, deadlines and platforms' signatures depend on it."""
    import aiohttp

    from bot import clock

    if os.environ.get(clock.VARIABLE):
        yield Finding(
            "clock",
            "warning",
            f"moved by {clock.offset():g} s through {clock.VARIABLE}",
            f"unset {clock.VARIABLE}",
        )
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(f"{settings.order_api_url}/openapi.yaml") as response,
        ):
            there = parsedate_to_datetime(response.headers["Date"])
    except (aiohttp.ClientError, TimeoutError, OSError, KeyError, ValueError):
        yield Finding(
            "clock", "ok", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; no other clock to compare with"
        )
        return
    apart = abs((datetime.now(UTC) - there).total_seconds())
    if apart > CLOCK_TOLERANCE:
        yield Finding(
            "clock",
            "error",
            f"{apart:.0f} s apart from the shop's",
            "set the clock, for example with systemd-timesyncd",
        )
    else:
        yield Finding("clock", "ok", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, as the shop's")


async def check_redis(settings: Settings) -> AsyncIterator[Finding]:
    """Only when the settings name one."""
    if settings.redis_url is None:
        return
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    client: Any = Redis.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=5)
    try:
        await client.ping()
    except (RedisError, OSError, ValueError) as exc:
        yield Finding(
            "redis", "error", f"cannot be reached: {_first_line(exc)}", "start it, or correct redis_url"
        )
    else:
        yield Finding("redis", "ok", "answers")
    finally:
        await client.close()


async def check_generator(settings: Settings) -> AsyncIterator[Finding]:
    """Whether answers may be phrased, and by what."""
    generator = settings.generator
    if not generator.enabled:
        yield Finding("generator", "note", "not enabled: answers are quoted from the articles")
        return
    if generator.base_url is None:
        return  # Kefu's own is one of the programs
    import aiohttp

    from bot.generator.client import server_address

    headers = {"Authorization": f"Bearer {generator.api_key}"} if generator.api_key else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(f"{server_address(generator.base_url)}/v1/models", headers=headers) as response,
        ):
            status = response.status
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
        yield Finding(
            "generator",
            "error",
            f"{generator.base_url} cannot be reached: {_first_line(exc)}",
            "start that server, or correct generator.base_url",
        )
        return
    if status in (401, 403):
        yield Finding(
            "generator", "error", f"{generator.base_url} refuses the key", "correct KEFU_GENERATOR__API_KEY"
        )
    elif status != 200:
        yield Finding(
            "generator",
            "error",
            f"{generator.base_url} answers {status} to /v1/models: it is no OpenAI-compatible server, or not ready",
            "correct generator.base_url, or wait for that server",
        )
    else:
        yield Finding("generator", "ok", f"{generator.base_url} answers")


async def check_certificate(settings: Settings) -> AsyncIterator[Finding]:
    """Mode certified: the certificate holds for this machine, and no audit has found more errors than it promises."""
    from bot.generator.binding import certificate_of
    from bot.generator.drift import FILE, Audits
    from bot.knowledge.base import Knowledge, default_folder

    if settings.generator.mode != "certified":
        return
    try:
        certificate = certificate_of(settings, Knowledge.load(default_folder(settings)))
    except GeneratorError as exc:
        yield Finding(
            "certificate",
            "error",
            str(exc),
            "make one with `kefu calibrate`, or set generator.mode to strict",
        )
        return
    levels = Audits.load(settings.data_path(FILE)).of(certificate.id).levels if certificate else {}
    for risk, level in sorted(levels.items()):
        yield Finding(
            "certificate",
            "warning",
            f"audits found more wrong answers about {risk} than promised; stricter by {level} step(s)",
            "see what went wrong at the desk, then label and `kefu calibrate certify` again",
        )
    if certificate is not None and not levels:
        yield Finding("certificate", "ok", f"{certificate.id} holds for this machine")


CHECKS: tuple[tuple[str, Check], ...] = (
    ("python", check_python),
    ("packages", check_packages),
    ("disk", check_disk),
    ("access", check_access),
    ("settings", check_settings_file),
    ("model", check_model),
    ("database", check_database),
    ("programs", check_programs),
    ("order API", check_order_api),
    ("policy", check_policy),
    ("knowledge", check_knowledge),
    ("secrets", check_secrets),
    ("proxies", check_proxies),
    ("clock", check_clock),
    ("redis", check_redis),
    ("generator", check_generator),
    ("certificate", check_certificate),
)


async def examine(settings: Settings, checks: tuple[tuple[str, Check], ...] = CHECKS) -> list[Finding]:
    """Run every check; one that breaks is a finding of its own."""

    async def one(name: str, check: Check) -> list[Finding]:
        found: list[Finding] = []
        try:
            async for finding in check(settings):
                found.append(finding)
        except KefuError as exc:
            found.append(_finding_of(name, exc))
        except Exception as exc:  # the outermost door of a check: a doctor that faints helps nobody
            found.append(
                Finding(
                    name,
                    "error",
                    f"the check broke: {type(exc).__name__}: {_first_line(exc)}",
                    "please report this",
                )
            )
        return found

    jobs: list[Awaitable[list[Finding]]] = [one(name, check) for name, check in checks]
    return [finding for found in await asyncio.gather(*jobs) for finding in found]


MARKS = {"ok": ("✓", "green"), "note": ("·", "blue"), "warning": ("!", "yellow"), "error": ("✗", "red")}


# Named, not imported: the channels are not this room's business.
CHECKS_OF = {"installation": "bot.doctor", "channels": "channels.checks"}


def doctor(
    what: Annotated[
        str, typer.Argument(help="installation, or channels: ask the platforms.")
    ] = "installation",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for scripts.")] = False,
) -> None:
    """Check the installation, the programs and the settings; say what to do about each finding."""
    if what not in CHECKS_OF:
        raise KefuError(f"There is nothing to check called {what!r}: say {' or '.join(CHECKS_OF)}.")
    try:
        checks = importlib.import_module(CHECKS_OF[what]).CHECKS
        findings = asyncio.run(examine(load_settings(), checks))
    except SettingsError as exc:
        findings = [_finding_of("settings", exc, f"correct {settings_file()} or the variable named")]
    errors = sum(finding.level == "error" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    if as_json:
        report = {
            "errors": errors,
            "warnings": warnings,
            "findings": [asdict(finding) for finding in findings],
        }
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        for finding in findings:
            mark, colour = MARKS[finding.level]
            typer.echo(f"{typer.style(mark, fg=colour)} {finding.check:<10} {finding.message}")
            if finding.remedy and finding.level != "ok":
                typer.echo(f"{'':<13}-> {finding.remedy}")
        typer.echo(f"\n{errors} errors, {warnings} warnings")
    raise typer.Exit(1 if errors else 0)


def _finding_of(name: str, exc: KefuError, remedy: str = "") -> Finding:
    """Our own error as a finding. Most name a remedy; else it is the one given."""
    message, _, named = str(exc).partition("Remedy:")
    return Finding(name, "error", message.strip(), named.strip() or remedy)


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:200]


def _short(path: Path) -> str:
    return str(path.relative_to(PROJECT_ROOT)) if path.is_relative_to(PROJECT_ROOT) else str(path)
