"""The commands of `kefu` against running programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from bot.orders.shop.samples import sample
from bot.settings import PROJECT_ROOT
from tests.e2e.assistant import Assistant, Shop, settings_for
from tests.e2e.conftest import NewShopper
from tests.e2e.words import ask_for

pytestmark = pytest.mark.e2e


def kefu(assistant: Assistant, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bot.cli", *arguments],
        cwd=PROJECT_ROOT,
        env={**os.environ, **settings_for(assistant.data_dir), **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_second_start_on_the_same_ports_says_which_port_is_taken_and_by_whom(
    assistant: Assistant, tmp_path_factory: pytest.TempPathFactory
) -> None:
    running = assistant.programs()
    ports = {f"KEFU_{name.upper()}__PORT": str(one["port"]) for name, one in running.items()}
    done = kefu(assistant, "up", **ports, KEFU_DATA_DIR=str(tmp_path_factory.mktemp("second")))

    assert 1 == done.returncode
    assert f"Port {running['shop']['port']} for shop is taken by" in done.stderr
    assert f"pid {running['shop']['pid']}" in done.stderr
    assert "shop.port" in done.stderr
    assert "Traceback" not in done.stderr
    assert running.keys() == assistant.programs().keys()


def test_a_script_speaks_with_the_assistant(assistant: Assistant, shop: Shop) -> None:
    order = sample("status_paid")
    done = kefu(
        assistant,
        *("chat", "--new", "--json", "--locale", "en"),
        *("--say", f"where is my order {order.number}", "--say", order.phone_tail),
    )
    assert 0 == done.returncode, done.stderr
    replies = [json.loads(line) for line in done.stdout.splitlines()]

    assert "order" == replies[-1]["card"]["kind"]
    assert "bot" == replies[-1]["owner"]
    assert [] == replies[-1]["receipts"]
    assert {"seq", "text", "buttons", "citations", "language", "conversation"} <= replies[-1].keys()


def test_a_script_may_speak_as_a_signed_in_customer(assistant: Assistant, shop: Shop) -> None:
    order = sample("status_out_for_delivery")
    done = kefu(
        assistant,
        "chat",
        "--new",
        "--json",
        "--identity",
        order.customer_id,
        "--say",
        f"订单 {order.number} 到哪了",
    )
    replies = [json.loads(line) for line in done.stdout.splitlines()]

    assert "order" == replies[-1]["card"]["kind"]


def test_the_doctor_finds_nothing_wrong_with_running_programs(assistant: Assistant) -> None:
    done = kefu(assistant, "doctor", "--json")
    report = json.loads(done.stdout)

    wrong = [one for one in report["findings"] if one["level"] == "error"]
    assert [] == wrong
    assert {"shop", "dialogue", "actions", "gateway"} <= {
        one["check"] for one in report["findings"] if one["message"].startswith("answers")
    }


def test_the_benchmark_prints_the_ratio_to_a_bare_rasa(assistant: Assistant, shop: Shop) -> None:
    done = kefu(assistant, "bench", "latency", "--messages", "2", "--json")
    assert 0 == done.returncode, done.stderr
    result = json.loads(done.stdout)

    assert 2 == len(result["rows"])
    assert result["ratio"] > 0


async def test_the_shop_is_killed_and_the_next_question_is_answered(
    assistant: Assistant, shop: Shop, new_shopper: NewShopper
) -> None:
    restarts = assistant.kill("shop")
    await assistant.wait_restarted("shop", restarts)
    said = await ask_for(await new_shopper("zh"), "order_status", sample("status_paid"))

    assert "order" in said.cards
