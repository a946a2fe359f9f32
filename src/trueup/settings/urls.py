"""Database URLs: which ones trueup can open, and how one is shown without its password.

They are read without SQLAlchemy, whose import would cost more than everything else here.
"""

import os
import re
from pathlib import Path

ALLOWED = "sqlite:///PATH, or postgresql://USER@HOST:PORT/DATABASE (psycopg 3)"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9_+.-]*)://")
_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRES = ("postgres", "postgresql", "postgresql+psycopg")
_SERVER = re.compile(
    r"""(?:[^:/]*(?::[^@]*)?@)?                  # user and password
        (?:\[[0-9A-Fa-f:.%]+\]|[^/:?@\[\]]+)?    # host
        (?::[0-9]{1,5})?                         # port
        (?:/[^?]*)?(?:\?[^@]*)?                  # database and parameters""",
    re.VERBOSE,
)
_SECRET_PARAMETER = re.compile(r"([?&][^=&?]*(?:pass|secret|token|key)[^=&]*=)[^&]*", re.IGNORECASE)


def database_url(value: object, folder: Path) -> str:
    """Return a URL as SQLAlchemy takes it, SQLite's path absolute; ValueError never repeats the URL."""
    text = value.strip() if isinstance(value, str) else ""
    scheme = _SCHEME.match(text)
    if not scheme or not text.isprintable():
        raise ValueError("it is not a database URL" if text else "it is empty or not text")
    driver, rest = scheme[1].lower(), text[scheme.end() :]
    if driver in _SQLITE:
        return f"sqlite:///{_sqlite_path(rest, folder)}"
    if driver in _POSTGRES:
        if not _SERVER.fullmatch(rest):
            raise ValueError(
                "its host, port or database cannot be read"
                " (in a user name or password, write : as %3A, @ as %40 and / as %2F)"
            )
        return f"postgresql+psycopg://{rest}"
    raise ValueError(f"trueup does not know the database driver {driver!r}")


def _sqlite_path(rest: str, folder: Path) -> str:
    if "?" in rest:
        raise ValueError("trueup sets SQLite's options itself: leave out the question mark and what follows")
    if rest and not rest.startswith("/"):
        raise ValueError("SQLite's path comes after three slashes (an absolute one makes it four)")
    path = rest[1:]
    if path in ("", ":memory:"):
        raise ValueError("it names no file, and a database in memory would be empty at each start")
    base, below = (os.path.expanduser("~"), path[2:]) if path.startswith("~/") else (str(folder), path)
    return path if Path(path).is_absolute() else f"{_quoted(base)}{os.sep}{below}"


def _quoted(folder: str) -> str:
    return folder.replace("%", "%25").replace("?", "%3F").rstrip(os.sep)


def masked(text: str) -> str:
    """Return text with the passwords of a URL replaced, between its user and its last @ and in its parameters."""
    head, at, tail = text.rpartition("@")
    password = re.search(r":(?!//)", head)
    if at and password:
        text = f"{head[: password.start()]}:***@{tail}"
    return _SECRET_PARAMETER.sub(r"\1***", text)


def password_of(url: str) -> str:
    """Return the password of a database URL as it is written there, blank where it has none."""
    found = re.match(r"[^/]*://[^/@:]*:([^@]*)@", url)
    return found[1] if found else ""
