"""`kefu explain`: for every reply what led to it, from the audit trail and the inbox."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import channels.desk.staff  # noqa: F401 - declares the log of accesses
from bot.exceptions import RecordMissing
from bot.explain import explain_conversation, render
from bot.records import TABLES
from tests.channels.fake_rasa import FakeRasa
from tests.channels.test_gateway import House, open_house

POLICY = {
    "intent": "refund_request",
    "score": 0.97,
    "ranking": [["refund_request", 0.97], ["return_request", 0.02]],
    "actions": [{"action": "refund_form", "by": "RulePolicy"}],
    "response": "refused",
    "topic": "refund",
    "operation": "refund",
    "outcome": "refused",
    "clause": "§3.2",
    "policy": "2026-01",
    "order": {"number": "2025001", "version": 4, "read_at": "2026-11-22T05:00:00+00:00"},
    "versions": {"dialogue": "0969b26c.tar.gz"},
}
ANSWER = {
    "intent": "policy_question",
    "score": 0.8,
    "answer": {
        "decision": "answer",
        "p_correct": 0.93,
        "threshold": 0.9,
        "certificate": "c-17",
        "mode": "certified",
        "risk_class": "policy",
        "reasons": ["certified"],
        "evidence": ["delivery-times#how-long"],
        "checks": {"values": True, "claims": "a number without a source"},
    },
    "versions": {"answer.index": "ffee00"},
}


def script(body: dict[str, Any]) -> list[dict[str, Any]]:
    if "refund" in body["message"]:
        return [{"text": "Not possible.", "custom": {"kefu": {"explain": POLICY}}}]
    if "lie" in body["message"]:
        return [{"text": "已为您退款 100 元。", "custom": {"kefu": {"explain": {"intent": "lie"}}}}]
    return [{"text": "Three days.", "custom": {"kefu": {"explain": ANSWER, "receipts": ["r_1"]}}}]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    from bot.claims import check_reply

    url = f"sqlite+aiosqlite:///{tmp_path}/kefu.db"
    async with open_house(url, FakeRasa(script), check_claims=check_reply) as house:
        yield house


async def talk(house: House, *texts: str) -> str:
    received = None
    for text in texts:
        received = await house.hear(text)
        await house.quiet()
    assert received is not None
    return str(received.conversation)


async def test_every_reply_tells_intent_rule_clause_order_and_versions(house: House) -> None:
    conversation = await talk(house, "refund please")
    found = await explain_conversation(house.gateway.store.engine, conversation)
    reply = found["turns"][0]["replies"][0]

    assert (reply["intent"], reply["score"]) == ("refund_request", 0.97)
    assert reply["rules"] == [{"action": "refund_form", "by": "RulePolicy"}]
    assert reply["policy"] == {
        "operation": "refund",
        "outcome": "refused",
        "clause": "§3.2",
        "version": "2026-01",
    }
    assert reply["order"]["version"] == 4
    assert reply["versions"] == {"dialogue": "0969b26c.tar.gz"}
    text = render(found)
    assert "clause §3.2" in text and "refund_form (RulePolicy)" in text and "Not possible." in text


async def test_an_answer_tells_decision_evidence_checks_certificate_and_receipts(house: House) -> None:
    conversation = await talk(house, "how long?")
    found = await explain_conversation(house.gateway.store.engine, conversation)
    reply = found["turns"][0]["replies"][0]

    assert (reply["decision"], reply["p_correct"], reply["certificate"]) == ("answer", 0.93, "c-17")
    assert reply["evidence"] == ["delivery-times#how-long"] and reply["receipts"] == ["r_1"]
    assert "claims FAILED (a number without a source)" in render(found)


async def test_a_withheld_claim_is_explained_although_it_was_never_sent(house: House) -> None:
    conversation = await talk(house, "lie to me")
    found = await explain_conversation(house.gateway.store.engine, conversation)

    outcomes = {reply["outcome"] for reply in found["turns"][0]["replies"]}
    assert "claim_withheld" in outcomes
    assert all("退款 100" not in reply["text"] for reply in found["turns"][0]["replies"])


async def test_one_turn_can_be_asked_for_and_replayed_with_the_same_words(house: House) -> None:
    conversation = await talk(house, "refund please", "how long?")
    found = await explain_conversation(house.gateway.store.engine, conversation, 2)

    assert [turn["turn"] for turn in found["turns"]] == [2]
    assert found["replay"] == [
        {
            "message_id": house.rasa.turns[1]["message_id"],
            "at": found["turns"][0]["at"],
            "versions": found["turns"][0]["replies"][0]["versions"],
            "policies": [],
            "text": "how long?",
            "payload": False,
            "metadata": house.rasa.turns[1]["metadata"],
        }
    ]


async def test_a_replay_names_the_versions_and_policies_of_every_turn(house: House) -> None:
    conversation = await talk(house, "refund please", "how long?")
    found = await explain_conversation(house.gateway.store.engine, conversation)

    assert [["2026-01"], []] == [one["policies"] for one in found["replay"]]
    assert {"dialogue": "0969b26c.tar.gz"} == found["replay"][0]["versions"]


@pytest.mark.parametrize(("conversation", "turn"), [("nobody", None), (None, 0), (None, 3)])
async def test_what_is_not_on_record_is_refused_by_name(
    house: House, conversation: str | None, turn: int | None
) -> None:
    known = await talk(house, "refund please", "how long?")
    with pytest.raises(RecordMissing, match=conversation or f"no turn {turn}"):
        await explain_conversation(house.gateway.store.engine, conversation or known, turn)


def test_the_columns_read_here_are_the_gateways() -> None:
    """`bot.records` names columns by hand; a renamed one must not go unnoticed."""
    import channels.store  # noqa: F401
    from bot.database import metadata

    for name, table in TABLES.items():
        real = metadata.tables[name]
        for column in table.c:
            assert column.name in real.c, f"{name}.{column.name}"
            assert str(column.type.compile()) == str(real.c[column.name].type.compile()) or (
                column.type._type_affinity is real.c[column.name].type._type_affinity
            ), f"{name}.{column.name}"


async def test_the_command_prints_json_and_logs_who_looked(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from sqlalchemy import text

    from bot.cli import app
    from bot.settings import get_settings

    conversation = await talk(house, "refund please")
    monkeypatch.setenv("KEFU_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    monkeypatch.setattr("sys.argv", ["kefu", "explain"])
    try:
        result = await asyncio.to_thread(CliRunner().invoke, app, ["explain", conversation, "1", "--json"])
    finally:
        get_settings.cache_clear()
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["turns"][0]["replies"][0]["intent"] == "refund_request"
    async with house.gateway.store.read() as connection:
        rows = (await connection.execute(text("SELECT conversation, act FROM desk_access"))).all()

    assert [(conversation, "explain")] == [tuple(row) for row in rows]
