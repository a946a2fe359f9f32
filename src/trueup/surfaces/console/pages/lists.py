"""Lists in pages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Paging:
    """Where in a list a page is; `asked` are the list's own parameters, None for those that are not given."""

    href: str
    page: int
    total: int
    asked: Mapping[str, str | None] = field(default_factory=dict)
    page_size: int = PAGE_SIZE

    @property
    def first(self) -> int:
        """Return the number of the first row of the page."""
        return min((self.page - 1) * self.page_size + 1, self.total)

    @property
    def last(self) -> int:
        """Return the number of the last row of the page."""
        return min(self.page * self.page_size, self.total)

    @property
    def newer(self) -> str | None:
        """Return the address of the page before; None where this is the first."""
        return self._at(self.page - 1) if self.page > 1 else None

    @property
    def older(self) -> str | None:
        """Return the address of the next page; None where this is the last."""
        return self._at(self.page + 1) if self.page * self.page_size < self.total else None

    def _at(self, page: int) -> str:
        given = {name: value for name, value in self.asked.items() if value is not None}
        return f"{self.href}?{urlencode({**given, 'page': page})}"
