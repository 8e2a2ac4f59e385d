"""The order numbers a message names: several, denied ones, and phones that are none."""

from __future__ import annotations

import re
from collections.abc import Sequence

from actions.names import intent_of
from actions.tasks import Task, wish
from actions.topic import Talk
from actions.turn import Turn
from bot.identity.guard import normalize_order_number, order_key
from bot.references import fold

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
# In English only when no more follows: "why hasn't order A shipped" speaks of A.
NOT_NUMBER_EN = re.compile(rf"(?:\bnot|n't)\s*{_NAMES}")
NO_MORE = re.compile(r"\s*(?:[,.;!?]|$|(?:but|it'?s|it is|sorry)\b)")
NOT_THIS_NUMBER = re.compile(rf"(?:不要?[退换]|别[退换]|除了|\bexcept|\bkeep)\s*{_NAMES}")
MISTYPED = re.compile(
    r"\s*(?:这个|那个|是|我)*(?:[写填输打给报说]错|错(?:了|的)(?!货))|\s*(?:这个)?[改换][成为]\s*(?:订单号?)?[\s#]*[a-z]{0,6}-?\d{4}"
    r"|\s*(?:is|was) (?:the wrong|a mistake|a typo)"
)
NOT_RIGHT = re.compile(
    r"\s*(?:这个|那个|是|的)*(?:不对|不是|不退|不换|不用)|\s*(?:is|was)(?:n't| not| wrong| incorrect)"
)
TYPED_NUMBER = re.compile(r"#?\s*([A-Za-z]{0,6}[\d-]{6,40})")


def read_numbers(talk: Talk) -> list[str]:
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


def gives_phone(talk: Talk) -> bool:
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
            # What was said of items and reasons may be the first one's, so that is asked.
            waiting=wish(
                intent, one, turn.at, confidence=turn.confidence, whole=turn.whole or turn.text,
                entities=[{"entity": "order_number", "value": one}],
            ),
        )
        for one in others
    ]  # fmt: skip
    task.values["said_others"] = others
    talk.stack.put_off(waiting)
    talk.noted = True
