"""What a message means beside the question that stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.context import FALLBACK, Gate, in_context, is_bare

RANKING = [("return_request", 0.8), ("refund_request", 0.1), ("context_only", 0.02)]


@pytest.mark.parametrize(
    "text",
    ["123", "第二个", "顺丰", "微信", "这个", "the second one", "M", "88123456123", "?", "下午", "黑色"],
)
def test_bare_answers_answer_a_question(text):
    """With a question they are answers; without one they are not guessed."""
    assert is_bare(text)
    assert in_context(text, RANKING, "order_number")[0][0] == "inform"
    assert in_context(text, RANKING, None)[0][0] == "context_only"


@pytest.mark.parametrize("text", ["我要退货", "where is my order", "鞋子坏了怎么办"])
def test_requests_stay_requests_with_and_without_a_question(text):
    """A new wish in the middle of a form is still understood as one."""
    assert not is_bare(text)
    assert in_context(text, RANKING, "order_number")[0] == ("return_request", 0.8)
    assert in_context(text, RANKING, None)[0] == ("return_request", 0.8)


def test_dropping_it_is_a_no_while_a_question_stands():
    """ "不要了" after a question is a no; as a first message it keeps what it seemed to be."""
    assert in_context("不要了", RANKING, "consent")[0][0] == "deny"
    assert in_context("不要了", RANKING, None)[0][0] == "return_request"


def test_weak_scores_are_asked_about_and_keep_both_guesses():
    """Below the threshold or too close together: fallback first, the two likeliest after it."""
    weak = in_context("那个东西呢真是的", [("fault", 0.3), ("invoice", 0.2)], None)
    close = in_context("退钱还是退货呢我", [("refund_request", 0.49), ("return_request", 0.47)], None)

    assert [name for name, _ in weak] == [FALLBACK, "fault", "invoice"]
    assert [name for name, _ in close] == [FALLBACK, "refund_request", "return_request"]


def test_two_intents_of_one_flow_are_no_rivals():
    """Whether "到哪了" asks for the order or for the parcel, the same card answers."""
    close = in_context("帮我查一下到哪了", [("order_status", 0.36), ("delivery", 0.35)], None)
    third = in_context(
        "帮我查一下到哪了", [("delivery", 0.36), ("refund_request", 0.34), ("order_status", 0.02)], None
    )
    weak = in_context(
        "帮我查一下到哪了", [("delivery", 0.2), ("order_status", 0.15), ("refund_request", 0.1)], None
    )

    assert close[0] == ("order_status", 0.36)
    assert third[0][0] == FALLBACK == weak[0][0]


def test_questions_that_the_articles_are_searched_for_are_no_rivals():
    """Whether it is about a product or a fault, the same articles are searched; a wish beside it is a rival."""
    question = "空气净化器能接在车上用吗"

    assert (
        in_context(question, [("product_question", 0.48), ("fault", 0.45)], None)[0][0] == "product_question"
    )
    assert in_context(question, [("product_question", 0.48), ("invoice", 0.45)], None)[0][0] == FALLBACK
    assert in_context(question, [("product_question", 0.3), ("fault", 0.3)], None)[0][0] == FALLBACK


def test_a_question_to_the_articles_need_not_be_sorted_among_their_kinds():
    """What is a question about a product or a fault for certain is looked up, unless it is a little of everything."""
    asked = "can I run it from a car battery"
    sum_of_two = in_context(
        asked, [("product_question", 0.39), ("fault", 0.31), ("return_request", 0.1)], None
    )
    little = in_context(asked, [("product_question", 0.3), ("fault", 0.25), ("return_request", 0.1)], None)
    contested = in_context(asked, [("fault", 0.33), ("promotion", 0.29), ("refund_request", 0.3)], None)

    assert sum_of_two[0] == ("product_question", 0.39)
    assert little[0][0] == FALLBACK
    assert contested[0] == ("fault", 0.33)


def test_a_flow_is_not_started_by_a_remark_that_hangs_on_context():
    ranking = [("return_request", 0.5), ("context_only", 0.4)]

    assert in_context("是不是因为我退了一件", ranking, None)[0][0] == FALLBACK


@given(
    st.text(max_size=40),
    st.lists(st.tuples(st.sampled_from(["fault", "invoice", "deny", "inform"]), st.floats(0, 1)), max_size=4),
    st.sampled_from([None, "reason"]),
)
def test_there_is_always_an_answer(text, ranking, question):
    """Whatever comes, the first entry is something to act on, and nothing known is lost."""
    heard = in_context(text, ranking, question, Gate())

    assert heard
    assert {name for name, _ in ranking} <= {name for name, _ in heard}


@pytest.mark.parametrize(
    ("text", "moves"),
    [
        ("I moved, please send order 8123 4567 to 500 Howard Street, San Francisco, California 94105", True),
        ("We are moving to 14 Oak Avenue, Austin, TX 73301, can you send it there?", True),
        ("Can you please ship my parcel to 7 Hill Road, Leeds LS1 4AB instead", True),
        ("我搬家了，请寄到浙江省杭州市西湖区文三路100号2幢301", True),
        ("帮我把订单送到北京市朝阳区建国路88号院1号楼1001", True),
        ("where is my parcel? It was to be sent to 12 Green Street, Bristol", False),
        ("你们寄到了浙江省杭州市西湖区文三路100号，我没收到", False),
        ("I moved, what do I have to do?", False),
    ],
)
def test_a_new_place_to_deliver_to_is_a_change_of_address(text, moves):
    """Whatever the classifier made of so many numbers and names."""
    heard = in_context(text, [("inform", 0.7), ("delivery", 0.2)], None)

    assert moves == (heard[0][0] == "modify_address")


def test_of_several_wishes_the_first_begins():
    ranking = [("invoice", 0.77), ("return_request", 0.15)]
    wishes = [("return_request", 0.72), ("invoice", 1.0)]

    assert "return_request" == in_context("退掉第二件,另外发票开了吗？", ranking, None, wishes=wishes)[0][0]
    assert "invoice" == in_context("不想要了，另外发票开了吗？", ranking, "reason", wishes=wishes)[0][0]


def test_one_clear_wish_outweighs_a_blurred_whole_but_no_complaint():
    wish = [("refund_request", 0.99)]

    assert (
        "refund_request"
        == in_context("鞋子没到，我要退款", [("refund_status", 0.6)], None, wishes=wish)[0][0]
    )
    assert "complaint" == in_context("太差了，我要退款", [("complaint", 0.5)], None, wishes=wish)[0][0]


@pytest.mark.parametrize(
    ("text", "withdrawn"),
    [
        ("撤销86315864174097275的退货申请", True),
        ("我不换了，把换货申请撤了吧", True),
        ("取消退货", True),
        ("I want to withdraw my return request for order 8123456789", True),
        ("please cancel my exchange", True),
        ("取消订单并退款", False),
        ("取消订单81146420526351696，退货退款", False),
        ("cancel my order and return my money", False),
        ("我要退货", False),
    ],
)
def test_taking_back_a_request_is_not_making_one(text, withdrawn):
    heard = in_context(text, [("return_request", 0.7), ("cancel_order", 0.2)], None)

    assert withdrawn == (heard[0][0] == "withdraw_request")


@pytest.mark.parametrize(
    "text",
    [
        "I want to withdraw from the contract and get a refund",
        "我要取消订单退货",
        "I hereby withdraw from my purchase, please refund me",
        "exercise my right to withdraw and return the shoes",
        "取消订单换货吧",
        "取消订单退货退款",
        "取消订单81146420526351696退货",
        "取消掉订单申请退货",
        "我要申请撤销订单",
        "撤销订单并退款",
        "撤销合同退货",
        "把订单撤销退款",
        "I withdraw from the sale and request a refund",
        "I would like to withdraw my order and return it",
        "withdraw from this purchase and claim my money back",
        "how do I withdraw my refund to my bank card",
    ],
)
def test_withdrawing_from_a_purchase_is_left_to_the_classifier(text):
    """The usual wording of a return in the EU, and "cancel the order and return it"."""
    ranking = [("return_request", 0.7), ("cancel_order", 0.2)]

    assert in_context(text, ranking, None) == ranking


@pytest.mark.parametrize(
    "text",
    [
        "撤销我的退货申请",
        "取消退货",
        "withdraw my return request",
        "取消订单的退款申请",
        "取消订单退货申请",
        "取消订单81146420526351696的换货申请",
        "撤销订单81146420526351696的退货申请",
        "撤回售后",
        "帮我把退款申请撤回",
        "申请撤销退货",
        "取消我的退货退款申请",
        "I'd like to withdraw my exchange request",
        "withdraw the return for order 8123456789",
        "withdraw order 8123456789's return request",
        "withdraw my earlier refund request",
        "I want to withdraw my claim",
    ],
)
def test_taking_back_a_request_names_the_request(text):
    heard = in_context(text, [("return_request", 0.7), ("cancel_order", 0.2)], None)

    assert heard[0] == ("withdraw_request", 0.9)


def test_a_farewell_and_a_question_in_the_middle_of_something():
    """Two letters and a question of cost are not what a classifier of wishes makes of them."""
    assert "bye" == in_context("Bye!", [("affirm", 0.58), ("context_only", 0.2)], None)[0][0]
    asked = [("return_request", 0.9)]
    assert "policy_question" == in_context("退货运费谁出？", asked, "reason")[0][0]
    assert "return_request" == in_context("退货运费谁出？", asked, None)[0][0]
    assert "policy_question" == in_context("补差价是什么意思", [("price_protection", 0.8)], "option")[0][0]
