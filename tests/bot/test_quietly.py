"""A foreign program runs without its libraries' warnings, with its own arguments and its own end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bot.programs import quietly

FOREIGN = """
import sys, warnings
import sanic.app  # switches deprecation warnings on
warnings.warn("old", DeprecationWarning)
warnings.warn("odd", UserWarning)
print(__name__, *sys.argv[1:])
sys.exit(3)
"""


def test_a_foreign_program_runs_without_warnings(tmp_path: Path) -> None:
    (tmp_path / "foreign.py").write_text(FOREIGN, encoding="utf-8")
    where = {"PYTHONPATH": str(Path(__file__).parents[2])}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, env=where, capture_output=True, text=True)

    loud, quiet = run(sys.executable, "-m", "foreign"), run(*quietly("foreign", "--port", "5055"))

    assert "DeprecationWarning: old" in loud.stderr and "UserWarning: odd" in loud.stderr
    assert (quiet.stdout, quiet.stderr, quiet.returncode) == ("__main__ --port 5055\n", "", 3)
