"""promtool: on the path, or beside the interpreter, where `make setup` puts it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROMTOOL = shutil.which("promtool", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed: make setup, or on Debian apt-get install prometheus"
)


def promtool(*words: str, folder: Path | None = None, given: bytes = b"") -> None:
    """Run promtool; it must find nothing to say against what it is given."""
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *words], input=given, capture_output=True, check=False, cwd=folder)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    if given:
        assert done.stdout + done.stderr == b""
