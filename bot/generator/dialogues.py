"""Kefu's own dialogues: synthetic shops, questions about them, and answers that stand in their articles.

`topics.yml` holds what shops write and what shoppers ask; a shop draws topics, wordings, values and
products from it. So no two shops agree, and what can be learned from them is to read the evidence, not to
know the answer. Every question says which chunk answers it and what a right answer holds, or that none
does. Used to fit the confidence model (`scripts/fit_confidence.py`) and to fine-tune the generator.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import yaml

from bot.generator.evidence import Evidence
from bot.generator.wording import content_words, overlap, sentences
from bot.jsonl import texts_of
from bot.knowledge.articles import Chunk
from bot.message import Language

TOPICS_FILE = Path(__file__).with_name("topics.yml")


@dataclass(frozen=True)
class Question:
    """A question to a shop. `gold`: a right answer holds one of these; `kind` says how it was made."""

    id: str
    language: Language
    question: str
    answerable: bool
    gold: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    kind: str = "topic"


@dataclass(frozen=True)
class SyntheticShop:
    """Chunks and questions of one invented shop in one language."""

    name: str
    language: Language
    chunks: tuple[Chunk, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Dialogue:
    """One training example: what the generator reads and what it should say.

    `group` is the conversation: examples of one group never stand on both sides of a split.
    """

    id: str
    group: str
    language: Language
    question: str
    evidence: tuple[Evidence, ...]
    answer: str
    gold: tuple[str, ...] = ()
    history: tuple[tuple[str, str], ...] = field(default=())
    kind: str = "topic"

    def as_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def of(cls, raw: dict[str, Any]) -> Dialogue:
        """A dialogue as it stands in a file; `gold` may be one text or a list, `history` pairs or messages.

        Raises:
            KeyError, TypeError, ValueError: a field is missing or of another kind.
        """
        if raw["language"] not in get_args(Language):
            raise ValueError(f"language is {raw['language']!r}")
        evidence = tuple(Evidence(**e) for e in raw["evidence"])
        said = (raw["question"], raw["answer"], *(one for e in evidence for one in (e.text, e.title)))
        if any(not isinstance(one, str) for one in said):
            raise TypeError("question, answer and the evidence's text and title must be texts")
        return cls(
            id=str(raw["id"]),
            group=str(raw.get("group") or raw["id"]),
            language=raw["language"],
            question=raw["question"],
            evidence=evidence,
            answer=raw["answer"],
            gold=texts_of(raw.get("gold")),
            history=_turns(raw.get("history")),
            kind=str(raw.get("kind", "own")),
        )


_HISTORY = (
    'history must be a list of pairs ["question", "answer"], or of messages {"role", "content"} of user and assistant '
    "in turn"
)


def _turns(raw: Any) -> tuple[tuple[str, str], ...]:
    """What was said before, as pairs of a shopper's message and the answer to it.

    They may be written as messages with a role, as chats are kept elsewhere. Nothing else is unpacked: a word of two
    characters and an object of two fields fall into two parts as well, and would be learned from.

    Raises:
        TypeError: it is neither; says where.
    """
    turns = [] if raw is None else raw
    if not isinstance(turns, list):
        raise TypeError(f"{_HISTORY}, not {raw!r}")
    if any(isinstance(one, dict) for one in turns):
        turns = _paired(turns)
    for number, turn in enumerate(turns, start=1):
        if not isinstance(turn, list) or [str, str] != [type(one) for one in turn]:
            raise TypeError(f"{_HISTORY}; turn {number} is {turn!r}")
    return tuple((said, answered) for said, answered in turns)


def _paired(messages: list[Any]) -> list[list[Any]]:
    """Messages of user and assistant in turn, as pairs of what they say.

    Raises:
        TypeError: they do not take turns, or the last one has no answer.
    """
    for number, message in enumerate(messages, start=1):
        wanted = "user" if number % 2 else "assistant"
        if not isinstance(message, dict) or message.get("role") != wanted:
            raise TypeError(f"{_HISTORY}; message {number} is not the {wanted}'s")
    if len(messages) % 2:
        raise TypeError(f"{_HISTORY}; the last message, the user's, has no answer")
    said = [message.get("content") for message in messages]
    return [said[at : at + 2] for at in range(0, len(said), 2)]


@lru_cache(maxsize=1)
def load_topics() -> dict[str, Any]:
    """The file of topics, as it stands."""
    return dict(yaml.safe_load(TOPICS_FILE.read_text(encoding="utf-8")))


def topic_names() -> list[str]:
    """All topics, general ones and those of products."""
    raw = load_topics()
    return [*raw["topics"], *raw["product_topics"]]


def _draw(spec: dict[str, Any], language: Language, rng: random.Random) -> dict[str, str]:
    """One value for each placeholder of a topic."""
    out: dict[str, str] = {}
    for name, choices in {**(spec.get("vars") or {}), **(spec.get("vars_more") or {})}.items():
        value = rng.choice(choices)
        if isinstance(value, list):
            value = value[0 if language == "zh" else 1]
        out[name] = f"{value:g}" if isinstance(value, float) else str(value)
    if "z" in out:  # 8.5折 is 15 percent off
        out["pz"] = f"{100 - 10 * float(out['z']):g}"
    return out


def _fill(template: str, values: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda m: values.get(m[1], m[0]), template)


def make_shop(
    seed: int,
    language: Language,
    *,
    topics: Sequence[str] | None = None,
    general: int = 22,
    products: int = 4,
    per_product: int = 4,
) -> SyntheticShop:
    """Invent a shop. `topics` limits it to these, so that others can be kept unseen."""
    rng = random.Random(f"{seed}-{language}")
    raw = load_topics()
    allowed = set(topics if topics is not None else topic_names())
    names = [t for t in raw["topics"] if t in allowed]
    chosen = rng.sample(names, min(general, len(names)))
    chunks: list[Chunk] = []
    questions: list[Question] = []

    def ask(
        text: str, answerable: bool, kind: str, gold: Sequence[str] = (), evidence: Sequence[str] = ()
    ) -> None:
        said = as_people_write(text, language, rng)
        questions.append(
            Question(
                f"{seed}-{language}-{len(questions)}",
                language,
                said,
                answerable,
                tuple(gold),
                tuple(evidence),
                kind,
            )
        )

    for name in chosen:
        spec = raw["topics"][name]
        part, values = spec[language], _draw(spec, language, rng)
        chunk = _chunk(
            seed,
            name,
            language,
            _fill(rng.choice(part["h"]), values),
            _fill(rng.choice(part["t"]), values),
            spec.get("risk"),
        )
        chunks.append(chunk)
        gold = _golds(part["g"], values, chunk.text)
        for q in rng.sample(part["q"], 2):
            ask(q, True, "topic", gold, [chunk.id])
    asked = [q.question for q in questions]
    headings = [c.heading for c in chunks]
    for name in names:
        if name in chosen:
            for x in raw["topics"][name][language].get("x", ()):
                if max(overlap(x, t) for t in [*asked, *headings]) < 0.5:
                    ask(x, False, "near")
        else:
            ask(rng.choice(raw["topics"][name][language]["q"]), False, "deleted")
    _add_products(seed, language, rng, allowed, chunks, ask, products, per_product)
    for q in rng.sample(raw["unanswerable"][language], 8):
        ask(q, False, "outside")
    return SyntheticShop(f"shop-{seed}", language, tuple(chunks), tuple(questions))


def _add_products(
    seed: int,
    language: Language,
    rng: random.Random,
    allowed: set[str],
    chunks: list[Chunk],
    ask: Any,
    products: int,
    per_product: int,
) -> None:
    raw = load_topics()
    side = 0 if language == "zh" else 1
    drawn = rng.sample(raw["products"], products + 2)
    sold, not_sold = [p[side] for p in drawn[:products]], [p[side] for p in drawn[products:]]
    names = [t for t in raw["product_topics"] if t in allowed]
    for product in sold:
        mine = rng.sample(names, min(per_product, len(names)))
        for name in mine:
            spec = raw["product_topics"][name]
            part, values = spec[language], _draw(spec, language, rng) | {"p": product}
            chunk = _chunk(
                seed,
                f"{name}-{product}",
                language,
                _fill(rng.choice(part["h"]), values),
                _fill(rng.choice(part["t"]), values),
                spec.get("risk"),
                product,
            )
            chunks.append(chunk)
            gold = _golds(part["g"], values, chunk.text)
            ask(_fill(rng.choice(part["q"]), values), True, "product", gold, [chunk.id])
        missing = [n for n in names if n not in mine]
        for name in rng.sample(missing, min(1, len(missing))):  # this product, a fact the shop does not give
            ask(
                _fill(rng.choice(raw["product_topics"][name][language]["q"]), {"p": product}),
                False,
                "missing_fact",
            )
    for product in not_sold:  # a fact the shop gives, of a product it does not sell
        name = rng.choice(names)
        ask(
            _fill(rng.choice(raw["product_topics"][name][language]["q"]), {"p": product}),
            False,
            "wrong_product",
        )


def _golds(templates: Sequence[str], values: dict[str, str], text: str) -> tuple[str, ...]:
    filled = [_fill(str(g), values) for g in templates]
    found = tuple(g for g in filled if g in text)
    assert found, f"topics.yml: none of {filled} stands in {text!r}"
    return found


def _chunk(
    seed: int, name: str, language: Language, heading: str, text: str, risk: str | None, product: str = ""
) -> Chunk:
    article = f"shop-{seed}-{name}"
    title = product or {"zh": "售后与服务", "en": "Service"}[language]
    return Chunk(
        id=f"{article}/{language}#1", article_id=article, language=language, heading_path=(title, heading), heading=heading,
        text=text, products=(), valid_from=None, valid_to=None, risk=risk, path=Path(f"{article}.md"), line=1,
    )  # fmt: skip


def as_people_write(text: str, language: Language, rng: random.Random) -> str:
    """With an opener, a mood, a question mark, now and then a slip of the finger or an English word."""
    raw = load_topics()
    said = text
    if language == "zh" and rng.random() < 0.06:
        for word, foreign in raw["mixed"].items():
            if word in said:
                said = said.replace(word, foreign, 1)
                break
    if rng.random() < 0.12 and len(said) > 8:
        at = rng.randrange(2, len(said) - 2)
        if language == "en" and said[at].isalpha() and said[at + 1].isalpha():
            said = said[:at] + said[at + 1] + said[at] + said[at + 2 :]
        elif language == "zh" and not said[at].isascii() and rng.random() < 0.5:
            said = said[:at] + said[at + 1 :]
    if rng.random() < 0.12:
        mood = rng.choice(list(raw["moods"][language]))
        said = str(rng.choice(raw["moods"][language][mood])) + said
    else:
        said = str(rng.choice(raw["openers"][language])) + said
    mark = "？" if language == "zh" else "?"
    return said + (mark if rng.random() < 0.6 else "")


def answer_in(text: str, gold: Sequence[str]) -> str:
    """The sentence of a text that holds the answer, with the next one when it is short."""
    for line in text.splitlines():
        if "; " in line and ": " in line and any(g in line for g in gold):
            return line.strip()  # a row of a table: what it is about stands in another cell
    parts = sentences(text)
    for n, part in enumerate(parts):
        if any(g in part for g in gold):
            if len(part) < 12 and n + 1 < len(parts):
                glued = f"{part}{parts[n + 1]}"  # Chinese has no blank between them
                return glued if glued in text else f"{part} {parts[n + 1]}".strip()
            return part
    return parts[0] if parts else text


def distractors(
    chunk: Chunk, question: str, chunks: Sequence[Chunk], count: int, rng: random.Random
) -> list[Chunk]:
    """Other chunks of the shop that a search would bring up as well: those nearest in words, with some chance."""
    others = [c for c in chunks if c.id != chunk.id]
    words = f"{question} {chunk.heading}"
    ranked = sorted(others, key=lambda c: -overlap(words, f"{c.heading} {c.text}") + 0.3 * rng.random())
    return ranked[:count]


def dialogues_of(shop: SyntheticShop, *, seed: int = 0) -> Iterator[Dialogue]:
    """One dialogue per answerable question of a shop, some with a turn before them, and some about an order."""
    rng = random.Random(f"{seed}-{shop.name}-{shop.language}")
    by_id = {c.id: c for c in shop.chunks}
    before: tuple[str, str] | None = None
    for q in shop.questions:
        if not q.answerable:
            continue
        chunk = by_id[q.evidence[0]]
        count = rng.choice((1, 2, 2, 2))
        picked = [chunk, *distractors(chunk, q.question, shop.chunks, count, rng)]
        if rng.random() < 0.45:  # a search puts the right one first more often than not
            rng.shuffle(picked)
        evidence = tuple(
            Evidence(c.id, c.text, " - ".join(c.heading_path), "article", shop.language) for c in picked
        )
        answer = answer_in(chunk.text, q.gold)
        history = (before,) if before and rng.random() < 0.2 else ()
        yield Dialogue(
            f"{shop.name}-{q.id}",
            f"{shop.name}-{shop.language}",
            shop.language,
            q.question,
            evidence,
            answer,
            q.gold,
            history,
            q.kind,
        )
        before = (q.question, answer)
    for n in range(3):
        yield _order_dialogue(shop, n, rng)


_ORDER: dict[Language, dict[str, Any]] = {
    "zh": {
        "text": "订单 {number}：{item}，实付{total}元，{state}，{carrier}单号{track}，预计{month}月{day}日送达。",
        "states": ("已发货", "运输中", "派送中"),
        "asks": (("快递什么时候到", "预计{month}月{day}日送达。"), ("我这单付了多少钱", "订单 {number} 实付{total}元。"), ("单号是多少", "{carrier}单号{track}。"), ("现在到哪一步了", "订单 {number} {state}，预计{month}月{day}日送达。")),
        "carriers": ("顺丰", "中通", "圆通"),
        "title": "您的订单",
    },
    "en": {
        "text": "Order {number}: {item}, paid ${total}, {state}, {carrier} tracking number {track}, expected on {month}/{day}.",
        "states": ("shipped", "in transit", "out for delivery"),
        "asks": (("when will my parcel be here", "It is expected on {month}/{day}."), ("how much did I pay for this order", "You paid ${total} for order {number}."), ("what is my tracking number", "The {carrier} tracking number is {track}."), ("what's the state of my order", "Order {number} is {state}, expected on {month}/{day}.")),
        "carriers": ("SF Express", "ZTO", "DHL"),
        "title": "Your order",
    },
}  # fmt: skip


def _order_dialogue(shop: SyntheticShop, n: int, rng: random.Random) -> Dialogue:
    part = _ORDER[shop.language]
    product = rng.choice(load_topics()["products"])[0 if shop.language == "zh" else 1]
    values = {
        "number": f"K{rng.randrange(10**7, 10**8)}", "item": product, "total": str(rng.randrange(20, 900)),
        "state": rng.choice(part["states"]), "carrier": rng.choice(part["carriers"]),
        "track": f"{rng.choice('SZYD')}{rng.randrange(10**9, 10**10)}", "month": str(rng.randrange(1, 13)), "day": str(rng.randrange(1, 29)),
    }  # fmt: skip
    ask, reply = rng.choice(part["asks"])
    order = Evidence(f"order-{n}", _fill(part["text"], values), part["title"], "order", shop.language)
    others = [
        Evidence(c.id, c.text, " - ".join(c.heading_path), "article", shop.language)
        for c in rng.sample(shop.chunks, 2)
    ]
    answer = _fill(reply, values)
    gold = tuple(values[k] for k in ("total", "track", "state", "day") if values[k] in answer)[:1]
    said = as_people_write(ask, shop.language, rng)
    return Dialogue(
        f"{shop.name}-{shop.language}-order-{n}",
        f"{shop.name}-{shop.language}",
        shop.language,
        said,
        (order, *others),
        answer,
        gold,
        (),
        "order",
    )


def make_dialogues(count: int, *, seed: int = 0, topics: Sequence[str] | None = None) -> list[Dialogue]:
    """At least `count` dialogues from as many shops as that takes, zh and en in turn."""
    out: list[Dialogue] = []
    number = seed
    while len(out) < count:
        for language in ("zh", "en"):
            out.extend(dialogues_of(make_shop(number, language, topics=topics), seed=seed))  # type: ignore[arg-type]
        number += 1
    return out


__all__ = [
    "Dialogue", "Question", "SyntheticShop", "answer_in", "content_words", "dialogues_of", "distractors", "load_topics",
    "make_dialogues", "make_shop", "topic_names",
]  # fmt: skip
