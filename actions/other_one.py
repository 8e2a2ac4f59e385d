"""Which words say that another item, option or order is meant than the one at hand, or one more, and not why it goes back."""

from __future__ import annotations

import re

from actions.topic import Talk
from bot.entities import REASONS
from bot.numerals import NOT_GOODS
from bot.references import fold

WRONG_ORDER = re.compile(
    r"(?:不是|不要|别)\s*(?:这|那|刚才)(?:个|笔|张)?(?:订单|单)(?!了|的?(?:货|东西|商品|包裹|问题)|里)|[搞弄]错(?:了)?(?:订单|单)(?!价)|(?:换|另外?|别的|其他|另)一?个?(?:订单|单子)"
    r"|订单号?[写填输打给报说看记选点]?(?:错(?![发寄送配漏])|不对)"
    r"|\b(?:wrong|different|another|other) order\b|\bnot (?:this|that) (?:order|one)(?=\s*(?:[,.;!?]|$|but\b|it'?s\b))",
    re.I,
)
# "The other one": of what was chosen last, an item, an option or an order. Named like this it is no reason.
NAMED_OTHER = re.compile(
    r"(?<!不是)(?<!不要)(?<![不别]退)(?<![不别]换)(?<!留着)(?<!留下)(?<!除了)(?:另(?:外)?(?:的)?(?:那|一)?(?:个|件|笔|款)|别的那(?:个|件|笔))"
    r"(?![颜尺码号型]|规格|版本|\s*也|\s*[还就先都]?(?:是?好|没|可以|挺|很|正常|合适|还行|能用|不|别|留|ok)"
    rf"|\s*(?!订单|下){NOT_GOODS})"
    r"|(?<!not )(?<!not the )(?<!keep )(?<!keep the )(?<!keeping the )(?<!return the )(?<!except the )(?<!like the )(?<!with the )(?<!have the )(?<!than the )"
    r"\bother one\b(?!'?s? (?:is|was|works?|worked|fits?|arrived|came|looks?|has|stays?|i (?:keep|kept|like)|does|too|also|as well)\b|'s )"
    r"|(?<!not )(?<!n't )\b(?:return|refund|exchange|cancel|swap) the other one\b",
    re.I,
)
# One more beside what was chosen: "第二件也退", "add the second one". "第二件也坏了" says why.
ADDS = re.compile(
    r"也(?:想|要|得|请|能|可以|帮我|给我|一起|一并|一块儿?|都)*(?:退|换|取消)|(?:一起|一并|一块儿?|顺便|还[要想])(?:把[^,，。;；!！]{1,12})?(?:退|换|取消)"
    r"|再(?:退|换|取消)一|加上|也要(?=[了吧的啊]?\s*(?:[,，.。;；!！~]|$))"
    r"|\b(?:add|include)\b|\balso (?:want to |like to |need to )?(?:return|refund|exchange|swap|cancel|send)\b"
    r"|\b(?:return|refund|exchange|swap|cancel|send|sending)\b[^.;!]*\b(?:as well|too|also)\b",
    re.I,
)
# Where no reason is asked for the verb may be missing: "the second one too".
ADDS_BARELY = re.compile(
    r"(?:^|[,，。;；!！]\s*)还有[^,，。;；!！?？]{1,12}$|^(?:and )?[^.;!?]{0,30}\b(?:one|item),? (?:as well|too|also)(?:,? please)?[.!]*$",
    re.I,
)
_ENDS = r"(?=\s*[啊呀吧哦噢呢啦的]?\s*(?:[,，.。;；!！?？~、]|$|是|而是|要))"
# Only as a clause of its own: "尺码选错了", "it's not that good" say why.
DENIED_ONE = re.compile(
    rf"(?:不是|不要|不对[,，]?)\s*(?:这|那|刚才)(?:一)?(?:个|笔|件|款|张|双|条)(?:订单|商品|东西|宝贝|衣服|鞋子?|裤子|产品)?{_ENDS}"
    r"|(?:^|[,.;!?]\s*|\bno )not (?:this|that)(?: one| item)?(?=\s*(?:[,.;!?]|$))|\bnot (?:this|that) (?:one|item)(?=\s*(?:[,.;!?]|$|but\b|it'?s\b))",
    re.I,
)
OTHER_ONE = re.compile(
    rf"{NAMED_OTHER.pattern}|{DENIED_ONE.pattern}"
    r"|(?:^|[,，。;；!！?？~\s])(?:啊|哦|呃|不好意思|抱歉|对不起|刚才|刚刚|我|好像|应该|不小心|手滑|手误|是|可能)*[选点搞弄]错(?:了|啦|咯|啊|呀)*(?=\s*(?:[,，.。;；!！~]|$))"
    r"|[选点搞弄]错(?:了)?一?(?:件(?!数)|个(?![尺颜型大小号规码])|订单|商品)"
    r"|(?:^|[,.;!?]\s*|\b(?:no|want|mean|meant|choose|pick|take|is|it'?s) )another one(?=\s*(?:[,.;!?]|$|please\b))"
    r"|\b(?:picked|chose|chosen|selected|clicked|tapped|pressed|took|said|typed)(?: on)? the wrong (?:one|item)\b"
    r"|(?:^|[,.;!?]\s*|\b(?:no|sorry|oops|wait|actually) )(?:(?:that'?s|that is|it'?s|this is) )?(?:the )?wrong one(?=\s*(?:[,.;!?]|$))",
    re.I,
)
_SENT_EN = (
    r"\b(?:sent|shipped|delivered|got|received?|gave me|arrived|mailed|packed|bought|ordered|(?:you|they) (?:send|ship|deliver|give))\b"
    r"[^,.;!?]{0,40}"
)
# What the shop sent, or what was bought: that is a reason, and the item of the task stays.
SENT_WRONG = re.compile(
    r"(?:买|拍|订|定|发|寄|送|给|收|到|来|货|要|下单)(?:到|来|过|了|我|我们)*的[^,，。;；!！?？]{0,6}不是|[发寄送给配拿装]错|(?:你们|商家|卖家|店家|店铺|仓库|快递员?|物流)[^,，。;；!！?？]{0,8}(?:错|不是)"
    rf"|{_SENT_EN}\b(?:wrong|not)\b"
    r"|\bwrong (?:one|order|item) (?:was|has|got|came|arrived)\b",
    re.I,
)
SENT_OTHER = re.compile(
    r"(?:[发寄送]|收到|到手|[买拍订])[到过来了我给的是成]*另"
    rf"|{_SENT_EN}\bother\b",
    re.I,
)
WRONG_NUMBER = re.compile(
    r"订单号[^,，。;；]{0,4}(?:错|不对)|[写填输打给报发]错了?订单号|\bwrong (?:order )?(?:number|no\.?|id)\b",
    re.I,
)
MENDS = re.compile(r"^\W*(?:no|not|sorry|oops|wait|actually|my mistake)\b", re.I)


def names_wrong_order(text: str) -> re.Match[str] | None:
    """Where a folded text says that the order is the wrong one; None when it speaks of what the shop sent."""
    return None if SENT_WRONG.search(text) else WRONG_ORDER.search(text)


def means_other_order(talk: Talk) -> bool:
    """Whether the message says that another order is meant. "You sent me the wrong order" is a reason."""
    text = fold(talk.turn.text)
    if talk.turn.pressed:
        return False
    if WRONG_NUMBER.search(text):
        return True
    found = names_wrong_order(text)
    if found is None:
        return False
    # Asked why, "the wrong order" is what came, unless it begins like a correction.
    return talk.task.asked != "reason" or "wrong" not in found[0] or MENDS.search(text) is not None


def means_one_more(talk: Talk) -> bool:
    """Whether the message says that something goes as well, beside what was chosen."""
    text = fold(talk.turn.text)
    if talk.turn.pressed:
        return False
    barely = talk.task.asked in (None, "consent", "quantity") and ADDS_BARELY.search(text)
    return bool(ADDS.search(text) or barely)


def means_other_one(talk: Talk) -> bool:
    """Whether the message says that the other item, option or order is meant, and not why it goes back."""
    text = fold(talk.turn.text)
    if talk.turn.pressed or SENT_OTHER.search(text):
        return False
    if NAMED_OTHER.search(text):
        return True
    if SENT_WRONG.search(text):
        return False
    if talk.task.asked == "reason":
        denied = DENIED_ONE.search(text)
        return denied is not None and not text[: denied.start()].strip(" ,.!") and "不要" not in denied[0]
    if OTHER_ONE.search(text) is None:
        return False
    rest = OTHER_ONE.sub(" ", text)
    return not any(pattern.search(rest) for _, pattern in REASONS)
