"""The hand-over's codes in words, for every desk: why a person, what the shopper wants, how he feels, how he is proven.

This module knows no desk.
"""

from __future__ import annotations

from bot.message import Language
from bot.orders.wording import PAYMENT_METHODS

REASONS: dict[str, dict[Language, str]] = {
    "asked": {"zh": "顾客要求人工", "en": "asked for a person"},
    "locked_out": {"zh": "身份核对多次失败", "en": "proof failed too often"},
    "policy": {"zh": "政策要求人工", "en": "policy says person"},
    "tool_failure": {"zh": "商城系统故障", "en": "shop system down"},
    "two_failures": {"zh": "机器人两次没听懂", "en": "not understood twice"},
    "outcome_unknown": {"zh": "写入结果不明", "en": "write outcome unknown"},
    "threat": {"zh": "投诉或风险", "en": "complaint or risk"},
    "low_confidence": {"zh": "机器人没有把握", "en": "bot not sure enough"},
    "claim_without_receipt": {"zh": "机器人的说法没有回执", "en": "claim without receipt"},
    "reopened": {"zh": "顾客再次来访", "en": "shopper came back"},
    "person_idle": {"zh": "同事未及时回复", "en": "colleague was idle"},
    "passed_on": {"zh": "同事转出", "en": "passed on"},
    "taken": {"zh": "同事主动接手", "en": "taken over"},
    "promise_broken": {"zh": "承诺没有兑现", "en": "a promise was broken"},
    "promise_unchecked": {"zh": "承诺未能核实", "en": "a promise could not be checked"},
    # and why it changed hands otherwise
    "claimed": {"zh": "接手", "en": "taken"},
    "assigned": {"zh": "分配", "en": "assigned"},
    "released": {"zh": "转回", "en": "released"},
    "done": {"zh": "已处理完", "en": "done"},
    "shopper_idle": {"zh": "顾客长时间未回复", "en": "shopper idle"},
    "shopper_wrote": {"zh": "顾客再次来访", "en": "shopper came back"},
    "shopper_back": {"zh": "顾客选择机器人", "en": "shopper chose the bot"},
    "wecom": {"zh": "在企业微信中接手", "en": "taken in WeCom"},
    "wecom_ended": {"zh": "在企业微信中结束", "en": "ended in WeCom"},
}
GOALS: dict[str, dict[Language, str]] = {
    "order_status": {"zh": "查订单", "en": "order status"},
    "refund": {"zh": "退款", "en": "refund"},
    "return_goods": {"zh": "退货", "en": "return"},
    "exchange": {"zh": "换货", "en": "exchange"},
    "cancel_order": {"zh": "取消订单", "en": "cancel order"},
    "modify_address": {"zh": "改地址", "en": "change address"},
    "invoice": {"zh": "发票", "en": "invoice"},
    "price_protection": {"zh": "价保", "en": "price protection"},
    "modify_order": {"zh": "改规格", "en": "change options"},
    "withdraw_request": {"zh": "撤销售后", "en": "withdraw request"},
    "refund_status": {"zh": "售后进度", "en": "request status"},
    "answer": {"zh": "咨询", "en": "question"},
}
MOODS: dict[str, dict[Language, str]] = {
    "angry": {"zh": "生气", "en": "angry"},
    "worried": {"zh": "着急", "en": "worried"},
}
PROOFS: dict[str, dict[Language, str]] = {
    "channel_account": {"zh": "渠道账号", "en": "channel account"},
    "phone_tail": {"zh": "手机尾号", "en": "phone digits"},
    "email": {"zh": "邮箱", "en": "e-mail"},
    "postcode": {"zh": "邮编", "en": "postcode"},
}
LANGUAGES: dict[str, dict[Language, str]] = {
    "zh": {"zh": "中文", "en": "Chinese"},
    "en": {"zh": "英文", "en": "English"},
}

TABLES = {
    "reasons": REASONS,
    "goals": GOALS,
    "moods": MOODS,
    "proofs": PROOFS,
    "languages": LANGUAGES,
    "methods": PAYMENT_METHODS,
}


def word(table: dict[str, dict[Language, str]], code: str | None, language: Language) -> str:
    """The code in words; one we have no word for stands for itself."""
    return table.get(code or "", {}).get(language) or (code or "").replace("_", " ")
