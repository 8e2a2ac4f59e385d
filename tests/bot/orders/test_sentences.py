"""An order as sentences: each true, each alone, none with a proof in it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.message import Language
from bot.orders.models import Address, Fulfilment, Money, Order, OrderLine, OrderState, Payment
from bot.orders.sentences import order_sentences

NOON = datetime(2026, 11, 20, 4, tzinfo=UTC)


def money(amount: int) -> Money:
    return Money(amount=amount, currency="CNY")


ORDER = Order(
    number="80000000000000001", version=3, customer_id="c", state=OrderState.SHIPPED, created_at=NOON,
    lines=(
        OrderLine(
            id="l1", product_id="P1", variant_id="V1", title={"zh": "棉质T恤", "en": "Cotton T-shirt"},
            options={"color": {"zh": "白色", "en": "white"}, "size": {"zh": "M", "en": "M"}, "fit": {"zh": "修身", "en": "slim"}},
            category="apparel", quantity=2, quantity_open=2, unit_price=money(5900),
        ),
    ),
    address=Address(name="王小芳", phone="13812345678", country="CN", street="测试路 1 号"),
    total=money(13000), shipping=money(1200), payments=(Payment(id="p", method="alipay", amount=money(13000)),),
    refunded=money(0),
    fulfilments=(Fulfilment(id="f", carrier="SF", tracking_number="SF2460246024", shipped_at=NOON, expected_at=NOON),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("language", "name", "parts"),
    [
        ("zh", "items", ["棉质T恤", "颜色：白色", "尺码：M", "修身", "2 件", "¥59.00"]),
        ("en", "items", ["Cotton T-shirt", "colour: white", "slim", "2 items", "59.00"]),
        ("zh", "payment", ["¥130.00", "运费 ¥12.00", "支付宝", "2026年11月20日"]),
        ("en", "payment", ["Alipay", "130.00", "November 20, 2026"]),
        ("zh", "delivery", ["运输中", "SF2460246024", "预计 2026年11月20日"]),
        ("en", "delivery", ["on its way", "SF2460246024", "expected"]),
    ],
)
def test_a_sentence_says_what_the_order_says(language: Language, name: str, parts: list[str]) -> None:
    said = dict(order_sentences(ORDER, language))[name]

    assert not [part for part in parts if part not in said], said
    assert ORDER.number in said and said[-1] in "。."


@pytest.mark.parametrize("language", ["zh", "en"])
def test_neither_phone_nor_street_nor_name_is_said(language: Language) -> None:
    said = " ".join(text for _, text in order_sentences(ORDER, language))

    assert not [secret for secret in ("5678", "138", "测试路", "王") if secret in said]


@pytest.mark.parametrize(
    ("state", "zh", "en"),
    [
        (OrderState.UNPAID, "还没有付款", "still to be paid"),
        (OrderState.CANCELLED, "没有付过款", "nothing was paid"),
    ],
)
def test_what_has_not_happened_is_not_said(state: OrderState, zh: str, en: str) -> None:
    new = ORDER.model_copy(update={"state": state, "payments": (), "fulfilments": ()})
    told: dict[Language, tuple[str, tuple[str, ...]]] = {
        "zh": (zh, ("退款", "签收", "运单", "一共付了")),
        "en": (en, ("refund", "delivered", "parcel", "and paid")),
    }
    for language, (wanted, unsaid) in told.items():
        said = " ".join(text for _, text in order_sentences(new, language))
        assert wanted in said and not [word for word in unsaid if word in said], said


def test_a_shop_that_does_not_say_how_it_was_paid_is_not_filled_in() -> None:
    said = dict(order_sentences(ORDER.model_copy(update={"payments": ()}), "zh"))["payment"]

    assert "一共付了 ¥130.00" in said and "用" not in said


def test_what_has_happened_is_said_and_a_refund_is_booked_not_arrived() -> None:
    later = ORDER.model_copy(update={"delivered_at": NOON, "refunded": money(300)})
    said = dict(order_sentences(later, "zh"))

    assert "已登记退款 ¥3.00" in said["payment"] and "到账时间看支付渠道" in said["payment"]
    assert "送达签收" in said["delivery"] and "预计" not in said["delivery"]
    assert "is booked" in dict(order_sentences(later, "en"))["payment"]


def test_of_two_parcels_each_has_its_own_day() -> None:
    first = ORDER.fulfilments[0].model_copy(update={"delivered_at": NOON})
    second = ORDER.fulfilments[0].model_copy(update={"id": "g", "tracking_number": "SF1"})
    said = dict(order_sentences(ORDER.model_copy(update={"fulfilments": (first, second)}), "en"))["delivery"]

    assert said.index("delivered on") < said.index("SF1") < said.index("expected on")
