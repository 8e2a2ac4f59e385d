"""Which language a message is written in: zh-Hans, zh-Hant, en, mixed, or another one.

Script decides first, because messages are short and script is certain; among Latin-script languages
lingua decides, and only when the message is long or marked enough not to be a mistyped English one.
Pinyin counts as Chinese. This module knows no conversation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from bot.message import Language
from bot.normalise import simplified, visible
from bot.pinyin import is_pinyin

Code = Literal["zh-Hans", "zh-Hant", "en", "mixed", "other", "unknown"]
READ = 600  # characters that are looked at

# Links, addresses, WeChat's faces, and numbers with letters among them (tax, tracking): they have no language.
_LINK = re.compile(
    r"https?://\S+|www\.\S+|[A-Za-z0-9._+-]+@[A-Za-z0-9-]+\.[A-Za-z0-9.]+|<\w+>|\[[^\]\s]{1,12}\]|(?<![A-Za-z0-9])(?=[A-Za-z-]*\d[A-Za-z-]*\d)[A-Za-z0-9-]{6,}"
)
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+(?:['’][A-Za-z]+)?")
_MARKED = re.compile(r"[\u00bf\u00a1\u00c0-\u024f\u1e00-\u1eff]")
# Scripts that name their language, or the likeliest one in a shop. A letter alone is a part of a face: (°Д°), (・ω・), (๑و.
_SCRIPTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[\u0400-\u04ff]{2}"), "ru"),
    (re.compile(r"[\u0600-\u065f\u066a-\u06ef\u06fa-\u06ff]{2}|[\u0660-\u0669\u06f0-\u06f9]{4}"), "ar"),
    (re.compile(r"[\u0e00-\u0e4e]{2}"), "th"),
    (re.compile(r"[\u0900-\u097f]{2}"), "hi"),
    (re.compile(r"[\u0370-\u03ff]{2}"), "el"),
    (re.compile(r"[\u0590-\u05ff]{2}"), "he"),
    (re.compile(r"[\u0980-\u09ff]{2}"), "bn"),
)
# Chinese and English messages have faces with kana in them, の for 的, "ㅠㅠ" and names of things; none of these is a
# language. Kana count in rows of two that are not the arms of a face alone, Korean by whole syllables.
_KANA_ROW = re.compile(r"[\u3041-\u3096\u30a1-\u30fa][\u3041-\u3096\u30a1-\u30faー]+")
_ARMS = "ノシツっつづへヘー"
_SYLLABLE = re.compile(r"[\uac00-\ud7a3]")
_JAPANESE = re.compile(
    r"[\u3400-\u9fff][をがはにでも]|です|でし|ます|ません|まし[たょ]|ください|下さい|たい|ない|して|した|する|って|どこ|どう|いつ|なぜ|いくら|まだ|から|まで|ので"
    r"|願い|おねがい|ありがと|こんに|すみません|ごめん"
)
_CHINESE = re.compile(r"我(?![々がら慢])|[你您妳她嗎呢吧麼這們哪怎几很]|想要|退[款货貨]|快[递遞]")
_LINGUA = ("ENGLISH", "SPANISH", "FRENCH", "GERMAN", "PORTUGUESE", "ITALIAN", "DUTCH", "TURKISH", "POLISH",
           "INDONESIAN", "VIETNAMESE", "TAGALOG")  # fmt: skip
# Words that shoppers of both languages type: they keep the language the conversation had.
_SHARED_WORDS = """
ok okay okk okok k kk yes yep no nope hi hello hey hallo bye byebye thx thanks thank you ty sorry pls please haha hahaha
lol wow emm emmm emmmm cool nice qq vip app plus pro max mini wifi usb ems dhl ups sf jd pdd s m l xs xl xxl xxxl
"""
_SHARED = frozenset(_SHARED_WORDS.split())
# Few words tell English even where lingua doubts: short, mistyped, full of names of things.
_ENGLISH_SIGN = re.compile(
    r"\b(?:the|my|is|are|was|i|im|you|your|it|this|that|where|wheres|when|what|how|why|can|cant|want|need|order|refund|return|"
    r"please|pls|plz|thanks|thx|hello|hi|hey|not|dont|with|for|to|track|cancel|delivery|address|payment|agent|help|size|price|of|do|about|tell|open|cost|type|change|all|your|on|from|have|product|products|available|service|show|check|buy)\b",
    re.I,
)

# Small words that tell a language in a message too short for lingua; the first few are enough when they stand alone.
_SMALL_WORDS = {
    "es": "hola gracias buenos buenas | donde dónde está esta mi mis pedido quiero por para mucho paquete cuando el los una necesito",
    "fr": "bonjour merci salut bonsoir | où ou est ma mon mes je votre vous commande pas les une veux suis colis quand le",
    "de": "danke guten moin | wo ist mein meine meinen ich bitte nicht das der die paket bestellung wann wie habe möchte hallo",
    "pt": "obrigado obrigada olá oi | onde está meu minha pedido quero não uma quando encomenda você",
    "it": "ciao grazie buongiorno | dove dov è il mio mia ordine vorrei non una quando pacco sono",
    "nl": "bedankt goedendag | waar is mijn ik bestelling het een niet wanneer pakket wil kan",
    "tr": "merhaba teşekkürler | siparişim nerede kargo ne zaman bir iade istiyorum",
    "pl": "dziękuję cześć | gdzie jest moje moja zamówienie paczka kiedy nie chcę",
    "id": "terima kasih halo | di mana pesanan saya kapan mau paket tidak ingin",
    "vi": "xin chào | đơn hàng của tôi ở đâu khi nào muốn không",
}
_ALONE = {word: iso for iso, words in _SMALL_WORDS.items() for word in words.partition("|")[0].split()}
_SMALL = {iso: frozenset(words.replace("|", " ").split()) for iso, words in _SMALL_WORDS.items()}


@dataclass(frozen=True)
class Detected:
    """`code` as above; `iso` is the language's two letters where it is known; `reply` the language to answer in.

    `shared`: words of both languages or a bare name; they decide only where no language is known yet.
    """

    code: Code
    iso: str | None
    reply: Language | None
    shared: bool = False


@lru_cache(maxsize=1)
def _lingua() -> Any:
    from lingua import Language as LinguaLanguage
    from lingua import LanguageDetectorBuilder

    chosen = [getattr(LinguaLanguage, name) for name in _LINGUA]
    return LanguageDetectorBuilder.from_languages(*chosen).with_low_accuracy_mode().build()


def _told_by_small_words(shown: str) -> str | None:
    """The language two or more small words agree on, or one that says it alone; None when English has as many."""
    words = [word.lower() for word in re.findall(r"[^\W\d_]+", shown)]
    if len(words) == 1:
        return _ALONE.get(words[0])
    counts = {iso: sum(word in small for word in words) for iso, small in _SMALL.items()}
    best = max(counts, key=lambda iso: counts[iso])
    own = counts[best] - sum(_ENGLISH_SIGN.fullmatch(word) is not None for word in words)
    return best if counts[best] >= 2 and own >= 1 and counts[best] * 2 >= len(words) else None


def _beyond(han: str, *encodings: str) -> bool:
    """Whether a character has no place in a country's own encodings, and so is not written there."""
    kept = {char for code in encodings for char in han.encode(code, "ignore").decode(code)}
    return not set(han) <= kept


def _eastern(shown: str, han: str, words: list[str]) -> str | None:
    """ "ja" or "ko" for a sentence in one of them, not for a word or a face in one of ours."""
    chinese = _CHINESE.search(shown) is not None or _beyond(han, "cp932")
    signs = len(_ENGLISH_SIGN.findall(shown))
    others = len(han) + len(words)
    syllables = len(_SYLLABLE.findall(shown))
    if syllables >= 2 and syllables >= others * (2 if chinese or signs > 1 else 1):
        return "ko"
    kana = sum(len(row) for row in _KANA_ROW.findall(shown) if row.strip(_ARMS))
    grammar = _JAPANESE.search(shown) is not None
    if not chinese and _beyond(han, "gb2312", "big5") and re.search(r"[\u3041-\u30fa]", shown):
        return "ja"  # 変, 払, 収: written so in Japan alone
    if kana < 2 and (not grammar or chinese):
        return None
    if chinese:
        return "ja" if grammar and kana > 2 * len(han) else None
    if grammar:
        return "ja" if han or not signs or kana >= len(words) else None
    return "ja" if kana >= others * (2 if signs else 1) else None


def detect_language(text: str) -> Detected:
    """The language of one message. Numbers, links and smileys alone are "unknown"."""
    shown = _LINK.sub(" ", visible(text[:READ]))
    words = [word for word in _LATIN_WORD.findall(shown) if len(word) > 1 or word.lower() == "i"]
    plain = "".join(_HAN.findall(shown))
    if eastern := _eastern(shown, plain, words):
        return Detected("other", eastern, None)
    for script, iso in _SCRIPTS:
        if script.search(shown):
            return Detected("other", iso, None)
    han = len(plain)
    if han:
        latin = [word for word in words if word.islower() and len(word) > 2]
        if len(latin) >= max(1, han // 6):
            return Detected("mixed", "zh", "zh" if han >= len(words) else "en")
        return Detected("zh-Hant" if simplified(plain) != plain else "zh-Hans", "zh", "zh")
    if not words:
        return Detected("unknown", None, None)
    latin_text = " ".join(words)
    if is_pinyin(latin_text):
        return Detected("zh-Hans", "zh", "zh")
    if iso_found := _told_by_small_words(shown):
        return Detected("other", iso_found, None)
    signs = len(_ENGLISH_SIGN.findall(latin_text))
    marked = bool(_MARKED.search(latin_text)) or "¿" in shown or "¡" in shown
    if marked or (len(words) >= 3 and signs * 4 < len(words)):
        values = _lingua().compute_language_confidence_values(latin_text.lower())
        best = values[0]
        iso = str(best.language.iso_code_639_1.name).lower()
        if iso != "en" and best.value >= (0.3 if marked else 0.62):
            return Detected("other", iso, None)
    shared = all(word.lower() in _SHARED for word in words) or (len(words) == 1 and not signs)
    return Detected("en", "en", "en", shared)


# One polite line: sorry, and which languages there are. Short, so that it can be checked by anyone who reads the language.
OTHER_LANGUAGES: dict[str, str] = {
    "ja": "申し訳ありません。中国語と英語でご案内しています。",
    "ko": "죄송합니다. 저는 중국어와 영어로만 안내해 드릴 수 있습니다.",
    "ru": "Извините, я отвечаю только на китайском и английском.",
    "ar": "عذرًا، أستطيع المساعدة بالصينية والإنجليزية فقط.",
    "th": "ขออภัย ฉันตอบได้เฉพาะภาษาจีนและภาษาอังกฤษ",
    "hi": "क्षमा करें, मैं केवल चीनी और अंग्रेज़ी में उत्तर दे सकता हूँ।",
    "es": "Lo siento, solo puedo atenderle en chino y en inglés.",
    "fr": "Désolé, je ne réponds qu'en chinois et en anglais.",
    "de": "Entschuldigung, ich antworte nur auf Chinesisch und Englisch.",
    "pt": "Desculpe, só consigo responder em chinês e inglês.",
    "it": "Mi dispiace, posso rispondere solo in cinese e in inglese.",
    "nl": "Sorry, ik kan alleen in het Chinees en Engels antwoorden.",
    "tr": "Üzgünüm, yalnızca Çince ve İngilizce yanıt verebiliyorum.",
    "pl": "Przepraszam, odpowiadam tylko po chińsku i po angielsku.",
    "id": "Maaf, saya hanya dapat menjawab dalam bahasa Mandarin dan Inggris.",
    "vi": "Xin lỗi, tôi chỉ trả lời bằng tiếng Trung và tiếng Anh.",
    "tl": "Paumanhin, Tsino at Ingles lamang ang kaya kong isagot.",
    "el": "Συγγνώμη, απαντώ μόνο στα κινεζικά και στα αγγλικά.",
}


def polite_line(iso: str | None) -> str:
    """One line in the shopper's own language where we have it, saying which languages Kefu speaks."""
    return OTHER_LANGUAGES.get(iso or "", "") or "抱歉，我只会中文和英文。Sorry, I speak Chinese and English."
