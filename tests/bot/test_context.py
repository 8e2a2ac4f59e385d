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
