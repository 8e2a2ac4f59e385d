"""`scripts/setup.sh` and `scripts/browser.sh` say in one line what is missing and what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bot.settings import PROJECT_ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without an environment."""
    for name in ("pyproject.toml", "constraints.txt", "Makefile"):
        shutil.copy(PROJECT_ROOT / name, tmp_path)
    shutil.copytree(PROJECT_ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("*.pyc"))
    return tmp_path


def setup(checkout: Path, script: str = "setup.sh", **variables: str) -> tuple[int, str]:
    done = subprocess.run(
        ["/bin/bash", f"scripts/{script}"],
        cwd=checkout,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def only(folder: Path, *commands: str) -> str:
    """A PATH on which nothing but these commands is found."""
    folder.mkdir()
    for command in commands:
        where = shutil.which(command)
        assert where, command
        (folder / command).symlink_to(where)
    return str(folder)


def test_missing_python_is_named_with_the_remedy(checkout: Path, tmp_path: Path) -> None:
    code, said = setup(checkout, PATH=only(tmp_path / "path", "dirname", "bash"))

    assert 1 == code
    assert "python3 is missing. Remedy: install it" in said


def test_a_full_disk_is_told_before_anything_is_fetched(checkout: Path) -> None:
    code, said = setup(checkout, KEFU_SETUP_MB="999999999")

    assert 1 == code
    assert "MB are free" in said
    assert "about 6 GB" in said
    assert not (checkout / ".venv").exists()
    assert not (checkout / ".cache").exists()


def test_a_network_that_is_missing_is_told_and_leaves_no_broken_environment(
    checkout: Path, tmp_path: Path
) -> None:
    # Real python3, without uv, and an index at an address where nobody listens.
    tools = ("dirname", "bash", "df", "awk", "tail", "cut", "mkdir", "rm", "id", "env")
    path = only(tmp_path / "path", *tools)
    (tmp_path / "path" / "python3").write_text(f'#!/bin/bash\nexec "{sys.base_prefix}/bin/python3" "$@"\n')
    (tmp_path / "path" / "python3").chmod(0o755)
    code, said = setup(
        checkout,
        PATH=path,
        PIP_CONFIG_FILE=os.devnull,
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
        PIP_FIND_LINKS="",
        PIP_EXTRA_INDEX_URL="",
    )

    assert 1 == code
    assert "The package index cannot be reached" in said
    assert "check the network" in said
    assert not (checkout / ".venv").exists()


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # Started from `make test` itself this make would be a submake, which says where it is.
    inside = ("MAKELEVEL", "MAKEFLAGS", "MFLAGS", "YES")
    outside = {name: value for name, value in os.environ.items() if name not in inside}
    return subprocess.run(["make", *words], cwd=folder, env=outside, capture_output=True, text=True)


@pytest.mark.parametrize("target", ["run", "test", "lint", "e2e"])
def test_every_target_sets_up_first(target: str) -> None:
    plan = make(PROJECT_ROOT, "--dry-run", "--assume-new=pyproject.toml", target)

    assert 0 == plan.returncode
    assert "scripts/setup.sh" == plan.stdout.splitlines()[0]


@pytest.fixture
def shop(checkout: Path) -> Path:
    """A checkout in which a shop has run."""
    for name in (".venv/bin", ".cache", "models", "results", ".rasa", "var/run"):
        (checkout / name).mkdir(parents=True)
    (checkout / "var" / "kefu.db").touch()
    return checkout


def test_clean_keeps_the_shops_data(shop: Path) -> None:
    assert 0 == make(shop, "clean").returncode
    assert (shop / "var" / "kefu.db").exists()
    assert not any((shop / name).exists() for name in (".venv", ".cache", "models", "results", ".rasa"))


def test_the_shops_data_go_only_when_asked_for_twice_and_nothing_runs(shop: Path) -> None:
    unsure = make(shop, "clean-data")
    (shop / "var" / "run" / "programs.json").touch()
    running = make(shop, "clean-data", "YES=1")

    assert 0 not in (unsure.returncode, running.returncode)
    assert "Remedy: make clean-data YES=1" in unsure.stderr
    assert "Kefu is running (var/run/programs.json). Remedy: stop it" in running.stderr
    assert (shop / "var" / "kefu.db").exists()

    (shop / "var" / "run" / "programs.json").unlink()
    assert 0 == make(shop, "clean-data", "YES=1").returncode
    assert not (shop / "var").exists() and (shop / ".venv").exists()


def test_a_browser_that_is_there_is_left_alone(checkout: Path, tmp_path: Path) -> None:
    path = only(tmp_path / "path", "dirname", "bash")
    (tmp_path / "path" / "chromium").symlink_to("/bin/true")

    assert (0, "") == setup(checkout, "browser.sh", PATH=path)


@pytest.mark.parametrize("works", [True, False])
def test_a_missing_browser_is_fetched_or_named_in_one_line(
    checkout: Path, tmp_path: Path, works: bool
) -> None:
    path = tmp_path / "path"
    only(path, "dirname", "bash", "timeout", "ln")
    (path / "id").write_text("#!/bin/bash\necho 0\n")  # root, who may install
    outcome = f'[ "$1" = update ] || ln -s /bin/true "{path}/chromium"' if works else "exit 100"
    (path / "apt-get").write_text(f"#!/bin/bash\n{outcome}\n")
    for fake in ("id", "apt-get"):
        (path / fake).chmod(0o755)

    code, said = setup(checkout, "browser.sh", PATH=str(path))

    assert 0 == code
    assert works != ("the page tests are skipped. Remedy: sudo apt-get install chromium" in said)
    assert works == (path / "chromium").exists()
