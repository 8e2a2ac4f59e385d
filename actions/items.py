"""Which items of an order, how many, why, and in what condition. It knows no topic and no policy."""

from __future__ import annotations

import re
from collections.abc import Sequence

from actions.orders import has_chosen
from actions.other_one import (
    NAMED_OTHER,
    OTHER_ONE,
    means_one_more,
    means_other_one,
    means_other_order,
)
from actions.tasks import Option
from actions.topic import ASIDES, GOALS, QUESTION, SURE, Talk
from bot.consent import read_consent
from bot.orders.models import Operation, Order, OrderLine, RequestLine
from bot.orders.wording import title_of
from bot.policy.reasons import Reason
from bot.references import fold, is_count, means_all, read_choices, read_count, read_positions

ALL = "all"
SKIP = "skip"
ALL_TITLE = {"zh": "全部", "en": "All of them"}
OPENED_TITLES = {"zh": ("没有拆封", "已经拆封"), "en": ("Not opened", "Opened")}
SKIP_TITLE = {"zh": "没有照片，继续", "en": "No photo, go on"}

OF_ORDERS = re.compile(
    r"第\s*(?:[一二三四五六七八九十]|\d{1,2})\s*(?:个订单|单|笔)|最后(?:的)?(?:那)?一?[单笔]|(?:first|second|third|last) order",
    re.I,
)
# "Actually no, the second one": speaks of the item before, also where a reason has just been asked for.
CORRECTS = re.compile(
    r"^(?:(?:啊|哦|呃)?[,，]?)?(?:不对|不是|错了|说错|搞错|选错|等等|等下)|(?:我|应该)(?:说|是)的?是第|^(?:no\b|oh no|actually|sorry|wait|oops|i meant)",
    re.I,
)
SENDS_COUNT = re.compile(
    r"退|换(?!个)|改[成为]|\b(?:return|refund|exchang|swap|send back|make it|change (?:it )?to|instead)", re.I
)
SAYS_COUNT = re.compile(rf"{SENDS_COUNT.pattern}|只(?!有)|应该|不是|\b(?:just|only)\b", re.I)
THE_REST = re.compile(
    r"另(?:外)?(?:的)?(?:那|一)?(?:个|件|笔|款)|别的那(?:个|件)|\b(?:the )?other (?:one|item)\b", re.I
)
# What may stand between a denial and its verb: "还没来得及拆开", "haven't even opened it"; not "没忍住拆了".
_NOT_ZH = r"(?<!不是)(?:没|未)(?:有|来得及|被|给|让|人|谁|舍得|敢|曾|去|动手|真的?|时间|机会|空|顾上|打算|准备|想过?|把|将|它|外?包装|盒子)*"
_NOT_EN = (
    r"\b(?:not|never|(?:have|has|had|did|was|is|do|does|were|are)n'?t|without)"
    r"(?: (?:yet|even|ever|actually|really|been|being|had|the|time|a|chance|gotten|got|around|to|it))* "
)
_USE_ZH, _USE_EN = (
    r"(?:使?用|动|穿|试)(?!过?[几多两一])过?",
    r"(?:us(?:ed?|ing)|worn|wear(?:ing)?|touch(?:ed|ing)?|tr(?:ied|y))\b",
)
_OPEN_ZH = r"(?:拆(?!完|坏|干净)[封开过]?|开封|启封|打开|开箱|开过封?|开(?=$|[,，。!呢的]))过?"
_OPEN_EN = r"(?:open(?:ed|ing)?|unseal(?:ed|ing)?|unbox(?:ed|ing)?|unpack(?:ed|ing)?)\b"
_OR_ZH, _OR_EN = r"(?:或者?|和|也|、)?", r"(?: it| them)?(?:,| or| nor| even)+ "
UNUSED = re.compile(rf"{_NOT_ZH}{_USE_ZH}|\bunused\b|\bunworn\b|{_NOT_EN}{_USE_EN}", re.I)
UNOPENED = re.compile(
    rf"{_NOT_ZH}(?:{_USE_ZH}{_OR_ZH})?{_OPEN_ZH}(?:{_OR_ZH}{_USE_ZH})?|\bunopened\b|{_NOT_EN}(?:{_USE_EN}{_OR_EN})?{_OPEN_EN}(?:{_OR_EN}{_USE_EN})?",
    re.I,
)
# Said of goods that were only looked at as well, so that "opened" beside it counts.
AS_NEW = re.compile(
    r"(?<!不是)(?:全新|原封|塑封)|(?<!not )(?<!n't )(?<!no longer )(?:\bsealed|\bbrand new)", re.I
)
# Said over a plan these are a no as well as a reason, unless they are called one: "其实是不想要了".
REFUSAL = re.compile(
    r"不(?:想|再)?(?:要|需要|买)|后悔|\b(?:changed my mind|(?:don'?t|do not|no longer) (?:want|need|like)|not needed)\b",
    re.I,
)
NAMES_REASON = re.compile(
    r"(?<![不还可要但])是(?!的|吧|吗)|因为|原因|理由|\b(?:because|reason|it'?s (?:just )?that)\b", re.I
)
OPENED = re.compile(
    r"拆(?:封|开|过|了|箱|掉)|打开(?:过|了|看|来|包装|盒)|开封|开过|开了箱|用过|用了|试过|穿过|\b(?:opened|unsealed|unboxed|unpacked|used|worn)\b|\b(?:not|n't|no longer) sealed\b|\bseal (?:is |was )?broken",
    re.I,
)
SKIPPED = re.compile(
    r"没有?(?:照片|图|拍)|没拍|不方便|跳过|\bno (?:photo|picture|image)s?\b|\bskip\b|don'?t have", re.I
)

SHOWN_REASONS = (
    Reason.CHANGED_MIND,
    Reason.WRONG_SIZE,
    Reason.QUALITY_FAULT,
    Reason.DAMAGED,
    Reason.WRONG_ITEM,
    Reason.NOT_AS_DESCRIBED,
    Reason.OTHER,
)


def open_lines(order: Order) -> list[OrderLine]:
    return [line for line in order.lines if line.quantity_open > 0]


def hear_items(talk: Talk) -> bool:
    """Take items and quantities from the message: an answer, or a correction of one given before."""
    turn, task = talk.turn, talk.task
    titles = _titles(talk)
    if not turn.fresh or not titles:
        return False
    text = OF_ORDERS.sub(" ", turn.text)
    if more := items_added(talk):
        held = {one: count for one, count in task.lines.items() if count}
        _take(talk, more)
        task.lines |= held
        return True
    if has_chosen(task) and means_other_one(talk) and not means_other_order(talk):
        others = [one for one, _, _ in titles if one not in task.lines]
        if read_choices(OTHER_ONE.sub(" ", text), [title for _, title, _ in titles]) is None:
            # Asked why, "不是这件" alone is too little to take the other one for it.
            if len(others) == 1 and (task.asked != "reason" or NAMED_OTHER.search(fold(text))):
                return _take(talk, others)
            task.lines, task.plan = {}, None  # which of the others is asked
            task.values["said_lines_at"] = turn.at
            return True
    if task.asked == "lines":
        choice = turn.value("choice") if turn.pressed else None
        if choice is not None:
            ids = [one for one, _, _ in titles]
            return _take(talk, ids if choice == ALL else [choice] if choice in ids else [])
        chosen = read_choices(text, [title for _, title, _ in titles])
        count = read_count(text)
        if chosen is None and count is not None and len(titles) == 1:
            chosen = [0]
        return _take(talk, [titles[p][0] for p in chosen], count) if chosen else False
    if task.asked == "quantity":
        pressed = turn.value("choice") if turn.pressed else None
        count = (
            int(pressed) if isinstance(pressed, str) and pressed.isdigit() else read_count(text, bare=True)
        )
        if count is None and means_all(text):
            count = max((open_ for one, _, open_ in titles if one in task.lines), default=1)
        return _take(talk, list(task.lines), count) if count is not None else False
    if not task.lines or turn.pressed:
        return False
    # A correction while something else is asked: only by clear reference, never by words of a title alone.
    changed = False
    positions = read_choices(text, ["\x00"] * len(titles))  # positions and "all", no titles
    named = read_choices(text, [title for _, title, _ in titles]) if turn.intent == "correct" else None
    chosen = positions or named
    corrects = CORRECTS.search(fold(text)) is not None
    if chosen and (corrects or task.asked not in ("reason", "opened", "option")):
        changed = _take(talk, [titles[p][0] for p in chosen])
    count = read_count(text)
    if count is not None and len(task.lines) == 1 and not chosen and (corrects or _changes_count(talk)):
        changed = _take(talk, list(task.lines), count) or changed
    return changed


def items_added(talk: Talk) -> list[str]:
    """Line ids of the choice with what the message adds to it ("第二件也退"); empty where it adds nothing."""
    task, titles = talk.task, _titles(talk)
    if not task.lines or not means_one_more(talk) or means_other_order(talk):
        return []
    # Of several things to exchange the others wait as wishes of their own.
    waiting = [
        line
        for one in talk.stack.tasks
        if one.waiting is not None and one.values.get("rest_of") == task.order_number
        for line in one.lines
    ]
    held = dict.fromkeys([*task.lines, *waiting])
    text = OF_ORDERS.sub(" ", talk.turn.text)
    # Asked for an option, "颜色也换成黑色的" names no item.
    named = ["\x00" if task.asked == "option" else title for _, title, _ in titles]
    chosen = read_choices(text, named)
    left = [one for one, _, _ in titles if one not in held]
    if chosen is not None:
        new = [titles[p][0] for p in chosen if titles[p][0] in left]
    else:
        new = left if len(left) == 1 and THE_REST.search(fold(text)) else []
    return [*held, *new] if new else []


def _changes_count(talk: Talk) -> bool:
    """Whether a number of pieces is meant for the task: "只退一件", and not "我还有两个想问的"."""
    turn, task = talk.turn, talk.task
    if turn.intent == "correct" or is_count(turn.text):
        return True
    says = SAYS_COUNT if task.asked in (None, "consent") else SENDS_COUNT  # "只有一件坏了" may be a reason
    return says.search(fold(turn.text)) is not None


def _titles(talk: Talk) -> list[tuple[str, str, int]]:
    """(line id, title, open quantity) of the items last shown."""
    return [(str(a), str(b), int(c)) for a, b, c in talk.task.values.get("titles", ())]


def _take(talk: Talk, ids: Sequence[str], count: int | None = None) -> bool:
    """Keep the choice. A count holds for a single item; more than there is stays asked for."""
    task = talk.task
    if not ids:
        return False
    limits = {one: open_ for one, _, open_ in _titles(talk)}
    task.lines = {}
    for one in ids:
        limit = limits.get(one, 1)
        if len(ids) == 1:
            task.lines[one] = 1 if limit == 1 and count is None else (count or 0)
        else:
            task.lines[one] = limit
    task.plan = None
    return True


def need_lines(talk: Talk, order: Order, *, whole: bool = False) -> list[RequestLine]:
    """The chosen items with their quantities; asks for what is missing. `whole`: a line is taken as it is.

    Raises:
        Waiting
    """
    task, language = talk.task, talk.language
    lines = open_lines(order)
    task.values["titles"] = [[line.id, title_of(line, language), line.quantity_open] for line in lines]
    known = {line.id: line for line in lines}
    task.lines = {one: count for one, count in task.lines.items() if one in known}
    if not lines:
        return []
    if not task.lines:
        _choose_unasked(talk, lines)
    if not task.lines:
        options = [Option(title=_numbered(line, language), value=line.id) for line in lines[:8]]
        options.append(Option(title=ALL_TITLE[language], value=ALL))
        talk.ask("lines", "ask_lines", options=options)
    if len(task.lines) == 1:
        [(line_id, count)] = task.lines.items()
        limit = known[line_id].quantity_open
        if whole:
            count = task.lines[line_id] = limit
        if count > limit:
            task.lines[line_id] = 0
            _ask_quantity(talk, known[line_id], "quantity_too_many", limit=limit)
        if count < 1:
            _ask_quantity(talk, known[line_id], "ask_quantity", limit=limit)
    return [RequestLine(line_id=one, quantity=count) for one, count in task.lines.items()]


def _numbered(line: OrderLine, language: str) -> str:
    title = title_of(line, "zh" if language == "zh" else "en")
    return f"{title} × {line.quantity_open}" if line.quantity_open > 1 else title


def _ask_quantity(talk: Talk, line: OrderLine, response: str, *, limit: int) -> None:
    options = [Option(title=str(number), value=str(number)) for number in range(1, min(limit, 5) + 1)]
    talk.ask("quantity", response, options=options, item=title_of(line, talk.language), limit=limit)


def _choose_unasked(talk: Talk, lines: Sequence[OrderLine]) -> None:
    """What the shopper has said already in this task, or what there is no choice about."""
    titles = [title_of(line, talk.language) for line in lines]
    if task_turned_down(talk):
        return
    others = talk.task.values.get("said_others", ())
    for text in talk.texts:
        if any(str(one) in re.sub(r"[\s-]", "", text) for one in others) and not means_all(text):
            continue  # which of the orders these items are of is asked
        cleaned = OF_ORDERS.sub(" ", text)
        cleaned = re.sub(r"\d{6,}", " ", cleaned)  # an order number is no position
        chosen = read_choices(cleaned, titles) if len(lines) > 1 else [0] if read_count(cleaned) else None
        if chosen:
            _take(talk, [lines[p].id for p in chosen], read_count(cleaned))
            return
    if len(lines) == 1:
        _take(talk, [lines[0].id])


def task_turned_down(talk: Talk) -> bool:
    """Whether what was said of the items has just been taken back: then it is asked, not read again."""
    return float(talk.task.values.get("said_lines_at", 0.0)) >= talk.turn.at > 0


def hear_reason(talk: Talk) -> bool:
    """Take a reason: a button, an entity, or, when it was asked for, the shopper's own words."""
    turn, task = talk.turn, talk.task
    if not turn.fresh:
        return False
    text = fold(turn.text)
    if means_other_one(talk) or means_other_order(talk):
        return False  # speaks of an item or an order, also where "other" is a reason's name
    if CORRECTS.search(text) and read_positions(text, len(_titles(talk))):
        return False
    found: Reason | None = None
    asked = task.asked == "reason" and not means_one_more(talk)
    if asked:
        found = reason_named(talk.chosen())
    found = found or reason_named(turn.value("reason"))
    if found is Reason.CHANGED_MIND and turns_plan_down(talk):
        return False
    if found is None and asked and _own_words(talk):
        found = Reason.OTHER
    if found is None or found == task.reason:
        return found is not None and task.asked == "reason"
    task.reason = found.value
    task.plan = None
    return True


def turns_plan_down(talk: Talk) -> bool:
    """Whether "不要了", "I don't want it" over the plan is a no to it and no reason; consent is heard then."""
    turn, task = talk.turn, talk.task
    if task.asked != "consent" or task.plan is None or turn.pressed:
        return False
    text = fold(turn.text)
    if REFUSAL.search(text) is None:
        return False  # "不对，拍错了" mends the reason
    return (
        NAMES_REASON.search(text) is None
        or read_consent(turn.text, Operation(task.plan["operation"])) == "no"
    )


def reason_named(value: object) -> Reason | None:
    """The reason of that code, if there is one."""
    return next((reason for reason in Reason if reason.value == value), None)


def _own_words(talk: Talk) -> bool:
    """Whether the message may be a reason in the shopper's own words: words, and not clearly something else."""
    turn = talk.turn
    letters = re.findall(r"[\u3400-\u9fffA-Za-z]", turn.text)
    if turn.pressed or len(letters) < 2 or QUESTION.search(turn.text):
        return False
    elsewhere = (GOALS | ASIDES | {"affirm", "deny", "context_only"}) - {"fault", "complaint"}
    return not (turn.intent in elsewhere and turn.confidence >= SURE)


def need_reason(talk: Talk, *, optional: bool = False) -> Reason | None:
    """Why. Asks unless it was said or does not matter.

    Raises:
        Waiting
    """
    task, language = talk.task, talk.language
    if task.reason is not None:
        return Reason(task.reason)
    if optional:
        return None
    options = [Option(title=reason.label[language], value=reason.value) for reason in SHOWN_REASONS]
    talk.ask("reason", "ask_reason", options=options)
    raise AssertionError("ask always raises")


def hear_opened(talk: Talk) -> bool:
    """Take whether the item was opened: a button or words, only when asked."""
    turn, task = talk.turn, talk.task
    if not turn.fresh or task.asked != "opened":
        return False
    # By its words "I haven't even opened it" would be the title "Opened".
    value = talk.chosen() if turn.pressed or read_positions(turn.text, 2) else None
    if value is None:
        text = fold(turn.text)
        opened = OPENED.search(UNUSED.sub(" ", UNOPENED.sub(" ", text))) is not None
        if UNOPENED.search(text):
            value = None if opened else "no"  # the box was, what is in it was not: asked again
        elif opened:
            value = "yes"  # "拆了，但是没用过", "全新的，就拆开看了一下"
        elif AS_NEW.search(text) or re.fullmatch(r"(?:没有?|no|not yet|还没有?)[。.!！]?", text):
            value = "no"
        elif turn.intent == "affirm":
            value = "yes"
        elif UNUSED.search(text):
            value = "no"
    if value is None:
        return False
    task.opened = value == "yes"
    task.plan = None
    return True


def ask_opened(talk: Talk) -> None:
    """Raises: Waiting."""
    titles = OPENED_TITLES[talk.language]
    options = [Option(title=titles[0], value="no"), Option(title=titles[1], value="yes")]
    talk.ask("opened", "ask_opened", options=options)


def hear_evidence(talk: Talk) -> bool:
    """Take a picture (the base has kept it), or that there is none."""
    turn, task = talk.turn, talk.task
    if not turn.fresh:
        return False
    if turn.media:
        task.plan = None
        return True
    if task.asked != "evidence":
        return False
    if talk.chosen() == SKIP or SKIPPED.search(fold(turn.text)) or turn.intent == "deny":
        task.values["no_photo"] = True
        return True
    return False


def need_evidence(talk: Talk, reason: Reason | None) -> list[str]:
    """Pictures for a fault: asked for once, never insisted on.

    Raises:
        Waiting
    """
    task = talk.task
    if reason is not None and reason.group == "fault" and not task.media and not task.values.get("no_photo"):
        talk.ask("evidence", "ask_evidence", options=[Option(title=SKIP_TITLE[talk.language], value=SKIP)])
    return [one for one in task.media if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", one)][:20]
