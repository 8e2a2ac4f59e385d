"""Settings: what can be set, and that the files which show it tell the truth."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import ValidationError

from bot.exceptions import SettingsError
from bot.settings import (
    PROJECT_ROOT,
    DeskRole,
    DeskSettings,
    GeneratorSettings,
    Settings,
    load_settings,
)
from channels.desk.staff import ROLES


def all_switched_on() -> dict[str, Any]:
    """kefu.yml with every "#" before a setting removed; prose has a blank and a word after it."""
    text = (PROJECT_ROOT / "kefu.yml").read_text("utf-8")
    return dict(yaml.safe_load(re.sub(r"^#(?! \S|$)", "", text, flags=re.M)))


def test_every_line_of_the_settings_file_is_a_setting_there_is() -> None:
    settings = Settings.model_validate(all_switched_on())

    assert "https://shop.example.com/kefu" == settings.order_api.base_url


def test_numbers_and_words_shown_in_the_settings_file_are_the_defaults() -> None:
    defaults = Settings.model_construct().model_dump(mode="json")
    for name, section in all_switched_on().items():
        if not isinstance(section, dict):
            assert defaults[name] == section, name
            continue
        for key, value in section.items():
            shown_as_example = (
                isinstance(value, str) and ("example" in value or key == "path")
            ) or name == "sites"
            if not shown_as_example:
                assert defaults[name][key] == value, f"{name}.{key}"


def test_every_variable_of_the_example_is_a_setting_there_is() -> None:
    text = (PROJECT_ROOT / ".env.example").read_text("utf-8")
    names = re.findall(r"^#?(KEFU_[A-Z_]+)=", text, re.M)

    assert len(names) > 5
    for name in names:
        section, *keys = name.removeprefix("KEFU_").lower().split("__")
        assert section in Settings.model_fields, name
        for key in keys[:1] if section != "sites" else ():
            assert key in type(getattr(Settings.model_construct(), section)).model_fields, name


def test_a_variable_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "kefu.yml"
    file.write_text("gateway:\n  port: 9001\n")
    monkeypatch.setenv("KEFU_SETTINGS", str(file))
    assert 9001 == load_settings().gateway.port

    monkeypatch.setenv("KEFU_GATEWAY__PORT", "9002")
    assert 9002 == load_settings().gateway.port


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("gatewy:\n  port: 1\n", "gatewy"),
        ("gateway:\n  prot: 1\n", "gateway.prot"),
        ("gateway:\n  port: 70000\n", "gateway.port"),
        ("timezone: Asia/Shanghia\n", "Asia/Shanghia"),
        ("gateway: [\n", "not valid YAML"),
        ("sites:\n  demo:\n    secret: short\n", "sites.demo.secret"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, named: str
) -> None:
    file = tmp_path / "kefu.yml"
    file.write_text(text)
    monkeypatch.setenv("KEFU_SETTINGS", str(file))
    with pytest.raises(SettingsError, match=re.escape(named)) as caught:
        load_settings()

    assert "kefu.yml" in str(caught.value)


def test_a_role_that_is_none_is_named_with_those_there_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "kefu.yml"
    file.write_text("desk:\n  approve_up_to: {leads: {CNY: 5}}\n")
    monkeypatch.setenv("KEFU_SETTINGS", str(file))
    with pytest.raises(SettingsError, match=r"desk\.approve_up_to\.leads.*'agent', 'lead' or 'admin'"):
        load_settings()

    assert ROLES == get_args(DeskRole)


def test_a_row_for_the_admin_leaves_the_lead_his_limits() -> None:
    usual = DeskSettings().approve_up_to["lead"]
    both = DeskSettings(approve_up_to={"admin": {"CNY": 5_000_000}}).approve_up_to
    own = DeskSettings(approve_up_to={"lead": {"EUR": 1}}).approve_up_to

    assert {"lead": usual, "admin": {"CNY": 5_000_000}} == both and 500_000 == usual["CNY"]
    assert {"lead": {"EUR": 1}} == own  # what is written is not mixed with the usual


def test_an_installation_without_a_file_has_the_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KEFU_SETTINGS", str(tmp_path / "none.yml"))

    assert "127.0.0.1" == load_settings().gateway.host


def test_a_secret_of_a_site_can_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "kefu.yml"
    file.write_text(
        "sites:\n  demo:\n    secret: the-one-in-the-file-1234\n    origins: [https://a.example]\n"
    )
    monkeypatch.setenv("KEFU_SETTINGS", str(file))
    monkeypatch.setenv("KEFU_SITES__DEMO__SECRET", "the-one-in-the-environment")
    settings = load_settings()

    assert "the-one-in-the-environment" == settings.sites["demo"].secret
    assert ("https://a.example",) == settings.sites["demo"].origins


def test_a_secret_that_was_not_filled_in_is_not_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KEFU_SETTINGS", str(tmp_path / "none.yml"))
    monkeypatch.setenv("KEFU_DIALOGUE__TOKEN", "")

    assert "kefu-loopback" == load_settings().dialogue.token


@pytest.mark.parametrize(
    "address", ["https://shop.example/{page}", "https://shop.example/{", "/help/{article}"]
)
def test_an_address_of_articles_that_cannot_be_filled_in_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="article_url"):
        GeneratorSettings(article_url=address)
