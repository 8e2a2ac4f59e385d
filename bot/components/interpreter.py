"""A trained model read from its archive, to understand messages without a server.

For evaluation and tests; the running assistant parses in `rasa run`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from rasa.core.agent import Agent
from rasa.core.channels.channel import UserMessage
from rasa.exceptions import ModelNotFound
from rasa.shared.exceptions import RasaException

from bot.exceptions import SettingsError

Parse = Callable[[str], dict[str, Any]]


def load_interpreter(model: Path) -> Parse:
    """A function from a text to Rasa's parse data of it.

    Raises:
        SettingsError: there is no model at that path, or it cannot be read.
    """
    # Rasa tells every message on stdout, where the JSON of our commands goes.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        agent = Agent.load(model)
    except (ModelNotFound, RasaException, FileNotFoundError) as exc:
        raise SettingsError(f"No model can be read from {model}: {exc}. Remedy: kefu train") from exc
    processor = agent.processor
    if processor is None:
        raise SettingsError(f"No model can be read from {model}. Remedy: kefu train")

    def parse(text: str) -> dict[str, Any]:
        message = UserMessage(text)
        return dict(asyncio.run(processor.parse_message(message, only_output_properties=True)))

    return parse
