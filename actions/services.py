"""What the actions work with: the order API, the policy, the identity guard. Assembled once per process.

It knows settings; it knows no conversation. Tests put their own in with `use`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from bot import clock, tracing
from bot.database import make_engine
from bot.identity import IdentityGuard
from bot.migrations import upgrade
from bot.orders.client import OrderClient
from bot.policy import Policy
from bot.settings import Settings, get_settings


@dataclass(frozen=True)
class Services:
    settings: Settings
    engine: AsyncEngine
    client: OrderClient
    policy: Policy
    guard: IdentityGuard
    now: Callable[[], datetime] = clock.now
    started: float = 0.0


_services: Services | None = None
_making = asyncio.Lock()


async def get_services() -> Services:
    """The services of this process, made at first use (the client needs the running event loop).

    Raises:
        SettingsError, PolicyError: the installation is not in order; `kefu doctor` says the same.
    """
    global _services
    if _services is None:
        async with _making:  # the first messages may come together
            if _services is None:
                _services = await make_services(get_settings())
    return _services


async def make_services(settings: Settings) -> Services:
    """Open what the settings name. Raises as `get_services` does."""
    tracing.start("kefu-actions", settings.telemetry.otlp_endpoint)
    engine = make_engine(settings.sqlalchemy_url, settings.privacy)
    await upgrade(engine)
    client = OrderClient.from_settings(settings)
    return Services(
        settings=settings,
        engine=engine,
        client=client,
        policy=Policy.load(settings.policy.path),
        guard=IdentityGuard(engine, client, settings.identity),
    )


def use(services: Services | None) -> None:
    """Put these in the place of the process's own (tests), or forget them (None)."""
    global _services
    _services = services
