"""A person is asked for: the conversation changes hands, with what is known so far."""

from __future__ import annotations

import re
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import ActiveLoop, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.names import PERSON
from actions.packet import proven_facts, task_facts
from actions.replies import button, hand_over, say
from actions.tasks import Stack
from actions.turn import read_turn
from bot.normalise import simplified
from bot.references import fold

# Asked honestly, answered honestly: nobody is sent to a person for wanting to know. Only the question alone counts: who
# says more ("are you a bot? get me a person") has come for a person.
_WHO_ZH = (
    r"(?:(?:一?个|一台|真的?|活的?|智能|ai|在线|你们的?)*"
    r"(?:机器人?|人工智能|智能客服|ai|chatgpt|自动回复|真人|活人|人工|人类|人|程序|活的)(?:客服|助手|坐席|在?(?:线|说话|聊天|回复|回答))*)"
)
_ARE_YOU_ZH = (
    r"(?:现在)?(?:(?:你|您|这|那|对面|对方|客服|在?(?:跟|和|与|同)我(?:说话|聊天|对话|沟通|聊)的)(?:们|里|边|这?个|人?客服)*|(?<![\u3400-\u9fff]))"
    r"(?:现在|到底|究竟|其实|应该|该|真的|就|这|都|也)*(?:是不是|不会是|难道是|不是|是)"
)
_OR_ZH = rf"(?:[吗吧么嘛呀啊呢]*[,?\s]*(?:还是|或者?|or)(?:说|是)*{_WHO_ZH})*"
_END_ZH = r"(?:[吗吧么嘛呀啊呢哦]+|对[吗吧]|(?![^\W\d_]))"
_WHO_EN = (
    r"(?:(?:an?|the|just|only|real|really|actual|actually|live|living|genuine|human|automated|virtual|ai|some|kind of|sort of|another|even|still)\s+)*"
    r"(?:(?:ro|chat ?)?bots?|ais?|machine|computer|program|chatgpt|(?:auto(?:mated|matic)?|ai) ?(?:reply|replies|responses?|system|assistant|messages?)|automated"
    r"|humans?(?: being)?|person|people|real|(?:some|any)(?:one|body) real|agent|representative)\b"
)
_TALK_EN = r"(?:am|do) i (?:(?:really|actually|now|just|still) )*(?:talk|speak|chatt?|text)(?:ing)?(?: here)? (?:to|with)"
_ARE_YOU_EN = rf"(?:(?:are|r) (?:you|u)|is (?:this|that|it)(?: chat)?|{_TALK_EN})"
IS_IT_A_BOT = re.compile(
    rf"{_ARE_YOU_ZH}{_WHO_ZH}{_OR_ZH}{_END_ZH}"
    rf"|我(?:现在)?(?:(?:是不是|是)在?|在)(?:跟|和|与|同){_WHO_ZH}{_OR_ZH}(?:说话|聊天|对话|沟通|交流|讲话|聊)(?:[吗么吧嘛]+|(?=\s*[?]))"
    r"|(?<![\u3400-\u9fff])机器人(?:客服)?(?:[吗么吧嘛]+|(?=\s*[?]))"
    rf"|\b{_ARE_YOU_EN}\s+{_WHO_EN}(?:,?\s*or (?:{_ARE_YOU_EN}\s+)?(?:{_WHO_EN}|not\b|what\b))*(?: (?:that )?i'?m (?:talking|speaking|chatting) (?:to|with))?"
    rf"|\bwho(?:m| is this| are you|,| {_TALK_EN})+,?\s*{_WHO_EN} or {_WHO_EN}"
    rf"|\b(?:you(?:'?re| are| r)?|u(?: r)?|this is|if (?:i am|i'm) (?:talking|speaking|chatting) (?:to|with))\s+{_WHO_EN}(?: or {_WHO_EN})*"
    r"(?=\s*(?:[?]|,?\s*(?:right|aren'?t you|isn'?t it|huh|correct|no|yes)\b[\s?]*$))",
    re.I,
)
# What may stand beside the question without being more: a greeting, a please, why it is asked.
_SAID_BESIDE = re.compile(
    r"请问|想问|(?:我)?(?:就|只是|随便)?(?:想)?(?:问|知道)(?:一下|下|问|个)?|好奇|你好|您好|哈喽|在[吗么]|亲|谢谢|麻烦|说实话|老实(?:说|回答)|(?:回答|告诉)我|真的假的|真的|对吧|是吧|对不对|是不是"
    r"|(?:我)?(?:怎么)?(?:感觉|觉得)(?:你)?(?:像|是)?(?:个|在)?(?:跟|和)?(?:机器人|真人)(?:一样|似的|说话|聊天)*|(?:怎么)?(?:回复?|回答|打字)(?:得|的)?(?:这么|那么|好|太|真|挺)快"
    r"|[那嗯额呃哦喂诶欸哎咦嘿哈呵嗨啊呀吗吧呢么的了就所以]"
    r"|\b(?:just )?(?:curious|wondering|asking|checking)\b|\b(?:i|we) (?:(?:just|really|only) )*(?:want|wanted|need|would like|'?d like) to know\b|\b(?:quick|one|simple) question\b|\b(?:be|to be) honest\b"
    r"|\b(?:you|u) (?:sound|seem|write|feel) like (?:one|it|an? (?:bot|robot|machine))\b|\b(?:you|u) (?:reply|answer|type|respond)(?:ed)? (?:so|very|really|too) (?:fast|quick(?:ly)?)\b|\bthat was (?:fast|quick)\b|\byes or no\b"
    r"|\b(?:hi|hello|hey|there|dear|please|pls|so|ok|okay|well|wait|um+|uh+|hm+|huh|lol|haha+|sorry|excuse me|just|really|actually|honestly|seriously|tell me|can|could|may|you|i|me|ask|wonder|was|am|know|do|if|whether|or|and|but|right|now|here|again|thanks|thank|aren'?t|to)\b",
    re.I,
)


def only_asks_whether_bot(text: str) -> bool:
    """Whether a message asks who it is talking to, and nothing else."""
    said = simplified(fold(text)).replace("’", "'")
    left = IS_IT_A_BOT.sub(" ", said)
    return left != said and re.search(r"\w", _SAID_BESIDE.sub(" ", left)) is None


class ActionHuman(Action):
    def name(self) -> str:
        return "action_human"

    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> list[dict[str, Any]]:
        turn = read_turn(tracker)
        if only_asks_whether_bot(turn.text):
            say(
                dispatcher,
                "i_am_a_bot",
                turn.language,
                buttons=[button(PERSON[turn.language], "human_agent")],
            )
            return []
        return await give_to_person(dispatcher, tracker, "asked", "handoff_asked")


def order_under_way(tracker: Tracker) -> str | None:
    """The order the task is about, else the one last spoken of."""
    top = Stack.load(tracker.slots.get("tasks")).top
    return (top.order_number if top is not None else None) or tracker.slots.get("order_number")


async def give_to_person(
    dispatcher: CollectingDispatcher, tracker: Tracker, reason: str, response: str
) -> list[dict[str, Any]]:
    """Hand over with the task under way and the order as proven, and end it here: the person goes on with it."""
    turn = read_turn(tracker)
    top = Stack.load(tracker.slots.get("tasks")).top
    known = task_facts(top) if top is not None else {}
    number = order_under_way(tracker)
    known = {"order_number": number, **known, **await proven_facts(tracker.sender_id, number)}
    hand_over(
        dispatcher,
        response,
        turn.language,
        reason=reason,
        goal=top.topic if top is not None else None,
        packet={key: value for key, value in known.items() if value},
    )
    return left_to_person()


def left_to_person() -> list[dict[str, Any]]:
    """What Rasa has to forget when a person goes on: no question of ours stands any more."""
    return [
        SlotSet("tasks", None),
        SlotSet("goal", None),
        SlotSet("requested_slot", None),
        SlotSet("misses", 0),
        SlotSet("complaints", 0),
        ActiveLoop(None),
    ]
