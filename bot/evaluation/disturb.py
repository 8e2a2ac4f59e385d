"""Ways in which people mistype: each takes a message and gives a disturbed one, from a seeded generator."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

Disturb = Callable[[str, random.Random], str]

# Characters that sound or look alike and are typed for one another.
HOMOPHONES = {
    "在": "再", "再": "在", "的": "得", "得": "的", "地": "的", "做": "作", "作": "做", "象": "像", "像": "象", "已": "以", "以": "已",
    "货": "获", "退": "腿", "款": "宽", "到": "道", "那": "哪", "哪": "那", "吗": "嘛", "发": "法", "换": "还", "还": "换", "收": "手",
    "订": "定", "单": "担", "快": "块", "递": "弟", "钱": "前", "查": "察", "是": "事", "时": "是", "候": "后", "票": "漂", "买": "卖",
    "要": "药", "没": "每", "什": "神", "么": "末", "保": "宝", "价": "家", "修": "休", "取": "去", "消": "销", "地址": "地止",
}  # fmt: skip
NEIGHBOURS = {"q": "w", "w": "e", "e": "r", "r": "t", "t": "y", "y": "u", "u": "i", "i": "o", "o": "p", "a": "s", "s": "d", "d": "f",
              "f": "g", "g": "h", "h": "j", "j": "k", "k": "l", "l": "k", "z": "x", "x": "c", "c": "v", "v": "b", "b": "n", "n": "m", "m": "n"}  # fmt: skip
NOISE_ZH = ("那个", "嗯", "就是说", "亲", "emm", "哈", "其实", "我说")
NOISE_EN = ("um", "like", "so", "hey", "lol", "well", "btw", "ok")
_HAN = re.compile(r"[\u3400-\u9fff]")


def _places(text: str, rng: random.Random, share: float = 0.12) -> list[int]:
    letters = [at for at, char in enumerate(text) if char.isalpha()]
    return (
        sorted(rng.sample(letters, min(len(letters), max(1, round(share * len(letters)))))) if letters else []
    )


def typo(text: str, rng: random.Random) -> str:
    """A neighbouring key for a Latin letter, two characters swapped elsewhere."""
    chars = list(text)
    for at in _places(text, rng):
        low = chars[at].lower()
        if low in NEIGHBOURS:
            chars[at] = NEIGHBOURS[low]
        elif at + 1 < len(chars):
            chars[at], chars[at + 1] = chars[at + 1], chars[at]
    return "".join(chars)


def homophone(text: str, rng: random.Random) -> str:
    """Up to two characters written as another that sounds alike; English loses a doubled or silent letter."""
    if not _HAN.search(text):
        return re.sub(r"(?<=\w)(e|h)(?=\b|[rst])|([a-z])(?=\2)", "", text, count=2)
    found = [at for at, char in enumerate(text) if char in HOMOPHONES]
    chars = list(text)
    for at in rng.sample(found, min(2, len(found))):
        chars[at] = HOMOPHONES[chars[at]]
    return "".join(chars)


def missing(text: str, rng: random.Random) -> str:
    """A character in eight is not there."""
    gone = set(_places(text, rng))
    return "".join(char for at, char in enumerate(text) if at not in gone) or text


def repeated(text: str, rng: random.Random) -> str:
    """A character in eight is held down."""
    held = set(_places(text, rng))
    return "".join(char * (rng.randint(2, 5) if at in held else 1) for at, char in enumerate(text))


def capitals(text: str, rng: random.Random) -> str:
    """Caps lock; Chinese in full-width forms."""
    return "".join(
        chr(ord(char) + 0xFEE0) if "!" <= char <= "~" and _HAN.search(text) else char.upper() for char in text
    )


def noise(text: str, rng: random.Random) -> str:
    """Words that mean nothing, before and within."""
    if _HAN.search(text):
        at = rng.randrange(len(text) + 1)
        return rng.choice(NOISE_ZH) + text[:at] + rng.choice(NOISE_ZH) + text[at:]
    words = text.split(" ")
    words.insert(rng.randrange(len(words) + 1), rng.choice(NOISE_EN))
    return f"{rng.choice(NOISE_EN)} {' '.join(words)}"


def unspaced(text: str, rng: random.Random) -> str:
    """No punctuation; Chinese with stray spaces."""
    bare = re.sub(r"[^\w\s]", "", text)
    if not _HAN.search(bare) or len(bare) < 3:
        return bare or text
    at = rng.randrange(1, len(bare))
    return bare[:at] + " " + bare[at:]


DISTURBANCES: dict[str, Disturb] = {
    "typo": typo,
    "homophone": homophone,
    "missing": missing,
    "repeated": repeated,
    "capitals": capitals,
    "noise": noise,
    "unspaced": unspaced,
}
