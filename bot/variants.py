"""Which option of a product is wanted: "换成 L 码", "the black one", "a size larger".

What is not named stays as it was bought. Pure functions over variants; None rather than a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bot.formats import format_money
from bot.message import Language
from bot.orders.models import Money, OrderLine, Product, Variant
from bot.orders.wording import in_language, title_of
from bot.references import fold

Options = Mapping[str, Mapping[str, str]]

LARGER = re.compile(
    r"[大长]一?[个]?[码号点]|大一?些|更大|\b(?:larger|bigger|longer|next size|size up|size larger|size bigger)\b"
)
SMALLER = re.compile(r"[小短]一?[个]?[码号点]|小一?些|更小|\b(?:smaller|shorter|size down|size smaller)\b")
SIZE = re.compile(r"(?:x{0,4}[sl]|m|\d+(?:\.\d+)?)")
UNIT = re.compile(r"[\s-]*(?:码|号|色|尺码|size)$")


def choose_variant(text: str, variants: Sequence[Variant], line: OrderLine) -> Variant | None:
    """The variant that the words mean, starting from what was bought; None when it is none or several."""
    folded = fold(text)
    wanted: dict[str, str] = {}
    for name in line.options:
        values = _values(name, variants, line)
        named = _named(folded, values)
        if len(named) > 1:
            return None
        step = 1 if LARGER.search(folded) else -1 if SMALLER.search(folded) else 0
        if named:
            wanted[name] = named[0]
        elif step and all(SIZE.fullmatch(core) for core in values):
            order = sorted(values, key=_rank)
            place = order.index(_core(line.options[name])) + step
            if not 0 <= place < len(order):
                return None
            wanted[name] = order[place]
    if not wanted:
        return None
    found = [
        variant
        for variant in variants
        if variant.id != line.variant_id
        and all(
            _core(variant.options.get(name, {})) == wanted.get(name, _core(line.options[name]))
            for name in line.options
        )
    ]
    return found[0] if len(found) == 1 else None


def _core(value: Mapping[str, str]) -> str:
    """What distinguishes a value, in the language it is shortest to say: ``L 码`` is ``l``."""
    return UNIT.sub("", fold(value.get("zh") or next(iter(value.values()), "")))


def _values(name: str, variants: Sequence[Variant], line: OrderLine) -> dict[str, set[str]]:
    """Every value of an option: its core, and all the ways to say it."""
    found: dict[str, set[str]] = {}
    for options in (line.options, *(variant.options for variant in variants)):
        value = options.get(name, {})
        core = _core(value)
        found.setdefault(core, set()).update({core, *(UNIT.sub("", fold(word)) for word in value.values())})
    return {core: {word for word in words if word} for core, words in found.items()}


def _named(text: str, values: Mapping[str, set[str]]) -> list[str]:
    """The values that stand in the text; of "深蓝" and "蓝" only the longer."""
    said: dict[str, str] = {}
    for core, words in values.items():
        for word in words:
            if re.search(rf"(?<![a-z0-9.]){re.escape(word)}(?![a-z0-9.])", text):
                said[core] = max(said.get(core, ""), word, key=len)
    return [
        core
        for core, word in said.items()
        if not any(other != core and word in longer and word != longer for other, longer in said.items())
    ]


def _rank(core: str) -> float:
    """Sizes in order: XXS .. XXXL, or by number."""
    if re.fullmatch(r"\d+(?:\.\d+)?", core):
        return float(core)
    steps = core.count("x")
    return {"s": -1.0 - steps, "m": 0.0, "l": 1.0 + steps}[core[-1]]


def option_title(variant: Variant, language: Language) -> str:
    """``黑色 L`` or ``Black, L``."""
    values = [in_language(value, language) for value in variant.options.values()]
    return (" " if language == "zh" else ", ").join(value for value in values if value)


def price_of(product: Product, line: OrderLine) -> Money:
    """What the bought option costs today: the difference is between today's prices (see the order API)."""
    return next((one.price for one in product.variants if one.id == line.variant_id), line.unit_price)


def swap(line: OrderLine, wanted: Variant, language: Language) -> str:
    """``棉质T恤（白色，M） → 黑色 L``."""
    return f"{title_of(line, language)} → {option_title(wanted, language)}"


def swap_with_difference(
    product: Product, line: OrderLine, wanted: Variant, quantity: int, language: Language
) -> str:
    """What is swapped for what in an exchange, and who pays the difference when."""
    swapped = swap(line, wanted, language)
    each = wanted.price.amount - price_of(product, line).amount
    amount = format_money(Money(amount=abs(each) * quantity, currency=wanted.price.currency), language)
    zh = language == "zh"
    if each == 0:
        return f"{swapped}，没有差价。" if zh else f"{swapped}, no price difference."
    if each > 0:
        return (
            f"{swapped}，收货时补差价 {amount}。"
            if zh
            else f"{swapped}, you pay the difference of {amount} on delivery."
        )
    if zh:
        return f"{swapped}，旧商品验收后退差价 {amount}。"
    return f"{swapped}, the difference of {amount} goes back to you once the old item has been checked."
