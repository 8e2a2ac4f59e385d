"""The demo shop's own database: SQLite, one thread, one transaction at a time.

Orders, products and receipts are kept as JSON documents of their models, with the columns that are
searched beside them. It knows no HTTP. Times are ISO 8601 in the documents.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import secrets
import sqlite3
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bot.orders.models import (
    Grant,
    Money,
    Operation,
    Order,
    OrderState,
    OrderSummary,
    Outcome,
    Product,
    ProofKind,
    Receipt,
    Variant,
)
from bot.orders.shop.bodies import Body, ProofBody, canonical
from bot.orders.shop.catalogue import price_in
from bot.orders.shop.data import Shop, generate
from bot.orders.shop.operations import perform
from bot.orders.shop.outcomes import outcome_of
from bot.orders.shop.problems import Problem
from bot.orders.shop.samples import SAMPLES

T = TypeVar("T")

GRANT_LIFE = timedelta(hours=2)

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS customers (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, phone TEXT NOT NULL, email TEXT NOT NULL,
    postcode TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS accounts (account TEXT PRIMARY KEY, customer_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS products (id TEXT PRIMARY KEY, words TEXT NOT NULL, doc TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stock (
    variant_id TEXT PRIMARY KEY, quantity INTEGER NOT NULL CHECK (quantity >= 0));
CREATE TABLE IF NOT EXISTS orders (
    number TEXT PRIMARY KEY, customer_id TEXT NOT NULL, state TEXT NOT NULL, created_at TEXT NOT NULL,
    phone_tail TEXT NOT NULL, email TEXT NOT NULL, postcode TEXT NOT NULL, doc TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS orders_customer ON orders (customer_id, created_at);
CREATE TABLE IF NOT EXISTS grants (token_hash TEXT PRIMARY KEY, doc TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS receipts (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, doc TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS writes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, operation TEXT NOT NULL,
    order_number TEXT NOT NULL, key TEXT NOT NULL,
    version_before INTEGER NOT NULL, version_after INTEGER NOT NULL);
"""
TABLES = ("meta", "customers", "accounts", "products", "stock", "orders", "grants", "receipts", "writes")


class Store:
    """The database of one demo shop. Every method runs in the store's own thread, one after another."""

    def __init__(self, path: Path | str, *, seed: int, today: Callable[[], date]) -> None:
        self._path = str(path)
        self._seed = seed
        self._today = today
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="shop-db")
        self._connection: sqlite3.Connection | None = None
        self.clock_offset = timedelta()  # tests let time pass with it

    def now(self) -> datetime:
        return (datetime.now(UTC) + self.clock_offset).replace(microsecond=0)

    async def open(self, *, reset: bool = False) -> str:
        """Open and fill the database. Says what it found: ``new``, ``kept``, ``renewed`` or ``old``.

        Data is relative to the day it was made. On a later day it is made anew, unless somebody has
        written to it.
        """
        return await self._run(self._open, reset)

    async def close(self) -> None:
        await self._run(self._close)
        self._thread.shutdown()

    async def reset(self) -> None:
        """All data as on the first start."""
        await self._run(self._fill)

    async def prove(self, body: ProofBody) -> Grant:
        """A grant for a good proof.

        Raises:
            Problem: ``proof_rejected``, also when there is no such order.
        """
        return await self._run(self._prove, body)

    async def grant(self, token: str | None) -> Grant:
        """The grant behind a token.

        Raises:
            Problem: ``proof_rejected`` or ``proof_expired``.
        """
        return await self._run(self._grant, token)

    async def order(self, number: str, grant: Grant) -> Order:
        """Raises Problem ``not_found``, also when the grant does not open it."""
        return await self._run(self._opened, number, grant)

    async def orders(self, grant: Grant, state: OrderState | None, limit: int) -> list[OrderSummary]:
        """Newest first."""
        return await self._run(self._orders, grant, state, limit)

    async def products(self, query: str, currency: str, limit: int) -> list[Product]:
        """Best match first."""
        return await self._run(self._products, query, currency, limit)

    async def product(self, product_id: str, currency: str) -> Product:
        """Raises Problem ``not_found``."""
        return await self._run(self._product, product_id, currency)

    async def receipt(self, key: str) -> Receipt:
        """Raises Problem ``not_found``."""
        return await self._run(self._receipt, key)

    async def outcome(self, key: str) -> Outcome:
        """Raises Problem ``not_found``."""
        return await self._run(self._outcome, key)

    async def write(
        self,
        operation: Operation,
        number: str,
        body: Body,
        *,
        key: str,
        version: str,
        grant: Grant,
        request_id: str | None = None,
    ) -> tuple[Receipt, bool]:
        """One write under `key`; the receipt, and whether it is a new one.

        Raises:
            Problem: nothing was written.
        """
        return await self._run(self._write, operation, number, body, key, version, grant, request_id)

    async def state(self) -> dict[str, Any]:
        """Everything a test asserts: orders, receipts, the log of writes and what has left the shelf."""
        return await self._run(self._state)

    async def mutate(self, number: str, changes: dict[str, Any]) -> Order:
        """Change an order from outside, as the shop's own people would; its version rises.

        Raises:
            Problem: ``not_found``, or ``invalid`` when the result is no order.
        """
        return await self._run(self._mutate, number, changes)

    async def set_stock(self, variant_id: str, quantity: int) -> None:
        """Raises Problem ``unknown_variant``."""
        await self._run(self._set_stock, variant_id, quantity)

    async def samples(self) -> list[tuple[Order, dict[str, str]]]:
        """The well-known orders with what their shoppers know, for the shop's page."""
        return await self._run(self._samples)

    # Below, everything runs in the store's thread.

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        loop = asyncio.get_running_loop()
        # Shielded: a request that is given up must not leave a transaction half done.
        return await asyncio.shield(loop.run_in_executor(self._thread, partial(work, *args)))

    @property
    def _db(self) -> sqlite3.Connection:
        assert self._connection is not None, "open() comes first"
        return self._connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _open(self, reset: bool) -> str:
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute("PRAGMA busy_timeout=5000")
        self._connection.executescript(SCHEMA)
        made_on = self._db.execute("SELECT value FROM meta WHERE name = 'made_on'").fetchone()
        if made_on is None or reset:
            self._fill()
            return "new"
        if made_on["value"] == self._today().isoformat():
            return "kept"
        if self._db.execute("SELECT 1 FROM writes LIMIT 1").fetchone():
            return "old"
        self._fill()
        return "renewed"

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _fill(self) -> None:
        today = self._today()
        shop: Shop = generate(today, seed=self._seed)
        with self._transaction() as db:
            for table in TABLES:
                db.execute(f"DELETE FROM {table}")  # noqa: S608 names from the constant above
            db.execute("INSERT INTO meta VALUES ('made_on', ?)", (today.isoformat(),))
            db.executemany(
                "INSERT INTO customers VALUES (?, ?, ?, ?, ?)",
                [(c.id, c.name, c.phone, c.email, c.address.postcode) for c in shop.customers],
            )
            db.executemany(
                "INSERT INTO accounts VALUES (?, ?)",
                [(account, c.id) for c in shop.customers for account in c.accounts],
            )
            for offer in shop.offers:
                product = offer.product
                db.execute(
                    "INSERT INTO products VALUES (?, ?, ?)",
                    (product.id, _words(product), product.model_dump_json()),
                )
                db.executemany(
                    "INSERT INTO stock VALUES (?, ?)",
                    [(variant.id, variant.stock) for variant in product.variants],
                )
            customers = {customer.id: customer for customer in shop.customers}
            db.executemany(
                "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        order.number,
                        order.customer_id,
                        order.state.value,
                        order.created_at.isoformat(),
                        _digits(customers[order.customer_id].phone)[-4:],
                        _plain(customers[order.customer_id].email),
                        _plain(customers[order.customer_id].address.postcode),
                        order.model_dump_json(),
                    )
                    for order in shop.orders
                ],
            )

    def _prove(self, body: ProofBody) -> Grant:
        if body.kind is ProofKind.CHANNEL_ACCOUNT:
            row = self._db.execute(
                "SELECT customer_id FROM accounts WHERE account = ?", (body.value,)
            ).fetchone()
            customer_id = row["customer_id"] if row else ""
            good = row is not None
            order_number = None
        else:
            order_number = normal_number(body.order_number or "")
            row = self._db.execute("SELECT * FROM orders WHERE number = ?", (order_number,)).fetchone()
            # The same work whether the order exists or not: neither answer nor time tells.
            known = row[body.kind.value] if row else secrets.token_hex(4)
            given = _digits(body.value)[-4:] if body.kind is ProofKind.PHONE_TAIL else _plain(body.value)
            good = hmac.compare_digest(known.encode(), given.encode()) and bool(given) and row is not None
            customer_id = row["customer_id"] if row else ""
        customer = self._db.execute("SELECT name FROM customers WHERE id = ?", (customer_id,)).fetchone()
        if not good or customer is None:
            raise Problem("proof_rejected")
        now = self.now()
        token = f"gr_{secrets.token_urlsafe(24)}"
        grant = Grant(
            token=token,
            kind=body.kind,
            customer_id=customer_id,
            customer_name=customer["name"],
            order_number=order_number,
            proven_at=now,
            expires_at=now + GRANT_LIFE,
        )
        self._db.execute("INSERT INTO grants VALUES (?, ?)", (_hash(token), grant.model_dump_json()))
        return grant

    def _grant(self, token: str | None) -> Grant:
        row = self._db.execute(
            "SELECT doc FROM grants WHERE token_hash = ?", (_hash(token or ""),)
        ).fetchone()
        if row is None:
            raise Problem("proof_rejected")
        grant = Grant.model_validate_json(row["doc"])
        if grant.expires_at <= self.now():
            raise Problem("proof_expired")
        return grant

    def _opened(self, number: str, grant: Grant) -> Order:
        row = self._db.execute(
            "SELECT doc, customer_id FROM orders WHERE number = ?", (normal_number(number),)
        ).fetchone()
        if row is None or row["customer_id"] != grant.customer_id:
            raise Problem("not_found")
        order = Order.model_validate_json(row["doc"])
        if grant.order_number not in (None, order.number):
            raise Problem("not_found")
        return order

    def _orders(self, grant: Grant, state: OrderState | None, limit: int) -> list[OrderSummary]:
        rows = self._db.execute(
            "SELECT doc FROM orders WHERE customer_id = ?1 AND (?2 IS NULL OR number = ?2)"
            " AND (?3 IS NULL OR state = ?3) ORDER BY created_at DESC, number LIMIT ?4",
            (grant.customer_id, grant.order_number, state.value if state else None, limit),
        )
        orders = [Order.model_validate_json(row["doc"]) for row in rows]
        return [
            OrderSummary(
                number=order.number,
                version=order.version,
                state=order.state,
                created_at=order.created_at,
                total=order.total,
                title=order.lines[0].title,
                count=sum(line.quantity for line in order.lines),
            )
            for order in orders
        ]

    def _products(self, query: str, currency: str, limit: int) -> list[Product]:
        terms = _terms(query)
        scored = []
        for row in self._db.execute("SELECT id, words FROM products"):
            score = sum(len(term) for term in terms if term in row["words"])
            if score or not query.strip():
                scored.append((-score, row["id"]))
        return [self._product(product_id, currency) for _, product_id in sorted(scored)[:limit]]

    def _product(self, product_id: str, currency: str) -> Product:
        product = self._plain_product(product_id)
        if product is None:
            raise Problem("not_found")
        variants = tuple(
            variant.model_copy(
                update={"price": Money(amount=price_in(variant.price.amount, currency), currency=currency)}
            )
            for variant in product.variants
        )
        return product.model_copy(update={"variants": variants})

    def _plain_product(self, product_id: str) -> Product | None:
        row = self._db.execute("SELECT doc FROM products WHERE id = ?", (product_id,)).fetchone()
        if row is None:
            return None
        product = Product.model_validate_json(row["doc"])
        variants = []
        for variant in product.variants:
            quantity = self._db.execute(
                "SELECT quantity FROM stock WHERE variant_id = ?", (variant.id,)
            ).fetchone()["quantity"]
            variants.append(variant.model_copy(update={"stock": quantity}))
        return product.model_copy(update={"variants": tuple(variants)})

    def _receipt(self, key: str) -> Receipt:
        row = self._db.execute("SELECT doc FROM receipts WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise Problem("not_found")
        return Receipt.model_validate_json(row["doc"])

    def _outcome(self, key: str) -> Outcome:
        receipt = self._receipt(key)
        row = self._db.execute("SELECT doc FROM orders WHERE number = ?", (receipt.order,)).fetchone()
        if row is None:
            raise Problem("not_found")
        return outcome_of(receipt, Order.model_validate_json(row["doc"]), self.now())

    def _write(
        self,
        operation: Operation,
        number: str,
        body: Body,
        key: str,
        version: str,
        grant: Grant,
        request_id: str | None,
    ) -> tuple[Receipt, bool]:
        with self._transaction() as db:
            order = self._opened(number, grant)
            fingerprint = _hash("\n".join((operation.value, order.number, request_id or "", canonical(body))))
            # The key comes before the version: a repeated request must find its receipt although the
            # first one has raised the version.
            row = db.execute("SELECT fingerprint, doc FROM receipts WHERE key = ?", (key,)).fetchone()
            if row is not None:
                if row["fingerprint"] != fingerprint:
                    raise Problem("key_reused")
                return Receipt.model_validate_json(row["doc"]), False
            if version != str(order.version):
                raise Problem("stale_version")
            now = self.now()
            try:
                done = perform(operation, order, body, stock=_Shelf(self), now=now, request_id=request_id)
            except sqlite3.IntegrityError as exc:  # the shelf's CHECK: another line took the last piece
                raise Problem("out_of_stock") from exc
            after = done.order.model_copy(update={"version": order.version + 1})
            receipt = Receipt(
                id=f"RC{secrets.token_hex(8).upper()}",
                operation=operation,
                order=order.number,
                key=key,
                at=now,
                version=after.version,
                amount=done.amount,
                destination=done.destination,
                request_id=done.request_id,
                due_at=done.due_at,
                details=done.details,
            )
            self._save(after)
            db.execute("INSERT INTO receipts VALUES (?, ?, ?)", (key, fingerprint, receipt.model_dump_json()))
            db.execute(
                "INSERT INTO writes (at, operation, order_number, key, version_before, version_after)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (now.isoformat(), operation.value, order.number, key, order.version, after.version),
            )
        return receipt, True

    def _save(self, order: Order) -> None:
        self._db.execute(
            "UPDATE orders SET state = ?, doc = ? WHERE number = ?",
            (order.state.value, order.model_dump_json(), order.number),
        )

    def _mutate(self, number: str, changes: dict[str, Any]) -> Order:
        with self._transaction() as db:
            row = db.execute("SELECT doc FROM orders WHERE number = ?", (number,)).fetchone()
            if row is None:
                raise Problem("not_found")
            content = json.loads(row["doc"])
            content |= changes | {"number": number, "version": content["version"] + 1}
            try:
                order = Order.model_validate(content)
            except ValueError as exc:
                raise Problem("invalid") from exc
            self._save(order)
        return order

    def _set_stock(self, variant_id: str, quantity: int) -> None:
        changed = self._db.execute(
            "UPDATE stock SET quantity = ? WHERE variant_id = ?", (quantity, variant_id)
        )
        if not changed.rowcount:
            raise Problem("unknown_variant")

    def _state(self) -> dict[str, Any]:
        db = self._db
        return {
            "made_on": db.execute("SELECT value FROM meta WHERE name = 'made_on'").fetchone()["value"],
            "orders": {
                row["number"]: json.loads(row["doc"]) for row in db.execute("SELECT number, doc FROM orders")
            },
            "receipts": [json.loads(row["doc"]) for row in db.execute("SELECT doc FROM receipts")],
            "writes": [dict(row) for row in db.execute("SELECT * FROM writes ORDER BY id")],
            "stock": {row["variant_id"]: row["quantity"] for row in db.execute("SELECT * FROM stock")},
        }

    def _samples(self) -> list[tuple[Order, dict[str, str]]]:
        found = []
        for sample in SAMPLES:
            row = self._db.execute(
                "SELECT orders.*, customers.name AS name FROM orders"
                " JOIN customers ON customers.id = customer_id WHERE number = ?",
                (sample.number,),
            ).fetchone()
            if row is not None:
                knows = {name: row[name] for name in ("name", "phone_tail", "email", "postcode")}
                found.append((Order.model_validate_json(row["doc"]), knows | {"sample": sample.name}))
        return found


class _Shelf:
    """The stock, inside the running transaction (`operations.Stock`)."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def variant(self, variant_id: str) -> Variant | None:
        product = self._store._plain_product(variant_id.rsplit("-", 1)[0])
        if product is None:
            return None
        return next((variant for variant in product.variants if variant.id == variant_id), None)

    def move(self, variant_id: str, by: int) -> None:
        if by:
            self._store._db.execute(
                "UPDATE stock SET quantity = quantity + ? WHERE variant_id = ?", (by, variant_id)
            )


def normal_number(text: str) -> str:
    """An order number as the shop writes it: plain digits, without spaces, dashes and ``#``."""
    return re.sub(r"[\s#-]", "", unicodedata.normalize("NFKC", text))


def _digits(text: str) -> str:
    return "".join(re.findall(r"[0-9]", unicodedata.normalize("NFKC", text)))


def _plain(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text)).casefold()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _words(product: Product) -> str:
    """What a product is found by, in lower case."""
    options = [
        value[language]
        for variant in product.variants
        for value in variant.options.values()
        for language in ("zh", "en")
    ]
    parts = [product.id, *product.title.values(), product.category, *product.tags, *dict.fromkeys(options)]
    return " ".join(parts).casefold()


def _terms(query: str) -> list[str]:
    """Latin words whole, Chinese as pairs of characters (a lone one by itself)."""
    terms = re.findall(r"[a-z0-9][a-z0-9-]+", query.casefold())
    for run in re.findall(r"[\u4e00-\u9fff]+", query):
        terms += [run] if len(run) < 3 else [run[at : at + 2] for at in range(len(run) - 1)]
    return list(dict.fromkeys(terms))
