"""Money back: asking for it, asking how it stands, taking the request back."""

from __future__ import annotations

from actions.items import (
    ask_opened,
    hear_evidence,
    hear_items,
    hear_opened,
    hear_reason,
    need_lines,
    need_reason,
)
from actions.orders import hear_order, need_order
from actions.plans import act_on_consent, expected, hear_consent, judge, line_bodies, person_button, propose
from actions.replies import button
from actions.tasks import Option
from actions.topic import Talk, TopicAction
from bot.formats import format_money
from bot.identity import ProofLevel
from bot.message import Button
from bot.orders.models import Operation, Order, OrderState, Request
from bot.orders.wording import OPERATIONS, request_sentence
from bot.policy.policy import PENDING


class RefundForm(TopicAction):
    """Money back without goods back; where the goods must come back, the return is offered."""

    topic = "refund"
    intents = frozenset({"refund_request"})
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
            talk, Operation.REFUND, order, lines=lines, reason=reason, instead=self.instead(talk, order)
        )
        if "opened" in decision.asks:
            ask_opened(talk)
        body = {"lines": line_bodies(lines), "reason": talk.task.reason or "", **expected(decision.amount)}
        propose(talk, order, decision, body, lines=lines)

    def instead(self, talk: Talk, order: Order) -> list[Button]:
        """Goods that have arrived come back first, so a refusal offers that way."""
        if order.state is OrderState.UNPAID:
            return [button("取消订单" if talk.language == "zh" else "Cancel the order", "cancel_order")]
        if order.state is not OrderState.DELIVERED:
            return []
        return [button("退货退款" if talk.language == "zh" else "Return for a refund", "return_request")]


class RefundStatusForm(TopicAction):
    topic = "refund_status"
    intents = frozenset({"refund_status"})

    async def hear(self, talk: Talk) -> bool:
        return hear_order(talk)

    async def steps(self, talk: Talk) -> None:
        order, _ = await need_order(talk, ProofLevel.READ)
        if not order.requests and order.refunded.amount > 0:
            amount = format_money(order.refunded, talk.language)
            talk.settle("refunded_so_far", order=order.number, amount=amount, buttons=(person_button(talk),))
        if not order.requests:
            talk.settle("no_requests", order=order.number, buttons=(person_button(talk),))
        sentences = []
        for request in order.requests:
            sentence = request_sentence(request, talk.language)
            details = request.instructions.get(talk.language, "")
            sentences.append(f"{sentence} {details}".strip() if request.status in PENDING else sentence)
        talk.settle("requests_shown", order=order.number, requests="\n".join(sentences))


class WithdrawRequestForm(TopicAction):
    """Taking back a request that is under way."""

    topic = "withdraw_request"
    intents = frozenset({"withdraw_request"})
    writes = True

    async def hear(self, talk: Talk) -> bool:
        if hear_order(talk):
            return True
        if talk.task.asked == "request" and (choice := talk.chosen()):
            talk.task.values["request"] = choice
            talk.task.plan = None
            return True
        return hear_consent(talk)

    async def steps(self, talk: Talk) -> None:
        order, grant = await need_order(talk, ProofLevel.WRITE)
        await act_on_consent(talk, grant)
        request = self.which(talk, order)
        decision = judge(talk, Operation.WITHDRAW_REQUEST, order, request_id=request.id)
        note = request_sentence(request, talk.language)
        propose(talk, order, decision, {"request_id": request.id}, note=note)

    def which(self, talk: Talk, order: Order) -> Request:
        """The request that is meant. Raises: Waiting, Settled."""
        pending = [request for request in order.requests if request.status in PENDING]
        chosen = [request for request in pending if request.id == talk.task.values.get("request")]
        if chosen or len(pending) == 1:
            return (chosen or pending)[0]
        if not pending:
            talk.settle("no_requests", order=order.number, buttons=(person_button(talk),))
        options = [
            Option(title=f"{OPERATIONS[one.operation][talk.language]} {one.id}", value=one.id)
            for one in pending
        ]
        talk.ask("request", "ask_request", options=options)
        raise AssertionError("ask always raises")
