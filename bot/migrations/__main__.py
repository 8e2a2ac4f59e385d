"""Write a revision: `python -m bot.migrations "What changed"`.

Compares the declared tables with an empty SQLite database that all revisions so far were applied to.
Read what it wrote before committing it: a renamed column looks like a dropped and an added one.
"""

from __future__ import annotations

import importlib
import sys

from alembic import command
from sqlalchemy import create_engine

from bot.migrations import TABLE_MODULES, make_config


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit('usage: python -m bot.migrations "What changed"')
    for module in TABLE_MODULES:
        importlib.import_module(module)
    with create_engine("sqlite://").begin() as connection:
        config = make_config(connection)
        command.upgrade(config, "head")
        command.revision(config, sys.argv[1], autogenerate=True)


if __name__ == "__main__":
    main()
