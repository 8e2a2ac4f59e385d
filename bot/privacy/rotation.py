"""Writes stored texts and files again under the first key: after a new key, or when encryption was switched on.

Old keys may be taken away afterwards. Can be stopped and run again at any time. This module knows no platform.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from sqlalchemy import inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.exceptions import PrivacyError
from bot.privacy.cipher import MARK, Cipher, load_cipher
from bot.privacy.files import MediaFiles
from bot.settings import Settings

# table -> (its key, columns that are JSON, columns that are text)
SEALED: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "conversation_events": (("conversation", "seq"), ("body",), ()),
    "inbox": (("position",), ("body",), ("raw",)),
    "outbox": (("position",), ("body",), ()),
    "buttons": (("token",), (), ("title", "payload")),
    "audit": (("reply",), ("explain",), ()),
    "handoff_cases": (("id",), ("packet", "note"), ("rating_comment",)),
    "desk_plans": (("id",), ("plan",), ()),
    "handoff_labels": (("id",), (), ("question", "text", "final")),
    "identity_grants": (("id",), (), ("token", "customer_name")),
    "promises": (("id",), (), ("key",)),
    "telegram_albums": (("account", "update_id"), (), ("raw",)),
    "events": (("id",), (), ("data",)),  # Rasa's tracker
}
_BATCH = 500


async def rotate(engine: AsyncEngine, settings: Settings) -> dict[str, int]:
    """How many rows and files were written again.

    Raises:
        PrivacyError: encryption is off, or a row or a file opens with none of the keys.
        StorageUnavailable: the bucket of files refuses or is not there.
    """
    cipher = load_cipher(settings.privacy)
    if cipher is None:
        raise PrivacyError(
            "Encryption is off: set privacy.keys or privacy.key_file first (`kefu privacy key`)"
        )
    done: dict[str, int] = {}
    async with engine.connect() as connection:
        there = set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
    for name, (keys, json_columns, text_columns) in SEALED.items():
        if name in there:
            done[name] = await _rotate_table(engine, cipher, name, keys, json_columns, text_columns)
    done["media"] = await asyncio.to_thread(
        MediaFiles(settings).rewrite, lambda data: cipher.seal_bytes(cipher.open_bytes(data))
    )
    return done


async def _rotate_table(
    engine: AsyncEngine,
    cipher: Cipher,
    name: str,
    keys: tuple[str, ...],
    json_columns: tuple[str, ...],
    text_columns: tuple[str, ...],
) -> int:
    """Column by column as the database stores it; batches, so that nobody waits long."""
    columns = (*keys, *json_columns, *text_columns)
    as_text = {c: f"CAST({c} AS TEXT) AS {c}" if c in json_columns else c for c in columns}
    order = ", ".join(keys)
    # Goes on behind the last row, not after so many: rows that leave meanwhile must not let others slip by.
    behind = f"WHERE ({order}) > ({', '.join(f':last_{key}' for key in keys)})"
    count = 0
    last: dict[str, Any] = {}
    while True:
        query = f"SELECT {', '.join(as_text[c] for c in columns)} FROM {name} {behind if last else ''} ORDER BY {order} LIMIT {_BATCH}"  # noqa: S608 - names are ours
        async with engine.begin() as connection:
            rows = (await connection.execute(text(query), last)).mappings().all()
            for row in rows:
                new: dict[str, Any] = {}
                for column in json_columns:
                    if row[column] is not None and row[column] != "null":
                        stored = row[column]
                        value = json.loads(stored)
                        if isinstance(value, str) and value.startswith(MARK):
                            stored = cipher.open(value)
                        new[column] = json.dumps(cipher.seal(stored))
                for column in text_columns:
                    if row[column] is not None:
                        new[column] = cipher.seal(cipher.open(row[column]))
                if not new:
                    continue
                cast_to = " AS JSON" if engine.dialect.name == "postgresql" else ""
                sets = ", ".join(
                    f"{c} = CAST(:{c}{cast_to})" if cast_to and c in json_columns else f"{c} = :{c}"
                    for c in new
                )
                where = " AND ".join(f"{key} = :key_{key}" for key in keys)
                statement = text(f"UPDATE {name} SET {sets} WHERE {where}")  # noqa: S608 - names are ours
                await connection.execute(statement, {**new, **{f"key_{key}": row[key] for key in keys}})
                count += 1
        if len(rows) < _BATCH:
            return count
        last = {f"last_{key}": rows[-1][key] for key in keys}
