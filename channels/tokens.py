"""Tokens and signatures of the web chat.

visitor   who an anonymous shopper is: issued here, `v1.<id>.<mac>`, bound to a site
identity  who a signed-in customer is: a JWT the shop signs with the site's secret (HS256)
ticket    opens one event stream: short-lived, made from either
link      opens one file for a while

This module knows no HTTP and no database.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt

from bot.exceptions import SettingsError, TokenRejected
from bot.settings import Settings, SiteSettings

MAX_IDENTITY_LIFE = 3600  # seconds; a shop that signs for longer has misunderstood something
_LEEWAY = 60  # seconds two clocks may differ
_SECRET_BYTES = 16  # the fewest of a secret


@dataclass(frozen=True)
class Visitor:
    """Who is at the other end of a connection."""

    site: str
    shopper: str  # "guest:<id>" or "customer:<sub>"
    customer: str | None = None  # "site:<sub>", only from a verified identity token
    name: str | None = None
    expires: float | None = None  # seconds since 1970, of the identity


def load_secret(configured: str | None, path: Path) -> bytes:
    """The gateway's signing secret: configured, or made once and kept in `path` (mode 0600).

    Raises:
        SettingsError: it is too short to be a secret, or its file cannot be written or read.
    """
    if configured is not None:
        if len(configured) < _SECRET_BYTES:
            raise SettingsError(
                f"gateway.secret must have at least {_SECRET_BYTES} characters (KEFU_GATEWAY__SECRET)"
            )
        return configured.encode()
    try:
        if not path.exists():
            _make_secret(path)
        secret = path.read_bytes().strip()
    except OSError as exc:
        raise SettingsError(
            f"The gateway's secret cannot be kept in {path}: {exc.strerror or exc}. "
            "Remedy: free some space or let it be written there, or set KEFU_GATEWAY__SECRET."
        ) from exc
    if len(secret) < _SECRET_BYTES:  # with an empty one anybody could sign as any customer
        raise SettingsError(
            f"{path} holds no secret. Remedy: remove it (visitors start anew) or set KEFU_GATEWAY__SECRET."
        )
    return secret


def _make_secret(path: Path) -> None:
    """Put a new secret at `path`, whole or not at all: the disk may be full, and another gateway start as well."""
    handle, part = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".part", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(handle)
        with contextlib.suppress(FileExistsError):  # the other was quicker: its secret is everybody's
            os.link(part, path)
    finally:
        os.unlink(part)


class Tokens:
    """Makes and checks all of them."""

    def __init__(self, secret: bytes, sites: dict[str, SiteSettings]) -> None:
        self._secret = secret
        self._sites = sites

    def new_visitor(self, site: str) -> tuple[str, Visitor]:
        """A token for somebody new, and who that is."""
        identifier = secrets.token_urlsafe(16)
        token = f"v1.{identifier}.{self._mac('visitor', site, identifier)}"
        return token, Visitor(site, f"guest:{identifier}")

    def visitor(self, token: str, site: str) -> Visitor:
        """Raises:
        TokenRejected: it is not one of ours for this site.
        """
        version, _, rest = token.partition(".")
        identifier, _, mac = rest.partition(".")
        if version != "v1" or not _same(mac, self._mac("visitor", site, identifier)):
            raise TokenRejected("The visitor token is not one of this site's")
        return Visitor(site, f"guest:{identifier}")

    def identity(self, token: str, site: str, *, now: float | None = None) -> Visitor:
        """Who the shop says this is.

        The token's header may name its key (`kid`, see `key_id`); without one both secrets are tried.

        Raises:
            TokenRejected: forged, expired, for another site, or good for more than an hour.
        """
        settings = self._sites.get(site)
        if settings is None:
            raise TokenRejected(f"There is no site {site!r}")
        keys = [settings.secret, *([settings.previous_secret] if settings.previous_secret else [])]
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except jwt.PyJWTError as exc:
            raise TokenRejected(f"The identity token cannot be read: {exc}") from exc
        named = [key for key in keys if kid is not None and key_id(key) == kid]
        for key in named or keys:
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    key,
                    algorithms=["HS256"],
                    audience=site,
                    leeway=_LEEWAY,
                    options={"require": ["sub", "aud", "exp"]},
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.PyJWTError as exc:
                raise TokenRejected(f"The identity token is not accepted: {exc}") from exc
            return self._customer(claims, site, time.time() if now is None else now)
        raise TokenRejected("The identity token is not signed with the site's secret")

    def _customer(self, claims: dict[str, Any], site: str, now: float) -> Visitor:
        if claims["aud"] != site:  # a token for several audiences is a token for nobody
            raise TokenRejected("The identity token names more than one audience")
        if claims["exp"] - now > MAX_IDENTITY_LIFE + _LEEWAY:
            raise TokenRejected("The identity token is good for more than an hour: sign shorter ones")
        sub = claims["sub"]
        if not isinstance(sub, str) or not sub or len(sub) > 200:
            raise TokenRejected("The identity token's sub must be a string of 1 to 200 characters")
        name = claims.get("name")
        return Visitor(
            site, f"customer:{sub}", f"site:{sub}", str(name)[:80] if name else None, float(claims["exp"])
        )

    def ticket(self, visitor: Visitor, purpose: str, life: int) -> str:
        """Stands for a visitor for `life` seconds and one purpose: "stream" (an EventSource can send
        no header) or "session" (POST)."""
        fields = [visitor.site, visitor.shopper, visitor.customer, visitor.name, visitor.expires]
        body = base64.urlsafe_b64encode(
            json.dumps([*fields, int(time.time()) + life, secrets.token_hex(8)]).encode()
        ).decode()
        return f"{body}.{self._mac(purpose, body)}"

    def from_ticket(self, ticket: str, purpose: str) -> Visitor:
        """Raises:
        TokenRejected: forged or too old.
        """
        body, _, mac = ticket.rpartition(".")
        if not _same(mac, self._mac(purpose, body)):
            raise TokenRejected("The ticket is not one of ours")
        site, shopper, customer, name, expires, until, _ = json.loads(base64.urlsafe_b64decode(body))
        if until < time.time():
            raise TokenRejected("The ticket is too old: ask for another")
        return Visitor(site, shopper, customer, name, expires)

    def slip(self, attachment: dict[str, Any], conversation: str) -> str:
        """What an upload is answered with: proves that this file was sent in this conversation."""
        body = base64.urlsafe_b64encode(json.dumps(attachment).encode()).decode()
        return f"{body}.{self._mac('slip', conversation, body)}"

    def open_slip(self, slip: str, conversation: str) -> dict[str, Any]:
        """Raises:
        TokenRejected: the slip is forged or belongs to another conversation.
        """
        body, _, mac = slip.rpartition(".")
        if not _same(mac, self._mac("slip", conversation, body)):
            raise TokenRejected("The file's slip is not of this conversation")
        attachment: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body))
        return attachment

    def sign_link(self, media_id: str, life: int) -> str:
        """The query string that opens a file for `life` seconds."""
        until = int(time.time()) + life
        return f"until={until}&sign={self._mac('media', media_id, str(until))}"

    def check_link(self, media_id: str, until: str, sign: str) -> None:
        """Raises:
        TokenRejected: the link is forged or its time is over.
        """
        if not _same(sign, self._mac("media", media_id, until)):
            raise TokenRejected("The link is not one of ours")
        if int(until) < time.time():
            raise TokenRejected("The link is too old")

    def source(self, address: str) -> str:
        """A network address, so that it can be counted and not read."""
        return self._mac("source", address)[:16]

    def _mac(self, *parts: str) -> str:
        digest = hmac.new(self._secret, "\x1f".join(parts).encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest[:24]).decode()


def file_links(settings: Settings) -> Callable[[str], str | None]:
    """Makes addresses under which a shopper opens a file for a while; None where the gateway has no public one."""
    public = (settings.gateway.public_url or "").rstrip("/")
    secret = load_secret(settings.gateway.secret, settings.data_path("gateway.secret"))
    tokens, life = Tokens(secret, settings.sites), settings.media.link_life

    def link(media_id: str) -> str | None:
        return f"{public}/media/{media_id}?{tokens.sign_link(media_id, life)}" if public else None

    return link


def key_id(secret: str) -> str:
    """The `kid` of a site's secret: the first 8 hex digits of its SHA-256."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
