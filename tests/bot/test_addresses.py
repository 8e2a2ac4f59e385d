"""Addresses in a shopper's own words; no street, no address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.addresses import read_address, read_recipient
from bot.orders.models import Address


def test_a_full_chinese_address_with_recipient_and_phone() -> None:
    found = read_address("王芳 13800001111 浙江省杭州市西湖区文三路 1 号 2 幢 301 室")

    assert found == {
        "name": "王芳",
        "phone": "13800001111",
        "country": "CN",
        "province": "浙江省",
        "city": "杭州市",
        "district": "西湖区",
        "street": "文三路1号2幢301室",
    }


@pytest.mark.parametrize("intro", ["改成", "地址改为", "帮我寄到", "新地址：", "收货地址是"])
def test_what_introduces_an_address_is_no_part_of_it(intro: str) -> None:
    found = read_address(f"{intro}上海市徐汇区天平路88号")

    assert found is not None
    assert ("上海市", "上海市", "徐汇区", "天平路88号") == (
        found["province"],
        found["city"],
        found["district"],
        found["street"],
    )


def test_a_street_alone_keeps_the_city() -> None:
    found = read_address("门牌写错了，应该是文三路 12 号") or {}

    assert "city" not in found


@pytest.mark.parametrize(
    ("text", "street", "city", "postcode"),
    [
        ("12 Green Street, Bristol, BS1 4DJ", "12 Green Street", "Bristol", "BS1 4DJ"),
        ("Please ship it to 5 Oak Ave, Portland, OR 97201, USA", "5 Oak Ave", "Portland", "97201"),
        ("my new address is Flat 2, 8 Mill Lane, Leeds", "Flat 2, 8 Mill Lane", "Leeds", None),
    ],
)
def test_english_addresses(text: str, street: str, city: str, postcode: str | None) -> None:
    found = read_address(text)

    assert found is not None
    assert (street, city, postcode) == (found["street"], found.get("city"), found.get("postcode"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "嗯",
        "改地址",
        "改一下收货地址 81000789054714359，尾号2046",
        "订单号 81000789054714359 地址填错了",
        "我不知道这里怎么改",
        "我在路上",
        "change it please",
        "12345",
        "什么时候发货",
        "杭州",
        "哈" * 5000,
    ],
)
def test_what_is_no_address(text: str) -> None:
    assert read_address(text) is None


@given(st.text(max_size=400))
def test_whatever_is_typed_gives_known_fields_or_nothing(text: str) -> None:
    found = read_address(text)

    assert found is None or (found["street"] and set(found) <= set(Address.model_fields))


def test_an_address_beside_an_order_number() -> None:
    found = read_address("订单81000789054714359改到浙江省杭州市西湖区文三路1号")

    assert found is not None
    assert ("杭州市", "文三路1号") == (found["city"], found["street"])


def test_talk_before_the_new_place_is_no_part_of_it():
    for words in ("地址写错了，改成", "改地址到", "麻烦帮我把收货地址改为", "我搬家了，新地址是"):
        found = read_address(f"{words}浙江省杭州市西湖区文三路1号")

        assert found is not None
        assert ("浙江省", "杭州市", "西湖区", "文三路1号") == tuple(
            found[key] for key in ("province", "city", "district", "street")
        )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "I moved, please send 87470852120242022 to 500 Howard Street, San Francisco, CA 94105, phone ends in 0142",
            {"street": "500 Howard Street", "city": "San Francisco", "province": "CA", "postcode": "94105"},
        ),
        (
            "We are moving to 14 Oak Avenue, Austin, TX 73301 next week, can you send it there?",
            {"street": "14 Oak Avenue", "city": "Austin", "province": "TX", "postcode": "73301"},
        ),
        (
            "please deliver to Anna Smith, 7 Hill Road, Leeds LS1 4AB",
            {"name": "Anna Smith", "street": "7 Hill Road", "city": "Leeds", "postcode": "LS1 4AB"},
        ),
    ],
)
def test_what_stands_around_an_english_address_is_talk(text, wanted):
    assert wanted == read_address(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("电话改成13800001111", {"phone": "13800001111"}),
        ("收件人改成李雷，手机号换成 138 0000 1111", {"name": "李雷", "phone": "13800001111"}),
        ("the phone number is +1 415 555 0199", {"phone": "+14155550199"}),
        ("the recipient is Anna Smith", {"name": "Anna Smith"}),
        ("我的手机尾号是1111", {}),
        ("收件人写错了", {}),
    ],
)
def test_a_new_recipient_is_read_without_a_place(text, wanted):
    assert wanted == read_recipient(text)
