"""Returns, exchanges' neighbours: which items, why, opened or not, and the clause of a refusal."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from bot.orders.shop.samples import sample
from tests.e2e.assistant import Assistant, Shop
from tests.e2e.conftest import NewShopper
from tests.e2e.words import LANGUAGES, NO_PHOTO, REASONS, YES, ask_for, is_plan

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("language", LANGUAGES)]


async def test_one_of_two_items_goes_back(shop: Shop, new_shopper: NewShopper, language: str) -> None:
    order = sample("return_day3_en")
    shopper = await new_shopper(language)
    await ask_for(shopper, "return_goods", order)
    said = await shopper.say({"zh": "第一件", "en": "the first one"}[language])
    if not is_plan(said):
        said = await shopper.say(REASONS["changed_mind"][language])
    assert is_plan(said)
    done = await shopper.say(YES[language])

    receipt = await shop.assert_one("return", order.number)
    assert [receipt["id"]] == done.receipts
    (request,) = (await shop.order(order.number))["requests"]
    assert ["L1"] == [line["line_id"] for line in request["lines"]]


async def test_all_items_go_back(shop: Shop, new_shopper: NewShopper, language: str) -> None:
    order = sample("return_day3")
    shopper = await new_shopper(language)
    await ask_for(shopper, "return_goods", order)
    said = await shopper.say({"zh": "全部", "en": "all of them"}[language])
    if not is_plan(said):
        said = await shopper.say(REASONS["changed_mind"][language])
    assert is_plan(said)
    await shopper.say(YES[language])

    await shop.assert_one("return", order.number)
    (request,) = (await shop.order(order.number))["requests"]
    assert {"L1": 2, "L2": 1} == {line["line_id"]: line["quantity"] for line in request["lines"]}


async def test_on_the_seventh_day_a_change_of_mind_still_counts(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("return_day7")
    shopper = await new_shopper(language)
    said = await ask_for(shopper, "return_goods", order, REASONS["changed_mind"][language])
    assert is_plan(said)
    await shopper.say(YES[language])

    await shop.assert_one("return", order.number)


@pytest.mark.parametrize(
    ("name", "clause"),
    [
        ("return_day8", {"zh": "7 天", "en": "7 days"}),
        ("return_made_to_order", {"zh": "定制", "en": "ade-to-order"}),
        ("return_fresh", {"zh": "鲜活易腐", "en": "erishable"}),
    ],
)
async def test_a_refused_return_is_explained_with_its_clause(
    shop: Shop, new_shopper: NewShopper, language: str, name: str, clause: dict[str, str]
) -> None:
    shopper = await new_shopper(language)
    said = await ask_for(shopper, "return_goods", sample(name), REASONS["changed_mind"][language])
    if "2" in said.buttons:  # two of one kind: how many
        said = await shopper.say("2")

    assert not is_plan(said)
    assert clause[language] in said.text
    await shop.assert_untouched()


async def test_after_seven_days_a_fault_still_counts(
    shop: Shop, new_shopper: NewShopper, language: str
) -> None:
    order = sample("return_day8")
    shopper = await new_shopper(language)
    said = await ask_for(shopper, "return_goods", order, REASONS["quality_fault"][language])
    if not is_plan(said):
        said = await shopper.say(NO_PHOTO[language])
    assert is_plan(said)
    await shopper.say(YES[language])

    await shop.assert_one("return", order.number)


async def test_a_photo_becomes_evidence_of_the_request(
    shop: Shop, new_shopper: NewShopper, assistant: Assistant, language: str
) -> None:
    order = sample("return_day8")
    shopper = await new_shopper(language)
    await ask_for(shopper, "return_goods", order, REASONS["quality_fault"][language])
    photo = io.BytesIO()
    Image.new("RGB", (40, 30), "brown").save(photo, "JPEG", exif=b"Exif\0\0where-i-live")
    said = await shopper.show(photo.getvalue())
    assert is_plan(said)
    await shopper.say(YES[language])

    receipt = await shop.assert_one("return", order.number)
    [name] = receipt["details"]["evidence"]
    kept = (assistant.data_dir / "media" / name).read_bytes()
    assert (40, 30) == Image.open(io.BytesIO(kept)).size and b"where-i-live" not in kept


@pytest.mark.parametrize("opened", [True, False])
async def test_hygiene_goods_go_back_unopened_only(
    shop: Shop, new_shopper: NewShopper, language: str, opened: bool
) -> None:
    order = sample("return_hygiene")
    shopper = await new_shopper(language)
    await ask_for(shopper, "return_goods", order, REASONS["changed_mind"][language])
    answer = {"zh": ("没有拆封", "已经拆封"), "en": ("not opened", "opened")}[language][opened]
    said = await shopper.say(answer)

    if opened:
        assert not is_plan(said)
        await shop.assert_untouched()
    else:
        assert is_plan(said)
        await shopper.say(YES[language])
        await shop.assert_one("return", order.number)


async def test_a_return_under_way_is_withdrawn(shop: Shop, new_shopper: NewShopper, language: str) -> None:
    order = sample("return_under_way")
    shopper = await new_shopper(language)
    said = await ask_for(shopper, "withdraw_request", order)
    if not is_plan(said):  # taken for another return or for a cancellation: the refusal offers the way out
        said = await shopper.press({"zh": "撤销申请", "en": "Withdraw the request"}[language])
    assert is_plan(said)
    await shopper.say(YES[language])

    await shop.assert_one("withdraw_request", order.number)
    (request,) = (await shop.order(order.number))["requests"]
    assert "withdrawn" == request["status"]
