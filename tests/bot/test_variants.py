"""Which option is wanted, starting from the one that was bought."""

from __future__ import annotations

import itertools

import pytest

from bot.orders.models import Money, OrderLine, Variant
from bot.variants import choose_variant

PRICE = Money(amount=100, currency="CNY")
COLOURS = {"白色": "White", "蓝色": "Blue", "深蓝色": "Navy"}
SIZES = ("S", "M", "L", "XL")


def options(colour: str, size: str) -> dict[str, dict[str, str]]:
    return {"colour": {"zh": colour, "en": COLOURS[colour]}, "size": {"zh": f"{size} 码", "en": size}}


SHIRTS = [
    Variant(id=f"{colour}-{size}", product_id="p", options=options(colour, size), price=PRICE, stock=1)
    for colour, size in itertools.product(COLOURS, SIZES)
]
BOUGHT = OrderLine(
    id="l1", product_id="p", variant_id="白色-M", title={"zh": "衬衫", "en": "Shirt"}, options=options("白色", "M"),
    category="apparel", quantity=1, quantity_open=1, unit_price=PRICE,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "variant"),
    [
        ("换成L码的", "白色-L"),
        ("我要 XL", "白色-XL"),
        ("大一码", "白色-L"),
        ("a size smaller please", "白色-S"),
        ("蓝色的", "蓝色-M"),
        ("深蓝色", "深蓝色-M"),
        ("the navy one in L", "深蓝色-L"),
        ("blue, size s", "蓝色-S"),
    ],
)
def test_what_is_not_named_stays_as_it_was(text: str, variant: str) -> None:
    found = choose_variant(text, SHIRTS, BOUGHT)

    assert found is not None
    assert variant == found.id


@pytest.mark.parametrize("text", ["", "随便", "S 或者 L", "白色的", "M 码", "green", "不合适"])
def test_what_cannot_be_told_is_not_guessed(text: str) -> None:
    assert choose_variant(text, SHIRTS, BOUGHT) is None


def test_there_is_nothing_larger_than_the_largest() -> None:
    largest = BOUGHT.model_copy(update={"variant_id": "白色-XL", "options": options("白色", "XL")})

    assert choose_variant("再大一码", SHIRTS, largest) is None
