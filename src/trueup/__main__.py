"""The command `trueup`: the surfaces are handed the way to build the App, and build it only when they need it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from trueup.surfaces.cli.main import run

if TYPE_CHECKING:
    from trueup.service.app import App


def _build(config: Path | None) -> "App":
    from trueup.bootstrap import build

    return build(config)


def _demo(folder: Path, say: Callable[[str], None], program: str) -> int:
    from trueup.bootstrap import demo

    return demo(folder, say, program)


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(_build, _demo))


if __name__ == "__main__":
    main()
