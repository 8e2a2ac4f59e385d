"""What `kefu doctor` finds, and that it says what to do."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bot import doctor
from bot.doctor import Check, Finding, examine, read_constraints
from bot.exceptions import PolicyError
from bot.settings import Settings
from bot.supervisor import free_port


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with a data folder of their own, on ports nobody uses."""

    def make(**values: Any) -> Settings:
        ports = {
            name: {"port": free_port()} for name in ("shop", "gateway", "dialogue", "actions", "generator")
        }
        for name, section in values.items():
            ports[name] = {**ports.get(name, {}), **section} if isinstance(section, dict) else section
        return Settings(data_dir=tmp_path, **ports)

    return make


async def findings(check: Check, settings: Settings) -> list[Finding]:
    return await examine(settings, (("check", check),))


def levels(found: list[Finding]) -> list[str]:
    return [finding.level for finding in found]


async def test_a_check_that_raises_our_error_becomes_a_finding_with_the_remedy(settings: Any) -> None:
    async def broken(_: Settings) -> AsyncIterator[Finding]:
        raise PolicyError("policy.yml, rule 3: no window. Remedy: write days: 7")
        yield

    assert [Finding("check", "error", "policy.yml, rule 3: no window.", "write days: 7")] == await findings(
        broken, settings()
    )


async def test_a_check_that_breaks_does_not_keep_the_others_from_looking(settings: Any) -> None:
    async def broken(_: Settings) -> AsyncIterator[Finding]:
        raise RuntimeError("oh")
        yield

    async def good(_: Settings) -> AsyncIterator[Finding]:
        yield Finding("good", "ok", "well")

    found = await examine(settings(), (("broken", broken), ("good", good)))

    assert ["error", "ok"] == levels(found)
    assert "RuntimeError: oh" in found[0].message


def test_constraints_are_read_without_local_versions_and_comments(tmp_path: Path) -> None:
    file = tmp_path / "constraints.txt"
    file.write_text("# pins\naiohttp==3.14.5\ntorch==2.13.0+cpu\nrasa-sdk==3.6.2 ; python_version > '3'\n")

    assert {"aiohttp": "3.14.5", "torch": "2.13.0", "rasa-sdk": "3.6.2"} == read_constraints(file)


async def test_secrets_of_the_repository_are_an_error_when_a_program_faces_a_network(settings: Any) -> None:
    found = await findings(doctor.check_secrets, settings(gateway={"host": "0.0.0.0"}))

    wrong = {finding.message.split()[0] for finding in found if finding.level == "error"}
    assert {"dialogue.token", "shop.api_key", "sites.demo.secret"} == wrong
    assert any("KEFU_DIALOGUE__TOKEN" in finding.remedy for finding in found)


async def test_secrets_of_the_repository_are_fine_on_loopback(settings: Any) -> None:
    assert ["ok"] == levels(await findings(doctor.check_secrets, settings()))


async def test_a_public_address_asks_for_secrets_of_ones_own_too(settings: Any) -> None:
    public = settings(gateway={"public_url": "https://chat.example.com"})
    local = settings(gateway={"public_url": "http://localhost:8080"})

    assert "error" in levels(await findings(doctor.check_secrets, public))
    assert ["ok"] == levels(await findings(doctor.check_secrets, local))


async def test_a_program_that_is_not_the_gateway_should_not_face_a_network(settings: Any) -> None:
    found = await findings(doctor.check_secrets, settings(dialogue={"host": "0.0.0.0", "token": "x" * 20}))

    assert any(
        finding.level == "warning" and finding.message.startswith("dialogue listens on 0.0.0.0")
        for finding in found
    )


async def test_nothing_running_is_worth_a_note_not_an_error(settings: Any) -> None:
    found = await findings(doctor.check_programs, settings())

    assert [("programs", "note")] == [(finding.check, finding.level) for finding in found]


async def test_a_port_taken_by_somebody_else_is_an_error_with_the_holder(settings: Any) -> None:
    mine = settings()
    with socket.create_server(("127.0.0.1", mine.actions.port)):
        found = await findings(doctor.check_programs, mine)

    (taken,) = [finding for finding in found if finding.check == "actions"]
    assert "error" == taken.level
    assert f"port {mine.actions.port} is taken by" in taken.message
    assert "actions.port" in taken.remedy


async def test_a_database_that_cannot_be_reached_is_named_without_its_password(settings: Any) -> None:
    mine = settings(database_url=f"postgresql://kefu:secret@127.0.0.1:{free_port()}/kefu")
    (found,) = await findings(doctor.check_database, mine)

    assert "error" == found.level
    assert "secret" not in found.message
    assert "database_url" in found.remedy


async def test_a_shop_that_refuses_the_key_is_an_error(settings: Any, aiohttp_server: Any) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"code": "unauthorized", "status": 401}, status=401)

    app = web.Application()
    app.router.add_post("/v1/proofs", refuse)
    server = await aiohttp_server(app)
    mine = settings(order_api={"base_url": f"http://127.0.0.1:{server.port}", "api_key": "wrong"})
    (found,) = await findings(doctor.check_order_api, mine)

    assert "error" == found.level
    assert "KEFU_ORDER_API__API_KEY" in found.remedy


async def test_a_shop_that_accepts_any_proof_is_an_error(settings: Any, aiohttp_server: Any) -> None:
    async def accept(_: web.Request) -> web.Response:
        return web.json_response(
            {
                "token": "t",
                "level": "write",
                "proven_at": "2026-11-22T00:00:00Z",
                "expires_at": "2026-11-23T00:00:00Z",
            },
            status=201,
        )

    app = web.Application()
    app.router.add_post("/v1/proofs", accept)
    server = await aiohttp_server(app)
    mine = settings(order_api={"base_url": f"http://127.0.0.1:{server.port}"})
    (found,) = await findings(doctor.check_order_api, mine)

    assert "error" == found.level


@pytest.mark.parametrize("demo", [True, False])
async def test_a_shop_that_is_away_is_an_error_only_when_it_is_not_the_demo(
    settings: Any, demo: bool
) -> None:
    order_api = {} if demo else {"base_url": f"http://127.0.0.1:{free_port()}"}
    (found,) = await findings(doctor.check_order_api, settings(order_api=order_api))

    assert ("note" if demo else "error") == found.level


async def test_certified_mode_without_a_certificate_is_an_error(settings: Any, tmp_path: Path) -> None:
    mine = settings(generator={"mode": "certified", "certificate": tmp_path / "missing.json"})
    (found,) = await findings(doctor.check_certificate, mine)

    assert "error" == found.level
    assert "kefu calibrate" in found.remedy


@pytest.mark.parametrize(("status", "level"), [(200, "ok"), (401, "error"), (404, "error"), (503, "error")])
@pytest.mark.parametrize("ending", ["", "/v1", "/v1/"])
async def test_a_server_in_the_generators_place_is_asked_where_the_client_asks(
    settings: Any, aiohttp_server: Any, status: int, level: str, ending: str
) -> None:
    async def models(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": []}, status=status)

    app = web.Application()
    app.router.add_get("/v1/models", models)
    server = await aiohttp_server(app)
    mine = settings(generator={"base_url": f"http://127.0.0.1:{server.port}{ending}"})
    (found,) = await findings(doctor.check_generator, mine)

    assert level == found.level


def test_settings_that_are_not_valid_are_a_finding_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer

    file = tmp_path / "kefu.yml"
    file.write_text("gatewy:\n  port: 1\n")
    monkeypatch.setenv("KEFU_SETTINGS", str(file))
    with pytest.raises(typer.Exit) as caught:
        doctor.doctor(as_json=True)
    report = json.loads(capsys.readouterr().out)

    assert 1 == caught.value.exit_code
    assert 1 == report["errors"]
    assert "gatewy" in report["findings"][0]["message"]


@pytest.mark.services
async def test_postgresql_and_redis_that_answer_are_found(
    settings: Any, postgresql_url: str, redis_url: str
) -> None:
    import channels.store  # noqa: F401 - declares the tables
    from bot.database import create_tables, make_engine

    mine = settings(database_url=postgresql_url, redis_url=redis_url)
    assert ["note"] == levels(await findings(doctor.check_database, mine))
    engine = make_engine(mine.sqlalchemy_url)
    await create_tables(engine)
    await engine.dispose()

    assert ["ok"] == levels(await findings(doctor.check_database, mine))
    assert ["ok"] == levels(await findings(doctor.check_redis, mine))
