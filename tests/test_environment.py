"""The tests themselves do not depend on how the session that runs them is set up."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
IMPORTS = "import tests.conftest, tests.postgres"
AS_IN_PYTEST = ("-W", "error", "-W", "ignore:XDG_RUNTIME_DIR is not set")


def test_a_runtime_folder_that_others_can_read_is_no_matter(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    command = [sys.executable, *AS_IN_PYTEST, "-c", IMPORTS]
    done = subprocess.run(command, check=False, env=environ, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stderr == ""
