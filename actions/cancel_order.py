"""Cancelling an order before it is sent."""

from __future__ import annotations

import re

from actions.items import hear_reason, turns_plan_down
from actions.orders import hear_order, need_order
from actions.plans import act_on_consent, hear_consent, judge, propose
from actions.topic import Talk, TopicAction
from bot.identity import ProofLevel
from bot.orders.bodies import cancel_body
from bot.orders.models import Operation
from bot.references import fold

# Over the plan to cancel, "不要了" may turn down the plan or the goods: asked again.
GOODS_UNWANTED = re.compile(
    r"不想要|不(?:再)?(?:要|需要|买)[它这那]?个?了|后悔|\b(?:changed my mind|(?:don'?t|do not) (?:want|need|like)(?! to\b)|no longer|not needed)\b",
    re.I,
)
NAMES_ACT = re.compile(r"取消|退|办|\bcancel|\brefund", re.I)


class CancelOrderForm(TopicAction):
    topic = "cancel_order"
    intents = frozenset({"cancel_order"})
    writes = True
    operations = (Operation.CANCEL,)

    async def hear(self, talk: Talk) -> bool:
        heard = [hear_order(talk), hear_reason(talk)]
        return any(heard) or (not self._is_ambiguous(talk) and hear_consent(talk))

    def _is_ambiguous(self, talk: Talk) -> bool:
        text = fold(talk.turn.text)
        return turns_plan_down(talk) and bool(GOODS_UNWANTED.search(text)) and not NAMES_ACT.search(text)

    async def steps(self, talk: Talk) -> None:
        order, grant = await need_order(talk, ProofLevel.WRITE)
        await act_on_consent(talk, grant)
        decision = judge(talk, Operation.CANCEL, order)
        body = cancel_body(talk.task.reason, decision.amount)
        propose(talk, order, decision, body)
