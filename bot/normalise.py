"""One spelling for what people type in many.

Full-width forms, traditional characters, case, invisible characters, repeated letters, links,
numbers and the masks that logs put in their place (``[订单x]``, ``<num>``) all become one form, so
that the understanding learns a word once. Nothing here knows an intent; entities are read from the
text as it was typed, not from this.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

MAX_LENGTH = 600  # characters that understanding looks at; more is a pasted document, not a message

# Zero-width and direction marks, control characters, variation selectors and halves of surrogate pairs.
_INVISIBLE = re.compile(
    "[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"
)
# What a shop's own app puts before a message: the order or article the shopper has open. It is not what they say.
_CARDS = (
    re.compile(r"\[?订单编号[::].{0,120}?下单时间[::][^\]]{0,60}\]?\]?"),
    re.compile(
        r"(?:咨询|查询)订单号[::]\s*\S{1,40}?(?=[\s,，;；]|$)[,，\s]*(?:商品(?:id|号)[::]\s*\S{1,30})?"
    ),
    re.compile(r"顾客通过点击.{0,30}?信息发送[::]?"),
    re.compile(r"(?:请选择(?:咨询)?(?:订单|商品)|订单业务咨询|售前咨询|订单咨询|商品咨询)"),
)
_LINK = re.compile(r"https?://\S+|www\.\S+|<url>|\[(?:链接|网址)x?\]")
_MASKED_ORDER = re.compile(r"\[(?:订单编号|订单|orderid|order)_?[\dx]*\]|<order>")
_MASKED_NUMBER = re.compile(
    r"\[(?:数字|电话|手机|金额|日期|时间|邮编|身份证号|number|phone|money|date)x?\]|<num>|<number>"
)
_MASKED_NAME = re.compile(r"\[(?:地址|姓名|组织机构|站点|邮箱|公司|address|name|email)x?\]")
_STICKER = re.compile(r"#e-[sj](?:\d+|\[数字x\])|\[(?:图片|表情|视频|语音|image|photo|sticker)\]")
_LONG_NUMBER = re.compile(r"(?<![a-z])[a-z]{0,3}-?\d[\d-]{4,}\d")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_REPEATED = re.compile(r"(.)\1{3,}")
_SPACE = re.compile(r"\s+")
ORDER_TOKEN = "№№"
NUMBER_TOKEN = "5"


@lru_cache(maxsize=1)
def _to_simplified() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")


def simplified(text: str) -> str:
    """Traditional characters as simplified ones."""
    return str(_to_simplified().convert(text))


def visible(text: str) -> str:
    """`text` in compatibility form (full-width becomes half-width) without characters nobody sees."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def normalise(text: str) -> str:
    """The form of a message from which an intent is read.

    Long texts keep their beginning and their end. The result may be empty: then nothing was said.
    """
    if len(text) > MAX_LENGTH:
        text = text[: MAX_LENGTH * 2 // 3] + " " + text[-MAX_LENGTH // 3 :]
    text = simplified(visible(text)).lower().replace("&nbsp;", " ")
    bare = text
    for card in _CARDS:
        bare = card.sub(" ", bare)
    if re.search(r"\w", bare):  # a card alone still says "this order"
        text = bare
    text = _LINK.sub(" 链接 ", text)
    text = _STICKER.sub(" ", text)
    text = _MASKED_ORDER.sub(f" {ORDER_TOKEN} ", text)
    text = _MASKED_NUMBER.sub(NUMBER_TOKEN, text)
    text = _MASKED_NAME.sub("某", text)
    text = _LONG_NUMBER.sub(ORDER_TOKEN, text)
    text = _NUMBER.sub(NUMBER_TOKEN, text)
    text = _REPEATED.sub(r"\1\1", text)
    return _SPACE.sub(" ", text).strip()
