"""Money back: asking for it, asking how it stands, taking the request back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from actions.orders import hear_order, need_order
from actions.plans import act_on_consent, hear_consent, judge, person_button, propose
from actions.return_goods import ReturnGoodsForm
from actions.services import Services
from actions.tasks import Option
from actions.topic import Talk, TopicAction
from bot.formats import format_money
from bot.identity import ProofLevel
from bot.orders.bodies import refund_body, withdraw_body
from bot.orders.models import Money, Operation, Order, Request, RequestLine
from bot.orders.wording import OPERATIONS, request_sentence
from bot.policy import Reason
from bot.policy.policy import PENDING

# Which of several requests is meant, when the words name its kind.
KINDS: dict[Operation, re.Pattern[str]] = {
    Operation.RETURN: re.compile(r"退货|\breturn", re.I),
    Operation.EXCHANGE: re.compile(r"换|\bexchang", re.I),
    Operation.REFUND: re.compile(r"退款|退钱|\brefund", re.I),
    Operation.PRICE_PROTECTION: re.compile(r"价保|保价|差价|\bprice", re.I),
}


class RefundForm(ReturnGoodsForm):
    """Money back without goods back; where the goods must come back, the return is offered."""

    topic = "refund"
    intents = frozenset({"refund_request"})
    operations = (Operation.REFUND, Operation.RETURN)
    operation = Operation.REFUND

    def body(
        self, talk: Talk, lines: Sequence[RequestLine], reason: Reason | None, amount: Money | None
    ) -> dict[str, Any]:
        return refund_body(lines, talk.task.reason, amount)


class RefundStatusForm(TopicAction):
    topic = "refund_status"
    intents = frozenset({"refund_status"})

    def selects(self) -> bool:
        return True

    def fitness(self, services: Services, order: Order) -> int | None:
        return 0 if order.requests or order.refunded.amount > 0 else None

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
    operations = (Operation.WITHDRAW_REQUEST,)

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
        propose(talk, order, decision, withdraw_body(request.id), note=note)

    def which(self, talk: Talk, order: Order) -> Request:
        """The request that is meant. Raises: Waiting, Settled."""
        pending = [request for request in order.requests if request.status in PENDING]
        chosen = [request for request in pending if request.id == talk.task.values.get("request")]
        if chosen or len(pending) == 1:
            return (chosen or pending)[0]
        said = " ".join(talk.texts)
        named = [one for one in pending if KINDS[one.operation].search(said)]
        if len(named) == 1:
            return named[0]
        # Money that has been sent cannot be withdrawn: it is no choice beside a return that can.
        open_ = [one for one in named or pending if self._can(talk, order, one)]
        if len(open_) == 1:
            return open_[0]
        pending = open_ or pending
        if not pending:
            talk.settle("no_requests", order=order.number, buttons=(person_button(talk),))
        options = [
            Option(title=f"{OPERATIONS[one.operation][talk.language]} {one.id}", value=one.id)
            for one in pending
        ]
        talk.ask("request", "ask_request", options=options)
        raise AssertionError("ask always raises")

    def _can(self, talk: Talk, order: Order, request: Request) -> bool:
        decision = talk.services.policy.decide(
            Operation.WITHDRAW_REQUEST, order, request_id=request.id, at=talk.services.now()
        )
        return decision.outcome != "refused"
