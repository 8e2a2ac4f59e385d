"""Mood, threat and urgency."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.sentiment import read_sentiment


@pytest.mark.parametrize(
    ("text", "feeling"),
    [
        ("你们这些骗子，太垃圾了", "angry"),
        ("THIS IS RIDICULOUS, WORST SERVICE EVER!!!", "angry"),
        ("谢谢，服务真好", "grateful"),
        ("thanks a lot, you're great", "grateful"),
        ("很着急，明天就要用", "worried"),
        ("please help, it's urgent", "worried"),
        ("我的快递到哪了", "neutral"),
        ("where is my order", "neutral"),
        ("我没有生气，就是问问", "neutral"),
        ("服务太差了", "angry"),
        ("怎么投诉", "neutral"),
        ("", "neutral"),
    ],
)
def test_feelings(text, feeling):
    assert read_sentiment(text).feeling == feeling


@pytest.mark.parametrize(
    ("text", "threat"),
    [
        ("再不退我打12315", "authority"),
        ("我要找律师起诉你们", "legal"),
        ("曝光你们", "press"),
        ("I'll do a chargeback", "chargeback"),
        ("my lawyer will call you", "legal"),
        ("I will report you to trading standards", "authority"),
        ("订单号88123456", None),
        ("my order 1231599", None),
        ("退款退到工商银行", None),
    ],
)
def test_threats_are_told_from_numbers_and_banks(text, threat):
    """An authority's number inside an order number is no threat; nor is a bank's name."""
    assert read_sentiment(text).threat == threat


@pytest.mark.parametrize(
    "text",
    [
        "支持流媒体后视镜吗",
        "多媒体音箱",
        "烟雾报警器一直报警",
        "地址改成增城人民法院",
        "相机曝光怎么调",
        "315元能便宜吗",
        "跳楼价",
        "发朋友圈有优惠吗",
        "我告诉你们了",
        "手机炸了",
        "bath bomb set",
        "court shoes in size 38",
        "wrapped in newspaper",
        "do you have social media",
        "my name is Sue",
        "press the button",
    ],
)
def test_goods_places_and_faults_are_no_threats(text):
    """Words of threats that shoppers use for other things; the first two and the court stood in real traffic."""
    assert read_sentiment(text).threat is None


@pytest.mark.parametrize(
    "text",
    [
        "再不处理就报警",
        "我去法院告你们",
        "找媒体曝光",
        "把你们发到网上",
        "打315投诉",
        "see you in court",
        "worst shop ever, I will sue you",
        "I'm going to the press",
        "I'll post this all over twitter",
        "I will contact my bank",
    ],
)
def test_threats_as_shoppers_word_them(text):
    assert read_sentiment(text).threat is not None


@pytest.mark.parametrize(
    "text",
    [
        "My payment was declined, should I contact my bank?",
        "do I have to tell my bank about the refund?",
        "my card was rejected, I'll call my bank and try again",
        "let me call my bank first",
        "Do I need to report this to UPS?",
        "I'll report this to FedEx",
        "who do I report this to",
        "改送到315宿舍",
        "寄到315室",
        "送到315就行",
        "价格降到315了",
        "我的订单号是12345",
        "zip code 12345",
        "送到朝阳区人民法院门卫",
        "寄到市场监督管理局三楼",
        "I'll shoot you an email with the photos",
        "the bath bomb you sent was broken",
        "will the heat burn your skin",
        "这个电蚊拍能打死蚊子吗",
        "鞋带打死结了解不开",
        "打死我也不买了",
        "秒杀你们家的裙子",
        "剧本杀人物卡少了一张",
        "不想活动价买",
        "一开机就报警怎么办",
        "温度一高就报警",
        "刚装上就报警怎么回事",
        "我是律师，要开专票",
        "发票抬头写北京大成律师事务所",
        "deliver it to Court Road 12",
        "I need this suit for court, can it arrive by Friday",
        "please leave it with sue at reception",
        "will it charge back to 100% quickly",
        "付款被拒付了",
        "需要把图片发到小红书吗",
        "把你们的海报发到朋友圈能领券吗",
        "音箱能连上电视吗",
        "你们家上热搜了",
        "I will share it on facebook, I love it",
        "I'll post it on instagram and tag you!",
        "I saw you post this on Instagram",
        "saw your ad all over facebook",
        "Do I have to post it on instagram to get the discount?",
    ],
)
def test_everyday_questions_are_no_threats(text):
    """Banks, rooms, insects, devices and happy posts: what a shop hears every day."""
    assert read_sentiment(text).threat is None


@pytest.mark.parametrize(
    ("text", "threat"),
    [
        ("再不退款我就打315了", "authority"),
        ("我要去12315投诉", "authority"),
        ("我要去315告你们", "authority"),
        ("投诉到315", "authority"),
        ("12345热线见", "authority"),
        ("把证据寄到市场监管局", "authority"),
        ("report you to Amazon", "authority"),
        ("I'll report this to the authorities", "authority"),
        ("I'll do a chargeback", "chargeback"),
        ("I will contact my bank and dispute this", "chargeback"),
        ("Refund me now. I'm calling my bank.", "chargeback"),
        ("refund me or I will call my credit card company", "chargeback"),
        ("我要找律师", "legal"),
        ("律师函马上寄给你们", "legal"),
        ("我是律师，你们这样是违法的", "legal"),
        ("我就报警了", "legal"),
        ("不退钱我去报警", "legal"),
        ("报警处理", "legal"),
        ("see you in court", "legal"),
        ("I will take this to court", "legal"),
        ("I WILL SUE YOU", "legal"),
        ("曝光你们到小红书", "press"),
        ("把聊天记录发到网上", "press"),
        ("再不退款我就发抖音", "press"),
        ("让你们上热搜", "press"),
        ("I'll post this on Twitter so everyone sees", "press"),
        ("Should I post this on twitter so everyone sees how you treat people?", "press"),
        ("I'm going to share this with everyone on social media", "press"),
        ("信不信我打死你", "harm"),
        ("我要打死你们客服", "harm"),
        ("I'll come and shoot you", "harm"),
        ("I will burn down your store", "harm"),
    ],
)
def test_the_same_words_meant_as_threats(text, threat):
    assert read_sentiment(text).threat == threat


def test_a_threat_is_the_most_urgent():
    assert [read_sentiment(text).urgency for text in ("我打12315了", "气死我了", "快点发货", "你好")] == [
        3,
        2,
        1,
        0,
    ]


@settings(deadline=None)  # the first text loads a dictionary
@given(st.text(max_size=300))
def test_any_text_has_a_mood(text):
    """Anger stays between none and all."""
    assert 0.0 <= read_sentiment(text).anger <= 1.0
