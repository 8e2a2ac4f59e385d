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

from actions.names import intent_of
from actions.packet import order_facts, proof_facts
from actions.tasks import Option, Task
from actions.topic import OTHER, Talk
from actions.turn import Turn
from bot.addresses import read_address, read_recipient
from bot.consent import read_consent
from bot.entities import REASONS
from bot.exceptions import OrderError, ProofExpired, ProofRejected
from bot.formats import format_date, format_money, shop_timezone
from bot.identity import ProofLevel, read_proof
from bot.identity.guard import normalize_order_number, order_key
from bot.identity.proofs import EMAIL, NUMBER_HERE, offered_proof, without_figures
from bot.message import Language
from bot.numerals import NOT_GOODS
from bot.orders.models import Grant, Order, OrderSummary, ProofKind
from bot.orders.wording import STATES, in_language
from bot.references import fold, means_newest, read_positions

SHOWN = 5  # orders offered at once
LOOKED_AT = 10  # newest orders that are read to see which of them suit
OTHER_TITLE = {"zh": "其他订单", "en": "Another order"}

WRONG_ORDER = re.compile(
    r"(?:不是|不要|别)\s*(?:这|那|刚才)(?:个|笔|张)?(?:订单|单)(?!了|的?(?:货|东西|商品|包裹|问题)|里)|[搞弄]错(?:了)?(?:订单|单)(?!价)|(?:换|另外?|别的|其他|另)一?个?(?:订单|单子)"
    r"|订单号?[写填输打给报说看记选点]?(?:错(?![发寄送配漏])|不对)"
    r"|\b(?:wrong|different|another|other) order\b|\bnot (?:this|that) (?:order|one)(?=\s*(?:[,.;!?]|$|but\b|it'?s\b))",
    re.I,
)
# "The other one": of what was chosen last, an item, an option or an order. Named like this it is no reason.
NAMED_OTHER = re.compile(
    r"(?<!不是)(?<!不要)(?<![不别]退)(?<![不别]换)(?<!留着)(?<!留下)(?<!除了)(?:另(?:外)?(?:的)?(?:那|一)?(?:个|件|笔|款)|别的那(?:个|件|笔))"
    r"(?![颜尺码号型]|规格|版本|\s*也|\s*[还就先都]?(?:是?好|没|可以|挺|很|正常|合适|还行|能用|不|别|留|ok)"
    rf"|\s*(?!订单|下){NOT_GOODS})"
    r"|(?<!not )(?<!not the )(?<!keep )(?<!keep the )(?<!keeping the )(?<!return the )(?<!except the )(?<!like the )(?<!with the )(?<!have the )(?<!than the )"
    r"\bother one\b(?!'?s? (?:is|was|works?|worked|fits?|arrived|came|looks?|has|stays?|i (?:keep|kept|like)|does|too|also|as well)\b|'s )"
    r"|(?<!not )(?<!n't )\b(?:return|refund|exchange|cancel|swap) the other one\b",
    re.I,
)
_ENDS = r"(?=\s*[啊呀吧哦噢呢啦的]?\s*(?:[,，.。;；!！?？~、]|$|是|而是|要))"
# Only as a clause of its own: "尺码选错了", "it's not that good" say why.
DENIED_ONE = re.compile(
    rf"(?:不是|不要|不对[,，]?)\s*(?:这|那|刚才)(?:一)?(?:个|笔|件|款|张|双|条)(?:订单|商品|东西|宝贝|衣服|鞋子?|裤子|产品)?{_ENDS}"
    r"|(?:^|[,.;!?]\s*|\bno )not (?:this|that)(?: one| item)?(?=\s*(?:[,.;!?]|$))|\bnot (?:this|that) (?:one|item)(?=\s*(?:[,.;!?]|$|but\b|it'?s\b))",
    re.I,
)
OTHER_ONE = re.compile(
    rf"{NAMED_OTHER.pattern}|{DENIED_ONE.pattern}"
    r"|(?:^|[,，。;；!！?？~\s])(?:啊|哦|呃|不好意思|抱歉|对不起|刚才|刚刚|我|好像|应该|不小心|手滑|手误|是|可能)*[选点搞弄]错(?:了|啦|咯|啊|呀)*(?=\s*(?:[,，.。;；!！~]|$))"
    r"|[选点搞弄]错(?:了)?一?(?:件(?!数)|个(?![尺颜型大小号规码])|订单|商品)"
    r"|(?:^|[,.;!?]\s*|\b(?:no|want|mean|meant|choose|pick|take|is|it'?s) )another one(?=\s*(?:[,.;!?]|$|please\b))"
    r"|\b(?:picked|chose|chosen|selected|clicked|tapped|pressed|took|said|typed)(?: on)? the wrong (?:one|item)\b"
    r"|(?:^|[,.;!?]\s*|\b(?:no|sorry|oops|wait|actually) )(?:(?:that'?s|that is|it'?s|this is) )?(?:the )?wrong one(?=\s*(?:[,.;!?]|$))",
    re.I,
)
# What the shop sent, or what was bought: that is a reason, and the item of the task stays.
SENT_WRONG = re.compile(
    r"(?:买|拍|订|定|发|寄|送|给|收|到|来|货|要|下单)(?:到|来|过|了|我|我们)*的[^,，。;；!！?？]{0,6}不是|[发寄送给配拿装]错|(?:你们|商家|卖家|店家|店铺|仓库|快递员?|物流)[^,，。;；!！?？]{0,8}(?:错|不是)"
    r"|\b(?:sent|shipped|delivered|got|received?|gave me|arrived|mailed|packed|bought|ordered|(?:you|they) (?:send|ship|deliver|give))\b[^,.;!?]{0,40}\b(?:wrong|not)\b"
    r"|\bwrong (?:one|order|item) (?:was|has|got|came|arrived)\b",
    re.I,
)
SENT_OTHER = re.compile(
    r"(?:[发寄送]|收到|到手|[买拍订])[到过来了我给的是成]*另"
    r"|\b(?:sent|shipped|delivered|got|received?|gave me|arrived|mailed|packed|bought|ordered|(?:you|they) (?:send|ship|deliver|give))\b[^,.;!?]{0,40}\bother\b",
    re.I,
)
WRONG_NUMBER = re.compile(
    r"订单号[^,，。;；]{0,4}(?:错|不对)|[写填输打给报发]错了?订单号|\bwrong (?:order )?(?:number|no\.?|id)\b",
    re.I,
)
MENDS = re.compile(r"^\W*(?:no|not|sorry|oops|wait|actually|my mistake)\b", re.I)
PLACED = re.compile(
    r"买|拍下|拍的|下单|下的|订(?!单)|付的?款|\b(?:bought|ordered|placed|purchased|paid)\b", re.I
)
NOT_RECEIVED = re.compile(
    r"(?:没有?|未|不曾)(?:能|有)?(?:收到|签收|到货|送[到来达]|拿到|到)|(?:\bnot|n't|\bnever)(?: yet| been)* (?:received?|arrived?|delivered|come|got|get)",
    re.I,
)
RECEIVED = re.compile(
    r"收到|收的|签收|到货|到手|送[到来达]|寄[到来]|派送|妥投|拿到|取[到件的]|到[了的]|\b(?:received|arrived|delivered|got|came)\b",
    re.I,
)
VERBS = ((True, PLACED), (False, RECEIVED))
DAYS = (
    (r"大前天", 3),
    (r"(?<!大)前天|day before yesterday", 2),
    (r"昨[天日晚]|(?<!before )\byesterday", 1),
    (r"今[天早晚]|\btoday", 0),
)
# Several order numbers of one message are all meant.
TOGETHER = re.compile(
    r"\d的?\s*(?:和|跟|与|及|以及|还有|、|,|&|\+|\band\b)\s*(?:the |my |订单|order|#)*\s*[a-z]{0,6}-?\d{4}|\d{6,}\s+#?[a-z]{0,6}-?\d{6,}"
    r"|都|一起|一并|\b(?:both|also)\b",
    re.I,
)
_NAMES = r"(?:订单编?号?码?|单号|the|my|order|number|是|要|退|换|取消|说|指|我|的|这个|那个|[\s:#])*$"
# In front of a number and behind it: it is not the one. The others say so only beside a second number, for
# "A不对，少了一件" and "为什么不退A的钱" speak of A.
NOT_NUMBER = re.compile(rf"(?:(?<!是)不是|\binstead of|\brather than)\s*{_NAMES}")
NOT_NUMBER_EN = re.compile(
    rf"(?:\bnot|n't)\s*{_NAMES}"
)  # and no more: "why hasn't order A shipped" speaks of A
NO_MORE = re.compile(r"\s*(?:[,.;!?]|$|(?:but|it'?s|it is|sorry)\b)")
NOT_THIS_NUMBER = re.compile(rf"(?:不要?[退换]|别[退换]|除了|\bexcept|\bkeep)\s*{_NAMES}")
MISTYPED = re.compile(
    r"\s*(?:这个|那个|是|我)*(?:[写填输打给报说]错|错(?:了|的)(?!货))|\s*(?:这个)?[改换][成为]\s*(?:订单号?)?[\s#]*[a-z]{0,6}-?\d{4}"
    r"|\s*(?:is|was) (?:the wrong|a mistake|a typo)"
)
NOT_RIGHT = re.compile(
    r"\s*(?:这个|那个|是|的)*(?:不对|不是|不退|不换|不用)|\s*(?:is|was)(?:n't| not| wrong| incorrect)"
)
# Today is mostly when something is wanted, and not when the order was placed.
TODAYS = re.compile(
    r"今[天早晚](?:的|那|[^,，。退换要]{0,3}(?:买|拍|下单|订))|\b(?:bought|ordered|placed)\b[^,.]{0,20}\btoday\b|\btoday'?s\b"
)
PERIODS = re.compile(
    r"(上上|上|这|本)个?(月|周|星期|礼拜)(?!饼|\s*[一二三四五六日天末\d])|\b(last|this) (month|week)\b", re.I
)
ORDER_POSITION = re.compile(
    r"第\s*(?:[一二三四五六七八九十]|\d{1,2})\s*(?:个订单|单|笔|个)|\b(?:first|second|third|fourth|fifth) (?:order|one)\b|^\s*\d{1,2}\s*$",
    re.I,
)
CHANGED = re.compile(r"[改换变]|更新|更正|\b(?:change|update|new)", re.I)
TAIL_NAMED = re.compile(r"尾号|后四位|\blast (?:four|4)\b|\bend(?:s|ing)\b", re.I)
TYPED_NUMBER = re.compile(r"#?\s*([A-Za-z]{0,6}[\d-]{6,40})")


def means_other_order(talk: Talk) -> bool:
    """Whether the message says that another order is meant. "You sent me the wrong order" is a reason."""
    text = fold(talk.turn.text)
    if talk.turn.pressed:
        return False
    if WRONG_NUMBER.search(text):
        return True
    found = WRONG_ORDER.search(text)
    if found is None or SENT_WRONG.search(text):
        return False
    # Asked why, "the wrong order" is what came, unless it begins like a correction.
    return talk.task.asked != "reason" or "wrong" not in found[0] or MENDS.search(text) is not None


def means_other_one(talk: Talk) -> bool:
    """Whether the message says that the other item, option or order is meant, and not why it goes back."""
    text = fold(talk.turn.text)
    if talk.turn.pressed or SENT_OTHER.search(text):
        return False
    if NAMED_OTHER.search(text):
        return True
    if SENT_WRONG.search(text):
        return False
    if talk.task.asked == "reason":
        denied = DENIED_ONE.search(text)
        return denied is not None and not text[: denied.start()].strip(" ,.!") and "不要" not in denied[0]
    if OTHER_ONE.search(text) is None:
        return False
    rest = OTHER_ONE.sub(" ", text)
    return not any(pattern.search(rest) for _, pattern in REASONS)


def read_number(talk: Talk) -> str | None:
    """The order number in this message, from the entity, or from bare digits when a number was asked for."""
    numbers = _numbers(talk)
    return numbers[0] if numbers else None


def _numbers(talk: Talk) -> list[str]:
    """The order numbers that are meant, the one to begin with first. What is denied, and a phone, is none."""
    turn, current = talk.turn, talk.task.order_number
    said = [normalize_order_number(str(one)) for one in turn.values("order_number")]
    said = [one for one in dict.fromkeys(said) if one and not _is_phone(turn, one)]
    if not said and talk.task.asked == "order_number" and turn.fresh:
        compact = re.sub(r"(?<=\d)\s+(?=\d)", "", fold(turn.text))
        match = TYPED_NUMBER.fullmatch(compact)
        typed = [match[1]] if match else re.findall(r"(?<!\d)\d{8,40}(?!\d)", compact)
        said = [one for one in map(normalize_order_number, typed) if not _is_phone(turn, one)]
    several = len(said) > 1
    said = [one for one in said if not denies_number(turn.text, one, several=several)]
    if len(said) > 1 and current is not None and not TOGETHER.search(fold(turn.text)):
        said.sort(key=lambda one: order_key(one) == order_key(current))  # "刚才说的是A，应该是B"
    return said


def denies_number(text: str, number: str, *, several: bool = False) -> bool:
    """Whether the text says of this number that it is not the one: "不是A，是B", "A打错了", "B instead of A"."""
    text = fold(text)
    spaced = r"[\s-]*".join(re.escape(char) for char in fold(number) if char != "-")
    for match in re.finditer(spaced, text):
        before = text[: match.start()]
        if NOT_NUMBER.search(before) or MISTYPED.match(text, match.end()):
            return True
        if NOT_NUMBER_EN.search(before) and NO_MORE.match(text, match.end()):
            return True
        if several and (NOT_THIS_NUMBER.search(before) or NOT_RIGHT.match(text, match.end())):
            return True
    return False


def _is_phone(turn: Turn, number: str) -> bool:
    """Whether these digits are a phone: they look like a mobile number, or were read as one."""
    digits = re.sub(r"[\s+-]", "", number)
    if re.fullmatch(r"(?:0{0,2}86)?1[3-9]\d{9}", digits):
        return True
    phones = (re.sub(r"\D", "", str(one)) for one in turn.values("phone"))
    return any(
        len(one) >= 7 and digits.isdigit() and (one.endswith(digits) or digits.endswith(one))
        for one in phones
    )


def _gives_phone(talk: Talk) -> bool:
    """Whether a phone stands where an order number was asked for."""
    turn = talk.turn
    typed = re.findall(r"\+?\d[\d\s-]{5,}\d", fold(turn.text))
    return not turn.pressed and any(_is_phone(turn, one) for one in typed)


def put_off_others(talk: Talk, numbers: Sequence[str]) -> None:
    """The same for further orders of this message, one after the other: "把A和B都退了"."""
    turn, task = talk.turn, talk.task
    # Only numbers of the same shape: a card's or a company's number is no order.
    shapes = [re.sub(r"\d", "0", one) for one in numbers]
    others = [one for one, shape in zip(numbers, shapes, strict=True) if shape == shapes[0]][1:]
    if not others or task.topic == "invoice" or not TOGETHER.search(fold(turn.text)):
        return
    intent = intent_of(task.topic)
    waiting = [
        Task(
            topic=task.topic,
            order_number=one,
            waiting={
                "intent": intent,
                "confidence": turn.confidence,
                "text": one,  # what was said of items and reasons may be the first one's, so that is asked
                "whole": turn.whole or turn.text,
                "entities": [{"entity": "order_number", "value": one}],
                "at": turn.at,
            },
        )
        for one in others
    ]
    task.values["said_others"] = others
    talk.stack.put_off(waiting)
    talk.noted = True


def hear_order(talk: Talk) -> bool:
    """Take an order number, a choice, a correction or a proof from the message; whether there was one."""
    turn, task = talk.turn, talk.task
    if not turn.fresh:
        return False
    numbers = _numbers(talk)
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
    if task.asked == "order_number" and _gives_phone(talk):
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


def read_day(talk: Talk) -> date | None:
    """The day of the order that is spoken of: "昨天那个", or what the date entity says; not when it arrived."""
    text = fold(talk.turn.text)
    today = talk.services.now().astimezone(shop_timezone()).date()
    for pattern, back in DAYS:
        for match in re.finditer(pattern, text):
            if when_placed(text, *match.span()) and (back or TODAYS.search(text)):
                return today - timedelta(days=back)
    for one in talk.turn.entities:
        if one.get("entity") != "date" or not isinstance(one.get("value"), str):
            continue
        said = fold(str(one.get("text") or talk.turn.text[one.get("start", 0) : one.get("end", 0)]))
        at = text.find(said) if said else -1
        if (
            said and (PERIODS.search(said) or any(re.search(pattern, said) for pattern, _ in DAYS))
        ) or not when_placed(text, max(at, 0), at + len(said) if at >= 0 else 0):
            continue  # read above, or a week or a month, or the day on which it came
        try:
            return datetime.fromisoformat(one["value"]).date()
        except ValueError:
            continue
    return None


def read_period(talk: Talk) -> tuple[date, date] | None:
    """The first and the last day of the week or month in which the order was placed: "上个月买的"."""
    text = fold(talk.turn.text)
    match = PERIODS.search(text)
    if match is None or not when_placed(text, *match.span()):
        return None
    # "这周能退吗", "I asked last week" say nothing of when it was ordered.
    named = re.match(r"\s*(?:的|那|'s\b)", text[match.end() :]) or re.search(
        r"\b(?:from|of)\s*$", text[: match.start()]
    )
    if not (PLACED.search(text) or named or len(text) <= len(match[0]) + 2):
        return None
    today = talk.services.now().astimezone(shop_timezone()).date()
    back = {"上上": 2, "上": 1, "last": 1}.get(match[1] or match[3], 0)
    if (match[2] or match[4]) in ("月", "month"):
        months = today.year * 12 + today.month - 1 - back
        first = date(months // 12, months % 12 + 1, 1)
        after = date((months + 1) // 12, (months + 1) % 12 + 1, 1)
        return first, after - timedelta(days=1)
    monday = today - timedelta(days=today.weekday() + 7 * back)
    return monday, monday + timedelta(days=6)


def when_placed(text: str, start: int, end: int) -> bool:
    """Whether the day that stands there is when the order was placed, and not when the goods came.

    A Chinese verb follows its day and an English one goes before; "昨天买的还没收到" says nothing of a day it came.
    """
    text = NOT_RECEIVED.sub(lambda match: " " * len(match[0]), text)
    before = re.split(r"[,，.。;；!！?？]", text[:start])[-1]
    after = re.split(r"[,，.。;；!！?？]", text[end:])[0]
    if re.match(r"\s*[的那]{0,2}[一个]?(?:单|订单|笔)|'?s order", after):
        return True
    verbs_before = [(found.start(), placed) for placed, verb in VERBS for found in verb.finditer(before)]
    verbs_after = [(found.start(), placed) for placed, verb in VERBS for found in verb.finditer(after)]
    if verbs_before and (not verbs_after or (start < end and text[start:end].isascii())):
        return max(verbs_before)[1]
    return min(verbs_after)[1] if verbs_after else True


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
