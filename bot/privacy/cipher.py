"""Encryption at rest of what shoppers and the desk write: columns, and files.

Fernet (AES-128-CBC with HMAC-SHA-256, of the `cryptography` package). Several keys rotate: the first one writes, all
of them read, and `kefu privacy rotate` writes everything again with the first. What was stored before encryption
was switched on stays readable. A cipher belongs to a database engine (`attach`); without one nothing changes.
This module knows no table.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import JSON, Text
from sqlalchemy.types import TypeDecorator

from bot.exceptions import PrivacyError
from bot.settings import PrivacySettings

MARK = "kefu-sealed:1:"  # in front of every sealed text
FILE_MARK = b"kefu-sealed:1:"
_ATTRIBUTE = "kefu_cipher"


class Cipher:
    """Seals and opens texts and bytes. The first key seals; every key opens."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises:
        PrivacyError: there is no key, or one is not a Fernet key.
        """
        if not keys:
            raise PrivacyError("There is no key. Make one with `kefu privacy key`.")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except (ValueError, TypeError) as exc:
            raise PrivacyError(
                "A key in privacy.keys or privacy.key_file is not a Fernet key (44 characters of base64). "
                "Make one with `kefu privacy key`."
            ) from exc

    def seal(self, text: str) -> str:
        return MARK + self._fernet.encrypt(text.encode()).decode()

    def open(self, text: str) -> str:
        """The text. What is not sealed is returned as it is.

        Raises:
            PrivacyError: no key opens it.
        """
        if not text.startswith(MARK):
            return text
        return self._decrypt(text[len(MARK) :].encode()).decode()

    def seal_bytes(self, data: bytes) -> bytes:
        return FILE_MARK + self._fernet.encrypt(data)

    def open_bytes(self, data: bytes) -> bytes:
        """Like `open`, for a file."""
        return self._decrypt(data[len(FILE_MARK) :]) if data.startswith(FILE_MARK) else data

    def _decrypt(self, token: bytes) -> bytes:
        try:
            return self._fernet.decrypt(token)
        except InvalidToken as exc:
            raise PrivacyError(
                "No key opens what is stored. Keep the old key behind the new one in privacy.keys or "
                "privacy.key_file until `kefu privacy rotate` has run."
            ) from exc


def load_cipher(settings: PrivacySettings) -> Cipher | None:
    """The cipher the settings ask for; None when encryption is off.

    Raises:
        PrivacyError: the key file cannot be read, or a key is not one.
    """
    keys = list(settings.keys)
    if settings.key_file is not None:
        keys += _read_keys(settings.key_file)
    return Cipher(keys) if keys else None


def _read_keys(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as exc:
        raise PrivacyError(f"privacy.key_file {path} cannot be read: {exc.strerror}") from exc
    keys = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not keys:
        raise PrivacyError(f"privacy.key_file {path} holds no key. Make one with `kefu privacy key`.")
    return keys


def attach(engine: Any, cipher: Cipher | None) -> None:
    """Let an engine (async or not) seal and open the columns below."""
    setattr(getattr(engine, "sync_engine", engine).dialect, _ATTRIBUTE, cipher)


def _opened(value: str, dialect: Any) -> str:
    cipher: Cipher | None = getattr(dialect, _ATTRIBUTE, None)
    if cipher is not None:
        return cipher.open(value)
    if value.startswith(MARK):
        raise PrivacyError("The database is encrypted and no key is set: see privacy.keys in docs/privacy.md")
    return value


class SealedJSON(TypeDecorator):
    """JSON. Sealed, it is a JSON string that begins with `MARK`, so the column keeps its type."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        cipher: Cipher | None = getattr(dialect, _ATTRIBUTE, None)
        if cipher is None or value is None:
            return value
        return cipher.seal(json.dumps(value, ensure_ascii=False))

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        if isinstance(value, str) and value.startswith(MARK):
            return json.loads(_opened(value, dialect))
        return value


class SealedText(TypeDecorator):
    """Text that is sealed when the engine has a cipher."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        cipher: Cipher | None = getattr(dialect, _ATTRIBUTE, None)
        return value if cipher is None or value is None else cipher.seal(value)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return value if value is None else _opened(value, dialect)
