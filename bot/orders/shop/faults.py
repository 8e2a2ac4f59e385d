"""Faults on demand, for tests: what networks and shops do to a client on a bad day.

A fault waits for an operation of the contract (its operationId, or ``*``) and happens `times` times.
Only installed when ``shop.faults`` is on. It knows no orders.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

from aiohttp import web
from pydantic import Field

from bot.orders.shop.bodies import Body
from bot.orders.shop.problems import Problem

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FaultKind(StrEnum):
    LATENCY = "latency"  # the answer is late, and so is the write
    LATENCY_AFTER_COMMIT = "latency_after_commit"  # written at once, answered late
    ERROR_5XX = "error_5xx"  # an error instead of the work
    ERROR_AFTER_COMMIT = "error_after_commit"  # an error although the work is done
    CUT_BEFORE_COMMIT = "cut_before_commit"  # the connection breaks, nothing was written
    CUT_AFTER_COMMIT = "cut_after_commit"  # the connection breaks, the write stands
    STALE = "stale"  # somebody else changes the order just before
    DUPLICATE = "duplicate"  # the request arrives twice
    GARBAGE = "garbage"  # 200 with something that is not of the contract


class Fault(Body):
    operation: str = Field(default="*", max_length=64)
    kind: FaultKind
    times: int = Field(default=1, ge=1, le=1000)
    delay: float = Field(default=0.0, ge=0, le=120, description="seconds, for the latency kinds")
    status: int = Field(default=503, ge=500, le=599, description="for error_5xx")


class Faults:
    """The faults that are waiting, and how often each kind has struck."""

    def __init__(self, bump: Callable[[str], Awaitable[None]]) -> None:
        self._waiting: list[list[Fault | int]] = []
        self._bump = bump  # changes an order from outside
        self.struck: dict[str, int] = {}

    def add(self, fault: Fault) -> None:
        self._waiting.append([fault, fault.times])

    def clear(self) -> None:
        self._waiting.clear()
        self.struck.clear()

    def _take(self, operation: str) -> Fault | None:
        for entry in self._waiting:
            fault, left = entry
            assert isinstance(fault, Fault) and isinstance(left, int)
            if fault.operation not in ("*", operation):
                continue
            if left == 1:
                self._waiting.remove(entry)
            else:
                entry[1] = left - 1
            self.struck[fault.kind] = self.struck.get(fault.kind, 0) + 1
            return fault
        return None

    async def strike(self, operation: str, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer `request` with `handler`, and with the fault that waits for it, if any."""
        fault = self._take(operation)
        if fault is None:
            return await handler(request)
        # Read now: a client that gives up meanwhile must not take its request back.
        await request.read()
        match fault.kind:
            case FaultKind.LATENCY:
                await asyncio.sleep(fault.delay)
                return await handler(request)
            case FaultKind.LATENCY_AFTER_COMMIT:
                response = await handler(request)
                await asyncio.sleep(fault.delay)
                return response
            case FaultKind.ERROR_5XX:
                return error(fault.status)
            case FaultKind.ERROR_AFTER_COMMIT:
                await handler(request)
                return error(fault.status)
            case FaultKind.CUT_BEFORE_COMMIT:
                return _cut(request)
            case FaultKind.CUT_AFTER_COMMIT:
                await handler(request)
                return _cut(request)
            case FaultKind.STALE:
                await self._bump(request.match_info.get("number", ""))
                return await handler(request)
            case FaultKind.DUPLICATE:
                await handler(request)
                return await handler(request)
            case FaultKind.GARBAGE:
                return web.json_response({"hello": "world"})


def error(status: int) -> web.Response:
    return web.Response(status=status, text="fault on demand")


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return Problem("unavailable").response()  # goes nowhere: the connection is gone
