"""Keeps a set of programs running on one machine: start order, health, restarts, logs, clean stop.

It knows processes, ports and health addresses; it does not know what the programs do (that is
`bot/programs.py`). Existing supervisors were looked at first; why none is used stands in
docs/decisions/0002-own-supervisor.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import json
import logging
import logging.handlers
import math
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bot.exceptions import ProgramError
from bot.settings import SupervisorSettings

if TYPE_CHECKING:
    import aiohttp

State = Literal["waiting", "starting", "up", "restarting", "stopped"]

LOG_BYTES = 5_000_000
LOG_FILES = 5
LONGEST_LINE = 64 * 1024  # a program that never ends its line must not fill our memory
CRASHES_BEFORE_FIRST_HEALTHY = 3  # then it is broken, not unlucky
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Program:
    """What to start and how to tell that it works.

    `after` names programs that must be healthy first. A program that is not `awaited` is
    started and kept up like the others, but nobody waits for it to be healthy.
    """

    name: str
    command: tuple[str, ...]
    host: str
    port: int
    setting: str  # the setting that moves it to another port, for messages
    health_path: str = "/health"
    health_headers: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    awaited: bool = True

    @property
    def health_url(self) -> str:
        return f"http://{reachable(self.host)}:{self.port}{self.health_path}"


@dataclass(frozen=True)
class Backoff:
    """Seconds to wait before the n-th restart in a row: `first` doubled each time, up to `longest`.

    A program that stayed up for `calm` seconds starts again from `first`.
    """

    first: float = 0.5
    longest: float = 30.0
    calm: float = 60.0

    def delay(self, crashes: int) -> float:
        return min(self.longest, self.first * 2.0 ** min(crashes - 1, 30)) if crashes > 0 else 0.0


@dataclass
class Running:
    """A program and what is known about it now."""

    program: Program
    log: logging.Logger
    state: State = "waiting"
    process: asyncio.subprocess.Process | None = None
    healthy: asyncio.Event = field(default_factory=asyncio.Event)
    was_healthy: bool = False
    restarts: int = 0
    crashes: int = 0  # in a row
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=20))


Show = Callable[[str, str], None]


def reachable(host: str) -> str:
    """The address to call when a program listens on every interface."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - translated, not bound
    host = everywhere.get(host, host)
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches a program that listens there."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def who_listens(port: int) -> str | None:
    """The process that listens on the port, as far as this user may see it."""
    import psutil

    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                if connection.pid is None:
                    return None
                words = psutil.Process(connection.pid).cmdline()
                return f"{' '.join(words)[:100]} (pid {connection.pid})"
    except (psutil.Error, OSError):
        return None
    return None


def check_port(program: Program) -> None:
    """Say now, in one line, what would otherwise be a stack trace in a log.

    Raises:
        ProgramError: the port is taken or may not be bound; names port, setting and holder.
    """
    family = socket.AF_INET6 if ":" in program.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((program.host, program.port))
        except OSError as exc:
            variable = "KEFU_" + program.setting.upper().replace(".", "__")
            move = f"set {program.setting} in kefu.yml or {variable} to a free port"
            if exc.errno == errno.EADDRINUSE:
                holder = who_listens(program.port)
                raise ProgramError(
                    f"Port {program.port} for {program.name} is taken by {holder or 'another process'}. "
                    f"Remedy: stop it, or {move}."
                ) from exc
            raise ProgramError(
                f"{program.name} cannot listen on {program.host}:{program.port}: {exc.strerror}. "
                f"Remedy: {move}, or correct {program.setting.rsplit('.', 1)[0]}.host."
            ) from exc


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


class Supervisor:
    """Starts the programs in order, keeps them up, stops them.

    Args:
        programs: in start order; `Program.after` may only name earlier ones.
        log_dir: gets one rotated file per program.
        state_file: who runs under which pid, for `kefu doctor` and tests; None: not written.
        show: called with (program name, line) for everything worth a look on the terminal.
        answer_timeout: seconds a program has for a health check.
    """

    def __init__(
        self,
        programs: list[Program],
        *,
        log_dir: Path,
        settings: SupervisorSettings | None = None,
        state_file: Path | None = None,
        show: Show | None = None,
        backoff: Backoff | None = None,
        cwd: Path | None = None,
        answer_timeout: float = 5.0,
        mask: Callable[[str], str] | None = None,
    ) -> None:
        """`mask` sees every line before it is written to a log file."""
        self._mask = mask or (lambda line: line)
        self._settings = settings or SupervisorSettings()
        self._backoff = backoff or Backoff()
        self._print: Show = show or (lambda _name, _line: None)
        self._state_file = state_file
        self._cwd = cwd
        self._answer_timeout = answer_timeout
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        log_dir.mkdir(parents=True, exist_ok=True)
        self.running: dict[str, Running] = {}
        for program in programs:
            unknown = set(program.after) - set(self.running)
            assert not unknown, f"{program.name} must come after {unknown} in the list of programs"
            self.running[program.name] = Running(program, _file_log(program.name, log_dir))

    async def start(self) -> None:
        """Start everything; return when every awaited program is healthy.

        Raises:
            ProgramError: a port is taken, or a program does not come up; everything is stopped.
        """
        import aiohttp  # half a second that `kefu up --help` must not cost

        for one in self.running.values():
            check_port(one.program)
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._answer_timeout))
        self._tasks = [
            asyncio.create_task(self._keep_up(one), name=one.program.name) for one in self.running.values()
        ]
        awaited = [one for one in self.running.values() if one.program.awaited]
        all_healthy = asyncio.create_task(_all_healthy(awaited))
        try:
            done, _ = await asyncio.wait(
                [all_healthy, *self._tasks],
                timeout=self._settings.start_timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if all_healthy in done:
                return
            for task in done:
                task.result()  # raises what went wrong
            missing = ", ".join(one.program.name for one in awaited if not one.healthy.is_set())
            raise ProgramError(
                f"{missing} did not answer within {self._settings.start_timeout:g} seconds. "
                "Remedy: read its log file, or raise supervisor.start_timeout on a slow machine."
            )
        except BaseException:
            await self.stop()
            raise
        finally:
            all_healthy.cancel()

    async def watch(self) -> None:
        """Stay here while the programs are kept up.

        Raises:
            ProgramError: a program that was never healthy gave up.
        """
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled():
                task.result()

    async def stop(self) -> None:
        """Stop the programs, last started first: the doors close before what stands behind them."""
        self._stopping = True
        for one in reversed(self.running.values()):
            if one.process is not None and one.process.returncode is None:
                self._show("up", f"stopping {one.program.name}")
                await self._terminate(one.process)
            one.state = "stopped"
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        for one in self.running.values():
            for handler in one.log.handlers[:]:
                one.log.removeHandler(handler)
                handler.close()
        if self._state_file is not None:
            self._state_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """No more patience: kill every process group at once."""
        for one in self.running.values():
            if one.process is not None:
                _signal_group(one.process, signal.SIGKILL)

    def _show(self, name: str, line: str) -> None:
        """A terminal that is gone, or a file on a full disk, must not take the programs along."""
        with contextlib.suppress(OSError):
            self._print(name, line)

    # --- one program -----------------------------------------------------------------------

    async def _keep_up(self, one: Running) -> None:
        program = one.program
        for name in program.after:
            await self.running[name].healthy.wait()
        while not self._stopping:
            started = time.monotonic()
            one.state = "starting"
            ending = await self._run_once(one, started)
            if self._stopping:
                return
            calm = one.healthy.is_set() and time.monotonic() - started > self._backoff.calm
            one.healthy.clear()
            one.crashes = 1 if calm else one.crashes + 1
            if not one.was_healthy and one.crashes >= CRASHES_BEFORE_FIRST_HEALTHY:
                raise ProgramError(
                    f"{program.name} ended {one.crashes} times before it answered ({ending}). "
                    "Its last lines:\n" + "\n".join(f"    {line}" for line in one.last_lines)
                )
            delay = self._backoff.delay(one.crashes)
            one.state = "restarting"
            one.restarts += 1
            self._write_state()
            self._show("up", f"{program.name} ended ({ending}); starting it again in {delay:g} s")
            await asyncio.sleep(delay)

    async def _run_once(self, one: Running, started: float) -> str:
        """Run the program until it ends; how it ended, in words."""
        try:
            one.process = await self._spawn(one.program)
        except (
            OSError
        ) as exc:  # no memory or no process left just now: the others run, and this one is tried again
            one.process = None
            return f"not started: {exc.strerror}"
        self._write_state()
        output = asyncio.create_task(self._pump(one, one.process))
        health = asyncio.create_task(self._watch_health(one, one.process, started))
        code = await one.process.wait()
        health.cancel()
        # Whatever it left behind in its group must not hold the port for the next one.
        _signal_group(one.process, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(output, 2)
        return _ending(code)

    async def _spawn(self, program: Program) -> asyncio.subprocess.Process:
        """Raises:
        ProgramError: the command is not there or may not be run; waiting does not help.
        OSError: the machine cannot start anything at the moment.
        """
        try:
            return await asyncio.create_subprocess_exec(
                *program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **program.environment},
                cwd=self._cwd,
                start_new_session=True,  # Ctrl-C reaches us alone; a stop reaches its whole group
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        except (FileNotFoundError, PermissionError) as exc:
            raise ProgramError(
                f"{program.name} cannot be started: {program.command[0]}: {exc.strerror}. "
                "Remedy: run `make setup`."
            ) from exc

    async def _pump(self, one: Running, process: asyncio.subprocess.Process) -> None:
        """Copy what the program prints to its file and to the terminal, line by line."""
        assert process.stdout is not None, "programs are started with a pipe"
        rest = b""
        while chunk := await process.stdout.read(LONGEST_LINE):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._line(one, line)
        if rest:
            self._line(one, rest)

    def _line(self, one: Running, raw: bytes) -> None:
        line = raw.decode("utf-8", errors="replace").rstrip()
        if line:
            one.last_lines.append(line)
            one.log.info(self._mask(line))
            self._show(one.program.name, line)

    async def _watch_health(self, one: Running, process: asyncio.subprocess.Process, started: float) -> None:
        # start() bounds the first start of whatever is waited for. The generator, which nobody waits for, may take as
        # long as it needs: to end it three times before it ever answered would end everything.
        patience = self._settings.start_timeout if one.was_healthy else math.inf
        while not await self._answers(one.program):
            if time.monotonic() - started > patience:
                self._show("up", f"{one.program.name} did not answer within {patience:g} seconds; ending it")
                await self._terminate(process)
                return
            await asyncio.sleep(0.2)
        one.state = "up"
        one.was_healthy = True
        one.healthy.set()
        self._write_state()
        self._show("up", f"{one.program.name} is up ({time.monotonic() - started:.1f} s)")
        missed = 0
        while missed < self._settings.health_failures:
            await asyncio.sleep(self._settings.health_interval)
            missed = 0 if await self._answers(one.program) else missed + 1
        self._show("up", f"{one.program.name} does not answer any more; restarting it")
        await self._terminate(process)

    async def _answers(self, program: Program) -> bool:
        import aiohttp

        assert self._session is not None, "start() opens the session"
        try:
            async with self._session.get(program.health_url, headers=program.health_headers) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def _terminate(self, process: asyncio.subprocess.Process) -> None:
        _signal_group(process, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), self._settings.stop_timeout)
        except TimeoutError:
            _signal_group(process, signal.SIGKILL)
            await process.wait()

    def _write_state(self) -> None:
        if self._state_file is None or self._stopping:
            return
        state = {
            "pid": os.getpid(),
            "programs": {
                name: {
                    "pid": one.process.pid if one.process else None,
                    "host": one.program.host,
                    "port": one.program.port,
                    "state": one.state,
                    "restarts": one.restarts,
                }
                for name, one in self.running.items()
            },
        }
        new = self._state_file.with_suffix(".new")
        try:
            new.write_text(json.dumps(state, indent=1))
            new.replace(self._state_file)  # a reader never sees half a file
        except OSError as exc:  # a full disk: no reason to take down programs that run
            self._show(
                "up",
                f"{self._state_file} cannot be written: {exc.strerror}; what it says is old. "
                "Remedy: free some space, or let it be written there.",
            )


async def _all_healthy(programs: list[Running]) -> None:
    for one in programs:
        await one.healthy.wait()


def _file_log(name: str, log_dir: Path) -> logging.Logger:
    log = logging.getLogger(f"kefu.supervisor.{name}.{log_dir}")
    log.propagate = False
    log.setLevel(logging.INFO)
    for old in log.handlers[:]:
        log.removeHandler(old)
        old.close()
    handler = logging.handlers.RotatingFileHandler(
        log_dir / f"{name}.log", maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    return log


def _signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _ending(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Runs in the child: if the supervisor is killed without a chance to clean up, so is the child."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
