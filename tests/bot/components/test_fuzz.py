"""No message crashes or hangs the trained pipeline: every component, as Rasa runs them, on what people and machines type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.components.interpreter import load_interpreter
from bot.exceptions import TrainingError
from bot.training import current_model

pytestmark = pytest.mark.timeout(600)  # of the whole module on a busy machine; a hang is longer

LONG = 100_000
EMOJI = "😀😡👍🏽👨‍👩‍👧‍👦🇨🇳❤️🤷‍♀️㊙️"
CONTROL = "".join(map(chr, [*range(0x20), 0x7F, *range(0x80, 0xA0)]))
RIGHT_TO_LEFT = "مرحبا أين طلبي שלום איפה ההזמנה\u202e\u202d\u2067\u2069"
ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f"
SHOPPERS = "退货款快递到哪了吗我要order refund 88123456 138-0013-8000 ¥99.5 [数字x] <num> /{}()（）“”\\?*+"


@pytest.fixture(scope="module")
def parse() -> Callable[[str], dict[str, Any]]:
    try:
        model = current_model()
    except TrainingError as exc:
        pytest.skip(str(exc))
    return load_interpreter(model)


def understood(parse: Callable[[str], dict[str, Any]], text: str) -> dict[str, Any]:
    """The parse, after checking what every reader of it relies on."""
    found = parse(text)
    ranking = found.get("intent_ranking") or []
    assert all(0.0 <= one["confidence"] <= 1.0 and one["name"] for one in ranking)
    assert not ranking or found["intent"]["name"] == ranking[0]["name"]
    for one in found["entities"]:
        assert 0 <= one.get("start", 0) <= one.get("end", len(text)) <= len(text), one
        assert one["value"] is not None
    return found


messages = st.one_of(
    st.text(max_size=200),
    st.text(alphabet=st.characters(), max_size=60),  # any code point that is a character
    st.text(alphabet=EMOJI, min_size=1, max_size=40),
    st.text(alphabet=CONTROL, min_size=1, max_size=40),
    st.text(alphabet=RIGHT_TO_LEFT, min_size=1, max_size=60),
    st.text(alphabet=ZERO_WIDTH + "退款", min_size=1, max_size=40),
    st.text(alphabet=SHOPPERS, min_size=1, max_size=80),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages)
@example("\ud800 half a pair".encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
@example("/refund_request")
@example('/inform{"choice": "1"')
@example("\x00")
@example("﷽" * 50)  # one character that is eighteen in compatibility form
@example("Z̸̧͓̙͍͎̄͑̅a̷͖̅l̴g̵o̶")
@example("1" * 500)
@example("(" * 500)
@example("的" * 600)
def test_any_message_is_understood_somehow(parse, text):
    understood(parse, text)


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "退",
        "退货 ",
        "9",
        "9-",
        "😀",
        "\u200b",
        "\u202e",
        "\x01",
        "م",
        "@a.",
        "¥1,",
        "周一",
        "(",
        "tui",
        "北京市朝阳区",
        "\n",
        "?!",
    ],
)
def test_a_hundred_thousand_characters_end(parse, unit):
    """Of one kind, where patterns that backtrack would run for ever."""
    understood(parse, (unit * LONG)[:LONG])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(messages, min_size=1, max_size=4))
def test_a_hundred_thousand_mixed_characters_end(parse, parts):
    text = "".join(parts) or "x"
    understood(parse, (text * (LONG // len(text) + 1))[:LONG])


@pytest.mark.parametrize("text", ["", " ", "\u200b\u200b", "\x00\x01", "😀😀😀", "...", "\u202e"])
def test_nothing_said_starts_nothing(parse, text):
    """Silence, in whatever bytes, is no wish."""
    assert parse(text)["intent"]["name"] in (
        None,
        "nlu_fallback",
        "context_only",
        "affirm",
        "thanks",
        "greet",
        "out_of_scope",
    )
