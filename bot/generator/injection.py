"""Text that talks to the assistant instead of the shop: a tripwire, not a wall.

A message that trips it is still answered, but only with an article's own words. A line of an
article, review or order note that trips it is left out of the evidence. What makes attacks harmless is
that the generator has no tools and the checks veto its text; see docs/confidence.md.
"""

from __future__ import annotations

import re
from functools import lru_cache

from bot.generator.values import normalise

_PATTERNS = re.compile(
    r"(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:instruction|rule|polic|prompt|previous|above|prior|guideline|restriction|guardrail)"
    r"|(?:system|developer|hidden|initial)\s*(?:prompt|message|instruction|mode)|\b(?:dan|developer|god|debug|admin|root|maintenance) mode\b|jailbreak"
    r"|(?:you are|you're|act as|pretend (?:to be|you)|role-?play|from now on|your new (?:role|instruction|task|goal))\b.{0,60}(?:now|assistant|ai|bot|agent|manager|admin|unrestricted|no (?:rules|limits)|instruction|must|only|always|agree)"
    r"|(?:reveal|print|show|repeat|output|leak|dump|tell me)\b.{0,40}(?:your (?:instructions|rules|prompt)|system prompt|the prompt|training data|api key|password|secret|other customer)"
    r"|(?:say|reply|respond|answer|output|write)\b.{0,30}(?:exactly|only|verbatim|word for word|the following)|repeat after me|end (?:each|every) (?:response|reply|sentence) with"
    r"|forget\b.{0,20}\b(?:everything you|all (?:you|of your)|your (?:training|role|job))|(?:drop|discard|erase|delete) all (?:of )?your (?:instruction|rule|guideline|restriction|programming)|(?:ignore|disregard)\b.{0,20}\b(?:the|all) (?:documents?|articles?|context|sources?|evidence)"
    r"|language model\b|your own knowledge|(?:want|need|order|command) you to (?:act as|pretend|behave|play|just say|say|output|ignore|forget)|act as (?:if you|my|an? (?:\w+ )?(?:terminal|interpreter|console|linux|hacker|pirate|persona|dan))"
    r"|you (?:are|will be) role-?playing|(?:answer|reply|act|respond|speak|talk|behave)\b.{0,20}(?:without|no) (?:any )?(?:restrictions|filters|limits|guardrails|rules)\b|(?:safety|security) protocols?\b.{0,20}(?:disabled|off|suspended|bypass)"
    r"|(?:decode|translate)\b.{0,40}\b(?:and|then) (?:follow|obey|execute|run)|\b(?:and|then) obey\b|the (?:ai|assistant|chatbot) (?:must|shall|is to)\b|dear (?:ai|bot|model)\b|#{2,}\s*instruction\s*:"
    r"|you (?:can|may|must|will) only (?:say|answer|reply)|how (?:a|the) (?:bot|chatbot|ai) would|(?:colleague|supervisor) (?:has )?already (?:agreed|approved|promised|confirmed) to\b"
    r"|legally binding|no takes(?:ies)? backs(?:ies)?|<\|?(?:im_start|im_end|system|start_of_turn)|\[/?inst\]|<<sys>>|^\s*#{0,3}\s*(?:system|assistant|developer)\s*:(?!\s*(?:android|ios|windows|mac\s?os|linux|harmonyos)\b)"
    r"|note to (?:the )?(?:ai|assistant|bot|model)|(?:ai|assistant|chatbot|model)s?\b.{0,20}(?:must|should|shall)\b.{0,60}(?:refund|approve|say|tell|answer|reply|grant|offer|give|ignore)"
    r"|(?:i am|this is|i'm)\b.{0,20}(?:your (?:developer|creator|boss|manager|administrator)|the (?:admin|ceo|developer|store owner)|openai|anthropic|google)\b"
    r"|(?:忽略|无视|忘记|忘掉|抛弃|跳过|绕过|不要(?:再)?(?:遵守|管|理会)|覆盖|推翻).{0,20}(?:指令|规则|设定|提示|要求|限制|政策|内容|对话|上面|之前|以上|前面|约束)"
    r"|(?:系统|开发者|隐藏|初始)(?:提示词|指令|设定|模式)|(?:你的|把|告诉|输出|复述|显示你).{0,6}系统(?:提示|消息)|提示词|越狱|(?:开发者|管理员|调试|上帝|维护|测试|无限制|不受限)(?:模式|权限)|解除.{0,6}限制"
    r"|(?:你(?:现在|从现在起|以后)|从现在(?:开始|起)|接下来)[，,]?.{0,10}(?:你)?(?:是|扮演|充当|必须|只能|要(?:听|按)|进入|不再是)|扮演(?:一个|一名|我的|成)?|假装(?:你|自己)?(?:是|成|已)|角色扮演|你的新(?:身份|任务|角色|指令)"
    r"|(?:告诉|输出|显示|打印|复述|泄露|透露|发给我|列出|说出)(?:我|出来?)?.{0,8}(?:系统(?:提示|指令|设定|规则|密码)|提示词|你的(?:指令|规则|设定)|内部(?:规则|规定|资料|底价)|管理员密码|密钥|后台(?:数据|密码|账号)|其他(?:顾客|客户|用户|买家)的|别人的(?:订单|地址|电话|信息)|数据库)"
    r"|(?:只(?:能|需|要)?|必须|直接|原样|照着|跟我|逐字)(?:回复|回答|输出|说|念|写|重复)(?:我(?:说|的话)|以下|下面|一遍|[:：])|只(?:能|需|要)?(?:回复|回答|输出)[“\"'「]|每句话(?:都|后面|结尾)|跟我念|重复(?:我|以下|下面)(?:的|说)"
    r"|(?:我是|这里是|本人是|我们是)(?:你的|你们|贵店|店里|公司|平台|系统)?(?:的)?.{0,6}(?:开发者|管理员|老板|店长|店主|主管|经理|总监|工程师|技术|运营|官方|工作人员|客服主管|审核|CEO)"
    r"|(?:AI|人工智能|客服助手|智能客服|客服机器人|聊天机器人|助手)(?:请|必须|应当|应该|需要|看到|读到|在读)|致(?:AI|机器人|智能客服)|给(?:AI|机器人|智能客服)的(?:话|指令|备注)"
    r"|具有法律效力|(?:视为|等同)(?:正式)?(?:承诺|合同)|(?:^|\n)\s*(?:系统|管理员|system)\s*[:：\]】](?!\s*(?:安卓|鸿蒙|android|ios|windows|mac\s?os|linux|harmonyos)\b|\s*(?:安卓|鸿蒙))|【(?:系统|管理员|内部|重要指令|最高指令)",
    re.I | re.M,
)
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
