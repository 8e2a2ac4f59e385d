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


# Which operations of the policy an article speaks of: a number of another operation is as wrong as an invented one.
SPEAKS_OF = {
    "invoice-deadline": ("send_invoice",),
    "cancel-change": ("cancel",),
    "exchanges": ("exchange",),
    "price-protection": ("price_protection", "exchange"),
    "refund-rules": ("refund", "return"),
    "refund-times": ("cancel", "refund", "return"),
    "return-steps": ("return",),
    "returns-excluded": ("cancel", "refund", "return"),
    "returns-fault": ("return", "exchange"),
    "returns-no-reason": ("return",),
    "warranty": ("return",),
}
# Promises made in passing, in articles about something else: pattern, then the clauses whose days may stand there.
IN_PASSING = (
    (r"(\d+)天内(?:可以|直接|拍照|再)*(?:退换|退货|换货|免费补发)", ("return.fault", "exchange.fault")),
    (r"签收(\d+)天内(?=开胶)", ("return.fault", "exchange.fault")),
    (r"(?:return|exchange)[^.;]{0,30}? within (\d+) days", ("return.fault", "exchange.fault")),
    (r"within (\d+) days of delivery(?=[^.;]{0,40}(?:return|exchange))", ("return.fault", "exchange.fault")),
    (r"within (\d+) days (?=we send the single piece)", ("return.fault", "exchange.fault")),
    (r"少件请在签收后(\d+)天内", ("refund.missing_item",)),
    (r"(\d+)天内免费寄出", ("refund.missing_item",)),
    (r"within (\d+) days of delivery (?=if something is missing)", ("refund.missing_item",)),
    (r"(\d+)天内拍照退款", ("refund.perishable_fault",)),
    (r"within (\d+) days for a refund", ("refund.perishable_fault",)),
    (r"(\d{3})天内", ("return.warranty",)),
    (r"(?:up to|within) (\d{3}) days", ("return.warranty",)),
)


def facts(operations: tuple[str, ...], *, old: bool = False) -> dict[str, set[int]]:
    """What the policy says of operations, by kind: working days, days, amounts in whole units of money.

    Of the version in force, and of the `old` ones as well for a section that tells from when a rule holds.
    """
    kinds: dict[str, set[int]] = {"working_days": set(), "days": set(), "amounts": set()}
    newest = max(POLICY.versions, key=lambda version: version.effective)
    for version in POLICY.versions if old else (newest,):
        for name, value in POLICY.facts(version.id).items():
            if name.partition(".")[0] not in operations:
                continue
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
    text = chunk.heading + "\n" + chunk.text
    known = facts(SPEAKS_OF.get(chunk.article_id, ()), old=DATE.search(text) is not None)
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
    """The test of the test: nothing returns within 9 days, and 30 days are the price protection's alone."""
    known = facts(("return",), old=True)
    assert 9 not in known["days"] and 4 not in known["working_days"] and 123 not in known["amounts"]
    assert 30 not in known["days"] and 30 in facts(("price_protection",))["days"]
    assert 7 not in facts(("price_protection",))["days"]
    assert WORKING_DAYS.search("4个工作日")[1] == "4"
    assert AMOUNT.search("¥123")[1] == "123" and AMOUNT.search("123元")[2] == "123"


def promised_in_passing(text: str) -> list[tuple[str, int, set[int]]]:
    """What an article about something else says of the policy: the words, the days, and the days it may say."""
    known = POLICY.facts(max(POLICY.versions, key=lambda version: version.effective).id)
    return [
        (found[0], int(found[1]), {int(known[f"{clause}.within_days"]) for clause in clauses})
        for pattern, clauses in IN_PASSING
        for found in re.finditer(pattern, text, re.IGNORECASE)
    ]


def test_other_articles_promise_no_other_days_than_the_policy():
    others = [chunk for chunk in KNOWLEDGE.chunks if chunk.risk != "policy"]
    told = [(chunk.id, *one) for chunk in others for one in promised_in_passing(chunk.text)]
    wrong = [f"{where}: {words}" for where, words, days, known in told if days not in known]

    assert wrong == []
    assert len({where for where, *_ in told}) >= 20  # the patterns do find such promises
    assert promised_in_passing("还不行，20天内退换") == [("20天内退换", 20, {15})]


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
