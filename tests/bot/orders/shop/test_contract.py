"""The demo shop against its own document, and the document against the code's shapes."""

import asyncio
import itertools
import threading
from functools import lru_cache
from importlib.resources import files
from typing import Any

import pytest
import requests
import schemathesis
import yaml
from aiohttp import web
from hypothesis import HealthCheck, assume, settings
from pydantic.json_schema import models_json_schema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from bot.orders import models
from bot.orders.client import ORDER_PATHS, REQUEST_PATHS
from bot.orders.shop import bodies
from bot.orders.shop.app import make_app
from bot.orders.shop.problems import PROBLEMS
from bot.orders.shop.samples import SAMPLES
from tests.bot.orders.conftest import API_KEY, shop_settings

DOCUMENT = yaml.safe_load(files("bot.orders").joinpath("openapi.yaml").read_text("utf-8"))
AUTH = {"Authorization": f"Bearer {API_KEY}"}
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    missing_required_header,
    unsupported_method,
    ignored_auth,
]


@pytest.fixture(scope="module")
def live_shop(tmp_path_factory):
    """The shop on a free port, in a thread of its own: schemathesis speaks to it as a stranger."""
    loop = asyncio.new_event_loop()
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    runner = web.AppRunner(make_app(shop_settings(), database=path))

    async def start() -> str:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    url = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield url
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def api(live_shop):
    loaded = schemathesis.openapi.from_url(f"{live_shop}/openapi.yaml")
    # RFC 6585: 428 is how a server asks for a missing If-Match.
    loaded.config.checks.missing_required_header.expected_statuses += ["428"]
    return loaded


schema = schemathesis.pytest.from_fixture("api")
ORDERS = itertools.cycle(SAMPLES)


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_shop_keeps_its_contract(case, live_shop):
    """Whatever is sent, sense or nonsense, the answer is one the document knows; wrong data is refused."""
    assume(len(str(case.query)) < 1000)  # longer addresses are refused by HTTP itself
    # A key on top would mend a request that was spoilt by leaving it out.
    headers = {} if spoilt(case, "header") and "/orders" not in case.path else dict(AUTH)
    known = next(ORDERS)
    if not spoilt(case, "header"):
        headers |= proof(live_shop, known.customer_id)
    if "number" in (case.path_parameters or {}) and not spoilt(case, "path") and not spoilt(case, "header"):
        # A made-up order ends at 404; with a real one and its version the rules are reached.
        case.path_parameters["number"] = known.number
        order = requests.get(f"{live_shop}/v1/orders/{known.number}", headers=headers, timeout=5).json()
        if "request_id" in case.path_parameters and order["requests"]:
            case.path_parameters["request_id"] = order["requests"][0]["id"]
        if case.method == "POST":
            headers["If-Match"] = f'"{order["version"]}"'
            if isinstance(case.body, dict) and not spoilt(case, "body"):
                for line in case.body.get("lines") or []:
                    line["line_id"] = order["lines"][0]["id"]
    case.call_and_validate(base_url=live_shop, headers=headers, checks=CHECKS, timeout=10)


def spoilt(case: schemathesis.Case, part: str) -> bool:
    """Whether schemathesis has made this part of the request wrong on purpose."""
    components = {location.value: info for location, info in case.meta.components.items()}
    return part in components and components[part].mode.is_negative


@lru_cache
def proof(url: str, customer_id: str) -> dict[str, str]:
    body = {"kind": "channel_account", "value": f"site:{customer_id}"}
    answer = requests.post(f"{url}/v1/proofs", json=body, headers=AUTH, timeout=5)
    return AUTH | {"X-Proof": answer.json()["token"]}


def test_the_documents_shapes_are_the_codes():
    """A field added on one side only is found here."""
    answers = [models.Grant, models.Order, models.OrderSummary, models.Product, models.Receipt]
    shapes = [(shape, "validation") for shape in (*answers, bodies.ProofBody, *bodies.BODIES.values())]
    _, found = models_json_schema(shapes, ref_template="#/components/schemas/{model}")
    documented = DOCUMENT["components"]["schemas"]

    for name, shape in found["$defs"].items():
        assert _bare(shape) == _bare(documented[name]), name


def _bare(node: Any, *, names: bool = False) -> Any:
    """Without titles, descriptions and defaults, unless they are names of fields."""
    if isinstance(node, dict):
        return {
            key: _bare(value, names=key == "properties")
            for key, value in node.items()
            if names or key not in ("title", "description", "default")
        }
    return [_bare(value) for value in node] if isinstance(node, list) else node


def test_every_operation_of_the_client_is_in_the_document():
    operations = {
        details["operationId"]: path
        for path, methods in DOCUMENT["paths"].items()
        for details in methods.values()
    }

    for operation, end in ORDER_PATHS.items():
        assert f"/v1/orders/{{number}}/{end}" == operations[operation.value]
    for operation, end in REQUEST_PATHS.items():
        assert f"/v1/orders/{{number}}/requests/{{request_id}}/{end}" == operations[operation.value]
    assert set(models.Operation) == set(ORDER_PATHS) | set(REQUEST_PATHS)


def test_every_code_of_the_shop_is_documented():
    text = files("bot.orders").joinpath("openapi.yaml").read_text("utf-8")
    own = {"method_not_allowed", "server_error", "unavailable"}  # of HTTP, not of the contract

    assert [] == [code for code in PROBLEMS if f"`{code}`" not in text and code not in own]
