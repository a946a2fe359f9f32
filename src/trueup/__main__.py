"""The command `trueup`: the surfaces are handed the way to build the App, and build it only when they need it."""

import sys

from trueup.surfaces.cli.main import run


def _build(config: object) -> object:
    from trueup.bootstrap import build

    return build(config)


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(_build))


if __name__ == "__main__":
    main()
