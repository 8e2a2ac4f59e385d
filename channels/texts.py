"""The few sentences the gateway says itself, in both languages.

Everything about orders is said by the dialogue; these are about the conversation only.
"""

from __future__ import annotations

import re

from bot.language import detect_language
from bot.message import Language

TEXTS: dict[str, dict[Language, str]] = {
    "dialogue_down": {
        "zh": "抱歉，我这边暂时出了点问题，还没能处理您的消息。消息已经收到，恢复后我会马上接着处理。您也可以转人工客服。",
        "en": "Sorry, something on my side is not working right now, so I could not deal with your message yet. "
        "It is safely stored and I will go on as soon as I can. You can also ask for a person.",
    },
    "parked": {
        "zh": "很抱歉，刚才那条消息我没能处理成功，也无法确认是否办理了什么。请换个说法再发一次，或转人工客服。",
        "en": "I am sorry, I could not process that message, and I cannot confirm that anything was done. "
        "Please put it in other words, or ask for a person.",
    },
    "no_answer": {
        "zh": "抱歉，这一步我没能完成，请再发一次，或转人工客服。",
        "en": "Sorry, I could not complete this step. Please send it again, or ask for a person.",
    },
    "too_long": {
        "zh": "这条消息有点长（超过 {limit} 字），我怕漏看重点。麻烦把要点用 {limit} 字以内再发一次，好吗？",
        "en": "That message is rather long (over {limit} characters) and I would rather not miss the point. "
        "Could you send the essentials in up to {limit} characters?",
    },
    "ask_person": {"zh": "转人工客服", "en": "Talk to a person"},
    "handed_over": {
        "zh": "好的，已为您转接人工客服。请稍候，期间您发的消息客服都能看到。",
        "en": "All right, I have passed you on to a person. Please wait a moment; they can read what you write here.",
    },
    "back_to_bot": {
        "zh": "好的，我接着为您服务，请告诉我您需要什么。想找人工，随时说“转人工”。",
        "en": "All right, I'm here. Tell me what you need; say “person” at any time to talk to one.",
    },
    "claim_withheld": {
        "zh": "这件事我想请同事核实后再答复您，已为您转接人工客服。",
        "en": "I would like a colleague to check this before you get an answer, so I have passed you on to a person.",
    },
    "voice_unheard": {
        "zh": "抱歉，我还听不了语音，麻烦您打字告诉我，好吗？",
        "en": "Sorry, I cannot listen to voice messages yet. Could you type it for me?",
    },
    "video_unseen": {
        "zh": "视频已收到，客服同事可以查看；我自己还看不懂视频，麻烦您用文字说一下情况，好吗？",
        "en": "I have your video and our staff can watch it, but I cannot understand videos myself. "
        "Could you tell me in words what happened?",
    },
    "file_lost": {
        "zh": "抱歉，这个文件我没能收到，请再发一次（图片、语音、视频或 PDF，最大 10 MB）。",
        "en": "Sorry, that file did not reach me. Please send it again (a picture, voice, video or PDF, up to 10 MB).",
    },
    "unreadable": {
        "zh": "抱歉，这类消息我还看不懂，麻烦您用文字告诉我需要什么。",
        "en": "Sorry, I cannot read this kind of message yet. Please tell me in words what you need.",
    },
    "farewell": {
        "zh": "本次服务结束了。这次解决您的问题了吗？请回复 1–5 分（5 分最满意），也欢迎留句话。",
        "en": "This conversation has ended. Did it solve your problem? Reply with 1 to 5 (5 is best) and a word if you like.",
    },
    "welcome_link": {
        "zh": "您好！您是来关联会话的：请在这里随便回一句，我会请您确认一下。\n"
        "Hello! You came to link your chats: send any words here and I will ask you to confirm.",
        "en": "Hello! You came to link your chats: send any words here and I will ask you to confirm.",
    },
    "welcome": {
        "zh": "您好！我是售后小助手，可以帮您查订单和物流、办理退款、退货、换货、改地址、开发票。请直接告诉我您需要什么；"
        "想找人工，随时说“转人工”。\nHello! I can help with orders, refunds, returns and exchanges. Just write in English.",
        "en": "Hello! I can look up orders and deliveries, and help with refunds, returns, exchanges, addresses and invoices. "
        "Tell me what you need; say “person” at any time to talk to one.",
    },
    "over_limit": {
        "zh": "您的消息有点多，我一时看不过来。请稍等一分钟再发，之前的内容客服同事也能看到。",
        "en": "That was a lot of messages at once. Please wait a minute before you write again; "
        "what you sent is kept and can be read by our staff.",
    },
    "too_busy": {
        "zh": "现在咨询的人很多，这条消息没能收下，请过一会儿再发一次。",
        "en": "Too many people are writing right now, so this message was not taken. Please send it again in a moment.",
    },
    "link_image": {
        "zh": "给您发了一张图片，请点开查看（链接很快会失效）：\n{address}",
        "en": "A picture for you; the link is good for a short while:\n{address}",
    },
    "link_voice": {
        "zh": "给您发了一条语音，请点开收听（链接很快会失效）：\n{address}",
        "en": "A voice message for you; the link is good for a short while:\n{address}",
    },
    "link_video": {
        "zh": "给您发了一段视频，请点开查看（链接很快会失效）：\n{address}",
        "en": "A video for you; the link is good for a short while:\n{address}",
    },
    "link_file": {
        "zh": "给您发了一个文件，请点开查看（链接很快会失效）：\n{address}",
        "en": "A file for you; the link is good for a short while:\n{address}",
    },
    "button_gone": {
        "zh": "这个选项已经失效了，请直接告诉我您需要什么。",
        "en": "That choice is no longer available. Please tell me what you need.",
    },
}

_CJK = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"\b[A-Za-z]{2,}\b")  # a word: the code in bind_KX7M2PQ9 is in no language


def say(key: str, language: Language, **values: object) -> str:
    """One of the sentences."""
    return TEXTS[key][language].format(**values)


_BINDING = re.compile(r"\bbind[_-][A-Z0-9]{8}\b", re.I)  # a code of channels.linking: no language's word


def language_of(text: str) -> Language | None:
    """The language a text is plainly in, or None (a number, an emoji, nothing)."""
    text = _BINDING.sub("", text)
    if _CJK.search(text):
        return "zh"
    return "en" if _LATIN.search(text) else None


def spoken(text: str) -> Language | None:
    """The language a text is written in, by the dialogue's own rule; None for what shoppers of both type ("ok", a number)."""
    found = detect_language(_BINDING.sub("", text))
    return None if found.shared else found.reply
