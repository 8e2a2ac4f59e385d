"""What of an order leaves the shop. Proof material is checked here and never sent out.

A phone keeps its head and its last two digits, an e-mail its first letter, a postcode nothing: what
opens an order must not be learnt from the order.
"""

from __future__ import annotations

from bot.orders.models import Order


def outgoing(order: Order) -> Order:
    """The order as a client sees it."""
    address = order.address.model_copy(update={"phone": mask_phone(order.address.phone), "postcode": ""})
    invoice = order.invoice
    if invoice is not None:
        invoice = invoice.model_copy(update={"email": mask_email(invoice.email)})
    return order.model_copy(update={"address": address, "invoice": invoice})


def mask_phone(phone: str) -> str:
    """``13800002046`` -> ``138******46``."""
    plain = "".join(phone.split())
    if len(plain) < 7:
        return "*" * len(plain)
    return plain[:3] + "*" * (len(plain) - 5) + plain[-2:]


def mask_email(email: str) -> str:
    """``lina@example.com`` -> ``l***@example.com``."""
    name, at, domain = email.partition("@")
    return f"{name[:1]}***{at}{domain}" if at else ""
