"""Sentences that claim an action was done, or promise one, in Chinese and English.

Whatever a reply says, "your refund has been submitted" may only be said with the order API's receipt (design,
rule 1). This is the last check before a text leaves: it knows nothing of who wrote it. A `done` claim states
that something has happened; a `promise` commits the shop to something. The shop's general rules ("refunds take
three working days", "once we have the parcel, we refund you"), questions, offers, denials and reports of an
order's state ("状态：已取消") are neither.
The patterns are the project's own; they prefer to withhold a sentence too many in the bot's voice, and leave alone
what an article says of everybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.chinese import plain
from bot.exceptions import UnbackedClaim
from bot.message import Reply
from bot.orders.models import Operation, Receipt


@dataclass(frozen=True)
class Claim:
    """One claim: what kind, about which operation if it says, and the words."""

    kind: Literal["done", "promise"]
    operation: Operation | None
    text: str


# --- Chinese --------------------------------------------------------------------------------------

_ZH_ACTS: tuple[tuple[Operation | None, str], ...] = (
    (Operation.WITHDRAW_REQUEST, r"撤销|撤回"),
    (Operation.CANCEL, r"取消|关闭订单"),
    (Operation.PRICE_PROTECTION, r"价保|差价|保价"),
    (Operation.EXCHANGE, r"换货|更换|换新|换成|换好|换了"),
    (Operation.RETURN, r"退货"),
    (Operation.SEND_INVOICE, r"发票|开票"),
    (Operation.CHANGE_ADDRESS, r"地址"),
    (Operation.REFUND, r"退款|退还|退回|退钱|退了|退好|返还|原路退|全额退"),
)

# Verbs of doing, as one says them of an order.
_DO = (
    r"(?:取消|关闭|退款|退还|退回|退货|退好|返还|原路退|全额退|退给|换货|更换|换好|换成|修改|更改|变更|更新|改好|改成|改为|"
    r"提交|办理|办好|办妥|办完|申请|受理|处理|完成|通过|登记|开具|发送|重发|补发|补寄|寄出|撤销|撤回|补偿|赔偿|赔付|赠送|发放|免除|减免|免单|"
    r"安排|升级|加急|催促|催办|拦截|备注|反馈|生效|到账|成功)"
)
_THING = r"(?:退款|退货|换货|取消|价保|差价|款项|货款|钱款|运费|订单|地址|收货信息|发票|申请|工单|补偿|赔偿|赔付|优惠券|商品|包裹|钱)"
_FOR_YOU = r"(?:为|帮|给|替)(?:您|你|亲)"
_PASSED_ON = r"转接|转人工|转给|转交|接入人工|联系人工|通知(?:人工|客服|同事)|查|找|看|列|记下|收到|核实|核对|准备好|整理|了解"

_ZH_DONE = (
    # 已为您取消, 已经帮你提交了退款, 给您退款成功
    re.compile(rf"已(?:经)?(?:成功)?{_FOR_YOU}(?:成功)?(?!{_PASSED_ON})[^,]{{0,12}}?{_DO}"),
    re.compile(rf"{_FOR_YOU}(?:成功|已经?|刚刚?)?(?!{_PASSED_ON})[^,]{{0,10}}?(?:好了|完成了?|成功了?|妥了|完毕)"),
    re.compile(
        rf"{_FOR_YOU}(?:成功|刚刚?)?(?:把)?(?!{_PASSED_ON})[^,]{{0,10}}?"
        r"(?:取消|退款|退货|退|换货|换|修改|改|提交|申请|办理|登记|补发|补偿|赔偿|撤销|开)了"
    ),
    # 退款已提交, 您的订单已经成功取消, 地址已改为…
    re.compile(rf"{_THING}[^,:已]{{0,14}}已(?:经)?(?:被)?(?:全部|全额|成功|顺利|原路)*{_DO}"),
    # 退款成功, 退货申请提交成功
    re.compile(rf"{_THING}(?:申请)?(?:已经?)?(?:提交|办理|取消|修改|更改|更新|受理|处理|开具|发送)?(?:成功|完成|完毕)(?!率)"),
    re.compile(r"(?:成功|顺利)(?:为您|帮您|给您)?(?:取消|退款|退货|换货|修改|提交|办理|申请|开具|撤销)"),
    # 已退款, 已全额退回, 已经取消
    re.compile(
        r"已(?:经)?(?:成功|全额|全部|原路|全数)*"
        r"(?:取消|退款|退还|退回|退货|退给|返还|换货|提交|办理|受理|撤销|补偿|赔偿|赔付|补发|免除|减免|开具)"
    ),
    re.compile(r"(?:订单|地址|退款|退货|换货|发票)[^,:]{0,8}(?:取消|改|退|换|开|办)好了"),
    re.compile(r"(?:钱|款)[^,:不没]{0,6}(?:退|打)(?:回去?|给您|给你|到您|到你)[^,]{0,10}了"),
    re.compile(r"退款(?:正在|已在|在)(?:路上|处理|打款)"),
)  # fmt: skip

_ZH_MONEY = r"(?:退款|退钱|退还|退回|全额退|补偿|赔偿|赔付|赔您|赔你|免单|免运费|减免|补发|补寄|重发|优惠券|代金券|红包|赠送|差价|取消|换货|换新|换一|退货|修改|改好|办理|办好|到账|送达|送到|发货|处理好|解决)"
_ZH_NOW = r"(?:马上|立即|立刻|这就|现在就|尽快|稍后|一会儿?|稍等)"
_ZH_PROMISE = (
    # 我们会为您退款, 我马上给您取消, 将为您补发
    re.compile(rf"(?:会|将|将会|{_ZH_NOW})[^,:]{{0,8}}{_FOR_YOU}[^,:]{{0,12}}?{_ZH_MONEY}"),
    re.compile(rf"{_FOR_YOU}{_ZH_NOW}[^,:]{{0,8}}?{_ZH_MONEY}"),
    re.compile(rf"(?:我们|我|本店|商家|店家|这边)(?:这边|现在)?(?:会|将|将会|一定|肯定|{_ZH_NOW}){{1,3}}[^,:]{{0,14}}?{_ZH_MONEY}"),
    # 保证今天到账, 一定给您退, 承诺赔偿, 绝对没问题
    re.compile(rf"(?:保证(?!金)|承诺(?!日期|时间|时限|期限|的)|担保|确保|包您|一定会?|肯定会?|绝对会?)[^,:]{{0,14}}?{_ZH_MONEY}"),
    re.compile(rf"{_ZH_MONEY}[^,:]{{0,8}}(?:我们|我)?(?:保证|包在我身上|没问题的?放心)"),
    # 您将收到退款, 给您补偿 50 元
    re.compile(
        r"(?:您|你)(?:会|将|将会|马上|很快|稍后)(?:就)?(?:能|可以)?[^,:]{0,10}?(?:收到|拿到|得到|获得)"
        r"[^,:]{0,14}?(?:退款|款项|补偿|赔偿|优惠券|红包|差价|新品|替换|钱)"
    ),
    re.compile(rf"{_FOR_YOU}(?:申请)?(?:额外|再)?(?:补偿|赔偿|免单|免运费|补发|赠送|送|发|退)(?:一张|一份|您)?[^,:]{{0,6}}(?:元|块|券|红包|%)"),
    re.compile(r"(?:全额)?(?:退款|补偿|赔偿)(?:马上|立即|今天|明天|很快|稍后)(?:就)?(?:会|将|能)?(?:到账|退|到)"),
)  # fmt: skip

# The clause speaks of a case, a rule or somebody's words, not of what was done here.
_ZH_CASE_BEFORE = re.compile(
    r"如果|若|假如|要是|一旦|倘若|凡|是否|有没有|有无|只要|除非|无论|不论|当.{0,12}时|请确认|请核对|哪些|什么时候|何时|例如|比如"
    r"|您说|你说|^\s*说$|您提到|您反映|您问|显示|提示|写着|随$|如未|如已|如有|如订单|对于|可以申请|可申请|方可|才能|才可|能否|可否"
)
_ZH_DENIAL = re.compile(
    r"(?:没有?|尚未|还未|未能|并未|未|不能|无法|不会|不可|不可以|不再|不支持|不予|不得|别|不)(?:被|再|为您|给您|帮您|替您|直接|随意|轻易|代替您|对|作出|做出|保证|承诺|确定|随便|提供|参加|享受|进行|说|把){0,3}$"
)
_ZH_CASE_AFTER = re.compile(
    r"^(?:了)?(?:(?:(?:退货|换货|退款|售后|维修|取消)?申请)?的(?!了|呢|$)|后(?!续)|之后|以后|时|之前|前|即可|的话|但|期间|过程中|状态|记录|进度|页面|入口|按钮|流程|率|超过)"
)
# The name of a state or of a page, in quotes: “已取消”, “卡券—已返还”.
_ZH_QUOTED = re.compile(r"[“「\"][^“”「」\",]{1,12}[”」\"]")
# A state or a row of a table: 目前：已取消, 退款申请（¥10.00）：已完成
_ZH_REPORT = re.compile(
    r"(?:目前|状态|进度|当前|申请(?:（[^（）]*）|\([^()]*\))?|结果)(?:[:：]|是|为|显示)\s*(?:“|\")?$"
)
_ZH_OFFER = re.compile(
    r"需要(?:我|我们)?|要不要|可以(?:为|帮|给|替)|能(?:为|帮|给|替)|能够|是否需要|要我|想(?:为|帮|给)|请问"
)
_ZH_RULE = re.compile(
    r"如果|若|假如|要是|一旦|凡|只要|除非|(?<!稍)(?<!之)(?<!今)(?<!售)后(?!台|续|天|悔)|符合|满足|确认(?:无误)?后|收到(?:退件|退货|商品|包裹)|需要您|需您|请您先|每|任何|对于|签收|付款|同意"
)

# --- English --------------------------------------------------------------------------------------

_EN_ACTS: tuple[tuple[Operation | None, str], ...] = (
    (Operation.WITHDRAW_REQUEST, r"withdr[ae]w"),
    (Operation.PRICE_PROTECTION, r"price[- ](?:protection|difference|adjust)"),
    (Operation.SEND_INVOICE, r"invoice"),
    (Operation.CHANGE_ADDRESS, r"address"),
    (Operation.EXCHANGE, r"exchang"),
    (Operation.REFUND, r"refund|reimburs|money"),
    (Operation.RETURN, r"\breturn"),
    (Operation.CANCEL, r"cancel"),
)

_DONE_VERBS = (
    r"(?:cancel?led|refunded|reimbursed|processed|issued|submitted|updated|changed|modified|arranged|initiated|started|"
    r"credited|returned|exchanged|replaced|resent|re-sent|compensated|waived|applied|registered|withdrawn|filed|placed|"
    r"booked|scheduled|escalated|expedited|approved|completed|requested|sent|paid|reversed|removed|corrected|created|"
    r"transferred|released|granted|upgraded|flagged|logged)"
)
_THINGS = (
    r"(?:orders?|refunds?|returns?|exchanges?|address|payments?|money|items?|invoices?|requests?|claims?|replacements?|"
    r"compensation|fees?|coupons?|vouchers?|labels?|amount|parcels?|packages?|deliver(?:y|ies)|difference|credit|subscription|"
    r"purchases?|funds|cancellation|it|that|this|everything|you)"
)
_ADVERBS = (
    r"(?:\s*(?:now|just|already|successfully|also|gone ahead and|went ahead and|fully|officially|been))*"
)

_EN_DONE = (
    # but for what a shopper says in a heading: "I paid twice", "I've changed my mind"
    re.compile(rf"\b(?!i paid\b)(?:i|we)(?:'ve| have|'ve gone| had)?{_ADVERBS}\s+(?!changed my mind){_DONE_VERBS}\b(?=[^!?;]*\b(?:{_THINGS}|your)\b)"),
    re.compile(
        rf"\b(?:your|the|this|that|a|an|my|our|it|everything|full|both|all|order|refund)\b[^.,!?;:]{{0,50}}?"
        rf"(?<!\byou )\b(?:has|have|was|were|'s|'ve)(?: now| already| just| all| both| also)*(?: been)?(?: now| already| just| fully)*(?: successfully)?\s+"
        rf"{_DONE_VERBS}\b"
    ),
    re.compile(
        rf"\b(?:your|the|this|it)\b[^.,!?;:]{{0,40}}?\b(?:is|are|'s)\s+(?:now|already|successfully|hereby)\s+{_DONE_VERBS}\b"
    ),
    re.compile(rf"\bsuccessfully\s+{_DONE_VERBS}\b|\b{_DONE_VERBS}\s+successfully\b"),
    re.compile(
        r"\b(?:your|the|a|full)\s+(?:full\s+)?(?:refund|cancellation|return|exchange|replacement|address change|reimbursement|money)\b"
        r"[^.,!?;:]{0,30}?\b(?:is|are|'s)\s+(?:now\s+)?(?:complete|completed|done|on (?:its|the) way|successful|in progress|under ?way|being processed|all set|confirmed|approved)\b"
    ),
    re.compile(r"\b(?:refund|cancellation|return|exchange|address change)\s+(?:complete|completed|successful|confirmed|approved|processed|submitted|issued)\b"),
    re.compile(r"\byou(?:'ve| have)(?: now| already| just)? been (?:refunded|reimbursed|credited|compensated)\b"),
    re.compile(r"\b(?:all done|done)\b[^a-z]{1,4}\s*(?:your|the)\b[^.!?]{0,40}\b(?:cancel|refund|return|exchang|chang|updat)"),
)  # fmt: skip

_EN_COMMIT = (
    r"(?:refund|reimburse|cancel|compensate|credit|waive|replace|resend|re-send|send (?:you|it|out|a)|give you|get you|pay|process|issue|arrange|"
    r"exchange|change|update|submit|initiate|make sure|ensure|expedite|cover|offer you|take care|sort|fix|handle|deduct|apply)"
)
_EN_PROMISE = (
    re.compile(rf"\b(?:i|we)(?:'ll| will| shall|'m going to|'re going to| am going to| are going to)(?:\s+\w+ly|\s+now|\s+also|\s+then)?\s+{_EN_COMMIT}\b"),
    re.compile(r"\b(?:i|we)(?:'m| am|'re| are)(?:\s+\w+ly|\s+now)?\s+(?:processing|issuing|cancel?ling|refunding|arranging|sending you|submitting|updating|changing|initiating|waiving|crediting)\b"),
    re.compile(r"\b(?:let me|allow me to)\s+(?:go ahead and\s+)?(?:refund|cancel|process|issue|submit|arrange|initiate|waive|credit)\b"),
    re.compile(r"\b(?:i|we)(?: can| do|'ll| will)?\s+(?:promise|guarantee|assure|swear)\b"),
    re.compile(r"\b(?:is|are|it's|that's)\s+(?:absolutely |fully )?guaranteed\b(?!\s+(?:for\b|against\b|\d))"),  # a warranty's term is a rule
    re.compile(
        r"\byou(?:'ll| will| shall|'re going to| are going to| are about to)(?:\s+\w+ly|\s+soon|\s+also)?\s+(?:get|receive|have|be (?:refunded|reimbursed|credited|compensated|paid)|see)\b"
        r"(?:[^.!?;]{0,40}\b(?:refund|money|compensation|credit|voucher|coupon|replacement|reimbursement|full amount|cash)\b)?"
    ),
    re.compile(r"\byour\s+(?:full\s+)?(?:refund|money|replacement|compensation|order|address|return|exchange)\b[^.,!?;:]{0,20}\bwill(?: \w+)? be\s+(?:\w+ly\s+)?(?:refunded|cancel?led|processed|issued|sent|credited|changed|updated|replaced|exchanged|completed|arranged|returned to you)\b"),
    re.compile(r"\b(?:refund|money|replacement|compensation)\s+(?:is coming|will arrive|will be (?:there|with you|in your account))\b"),
)  # fmt: skip
_EN_RECEIVES = re.compile(
    r"refund|money|compensation|credit|voucher|coupon|replacement|reimburs|full amount|cash|compensated|credited|paid"
)

_EN_CASE = re.compile(
    r"\b(?:if|once|when|whenever|after|unless|until|till|before|whether|in case|as soon as|should you|provided|assuming|while|"
    r"any|every|each|those|such|which|who|whose|whatever|where|orders that|items that|goods that|for example|e\.g|suppose|how|what|why|you said|you mention|says|means)\b|\bshould\s*$"
    # what holds of some or other thing: "a card that was replaced", "an invoice can be changed in the month it was issued"
    r"|^an? (?!.*\b(?:has|have) )(?:\w+ )+?(?:that|can|may|must|cannot)\b"
)
_EN_DENIAL = re.compile(
    r"\b(?:not|n't|never|cannot|can't|no|nor|neither|without|unable|yet to be|hardly|nothing|none)\b|n't\b"
)
_EN_OFFER = re.compile(
    r"\b(?:can|could|would|may|might|should|shall)\s+(?:i|we)\b|\b(?:i|we)\s+(?:can|could|would|may|might)\b|would you|do you|like me to|want me to"
)
_EN_RULE = re.compile(
    r"\b(?:if|once|when|whenever|after|unless|until|provided|in case|as soon as|should you|before|upon|within \d+ days of|orders? (?:that|which)|items? (?:that|which)|faulty items)\b"
)
# "If you paid it, it's refunded in 5 days"; not "it's been refunded".
_EN_IS = re.compile(r"'s (?!now|already|been|successfully)\w+$")

# --- reading --------------------------------------------------------------------------------------

_SENTENCE = re.compile(r"[^。！!？?；;\n]+[。！!？?；;\n]?")
_EN_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")
_HAN = re.compile(r"[\u3400-\u9fff]")
_BETWEEN_HAN = re.compile(r"(?<=[\u3400-\u9fff])[^\S\n]*[*_`·.\-]*[^\S\n]*(?=[\u3400-\u9fff])")


def claims_in(text: str) -> list[Claim]:
    """Every claim of an action in a text, in order; at most one per clause and kind."""
    claims: list[Claim] = []
    for sentence in _sentences(text):
        if sentence.rstrip().endswith("?") or re.search(r"[吗么](?:[。!]|$)", sentence.rstrip()):
            continue
        claims += _in_chinese(sentence) if _HAN.search(sentence) else []
        claims += _in_english(sentence)
    return list(dict.fromkeys(claims))


def require_receipts(text: str, receipts: Sequence[str], known: Mapping[str, Receipt] | None = None) -> None:
    """Let a text pass only when its claims are backed by receipts.

    Args:
        receipts: ids the reply says it speaks of.
        known: receipts by id, where the caller has them. An id that is not among them counts for nothing, and a claim
            that names an operation needs a receipt of that operation. None: an id is taken for a receipt.

    Raises:
        UnbackedClaim: a claim has no receipt; carries the claims.
    """
    claims = claims_in(text)
    if not claims:
        return
    if known is None:
        unbacked = claims if not any(receipts) else []
    else:
        backed = {known[receipt].operation for receipt in receipts if receipt in known}
        unbacked = [claim for claim in claims if not _backed(claim, backed)]
    if unbacked:
        kinds = ", ".join(
            f"{claim.kind} {claim.operation.value if claim.operation else 'action'}" for claim in unbacked
        )
        raise UnbackedClaim(f"The reply claims without a receipt: {kinds}", tuple(unbacked))


def check_reply(reply: Reply) -> None:
    """`require_receipts` for a whole reply, with the receipts its audit part (`explain`) carries.

    Raises:
        UnbackedClaim: as `require_receipts`.
    """
    known: dict[str, Receipt] | None = None
    listed = reply.explain.get("receipts")
    if isinstance(listed, list) and listed:
        known = {receipt.id: receipt for receipt in map(Receipt.model_validate, listed)}
    require_receipts(reply.text, reply.receipts, known)


# A cancelled order, a return and price protection pay money back, so their receipts back a word on a refund.
_IMPLIES: dict[Operation, frozenset[Operation]] = {
    Operation.CANCEL: frozenset({Operation.REFUND}),
    Operation.RETURN: frozenset({Operation.REFUND}),
    Operation.REFUND: frozenset(
        {Operation.CANCEL}
    ),  # the shop cancels an order when its last item is refunded
    Operation.PRICE_PROTECTION: frozenset({Operation.REFUND}),
    Operation.CHANGE_ITEMS: frozenset({Operation.REFUND}),
    Operation.EXCHANGE: frozenset({Operation.RETURN, Operation.REFUND}),
    Operation.UPDATE_REQUEST: frozenset({Operation.REFUND, Operation.RETURN, Operation.EXCHANGE}),
    Operation.WITHDRAW_REQUEST: frozenset({Operation.CANCEL, Operation.RETURN, Operation.EXCHANGE}),
}


def _backed(claim: Claim, operations: set[Operation]) -> bool:
    if claim.operation is None:
        return bool(operations)
    covered = set(operations)
    for operation in operations:
        covered |= _IMPLIES.get(operation, frozenset())
    return claim.operation in covered


def _sentences(text: str) -> Iterator[str]:
    folded = (
        _BETWEEN_HAN.sub("", plain(text))
        .replace("，", ",")
        .replace("：", ":")
        .replace("、", ",")
        .replace("›", ",")
    )
    for found in _SENTENCE.finditer(folded):
        for sentence in _EN_SENTENCE.split(found.group()):
            if sentence.strip():
                yield sentence.strip()


def _in_chinese(sentence: str) -> Iterator[Claim]:
    clauses = sentence.split(",")
    for number, clause in enumerate(clauses):
        if done := _first_zh(clause, _ZH_DONE):
            yield Claim("done", _operation(done, clause, _ZH_ACTS), sentence)
            continue
        before = ",".join(clauses[:number])
        for pattern in _ZH_PROMISE:
            found = pattern.search(clause)
            if found is None or _ZH_DENIAL.search(clause[: found.start()]) or _negated(found.group()):
                continue
            if _ZH_OFFER.search(clause) and not re.search(_ZH_NOW, clause):
                continue
            if (_ZH_RULE.search(before) or _ZH_RULE.search(clause)) and not re.search(_ZH_NOW, clause):
                continue
            yield Claim("promise", _operation(found.group(), clause, _ZH_ACTS), sentence)
            break


def _first_zh(clause: str, patterns: Sequence[re.Pattern[str]]) -> str | None:
    for pattern in patterns:
        for found in pattern.finditer(clause):
            before, after = clause[: found.start()], clause[found.end() :]
            if _ZH_CASE_BEFORE.search(before) or _ZH_CASE_BEFORE.search(found.group()):
                continue
            if _ZH_DENIAL.search(before) or _negated(found.group()) or _ZH_CASE_AFTER.search(after):
                continue
            if any(q.start() <= found.start() < q.end() for q in _ZH_QUOTED.finditer(clause)):
                continue
            if _ZH_REPORT.search(before) or (_ZH_OFFER.search(before) and "已" not in found.group()):
                continue
            return found.group()
    return None


def _negated(words: str) -> bool:
    """A no inside the words found: 退款尚未提交, 无法为您退款."""
    return (
        re.search(r"尚未|还未|未能|并未|没有|没能|无法|不能|不会|不可|不支持|不予|未(?!来)", words)
        is not None
    )


def _in_english(sentence: str) -> Iterator[Claim]:
    for found in _matches(sentence, _EN_DONE):
        clause_start = max(sentence.rfind(mark, 0, found.start()) for mark in ",:(") + 1
        before = sentence[clause_start : found.start()]
        if _EN_CASE.search(before) or _EN_CASE.search(found.group()) or _EN_DENIAL.search(found.group()):
            continue
        if _EN_DENIAL.search(before) or _EN_OFFER.search(before):
            continue
        if re.search(r"\b(?:policy|policies|terms|rules?|prices)\b", found.group()):
            continue
        if _EN_IS.search(found.group()) and _EN_RULE.search(sentence[: found.start()]):
            continue
        yield Claim("done", _operation(found.group(), sentence[clause_start:], _EN_ACTS), sentence)
        break
    for found in _matches(sentence, _EN_PROMISE):
        before = sentence[: found.start()]
        if _EN_DENIAL.search(before[-25:]) or _EN_DENIAL.search(found.group()):
            continue
        if re.match(r"you\b(?!r)", found.group()) and not _EN_RECEIVES.search(found.group()):
            continue
        if _EN_RULE.search(sentence) and not re.search(
            r"\b(?:right now|right away|immediately|guarantee\w*|promise)\b", sentence
        ):
            continue
        yield Claim("promise", _operation(found.group(), sentence, _EN_ACTS), sentence)
        break


def _matches(sentence: str, patterns: Sequence[re.Pattern[str]]) -> Iterator[re.Match[str]]:
    for pattern in patterns:
        yield from pattern.finditer(sentence)


def _operation(words: str, clause: str, acts: Sequence[tuple[Operation | None, str]]) -> Operation | None:
    """Which operation the words name, else the clause around them."""
    for text in (words, clause):
        for operation, pattern in acts:
            if re.search(pattern, text):
                return operation
    return None
