"""Chinese text brought to one form: half-width, simplified, without invisible characters.

It knows no meaning. What it returns is for comparing, not for showing.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

HAN = re.compile(r"[\u3400-\u9fff]")


def plain(text: str) -> str:
    """NFKC, lower case, simplified characters, straight quotes; invisible characters are gone."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'").replace("‘", "'")
    text = "".join(
        char
        for char in text
        # Cf: zero-width joiners and the like. Mn: combining marks, variation selectors. Skin tones are Sk.
        if unicodedata.category(char) not in ("Cf", "Mn") and not "\U0001f3fb" <= char <= "\U0001f3ff"
    )
    return str(_simplifier().convert(text)) if HAN.search(text) else text


@lru_cache(maxsize=1)
def _simplifier() -> Any:
    from opencc import OpenCC  # reads its tables from disk

    return OpenCC("t2s")
