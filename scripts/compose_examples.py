"""Write the training examples of data/<topic>.yml from the phrases in scripts/phrases.

A phrase is what a person might type, with choices: ``(a|b|)`` stands for one of its parts,
``(a)?`` for a or nothing, ``$name`` for an entry of slots.txt. A phrase that begins with ``@`` is a thing
to do ("cancel my order", "取消订单") and is asked for in the many ways in which people ask for things. Each phrase gives a few different
sentences; some get a greeting, a particle, a typing slip or another script, the way people write.
Everything is drawn from one seed, so the same phrases always give the same files.

Only the ``nlu:`` block of a topic is replaced; rules and stories beside it stay as they are.

    python scripts/compose_examples.py [--check]
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PHRASES = ROOT / "scripts" / "phrases"
DATA = ROOT / "data"
PER_PHRASE = {"zh": 10, "en": 6}
WORD_LIST = 11  # a first group longer than this is a list of words, each of which is used
DECORATED = 0.22  # share of sentences that get something before or after them
SLIPS = 0.10  # share of sentences with a typing slip
SHORT = {
    "greet",
    "thanks",
    "bye",
    "affirm",
    "deny",
    "context_only",
    "out_of_scope",
}  # stand without decoration

BEFORE = {
    "zh": [
        "你好",
        "您好",
        "亲",
        "在吗",
        "你好，",
        "您好，",
        "亲，",
        "请问",
        "请问下",
        "我想问一下",
        "麻烦问下",
        "那个",
        "那",
        "哦",
        "客服",
        "老板",
        "想问下",
        "就是",
        "你好在吗",
        "亲亲，",
        "hi ",
        "Hello，",
        "好的 ",
        "那我",
        "嗯 ",
    ],
    "en": [
        "hi ",
        "hello ",
        "hey ",
        "hi, ",
        "Hello, ",
        "please ",
        "pls ",
        "ok ",
        "so ",
        "excuse me ",
        "hi there, ",
        "Hey! ",
        "sorry, ",
        "quick question: ",
        "um ",
        "good morning, ",
        "i want to know ",
        "can you tell me ",
    ],
}
AFTER = {
    "zh": [
        "啊",
        "呢",
        "呀",
        "哦",
        "哈",
        "谢谢",
        "，谢谢",
        "？",
        "?",
        "！",
        "。",
        "~",
        "，急",
        "，在吗",
        "亲",
        "麻烦了",
        "??",
        "😭",
        " 在吗",
        "[表情]",
    ],
    "en": [
        "?",
        "??",
        "!",
        ".",
        " please",
        " pls",
        " thanks",
        ", thanks",
        " asap",
        " thx",
        "...",
        " 😡",
        " urgent",
        ", help",
        " bro",
        " sir",
    ],
}
FRAMED = 16  # sentences of a phrase that begins with @
FRAMES = {
    "en": ["@", "i want to @", "i wanna @", "i need to @", "i'd like to @", "i would like to @", "how do i @", "how can i @", "how to @", "where can i @", "where do i @", "can i @", "could i @", "can you help me @", "could you help me to @", "help me @", "help me to @", "i need help to @", "i need assistance to @", "need assistance to @", "want help to @", "i have to @", "i've got to @", "i am trying to @", "i try to @", "i don't know how to @", "i do not know how i can @", "idk how to @", "tell me how to @", "can you tell me how to @", "is it possible to @", "would it be possible to @", "what do i need to do to @", "what do i have to do to @", "what should i do to @", "ask an agent how to @", "can you ask an agent if i can @", "could you ask an agent how i could @", "can u ask someone to @", "ask your colleague if i can @", "do you mind telling me how to @", "please help me @", "i can't @", "i cannot @", "i want assistance to @", "i have a question about how to @", "show me how to @", "steps to @", "any way to @", "am i able to @", "let me @", "please, @", "trying to @", "assistance to @"],
    "zh": ["@", "我想@", "我要@", "想@", "要@", "怎么@", "如何@", "咋@", "在哪@", "在哪里@", "能@吗", "可以@吗", "能不能@", "可不可以@", "帮我@", "麻烦帮我@", "麻烦@一下", "请帮忙@", "给我@", "我想问怎么@", "请问怎么@", "请问可以@吗", "我需要@", "我不知道怎么@", "不会@怎么办", "@可以吗", "@怎么操作", "@在哪里弄", "@要多久", "现在能@吗", "还能@吗", "你们能@吗", "你帮我@吧", "是不是可以@", "我@不了", "@不了怎么办", "有办法@吗", "教我@", "我打算@", "刚才想@"],
}  # fmt: skip
NEIGHBOURS = {
    "a": "s",
    "e": "r",
    "i": "o",
    "o": "p",
    "r": "t",
    "t": "y",
    "n": "m",
    "s": "d",
    "u": "i",
    "l": "k",
    "d": "f",
    "c": "v",
}
HOMOPHONES = {
    "货": "获",
    "退": "推",
    "款": "宽",
    "单": "但",
    "的": "得",
    "到": "道",
    "在": "再",
    "那": "哪",
    "已": "以",
    "做": "作",
    "发": "法",
    "换": "还",
    "吗": "嘛",
    "什么": "神马",
    "怎么": "肿么",
    "取消": "取销",
    "快递": "快弟",
    "发票": "法票",
    "查": "察",
}


def read_slots(path: Path) -> dict[str, list[str]]:
    slots: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, entries = line.partition(":")
            slots[name.strip()] = [entry.strip() for entry in entries.split(" | ")]
    return slots


def expand(phrase: str, slots: dict[str, list[str]], rng: random.Random) -> str:
    """One sentence of a phrase: groups first, slots after."""
    text = phrase.replace("\\?", "\x00")
    innermost = re.compile(r"\(([^()]*)\)(\??)")
    while match := innermost.search(text):
        parts = match[1].split("|")
        if match[2]:
            parts.append("")
        text = text[: match.start()] + rng.choice(parts) + text[match.end() :]

    def fill(match: re.Match[str]) -> str:
        return rng.choice(slots[match[1]])

    text = re.sub(r"\$([a-z_]+)", fill, text).replace("\x00", "?")
    return re.sub(r" {2,}", " ", text).strip(" ，,")


def slip(text: str, language: str, rng: random.Random) -> str:
    """A typing slip: a homophone, a missing, doubled or neighbouring letter."""
    if language == "zh":
        keys = [key for key in HOMOPHONES if key in text]
        if keys and rng.random() < 0.6:
            key = rng.choice(keys)
            return text.replace(key, HOMOPHONES[key], 1)
        if len(text) > 6:
            at = rng.randrange(len(text))
            return text[:at] + text[at + 1 :] if rng.random() < 0.5 else text[:at] + text[at] + text[at:]
        return text
    if len(text) < 8:
        return text
    at = rng.randrange(1, len(text) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[at] + text[at:]
    if kind == 2:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + NEIGHBOURS.get(text[at], text[at]) + text[at + 1 :]


def decorate(text: str, language: str, rng: random.Random) -> str:
    before = rng.choice(BEFORE[language]) if rng.random() < 0.6 else ""
    after = rng.choice(AFTER[language]) if not before or rng.random() < 0.3 else ""
    return before + text + after


def sentences(
    phrase: str, intent: str, language: str, slots: dict[str, list[str]], rng: random.Random
) -> list[str]:
    """The different sentences drawn from one phrase. A list of single words is taken whole."""
    if phrase.startswith("@"):
        return framed(phrase[1:], language, slots, rng)
    whole = re.match(r"\(([^()]*)\)", phrase)
    words = whole[1].split("|") if whole and whole[1].count("|") > WORD_LIST else [""]
    wanted = max(PER_PHRASE[language], len(words))
    found: dict[str, None] = {}
    for turn in range(wanted * 3):
        word = words[turn % len(words)]
        text = expand(word + phrase[whole.end() :] if whole and word else phrase, slots, rng)
        if not text:
            continue
        roll = rng.random()
        if intent not in SHORT and roll < DECORATED:
            text = decorate(text, language, rng)
        if rng.random() < SLIPS and intent not in SHORT:
            text = slip(text, language, rng)
        if language == "en" and rng.random() < 0.35:
            text = text[:1].upper() + text[1:]
        found.setdefault(text)
        if len(found) >= wanted:
            break
    return list(found)


def framed(phrase: str, language: str, slots: dict[str, list[str]], rng: random.Random) -> list[str]:
    """A thing to do, asked for in several ways."""
    found: dict[str, None] = {}
    for frame in rng.sample(FRAMES[language], FRAMED):
        text = frame.replace("@", expand(phrase, slots, rng))
        if rng.random() < 0.15:
            text = text + rng.choice(AFTER[language])
        if rng.random() < SLIPS:
            text = slip(text, language, rng)
        if language == "en" and rng.random() < 0.3:
            text = text[:1].upper() + text[1:]
        found.setdefault(text)
    return list(found)


def read_topic(path: Path) -> list[tuple[str, str, list[str]]]:
    """The sections of a topic: (intent, language, phrases)."""
    sections: list[tuple[str, str, list[str]]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("== "):
            intent, language = line[3:].split()
            sections.append((intent, language, []))
        elif line.strip() and not line.startswith("# "):
            if not sections:
                sys.exit(f"{path}:{number}: a phrase before the first '== intent language' line")
            sections[-1][2].append(line)
    return sections


def quoted(text: str) -> str:
    """A list entry of Rasa's examples; a backslash guards what Rasa would read as markup."""
    return "    - " + text.replace("\n", " ")


def compose(path: Path, slots: dict[str, list[str]]) -> list[tuple[str, str, list[str]]]:
    """The sections of a topic with their sentences: (intent, language, sentences)."""
    rng = random.Random(f"kefu {path.stem}")
    sections = []
    for intent, language, phrases in read_topic(path):
        seen: dict[str, None] = {}
        for phrase in phrases:
            for text in sentences(phrase, intent, language, slots, rng):
                if "](" not in text and "]{" not in text:
                    seen.setdefault(text)
        sections.append((intent, language, list(seen)))
    return sections


def block(sections: list[tuple[str, str, list[str]]], elsewhere: dict[str, set[str]]) -> str:
    """The ``nlu:`` block. What means something by itself is no example of what needs the message before."""
    lines = ["nlu:"]
    for intent, language, texts in sections:
        kept = [
            text for text in texts if intent != "context_only" or elsewhere[text.strip()] == {"context_only"}
        ]
        lines += [f"- intent: {intent}  # {language}", "  examples: |", *map(quoted, kept)]
    return "\n".join(lines) + "\n"


def replace_block(old: str, new: str) -> str:
    """`old` with its ``nlu:`` block replaced; other top-level keys stay."""
    if not old.strip():
        return 'version: "3.1"\n\n' + new
    match = re.search(r"^nlu:.*?(?=^(?:[a-z]|# ---)|\Z)", old, flags=re.M | re.S)
    if match:
        return old[: match.start()] + new + ("\n" if old[match.end() :] else "") + old[match.end() :]
    return old.rstrip("\n") + "\n\n" + new


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="only say which files would change; exit 1 if any"
    )
    arguments = parser.parse_args()
    slots = read_slots(PHRASES / "slots.txt")
    changed = []
    topics = {
        path.stem: compose(path, slots) for path in sorted(PHRASES.glob("*.txt")) if path.stem != "slots"
    }
    intents: dict[str, set[str]] = {}
    for sections in topics.values():
        for intent, _, texts in sections:
            for text in texts:
                intents.setdefault(text.strip(), set()).add(intent)
    for name, sections in topics.items():
        target = DATA / f"{name}.yml"
        old = target.read_text(encoding="utf-8") if target.exists() else ""
        new = replace_block(old, block(sections, intents))
        if new != old:
            changed.append(target.name)
            if not arguments.check:
                target.write_text(new, encoding="utf-8")
    print("changed: " + (", ".join(changed) or "nothing"))
    if arguments.check and changed:
        sys.exit(1)


if __name__ == "__main__":
    main()
