"""One topic, one name everywhere; every response is said, and everything said has a response."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.settings import PROJECT_ROOT

DATA = PROJECT_ROOT / "data"
ACTIONS = PROJECT_ROOT / "actions"
DOMAIN: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "domain.yml").read_text("utf-8"))
TOPICS = sorted(path.stem for path in DATA.glob("*.yml"))

# Topics whose rules need no action of their own, or one that has a room of its own.
ACTION_OF = {"knowledge": "answer"}
WITHOUT_ACTION = {"smalltalk"}


def sources() -> str:
    return "\n".join(path.read_text("utf-8") for path in ACTIONS.glob("*.py"))


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_has_its_conversations_and_its_action(topic: str) -> None:
    assert (PROJECT_ROOT / "tests" / "conversations" / f"test_{topic}.yml").is_file()
    if topic not in WITHOUT_ACTION:
        assert (ACTIONS / f"{ACTION_OF.get(topic, topic)}.py").is_file()


def test_no_conversation_test_is_left_over() -> None:
    found = {
        path.stem.removeprefix("test_") for path in (PROJECT_ROOT / "tests" / "conversations").glob("*.yml")
    }

    assert set(TOPICS) == found


def test_every_loop_is_an_action_of_ours_and_has_its_rules() -> None:
    loops = set(DOMAIN["forms"])
    rules = "\n".join(path.read_text("utf-8") for path in DATA.glob("*.yml"))
    code = set(re.findall(r'^    topic = "(\w+)"', sources(), flags=re.M))

    assert loops <= set(DOMAIN["actions"])
    assert {name.removesuffix("_form") for name in loops} == code
    for loop in loops:
        assert f"- action: {loop}" in rules and f"- active_loop: {loop}" in rules, loop


def test_every_response_is_said_and_everything_said_has_a_response() -> None:
    code = sources()
    rules = "\n".join(path.read_text("utf-8") for path in DATA.glob("*.yml"))
    known = set(DOMAIN["responses"])
    unsaid = {
        name
        for name in known
        if f'"{name}"' not in code
        and f"- action: {name}\n" not in rules + "\n"
        and not name.startswith(("help_", "shop_"))
    }
    said = set(re.findall(r'(?:\.say|\.settle)\(\s*"(\w+)"', code))
    said |= set(re.findall(r'\.ask\(\s*"\w+",\s*"(\w+)"', code))
    said |= set(re.findall(r'\.hand_over\(\s*"\w+",\s*"(\w+)"', code))
    said |= set(re.findall(r'_renew\(talk, "(\w+)"\)', code))

    assert set() == unsaid
    assert set() == said - known - {"help_"}


def test_help_and_refusals_are_there_for_each_case() -> None:
    from actions.plans import REFUSALS
    from actions.topic import HELPED

    wanted = {f"help_{question}" for question in HELPED} | {"help_any"}
    wanted |= {f"shop_{code}" for code in REFUSALS - {"payment_required"}} | {"shop_refused"}
    code = sources()  # help that is not for a question is said by name
    found = {
        name
        for name in DOMAIN["responses"]
        if name.startswith(("help_", "shop_")) and (name in wanted or f'"{name}"' not in code)
    }

    assert wanted == found


def test_every_response_is_there_in_both_languages_with_the_same_blanks() -> None:
    for name, variations in DOMAIN["responses"].items():
        english = [one for one in variations if one.get("condition")]
        chinese = [one for one in variations if not one.get("condition")]
        assert english and chinese, name
        assert re.search(r"[\u3400-\u9fff]|^\{\w+\}$", chinese[0]["text"]), name
        blanks = [set(re.findall(r"\{(\w+)\}", one["text"])) for one in (*english, *chinese)]
        assert all(one == blanks[0] for one in blanks), name


def test_every_wish_has_a_name_for_its_button() -> None:
    from actions.fallback import NAMES
    from actions.topic import ASIDES, GOALS

    assert GOALS - {"human_agent", "complaint"} <= set(NAMES)
    assert GOALS | ASIDES <= set(DOMAIN["intents"])


def test_no_response_claims_that_something_was_done() -> None:
    """What was done is worded from a receipt; `bot.claims` finds what sounds like it."""
    from bot.claims import claims_in

    for name, variations in DOMAIN["responses"].items():
        if name == "already_done":
            continue  # carries the receipt's id
        for one in variations:
            assert not claims_in(one["text"]), (name, one["text"])


def folder_is_flat(folder: Path) -> bool:
    return not [path for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"]


def test_the_actions_lie_flat() -> None:
    assert folder_is_flat(ACTIONS)
