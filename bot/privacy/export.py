"""A shopper's copy of everything Kefu knows of him: one JSON file and his media.

Names of the people at the desk are not his data and are left out; tokens and keys are nobody's. This module changes
nothing but the folder it writes to.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from bot.clock import now_ms
from bot.privacy.cipher import MARK, Cipher, load_cipher
from bot.privacy.files import MediaFiles
from bot.privacy.masking import mask_value
from bot.privacy.subjects import Subject, find_subject, plain, tables_about
from bot.settings import Settings

_SECRET = frozenset({"token", "turn_lease", "delivery_lease", "error", "payload", "key", "code_hash"})
_STAFF = frozenset({"agent", "agent_ref", "wanted", "ended_by", "proposed_by", "approved_by"})
_NOBODY = "[staff]"


async def export(
    engine: AsyncEngine, settings: Settings, asked: str, folder: Path, *, masked: bool = False
) -> dict[str, Any]:
    """Write `folder`/export.json and `folder`/media/; returns what was written, counted.

    `masked` replaces personal data in texts by its kind, for an export that somebody else will read.

    Raises:
        RecordMissing: nobody is on record under this id.
        PrivacyError: a row cannot be opened with the keys there are.
    """
    cipher = load_cipher(settings.privacy)
    async with engine.connect() as connection:
        subject = await find_subject(connection, asked)
        tables: dict[str, list[dict[str, Any]]] = {}
        for table, column in await tables_about(connection):
            rows = (await connection.execute(table.select().where(table.c[column].in_(subject.ids)))).all()
            shown = [_row(dict(row._mapping), cipher) for row in rows]
            for one in shown:
                _hide_staff(table.name, one)
            tables.setdefault(table.name, []).extend(shown)
    if masked:
        tables = {name: [_masked(row, subject) for row in rows] for name, rows in tables.items()}
    folder.mkdir(parents=True, exist_ok=True)
    media = MediaFiles(settings, cipher)
    files = 0
    for name in subject.media if not masked else ():
        data = await media.get(name)
        if data is not None:
            target = folder / "media" / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(data)
            files += 1
    counts = {name: len(rows) for name, rows in tables.items() if rows}
    body = {
        "made_at": now_ms(),
        "times": "milliseconds since 1970-01-01 UTC",
        "conversations": list(subject.ids),
        "masked": masked,
        "tables": {name: rows for name, rows in tables.items() if rows},
    }
    (folder / "export.json").write_text(json.dumps(body, ensure_ascii=False, indent=2), encoding="utf-8")
    return {"rows": counts, "media": files, "folder": str(folder)}


def _row(row: dict[str, Any], cipher: Cipher | None) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in row.items():
        if name in _SECRET:
            continue
        if isinstance(value, str) and value.startswith(MARK) and cipher is not None:
            value = cipher.open(value)
        if isinstance(value, str) and value[:1] in "{[":
            with contextlib.suppress(ValueError):
                value = json.loads(value)
        shown[name] = _without_staff(name, plain(value))
    return shown


def _without_staff(name: str, value: Any) -> Any:
    if name in _STAFF and value is not None:
        return _NOBODY
    if isinstance(value, dict):
        return {key: _without_staff(key, one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_staff("", one) for one in value]
    return value


def _hide_staff(table: str, row: dict[str, Any]) -> None:
    """Names of the staff under words that mean something else in other tables."""
    body = row.get("body")
    if table == "conversation_events" and row.get("kind") == "plan" and isinstance(body, dict):
        if body.get("by") is not None:
            body["by"] = _NOBODY
    elif table == "desk_plans" and row.get("state") in ("refused", "withdrawn"):
        # Who turned it down or took it back; a code when it lost its place without anybody's no.
        if row.get("why") not in (None, "replaced", "lost"):
            row["why"] = _NOBODY
    elif table == "identity_attempts" and str(row.get("source") or "").startswith("desk:"):
        row["source"] = _NOBODY


_IDS = frozenset({"id", "conversation", "sender_id", "reply", "inbound", "media_id"})


def _masked(row: dict[str, Any], subject: Subject) -> dict[str, Any]:
    ids = {one[key] for one in subject.conversations for key in ("shopper", "customer") if one[key]}
    names = (*subject.names, *ids)
    shown = {key: value if key in _IDS else mask_value(value, names) for key, value in row.items()}
    for key in ("shopper", "customer", "dedup_key", "customer_id", "customer_name", "source"):
        if shown.get(key):
            shown[key] = f"[{key}]"
    return shown
