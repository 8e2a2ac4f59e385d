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
from datetime import date, datetime, timedelta

from actions.packet import order_facts, proof_facts
from actions.tasks import Option, Task
from actions.topic import OTHER, Talk
from bot.addresses import read_address
from bot.consent import read_consent
from bot.exceptions import OrderError, ProofExpired, ProofRejected
from bot.formats import format_date, format_money, shop_timezone
from bot.identity import ProofLevel, read_proof
from bot.identity.guard import normalize_order_number, order_key
from bot.identity.proofs import EMAIL
from bot.message import Language
from bot.orders.models import Grant, Order, OrderSummary, ProofKind
from bot.orders.wording import STATES, in_language
from bot.references import fold, means_newest, read_positions

SHOWN = 5  # orders offered at once
LOOKED_AT = 10  # newest orders that are read to see which of them suit
OTHER_TITLE = {"zh": "其他订单", "en": "Another order"}

WRONG_ORDER = re.compile(
    r"(?:不是|不要|别)\s*(?:这|那|刚才)(?:个|笔|张)?(?:订单|单)|搞错(?:订单|单)|(?:换|另外?|别的|其他|另)一?个?(?:订单|单子)|订单(?:号)?(?:错|不对)"
    r"|\b(?:wrong|different|another|other) order\b|\bnot (?:this|that) (?:order|one)\b",
    re.I,
)
# "The other one": of what was chosen last, an item, an option or an order.
OTHER_ONE = re.compile(
    r"(?:不是|不要|不对)[,，]?\s*(?:这|那|刚才)(?:一)?(?:个|笔|件|款|张|样)|(?:选|点|搞|弄)错了?|另(?:外)?(?:的)?(?:那|一)?(?:个|件|笔|款)(?!码|号)"
    r"|别的那(?:个|件|笔)|\bnot (?:this|that)(?: one)?\b|\b(?:the )?other one\b|\banother one\b|\bwrong one\b",
    re.I,
)
ORDER_POSITION = re.compile(
    r"第\s*(?:[一二三四五六七八九十]|\d{1,2})\s*(?:个订单|单|笔|个)|\b(?:first|second|third|fourth|fifth) (?:order|one)\b|^\s*\d{1,2}\s*$",
    re.I,
)
TAIL_NAMED = re.compile(r"尾号|后四位|\blast (?:four|4)\b|\bend(?:s|ing)\b", re.I)
TYPED_NUMBER = re.compile(r"#?\s*([A-Za-z]{0,6}[\d-]{6,40})")


def read_number(talk: Talk) -> str | None:
    """The order number in this message, from the entity, or from bare digits when a number was asked for."""
    turn = talk.turn
    found = turn.value("order_number")
    if found is None and talk.task.asked == "order_number" and turn.fresh:
        compact = re.sub(r"(?<=\d)\s+(?=\d)", "", fold(turn.text))
        match = TYPED_NUMBER.fullmatch(compact) or re.search(r"(?<!\d)\d{8,40}(?!\d)", compact)
        found = (match[1] if match.re is TYPED_NUMBER else match[0]) if match else None
    return normalize_order_number(str(found)) if found else None


def hear_order(talk: Talk) -> bool:
    """Take an order number, a choice, a correction or a proof from the message; whether there was one."""
    turn, task = talk.turn, talk.task
    if not turn.fresh:
        return False
    number = read_number(talk)
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
        return True
    text = fold(turn.text)
    if WRONG_ORDER.search(text) or (
        task.order_number is not None and OTHER_ONE.search(text) and not has_chosen(task)
    ):
        _turn_down(talk)
        # The reference to the right one may stand in the same message: "不是这个订单，是昨天那个".
        task.values["said_other"] = True
        return True
    if task.asked == "proof":
        return read_proof(turn.text) is not None
    return task.asked == "order" and bool(means_newest(turn.text) or read_day(talk))


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
    if means_newest(text):
        return list(orders[:1])
    if ORDER_POSITION.search(fold(text)):
        positions = read_positions(text, len(orders))
        return [orders[positions[0]]] if len(positions) == 1 else []
    return []


def read_day(talk: Talk) -> date | None:
    """The day of the order that is spoken of: "昨天那个", or what the date entity says."""
    text = fold(talk.turn.text)
    today = talk.services.now().astimezone(shop_timezone()).date()
    for pattern, back in (
        (r"前天|day before yesterday", 2),
        (r"昨[天日晚]|yesterday", 1),
        (r"今[天早晚]|\btoday", 0),
    ):
        if re.search(pattern, text):
            return today - timedelta(days=back)
    value = talk.turn.value("date")
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).date()
        except ValueError:
            return None
    return None


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
    """A proof among the messages of this task that has not been tried yet; the newest counts."""
    turn, task = talk.turn, talk.task
    began = max(float(task.values.get("said_proof_at", task.values.get("said_at", 0.0))), task.proof_after)
    texts = (
        list(dict.fromkeys((turn.text, turn.whole)))
        if turn.fresh and (turn.at > task.proof_after or not turn.at)
        else []
    )
    # The message that began the task may itself hold the proof, so that one is included.
    texts += [text for at, text in turn.earlier if at > task.proof_after and at >= began]
    for text in texts:
        text = _without_number(text, number)
        if task.topic == "modify_address" and not TAIL_NAMED.search(text) and read_address(text) is not None:
            continue  # its phone and postcode are the new recipient's
        # For an invoice an e-mail is first of all where it goes; with anything else beside it, that is the proof.
        proof = read_proof(EMAIL.sub(" ", text)) if task.topic == "invoice" else None
        proof = proof or read_proof(text)
        if proof is not None:
            return proof
    return None


def _without_number(text: str, number: str) -> str:
    """The text without the order number, whose digits are no phone."""
    spaced = r"[\s-]*".join(re.escape(char) for char in number)
    text = re.sub(rf"#?{spaced}", " ", unicodedata.normalize("NFKC", text), flags=re.I)
    # A number that was broken off, and sent whole afterwards, is no phone either.
    return re.sub(r"\d{5,}", lambda match: " " if number.startswith(match[0]) else match[0], text)
