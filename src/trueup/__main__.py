"""The command `trueup`: the surfaces are handed the way to build the App, and build it only when they need it."""

import gc
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trueup.surfaces.cli.main import run

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from trueup.service.app import App, LivePlace, TrialPlace


COLLECT_AFTER = (1_000_000, 20, 100)
"""How many objects are made between two collections of garbage: a run makes many values, and hardly any cycle."""


def _build(config: Path | None) -> "App":
    from trueup.bootstrap import build

    return build(config)


def _demo(venue: str | None, folder: Path, say: Callable[[str], None], program: str) -> int:
    from trueup.bootstrap import demo, live_demo

    return demo(folder, say, program) if venue is None else live_demo(venue, folder, say, program)


def _trial(
    venue: str, folder: Path, port: int, seed: int, faults: Mapping[str, str]
) -> "AbstractContextManager[TrialPlace]":
    from trueup.bootstrap import trial

    return trial(venue, folder, port, seed, faults)


def _live(folder: Path, seed: int) -> "AbstractContextManager[LivePlace]":
    from trueup.bootstrap import live_trial

    return live_trial(folder, seed)


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(*COLLECT_AFTER)
    sys.exit(run(_build, _demo, _trial, _live))


if __name__ == "__main__":
    main()
