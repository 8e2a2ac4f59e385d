"""The language of a message."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.language import OTHER_LANGUAGES, detect_language, polite_line


@pytest.mark.parametrize(
    ("text", "code", "iso"),
    [
        ("我的快递到哪了", "zh-Hans", "zh"),
        ("請問我的包裹到哪裡了", "zh-Hant", "zh"),
        ("kuaidi dao na le", "zh-Hans", "zh"),
        ("wheres my stuff", "en", "en"),
        ("mattress size", "en", "en"),
        ("EMI?", "en", "en"),
        ("我的order到哪了", "mixed", "zh"),
        ("T恤有L码吗", "zh-Hans", "zh"),
        ("Hola, ¿dónde está mi pedido?", "other", "es"),
        ("Wo ist meine Bestellung bitte", "other", "de"),
        ("où est ma commande", "other", "fr"),
        ("Wo ist mein Paket", "other", "de"),
        ("waar is mijn bestelling", "other", "nl"),
        ("donde esta mi pedido", "other", "es"),
        ("gracias", "other", "es"),
        ("my name is Jose", "en", "en"),
        ("what is the size", "en", "en"),
        ("chakuaidi", "zh-Hans", "zh"),
        ("注文はどこですか", "other", "ja"),
        ("где мой заказ", "other", "ru"),
        ("أين طلبي", "other", "ar"),
        ("123", "unknown", None),
        ("👍", "unknown", None),
        ("", "unknown", None),
    ],
)
def test_languages_are_told_apart(text, code, iso):
    detected = detect_language(text)

    assert (detected.code, detected.iso) == (code, iso)


def test_what_cannot_be_told_leaves_the_reply_language_open():
    """A number keeps the language the conversation had."""
    assert detect_language("88123456").reply is None


@pytest.mark.parametrize("text", ["ok", "OK OK", "Hello", "thanks!", "XL", "EMS", "Nike"])
def test_words_of_both_languages_decide_only_where_nothing_is_known(text):
    detected = detect_language(text)

    assert (detected.reply, detected.shared) == ("en", True)


@pytest.mark.parametrize("text", ["where is it", "refund", "thanks for your help", "我的"])
def test_words_of_one_language_decide(text):
    assert not detect_language(text).shared


@pytest.mark.parametrize(
    "text",
    [
        "我的快递到哪了ヾ(≧▽≦*)o",
        "我要退货ヽ(✿ﾟ▽ﾟ)ノ",
        "你好(・ω・)",
        "我の快递呢",
        "订单・退款",
        "快递呢？ㅋㅋ",
        "我要退货 ㅠㅠ",
        "怎么还不发货 Σ(っ °Д °;)っ",
        "我的订单(ノへ￣、)",
        "谢谢 (๑•̀ㅂ•́)و✧",
        "在吗٩(๑❛ᴗ❛๑)۶",
        "快点发货啊 ε=ε=ε=(ノ≧∇≦)ノ",
        "要哭了(´Д｀)(´Д｀)",
        "晚安ノシ",
        "快递到哪了です",
        "这个可爱の裙子有货吗",
        "这款フィギュア什么时候发货",
        "這個フィギュア還有貨嗎",
        "我买的ワンピース手办到了吗",
        "我的防弹少年团방탄소년단专辑呢",
    ],
)
def test_faces_and_borrowed_words_leave_chinese_chinese(text):
    assert detect_language(text).reply == "zh"


@pytest.mark.parametrize(
    "text",
    [
        r"where is my order ¯\_(ツ)_/¯",
        "where is my order ㅠㅠ",
        "lol ㅋㅋㅋ where is it",
        "my parcel is late (´；ω；`)",
        "refund please (ノಠ益ಠ)ノ",
        "still waiting (°Д°) (°Д°)",
        "thank you ٩(◕‿◕)۶ so much",
        "is the Seiko の watch available",
        "I want to return the ワンピース figure",
        "where is my 방탄소년단 album",
    ],
)
def test_faces_and_borrowed_words_leave_english_english(text):
    assert detect_language(text).reply == "en"


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("注文した商品がまだ届きません", "ja"),
        ("返品したいです", "ja"),
        ("返品交換希望です", "ja"),
        ("返金処理状況確認お願いします", "ja"),
        ("領収書が必要", "ja"),
        ("注文の変更", "ja"),
        ("キャンセル", "ja"),
        ("はい", "ja"),
        ("The North Face for men を返品したい", "ja"),
        ("配送状況を教えてください(・ω・)", "ja"),
        ("我が家に届いた商品が壊れていました", "ja"),
        ("환불해 주세요", "ko"),
        ("배송 언제 와요 ㅠㅠ", "ko"),
        ("iPhone 15 Pro Max 케이스 환불해 주세요", "ko"),
        ("где мой заказ (°Д°)", "ru"),
        ("สินค้ายังไม่มา", "th"),
        ("πού είναι η παραγγελία μου", "el"),
        *((OTHER_LANGUAGES[iso], iso) for iso in ("ja", "ko", "ru", "ar", "th", "hi", "el")),
    ],
)
def test_sentences_in_another_script_stay_theirs(text, iso):
    """Many Han characters, names in Latin letters and faces do not make Japanese or Korean one of ours."""
    detected = detect_language(text)

    assert (detected.code, detected.iso) == ("other", iso)


@pytest.mark.parametrize("text", ["ㅠㅠ", "の", "(・ω・)", "ヽ(ー_ー)ノ"])
def test_a_face_alone_has_no_language(text):
    assert detect_language(text).code == "unknown"


@settings(deadline=None)  # the first text loads lingua
@given(st.text(max_size=200))
def test_every_text_gets_an_answer(text):
    assert detect_language(text).code in ("zh-Hans", "zh-Hant", "en", "mixed", "other", "unknown")


def test_other_languages_get_a_line():
    """Where we have no line, both of ours are said."""
    assert polite_line("es") == OTHER_LANGUAGES["es"]
    assert "English" in polite_line("xx") and "中文" in polite_line(None)
