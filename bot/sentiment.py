"""How a message feels: angry, worried, grateful or neutral, and whether it threatens.

Words and their strength, raised by shouting and lowered by negation; no model, so that a shop can read
why. A mood sets the tone and the place in the queue. A threat (an authority, a lawyer, the press, a
reversed payment, harm) is one of the hard rules for handing over; a mood alone never is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from bot.normalise import simplified, visible

Feeling = Literal["angry", "worried", "grateful", "neutral"]
Threat = Literal["authority", "legal", "press", "chargeback", "harm"]

READ = 2000  # characters that are looked at
ANGRY_FROM = 0.5

# What sounds like a threat and is goods, places or faults: a multimedia speaker, a device that alarms, a court's address,
# bath bombs, 315 yuan, a bank called 工商.
THREATS: tuple[tuple[Threat, re.Pattern[str]], ...] = (
    ("harm", re.compile(
        r"打死|弄死|砍(?:死|人|你们?)|杀了?(?:你|他|人)|自杀|不想活|跳楼(?!价|机)|炸(?:死|你|了你)|报复你"
        r"|\b(?:kill (?:you|him|her|myself|them)|suicide|hurt (?:you|myself)|burn (?:you|your|down the) |(?:a|the) bomb (?:threat|in)|bomb you"
        r"|shoot you|end my life)\b", re.I)),
    ("authority", re.compile(
        r"(?<!\d)123[14]5(?!\d)|(?:打|找|拨|去|到|上|给|投诉|举报)\s*315(?!\d)|(?<!\d)315\s*(?:投诉|举报|见|曝光|晚会)|^315$|消协|消费者协会|消费者权益(?:保护)?(?:协会|组织|法|局)"
        r"|工商(?:局|所|部门|总局|投诉|举报|管理)|(?:找|去|打|告|到)工商(?!银行|卡|行)|市场监[管督]|市监局|物价局|邮政局申诉|邮管局|黑猫(?:投诉|平台|上)|(?:上|去|发)黑猫"
        r"|\b(?:consumer protection|trading standards|ombudsman|better business bureau|bbb|ftc|attorney general"
        r"|consumer (?:forum|court|affairs)|report (?:you|this|your \w+) to|(?:call|calling|go to|going to|contact) the police|file a police)\b", re.I)),
    ("legal", re.compile(
        r"律师|起诉|告(?:你们(?!诉)|上法庭|到法院)|(?:去|到|上|找|见)法院|法院(?:见|起诉|告|传票)|法庭|法律(?:途径|手段|武器|程序)|打官司|仲裁"
        r"|(?:我|要|就|去|直接|只能|得|已经?|马上|再)报警(?!器|声|灯|音|提示|了?不停)|经侦"
        r"|\b(?:(?:my|a|our) (?:lawyer|attorney|solicitor)s? (?:will|is|about|to|on)|(?:call|calling|contact|contacting|hire|hiring|get|getting|talk to|hear from|speak to|see|seeing) (?:my|a|our) (?:lawyer|attorney|solicitor)"
        r"|(?-i:sue|SUE)|suing|lawsuit|legal (?:action|steps|proceedings)|(?:to|in|into|see you in) court|small claims|press charges)\b", re.I)),
    ("press", re.compile(
        r"曝光(?:你|他|一下|这|出去|吧|了?$)|(?:要|去|网上|网络|媒体|就|给你们)曝光(?!度|量|时间)|(?:找|告诉|联系|爆料给|投稿给|上)(?:媒体|记者|电视台|报社)|上(?:新闻|热搜|电视)"
        r"|(?:把|给|让).{0,10}发(?:到)?(?:微博|抖音|小红书|朋友圈|网上)|发(?:到)?(?:微博|抖音|小红书|朋友圈|网上)(?:去|曝光|骂|挂|让大家|告诉大家|揭)"
        r"|\b(?:go(?:ing)? (?:to the )?(?:press|media|public|viral|newspapers?)|(?:call|contact|tell|write to|talk to) (?:the |a )?(?:press|media|newspapers?|journalists?|reporters?|news)"
        r"|(?:post|tweet|put|share|expose|spread) (?:this|it|about (?:you|this)|you|the truth)\b.{0,30}?(?:online|everywhere|twitter|facebook|instagram|tiktok|reddit|social media|trustpilot|internet)"
        r"|all over (?:social media|the internet|twitter|facebook))\b", re.I)),
    ("chargeback", re.compile(
        r"拒付|银行(?:申诉|撤单|止付)|(?:找|去|向)银行(?:投诉|申诉|撤)|支付宝投诉|微信支付投诉"
        r"|\b(?:charge ?back|dispute (?:the|this|it) (?:charge|payment|transaction|with)|dispute (?:it|this|with my bank)|reverse the (?:charge|payment)|paypal (?:claim|dispute|case)"
        r"|(?:call|calling|contact|contacting|tell|telling) my bank|claim with my bank)\b", re.I)),
)  # fmt: skip

# strength: 1.0 says anger by itself, 0.6 almost, 0.3 only together with something else
_ANGER: tuple[tuple[float, re.Pattern[str]], ...] = (
    (1.0, re.compile(
        r"骗子|骗人|诈骗|垃圾|狗屁|狗日|傻[逼比bB]|[sS][bB]客服|草泥马|[操艹草]你|妈的|他妈|tmd|nmsl|去死|滚(?:蛋|犊子)?|王八|混蛋|畜生|贱[人货]"
        r"|脑残|智障|废物|白痴|黑心|奸商|坑(?:人|爹|钱)|恶心|不要脸|无耻|气死|火大|什么玩意|欺人太甚|欺负人|忍无可忍|丧尽天良|缺德|有病|神经病"
        r"|\b(?:fuck\w*|shit\w*|bullshit|bastards?|assholes?|bitch\w*|damn(?:ed)?|wtf|stfu|idiots?|morons?|scam(?:mers?|med)?|scumbags?|stupid"
        r"|thie(?:f|ves)|liars?|crooks?|frauds?|pathetic|disgust\w+|hate|furious|outrag\w+|pissed(?: off)?|screw you|rip.?off|sick of|fed up"
        r"|worst|garbage|trash|shut up|dumb\w*|angry|enraged|livid)\b", re.I)),
    (0.7, re.compile(
        r"太过分|离谱|生气|愤怒|太差|差劲|差评|烂(?:透|死|货)|敷衍|忽悠|糊弄|推(?:诿|来推去)|踢皮球|不负责|失望|无语|受够|欺骗|骗我|耍我|玩我|没人管", re.I)),
    (0.6, re.compile(
        r"过分|投诉"
        r"|\b(?:terrible|awful|horrible|ridiculous|unacceptable|useless|incompetent|shame\w*|joke|rude|lied|lying|stole|cheat\w*|annoy\w*"
        r"|absurd|rubbish|crap|sucks?|nonsense|insult\w*|disgrace\w*|nightmare|mad|rage|unbelievable|wasting my time|waste of)\b", re.I)),
    (0.3, re.compile(
        r"凭什么|到底|怎么回事|什么意思|太慢|还不|一直不|说话不算|不讲理|态度|烦"
        r"|\b(?:still no|again|nobody|never|how many times|frustrat\w+|disappoint\w+|upset|bad|poor|unhappy|why the|seriously)\b", re.I)),
)  # fmt: skip
_NOT_ANGRY = re.compile(
    r"(?:不是|没|没有|不|别)(?:生气|投诉|骗|垃圾|过分|失望|恶心)|不好意思|\b(?:not|never|no longer|don't|isn't|am not) (?:so |very |really )?"
    r"(?:angry|mad|upset|annoyed|bad|hate|a scam|terrible)\b|\b(?:not|no) (?:so )?bad\b|\bno shit\b",
    re.I,
)
_WORRY = re.compile(
    r"担心|着急|急(?:用|死|着|等|需)|很急|特急|急!|急！|怕(?!脏|水)|怎么办啊|求求|拜托|害怕|来不及|万一|会不会丢|救"
    r"|\b(?:worried|worry|anxious|afraid|scared|urgent\w*|asap|desperate|panic\w*|emergency|nervous|concerned|please help)\b",
    re.I,
)
_GRATITUDE = re.compile(
    r"谢谢|多谢|感谢|谢了|谢啦|辛苦|给力|太好了|太棒|真棒|真好|满意|赞|好评|感激|3q"
    r"|\b(?:thanks?|thank ?(?:you|u)|thx|ty|tysm|cheers|appreciate\w*|grateful|awesome|amazing|great (?:job|service|help)|perfect|love (?:it|this|you)|excellent|wonderful)\b"
    r"|[👍🙏🌹❤😊🥰😍]",
    re.I,
)
_HURRY = re.compile(
    r"急|赶紧|立刻|马上(?!到)|尽快|快点|催|来不及|今天必须"
    r"|\b(?:urgent\w*|asap|immediately|right now|hurry|as soon as|today|emergency)\b",
    re.I,
)
_FURIOUS_SIGNS = re.compile(r"[😡🤬👿💢😠🖕]")


@dataclass(frozen=True)
class Sentiment:
    """`anger` is 0 to 1. `urgency` is 0 to 3: none, hurry, angry or worried, threat."""

    feeling: Feeling
    anger: float
    threat: Threat | None
    urgency: int


def read_sentiment(text: str) -> Sentiment:
    """How one message feels."""
    shown = simplified(visible(text[:READ]))
    calm = _NOT_ANGRY.sub(" ", shown)
    weakest_left = 1.0
    for strength, words in _ANGER:
        for _ in words.findall(calm)[:4]:
            weakest_left *= 1.0 - 0.75 * strength
    letters = [char for char in calm if char.isascii() and char.isalpha()]
    shouting = len(letters) >= 12 and sum(char.isupper() for char in letters) > 0.7 * len(letters)
    marks = len(re.findall(r"[!！]{2,}|[?？]{3,}|[?？][!！]", shown))
    anger = 1.0 - weakest_left
    if _FURIOUS_SIGNS.search(text[:READ]):
        anger = 1.0 - (1.0 - anger) * 0.4
    if anger or shouting:
        anger = 1.0 - (1.0 - anger) * (0.7 if shouting else 1.0) * (0.85 if marks else 1.0)
    threat = next((kind for kind, words in THREATS if words.search(shown)), None)
    grateful = bool(_GRATITUDE.search(text[:READ]))
    if grateful and anger < 0.75:
        anger *= 0.5
    feeling: Feeling = "neutral"
    if anger >= ANGRY_FROM:
        feeling = "angry"
    elif _WORRY.search(shown):
        feeling = "worried"
    elif grateful:
        feeling = "grateful"
    urgency = 3 if threat else 2 if feeling in ("angry", "worried") else 1 if _HURRY.search(shown) else 0
    return Sentiment(feeling, round(anger, 3), threat, urgency)
