"""Run a foreign program's module without its libraries' warnings: `python -m bot.quietly rasa run ...`.

Sanic, Rasa and pyparsing switch warnings on again when they are imported, whatever PYTHONWARNINGS says, and bury the address of the
chat under what only their authors can mend.
"""

from __future__ import annotations

import runpy
import sys
import warnings


def main() -> None:
    del sys.argv[0]  # the module finds its own arguments, its name before them
    warnings.showwarning = lambda *_, **__: None
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
