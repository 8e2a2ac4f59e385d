"""Which order is meant, and whether this shopper may see it.

Numbers, "the last one", "yesterday's", a choice among several; then the proof, asked for only when the
channel has not given it. Nothing about an order is read or said before the guard has a grant for it.
It knows no topic.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Sequence

from actions.order_days import read_day, read_period
from actions.order_numbers import denies_number, gives_phone, put_off_others, read_numbers
from actions.other_one import means_other_one, means_other_order
from actions.packet import order_facts, proof_facts
from actions.tasks import Option, Task
from actions.topic import OTHER, Talk
from bot.addresses import read_address, read_recipient
from bot.consent import read_consent
from bot.exceptions import OrderError, ProofExpired, ProofRejected
from bot.formats import format_date, format_money, shop_timezone
from bot.identity import ProofLevel, read_proof
from bot.identity.guard import order_key
from bot.identity.proofs import EMAIL, NUMBER_HERE, offered_proof, without_figures
from bot.message import Language
from bot.orders.models import Grant, Order, OrderSummary, ProofKind
from bot.orders.wording import STATES, in_language
from bot.references import fold, means_newest, read_positions

SHOWN = 5  # orders offered at once
LOOKED_AT = 10  # newest orders that are read to see which of them suit
OTHER_TITLE = {"zh": "其他订单", "en": "Another order"}

ORDER_POSITION = re.compile(
    r"第\s*(?:[一二三四五六七八九十]|\d{1,2})\s*(?:个订单|单|笔|个)|\b(?:first|second|third|fourth|fifth) (?:order|one)\b|^\s*\d{1,2}\s*$",
    re.I,
)
CHANGED = re.compile(r"[改换变]|更新|更正|\b(?:change|update|new)", re.I)
TAIL_NAMED = re.compile(r"尾号|后四位|\blast (?:four|4)\b|\bend(?:s|ing)\b", re.I)


def hear_order(talk: Talk) -> bool:
    """Take an order number, a choice, a correction or a proof from the message; whether there was one."""
    turn, task = talk.turn, talk.task
    if not turn.fresh:
        return False
    numbers = read_numbers(talk)
    number = numbers[0] if numbers else None
    if task.asked == "order":
        choice = talk.chosen() or _only_one(talk)
        if choice == OTHER:
            task.forget_order()
            task.values["said_other"] = task.values["said_rest"] = True
            return True
        number = number or choice
    if number is not None:
        task.values.pop("carried", None)
        if task.order_number is None or order_key(number) != order_key(task.order_number):
            task.forget_order()
            task.order_number = number
        put_off_others(talk, numbers)
        return True
    if task.asked == "order_number" and gives_phone(talk):
        talk.say("find_order_number")  # the phone is kept as a proof
        return True
    denied = task.order_number is not None and denies_number(turn.text, task.order_number)
    if (
        denied
        or means_other_order(talk)
        or (task.order_number is not None and not has_chosen(task) and means_other_one(talk))
    ):
        _turn_down(talk)
        # The reference to the right one may stand in the same message: "不是这个订单，是昨天那个".
        task.values["said_other"] = True
        return True
    if task.asked == "proof":
        return read_proof(turn.text) is not None
    return task.asked == "order" and bool(means_newest(turn.text) or read_day(talk) or read_period(talk))


def _only_one(talk: Talk) -> str | None:
    """A yes to a choice of one."""
    options = [one.value for one in talk.task.options if one.value != OTHER]
    agreed = not talk.turn.pressed and read_consent(talk.turn.text, None) == "yes"
    return options[0] if agreed and len(options) == 1 else None


def has_chosen(task: Task) -> bool:
    """Whether one of several items, or an option, has been chosen: then "the other one" speaks of that."""
    return "variant" in task.values or (bool(task.lines) and len(task.values.get("titles", ())) > 1)


def _turn_down(talk: Talk) -> None:
    """This order is not the one. Of a choice of two, the other one is meant."""
    task = talk.task
    refused = task.order_number
    shown = [str(one) for one in task.values.get("said_shown", ()) if one != refused]
    task.forget_order()
    task.values["said_shown"] = shown
    if len(shown) == 1 and refused is not None:
        task.order_number = shown[0]
    elif refused is not None:
        task.values["said_refused"] = [*task.values.get("said_refused", ()), refused]


async def need_order(talk: Talk, level: ProofLevel) -> tuple[Order, Grant]:
    """The order this task is about, as it is now, with the grant that opens it; asks for what is missing.

    Raises:
        Waiting: a question was asked.
        IdentityLocked, ShopUnavailable
    """
    task = talk.task
    if task.order_number is None:
        task.order_number = await _which(talk)
    order, grant = await _open(talk, task.order_number, level)
    if task.values.pop("carried", False):
        order, grant = await _settle_on(talk, order, grant, level)
    task.order_confirmed = True
    task.values.pop("said_other", None)
    read_at = talk.services.now().isoformat()
    talk.facts = {"order": order_facts(order, read_at=read_at), "proof": proof_facts(grant)}
    return order, grant


async def _settle_on(talk: Talk, order: Order, grant: Grant, level: ProofLevel) -> tuple[Order, Grant]:
    """The order spoken of some time ago: named, before anything is asked about it, or changed for another.

    Raises: as `need_order`.
    """
    task = talk.task
    if talk.fitness is not None and talk.fitness(order) is None and grant.order_number is None:
        task.forget_order()
        task.order_number = await _which(talk)
        return await _open(talk, task.order_number, level)
    item = in_language(order.lines[0].title, talk.language)
    talk.say("about_order", order=order.number, item=item)
    return order, grant


async def account_grant(talk: Talk) -> Grant | None:
    """The grant for all orders of a customer whom the channel has proven, if it has."""
    services, turn = talk.services, talk.turn
    if turn.customer is None:
        return None
    grant = await services.guard.grant_for(turn.conversation, None, ProofLevel.WRITE)
    if grant is not None:
        return grant
    try:
        return await services.guard.prove_account(turn.conversation, turn.customer)
    except ProofRejected:
        return None  # the shop knows no such customer: ask like everybody else


async def _renewed_account_grant(talk: Talk) -> Grant | None:
    """A new grant for a customer whom the channel has proven, when the shop does not accept the old one."""
    if talk.turn.customer is None:
        return None
    await talk.services.guard.drop_grants(talk.turn.conversation)
    return await account_grant(talk)


async def _which(talk: Talk) -> str:
    """Find out which order is meant, without asking where there is nothing to choose."""
    grant = await account_grant(talk)
    if grant is None:
        talk.ask("order_number", "ask_order_number")
    try:
        orders = await talk.services.client.find_orders(grant, limit=20)
    except (ProofExpired, ProofRejected):
        grant = await _renewed_account_grant(talk)
        if grant is None:
            talk.ask("order_number", "ask_order_number")
        orders = await talk.services.client.find_orders(grant, limit=20)
    if not orders:
        talk.ask("order_number", "ask_order_number_none_found")
    meant = refer(talk, orders)
    if len(meant) == 1:
        return meant[0].number
    if len(orders) == 1:
        return orders[0].number
    refused = talk.task.values.get("said_refused", ())
    orders = [one for one in orders if one.number not in refused] or orders
    response, shown = "ask_order", meant
    if not meant:
        response, shown = await _suiting(talk, orders, grant)
    options = [Option(title=summary_title(one, talk.language), value=one.number) for one in shown[:SHOWN]]
    talk.task.values["said_shown"] = [one.value for one in options]
    if len(options) < len(orders) and response == "ask_order_fitting":
        options.append(Option(title=OTHER_TITLE[talk.language], value=OTHER))
    talk.ask("order", response, options=options)
    raise AssertionError("ask always raises")


async def _suiting(
    talk: Talk, orders: Sequence[OrderSummary], grant: Grant
) -> tuple[str, list[OrderSummary]]:
    """What to ask, and the orders to choose from: first those for which the policy leaves a way.

    Who has seen these and means another one is shown all.
    """
    values = talk.task.values
    seen = values.get("said_shown", ()) if values.pop("said_rest", False) else ()
    if talk.fitness is None or seen:
        rest = [one for one in orders if one.number not in seen]
        return "ask_order", rest or list(orders)
    looked_at = orders[:LOOKED_AT]
    found = await asyncio.gather(
        *(talk.services.client.get_order(one.number, grant) for one in looked_at), return_exceptions=True
    )
    ranked: list[tuple[int, OrderSummary]] = []
    for summary, order in zip(looked_at, found, strict=True):
        if isinstance(order, Order):
            rank = talk.fitness(order)
        elif isinstance(order, OrderError):
            rank = 1  # it can be asked for and will be judged then
        else:
            raise order
        if rank is not None:
            ranked.append((rank, summary))
    if not ranked:
        return "ask_order_none_fits", list(orders)
    return "ask_order_fitting", [one for _, one in sorted(ranked, key=lambda pair: pair[0])]


def refer(talk: Talk, orders: Sequence[OrderSummary]) -> list[OrderSummary]:
    """The orders that the shopper's words point at: the newest, a day's, the second one."""
    if not talk.turn.fresh:
        return []
    text = talk.turn.text
    day = read_day(talk)
    if day is not None:
        zone = shop_timezone()
        of_day = [one for one in orders if one.created_at.astimezone(zone).date() == day]
        if of_day:
            return of_day
    period = read_period(talk)
    if period is not None:
        zone = shop_timezone()
        return [one for one in orders if period[0] <= one.created_at.astimezone(zone).date() <= period[1]]
    if means_newest(text):
        return list(orders[:1])
    if ORDER_POSITION.search(fold(text)):
        positions = read_positions(text, len(orders))
        return [orders[positions[0]]] if len(positions) == 1 else []
    return []


def summary_title(order: OrderSummary, language: Language) -> str:
    """One line for a choice: day, first item, how many, amount, state."""
    day = format_date(order.created_at, language)
    title = in_language(order.title, language)
    money = format_money(order.total, language)
    state = STATES[order.state][language]
    if language == "zh":
        more = f"等 {order.count} 件" if order.count > 1 else ""
        return f"{day} {title}{more} {money}（{state}）"
    more = f" + {order.count - 1} more" if order.count > 1 else ""
    return f"{day}: {title}{more}, {money} ({state})"


async def _open(talk: Talk, number: str, level: ProofLevel) -> tuple[Order, Grant]:
    """Read the order under the best grant there is; ask for a proof where there is none."""
    services, turn, task = talk.services, talk.turn, talk.task
    grant = await services.guard.grant_for(turn.conversation, number, level) or await account_grant(talk)
    stale = False
    if grant is not None:
        try:
            return await services.client.get_order(number, grant), grant
        except ProofExpired:
            await services.guard.drop_grants(turn.conversation, number)
            stale = True
        except ProofRejected:
            # Not this customer's order, or none at all, or the shop has forgotten the grant.
            fresh = await _renewed_account_grant(talk)
            if fresh is not None:
                try:
                    return await services.client.get_order(number, fresh), fresh
                except ProofRejected:
                    pass  # another proof may still open it
    proof = _said_proof(talk, number)
    if proof is None:
        known = await services.guard.grant_for(turn.conversation, number, ProofLevel.READ)
        # An account's grant that does not open this order says nothing about an earlier check of it.
        again = stale or (known is not None and known.order_number is not None)
        talk.ask("proof", "ask_proof_again" if again else "ask_proof")
    task.proof_after = turn.at
    try:
        grant = await services.guard.prove(turn.conversation, turn.source, number, *proof)
        return await services.client.get_order(number, grant), grant
    except (ProofRejected, ProofExpired):
        talk.ask("proof", "proof_rejected")
    raise AssertionError("ask always raises")


def _said_proof(talk: Talk, number: str) -> tuple[ProofKind, str] | None:
    """A proof among the messages of this task that has not been tried yet; the newest counts.

    A year or a price is none, and a wrong try counts: what was not asked for has to look like a proof.
    """
    turn, task = talk.turn, talk.task
    today = talk.services.now().astimezone(shop_timezone()).date()
    answers = {turn.text, turn.whole} if turn.fresh and task.asked == "proof" else set()
    began = max(float(task.values.get("said_proof_at", task.values.get("said_at", 0.0))), task.proof_after)
    texts = (
        list(dict.fromkeys((turn.text, turn.whole)))
        if turn.fresh and (turn.at > task.proof_after or not turn.at)
        else []
    )
    # The message that began the task may itself hold the proof, so that one is included.
    texts += [text for at, text in turn.earlier if at > task.proof_after and at >= began]
    for said in texts:
        text = without_figures(_without_number(said, number), today)
        read = read_proof if said in answers else offered_proof
        if task.topic == "modify_address" and not TAIL_NAMED.search(text) and _new_recipient(text):
            continue  # its phone and postcode are the new recipient's
        # For an invoice an e-mail is first of all where it goes; with anything else beside it, that is the proof.
        proof = read(EMAIL.sub(" ", text)) if task.topic == "invoice" else None
        proof = proof or read(text)
        if proof is not None:
            return proof
    return None


def _new_recipient(text: str) -> bool:
    """Whether a message says where, to whom or to which phone the parcel shall go."""
    return read_address(text) is not None or (CHANGED.search(text) is not None and bool(read_recipient(text)))


def _without_number(text: str, number: str) -> str:
    """The text without the order number, whose digits are no phone."""
    spaced = r"[\s-]*".join(re.escape(char) for char in number)
    text = re.sub(rf"#?{spaced}", NUMBER_HERE, unicodedata.normalize("NFKC", text), flags=re.I)
    # A number that was broken off, and sent whole afterwards, is no phone either.
    return re.sub(r"\d{5,}", lambda match: " " if number.startswith(match[0]) else match[0], text)
