"""Who may in: passwords, the session's cookie, the page's token, single sign-on, and refusals with a code."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlsplit

from aiohttp import web

from bot.exceptions import DeskError, MediaRefused, OwnershipLost, TooMany
from bot.settings import Settings
from channels.desk.forms import answer, body_of, text_of
from channels.desk.oidc import Oidc
from channels.desk.staff import Person, Staff
from channels.proxies import address_of
from channels.tokens import Tokens

logger = logging.getLogger(__name__)

COOKIE = "kefu_desk"
OIDC_COOKIE = "kefu_desk_oidc"
OIDC_BACK = "/desk/oidc/callback"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Signed = Callable[[web.Request, Person], Awaitable[web.StreamResponse]]


class Door:
    """Lets people of the desk in.

    Args:
        oidc: the shop's single sign-on, where there is one.
        about: what the page is told of the person who came in.
    """

    def __init__(
        self,
        settings: Settings,
        tokens: Tokens,
        staff: Staff,
        *,
        oidc: Oidc | None,
        about: Callable[[Person], dict[str, Any]],
    ) -> None:
        self.settings = settings
        self.tokens = tokens
        self.staff = staff
        self.oidc = oidc
        self._about = about

    def routes(self, app: web.Application) -> None:
        add = app.router.add_route
        add("POST", "/desk/api/sign-in", self.guard(self._sign_in))
        add("GET", "/desk/api/door", self.guard(self._door))
        add("POST", "/desk/api/sign-out", self.signed(self._sign_out))
        add("POST", "/desk/api/password", self.signed(self._password))
        add("GET", "/desk/oidc/start", self._oidc_start)
        add("GET", OIDC_BACK, self._oidc_back)

    async def who(self, request: web.Request) -> Person | None:
        """The person whose session a request carries."""
        return await self.staff.who(request.cookies.get(COOKIE))

    def guard(self, handler: Handler) -> Handler:
        """Our own errors become JSON with a code the page has words for."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except DeskError as exc:
                return answer({"error": exc.code, "message": str(exc)}, exc.status)
            except TooMany as exc:
                retry = {"Retry-After": str(int(exc.retry_after) + 1)}
                return answer({"error": "too_many", "retry_after": exc.retry_after}, 429, retry)
            except OwnershipLost as exc:
                return answer({"error": "taken", "message": str(exc)}, 409)
            except MediaRefused as exc:
                return answer({"error": exc.code, "message": str(exc)}, 415)
            except LookupError as exc:
                return answer({"error": "unknown", "message": str(exc)}, 404)

        return guarded

    def signed(self, handler: Signed) -> Handler:
        """For those who have signed in, from the desk's own page; our own errors as in `guard`."""

        async def known(request: web.Request) -> web.StreamResponse:
            person = await self.who(request)
            if person is None:
                raise DeskError("Sign in first", code="signed_out", status=401)
            if request.method != "GET":
                self.same_site(request)
                if request.headers.get("X-CSRF") != person.csrf:
                    raise DeskError("The page is out of date: load it again", code="csrf", status=403)
            return await handler(request, person)

        return self.guard(known)

    def same_site(self, request: web.Request) -> None:
        """A browser says which page asks. Another site's page is refused, cookie or not."""
        origin = request.headers.get("Origin")
        if origin is None:
            return  # no browser: it has no cookie to abuse but its own
        public = self.settings.gateway.public_url
        if urlsplit(origin).netloc != request.host and origin != (public or "").rstrip("/"):
            raise DeskError("This request comes from another site", code="origin", status=403)

    def _secure(self, request: web.Request) -> bool:
        if (self.settings.gateway.public_url or "").startswith("https://") or request.secure:
            return True
        return bool(self.settings.gateway.proxies) and request.headers.get("X-Forwarded-Proto") == "https"

    def _source(self, request: web.Request) -> str:
        return self.tokens.source(address_of(request, self.settings.gateway.proxies))

    async def _sign_in(self, request: web.Request) -> web.Response:
        self.same_site(request)
        if not self.settings.desk.passwords:
            raise DeskError("Passwords are switched off here", code="no_passwords", status=403)
        body = await body_of(request)
        name, password = text_of(body, "name", 64), text_of(body, "password", 1000)
        cookie, person = await self.staff.sign_in(name, password, self._source(request))
        response = answer(self._about(person))
        self._give_cookie(request, response, cookie)
        return response

    def _give_cookie(self, request: web.Request, response: web.Response, cookie: str) -> None:
        response.set_cookie(
            COOKIE, cookie, httponly=True, samesite="Strict", secure=self._secure(request), path="/desk",
            max_age=self.settings.desk.session_hours * 3600,
        )  # fmt: skip

    async def _door(self, _: web.Request) -> web.Response:
        """Which ways of signing in there are."""
        return answer({"passwords": self.settings.desk.passwords, "oidc": self.oidc is not None})

    async def _oidc_start(self, request: web.Request) -> web.Response:
        """To the provider. What comes back is only taken from the browser that left."""
        if self.oidc is None:
            raise web.HTTPNotFound
        try:
            await self.staff.count_try(self._source(request))
            url, kept = await self.oidc.start()
        except (DeskError, TooMany) as exc:
            return _to_door(exc)
        response = web.Response(status=302, headers={"Location": url, "Cache-Control": "no-store"})
        # Lax: the way back is a link from another site.
        response.set_cookie(
            OIDC_COOKIE, kept, httponly=True, samesite="Lax", secure=self._secure(request), path="/desk/oidc",
            max_age=600,
        )  # fmt: skip
        return response

    async def _oidc_back(self, request: web.Request) -> web.Response:
        if self.oidc is None:
            raise web.HTTPNotFound
        try:
            who = await self.oidc.finish(request.query, request.cookies.get(OIDC_COOKIE, ""))
            cookie, _ = await self.staff.enter(who.subject, who.name, who.role)
        except DeskError as exc:
            logger.warning("desk.oidc_refused reason=%s", exc)
            response = _to_door(exc)
        else:
            response = web.Response(status=302, headers={"Location": "/desk", "Cache-Control": "no-store"})
            self._give_cookie(request, response, cookie)
        response.del_cookie(OIDC_COOKIE, path="/desk/oidc")
        return response

    async def _sign_out(self, request: web.Request, person: Person) -> web.Response:
        await self.staff.sign_out(request.cookies[COOKIE])
        response = answer({})
        response.del_cookie(COOKIE, path="/desk")
        return response

    async def _password(self, request: web.Request, person: Person) -> web.Response:
        body = await body_of(request)
        await self.staff.sign_in(person.name, text_of(body, "old", 1000), self._source(request))
        await self.staff.add(person.name, person.role, text_of(body, "new", 1000))
        return answer({})


def _to_door(exc: DeskError | TooMany) -> web.Response:
    code = exc.code if isinstance(exc, DeskError) else "too_many"
    return web.Response(
        status=302, headers={"Location": f"/desk?error={quote(code)}", "Cache-Control": "no-store"}
    )
