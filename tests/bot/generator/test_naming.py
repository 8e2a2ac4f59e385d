"""Which models a question names, and whether a section is about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.generator.confidence import ChunkStatistics
from bot.generator.naming import about_other_models, about_other_occasions, named_things, stands_in
from bot.knowledge.articles import Chunk
from bot.message import Language


def section(text: str, *products: str, language: Language = "zh", heading: str = "说明") -> Chunk:
    return Chunk(
        f"{heading}/{text[:4]}", heading, language, (heading,), heading, text, products, None, None, None,
        Path("x.md"), 1,
    )  # fmt: skip


FREIGHT = section("整车运费45元，配件10元。", heading="运费")
RANGE = section("S3续航30公里，S3 Pro续航45公里。", heading="续航")
LENT = section("只有S5车主可以借代步车。", heading="代步车")
SHOP = [FREIGHT, RANGE, LENT]


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("is the 1st checkup after 300km free", []),
        ("rode it 15k, I live on the 5th floor, at 10pm, with 5ghz wifi", []),
        ("does the BX-200 fit the Cargo bike", ["bx-200", "cargo"]),
    ],
)
def test_counts_and_ordinals_are_not_names(question: str, named: list[str]) -> None:
    assert named == named_things(question)


@pytest.mark.parametrize(
    ("name", "text", "stands"),
    [
        ("x1", "追光x10 支持防水", False),
        ("x1", "追光x1支持防水", True),
        ("x1", "the ax1 is not", False),
        ("bx-200", "bx-200.", True),
        ("s3pro", "s3 pro约6.5小时", True),
        ("s3 pro", "s3-pro", True),
        ("s3", "s3 pro", True),
        ("x1-0", "x10", False),
        ("x10", "x1 0.5", False),
    ],
)
def test_a_model_number_stands_in_a_text_as_a_whole(name: str, text: str, stands: bool) -> None:
    assert stands is stands_in(name, text)


@pytest.mark.parametrize(
    ("question", "said", "others"),
    [
        ("发一台S5运费多少", FREIGHT, False),  # holds for every model the shop has
        ("发一台S9运费多少", FREIGHT, True),  # nobody here knows an S9
        ("S3跑多远", RANGE, False),
        ("s3pro跑多远", RANGE, False),
        ("S5跑多远", RANGE, True),  # of two others
        ("S3送修能借车吗", LENT, True),
        ("S5运费多少", section("运费45元。", "s3", heading="S系列运费"), True),  # of one product, whichever
        ("运费多少", LENT, False),
    ],
)
def test_a_section_without_a_model_holds_for_those_the_shop_has(
    question: str, said: Chunk, others: bool
) -> None:
    assert others is about_other_models(question, said, ChunkStatistics([*SHOP, said]).names)


@pytest.mark.parametrize(
    ("question", "text", "others"),
    [
        ("五一放几天假", "春节2月12日到23日不发货。", True),
        ("大年初三发货吗", "春节2月12日到23日不发货。", False),
        ("are you open over Christmas", "春节2月12日到23日不发货。", True),
        ("国庆发货吗", "国庆、春节期间照常发货。", False),
        ("五一放几天假", "全年无休。", False),  # holds all year
        ("夏天续航会少吗", "冬天续航剩七成。", True),
        ("how much range do i lose in summer", "In winter about 70% is left.", True),
        ("冬天续航会少吗", "夏天不受影响，冬天剩七成。", False),
        ("放假发货吗", "春节不发货。", False),  # names none
    ],
)
def test_what_holds_on_one_occasion_holds_on_no_other(question: str, text: str, others: bool) -> None:
    assert others is about_other_occasions(question, [section(text)])
