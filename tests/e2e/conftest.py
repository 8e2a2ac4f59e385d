"""Fixtures of the end-to-end tests: the programs once per run, everything else anew per test."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

import aiohttp
import pytest

from bot.orders.shop.people import FIXED
from bot.settings import Settings
from bot.web_client import WebClient, sign_identity
from tests.e2e.assistant import Assistant, Shop, Shopper

DEMO_SECRET = Settings.model_fields["sites"].get_default(call_default_factory=True)["demo"].secret

NewShopper = Callable[..., Awaitable[Shopper]]


@pytest.fixture(scope="session")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    """`kefu up` with the model of the present data, trained first when it is missing."""
    from bot.training import model_path, train

    if not model_path().is_file():
        train(force=False)
    started = Assistant.start(tmp_path_factory.mktemp("kefu"))
    yield started
    started.stop()


@pytest.fixture
async def shop(assistant: Assistant) -> AsyncIterator[Shop]:
    """The demo shop as on its first day, its clock and Kefu's at the present."""
    assistant.move_clock(0)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        shop = Shop(assistant.url("shop"), session)
        await shop.reset()
        assistant.forget_proofs()
        yield shop
    assistant.move_clock(0)


@pytest.fixture(scope="session")
def customers(assistant: Assistant) -> Iterator[str]:
    """Customers with several orders, each given away once: a customer's conversation outlives a test."""
    with urllib.request.urlopen(f"{assistant.url('shop')}/_state") as response:
        orders = json.load(response)["orders"].values()
    count = Counter(order["customer_id"] for order in orders)
    well_known = {customer.id for customer in FIXED}
    return iter(
        [customer for customer, orders in sorted(count.items()) if orders >= 3 and customer not in well_known]
    )


@pytest.fixture
async def new_shopper(
    assistant: Assistant, shop: Shop, request: pytest.FixtureRequest
) -> AsyncIterator[NewShopper]:
    """A function that opens the chat as somebody new: `await new_shopper("zh")`.

    With `customer` the shop vouches for a signed-in customer.
    """
    shoppers: list[Shopper] = []

    async with contextlib.AsyncExitStack() as stack:

        async def open_chat(language: str, *, customer: str | None = None) -> Shopper:
            identity = sign_identity(customer, "demo", DEMO_SECRET) if customer else None
            client = WebClient(assistant.url("gateway"), identity=identity, locale=language, timeout=40)
            await stack.enter_async_context(client)
            shoppers.append(Shopper(client, language))
            return shoppers[-1]

        yield open_chat

    show_transcripts(request, shoppers)


def show_transcripts(request: pytest.FixtureRequest, shoppers: Sequence[Shopper]) -> None:
    """Print what was said, when the test failed."""
    if getattr(request.node, "call_failed", False):
        for shopper in shoppers:
            print("\n".join(["", "transcript:", *shopper.transcript]))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Remember that a test failed, so that its transcript is shown."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call" and report.failed:
        item.call_failed = True  # type: ignore[attr-defined]
