"""The page /docs: the description of the API, shown and tried in a browser, with nothing loaded from elsewhere.

The page itself holds nothing of this installation: it asks for a token (or takes it from the link that `trueup serve`
prints, where it stands behind the `#` and so reaches no server and no log), and reads /openapi.json with it.
"""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

_STATIC = files("trueup.surfaces.api") / "static"
_SCRIPT = (_STATIC / "docs.js").read_text(encoding="utf-8")
_STYLE = (_STATIC / "docs.css").read_text(encoding="utf-8")

HTML = (
    (_STATIC / "docs.html")
    .read_text(encoding="utf-8")
    .replace("<style></style>", f"<style>{_STYLE}</style>")
    .replace("<script></script>", f"<script>{_SCRIPT}</script>")
)


def _source(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


HEADERS = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    f"frame-ancestors 'none'; script-src {_source(_SCRIPT)}; style-src {_source(_STYLE)}"
}
"""Only this very script and this very style may run, and only this server may be asked."""
