"""Which programs are started, with what, and where the others are told to find them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bot.programs import environment, programs, running_programs, running_url, tracker_url, with_ports
from bot.settings import Settings


def settings(tmp_path: Path, **values: Any) -> Settings:
    return Settings(data_dir=tmp_path, **values)


def names(mine: Settings) -> list[str]:
    return [one.name for one in programs(mine, Path("m.tar.gz"))]


def test_everything_of_the_demo_is_started_on_loopback(tmp_path: Path) -> None:
    all_of_them = programs(settings(tmp_path, generator={"enabled": True}), Path("m.tar.gz"))

    assert {"shop", "dialogue", "actions", "gateway", "generator"} == {one.name for one in all_of_them}
    assert {"127.0.0.1"} == {one.host for one in all_of_them}


def test_a_shop_of_ones_own_needs_no_demo_shop(tmp_path: Path) -> None:
    mine = settings(tmp_path, order_api={"base_url": "https://shop.example"})

    assert "shop" not in names(mine)


@pytest.mark.parametrize("generator", [{"enabled": False}, {"base_url": "http://gpu.example/v1"}])
def test_a_generator_that_is_off_or_elsewhere_is_not_started(
    tmp_path: Path, generator: dict[str, Any]
) -> None:
    assert "generator" not in names(settings(tmp_path, generator=generator))


def test_nobody_waits_for_the_generator(tmp_path: Path) -> None:
    (generator,) = [
        one
        for one in programs(settings(tmp_path, generator={"enabled": True}), Path("m.tar.gz"))
        if one.name == "generator"
    ]

    assert not generator.awaited


def test_a_port_of_zero_becomes_a_free_one_that_every_program_is_told(tmp_path: Path) -> None:
    mine = with_ports(settings(tmp_path, gateway={"port": 0}, actions={"port": 0}))
    told = environment(mine)

    assert 0 < mine.gateway.port != mine.actions.port
    assert str(mine.gateway.port) == told["KEFU_GATEWAY__PORT"]
    assert f"http://127.0.0.1:{mine.actions.port}/webhook" == told["KEFU_ACTIONS_URL"]


@pytest.mark.parametrize(
    "sections",
    [
        {"order_api": {"base_url": "https://shop.example/kefu"}},
        {"gateway": {"public_url": "https://chat.example"}},
        {"generator": {"article_url": "https://shop.example/help/{article}"}},
    ],
)
def test_citations_lead_to_the_demo_shop_only_while_it_is_tried_on_one_machine(
    tmp_path: Path, sections: dict[str, Any]
) -> None:
    demo = environment(settings(tmp_path, shop={"port": 8071}))

    assert demo["KEFU_GENERATOR__ARTICLE_URL"].startswith("http://127.0.0.1:8071/help/{article}")
    assert "KEFU_GENERATOR__ARTICLE_URL" not in environment(settings(tmp_path, **sections))


def test_every_variable_that_rasas_files_name_is_set(tmp_path: Path) -> None:
    import re

    from bot.settings import PROJECT_ROOT

    told = environment(settings(tmp_path))
    for file in ("endpoints.yml", "credentials.yml"):
        for name in re.findall(r"\$\{(\w+)\}", (PROJECT_ROOT / file).read_text("utf-8")):
            assert name in told, f"{file}: {name}"


@pytest.mark.parametrize(
    ("given", "sync"),
    [
        ("postgresql://kefu:x@db:5433/kefu", "postgresql://kefu:x@db:5433/kefu"),
        ("postgresql+asyncpg://kefu@db/kefu?ssl=require", "postgresql://kefu@db/kefu?sslmode=require"),
    ],
)
def test_rasas_tracker_store_gets_the_same_database_with_its_own_driver(
    tmp_path: Path, given: str, sync: str
) -> None:
    assert sync == tracker_url(settings(tmp_path, database_url=given))


def test_without_postgresql_the_tracker_store_is_in_the_same_file(tmp_path: Path) -> None:
    assert f"sqlite:///{tmp_path}/kefu.db" == tracker_url(settings(tmp_path))


def test_rasa_is_started_with_a_token_on_loopback(tmp_path: Path) -> None:
    (rasa,) = [one for one in programs(settings(tmp_path), Path("m.tar.gz")) if one.name == "dialogue"]
    command = " ".join(rasa.command)

    assert "--interface 127.0.0.1" in command
    assert "--auth-token kefu-loopback" in command
    assert "--model m.tar.gz" in command


def test_the_address_of_a_running_program_is_the_one_kefu_up_gave_it(tmp_path: Path) -> None:
    mine = settings(tmp_path)
    assert "http://127.0.0.1:8080" == running_url(mine, "gateway")

    state = {"pid": os.getpid(), "programs": {"gateway": {"port": 9123}}}
    mine.data_path("run", "programs.json").write_text(json.dumps(state))
    assert "http://127.0.0.1:9123" == running_url(mine, "gateway")


def test_what_a_dead_kefu_up_left_behind_is_not_believed(tmp_path: Path) -> None:
    mine = settings(tmp_path)
    state = {"pid": 2**22 + 1, "programs": {"gateway": {"port": 9123}}}  # above the kernel's largest pid
    mine.data_path("run", "programs.json").write_text(json.dumps(state))

    assert {} == running_programs(mine)
