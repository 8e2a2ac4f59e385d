"""Signing in by OpenID Connect against a local provider that signs with RS256."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp.test_utils import TestServer, unused_port

from bot.exceptions import SettingsError
from bot.settings import Settings
from channels.app import make_app
from channels.desk.app import install
from channels.desk.oidc import claim
from tests.channels.desk.fake_provider import CLIENT, SECRET, FakeProvider, Key
from tests.channels.desk.house import PASSWORD, House, open_house

ROLES = {"agent": ["support"], "lead": ["support-leads"], "admin": ["it"]}


class Browser:
    """Follows redirects and keeps cookies, as a browser does."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        house.sessions.append(self.session)

    async def sign_in(self) -> str:
        """Where it ends."""
        async with self.session.get(f"{self.house.url}/desk/oidc/start") as response:
            return str(response.url.relative())

    async def me(self) -> tuple[int, dict[str, Any]]:
        async with self.session.get(f"{self.house.url}/desk/api/me") as response:
            return response.status, await response.json()


@asynccontextmanager
async def open_door(path: Path, **desk: Any) -> AsyncIterator[tuple[House, FakeProvider]]:
    provider = FakeProvider()
    server = TestServer(provider.app())
    await server.start_server()
    provider.issuer = f"http://127.0.0.1:{server.port}"
    port = unused_port()
    oidc = {
        "issuer": provider.issuer,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "roles": ROLES,
        **desk.pop("oidc", {}),
    }
    try:
        async with open_house(
            path, desk={"oidc": oidc, **desk}, gateway={"public_url": f"http://127.0.0.1:{port}"}, port=port
        ) as house:
            yield house, provider
    finally:
        await server.close()


async def test_a_person_signs_in_with_the_role_the_claim_gives(tmp_path: Path) -> None:
    """First time, again with another role, as a lead by the higher of two groups."""
    async with open_door(tmp_path) as (house, provider):
        browser = Browser(house)
        assert "/desk" == await browser.sign_in()
        status, me = await browser.me()
        assert (200, "lin", "agent") == (status, me["name"], me["role"])

        provider.person = {
            **provider.person,
            "groups": ["support", "support-leads"],
            "preferred_username": "lin.yue",
        }
        assert "/desk" == await browser.sign_in()
        assert ("lin", "lead") == ((await browser.me())[1]["name"], (await browser.me())[1]["role"])
        assert [("lin", "lead")] == [one for one in await house.desk.staff.people() if one[0] != "admin"]
        states = [asked["state"] for asked in provider.asked]
        assert len(set(states)) == len(states) and len({asked["nonce"] for asked in provider.asked}) == len(
            states
        )


async def test_nobody_becomes_a_colleague_by_name(tmp_path: Path) -> None:
    """A name that is taken, another person of the same name, a closed account, and no role: all stay outside."""
    async with open_door(tmp_path) as (house, provider):
        await house.desk.staff.add("lin", "admin", PASSWORD)
        browser = Browser(house)
        assert "/desk?error=oidc_name" == await browser.sign_in()
        assert 401 == (await browser.me())[0]
        provider.person = {"sub": "u-2", "preferred_username": "mia", "groups": ["visitors"]}
        assert "/desk?error=oidc_role" == await browser.sign_in()
        provider.person = {"sub": "u-2", "preferred_username": "mia", "groups": "support"}
        assert "/desk" == await browser.sign_in()
        assert await house.desk.staff.switch_off("mia")
        assert 401 == (await browser.me())[0]
        assert "/desk?error=oidc_closed" == await browser.sign_in()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda claims: {**claims, "iss": "http://127.0.0.1:1/other"},
        lambda claims: {**claims, "aud": "another-client"},
        lambda claims: {**claims, "aud": [CLIENT, "another-client"], "azp": "another-client"},
        lambda claims: {**claims, "nonce": "of another sign-in"},
        lambda claims: {name: value for name, value in claims.items() if name != "nonce"},
        lambda claims: {**claims, "exp": int(time.time()) - 120},
        lambda claims: {name: value for name, value in claims.items() if name != "exp"},
        lambda claims: {**claims, "iat": int(time.time()) + 600},
        lambda claims: {name: value for name, value in claims.items() if name != "sub"},
    ],
)
async def test_a_token_that_is_not_for_us_now_opens_nothing(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    async with open_door(tmp_path) as (house, provider):
        provider.spoil = spoil
        browser = Browser(house)
        assert "/desk?error=oidc_token" == await browser.sign_in()
        assert 401 == (await browser.me())[0]


async def test_only_the_providers_keys_sign(tmp_path: Path) -> None:
    """Another key, no signature, HS256 with the public key; and a key that was exchanged is found."""
    async with open_door(tmp_path) as (house, provider):
        browser = Browser(house)
        assert "/desk" == await browser.sign_in()
        stranger = Key()
        public = str(provider.key.public["n"])
        forged = {
            "another key": lambda claims: jwt.encode(
                claims, stranger.private, "RS256", headers={"kid": provider.key.id}
            ),
            "none": lambda claims: jwt.encode(claims, None, "none"),  # type: ignore[arg-type]
            "hs256": lambda claims: jwt.encode(
                claims, public.ljust(32, "x"), "HS256", headers={"kid": provider.key.id}
            ),
            "nonsense": lambda claims: "a.b.c",
        }
        for name, sign in forged.items():
            provider.sign = sign
            other = Browser(house)
            assert "/desk?error=oidc_token" == await other.sign_in(), name
            assert 401 == (await other.me())[0]

        provider.sign = provider.signed
        provider.key = Key()
        provider.published = [provider.key]
        assert "/desk" == await Browser(house).sign_in()


async def test_only_the_browser_that_left_comes_back(tmp_path: Path) -> None:
    """No cookie, another browser's state, the same code twice, an error of the provider, a provider that is down."""
    async with open_door(tmp_path) as (house, provider):
        victim, thief = Browser(house), Browser(house)
        async with thief.session.get(f"{house.url}/desk/oidc/start", allow_redirects=False) as response:
            away = response.headers["Location"]
        async with thief.session.get(away, allow_redirects=False) as response:
            back = response.headers["Location"]
        async with victim.session.get(back, allow_redirects=False) as response:
            assert "/desk?error=oidc_state" == response.headers["Location"]
        async with victim.session.get(f"{house.url}/desk/oidc/start", allow_redirects=False):
            pass
        async with victim.session.get(back, allow_redirects=False) as response:
            assert "/desk?error=oidc_state" == response.headers["Location"]
        assert 401 == (await victim.me())[0]

        async with thief.session.get(back, allow_redirects=False) as response:
            assert "/desk" == response.headers["Location"]
        async with thief.session.get(f"{house.url}/desk/oidc/start", allow_redirects=False):
            pass
        async with thief.session.get(back, allow_redirects=False) as response:
            assert "/desk?error=oidc_state" == response.headers["Location"]
        provider.down = True
        assert house.desk.door.oidc is not None
        house.desk.door.oidc._found = None
        assert "/desk?error=oidc_down" == await victim.sign_in()


async def test_passwords_can_be_switched_off(tmp_path: Path) -> None:
    async with open_door(tmp_path, passwords=False) as (house, _):
        await house.desk.staff.add("lin.old", "admin", PASSWORD)
        browser = Browser(house)
        async with browser.session.post(
            f"{house.url}/desk/api/sign-in", json={"name": "lin.old", "password": PASSWORD}
        ) as response:
            assert 403 == response.status
        async with browser.session.get(f"{house.url}/desk/api/door") as response:
            assert {"passwords": False, "oidc": True} == await response.json()
        assert "/desk" == await browser.sign_in()
        assert not (tmp_path / "desk-password").exists()


def test_settings_that_let_nobody_in_stop_the_start(tmp_path: Path) -> None:
    for desk, words in (
        ({"passwords": False}, "nobody could sign in"),
        ({"oidc": {"issuer": "http://login.example.com", "client_id": "x", "roles": ROLES}}, "https"),
        ({"oidc": {"issuer": "https://login.example.com", "client_id": "x", "roles": {}}}, "maps no role"),
    ):
        with pytest.raises(SettingsError, match=words):
            make_app(Settings(data_dir=tmp_path, desk=desk), extensions=[install])


def test_a_claim_is_found_by_name_or_path() -> None:
    claims = {"realm_access": {"roles": ["a"]}, "https://example.com/roles": ["b"], "groups": "c"}
    assert ["a"] == claim(claims, "realm_access.roles")
    assert ["b"] == claim(claims, "https://example.com/roles")
    assert "c" == claim(claims, "groups")
    assert claim(claims, "groups.x") is None and claim(claims, "none") is None
