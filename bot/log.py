"""How our own programs log: readable on a terminal, JSON where a machine reads.

One call of `configure` at the start of a program; after that `structlog.get_logger()` anywhere.
Records of the standard library's `logging` (aiohttp, SQLAlchemy, alembic) take the same way out.
This module knows no program and no field of an order; it only refuses to print the names of
fields that carry personal data, and leaves a place for real masking (`mask`).
"""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from bot.settings import LogSettings

# Fields whose values belong to a shopper. They are withheld whatever the masking does: a log line
# that needs one of them is a log line that must be written differently.
PERSONAL_FIELDS = frozenset(
    {
        "address",
        "body",
        "city",
        "contact",
        "customer_name",
        "email",
        "full_name",
        "message_text",
        "phone",
        "postcode",
        "proof",
        "recipient",
        "reply_text",
        "shopper_name",
        "street",
        "text",
    }
)
WITHHELD = "[withheld]"


def withhold_personal_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the values of fields that carry personal data, at any depth."""
    for key, value in event.items():
        event[key] = _withheld(key, value)
    return event


def _withheld(key: str, value: Any) -> Any:
    if key in PERSONAL_FIELDS and value is not None:
        return WITHHELD
    if isinstance(value, dict):
        return {inner: _withheld(str(inner), one) for inner, one in value.items()}
    return value


def configure(
    program: str,
    settings: LogSettings | None = None,
    *,
    mask: Processor | None = None,
    stream: TextIO | None = None,
) -> None:
    """Configure structlog and `logging` for this process.

    Args:
        program: name that every record carries, for example ``gateway``.
        settings: level and format; the defaults when None.
        mask: a structlog processor that sees every record just before it is rendered, after
            the withholding; the place where `bot.privacy` masks what stands inside texts.
        stream: where the lines go; standard error when None.
    """
    settings = settings or LogSettings()
    out = stream or sys.stderr

    def add_program(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("program", program)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_program,
        withhold_personal_fields,
    ]
    if mask is not None:
        # An exception's text may quote a shopper: it is written out before the masking, not after.
        shared.append(
            structlog.processors.dict_tracebacks
            if settings.format == "json"
            else structlog.processors.format_exc_info
        )
        shared.append(mask)

    renderer: list[Processor]
    if settings.format == "json":
        renderer = [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    else:
        renderer = [
            structlog.dev.ConsoleRenderer(
                colors=out.isatty(), pad_event=32, exception_formatter=structlog.dev.plain_traceback
            )
        ]

    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    # One line per request says little and may quote a path with an order number in it.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    # Their lines quote addresses with tokens in them, or the values of a statement.
    for name in ("httpx", "httpcore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)

    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
