"""The console's sections, in the order of their links; one whose module has no routes yet is not shown."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import cast

from starlette.routing import Route


@dataclass(frozen=True, slots=True)
class Section:
    """One section: its name for people, its path below /console, and its module in `pages`."""

    title: str
    path: str
    module: str

    @property
    def href(self) -> str:
        """Return the section's address."""
        return f"/console{self.path}"

    def holds(self, path: str) -> bool:
        """Say whether a page is in this section."""
        return path == self.href if self.path == "/" else path == self.href or path.startswith(f"{self.href}/")


ALL = (
    Section("Overview", "/", "overview"),
    Section("Breaks", "/breaks", "breaks"),
    Section("Trades", "/trades", "trades"),
    Section("Runs", "/runs", "runs"),
    Section("Backfill", "/backfill", "backfill"),
    Section("Incidents", "/incidents", "incidents"),
    Section("Canary", "/canary", "canary"),
    Section("Modes", "/modes", "modes"),
    Section("Alerts", "/alerts", "alerts"),
    Section("Audit", "/audit", "audit"),
)


def routes_of(section: Section) -> tuple[Route, ...]:
    """Return the routes of a section's module."""
    return cast("tuple[Route, ...]", import_module(f"trueup.surfaces.console.pages.{section.module}").ROUTES)


@cache
def sections() -> tuple[Section, ...]:
    """Return the sections that are there."""
    return tuple(section for section in ALL if routes_of(section))
