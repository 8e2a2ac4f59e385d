"""Cancelling an order before it is sent."""

from __future__ import annotations

from actions.items import hear_reason
from actions.orders import hear_order, need_order
from actions.plans import act_on_consent, expected, hear_consent, judge, propose
from actions.replies import button
from actions.topic import Talk, TopicAction
from bot.identity import ProofLevel
from bot.orders.models import Operation, OrderState
from bot.policy.policy import PENDING


class CancelOrderForm(TopicAction):
    topic = "cancel_order"
    intents = frozenset({"cancel_order"})
    writes = True

    async def hear(self, talk: Talk) -> bool:
        heard = [hear_order(talk), hear_reason(talk)]
        return any(heard) or hear_consent(talk)

    async def steps(self, talk: Talk) -> None:
        order, grant = await need_order(talk, ProofLevel.WRITE)
        await act_on_consent(talk, grant)
        zh = talk.language == "zh"
        instead = []
        if order.state is OrderState.DELIVERED:
            instead = [button("退货" if zh else "Return it", "return_request")]
            if any(
                request.status in PENDING for request in order.requests
            ):  # it may be the request that is meant
                instead.insert(0, button("撤销申请" if zh else "Withdraw the request", "withdraw_request"))
        elif order.state is OrderState.SHIPPED:
            instead = [button("查物流" if zh else "Track it", "delivery")]
        decision = judge(talk, Operation.CANCEL, order, instead=instead)
        body = {"reason": talk.task.reason or "", **expected(decision.amount)}
        propose(talk, order, decision, body)
