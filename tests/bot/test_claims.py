"""Claims of actions are found in both languages; rules, questions, offers, denials and reports are left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.claims import Claim, check_reply, claims_in, require_receipts
from bot.exceptions import UnbackedClaim
from bot.message import Reply
from bot.orders.models import Operation, Receipt

DONE = [
    # Chinese: done for you
    ("已为您取消订单。", Operation.CANCEL),
    ("已经帮您提交退款申请啦", Operation.REFUND),
    ("订单 20261101001 已取消。", Operation.CANCEL),
    ("订单已经成功取消", Operation.CANCEL),
    ("已退款", Operation.REFUND),
    ("退款已提交，请留意到账", Operation.REFUND),
    ("您的退款申请已提交。", Operation.REFUND),
    ("款项已原路退回您的微信", Operation.REFUND),
    ("已全额退款给您", Operation.REFUND),
    ("退款成功！", Operation.REFUND),
    ("退货申请提交成功", Operation.RETURN),
    ("收货地址已修改为上海市", Operation.CHANGE_ADDRESS),
    ("地址帮您改好了", Operation.CHANGE_ADDRESS),
    ("给您退了 50 元", Operation.REFUND),
    ("我已为你办理换货", Operation.EXCHANGE),
    ("换货申请已受理", Operation.EXCHANGE),
    ("发票已发送到您的邮箱", Operation.SEND_INVOICE),
    ("已补偿您 20 元优惠券", None),
    ("已经给您补发了一件新的", None),
    ("差价已退还", Operation.PRICE_PROTECTION),
    ("售后申请已撤销", Operation.WITHDRAW_REQUEST),
    ("已為您取消訂單", Operation.CANCEL),
    ("已 为 您 取 消 订 单", Operation.CANCEL),
    ("如果还有问题请告诉我，退款已经提交了。", Operation.REFUND),
    ("好的，成功为您退款 99 元", Operation.REFUND),
    ("帮您取消了", Operation.CANCEL),
    ("已帮您加急处理", None),
    ("退款正在处理", Operation.REFUND),
    # English
    ("I have cancelled your order.", Operation.CANCEL),
    ("I've gone ahead and cancelled it for you", Operation.CANCEL),
    ("Your order has been cancelled.", Operation.CANCEL),
    ("Your refund has been submitted.", Operation.REFUND),
    ("The refund was processed successfully.", Operation.REFUND),
    ("We've refunded CN¥99.00 to your card; the money is yours", Operation.REFUND),
    ("We have already issued your refund", Operation.REFUND),
    ("Your money is on its way.", Operation.REFUND),
    ("You have been refunded.", Operation.REFUND),
    ("Your order is now cancelled", Operation.CANCEL),
    ("I just updated your address.", Operation.CHANGE_ADDRESS),
    ("The delivery address of order A1 has been changed.", Operation.CHANGE_ADDRESS),
    ("I’ve sent your invoice again.", Operation.SEND_INVOICE),
    ("Refund approved!", Operation.REFUND),
    ("Successfully cancelled.", Operation.CANCEL),
    ("The return for order A1 has been registered.", Operation.RETURN),
    ("We've waived the fee for you.", None),
    ("I cancelled that order for you", Operation.CANCEL),
    ("A replacement has been arranged.", None),
    ("A refund for your order has been issued.", Operation.REFUND),
    ("A replacement that fits has been sent to you.", None),
    ("If you look now, it's been refunded.", Operation.REFUND),
    ("客服回复：“您的退款申请已经提交，请放心”", Operation.REFUND),
    ("“退款”已提交", Operation.REFUND),
    ("Your refund is being processed", Operation.REFUND),
]

PROMISES = [
    ("我们会为您全额退款", Operation.REFUND),
    ("我这就给您取消", Operation.CANCEL),
    ("马上为您办理退款", Operation.REFUND),
    ("如果方便的话，我马上给您退款", Operation.REFUND),
    ("保证明天到账", None),
    ("一定给您补偿", None),
    ("我们承诺赔偿您的损失", None),
    ("您将收到退款", Operation.REFUND),
    ("您很快就能收到补偿", None),
    ("稍后给您补发一件", None),
    ("给您补偿 20 元", None),
    ("将为您取消订单", Operation.CANCEL),
    ("I will refund you right away.", Operation.REFUND),
    ("I'll cancel the order now.", Operation.CANCEL),
    ("We will compensate you for the delay.", None),
    ("We guarantee a refund.", Operation.REFUND),
    ("Your refund is guaranteed.", Operation.REFUND),
    ("You will receive your money within 3 days.", Operation.REFUND),
    ("You'll be refunded in full.", Operation.REFUND),
    ("I'm processing your refund now.", Operation.REFUND),
    ("Let me go ahead and cancel it for you.", Operation.CANCEL),
    ("Your order will be cancelled.", Operation.CANCEL),
    ("We'll send you a replacement.", None),
    ("I promise it will arrive tomorrow.", None),
]

NEITHER = [
    "If you buy within the first year, 60% of the rent you have paid counts towards the price; after that 30%.",
    "Glue work and new parts are guaranteed for 6 months; tuning and strings are not.",
    # Rules, as an article says them
    "For faulty goods whose photos we've approved, the refund goes out as soon as the post office scans the label.",
    "A compressor that was started within the resting time after being laid down is not covered.",
    "An invoice can be rewritten only in the calendar month it was issued.",
    "Should the price have changed, the old price stays.",
    "If you paid it yourself, send the receipt and it's refunded in 5 working days.",
    'A "C" means we cancelled it and paid you back.',
    "A bonus of 6% is credited on 1 July on whatever was paid in since the previous 1 July.",
    "Returns › Less came back than I paid: open Orders, Refund, Breakdown.",
    "Choose I've changed my mind under My orders, Return.",
    "Work is guaranteed 6 months.",
    "退款去哪了 › 写着已退款，却没看见钱：先去对的地方找。",
    "说退款成功，账上却没有：“退款成功”表示我们已交给支付机构。",
    "改订单、撤订单 › 已经寄出，不想收了：出库后不能取消。",
    "“已取消”已关闭，付过的钱会原路退回。",
    "券在“卡券—已返还”看。",
    "已退款超过天数，请打银行客服。",
    "商家卖假，扣其保证金赔您。",
    "电子普票随订单完成自动发送。",
    "退款会在 3 个工作日内原路退回。",
    "签收后 7 天内可以无理由退货，运费由买家承担。",
    "审核通过后，我们会在 5 个工作日内为您退款。",
    "商家收到退件后会在 5 个工作日内退款。",
    "如果商品有质量问题，我们会承担运费并为您换货。",
    "已发货的订单不能取消，可以拒收。",
    "订单已经发货，不能再取消；您可以拒收，或签收后申请退货。",
    "已付款、还未打包的订单可以取消。",
    "订单取消后，款项会自动退回。",
    "退款成功后会有短信通知。",
    "取消成功后优惠券会退回账户。",
    "如果退款已提交但没有到账，请联系银行。",
    "已提交退货申请的订单，价保资格随即终止。",
    "我们晚于承诺日期10天以上还没发货的，双倍退还。",
    "已取消的订单无法恢复。",
    "运费由商家承担。",
    "礼品卡支付的部分退回礼品卡。",
    "Refunds go back to the original payment within 3 working days.",
    "Once we receive the item, we will refund you within 5 working days.",
    "If the item is faulty, we will replace it.",
    "Orders that have been shipped cannot be cancelled.",
    "After your refund has been issued, it can take 3 days to arrive.",
    "You can return items within 7 days of delivery.",
    "Delivered items have to come back before they can be refunded.",
    "The shop pays the return freight for faulty items.",
    # Questions and offers
    "需要我为您取消订单吗？",
    "请问退款已经到账了吗？",
    "您是想取消订单还是退货？",
    "我可以为您取消订单。",
    "确认办理吗？（15 分钟内有效）",
    "Would you like me to cancel it?",
    "Has your refund been issued?",
    "I can cancel the order for you.",
    "Shall I go ahead? (valid for 15 minutes)",
    # Denials
    "抱歉，无法为您退款。",
    "退款尚未提交。",
    "订单还没有取消。",
    "我们不能保证到账时间。",
    "您的退款还未到账",
    "Your order has not been cancelled.",
    "I haven't refunded anything yet.",
    "We cannot guarantee a delivery date.",
    "Nothing has been changed in your order.",
    "I am unable to cancel it.",
    # Reports of state
    "订单 20261101001（共 2 件）目前：已取消。",
    "退款申请（¥129.00）：已完成。",
    "状态：已签收",
    "Order A1 (2 items) is cancelled.",
    "Refund request (CN¥129.00): completed.",
    # Everyday talk of the bot
    "您好，请问有什么可以帮您？",
    "已为您转接人工客服，请稍候。",
    "我来帮您看一下订单。",
    "已收到您的消息。",
    "请提供订单号和手机尾号。",
    "包裹已签收。",
    "11月22日 10:00 快递已揽收",
    "Hello, how can I help you?",
    "I have passed your question to a colleague.",
    "Please tell me the order number.",
    "Your parcel was delivered on Nov 20.",
    "Thank you for waiting.",
]


@pytest.mark.parametrize(("text", "operation"), DONE)
def test_statement_of_a_done_action_is_found(text: str, operation: Operation | None) -> None:
    found = claims_in(text)

    assert ("done", operation) in [(claim.kind, claim.operation) for claim in found]


@pytest.mark.parametrize(("text", "operation"), PROMISES)
def test_promise_is_found(text: str, operation: Operation | None) -> None:
    found = claims_in(text)

    assert ("promise", operation) in [(claim.kind, claim.operation) for claim in found]


@pytest.mark.parametrize("text", NEITHER)
def test_rule_question_offer_denial_and_report_are_no_claims(text: str) -> None:
    assert [] == claims_in(text)


def receipt(operation: Operation) -> Receipt:
    return Receipt.model_validate(
        {
            "id": "R1",
            "operation": operation,
            "order": "A1",
            "key": "k",
            "at": "2026-11-22T10:00:00Z",
            "version": 2,
        }
    )


def test_claim_without_a_receipt_is_refused_and_named() -> None:
    with pytest.raises(UnbackedClaim, match="done refund") as caught:
        require_receipts("退款已提交", [])

    assert (Claim("done", Operation.REFUND, "退款已提交"),) == caught.value.claims


def test_claim_with_a_receipt_passes() -> None:
    require_receipts("退款已提交", ["R1"], {"R1": receipt(Operation.REFUND)})
    require_receipts("退款已提交", ["R1"])


def test_receipt_nobody_knows_backs_nothing() -> None:
    with pytest.raises(UnbackedClaim):
        require_receipts("退款已提交", ["R2"], {"R1": receipt(Operation.REFUND)})


def test_receipt_of_another_operation_backs_nothing() -> None:
    with pytest.raises(UnbackedClaim):
        require_receipts("Your refund has been submitted", ["R1"], {"R1": receipt(Operation.CHANGE_ADDRESS)})


def test_cancelling_backs_a_word_on_its_refund() -> None:
    require_receipts("订单已取消，款项已原路退回", ["R1"], {"R1": receipt(Operation.CANCEL)})


def test_reply_is_checked_with_the_receipts_in_its_audit_part() -> None:
    wrong = {"receipts": [receipt(Operation.SEND_INVOICE).model_dump(mode="json")]}

    check_reply(Reply(text="已退款", receipts=("R1",)))
    check_reply(Reply(text="你好"))
    with pytest.raises(UnbackedClaim):
        check_reply(Reply(text="已退款"))
    with pytest.raises(UnbackedClaim):
        check_reply(Reply(text="已退款", receipts=("R1",), explain=wrong))


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    """No text breaks the reader, and what it finds is part of what was said."""
    for claim in claims_in(text):
        assert claim.text


@given(st.sampled_from([text for text, _ in DONE]), st.sampled_from(NEITHER))
def test_harmless_sentence_hides_no_claim(claim: str, harmless: str) -> None:
    """A claim is found whatever stands around it."""
    assert claims_in(f"{harmless}\n{claim}")
    assert claims_in(f"{claim}\n{harmless}")
