"""The file venue: one export of one account, a file or a folder of files."""

import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from trueup.core.errors import CannotKnow, ConfigurationError
from trueup.core.repair.reach import BEGINNING, order_feed_reach
from trueup.core.snapshot import Feed, Snapshot
from trueup.core.symbols import Symbols
from trueup.ports import EVERYTHING, Check, OnUpdate, OrderAnswer, ReadScope, VenueActions, VenueStream
from trueup.venues.documents.parts import Part, read_part
from trueup.venues.documents.snapshots import snapshot_of
from trueup.venues.documents.strict_json import read_json, shown_path, unreadable


class FileVenue:
    """An account as an export holds it (DESIGN §5.3).

    The path is a JSON file: a document of sections, or a list as Alpaca or ccxt returns it; or a folder of
    such `*.json` files. "Now" is the document's `as_of`, else the time when the (oldest) file was last
    changed.
    """

    def __init__(self, account: str, path: Path, symbols: Symbols | None = None) -> None:
        self.account = account
        self.path = path
        self.symbols = symbols if symbols is not None else Symbols()

    def read(self, scope: ReadScope = EVERYTHING) -> Snapshot:  # noqa: ARG002  # an export is read whole
        """Read the export; CannotKnow names the file and the line or path in it that cannot be read.

        A malformed row is a value in the snapshot (`malformed`) and no error.
        """
        parts = list(_read_parts(self.path))
        return snapshot_of(self.account, shown_path(self.path), parts, self.symbols)

    @property
    def actions(self) -> VenueActions | None:
        """Return None: nothing can be done at a file."""
        return None

    def export(self, scope: ReadScope = EVERYTHING) -> Mapping[str, object]:  # noqa: ARG002  # it is refused
        """Refuse: what there is to read is in the file already."""
        raise ConfigurationError(
            f"The venue of account {self.account} is an export already: {shown_path(self.path)}.", "Copy that."
        )

    def inspect(self, scope: ReadScope = EVERYTHING) -> list[Check]:  # noqa: ARG002  # there is nothing to ask
        """Return nothing: all that there is to prove about a file is that it can be read."""
        return []

    def stream(self, on_update: OnUpdate, on_gap: Callable[[], None]) -> VenueStream | None:  # noqa: ARG002  # the signature is the port's
        """Return None: a file tells nothing by itself."""
        return None

    def find_order(
        self,
        symbol: str,
        order_id: str | None = None,
        client_order_id: str | None = None,
        placed_ms: int | None = None,
    ) -> OrderAnswer:
        """Look for one order in the export; one that is not there is absent only if the export has all orders.

        It has, where its open and its closed orders are complete and reach back to the order, or to the beginning.
        """
        try:
            snapshot = self.read()
        except CannotKnow as error:
            return OrderAnswer(why=error.what)
        token = self.symbols.token(symbol)
        for order in snapshot.orders:
            if self.symbols.token(order.symbol) == token and (
                order.id == order_id if order_id is not None else order.client_order_id == client_order_id
            ):
                return OrderAnswer(order)
        reach = order_feed_reach(snapshot)
        whole = reach is not None and snapshot.feed(Feed.OPEN_ORDERS).complete
        whole = whole and (reach == BEGINNING or (placed_ms is not None and reach is not None and reach <= placed_ms))
        return OrderAnswer(absent=whole, why=f"{shown_path(self.path)} has no such order of {symbol}")


def _read_parts(path: Path) -> Iterator[Part]:
    folder, _ = _looked_up(path)
    names = _files_in(path) if folder else [path]
    for file in names:
        _, modified_ms = _looked_up(file)
        yield read_part(file, read_json(file), modified_ms, alone=not folder)


def _looked_up(path: Path) -> tuple[bool, int]:
    """Return whether a path is a folder, and when it was last changed in epoch milliseconds."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    folder = stat.S_ISDIR(found.st_mode)
    if not folder and not stat.S_ISREG(found.st_mode):
        raise CannotKnow(f"{shown_path(path)} is neither a file nor a folder.", "Save the export to a file first.")
    return folder, found.st_mtime_ns // 1_000_000


def _files_in(folder: Path) -> list[Path]:
    try:
        files = sorted(entry for entry in folder.iterdir() if entry.suffix.lower() == ".json" and entry.name[0] != ".")
    except OSError as error:
        raise unreadable(folder, error) from None
    if not files:
        raise CannotKnow(f"{shown_path(folder)} holds no .json file.", "Put the account's exports there.")
    return files
