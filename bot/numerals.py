"""Numbers as people write them: 二, 两, 十二, 一百二十, 3, two, a dozen. Pure functions; None rather than a guess."""

from __future__ import annotations

import re

_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {
    "〇": 0,
    "两": 2,
    "俩": 2,
    "仨": 3,
}
_UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10000}
_TO_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
ENGLISH = {word: value for value, word in enumerate(_TO_TWENTY.split())} | {
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
    "hundred": 100,
}
_WORDS = ENGLISH | {"a": 1, "an": 1, "both": 2, "couple": 2, "pair": 2, "dozen": 12}

CHINESE = "[零〇一二两俩仨三四五六七八九十百千万]+"
WORD = (
    "(?:"
    + "|".join(sorted((word for word in _WORDS if word not in ("a", "an")), key=len, reverse=True))
    + ")"
)
NUMBER = rf"(?:\d+|{CHINESE}|{WORD})"
# What is counted and is no goods, behind a counter: "一个问题", "两个礼拜", "一条短信". A pattern for a lookahead.
NOT_GOODS = (
    r"(?:[多半]?(?:个?月(?!饼|季花|亮|球)|小时|钟头|星期|礼拜)|季度|工作日|周|学期|晚上|早上|上午|下午|白天|人(?!偶|参|形)|客服|朋友|同事|家人|孩子|老师"
    r"|电话(?!手表)|手机号|短信|信息|消息|邮件|链接|通知|记录(?!仪)|说法|交代|解释|答复|回复|回答|结果|准话|准信|态度|公道|理由|原因|借口|小?问题|想[问说请]|要[问说]|不(?:懂|明白|清楚)|疑问|意见"
    r"|建议|要求|请求|事|办法|方法|方案|方式|选择|选项|机会|时间|忙|地址|地方|订单|单号|号码|下|价|字|红包|好评|差评|评价|教训|情况|可能|发票|申请|快递|包裹|平台|店)"
)


def read_number(text: str) -> int | None:
    """A whole number in digits, Chinese numerals or English words; None for anything else."""
    text = text.strip().lower().replace(",", "")
    if re.fullmatch(r"\d{1,9}", text):
        return int(text)
    if text in _WORDS:
        return _WORDS[text]
    if not re.fullmatch(CHINESE, text):
        return None
    if not any(char in _UNITS for char in text):  # digits one after the other: 二〇二六, or a single 三
        return int("".join(str(_DIGITS[char]) for char in text)) if len(text) < 10 else None
    total, part, digit, unit_before = 0, 0, 0, 1
    for char in text:
        if char in _DIGITS:
            digit = _DIGITS[char]
        elif char == "万":
            total, part, digit = total + (part + digit) * 10000, 0, 0
            unit_before = 10000
        else:
            part += (digit or (1 if char == "十" else 0)) * _UNITS[char]
            digit, unit_before = 0, _UNITS[char]
    if digit and unit_before >= 100 and text[-2:-1] in _UNITS:  # 一百二 is 120
        digit *= unit_before // 10
    return total + part + digit
