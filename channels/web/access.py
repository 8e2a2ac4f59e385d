"""Who may speak: which pages, which shopper, which session."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from bot.exceptions import TokenRejected
from bot.settings import Settings
from channels.channel import Conversation
from channels.gateway import Gateway
from channels.linking import link_by_identity, someone_elses
from channels.proxies import address_of
from channels.tokens import Tokens, Visitor

CHANNEL = "web"


class Access:
    """Tells pages and shoppers apart."""

    def __init__(self, gateway: Gateway, settings: Settings, tokens: Tokens) -> None:
        self.gateway = gateway
        self.settings = settings
        self.tokens = tokens

    def origin_allowed(self, request: web.Request, site: str) -> bool:
        """A browser says where the page came from; a page of another origin needs the site's leave."""
        origin = request.headers.get("Origin")
        if origin is None and request.headers.get("Sec-Fetch-Site") == "same-origin":
            # A GET within one origin has no Origin; this header no script can set says that it is one.
            origin = f"{request.scheme}://{request.host}"
        settings = self.settings.sites.get(site)
        if settings is None or not origin:
            return False
        return origin in settings.origins or self._own_origin(request, origin)

    def _own_origin(self, request: web.Request, origin: str) -> bool:
        public = self.settings.gateway.public_url
        if public and urlsplit(origin).netloc == urlsplit(public).netloc:
            return True  # behind a proxy the scheme seen here is not the one outside
        # Only loopback names: a foreign name that resolves here (DNS rebinding) is not ours.
        host = urlsplit(origin).hostname or ""
        return host in ("127.0.0.1", "localhost", "::1") and urlsplit(origin).netloc == request.host

    def source(self, request: web.Request) -> str:
        """The network address, hashed."""
        return self.tokens.source(address_of(request, self.settings.gateway.proxies))

    async def authenticate(self, hello: dict[str, Any], site: str) -> tuple[Visitor, str, Conversation]:
        """(who, visitor token, conversation). The token is a new one when none is given.

        A guest who signs in takes his conversation along, unless the customer has one already or it is linked with
        another customer's.

        Raises:
            TokenRejected: a token is given and is not good.
        """
        token = hello.get("token")
        if token is not None and not isinstance(token, str):
            raise TokenRejected("token must be a string")
        if token:
            guest = self.tokens.visitor(token, site)
        else:
            token, guest = self.tokens.new_visitor(site)
        visitor, before = guest, None
        identity = hello.get("identity")
        if identity:
            visitor = self.tokens.identity(str(identity), site)
            customer = visitor.customer or ""
            before = await self.gateway.store.find_conversation(CHANNEL, site, guest.shopper)
            if before is None or not await someone_elses(self.gateway, before.id, customer):
                known = await self.gateway.store.adopt(
                    CHANNEL, site, guest.shopper, visitor.shopper, customer
                )
                if known is not None:
                    self.gateway.wake.wake(known.id, left=guest.shopper)
                    before = None  # it came along
        locale = hello.get("locale")
        async with self.gateway.store.write() as connection:
            conversation = await self.gateway.store.open_conversation(
                connection, CHANNEL, site, visitor.shopper,
                locale=str(locale)[:16] if locale else None, customer=visitor.customer,
            )  # fmt: skip
        if visitor.customer is not None:
            await link_by_identity(self.gateway, conversation, before)
        return visitor, token, conversation

    async def by_session(self, request: web.Request, site: str) -> tuple[Visitor, Conversation] | None:
        """Whose session the request's Authorization header names; None when it is not good or not of this site."""
        scheme, _, session = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            visitor = self.tokens.from_ticket(session, "session")
        except (TokenRejected, ValueError):
            return None
        if visitor.site != site or (visitor.expires is not None and visitor.expires < time.time()):
            return None
        conversation = await self.gateway.store.find_conversation(CHANNEL, site, visitor.shopper)
        return None if conversation is None else (visitor, conversation)
