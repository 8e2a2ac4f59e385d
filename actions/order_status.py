"""Where is it: an order's state, its parcels and its requests."""

from __future__ import annotations

import re

from actions.alternatives import INTENTS, fitness
from actions.orders import hear_order, need_order
from actions.plans import person_button
from actions.replies import button
from actions.topic import OTHER, Talk, TopicAction
from bot.identity import ProofLevel
from bot.message import Button, Language
from bot.orders.models import Fulfilment, Order, OrderState
from bot.orders.wording import render_order
from bot.references import fold

NEXT: dict[OrderState, tuple[tuple[str, str, str], ...]] = {
    # state -> (intent, zh, en): what people usually want next
    OrderState.UNPAID: (("cancel_order", "取消订单", "Cancel it"),),
    OrderState.PAID: (
        ("cancel_order", "取消订单", "Cancel it"),
        ("modify_address", "修改地址", "Change address"),
    ),
    OrderState.PACKED: (("cancel_order", "取消订单", "Cancel it"),),
    OrderState.SHIPPED: (),
    OrderState.DELIVERED: (("return_request", "退货", "Return"), ("exchange_request", "换货", "Exchange")),
    OrderState.CANCELLED: (("refund_status", "退款进度", "Refund status"),),
}


NOT_RECEIVED = re.compile(
    r"没(?:有)?(?:收到|拿到|见到)|未收到|丢(?:件|了|失)|(?:did ?n[o']?t|have ?n[o']?t|never|not) (?:get|got|received?|arrived?)|\b(?:lost|missing|stolen)\b",
    re.I,
)
LOOK_ROUND: dict[Language, str] = {
    "zh": "如果没有收到，请先看看驿站、门卫或家人有没有代收；还是找不到，我请同事向快递核实。",
    "en": "If you don't have it, please check with neighbours, reception or the pick-up point first; if it isn't there, a colleague can ask the carrier.",
}


def parcel_is_stuck(parcel: Fulfilment) -> bool:
    """Whether the carrier's last word is a problem."""
    if parcel.delivered_at is not None or not parcel.events:
        return False
    return max(parcel.events, key=lambda one: one.at).status == "exception"


class OrderStatusForm(TopicAction):
    topic = "order_status"
    intents = frozenset({"order_status", "delivery"})

    async def hear(self, talk: Talk) -> bool:
        return hear_order(talk)

    async def steps(self, talk: Talk) -> None:
        order, _ = await need_order(talk, ProofLevel.READ)
        words = render_order(order, talk.language)
        text, buttons = words.text, self.next_steps(talk, order)
        if any(NOT_RECEIVED.search(fold(said)) for said in talk.texts) and order.fulfilments:
            text = f"{text}\n{LOOK_ROUND[talk.language]}"
            buttons.append(person_button(talk))
        elif any(parcel_is_stuck(parcel) for parcel in order.fulfilments):
            buttons.append(person_button(talk))
        talk.settle("order_shown", order=text, card=words.card, buttons=buttons)

    def next_steps(self, talk: Talk, order: Order) -> list[Button]:
        column = 1 if talk.language == "zh" else 2
        steps = [step for step in NEXT[order.state] if self.is_open(talk, order, step[0])]
        buttons = [button(step[column], step[0]) for step in steps]
        if talk.turn.customer is not None:
            title = "其他订单" if talk.language == "zh" else "Another order"
            buttons.append(button(title, "order_status", choice=OTHER))
        return buttons

    def is_open(self, talk: Talk, order: Order, intent: str) -> bool:
        """Whether the policy leaves this way open; what only a person may still do is not offered long after."""
        operation = next((one for one, name in INTENTS.items() if name == intent), None)
        if operation is None:
            return True
        fit = fitness(talk.services.policy, operation, order, talk.services.now())
        return fit is not None and (fit == 0 or order.state is not OrderState.DELIVERED)
