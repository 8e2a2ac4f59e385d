"""Sending goods back: which, why, opened or not, who pays the freight, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

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
from actions.plans import act_on_consent, hear_consent, judge, propose
from actions.topic import Talk, TopicAction
from bot.identity import ProofLevel
from bot.orders.bodies import return_body
from bot.orders.models import Money, Operation, RequestLine
from bot.policy import Reason


class ReturnGoodsForm(TopicAction):
    topic = "return_goods"
    intents = frozenset({"return_request"})
    writes = True
    operations: ClassVar[tuple[Operation, ...]] = (Operation.RETURN,)
    operation = Operation.RETURN

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
        decision = judge(talk, self.operation, order, lines=lines, reason=reason)
        if "opened" in decision.asks:
            ask_opened(talk)
        propose(talk, order, decision, self.body(talk, lines, reason, decision.amount), lines=lines)

    def body(
        self, talk: Talk, lines: Sequence[RequestLine], reason: Reason | None, amount: Money | None
    ) -> dict[str, Any]:
        """What is sent to the shop; goods that come back may be shown first. Raises: Waiting."""
        task = talk.task
        evidence = need_evidence(talk, reason)
        return return_body(lines, task.reason, amount, opened=task.opened, evidence=evidence)
