"""One shopper on several channels: linked by proof and his word only, taken apart by his word, and what a link gives."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.database import now_ms
from bot.handoff import cases
from bot.identity import links
from bot.identity.guard import grants
from bot.message import Inbound
from bot.privacy.erasure import erase
from bot.privacy.export import export
from bot.privacy.subjects import find_subject
from channels.linking import NO, Linking
from tests.channels.desk.house import House, open_house
from tests.channels.desk.test_rounds import Clock
from tests.channels.fake_rasa import FakeRasa
from tests.channels.test_gateway import Door
from tests.channels.test_web import Site, identity, open_site

_CODE = re.compile(r"bind_([A-Z2-9]{8})")


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(tmp_path / "clock")
    monkeypatch.setenv("KEFU_CLOCK_FILE", str(clock.path))
    return clock


class Window(Door):
    """A second channel."""

    name = "window"


@pytest.fixture
async def house(tmp_path: Path, clock: Clock) -> AsyncIterator[House]:
    async with open_house(tmp_path, handoff={"tick": 3600}) as house:
        house.gateway.own_answer = Linking(house.gateway, house.settings).answer
        house.gateway.add(Window())
        yield house


async def linked(house: House, conversation: str) -> set[str]:
    async with house.gateway.store.read() as connection:
        return set(await links.linked(connection, conversation))


async def last(house: House, conversation: str) -> Any:
    await house.quiet()
    return [line for line in await house.lines(conversation) if line.kind == "message"][-1].body


async def code_from(house: House, conversation: str) -> str:
    found = _CODE.search((await last(house, conversation))["text"])
    assert found is not None, "no code was given out"
    return found[1]


async def press(house: House, conversation: str, n: int, shopper: str, channel: str) -> None:
    """Press the n-th button of the last message."""
    token = (await last(house, conversation))["buttons"][n]["token"]
    found = await house.gateway.press(conversation, token)
    assert found is not None
    await house.hear(found[0], shopper, channel=channel, payload=found[1])


async def link_by_code(house: House, language: str = "zh") -> tuple[str, str]:
    say = {"zh": "关联会话", "en": "link my chats"}[language]
    here = await house.hear(say, "anna")
    code = await code_from(house, here)
    there = await house.hear(f"bind_{code}", "o_anna", channel="window", locale=language)
    await press(house, there, 0, "o_anna", "window")
    return here, there


async def grant(house: House, conversation: str, customer: str, *, age: int = 0) -> None:
    """An order of this customer was proven in this conversation, `age` ms ago."""
    now = now_ms()
    async with house.gateway.store.write() as connection:
        await connection.execute(
            grants.insert().values(
                conversation=conversation, order_number="8010", token="t", kind="phone_tail", customer_id=customer,
                customer_name="王芳", proven_at=now - age, expires_at=now + 7_200_000,
            )
        )  # fmt: skip


# proof and consent


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_code_shown_in_the_other_chat_and_a_yes_link_both(house: House, language: str) -> None:
    here, there = await link_by_code(house, language)
    await house.quiet()
    told = {"zh": "刚刚和您的另一个会话关联", "en": "was just linked"}[language]

    assert {here, there} == await linked(house, here) == await linked(house, there)
    assert told in (await last(house, here))["text"]
    assert [] == house.dialogue.turns  # none of this is Rasa's


async def test_a_code_counts_once_for_ten_minutes_and_not_where_it_was_made(
    house: House, clock: Clock
) -> None:
    here, _ = await link_by_code(house)
    code = await code_of_lines(house, here)
    third = await house.hear(f"bind_{code}", "somebody", channel="window", locale="zh")
    used = (await last(house, third))["text"]
    await house.hear("关联会话", "anna")
    fresh = await code_from(house, here)
    await house.hear(f"bind_{fresh}", "anna", locale="zh")
    own = (await last(house, here))["text"]
    clock.add(11)
    await house.hear(f"bind_{fresh}", "somebody", channel="window", locale="zh")
    old = (await last(house, third))["text"]

    assert "已过期" in used and "就是在这里" in own and "已过期" in old
    assert {third} == await linked(house, third)


async def code_of_lines(house: House, conversation: str) -> str:
    texts = [str(line.body.get("text")) for line in await house.lines(conversation)]
    return next(found[1] for text in texts if (found := _CODE.search(text)))


async def test_without_a_yes_nothing_is_linked(house: House) -> None:
    here = await house.hear("关联会话", "anna")
    code = await code_from(house, here)
    there = await house.hear(f"bind_{code}", "o_anna", channel="window")
    await press(house, there, 1, "o_anna", "window")

    assert {there} == await linked(house, there)
    assert "没有关联" in (await last(house, there))["text"]


async def test_the_yes_to_an_old_question_and_a_code_used_meanwhile_do_not_count(
    house: House, clock: Clock
) -> None:
    here = await house.hear("关联会话", "anna")
    code = await code_from(house, here)
    there = await house.hear(f"bind_{code}", "o_anna", channel="window")
    other = await house.hear(f"bind_{code}", "somebody", channel="window")
    await press(house, other, 0, "somebody", "window")
    await press(house, there, 0, "o_anna", "window")

    assert {there} == await linked(house, there)
    assert {here, other} == await linked(house, here)


async def test_an_order_proven_in_both_is_offered_and_needs_a_fresh_proof_here(house: House) -> None:
    here, there = await house.hear("你好", "anna"), await house.hear("你好", "o_anna", channel="window")
    stranger = await house.hear("你好", "bob", channel="window")
    await grant(house, there, "cus_1", age=3_600_000)
    await grant(house, stranger, "cus_2")
    await grant(house, here, "cus_1", age=3_600_000)  # read, not write
    await house.hear("关联会话", "anna")
    stale = (await last(house, here))["text"]
    await grant(house, here, "cus_1")
    await house.hear("关联会话", "anna")
    await press(house, here, 0, "anna", "door")

    assert "bind_" in stale
    assert {here, there} == await linked(house, here)
    assert {stranger} == await linked(house, stranger)


async def test_the_same_name_links_nobody(house: House) -> None:
    here, there = (
        await house.hear("我叫王芳", "anna"),
        await house.hear("我叫王芳", "o_anna", channel="window"),
    )
    await grant(house, here, "cus_1")
    await grant(house, there, "cus_2")  # another customer, called the same
    await house.hear("关联会话", "anna")

    assert "bind_" in (await last(house, here))["text"]
    assert {here} == await linked(house, here)


async def test_a_signed_identity_links_the_guests_chat_of_the_same_browser(tmp_path: Path) -> None:
    async with open_site(tmp_path / "var", FakeRasa()) as site:
        async with site.page(identity=identity("cus_7")) as page:
            customer = (await page.get("welcome"))["conversation"]
            await page.say("signed in")
            await page.event(author="bot")
        async with site.page() as page:
            hello = await page.get("welcome")
            await page.say("as a guest")
            await page.event(author="bot")
        async with site.page(token=hello["token"], identity=identity("cus_7")) as page:
            await page.get("welcome")
        guest = hello["conversation"]

        assert {customer, guest} == await linked_at(site, customer)

        async with site.gateway.store.write() as connection:
            await links.unlink(connection, guest, by="lin", at=now_ms())
        async with site.page(token=hello["token"], identity=identity("cus_7")) as page:
            await page.get("welcome")

        assert {customer} == await linked_at(site, customer)  # taken apart, it stays apart


async def test_two_customers_of_one_browser_are_not_linked_by_the_guests_chat(tmp_path: Path) -> None:
    """The shop did not call Kefu.reset() when one signed out and the other signed in."""
    async with open_site(tmp_path / "var", FakeRasa()) as site:
        own = {}
        for sub in ("cus_1", "cus_2"):
            async with site.page(identity=identity(sub)) as page:
                own[sub] = (await page.get("welcome"))["conversation"]
        async with site.page() as page:
            hello = await page.get("welcome")
            await page.say("as a guest")
            await page.event(author="bot")
        guest = hello["conversation"]
        # A chat on Telegram that the guest brought a code to belongs to whoever he turns out to be.
        async with site.gateway.store.write() as connection:
            telegram = await site.gateway.store.open_conversation(
                connection, "telegram", "shop", "7", customer="telegram:7"
            )
            await links.link(connection, guest, telegram.id, "binding_code", at=now_ms())
        for sub in ("cus_1", "cus_2", "cus_3"):  # the third has no conversation of her own yet
            async with site.page(token=hello["token"], identity=identity(sub)) as page:
                own[sub] = (await page.get("welcome"))["conversation"]

        assert {own["cus_1"], guest, telegram.id} == await linked_at(site, own["cus_1"])
        assert {own["cus_2"]} == await linked_at(site, own["cus_2"])
        assert {own["cus_3"]} == await linked_at(site, own["cus_3"]) and guest != own["cus_3"]


async def linked_at(site: Site, conversation: str) -> set[str]:
    async with site.gateway.store.read() as connection:
        return set(await links.linked(connection, conversation))


# taking apart


@pytest.mark.parametrize("words", ["取消关联", "unlink", "Unlink my chats!"])
async def test_the_shopper_takes_them_apart_with_a_word(house: House, words: str) -> None:
    here, there = await link_by_code(house)
    await house.hear(words, "anna")
    await house.quiet()
    async with house.gateway.store.read() as connection:
        row = (await connection.execute(select(links.links))).one()

    assert {here} == await linked(house, here) and {there} == await linked(house, there)
    assert ("binding_code", "shopper") == (row.proof, row.ended_by)  # what was is on record
    assert "取消" in (await last(house, there))["text"]


async def test_taking_one_out_leaves_the_others_linked(house: House) -> None:
    here, there = await link_by_code(house)
    third = await house.hear("关联会话", "mobile")
    code = await code_from(house, third)
    await house.hear(f"bind_{code}", "o_anna", channel="window")
    await press(house, there, 0, "o_anna", "window")
    all_three = await linked(house, here)
    await house.hear("取消关联", "anna")

    assert {here, there, third} == all_three
    assert {there, third} == await linked(house, third) and {here} == await linked(house, here)


async def test_the_desk_takes_them_apart(house: House) -> None:
    here, _ = await link_by_code(house)
    lin = await house.person("lin")
    status, _ = await lin.post(f"/conversations/{here}/unlink")

    assert 200 == status and {here} == await linked(house, here)
    async with house.gateway.store.read() as connection:
        assert "lin" == (await connection.execute(select(links.links.c.ended_by))).scalar()


@pytest.mark.parametrize(
    "words",
    ["我想取消订单", "取消绑定银行卡支付怎么弄", "how do I link my card?", "关联词是什么", "bind_1234"],
)
async def test_other_words_are_rasas(house: House, words: str) -> None:
    await house.hear(words, "anna")

    assert [words] == [turn["text"] for turn in house.dialogue.turns]


# what it gives


async def test_the_packet_shows_what_happened_on_the_other_channel(house: House) -> None:
    here, there = await link_by_code(house)
    lin = await house.person("lin")
    await house.hear("转人工", "anna")
    await lin.do(here, "claim")
    await lin.do(here, "release", note="补发已登记")
    await house.hear("转人工", "o_anna", channel="window")
    async with house.gateway.store.read() as connection:
        case = await cases.open_case(connection, there)
    assert case is not None
    [elsewhere] = case.packet["elsewhere"]

    assert (here, "door", "refund", "returned", "lin", "binding_code") == tuple(
        elsewhere[name] for name in ("conversation", "channel", "goal", "outcome", "agent", "proof")
    )
    assert "补发已登记" == elsewhere["note"]["text"]
    assert "lin" == case.wanted  # whoever knows him


async def test_the_note_of_the_person_reaches_the_bot_on_the_other_channel(house: House) -> None:
    here, _ = await link_by_code(house)
    lin = await house.person("lin")
    await house.hear("转人工", "anna")
    await lin.do(here, "claim")
    await lin.do(here, "release", note="补发已登记")
    await house.hear("我的补发呢", "o_anna", channel="window")

    assert "补发已登记" == house.dialogue.turns[-1]["metadata"]["note"]["text"]


async def test_after_the_end_the_other_channel_goes_to_the_same_person(house: House) -> None:
    here, there = await link_by_code(house)
    lin = await house.person("lin")
    for conversation, shopper, channel in ((there, "o_anna", "window"), (here, "anna", "door")):
        await house.hear("转人工", shopper, channel=channel)
        await lin.do(conversation, "claim")
        await lin.do(conversation, "close")
    await house.hear("还有个问题", "o_anna", channel="window")
    async with house.gateway.store.read() as connection:
        case = await cases.open_case(connection, there)

    assert case is not None and ("reopened", "lin") == (case.reason, case.wanted)


async def test_export_and_erasure_reach_all_that_is_linked(
    house: House, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here, there = await link_by_code(house)
    stranger = await house.hear("你好", "bob", channel="window")
    engine = house.gateway.store.engine
    async with engine.connect() as connection:
        assert {here, there} == set((await find_subject(connection, "anna")).ids)
    done = await export(engine, house.settings, "o_anna", tmp_path_factory.mktemp("export") / "out")
    receipt = await erase(engine, house.settings, "anna", by="cli:lin")

    assert done["rows"]["conversations"] == 2 and "identity_links" in done["rows"]
    assert receipt["complete"] and {here, there} == set(receipt["conversations"])
    async with engine.connect() as connection:
        assert [] == (await connection.execute(select(links.links))).all()
    assert await house.gateway.store.conversation(stranger) is not None


def test_no_is_no_prefix_of_yes() -> None:
    from channels.linking import YES

    assert not YES.startswith(NO) and not NO.startswith(YES)


async def test_inbound_customer_alone_links_nothing(house: House) -> None:
    """A channel's own account is one conversation's; only the shop's signature names a customer of several."""
    received = await house.gateway.receive(
        Inbound(channel="door", shopper="x", dedup_key="x1", text="hi", customer="wechat:o1", at=now_ms())
    )

    assert {received.conversation} == await linked(house, received.conversation)
