"""Another option of an item before the order is packed: the parcel itself changes, nothing is sent back."""

from __future__ import annotations

from actions.exchange import ExchangeForm, one_at_a_time
from actions.items import hear_items, need_lines
from actions.orders import hear_order, need_order
from actions.plans import act_on_consent, hear_consent, judge, propose
from actions.topic import Talk
from bot.identity import ProofLevel
from bot.orders.bodies import line_bodies
from bot.orders.models import Operation, RequestLine
from bot.variants import swap


class ModifyOrderForm(ExchangeForm):
    topic = "modify_order"
    intents = frozenset({"modify_order"})
    operations = (Operation.CHANGE_ITEMS,)

    async def hear(self, talk: Talk) -> bool:
        heard = [hear_order(talk), self.hear_option(talk), hear_items(talk)]
        return any(heard) or hear_consent(talk)

    async def steps(self, talk: Talk) -> None:
        order, grant = await need_order(talk, ProofLevel.WRITE)
        await act_on_consent(talk, grant)
        judge(talk, Operation.CHANGE_ITEMS, order)
        chosen = one_at_a_time(talk, order, need_lines(talk, order, whole=True))
        line = next(line for line in order.lines if line.id == chosen[0].line_id)
        product = await talk.services.client.get_product(line.product_id, currency=order.total.currency)
        prices = {variant.id: variant.price for variant in product.variants}
        wanted = self.need_variant(talk, order, product, line, chosen[0].quantity)
        lines = [RequestLine(line_id=line.id, quantity=chosen[0].quantity, variant_id=wanted.id)]
        decision = judge(talk, Operation.CHANGE_ITEMS, order, lines=lines, current_prices=prices)
        note = swap(line, wanted, talk.language)
        propose(talk, order, decision, {"lines": line_bodies(lines)}, lines=lines, note=note)
