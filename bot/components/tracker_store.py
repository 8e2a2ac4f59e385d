"""Rasa's SQL tracker store, whose events are sealed when Kefu's settings say so (`endpoints.yml`).

Without a key it is Rasa's own store. Events written before encryption was switched on stay readable.
This module knows Rasa and the settings; it knows no shopper.
"""

from __future__ import annotations

from typing import Any

from rasa.core.tracker_store import SQLTrackerStore

from bot.privacy.cipher import SealedText, attach, load_cipher
from bot.settings import get_settings

# Rasa offers no hook between an event and its row; the type of the column is the narrowest place there is.
SQLTrackerStore.SQLEvent.__table__.c.data.type = SealedText()


class SealedTrackerStore(SQLTrackerStore):
    """`SQLTrackerStore` over an engine with Kefu's cipher."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        attach(self.engine, load_cipher(get_settings().privacy))
