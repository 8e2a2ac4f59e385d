"""The demo shop's own articles: complete, bilingual, and never at odds with the policy that runs."""

import re

import pytest

from bot.knowledge import Knowledge
from bot.orders.shop.catalogue import ITEMS
from bot.policy.policy import Policy
from bot.settings import PROJECT_ROOT

KNOWLEDGE = Knowledge.load(PROJECT_ROOT / "data" / "knowledge")
POLICY = Policy.load()
DATE = re.compile(r"(\d{4})年(\d{1,2})月(\d{1,2})日|(\d{1,2}) July (\d{4})")
WORKING_DAYS = re.compile(r"(\d+)\s*(?:个工作日|working days?)")
AMOUNT = re.compile(r"¥\s?([\d,]+)|([\d,]+)\s*元")
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")

POLICY_CHUNKS = [chunk for chunk in KNOWLEDGE.chunks if chunk.risk == "policy"]


def facts() -> dict[str, set[int]]:
    """What the policy's versions say, by kind: working days, days, amounts in whole units of money."""
    kinds: dict[str, set[int]] = {"working_days": set(), "days": set(), "amounts": set()}
    for version in POLICY.versions:
        for name, value in POLICY.facts(version.id).items():
            if name.endswith("working_days"):
                kinds["working_days"].add(int(value))
            elif name.endswith(("within_days", "send_back_days")):
                kinds["days"].add(int(value))
            elif ".person_above.CNY" in name:
                kinds["amounts"].add(int(value) // 100)
    return kinds


def numbers(text: str) -> list[str]:
    return sorted(number.replace(",", "") for number in NUMBER.findall(text))


def test_there_are_enough_articles_in_both_languages_and_none_lacks_its_translation():
    count = {language: sum(a.language == language for a in KNOWLEDGE.articles) for language in ("zh", "en")}
    assert min(count.values()) >= 60
    assert KNOWLEDGE.warnings == ()


@pytest.mark.parametrize("chunk", POLICY_CHUNKS, ids=lambda chunk: chunk.id)
def test_every_number_of_a_policy_article_is_one_the_policy_sets(chunk):
    known = facts()
    text = chunk.heading + "\n" + chunk.text
    effective = {version.effective.isoformat() for version in POLICY.versions}
    for found in DATE.finditer(text):
        year, month, day = found[1] or found[5], found[2] or "7", found[3] or found[4]
        assert f"{year}-{int(month):02}-{int(day):02}" in effective, found[0]
    text = DATE.sub("", text)
    for found in WORKING_DAYS.finditer(text):
        assert int(found[1]) in known["working_days"], found[0]
    text = WORKING_DAYS.sub("", text)
    for found in AMOUNT.finditer(text):
        assert int((found[1] or found[2]).replace(",", "")) in known["amounts"], found[0]
    text = AMOUNT.sub("", text)
    for number in NUMBER.findall(text):
        assert int(number) in known["days"], f"{number} in {chunk.path}:{chunk.line}"


def test_the_check_above_sees_a_number_that_is_not_the_policys():
    """The test of the test: the policy has no 9 days, 4 working days or 123 yuan."""
    known = facts()
    assert 9 not in known["days"] and 4 not in known["working_days"] and 123 not in known["amounts"]
    assert WORKING_DAYS.search("4个工作日")[1] == "4"
    assert AMOUNT.search("¥123")[1] == "123" and AMOUNT.search("123元")[2] == "123"


@pytest.mark.parametrize("article", [a for a in KNOWLEDGE.articles if a.language == "zh"], ids=lambda a: a.id)
def test_both_languages_have_the_same_sections_and_the_same_limits(article):
    twin = next(a for a in KNOWLEDGE.articles if a.id == article.id and a.language == "en")
    assert [c.anchor for c in article.chunks] == [c.anchor for c in twin.chunks]
    assert (article.products, article.risk, article.valid_from) == (twin.products, twin.risk, twin.valid_from)


@pytest.mark.parametrize("chunk", [c for c in POLICY_CHUNKS if c.language == "zh"], ids=lambda c: c.id)
def test_both_languages_of_the_policy_say_the_same_numbers(chunk):
    twin = KNOWLEDGE.chunk(chunk.id.replace("/zh#", "/en#"))
    dates = [DATE.sub("", text) for text in (chunk.text, twin.text)]
    assert set(numbers(dates[0])) == set(numbers(dates[1]))


def test_products_named_by_articles_are_sold():
    sold = {item.id for item in ITEMS}
    assert {product for chunk in KNOWLEDGE.chunks for product in chunk.products} <= sold
