"""Settings: what can be set, and that the files which show it tell the truth."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.exceptions import SettingsError
from bot.settings import (
    ENV_FILE,
    OWN_VARIABLES,
    PROJECT_ROOT,
    DeskRole,
    DeskSettings,
    GeneratorSettings,
    Settings,
    load_settings,
    unknown_variables,
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
        ("- gateway\n", "no list of settings"),
        ("gateway\n", "no list of settings"),
        ("1: 2\n", "no list of settings"),
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
    monkeypatch.delenv("KEFU_SETTINGS", raising=False)
    monkeypatch.setattr("bot.settings.PROJECT_ROOT", tmp_path)

    assert "127.0.0.1" == load_settings().gateway.host


def test_a_file_that_somebody_named_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KEFU_SETTINGS", str(tmp_path / "none.yml"))

    with pytest.raises(SettingsError, match=r"none\.yml does not exist.*KEFU_SETTINGS"):
        load_settings()


def test_a_file_that_is_not_utf_8_or_is_a_folder_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "kefu.yml"
    file.write_bytes("# Größe\n".encode("latin-1"))
    monkeypatch.setenv("KEFU_SETTINGS", str(file))
    with pytest.raises(SettingsError, match=r"kefu\.yml is not UTF-8 \(byte 4\)"):
        load_settings()

    monkeypatch.setenv("KEFU_SETTINGS", str(tmp_path))
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_settings()


def env_file(monkeypatch: pytest.MonkeyPatch, file: Path) -> Path:
    """Let this be the project's .env, with no settings file beside it."""
    monkeypatch.setenv("KEFU_SETTINGS", os.devnull)
    monkeypatch.setitem(Settings.model_config, "env_file", file)
    monkeypatch.setattr("bot.settings.ENV_FILE", file)
    return file


def test_both_files_are_those_of_the_project_wherever_a_program_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert PROJECT_ROOT / ".env" == ENV_FILE == Settings.model_config["env_file"]

    env_file(monkeypatch, tmp_path / "project.env").write_text("KEFU_DIALOGUE__TOKEN=of-the-project\n")
    (tmp_path / ".env").write_text("KEFU_DIALOGUE__TOKEN=of-the-place\n")
    monkeypatch.chdir(tmp_path)

    assert "of-the-project" == load_settings().dialogue.token


def test_relative_paths_begin_in_the_project_and_absolute_ones_stay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KEFU_SETTINGS", "kefu.yml")
    for name in ("POLICY__PATH", "PRIVACY__KEY_FILE", "MEDIA__PATH", "KNOWLEDGE__PATH", "KNOWLEDGE__CACHE"):
        monkeypatch.setenv(f"KEFU_{name}", "mine")
    monkeypatch.setenv("KEFU_GENERATOR__CERTIFICATE", "mine")
    monkeypatch.setenv("KEFU_DESK__CANNED", str(tmp_path / "canned.yml"))
    monkeypatch.chdir(tmp_path)
    settings = load_settings()

    assert {PROJECT_ROOT / "mine"} == {
        settings.policy.path,
        settings.privacy.key_file,
        settings.media.path,
        settings.knowledge.path,
        settings.knowledge.cache,
        settings.generator.certificate,
    }
    assert tmp_path / "canned.yml" == settings.desk.canned
    assert PROJECT_ROOT / "var" == settings.data_path("x").parent


@pytest.mark.parametrize(
    "name",
    [
        "KEFU_PRIVACY_KEYS",
        "KEFU_DATABSE_URL",
        "KEFU_GATEWY__PORT",
        "KEFU_GATEWAY_PORT",
        "KEFU_DATABASE_URL__X",
        "kefu_privacy_keys",
    ],
)
def test_a_variable_that_is_no_setting_stops_the_start(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "9000")

    with pytest.raises(SettingsError, match=f"{name}.*KEFU_<SECTION>__<KEY>, two underscores"):
        load_settings()


def test_a_misspelt_key_behind_a_section_stops_the_start_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KEFU_PRIVACY__KEY", "x")
    with pytest.raises(SettingsError, match=r"privacy\.key:"):
        load_settings()

    monkeypatch.delenv("KEFU_PRIVACY__KEY")
    env_file(monkeypatch, tmp_path / ".env").write_text("KEFU_PRIVACY_KEYS=x\n")
    with pytest.raises(SettingsError, match=r"KEFU_<SECTION>__<KEY>\):\n  kefu_privacy_keys:"):
        load_settings()


def test_what_kubernetes_says_of_a_service_is_no_typo() -> None:
    told = {
        "KEFU_SERVICE_HOST": "10.0.0.7",
        "KEFU_SERVICE_PORT": "8080",
        "KEFU_SERVICE_PORT_HTTP": "8080",
        "KEFU_GATEWAY_PORT": "tcp://10.0.0.7:8080",
        "KEFU_GATEWAY_PORT_8080_TCP": "tcp://10.0.0.7:8080",
        "KEFU_GATEWAY_PORT_8080_TCP_ADDR": "10.0.0.7",
    }

    assert [] == unknown_variables(told)
    assert ["KEFU_GATEWAY_PORT"] == unknown_variables({**told, "KEFU_GATEWAY_PORT": "9000"})


@given(
    st.dictionaries(st.text() | st.from_regex(r"KEFU_[A-Z]{1,9}_{0,3}[A-Z]{0,9}", fullmatch=True), st.text())
)
def test_only_variables_of_kefu_are_looked_at_whatever_there_is(environment: dict[str, str]) -> None:
    unknown = unknown_variables(environment)

    assert set(unknown) <= set(environment)
    assert all(name.upper().startswith("KEFU_") for name in unknown)


@given(st.sampled_from(sorted(Settings.model_fields)), st.sampled_from(["", "__A", "__A__B"]))
def test_every_setting_has_its_variable(name: str, further: str) -> None:
    scalar = name in ("data_dir", "language", "timezone", "database_url", "redis_url")
    variable = f"KEFU_{name.upper()}{further}"

    assert ([variable] if scalar and further else []) == unknown_variables({variable: "x"})


def test_every_variable_the_code_reads_for_itself_is_known() -> None:
    """Names with two underscores are settings; a name in capitals alone belongs to nobody's settings."""
    read: set[str] = set()
    for place in ("bot", "channels", "actions", "scripts", "tests", "Makefile", ".ci"):
        path = PROJECT_ROOT / place
        for file in [path] if path.is_file() else path.rglob("*"):
            if file.suffix in ("", ".py", ".sh") and file.is_file() and file != Path(__file__):
                read |= set(re.findall(r"\bKEFU_[A-Z0-9]+(?:_[A-Z0-9]+)*\b", file.read_text("utf-8")))
    read = {name for name in read if name.removeprefix("KEFU_").lower() not in Settings.model_fields}

    assert read == OWN_VARIABLES


def test_lists_in_a_variable_are_json_and_what_is_none_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEFU_PRIVACY__KEYS", "a-secret-key")
    with pytest.raises(SettingsError, match=r"KEFU_PRIVACY .*JSON, as in KEFU_PRIVACY__KEYS='\[") as caught:
        load_settings()
    assert "a-secret-key" not in str(caught.value)

    monkeypatch.setenv("KEFU_PRIVACY__KEYS", '["a-secret-key"]')
    assert ("a-secret-key",) == load_settings().privacy.keys


def test_an_env_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env_file(monkeypatch, tmp_path / ".env").write_bytes(b"KEFU_LANGUAGE=\xff\n")
    with pytest.raises(SettingsError, match=r"\.env is not UTF-8 \(byte 14\)"):
        load_settings()

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pydantic_settings.sources.providers.dotenv.dotenv_values", refuse)
    with pytest.raises(SettingsError, match=r"\.env cannot be read: Permission denied"):
        load_settings()


def test_the_data_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "made" / "data")
    settings.data_path("log", "gateway.log")

    assert 0o700 == (tmp_path / "made" / "data").stat().st_mode & 0o777


def test_a_data_folder_that_cannot_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match=r"file/data cannot be used: Not a directory.*or set data_dir"):
        Settings(data_dir=tmp_path / "file" / "data").data_path("kefu.db")


def test_a_data_folder_of_another_account_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refuse)

    with pytest.raises(SettingsError, match=r"kefu\.db cannot be used: Permission denied.*correct its owner"):
        Settings(data_dir=tmp_path).data_path("kefu.db")


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
    env_file(monkeypatch, tmp_path / ".env").write_text("KEFU_DIALOGUE__TOKEN=\n")
    monkeypatch.setenv("KEFU_DIALOGUE__TOKEN", "")

    assert "kefu-loopback" == load_settings().dialogue.token


@pytest.mark.parametrize(
    "address", ["https://shop.example/{page}", "https://shop.example/{", "/help/{article}"]
)
def test_an_address_of_articles_that_cannot_be_filled_in_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="article_url"):
        GeneratorSettings(article_url=address)
