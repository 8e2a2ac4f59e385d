"""Sending goods back: which, why, opened or not, who pays the freight, and how."""

from __future__ import annotations

from actions.items import (
    ask_opened,
    hear_evidence,
    hear_items,
    hear_opened,
    hear_reason,
    need_evidence,
    need_lines,
    need_reason,
)
from actions.orders import hear_order, need_order
from actions.plans import act_on_consent, expected, hear_consent, judge, line_bodies, propose
from actions.replies import button
from actions.topic import Talk, TopicAction
from bot.identity import ProofLevel
from bot.message import Button
from bot.orders.models import Operation, Order, OrderState
from bot.policy.policy import PENDING


class ReturnGoodsForm(TopicAction):
    topic = "return_goods"
    intents = frozenset({"return_request"})
    writes = True

    async def hear(self, talk: Talk) -> bool:
        heard = [
            hear_order(talk),
            hear_items(talk),
            hear_reason(talk),
            hear_opened(talk),
            hear_evidence(talk),
        ]
        return any(heard) or hear_consent(talk)

    async def steps(self, talk: Talk) -> None:
        order, grant = await need_order(talk, ProofLevel.WRITE)
        await act_on_consent(talk, grant)
        lines = need_lines(talk, order)
        reason = need_reason(talk) if lines else None
        decision = judge(
            talk, Operation.RETURN, order, lines=lines, reason=reason, instead=self.instead(talk, order)
        )
        if "opened" in decision.asks:
            ask_opened(talk)
        evidence = need_evidence(talk, reason)
        body = {
            "lines": line_bodies(lines),
            "reason": talk.task.reason or "",
            **({"opened": talk.task.opened} if talk.task.opened is not None else {}),
            **({"evidence": evidence} if evidence else {}),
            **expected(decision.amount),
        }
        propose(talk, order, decision, body, lines=lines)

    def instead(self, talk: Talk, order: Order) -> list[Button]:
        """What has not left yet is cancelled rather than sent back; what is in a request can be taken out of it."""
        zh = talk.language == "zh"
        if order.state in (OrderState.UNPAID, OrderState.PAID, OrderState.PACKED):
            return [button("取消订单" if zh else "Cancel the order", "cancel_order")]
        if order.state is OrderState.SHIPPED:
            return [button("查物流" if zh else "Track it", "delivery")]
        if any(request.status in PENDING for request in order.requests):  # "撤销退货" sounds much like "退货"
            return [button("撤销申请" if zh else "Withdraw the request", "withdraw_request")]
        return []
