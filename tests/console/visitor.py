"""A visitor of the console without a browser: logs in, follows pages, sends their forms."""

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx
from tests.api.server import Api

CONSOLE = "/console"


@dataclass
class Visitor:
    """Somebody with a cookie jar of their own."""

    client: httpx.Client

    def get(self, path: str = "/", **headers: str) -> httpx.Response:
        return self.client.get(f"{CONSOLE}{path}", headers=headers)

    def form_key(self, path: str = "/") -> str:
        """The key that the forms of a page carry."""
        found = re.search(r'name="form_key" value="([^"]*)"', self.get(path).text)
        assert found, path
        return found[1]

    def post(self, path: str, page: str = "/", headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        """Send a form with the key of a page, unless the fields say another."""
        given = {"form_key": self.form_key(page), **fields} if "form_key" not in fields else fields
        return self.client.post(f"{CONSOLE}{path}", data=given, headers=headers)

    def log_in(self, secret: str, back: str = "", **headers: str) -> httpx.Response:
        return self.post("/login", "/login", headers, token=secret, next=back)

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.name: cookie.value or "" for cookie in self.client.cookies.jar}


def visitor(api: Api, role: str | None = None) -> Visitor:
    """A visitor, logged in as a role where one is named."""
    made = Visitor(api.client(None))
    if role is not None:
        answer = made.log_in(api.secrets[role])
        assert (answer.status_code, answer.headers["Location"]) == (303, "/console/")
    return made


def text_of(page: str) -> str:
    """What a page says, without its markup."""
    body = page[page.index("<main") : page.index("</main>")]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())
