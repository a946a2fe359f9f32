"""A venue's answers as a document in the file format, so that any run can be replayed without the venue."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from trueup.core.errors import ConfigurationError, nearest
from trueup.core.snapshot import Feed
from trueup.service.app import App
from trueup.service.gather import wanted_of

_ROWS = (*Feed, "events")
_BEGINNING = 64


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """What was read of an account: the document, and how many rows of each feed stand in it."""

    account: str
    document: Mapping[str, object]
    rows: Mapping[str, int]

    @property
    def coverage(self) -> Mapping[str, Mapping[str, object]]:
        """Return what the document says of each feed."""
        found = self.document.get("coverage")
        return found if isinstance(found, Mapping) else {}

    @property
    def exit_code(self) -> int:
        """Return 0, or 3 where a feed that the venue offers was not read in full."""
        offered = [entry for entry in self.coverage.values() if entry.get("given", True)]
        return 3 if not offered or any(entry.get("state") != "complete" for entry in offered) else 0


def take_snapshot(app: App, account_name: str) -> SnapshotReport:
    """Read an account as a run would, and keep what its venue said; CannotKnow where nothing could be read."""
    account = app.accounts.get(account_name)
    if account is None:
        raise ConfigurationError(
            f"There is no account {account_name!r} in trueup.toml.", nearest(account_name, app.accounts)
        )
    document = account.venue().export(wanted_of(app, account))
    return SnapshotReport(account_name, document, _counted(document))


def _counted(document: Mapping[str, object]) -> dict[str, int]:
    found = {str(name): document[name] for name in _ROWS if document.get(name) is not None}
    return {name: len(value) for name, value in found.items() if isinstance(value, (list, Mapping))}


def as_text(document: Mapping[str, object]) -> str:
    """Write a document as JSON; exact numbers that are no whole ones are written as text."""
    return json.dumps(document, indent=1, default=_exact, ensure_ascii=False) + "\n"


def is_snapshot(path: Path) -> bool:
    """Say whether a file holds such a document, so that a newer one may take its place; OSError where it is closed."""
    with path.open("rb") as stream:
        if not stream.read(_BEGINNING).lstrip().startswith(b"{"):
            return False
        stream.seek(0)
        try:
            document = json.load(stream)
        except (ValueError, RecursionError):
            return False
    return isinstance(document, dict) and {"as_of", "coverage"} <= document.keys()


def _exact(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} does not belong into a document")
