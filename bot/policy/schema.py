"""The JSON schema of a policy file, for editors and for shops that write theirs with a program.

``python -m bot.policy.schema`` writes ``schema.json``. The schema says what a file may look like; what it may mean
(reachable rules, windows that do not grow) is checked by `Policy.load`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bot.policy.rules import PolicyFile

SCHEMA_PATH = Path(__file__).with_name("schema.json")


def json_schema() -> dict[str, Any]:
    """The schema of a file as it is written: a version may be `based_on` an older one and then say only changes."""
    schema = PolicyFile.model_json_schema()
    version = schema["$defs"]["Version"]
    version["properties"]["based_on"] = {
        "type": "string",
        "title": "Based On",
        "description": "id of an older version; what is not said here is taken from it",
    }
    version["required"] = ["id", "effective"]
    version["anyOf"] = [{"required": ["based_on"]}, {"required": ["clauses", "operations"]}]
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Kefu policy"
    return schema


def write_schema() -> None:
    """Bring ``schema.json`` up to date."""
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    SCHEMA_PATH.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_schema()
