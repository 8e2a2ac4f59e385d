"""A yes is taken only from a message that is nothing but a yes, in either language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.consent import _read_words, read_consent
from bot.orders.models import Operation

YES = [
    "好", "好的", "好的。", "好的，谢谢", "好的呢", "好嘞", "好好好", "好吧", "那好吧", "行", "行吧", "行，麻烦您了", "可以", "可以的", "可以！",
    "是", "是的", "是的，没错", "对", "对的", "没错", "没问题", "沒問題！", "确认", "確認", "确认无误", "我确认", "确定", "同意", "我同意",
    "嗯", "嗯嗯", "要", "当然", "就这样吧", "办理吧", "请办理", "继续", "提交", "好的亲", "ｏｋ", "OK", "Ok.", "okay!", "OK👌", "👍", "👍🏻", "✅",
    "[OK]", "[强]", "好的[玫瑰]", "好的🙏", "yes", "Yes.", "YES!", "yes please", "Yes, please.", "yeah", "yep", "y", "sure", "Sure, go ahead",
    "go ahead", "Please go ahead.", "confirm", "I confirm", "I agree", "that's right", "That’s correct", "do it", "no problem", "sounds good",
    "of course", "alright", "ok, thanks!", "yes yes", "好的 ok", "y e s".replace(" ", ""), "好\u200b的",
]  # fmt: skip

NO = [
    "不", "不要", "不用了", "不用了谢谢", "不了", "不行", "不可以", "不同意", "不是", "不对", "算了", "算了吧", "先不要", "先别", "别", "还是算了",
    "不不不", "不，地址错了", "不，不要了", "不好意思，不用了", "拒絕", "👎", "❌", "no", "No.", "NO!", "nope", "no thanks", "no, thank you",
    "never mind", "not now", "don't", "Don’t do it", "please don't", "stop", "forget it", "no, the address is wrong", "not yet", "no no no",
]  # fmt: skip

UNCLEAR = [
    # Conditions and second thoughts
    "好的，但是…", "好的，但是地址不对", "好的但是运费谁出", "可以，不过先等等", "行，如果今天能到账", "可以的话就退", "可以先别", "好，等一下", "确认一下",
    "再确认下金额", "yes but", "yes, but only half", "ok but not the shirt", "yes if it's free", "ok if you pay the freight", "sure, after you check",
    "yes, wait", "ok hold on", "yes no", "no wait, yes", "好的…", "嗯...", "好的。。。", "ok...",
    # Questions
    "可以吗", "可以吗？", "好吗", "好不好", "是不是", "行不行", "对吗", "确定吗？", "是吧", "是？", "yes?", "sure?", "ok?", "is it ok", "what happens if yes",
    "不行吗", "不好么",
    # Double negation
    "不是不可以", "不能不办", "没有不同意", "不是不要", "我没说不要", "i don't disagree",
    # Not an answer
    "", "   ", "你好", "您好", "谢谢", "thanks", "hello", "哦", "随便", "都可以", "都行", "无所谓", "不知道", "不错", "不客气", "对不起", "对了", "好了", "可以了",
    "行了", "我再想想", "考虑一下", "maybe", "perhaps", "not sure", "I don't know", "why not", "I'm good", "I'm fine", "it's fine", "good", "fine",
    "ok so what now", "no worries", "no idea", "不急", "🤔", "😊", "100", "1", "？？？", "……",
    # Another goal
    "我要退货", "查物流", "转人工", "取消", "cancel", "退款", "确认退款", "确认取消", "yes, cancel it", "好的换一件", "是另一个订单", "不是这个订单，是昨天那个",
    "好好的衣服坏了", "是我买的", "行李箱", "对比一下", "成功了", "要多久", "嗯哼", "他说好的", "“好的”", "点了确认但是没反应", "note", "yesterday", "surely not",
    "okra", "nothing", "我没有确认", "还没同意", "不确定", "确认不了", "同意不了",
]  # fmt: skip


@pytest.mark.parametrize("text", YES)
def test_plain_yes_is_a_yes(text: str) -> None:
    assert "yes" == read_consent(text)


@pytest.mark.parametrize("text", NO)
def test_plain_no_is_a_no(text: str) -> None:
    assert "no" == read_consent(text)


@pytest.mark.parametrize("text", UNCLEAR)
def test_anything_else_is_neither_and_never_a_yes(text: str) -> None:
    found = read_consent(text)

    assert found != "yes"
    assert found == "unclear" or text[:1] in "不没"


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        ("确认取消", Operation.CANCEL),
        ("好的，取消吧", Operation.CANCEL),
        ("yes, cancel it", Operation.CANCEL),
        ("确认退款", Operation.REFUND),
        ("Yes, refund it please", Operation.REFUND),
        ("同意换货", Operation.EXCHANGE),
        ("可以，退货吧", Operation.RETURN),
        ("确认修改", Operation.CHANGE_ADDRESS),
        ("好，撤销", Operation.WITHDRAW_REQUEST),
    ],
)
def test_yes_may_name_the_act_on_the_table_and_no_other(text: str, operation: Operation) -> None:
    other = Operation.SEND_INVOICE

    assert "yes" == read_consent(text, operation)
    assert "unclear" == read_consent(text, other)
    assert "unclear" == read_consent(text)


@pytest.mark.parametrize("operation", list(Operation))
def test_naming_the_act_alone_is_no_consent(operation: Operation) -> None:
    acts = _read_words()["acts"][operation.value]

    for word in (*acts["zh"], *acts["en"]):
        assert "yes" != read_consent(word, operation)


@given(st.text(max_size=60))
def test_text_with_a_question_mark_is_never_an_answer(text: str) -> None:
    assert "unclear" == read_consent(text + "？")
    assert "unclear" == read_consent(text + "?")


@given(
    st.sampled_from(YES),
    st.sampled_from(
        ["但是", "不过", "如果", "先别", "except", "but", "only if", "unless", "不要", "no", "等等", "wait"]
    ),
    st.text(max_size=20),
)
def test_yes_with_a_reservation_is_never_a_yes(yes: str, reservation: str, rest: str) -> None:
    assert "yes" != read_consent(f"{yes}，{reservation}{rest}")
    assert "yes" != read_consent(f"{yes} {reservation} {rest}")
    assert "yes" != read_consent(f"{reservation} {rest} {yes}")


@given(st.text(alphabet="的了吗不别没是好可以行对嗯要先但如果再等 ,。", max_size=12))
def test_denial_word_anywhere_is_never_a_yes(text: str) -> None:
    if "yes" == read_consent(text):
        assert not set("不别但再等吗") & set(text)


@given(st.lists(st.sampled_from(["好的", "yes", "ok", "确认", "👍", "可以"]), min_size=1, max_size=5))
def test_repeating_a_yes_is_a_yes(words: list[str]) -> None:
    assert "yes" == read_consent("，".join(words))


@given(st.text(min_size=121, max_size=400))
def test_long_message_is_never_an_answer(text: str) -> None:
    assert "unclear" == read_consent(text)
