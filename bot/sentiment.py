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
# bath bombs, 315 yuan, room 315, a bank called 工商, an order whose number is 12345.
_HARMLESS = re.compile(
    r"(?:订单号?|单号|编号|邮编|密码|验证码|尾号|型号|\b(?:order|zip|postcode|code|number|pin|model)\b)[\s:是为#]{0,4}(?:is )?#?123[14]5(?!\d|\s*(?:投诉|举报|见|打))"
    r"|律师(?:事务)?所(?:的|要|开|抬头)|律师(?:资格|证|袍|徽|职业|考试)|(?:剧本|狼人|三国)杀|[秒绝捕斩抹]杀|杀人(?:事件|案|游戏|数)|砍人[数头]|不想活[动跃力]|广告你们?"
    r"|suicide squad",
    re.I,
)
_ADDRESS = re.compile(
    r"(?:(?:寄|送|邮|投递|派|快递|改|放)(?:到|至|往|去|给|成|为|在)|(?:地址|单位|抬头|开票)[写填改是为成:到\s]*)[^,，。;；!！?？\n]{0,16}?"
    r"(?:法院|法庭|检察院|派出所|律师事务所|律所|市场监[管督][局所理]*|工商[局所]|电视台|报社|仲裁(?:委员会|委|院)?)"
)
# What is sent there is no parcel, but evidence.
_EVIDENCE = re.compile(r"证据|材料|投诉|举报|起诉|律师函|录[音像]|记录|曝光|把你|告(?:你|上)")
_SOMEBODY = r"(?:你|您|他|她|我|人|客服|卖家|商家|店家|老板|快递员|快递小哥|骑手|主播|经理|全家)"
_ROOM = r"(?!\d|[-‐之]\d|\s*(?:室|宿舍|寝|号|房|楼|栋|幢|座|层|床|柜|单元|教室|办公室|包间|会议室|班|路|街|弄|巷|国道|省道|门|店|医院|元|块|米|克|码|毫升|g|ml|cm|mm|活动|大促|专场|优惠|购物|当天|那天|之?前|之?后|拿|取|自提|折))"
# Devices alarm as well: "一开机就报警怎么办".
_ALARM = r"报警(?!器|声|灯|音|铃|提示|功能|系统|装置|设置|响|值|代码|故障|主机|短信|电话功能|一直|(?:了)?(?:不停|怎么(?:办|回事|处理|解决|关|设|取消|消除)|是(?:怎么|什么|为什么|正常)|什么(?:意思|原因|情况)|正常吗))"
_LAWYER = r"(?:lawyer|attorney|solicitor|barrister)s?"
_SITES = r"(?:微博|抖音|小红书|朋友圈|快手|知乎|贴吧|B站|b站|网上|网络|平台上?)"
_SITES_EN = r"(?:online|everywhere|twitter|x\.com|facebook|fb|instagram|tiktok|youtube|reddit|(?:all )?(?:my )?socials?|social media|trustpilot|yelp|google reviews|(?:the )?internet|linkedin)"
_MEAN_TO = r"(?:i'?ll|i will|i shall|i'?m|i am|we'?ll|we will|we are|we're|(?:going|about|have|want|ready|forced|prepared|choice but) to|gonna|(?:or|then|else|otherwise|should|do) i)"
_AUTHORITIES = r"(?:authorit|police|cops\b|fbi|consumer|trading|fair trad|ftc|bbb|better business|attorney|ombudsman|government|regulator|council|courts?\b|law\b|fraud|action fraud|watchdog|commission|cyber|press\b|media\b)"
THREATS: tuple[tuple[Threat, re.Pattern[str]], ...] = (
    ("harm", re.compile(
        rf"(?<![棍棒竿]子)(?:打|弄|砍|捅|掐|揍|踢)死(?!我(?:也|都|算)){_SOMEBODY}|把{_SOMEBODY}[^,，。]{{0,4}}?(?:打|弄|砍|捅|掐|揍)死|砍(?:死)?(?:人|你们?(?!一?刀|价))|杀了?(?:你|他|人)|自杀|不想活|跳楼(?!价|机|大?甩卖|清仓|促销)|炸(?:死|你|了你)|报复你"
        r"|\b(?:kill myself|suicide|hurt myself|end my life|(?:i|we|i'?ll|gonna|going to|want to|wanna)\s(?:(?:will|am|to|going|swear|just|really|fucking|would|could|come and)\s)*(?:kill|hurt|burn|bomb|shoot|stab|murder) (?:you|him|her|them)(?! (?:an?|some|the|my|over|another|two|\d+|pics?|photos?|messages?|emails?)\b)"
        r"|(?:burn|bomb) (?:your (?:shop|store|office|warehouse|house|place|company)|down (?:the|your))|(?:a|the) bomb (?:threat|in (?:your|the (?:shop|store|office|building|warehouse))))\b", re.I)),
    ("authority", re.compile(
        rf"(?<!\d)12315(?!\d|\.\d|\s*[块元])|(?:打|拨|找|去|到|上|给|向|热线|市长|投诉|举报|call|dial)[^\d,，。]{{0,6}}12345(?!\d)|(?<!\d)12345\s*(?:热线|投诉|举报|市长|见|政务|平台)"
        rf"|(?:(?<!原价)打|(?<!送)找|拨|去|(?<![加以])上|投诉|举报|(?:^|[诉报告闹捅映我就要会接再去])到)\s*315{_ROOM}|给\s*315\s*(?:打|投诉|举报|写|反映)|(?<!\d)315\s*(?:投诉|举报|见(?!方)|曝光|晚会)|^315$"
        r"|消协|消费者协会|消费者权益(?:保护)?(?:协会|组织|法|局)"
        r"|工商(?:局|所|部门|总局|投诉|举报|管理)|(?:找|去|(?<!钱)打|告|(?:告|投诉|举报|闹)到)工商(?!银行|卡|行|的)|市场监[管督]|市监局|物价局|邮政局申诉|邮管局|黑猫(?:投诉|平台|见|上(?!衣|装))|(?:上|去)黑猫(?!的|那|款|图|咖)|发黑猫(?:去|平台|$)"
        rf"|\b(?:consumer protection|trading standards|ombudsman|better business bureau|(?:bbb|ftc)\b|attorney general"
        rf"|consumer (?:forum|court|affairs)|report(?:ing)? (?:you(?: guys| all| people)?|your (?:company|shop|store|business|website|site|team|scam|seller)) to|report(?:ing)? (?:this|it|that)(?: \w+)? to (?:the |my |your |our |local |state |national )*{_AUTHORITIES}"
        r"|(?<!does it )(?<!does the alarm )(?<!will it )(?<!can it )(?:call|calling|contact|go to|going to) the police|file a police)", re.I)),
    ("legal", re.compile(
        r"(?:找|请|让|叫|拨|打给|联系|委托|咨询|聘|带|派|见|问)(?:[了我个过]|一个|我们|专业|好|下|一下)*的?律师|律师(?:函|信|见|来|会|跟你|找你|联系你|起诉|告|处理|已经)|我(?:的|有)律师(?!朋友|同学|同事|老公|老婆|[证袍])|是律师.{0,20}(?:等着|奉陪|违法|违规|后果|懂法|法律|走着瞧|告你)"
        r"|起诉(?!状)|告(?:你们(?!诉)|上法庭|到法院)|(?:要|就|去|会)告你(?![诉知们一个件])|(?:去|到|上|找|见)法院|法院(?:见|起诉|告|传票)|法庭|法律(?:途径|手段|武器|程序)|打官司|仲裁"
        rf"|(?:我们?|咱们?|本人|俺|老子)(?:[就要会去得真也再]|已经?|马上|直接|只能|只好|现在|立刻|可以|打算|准备|必须|肯定|一定)*{_ALARM}"
        rf"|(?:再不|还不(?![到够满])|不(?:退|处理|给(?!它)|解决|发货|回复|赔|理)|否则|不然|要不|骗|赔|偷|盗|信不信|小心)[^。!！?？\n]{{0,20}}?{_ALARM}"
        rf"|去{_ALARM}|报警(?:处理|抓|立案|解决)|(?:^|[,，。!！?？\s])(?:那|就|那就|直接|只能|只好|马上|必须|要)*报警(?:了|吧|啦)?[!！。\s]*$|经侦"
        rf"|\b(?:(?:my|a|our) {_LAWYER} (?:will|is (?:going|ready|about|on|looking|involved)|about|to (?!be\b)|on)|(?:call|calling|contact|contacting|hire|hiring|get|getting|talk to|hear from|speak to|see|seeing) (?:my|a|our) {_LAWYER}"
        r"|sue (?:you|u|ur|your|them|this (?:shop|store|company))|(?:i'?ll|i will|we'?ll|gonna|going to|have to|want to|ready to) (?-i:sue|SUE)|(?-i:SUE YOU)|suing|lawsuit|legal (?:action|steps|proceedings)"
        r"|(?:see|meet|face) (?:you|u|ya)(?: all| guys)? in (?:a |the )?(?:small claims )?court|(?:take|taking|bring|bringing|haul|drag|dragging|settle|settling|fight|fighting) (?:you|u|them|this|it|the \w+|your \w+)(?: guys| all)?(?: all the way)? (?:in)?(?:to|in) (?:small claims )?court"
        r"|(?:i'?ll|i will|we'?ll|we will|ready to|willing to|prepared to|have to|this (?:will|can|may)|or) (?:go to|end (?:up )?in) (?:small claims )?court|let'?s (?:go to|meet in) court|we(?:'ll| will) (?:all )?meet in court|(?:this is|we are|we're) going to court|going to court (?:over|about|with|against|if|for this)|small claims|press charges)\b(?! (?:road|rd|street|st|lane|ln|avenue|ave|place|house|shoes?|tie|dress)\b)", re.I)),
    ("press", re.compile(
        rf"曝光(?:你|他|一下(?!时间)|这(?!个?(?:参数|时间|度))|出去|吧|了?$)|(?:要|去|网上|网络|媒体|就|给你们)曝光(?!度|量|时间)|(?:找|告诉|联系|爆料给|投稿给|(?<![装接连换插])上)(?:媒体|记者|电视台|报社)|(?:[让把给送](?:你们?|他们?)|等着|等|要)上(?:新闻|热搜|电视(?!机|盒|墙|柜|投))"
        rf"|(?:把|给|让|将)[^,，。!！?？]{{0,12}}?(?:你(?!们?的?(?:产品|商品|图|海报|链接|宣传|活动|视频|衣服|家))|聊天|对话|录音|通话|这(?:件)?事|事情|经过|真相|证据|嘴脸|行为|态度|做法|黑店|恶行)[^,，。!！?？]{{0,10}}?(?:发|挂|放)(?:到|在|上)?{_SITES}"
        rf"|发(?:到)?{_SITES}(?:去(?:让|曝光|骂|说|$)|曝光|骂|挂|让(?:大家|别人|所有人|网友)|告诉大家|揭|避雷|吐槽)|(?:再不|不(?:退|处理|解决|赔))[^。!！?？]{{0,16}}发{_SITES}|(?:去|上|在){_SITES}(?:上)?(?:避雷|挂你|骂你|投诉你)"
        r"|\b(?:(?:go(?:ing)?|take (?:this|it)|taking (?:this|it)) to the (?:press|media|newspapers?|news)|go(?:ing)? public|make (?:this|it|you) (?:go )?viral"
        r"|(?:call|contact|tell|write to|talk to) (?:the |a )?(?:press|media|newspapers?|journalists?|reporters?|news)\b(?! (?:team|office|department|contact|kit|relations|desk)))\b"
        rf"|\b(?:expos(?:e|ing)|spread(?:ing)?) (?:this|it|you|the truth)\b.{{0,30}}?\b{_SITES_EN}\b", re.I)),
    ("chargeback", re.compile(
        r"(?<!被)(?<!银行)拒付|银行(?:申诉|撤单|止付)|(?:找|去|向)银行(?:投诉|申诉|撤)|支付宝投诉|微信支付投诉"
        r"|\b(?:charge-?back|a charge back|dispute (?:the|this|it) (?:charge|payment|transaction|with)|dispute (?:it|this|with my bank)|reverse the (?:charge|payment)|paypal (?:claim|dispute|case)"
        r"|claim with my bank)\b", re.I)),
)  # fmt: skip
# What many also say who mean no harm: no threat in a question, nor beside the second words.
WEAK_THREATS: tuple[tuple[Threat, re.Pattern[str], re.Pattern[str]], ...] = (
    ("press", re.compile(
        rf"\b{_MEAN_TO} (?:[\w']+ ){{0,4}}?(?:post(?:ing)?|tweet(?:ing)?|put(?:ting)?) (?:this|it|about (?:you|this|it|how)|you|the truth|your|our|everything|screenshots?|what you|how you)\b.{{0,50}}?\b{_SITES_EN}\b"
        rf"|\b{_MEAN_TO} (?:[\w']+ ){{0,4}}?shar(?:e|ing) (?:(?:this|it)\b.{{0,50}}?\b(?:everyone|everybody|everywhere|people know|all over|how (?:you|bad)|what you)\b|(?:about you|the truth|our chat|screenshots?|what you|how you)\b.{{0,40}}?\b{_SITES_EN}\b)"
        r"|\b(?:post|put|plaster|spread|share|be)(?:ing|ed)?\b.{0,30}?all over (?:social media|the internet|twitter|facebook|tiktok|reddit|instagram)\b", re.I),
     re.compile(
        r"\b(?:love[sd]? (?!how|to\b)|great (?!way)|gorgeous|beautiful|so happy|very happy|happy with|excited|nice|awesome|amazing|perfect|pretty|cute|tag(?:ging)? you|hashtag|discount|coupon|giveaway|contest|points|reward|cashback|influencer|collab\w*)\b|[😍🥰❤]", re.I)),
    ("chargeback", re.compile(
        rf"(?:\b(?:{_MEAN_TO}|next i|time to)\s+(?:[\w']+ ){{0,3}}?(?:call|contact|tell|go to)(?:ing)?|(?:^|[.,;!])\s*(?:calling|contacting)) my (?:bank|(?:credit )?card (?:company|issuer|provider))\b", re.I),
     re.compile(
        r"\b(?:payment|card|transaction|checkout|purchase|transfer)\b[^.!?]{0,24}\b(?:declin\w*|fail\w*|reject\w*|block\w*|not (?:go|work|accept)\w*|didn'?t (?:go|work)|doesn'?t work|limit)\b|\b(?:declined|unlock|unblock|limit|authori[sz]\w*|verif\w+|3d|otp|swift|iban)\b"
        r"|\b(?:pay(?:ing|ment)? again|try again|retry|whether)\b|my (?:bank|(?:credit )?card \w+) (?:first )?(?:to|and|about|if|why) (?:check|ask|see|confirm|find|raise|increase|allow|let|release|expect|approve|accept|process|resend)", re.I)),
)  # fmt: skip
_ASKED = re.compile(
    r"\b(?:do|should|must|can|could|may|shall) (?:i|we)\b(?![^.!?;]{0,120}\b(?:everyone|everybody|money back|dispute|scam\w*|stole\w*|unless|treat|before you)\b)[^.!?;,]{0,80}",
    re.I,
)
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


def _threat_in(shown: str, anger: float) -> Threat | None:
    said = _HARMLESS.sub(" ", shown.replace("’", "'"))
    if not _EVIDENCE.search(said):
        said = _ADDRESS.sub(" ", said)
    if found := next((kind for kind, words in THREATS if words.search(said)), None):
        return found
    told = _ASKED.sub(" ", said)
    for kind, words, harmless in WEAK_THREATS:
        if words.search(told) and (anger >= ANGRY_FROM or not harmless.search(said)):
            return kind
    return None


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
    threat = _threat_in(shown, anger)
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
