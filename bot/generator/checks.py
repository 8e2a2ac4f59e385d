"""Vetoes on a reply: what may not reach a shopper, however sure the model was.

Each check compares the text of a reply with the evidence it was made from and says yes or no with a
reason; any "no" is final. Nothing here is learned, nothing is scored, and no check knows whether a
person, a model or a copy of an article wrote the text. See docs/confidence.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.claims import claims_in
from bot.generator.evidence import Evidence
from bot.generator.polarity import clauses_of, contradiction, sources_of, stands
from bot.generator.tone import without_courtesy
from bot.generator.values import Value, find_values, normalise, quantity
from bot.generator.wording import content_words, language_of, overlap, sentences


@dataclass(frozen=True)
class Check:
    """The outcome of one check. `detail` names what was found, for the audit trail."""

    name: str
    ok: bool
    detail: str = ""


# Words that bind the shop. A reply may use one only when its evidence does (in either language).
_PROMISES: dict[str, str] = {
    "guarantee": r"保证|承诺|担保|打包票|guarantee|\bpromise|\bassure\b",
    "free": r"免费|免单|白送|无偿|免收|免付|(?:不|无需|无须|不用|不必|不需要?)(?:会|再|另外?|额外|要)?(?:收取?|要|付|交|缴纳?|支付|花)(?:您|你|任何|额外|其他|其它|一分)*(?:费|钱|运费|邮费|手续费|服务费|上门费|安装费)"
    r"|free[- ]of[- ](?:charge|cost)|for free|(?:at no|no|without|without any) (?:extra |additional |further )?(?:cost|charge|fee)s?\b|(?:not|n['’]t|never) charged?\b|costs? (?:you )?nothing|complimentary"
    r"|(?<![-\w])(?<!feel )free\b(?!-|[ ]+(?:shipping|delivery|postage|to)\b|[ ]+from\b(?![ ]*[\d$€£¥])|[ ]+of\b)",
    "free_shipping": r"包邮|免运费|免邮|运费全免|free (?:shipping|delivery|postage)",
    "compensation": r"补偿|赔偿|赔付|赔给|假一赔|compensat|reimburse",
    "full_refund": r"全额退|全部退款|全款退|full refund|refund (?:you )?in full|money back",
    "refund_now": r"(?:马上|立即|立刻|现在就)(?:给您|给你|为您|帮您)?退款|refund(?:ed)? (?:you )?(?:right now|immediately)",
    "gift": r"赠送|送您一|送你一|礼品|优惠券|代金券|voucher|coupon|\bgift\b|store credit",
    "exception": r"破例|特批|特殊照顾|通融|make an exception|as an exception|waive",
    "binding": r"法律效力|具有约束力|legally binding|binding offer|no takes(?:ies)? backs(?:ies)?",
    "best_price": r"最低价|全网最低|lowest price|price match|保价|价保|补差价|退差价",
    "deal": r"成交|一言为定|that'?s a deal|it'?s a deal|deal!",
}  # fmt: skip
MAX_REPLY = 1600  # characters
_PROMISE_PATTERNS = {name: re.compile(pattern, re.I) for name, pattern in _PROMISES.items()}

_SYSTEM_TEXT = re.compile(
    r"<start_of_turn>|<end_of_turn>|<\|?im_(?:start|end)|<bos>|<eos>|<unused|\[/?INST\]|<<SYS>>|<\|?(?:system|user|assistant)\|?>"
    r"|^\s*(?:system|assistant|user|model|系统|证据|资料|evidence|question|问题|answer|回答)\s*[:：]"
    r"|^\s*\(\d+\) (?:article|order|shopper) \||\[E\d\]|系统提示|系统指令|提示词|system prompt|my instructions|as an ai\b|language model|作为(?:一个)?(?:AI|人工智能|语言模型)"
    r"|```|<script|</?\w+>|\{\{|\}\}|ignore (?:all |the )?(?:previous|above)|忽略(?:以上|之前|前面)",
    re.I | re.M,
)
_LABELLED = re.compile(r"\s*(?:model|system|系统|问题|question|answer|回答|evidence|资料|证据)\s*[:：]", re.I)
_ABUSE = re.compile(
    r"傻[逼比叉]|去死|滚(?:蛋|开)|(?<![爸姑舅姨奶宝])妈的|操你|白痴|蠢货|垃圾(?:公司|店)|\b(?:fuck|shit|idiot|stupid|moron|bitch|asshole|damn you)\w*",
    re.I,
)
_PERSON = re.compile(
    r"(?:尊敬的|亲爱的)?([\u4e00-\u9fff]{1,3})(?:先生|女士|小姐)|\b(?:Mr|Mrs|Ms|Miss|Dear)\.? ([A-Z][a-z]+)"
)
_PERSON_WORDS = frozenset(
    {"顾客", "客户", "用户", "会员", "买家", "customer", "shopper", "friend", "sir", "madam", "guest"}
)
_NO_VALUE = re.compile(r"\d{41,}")  # too long for `find_values`
_PARTIAL_DATE = re.compile(r"^-?(\d{2})-(\d{2})$")


# A promise that is denied is none: "不免费", "we cannot guarantee". Only the words between that change nothing.
_DENIAL = re.compile(
    r"(?:[不未非]|没有?|无法?)(?:再|是|能够?|会|可以?|予以?|得|做|作出?|支持|提供|包[括含]|含|享受?|参[加与]|承担|给予?|进行|适用于?|接受|办理|属于|在|对此|任何|额外|另外?)*$"
    r"|\b(?:\w+n['’]t|not|never|no|cannot|without|nor)\s+(?:(?:be|a|an|any|the|our|offer(?:ed)?|provided?|give|include|including|comes?|issue|get|receive|always|currently|entirely|completely|have|make|made|for|of|to|with|accept|promise|guarantee|eligible|available|entitled|covered|by|granted?)\s+)*$",
    re.I,
)


def _same(value: Value, other: Value) -> bool:
    """Whether a reply's value stands there as the evidence's `other`, with what stands around it."""
    if value.kind == other.kind == "weekday":
        return _week_days(value) <= _week_days(other)
    if not _alike(value, other):
        return False
    return (
        not (value.unit and other.unit and value.unit != other.unit)
        and not (value.bound and other.bound and value.bound != other.bound)
        and not (
            value.other_end
            and other.other_end
            and value.kind != "date"
            and value.other_end != other.other_end
        )
        and not (
            other.low and not value.low and value.kind not in ("date", "time")
        )  # of "3 to 5 days", 3 is no answer
        and value.negative == other.negative
        and (value.ordinal == other.ordinal or value.kind != other.kind)
    )


def _alike(value: Value, other: Value) -> bool:
    """Whether two values are one, looked at alone."""
    kinds = {value.kind, other.kind}
    if value.identity == other.identity:
        return True
    if kinds == {"date"}:  # "11月11日" stands in "2026年11月11日", not the other way round
        return bool(_PARTIAL_DATE.match(value.key)) and other.key.endswith(value.key)
    if kinds == {"time"}:
        return {value.key, other.key} == {"00:00", "24:00"}
    if kinds == {"percent", "discount"}:  # 20 % off is 八折
        return abs(float(value.key) + float(other.key) - 100) < 1e-6
    if kinds == {"day", "minutes"}:  # the next day is the second one
        day, span = (value, other) if value.kind == "day" else (other, value)
        return day.key == "next" and span.ordinal and span.key == "2880"
    if kinds == {"code", "number"}:  # "25kg" and "25公斤"
        code, plain = (value, other) if value.kind == "code" else (other, value)
        return quantity(code.key) == (plain.key, plain.unit)
    if kinds == {"url"}:
        rest = other.key.removeprefix(value.key.rstrip("/"))
        return rest != other.key and (rest[0] in "/?#" or not rest[0].isascii())
    return False


def _week_days(value: Value) -> set[int]:
    first, _, last = value.key.partition("-")
    if value.low and value.other_end.isdigit():
        last = value.other_end
    start, end = int(first), int(last or first)
    return {(day - 1) % 7 + 1 for day in range(start, end + 1 if end >= start else end + 8)}


def _segments(text: str) -> list[str]:
    """Pieces that each say one thing: sentences, cut further where they hold several values."""
    out: list[str] = []
    for sentence in sentences(normalise(text)):
        if len(find_values(sentence)) < 2:
            out.append(sentence)
            continue
        pieces = [
            p
            for p in re.split(r"[,;:、，；](?!\d)|\b(?:and|but|while)\b|而|但|并且", sentence)
            if p and p.strip()
        ]
        merged: list[str] = []
        valued = False
        for piece in pieces:
            found = bool(find_values(piece))
            if merged and (not found or not valued):
                merged[-1] += " " + piece
                valued = valued or found
            else:
                merged.append(piece)
                valued = found
        out.extend(merged)
    return out


def _without_values(text: str) -> str:
    folded = normalise(text)
    for value in reversed(find_values(folded)):
        if value.kind not in ("day", "weekday"):  # these say which rule is meant as much as what it grants
            folded = folded[: value.start] + " " + folded[value.end :]
    return re.sub(r"以内|之内|内|within", " ", folded)


def _squeeze(text: str) -> str:
    return re.sub(r"[\s\W_]+", "", normalise(text).lower())


def _order_like(key: str) -> bool:
    """A code that names an order or a parcel. "100W" and "IP68" say what a thing can do."""
    return len(key) >= 8 and sum(c.isdigit() for c in key) >= 6 and quantity(key) is None


def check_values(reply: str, evidence: Sequence[Evidence], question: str = "") -> Check:
    """Every value in the reply stands in the evidence. An order number the shopper wrote may be echoed."""
    sources = sources_of(evidence)
    known = [v for e in evidence for v in find_values(f"{e.title}\n{e.text}")]
    echoed = [v for v in find_values(question) if v.kind == "code" and _order_like(v.key)]
    quoted = [(c.start, c.end) for c in clauses_of(reply) if stands(c.text, sources)]
    missing = [
        v
        for v in find_values(reply)
        if not any(start <= v.start and v.end <= end for start, end in quoted)
        and not any(_same(v, k) for k in [*known, *echoed])
    ]
    told = [f"{v.kind} {v.text}" for v in missing]
    written = " ".join(normalise(e.text) for e in evidence)
    told += [f"digits {run[:12]}..." for run in _NO_VALUE.findall(normalise(reply)) if run not in written]
    return Check("values", not told, "; ".join(told))


def check_field(reply: str, evidence: Sequence[Evidence], question: str = "") -> Check:
    """A value is said of the thing the evidence says it of: not the exchange's days of the return.

    Looks, for each piece of the reply with a value, which piece of evidence with a value of that kind
    speaks of the same thing; that piece must hold the value. Words are compared, so a reply in another
    language than its evidence is not caught here.
    """
    sources = sources_of(evidence)
    joined = _squeeze(" ".join(f"{e.title} {e.text}" for e in evidence))
    pieces = [
        (frozenset(content_words(piece)), find_values(piece)) for e in evidence for piece in _segments(e.text)
    ]
    for piece in dict.fromkeys(_segments(reply)):
        if _squeeze(piece) in joined or all(stands(c.text, sources) for c in clauses_of(piece)):
            continue
        said = content_words(_without_values(piece))
        shares = [sum(w in words for w in said) / (len(said) or 1) for words, _ in pieces]
        for value in dict.fromkeys(replace(v, start=0, end=0) for v in find_values(piece)):
            if value.kind in ("url", "email", "phone", "code"):
                continue
            rivals = [
                (share, vs)
                for share, (_, vs) in zip(shares, pieces, strict=True)
                if any(v.kind == value.kind for v in vs)
            ]
            holding = [share for share, vs in rivals if any(_same(value, v) for v in vs)]
            others = [share for share, vs in rivals if not any(_same(value, v) for v in vs)]
            if holding and others and max(others) > 0.5 and max(others) - max(holding) >= 0.25:
                return Check("field", False, f"{value.text} is said of something else in the evidence")
    return Check("field", True)


def check_polarity(reply: str, evidence: Sequence[Evidence]) -> Check:
    """Nothing is affirmed that the evidence denies, and the other way round."""
    found = contradiction(reply, evidence)
    return Check("polarity", not found, found)


def check_promise(reply: str, evidence: Sequence[Evidence]) -> Check:
    """No word that binds the shop, unless the evidence uses it. A promise that is denied binds nobody."""
    given = _promised("\n".join(f"{e.title}\n{e.text}" for e in evidence))
    found = sorted(_promised(reply) - given, key=list(_PROMISES).index)
    return Check("promise", not found, ", ".join(found))


def _promised(text: str) -> set[str]:
    return {
        name
        for name, pattern in _PROMISE_PATTERNS.items()
        if any(not _is_denied(text[max(0, m.start() - 60) : m.start()]) for m in pattern.finditer(text))
    }


def _is_denied(before: str) -> bool:
    """Whether the words right before a promise, in its own clause, deny it."""
    return bool(_DENIAL.search(re.split(r"[,，;；:：!！?？。\n()（）]|\.\s", before)[-1]))


def check_claim(reply: str, receipts: Sequence[str] = ()) -> Check:
    """Nothing was done for this shopper unless a receipt says so."""
    claims = [] if receipts else claims_in(reply)
    return Check("claim", not claims, "; ".join(c.text for c in claims))


def check_language(reply: str, language: str) -> Check:
    """The reply is in the shopper's language; product names of the other script may stand in it."""
    found = language_of(reply)
    return Check("language", found == language, "" if found == language else f"is {found}, wanted {language}")


def check_privacy(reply: str, evidence: Sequence[Evidence], customer_name: str = "") -> Check:
    """Nobody is called by a name other than the proven customer's; numbers and codes are `values`' work."""
    text = " ".join(f"{e.title} {e.text}" for e in evidence) + " " + customer_name
    for match in _PERSON.finditer(reply):
        name = match[1] or match[2]
        if name.lower() not in _PERSON_WORDS and name not in text and not text.startswith(name):
            return Check("privacy", False, "names a person the evidence does not")
    return Check("privacy", True)


def check_system_text(reply: str, evidence: Sequence[Evidence] = ()) -> Check:
    """No prompt, no role marks, no code, no talk about instructions, no abuse.

    A line of the evidence may begin with a word that labels something in the prompt as well ("Model: X1").
    """
    quoted = {line.strip() for e in evidence for line in e.text.splitlines() if _LABELLED.match(line)}
    reply = "\n".join(line for line in reply.splitlines() if line.strip() not in quoted)
    match = _SYSTEM_TEXT.search(reply) or _ABUSE.search(reply)
    return Check("system_text", match is None, match[0].strip() if match else "")


def check_form(reply: str, evidence: Sequence[Evidence] = ()) -> Check:
    """There is a reply, of a sane length, and it does not go round in circles: no five words three times, and more often than
    in the evidence (rows of a table are alike)."""
    text = reply.strip()
    if len(text) < 2:
        return Check("form", False, "empty")
    if len(text) > MAX_REPLY:
        return Check("form", False, "too long")
    words = content_words(text)
    often = {gram for gram, count in _grams(words).items() if count >= 3}
    if often:
        there = sum((_grams(content_words(e.text)) for e in evidence), Counter[tuple[str, ...]]())
        if any(count > there[gram] for gram, count in _grams(words).items() if gram in often):
            return Check("form", False, "repeats itself")
    return Check("form", True)


def _grams(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    """How often each run of five words occurs."""
    return Counter(tuple(words[i : i + 5]) for i in range(len(words) - 4))


def check_grounded(reply: str, evidence: Sequence[Evidence], least: float = 0.5) -> Check:
    """At least `least` of the reply's content words stand in evidence of the reply's own language.

    Courtesy is left out of the count. The question's words do not count as support, or a reply could
    rest on what the shopper claims. A reply without evidence in its language cannot be checked, and what
    cannot be checked is not said.
    """
    language = language_of(reply)
    text = " ".join(f"{e.title} {e.text}" for e in evidence if language_of(e.text) == language)
    said = _without_values(without_courtesy(reply))
    text += f"\n{_without_values(text)}"  # the words beside a value are the same without it, also in Chinese
    share = overlap(said, text) if content_words(said) else float(bool(find_values(reply)))
    return Check("grounded", share >= least, f"{share:.2f} of the words stand in the evidence")


_LIMITS = re.compile(
    r"[不没未无勿别非仅只除但若]|否则|必须|如果"
    r"|\b(?:not|no|none|nor|never|cannot|only|unless|except|but|however|if|until|without|must|otherwise)\b|n['’]t\b",
    re.I,
)


def check_copied(reply: str, evidence: Sequence[Evidence]) -> Check:
    """Every clause stands word for word in a piece of evidence, courtesies left out.

    For a model so small that it garbles what it does not copy; a larger one may say it in words of its own. Not one of
    `run_checks`.
    """
    sources = [_squeeze(e.text) for e in evidence]
    own = (
        clause.text.strip()
        for clause in clauses_of(without_courtesy(reply))
        if not any(_squeeze(clause.text) in source for source in sources)
    )
    found = next(own, "")
    return Check("copied", not found, found)


def check_limits(reply: str, quoted: str) -> Check:
    """A reply copied from a passage leaves none of its limits out: no clause with "not", "only", "except" or "if".

    "May I wash the pillow?" - "The cover can be washed." was all copied, and the core must not be. Which limit bears on the question
    is more than a small model can tell, so where one is left out the passage itself is the better answer. Not one of `run_checks`.
    """
    said = _squeeze(reply)
    left_out = (
        clause.text.strip()
        for clause in clauses_of(quoted)
        if _LIMITS.search(clause.text) and _squeeze(clause.text) not in said
    )
    found = next(left_out, "")
    return Check("limits", not found, found)


def run_checks(
    reply: str,
    evidence: Sequence[Evidence],
    *,
    question: str,
    language: str,
    customer_name: str = "",
    receipts: Sequence[str] = (),
) -> tuple[Check, ...]:
    """All of them, in the order a support person would want to read them."""
    return (
        check_form(reply, evidence),
        check_system_text(reply, evidence),
        check_language(reply, language),
        check_values(reply, evidence, question),
        check_field(reply, evidence, question),
        check_polarity(reply, evidence),
        check_promise(reply, evidence),
        check_claim(reply, receipts),
        check_privacy(reply, evidence, customer_name),
        check_grounded(reply, evidence),
    )
