"""From the policy's decision to the receipt: show the plan, hear the yes, write once, say what the shop confirmed.

Every write of every topic goes through here. A yes counts only for the plan on the table; what is said
afterwards comes from the receipt. It knows no topic.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from actions import names
from actions.alternatives import instead_of, passes
from actions.notes import note_basis, note_words
from actions.replies import button
from actions.topic import Again, NotMine, Talk
from bot.consent import read_consent
from bot.exceptions import ConsentError, OrderRefused, ProofExpired, ReceiptMismatch, StaleOrder
from bot.handoff.notes import concerns
from bot.handoff.promises import from_receipt
from bot.message import Button, Language
from bot.orders.models import Grant, Money, Operation, Order, RequestLine
from bot.orders.plans import Plan, execute, make_plan
from bot.orders.wording import in_language, render_plan, render_receipt
from bot.policy import Decision, Reason

log = logging.getLogger(__name__)

YES = {"zh": "确认", "en": "Confirm"}
NO = {"zh": "取消", "en": "Cancel"}

BY_REASON = frozenset(
    {Operation.REFUND, Operation.RETURN, Operation.EXCHANGE}
)  # a fault may change the answer

# What a shop's refusal is called in the domain; any other code gets the general sentence.
REFUSALS = {
    "wrong_state",
    "nothing_open",
    "amount_mismatch",
    "payment_required",
    "out_of_stock",
    "nothing_to_change",
}


def hear_consent(talk: Talk) -> bool:
    """Take a yes or a no to the plan on the table; an unclear sentence is neither.

    Raises:
        NotMine: a button of another plan was pressed.
    """
    turn, task = talk.turn, talk.task
    if not turn.fresh:
        return False
    pressed = turn.value("plan") if turn.pressed else None
    plan = Plan.model_validate(task.plan) if task.plan else None
    if pressed is not None:
        if plan is None or pressed != plan.hash:
            raise NotMine
        task.values["answer"] = "yes" if turn.intent == "affirm" else "no"
        return True
    if task.asked != "consent" or plan is None or turn.pressed:
        return False
    answer = read_consent(turn.text, plan.operation)
    if answer not in ("yes", "no"):
        return False
    task.values["answer"] = answer
    return True


async def act_on_consent(talk: Talk, grant: Grant) -> None:
    """If the shopper answered the plan: do it and say so from the receipt, or leave it.

    Raises:
        Settled: done, declined, or refused by the shop.
        Again: the plan no longer holds; the steps make a new one.
        OutcomeUnknown, ShopUnavailable
    """
    task = talk.task
    answer = task.values.get("answer")
    if answer is None or task.plan is None:
        task.values.pop("answer", None)
        return
    plan = Plan.model_validate(task.plan)
    if answer == "no":
        talk.settle("plan_declined")
    now = talk.services.now()
    try:
        receipt = await execute(plan, plan.hash, client=talk.services.client, grant=grant, now=now)
    except ConsentError:
        raise _renew(talk, "plan_expired") from None
    except StaleOrder:
        raise _renew(talk, "plan_stale") from None
    except ProofExpired:
        # The yes stays bound to its plan: after a new proof it still counts.
        await talk.services.guard.drop_grants(talk.turn.conversation, plan.order_number)
        raise Again from None
    except OrderRefused as exc:
        log.info("%s refused by the shop: %s", plan.operation.value, exc.code)
        if exc.code in ("out_of_stock", "unknown_variant") and "variant" in task.values:
            task.values.pop("variant")
            raise _renew(talk, "exchange_sold_out") from None
        if exc.code == "payment_required":
            talk.hand_over("policy", "handoff_payment")
        response = f"shop_{exc.code}" if exc.code in REFUSALS else "shop_refused"
        talk.settle(response, buttons=(person_button(talk),), explain={"shop": exc.code})
    except ReceiptMismatch:
        log.exception("a receipt differs from its plan")
        talk.hand_over("outcome_unknown", "handoff_outcome_unknown")
    words = render_receipt(receipt, plan, talk.language)
    talk.remember("done", {"plan": plan.hash, "receipt": receipt.id, "order": receipt.order})
    instructions = in_language(receipt.details.get("instructions") or {}, talk.language)
    text = f"{words.text}\n{instructions}" if instructions else words.text
    talk.settle(
        "plan_done",
        receipt=text,
        card=words.card,
        receipts=[receipt.id],
        promises=from_receipt(receipt, plan),
        explain={
            "operation": plan.operation.value,
            "outcome": "done",
            "clause": plan.clause,
            "policy": plan.policy_version,
            "plan": plan.hash,
            "due_at": receipt.due_at.isoformat() if receipt.due_at else None,
        },
    )


def _renew(talk: Talk, response: str) -> Again:
    """The plan is off the table; say why, and let the steps make a new one."""
    talk.task.values.pop("answer", None)
    talk.task.plan = None
    talk.say(response)
    return Again()


def judge(
    talk: Talk,
    operation: Operation,
    order: Order,
    *,
    lines: Sequence[RequestLine] = (),
    reason: Reason | None = None,
    current_prices: Mapping[str, Money] | None = None,
    request_id: str | None = None,
) -> Decision:
    """Ask the policy. Only an allowed decision comes back, or one that still asks for a fact.

    A refusal is kept, so that it can be explained when it is asked about (actions/refusals.py).

    Raises:
        Settled: refused, with the clause explained.
        HandedOver: only a person may decide this.
    """
    decision = talk.services.policy.decide(
        operation,
        order,
        lines=lines,
        reason=reason,
        opened=talk.task.opened,
        at=talk.services.now(),
        current_prices=current_prices,
        request_id=request_id,
    )
    explain = explanation(decision)
    words = decision.explanation[talk.language]
    note = talk.turn.note
    if decision.outcome == "refused" and note is not None and concerns(note, order.number, talk.task.topic):
        # A person gave his word on this order: he decides, not the rule that would contradict him.
        said, card = note_words(note, talk.language)
        basis = {**explain, **note_basis(note)}
        talk.hand_over("policy", "handoff_note", explanation=words, card=card, explain=basis, **said)
    if decision.outcome == "refused":
        _remember_refusal(talk, decision, order, lines, reason)
        instead = _instead(talk, operation, order, lines, reason, talk.language)
        talk.settle(
            "refused",
            explanation=words,
            clause=decision.clause,
            buttons=(*instead, person_button(talk)),
            explain=explain,
        )
    if decision.outcome == "person" and not decision.asks:
        talk.hand_over("policy", "handoff_policy", explanation=words, explain=explain)
    return decision


def _instead(
    talk: Talk,
    operation: Operation,
    order: Order,
    lines: Sequence[RequestLine],
    reason: Reason | None,
    language: Language,
) -> list[Button]:
    return instead_of(
        talk.services.policy,
        operation,
        order,
        lines=lines,
        reason=reason,
        at=talk.services.now(),
        language=language,
    )


def _remember_refusal(
    talk: Talk,
    decision: Decision,
    order: Order,
    lines: Sequence[RequestLine],
    reason: Reason | None,
) -> None:
    """What "why?" is answered with: the clause, and whether a fault would change it."""
    fault = talk.services.policy.decide(
        decision.operation, order, lines=lines, reason=Reason.QUALITY_FAULT, at=talk.services.now()
    )
    languages: tuple[Language, ...] = ("zh", "en")
    talk.remember(
        "refused",
        {
            "topic": talk.task.topic,
            "intent": names.intent_of(talk.task.topic),
            "operation": decision.operation.value,
            "order": order.number,
            "clause": decision.clause,
            "words": decision.explanation,
            "instead": {
                language: [
                    one.model_dump()
                    for one in _instead(talk, decision.operation, order, lines, reason, language)
                ]
                for language in languages
            },
            "fault": decision.operation in BY_REASON and (passes(fault) or fault.outcome == "person"),
            "at": talk.turn.at,
        },
    )


def explanation(decision: Decision) -> dict[str, Any]:
    """What the audit trail keeps of a decision."""
    return {
        "operation": decision.operation.value,
        "outcome": decision.outcome,
        "clause": decision.clause,
        "policy": decision.policy_version,
    }


def person_button(talk: Talk) -> Button:
    return names.person_button(talk.language)


def propose(
    talk: Talk,
    order: Order,
    decision: Decision,
    body: Mapping[str, Any],
    *,
    lines: Sequence[RequestLine] = (),
    note: str = "",
) -> NoReturn:
    """Show the plan and wait for the yes. `note` says what no row of the plan says."""
    if not decision.allowed:
        talk.hand_over("policy", "handoff_policy", explanation=decision.explanation[talk.language])
    plan = make_plan(
        decision.operation,
        order,
        decision,
        conversation=talk.turn.conversation,
        body=body,
        lines=lines,
        now=talk.services.now(),
    )
    talk.task.plan = plan.model_dump(mode="json")
    words = render_plan(plan, order, talk.language, note=note)
    buttons = (
        button(YES[talk.language], "affirm", plan=plan.hash),
        button(NO[talk.language], "deny", plan=plan.hash),
    )
    talk.ask(
        "consent",
        "plan_shown",
        buttons=buttons,
        card=words.card,
        explain=explanation(decision),
        plan=words.text,
    )
