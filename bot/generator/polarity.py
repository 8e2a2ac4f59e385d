"""Whether a text says the opposite of its evidence, and which of its clauses stand there word for word.

A clause is held against the clauses, sentences and headings of the evidence that share its words, with the negations
taken out of both; then it is compared who denies what. Words are compared, so nothing is found across languages. This
module knows no other check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from bot.generator.evidence import Evidence
from bot.generator.tone import without_courtesy
from bot.generator.values import find_values, normalise
from bot.generator.wording import content_words

_SPEAKS_OF_IT = 0.6  # share of a clause's words from which something speaks of the same
_AS_GOOD = 0.04  # shares that differ by less are about equally good: one word in twenty-five

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


def clauses_of(text: str) -> list[_Clause]:
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


def _sentences(clauses: Sequence[_Clause]) -> Iterator[tuple[_Clause, ...]]:
    """Clauses by sentence. The last clause of a text ends one."""
    sentence: list[_Clause] = []
    for clause in clauses:
        sentence.append(clause)
        if clause.last:
            yield tuple(sentence)
            sentence = []


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
        self.clauses = clauses_of(text)
        titles = [c for part in re.split(r" - |›", title) for c in clauses_of(part)]
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
        for said in _sentences(self.clauses):
            asked = any(c.question for c in said)
            if not asked:
                out += [_Unit((c,), around=said) for c in said]
                out += [_Unit(said)] if len(said) > 1 else []
                out += [_Unit(said, (*self._heading, *lead))] if self._heading or lead else []
            if asked or said[-1].text.rstrip().endswith(":"):
                lead = said  # a question and its answer, a list and what it is a list of
            elif any(c.question for c in lead):
                lead = ()
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


def stands(clause: str, sources: Sequence[_Source]) -> bool:
    """Whether a whole clause stands in the evidence as it is, or behind its heading."""
    text = _tight(clause)
    for source in sources:
        if text in source.literal or source.heads(text.strip(" :›")):
            return True
        parts = text.split(":", 3)
        for n in range(1, len(parts)):  # a heading may hold a colon of its own
            if _tight(":".join(parts[n:])) in source.literal and source.heads(":".join(parts[:n])):
                return True
    return False


def _stands_in_table(clause: str, sources: Sequence[_Source]) -> bool:
    head, colon, cell = (part.strip() for part in _tight(clause).partition(":"))
    return bool(colon and head and cell) and any(s.cell(head) and s.cell(cell) for s in sources)


def sources_of(evidence: Sequence[Evidence]) -> list[_Source]:
    return [_source(e.title, e.text) for e in evidence]


def contradiction(reply: str, evidence: Sequence[Evidence]) -> str:
    """What a reply affirms that the evidence denies, or the other way round; "" when nothing.

    Each clause of the reply that does not stand in the evidence as it is, is held against what of the evidence
    shares most of its words, negations left out. Where the best of it says the opposite and nothing about as good
    says the same, it contradicts.
    """
    sources = sources_of(evidence)
    clauses = clauses_of(without_courtesy(reply))
    for no, words in _answers(clauses, opening=True):
        theirs = [
            denied
            for s in sources
            for denied, there in s.answers
            if len(words & there) >= _SPEAKS_OF_IT * len(words)
        ]
        if theirs and no not in theirs:
            return "the evidence answers no" if theirs[0] else "the evidence answers yes"
    for sentence in _sentences(clauses):
        if any(_contradicted(one, sentence, sources) for one in sentence):
            said = "".join(one.text for one in sentence).strip()
            return f"the evidence says the opposite of: {said}"
    return ""


def _contradicted(clause: _Clause, sentence: Sequence[_Clause], sources: Sequence[_Source]) -> bool:
    """Whether the evidence says the opposite of a clause, and nothing in it about as near says the same."""
    if clause.question or stands(clause.text, sources) or _stands_in_table(clause.text, sources):
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
