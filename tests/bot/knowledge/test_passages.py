"""Long sections in passages: whole sentences, nothing lost, lists with the line that introduces them."""

from hypothesis import given
from hypothesis import strategies as st

from bot.knowledge.extract import WHOLE_EN, WHOLE_ZH
from bot.knowledge.passages import Section

WARRANTY = (
    "The motor is covered for five years. "
    + "Our workshop in Leeds has looked after them since 1987 and keeps parts for every model. " * 3
    + """

Not covered:

- damage by water or sand, also by rain or a spilled drink, however small it may look at first
- damage from chargers of other makers, or from charging below 5 degrees or above 40 degrees
- scratches on the display, unless you tell us within 48 hours of delivery with a picture of them

| part | years |
|---|---|
| battery | 2 |
| tyres | 1 |
"""
)


def test_a_short_section_is_one_passage():
    section = Section("七天内可以退。运费由您承担。", "zh")

    assert not section.long
    assert ["七天内可以退。运费由您承担。"] == [section.text([one]) for one in section.passages]


def test_a_long_section_is_read_in_passages_of_whole_sentences():
    section = Section(WARRANTY, "en")
    texts = [section.text([one]) for one in section.passages]

    assert section.long and 2 <= len(texts) <= 4
    assert all(len(text) <= WHOLE_EN + 20 for text in texts)
    assert texts[0].startswith("The motor is covered for five years.")
    assert "part: tyres; years: 1" in texts[-1]


def test_items_of_a_list_carry_the_line_that_introduces_them():
    section = Section(WARRANTY, "en")
    torn = [p for p in section.passages if "- " in section.sentences[p.start]]

    assert torn, "the list is torn apart, or this test shows nothing"
    assert all(section.text([one]).startswith("Not covered:\n- ") for one in torn)


def test_what_follows_a_list_is_not_introduced_by_its_line():
    rows = "以下情况不退：\n" + "".join(
        f"- 第{n}种情况，商品已经{n * 3}天没有包装或配件。\n" for n in range(1, 9)
    )
    section = Section(rows + "其他商品签收后七天内都可以退，运费由买家承担，质量问题由我们承担。" * 4, "zh")
    last = section.passages[-1]

    assert last.lead is None
    assert "以下情况不退" not in section.text([last])


def test_neighbours_are_given_once():
    section = Section(WARRANTY, "en")

    assert section.text(section.passages) == "".join(section.sentences).strip()


def test_the_likeliest_passages_hold_what_is_asked_for():
    section = Section(
        "".join(f"第{n}条：这里写着与第{n}类商品有关的规定，请您留意。" for n in range(40))
        + "电池保修两年。",
        "zh",
    )
    assert len(section.passages) > 3

    chosen = section.likeliest("电池保修多久", (), 1)
    assert "电池保修两年" in section.text(chosen)


def test_the_nearest_sentence_decides_where_no_word_is_shared():
    section = Section("".join(f"第{n}条规定写在这里，请您留意一下。" for n in range(40)), "zh")
    cosines = [0.1] * len(section.sentences)
    cosines[23] = 0.9

    assert section.sentences[23] in section.text(section.likeliest("充电器", cosines, 1))
    assert len(section.likeliest("充电器", [0.1], 2)) == 2, "cosines of another text are not used"


@given(
    st.lists(
        st.sampled_from(
            [
                "七天内可退。",
                "不退：\n",
                "- 已拆封的\n",
                "1. 先寄回。",
                "字" * 90 + "。",
                "see 3.5 below. ",
                "\n\n",
            ]
        ),
        max_size=60,
    )
)
def test_passages_cover_every_sentence_and_go_forward(parts):
    section = Section("".join(parts), "zh")
    seen = {place for one in section.passages for place in range(one.start, one.stop)}

    assert seen == set(range(len(section.sentences)))
    starts = [one.start for one in section.passages]
    stops = [one.stop for one in section.passages]
    assert starts == sorted(set(starts)) and stops == sorted(set(stops))
    for one in section.passages if section.long else ():
        assert one.stop - one.start == 1 or sum(map(len, section.sentences[one.start : one.stop])) <= WHOLE_ZH
