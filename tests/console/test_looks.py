"""How the pages look and read: accessible in light and dark, within a phone's width, at their longest too."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.api.server import Api
from tests.console.browser import Seat, a_seat, chromium, needs_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_browser

PAGES = ("/", "/breaks", "/trades", "/trades/TRD-GHOST", "/runs", "/backfill", "/modes", "/alerts", "/audit",
         "/audit/verify", "/nothing")  # fmt: skip
ITEMS = {"/breaks": "tbody th a", "/runs": "tbody th a", "/backfill": "#batches-h + table a"}
"""Lists, and where the first of their items is linked."""


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Give a browser for the module."""
    with chromium() as started:
        yield started


def every_page(seat: Seat) -> Iterator[str]:
    """Go to every page, and to one item of every list; then make a plan and go to it."""
    for path in PAGES:
        seat.go(path)
        yield path
    for path, first in ITEMS.items():
        seat.go(path)
        seat.page.locator(first).first.click()
        seat.page.wait_for_load_state()
        yield f"the first of {path}"


@pytest.fixture(scope="module")
def planned(shared: Api, browser: "Browser") -> Api:
    """Give the shared server with a plan on record."""
    with a_seat(browser, shared, "operator") as seat:
        seat.go("/backfill")
        seat.press("Make the dry run")
    return shared


def test_every_page_is_accessible_in_light_and_dark(browser: "Browser", planned: Api) -> None:
    wrong: dict[str, list[str]] = {}
    with a_seat(browser, planned, "operator", expect=("404",)) as seat:
        for path in every_page(seat):
            wrong[path] = seat.axe()
    with a_seat(browser, planned, "approver") as seat:
        seat.go("/backfill")
        seat.page.locator("#plans-h + table a").first.click()
        wrong["plan"] = seat.axe()
    with a_seat(browser, planned) as seat:
        seat.go("/login")
        wrong["log-in"] = seat.axe()
    assert not {path: found for path, found in wrong.items() if found}


def test_no_page_is_wider_than_a_phone(browser: "Browser", planned: Api) -> None:
    wide: dict[str, list[str]] = {}
    phone = {"viewport": {"width": 375, "height": 740}}
    with a_seat(browser, planned, "operator", expect=("404",), **phone) as seat:
        for path in every_page(seat):
            wide[path] = seat.wider_than_the_screen()
        seat.go("/backfill")
        seat.page.locator("#plans-h + table a").first.click()
        wide["plan"] = seat.wider_than_the_screen()
    with a_seat(browser, planned, **phone) as seat:
        seat.go("/login")
        wide["log-in"] = seat.wider_than_the_screen()
    assert not {path: found for path, found in wide.items() if found}
