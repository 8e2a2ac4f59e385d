"""The JSON schema beside the policy is that of the code, and the default file keeps to it."""

import json

import jsonschema
import yaml

from bot.policy.policy import DEFAULT_PATH
from bot.policy.schema import SCHEMA_PATH, json_schema


def test_schema_file_is_up_to_date() -> None:
    """Remedy: python -m bot.policy.schema."""
    assert json_schema() == json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))


def test_default_policy_keeps_to_the_schema() -> None:
    data = yaml.safe_load(DEFAULT_PATH.read_text(encoding="utf-8"))
    plain = json.loads(json.dumps(data, default=str))  # YAML dates as text

    jsonschema.validate(plain, json_schema())
