"""What our programs may and may not print."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from structlog.types import EventDict, WrappedLogger

from bot.log import WITHHELD, configure
from bot.settings import LogSettings


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_lines_carry_program_level_and_time_and_withhold_personal_fields() -> None:
    out = io.StringIO()
    configure("gateway", LogSettings(format="json"), stream=out)
    structlog.get_logger().info("message_stored", seq=3, text="我的手机号13800001234", who={"email": "a@b.c"})
    line = json.loads(out.getvalue())

    assert "gateway" == line["program"]
    assert "info" == line["level"]
    assert line["timestamp"].endswith("Z")
    assert 3 == line["seq"]
    assert WITHHELD == line["text"]
    assert WITHHELD == line["who"]["email"]
    assert "138" not in out.getvalue()


def test_lines_for_a_terminal_are_readable() -> None:
    out = io.StringIO()
    configure("actions", stream=out)
    structlog.get_logger().warning("shop slow", milliseconds=1200)

    assert "shop slow" in out.getvalue()
    assert "milliseconds=1200" in out.getvalue()
    assert "\033" not in out.getvalue()


def test_records_of_the_standard_library_take_the_same_way_and_the_level_counts() -> None:
    out = io.StringIO()
    configure("gateway", LogSettings(format="json", level="warning"), stream=out)
    logging.getLogger("aiohttp.server").info("not shown")
    structlog.get_logger().info("not shown either")
    logging.getLogger("aiohttp.server").warning("slow %s", "client")

    assert ["slow client"] == [json.loads(line)["event"] for line in out.getvalue().splitlines()]


def test_the_mask_sees_every_record_before_it_is_written() -> None:
    def mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["event"] = str(event["event"]).replace("13800001234", "138****1234")
        return event

    out = io.StringIO()
    configure("gateway", LogSettings(format="json"), stream=out, mask=mask)
    structlog.get_logger().info("call 13800001234")
    logging.getLogger("other").warning("call 13800001234")

    assert ["call 138****1234"] * 2 == [json.loads(line)["event"] for line in out.getvalue().splitlines()]


def test_an_exception_is_logged_with_its_trace_not_raised() -> None:
    out = io.StringIO()
    configure("gateway", LogSettings(format="json"), stream=out)
    try:
        raise ValueError("no such thing")
    except ValueError:
        structlog.get_logger().exception("turn_failed")

    assert "ValueError" in json.dumps(json.loads(out.getvalue())["exception"])
