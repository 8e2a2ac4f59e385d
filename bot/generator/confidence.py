"""From signals to one decision: answer, clarify or hand off.

Signals (features) are numbers that mean the same in every shop: similarities, shares, margins, ranks.
A small logistic regression turns them into p(correct); its weights are a JSON file fitted by
`scripts/fit_confidence.py` on synthetic shops, so that they transfer to shops never seen. Nothing here
knows a model or a network.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from bot.exceptions import GeneratorError
from bot.generator.checks import Check
from bot.generator.naming import body_of, named_things, stands_in
from bot.generator.values import find_values, normalise
from bot.generator.wording import content_words, overlap
from bot.knowledge.articles import Chunk
from bot.knowledge.retriever import Hit
from bot.knowledge.tokens import concepts
from bot.message import Language

FUSION_FILE = Path(__file__).with_name("fusion.json")
Mode = Literal["shadow", "strict", "certified"]
Verdict = Literal["answer", "clarify", "handoff", "draft"]


class ChunkStatistics:
    """How rare each content word is among a shop's chunks, and which models they name. Knows one shop."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self.count: dict[Language, int] = {"zh": 0, "en": 0}
        self._df: dict[Language, Counter[str]] = {"zh": Counter(), "en": Counter()}
        self._spoken: Counter[str] = Counter()
        bodies = []
        for chunk in chunks:
            self.count[chunk.language] += 1
            whole = f"{' '.join(chunk.heading_path)} {chunk.text}"
            self._df[chunk.language].update(set(content_words(whole)))
            self._spoken.update(concepts(whole))
            bodies.append(body_of(chunk))
        self._text = "\n".join(bodies)

    def weight(self, word: str, language: Language) -> float:
        """Inverse document frequency, smoothed; the highest for a word no chunk holds."""
        n, df = self.count[language], self._df[language][word]
        return math.log(1 + (n - df + 0.5) / (df + 0.5))

    def known(self, word: str, language: Language) -> bool:
        return self._df[language][word] > 0

    def names(self, model: str) -> bool:
        """Whether any chunk names a model."""
        return stands_in(model, self._text)

    def concept_weight(self, name: str) -> float:
        """Inverse document frequency of a concept, over both languages."""
        n, df = sum(self.count.values()), self._spoken[name]
        return math.log(1 + (n - df + 0.5) / (df + 0.5))


# What kind of value a question asks for. A passage without that kind is a poor answer to it.
_ASKS: tuple[tuple[str, re.Pattern[str], tuple[str, ...]], ...] = (
    ("span", re.compile(r"多久|几天|多长时间|多少天|几个工作日|几(?:个)?(?:小时|钟头)|时效|期限|几年|几个月|how long|how many (?:days|weeks|months|years|hours)|how soon|how fast|time limit|deadline", re.I), ("minutes", "working_days", "months", "date")),
    ("money", re.compile(r"多少钱|啥价|价钱|价位|要多少(?:钱|元|块)|卖多少|收多少|花多少|押多少|抵多少|便宜多少|运费(?:多少|是|要|怎么)|费用(?:是|多少)|几块|多少元|什么价|价格是|收费(?:吗|标准|多少)|how much (?:is|does|do|are|for|will|would)|what.{0,20}(?:cost|price|fee)|cost of|\bprice\b|price (?:of|for)\b|\bfees?\b", re.I), ("money",)),
    ("time", re.compile(r"几点|什么时间|营业时间|上班时间|在线时间|opening hours|what time|what hours|when .*(?:open|close)", re.I), ("time", "date")),
    ("percent", re.compile(r"百分之几|几折|打几折|多少折|what percent|how much off|what discount", re.I), ("percent", "discount", "money")),
    ("phone", re.compile(r"电话(?:是|多少|号)|热线|号码是|(?:phone|telephone|what) number|hotline|your (?:tele)?phone|call you", re.I), ("phone",)),
    ("url", re.compile(r"网址|链接|官网|website|\b(?:the|a|an|any|your|what|which|send|share)\b[\w ]{0,20}\blink\b|\blinks? (?:to|for)\b|\burl\b", re.I), ("url", "email")),
    ("many", re.compile(r"几次|几件|多少个|几个|多大|多重|多高|how many|how big|how heavy|how often", re.I), ("number", "minutes", "months", "money", "percent")),
)  # fmt: skip
# Words that answer without a value: "how much?" - "free"; "when are you open?" - "around the clock".
_FREE = re.compile(r"免费|包邮|不收|无需|\bfree\b|no (?:charge|fee|cost)", re.I)
_ALWAYS_OPEN = re.compile(
    r"全天|昼夜|(?:24|二十四)\s?小时|随时都?(?:在|有人)|\b24 hours\b|\b24/7\b|around the clock|day and night|\ball day\b",
    re.I,
)
# Speaks of a number or a link that the shopper has: it is to be changed, or does not work.
_HAS_ONE = {
    "phone": re.compile(
        r"[改换错绑填]|更新|收不到|\b(?:my|new|old|wrong|chang\w+|updat\w+|edit\w*|add|remov\w+)\b", re.I
    ),
    "url": re.compile(
        r"打不开|失效|过期|点不|点了|错误|\b(?:expired?|broken|dead|does not|doesn['’]?t|won['’]?t)\b", re.I
    ),
}
_IN_WORDS = {"money": _FREE, "percent": _FREE, "time": _ALWAYS_OPEN}


def asked_kind(question: str) -> tuple[str, tuple[str, ...]] | None:
    """The kind of value a question asks for, with the kinds of value that would answer it."""
    for name, pattern, kinds in _ASKS:
        if pattern.search(question) and not (name in _HAS_ONE and _HAS_ONE[name].search(question)):
            return name, kinds
    return None


def kind_match(question: str, text: str) -> float:
    """1 when the text holds a value of the kind asked for or says it in words, -1 when it does not, 0 when none is asked for."""
    asked = asked_kind(question)
    if asked is None:
        return 0.0
    kinds = {v.kind.split(":")[0] for v in find_values(text)}
    if kinds & set(asked[1]):
        return 1.0
    words = _IN_WORDS.get(asked[0])
    return 1.0 if words is not None and words.search(text) else -1.0


def retrieval_features(
    question: str,
    hits: Sequence[Hit],
    statistics: ChunkStatistics,
    language: Language,
    passage: str | None = None,
) -> dict[str, float]:
    """F1 and F2: does the best chunk answer this question? All numbers transfer between shops.

    `hits` should hold all chunks or some twenty: those after the best are the background against which
    the best is judged.
    """
    if not hits:
        return dict.fromkeys(RETRIEVAL_FEATURES, 0.0)
    top, rest = hits[0], hits[1:]
    title = " ".join(top.chunk.heading_path)
    body = f"{title} {top.chunk.text}"
    words = content_words(question)
    weights = {w: statistics.weight(w, language) for w in set(words)}
    mass = sum(weights.values()) or 1.0
    here, in_title = set(content_words(body)), set(content_words(title))
    bm25 = [h.bm25 for h in hits]
    best_bm25 = max(bm25) or 1.0
    ranks = list(top.ranks.values())
    heading_words = content_words(top.chunk.heading)
    named = named_things(question)
    asked, there = set(concepts(question)), set(concepts(body))
    idf = {c: statistics.concept_weight(c) for c in asked}
    features = {
        "heading": top.heading_similarity,
        "heading_lift": top.heading_similarity - _mean(h.heading_similarity for h in rest[2:]),
        "text": top.text_similarity,
        "text_lift": top.text_similarity - _mean(h.text_similarity for h in rest[2:]),
        "bm25": min(3.0, top.bm25 / (len(set(words)) or 1)),
        "bm25_share": top.bm25 / best_bm25,
        "bm25_margin": (top.bm25 - max((h.bm25 for h in rest), default=0.0)) / best_bm25,
        "rank_agreement": sum(1 / r for r in ranks) / len(ranks) if ranks else 0.0,
        "covered": sum(weights[w] for w in weights if w in here) / mass,
        "covered_title": sum(weights[w] for w in weights if w in in_title) / mass,
        "unknown": sum(weights[w] for w in weights if not statistics.known(w, language)) / mass,
        "heading_in_question": _mean(float(w in weights) for w in heading_words),
        "kind": kind_match(question, passage or top.chunk.text),
        "named_missing": float(any(n not in normalise(body).lower() for n in named)),
        "score_margin": min(3.0, top.score - rest[0].score) if rest else 3.0,
        "concepts": len(asked & there) / len(asked) if asked else 0.0,
        "concepts_covered": sum(idf[c] for c in asked & there) / (sum(idf.values()) or 1.0),
        "concepts_asked": min(4, len(asked)) / 4,
        "length": min(20.0, len(words)) / 20,
        "zh": float(language == "zh"),
    }
    features |= {name: top.signals.get(name, 0.0) for name in SIGNALS}
    if "read" in top.signals:
        others = [h.signals["read"] for h in rest if "read" in h.signals]
        features["read"] = top.signals["read"]
        features["read_margin"] = min(6.0, top.signals["read"] - max(others, default=-6.0))
    for name in ("words", "projection"):
        others = [h.signals.get(name, 0.0) for h in rest]
        features[f"{name}_margin"] = features[name] - max(others, default=features[name])
    for name in ENCODERS:
        mine = top.dense.get(name, 0.0)
        others = [h.dense.get(name, 0.0) for h in rest]
        background = _mean(sorted(others, reverse=True)[2:])
        features[f"{name}"] = mine
        features[f"{name}_lift"] = mine - background
        features[f"{name}_margin"] = mine - max(others, default=background)
    return features


def _mean(numbers: Iterable[float]) -> float:
    listed = list(numbers)
    return sum(listed) / len(listed) if listed else 0.0


ENCODERS = ("use", "e5")
SIGNALS = (
    "use_heading", "use_text", "use_standard", "e5_heading", "e5_text", "e5_standard", "sentence", "words", "words_worst",
    "words_shop", "words_shop_worst", "projection", "projection_standard",
)  # fmt: skip
RETRIEVAL_FEATURES = (
    "heading", "heading_lift", "text", "text_lift", "bm25", "bm25_share", "bm25_margin", "rank_agreement", "covered",
    "covered_title", "unknown", "heading_in_question", "kind", "named_missing", "zh", "score_margin", "concepts", "concepts_covered", "concepts_asked", "length",
    "use", "use_lift", "use_margin", "e5", "e5_lift", "e5_margin", "words_margin", "projection_margin", *SIGNALS,
)  # fmt: skip
READ_FEATURES = ("read", "read_margin")  # present when a reranker has read the hits
GENERATED_FEATURES = (
    "mean_logprob",
    "min_logprob",
    "value_logprob",
    "first_margin",
    "copied",
    "same_chunk",
    "agrees",
    "values_agree",
    "reply_kind",
)


@dataclass(frozen=True)
class TokenScore:
    """One generated token as the generator reports it: text, log-probability, and the runners-up."""

    token: str
    logprob: float
    top: tuple[float, ...] = ()  # log-probabilities of the most likely tokens, best first


def generation_features(
    reply: str, tokens: Sequence[TokenScore], question: str, passage: str
) -> dict[str, float]:
    """F3 to F5: how sure the generator was, and whether the two voices say the same."""
    content = [t for t in tokens if re.search(r"[\w\u4e00-\u9fff]", t.token)] or list(tokens)
    valued = [t for t in content if re.search(r"\d|[一二三四五六七八九十]", t.token)]
    logprobs = [max(t.logprob, -12.0) for t in content] or [-12.0]
    margin = 0.0
    if tokens and len(tokens[0].top) > 1:
        margin = min(5.0, tokens[0].top[0] - tokens[0].top[1])
    mine = {v.identity for v in find_values(reply)}
    theirs = {v.identity for v in find_values(passage)}
    return {
        "mean_logprob": sum(logprobs) / len(logprobs),
        "min_logprob": min(logprobs),
        "value_logprob": min((max(t.logprob, -12.0) for t in valued), default=0.0),
        "first_margin": margin,
        "copied": overlap(reply, passage),
        "same_chunk": float(overlap(reply, passage) >= 0.6),
        "agrees": overlap(passage, reply),
        "values_agree": 1.0 if mine <= theirs else 0.0,
        "reply_kind": kind_match(question, reply),
    }


@dataclass(frozen=True)
class Logistic:
    """Standardised logistic regression, after Platt: p = sigmoid(bias + sum of weight * (x - mean) / scale)."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weight: tuple[float, ...]
    bias: float

    def __call__(self, features: Mapping[str, float]) -> float:
        z = self.bias + sum(
            w
            * max(-4.0, min(4.0, (features[n] - m) / s))  # a feature far outside what was seen counts no more
            for n, m, s, w in zip(self.names, self.mean, self.scale, self.weight, strict=True)
        )
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, z))))

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Logistic:
        return cls(
            tuple(raw["names"]),
            tuple(raw["mean"]),
            tuple(raw["scale"]),
            tuple(raw["weight"]),
            float(raw["bias"]),
        )


NEVER = Logistic((), (), (), (), -30.0)


@dataclass(frozen=True)
class Fusion:
    """The fitted models: `retrieval` judges what was found, `reranked` what a reranker has read as well, and
    `generated` the generator's voice on top of that."""

    retrieval: Logistic
    generated: Logistic | None
    strict: float  # p at which strict mode answers
    strict_policy: float  # the same for money and policy questions
    encoders: tuple[str, ...] = ()
    version: str = ""
    lexical: Logistic = NEVER  # judges what was found by words alone
    reranked: Logistic | None = None
    order: float = 1.0  # what the reranker's log-odds count beside the search score
    doubt: float = 0.0  # p below which a second section is quoted even where strict mode answers
    thresholds: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # by model, where they differ

    def threshold(self, model: str, policy: bool) -> float:
        """p at which strict mode answers, for what was judged by `retrieval`, `lexical` or `reranked`."""
        return self.thresholds.get(model, (self.strict, self.strict_policy))[policy]

    @property
    def by_words(self) -> Fusion:
        """The same while the articles have no vectors: words alone search and are judged."""
        own = {"retrieval": self.thresholds["lexical"]} if "lexical" in self.thresholds else {}
        return replace(self, retrieval=self.lexical, reranked=None, generated=None, thresholds=own)

    @classmethod
    def load(cls, path: Path = FUSION_FILE) -> Fusion:
        """Read the fitted weights.

        Raises:
            GeneratorError: the file is missing or not what `scripts/fit_confidence.py` writes.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                retrieval=Logistic.of(raw["retrieval"]),
                generated=Logistic.of(raw["generated"]) if raw.get("generated") else None,
                strict=float(raw["strict"]),
                strict_policy=float(raw["strict_policy"]),
                encoders=tuple(raw.get("encoders", ())),
                version=str(raw.get("version", "")),
                lexical=Logistic.of(raw["lexical"]) if raw.get("lexical") else NEVER,
                reranked=Logistic.of(raw["reranked"]) if raw.get("reranked") else None,
                order=float(raw.get("order", 1.0)),
                doubt=float(raw.get("doubt", 0.0)),
                thresholds={k: (float(a), float(b)) for k, (a, b) in raw.get("thresholds", {}).items()},
            )
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise GeneratorError(
                f"{path} is not a fitted confidence model ({exc!r}). Make it with scripts/fit_confidence.py."
            ) from exc


REASONS: dict[str, dict[Language, str]] = {
    "confident": {"zh": "依据充分，且通过了全部检查。", "en": "The evidence is strong and every check passed."},
    "order_fact": {"zh": "答案是顾客本人已验证的订单里的记录。", "en": "The answer is what the proven customer's own order says."},
    "no_evidence": {"zh": "知识库里没有找到相关内容。", "en": "No article was found for this."},
    "search_failed": {"zh": "知识库暂时无法检索。", "en": "The articles could not be searched."},
    "low_confidence": {"zh": "把握不足：答对的估计概率低于门槛。", "en": "Not sure enough: the estimated chance of being right is below the threshold."},
    "check_failed": {"zh": "回复没有通过检查，没有发出。", "en": "The reply failed a check and was not sent."},
    "generator_failed": {"zh": "生成服务没有可用的回复，改用文章原文。", "en": "The generator gave no usable reply; the article's own words were used."},
    "indexing": {"zh": "文章还在建立索引，暂时只按字面查找。", "en": "The articles are still being indexed; only words were searched."},
    "shadow": {"zh": "影子模式：只写草稿，由人发送。", "en": "Shadow mode: only a draft, a person sends it."},
    "uncertified": {"zh": "证书不涵盖这类问题，不能单独回答。", "en": "The certificate does not cover this kind of question; it is not answered alone."},
    "certificate_void": {
        "zh": "证书作废：文章、模型或规则已变，重新校准之前只写草稿。",
        "en": "The certificate is void: articles, model or policy changed. Only drafts until `kefu calibrate` is run again.",
    },
    "not_ready": {
        "zh": "文章或证书有误，回答功能没有启动（见日志和 kefu doctor）。",
        "en": "An article or the certificate has an error, so nothing could be answered (see the log and kefu doctor).",
    },
    "several_products": {"zh": "有几种商品都符合，先问是哪一种。", "en": "Several products fit, so it asks which one."},
    "repeated": {"zh": "同样的回答已经给过，没有解决问题。", "en": "The same answer was given before and did not help."},
    "other_language": {"zh": "文章没有顾客所用语言的版本。", "en": "The articles do not have this in the shopper's language."},
    "value_missing": {
        "zh": "问的是电话、时间或网址，而回复里没有。",
        "en": "It asks for a phone number, a time or an address, and the reply has none.",
    },
    "product_unknown": {"zh": "问题里提到的型号不在依据里。", "en": "The question names a model that the evidence does not."},
    "occasion_unknown": {
        "zh": "问的节日或季节不在依据里，依据说的是别的。",
        "en": "The question names a holiday or season, and the evidence is about another.",
    },
    "drift": {"zh": "抽查发现错误变多，门槛已自动提高。", "en": "Audits found more errors than promised, so the threshold was raised."},
    "injection": {
        "zh": "消息像是想改变助手的指令：只用文章原文，不请生成模型。",
        "en": "The message seems to steer the assistant: only an article's own words were considered, no generated ones.",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """What was decided and everything it was decided on. Goes to the audit trail, never to the shopper."""

    decision: Verdict
    p_correct: float
    threshold: float | None
    certificate: str | None
    reasons: tuple[str, ...]
    evidence: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    voice: str = ""  # generated, extractive
    mode: Mode = "strict"
    risk_class: str = "product"
    alpha: float | None = None
    delta: float | None = None
    n_cal: int | None = None
    features: Mapping[str, float] = field(default_factory=dict)

    def sentence(self, language: Language) -> str:
        """One sentence a support person understands."""
        failed = [c for c in self.checks if not c.ok]
        said = " ".join(REASONS[r][language] for r in self.reasons if r in REASONS)
        if failed:
            names = ", ".join(f"{c.name}: {c.detail}" if c.detail else c.name for c in failed)
            said += f"（{names}）" if language == "zh" else f" ({names})"
        level = f"{self.p_correct:.0%}" + (f" / {self.threshold:.0%}" if self.threshold is not None else "")
        return f"{said} p={level}"

    def as_json(self) -> dict[str, Any]:
        out = asdict(self)
        out["checks"] = {c.name: c.ok if c.ok else c.detail or False for c in self.checks}
        out["features"] = {k: round(v, 4) for k, v in self.features.items()}
        out["p_correct"] = round(self.p_correct, 4)
        out["sentence"] = {"zh": self.sentence("zh"), "en": self.sentence("en")}
        return out
