"""Questions about the shop's rules that sound like a wish: "拆封了还能退吗", "can I cancel once it has shipped".

The classifier reads the wish, and rightly: most who ask so go on to it. But they asked something, and a clerk would
answer before asking for the order number. This module tells such a question from the bare wish ("可以退货吗",
"我要退货"); whether the articles answer it is for others to find out. It knows no framework.
"""

from __future__ import annotations

import re

from bot.context import FLOWS, LOOKING
from bot.normalise import normalise

_ASKS = re.compile(
    r"[?？]|[吗么呢]\s*$|怎么|多久|多少|什么|哪|谁|几天|要不要|会不会|能不能|可不可以|能否|是否|还是"
    r"|^\s*(?:so |and |but |hi,? |hello,? |hey,? )*(?:can|could|may|do|does|is|are|will|would|what|how|when|where|who|which)\b",
    re.I,
)
_DEMANDS = re.compile(
    r"我(?:想|要|得)(?!知道|问|了解)|帮我?(?!看)|给我|麻烦|请(?:帮|给|把)|\b(?:i want|i'?d like|i need|i wish|please|can you|could you|would you)\b",
    re.I,
)
# What says the wish itself, and the small words around it. What is left of a message is the case it asks about.
_WISH_ZH = re.compile(
    r"可不可以|能不能|是不是|可以|能否|是否|请问|怎么样?|怎样|如何|什么|时候|为啥|支持|申请|办理|操作|流程"
    r"|订单|单子|东西|商品|宝贝|产品|地址|发票|抬头|价格|差价|价保|保价|客服|你们|您好|你好|现在|直接|一下|这个|那个|这件|那件"
    r"|[退换改开补取消货款钱票价差掉回单能会可还要想有没在把给让做办弄去来到这那个件的了吗么呢啊呀吧嘛哦哈我你您亲买是都就也再又咋行不]"
)
_WISH_EN = re.compile(
    r"\b(?:a|an|the|and|or|but|so|if|it|its|this|that|these|those|them|one|ones|my|mine|me|i|i'?m|you|your|we|us|to|of|for|on|in|with|from|back|some|any|"
    r"something|anything|thing|things|stuff|item|items|goods|product|order|orders|purchase|"
    r"can|could|may|might|do|does|did|is|are|was|were|be|been|will|would|should|what|how|when|where|who|which|possible|allowed|able|"
    r"have|has|had|get|got|go|make|give|want|need|like|please|hi|hello|hey|thanks|now|still|ever|there|here|about|work|works|"
    r"return|returns|returned|returning|refund|refunds|refunded|exchange|exchanges|exchanged|swap|cancel|cancell?ed|cancell?ation|send|sent|change|changed|"
    r"invoice|invoices|receipt|address|money|price|difference|claim|request|apply|start)\b",
    re.I,
)


def asks_rule(text: str, intent: str) -> bool:
    """Whether a message that was read as a wish asks what the rule is for some case.

    Args:
        text: the message.
        intent: what it was read as.

    Wishes to look something up are none: where a parcel is, no rule says. How long refunds take, one does.
    """
    if intent not in FLOWS - LOOKING | {"refund_status"}:
        return False
    said = normalise(text)
    if not _ASKS.search(said) or _DEMANDS.search(said):
        return False
    left = re.sub(r"[\W_]+", " ", _WISH_EN.sub(" ", _WISH_ZH.sub(" ", said)))
    han = re.findall(r"[\u3400-\u9fff]", left)
    return len(han) >= 2 or re.search(r"[a-z]{3,}", left) is not None
