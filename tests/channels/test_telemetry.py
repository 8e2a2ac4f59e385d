"""`/metrics`: true figures, for this machine or the operator's token, without a word of a shopper."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bot import tracing
from bot.orders.client import OrderClient
from bot.settings import PROJECT_ROOT, Settings
from channels.media import make_media_store
from channels.telemetry import Telemetry, install
from tests.channels.fake_rasa import FakeRasa
from tests.channels.test_gateway import House, open_house


def script(body: dict[str, Any]) -> list[dict[str, Any]]:
    handoff = {"handoff": {"reason": "asked"}} if "person" in body["message"] else {}
    return [{"text": "ok", "custom": {"kefu": {"explain": {"intent": "refund_request"}, **handoff}}}]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(f"sqlite+aiosqlite:///{tmp_path}/kefu.db", FakeRasa(script)) as house:
        yield house


async def test_the_figures_are_those_of_the_database_and_name_no_shopper(
    house: House, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, telemetry={"token": "let me in"})  # type: ignore[arg-type]
    app = web.Application()
    install(app, house.gateway, settings, make_media_store(settings.media, tmp_path))
    async with TestClient(TestServer(app)) as client:
        await house.hear("电话13812345678")
        await house.hear("a person please", shopper="ben")
        await house.quiet()
        shown = await client.get("/metrics", headers={"Authorization": "Bearer let me in"})
        text = await shown.text()

    assert 200 == shown.status
    assert 'kefu_handoffs{reason="asked"} 1.0' in text and "kefu_handoff_waiting 1.0" in text
    assert 'kefu_replies{outcome="sent"} 2.0' in text
    assert 'kefu_turn_seconds_count{result="answered"} 2.0' in text
    assert 'kefu_outbox_messages{channel="door",state="delivered"} 2.0' in text
    assert "1381234" not in text and "ben" not in text


@pytest.mark.parametrize(("token", "without"), [(None, 200), ("let me in", 403)])
async def test_where_a_token_is_set_only_the_token_opens_the_figures(
    house: House, tmp_path: Path, token: str | None, without: int
) -> None:
    settings = Settings(data_dir=tmp_path, telemetry={"token": token})  # type: ignore[arg-type]
    app = web.Application()
    install(app, house.gateway, settings, make_media_store(settings.media, tmp_path))
    async with TestClient(TestServer(app)) as client:
        # a proxy on this machine that names nobody looks the same
        here = await client.get("/metrics")
        forwarded = await client.get("/metrics", headers={"X-Forwarded-For": "8.8.8.8"})
        guessed = await client.get("/metrics", headers={"Authorization": "Bearer guess"})
        shown = await client.get(
            "/metrics", headers={"X-Forwarded-For": "8.8.8.8", "Authorization": "Bearer let me in"}
        )

    assert [without, 403, without] == [here.status, forwarded.status, guessed.status]
    assert (403 if token is None else 200) == shown.status


async def test_a_turn_is_a_span_with_ids_and_codes_only(house: House) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider.get_tracer("kefu"))
    Telemetry(house.gateway)
    try:
        received = await house.hear("电话13812345678")
        await house.quiet()
        house.rasa.status = 500
        await house.hear("电话13812345678 again")
        await house.quiet()
    finally:
        tracing.use(None)
    spans = exporter.get_finished_spans()
    span = spans[0]
    parent = house.rasa.turns[0]["metadata"]["traceparent"]

    assert span.attributes is not None
    assert span.attributes["kefu.conversation"] == received.conversation
    assert format(span.context.trace_id, "032x") in parent and format(span.context.span_id, "016x") in parent
    assert {"answered", "failed"} == {one.attributes["kefu.result"] for one in spans if one.attributes}
    assert all("1381234" not in one.to_json() for one in spans)


async def test_a_trace_goes_on_in_the_actions_and_at_the_order_api() -> None:
    """The dialogue and the actions join the gateway's trace; the shop is told its name."""
    exporter, told = InMemorySpanExporter(), []
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def receipt(request: web.Request) -> web.Response:
        told.append(request.headers["traceparent"])
        return web.json_response({"code": "not_found"}, status=404)

    app = web.Application()
    app.router.add_get("/v1/receipts/{key}", receipt)
    tracing.use(provider.get_tracer("kefu"))
    try:
        async with TestClient(TestServer(app)) as shop, OrderClient(str(shop.make_url("")), "key") as client:
            with tracing.span("dialogue.turn"):
                parent = tracing.traceparent()
            tracing.join(parent)
            await client.receipt("kefu-secret-key")
    finally:
        tracing.use(None)
    turn, call = exporter.get_finished_spans()

    assert turn.context.trace_id == call.context.trace_id and call.parent is not None
    assert turn.context.span_id == call.parent.span_id
    assert format(call.context.span_id, "016x") in told[0]
    assert call.attributes == {"kefu.call": "GET receipts", "kefu.status": 404}
    assert "kefu-secret-key" not in call.to_json()


def test_every_figure_on_the_grafana_board_is_one_the_gateway_gives() -> None:
    board = json.loads((PROJECT_ROOT / "deploy" / "grafana" / "kefu.json").read_text())
    source = (PROJECT_ROOT / "channels" / "telemetry.py").read_text()
    named = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"kefu_[a-z_]+", target["expr"])
    }

    assert named and all(re.sub(r"_(?:bucket|count|sum)$", "", name) in source for name in named)
