"""One spelling for many: what an intent is read from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.normalise import MAX_LENGTH, normalise


@pytest.mark.parametrize(
    ("typed", "form"),
    [
        ("ＨＥＬＬＯ　ｗｏｒｌｄ", "hello world"),
        ("請問我的訂單到哪裡了", "请问我的订单到哪里了"),
        ("订单[订单x]到哪了", "订单 №№ 到哪了"),
        ("订单 20261118004211 到哪了", "订单 №№ 到哪了"),
        ("退[数字x]件", "退5件"),
        ("退3件", "退5件"),
        ("<url> 这个多少钱", "链接 这个多少钱"),
        ("https://shop.example/a?b=1 这个多少钱", "链接 这个多少钱"),
        ("咨询订单号:88123456 商品ID:4711 什么时候发货", "什么时候发货"),
        ("顾客通过点击web咚咚[站点x]信息发送:能开专票吗", "能开专票吗"),
        ("我的税号[身份证号x]", "我的税号5"),
        ("[站点x]几点关门", "某几点关门"),
        ("啊啊啊啊啊啊", "啊啊"),
        ("a\u200bb\u202ec", "abc"),
        ("", ""),
        ("\u200b\u200b", ""),
    ],
)
def test_many_spellings_have_one_form(typed, form):
    """Width, script, masks, numbers, links, cards and invisible characters do not matter."""
    assert normalise(typed) == form


def test_a_card_alone_is_kept():
    """A shopper who sends only the order card has still said which order."""
    assert "№№" in normalise("咨询订单号:88123456 商品ID:4711")


@given(st.text(max_size=300))
def test_every_text_has_a_form_and_the_form_is_stable(text):
    """No input breaks it, and normalising twice changes no letter's script or width."""
    form = normalise(text)

    assert isinstance(form, str)
    assert form == form.strip()


def test_a_pasted_document_is_cut():
    """A message of a hundred thousand characters is read at both ends only."""
    assert len(normalise("很长的话abc " * 10_000)) <= MAX_LENGTH + 20
