"""The price fell after the purchase: the difference back."""

from __future__ import annotations

from actions.items import open_lines
from actions.orders import hear_order, need_order
from actions.plans import act_on_consent, hear_consent, judge, propose
from actions.topic import Talk, TopicAction
from bot.exceptions import OrderRefused
from bot.identity import ProofLevel
from bot.orders.bodies import expected
from bot.orders.models import Money, Operation, Order, RequestLine


class PriceProtectionForm(TopicAction):
    topic = "price_protection"
    intents = frozenset({"price_protection"})
    writes = True
    operations = (Operation.PRICE_PROTECTION,)

    async def hear(self, talk: Talk) -> bool:
        return hear_order(talk) or hear_consent(talk)

    async def steps(self, talk: Talk) -> None:
        order, grant = await need_order(talk, ProofLevel.WRITE)
        await act_on_consent(talk, grant)
        prices = await self.prices(talk, order)
        # All open items are compared; the policy leaves out those that have not become cheaper.
        decision = judge(talk, Operation.PRICE_PROTECTION, order, current_prices=prices)
        lines = [RequestLine(line_id=one.line_id, quantity=one.quantity) for one in decision.lines]
        body = {
            "lines": [{"line_id": one.line_id, "quantity": one.quantity} for one in lines],
            **expected(decision.amount),
        }
        propose(talk, order, decision, body, lines=lines)

    async def prices(self, talk: Talk, order: Order) -> dict[str, Money]:
        """Today's price of every open variant, in the order's currency. What is sold no more has none."""
        found: dict[str, Money] = {}
        for product_id in dict.fromkeys(line.product_id for line in open_lines(order)):
            try:
                product = await talk.services.client.get_product(product_id, currency=order.total.currency)
            except OrderRefused:
                continue
            found |= {variant.id: variant.price for variant in product.variants}
        return found
