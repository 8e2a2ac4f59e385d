"""The client of the order API (`openapi.yaml`): calls, retries, and other people's errors made ours.

It knows HTTP and the contract; it knows no policy, no conversation and no shop. Exception messages
and log lines carry operation names, status and problem codes only: never a proof, a grant, an order
number or anything a shop wrote in its error texts.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Self, TypeVar
from urllib.parse import quote

import aiohttp
from pydantic import TypeAdapter, ValidationError

from bot import tracing
from bot.exceptions import (
    OrderError,
    OrderRefused,
    OutcomeUnknown,
    ProofExpired,
    ProofRejected,
    ShopUnavailable,
    StaleOrder,
)
from bot.orders.models import (
    Grant,
    Operation,
    Order,
    OrderState,
    OrderSummary,
    Outcome,
    Product,
    ProofKind,
    Receipt,
)
from bot.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

ORDER_PATHS: Mapping[Operation, str] = {
    Operation.CANCEL: "cancel",
    Operation.CHANGE_ADDRESS: "address",
    Operation.CHANGE_ITEMS: "items",
    Operation.REFUND: "refund",
    Operation.RETURN: "return",
    Operation.EXCHANGE: "exchange",
    Operation.SEND_INVOICE: "invoice",
    Operation.PRICE_PROTECTION: "price-protection",
}
REQUEST_PATHS: Mapping[Operation, str] = {
    Operation.UPDATE_REQUEST: "update",
    Operation.WITHDRAW_REQUEST: "withdraw",
}

ORDER_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,64}")
KEY = re.compile(r"[A-Za-z0-9._:-]{8,200}")
CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")

RETRIED = {500, 502, 503, 504, 429}
# A gateway's word that it did not hear from the shop in time says nothing about the shop's database.
UNANSWERED = {502, 504}
BACKOFF_BASE = 0.1  # seconds
BACKOFF_CAP = 1.0  # seconds
MAX_ANSWER = 4 * 1024 * 1024  # bytes; a shop that sends more is broken

PROOF_CODES = {"proof_rejected": ProofRejected, "proof_expired": ProofExpired}


class OrderClient:
    """One shop's order API.

    `timeout` is in seconds for one call, `attempts` how often a call is made at most. A session that
    is passed in belongs to the caller and is not closed here.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout: float = 4.0,
        attempts: int = 3,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        assert attempts >= 1, "attempts counts the first try, so it is at least 1"
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._attempts = attempts
        self._session = session
        self._owns_session = session is None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The client of the shop the settings name: ``order_api``, else the demo shop."""
        return cls(
            settings.order_api_url,
            settings.order_api_key,
            timeout=settings.order_api.timeout,
            attempts=settings.order_api.attempts,
        )

    async def prove(self, kind: ProofKind, value: str, *, order_number: str | None = None) -> Grant:
        """Exchange what only the buyer knows for a grant.

        Raises:
            ProofRejected: wrong proof or no such order; the shop does not say which.
            ShopUnavailable: no answer after all attempts.
        """
        body = {"kind": kind.value, "value": value}
        if order_number is not None:
            body["order_number"] = order_number
        return await self._read("prove", "POST", "/v1/proofs", Grant, json_body=body)

    async def find_orders(
        self, grant: Grant, *, state: OrderState | None = None, limit: int = 10
    ) -> list[OrderSummary]:
        """The orders the grant opens, newest first.

        Raises:
            ProofExpired, ProofRejected, ShopUnavailable
        """
        params = {"limit": str(limit)}
        if state is not None:
            params["state"] = state.value
        return await self._read(
            "find_orders", "GET", "/v1/orders", list[OrderSummary], grant=grant, params=params, field="orders"
        )

    async def get_order(self, number: str, grant: Grant) -> Order:
        """One order, as it is now.

        Raises:
            ProofRejected: the grant does not open it or it does not exist: same answer.
            ProofExpired, ShopUnavailable
        """
        return await self._read("get_order", "GET", _order_path(number), Order, grant=grant)

    async def search_products(
        self, query: str, *, limit: int = 10, currency: str | None = None
    ) -> list[Product]:
        """Products whose words match, best first, with variants, stock and prices in `currency`.

        Without a currency prices are in the shop's own.

        Raises:
            ShopUnavailable
        """
        params = {"query": query[:200], "limit": str(limit), **({"currency": currency} if currency else {})}
        return await self._read(
            "search_products", "GET", "/v1/products", list[Product], params=params, field="products"
        )

    async def get_product(self, product_id: str, *, currency: str | None = None) -> Product:
        """One product with its variants, their stock and prices in `currency` (else the shop's own).

        Raises:
            OrderRefused: code ``not_found``.
            ShopUnavailable
        """
        params = {"currency": currency} if currency else None
        path = f"/v1/products/{_segment(product_id)}"
        return await self._read("get_product", "GET", path, Product, params=params)

    async def write(
        self,
        operation: Operation,
        order_number: str,
        body: dict[str, Any],
        *,
        key: str,
        version: int,
        grant: Grant,
    ) -> Receipt:
        """Do `operation` once, whatever the network does.

        Every try carries the same `key`, so the shop writes at most once. When no try was answered,
        the receipt is read back under the key. For ``update_request`` and ``withdraw_request`` the
        body names the request in ``request_id``. `version` is that of the order the plan was made of.

        Raises:
            StaleOrder: the order changed since that version; nothing was written.
            OrderRefused: the shop refuses, `code` says why; nothing was written.
            ProofRejected, ProofExpired: nothing was written.
            ShopUnavailable: nothing was written.
            OutcomeUnknown: it may or may not have been written; ask again with `receipt(key)`.
        """
        assert KEY.fullmatch(key), "an idempotency key is 8-200 characters of A-Z a-z 0-9 . _ : -"
        path, payload = _write_path(operation, order_number, body)
        headers = {"Idempotency-Key": key, "If-Match": f'"{version}"'}
        lost = False  # some try was sent and not answered: the shop may have written
        for attempt in range(self._attempts):
            if attempt:
                await self._back_off(operation.value, attempt)
            try:
                answer = await self._call("POST", path, grant=grant, json_body=payload, headers=headers)
            except aiohttp.ClientConnectorError:
                continue  # never left this machine
            except (aiohttp.ClientError, TimeoutError, OSError):
                lost = True
                continue
            if answer.status in UNANSWERED:
                lost = True
                continue
            if answer.status in RETRIED:
                continue
            if answer.status in (HTTPStatus.OK, HTTPStatus.CREATED):
                receipt = _parse_receipt(answer, key)
                if receipt is not None:
                    return receipt
                lost = True
                break
            refusal = _refusal(operation.value, path, answer)
            if not lost:
                raise refusal
            # An earlier try may have written and so caused this very refusal (a newer version, a
            # state that forbids it twice). The receipt tells the two apart.
            return await self._read_back(operation, key, otherwise=refusal)
        if not lost:
            # Every try was answered with an error or never sent; a careless shop may still have written.
            unavailable = ShopUnavailable(
                f"The order API did not take {operation.value} in {self._attempts} tries; is it running?"
            )
            return await self._read_back(operation, key, otherwise=unavailable)
        return await self._read_back(operation, key, otherwise=_unknown(operation))

    async def receipt(self, key: str) -> Receipt | None:
        """The receipt written under `key`, or None when the shop has none.

        Raises:
            ShopUnavailable
        """
        assert KEY.fullmatch(key), "an idempotency key is 8-200 characters of A-Z a-z 0-9 . _ : -"
        try:
            return await self._read("receipt", "GET", f"/v1/receipts/{_segment(key)}", Receipt)
        except OrderRefused as exc:
            if exc.code == "not_found":
                return None
            raise

    async def outcome(self, key: str) -> Outcome | None:
        """What became of what was written under `key`; None when the shop does not know, or does not say.

        Raises:
            ShopUnavailable
        """
        assert KEY.fullmatch(key), "an idempotency key is 8-200 characters of A-Z a-z 0-9 . _ : -"
        try:
            return await self._read("outcome", "GET", f"/v1/receipts/{_segment(key)}/outcome", Outcome)
        except OrderRefused:
            return None

    async def close(self) -> None:
        if self._session is not None and self._owns_session:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _read_back(self, operation: Operation, key: str, *, otherwise: OrderError) -> Receipt:
        try:
            receipt = await self.receipt(key)
        except OrderError as exc:
            if isinstance(otherwise, ShopUnavailable):
                raise otherwise from exc  # no try was ever taken in, and the shop is still away
            raise _unknown(operation) from exc
        if receipt is None:
            raise otherwise
        log.info("%s: answer lost, receipt read back under its key", operation.value)
        return receipt

    async def _read(
        self,
        name: str,
        method: str,
        path: str,
        shape: type[T],
        *,
        grant: Grant | None = None,
        params: Mapping[str, str] | None = None,
        json_body: dict[str, Any] | None = None,
        field: str | None = None,
    ) -> T:
        """A call that changes nothing (a proof changes nothing that matters) and may be repeated."""
        cause: Exception | None = None
        for attempt in range(self._attempts):
            if attempt:
                await self._back_off(name, attempt)
            try:
                answer = await self._call(method, path, grant=grant, params=params, json_body=json_body)
            except (aiohttp.ClientError, TimeoutError, OSError) as exc:
                cause = exc
                continue
            if answer.status in RETRIED:
                cause = None
                continue
            if answer.status in (HTTPStatus.OK, HTTPStatus.CREATED):
                return _parse(name, answer, shape, field)
            raise _refusal(name, path, answer)
        # `cause` names host and port at most: aiohttp's errors do not carry path or headers.
        raise ShopUnavailable(
            f"The order API did not answer {name} in {self._attempts} tries; is the shop running?"
        ) from cause

    async def _back_off(self, name: str, attempt: int) -> None:
        log.warning("order API: trying %s again (try %d of %d)", name, attempt + 1, self._attempts)
        ceiling = min(BACKOFF_CAP, BACKOFF_BASE * 2 ** (attempt - 1))
        # "Full jitter", AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).
        await asyncio.sleep(random.uniform(0, ceiling))

    async def _call(
        self,
        method: str,
        path: str,
        *,
        grant: Grant | None = None,
        params: Mapping[str, str] | None = None,
        json_body: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        sent = {"Authorization": f"Bearer {self._api_key}", "Accept": "application/json", **(headers or {})}
        if grant is not None:
            sent["X-Proof"] = grant.token
        # The path names an order or a key, so the span names only what kind of call it is.
        with tracing.span("order_api", call=f"{method} {path.split('/')[2]}") as span:
            if (parent := tracing.traceparent()) is not None:
                sent["traceparent"] = parent
            async with self._session.request(
                method,
                self._base_url + path,
                params=params,
                json=json_body,
                headers=sent,
                timeout=self._timeout,
                allow_redirects=False,  # a redirect would carry key and proof to another host
            ) as response:
                if (response.content_length or 0) > MAX_ANSWER:
                    raise aiohttp.ClientPayloadError("answer too long")
                if span is not None:
                    span.set_attribute("kefu.status", response.status)
                return Answer(response.status, await response.read())


class Answer:
    """Status and body of one HTTP answer, read completely."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body

    def json(self) -> Any:
        """The body as JSON; None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def code(self) -> str:
        """The problem's code, or a name made of the status when there is none."""
        problem = self.json()
        code = problem.get("code") if isinstance(problem, dict) else None
        # Only what looks like a code is passed on: this string reaches logs.
        return code if isinstance(code, str) and CODE.fullmatch(code) else f"http_{self.status}"


def _segment(text: str) -> str:
    return quote(text, safe="")


def _order_path(number: str) -> str:
    # What cannot be an order number never travels: "../" would reach another resource. The refusal is
    # the neutral one, so that it teaches nothing.
    if not ORDER_NUMBER.fullmatch(number):
        raise ProofRejected("The proof does not open this order, or there is none.")
    return f"/v1/orders/{number}"


def _write_path(operation: Operation, order_number: str, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    path = _order_path(order_number)
    if operation in ORDER_PATHS:
        return f"{path}/{ORDER_PATHS[operation]}", body
    payload = dict(body)
    request_id = payload.pop("request_id", None)
    assert isinstance(request_id, str) and request_id, f"{operation.value} needs request_id in its body"
    return f"{path}/requests/{_segment(request_id)}/{REQUEST_PATHS[operation]}", payload


def _parse(name: str, answer: Answer, shape: type[T], field: str | None = None) -> T:
    content = answer.json()
    if field is not None:
        content = content.get(field) if isinstance(content, dict) else None
    try:
        return TypeAdapter(shape).validate_python(content)
    except ValidationError as exc:
        # Names of fields only, and no cause: pydantic's own message quotes the shopper's data.
        places = ", ".join(sorted({".".join(str(part) for part in error["loc"]) for error in exc.errors()}))
        problem = (
            f"The order API answered {name} in a shape the contract does not have: {places or 'no JSON'}"
        )
    raise ShopUnavailable(problem, code="bad_answer") from None


def _parse_receipt(answer: Answer, key: str) -> Receipt | None:
    """The receipt in a good answer; None when it cannot be one for this key."""
    try:
        receipt = _parse("write", answer, Receipt)
    except ShopUnavailable:
        return None
    return receipt if receipt.key == key else None


def _unknown(operation: Operation) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{operation.value} was sent, no answer came and no receipt could be read back; "
        "read it again under its key before anything else"
    )


def _refusal(name: str, path: str, answer: Answer) -> OrderError:
    """The one place where the shop's errors become ours."""
    code, status = answer.code, answer.status
    if code in PROOF_CODES:
        return PROOF_CODES[code](f"{name}: {code}", code=code)
    if status == HTTPStatus.UNAUTHORIZED:
        return ShopUnavailable(f"{name}: the order API refuses the key; check order_api.api_key", code=code)
    if status == HTTPStatus.NOT_FOUND and path.startswith("/v1/orders") and code != "request_not_found":
        return ProofRejected(f"{name}: the proof does not open this order, or there is none", code=code)
    if status == HTTPStatus.PRECONDITION_FAILED:
        return StaleOrder(f"{name}: the order changed since it was read", code=code)
    if 400 <= status < 500:
        return OrderRefused(f"{name}: the shop refused ({status} {code})", code=code)
    return ShopUnavailable(f"{name}: the order API answered {status}", code=code)
