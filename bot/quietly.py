"""Run a foreign program's module without its libraries' warnings: `python -m bot.quietly rasa run ...`.

Sanic switches deprecation warnings on again when it is imported, whatever PYTHONWARNINGS says, and then TensorFlow, Keras and
Matplotlib bury the address of the chat under what only their authors can mend.
"""

from __future__ import annotations

import runpy
import sys
import warnings

import sanic.app  # noqa: F401  before our filter: it puts one of its own in front


def main() -> None:
    del sys.argv[0]  # the module finds its own arguments, its name before them
    warnings.simplefilter("ignore")
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
