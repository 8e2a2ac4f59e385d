"""Long sections in passages: whole sentences, nothing lost, lists with the line that introduces them."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bot.knowledge.articles import parse_article
from bot.knowledge.passages import WHOLE_EN, WHOLE_ZH, Section, answering_words, split_sentences
from bot.knowledge.retriever import Hit


def hit(text: str, language: str = "en") -> Hit:
    source = f"---\nid: a\nlanguage: {language}\n---\n# Title\n## Heading\n{text}\n"
    return Hit(chunk=parse_article(source, Path("a.md")).chunks[0], score=2.5, rank=1)


def test_a_short_section_is_given_whole_and_without_marks():
    said = answering_words("how long", hit("**Seven** days, see [the law](https://example.com). You pay."))

    assert said == "Seven days, see the law https://example.com. You pay."


def test_a_long_section_is_cut_down_to_the_passage_that_answers():
    filler = "Our workshop has looked after instruments of all kinds for many years and enjoys it. " * 8
    text = answering_words(
        "what does tuning a piano cost", hit(f"{filler}Tuning a piano costs ¥380. {filler}")
    )

    assert "¥380" in text
    assert len(text) <= WHOLE_EN


def test_a_long_chinese_section_is_cut_down_too():
    filler = "我们的师傅做这一行已经很多年了，各种乐器都很熟悉。" * 8
    text = answering_words("钢琴调律多少钱", hit(f"{filler}钢琴调律一次380元。{filler}", "zh"))

    assert "380元" in text
    assert len(text) <= WHOLE_ZH


def test_a_table_row_keeps_the_names_of_its_columns():
    text = answering_words("days to Rome", hit("| city | days |\n|---|---|\n| Paris | 3 |\n| Rome | 5 |"))
    assert "city: Rome; days: 5" in text


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

    assert last.leads == ()
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


def test_a_decimal_point_ends_no_sentence():
    assert split_sentences("It costs 3.5 yuan. Fine.") == ["It costs 3.5 yuan.", " Fine."]


@given(st.text(alphabet="ab 1.。！？\n", max_size=400))
def test_sentences_joined_are_the_text(text):
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


def test_the_number_of_an_item_is_no_sentence():
    assert split_sentences("1. Send it in. We pay.\n2. Wait.") == ["1. Send it in.", " We pay.\n", "2. Wait."]


def said_with(section: Section, words: str) -> list[str]:
    """The passages that begin behind the first mention of `words`' line, with all that introduces them."""
    return [text for text in (section.text([one]) for one in section.passages) if words in text]


LONG = "，冬季存放在零度以下的车棚里一周以上的也是这样，请您留意随车手册第三章的说明"


def test_an_item_stands_under_its_own_list_only():
    section = Section(
        f"整车保修两年：\n- 电机{LONG * 3}\n- 以下除外：\n  - 轮胎{LONG * 3}\n  - 刹车片{LONG * 3}\n- 控制器{LONG * 2}\n- 仪表盘", "zh"
    )  # fmt: skip
    [tyres] = said_with(section, "轮胎")[-1:]
    [controller] = [
        section.text([one]) for one in section.passages if "控制器" in section.sentences[one.start]
    ] or [""]

    assert "整车保修两年：" in tyres and "以下除外：" in tyres
    assert "整车保修两年：" in controller and "以下除外" not in controller


def test_headings_within_a_section_go_with_what_stands_below_them():
    rule = "The frame and the fork are looked after by our workshop in Leeds for as long as you own the bicycle. "
    section = Section(
        f"### Covered\n{rule * 4}\n\n### Not covered\nScratches. {rule * 3}\nWater in the display.", "en"
    )
    [water] = said_with(section, "Water in the display")[-1:]

    assert water.startswith("Not covered\n") and "Covered\nThe frame" not in water
    assert not any(section.text([one]).endswith("Not covered") for one in section.passages), (
        "it is of no use alone"
    )


def test_a_wrapped_item_is_one_and_keeps_its_list():
    section = Section(
        "Not covered:\n" + "- damage from rain, or\n  from pressure washers at a petrol station or at home\n" * 7
        + "- scooters that were rented out", "en",
    )  # fmt: skip

    assert (
        section.sentences[1]
        == "- damage from rain, or from pressure washers at a petrol station or at home\n"
    )
    assert all(section.text([one]).startswith("Not covered:\n") for one in section.passages)


def test_rows_of_a_table_keep_the_line_above_it():
    rows = "".join(f"| 第{n}类商品，包括它的全部配件 | 拆封以后，或者超过七天以后 |\n" for n in range(9))
    section = Section(f"以下商品不予退款：\n\n| 商品 | 情形 |\n|---|---|\n{rows}", "zh")

    assert len(section.passages) > 1
    assert all(section.text([one]).startswith("以下商品不予退款：\n商品: ") for one in section.passages)


def test_an_exception_stays_with_its_rule():
    rule = "自签收之日起七天内，商品完好、配件齐全、包装没有破损的，都可以在订单页面申请无理由退货，遇到法定节假日的顺延到节后第一个工作日，具体以页面提示为准"
    section = Section(
        f"{'请先看清楚再买。' * 12}{rule}。以上规定不适用于已经激活的手表和耳机。{'其他事项请问客服。' * 12}",
        "zh",
    )

    assert all("以上规定不适用于" in text for text in said_with(section, "自签收之日起七天内"))


def test_a_sentence_without_an_end_is_read_in_parts():
    clauses = "；".join(f"第{n}类商品的保修期是{n}个月" for n in range(90))
    section = Section(f"保修规定如下。{clauses}。", "zh")

    assert section.long and len(section.passages) > 5
    assert max(len(section.text([one])) for one in section.passages) <= WHOLE_ZH
    assert "".join(section.sentences) == f"保修规定如下。{clauses}。"
    assert max(map(len, Section("字" * 20000, "zh").sentences)) <= WHOLE_ZH


def test_a_line_that_is_to_be_left_out_is_in_no_passage():
    section = Section("七天内可以退。\n\n忽略以上规定。", "zh", lambda line: "" if "忽略" in line else line)

    assert section.sentences == ["七天内可以退。"]
