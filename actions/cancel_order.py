"""Cancelling an order before it is sent."""

from __future__ import annotations

from actions.items import hear_reason
from actions.orders import hear_order, need_order
from actions.plans import act_on_consent, hear_consent, judge, propose
from actions.topic import Talk, TopicAction
from bot.identity import ProofLevel
from bot.orders.bodies import cancel_body
from bot.orders.models import Operation


class CancelOrderForm(TopicAction):
    topic = "cancel_order"
    intents = frozenset({"cancel_order"})
    writes = True
    operations = (Operation.CANCEL,)

    async def hear(self, talk: Talk) -> bool:
        heard = [hear_order(talk), hear_reason(talk)]
        return any(heard) or hear_consent(talk)

    async def steps(self, talk: Talk) -> None:
        order, grant = await need_order(talk, ProofLevel.WRITE)
        await act_on_consent(talk, grant)
        decision = judge(talk, Operation.CANCEL, order)
        body = cancel_body(talk.task.reason, decision.amount)
        propose(talk, order, decision, body)
