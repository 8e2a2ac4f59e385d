"""Fixtures for every test: PostgreSQL and Redis of one's own, started when first asked for.

A test that asks for one is marked `services`. Where neither a server's program nor an address
(KEFU_TEST_POSTGRESQL_URL, KEFU_TEST_REDIS_URL) is found it is skipped, or failed when
KEFU_REQUIRE_SERVICES is 1, as in .ci/run.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

_names = itertools.count(1)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `--dist loadgroup`: the programs are started once, in one worker, which also uses Redis alone, since a given one
    is emptied before each test; every other file stays together."""
    for item in items:
        alone = item.get_closest_marker("e2e") or "redis_url" in getattr(item, "fixturenames", ())
        group = "programs" if alone else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))


def missing(what: str) -> NoReturn:
    if os.environ.get("KEFU_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{what} is required (KEFU_REQUIRE_SERVICES=1) and was not found")
    pytest.skip(f"{what} was not found")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], what: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"{what} did not start")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Address of a server without a database name, ending in a slash."""
    if given := os.environ.get("KEFU_TEST_POSTGRESQL_URL"):
        yield given.rstrip("/") + "/"
        return
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if not shutil.which("initdb") else []
    folder = found[-1] if found else Path(shutil.which("initdb") or "/nowhere/x").parent
    if not (folder / "postgres").exists():
        missing("PostgreSQL")
    yield from postgresql_at(folder)


def postgresql_at(folder: Path) -> Iterator[str]:
    """A server of the programs in `folder`, on a port and data of its own; address as above."""
    user: str | None = None
    if os.getuid() == 0:  # the server refuses to run as root
        try:
            user = pwd.getpwnam("postgres").pw_name
        except KeyError:
            missing("PostgreSQL's user postgres")
    data = Path(tempfile.mkdtemp(prefix="kefu-pg-"))
    if user:
        shutil.chown(data, user)
    port = free_port()
    initdb = [str(folder / "initdb"), "-D", str(data), "-U", "kefu", "-A", "trust", "-E", "UTF8", "-N"]
    subprocess.run(initdb, check=True, capture_output=True, user=user, cwd="/")
    options = ["-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"]  # -F: a crash of the machine may lose it
    server = subprocess.Popen(
        [str(folder / "postgres"), "-D", str(data), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=user,
        cwd="/",
    )
    try:
        wait_for_port(port, server, "PostgreSQL")
        yield f"postgresql://kefu@127.0.0.1:{port}/"
    finally:
        server.send_signal(signal.SIGINT)  # does not wait for clients
        server.wait(20)
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """Address of an empty database of this test's own."""
    import asyncpg

    name = f"kefu_{os.getpid()}_{next(_names)}"

    async def run(statement: str) -> None:
        connection = await asyncpg.connect(f"{postgresql_server}postgres")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def now(statement: str) -> None:
        # A thread of its own: the test may run in a loop already.
        import threading

        thread = threading.Thread(target=lambda: asyncio.run(run(statement)))
        thread.start()
        thread.join()

    now(f'CREATE DATABASE "{name}"')
    yield f"{postgresql_server}{name}"
    now(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    if given := os.environ.get("KEFU_TEST_REDIS_URL"):
        yield given
        return
    program = shutil.which("redis-server")
    if program is None:
        missing("Redis")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="kefu-redis-") as folder:
        server = subprocess.Popen(
            [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for_port(port, server, "Redis")
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait(20)


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """Address of an emptied Redis."""
    from redis import Redis

    Redis.from_url(redis_server).flushdb()
    return redis_server
