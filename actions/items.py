"""Which items of an order, how many, why, and in what condition. It knows no topic and no policy."""

from __future__ import annotations

import re
from collections.abc import Sequence

from actions.orders import OTHER_ONE, WRONG_ORDER, has_chosen
from actions.tasks import Option
from actions.topic import ASIDES, GOALS, QUESTION, SURE, Talk
from bot.orders.models import Order, OrderLine, RequestLine
from bot.orders.wording import title_of
from bot.policy.reasons import Reason
from bot.references import fold, means_all, read_choices, read_count, read_positions

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
UNUSED = re.compile(
    r"(?:没|未|还没|没有)(?:有)?(?:用过|动过|穿过|试过)|\b(?:un|never |not |haven'?t |hasn'?t )(?:been )?(?:used|worn|touched)",
    re.I,
)
UNOPENED = re.compile(
    r"(?:没|未|还没|没有)(?:有)?(?:拆|开封|打开)|全新|原封|\b(?:un|never |not |haven'?t |hasn'?t )(?:been )?opened|unopened|sealed|brand new",
    re.I,
)
OPENED = re.compile(r"拆(?:封|开|过|了)|打开(?:过|了)|开封|用过|试过|穿过|\bopened\b|\bused\b|\bworn\b", re.I)
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
    if (
        has_chosen(task)
        and not turn.pressed
        and OTHER_ONE.search(fold(text))
        and not WRONG_ORDER.search(fold(text))
    ):
        others = [one for one, _, _ in titles if one not in task.lines]
        if read_choices(OTHER_ONE.sub(" ", text), [title for _, title, _ in titles]) is None:
            if len(others) == 1:
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
    if count is not None and len(task.lines) == 1 and not chosen:
        changed = _take(talk, list(task.lines), count) or changed
    return changed


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
    for text in talk.texts:
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
    if not turn.pressed and (OTHER_ONE.search(text) or WRONG_ORDER.search(text)):
        return False  # speaks of an item or an order, also where "other" is a reason's name
    if CORRECTS.search(text) and read_positions(text, len(_titles(talk))):
        return False
    found: Reason | None = None
    if task.asked == "reason":
        found = reason_named(talk.chosen())
    found = found or reason_named(turn.value("reason"))
    if found is None and task.asked == "reason" and _own_words(talk):
        found = Reason.OTHER
    if found is None or found == task.reason:
        return found is not None and task.asked == "reason"
    task.reason = found.value
    task.plan = None
    return True


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
    value = talk.chosen()
    if value is None:
        text = fold(turn.text)
        if UNOPENED.search(text) or re.fullmatch(r"(?:没有?|no|not yet|还没)[。.!！]?", text):
            value = "no"
        elif OPENED.search(UNUSED.sub(" ", text)) or turn.intent == "affirm":
            value = "yes"  # "拆了，但是没用过" is opened
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
