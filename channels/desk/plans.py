"""An operation run from the desk, by the same road as the bot's: policy, plan, consent, one write, receipt.

A person proposes it for an order the shopper has proven. What the policy allows is shown to the shopper and done on
his yes; what it leaves to a person is done on a lead's recorded approval, within `desk.approve_up_to`; what it
refuses nobody here can do. The write has the key of `bot.orders.plans`, so a second click finds the first receipt.
A plan holds under the fencing token it was made under, for 15 minutes, and for one version of the order.
This module knows no HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast, get_args

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, String, Table, func, select

from bot import clock
from bot.addresses import read_address, read_door, read_recipient, whole_address, with_door
from bot.consent import read_consent
from bot.database import metadata, now_ms
from bot.exceptions import (
    ConsentError,
    DeskError,
    IdentityLocked,
    OrderError,
    OrderRefused,
    OutcomeUnknown,
    OwnershipLost,
    ProofExpired,
    ProofRejected,
    ReceiptMismatch,
    ShopUnavailable,
    StaleOrder,
)
from bot.handoff.ownership import Ownership
from bot.handoff.promises import from_receipt
from bot.identity import IdentityGuard, ProofLevel
from bot.message import Button, Inbound, Language, Reply
from bot.orders.bodies import cancel_body, line_bodies, refund_body, return_body, withdraw_body
from bot.orders.client import OrderClient
from bot.orders.models import (
    Address,
    Grant,
    Money,
    Operation,
    Order,
    OrderLine,
    Product,
    ProofKind,
    Receipt,
    RequestLine,
    Variant,
)
from bot.orders.plans import Plan, execute, make_plan
from bot.orders.wording import (
    describe_address,
    in_language,
    method_name,
    render_plan,
    render_receipt,
    title_of,
)
from bot.policy import Decision, Policy, Reason
from bot.policy.policy import PENDING
from bot.privacy.cipher import SealedJSON
from bot.settings import Settings
from bot.variants import option_title, swap, swap_with_difference
from channels.channel import Conversation
from channels.desk.acts import Acts
from channels.desk.staff import Person
from channels.gateway import Gateway
from channels.payloads import PLAN
from channels.store import Waiting
from channels.tables import events

logger = logging.getLogger(__name__)

State = Literal["approval", "shown", "done", "declined", "refused", "withdrawn", "expired", "stale", "failed"]
OPEN: tuple[State, ...] = ("approval", "shown")
SWAPS = (Operation.EXCHANGE, Operation.CHANGE_ITEMS)  # of one item for another option of it
OFFERED = (
    Operation.REFUND, Operation.RETURN, Operation.EXCHANGE, Operation.CANCEL, Operation.CHANGE_ADDRESS,
    Operation.CHANGE_ITEMS, Operation.WITHDRAW_REQUEST,
)  # fmt: skip

plans = Table(
    "desk_plans",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("conversation", String(64), nullable=False),
    Column("hash", String(64), nullable=False),  # bot.orders.plans.Plan.hash
    Column("plan", SealedJSON, nullable=False),
    Column("decision", JSON, nullable=False),  # the policy's, as the audit trail keeps it
    Column("state", String(16), nullable=False),
    Column("token", Integer, nullable=False),  # fencing token under which it was made
    Column("proposed_by", String(128), nullable=False),
    Column("approved_by", String(128)),
    Column("consent", String(64)),  # the shopper's message that said yes or no
    Column("seq", Integer),  # line in which the shopper saw it
    Column("receipt", String(128)),
    Column("why", String(64)),  # code: what stood in its way
    Column("created_at", BigInteger, nullable=False),  # ms
    Column("decided_at", BigInteger),
    Index("ix_desk_plans_conversation", "conversation", "created_at"),
)

YES: dict[Language, str] = {"zh": "确认办理", "en": "Yes, go ahead"}
NO: dict[Language, str] = {"zh": "先不办", "en": "No, leave it"}
SENTENCES: dict[str, dict[Language, str]] = {
    "declined": {"zh": "好的，这个方案不办理。", "en": "All right, nothing will be done."},
    "done_already": {"zh": "这个方案已经办理过了。", "en": "This has been done already."},
    "gone": {
        "zh": "这个方案已经失效，没有办理。需要的话，同事会重新给您方案。",
        "en": "This plan no longer stands and nothing was done. A colleague can make you a new one.",
    },
    "stale": {
        "zh": "订单刚刚有变化，这个方案没有办理，同事会重新给您方案。",
        "en": "The order has just changed, so this was not done. A colleague will make you a new plan.",
    },
    "unproven": {
        "zh": "为了您的账户安全，办理前需要再核对一次订单信息，同事会请您提供。",
        "en": "To keep your order safe, it has to be verified once more first; a colleague will ask you.",
    },
    "failed": {
        "zh": "商城系统没有接受这次办理，没有扣款或退款，同事会继续处理。",
        "en": "The shop did not accept this, so nothing was done. A colleague is looking into it.",
    },
    "unknown": {
        "zh": "这次办理的结果还在核实，同事核实后马上告诉您，请不要重复申请。",
        "en": "Whether this went through is being checked. A colleague will tell you; please do not ask for it again.",
    },
    "later": {
        "zh": "商城系统暂时没有响应，没有办理。请稍后再按一次确认。",
        "en": "The shop does not answer just now and nothing was done. Please press yes again a little later.",
    },
}


@dataclass(frozen=True)
class Proposal:
    """What a person asks for."""

    operation: Operation
    order_number: str
    lines: tuple[RequestLine, ...] = ()
    reason: Reason | None = None
    opened: bool | None = None
    request_id: str | None = None
    address: str = ""  # the new one, as the shopper said it


@dataclass(frozen=True)
class Swap:
    """One item and what it is swapped for."""

    product: Product
    line: OrderLine
    wanted: Variant
    quantity: int

    @property
    def lines(self) -> tuple[RequestLine, ...]:
        return (RequestLine(line_id=self.line.id, quantity=self.quantity, variant_id=self.wanted.id),)

    @property
    def prices(self) -> dict[str, Money]:
        return {variant.id: variant.price for variant in self.product.variants}

    def note(self, operation: Operation, language: Language) -> str:
        if operation is Operation.EXCHANGE:
            return swap_with_difference(self.product, self.line, self.wanted, self.quantity, language)
        return swap(self.line, self.wanted, language)


class DeskPlans:
    """Over one gateway and one shop."""

    def __init__(
        self,
        gateway: Gateway,
        acts: Acts,
        settings: Settings,
        *,
        client: OrderClient,
        policy: Policy,
        guard: IdentityGuard,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self.gateway = gateway
        self.store = gateway.store
        self.acts = acts
        self.limits = settings.desk.approve_up_to
        self.client = client
        self.policy = policy
        self.guard = guard
        self._now = now
        gateway.consent = self.answer

    # what the page shows

    async def of(self, conversation: str, language: Language) -> list[dict[str, Any]]:
        """The plans of a conversation, newest first."""
        query = select(plans).where(plans.c.conversation == conversation)
        async with self.store.read() as connection:
            rows = (await connection.execute(query.order_by(plans.c.created_at.desc()).limit(10))).all()
        return [self._view(row, language) for row in rows]

    def _view(self, row: Any, language: Language) -> dict[str, Any]:
        plan = Plan.model_validate(row.plan)
        state = row.state
        if state in OPEN and plan.expired(self._now()):
            state = "expired"
        return {
            "id": row.id, "state": state, "operation": plan.operation.value, "order": plan.order_number,
            "amount": plan.amount.model_dump() if plan.amount is not None else None,
            "destination": [method_name(one.method, one.hint, language) for one in plan.destination],
            "lines": [line.model_dump(exclude_none=True) for line in plan.lines],
            "note": in_language(row.decision.get("note") or {}, language) or _new_address(plan, language),
            "clause": row.decision.get("clause"), "outcome": row.decision.get("outcome"),
            "explanation": in_language(row.decision.get("explanation") or {}, language),
            "proposed_by": row.proposed_by, "approved_by": row.approved_by, "receipt": row.receipt, "why": row.why,
            "created_at": row.created_at, "expires_at": int(plan.expires_at.timestamp() * 1000),
        }  # fmt: skip

    async def order(self, conversation: str, number: str) -> dict[str, Any]:
        """The order as it stands now and what may be asked for it, when the shopper has proven it lately.

        Raises:
            DeskError: not proven, or the shop does not answer.
        """
        order, _ = await self._order(conversation, number)
        products = await self._products(order)
        return {
            "number": order.number, "state": order.state.value, "version": order.version,
            "lines": [
                {"id": line.id, "title": {lang: title_of(line, lang) for lang in ("zh", "en")}, "open": line.quantity_open,
                 "price": line.unit_price.model_dump(),
                 "variants": [
                     {"id": one.id, "title": {lang: option_title(one, lang) for lang in ("zh", "en")},
                      "price": one.price.model_dump(), "stock": one.stock}
                     for one in products[line.product_id].variants if one.id != line.variant_id
                 ] if line.product_id in products else []}
                for line in order.lines
            ],
            "requests": [
                {"id": one.id, "operation": one.operation.value, "status": one.status}
                for one in order.requests if one.status in PENDING
            ],
            "operations": [operation.value for operation in OFFERED],
            "reasons": {reason.value: reason.label for reason in Reason},
        }  # fmt: skip

    async def _products(self, order: Order) -> dict[str, Product]:
        """What the items of an order are sold as today. One that is sold no more, or not found now, is left out."""
        ids = list(dict.fromkeys(line.product_id for line in order.lines if line.quantity_open))
        found = await asyncio.gather(
            *(self.client.get_product(one, currency=order.total.currency) for one in ids),
            return_exceptions=True,
        )
        for one in found:
            if isinstance(one, BaseException) and not isinstance(one, OrderError):
                raise one
        return {one.id: one for one in found if isinstance(one, Product)}

    async def prove(self, conversation: str, person: Person, number: str, kind: str, value: str) -> None:
        """What the shopper told a person to prove the order is tried as if he had told the bot; wrong ones count.

        Raises:
            DeskError: it does not open the order, or there were too many wrong ones.
        """
        if kind not in (ProofKind.PHONE_TAIL, ProofKind.EMAIL, ProofKind.POSTCODE):
            raise DeskError(f"{kind!r} is no proof a shopper can tell", code="proof")
        try:
            await self.guard.prove(conversation, f"desk:{person.name}", number, ProofKind(kind), value)
        except ProofRejected as exc:
            raise DeskError("This does not open the order", code="proof_wrong", status=409) from exc
        except IdentityLocked as exc:
            raise DeskError("Too many wrong proofs in this conversation", code="locked", status=409) from exc
        except ShopUnavailable as exc:
            raise DeskError("The shop does not answer", code="shop_down", status=502) from exc

    # proposing

    async def propose(self, current: Ownership, person: Person, wanted: Proposal) -> dict[str, Any]:
        """Judge it and put it on the table; ``outcome`` is the policy's.

        Proposing the same twice is one plan. An earlier plan that was not decided is off the table.

        Raises:
            DeskError: not proven, not offered, or the shop does not answer.
            OwnershipLost: the conversation changed hands.
        """
        if wanted.operation not in OFFERED:
            raise DeskError(f"{wanted.operation.value} is not run from the desk", code="operation")
        known = await self._known(current.conversation)
        order, _ = await self._order(known.id, wanted.order_number)
        swapped = await self._swap(wanted, order) if wanted.operation in SWAPS else None
        lines = swapped.lines if swapped is not None else wanted.lines
        reason = wanted.reason
        if reason is None and wanted.operation is Operation.EXCHANGE:
            reason = Reason.WRONG_SIZE  # what the bot takes it for, too
        decision = self.policy.decide(
            wanted.operation, order, lines=lines, reason=reason, opened=wanted.opened, at=self._now(),
            current_prices=swapped.prices if swapped is not None else None, request_id=wanted.request_id,
        )  # fmt: skip
        told: dict[str, Any] = {
            "outcome": decision.outcome,
            "clause": decision.clause,
            "explanation": decision.explanation,
            "asks": list(decision.asks),
        }
        if decision.outcome == "refused" or decision.asks:
            return told
        if decision.amount is None and wanted.operation in (Operation.REFUND, Operation.RETURN):
            return {**told, "outcome": "refused"}  # nobody can say yes to an amount nobody knows
        if swapped is not None:
            body: dict[str, Any] = {"lines": line_bodies(lines)}
            if wanted.operation is Operation.EXCHANGE and reason is not None:
                body["reason"] = reason.value
        else:
            body = self._body(wanted, order, decision)
        plan = make_plan(
            wanted.operation, order, decision, conversation=known.id, body=body, lines=lines,
            now=self._now(), by_person=True,
        )  # fmt: skip
        note = {lang: swapped.note(wanted.operation, lang) for lang in get_args(Language)} if swapped else {}
        state: State = "shown" if decision.allowed else "approval"
        if state == "shown":
            await self._afford(known.id)
        made = await self._lay(current, person, plan, decision, state, note)
        if made["fresh"]:
            if state == "shown":
                await self._show(known, current, person, made["id"], plan, order, decision, note)
            else:
                await self._line(known.id, made["id"], plan, "approval", person.name)
        return {**told, "plan": made["id"]}

    async def _swap(self, wanted: Proposal, order: Order) -> Swap:
        """The one item and its wanted option.

        Raises:
            DeskError: not one item with an option the shop has now, or the shop does not answer.
        """
        if len(wanted.lines) != 1:
            raise DeskError("One item at a time is swapped", code="one_item")
        asked = wanted.lines[0]
        line = next((one for one in order.lines if one.id == asked.line_id), None)
        if line is None:
            raise DeskError("Choose one of the order's items", code="one_item")
        try:
            product = await self.client.get_product(line.product_id, currency=order.total.currency)
        except ShopUnavailable as exc:
            raise DeskError("The shop does not answer", code="shop_down", status=502) from exc
        except OrderError as exc:
            raise DeskError("This item is not sold any more", code="option") from exc
        variant = next((one for one in product.variants if one.id == asked.variant_id), None)
        if variant is None or variant.id == line.variant_id:
            raise DeskError("Choose another option of this item", code="option")
        # Before it is packed a line changes as it is, as with the bot.
        quantity = line.quantity_open if wanted.operation is Operation.CHANGE_ITEMS else asked.quantity
        if variant.stock < quantity:
            raise DeskError("The shop has not enough of this option", code="out_of_stock", status=409)
        return Swap(product, line, variant, quantity)

    def _body(self, wanted: Proposal, order: Order, decision: Decision) -> dict[str, Any]:
        reason = wanted.reason.value if wanted.reason is not None else None
        if wanted.operation is Operation.CANCEL:
            return cancel_body(reason, decision.amount)
        if wanted.operation is Operation.WITHDRAW_REQUEST:
            if wanted.request_id not in {one.id for one in order.requests}:
                raise DeskError("Choose the request to withdraw", code="request")
            return withdraw_body(str(wanted.request_id))
        if wanted.operation is Operation.CHANGE_ADDRESS:
            said = read_address(wanted.address) or read_recipient(wanted.address)
            if not said and (door := read_door(wanted.address)):
                street = with_door(order.address.street, door)
                said = {"street": street} if street else {}
            if not said:
                raise DeskError("No address can be read from these words", code="address")
            return {"address": whole_address(order.address.model_dump(), said)}
        lines = wanted.lines or tuple(
            RequestLine(line_id=line.id, quantity=line.quantity_open)
            for line in order.lines
            if line.quantity_open
        )
        if wanted.operation is Operation.REFUND:
            return refund_body(lines, reason, decision.amount)
        return return_body(lines, reason, decision.amount, opened=wanted.opened)

    async def _lay(
        self, current: Ownership, person: Person, plan: Plan, decision: Decision, state: State,
        note: Mapping[Language, str],
    ) -> dict[str, Any]:  # fmt: skip
        """One row, under the lock of the conversation; {id, fresh}."""
        kept = {
            "operation": decision.operation.value, "outcome": decision.outcome, "clause": decision.clause,
            "policy": decision.policy_version, "explanation": decision.explanation,
            **({"note": dict(note)} if note else {}),
        }  # fmt: skip
        async with self.store.write() as connection:
            await self.store.lock(connection, current.conversation)
            query = select(plans).where(plans.c.conversation == current.conversation, plans.c.state.in_(OPEN))
            for row in (await connection.execute(query)).all():
                same = row.hash == plan.hash and row.token == current.token
                if same and not Plan.model_validate(row.plan).expired(self._now()):
                    return {"id": row.id, "fresh": False}
                await connection.execute(
                    plans.update()
                    .where(plans.c.id == row.id, plans.c.state.in_(OPEN))
                    .values(state="withdrawn", why="replaced", decided_at=now_ms())
                )
            plan_id = secrets.token_hex(12)
            await connection.execute(
                plans.insert().values(
                    id=plan_id, conversation=current.conversation, hash=plan.hash, plan=plan.model_dump(mode="json"),
                    decision=kept, state=state, token=current.token, proposed_by=person.name, created_at=now_ms(),
                )
            )  # fmt: skip
        return {"id": plan_id, "fresh": True}

    async def _show(
        self, known: Conversation, current: Ownership, person: Person, plan_id: str, plan: Plan, order: Order,
        decision: Decision, note: Mapping[Language, str],
    ) -> None:  # fmt: skip
        language = known.language
        words = render_plan(plan, order, language, note=note.get(language, ""))
        reply = Reply(
            text=words.text, card=words.card, language=language,
            buttons=(
                Button(title=YES[language], payload=f"{PLAN}yes:{plan_id}"),
                Button(title=NO[language], payload=f"{PLAN}no:{plan_id}"),
            ),
            explain=self._explain(plan, decision.outcome, proposed_by=person.name),
        )  # fmt: skip
        try:
            seq = await self.acts.reply(current, person.name, key=f"plan:{plan_id}", reply=reply)
        except (OwnershipLost, DeskError):
            await self._move(plan_id, OPEN, "withdrawn", why="lost")
            raise
        async with self.store.write() as connection:
            await connection.execute(plans.update().where(plans.c.id == plan_id).values(seq=seq))
        await self._line(known.id, plan_id, plan, "shown", person.name)

    # deciding

    async def approve(self, conversation: str, person: Person, plan_id: str) -> None:
        """A lead's yes to what the policy leaves to a person: done at once, and told to the shopper.

        Raises:
            DeskError: not a lead, above his limit, no longer on the table, not proven, or refused by the shop.
            OwnershipLost: the conversation changed hands since it was proposed.
        """
        row = await self._row(conversation, plan_id)
        if row.state == "done":
            return
        plan = Plan.model_validate(row.plan)
        if not person.leads:
            raise DeskError(
                "Only a lead approves what the policy leaves to a person", code="role", status=403
            )
        if not self._within(person, plan.amount):
            raise DeskError("The amount is above your limit", code="limit", status=403)
        if row.state != "approval":
            raise DeskError("This plan is not on the table any more", code="plan_gone", status=409)
        owner = await self.gateway.owner(conversation)
        if owner.owner != "person" or owner.token != row.token:
            await self._move(plan_id, OPEN, "withdrawn", why="lost")
            raise OwnershipLost(f"{conversation} changed hands since this was proposed")
        known = await self._known(conversation)
        receipt, state, why = await self._execute(known, plan)
        if receipt is None:
            if state is not None:
                await self._move(plan_id, ("approval",), state, why=why, approved_by=person.name)
                await self._line(conversation, plan_id, plan, state, person.name, why=why)
            raise DeskError(f"Not done: {why}", code=why, status=409)
        if await self._move(plan_id, ("approval",), "done", approved_by=person.name, receipt=receipt.id):
            await self._line(conversation, plan_id, plan, "done", person.name, receipt=receipt.id)
        reply = self._receipt_reply(known, row, plan, receipt, approved_by=person.name)
        await self.gateway.say_as_system(
            conversation, reply, key=f"receipt:{plan_id}", answers=await self._last_words(conversation)
        )

    async def turn_down(self, conversation: str, person: Person, plan_id: str) -> None:
        """A lead's no, or the proposer's second thought; the shopper's buttons do nothing any more.

        Raises:
            DeskError: it is decided already, or neither his nor his to decide.
        """
        row = await self._row(conversation, plan_id)
        if row.proposed_by != person.name and not person.leads:
            raise DeskError("Only who proposed it or a lead takes it back", code="role", status=403)
        state: State = (
            "refused" if row.state == "approval" and person.name != row.proposed_by else "withdrawn"
        )
        if not await self._move(plan_id, OPEN, state, why=person.name[:64]):
            raise DeskError("This plan is not on the table any more", code="plan_gone", status=409)
        await self._line(conversation, plan_id, Plan.model_validate(row.plan), state, person.name)

    async def answer(
        self, known: Conversation, inbound: Inbound, payload: str | None, waiting: Waiting, owner: Ownership
    ) -> Reply | None:
        """The gateway's hook: the shopper's yes or no to a plan, pressed or plainly said. None: it is neither.

        May run again for the same message after a kill; the write has its key and changes nothing then.
        """
        row = await self._meant(known, inbound, payload, waiting)
        if row is None:
            # A button outlives its plan by the retention of messages.
            return self._say("gone", known.language) if (payload or "").startswith(PLAN) else None
        plan = Plan.model_validate(row.plan)
        said = payload.split(":")[2] if payload and payload.startswith(PLAN) else None
        yes = (said or read_consent(inbound.text, plan.operation)) == "yes"
        language = known.language
        if row.state == "done":
            return self._say("done_already", language)
        if row.state not in OPEN or row.state == "approval":
            return self._say("gone", language)
        if owner.owner != "person" or owner.token != row.token:
            await self._move(row.id, OPEN, "withdrawn", why="lost")
            return self._say("gone", language)
        if not yes:
            await self._move(row.id, OPEN, "declined", consent=waiting.id)
            await self._line(known.id, row.id, plan, "declined", None)
            return self._say("declined", language)
        receipt, state, why = await self._execute(known, plan)
        if receipt is None:
            if state is not None:
                await self._move(row.id, OPEN, state, why=why, consent=waiting.id)
            await self._line(known.id, row.id, plan, state or "shown", None, why=why)
            return self._say(_SAID.get(why, "failed"), language)
        if await self._move(row.id, OPEN, "done", receipt=receipt.id, consent=waiting.id):
            await self._line(known.id, row.id, plan, "done", None, receipt=receipt.id)
        return self._receipt_reply(known, row, plan, receipt, consent="pressed" if said else "said")

    async def _meant(
        self, known: Conversation, inbound: Inbound, payload: str | None, waiting: Waiting
    ) -> Any | None:
        """The plan this message answers. Words count only while the plan is the last thing said to the shopper."""
        if payload is not None and payload.startswith(PLAN):
            query = select(plans).where(plans.c.id == payload.split(":")[3], plans.c.conversation == known.id)
        elif payload is None and inbound.text:
            query = select(plans).where(plans.c.conversation == known.id, plans.c.state == "shown")
        else:
            return None
        async with self.store.read() as connection:
            row = (await connection.execute(query.order_by(plans.c.created_at.desc()).limit(1))).first()
            if row is None or payload is not None:
                return row
            last = select(func.max(events.c.seq)).where(
                events.c.conversation == known.id, events.c.kind == "message", events.c.author != "shopper",
                events.c.seq < waiting.seq,
            )  # fmt: skip
            if (await connection.execute(last)).scalar() != row.seq:
                return None
        operation = Plan.model_validate(row.plan).operation
        return row if read_consent(inbound.text, operation) in ("yes", "no") else None

    async def _execute(self, known: Conversation, plan: Plan) -> tuple[Receipt | None, State | None, str]:
        """(receipt, None, "") or (None, the plan's new state or None when it still stands, a code)."""
        number = plan.order_number
        try:
            grant = await self._grant(known, number)
            if grant is None:
                return None, None, "unproven"
            receipt = await execute(plan, plan.hash, client=self.client, grant=grant, now=self._now())
        except ConsentError:
            return None, "expired", "expired"
        except StaleOrder:
            return None, "stale", "stale"
        except (ProofExpired, ProofRejected):
            await self.guard.drop_grants(known.id, number)
            return None, None, "unproven"
        except OrderRefused as exc:
            logger.info("desk.plan_refused_by_shop operation=%s code=%s", plan.operation.value, exc.code)
            return None, "failed", f"shop_{exc.code}"[:64]
        except (OutcomeUnknown, ReceiptMismatch) as exc:
            logger.error("desk.plan_outcome_unknown conversation=%s reason=%s", known.id, exc)
            return None, None if isinstance(exc, OutcomeUnknown) else "failed", "unknown"
        except ShopUnavailable:
            return None, None, "shop_down"
        return receipt, None, ""

    def _receipt_reply(
        self, known: Conversation, row: Any, plan: Plan, receipt: Receipt, **how: str
    ) -> Reply:
        language = known.language
        words = render_receipt(receipt, plan, language)
        instructions = in_language(receipt.details.get("instructions") or {}, language)
        return Reply(
            text=f"{words.text}\n{instructions}" if instructions else words.text,
            card=words.card,
            receipts=(receipt.id,),
            promises=from_receipt(receipt, plan),
            language=language,
            explain={
                **self._explain(plan, "done", proposed_by=row.proposed_by, **how),
                "due_at": receipt.due_at.isoformat() if receipt.due_at else None,
            },
        )

    def _explain(self, plan: Plan, outcome: str, **who: str) -> dict[str, Any]:
        return {
            "operation": plan.operation.value, "outcome": outcome, "clause": plan.clause,
            "policy": plan.policy_version, "plan": plan.hash, "by": "desk",
            "order": {"number": plan.order_number, "version": plan.order_version}, **who,
        }  # fmt: skip

    def _say(self, key: str, language: Language) -> Reply:
        return Reply(text=SENTENCES[key][language], language=language)

    # small things

    def _within(self, person: Person, amount: Money | None) -> bool:
        """Whether this person may approve so much. Only an admin can be without limits; a currency without one is too much."""
        if amount is None or amount.amount <= 0:
            return True
        limits = self.limits.get(person.role)
        if limits is None:
            return person.role == "admin"
        return amount.amount <= limits.get(amount.currency, -1)

    async def _order(self, conversation: str, number: str) -> tuple[Order, Grant]:
        known = await self._known(conversation)
        try:
            grant = await self._grant(known, number)
            if grant is None:
                raise DeskError("The shopper has not proven this order lately", code="unproven", status=409)
            return await self.client.get_order(number, grant), grant
        except (ProofExpired, ProofRejected) as exc:
            await self.guard.drop_grants(known.id, number)
            raise DeskError(
                "The shopper has not proven this order lately", code="unproven", status=409
            ) from exc
        except ShopUnavailable as exc:
            raise DeskError("The shop does not answer", code="shop_down", status=502) from exc

    async def _grant(self, known: Conversation, number: str) -> Grant | None:
        """The shopper's own fresh proof of this order, or the account the channel vouches for."""
        grant = await self.guard.grant_for(known.id, number, ProofLevel.WRITE)
        if grant is not None or known.customer is None:
            return grant
        try:
            return await self.guard.prove_account(known.id, known.customer)
        except ProofRejected:
            return None

    async def _afford(self, conversation: str) -> None:
        budget = await self.acts.budget(conversation)
        if budget is not None and budget["left"] <= 0:
            raise DeskError("The channel takes no more messages now", code="no_budget", status=409)

    async def _known(self, conversation: str) -> Conversation:
        known = await self.store.conversation(conversation)
        if known is None:
            raise LookupError(f"There is no conversation {conversation}")
        return known

    async def _row(self, conversation: str, plan_id: str) -> Any:
        query = select(plans).where(plans.c.id == plan_id, plans.c.conversation == conversation)
        async with self.store.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise LookupError(f"There is no plan {plan_id} in {conversation}")
        return row

    async def _move(self, plan_id: str, before: Sequence[str], state: State, **values: Any) -> bool:
        """Of two who decide at once, one does."""
        async with self.store.write() as connection:
            moved = await connection.execute(
                plans.update()
                .where(plans.c.id == plan_id, plans.c.state.in_(before))
                .values(state=state, decided_at=now_ms(), **values)
            )
        return bool(moved.rowcount == 1)

    async def _line(
        self, conversation: str, plan_id: str, plan: Plan, state: str, by: str | None, **more: str
    ) -> None:
        """What became of a plan, in the transcript, for colleagues."""
        amount = plan.amount
        body = {
            "plan": plan_id, "state": state, "by": by, "operation": plan.operation.value, "order": plan.order_number,
            "clause": plan.clause, **({"amount": amount.model_dump()} if amount is not None else {}), **more,
        }  # fmt: skip
        await self.gateway.write_event(conversation, "plan", "person" if by else "shopper", body)

    async def _last_words(self, conversation: str) -> str | None:
        """The shopper's last message: what a decision of the desk answers, for `kefu explain`."""
        query = (
            select(events.c.body)
            .where(
                events.c.conversation == conversation,
                events.c.kind == "message",
                events.c.author == "shopper",
            )
            .order_by(events.c.seq.desc())
            .limit(1)
        )
        async with self.store.read() as connection:
            body = (await connection.execute(query)).scalar() or {}
        return cast("str | None", body.get("id"))


def _new_address(plan: Plan, language: Language) -> str:
    """Where the parcel is to go by this plan."""
    address = plan.body.get("address")
    return describe_address(Address.model_validate(address), language) if address else ""


_SAID = {
    "expired": "gone",
    "stale": "stale",
    "unproven": "unproven",
    "unknown": "unknown",
    "shop_down": "later",
}
