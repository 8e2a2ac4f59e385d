"""The people at the desk: accounts, sign-in, sessions, and who looked at what.

Passwords are kept as Argon2id hashes, sessions as hashes of their cookie, so that a copy of the database opens
nothing. This module knows no HTTP.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text, func, select

from bot.database import insert_once, metadata, now_ms
from bot.exceptions import DeskError
from channels.limits import Limit
from channels.store import Store

Role = Literal["agent", "lead", "admin"]
ROLES: tuple[str, ...] = get_args(Role)
MIN_PASSWORD = 10  # characters
_NAME = re.compile(r"[\w.@-]{1,64}")

users = Table(
    "desk_users",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("password", Text, nullable=False),  # Argon2id
    Column("active", Boolean, nullable=False, default=True),
    Column("subject", String(255)),  # "issuer sub" of an account that signs in elsewhere; null: by password
    Column("created_at", BigInteger, nullable=False),
)

sessions = Table(
    "desk_sessions",
    metadata,
    Column("id", String(64), primary_key=True),  # SHA-256 of the cookie
    Column("name", String(64), nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Index("ix_desk_sessions_name", "name"),
)

access_log = Table(
    "desk_access",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False),
    Column("conversation", String(64)),
    Column("act", String(32), nullable=False),  # sign_in, sign_in_failed, read, search
    Column("at", BigInteger, nullable=False),
    Index("ix_desk_access_conversation", "conversation"),
)


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    name: str
    role: Role
    csrf: str = ""

    @property
    def leads(self) -> bool:
        return self.role in ("lead", "admin")


class Staff:
    """Accounts and sessions over the gateway's database. `session_life` in ms, counted from the last use."""

    def __init__(
        self, store: Store, *, session_life: int = 12 * 3600 * 1000, now: Callable[[], int] = now_ms
    ) -> None:
        self._store = store
        self._life = session_life
        self._now = now
        self._hasher = PasswordHasher()
        # Against guessing: by name, whoever asks, and by source, whoever is asked for.
        self._by_name = Limit("sign_in_name", 8, 900)
        self._by_source = Limit("sign_in_source", 30, 900)
        self._nobody = self._hasher.hash(secrets.token_urlsafe(16))

    # accounts

    async def add(self, name: str, role: str, password: str) -> None:
        """Make an account, or give an existing one another role and password. Its sessions end.

        Raises:
            DeskError: the name, role or password is not acceptable.
        """
        if not _NAME.fullmatch(name):
            raise DeskError(f"{name!r} is no name: letters, digits and . _ - @, at most 64", code="name")
        if role not in ROLES:
            raise DeskError(f"There is no role {role!r}: one of {', '.join(ROLES)}", code="role")
        if len(password) < MIN_PASSWORD:
            raise DeskError(f"A password has at least {MIN_PASSWORD} characters", code="password")
        hashed = await asyncio.to_thread(self._hasher.hash, password)
        async with self._store.write() as connection:
            await connection.execute(
                insert_once(users, "name").values(
                    name=name, role=role, password=hashed, active=True, created_at=self._now()
                )
            )
            await connection.execute(
                users.update().where(users.c.name == name).values(role=role, password=hashed, active=True)
            )
            await connection.execute(sessions.delete().where(sessions.c.name == name))

    async def add_first(self, name: str, password: str) -> bool:
        """Make an admin if there is nobody at all yet. Of several gateways that try, one succeeds."""
        hashed = await asyncio.to_thread(self._hasher.hash, password)
        async with self._store.write() as connection:
            anybody = (await connection.execute(select(users.c.name).limit(1))).first()
            if anybody is not None:
                return False
            made = await connection.execute(
                insert_once(users, "name").values(
                    name=name, role="admin", password=hashed, active=True, created_at=self._now()
                )
            )
        return bool(made.rowcount == 1)

    async def switch_off(self, name: str) -> bool:
        """Nobody signs in under this name any more. False when there is no such account."""
        async with self._store.write() as connection:
            done = await connection.execute(users.update().where(users.c.name == name).values(active=False))
            await connection.execute(sessions.delete().where(sessions.c.name == name))
        return bool(done.rowcount == 1)

    async def people(self) -> list[tuple[str, Role]]:
        """(name, role) of everybody who may sign in."""
        query = select(users.c.name, users.c.role).where(users.c.active.is_(True)).order_by(users.c.name)
        async with self._store.read() as connection:
            return [(row.name, cast(Role, row.role)) for row in (await connection.execute(query)).all()]

    # sign-in

    async def sign_in(self, name: str, password: str, source: str) -> tuple[str, Person]:
        """(cookie, person).

        Raises:
            TooMany: too many tries for this name or from this source.
            DeskError: wrong name or password; it is not said which.
        """
        async with self._store.write() as connection:
            await self._by_source.take(connection, _hash(source))
            await self._by_name.take(connection, _hash(name.casefold()))
        query = select(users).where(users.c.name == name, users.c.active.is_(True))
        async with self._store.read() as connection:
            row = (await connection.execute(query)).first()
        # An unknown name takes as long as a wrong password.
        good = await asyncio.to_thread(self._verify, row.password if row else self._nobody, password)
        if row is None or not good:
            await self.log(name[:64], None, "sign_in_failed")
            raise DeskError("Name or password is wrong", code="credentials", status=401)
        return await self._begin(name, cast(Role, row.role))

    async def count_try(self, source: str) -> None:
        """Raises:
        TooMany: too many tries from this source.
        """
        async with self._store.write() as connection:
            await self._by_source.take(connection, _hash(source))

    async def enter(self, subject: str, name: str, role: str) -> tuple[str, Person]:
        """(cookie, person) for somebody whom an identity provider vouches for; the account is made the first time.

        The account is found by `subject`, never by name: nobody becomes a colleague by calling himself like one.

        Raises:
            DeskError: the account was closed here, or the name belongs to another.
        """
        async with self._store.write() as connection:
            # A write first, so that of two sign-ins of the same new person one makes the account.
            await connection.execute(users.update().where(users.c.subject == subject).values(role=role))
            row = (await connection.execute(select(users).where(users.c.subject == subject))).first()
            if row is None:
                if not _NAME.fullmatch(name):
                    raise DeskError(f"{name!r} is no name", code="name")
                made = await connection.execute(
                    insert_once(users, "name").values(
                        name=name,
                        role=role,
                        password="",
                        subject=subject,
                        active=True,
                        created_at=self._now(),
                    )
                )
                if made.rowcount == 0:
                    raise DeskError(f"Somebody else is called {name}", code="oidc_name", status=409)
                row = (await connection.execute(select(users).where(users.c.name == name))).one()
        if not row.active:
            await self.log(row.name, None, "sign_in_failed")
            raise DeskError(f"The account {row.name} is closed", code="oidc_closed", status=403)
        return await self._begin(row.name, cast(Role, row.role))

    async def _begin(self, name: str, role: Role) -> tuple[str, Person]:
        cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        now = self._now()
        async with self._store.write() as connection:
            await connection.execute(sessions.delete().where(sessions.c.seen_at < now - self._life))
            await connection.execute(
                sessions.insert().values(id=_hash(cookie), name=name, csrf=csrf, created_at=now, seen_at=now)
            )
        await self.log(name, None, "sign_in")
        return cookie, Person(name, role, csrf)

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    async def who(self, cookie: str | None) -> Person | None:
        """Whose session this cookie opens, if any."""
        if not cookie:
            return None
        now = self._now()
        query = (
            select(sessions.c.csrf, sessions.c.seen_at, users.c.name, users.c.role)
            .join(users, users.c.name == sessions.c.name)
            .where(sessions.c.id == _hash(cookie), users.c.active.is_(True))
        )
        async with self._store.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None or row.seen_at < now - self._life:
            return None
        if row.seen_at < now - 60_000:
            async with self._store.write() as connection:
                await connection.execute(
                    sessions.update().where(sessions.c.id == _hash(cookie)).values(seen_at=now)
                )
        return Person(row.name, cast(Role, row.role), row.csrf)

    async def sign_out(self, cookie: str) -> None:
        async with self._store.write() as connection:
            await connection.execute(sessions.delete().where(sessions.c.id == _hash(cookie)))

    # who looked at what

    async def log(self, name: str, conversation: str | None, act: str) -> None:
        async with self._store.write() as connection:
            await connection.execute(
                access_log.insert().values(name=name, conversation=conversation, act=act, at=self._now())
            )

    async def count_reads(self, conversation: str) -> int:
        query = select(func.count()).select_from(access_log).where(access_log.c.conversation == conversation)
        async with self._store.read() as connection:
            return int((await connection.execute(query)).scalar_one())


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
