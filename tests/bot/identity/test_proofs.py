"""What a shopper types to prove who they are is read in the shapes people use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.identity.proofs import normalize_proof, read_proof
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
