"""The same product in another option: which, whether there is stock, what the difference is."""

from __future__ import annotations

import re
from typing import ClassVar

from actions.alternatives import instead_of
from actions.items import (
    OF_ORDERS,
    ask_opened,
    hear_evidence,
    hear_items,
    hear_opened,
    hear_reason,
    items_added,
    need_evidence,
    need_lines,
    need_reason,
)
from actions.names import intent_of
from actions.orders import hear_order, need_order
from actions.other_one import means_other_one
from actions.plans import act_on_consent, hear_consent, judge, person_button, propose
from actions.tasks import Option, Task, wish
from actions.topic import Talk, TopicAction
from bot.formats import format_money
from bot.identity import ProofLevel
from bot.message import Button, Language
from bot.orders.bodies import line_bodies
from bot.orders.models import Money, Operation, Order, OrderLine, Product, RequestLine, Variant
from bot.orders.wording import in_language, title_of
from bot.policy.reasons import Reason
from bot.references import fold, read_choice, read_choices, read_named
from bot.variants import choose_variant, option_title, price_of, swap_with_difference

OTHER_OPTION = re.compile(
    r"(?:另(?:外)?一?|别的|其他|换一?)(?:个|种|款)?(?:颜色|尺码|大小|型号|规格|版本|[码号])"
    r"|\b(?:another|different|other) (?:colou?r|size|option|model|version)s?\b",
    re.I,
)


class ExchangeForm(TopicAction):
    topic = "exchange"
    intents = frozenset({"exchange_request"})
    writes = True
    operations: ClassVar[tuple[Operation, ...]] = (Operation.EXCHANGE,)

    async def hear(self, talk: Talk) -> bool:
        heard = [
            hear_order(talk),
            self.hear_option(talk),
            hear_items(talk),
            hear_reason(talk),
            hear_opened(talk),
            hear_evidence(talk),
        ]
        return any(heard) or hear_consent(talk)

    def hear_option(self, talk: Talk) -> bool:
        """Another option: the answer to the question, or a change of mind over the plan ("还是要黑色的")."""
        turn, task = talk.turn, talk.task
        if not turn.fresh or task.asked not in ("option", "consent") or "product" not in task.values:
            return False
        if items_added(talk):
            return False  # "第二件也换大一码" says nothing of the first
        other = means_other_one(talk) or (not turn.pressed and OTHER_OPTION.search(fold(turn.text)))
        if "variant" in task.values and other:
            task.values.pop("variant")  # which of the others is asked, unless it is named
            task.plan = None
            if named := self._named(talk):
                task.values["variant"] = named
            return True
        value = talk.chosen() if task.asked == "option" else None
        value = value or (self._named(talk) if not turn.pressed else None)
        if value is None or value == task.values.get("variant"):
            return value is not None and task.asked == "option"
        task.values["variant"] = value
        task.plan = None
        return True

    def _named(self, talk: Talk) -> str | None:
        """The option that the words of this message mean."""
        turn, task = talk.turn, talk.task
        variants = [Variant.model_validate(one) for one in task.values["product"]]
        wanted = choose_variant(turn.text, variants, OrderLine.model_validate(task.values["line"]))
        if wanted is not None or task.asked != "consent":
            return wanted.id if wanted else None
        position = read_choice(turn.text, [option_title(one, talk.language) for one in variants])
        return None if position is None else variants[position].id

    async def steps(self, talk: Talk) -> None:
        order, grant = await need_order(talk, ProofLevel.WRITE)
        await act_on_consent(talk, grant)
        task = talk.task
        chosen = one_at_a_time(talk, order, need_lines(talk, order))
        if not chosen:
            judge(talk, Operation.EXCHANGE, order)  # says why nothing is left
        line = next(line for line in order.lines if line.id == chosen[0].line_id)
        product = await talk.services.client.get_product(line.product_id, currency=order.total.currency)
        prices = {variant.id: variant.price for variant in product.variants}
        # The policy has the first word: nobody picks a colour and is refused afterwards.
        reason = Reason(task.reason) if task.reason else Reason.WRONG_SIZE
        first = judge(talk, Operation.EXCHANGE, order, lines=chosen, reason=reason, current_prices=prices)
        if "opened" in first.asks:
            ask_opened(talk)
        wanted = self.need_variant(talk, order, product, line, chosen[0].quantity)
        reason = need_reason(talk, optional=task.reason is None) or Reason.WRONG_SIZE
        evidence = need_evidence(talk, reason)
        lines = [RequestLine(line_id=line.id, quantity=chosen[0].quantity, variant_id=wanted.id)]
        decision = judge(talk, Operation.EXCHANGE, order, lines=lines, reason=reason, current_prices=prices)
        body = {
            "lines": line_bodies(lines),
            "reason": reason.value,
            **({"evidence": evidence} if evidence else {}),
        }
        note = swap_with_difference(product, line, wanted, chosen[0].quantity, talk.language)
        propose(talk, order, decision, body, lines=lines, note=note)

    def need_variant(
        self, talk: Talk, order: Order, product: Product, line: OrderLine, quantity: int
    ) -> Variant:
        """The wanted option, in stock. Raises: Waiting, Settled."""
        task, language = talk.task, talk.language
        task.values["product"] = [variant.model_dump(mode="json") for variant in product.variants]
        task.values["line"] = line.model_dump(mode="json")
        others = [variant for variant in product.variants if variant.id != line.variant_id]
        available = [variant for variant in others if variant.stock >= quantity]
        if not available:
            talk.settle(
                "exchange_nothing_left",
                item=title_of(line, language),
                buttons=(*self.otherwise(talk, order, quantity, line), person_button(talk)),
            )
        titles = [option_title(variant, language) for variant in others]
        wanted = next((variant for variant in others if variant.id == task.values.get("variant")), None)
        if wanted is None and "asked_option" not in task.values:
            for text in talk.texts:
                position = read_named(text, titles)
                wanted = choose_variant(text, others, line) or (
                    None if position is None else others[position]
                )
                if wanted is not None:
                    break
        if wanted is not None and wanted.stock < quantity:
            task.values.pop("variant", None)
            talk.say("exchange_out_of_stock", option=option_title(wanted, language))
            wanted = None
        if wanted is not None:
            task.values["variant"] = wanted.id
            return wanted
        task.values["asked_option"] = True
        old = price_of(product, line)
        options = [
            Option(title=priced_title(variant, old, language), value=variant.id) for variant in available[:8]
        ]
        talk.ask("option", "ask_option", options=options, item=title_of(line, language))
        raise AssertionError("ask always raises")

    def otherwise(self, talk: Talk, order: Order, quantity: int, line: OrderLine) -> list[Button]:
        """When no option is left to swap for: what else the policy allows for this item."""
        return instead_of(
            talk.services.policy,
            self.operations[0],
            order,
            lines=[RequestLine(line_id=line.id, quantity=quantity)],
            reason=Reason(talk.task.reason) if talk.task.reason else None,
            at=talk.services.now(),
            language=talk.language,
        )


def one_at_a_time(talk: Talk, order: Order, chosen: list[RequestLine]) -> list[RequestLine]:
    """The first of several items; each of the others waits as a wish of its own until the one before is settled.

    Which item is wanted in which option is asked one by one: an exchange concerns one item.
    """
    task, stack = talk.task, talk.stack
    ids = [one.line_id for one in chosen]

    def stale(one: Task) -> bool:
        """Another order or another choice has been made since; or the item's own turn has come."""
        rest = one.values.get("rest_of")
        return (
            one.waiting is not None
            and rest is not None
            and (rest != order.number or len(ids) > 1 or bool(set(one.lines) & set(ids)))
        )

    stack.tasks = [one for one in stack.tasks if not stale(one)]
    if len(chosen) < 2:
        return chosen
    titles = [title_of(line, talk.language) for line in order.lines]
    said = next(
        (text for text in talk.texts if len(read_choices(OF_ORDERS.sub(" ", text), titles) or ()) > 1), ""
    )
    rest = []
    for one in chosen[1:]:
        line = next(line for line in order.lines if line.id == one.line_id)
        # "两件都换大一码" says the option of each; after a button there is only the item to name.
        text = said or in_language(line.title, talk.language)
        rest.append(
            Task(
                topic=task.topic,
                order_number=order.number,
                lines={one.line_id: one.quantity},
                reason=task.reason,
                media=task.media,
                values={"rest_of": order.number},
                waiting=wish(intent_of(task.topic), text, talk.turn.at),
            )
        )
    stack.tasks[-1:-1] = reversed(rest)
    task.lines = {chosen[0].line_id: chosen[0].quantity}
    talk.say("exchange_one_at_a_time")
    return [chosen[0]]


def priced_title(variant: Variant, old: Money, language: Language) -> str:
    """The option with its difference in price, where there is one."""
    title = option_title(variant, language)
    each = variant.price.amount - old.amount
    if each == 0:
        return title
    amount = format_money(Money(amount=abs(each), currency=variant.price.currency), language)
    sign = "+" if each > 0 else "-"
    return f"{title}（{sign}{amount}）" if language == "zh" else f"{title} ({sign}{amount})"
