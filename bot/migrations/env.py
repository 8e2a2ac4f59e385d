"""What Alembic runs for each command. The connection comes from `bot.migrations`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import context
from alembic.operations.ops import CreateIndexOp, CreateTableOp, OpContainer

from bot.database import metadata
from bot.migrations import VERSION_TABLE


def _ours(_object: object, name: str | None, kind: str, _reflected: bool, _compare_to: object) -> bool:
    """Rasa's tracker store may live in the same database; its table is not ours."""
    return not (kind == "table" and name == "events")


def _directives(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Number revisions, and let them take tables as they are that a program made without them."""
    script = directives[0]
    script.rev_id = f"{len(list((Path(__file__).parent / 'versions').glob('*.py'))) + 1:04}"
    waiting = [script.upgrade_ops]
    while waiting:
        for operation in waiting.pop().ops:
            if isinstance(operation, CreateTableOp | CreateIndexOp):
                operation.if_not_exists = True
            elif isinstance(operation, OpContainer):
                waiting.append(operation)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    include_object=_ours,
    process_revision_directives=_directives,
    render_as_batch=True,  # SQLite cannot alter a table, only copy it
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
