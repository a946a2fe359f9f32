"""Take the picture of the console: the overview of the demonstration's folder, after the loop has looked a few times.

python docs/make_console_picture.py    take it; needs Debian's Chromium
"""

import shutil
import tempfile
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

from trueup.bootstrap import build, demo
from trueup.service.cycle import ReconcileRequest
from trueup.service.reconcile import run_reconcile
from trueup.service.tokens import create_token
from trueup.surfaces.api.app import create_app
from trueup.surfaces.api.options import ApiOptions
from trueup.surfaces.api.serving import Place, listening, serving

PICTURE = Path(__file__).parent / "pictures" / "console.png"
_SIZE = {"width": 1180, "height": 900}
_LOOKS = 3


def main() -> None:
    """Take it."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "demo"
        demo(made, lambda _: None)
        app = build(made / "trueup.toml", {})
        for _ in range(_LOOKS):
            run_reconcile(app, ReconcileRequest())
        secret = create_token(app, "operator", "operator").secret
        place = Place(port=0)
        api = create_app(app, ApiOptions(hosts=place.hosts))
        with listening(place) as listener, serving(api, place, listener, threading.Event()) as url:
            _shoot(f"{url}/console/login#token={secret}")
        app.close()


def _shoot(link: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport=_SIZE)
        page.goto(link)
        page.wait_for_url("**/console/")
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
