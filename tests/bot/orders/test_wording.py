"""Orders, plans and receipts in words: complete, in the right language, and never more than the receipt says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.claims import claims_in, require_receipts
from bot.message import Language
from bot.orders.models import Money, Operation, Order, OrderState, Receipt, RequestLine
from bot.orders.plans import Plan, PlanDestination
from bot.orders.wording import (
    OPERATIONS,
    STATES,
    receipt_destination,
    render_order,
    render_plan,
    render_receipt,
    title_of,
)

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
LANGUAGES: tuple[Language, ...] = ("zh", "en")


def yuan(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "CNY"}


ORDER = Order.model_validate(
    {
        "number": "80000000000000001",
        "version": 3,
        "customer_id": "C1",
        "state": "shipped",
        "created_at": NOW - timedelta(days=3),
        "lines": [
            {
                "id": "L1",
                "product_id": "P1",
                "variant_id": "V1",
                "title": {"zh": "纯棉T恤", "en": "Cotton T-shirt"},
                "options": {"size": {"zh": "M 码", "en": "M"}, "color": {"zh": "白色", "en": "White"}},
                "category": "apparel",
                "quantity": 2,
                "quantity_open": 2,
                "unit_price": yuan(8900),
            }
        ],
        "address": {
            "name": "王芳",
            "phone": "138******78",
            "country": "CN",
            "province": "上海市",
            "city": "上海市",
            "district": "静安区",
            "street": "南京西路1266号",
        },
        "total": yuan(17800),
        "shipping": yuan(0),
        "payments": [{"id": "p", "method": "wechat_pay", "amount": yuan(17800)}],
        "refunded": yuan(100),
        "fulfilments": [
            {
                "id": "F1",
                "carrier": "顺丰速运",
                "tracking_number": "SF123",
                "shipped_at": NOW - timedelta(days=2),
                "expected_at": NOW + timedelta(days=1),
                "lines": ["L1"],
                "events": [
                    {"at": NOW - timedelta(days=2), "status": "picked_up", "place": "杭州"},
                    {
                        "at": NOW - timedelta(hours=1),
                        "status": "out_for_delivery",
                        "place": "上海",
                        "text": {"zh": "快递员正在派送。", "en": "The courier is on the way."},
                    },
                ],
            }
        ],
        "requests": [
            {
                "id": "RQ1",
                "operation": "refund",
                "status": "completed",
                "amount": yuan(100),
                "created_at": NOW,
            }
        ],
    }
)


def plan(operation: Operation = Operation.RETURN, **changes: Any) -> Plan:
    return Plan.model_validate(
        {
            "operation": operation,
            "order_number": ORDER.number,
            "order_version": 3,
            "lines": [RequestLine(line_id="L1", quantity=2)],
            "amount": yuan(17800),
            "destination": [
                PlanDestination(
                    payment_id="p", method="wechat_pay", amount=Money(amount=17800, currency="CNY")
                )
            ],
            "freight": "buyer",
            "due_at": NOW + timedelta(days=7),
            "working_days": 5,
            "clause": "no_reason",
            "policy_version": "2026-07",
            "conversation": "c",
            "created_at": NOW,
            "expires_at": NOW + timedelta(minutes=15),
            **changes,
        }
    )


def receipt(operation: Operation, **changes: Any) -> Receipt:
    return Receipt.model_validate(
        {
            "id": "RC1",
            "operation": operation,
            "order": ORDER.number,
            "key": "k",
            "at": NOW,
            "version": 4,
            **changes,
        }
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_of_a_plan_say_all_that_its_card_says(language: Language) -> None:
    words = render_plan(plan(), ORDER, language)

    assert all(name in words.text and value in words.text for name, value in words.card.rows)
    assert "15" in (words.card.lead or "")


def test_plan_shows_order_items_amount_destination_deadline_and_freight() -> None:
    zh, en = (render_plan(plan(), ORDER, language).text for language in LANGUAGES)

    for words in (
        ORDER.number,
        "纯棉T恤（M 码，白色） × 2",
        "¥178.00",
        "微信支付",
        "2026年11月29日",
        "买家承担",
        "5 个工作日",
    ):
        assert words in zh
    for words in (
        ORDER.number,
        "Cotton T-shirt (M, White) × 2",
        "CN¥178.00",
        "WeChat Pay",
        "November 29, 2026",
        "paid by you",
        "5 working days",
    ):
        assert words in en


def test_plan_over_two_payments_shows_each_part() -> None:
    parts = [
        {"payment_id": "a", "method": "gift_card", "hint": "**** 8812", "amount": yuan(3000)},
        {"payment_id": "b", "method": "alipay", "amount": yuan(14800)},
    ]
    rows = render_plan(plan(destination=parts), ORDER, "zh").card.rows

    assert ("退回到", "礼品卡（**** 8812） ¥30.00") in rows
    assert ("退回到", "支付宝 ¥148.00") in rows


def test_dearer_exchange_says_what_the_shopper_pays() -> None:
    dearer = plan(Operation.EXCHANGE, amount=yuan(-2000), destination=[])

    assert ("需补差价", "¥20.00") in render_plan(dearer, ORDER, "zh").card.rows
    assert ("You pay", "CN¥20.00") in render_plan(dearer, ORDER, "en").card.rows


def test_plan_for_a_new_address_shows_it_whole() -> None:
    body = {"address": {"street": "四川北路88号", "district": "虹口区", "province": None}}
    change = plan(Operation.CHANGE_ADDRESS, body=body, lines=[], amount=None, destination=[], freight=None)

    assert "王芳 138******78 上海市虹口区四川北路88号" in render_plan(change, ORDER, "zh").text


@pytest.mark.parametrize("operation", list(Operation))
@pytest.mark.parametrize("language", LANGUAGES)
def test_plan_claims_nothing_and_receipt_claims_only_what_it_backs(
    operation: Operation, language: Language
) -> None:
    """The same check the gateway makes before it sends a reply."""
    done = receipt(operation, amount=yuan(17800), due_at=NOW + timedelta(days=3))
    words = render_receipt(done, plan(operation), language)

    assert [] == claims_in(render_plan(plan(operation), ORDER, language).text)
    assert any(claim.kind == "done" for claim in claims_in(words.text))
    require_receipts(words.text, [done.id], {done.id: done})
    assert done.id in words.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_receipt_without_money_says_nothing_of_money(language: Language) -> None:
    """Whatever the plan hoped for."""
    words = render_receipt(receipt(Operation.CANCEL), plan(Operation.CANCEL), language)

    assert "178" not in words.text
    assert all("178" not in value for _, value in words.card.rows)


def test_receipt_names_the_payments_in_the_shoppers_language() -> None:
    split = [
        {"method": "gift_card", "hint": "**** 8812", "amount": yuan(3000)},
        {"method": "wechat_pay", "hint": "", "amount": yuan(14800)},
    ]
    both = receipt(Operation.CANCEL, amount=yuan(17800), destination="gift_card **** 8812 + wechat_pay")

    assert "礼品卡 **** 8812 + 微信支付" == receipt_destination(both, "zh")
    detailed = both.model_copy(update={"details": {"split": split}})
    assert "gift card (**** 8812) CN¥30.00 and WeChat Pay CN¥148.00" == receipt_destination(detailed, "en")
    odd = both.model_copy(update={"details": {"split": [{"what": 1}]}})
    assert "gift card **** 8812 + WeChat Pay" == receipt_destination(odd, "en")


def test_exchange_receipt_says_the_difference_it_carries() -> None:
    dearer = receipt(Operation.EXCHANGE, details={"difference": yuan(2000)})
    cheaper = receipt(Operation.EXCHANGE, details={"difference": yuan(-2000)})

    assert "需补差价 ¥20.00" in render_receipt(dearer, None, "zh").text
    assert "商品验收后，¥20.00 原路退回" in render_receipt(cheaper, None, "zh").text


def test_order_says_where_the_parcel_is() -> None:
    zh, en = (render_order(ORDER, language).text for language in LANGUAGES)

    assert (
        "运输中" in zh and "顺丰速运 SF123" in zh and "上海 快递员正在派送" in zh and "11月22日 11:00" in zh
    )
    assert "2026年11月23日" in zh
    assert "on its way" in en and "The courier is on the way" in en and "November 23, 2026" in en


@pytest.mark.parametrize("state", list(OrderState))
@pytest.mark.parametrize("language", LANGUAGES)
def test_report_of_any_state_is_no_claim(state: OrderState, language: Language) -> None:
    subject = ORDER.model_copy(update={"state": state})
    words = render_order(subject, language)

    assert [] == claims_in(words.text)
    assert STATES[state][language] in words.text


@pytest.mark.parametrize(
    "status", ["requested", "approved", "in_transit", "received", "completed", "refused", "withdrawn", "odd"]
)
@pytest.mark.parametrize("operation", list(Operation))
@pytest.mark.parametrize("language", LANGUAGES)
def test_report_of_any_request_is_no_claim(status: str, operation: Operation, language: Language) -> None:
    request = ORDER.requests[0].model_copy(update={"status": status, "operation": operation})
    words = render_order(ORDER.model_copy(update={"requests": (request,)}), language)

    assert [] == claims_in(words.text)
    assert OPERATIONS[operation][language] in words.text


def test_order_is_shown_without_what_would_prove_it() -> None:
    raw = ORDER.address.model_copy(update={"phone": "13812345678"})
    words = render_order(ORDER.model_copy(update={"address": raw}), "zh")

    assert "5678" not in str(words) and "1266" not in str(words)


def test_parcels_are_told_apart_and_delivery_is_said() -> None:
    parcel = ORDER.fulfilments[0]
    second = parcel.model_copy(update={"id": "F2", "tracking_number": "SF456", "delivered_at": NOW})
    words = render_order(ORDER.model_copy(update={"fulfilments": (parcel, second)}), "en")

    assert (
        "Parcel 1: " in words.text and "Parcel 2: " in words.text and "delivered Nov 22, 12:00" in words.text
    )


def test_title_falls_back_to_the_language_the_shop_has() -> None:
    line = ORDER.lines[0].model_copy(update={"title": {"zh": "纯棉T恤"}, "options": {}})

    assert "纯棉T恤" == title_of(line, "en")
