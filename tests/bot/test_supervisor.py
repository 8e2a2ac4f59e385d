"""The supervisor against real, very small programs."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.exceptions import ProgramError
from bot.settings import SupervisorSettings
from bot.supervisor import Backoff, Program, Supervisor, check_port, free_port, reachable

SERVER = """
import http.server, os, signal, subprocess, sys, time
mode = os.environ.get("MODE", "")
mark = os.environ["MARK"]
with open(mark, "a") as file:
    file.write("started\\n")
if mode == "broken":
    print("the reason it is broken")
    sys.exit(3)
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if mode == "parent":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open(mark + ".child", "w") as file:
        file.write(str(child.pid))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if os.path.exists(mark + ".hang"):
            time.sleep(600)
        self.send_response(200); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *_): pass
time.sleep(600 if os.path.exists(mark + ".stuck") else float(os.environ.get("SLOW", "0")))
print("listening")
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

QUICK = SupervisorSettings(start_timeout=20, stop_timeout=1, health_interval=0.1, health_failures=1)


def program(tmp_path: Path, name: str = "one", *, after: tuple[str, ...] = (), **variables: str) -> Program:
    port = free_port()
    return Program(
        name,
        (sys.executable, "-c", SERVER),
        host="127.0.0.1",
        port=port,
        setting=f"{name}.port",
        environment={"PORT": str(port), "MARK": str(tmp_path / name), **variables},
        after=after,
    )


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"


class Lines:
    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.all.append((name, line))

    async def until(self, part: str, times: int = 1) -> None:
        async with asyncio.timeout(15):
            while sum(part in line for _, line in self.all) < times:
                await asyncio.sleep(0.02)


async def test_a_program_starts_only_after_those_it_needs_are_healthy(tmp_path: Path) -> None:
    lines = Lines()
    slow = program(tmp_path, "slow", SLOW="0.5")
    second = program(tmp_path, "second", after=("slow",))
    supervisor = Supervisor([slow, second], log_dir=tmp_path / "log", settings=QUICK, show=lines)
    await supervisor.start()
    await supervisor.stop()

    said = [line for name, line in lines.all if name == "up" and "is up" in line]
    assert ["slow", "second"] == [line.split()[0] for line in said]
    assert ("second", "listening") in lines.all
    assert "listening\n" == (tmp_path / "log" / "second.log").read_text()


async def test_a_killed_program_is_started_again_and_the_state_file_tells(tmp_path: Path) -> None:
    lines = Lines()
    state = tmp_path / "programs.json"
    supervisor = Supervisor(
        [program(tmp_path)],
        log_dir=tmp_path / "log",
        settings=QUICK,
        state_file=state,
        show=lines,
        backoff=Backoff(first=0.05),
    )
    await supervisor.start()
    first = json.loads(state.read_text())["programs"]["one"]
    os.kill(first["pid"], signal.SIGKILL)
    await lines.until("is up", times=2)
    second = json.loads(state.read_text())["programs"]["one"]
    await supervisor.stop()

    assert ("up", "one ended (killed by SIGKILL); starting it again in 0.05 s") in lines.all
    assert first["pid"] != second["pid"]
    assert 1 == second["restarts"]
    assert not alive(second["pid"])
    assert not state.exists()


async def test_a_state_file_that_cannot_be_written_is_told_and_takes_nothing_down(tmp_path: Path) -> None:
    lines = Lines()
    state = tmp_path / "run" / "programs.json"
    state.parent.mkdir()
    supervisor = Supervisor(
        [program(tmp_path), program(tmp_path, "two")],
        log_dir=tmp_path / "log",
        settings=QUICK,
        state_file=state,
        show=lines,
        backoff=Backoff(first=0.05),
    )
    await supervisor.start()
    watching = asyncio.create_task(supervisor.watch())
    shutil.rmtree(state.parent)  # as good as a full disk
    process = supervisor.running["one"].process
    assert process is not None
    process.kill()
    await lines.until("one is up", times=2)
    await lines.until("programs.json cannot be written", times=3)  # ended, started, up

    assert not watching.done()
    watching.cancel()
    await supervisor.stop()


async def test_a_terminal_that_is_gone_takes_nothing_down(tmp_path: Path) -> None:
    def gone(_name: str, _line: str) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    one = program(tmp_path)
    supervisor = Supervisor([one], log_dir=tmp_path / "log", settings=QUICK, show=gone)
    await supervisor.start()
    await supervisor.stop()

    assert "listening\n" == (tmp_path / "log" / "one.log").read_text()


async def test_a_restart_for_which_there_is_no_memory_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Lines()
    supervisor = Supervisor(
        [program(tmp_path), program(tmp_path, "two")],
        log_dir=tmp_path / "log",
        settings=QUICK,
        show=lines,
        backoff=Backoff(first=0.05),
    )
    await supervisor.start()
    spawn, troubles = asyncio.create_subprocess_exec, [errno.ENOMEM, errno.EAGAIN]

    async def short_of_everything(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        if troubles:
            number = troubles.pop(0)
            raise OSError(number, os.strerror(number))
        return await spawn(*arguments, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", short_of_everything)
    first, other = supervisor.running["one"].process, supervisor.running["two"].process
    assert first is not None and other is not None
    first.kill()
    await lines.until("one is up", times=2)
    untouched = other.returncode is None
    await supervisor.stop()

    assert untouched
    assert [
        "one ended (killed by SIGKILL); starting it again in 0.05 s",
        "one ended (not started: Cannot allocate memory); starting it again in 0.1 s",
        "one ended (not started: Resource temporarily unavailable); starting it again in 0.2 s",
    ] == [line for name, line in lines.all if name == "up" and "ended" in line]


async def test_a_program_that_hangs_is_restarted(tmp_path: Path) -> None:
    lines = Lines()
    settings = QUICK.model_copy(update={"stop_timeout": 0.2})
    supervisor = Supervisor(
        [program(tmp_path)],
        log_dir=tmp_path / "log",
        settings=settings,
        show=lines,
        backoff=Backoff(first=0.05),
        answer_timeout=0.3,
    )
    await supervisor.start()
    (tmp_path / "one.hang").touch()
    await lines.until("does not answer any more")
    (tmp_path / "one.hang").unlink()
    await lines.until("is up", times=2)
    await supervisor.stop()

    assert "started\n" * 2 == (tmp_path / "one").read_text()


async def test_a_program_that_hangs_while_it_starts_again_is_ended_and_the_pause_grows(
    tmp_path: Path,
) -> None:
    lines = Lines()
    supervisor = Supervisor(
        [program(tmp_path)],
        log_dir=tmp_path / "log",
        settings=QUICK,
        show=lines,
        backoff=Backoff(first=0.3, calm=0.1),
    )
    await supervisor.start()
    process = supervisor.running["one"].process
    assert process is not None
    await asyncio.sleep(0.2)
    (tmp_path / "one.stuck").touch()
    supervisor._settings = QUICK.model_copy(update={"start_timeout": 0.5})
    process.kill()
    await lines.until("one did not answer within 0.5 seconds; ending it")
    (tmp_path / "one.stuck").unlink()
    supervisor._settings = QUICK
    await lines.until("is up", times=2)
    await supervisor.stop()

    ends = [line for name, line in lines.all if name == "up" and "ended" in line]
    assert [
        "one ended (killed by SIGKILL); starting it again in 0.3 s",
        "one ended (killed by SIGTERM); starting it again in 0.6 s",
    ] == ends


async def test_a_program_nobody_waits_for_may_take_long_at_its_first_start(tmp_path: Path) -> None:
    lines = Lines()
    slow = replace(program(tmp_path, "slow", after=("one",), SLOW="1.5"), awaited=False)
    supervisor: Supervisor

    def show(name: str, line: str) -> None:
        lines(name, line)
        if line.startswith("one is up"):
            supervisor._settings = QUICK.model_copy(update={"start_timeout": 0.1})

    supervisor = Supervisor([program(tmp_path), slow], log_dir=tmp_path / "log", settings=QUICK, show=show)
    await supervisor.start()
    await lines.until("slow is up")
    await supervisor.stop()

    assert "started\n" == (tmp_path / "slow").read_text()


async def test_a_broken_program_gives_up_with_its_last_lines(tmp_path: Path) -> None:
    supervisor = Supervisor(
        [program(tmp_path), program(tmp_path, "two", MODE="broken")],
        log_dir=tmp_path / "log",
        settings=QUICK,
        backoff=Backoff(first=0.01),
    )
    with pytest.raises(ProgramError, match=r"two ended 3 times .*exit code 3(?s:.)*the reason it is broken"):
        await supervisor.start()

    process = supervisor.running["one"].process
    assert process is None or not alive(process.pid)


async def test_stop_ends_a_program_that_ignores_sigterm(tmp_path: Path) -> None:
    supervisor = Supervisor(
        [program(tmp_path, MODE="stubborn")],
        log_dir=tmp_path / "log",
        settings=QUICK.model_copy(update={"stop_timeout": 0.2}),
    )
    await supervisor.start()
    process = supervisor.running["one"].process
    await supervisor.stop()

    assert process is not None
    assert -signal.SIGKILL == process.returncode


async def test_stop_ends_the_children_of_a_program_too(tmp_path: Path) -> None:
    supervisor = Supervisor([program(tmp_path, MODE="parent")], log_dir=tmp_path / "log", settings=QUICK)
    await supervisor.start()
    child = int((tmp_path / "one.child").read_text())
    assert alive(child)
    await supervisor.stop()
    async with asyncio.timeout(5):
        while alive(child):
            await asyncio.sleep(0.02)


async def test_a_program_that_never_answers_is_named(tmp_path: Path) -> None:
    supervisor = Supervisor(
        [program(tmp_path, SLOW="60")],
        log_dir=tmp_path / "log",
        settings=QUICK.model_copy(update={"start_timeout": 0.3}),
    )
    with pytest.raises(ProgramError, match=r"one did not answer within 0\.3 seconds"):
        await supervisor.start()


async def test_nothing_is_started_when_a_port_is_taken(tmp_path: Path) -> None:
    first, second = program(tmp_path), program(tmp_path, "two")
    with socket.create_server(("127.0.0.1", second.port)):
        supervisor = Supervisor([first, second], log_dir=tmp_path / "log", settings=QUICK)
        with pytest.raises(ProgramError) as caught:
            await supervisor.start()

    message = str(caught.value)
    assert f"Port {second.port} for two is taken by " in message
    assert f"pid {os.getpid()}" in message
    assert "KEFU_TWO__PORT" in message
    assert not (tmp_path / "one").exists()


def test_an_address_that_is_not_ours_is_refused_with_a_remedy(tmp_path: Path) -> None:
    elsewhere = Program("one", ("true",), host="192.0.2.1", port=1, setting="one.port")
    with pytest.raises(ProgramError, match=r"one cannot listen on 192\.0\.2\.1:1.*one\.host"):
        check_port(elsewhere)


async def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    missing = Program("one", ("/nowhere/at-all",), host="127.0.0.1", port=free_port(), setting="one.port")
    supervisor = Supervisor([missing], log_dir=tmp_path / "log", settings=QUICK)
    with pytest.raises(ProgramError, match="one cannot be started: /nowhere/at-all"):
        await supervisor.start()


@given(st.integers(min_value=1, max_value=10_000), st.floats(0.01, 5), st.floats(5, 100))
def test_the_pause_between_restarts_grows_and_is_bounded(crashes: int, first: float, longest: float) -> None:
    backoff = Backoff(first=first, longest=longest)

    assert first <= backoff.delay(1) <= backoff.delay(crashes) <= backoff.delay(crashes + 1) <= longest


def test_an_address_for_everyone_is_called_on_loopback() -> None:
    assert "127.0.0.1" == reachable("0.0.0.0")
    assert "[::1]" == reachable("::")
    assert "example.org" == reachable("example.org")
