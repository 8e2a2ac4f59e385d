"""Erasing a shopper: every table, Rasa's tracker, media, logs, and a receipt that says what was searched afterwards.

The database is asked which tables name a conversation, so that none is forgotten; SQLite is rewritten, so that the
bytes are gone and not only the rows. Wrong tries of proofs keep counting for their order, without the conversation.
What desks of others show is erased there (`bot.privacy.elsewhere`). The shop's own records and what platforms keep are not
Kefu's to erase; the receipt says so.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import String, cast, func, inspect, or_, select, text
from sqlalchemy import column as sql_column
from sqlalchemy import table as sql_table
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.clock import now_ms
from bot.exceptions import PrivacyError
from bot.privacy.cipher import load_cipher
from bot.privacy.elsewhere import FINE, erase_elsewhere
from bot.privacy.files import MediaFiles, files_with, log_files, strike_lines
from bot.privacy.subjects import KEPT, Subject, find_subject, needles, tables_about
from bot.settings import Settings

NOT_OURS = (
    "the shop's orders and customer records (ask the shop)",
    "copies the platform keeps (WeChat, WeCom, Telegram), the shopper's own chat among them",
    "backups made outside Kefu",
    "memory of running programs (up to 2,000 turns in Rasa's channel) until they restart",
)


async def erase(engine: AsyncEngine, settings: Settings, asked: str, *, by: str) -> dict[str, Any]:
    """Erase the shopper `asked` (a conversation, platform or customer id) and return the receipt.

    The receipt is written to data_dir/privacy/receipts as well; `complete` is false when something was found
    afterwards, and `left` says where.

    Raises:
        RecordMissing: nobody is on record under this id.
        PrivacyError: the database is locked, or its rows cannot be opened.
        StorageUnavailable: the bucket of files refuses; nothing is erased then.
    """
    async with engine.connect() as connection:
        subject = await find_subject(connection, asked)
        elsewhere = await erase_elsewhere(connection, settings, subject)
    media = MediaFiles(settings, load_cipher(settings.privacy))
    files = await media.delete(subject.media)  # first: afterwards no row names them any more
    places = await _erase_rows(engine, subject)
    places["media"] = files
    words = needles(subject)
    folder = settings.data_path("log")
    places["log lines"] = strike_lines(log_files(folder), words)
    await _compact(engine)
    left = await search(engine, settings, words)
    for name in subject.media:
        if await media.get(name) is not None:
            left[f"media {name}"] = 1
    left |= {place: 1 for place, outcome in elsewhere.items() if outcome not in FINE}
    return _write_receipt(settings, subject, places, elsewhere, left, by)


async def _erase_rows(engine: AsyncEngine, subject: Subject) -> dict[str, int]:
    places: dict[str, int] = {}
    try:
        async with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                await connection.execute(text("PRAGMA secure_delete=ON"))
            for table, column in await tables_about(connection):
                mine = table.c[column].in_(subject.ids)
                if table.name == "identity_attempts":
                    result = await connection.execute(table.update().where(mine).values(conversation=None))
                else:
                    result = await connection.execute(table.delete().where(mine))
                places[table.name] = places.get(table.name, 0) + result.rowcount
            places |= await _erase_platform_leftovers(connection, subject)
    except OperationalError as exc:
        raise PrivacyError(f"The database is busy or damaged, nothing was erased: {exc.orig}") from exc
    return places


async def _erase_platform_leftovers(connection: AsyncConnection, subject: Subject) -> dict[str, int]:
    """Pictures of a Telegram album wait in a table that knows no conversation: its name begins with the chat's id."""
    names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    if "telegram_albums" not in names:
        return {}
    albums: Any = sql_table("telegram_albums", sql_column("album"))
    gone = 0
    for one in subject.conversations:
        if one["channel"] == "telegram":
            result = await connection.execute(
                albums.delete().where(albums.c.album.startswith(f"{one['shopper']}:", autoescape=True))
            )
            gone += result.rowcount
    return {"telegram_albums": gone}


async def _compact(engine: AsyncEngine) -> None:
    """Rewrite SQLite's file and empty its log of changes: freed pages still hold what was in them."""
    async with engine.connect() as connection:
        raw = await connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            if engine.dialect.name == "sqlite":
                await raw.execute(text("VACUUM"))
                await raw.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
            else:
                await raw.execute(text("VACUUM"))
        except OperationalError as exc:
            raise PrivacyError(
                f"Rows are erased, but the database file could not be rewritten ({exc.orig}): run this again"
            ) from exc


async def search(engine: AsyncEngine, settings: Settings, words: Sequence[str]) -> dict[str, int]:
    """Where these words still stand: every text column of every table, and every file in data_dir.

    The shop's own database, receipts of erasures and the log of accesses are left out.
    """
    left: dict[str, int] = {}
    if not words:
        return left
    async with engine.connect() as connection:
        tables = await connection.run_sync(
            lambda sync: {
                name: [column["name"] for column in inspect(sync).get_columns(name)]
                for name in inspect(sync).get_table_names()
            }
        )
        for name, columns in sorted(tables.items()):
            if name in KEPT:
                continue
            table = sql_table(name, *(sql_column(column) for column in columns))
            for column in columns:
                value = cast(table.c[column], String)
                query = select(func.count()).select_from(table)
                query = query.where(or_(*(value.contains(word, autoescape=True) for word in words)))
                count = int((await connection.execute(query)).scalar_one())
                if count:
                    left[f"{name}.{column}"] = count
    root = settings.data_path("x").parent
    # The access log names conversations, and lies in the database's file.
    in_files = [word for word in words if not await _accessed(engine, word)]
    without = [
        root / "privacy" / "receipts", root / "models", root / "finetune", root / "gateway.secret",
        *root.glob("shop.db*"),
    ]  # fmt: skip
    for path, count in files_with(root, in_files, without=without).items():
        left[f"file {path}"] = count
    return left


async def _accessed(engine: AsyncEngine, word: str) -> bool:
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        if "desk_access" not in names:
            return False
        log = sql_table("desk_access", sql_column("conversation"))
        query = select(func.count()).select_from(log).where(log.c.conversation == word)
        return bool((await connection.execute(query)).scalar_one())


def _write_receipt(
    settings: Settings, subject: Subject, places: dict[str, int], elsewhere: dict[str, str],
    left: dict[str, int], by: str,
) -> dict[str, Any]:  # fmt: skip
    """Receipts form a chain: each names the hash of the one before, so that none can be taken out unnoticed."""
    at = now_ms()
    folder = settings.data_path("privacy", "receipts", "x").parent
    earlier = sorted(folder.glob("*.json"))
    receipt: dict[str, Any] = {
        "id": secrets.token_hex(8),
        "at": datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds"),
        "by": by,
        "subject_sha256": hashlib.sha256(subject.asked.encode()).hexdigest(),
        "conversations": list(subject.ids),
        "erased": places,
        "elsewhere": elsewhere,
        "searched_words_sha256": [hashlib.sha256(word.encode()).hexdigest() for word in needles(subject)],
        "left": left,
        "complete": not left,
        "not_ours": list(NOT_OURS),
        "previous": _hash(earlier[-1]) if earlier else None,
    }
    path = folder / f"{at}-{receipt['id']}.json"
    path.write_text(json.dumps(receipt, ensure_ascii=False, indent=2), encoding="utf-8")
    return {**receipt, "path": str(path)}


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_receipts(folder: Path) -> list[str]:
    """What is wrong with the chain of receipts; empty when nothing is."""
    wrong: list[str] = []
    previous: str | None = None
    for path in sorted(folder.glob("*.json")):
        try:
            named = json.loads(path.read_text(encoding="utf-8"))["previous"]
        except (ValueError, KeyError, TypeError):
            wrong.append(f"{path.name} is damaged")
        else:
            if named != previous:
                wrong.append(
                    f"{path.name} does not follow the receipt before it: one was changed or taken out"
                )
        previous = _hash(path)
    return wrong
