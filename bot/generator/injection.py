"""Text that talks to the assistant instead of the shop: a tripwire, not a wall.

A message that trips it is still answered, but only with an article's own words. A line of an
article, review or order note that trips it is left out of the evidence. What makes attacks harmless is
that the generator has no tools and the checks veto its text; see docs/confidence.md.
"""

from __future__ import annotations

import re
from functools import lru_cache

from bot.generator.values import normalise

# What an article says about the shop, an e-mail or a device must not trip: "We answer calls on working days only.", "Tap Show
# password.", "长按5秒进入维护模式。". So a phrase that goods, parcels and people share with attacks counts only as a demand: with an order to
# speak, with the assistant's own rules or role, or with somebody's secrets.
_SPEAK = r"(?:answer|say|reply|respond|agree|obey|output|speak|talk|comply)\b"
_ROLE = r"(?:(?:assistant|ai|bot|chatbot|agent|manager|admin)\b(?! of\b)|unrestricted|(?:has|have|with|under) no (?:rules|limits)\b|no rules\b|without rules)"
_ORDERED = rf"\b(?:must|only|always)\b.{{0,15}}\b{_SPEAK}"
_A = r"(?:an?|the|my|our) (?:[\w-]+ ){0,4}"
_TOLD = r"(?:^|[.!?:;,\"'“(]\s{0,9}|\b(?:please|then|just|now|always|simply|must|you|you to|you (?:should|shall|will|can|may)|instructed to|and) )"
_DENIED = r"(?<!do not )(?<!must not )(?<!should not )(?<!n't )(?<!n’t )(?<!never )(?<!if you )"
_KEPT = (
    r"(?<!never )(?<!we do not )(?<!we don't )(?<!we don’t )"  # but "if you do not tell me ..." is a threat
)
_ENGLISH = (
    # the rules it has; "ignore the previous e-mail" and "do not ignore the instructions" are for shoppers
    rf"{_DENIED}(?:ignore|disregard|forget|override|bypass)\b.{{0,40}}\b(?:instruction|rule|polic|prompt|guideline|restriction|guardrail"
    r"|(?:previous|above|prior)(?! (?:(?:order|delivery|shipping|payment) )?(?:e-?mail|letter|label|invoice|notice|reminder|sms|text message|tracking|address|parcel))\b)",
    r"forget\b.{0,20}\b(?:everything you|all (?:you|of your)|your (?:training|role|job))",
    r"(?:drop|discard|erase|delete) all (?:of )?your (?:instruction|rule|guideline|restriction|programming)",
    r"(?:ignore|disregard)\b.{0,20}\b(?:the|all) (?:documents?|articles?(?! number)|context|sources?|evidence)",
    r"(?:system|developer|hidden|initial)\s*(?:prompt|instruction)|developer (?:mode|message)|hidden message|your (?:system|initial) message",
    r"(?:reveal|print|repeat|output|leak|dump|show me|tell me)\b.{0,60}\bsystem message|new instructions follow|(?:beginning|start|top) of (?:this|the|your) prompt",
    r"forget (?:about )?everything (?:above|before|that|you|i)\b|forget all (?:the )?(?:previous|prior|above)",
    r"(?<![a-z])(?:dan|god|admin|root) mode\b|jailbreak"
    r"|(?<![a-z])(?:debug|maintenance) mode\b[^.!?\n]{0,30}\b(?:you (?:are|must|will|have)|print|reveal|answer|reply|respond|output)\b"
    r"|you(?: are|['’]re)(?: now)? in (?:debug|maintenance) mode",
    # the role it plays
    rf"(?<!if )(?<!when )(?<!once )(?<!unless )(?<!whether )(?<![a-z])(?:you are|you['’]re) (?:now |not |just |really |actually |going to be |to be )*{_A}(?:{_ROLE}|{_SPEAK})",
    rf"(?<![a-z])(?:you are|you['’]re) (?:{_A}|now |to )[^\n]{{0,60}}?(?:{_ORDERED}|\bmy instructions\b|\bunrestricted\b|(?:without|has|have|with|under|no) (?:any )?(?:rules|limits)\b)",
    r"(?<![a-z])(?:you are|you['’]re) now (?:called|named|playing|acting|free (?:of|from)|unrestricted|dan\b|(?:\w+ ?)?gpt\b|(?:an?|the|my) (?:[\w-]+ ){0,3}(?:model|character|persona|hacker|pirate|terminal|interpreter|robot|machine)\b)|\byou are now \w*(?:bot|gpt)\b|(?-i:\b[Nn]ow you are [A-Z][a-z])",
    r"\bif you are an? (?:ai|bot|chatbot|large language)\b|\byou(?: are|['’]re) (?:going|about) to (?:pretend|immerse yourself)|do anything now\b|free of the (?:typical )?confines",
    rf"(?<!can )(?<!also )(?<!could )(?<!it )\bact as\b[^\n]{{0,60}}?\b(?:{_ROLE}|{_ORDERED})",
    rf"(?<!who )(?<!may )(?<!might )(?<!they )(?<!people )\bpretend (?:to be|you)\b[^\n]{{0,60}}?\b(?:now|{_ROLE}|instruction|must|only|always|agree)",
    r"role-?play(?:ing)?\b(?! (?:costume|set|outfit|toy|dress|accessor))[^\n]{0,60}?\b(?:now|assistant|ai|bot|unrestricted|no (?:rules|limits)|must|only|always|agree)\b",
    r"from now on\b.{0,20}\b(?:you (?:are|have no|must|only|always|have to|shall|act|(?:can|will) (?:act|answer|respond|reply|say|speak|only|always|not|have to|be an?))\b|your (?:name|role)|assistant|ai\b|bot\b|answer|reply|respond)",
    r"your new (?:role|instruction|task|goal)s?\b(?! (?:manual|booklet|sheet|leaflet)).{0,60}\b(?:now|assistant|ai|bot|agent|manager|admin|unrestricted|instruction|must|only|always|agree)\b",
    r"act as (?:if you|my|an? (?:\w+ )?(?:terminal|interpreter|console|linux|hacker|pirate|persona|dan))",
    r"you (?:are|will be) role-?playing|language model\b|your own knowledge",
    r"(?:want|need|order|command) you to (?:act as|pretend|behave|play|just say|say|output|ignore|forget)",
    r"(?:answer|reply|act|respond|speak|talk|behave)\b.{0,20}(?:without|no) (?:any )?(?:restrictions|filters|limits|guardrails|rules)\b",
    r"(?:safety|security) protocols?\b.{0,20}(?:disabled|off|suspended|bypass)",
    # its secrets and other people's; a button "Show password" is none
    rf"{_KEPT}(?<![a-z])(?:reveal|print|show|repeat|output|leak|dump|tell me)\b.{{0,40}}(?:your (?:instructions|rules|prompt)|system prompt|training data|api key|(?:your|any|all) secrets\b"
    r"|\b(?:admin\w*|root|system|database|staff|employee|owner|all|customers?|users?) password|other customers?['’]?s? (?:data|orders?|address|names?|phone|numbers?|info|detail|e-?mail|account|private|payment))"
    rf"|{_KEPT}(?<![a-z])(?:reveal|leak|dump|tell me|(?:show|print|send|give) (?:me|us))\b.{{0,40}}(?<!my )(?<!reset )\b(?:password|secret)\b(?! (?:code|pin))"
    r"|(?<![a-z])(?:reveal|print|show|repeat|output|leak|dump|tell me) (?:out |me |us |back )?(?:all of |the whole of )?the (?:\w+ )?prompt\b|print above prompt",
    # the words it must use; "We answer calls on working days only" and "Write the following on the parcel" are none
    rf"{_TOLD}(?:say|reply|respond|answer|output)\b[^.!?\n]{{0,20}}\b(?:exactly|only)\b(?! (?:what|which|where|when|how|why|on|during|from|between|after|before|at|if|once|within|by|to|until|calls?|messages?|e-?mails?|questions?)\b)\s*[\w\"'“‘:(]",
    r"(?:say|reply|respond|answer|output|write)\b[^.!?\n]{0,30}\b(?:verbatim|word for word)\b|repeat after me|end (?:each|every) (?:response|reply|sentence) with",
    r"(?:say|reply|respond|answer|output|write)\b[^.!?\n]{0,20}\b(?:exactly the following|the following (?:\w+ ){0,2}(?:and nothing else|only|exactly))",
    rf"{_TOLD}(?:say|reply|respond|output)\b[^.!?\n]{{0,20}}\bthe following(?: (?:text|words?|sentence|message|reply|answer|phrase))?\s*:",
    r"you (?:can|may|must|will) only (?:say|answer(?! (?:the )?(?:phone|calls?|door))|reply)|how (?:a|the) (?:bot|chatbot|ai) would",
    # what is hidden, framed as a note to it, or promised in somebody's name
    r"(?:decode|translate)\b.{0,40}\b(?:and|then) (?:follow|obey|execute|run)|\b(?:and|then) obey\b|#{2,}\s*instruction\s*:",
    r"the (?:ai|assistant|chatbot) (?:must|shall|is to)\b(?! be \w+(?:ed|n|t)\b)|dear (?:ai|bot|model)\b|note to (?:the )?(?:ai|assistant|bot|model)",
    r"(?<![a-z])(?:ai|assistant|chatbot)s?\b.{0,20}(?:must|should|shall)\b(?! be \w+(?:ed|n|t)\b)[^\n]{0,60}\b(?:refund|approve|say|tell|answer|reply|grant|offer|give|ignore)"
    r"|\bmodels? (?:must|should|shall) (?:always |only |now |then )?(?:say|answer|reply|ignore|approve|refund|grant)\b",
    r"(?:i am|this is|i['’]m)\b.{0,20}(?:your (?:developer|creator|boss|manager|administrator)|the (?:admin|ceo|developer|store owner)|openai|anthropic|google)\b",
    r"(?:colleague|supervisor) (?:has )?already (?:agreed|approved|promised|confirmed) to\b|no takes(?:ies)? backs(?:ies)?",
    r"(?<!you )\b(?:agree|confirm|promise|say|state|repeat)\b(?: to me| with me)?(?: that\b|:| [\"'“])[^\n]{0,80}legally binding|that['’]s a legally binding",
    r"<\|?(?:im_start|im_end|system|start_of_turn)|\[/?inst\]|<<sys>>",
    r"^[ \t]{0,9}#{0,3}[ \t]{0,9}(?:system|assistant|developer)\s*:(?!\s*(?:android|ios|windows|mac\s?os|linux|harmonyos)\b)",
)
_HEARD = r"(?<!不)(?<!不要)(?<!请勿)(?<!切勿)(?<!不可)(?<!不能)(?<!不会)(?<!不得)"
_CHINESE = (
    # the rules it has; 忘记密码请按提示重置 and 忽略之前的短信 are for shoppers
    rf"{_HEARD}(?:忽略|无视|忘记|忘掉|抛弃|跳过|绕过|不要(?:再)?(?:遵守|管|理会)|覆盖|推翻)[^,，。!！?？;；\n]{{0,8}}(?:之前|以上|上面|前面|上述|先前|所有|全部|一切|任何|你|系统|原有|原来|原先|这些|那些)[^。!！?？\n]{{0,14}}(?:指令|规则|设定|提示|要求|限制|政策|内容|对话|约束)",
    rf"{_HEARD}(?:忽略|无视|抛弃|忘掉|绕过|不要(?:再)?遵守|推翻)(?:掉|了)?(?:指令|规则|设定|限制|政策|约束)",
    rf"{_HEARD}(?:忽略|无视|忘掉|忘记)(?:掉|了)?(?:上面|之前|以上|前面)(?!.{{0,6}}(?:短信|邮件|消息|通知|提醒|地址|订单|快递|包裹|备注))",
    r"(?:系统|开发者|隐藏|初始)(?:提示词|指令)|(?:你的|把你|输出|复述|显示你).{0,6}系统(?:提示|消息|设定)|告诉(?!我们|客服).{0,6}系统(?:提示|消息)|提示词|越狱",
    r"(?:开发者|管理员|上帝|无限制|不受限)(?:模式|权限)|(?:维护|测试|调试)模式.{0,10}(?:你|回答|回复|输出|告诉)|你.{0,8}(?:维护|测试|调试)模式",
    r"解除(?:你|对你|所有|一切|全部|AI|自身|内容|道德|安全|系统).{0,4}限制",
    # the role it plays; 角色扮演服装 and 扮演公主的裙子 are goods, 假装客服的骗子 a warning
    r"(?:你(?:现在|从现在(?:开始|起)|以后)|(?:从现在(?:开始|起)|接下来)[,，]?.{0,6}你)[,，]?.{0,4}(?:是(?:一个|一名|一位|一只|个|我|不受|没有|无限制|无所不|AI|DAN|人工智能|店长|老板|经理)|扮演|充当|必须|只能(?:说|回|按|用|听|输出)|要(?:听|按)|进入.{0,6}模式|不再是)",
    r"从现在(?:开始|起)[,，]?(?:必须|只能|要)(?:听|按|说|回|照)|你的新(?:身份|任务|角色|指令)",
    r"(?<!让)(?<!帮)(?<!助)你.{0,3}扮演|(?:^|请)[ \t]{0,9}扮演|扮演(?:一个|一名|一位)?(?:没有|不受|AI|人工智能|助手|黑客|客服|管理员|老板|店长)",
    r"假装你|(?:请|(?<!向)(?<!对)你(?:要|来|先|就|现在)?)假装(?:自己)?(?:是|成|已)|^[ \t]{0,9}假装(?:自己)?(?:是|成|已)",
    r"角色扮演(?!类|服|装|衣|套|道具|用品|玩具|假发|游戏(?:机|光盘|碟))",
    # its secrets and other people's
    rf"{_HEARD}(?:告诉|输出|显示|打印|复述|泄露|透露|发给我|列出|说出)(?:我|出来?)?.{{0,8}}(?:系统(?:指令|规则|密码)|提示词|你的(?:指令|规则|设定)|内部(?:规则|规定|资料|底价)|管理员密码|密钥|后台(?:数据|密码|账号)|其他(?:顾客|客户|用户|买家)的|别人的(?:订单|地址|电话|信息)|数据库)",
    # the words it must use; 短信请直接回复：1 is for shoppers
    r"(?:只(?:能|需|要)?|必须|直接|原样|照着|跟我|逐字)(?:回复|回答|输出|说|念|重复)(?:我(?:说|的话)|(?:以下|下面)(?!.{0,3}(?:问题|信息|资料))|一遍)|(?:原样|照着|跟我|逐字|只)写(?:我(?:说|的话)|以下|下面|一遍)",
    r"(?:只能?|必须|原样|照着|跟我|逐字)(?:回复|回答|输出|说|念|重复):|只能?(?:回复|回答|输出)[“\"'「]|每句话(?:都|后面|结尾)|跟我念|重复(?:我|以下|下面)(?:的|说)(?!步骤|操作|动作|流程)",
    # authority over it; 我们是官方旗舰店 is the shop itself
    r"(?:我是|本人是)(?:你的|你们|贵店|店里|公司|平台|系统)?(?:的)?.{0,6}(?:开发者|管理员|老板|店长|店主|主管|经理|总监|工程师|技术|运营|官方(?!旗舰|正品|授权|直营|自营|认证|网站|商城|专卖|店)|工作人员|客服主管|审核|CEO)",
    r"(?:我们是|这里是)(?:你的?|你们的?|贵店的?|平台|系统|公司|官方)(?:的)?.{0,6}(?:开发者|管理员|老板|店长|主管|经理|总监|工程师|技术人员|运营人员|工作人员|审核|CEO)",
    # a note to it, or a promise in the shop's name
    r"(?:AI|人工智能|客服助手|智能客服|客服机器人|聊天机器人|(?<!语音)(?<!智能)助手)(?:请|必须|应当|应该|需要|看到|读到|在读)|致(?:AI|机器人|智能客服)|给(?:AI|机器人|智能客服)的(?:话|指令|备注)",
    r"(?:回复|回答|说|写|输出|复述)(?:一?[句下声])?[:,]?\s*[“\"「『'‘].{0,20}具有法律效力|(?:此|这|你.{0,4})(?:个|句|份|条|次)?的?(?:承诺|话|回复|回答|答复)(?:都|均|就|是)?具有法律效力",
    r"(?:你|回复|回答|答复|这句).{0,12}(?<!不)(?<!不能)(?<!不得)(?<!不应)(?:视为|等同)(?:于)?(?:正式)?(?:承诺|合同)",
    r"^[ \t]{0,9}(?:系统|管理员|system)\s*[:\]】](?!\s*(?:安卓|鸿蒙|android|ios|windows|mac\s?os|linux|harmonyos)\b|\s*(?:安卓|鸿蒙))|【(?:系统|管理员|内部)(?:】|:|消息|指令|命令|授权|最高|通知|规则|人员)|【(?:重要指令|最高指令)",
)
_PATTERNS = re.compile("|".join((*_ENGLISH, *_CHINESE)), re.I | re.M)
_JOINTS = re.compile(
    r"(?<=[\u4e00-\u9fff])[\s·._*\-|/]+(?=[\u4e00-\u9fff])|[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
_SPELLED = re.compile(r"\b(?:[a-z][ ._*-]){4,}[a-z]\b", re.I)


def looks_like_injection(text: str) -> bool:
    """Whether a text tries to steer the assistant. Sees through full-width letters and spaced-out words."""
    folded = _JOINTS.sub("", normalise(text))
    if _PATTERNS.search(folded):
        return True
    spelled = _SPELLED.sub(lambda m: re.sub(r"[ ._*-]", "", m[0]), folded)
    return spelled != folded and bool(_PATTERNS.search(spelled))


@lru_cache(maxsize=4096)  # the same articles come up again and again
def without_injection(text: str) -> str:
    """The text without the lines that trip the wire: what stands beside an attack is not trusted either."""
    if not looks_like_injection(text):
        return text
    joined = "\n".join(line for line in text.splitlines() if not looks_like_injection(line))
    return "" if looks_like_injection(joined) else joined
