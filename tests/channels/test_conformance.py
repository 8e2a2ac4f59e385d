"""conformance.yml: every case of every platform's list has a test, and every test it names is there."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
LISTS = yaml.safe_load((HERE / "conformance.yml").read_text(encoding="utf-8"))
CASES = {"wechat": 36, "wecom": 17, "telegram": 28, "web": 26}


@cache
def named_in(file: str) -> frozenset[str]:
    tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@pytest.mark.parametrize("channel", CASES)
def test_every_case_names_tests_that_exist(channel: str) -> None:
    listed = LISTS[channel]
    assert CASES[channel] == len(listed["cases"])
    for number, case in enumerate(listed["cases"], 1):
        assert case["tests"], f"{channel} {number}: {case['case']}"
        for named in case["tests"]:
            file, _, test = named.rpartition("::")
            assert test in named_in(file or listed["file"]), f"{channel} {number} names {named}"


def test_no_channel_is_left_out() -> None:
    assert set(CASES) == set(LISTS)
