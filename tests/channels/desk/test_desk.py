"""The desk over HTTP: sign-in, one owner, reasons, drafts as labels, budget, notes, search, two people at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import select

from bot.database import now_ms
from bot.handoff import cases, labels
from bot.handoff.words import REASONS
from channels.desk.pages import load_canned
from channels.desk.staff import access_log, sessions, users
from channels.wechat import allowance
from tests.channels.desk.house import ORDER, PASSWORD, Colleague, House, open_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as house:
        yield house


# sign-in


async def test_nobody_sees_anything_without_signing_in(house: House) -> None:
    conversation = await house.hear("转人工")
    stranger = Colleague(house, "nobody")
    for path in ("/me", "/queue", "/conversations?view=bot", f"/conversations/{conversation}"):
        assert 401 == (await stranger.get(path))[0]
    for what in ("claim", "reply", "note", "close", "release", "transfer", "draft"):
        assert 401 == (await stranger.do(conversation, what, text="x", key="k"))[0]
    async with stranger.session.get(f"{house.url}/desk/socket") as response:
        assert 401 == response.status
    assert "pending" == (await house.gateway.owner(conversation)).owner


async def test_a_wrong_password_is_refused_and_guessing_is_slowed_down(house: House) -> None:
    await house.desk.staff.add("lin", "agent", PASSWORD)
    guesser = Colleague(house, "lin")
    answers = [await guesser.sign_in(f"wrong-{n}") for n in range(9)]

    assert [401] * 8 + [429] == answers
    assert 429 == await guesser.sign_in(PASSWORD)  # not even the right one now


async def test_a_change_without_the_csrf_token_or_from_another_site_is_refused(house: House) -> None:
    lin = await house.person("lin")
    conversation = await house.hear("转人工")
    token = (await house.gateway.owner(conversation)).token
    path = f"/conversations/{conversation}/claim"
    forged, right, lin.csrf = "x", lin.csrf, "x"
    assert forged == lin.csrf
    assert (403, "csrf") == _error(await lin.post(path, {"token": token}))
    lin.csrf = right
    assert (403, "origin") == _error(await lin.post(path, {"token": token}, Origin="https://evil.example"))
    assert 200 == (await lin.post(path, {"token": token}, Origin=house.url))[0]


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites_and_the_database_opens_nothing(
    house: House,
) -> None:
    await house.desk.staff.add("lin", "agent", PASSWORD)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{house.url}/desk/api/sign-in", json={"name": "lin", "password": PASSWORD}) as response,
    ):
        header, cookie = response.headers["Set-Cookie"], response.cookies["kefu_desk"].value
    async with house.gateway.store.read() as connection:
        kept = (await connection.execute(select(sessions.c.id))).scalar_one()
        password = (
            await connection.execute(select(users.c.password).where(users.c.name == "lin"))
        ).scalar_one()

    assert "HttpOnly" in header and "SameSite=Strict" in header and "Path=/desk" in header
    assert cookie != kept and password.startswith("$argon2id$") and PASSWORD not in password


async def test_signing_out_a_new_password_and_a_closed_account_end_open_sessions(house: House) -> None:
    lin = await house.person("lin")
    assert 200 == (await lin.post("/sign-out"))[0] and 401 == (await lin.get("/me"))[0]
    await lin.sign_in(PASSWORD)
    await house.desk.staff.add("lin", "agent", "another-password")
    assert 401 == (await lin.get("/me"))[0]
    await lin.sign_in("another-password")
    await house.desk.staff.switch_off("lin")
    assert 401 == (await lin.get("/me"))[0]


async def test_with_embedded_defaults_a_first_person_is_made_once(house: House) -> None:
    password = (house.settings.data_path("desk-password")).read_text()
    admin = Colleague(house, "admin")

    assert (
        200 == await admin.sign_in(password)
        and 0o600 == house.settings.data_path("desk-password").stat().st_mode & 0o777
    )
    assert not await house.desk.staff.add_first("second", PASSWORD)


# one owner


async def test_of_two_people_who_claim_at_once_one_wins_and_the_other_is_told(house: House) -> None:
    lin, mia = await house.person("lin"), await house.person("mia")
    conversation = await house.hear("转人工")
    token = (await house.gateway.owner(conversation)).token
    answers = await asyncio.gather(
        *(who.post(f"/conversations/{conversation}/claim", {"token": token}) for who in (lin, mia))
    )

    assert [200, 409] == sorted(status for status, _ in answers)
    winner = (await house.gateway.owner(conversation)).agent
    loser = mia if winner == "lin" else lin
    assert (409, "not_yours") == _error(await loser.do(conversation, "reply", text="hi", key="k"))
    assert [] == [line for line in await house.lines(conversation) if line.author == "person"]


async def test_a_reply_goes_out_once_and_only_under_the_token_it_was_written_under(house: House) -> None:
    lin = await house.person("lin")
    conversation = await house.hear("转人工")
    await lin.do(conversation, "claim")
    old = (await house.gateway.owner(conversation)).token
    for _ in range(2):
        assert 200 == (await lin.do(conversation, "reply", text="我来处理", key="same"))[0]
    await lin.do(conversation, "transfer", agent=None)
    late = await lin.post(f"/conversations/{conversation}/reply", {"token": old, "text": "late", "key": "k2"})
    await house.quiet()

    assert (409, "taken") == _error(late)
    assert 1 == house.door.texts.count("我来处理") and "late" not in house.door.texts


async def test_agents_do_not_take_from_one_another_and_leads_do(house: House) -> None:
    lin, tom, mia = await house.person("lin"), await house.person("tom"), await house.person("mia", "lead")
    conversation = await house.hear("转人工")
    await lin.do(conversation, "claim")
    assert (403, "role") == _error(await tom.do(conversation, "claim"))
    assert (403, "role") == _error(await tom.do(conversation, "transfer", agent="tom"))
    assert (400, "agent") == _error(await mia.do(conversation, "transfer", agent="ghost"))
    assert 200 == (await mia.do(conversation, "transfer", agent="tom"))[0]
    assert "tom" == (await house.gateway.owner(conversation)).agent


async def test_a_person_may_take_over_while_the_bot_is_thinking_and_its_reply_becomes_a_suggestion(
    house: House,
) -> None:
    lin = await house.person("lin")
    conversation = await house.hear("你好")
    house.dialogue.delay = 0.4
    hearing = asyncio.create_task(house.hear("我的退款呢"))
    await asyncio.sleep(0.15)
    assert 200 == (await lin.do(conversation, "claim"))[0]
    await hearing
    await house.quiet()
    suggestion = next(line for line in await house.lines(conversation) if line.kind == "suggestion")

    assert "我来帮您看看：我的退款呢" not in house.door.texts
    sent = await lin.do(
        conversation, "reply", text=suggestion.body["text"], key="s1", draft=f"line:{suggestion.seq}"
    )
    async with house.gateway.store.read() as connection:
        kept = (await connection.execute(select(labels.labels))).all()
    assert 200 == sent[0] and [("我的退款呢", "sent")] == [(row.question, row.verdict) for row in kept]


# what the person sees


async def test_the_packet_the_reasons_and_the_evidence_come_with_the_conversation(house: House) -> None:
    lin = await house.person("lin")
    await house.hear("杯子碎了，气死我了")
    conversation = await house.hear("转人工")
    status, whole = await lin.get(f"/conversations/{conversation}")
    packet = whole["packet"]
    explained = [line["explain"] for line in whole["lines"] if line.get("explain")]
    event = next(line for line in await house.lines(conversation) if line.kind == "handoff")

    assert (
        200 == status
        and ORDER["number"] == packet["order"]["number"]
        and "2026-11-19" in packet["order"]["delivered_at"]
    )
    assert ("phone_tail", 2, "王小芳") == tuple(packet["who"][name] for name in ("proof", "level", "name"))
    assert ("asked", "refund", "angry", "zh", {"l1": 1}) == tuple(
        packet[name] for name in ("reason", "goal", "sentiment", "language", "lines")
    )
    assert ["杯子碎了，气死我了", "转人工"] == [
        turn["text"] for turn in packet["turns"] if turn["author"] == "shopper"
    ]
    assert any("refund: allowed (3.2)" in tried for tried in packet["tried"])
    assert {"clause": "3.2", "operation": "refund", "outcome": "allowed", "policy": "2026-01"} in explained
    assert packet == event.body["packet"]


async def test_a_draft_is_edited_or_thrown_away_and_becomes_a_label(house: House) -> None:
    lin = await house.person("lin")
    first, second = await house.hear("发票呢", "a"), await house.hear("invoice?", "b")
    for conversation in (first, second):
        await lin.do(conversation, "claim")
    case = (await lin.get(f"/conversations/{first}"))[1]["case"]
    await lin.do(first, "reply", text="发票已经发到您的邮箱。", key="k", draft=f"case:{case}")
    other = (await lin.get(f"/conversations/{second}"))[1]["case"]
    assert 200 == (await lin.post(f"/conversations/{second}/draft", {"draft": f"case:{other}"}))[0]
    assert (
        404 == (await lin.post(f"/conversations/{second}/draft", {"draft": f"case:{case}"}))[0]
    )  # another's
    async with house.gateway.store.read() as connection:
        rows = (await connection.execute(select(labels.labels).order_by(labels.labels.c.id))).all()

    assert [("edited", 0.62, "发票已经发到您的邮箱。"), ("discarded", 0.62, None)] == [
        (row.verdict, row.score, row.final) for row in rows
    ]
    assert {f"case:{case}": "edited"} == (await lin.get(f"/conversations/{first}"))[1]["judged"]


async def test_where_the_channel_counts_messages_the_budget_is_shown_and_an_empty_one_blocks(
    house: House,
) -> None:
    lin = await house.person("lin")
    house.door.name = "wechat"
    house.gateway.channels["wechat"] = house.door
    conversation = await house.hear("转人工", channel="wechat")
    await lin.do(conversation, "claim")
    async with house.gateway.store.write() as connection:
        await allowance.renew(connection, conversation, "message", now=now_ms())
        await allowance.spend(connection, conversation, 3)
    _, whole = await lin.get(f"/conversations/{conversation}")
    assert (2, 5) == (whole["budget"]["left"], whole["budget"]["of"]) and whole["budget"]["until"] > now_ms()
    async with house.gateway.store.write() as connection:
        await allowance.exhaust(connection, conversation)

    assert (409, "no_budget") == _error(await lin.do(conversation, "reply", text="hi", key="k"))


async def test_notes_stay_at_the_desk_and_reading_is_written_down(house: House) -> None:
    lin = await house.person("lin")
    conversation = await house.hear("转人工")
    assert 200 == (await lin.do(conversation, "note", text="difficult"))[0]
    assert (400, "empty") == _error(await lin.do(conversation, "note", text="  "))
    await lin.get(f"/conversations/{conversation}")
    shown = await house.gateway.store.events_after(conversation, 0)
    async with house.gateway.store.read() as connection:
        acts = (
            await connection.execute(
                select(access_log.c.name, access_log.c.act).where(access_log.c.conversation == conversation)
            )
        ).all()

    assert "difficult" not in str([line.body for line in shown]) and [("lin", "read")] == [
        tuple(row) for row in acts
    ]


@pytest.mark.parametrize("words", ["裂的", "80101001002003004", "%", "no such words"])
async def test_search_finds_words_order_numbers_and_signs_as_they_are_written(
    house: House, words: str
) -> None:
    lin = await house.person("lin")
    await house.hear("我的杯子是裂的 100%", "anna")
    conversation = await house.hear("转人工", "anna")
    await house.hear("别的事", "ben")
    _, found = await lin.get(f"/conversations?q={words.replace('%', '%25')}")

    expected = [] if words.startswith("no") else [conversation]

    assert expected == [row["id"] for row in found["rows"]]


async def test_a_picture_by_a_person_reaches_the_shopper_and_other_files_do_not(house: House) -> None:
    lin = await house.person("lin")
    conversation = await house.hear("转人工")
    await lin.do(conversation, "claim")
    token = (await house.gateway.owner(conversation)).token
    url = f"{house.url}/desk/api/conversations/{conversation}/picture?token={token}&key=p"
    async with lin.session.post(url, data=b"<script>", headers={"X-CSRF": lin.csrf}) as response:
        assert 415 == response.status
    pixel = bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
    )
    async with lin.session.post(url, data=pixel, headers={"X-CSRF": lin.csrf}) as response:
        assert 200 == response.status
    await house.quiet()

    assert "image/png" == house.door.delivered[-1].media[0]["content_type"]


# live


async def test_the_queue_comes_live_and_a_watched_conversation_says_look(house: House) -> None:
    lin = await house.person("lin")
    async with lin.session.ws_connect(f"{house.url}/desk/socket") as socket:
        conversation = await house.hear("转人工")
        row = await _frame(
            socket,
            lambda f: (
                f["type"] == "queue"
                and any(r["id"] == conversation and r["owner"] == "pending" for r in f["rows"])
            ),
        )
        await socket.send_json({"view": conversation})
        await asyncio.sleep(0.1)
        await house.hear("在吗")
        await _frame(socket, lambda f: f["type"] == "look" and f["id"] == conversation)
        await lin.do(conversation, "claim")
        await lin.do(conversation, "close")
        await _frame(socket, lambda f: f["type"] == "queue" and conversation in f["gone"])

    assert "asked" == next(r for r in row["rows"] if r["id"] == conversation)["reason"]


@pytest.mark.slow
async def test_two_hundred_open_conversations_are_one_list(house: House) -> None:
    lin = await house.person("lin")
    for start in range(0, 200, 20):
        await asyncio.gather(*(house.hear("转人工", f"s{n}") for n in range(start, start + 20)))
    await house.quiet()
    _, queue = await lin.get("/queue")
    waiting = sorted((row for row in queue["rows"]), key=lambda row: (row["waiting_since"], row["opened_at"]))

    assert 200 == len(waiting) and all(row["owner"] == "pending" for row in waiting)


# after the case


async def test_the_person_tells_the_bot_and_the_shopper_once_what_was_promised(house: House) -> None:
    lin = await house.person("lin")
    conversation = await house.hear("转人工")
    await lin.do(conversation, "claim")
    until = now_ms() + 86_400_000
    status, _ = await lin.do(
        conversation, "release", note="已登记补发，周三寄出", tell=True, promise_until=until
    )
    await house.hear("谢谢")
    await house.hear("什么时候寄")
    await house.quiet()
    notes = [turn["metadata"].get("note") for turn in house.dialogue.turns]

    assert 200 == status and 1 == sum("已登记补发，周三寄出" in text for text in house.door.texts)
    assert [None, "已登记补发，周三寄出", "已登记补发，周三寄出"] == [note and note["text"] for note in notes]
    assert [True, False] == [note["new"] for note in notes[1:]]
    assert ("lin", until) == (notes[1]["agent"], notes[1]["promise_until"])


async def test_a_shopper_who_comes_back_goes_to_the_same_person_and_mere_thanks_to_the_bot(
    house: House,
) -> None:
    lin = await house.person("lin")
    conversation = await house.hear("转人工")
    await lin.do(conversation, "claim")
    await lin.do(conversation, "close")
    await house.hear("谢谢啦！")
    assert "bot" == (await house.gateway.owner(conversation)).owner
    await house.hear("转人工")
    await lin.do(conversation, "claim")
    await lin.do(conversation, "close")
    await house.hear("还有一个杯子也裂了")
    waiting = await house.gateway.owner(conversation)
    async with house.gateway.store.read() as connection:
        case = await cases.open_case(connection, conversation)
    assert ("pending", "lin") == (waiting.owner, case.wanted if case else None)  # he has no desk open
    await lin.do(conversation, "claim")
    await lin.do(conversation, "close")
    async with lin.session.ws_connect(f"{house.url}/desk/socket"):
        await house.hear("第三个也裂了")
        assert ("person", "lin") == ((owner := await house.gateway.owner(conversation)).owner, owner.agent)


async def test_the_page_gets_the_words_that_other_desks_use_as_well(house: House) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{house.url}/desk/words.js") as response:
        script = await response.text()

    assert 200 == response.status and response.content_type == "text/javascript"
    assert all(words[language] in script for words in REASONS.values() for language in ("zh", "en"))


def test_the_canned_replies_are_there_in_both_languages() -> None:
    canned = load_canned(Path(__file__).parents[3] / "channels" / "desk" / "canned.yml")

    assert len(canned) >= 8 and all(
        one[part][language] for one in canned for part in ("title", "text") for language in ("zh", "en")
    )


def _error(answer: tuple[int, dict]) -> tuple[int, str]:
    return answer[0], answer[1].get("error", "")


async def _frame(socket: aiohttp.ClientWebSocketResponse, wanted, timeout: float = 5.0) -> dict:
    async with asyncio.timeout(timeout):
        while True:
            frame = await socket.receive_json()
            if wanted(frame):
                return frame


async def test_an_answer_the_bot_sent_is_marked_right_or_wrong_once_and_becomes_a_label(house: House) -> None:
    lin = await house.person("lin")
    conversation = await house.hear("退货要多久")
    answer = next(line for line in await house.lines(conversation) if line.author == "bot")
    asked = next(line for line in await house.lines(conversation) if line.author == "shopper")
    wrong, _ = await lin.post(f"/conversations/{conversation}/judge", {"seq": answer.seq, "verdict": "wrong"})
    again, _ = await lin.post(f"/conversations/{conversation}/judge", {"seq": answer.seq, "verdict": "right"})
    none, _ = await lin.post(f"/conversations/{conversation}/judge", {"seq": asked.seq, "verdict": "wrong"})
    other, _ = await lin.post(f"/conversations/{conversation}/judge", {"seq": answer.seq, "verdict": "sent"})
    async with house.gateway.store.read() as connection:
        found = (await connection.execute(select(labels.labels))).all()

    assert (200, 200, 404, 400) == (wrong, again, none, other)
    assert [("退货要多久", answer.body["text"], "wrong")] == [
        (one.question, one.text, one.verdict) for one in found
    ]
