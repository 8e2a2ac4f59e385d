"""Vetoes on a reply: what may not reach a shopper, however sure the model was.

Each check compares the text of a reply with the evidence it was made from and says yes or no with a
reason; any "no" is final. Nothing here is learned, nothing is scored, and no check knows whether a
person, a model or a copy of an article wrote the text. See docs/confidence.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from bot.claims import claims_in
from bot.generator.evidence import Evidence
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
_PROMISE_PATTERNS = {name: re.compile(pattern, re.I) for name, pattern in _PROMISES.items()}

_SYSTEM_TEXT = re.compile(
    r"<start_of_turn>|<end_of_turn>|<\|?im_(?:start|end)|<bos>|<eos>|<unused|\[/?INST\]|<<SYS>>|<\|?(?:system|user|assistant)\|?>"
    r"|^\s*(?:system|assistant|user|model|系统|证据|资料|evidence|question|问题|answer|回答)\s*[:：]"
    r"|^\s*\(\d+\) (?:article|order|shopper) \||\[E\d\]|系统提示|系统指令|提示词|system prompt|my instructions|as an ai\b|language model|作为(?:一个)?(?:AI|人工智能|语言模型)"
    r"|```|<script|</?\w+>|\{\{|\}\}|ignore (?:all |the )?(?:previous|above)|忽略(?:以上|之前|前面)",
    re.I | re.M,
)
_ABUSE = re.compile(
    r"傻[逼比叉]|去死|滚(?:蛋|开)|妈的|操你|白痴|蠢货|垃圾(?:公司|店)|\b(?:fuck|shit|idiot|stupid|moron|bitch|asshole|damn you)\w*",
    re.I,
)
_PERSON = re.compile(
    r"(?:尊敬的|亲爱的)?([\u4e00-\u9fff]{1,3})(?:先生|女士|小姐)|\b(?:Mr|Mrs|Ms|Miss|Dear)\.? ([A-Z][a-z]+)"
)
_PERSON_WORDS = frozenset(
    {"顾客", "客户", "用户", "会员", "买家", "customer", "shopper", "friend", "sir", "madam", "guest"}
)
_SPEAKS_OF_IT = 0.6  # share of a clause's words from which something speaks of the same
_AS_GOOD = 0.04  # shares that differ by less are about equally good: one word in twenty-five
_NO_VALUE = re.compile(r"\d{41,}")  # too long for `find_values`
_PARTIAL_DATE = re.compile(r"^-?(\d{2})-(\d{2})$")


# A promise that is denied is none: "不免费", "we cannot guarantee". Only the words between that change nothing.
_DENIAL = re.compile(
    r"(?:[不未非]|没有?|无法?)(?:再|是|能够?|会|可以?|予以?|得|做|作出?|支持|提供|包[括含]|含|享受?|参[加与]|承担|给予?|进行|适用于?|接受|办理|属于|在|对此|任何|额外|另外?)*$"
    r"|\b(?:\w+n['’]t|not|never|no|cannot|without|nor)\s+(?:(?:be|a|an|any|the|our|offer(?:ed)?|provided?|give|include|including|comes?|issue|get|receive|always|currently|entirely|completely|have|make|made|for|of|to|with|accept|promise|guarantee|eligible|available|entitled|covered|by|granted?)\s+)*$",
    re.I,
)

# Where one clause ends and the next begins. Conditions and relative clauses are clauses of their own.
_BREAK = re.compile(
    r"(?P<end>[!?。\n]|\.(?=\s|$))|[;()]|(?<!\d),|,(?!\d)"
    r"|(?=\b(?:but|however|although|though|whereas|while|unless|if|when|because|that|which|who)\b)"
    r"|(?=\band (?:can|do|does|did|is|are|was|were|will|may|must|should|has|have|never)\w*\b)"
    r"|(?=但是|但|不过(?![期敏滤])|然而|而且|并且|且[不无未没])",
    re.I,
)
# Negations, and before them the words that look like one and deny nothing.
_NEGATION = re.compile(
    r"(?P<none>(?P<a>[\u4e00-\u9fff])[不没](?P=a)|不锈钢|不同(?![意步])|不[仅但只光论管断久妨止愧错便幸良慎菲凡]|不单(?![独卖售买])|不如(?![实期约])|不禁(?!止)|不当(?![天日场])|不由[得自]"
    r"|不等(?!于)|不定[期时]|不时|不可抗力|不可避免|不得不|不得已|不动产|不粘|不干胶|不倒翁|不适(?![用合宜])|不好意思|不客气|不用谢|不[用要必](?:客气|担心|着急|谢)"
    r"|不过(?![期敏滤])|不然|不一(?![定致样])|不满(?!意)|不足|不到(?=\s*[\d零一二两三四五六七八九十半百])|[不没未](?:有|得|能|可以?|会|应|要|宜)?(?:超[过出]?|[少低多高大小短长晚早迟]于)"
    r"|未满|未来|未免|未成年|没电|没关系|没问题|没事|没收(?![到取货件])|没入|沉没|淹没|出没"
    r"|无[线论限忧缝印痕纺菌毒味烟糖油骨铅机边框袖领尘影疑比损关非]|无理由|无人机|无门槛|无障碍|无钢圈|无公害"
    r"|非[常凡洲遗得]|是非|除非|差不多|对不起|了不起|说不定|免不了|少不了|大不了|好不容易|忍不住|舍不得|恨不得"
    r"|\b(?:not|no) (?:only|just|merely|limited to|to mention|(?:more|less|fewer|later|earlier|sooner|longer) than)\b|\bno (?:matter|problem|worries|doubt)\b|\bno-|\bno\.?(?=\s*\d)"
    r"|\b(?:whether )?or not\b|\bnothing but\b|\bnever mind\b|\b(?:don['’]t|do not|not) (?:worry|hesitate)\b|\bnon-?(?:stick|slip|woven|toxic|iron)\b)"
    r"|(?P<except>除外|除了?[^,;。]{1,14}?外(?!,?[还也另])|\bexcept(?:ing)?\b|\bexclud(?:es?|ing)\b|\bapart from\b)"
    r"|(?P<prefix>非|无(?![法需须])|\bwithout\b|(?<=\bat )no\b|(?<=\bwith )no\b|(?<=\bfor )no\b|\bnon-?(?=[a-z])"
    r"|\bun(?=(?:opened|used|worn|damaged|washed|paid|covered|supported|available|returnable|refundable|eligible|authori[sz]ed|registered|boxed|wrapped|packed|shipped|processed|confirmed|delivered)\b))"
    r"|(?P<verb>无[法需须]|禁止|严禁|谢绝|拒绝|恕不|概不|(?:不|没有?|未|勿|(?<![\u4e00-\u9fff])别|(?<=[请万您你就先])别)(?=再|曾|被|可|能|会|得|予|应|要|必|用|需|支持|接受|提供|享受|参[与加]|包[括含]|含|受理|办理|承担|负责|适用|属于|在|允许|是|做)"
    r"|\b\w+n['’]t\b|\b(?:cannot|not|never|no|neither|nor|none|nobody|nothing|unable|impossible|unavailable|ineligible|invalid|forbidden|prohibited|refused?|rejected|declined|excluded)\b)"
    r"|(?P<weak>不|没有?|未|勿|(?<![\u4e00-\u9fff])别(?![的人墅针名致])|(?<=[请万您你就先])别)",
    re.I,
)
# Behind these a clause goes on to what holds: "不喜欢|可以退货", "不能使用的|可以退货".
_GOES_ON = re.compile(
    r"的?(?:可以|可(?![能靠])|均|也|(?<!立)即(?![时将使])|就(?!近)|仍|还(?=[可能会要是有需])|都|请|由|则|才)|\b(?:can|may|will|must|should|could|would|shall|are|is|was|were)\b",
    re.I,
)
_GOES_ON_WEAK = re.compile(
    rf"的|(?<![及准按临小])时|(?<![售之以])后|(?<![提之目以])前|且|并|而|需|{_GOES_ON.pattern}", re.I
)
_OWN_MODAL = re.compile(
    r"(?:再|被|可以?|能够?|会|得|予|应|要|必|用|需要?|\s*(?:be|been|is|are|was|were|will|can)\b)*", re.I
)
_CONDITION = re.compile(
    r"\s*(?:(?:if|when|unless|once|after|before|in case)\b|如|若|当(?!天|日)|假如|要是|万一|倘若)", re.I
)
# Words of a denial that do not tell what is denied: "退货不支持", "returns are not accepted".
_SAYS_LITTLE = frozenset(
    content_words(
        "支持 接受 提供 允许 受理 办理 享受 适用 accepted possible allowed available supported offered permitted"
    )
)
_YES_OR_NO = re.compile(
    r"\s*(?:(?P<yes>是的?|对的?|可以的?|能的?|会的?|有的?|行|yes|of course|sure)|(?P<no>不是的?|不可以|不能|不会|没有|不行|不用|无需|no))\s*",
    re.I,
)
_NEXT_WORD = re.compile(r"\s*(?:(?:a|an|the|any|its|your|their|our)\s+)*([a-z-]+)", re.I)
_QUESTION = re.compile(r"吗\s*$|呢\s*$|是否|能否|可否|([\u4e00-\u9fff])不\1")
_DENYING_WORDS = re.compile(
    r"(?:cannot|not|never|no|neither|nor|none|without|unable)$|.*n['’]t$|[不没未勿别非]$|没有$|无.?$|un$|non-?$",
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


def _tight(text: str) -> str:
    """What is compared when words are said to stand literally: all but case, gaps and the mark of a list."""
    return re.sub(r"^[-*•·]\s+", "", " ".join(normalise(text).lower().split())).rstrip(" .")


@dataclass(frozen=True)
class _Negation:
    """One "not": the words it denies, or None when it denies its whole clause, and the words behind it."""

    scope: frozenset[str] | None
    behind: frozenset[str] = frozenset()
    exception: bool = False

    def concerns(self, clause: frozenset[str], words: frozenset[str], *, alone: bool) -> bool:
        """Whether it says something of these words. `alone`: its clause is all that is looked at."""
        if self.exception:
            return len(self.scope or ()) > 0 and len(words & (self.scope or clause)) * 2 >= len(
                self.scope or ()
            )
        if self.scope is not None:
            return bool(self.scope & words)
        # Among several clauses it matters what is denied, 退货 or 换货, and not only of whom.
        denied = clause if alone else self.behind - _SAYS_LITTLE or clause
        return not denied or bool(denied & words)


@dataclass(frozen=True)
class _Clause:
    """A clause of a text: its words with the negations taken out, and those negations."""

    text: str
    start: int
    end: int
    last: bool = True  # of its sentence
    question: bool = False

    @cached_property
    def words(self) -> tuple[str, ...]:
        return tuple(content_words(_affirmed(_blank(self.text))))

    @cached_property
    def negations(self) -> tuple[_Negation, ...]:
        return tuple(_negations(self.text))

    def denies(self, words: frozenset[str], *, alone: bool) -> bool:
        """Whether what it says of `words` is denied: by one negation or three, not by two."""
        mine = frozenset(self.words)
        return sum(n.concerns(mine, words, alone=alone) for n in self.negations) % 2 == 1


def _blank(text: str) -> str:
    """The text with spaces in place of its values: how many days is for other checks."""
    out = normalise(text)
    for value in find_values(out):
        out = out[: value.start] + " " * (value.end - value.start) + out[value.end :]
    return re.sub(r"(?<=\s)(?:以内|之内|内)|\bwithin\b", lambda m: " " * len(m[0]), out)


def _affirmed(text: str) -> str:
    """The text without its negations."""

    def without(m: re.Match[str]) -> str:
        if m.lastgroup == "none" or not _DENYING_WORDS.match(m[0]):
            return m[0]
        return "有" if m[0] == "没有" else ""

    return _NEGATION.sub(without, text)


def _negations(text: str) -> Iterator[_Negation]:
    conditional = bool(_CONDITION.match(text))
    for m in _NEGATION.finditer(text):
        before, behind = text[: m.start()], text[m.end() :]
        kind = next(name for name in ("none", "except", "prefix", "verb", "weak") if m[name])
        if kind == "none":
            continue
        if kind == "except":
            said = before if m[0] == "除外" else m[0] if m[0][0] == "除" else behind
            yield _Negation(_scope(said.strip("除了以之外")), exception=True)
        elif kind == "prefix":
            word = _NEXT_WORD.match(behind)
            said = behind[:4] if m[0] in "非无" else word[1] if word else ""
            yield _Negation(
                _scope(said) | _scope(re.sub(r"[ai]bl[ey]$", "", said))
            )  # non-refundable: no refund
        else:
            # The modal of the negation itself, "不|可以", is no place where the clause goes on.
            own = _OWN_MODAL.match(behind)
            on = (_GOES_ON if kind == "verb" else _GOES_ON_WEAK).search(behind, own.end() if own else 0)
            scope = _scope(behind[: on.start()] if on else behind)
            yield _Negation(scope if conditional or (on and scope) else None, scope)


def _scope(text: str) -> frozenset[str]:
    return frozenset(content_words(_affirmed(_blank(text))))


def _clauses(text: str) -> list[_Clause]:
    """The clauses of a text with their places in `normalise(text)`."""
    folded = normalise(text)
    out: list[_Clause] = []
    at = 0
    for m in [*_BREAK.finditer(folded), None]:
        start, end, following = (
            (m.start(), bool(m["end"]), m.end()) if m else (len(folded), True, len(folded))
        )
        piece = folded[at:start]
        if piece.strip():
            asked = bool(_QUESTION.search(piece)) or folded[start : start + 1] == "?"
            out.append(_Clause(piece, at, start, end, asked))
        elif end and out:
            out[-1] = _Clause(out[-1].text, out[-1].start, out[-1].end, True, out[-1].question)
        at = following
    return out


@dataclass(frozen=True)
class _Unit:
    """What is said together: a clause, a sentence, or a sentence under its `heading`. `around` is the whole sentence."""

    clauses: tuple[_Clause, ...]
    heading: tuple[_Clause, ...] = ()
    around: tuple[_Clause, ...] = ()

    @cached_property
    def words(self) -> frozenset[str]:
        return _words_of((*self.heading, *self.clauses))

    @cached_property
    def context(self) -> frozenset[str]:
        return self.words | _words_of(self.around)

    def denies(self, words: frozenset[str]) -> bool:
        said = (*self.heading, *self.clauses)
        return any(c.denies(words, alone=len(said) == 1) for c in said)

    def speaks_of(self, words: frozenset[str]) -> bool:
        """Whether more than its heading does. "不可以。" has no words and speaks of what its heading asks."""
        mine = _words_of(self.clauses) if self.heading else words
        return not mine or bool(mine & words)


def _words_of(clauses: Sequence[_Clause]) -> frozenset[str]:
    return frozenset(w for c in clauses for w in c.words)


class _Source:
    """One piece of evidence as what replies are held against: which clauses stand in it, and what it says of what."""

    def __init__(self, title: str, text: str) -> None:
        self.clauses = _clauses(text)
        titles = [c for part in re.split(r" - |›", title) for c in _clauses(part)]
        self.literal = frozenset(_tight(c.text) for c in [*self.clauses, *titles])
        self.titles = frozenset(
            [*(_tight(c.text) for c in titles), *(_tight(p) for p in re.split(r" - |›", title))]
        )
        self._heading = tuple(titles)
        self._lines = tuple(_tight(line) for line in normalise(text).splitlines())

    def heads(self, text: str) -> bool:
        """Whether a text is its heading, or the end of it behind its title: "Returns › How long"."""
        return all(_tight(part) in self.titles for part in text.split("›", 3))

    def cell(self, text: str) -> bool:
        """Whether a text stands alone in a line of a table, which is told row by row in a quotation."""
        pattern = re.compile(rf"(?<!\bnot)(?<!\bno)(?:^|\s){re.escape(text)}(?=\s|$)")
        return any(pattern.search(line) for line in self._lines)

    @cached_property
    def answers(self) -> tuple[tuple[bool, frozenset[str]], ...]:
        return tuple(_answers(self.clauses))

    @cached_property
    def units(self) -> tuple[_Unit, ...]:
        out: list[_Unit] = []
        lead: tuple[_Clause, ...] = ()
        sentence: list[_Clause] = []
        for clause in self.clauses:
            sentence.append(clause)
            if not clause.last:
                continue
            said = tuple(sentence)
            asked = any(c.question for c in said)
            if not asked:
                out += [_Unit((c,), around=said) for c in said]
                out += [_Unit(said)] if len(said) > 1 else []
                out += [_Unit(said, (*self._heading, *lead))] if self._heading or lead else []
            if asked or clause.text.rstrip().endswith(":"):
                lead = said  # a question and its answer, a list and what it is a list of
            elif any(c.question for c in lead):
                lead = ()
            sentence = []
        return tuple(out)


@lru_cache(maxsize=256)  # one article is held against several drafts
def _source(title: str, text: str) -> _Source:
    return _Source(title, text)


def _answers(clauses: Sequence[_Clause], *, opening: bool = False) -> Iterator[tuple[bool, frozenset[str]]]:
    """Each clause that is a mere "yes" or "no": whether it is a no, and the words of what follows in its sentence."""
    first = True
    for n, clause in enumerate(clauses):
        found = _YES_OR_NO.fullmatch(clause.text) if first or not opening else None
        if found:
            following = () if clause.last else clauses[n + 1 :]
            last = next((k for k, c in enumerate(following) if c.last), len(following))
            yield bool(found["no"]), _words_of(following[: last + 1])
        first = clause.last


def _stands(clause: str, sources: Sequence[_Source]) -> bool:
    """Whether a whole clause stands in the evidence as it is, or behind its heading."""
    text = _tight(clause)
    for source in sources:
        if text in source.literal or source.heads(text):
            return True
        parts = text.split(":", 3)
        for n in range(1, len(parts)):  # a heading may hold a colon of its own
            if _tight(":".join(parts[n:])) in source.literal and source.heads(":".join(parts[:n])):
                return True
    return False


def _stands_in_table(clause: str, sources: Sequence[_Source]) -> bool:
    head, colon, cell = (part.strip() for part in _tight(clause).partition(":"))
    return bool(colon and head and cell) and any(s.cell(head) and s.cell(cell) for s in sources)


def _sources(evidence: Sequence[Evidence]) -> list[_Source]:
    return [_source(e.title, e.text) for e in evidence]


def _order_like(key: str) -> bool:
    """A code that names an order or a parcel. "100W" and "IP68" say what a thing can do."""
    return len(key) >= 8 and sum(c.isdigit() for c in key) >= 6 and quantity(key) is None


def check_values(reply: str, evidence: Sequence[Evidence], question: str = "") -> Check:
    """Every value in the reply stands in the evidence. An order number the shopper wrote may be echoed."""
    sources = _sources(evidence)
    known = [v for e in evidence for v in find_values(f"{e.title}\n{e.text}")]
    echoed = [v for v in find_values(question) if v.kind == "code" and _order_like(v.key)]
    quoted = [(c.start, c.end) for c in _clauses(reply) if _stands(c.text, sources)]
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
    sources = _sources(evidence)
    joined = _squeeze(" ".join(f"{e.title} {e.text}" for e in evidence))
    pieces = [
        (frozenset(content_words(piece)), find_values(piece)) for e in evidence for piece in _segments(e.text)
    ]
    for piece in dict.fromkeys(_segments(reply)):
        if _squeeze(piece) in joined or all(_stands(c.text, sources) for c in _clauses(piece)):
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
    """Nothing is affirmed that the evidence denies, and the other way round.

    Each clause of the reply that does not stand in the evidence as it is, is held against what of the evidence
    shares most of its words, negations left out. Where the best of it says the opposite and nothing about as good
    says the same, the reply is vetoed. Words are compared, so not across languages.
    """
    sources = _sources(evidence)
    clauses = _clauses(without_courtesy(reply))
    for no, words in _answers(clauses, opening=True):
        theirs = [
            denied
            for s in sources
            for denied, there in s.answers
            if len(words & there) >= _SPEAKS_OF_IT * len(words)
        ]
        if theirs and no not in theirs:
            return Check(
                "polarity", False, "the evidence answers no" if theirs[0] else "the evidence answers yes"
            )
    sentence: list[_Clause] = []
    for clause in clauses:
        sentence.append(clause)
        if clause.last:
            if any(_contradicted(one, sentence, sources) for one in sentence):
                said = "".join(one.text for one in sentence).strip()
                return Check("polarity", False, f"the evidence says the opposite of: {said}")
            sentence = []
    return Check("polarity", True)


def _contradicted(clause: _Clause, sentence: Sequence[_Clause], sources: Sequence[_Source]) -> bool:
    """Whether the evidence says the opposite of a clause, and nothing in it about as near says the same."""
    if clause.question or _stands(clause.text, sources) or _stands_in_table(clause.text, sources):
        return False
    words, around = clause.words, _words_of(sentence)
    if not words:
        return False
    there = frozenset(words)
    near = [
        (sum(w in u.words for w in words) / len(words), u)
        for s in sources
        for u in s.units
        if u.speaks_of(there)
    ]
    best = max((share for share, u in near if not u.heading), default=0.0)
    headed = max((share for share, u in near if u.heading), default=0.0)
    if max(best, headed) < _SPEAKS_OF_IT:
        return False
    # A heading lends its words to every sentence below it, so it is asked only where it tells more.
    with_heading = headed > best + _AS_GOOD
    best = headed if with_heading else best
    nearest = [u for share, u in near if bool(u.heading) == with_heading and share >= best - _AS_GOOD]
    context = [len(around & u.context) for u in nearest]
    # A single word, "关于退货，", or a condition says nothing by itself: what its sentence says of it counts as well.
    partial = len(words) == 1 or _CONDITION.match(clause.text)
    said = [_Unit((clause,)), *([_Unit(tuple(sentence))] if partial else [])]
    return not any(
        one.denies(unit.words) == unit.denies(there)
        for unit, shared in zip(nearest, context, strict=True)
        if shared >= 0.9 * max(context)
        for one in said
    )


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


def check_system_text(reply: str) -> Check:
    """No prompt, no role marks, no code, no talk about instructions, no abuse."""
    match = _SYSTEM_TEXT.search(reply) or _ABUSE.search(reply)
    return Check("system_text", match is None, match[0].strip() if match else "")


def check_form(reply: str) -> Check:
    """There is a reply, of a sane length, and it does not go round in circles."""
    text = reply.strip()
    if len(text) < 2:
        return Check("form", False, "empty")
    if len(text) > 1600:
        return Check("form", False, "too long")
    words = content_words(text)
    grams = [tuple(words[i : i + 5]) for i in range(len(words) - 4)]
    if grams and max(grams.count(g) for g in set(grams)) >= 3:
        return Check("form", False, "repeats itself")
    return Check("form", True)


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
        check_form(reply),
        check_system_text(reply),
        check_language(reply, language),
        check_values(reply, evidence, question),
        check_field(reply, evidence, question),
        check_polarity(reply, evidence),
        check_promise(reply, evidence),
        check_claim(reply, receipts),
        check_privacy(reply, evidence, customer_name),
        check_grounded(reply, evidence),
    )
