"""No value, promise or claim that the evidence does not hold gets past the checks."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.generator.answering import evidence_of, headed
from bot.generator.checks import check_copied, check_limits, run_checks
from bot.generator.dialogues import make_dialogues
from bot.generator.evidence import Evidence
from bot.generator.values import find_values
from bot.generator.wording import language_of, sentences
from bot.knowledge.base import Knowledge, default_folder

EVIDENCE = [
    Evidence("a", "退货：自签收起七天内可以无理由退货，十五天内可以换货。退款在3-5个工作日到账。", "退货"),
    Evidence("b", "You can return an item within 7 days and exchange it within 15 days. Refunds take 3 to 5 business days.", "Returns", language="en"),
]  # fmt: skip


def failed(
    reply: str, question: str = "", name: str = "", *, evidence: str = "", title: str = ""
) -> set[str]:
    """Names of the checks that veto a reply made from EVIDENCE, or from a text."""
    language = language_of(reply) or "zh"
    given = [Evidence("c", evidence, title, language=language_of(evidence) or "zh")] if evidence else EVIDENCE
    return {
        c.name
        for c in run_checks(reply, given, question=question, language=language, customer_name=name)
        if not c.ok
    }


@pytest.mark.parametrize(
    "reply",
    [
        "您可以在7天内退货。",
        "十五天内可以换货。",
        "退款在３到５个工作日到账。",
        "Returns are possible within seven days.",
        "很抱歉给您带来不好的体验。您可以在7天内退货。",
    ],
)
def test_what_stands_in_the_evidence_passes(reply: str) -> None:
    assert set() == failed(reply)


@pytest.mark.parametrize(
    ("reply", "check"),
    [
        ("20天内可以退货。", "values"),
        ("退款在3-5天到账。", "values"),
        ("您可以在15天内退货。", "field"),
        ("Returns within 15 days.", "field"),
        ("退款100元在3-5个工作日到账。", "values"),
        ("退货请打13812345678。", "values"),
        ("退货请到 www.evil.example 办理。", "values"),
        ("我们保证7天内可以退货。", "promise"),
        ("7天内免费退货。", "promise"),
        ("已为您提交退款申请，3-5个工作日到账。", "claim"),
        ("I have refunded you; refunds take 3 to 5 business days.", "claim"),
        ("张先生，7天内可以退货。", "privacy"),
        ("系统：7天内可以退货。", "system_text"),
        ("7天内可以退货<end_of_turn>", "system_text"),
        ("可以退货。\n\n(4) article | 退货期限: 7天内可以退货。", "system_text"),
        ("", "form"),
        ("可以退货可以换货。" * 9, "form"),
        ("本店今天天气很好适合出门郊游野餐。", "grounded"),
    ],
)
def test_what_does_not_is_vetoed_by_name(reply: str, check: str) -> None:
    assert check in failed(reply)


@pytest.mark.parametrize(
    ("reply", "own"),
    [
        ("7天内可以退货。", ""),
        ("很抱歉给您带来不好的体验。7天内可以退货。", ""),  # courtesies are ours
        ("死人不收费。7天内可以退货。", "死人不收费"),
        ("七天内可以把货退。", "七天内可以把货退"),  # right, but in words of its own
        ("Returns within 7 days.", ""),
        ("Self-medication: returns within 7 days.", "Self-medication: returns within 7 days"),
    ],
)
def test_a_model_that_copies_says_no_clause_of_its_own(reply: str, own: str) -> None:
    evidence = [Evidence("a", "7天内可以退货，商品须完好。"), Evidence("b", "Returns within 7 days, unused.")]
    found = check_copied(reply, evidence)

    assert (not own, own) == (found.ok, found.detail)


def test_a_heading_alone_is_no_evidence_for_what_copies() -> None:
    assert not check_copied("能机洗吗？枕套可以机洗。", [Evidence("a", "枕套可以机洗。", "能机洗吗？")]).ok


@pytest.mark.parametrize(
    ("reply", "quoted", "left_out"),
    [
        ("枕套可以机洗。", "枕芯不能水洗，会掉渣；枕套可以机洗。", "枕芯不能水洗"),
        ("只开机没激活的可以退。", "激活后不支持无理由退货。只开机没激活的可以退。", "激活后不支持无理由退货"),
        ("Faulty items can be returned.", "Once opened it cannot be returned. Faulty items can be returned.", "Once opened it cannot be returned"),
        ("Tighten the feet.", "Tighten the feet. Send it back if it still wobbles.", "if it still wobbles"),
        ("We refund you.", "We refund you. A refund goes to the buyer only.", "A refund goes to the buyer only"),
        ("签收后7天内可以退货。", "签收后7天内可以退货。 退款3个工作日到账。", ""),  # nothing that limits
        ("枕芯不能水洗；枕套可以机洗。", "枕芯不能水洗，会掉渣；枕套可以机洗。", ""),
        ("Once opened it cannot be returned.", "Once opened, it cannot be returned. It costs ¥8.", ""),
    ],
)  # fmt: skip
def test_a_copied_reply_leaves_no_limit_out(reply: str, quoted: str, left_out: str) -> None:
    found = check_limits(reply, quoted)

    assert (not left_out, left_out) == (found.ok, found.detail)


def test_a_reply_in_the_other_language_is_vetoed() -> None:
    checks = run_checks("You can return it within 7 days.", EVIDENCE, question="", language="zh")

    assert "language" in {c.name for c in checks if not c.ok}


def test_the_proven_customers_own_name_may_be_used() -> None:
    assert "privacy" not in failed("王先生，7天内可以退货。", name="王明")


def test_no_changed_value_passes_in_five_thousand_replies() -> None:
    """Take right answers, change one number in each: every one is vetoed."""
    rng = random.Random(4)
    missed, tried = [], 0
    for d in make_dialogues(3000, seed=31):
        for _ in range(2):
            digits = [v for v in find_values(d.answer) if v.kind.split(":")[0] in ("minutes", "working_days", "months", "money", "percent")
                      and v.text[:1].isdigit()]  # fmt: skip
            if not digits:
                continue
            value = rng.choice(digits)
            changed = str(rng.randrange(1001, 9999))
            reply = d.answer.replace("".join(c for c in value.text if c.isdigit() or c == "."), changed, 1)
            if changed not in reply:
                continue
            tried += 1
            checks = run_checks(reply, d.evidence, question=d.question, language=d.language)
            if all(c.ok for c in checks):
                missed.append(reply)

    assert tried >= 2500
    assert [] == missed


@pytest.mark.parametrize(
    ("evidence", "reply"),
    [
        ("耳机拆封后不可以退货。", "耳机拆封后可以退货。"),
        ("耳机拆封后可以退货。", "耳机拆封后不可以退货。"),
        ("定制商品不支持七天无理由退货。", "定制商品支持七天无理由退货。"),
        ("普通商品支持七天无理由退货，定制商品不支持七天无理由退货。", "定制商品支持七天无理由退货。"),
        ("You cannot change the address after dispatch.", "You can change the address after dispatch."),
        ("You can't change the address after dispatch.", "You can change the address after dispatch."),
        ("Batteries are not covered by the warranty.", "Batteries are covered."),
        ("Batteries are not covered by the warranty.", "The warranty covers batteries."),
        ("Batteries are not covered.", "No, batteries are covered."),
        ("定制商品一经付款，不支持退货。", "定制商品支持退货。"),
        ("Unopened items can be returned.", "Opened items can be returned."),
        ("Items without tags cannot be returned.", "Items without tags can be returned."),
        ("商品支持7天无理由退货，定制商品除外。", "定制商品支持7天无理由退货。"),
        ("我们不接受现金付款。", "我们接受现金付款。"),
        ("无法修改收货地址。", "可以修改收货地址。"),
        ("请勿用水清洗滤网。", "请用水清洗滤网。"),
        ("We do not accept returns of opened headphones.", "Opened headphones can be returned."),
        ("This watch is non-refundable.", "This watch is refundable."),
        ("本店无货到付款服务。", "本店有货到付款服务。"),
        ("不支持货到付款。", "支持货到付款。"),
        ("生鲜商品不适用七天无理由退货。", "生鲜商品适用七天无理由退货。"),
        ("已发货的订单不能取消。", "已发货的订单可以取消。"),
        ("已发货的订单无法取消。", "已发货的订单可以取消。"),
        ("We never share your data.", "We share your data."),
        ("Gift cards are non-refundable.", "Gift cards are refundable."),
        ("Sale items are excluded from returns.", "Sale items can be returned."),
        ("No returns on sale items.", "You can return sale items."),
        ("Neither batteries nor chargers are covered.", "Batteries are covered."),
        ("You won't be charged.", "You will be charged."),
        ("本品不防水。", "本品防水。"),
        ("保修不含电池。", "保修含电池。"),
        ("需要寄回原包装。", "无需寄回原包装。"),
        ("无需寄回商品。", "需要寄回商品。"),
        ("没有门店。", "有门店。"),
        ("不收取手续费。", "收取手续费。"),
        ("未拆封的商品可以退货。", "拆封的商品可以退货。"),
        ("非会员不能参加。", "会员不能参加。"),
        ("人为损坏不保修。", "人为损坏也保修。"),
        ("Unworn shoes only can be exchanged.", "Worn shoes can be exchanged."),
        ("You cannot return it. Contact us.", "You can return it. Contact us."),
        ("耳机拆封后不可以退货，但可以换货。", "耳机拆封后可以退货。"),
        ("耳机拆封后不可以退货，但可以换货。", "耳机拆封后不可以换货。"),
        ("Headphones can be exchanged but not returned.", "Headphones can be returned."),
        ("We accept cards but no cash.", "We accept cash."),
        ("You may return items except underwear.", "You may return underwear."),
        ("除内衣外都可以退货。", "内衣可以退货。"),
        ("仅限未使用商品退货。", "使用过的商品可以退货。"),
        ("Refunds are not immediate.", "Refunds are immediate."),
        ("不是所有商品都支持退货。", "所有商品都支持退货。"),
        ("Not all items can be returned.", "All items can be returned."),
        ("We can't guarantee delivery by Friday.", "We guarantee delivery by Friday."),
    ],
)
def test_what_the_evidence_denies_is_not_affirmed(evidence: str, reply: str) -> None:
    assert "polarity" in failed(reply, evidence=evidence)
    assert not failed(evidence, evidence=evidence) & {"values", "field", "polarity", "promise", "grounded"}


@pytest.mark.parametrize(
    ("evidence", "reply"),
    [
        ("安装不免费。", "安装免费。"),
        ("Installation is not free of charge.", "Installation is free of charge."),
        ("退货运费由您承担。Return shipping is paid by you.", "Return shipping is free."),
        ("Return shipping is paid by you.", "Return shipping is free."),
        ("由师傅上门收费安装。", "师傅上门安装不收费。"),
        ("由师傅上门收费安装。", "师傅上门安装不要钱。"),
        ("由师傅上门收费安装。", "师傅上门安装无需付费。"),
        ("Installation costs 20 dollars.", "There is no charge for installation."),
        ("Installation costs 20 dollars.", "Installation carries no fee."),
        ("Delivery is paid by you.", "Delivery is free from $0."),
        ("The first month is $5.", "The first month is $5 and free."),
    ],
)
def test_a_promise_that_the_evidence_denies_or_lacks(evidence: str, reply: str) -> None:
    assert "promise" in failed(reply, evidence=evidence)
    assert not failed(evidence, evidence=evidence) & {"values", "field", "polarity", "promise", "grounded"}


@pytest.mark.parametrize(
    ("evidence", "reply"),
    [
        ("You can return it within 30 days.", "You can return it within a year."),
        ("The repair takes a week.", "The repair takes a month."),
        ("We ship within 3 days.", "We ship the same day."),
        ("15天内发货。", "当天发货。"),
        ("赔偿上限2千元。", "赔偿上限2万元。"),
        ("赔偿上限1.5万元。", "赔偿上限1.5千元。"),
        ("每个订单可以换一次。", "每个订单可以换十次。"),
        ("每人限购两件。", "每人限购十件。"),
        ("假一赔两倍。", "假一赔十倍。"),
        ("满三百减三十。", "满三百减五十。"),
        ("重量上限2公斤。", "重量上限2斤。"),
        ("线长1.5米。", "线长1.5厘米。"),
        ("The cable is 2 metres long.", "The cable is 2 feet long."),
        ("可在-20度使用。", "可在20度使用。"),
        ("可在零下20度使用。", "可在20度使用。"),
        ("It works at -20 degrees.", "It works at 20 degrees."),
        ("The warranty is one hundred and twenty days.", "The warranty is twenty days."),
        ("Refunds take 3 to 5 working days.", "Refunds take 3 working days."),
        ("运费10-20元。", "运费10元。"),
        ("Shipping is $10-20.", "Shipping is $10."),
        ("退款3天到5天到账。", "退款3天到账。"),
        ("退款3-5天到账，换货7-10天寄出。", "退款3-10天到账。"),
        ("超过7天不能退货。", "7天内不能退货。"),
        ("满99元包邮。", "不满99元包邮。"),
        ("It takes at least 3 days.", "It takes within 3 days."),
        ("Order until 12 am.", "Order until 12 pm."),
        ("客服周一至周五在线。", "客服周一至周日在线。"),
        ("客服周一至五在线。", "客服周一至周日在线。"),
        ("We are open Monday to Friday.", "We are open Monday to Sunday."),
        ("We are open on weekdays.", "We are open at weekends."),
        ("We are open Monday to Friday.", "We are open Friday to Monday."),
        ("退货流程见 https://shop.com.cn/return 。", "退货流程见 https://shop.com 。"),
        ("见 https://shop.com/returns 。", "见 https://shop.com/ret 。"),
        ("11月11日前下单有优惠。", "11月11日后下单有优惠。"),
        ("Weight: 1.5kg.", "Weight: 2.5kg."),
        ("三个半小时充满。", "半小时充满。"),
        ("自签收的第二天起可以申请。", "2天内可以申请。"),
        ("不超过5公斤。", "超过5公斤。"),
        ("Delivery takes no more than 5 days.", "Delivery takes more than 5 days."),
        ("Up to two coupons per order.", "Up to ten coupons per order."),
        ("晚上12点关门。", "中午12点关门。"),
        ("只能退一次。", "可以退两次。"),
        ("3天后可退。", "3天内可退。"),
        ("优惠券30天内有效。", "优惠券永久有效。"),
        ("每天9:00-18:00。", "24小时在线。"),
        ("Deliveries take about a week.", "Deliveries take half a week."),
        ("Up to 10 km.", "Up to 10 miles."),
        ("退款至多3次。", "退款至少3次。"),
        ("7-15天到货。", "7天到货。"),
        ("9折。", "8折。"),
        ("保修一年。", "保修终身。"),
        ("30天。", "三十年。"),
        ("运费5元/公斤。", "运费5元/斤。"),
        ("电话400-820-3377。", "电话400-820-3378。"),
        ("下午6点前下单当天发。", "下午6点后下单当天发。"),
        ("18岁以上。", "18岁以下。"),
    ],
)
def test_a_value_that_only_looks_like_that_of_the_evidence(evidence: str, reply: str) -> None:
    assert "values" in failed(reply, evidence=evidence)
    assert not failed(evidence, evidence=evidence) & {"values", "field", "polarity", "promise", "grounded"}


@pytest.mark.parametrize(
    ("evidence", "reply"),
    [
        ("耳机拆封后不可以退货。", "耳机拆封后不能退货。"),
        ("耳机拆封后不可以退货。", "拆封的耳机不可以退货。"),
        ("耳机拆封后可以退货。", "拆封后的耳机可以退货。"),
        ("定制商品不支持七天无理由退货。", "定制商品不能七天无理由退货。"),
        ("普通商品支持七天无理由退货，定制商品不支持七天无理由退货。", "普通商品可以七天无理由退货。"),
        ("You cannot change the address after dispatch.", "The address cannot be changed after dispatch."),
        ("You cannot change the address after dispatch.", "No, you can't change the address after dispatch."),
        ("You can change the address before dispatch.", "Yes, the address can be changed before dispatch."),
        ("Batteries are not covered by the warranty.", "The warranty does not cover batteries."),
        ("Batteries are not covered.", "No, batteries are not covered."),
        ("Unopened items can be returned.", "Items can be returned."),
        ("签收后7天内，商品未使用且配件齐全，可以申请退货。", "签收后7天内可以申请退货。"),
        ("签收后7天内，商品未使用且配件齐全，可以申请退货。", "签收后7天内未使用的商品可以申请退货。"),
        ("人为损坏不在保修范围内。", "人为损坏不保修。"),
        ("We don't accept returns of opened headphones.", "Opened headphones cannot be returned."),
        ("不喜欢可以在7天内退货。", "7天内可以退货。"),
        ("没有收据也能退货。", "可以退货。"),
        (
            "All goods carry a 1-year warranty; accidental damage is excluded.",
            "Accidental damage is not covered by the 1-year warranty.",
        ),
        ("不锈钢水杯支持退货。", "水杯支持退货。"),
        (
            "A voucher is valid for 30 days and cannot be combined with other offers.",
            "The voucher is valid for 30 days.",
        ),
        ("安装不免费。", "安装并不免费。"),
        ("Installation is not free of charge.", "Installation isn't free."),
        ("安装费50元。", "安装不是免费的，安装费50元。"),
        ("师傅上门安装不收费。", "师傅免费上门安装。"),
        ("There is no charge for installation.", "Installation is free."),
        ("Delivery is free from $49.", "Delivery is free from $49."),
        ("Orders over $49 enjoy free shipping.", "Free shipping is for orders over $49."),
        ("Feel free to write to us about batteries.", "Please feel free to write to us about batteries."),
        ("You can return it within a year.", "You can return it within 12 months."),
        ("The repair takes a week.", "The repair takes 7 days."),
        ("We ship the same day.", "Your order ships the same day."),
        ("当天发货。", "付款后当日发货。"),
        ("赔偿上限2千元。", "赔偿最高2000元。"),
        ("赔偿上限1.5万元。", "赔偿上限15000元。"),
        ("每人限购两件。", "每人限购2件。"),
        ("满三百减三十。", "满300减30。"),
        ("重量上限2公斤。", "重量上限2千克。"),
        ("重量上限2公斤。", "重量不超过2 kg。"),
        ("线长1.5米。", "线长1.5m。"),
        ("The cable is 2 metres long.", "The cable is 2 m long."),
        ("可在-20度使用。", "可在零下20度使用。"),
        ("The warranty is one hundred and twenty days.", "The warranty is 120 days."),
        ("Refunds take 3 to 5 working days.", "Refunds take 3-5 business days."),
        ("Refunds take 3 to 5 working days.", "Refunds take up to 5 working days."),
        ("运费10-20元。", "运费10到20元。"),
        ("7天内不能退货。", "7天内不能办理退货。"),
        ("满99元包邮。", "满99元包邮哦。"),
        ("满99元包邮。", "99元以上包邮。"),
        ("Orders of $99 or more ship free.", "Orders over $99 ship free."),
        ("It takes at least 3 days.", "It takes 3 days or more."),
        ("Order until 12 am.", "Order until midnight."),
        ("营业到24:00。", "营业到0:00。"),
        ("客服周一至周五在线。", "客服周三在线。"),
        ("客服周一至周五在线。", "客服星期一到星期五在线。"),
        ("We are open Monday to Friday.", "We are open Mon-Fri."),
        ("We are open Monday to Friday.", "We are open on weekdays."),
        ("退货流程见 https://shop.com/return 。", "退货流程见 https://shop.com 。"),
        ("网址 https://shop.com/return查看", "网址 https://shop.com/return 。"),
        ("充电器最大支持65W。", "充电器支持65 W。"),
        ("重25kg。", "重25公斤。"),
        ("第二天发货。", "次日发货。"),
        ("耳机拆封后不可以退货，但可以换货。", "耳机拆封后可以换货。"),
        ("耳机拆封后不可以退货，但可以换货。", "耳机拆封后不可以退货。"),
        ("已发货的订单无法取消。", "很抱歉，已发货的订单不能取消。"),
        ("运费险不含大件。", "抱歉，运费险不包括大件。"),
        ("无需寄回商品。", "商品不用寄回。"),
        ("未拆封的商品可以退货。", "商品未拆封可以退货。"),
        ("Gift cards are non-refundable.", "Gift cards cannot be refunded."),
        ("We accept cards but no cash.", "You can pay by card, but we do not accept cash."),
        ("You may return items except underwear.", "Underwear cannot be returned."),
        ("签收后7天内可以退货，超过7天无法退货。", "签收后7天内可以退货。"),
        ("签收后7天内可以退货，超过7天无法退货。", "超过7天就无法退货了。"),
        ("如果商品有质量问题，我们不收运费。", "有质量问题的商品不收运费。"),
        ("不喜欢可以退，运费自付8元。", "不喜欢的话可以退货，运费8元自付。"),
        ("Orders cannot be cancelled once shipped.", "Once shipped, an order cannot be cancelled."),
        ("Please do not wash it.", "It should not be washed."),
        ("We never share your data with third parties.", "Your data is not shared with third parties."),
        ("优惠券不能叠加使用。", "优惠券不可叠加。"),
        ("电池不在保修范围内。", "很抱歉，保修不包括电池。"),
        ("请不要用热水。", "不能用热水。"),
        ("退款到账需要3-5个工作日。", "别着急，退款3-5个工作日到账。"),
        ("Unused items can be returned within 30 days.", "You can return unused items within 30 days."),
        ("退货不收取任何费用。", "退货是免费的。"),
    ],
)
def test_the_same_in_other_words_passes(evidence: str, reply: str) -> None:
    """`grounded` counts words and is not asked: with a text this short every other word is a new one."""
    assert not failed(reply, evidence=evidence) - {"grounded"}


@pytest.mark.parametrize(
    ("title", "evidence", "reply"),
    [
        ("定制商品", "不支持退货。", "定制商品支持退货。"),
        ("售后 - 拆封后可以退货吗？", "不可以。", "拆封后可以退货。"),
        ("保修", "以下情况不予保修：\n人为损坏\n进水", "进水可以保修。"),
        ("Returns - Can I return opened headphones?", "No.", "Opened headphones can be returned."),
        ("发票", "可以，运费和商品开在同一张票上。", "不可以，运费和商品开在同一张票上。"),
        (
            "Refunds",
            "Yes, refunds go to the card you paid with.",
            "No, refunds go to the card you paid with.",
        ),
    ],
)
def test_a_heading_or_a_question_tells_what_is_denied(title: str, evidence: str, reply: str) -> None:
    assert "polarity" in failed(reply, title=title, evidence=evidence)


@pytest.mark.parametrize(
    ("title", "evidence", "reply"),
    [
        ("售后 - 拆封后可以退货吗？", "不可以。", "拆封后不可以退货。"),
        ("保修", "以下情况不予保修：\n人为损坏\n进水", "进水不予保修。"),
        ("Reviews - Why can I not see my review?", "New reviews are checked.", "New reviews are checked."),
        ("退货", "商品 退货\n耳机 不支持\n手机 支持", "商品：手机；退货：支持"),  # a table, quoted row by row
        ("不可退货的商品", "以下商品签收后无法退货：定制商品、内衣。", "定制商品不可退货。"),
        (
            "退货 - 扣了钱，订单还没付款",
            "请先不要重复付款。",
            "退货 › 扣了钱，订单还没付款：请先不要重复付款。",
        ),
        ("1 - 7天无理由", "签收后15天内可以换货。", "7天无理由：签收后15天内可以换货。"),
        (
            "Returns - Seven-day return policy",
            "(c) Between 5 and 20 km we still take the vehicle back. Above 20 km we do not take the vehicle back.",
            "Returns › Seven-day return policy: (c) Between 5 and 20 km we still take the vehicle back.",
        ),
        (
            "Refunds - When is the refund here?",
            "Refunds are not sent by cheque. Within 5 days.",
            "Refunds › When is the refund here? Within 5 days.",
        ),
    ],
)
def test_what_stands_under_its_heading_passes(title: str, evidence: str, reply: str) -> None:
    assert not failed(reply, title=title, evidence=evidence) & {"values", "field", "polarity", "promise"}


@pytest.mark.parametrize(
    "reply",
    [
        "退货并不免费。",
        "我们不能保证7天内到货。",
        "Returns are not free of charge.",
        "We cannot guarantee that.",
    ],
)
def test_a_promise_that_is_denied_needs_no_evidence(reply: str) -> None:
    assert "promise" not in failed(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "不仅免费退货，",
        "Not only returns are free, exchanges are free.",
        "不满意保证退款。",
        "不限次数免费维修。",
    ],
)
def test_a_negation_of_something_else_denies_no_promise(reply: str) -> None:
    assert "promise" in failed(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "Please feel free to return an item within 7 days.",
        "You are free to return an item.",
        "A sugar-free drink is free of sugar.",
        "Free from defects.",
    ],
)
def test_free_of_another_kind_is_no_promise(reply: str) -> None:
    assert "promise" not in failed(reply)


@pytest.mark.parametrize(
    ("question", "reply", "echoed"),
    [
        ("充电器最大支持100W快充吗", "最大支持100W快充。", False),
        ("有5GB内存吗", "内存5GB。", False),
        ("是IP68防水吗", "支持IP68防水。", False),
        ("能装100000mAh吗", "能装100000mAh。", False),
        ("SF1234567890到哪了", "单号SF1234567890在路上。", True),
        ("订单 20261122889 呢", "订单 20261122889 在路上。", True),
    ],
)
def test_only_what_names_an_order_may_be_echoed(question: str, reply: str, echoed: bool) -> None:
    assert echoed is ("values" not in failed(reply, question, evidence="充电器最大支持65W快充，内存4GB。"))


def test_digits_without_end_are_vetoed() -> None:
    assert "values" in failed("7天内可以退货" + "8" * 60)


def test_the_checks_in_the_order_they_are_read() -> None:
    checks = run_checks("7天内可以退货。", EVIDENCE, question="", language="zh")

    assert ["form", "system_text", "language", "values", "field", "polarity", "promise", "claim", "privacy", "grounded"] == [
        c.name for c in checks
    ]  # fmt: skip


PIECES = (
    "不满99元的收8元运费", "满三百减三十", "第二天发货", "可在-20度使用", "退款7-10天到账", "安装不免费", "安装免费", "耳机拆封后不可以退货",
    "手机拆封后可以退货", "可以", "不可以", "人为损坏除外", "1、先断电", "2. 再开机", "周一至周五9:00-18:00在线", "赔偿上限2千元", "换货运费10-20元",
    "如果不喜欢", "没有发票也能保修", "超过7天不能退货", "能不能退", "不超过5公斤", "网址 https://shop.com/return", "每单限两次", "非质量问题的退货运费由您承担",
    "以下情况不予保修：", "进水", "师傅上门不收费", "当天发货", "Batteries are not covered", "You can return it within 7 days", "You cannot change it after dispatch",
    "Installation is free", "Delivery is free from $49", "No", "Yes", "unless it is faulty", "Refunds take 3 to 5 working days", "at least 3 days",
    "Opened items are excluded", "We are open Monday to Friday", "within a year", "one hundred and twenty days", "It works at -20 degrees", "There is no charge for returns",
)  # fmt: skip
ENDS = ("。", "。\n", "！", "？", "\n", ".\n", "，", "；", ", ")


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(ENDS)), min_size=1, max_size=8), min_size=1, max_size=3),
    st.sampled_from(("", "退货 - 退货期限", "Returns - Can I return it?", "售后 - 不支持退货的商品")),
    st.data(),
)  # fmt: skip
def test_literal_sentences_of_the_evidence_always_pass(
    texts: list[list[tuple[str, str]]], title: str, data: st.DataObject
) -> None:
    """The second voice quotes: whatever an article says, its own sentences are not vetoed for what they say."""
    evidence = [
        Evidence(str(n), "".join(piece + end for piece, end in text), title) for n, text in enumerate(texts)
    ]
    quoted = sentences(evidence[0].text)
    first = data.draw(st.integers(0, len(quoted) - 1))
    last = data.draw(st.integers(first, len(quoted) - 1))
    reply = ""
    for sentence in quoted[first : last + 1]:
        reply += data.draw(st.sampled_from((" ", "\n"))) if reply[-1:] in "。！？.?!；" else "\n"
        reply += sentence
    said = {c.name: c for c in run_checks(reply, evidence, question="", language="zh")}

    assert [] == [said[name] for name in ("values", "field", "polarity", "promise") if not said[name].ok]


def test_literal_articles_pass_every_check_that_compares() -> None:
    """Sentences of invented shops, each alone, beside the sections they stand among."""
    for d in make_dialogues(150, seed=9):
        for evidence in d.evidence:
            if evidence.source == "order":
                continue
            for reply in (evidence.text, *sentences(evidence.text)):
                checks = run_checks(reply, d.evidence, question=d.question, language=d.language)
                assert {"values", "field", "polarity", "promise", "grounded"}.isdisjoint(
                    c.name for c in checks if not c.ok
                ), reply


def test_the_demo_shops_own_words_pass_the_checks() -> None:
    """A section said as it stands, behind its heading, claims and contradicts nothing."""
    for article in Knowledge.load(default_folder()).articles:
        for chunk in article.chunks:
            one = evidence_of(chunk)
            said = headed(chunk, one.text, named=True)
            checks = run_checks(said, [one], question=chunk.heading, language=chunk.language)

            assert not {c.name: c.detail for c in checks if not c.ok}, chunk.id
