"""The folder of the demonstration: made anew each time, and never at the cost of somebody else's files."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from trueup.core.errors import ConfigurationError
from trueup.core.world import LiveWorld, World

CONFIG = "trueup.toml"
MARKER = ".trueup-demo"
MARK = "This folder was made by `trueup demo`, which makes it anew when it runs again.\n"
_NAME_ANOTHER = "Name another with --folder."
_LEDGER = ("ledger.db", "ledger.db-journal", "ledger.db-shm", "ledger.db-wal")


def lay_down(folder: Path, world: World | LiveWorld) -> None:
    """Write the demonstration's files into an empty folder, or anew into one that an earlier demonstration made.

    Only files that a demonstration makes are ever deleted. ConfigurationError where the folder is somebody else's, in
    use, or holds exports that would change the story.
    """
    names = [CONFIG, *_LEDGER, *(file.name for file in world.files)]
    exports = sorted({PurePosixPath(file.name).parts[0] for file in world.files})
    try:
        _require_ours(folder, exports, set(names))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).write_text(MARK, encoding="utf-8")
        with in_use(folder):
            pass
        for name in names:
            (folder / name).unlink(missing_ok=True)
        (folder / CONFIG).write_text(world.config, encoding="utf-8")
        for file in world.files:
            path = folder / file.name
            path.parent.mkdir(exist_ok=True)
            path.write_text(file.text, encoding="utf-8")
            os.utime(path, ns=(file.modified_ms * 1_000_000, file.modified_ms * 1_000_000))
    except OSError as error:
        raise ConfigurationError(
            f"The folder {folder} cannot be written: {error.strerror}.", "Name another with --folder."
        ) from None


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Keep the folder from being made anew; ConfigurationError where somebody else keeps it already."""
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ModuleNotFoundError:  # no such locks on this system
        yield
        return
    with (folder / MARKER).open("rb") as marker:
        try:
            flock(marker, LOCK_EX | LOCK_NB)
        except OSError:
            raise ConfigurationError(
                f"The folder {folder} is in use: a `trueup sim serve` runs on it.",
                "Stop that one first, or name another folder with --folder.",
            ) from None
        yield


def _require_ours(folder: Path, exports: Iterable[str], names: set[str]) -> None:
    """Refuse a folder that a demonstration did not make, unless it is empty."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder.", "Name another with --folder.")
    marker = folder / MARKER
    ours = marker.is_file() and not marker.is_symlink() and marker.read_text("utf-8", "replace") == MARK
    if not ours and any(folder.iterdir()):
        raise ConfigurationError(
            f"The folder {folder} is not empty and not a demonstration's.", "Name another with --folder."
        )
    for name in exports:
        below = folder / name
        if below.is_symlink():
            raise ConfigurationError(
                f"{below} is a link to somewhere else.", "Remove it, or name another folder with --folder."
            )
        for path in below.glob("*"):
            if f"{name}/{path.name}" not in names:
                raise ConfigurationError(
                    f"{path} is not the demonstration's, and would be read as part of the export.",
                    "Move it away, or name another folder with --folder.",
                )
