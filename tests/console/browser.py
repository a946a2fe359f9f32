"""A real Chromium for the tests, which watches that no page asks anybody else or logs an error."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.api.server import Api

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = shutil.which("chromium")
AXE = Path(sys.prefix) / "axe.min.js"
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or not AXE.exists(),
    reason="Chromium or axe-core is missing: apt-get install chromium npm; make browser",
)
_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage")
_WAIT_MS = 10_000


@contextmanager
def chromium() -> Iterator["Browser"]:
    """Start Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Seat:
    """Somebody at a browser of their own; `asked` are the requests, `complaints` what the console of it said."""

    context: "BrowserContext"
    page: "Page"
    url: str
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str = "/") -> "Page":
        self.page.goto(f"{self.url}/console{path}")
        return self.page

    def log_in(self, secret: str) -> "Page":
        self.page.goto(f"{self.url}/console/login#token={secret}")
        self.page.wait_for_url("**/console/")
        return self.page

    def says(self, text: str) -> None:
        """Wait until the page says something."""
        self.page.get_by_text(text).first.wait_for()

    def press(self, button: str) -> None:
        """Press a button, and wait for the page that it leads to."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=button, exact=True).click()

    def axe(self) -> list[str]:
        """Name what is not accessible on the page, in light colours, and what cannot be told apart in dark ones."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        wrong = self._axe({"resultTypes": ["violations"]})
        self.page.emulate_media(color_scheme="dark")
        wrong += [f"dark: {said}" for said in self._axe({"runOnly": ["color-contrast"]})]
        self.page.emulate_media(color_scheme="light")
        return wrong

    def _axe(self, options: dict[str, Any]) -> list[str]:
        found: dict[str, Any] = self.page.evaluate("options => axe.run(document, options)", options)
        assert found["passes"], "axe looked at nothing"
        return [
            f"{item['id']}: {node['target']} {node['failureSummary']}"
            for item in found["violations"]
            for node in item["nodes"][:3]
        ]

    def wider_than_the_screen(self) -> list[str]:
        """Name what stands out of the page to the right."""
        if not self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            return []
        wide: list[str] = self.page.evaluate(
            "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
            ".map(e => e.tagName + '.' + e.className + ' ' + e.textContent.slice(0, 60)).slice(0, 6)"
        )
        return wide or ["the page"]


@contextmanager
def a_seat(
    browser: "Browser",
    api: Api,
    role: str | None = None,
    *,
    expect: tuple[str, ...] = (),
    **options: Any,
) -> Iterator[Seat]:
    """Give a browser window of its own, logged in as a role where one is named.

    At its end, no other origin was asked, and no error logged but those that hold one of the expected texts.
    """
    context = browser.new_context(color_scheme="light", **options)
    context.set_default_timeout(_WAIT_MS)
    page = context.new_page()
    seat = Seat(context, page, api.url)
    page.on("request", lambda request: seat.asked.append(request.url))
    page.on("pageerror", lambda error: seat.complaints.append(str(error)))
    page.on("console", lambda said: seat.complaints.append(said.text) if said.type in ("error", "warning") else None)
    try:
        if role is not None:
            seat.log_in(api.secrets[role])
        yield seat
        assert not [url for url in seat.asked if not url.startswith(f"{api.url}/")]
        assert not [said for said in seat.complaints if not any(text in said for text in expect)]
    finally:
        context.close()
