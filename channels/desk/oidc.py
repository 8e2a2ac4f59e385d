"""Signing in at the desk by OpenID Connect: authorization code with PKCE, state and nonce, by Authlib.

What began is kept in a signed cookie of ten minutes; the ID token's signature is checked with the provider's keys
(asymmetric algorithms only), then issuer, audience, nonce and times. A claim says which role somebody has; without
one he stays outside. This module knows no accounts: `channels.desk.staff` does.
Rules: OpenID Connect Core 1.0, section 3.1; RFC 7636 (PKCE).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt as pyjwt
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from bot.exceptions import DeskError, SettingsError
from bot.settings import OidcSettings
from channels.desk.staff import ROLES

LIFE = 600  # seconds somebody may take to sign in at the provider
KEEP = 3600  # seconds the provider's addresses are kept
LEEWAY = 60  # seconds clocks may differ
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")


@dataclass(frozen=True)
class Identity:
    """Who the provider says it is. `subject` never changes; `name` is what colleagues and shoppers read."""

    subject: str
    name: str
    role: str


class Oidc:
    """One provider."""

    def __init__(self, settings: OidcSettings, *, secret: bytes, redirect_uri: str) -> None:
        """`secret` signs the cookie.

        Raises:
            SettingsError: the issuer is no https address, or no role is mapped.
        """
        where = urlsplit(settings.issuer)
        if where.scheme != "https" and where.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise SettingsError("desk.oidc.issuer must be the https address of the provider.")
        if strange := set(settings.roles) - set(ROLES):
            raise SettingsError(
                f"desk.oidc.roles: there is no role {', '.join(sorted(strange))}; only {', '.join(ROLES)}"
            )
        if not any(settings.roles.values()):
            raise SettingsError(
                "desk.oidc.roles maps no role, so nobody could sign in: name a value for agent."
            )
        self._settings = settings
        self._secret = secret
        self._redirect_uri = redirect_uri
        self._found: tuple[float, dict[str, Any]] | None = None
        self._keys: KeySet | None = None

    # going there

    async def start(self) -> tuple[str, str]:
        """(the provider's address to go to, the cookie to keep meanwhile).

        Raises:
            DeskError: the provider does not answer.
        """
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        provider = await self._provider()
        async with self._client() as client:
            url, _ = client.create_authorization_url(
                provider["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier
            )
        kept = {
            "state": state,
            "nonce": nonce,
            "verifier": verifier,
            "aud": "desk-oidc",
            "exp": int(time.time()) + LIFE,
        }
        return url, pyjwt.encode(kept, self._secret, algorithm="HS256")

    # coming back

    async def finish(self, query: Mapping[str, str], cookie: str) -> Identity:
        """Who came back.

        Raises:
            DeskError: it is not the sign-in this browser began, the token is not good, or no role fits.
        """
        try:
            kept = pyjwt.decode(cookie, self._secret, algorithms=["HS256"], audience="desk-oidc")
        except pyjwt.PyJWTError as exc:
            raise DeskError("This sign-in was not begun here, or too long ago", code="oidc_state") from exc
        if not secrets.compare_digest(query.get("state", "").encode(), str(kept["state"]).encode()):
            raise DeskError("This sign-in was not begun here", code="oidc_state")
        if query.get("error") or not query.get("code"):
            raise DeskError(
                f"The provider refused: {query.get('error', '')[:60]}", code="oidc_refused", status=403
            )
        provider = await self._provider()
        if query.get("iss", self._settings.issuer) != self._settings.issuer:  # RFC 9207
            raise DeskError("The answer comes from another provider", code="oidc_token", status=403)
        try:
            async with self._client() as client:
                answer = await client.fetch_token(
                    provider["token_endpoint"], code=query["code"], code_verifier=kept["verifier"],
                    grant_type="authorization_code",
                )  # fmt: skip
        except (AuthlibBaseError, httpx.HTTPError, ValueError) as exc:
            raise DeskError(
                f"The provider gave no token: {type(exc).__name__}", code="oidc_token", status=403
            ) from exc
        claims = await self._claims(answer, str(kept["nonce"]))
        return self._identity(claims)

    async def _claims(self, answer: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        """The ID token's claims, when all of it is as it must be.

        Raises:
            DeskError: it is not.
        """
        raw = str(answer.get("id_token") or "")
        try:
            token = await self._decoded(raw)
            claims = CodeIDToken(
                token.claims,
                token.header,
                options={
                    "iss": {"essential": True, "value": self._settings.issuer},
                    "aud": {"essential": True, "value": self._settings.client_id},
                    "sub": {"essential": True},
                },
                params={
                    "nonce": nonce,
                    "client_id": self._settings.client_id,
                    "access_token": answer.get("access_token"),
                },
            )
            claims.validate(leeway=LEEWAY)
        except (JoseError, AuthlibBaseError, ValueError, KeyError, TypeError) as exc:
            raise DeskError(
                f"The provider's token is not good: {type(exc).__name__}", code="oidc_token", status=403
            ) from exc
        return dict(claims)

    async def _decoded(self, raw: str) -> Any:
        """Signature checked. A key we do not know may be new: the keys are read once more."""
        fresh = self._keys is None
        keys = self._keys or await self._read_keys()
        try:
            return jwt.decode(raw, keys, algorithms=list(ALGORITHMS))
        except (JoseError, ValueError):
            if fresh:
                raise
            return jwt.decode(raw, await self._read_keys(), algorithms=list(ALGORITHMS))

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        named = claim(claims, self._settings.name_claim)
        name = "".join(c if c.isalnum() or c in "_.@-" else "." for c in str(named or claims["sub"]).strip())[
            :64
        ]
        said = claim(claims, self._settings.role_claim)
        values = {str(one) for one in (said if isinstance(said, list | tuple) else [said]) if one is not None}
        for role in reversed(ROLES):  # the highest that fits
            if values & set(self._settings.roles.get(role, ())):
                return Identity(f"{self._settings.issuer} {claims['sub']}"[:255], name, role)
        raise DeskError(f"{name} has no role at this desk", code="oidc_role", status=403)

    # the provider

    def _client(self) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self._settings.client_id,
            self._settings.client_secret or None,
            scope=" ".join(self._settings.scopes),
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self._settings.client_secret else "none",
            timeout=self._settings.timeout,
            trust_env=False,
        )

    async def _get(self, url: str) -> Any:
        try:
            async with httpx.AsyncClient(timeout=self._settings.timeout, trust_env=False) as client:
                response = await client.get(url)
                response.raise_for_status()
                return response.json()
        except (httpx.HTTPError, ValueError) as exc:
            raise DeskError(
                f"The sign-in provider does not answer: {type(exc).__name__}", code="oidc_down", status=502
            ) from exc

    async def _provider(self) -> dict[str, Any]:
        """The provider's own description of itself."""
        if self._found is not None and self._found[0] > time.monotonic():
            return self._found[1]
        found = await self._get(f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration")
        wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if (
            not isinstance(found, dict)
            or found.get("issuer") != self._settings.issuer
            or not all(isinstance(found.get(name), str) for name in wanted)
        ):
            raise DeskError(
                f"{self._settings.issuer} does not describe itself as that issuer",
                code="oidc_down",
                status=502,
            )
        self._found = (time.monotonic() + KEEP, found)
        return found

    async def _read_keys(self) -> KeySet:
        provider = await self._provider()
        self._keys = KeySet.import_key_set(await self._get(provider["jwks_uri"]))
        return self._keys

    async def check(self) -> str:
        """For `kefu doctor`: the provider answers as it should; how many keys it has. Raises: DeskError."""
        keys = await self._read_keys()
        return f"{self._settings.issuer} answers with {len(keys.keys)} keys"


def claim(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by name, or by a path like ``realm_access.roles``; a name with dots of its own is found first."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
