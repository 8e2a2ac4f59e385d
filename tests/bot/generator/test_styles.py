"""Questions in other styles: the words stay, the habits go."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.generator.shops import read_shop, shop_files
from bot.generator.styles import restyled


@given(st.text(max_size=60), st.sampled_from(["zh", "en"]), st.integers(0, 1000))
def test_a_question_is_never_lost(text, language, seed):
    """Whatever is typed, its words come through, but for an ending that only closes the question."""
    said = restyled(text, language, random.Random(seed))
    core = text.strip(" \t.。!！?？~～…").removesuffix("吗")

    assert core.casefold() in said.casefold()
    assert bool(said) == bool(text)


@pytest.mark.parametrize(
    ("question", "never"),
    [("退货要几天", "天吗"), ("能不能退", "退吗"), ("怎么寄回去", "去吗"), ("多久到账", "账吗")],
)
def test_no_yes_or_no_is_asked_for_where_something_else_is(question, never):
    said = {restyled(question, "zh", random.Random(seed)) for seed in range(200)}

    assert len(said) > 20
    assert not [one for one in said if never in one]


@pytest.mark.parametrize("ending", ["吗", "怎么办"])
def test_no_ending_tells_what_is_answered(ending):
    """Among the invented shops it would, being far more frequent in one kind; restyled, most of that is gone."""
    rng = random.Random(7)
    before, after, count = Counter(), Counter(), Counter()
    for path in shop_files()[::4]:
        shop = read_shop(path)
        for q in shop.questions:
            if shop.language != "zh":
                continue
            count[q.answerable] += 1
            before[q.answerable] += ending in q.question
            after[q.answerable] += ending in restyled(q.question, "zh", rng)

    def told(seen):
        return (seen[False] / count[False]) / (seen[True] / count[True]) - 1

    assert told(before) > 0.8
    assert told(after) < min(0.6, 0.65 * told(before))
