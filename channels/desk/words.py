"""What a waiting shopper is told by the desk itself, in both languages.

Positions and times are what is known, never a promise nobody keeps: a usual wait is only told when enough
cases of the last day say so.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from bot.formats import format_datetime
from bot.message import Language

SENTENCES: dict[str, dict[Language, str]] = {
    "next": {"zh": "您是下一位。", "en": "You are next."},
    "position": {"zh": "您前面还有 {n} 位。", "en": "There are {n} people before you."},
    "position_one": {"zh": "您前面还有 1 位。", "en": "There is one person before you."},
    "usual": {
        "zh": "最近大家一般等 {minutes} 分钟左右。",
        "en": "Lately the wait has been about {minutes} minutes.",
    },
    "soon": {"zh": "最近大家一般等不到 2 分钟。", "en": "Lately the wait has been under 2 minutes."},
    "keep": {
        "zh": "您可以继续补充情况，同事都能看到，不必一直守着。",
        "en": "Feel free to add details meanwhile; my colleague will see everything, and you need not keep watching.",
    },
    "notice": {
        "zh": "让您久等了，同事们这会儿都在忙，还没有人接手。{position}您可以在这里留言（订单号、遇到的问题、希望怎么处理），"
        "同事会按顺序在这里回复您。",
        "en": "Sorry for the wait: everybody is busy and nobody has taken this yet. {position} You can leave word here "
        "(order number, what went wrong, what you would like) and a colleague will reply here in turn.",
    },
    "closed_now": {
        "zh": "人工客服现在不在上班时间，{opening}上班。我们最晚会在 {promised} 前在这里回复您。",
        "en": "Our people are not at work now; they are back at {opening}. You will have a reply here by {promised} at the latest.",
    },
    "closed_long": {
        "zh": "人工客服现在不在上班时间，上班后会按顺序在这里回复您。",
        "en": "Our people are not at work now. You will get a reply here, in turn, when they are back.",
    },
    "ask_order": {
        "zh": "为了到时直接处理，请先把订单号和遇到的问题发在这里。",
        "en": "So that they can start right away, please leave your order number and what happened here.",
    },
    "ask_photo": {
        "zh": "为了到时直接处理，请先发一两张能看清问题的照片。",
        "en": "So that they can start right away, please send a photo or two that show the problem.",
    },
    "ask_more": {
        "zh": "您可以先把情况和希望怎么处理发在这里，到时不用再说一遍。",
        "en": "You can leave the details and what you would like here, so you need not repeat them.",
    },
    "broken": {
        "zh": "非常抱歉，我们没能在答应您的时间前回复。您的会话已排到最前面，同事会尽快在这里联系您。",
        "en": "We are very sorry: we did not reply by the time we promised. You are now first in line and a colleague will write here as soon as possible.",
    },
    "requeued": {
        "zh": "抱歉让您等了。接待您的同事暂时没法回复，我已请其他同事优先接手。{position}",
        "en": "Sorry to keep you waiting. The colleague who was helping you is held up, so I have asked others to take over, with priority. {position}",
    },
    "passed_on": {
        "zh": "已为您转给其他同事继续处理，之前的内容他们都能看到。{position}",
        "en": "You are being passed on to another colleague, who can see everything so far. {position}",
    },
    "back": {"zh": "先和智能客服聊", "en": "Go on with the assistant"},
    "returned": {
        "zh": "{agent}留给您的话：{note}",
        "en": "A word from {agent}: {note}",
    },
    "returned_promise": {"zh": "我们会在 {promised} 前跟进。", "en": "We will follow up by {promised}."},
    "rated": {"zh": "收到，感谢您的评价！", "en": "Noted, thank you for your rating!"},
    "rated_low": {
        "zh": "收到，感谢您直说。很抱歉这次没让您满意，我们会看这次会话。",
        "en": "Noted, and thank you for saying so. I am sorry it was not better; we will look at this conversation.",
    },
    "colleague": {"zh": "同事", "en": "our colleague"},
}


def sentence(key: str, language: Language, **values: object) -> str:
    """One of the sentences."""
    return SENTENCES[key][language].format(**values)


def position(ahead: int, usual_wait: int | None, language: Language) -> str:
    """Where the shopper stands. `usual_wait` in ms, when known."""
    if ahead == 0:
        where = sentence("next", language)
    elif ahead == 1:
        where = sentence("position_one", language)
    else:
        where = sentence("position", language, n=ahead)
    if usual_wait is None:
        return where
    minutes = round(usual_wait / 60_000)
    wait = sentence("soon", language) if minutes < 2 else sentence("usual", language, minutes=minutes)
    return where + wait if language == "zh" else f"{where} {wait}"


def clock_time(at: int, language: Language, zone: ZoneInfo) -> str:
    """A time (ms) as a shopper reads it."""
    return format_datetime(datetime.fromtimestamp(at / 1000, UTC), language, zone)


def join(language: Language, *parts: str) -> str:
    """Sentences, one after the other."""
    return ("" if language == "zh" else " ").join(part for part in parts if part)
