"""The gateway's figures for Prometheus (`/metrics`) and its traces for OpenTelemetry.

Levels are counted in the database when they are asked for, so that several gateways and a restart show the truth;
times of turns and deliveries are measured here. Labels and spans hold ids and codes, never a word of a shopper.
This module knows no platform.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import func, select

from bot import tracing
from bot.database import now_ms
from bot.handoff.cases import cases
from bot.handoff.ownership import ownership
from bot.settings import Settings
from channels.gateway import Gateway
from channels.media import MediaStore
from channels.tables import audit, inbox, outbox
from channels.turns import Dialogue

logger = logging.getLogger(__name__)

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


class Telemetry:
    """Figures of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.registry = CollectorRegistry()

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=self.registry)

        self.inbox = gauge("kefu_inbox_messages", "Messages by state and outcome.", "state", "outcome")
        self.outbox = gauge("kefu_outbox_messages", "Replies by channel and state.", "channel", "state")
        self.owned = gauge("kefu_conversations", "Conversations that changed hands, by owner now.", "owner")
        self.waiting = gauge("kefu_handoff_waiting", "Shoppers who wait for a person.")
        self.oldest = gauge("kefu_handoff_oldest_wait_seconds", "How long the first of them has waited.")
        self.reasons = gauge("kefu_handoffs", "Hand-offs so far, by reason.", "reason")
        self.replies = gauge(
            "kefu_replies", "Replies so far, by outcome (sent, overtaken, claim_withheld).", "outcome"
        )
        self.turns = Histogram(
            "kefu_turn_seconds",
            "Time of one turn of the dialogue.",
            ("result",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        gateway.dialogue = MeasuredDialogue(gateway.dialogue, self)

    async def render(self) -> bytes:
        """Count and write the exposition format."""
        now = now_ms()
        counts = (
            (
                self.inbox,
                select(inbox.c.state, inbox.c.outcome, func.count()).group_by(inbox.c.state, inbox.c.outcome),
            ),
            (
                self.outbox,
                select(outbox.c.channel, outbox.c.state, func.count()).group_by(
                    outbox.c.channel, outbox.c.state
                ),
            ),
            (self.owned, select(ownership.c.owner, func.count()).group_by(ownership.c.owner)),
            (self.reasons, select(cases.c.reason, func.count()).group_by(cases.c.reason)),
            (self.replies, select(audit.c.outcome, func.count()).group_by(audit.c.outcome)),
        )
        async with self.gateway.store.read(much=True) as connection:
            for gauge, query in counts:
                gauge.clear()
                for *labels, count in (await connection.execute(query)).all():
                    gauge.labels(*(label or "none" for label in labels)).set(count)
            waiting = select(func.count(), func.min(cases.c.waiting_since)).where(
                cases.c.ended_at.is_(None), cases.c.waiting_since.is_not(None)
            )
            count, oldest = (await connection.execute(waiting)).one()
        self.waiting.set(count)
        self.oldest.set(0 if oldest is None else max(0, now - oldest) / 1000)
        return bytes(generate_latest(self.registry))


class MeasuredDialogue:
    """The dialogue, with a stop-watch and, when traces are wanted, a span around each turn."""

    def __init__(self, dialogue: Dialogue, telemetry: Telemetry) -> None:
        self.inner = dialogue
        self._telemetry = telemetry

    async def turn(self, **arguments: Any) -> Any:
        began, result = time.monotonic(), "failed"
        metadata = arguments["metadata"]
        about = {"conversation": arguments["sender"], "message": arguments["message_id"]}
        with tracing.span("dialogue.turn", channel=str(metadata.get("channel")), **about) as span:
            if (parent := tracing.traceparent()) is not None:
                arguments = {**arguments, "metadata": {**metadata, "traceparent": parent}}
            try:
                replies = await self.inner.turn(**arguments)
                result = "answered"
                if span is not None and replies:
                    why = replies[0].explain
                    for name in ("intent", "topic", "response", "clause"):
                        if why.get(name):
                            span.set_attribute(f"kefu.{name}", str(why[name]))
                return replies
            finally:
                self._telemetry.turns.labels(result).observe(time.monotonic() - began)
                if span is not None:
                    span.set_attribute("kefu.result", result)


def may_read(request: web.Request, token: str | None) -> bool:
    """Whoever shows the operator's token; where none is set, this machine without a proxy in between.

    A proxy on this machine that tells nobody's address looks like this machine: with a token only the token counts.
    """
    if token:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode())
    if any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP")):
        return False
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


def install(app: web.Application, gateway: Gateway, settings: Settings, media: MediaStore) -> None:
    """Add `/metrics`, measure turns, and trace when the settings ask for it."""
    section = settings.telemetry
    tracing.start("kefu-gateway", section.otlp_endpoint)
    telemetry = Telemetry(gateway)

    async def metrics(request: web.Request) -> web.Response:
        if not may_read(request, section.token):
            raise web.HTTPForbidden(
                text="Only with telemetry.token, or where none is set from this machine\n"
            )
        return web.Response(body=await telemetry.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def running(_: web.Application) -> AsyncIterator[None]:
        yield
        tracing.stop()

    app.router.add_get("/metrics", metrics)
    app.cleanup_ctx.append(running)
