"""A sorted collection with fast insertion and removal: what `qty_unique` looks quantities up in.

Kept as short sorted blocks, so that each operation costs the logarithm of the size plus one block.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice

Entry = tuple[Decimal, tuple[str, str]]

_BLOCK = 512


class SortedIndex:
    """Quantities with the trades that have them, in order."""

    def __init__(self) -> None:
        self._blocks: list[list[Entry]] = []
        self._highest: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """Insert an entry that is not there yet."""
        if not self._blocks:
            self._blocks, self._highest = [[entry]], [entry]
            return
        at = min(bisect_left(self._highest, entry), len(self._blocks) - 1)
        block = self._blocks[at]
        insort(block, entry)
        if len(block) > _BLOCK:
            half = len(block) // 2
            self._blocks[at : at + 1] = [block[:half], block[half:]]
            self._highest[at : at + 1] = [block[half - 1], block[-1]]
        else:
            self._highest[at] = block[-1]

    def remove(self, entry: Entry) -> None:
        """Remove an entry; nothing happens where it is not there."""
        at = bisect_left(self._highest, entry)
        if at == len(self._blocks):
            return
        block = self._blocks[at]
        inside = bisect_left(block, entry)
        if block[inside] != entry:
            return
        del block[inside]
        if block:
            self._highest[at] = block[-1]
        else:
            del self._blocks[at], self._highest[at]

    def between(self, low: Decimal, high: Decimal) -> Iterator[Entry]:
        """Yield the entries whose quantity lies from low to high, both included, in order."""
        start = bisect_left(self._highest, (low,))
        inside = bisect_left(self._blocks[start], (low,)) if start < len(self._blocks) else 0
        for block in self._blocks[start:]:
            for entry in islice(block, inside, None):
                if entry[0] > high:
                    return
                yield entry
            inside = 0
