"""What the actions know that a person should know too: the order as it stands, the proof, the plan on the table.

It fills `Handoff.packet`, whose fields are those of `bot.handoff.packet`. It knows no topic.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from actions.services import get_services
from actions.tasks import Task
from bot.exceptions import KefuError, ProofRejected
from bot.identity import ProofLevel
from bot.orders.models import Grant, Order

log = logging.getLogger(__name__)
ORDER_SECONDS = 2.0  # that a shopper waits for the shop where one can do without it
UNKNOWN_SECONDS = 600.0


def task_facts(task: Task) -> dict[str, Any]:
    """What has been said about a task so far."""
    known = {
        "order_number": task.order_number,
        "lines": task.lines,
        "reason": task.reason,
        "opened": task.opened,
        "question": task.asked,
        "media": task.media,
        "plan": plan_facts(task.plan),
    }
    return {name: value for name, value in known.items() if value not in (None, {}, [])}


def plan_facts(plan: dict[str, Any] | None) -> dict[str, Any] | None:
    """The plan the shopper has seen and not yet agreed to."""
    if not plan:
        return None
    kept = ("operation", "order_number", "lines", "amount", "destination", "due_at", "clause", "expires_at")
    return {name: plan[name] for name in kept if plan.get(name)}


def order_facts(order: Order, *, read_at: str) -> dict[str, Any]:
    """The order with its times, without anything the desk has no use for."""
    facts = order.model_dump(mode="json", exclude_none=True)
    shipped = [one.shipped_at for one in order.fulfilments]
    return {
        **{
            name: facts[name]
            for name in (
                "number", "state", "version", "created_at", "paid_at", "delivered_at", "cancelled_at",
                "total", "refunded", "payments", "requests",
            )
            if name in facts
        },
        "read_at": read_at,
        "shipped_at": min(shipped).isoformat() if shipped else None,
        "items": [
            {
                "id": line["id"], "title": line["title"], "quantity": line["quantity"],
                "open": line["quantity_open"], "price": line["unit_price"],
            }
            for line in facts["lines"]
        ],
        "tracking": [
            {
                "carrier": parcel["carrier"], "number": parcel["tracking_number"],
                **{name: last[name] for name in ("at", "status", "text") if name in last},
            }
            for parcel in facts["fulfilments"]
            for last in [parcel["events"][-1] if parcel["events"] else {}]
        ],
    }  # fmt: skip


def proof_facts(grant: Grant) -> dict[str, Any]:
    """Who it is and how that is known. The token stays where it is."""
    return {
        "proof": grant.kind.value,
        "level": int(ProofLevel.WRITE),
        "name": grant.customer_name or None,
        "proven_at": grant.proven_at.isoformat(),
    }


async def proven_order(
    conversation: str, order_number: str | None, customer: str | None = None
) -> tuple[Grant | None, Order | None]:
    """The proof and the order, read now, when this shopper has proven that it is his.

    A `customer` whom the channel has proven needs no other proof. Never raises for the shop's sake, and waits
    `ORDER_SECONDS` for it at most: who can do without the order does without, and the proof is kept.
    """
    grant = None
    try:
        services = await get_services()
        grant = await services.guard.grant_for(conversation, order_number, ProofLevel.READ)
        async with asyncio.timeout(ORDER_SECONDS):
            if grant is None and customer is not None and not _is_unknown(customer):
                grant = await services.guard.prove_account(conversation, customer)
            if grant is None or order_number is None:
                return grant, None
            return grant, await services.client.get_order(order_number, grant)
    except TimeoutError:
        log.warning("packet.order_too_slow")
        return grant, None
    except ProofRejected:
        if grant is None and customer is not None:
            _unknown[customer] = time.monotonic()
        return None, None
    except KefuError as exc:
        log.warning("packet.order_not_read reason=%s", exc)
        return None, None


_unknown: dict[str, float] = {}  # accounts the shop did not know, and when it said so


def _is_unknown(customer: str) -> bool:
    """Whether the shop said lately that it knows no such account: it is not asked at every question."""
    now = time.monotonic()
    for one in [one for one, at in _unknown.items() if now - at > UNKNOWN_SECONDS]:
        del _unknown[one]
    return customer in _unknown


async def known_facts(grant: Grant | None, order: Order | None) -> dict[str, Any]:
    """What a person who takes over may know of the proof and the order."""
    facts: dict[str, Any] = {"proof": proof_facts(grant)} if grant is not None else {}
    if order is not None:
        facts["order"] = order_facts(order, read_at=(await get_services()).now().isoformat())
    return facts


async def proven_facts(conversation: str, order_number: str | None) -> dict[str, Any]:
    """`known_facts` of the `proven_order`."""
    return await known_facts(*await proven_order(conversation, order_number))
