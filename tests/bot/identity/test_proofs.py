"""What a shopper types to prove who they are is read in the shapes people use."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.identity.proofs import NUMBER_HERE, normalize_proof, offered_proof, read_proof, without_figures
from bot.orders.models import ProofKind

TAIL, EMAIL, POSTCODE = ProofKind.PHONE_TAIL, ProofKind.EMAIL, ProofKind.POSTCODE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5678", (TAIL, "5678")),
        ("５６７８", (TAIL, "5678")),
        ("尾号5678", (TAIL, "5678")),
        ("手机尾号是 5678 谢谢", (TAIL, "5678")),
        ("手機後四位5678", (TAIL, "5678")),
        ("my phone ends in 5678", (TAIL, "5678")),
        ("13812345678", (TAIL, "5678")),
        ("138 1234 5678", (TAIL, "5678")),
        ("+86-138-1234-5678", (TAIL, "5678")),
        ("电话：138-1234-5678", (TAIL, "5678")),
        ("(020) 7946 0958", (TAIL, "0958")),
        ("phone 555012", (TAIL, "5012")),
        ("订单 202611010012345678 尾号 1234", (TAIL, "1234")),
        ("Wang.Fang@Example.COM", (EMAIL, "wang.fang@example.com")),
        ("我的邮箱是wang＠example.com", (EMAIL, "wang@example.com")),
        ("mail: a+b@mail.example.co.uk.", (EMAIL, "a+b@mail.example.co.uk")),
        ("200040", (POSTCODE, "200040")),
        ("邮编 ２０００４０", (POSTCODE, "200040")),
        ("邮编1010", (POSTCODE, "1010")),
        ("sw1a 1aa", (POSTCODE, "SW1A1AA")),
        ("my postcode is SW1A 1AA", (POSTCODE, "SW1A1AA")),
        ("1012 ab", (POSTCODE, "1012AB")),
        ("K1A-0B1", (POSTCODE, "K1A0B1")),
        ("94107-1234", (POSTCODE, "941071234")),
        ("zip 94107", (POSTCODE, "94107")),
        ("好的", None),
        ("", None),
        ("12", None),
        ("不知道", None),
        ("user@", None),
    ],
)
def test_proof_is_read(text: str, expected: tuple[ProofKind, str] | None) -> None:
    assert expected == read_proof(text)


@given(st.text(max_size=200))
def test_any_text_gives_a_well_formed_proof_or_none(text: str) -> None:
    found = read_proof(text)

    if found is None:
        return
    kind, value = found
    assert value == normalize_proof(kind, value)
    if kind is TAIL:
        assert len(value) == 4 and value.isascii() and value.isdigit()


@given(
    st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), st.sampled_from(["", "手机号", "我的电话是", "phone: "])
)
def test_whole_phone_counts_by_its_last_four_digits(phone: str, before: str) -> None:
    assert (TAIL, phone[-4:]) == read_proof(before + phone)


TODAY = date(2026, 9, 20)


def offered(text: str):
    """The proof in a message that was not asked for one; # is the order's number."""
    return offered_proof(without_figures(text.replace("#", NUMBER_HERE), TODAY))


@pytest.mark.parametrize(
    "text",
    [
        "我要退订单#，2026年9月1日买的", "那双1299元的鞋", "我要退#那双1299的鞋", "#那双 1299 的鞋", "2026-09-12 收到", "花了12999元", "退#，花了1299",
        "#花了12999", "#，2026年买的", "银行卡尾号4242付的，#", "订单尾号5996", "# 税号110108123456789", "手机壳1299，#", "# 手机1299买的", "买了3件，#",
        "快递SF1234567890123没到，#", "运单 1234567890 没到 #", "# 1299.00", "价格从1299降到999了，#价保", "发了1234次消息了 #", "2026年9月退#",
        "#的手机是2026年款", "12月1日 #", "# 收到2046双袜子", "#5000毫安的那个",
        "I paid $1299", "#, I paid $1299", "bought in 2026, order #", "refund order #, it cost 1299", "paid with my card ending in 4242, order #",
        "the phone I bought in 2026, order #", "# paid 1299 on friday", "# in 2026 in May", "Sept 2026, #", "size 4200, order #",
        "phone 2024 model, order #", "price dropped from 1299 to 999, #", "my last 4 orders were fine, #",
    ],
)  # fmt: skip
def test_a_year_a_price_or_another_number_is_no_proof(text: str) -> None:
    assert offered(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("# 2046", "2046"), ("我要退货 # 2046", "2046"), ("#，2046", "2046"), ("#\n2046", "2046"), ("# (2046)", "2046"), ("2046 #", "2046"), ("2046", "2046"),
        ("是2046", "2046"), ("退货 # 2046 谢谢", "2046"), ("# 2046 尺码不合适", "2046"), ("退#，尾号2046，花了1299", "2046"), ("尾号2046，那双1299的鞋 #", "2046"),
        ("订单#尾号2046", "2046"), ("手机尾号是2046", "2046"), ("电话2046", "2046"), ("# 手机13800002046", "2046"), ("13800002046 #", "2046"),
        ("我叫李娜13800002046，退#", "2046"), ("2046是我的手机尾号", "2046"), ("2026年9月1日买的，#，手机尾号2046", "2046"), ("#，我的电话是020-79460958", "0958"),
        ("你好，# 2046，帮我查一下", "2046"), ("#，邮编200030", "200030"), ("# 200030", "200030"),
        ("# 2046 I want a refund", "2046"), ("# 2046 please", "2046"), ("#, phone ends in 0142", "0142"), ("my phone is +1 415 555 0142, #", "0142"),
        ("phone number 4155550142, order #", "0142"), ("last four digits of my phone are 2046", "2046"), ("I paid $1299 for #, phone ending 2046", "2046"),
        ("Order #, my phone ends with 0142, I paid 1299", "0142"), ("order # phone 2046 paid 1299", "2046"), ("lina@example.com, #", "lina@example.com"),
        ("order #, BS1 5NH", "BS15NH"), ("BS1 5NH", "BS15NH"), ("my postcode is BS1 5NH", "BS15NH"), ("# zip 94110", "94110"),
    ],
)  # fmt: skip
def test_a_proof_beside_other_things_is_read_without_being_asked_for(text: str, value: str) -> None:
    found = offered(text)

    assert found is not None and value == found[1]


@pytest.mark.parametrize(
    "text", ["2026年9月1日买的", "I paid $1299", "花了12999元", "2026-09-12", "2026年买的", "1299.00"]
)
def test_an_answer_with_only_figures_is_no_proof(text: str) -> None:
    assert read_proof(without_figures(text, TODAY)) is None


@pytest.mark.parametrize(
    "text", ["2046", "是2046", "李娜 2046", "尾号2046，1299那双", "那双1299元的，2046", "买了3双 2046"]
)
def test_an_answer_with_a_tail_is_the_tail(text: str) -> None:
    assert (TAIL, "2046") == read_proof(without_figures(text, TODAY))


@given(st.text(max_size=200))
def test_what_is_offered_is_a_proof_that_is_read(text: str) -> None:
    found = offered_proof(text)

    assert found is None or found[1] == normalize_proof(*found)
